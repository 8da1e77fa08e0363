-- merchants: how many points a merchant gives by a rule that leaves it to merchants, from a moment on;
-- none: as many as the rule says. Append only: what was offered when is what late receipts earn by.
create table earn_rate (
    merchant_id uuid not null,
    version int not null,
    rule text not null,
    points bigint,
    since timestamptz not null,
    set_by text not null,
    constraint earn_rate_pkey primary key (merchant_id, version),
    constraint earn_rate_merchant_fkey foreign key (merchant_id) references merchant (merchant_id),
    constraint earn_rate_points_check check (points >= 0)
);

do $$
begin
    execute format('grant select, insert on earn_rate to %I', current_schema());
end
$$;

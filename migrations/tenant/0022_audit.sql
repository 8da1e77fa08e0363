-- audit: who did what, to what, what it was before and after, why and from where. `right_object` and
-- `right_act` are the right by which it was done; `before` and `after` are JSON of what changed, kept as
-- text, because what is sealed is its very bytes. `agent` is what the browser said of itself, cut.
create table audit_entry (
    entry_id uuid not null,
    at timestamptz not null,
    actor text not null,
    act text not null,
    object text,
    right_object text not null,
    right_act text not null,
    before text not null,
    after text not null,
    reason text,
    door text not null,
    address text,
    agent text,
    request text,
    constraint audit_entry_pkey primary key (entry_id),
    constraint audit_entry_door_check check (door in ('api', 'page', 'command', 'job'))
);

create index audit_entry_actor_idx on audit_entry (actor, entry_id);
create index audit_entry_object_idx on audit_entry (object, entry_id);
create index audit_entry_act_idx on audit_entry (act, entry_id);

-- audit: the chain. Seal `number`, from 1 without a gap, is the SHA-256 of its number, of the seal before
-- and of every column of its entry.
create table audit_seal (
    number bigint not null,
    entry_id uuid not null,
    previous bytea not null,
    hash bytea not null,
    constraint audit_seal_pkey primary key (number),
    constraint audit_seal_number_check check (number > 0)
);

create unique index audit_seal_entry_key on audit_seal (entry_id);

do $$
begin
    execute format('grant select, insert on audit_entry, audit_seal to %I', current_schema());
end
$$;

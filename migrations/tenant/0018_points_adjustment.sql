-- earning: points that somebody of the mall added to a member or took from one by hand, or proposes to: why,
-- on what evidence, and which shop's matter it is. What is added is its merchant's to bear.
create table points_adjustment (
    adjustment_id uuid not null,
    member_id uuid not null,
    merchant_id uuid not null,
    store_id uuid not null,
    points bigint not null,
    reason text not null,
    note text not null,
    evidence text,
    state text not null,
    proposed_at timestamptz not null,
    proposed_by text not null,
    decided_at timestamptz,
    decided_by text,
    decision_note text,
    journal_id uuid,
    constraint points_adjustment_pkey primary key (adjustment_id),
    constraint points_adjustment_member_fkey foreign key (member_id) references member (member_id),
    constraint points_adjustment_store_fkey foreign key (store_id) references store (store_id),
    constraint points_adjustment_points_check check (points <> 0),
    constraint points_adjustment_reason_check
        check (reason in ('goodwill', 'correction', 'complaint', 'promise', 'fraud')),
    constraint points_adjustment_state_check check (state in ('proposed', 'posted', 'rejected')),
    constraint points_adjustment_decided_check
        check ((decided_at is null) = (decided_by is null) and (decided_at is null) = (state = 'proposed')),
    constraint points_adjustment_posted_check check ((journal_id is not null) = (state = 'posted'))
);
create index points_adjustment_member_idx on points_adjustment (member_id, adjustment_id);
create index points_adjustment_open_idx on points_adjustment (adjustment_id) where state = 'proposed';

do $$
begin
    execute format('grant select, insert on points_adjustment to %I', current_schema());
    execute format('grant update (state, decided_at, decided_by, decision_note, journal_id) on points_adjustment to %I', current_schema());
end
$$;

-- identity: a change of somebody's roles that one person proposed and another one decides. `roles` are
-- all that they are to have, none where they are to be ended; `roles_before` those that they had. Open
-- until it is decided or `expires_at` has come.
create table role_change (
    role_change_id uuid not null,
    staff_id uuid not null,
    merchant_id uuid,
    roles text[] not null,
    roles_before text[] not null,
    store_ids uuid[],
    proposed_at timestamptz not null,
    proposed_by text not null,
    expires_at timestamptz not null,
    state text not null,
    decided_at timestamptz,
    decided_by text,
    constraint role_change_pkey primary key (role_change_id),
    constraint role_change_state_check check (state in ('open', 'confirmed', 'rejected', 'expired')),
    constraint role_change_decided_check check ((state = 'open') = (decided_at is null))
);

create unique index role_change_open_key on role_change (staff_id) where state = 'open';

do $$
declare
    mall text := current_schema();
begin
    execute format('grant select, insert on role_change to %I', mall);
    execute format('grant update (state, decided_at, decided_by) on role_change to %I', mall);
end
$$;

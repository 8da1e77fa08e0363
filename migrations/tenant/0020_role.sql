-- identity: roles that a mall made for itself, beside those of the program. `code` is what `staff_role`
-- and `api_key` name, and is never used again. `guarded` says that nobody acts in it without a second
-- factor. A role ends; what it may do is `role_right` at its `revision`.
create table role (
    role_id uuid not null,
    code text not null,
    name text not null,
    scope text not null,
    guarded boolean not null,
    revision int not null,
    created_at timestamptz not null,
    created_by text not null,
    changed_at timestamptz not null,
    changed_by text not null,
    ended_at timestamptz,
    ended_by text,
    constraint role_pkey primary key (role_id),
    constraint role_code_check check (code like 'own.%'),
    constraint role_scope_check check (scope in ('mall', 'merchant'))
);

create unique index role_code_key on role (code);

-- identity: what a role of the mall's own may do, and could do at each revision before.
create table role_right (
    role_id uuid not null,
    revision int not null,
    object text not null,
    action text not null,
    constraint role_right_pkey primary key (role_id, revision, object, action)
);

-- To which stores of the merchant a person or a key is narrowed; null: to none, all are theirs.
alter table staff_role add column store_ids uuid[];
alter table api_key add column store_ids uuid[];

-- Who has a role.
create index staff_role_role_idx on staff_role (role, staff_id) where ended_at is null;
create index api_key_role_idx on api_key (role, api_key_id) where revoked_at is null;

do $$
declare
    mall text := current_schema();
begin
    execute format('grant select, insert on role, role_right to %I', mall);
    execute format('grant update (name, guarded, revision, changed_at, changed_by, ended_at, ended_by) on role to %I', mall);
end
$$;

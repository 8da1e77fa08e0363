-- Which database target holds each mall's schema, and which malls are on their way to another one.

alter table platform.tenant add column target text not null default 'main';
alter table platform.tenant drop constraint tenant_status_check;
alter table platform.tenant add constraint tenant_status_check
    check (status in ('opening', 'active', 'suspended', 'moving'));

-- A move that has begun and not ended: from where and where to, and what the mall's status was
-- before. Who works on it holds the row's lock. Which step it has reached, tenant.target says: at
-- the source nothing is decided, at the destination only the old tables are left to be dropped.
create table platform.tenant_move (
    tenant_id uuid not null,
    source text not null,
    destination text not null,
    status_before text not null,
    started_at timestamptz not null,
    constraint tenant_move_pkey primary key (tenant_id),
    constraint tenant_move_places_check check (source <> destination)
);

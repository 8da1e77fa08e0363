-- Malls come from archives and are deleted. What is deleted keeps its row: its id and short name are
-- nobody else's, ever.

alter table platform.tenant drop constraint tenant_status_check;
alter table platform.tenant add constraint tenant_status_check
    check (status in ('opening', 'active', 'suspended', 'moving', 'arriving', 'leaving', 'gone'));

-- That a mall is being deleted, or was: when, by whom, and the proof of what it was as JSON (tables with
-- rows and digests, control totals, the SHA-256 of the archive that was compared with it). Never
-- changed but for the end.
create table platform.tenant_end (
    tenant_id uuid not null,
    begun_at timestamptz not null,
    begun_by text not null,
    proof jsonb not null,
    ended_at timestamptz,
    constraint tenant_end_pkey primary key (tenant_id)
);

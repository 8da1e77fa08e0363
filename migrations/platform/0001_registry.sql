-- The registry: which malls there are. Nothing of a mall's own data is here.

create table platform.tenant (
    tenant_id uuid not null,
    slug text not null,
    names jsonb not null,
    status text not null,
    time_zone text not null,
    currency text not null,
    calling_code text not null,
    languages jsonb not null,
    created_at timestamptz not null,
    changed_at timestamptz not null,
    constraint tenant_pkey primary key (tenant_id),
    constraint tenant_slug_key unique (slug),
    constraint tenant_status_check check (status in ('opening', 'active', 'suspended'))
);

-- Which Host header means which mall.
create table platform.host (
    host text not null,
    tenant_id uuid not null,
    constraint host_pkey primary key (host),
    constraint host_tenant_fkey foreign key (tenant_id) references platform.tenant (tenant_id)
);

grant usage on schema platform to rotunda_app;
grant select on platform.tenant, platform.host to rotunda_app;

-- How far each mall's own tables are: what a server that starts has to look at is one column here,
-- not one table in each of a thousand schemas.

alter table platform.tenant add column schema_version bigint not null default 0;

-- A number that rises whenever the registry says something else of any mall: what a server remembers
-- of the registry holds for as long as the number does, and one look at it serves all malls.

create table platform.registry (
    registry_id int not null,
    revision bigint not null,
    constraint registry_pkey primary key (registry_id),
    constraint registry_single_check check (registry_id = 1)
);
insert into platform.registry (registry_id, revision) values (1, 1);

grant select on platform.registry to rotunda_app;

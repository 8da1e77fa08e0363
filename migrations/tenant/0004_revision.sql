-- db: a number that rises whenever programme, keys, merchants or stores are changed. What a server
-- remembers of them holds for as long as the number does, and a lane's transaction is not opened
-- where it is another one. Whoever puts an older copy of a mall in its place raises it beyond what it
-- has ever been.
create table setting (
    setting_id int not null,
    revision bigint not null,
    constraint setting_pkey primary key (setting_id),
    constraint setting_single_check check (setting_id = 1)
);
insert into setting (setting_id, revision) values (1, 1);

do $$
declare mall text := current_schema();
begin
    execute format('grant select, update (revision) on setting to %I', mall);
end $$;

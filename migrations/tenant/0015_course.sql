-- settlement: who issues it and how long its merchants have to answer, as the programme said when the
-- period was cut off; what the programme says later is for later periods.
alter table settlement add column approval text;
alter table settlement add column confirm_days int;
update settlement
set approval = coalesce(
        (select body::jsonb #>> '{settlement,approval}' from programme order by version desc limit 1),
        'two'),
    confirm_days = coalesce(
        (select (body::jsonb #>> '{settlement,confirm_days}')::int from programme
         order by version desc limit 1),
        5);
alter table settlement alter column approval set not null;
alter table settlement alter column confirm_days set not null;
alter table settlement add constraint settlement_approval_check check (approval in ('one', 'two'));
alter table settlement add constraint settlement_confirm_days_check
    check (confirm_days between 0 and 31);

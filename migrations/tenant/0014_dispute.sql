-- settlement: what the payer of a disputed line gave for it, and gets back if the line does not hold.
-- It is another amount than what the receiver got where the operator or the pool bears part.
alter table dispute add column returned bigint;
update dispute set returned = amount;
alter table dispute alter column returned set not null;
alter table dispute drop constraint dispute_amount_check;
alter table dispute add constraint dispute_amount_check
    check (amount >= 0 and returned >= 0 and (amount > 0 or returned > 0));

-- What tills write, made cheaper.

-- Keys and receipt numbers compare byte by byte, in the order in which the program locks them.
alter table idempotency_key alter column scope type text collate "C";
alter table idempotency_key alter column key type text collate "C";
alter table purchase alter column receipt_number type text collate "C";
alter table spend alter column receipt_number type text collate "C";

-- Months follow one another in the table as they do in time: a summary of its pages finds them, and
-- an insert seldom has anything to add to it.
drop index transfer_month_idx;
create index transfer_month_idx on transfer using brin (posted_in) with (pages_per_range = 32);

-- Room in each page for the wallet's next version, so that its key need not be written again.
alter table wallet set (fillfactor = 50);

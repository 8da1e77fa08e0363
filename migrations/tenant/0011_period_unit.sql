-- ledger: by which periods the mall posts and settles. It stands beside `open_from`, because whoever
-- posts reads both under the same lock: nobody posts by a unit that was changed while it waited. It
-- can be changed only until the first entry or cut-off, so every date of a period in a mall's tables
-- (`journal.posted_in`, `transfer.posted_in`, `settlement.month`, `month_line.month`,
-- `adjustment.month`, `payment_cover.carried_to`, `prepaid_use.posted_in`) is the first day of one of
-- that unit, whatever the column is called: those named `month` are from when there were only months.
-- The first `open_from`, 0001-01-01, is a Monday and begins a period of each unit.
alter table book add column period text not null default 'month';
alter table book add constraint book_period_check check (period in ('day', 'week', 'month'));

-- settlement: the unit that its `month` is the first day of one of; part of what is sealed, so that it
-- can be read without a look at anything else.
alter table settlement add column period text not null default 'month';
alter table settlement add constraint settlement_period_check
    check (period in ('day', 'week', 'month'));

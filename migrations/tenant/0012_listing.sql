-- ledger: how far it is written down which transfers are behind a closed month's statements
-- (`month_line`): that goes on behind the close, a step at a time, and can be interrupted. As there,
-- `month` is the first day of a period of the mall's unit.
create table month_listing (
    month date not null,
    lines bigint not null,
    done bigint not null,
    after_journal uuid,
    after_line int,
    last_journal uuid,
    begun_at timestamptz not null,
    listed_at timestamptz,
    constraint month_listing_pkey primary key (month),
    constraint month_listing_done_check check (done between 0 and lines),
    constraint month_listing_after_check
        check (num_nulls(after_journal, after_line, last_journal) in (0, 3)),
    constraint month_listing_end_check
        check (listed_at is null or done = lines and after_journal is null)
);

-- Months whose figures are written already are listed.
insert into month_listing (month, lines, done, begun_at, listed_at)
select month, 0, 0, cut_off_at, coalesce(proofed_at, cut_off_at)
from settlement
where state <> 'cut_off';

do $$
declare
    mall text := current_schema();
begin
    execute format('grant select, insert on month_listing to %I', mall);
    execute format('grant update (done, after_journal, after_line, last_journal, listed_at) on month_listing to %I', mall);
end
$$;

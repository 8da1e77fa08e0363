-- What long lists are read by: the lines of closed months by merchant, the words of the catalogue.

-- ledger: which lines of a closed month concern a merchant, up to 64 to a row in the order of their
-- posting, written once when the month is closed. A merchant's page is found by the primary key,
-- and nothing is written for it while tills wait. Append only.
create table month_line (
    month date not null,
    merchant_id uuid not null,
    last_journal uuid not null,
    last_line int not null,
    journals uuid[] not null,
    lines int[] not null,
    constraint month_line_pkey primary key (month, merchant_id, last_journal, last_line),
    constraint month_line_pairs_check check (cardinality(journals) = cardinality(lines))
);

-- Months that are closed already: as `write_lines` in src/ledger/views.rs does it for one.
insert into month_line (month, merchant_id, last_journal, last_line, journals, lines)
select posted_in, merchant_id, journals[cardinality(journals)], lines[cardinality(lines)], journals,
       lines
from (
    select posted_in, merchant_id, array_agg(journal_id order by journal_id, line) as journals,
           array_agg(line order by journal_id, line) as lines
    from (
        select flow.posted_in, party.merchant_id, flow.journal_id, flow.line,
               (row_number() over (partition by flow.posted_in, party.merchant_id
                                   order by flow.journal_id, flow.line) - 1) / 64 as part
        from (
            select transfer.posted_in, transfer.journal_id, transfer.line,
                   lot.merchant_id as issuer,
                   case when source.kind in ('issued', 'accepted') then source.owner_id
                        when target.kind = 'deficit' then target.partner_id
                        else target.owner_id end as taker
            from transfer
            join settlement
              on settlement.month = transfer.posted_in and settlement.state = 'closed'
            join account as source on source.account_id = transfer.from_account
            join account as target on target.account_id = transfer.to_account
            join lot on lot.lot_id = transfer.lot_id
            where source.kind in ('issued', 'accepted')
               or target.kind in ('issued', 'accepted', 'deficit')
        ) as flow
        cross join lateral unnest(case when taker = issuer then array[taker]
                                       else array[taker, issuer] end) as party (merchant_id)
    ) as concern
    group by posted_in, merchant_id, part
) as packed;

-- redemption: what a good is found by: its code and its names in one plain form, a line each, and
-- every letter and every pair of letters of their words. src/redemption/search.rs writes both.
alter table good add column search_text text not null default '';
alter table good add column search_pieces text[] not null default '{}';
update good
set search_text = lower(normalize(code || (
        select coalesce(string_agg(E'\n' || name.value, '' order by name.key), '')
        from jsonb_each_text(names) as name (key, value)
    ), nfkc));
update good
set search_pieces = (
        select coalesce(array_agg(distinct piece.letters), '{}')
        from regexp_split_to_table(search_text, '\s+') as word (letters)
        cross join lateral generate_series(1, char_length(word.letters)) as place
        cross join lateral (values (substr(word.letters, place, 1)),
                                   (substr(word.letters, place, 2))) as piece (letters)
    );
-- Written seldom and read at once: without a list of what is still to be put into it.
create index good_search_idx on good using gin (search_pieces) with (fastupdate = off);

do $$
declare
    mall text := current_schema();
begin
    execute format('grant select, insert on month_line to %I', mall);
    execute format('grant update (search_text, search_pieces) on good to %I', mall);
end
$$;

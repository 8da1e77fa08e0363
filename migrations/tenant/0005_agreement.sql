-- What each merchant settles by, and statements that say so line by line.

-- merchants: terms that were put to a merchant, a version each. They hold from the first moment of
-- a month on, if the merchant accepted them before it; else never. Only acceptance is ever changed.
-- `digest` is SHA-256 over `terms` as text, `document_digest` over the paper that was signed.
create table agreement (
    agreement_id uuid not null,
    merchant_id uuid not null,
    version int not null,
    starts_at timestamptz not null,
    terms text not null,
    digest text not null,
    document_digest text,
    price_points bigint,
    price_worth bigint,
    proposed_at timestamptz not null,
    proposed_by text not null,
    accepted_at timestamptz,
    accepted_by text,
    constraint agreement_pkey primary key (agreement_id),
    constraint agreement_version_key unique (merchant_id, version),
    constraint agreement_merchant_fkey foreign key (merchant_id) references merchant (merchant_id),
    constraint agreement_accepted_check
        check ((accepted_at is null) = (accepted_by is null) and accepted_at < starts_at),
    constraint agreement_price_check
        check ((price_points is null) = (price_worth is null) and price_points > 0
               and price_worth >= 0)
);

-- settlement: which figures a month has. The first form knew no agreements and no lapsed points.
alter table settlement add column form int not null default 1;
alter table statement add column expired bigint not null default 0;
alter table statement add column funded bigint not null default 0;
alter table statement add column breakage bigint not null default 0;
alter table statement add column adjusted bigint not null default 0;
alter table statement add column tax_basis_points int not null default 0;
alter table statement add column tax_received bigint not null default 0;
alter table statement add column tax_fee bigint not null default 0;
-- What the nets of a month are sums of: by merchant (none is the operator), kind and partner.
-- Append only.
create table statement_line (
    settlement_id uuid not null,
    line int not null,
    merchant_id uuid,
    kind text not null,
    partner_id uuid,
    points bigint not null,
    value bigint not null,
    amount bigint not null,
    constraint statement_line_pkey primary key (settlement_id, line),
    constraint statement_line_settlement_fkey
        foreign key (settlement_id) references settlement (settlement_id)
);
create index statement_line_merchant_idx on statement_line (settlement_id, merchant_id, line);

-- Months that are closed: what lapsed is listed too. As `write_lines` in src/ledger/views.rs does it
-- for one month.
delete from month_line;
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
               or target.kind in ('issued', 'accepted', 'deficit', 'expired')
        ) as flow
        cross join lateral unnest(case when taker = issuer then array[taker]
                                       else array[taker, issuer] end) as party (merchant_id)
    ) as concern
    group by posted_in, merchant_id, part
) as packed;
update statement
set expired = lapsed.points
from (
    select settlement.settlement_id, target.owner_id as merchant_id,
           sum(transfer.amount) as points
    from settlement
    join transfer on transfer.posted_in = settlement.month
    join account as target on target.account_id = transfer.to_account and target.kind = 'expired'
    where settlement.state = 'closed'
    group by settlement.settlement_id, target.owner_id
) as lapsed
where lapsed.settlement_id = statement.settlement_id and lapsed.merchant_id = statement.merchant_id;

do $$
declare mall text := current_schema();
begin
    execute format('grant select, insert on agreement, statement_line to %I', mall);
    execute format('grant update (accepted_at, accepted_by) on agreement to %I', mall);
end $$;

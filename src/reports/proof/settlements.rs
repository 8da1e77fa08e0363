//! What must hold of closed periods.

use super::{Question, question};

/// What was issued and taken, line by line: who took, who had issued, and which way the money goes.
macro_rules! crossings {
    () => {
        "(select transfer.posted_in, transfer.journal_id, transfer.line, transfer.amount, transfer.value, lot.merchant_id as issuer,
            case when source.kind = 'issued' then 'issued'
                when target.kind = 'issued' then 'taken back'
                when target.kind = 'expired' then 'expired'
                when source.kind = 'accepted' then 'given back'
                else 'accepted' end as kind,
            case when source.kind = 'issued' or target.kind in ('issued', 'expired') then 0
                when source.kind = 'accepted' then -1
                else 1 end as sign,
            case when source.kind in ('issued', 'accepted') then source.owner_id
                when target.kind = 'deficit' then target.partner_id
                else target.owner_id end as taker
         from transfer
         join account as source on source.account_id = transfer.from_account
         join account as target on target.account_id = transfer.to_account
         join lot on lot.lot_id = transfer.lot_id
         where source.kind in ('issued', 'accepted')
            or target.kind in ('issued', 'accepted', 'deficit', 'expired'))"
    };
}

/// A period's first day as the period is written, by the unit that stands in a column.
macro_rules! written {
    ($first_day:literal, $unit:literal) => {
        concat!(
            "to_char(",
            $first_day,
            ", case ",
            $unit,
            " when 'day' then 'YYYY-MM-DD' when 'week' then 'IYYY-\"W\"IW' else 'YYYY-MM' end)"
        )
    };
}

pub(super) const QUESTIONS: &[Question] = &[
    question!(
        "period-unit",
        "every period in the books is one of the mall's unit and said by its first day",
        "select case
            when unit is distinct from book.period then
                format('%s is settled by the %s and the books are kept by the %s',
                    first_day, unit, book.period)
            when date_trunc(book.period, first_day::timestamp)::date <> first_day then
                format('%s is the first day of no %s', first_day, book.period)
         end
         from (
            select month as first_day, period as unit from settlement
            union all
            select open_from, period from book
            union all
            select first_day, (select period from book)
            from (
                select distinct posted_in as first_day from journal
                union
                select distinct month from month_line
                union
                select month from month_listing
                union
                select month from adjustment
                union
                select carried_to from payment_cover
                union
                select distinct posted_in from prepaid_use
            ) as dated
         ) as found
         cross join book"
    ),
    question!(
        "agreement-kept",
        "every agreement says what its digest was taken of",
        "select case when digest is distinct from encode(sha256(convert_to(
            concat_ws(chr(10), merchant_id, version,
                to_char(starts_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), terms, ''),
            'UTF8')), 'hex') then
            format('version %s of the agreement with mer:%s was changed', version, merchant_id) end
         from agreement"
    ),
    question!(
        "settlement-shut",
        "no period that was cut off takes postings",
        "select case when settlement.month >= book.open_from then
            format('stl:%s of %s was cut off and the books are open from %s',
                settlement.settlement_id, ",
        written!("settlement.month", "settlement.period"),
        ", ",
        written!("book.open_from", "book.period"),
        ") end
         from settlement
         cross join book"
    ),
    question!(
        "settlement-zero",
        "every closed period adds up to zero over merchants and operator",
        "select case
            when form = 1 and (sum(pays) <> sum(receives) or sum(net) + sum(fee) <> 0)
                or form > 1 and sum(net) + coalesce(min(operator_net), 0) <> 0 then
                format('stl:%s is off by %s', settlement_id,
                    sum(net) + case when form = 1 then sum(fee)
                        else coalesce(min(operator_net), 0) end)
            when bool_or(net <> receives - pays - funded - fee + breakage + adjusted) then
                format('stl:%s has a net that is not the sum of its figures', settlement_id)
         end
         from statement
         join settlement using (settlement_id)
         left join (
            select settlement_id, sum(amount) as operator_net
            from statement_line
            where merchant_id is null
            group by settlement_id
         ) as operator using (settlement_id)
         group by settlement_id, form"
    ),
    question!(
        "settlement-sums",
        "every net of a closed period is the sum of its lines",
        "select case when sum(net) <> sum(amount) then
            format('stl:%s gives mer:%s another net than its lines', settlement_id, merchant_id) end
         from (
            select settlement_id, merchant_id, net, 0 as amount
            from statement
            join settlement using (settlement_id)
            where form > 1
            union all
            select settlement_id, merchant_id, 0, amount
            from statement_line
            where merchant_id is not null
         ) as side
         group by settlement_id, merchant_id"
    ),
    question!(
        "settlement-recount",
        "every statement of a closed period is what the ledger's lines of that period come to",
        "select case when statement.merchant_id is null
            or fresh.merchant_id is null and statement.issued + statement.taken_back
                + statement.redeemed + statement.given_back + statement.expired <> 0
            or fresh.merchant_id is not null
            and (statement.issued, statement.taken_back, statement.redeemed, statement.given_back,
                statement.expired, statement.own_points)
            is distinct from (fresh.issued, fresh.taken_back, fresh.redeemed, fresh.given_back,
                fresh.expired, fresh.own_points)
            or not fresh.agreed
            and (statement.own_value, statement.pays, statement.receives, statement.fee)
            is distinct from (fresh.own_value, fresh.pays, fresh.receives,
                fresh.quotient + case
                    when fresh.rest > 5000 or fresh.rest = 5000 and mod(fresh.quotient, 2) <> 0
                    then 1 else 0 end) then
            format('stl:%s says otherwise of mer:%s than the ledger',
                coalesce(statement.settlement_id, fresh.settlement_id),
                coalesce(statement.merchant_id, fresh.merchant_id)) end
         from (
            select settlement_id, fee_basis_points, merchant_id, agreed, issued, taken_back,
                redeemed, given_back, expired, own_points, own_value, pays, receives,
                div(receives * fee_basis_points - mod(mod(receives * fee_basis_points, 10000)
                    + 10000, 10000), 10000) as quotient,
                mod(mod(receives * fee_basis_points, 10000) + 10000, 10000) as rest
            from (
                select settlement.settlement_id, settlement.form, settlement.fee_basis_points,
                    side.merchant_id, exists (select from agreement
                        where accepted_at is not null and starts_at < settlement.cut_off_at)
                        as agreed,
                    sum(side.expired) as expired, sum(side.issued) as issued, sum(side.taken_back) as taken_back,
                    sum(side.redeemed) as redeemed, sum(side.given_back) as given_back,
                    sum(side.own_points) as own_points, sum(side.own_value) as own_value,
                    sum(side.pays) as pays, sum(side.receives) as receives
                from settlement
                join (
                    select posted_in, taker as merchant_id,
                        case when kind = 'issued' then amount else 0 end as issued,
                        case when kind = 'taken back' then amount else 0 end as taken_back,
                        case when kind = 'accepted' then amount else 0 end as redeemed,
                        case when kind = 'given back' then amount else 0 end as given_back,
                        case when kind = 'expired' then amount else 0 end as expired,
                        case when taker = issuer then sign * amount else 0 end as own_points,
                        case when taker = issuer then sign * value else 0 end as own_value,
                        0 as pays,
                        case when taker <> issuer then sign * value else 0 end as receives
                    from ",
        crossings!(),
        " as crossing
                    union all
                    select posted_in, issuer, 0, 0, 0, 0, 0, 0, 0, sign * value, 0
                    from ",
        crossings!(),
        " as crossing
                    where taker <> issuer and sign <> 0
                ) as side on side.posted_in = settlement.month
                where settlement.state <> 'cut_off'
                group by settlement.settlement_id, settlement.form, settlement.fee_basis_points,
                    side.merchant_id
            ) as summed
            where form > 1 or (issued, taken_back, redeemed, given_back, pays, receives)
                is distinct from (0, 0, 0, 0, 0, 0)
         ) as fresh
         full outer join statement on statement.settlement_id = fresh.settlement_id
            and statement.merchant_id = fresh.merchant_id"
    ),
    question!(
        "settlement-lines",
        "what is listed of a closed period by merchant is every line that concerns the merchant, once; a \
         period whose lines are being listed is not asked yet",
        "select case
            when count(*) filter (where held) <> 1 or count(*) filter (where not held) <> 1 then
                format('mer:%s is shown line %s of %s in %s not as often as it concerns it',
                    merchant_id, line, journal_id, ",
        written!("month", "(select period from book)"),
        ")
         end
         from (
            select settlement.month, party.merchant_id, crossing.journal_id, crossing.line,
                true as held
            from settlement
            join ",
        crossings!(),
        " as crossing on crossing.posted_in = settlement.month
            cross join lateral unnest(case when taker = issuer then array[taker]
                else array[taker, issuer] end) as party (merchant_id)
            left join month_listing on month_listing.month = settlement.month
            where settlement.state <> 'cut_off'
              and (month_listing.month is null or month_listing.listed_at is not null)
            union all
            select month_line.month, month_line.merchant_id, entry.journal_id, entry.line, false
            from month_line
            join month_listing on month_listing.month = month_line.month
                and month_listing.listed_at is not null
            cross join lateral unnest(month_line.journals, month_line.lines)
                as entry (journal_id, line)
         ) as side
         group by month, merchant_id, journal_id, line"
    ),
    question!(
        "settlement-booked",
        "the ledger holds the payments of a closed period, once",
        "select case
            when payment.settlement_id is null then
                format('stl:%s has a line %s in the ledger that is no payment',
                    booked.settlement_id, booked.line)
            when coalesce(booked.times, 0) <> 1 or booked.amount <> payment.amount
                or booked.payer is distinct from payment.from_merchant
                or booked.receiver is distinct from payment.to_merchant then
                format('stl:%s has a payment %s that the ledger does not hold as it is',
                    payment.settlement_id, payment.line)
         end
         from payment
         full outer join (
            select journal.source_id as settlement_id, transfer.line, count(*) as times,
                sum(transfer.amount) as amount,
                min(source.owner_id::text)::uuid as payer,
                min(target.owner_id::text)::uuid as receiver
            from journal
            join transfer on transfer.journal_id = journal.journal_id
            join account as source on source.account_id = transfer.from_account
                and source.kind = 'payable'
            join account as target on target.account_id = transfer.to_account
                and target.kind = 'receivable'
            where journal.kind = 'settle'
            group by journal.source_id, transfer.line
         ) as booked on booked.settlement_id = payment.settlement_id
            and booked.line = payment.line"
    ),
    question!(
        "settlement-digest",
        "every closed period's figures have the digest that was written when it was closed",
        "select case
            when state <> 'cut_off' and digest is distinct from encode(sha256(convert_to(
                ",
        written!("month", "period"),
        " || ',' || fee_basis_points || chr(10)
                || case when form = 1 then coalesce(first_form, '')
                    else coalesce(body, '') || coalesce(sums, '') end, 'UTF8')), 'hex') then
                format('stl:%s was changed after it was closed', settlement.settlement_id)
            when state = 'cut_off' and body is not null then
                format('stl:%s has statements and is not closed', settlement.settlement_id)
         end
         from settlement
         left join (
            select settlement_id, string_agg(concat_ws(',', merchant_id, issued, taken_back,
                redeemed, given_back, own_points, own_value, pays, receives, fee, net) || chr(10),
                '' order by merchant_id) as first_form,
                string_agg(concat_ws(',', merchant_id, issued, taken_back, redeemed, given_back,
                expired, own_points, own_value, pays, receives, funded, fee, breakage, adjusted, net,
                tax_basis_points, tax_received, tax_fee) || chr(10), '' order by merchant_id) as body
            from statement
            group by settlement_id
         ) as written on written.settlement_id = settlement.settlement_id
         left join (
            select settlement_id, string_agg(concat_ws(',', coalesce(merchant_id::text, ''), kind,
                coalesce(partner_id::text, ''), points, value, amount) || chr(10), '' order by line)
                as sums
            from statement_line
            group by settlement_id
         ) as summed on summed.settlement_id = settlement.settlement_id"
    ),
];

//! What must hold of deposits, of points that were paid for in advance, and of defaults.

use super::{Question, held_by_owner, question};

pub(super) const QUESTIONS: &[Question] = &[
    question!(
        "deposit-kept",
        "what is kept of a merchant is what was recorded, and what the ledger holds for it",
        "select case
            when coalesce(credit.deposit, 0) <> coalesce(entered.amount, 0)
                or coalesce(credit.deposit, 0) <> coalesce(booked.amount, 0) then
                format('mer:%s has a deposit of %s and entries of %s and transfers for %s',
                    merchant_id, coalesce(credit.deposit, 0), coalesce(entered.amount, 0),
                    coalesce(booked.amount, 0))
         end
         from credit
         full outer join (
            select merchant_id, sum(case when kind = 'deposit_paid' then amount else -amount end)
                as amount
            from credit_entry
            where kind in ('deposit_paid', 'deposit_returned', 'deposit_drawn')
            group by merchant_id
         ) as entered using (merchant_id)
         full outer join ",
        held_by_owner!("deposit"),
        " as booked (merchant_id, amount) using (merchant_id)"
    ),
    question!(
        "deposit-drawn",
        "every payment that was met from a deposit was drawn from it, and nothing else was",
        "select case
            when drawn.merchant_id is null then
                format('stl:%s has a payment %s from a deposit that was drawn from none',
                    settlement_id, line)
            when met.merchant_id is null then
                format('stl:%s has no payment %s for which a deposit was drawn', settlement_id, line)
            when met.merchant_id <> drawn.merchant_id or met.amount <> drawn.amount then
                format('stl:%s has a payment %s of %s for which %s were drawn', settlement_id, line,
                    met.amount, drawn.amount)
         end
         from (
            select payment.from_merchant as merchant_id, settlement_id, line,
                coalesce(payment_cover.deposit, payment.amount) as amount
            from payment
            left join payment_cover using (settlement_id, line)
            where payment.method = 'deposit' and coalesce(payment_cover.deposit, 1) > 0
         ) as met
         full outer join (
            select merchant_id, settlement_id, line, amount
            from credit_entry
            where kind = 'deposit_drawn'
         ) as drawn using (settlement_id, line)"
    ),
    question!(
        "prepaid-counted",
        "what was used of a block is what purchases took out of it less what refunds put back",
        "select case
            when prepaid.used <> coalesce(used.points, 0) then
                format('mer:%s has used %s of its block %s and its purchases %s',
                    prepaid.merchant_id, prepaid.used, prepaid.block, coalesce(used.points, 0))
         end
         from prepaid
         left join (
            select merchant_id, block, sum(points) as points
            from prepaid_use
            group by merchant_id, block
         ) as used using (merchant_id, block)"
    ),
    question!(
        "prepaid-given",
        "no purchase has more points out of blocks than it was given and kept",
        "select case
            when lot.lot_id is null or used.points < 0 or used.points > lot.points - lot.clawed
                or lot.merchant_id <> used.merchant_id then
                format('pur:%s has %s points out of blocks and was given %s', used.purchase_id,
                    used.points, lot.points - lot.clawed)
         end
         from (
            select purchase_id, merchant_id, sum(points) as points
            from prepaid_use
            group by purchase_id, merchant_id
         ) as used
         left join lot on lot.lot_id = used.purchase_id"
    ),
    question!(
        "prepaid-posted",
        "what was taken out of a block counts in the period in which the points were posted",
        "select case
            when entry.posted_in is distinct from used.posted_in then
                format('pur:%s has points out of a block in %s that were posted in %s',
                    used.purchase_id, to_char(used.posted_in, 'YYYY-MM'),
                    to_char(entry.posted_in, 'YYYY-MM'))
         end
         from prepaid_use as used
         left join (
            select source_id, posted_in from journal where kind in ('purchase', 'refund')
         ) as entry on entry.source_id = used.source_id"
    ),
    question!(
        "prepaid-booked",
        "what a merchant has paid in advance and not used is what the ledger holds for it",
        "select case
            when coalesce(bought.amount, 0) - coalesce(used.amount, 0)
                <> coalesce(booked.amount, 0) then
                format('mer:%s has paid %s in advance and used %s and transfers for %s',
                    merchant_id, coalesce(bought.amount, 0), coalesce(used.amount, 0),
                    coalesce(booked.amount, 0))
         end
         from (select merchant_id, sum(amount) as amount from prepaid group by merchant_id) as bought
         full outer join (
            select statement_line.merchant_id, sum(amount) as amount
            from statement_line
            join settlement using (settlement_id)
            where kind = 'prepaid' and statement_line.merchant_id is not null
                and settlement.confirmed_at is not null
            group by statement_line.merchant_id
         ) as used using (merchant_id)
         full outer join ",
        held_by_owner!("prepaid"),
        " as booked (merchant_id, amount) using (merchant_id)"
    ),
    question!(
        "block-entered",
        "every block was paid for, once, with what it cost",
        "select case when sum(points) <> 0 or sum(amount) <> 0 or sum(times) <> 0 then
            format('mer:%s has blocks that were not paid for as they are', merchant_id) end
         from (
            select merchant_id, points, amount, 1 as times from prepaid
            union all
            select merchant_id, -points, -amount, -1 from credit_entry where kind = 'block_bought'
         ) as side
         group by merchant_id"
    ),
    question!(
        "default-covered",
        "a payment that was met for somebody in default was met whole, and no other was met so",
        "select case
            when payment.state = 'covered' and payment_cover.settlement_id is null then
                format('stl:%s has a payment %s that was met by nobody', payment.settlement_id,
                    payment.line)
            when payment.state <> 'covered' and payment_cover.settlement_id is not null then
                format('stl:%s has a payment %s that was met twice', payment.settlement_id,
                    payment.line)
            when deposit + guarantee + carried <> payment.amount then
                format('stl:%s has a payment %s of %s that was met with %s', payment.settlement_id,
                    payment.line, payment.amount, deposit + guarantee + carried)
         end
         from payment
         left join payment_cover using (settlement_id, line)"
    ),
    question!(
        "default-carried",
        "what a default left unpaid is settled in the period that it was carried to, once",
        "select case when sum(amount) <> 0 then
            format('stl:%s settles another debt of mer:%s than was carried', settlement_id, party)
         end
         from (
            select settlement.settlement_id, payment.from_merchant as party, payment_cover.carried
                as amount
            from payment_cover
            join payment on payment.settlement_id = payment_cover.settlement_id
                and payment.line = payment_cover.line
            join settlement on settlement.month = payment_cover.carried_to
                and settlement.state <> 'cut_off'
            union all
            select settlement_id, partner_id, -amount
            from statement_line
            where kind = 'carried' and amount > 0
         ) as side
         group by settlement_id, party"
    ),
    question!(
        "guarantee-booked",
        "what the operator paid in a merchant's place is what the ledger holds against it",
        "select case
            when coalesce(covered.amount, 0) <> -coalesce(booked.amount, 0) then
                format('mer:%s was guaranteed %s and transfers for %s', merchant_id,
                    coalesce(covered.amount, 0), -coalesce(booked.amount, 0))
         end
         from (
            select payment.from_merchant as merchant_id, sum(payment_cover.guarantee) as amount
            from payment_cover
            join payment using (settlement_id, line)
            group by payment.from_merchant
         ) as covered
         full outer join ",
        held_by_owner!("guarantee"),
        " as booked (merchant_id, amount) using (merchant_id)"
    ),
];

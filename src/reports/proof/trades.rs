//! What must hold of purchases, spends, refunds and goods, and between them and the ledger.

use super::{Question, question};

pub(super) const QUESTIONS: &[Question] = &[
    question!(
        "adjustment-posted",
        "every adjustment that was posted has one entry with its points, and every such entry one",
        "select case
            when it.adjustment_id is null then
                format('jrn:%s adjusts points and no adjustment says so', entry.journal_id)
            when it.state <> 'posted' and entry.journal_id is null then null
            when entry.journal_id is null then
                format('adj:%s is posted and has no entry', it.adjustment_id)
            when it.state <> 'posted' or it.journal_id <> entry.journal_id
                or it.points <> entry.points or it.member_id is distinct from entry.member_id then
                format('adj:%s of %s points does not fit jrn:%s of %s', it.adjustment_id, it.points,
                    entry.journal_id, entry.points)
         end
         from points_adjustment as it
         full outer join (
            select journal_id, source_id, member_id, points
            from journal
            where kind = 'adjust'
         ) as entry on entry.source_id = it.adjustment_id"
    ),
    question!(
        "purchase-earned",
        "every purchase with points has one entry and one lot, with those points",
        "select case
            when purchase.points = 0 and lot.lot_id is null and entry.times is null then null
            when coalesce(entry.times, 0) <> 1 then
                format('pur:%s of %s points has %s entries', purchase.purchase_id,
                    purchase.points, coalesce(entry.times, 0))
            when lot.lot_id is null or lot.points <> purchase.points
                or lot.journal_id <> entry.journal_id
                or lot.merchant_id <> purchase.merchant_id
                or lot.member_id is distinct from purchase.member_id then
                format('pur:%s of %s points does not fit its lot of %s', purchase.purchase_id,
                    purchase.points, lot.points)
         end
         from purchase
         left join lot on lot.lot_id = purchase.purchase_id
         left join (
            select source_id, count(*) as times, min(journal_id::text)::uuid as journal_id
            from journal
            where kind = 'purchase'
            group by source_id
         ) as entry on entry.source_id = purchase.purchase_id"
    ),
    question!(
        "entry-known",
        "every entry of a purchase, spend or reservation is of one that exists",
        "select case
            when kind = 'purchase' and purchase.purchase_id is null
                or kind = 'spend' and spend.spend_id is null
                or kind in ('reserve', 'claim', 'cancel', 'lapse')
                    and redemption.redemption_id is null then
                format('jrn:%s is a %s of nothing known', journal.journal_id, kind)
         end
         from journal
         left join purchase on purchase.purchase_id = journal.source_id
         left join spend on spend.spend_id = journal.source_id
         left join redemption on redemption.redemption_id = journal.source_id
         where kind in ('purchase', 'spend', 'reserve', 'claim', 'cancel', 'lapse')"
    ),
    question!(
        "receipt-once",
        "no store's receipt is recorded twice, neither as a purchase nor as a spend",
        "select case when count(*) > 1 then
            format('%s of sto:%s is recorded %s times', what, store_id, count(*)) end
         from (
            select 'a purchase' as what, store_id, receipt_number from purchase
            union all
            select 'a spend', store_id, receipt_number from spend
         ) as receipt
         group by what, store_id, receipt_number"
    ),
    question!(
        "spend-taken",
        "every spend has one entry, whose transfers take its points and give back what it says",
        "select case
            when coalesce(entry.times, 0) <> 1 or entry.journal_id <> spend.journal_id then
                format('spd:%s has %s entries and names jrn:%s', spend.spend_id,
                    coalesce(entry.times, 0), spend.journal_id)
            when coalesce(taken.points, 0) <> spend.points then
                format('spd:%s took %s points and its transfers %s', spend.spend_id,
                    spend.points, coalesce(taken.points, 0))
            when coalesce(back.points, 0) <> spend.returned then
                format('spd:%s gave %s points back and its transfers %s', spend.spend_id,
                    spend.returned, coalesce(back.points, 0))
            when taken.merchant_id <> spend.merchant_id then
                format('spd:%s is booked at mer:%s', spend.spend_id, taken.merchant_id)
         end
         from spend
         left join (
            select source_id, count(*) as times, min(journal_id::text)::uuid as journal_id
            from journal
            where kind = 'spend'
            group by source_id
         ) as entry on entry.source_id = spend.spend_id
         left join (
            select transfer.journal_id, sum(transfer.amount) as points,
                min(account.owner_id::text)::uuid as merchant_id
            from transfer
            join account on account.account_id = transfer.to_account
            where account.kind = 'accepted'
            group by transfer.journal_id
         ) as taken on taken.journal_id = spend.journal_id
         left join (
            select journal.reverses, sum(transfer.amount) as points
            from journal
            join transfer on transfer.journal_id = journal.journal_id
            join account on account.account_id = transfer.from_account
            where account.kind = 'accepted'
            group by journal.reverses
         ) as back on back.reverses = spend.journal_id"
    ),
    question!(
        "refund-within",
        "a purchase's refunds come to what it says, and to no more than it cost and earned",
        "select case
            when purchase.refunded <> coalesce(refunds.amount, 0)
                or purchase.refunded > purchase.total then
                format('pur:%s of %s says that %s was refunded and its refunds %s',
                    purchase.purchase_id, purchase.total, purchase.refunded,
                    coalesce(refunds.amount, 0))
            when purchase.clawed > purchase.points
                or coalesce(lot.clawed + lot.owed, 0) > purchase.clawed then
                format('pur:%s of %s points says that %s were taken back and its lot %s',
                    purchase.purchase_id, purchase.points, purchase.clawed,
                    coalesce(lot.clawed + lot.owed, 0))
         end
         from purchase
         left join lot on lot.lot_id = purchase.purchase_id
         left join (
            select purchase_id, sum(amount) as amount from refund group by purchase_id
         ) as refunds on refunds.purchase_id = purchase.purchase_id"
    ),
    question!(
        "good-stock",
        "no good's stock is below zero",
        "select case when stock < 0 then format('gds:%s has a stock of %s', good_id, stock) end
         from good"
    ),
    question!(
        "code-once",
        "no code is given to two reservations",
        "select case when count(*) > 1 then
            format('rdm:%s has a code that %s others have', min(redemption_id::text),
                count(*) - 1) end
         from redemption
         group by code"
    ),
    question!(
        "redemption-booked",
        "every reservation held its points, and was claimed, cancelled or lapsed at most once",
        "select case
            when coalesce(held.points, 0) <> redemption.points then
                format('rdm:%s costs %s points and held %s', redemption.redemption_id,
                    redemption.points, coalesce(held.points, 0))
            when (state = 'reserved' and coalesce(ended.times, 0) <> 0)
                or (state <> 'reserved' and coalesce(ended.times, 0) <> 1) then
                format('rdm:%s is %s and has %s entries that end it', redemption.redemption_id,
                    state, coalesce(ended.times, 0))
            when ended.kind <> case state when 'claimed' then 'claim'
                when 'cancelled' then 'cancel' else 'lapse' end then
                format('rdm:%s is %s and its entry is a %s', redemption.redemption_id, state,
                    ended.kind)
            when state <> 'reserved' and coalesce(moved.points, 0) <> redemption.points then
                format('rdm:%s costs %s points and ended with %s', redemption.redemption_id,
                    redemption.points, coalesce(moved.points, 0))
         end
         from redemption
         left join (
            select transfer.journal_id, sum(transfer.amount) as points
            from transfer
            join account on account.account_id = transfer.to_account
            where account.kind = 'held'
            group by transfer.journal_id
         ) as held on held.journal_id = redemption.journal_id
         left join (
            select source_id, count(*) as times, min(kind) as kind
            from journal
            where kind in ('claim', 'cancel', 'lapse')
            group by source_id
         ) as ended on ended.source_id = redemption.redemption_id
         left join (
            select journal.source_id, sum(transfer.amount) as points
            from journal
            join transfer on transfer.journal_id = journal.journal_id
            join account on account.account_id = transfer.from_account
            where account.kind = 'held'
            group by journal.source_id
         ) as moved on moved.source_id = redemption.redemption_id"
    ),
    question!(
        "key-once",
        "no idempotency key is answered twice",
        "select case when count(*) > 1 then format('a key of %s is there %s times', scope, count(*))
         end
         from idempotency_key
         group by scope, key"
    ),
];

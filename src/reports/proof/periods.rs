//! What must hold of the way from a closed period to its last payment.

use super::{Question, question};

pub(super) const QUESTIONS: &[Question] = &[
    question!(
        "settlement-paid",
        "the payments of a confirmed period give and take from each party exactly its net less what is held, and others have none",
        "select case
            when bool_or(fixed) and sum(net) <> sum(paid) then
                format('stl:%s leaves %s of mer:%s unpaid', settlement_id, sum(net) - sum(paid),
                    party)
            when not bool_or(fixed) and count(*) filter (where paid <> 0) > 0 then
                format('stl:%s is not confirmed and has payments', settlement_id)
         end
         from (
            select settlement_id, merchant_id as party, net, 0 as paid from statement
            union all
            select settlement_id, null, -net, 0 from statement
            union all
            select settlement_id, receiver_id, -amount, 0 from dispute
            where held or state = 'upheld'
            union all
            select settlement_id, payer_id, returned, 0 from dispute
            where not held and state = 'upheld'
            union all
            select settlement_id, null, case when held then amount else amount - returned end, 0
            from dispute
            where held or state = 'upheld'
            union all
            select settlement_id, to_merchant, 0, amount from payment
            union all
            select settlement_id, from_merchant, 0, -amount from payment
         ) as side
         join (
            select settlement_id, state in ('confirmed', 'closed') as fixed from settlement
         ) as course using (settlement_id)
         group by settlement_id, party"
    ),
    question!(
        "settlement-course",
        "every settlement is as far as its statements and payments are",
        "select case
            when state in ('cut_off', 'proofed') and coalesce(issued, 0) > 0 then
                format('stl:%s shows statements and is not issued', settlement_id)
            when state in ('issued', 'confirmed', 'closed') and coalesce(hidden, 0) > 0 then
                format('stl:%s is issued and hides statements', settlement_id)
            when state = 'issued' and coalesce(waiting, 0) = 0 then
                format('stl:%s waits for nobody', settlement_id)
            when state in ('confirmed', 'closed') and coalesce(waiting, 0) > 0 then
                format('stl:%s is confirmed and its merchants have not answered', settlement_id)
            when state = 'confirmed' and coalesce(due, 0) = 0 then
                format('stl:%s has nothing to pay and is not closed', settlement_id)
            when state = 'closed' and coalesce(due, 0) > 0 then
                format('stl:%s is closed and has something to pay', settlement_id)
            when (proofed_at is null) <> (state = 'cut_off')
                or (issued_at is null) <> (state in ('cut_off', 'proofed'))
                or (issued_by is null) <> (issued_at is null)
                or (confirm_by is null) <> (issued_at is null)
                or (confirmed_at is null) <> (state in ('cut_off', 'proofed', 'issued'))
                or (closed_at is null) <> (state <> 'closed') then
                format('stl:%s does not say when it came how far', settlement_id)
         end
         from settlement
         left join (
            select settlement_id, count(*) filter (where state <> 'proofed') as issued,
                count(*) filter (where state = 'proofed') as hidden,
                count(*) filter (where state = 'issued') as waiting
            from statement
            group by settlement_id
         ) as answered using (settlement_id)
         left join (
            select settlement_id, count(*) filter (where state = 'due') as due
            from payment
            group by settlement_id
         ) as paid using (settlement_id)"
    ),
    question!(
        "dispute-line",
        "every dispute is about a line of its period, with that line's parties, and what they agreed to give and get for it",
        "select case
            when crossing.journal_id is null then
                format('dsp:%s is about no line of its period', dispute.dispute_id)
            when dispute.payer_id <> crossing.payer or dispute.receiver_id <> crossing.receiver
                or abs(10000 * dispute.amount::numeric - crossing.value::numeric
                    * case when crossing.back then share.issuer else share.received end) >= 10000
                or abs(10000 * dispute.returned::numeric - crossing.value::numeric
                    * case when crossing.back then share.received else share.issuer end) >= 10000
                then
                format('dsp:%s says otherwise of its line than the ledger', dispute.dispute_id)
            when dispute.held and settlement.confirmed_at is null then
                format('dsp:%s is held and its period is not confirmed', dispute.dispute_id)
            when not dispute.held and dispute.state = 'open'
                and settlement.confirmed_at is not null then
                format('dsp:%s is open, its period is confirmed, and nothing is held',
                    dispute.dispute_id)
         end
         from dispute
         join settlement using (settlement_id)
         left join (
            select transfer.journal_id, transfer.line, transfer.posted_in, transfer.value,
                lot.merchant_id as issuer, lot.earned_at, source.kind = 'accepted' as back,
                case when source.kind = 'accepted' then source.owner_id
                    else lot.merchant_id end as payer,
                case when source.kind = 'accepted' then lot.merchant_id
                    when target.kind = 'deficit' then target.partner_id
                    else target.owner_id end as receiver
            from transfer
            join account as source on source.account_id = transfer.from_account
            join account as target on target.account_id = transfer.to_account
            join lot on lot.lot_id = transfer.lot_id
            where source.kind = 'accepted' or target.kind in ('accepted', 'deficit')
         ) as crossing on crossing.journal_id = dispute.journal_id
            and crossing.line = dispute.line and crossing.posted_in = settlement.month
         left join lateral (
            select terms::jsonb as terms
            from agreement
            where merchant_id = crossing.issuer and starts_at <= crossing.earned_at
                and accepted_at is not null
            order by starts_at desc, version desc
            limit 1
         ) as agreed on true
         left join lateral (
            select case when pool then 0
                    else coalesce((terms -> 'cost' ->> 'issuer')::int, 10000) end as issuer,
                case when pool then 10000
                    else 10000 - coalesce((terms -> 'cost' ->> 'redeemer')::int, 0) end as received
            from (select coalesce(agreed.terms ->> 'model' = 'pool', false) as pool) as model
         ) as share on true"
    ),
    question!(
        "dispute-adjusted",
        "what was held and decided is given to the party it belongs to, once, in a later period",
        "select case
            when adjustment.dispute_id is null then
                format('dsp:%s was held and decided, and nobody gets what was held', decided.dispute_id)
            when decided.dispute_id is null then
                format('dsp:%s was not held or not decided, and somebody gets it',
                    adjustment.dispute_id)
            when adjustment.amount <> decided.amount
                or adjustment.merchant_id <> decided.merchant_id
                or adjustment.month <= decided.month then
                format('dsp:%s is not given to whom it belongs', decided.dispute_id)
         end
         from (
            select dispute_id, month,
                case when dispute.state = 'upheld' then returned else amount end as amount,
                case when dispute.state = 'upheld' then payer_id else receiver_id end
                    as merchant_id
            from dispute
            join settlement using (settlement_id)
            where held and dispute.state <> 'open'
                and case when dispute.state = 'upheld' then returned else amount end > 0
         ) as decided
         full outer join adjustment on adjustment.dispute_id = decided.dispute_id"
    ),
];

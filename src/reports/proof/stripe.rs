//! What must hold of what goes through Stripe.

use super::{Question, question};

pub(super) const QUESTIONS: &[Question] = &[
    question!(
        "stripe-recorded",
        "every payment that was made through Stripe was paid and sent on there",
        "select case
            when payment.from_merchant is not null and invoice.leg_id is null then
                format('stl:%s has a payment %s by Stripe and no paid invoice for it',
                    payment.settlement_id, payment.line)
            when payment.to_merchant is not null and transfer_leg.leg_id is null then
                format('stl:%s has a payment %s by Stripe and no transfer of it',
                    payment.settlement_id, payment.line)
            when payment.reference
                is distinct from coalesce(transfer_leg.stripe_id, invoice.stripe_id) then
                format('stl:%s has a payment %s by Stripe with another reference',
                    payment.settlement_id, payment.line)
         end
         from payment
         left join stripe_leg as invoice on invoice.settlement_id = payment.settlement_id
            and invoice.kind = 'invoice' and invoice.state = 'paid'
            and invoice.merchant_id = payment.from_merchant
            and payment.line = any (invoice.lines)
         left join stripe_leg as transfer_leg on transfer_leg.settlement_id = payment.settlement_id
            and transfer_leg.kind = 'transfer' and transfer_leg.state = 'sent'
            and transfer_leg.merchant_id = payment.to_merchant
            and payment.line = any (transfer_leg.lines)
         where payment.method = 'stripe'"
    ),
    question!(
        "stripe-sums",
        "every invoice and transfer at Stripe is the sum of its payments, between their parties",
        "select case
            when leg.amount is distinct from summed.amount
                or cardinality(leg.lines) <> summed.lines then
                format('leg:%s is another amount than its payments', leg.leg_id)
            when summed.others > 0 then
                format('leg:%s is of another merchant than its payments', leg.leg_id)
         end
         from stripe_leg as leg
         cross join lateral (
            select sum(payment.amount) as amount, count(*) as lines,
                count(*) filter (where leg.merchant_id is distinct from
                    case when leg.kind = 'invoice' then payment.from_merchant
                        else payment.to_merchant end) as others
            from payment
            where payment.settlement_id = leg.settlement_id and payment.line = any (leg.lines)
         ) as summed"
    ),
    question!(
        "stripe-followed",
        "what was paid in at Stripe was sent on or asked for, and what was sent is recorded",
        "select case
            when payment.state = 'due' and leg.kind = 'transfer' then
                format('leg:%s was sent and its payment %s is not recorded',
                    leg.leg_id, payment.line)
            when payment.state = 'due' and payment.to_merchant is null then
                format('leg:%s was paid and its payment %s is not recorded',
                    leg.leg_id, payment.line)
            when payment.state = 'due' and not exists (select from stripe_leg as onward
                where onward.settlement_id = leg.settlement_id and onward.kind = 'transfer'
                    and onward.lines = array[payment.line]) then
                format('leg:%s was paid and nobody was asked to send payment %s on',
                    leg.leg_id, payment.line)
         end
         from stripe_leg as leg
         join payment on payment.settlement_id = leg.settlement_id
            and payment.line = any (leg.lines)
         where leg.state in ('paid', 'sent')"
    ),
];

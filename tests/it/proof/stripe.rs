//! What went through Stripe, broken on purpose.

use super::{Damage, damage, finds, save};
use crate::support::settling::Mall;

/// What the proof asks about Stripe.
pub const CHECKS: [&str; 3] = ["stripe-followed", "stripe-recorded", "stripe-sums"];

/// A mall whose June was paid through Stripe: C paid A 5.00 and the operator 0.10.
async fn paid() -> Mall {
    let mut mall = Mall::open("2026-07-02T00:00:00Z").await;
    mall.terms.fee_basis_points = 200;
    let [a, b] = mall.shops(["a", "b"]).await;
    let ada = mall.member("1").await;
    mall.earns(ada, a, 500, "2026-06-01T04:00:00Z").await;
    mall.spends(ada, b, 500, "2026-06-03T04:00:00Z").await;
    let id = mall.closes("2026-06").await.settlement.id;
    assert_eq!(mall.payments(id, None).await.len(), 2);
    mall.as_admin(
        "insert into stripe_leg (leg_id, settlement_id, kind, merchant_id, lines, amount, currency,
             due_days, account_id, state, round, attempts, keys, stripe_id, created_at, created_by,
             changed_at)
         select statement_id, settlement_id, 'invoice', merchant_id, '{0,1}'::int[], 500, 'cny', 14, null,
             'paid', 0, 1, 0, 'in_1', timestamptz '2026-07-02Z', 'x', timestamptz '2026-07-02Z'
         from statement where net < 0
         union all
         select statement_id, settlement_id, 'transfer', merchant_id, '{0}'::int[], 490, 'cny', null,
             'acct_1', 'sent', 0, 1, 0, 'tr_1', timestamptz '2026-07-02Z', 'x', timestamptz '2026-07-02Z'
         from statement where net > 0;
         update payment set state = 'paid', method = 'stripe',
             reference = case when line = 0 then 'tr_1' else 'in_1' end,
             recorded_at = '2026-07-02Z', recorded_by = 'system';
         update settlement set state = 'closed', closed_at = '2026-07-02Z'",
    )
    .await;
    mall
}

#[tokio::test]
async fn each_kind_of_damage_to_what_went_through_stripe_is_found_by_its_own_check() {
    let mall = paid().await;
    for check in mall.proof().await {
        assert!(check.holds, "{check:?}");
        let asked = check.counted > 0 || !CHECKS.contains(&check.name);
        assert!(asked, "{} looked at nothing", check.name);
    }
    save(&mall).await;
    finds(&mall, all(), CHECKS.into()).await;
}

/// A payment that nobody recorded.
const DUE: &str = "update payment set state = 'due', method = null, reference = null,
    recorded_at = null, recorded_by = null where line = ";

fn all() -> [Damage; 9] {
    let reopened = "update settlement set state = 'confirmed', closed_at = null;";
    [
        damage(
            "update stripe_leg set state = 'open' where kind = 'invoice'",
            &["stripe-recorded"],
        ),
        damage(
            "update stripe_leg set state = 'failed', problem = 'x' where kind = 'transfer'",
            &["stripe-recorded"],
        ),
        damage(
            "update payment set reference = 'tr_2' where line = 0",
            &["stripe-recorded"],
        ),
        damage(
            "update stripe_leg set amount = amount + 1 where kind = 'invoice'",
            &["stripe-sums"],
        ),
        damage(
            "update stripe_leg set lines = '{0}' where kind = 'invoice'",
            &["stripe-recorded", "stripe-sums"],
        ),
        damage(
            "update stripe_leg set merchant_id =
                 (select merchant_id from statement where net < 0) where kind = 'transfer'",
            &["stripe-recorded", "stripe-sums"],
        ),
        damage(format!("{reopened} {DUE} 0"), &["stripe-followed"]),
        damage(format!("{reopened} {DUE} 1"), &["stripe-followed"]),
        damage(
            format!("{reopened} {DUE} 0; delete from stripe_leg where kind = 'transfer'"),
            &["stripe-followed"],
        ),
    ]
}

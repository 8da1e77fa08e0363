//! A mall's points in seven sums, and what its books come to beside them.

use std::collections::BTreeMap;

use crate::{
    authz::{action::VerifyBooks, grant::Grant},
    db::{Error, tx::ReadTx},
};

/// Where all points of a mall are, since its first day. `issued - taken_back` is
/// `redeemed + expired + outstanding + held - owed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Given to members.
    pub issued: i64,
    /// Taken back because purchases were refunded.
    pub taken_back: i64,
    /// Taken by merchants, less what they gave back.
    pub redeemed: i64,
    /// Lapsed unspent.
    pub expired: i64,
    /// With members, those that have lapsed and are not booked so yet among them.
    pub outstanding: i64,
    /// Promised to reservations.
    pub held: i64,
    /// Owed by members.
    pub owed: i64,
}

/// The sums now.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn totals(tx: &mut ReadTx, _grant: &Grant<VerifyBooks>) -> Result<Totals, Error> {
    // Every transfer and every wallet once: there is no index for everything.
    let totals = sqlx::query_as!(
        Totals,
        r#"
        select coalesce(sum(transfer.amount) filter (where source.kind = 'issued'), 0)::bigint
                   as "issued!",
               coalesce(sum(transfer.amount) filter (where target.kind = 'issued'), 0)::bigint
                   as "taken_back!",
               (coalesce(sum(transfer.amount) filter (where target.kind = 'accepted'), 0)
                   - coalesce(sum(transfer.amount) filter (where source.kind = 'accepted'), 0)
                   )::bigint as "redeemed!",
               coalesce(sum(transfer.amount) filter (where target.kind = 'expired'), 0)::bigint
                   as "expired!",
               (select coalesce(sum(available), 0) from wallet)::bigint as "outstanding!",
               (select coalesce(sum(held), 0) from wallet)::bigint as "held!",
               (select coalesce(sum(debt), 0) from wallet)::bigint as "owed!"
        from transfer
        join account as source on source.account_id = transfer.from_account
        join account as target on target.account_id = transfer.to_account
        where source.unit = 'points'"#,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(totals)
}

/// What a mall's books come to, beside the seven sums: name, table, and the number as text. The tables
/// have been there from the first migration on, but where that is said, so that it can be asked of an
/// archive of whatever age.
const CONTROL: [(&str, &str, &str); 15] = [
    ("members", "member", "select count(*)::text from member"),
    ("journals", "journal", "select count(*)::text from journal"),
    (
        "transfers",
        "transfer",
        "select count(*)::text from transfer",
    ),
    (
        "transfers_worth",
        "transfer",
        "select coalesce(sum(value), 0)::text from transfer",
    ),
    (
        "lots_left",
        "lot",
        "select coalesce(sum(remaining), 0)::text from lot",
    ),
    (
        "lots_worth_left",
        "lot",
        "select coalesce(sum(worth_left), 0)::text from lot",
    ),
    (
        "purchases",
        "purchase",
        "select count(*)::text from purchase",
    ),
    (
        "purchases_money",
        "purchase",
        "select coalesce(sum(total), 0)::text from purchase",
    ),
    (
        "refunds_money",
        "refund",
        "select coalesce(sum(amount), 0)::text from refund",
    ),
    (
        "spends_money",
        "spend",
        "select coalesce(sum(paid), 0)::text from spend",
    ),
    (
        "settlements",
        "settlement",
        "select count(*)::text from settlement",
    ),
    (
        "payments_money",
        "payment",
        "select coalesce(sum(amount), 0)::text from payment",
    ),
    // Since the audit is kept.
    (
        "audit_seals",
        "audit_seal",
        "select count(*)::text from audit_seal",
    ),
    (
        "audit_head",
        "audit_seal",
        "select coalesce((select encode(hash, 'hex') from audit_seal order by number desc limit 1), '')",
    ),
    // Since merchants apply.
    (
        "files",
        "application_file",
        "select count(*)::text from application_file where removed_at is null",
    ),
];

/// What the books come to, by name: points whole, money in minor units.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn control(
    tx: &mut ReadTx,
    grant: &Grant<VerifyBooks>,
) -> Result<BTreeMap<String, String>, Error> {
    let sums = totals(tx, grant).await?;
    let mut control: BTreeMap<String, String> = [
        ("points_issued", sums.issued),
        ("points_taken_back", sums.taken_back),
        ("points_spent", sums.redeemed),
        ("points_lapsed", sums.expired),
        ("points_outstanding", sums.outstanding),
        ("points_held", sums.held),
        ("points_owed", sums.owed),
    ]
    .map(|(name, sum)| (name.to_owned(), sum.to_string()))
    .into();
    for (name, table, sql) in CONTROL {
        let there = sqlx::query_scalar("select to_regclass($1) is not null").bind(table);
        if there.fetch_one(tx.conn()).await? {
            let number = sqlx::query_scalar(sql).fetch_one(tx.conn()).await?;
            control.insert(name.to_owned(), number);
        }
    }
    Ok(control)
}

/// How many payments are under way at Stripe, as far as the mall knows.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn under_way_at_stripe(
    tx: &mut ReadTx,
    _grant: &Grant<VerifyBooks>,
) -> Result<i64, Error> {
    let count = sqlx::query_scalar(
        "select count(*) from stripe_leg \
         where state in ('requested', 'sending', 'open', 'cancelling')",
    );
    Ok(count.fetch_one(tx.conn()).await?)
}

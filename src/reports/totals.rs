//! A mall's points in seven sums.

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

//! What a line of the ledger was about: the receipt or the good.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    authz::{action::Action, grant::Grant},
    db::{Error, tx::ReadTx},
};

/// What people know a line's source by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The receipt that earned, paid or was refunded, as the store printed its number.
    Receipt(String),
    /// The good that was claimed, by its code.
    Good(String),
}

/// What these sources of ledger lines are known by; those that are neither are left out. The caller
/// was let see the lines by `grant`.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn sources<A: Action>(
    tx: &mut ReadTx,
    _grant: &Grant<A>,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Source>, Error> {
    // At most one row an id, each by its table's primary key.
    let rows = sqlx::query!(
        r#"
        select purchase_id as "id!", receipt_number as "text!", true as "receipt!"
        from purchase
        where purchase_id = any ($1)
        union all
        select spend_id, receipt_number, true
        from spend
        where spend_id = any ($1)
        union all
        select refund.refund_id, purchase.receipt_number, true
        from refund
        join purchase on purchase.purchase_id = refund.purchase_id
        where refund.refund_id = any ($1)
        union all
        select redemption.redemption_id, good.code, false
        from redemption
        join good on good.good_id = redemption.good_id
        where redemption.redemption_id = any ($1)"#,
        ids,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let source = if row.receipt {
                Source::Receipt(row.text)
            } else {
                Source::Good(row.text)
            };
            (row.id, source)
        })
        .collect())
}

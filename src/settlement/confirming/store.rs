//! What merchants said to their statements: the columns of `statement` that change.

use uuid::Uuid;

use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::ids::{MerchantId, SettlementId, StatementId},
};

/// Lets merchants see their statements; whose those are.
pub(super) async fn issue_statements(
    tx: &mut Tx,
    settlement: SettlementId,
) -> Result<Vec<(MerchantId, Uuid)>, Error> {
    let rows = sqlx::query!(
        r#"
        update statement
        set state = 'issued'
        where settlement_id = $1 and state = 'proofed'
        returning merchant_id as "merchant: MerchantId", statement_id"#,
        settlement.uuid(),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.merchant, row.statement_id))
        .collect())
}

/// A merchant agreed.
pub(super) async fn confirm_statement(tx: &mut Tx, id: StatementId) -> Result<(), Error> {
    let (now, actor) = (tx.now(), tx.actor().to_string());
    sqlx::query!(
        "update statement set state = 'confirmed', confirmed_at = $2, confirmed_by = $3
         where statement_id = $1 and state = 'issued'",
        id.uuid(),
        now,
        actor,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Nobody else answered in time.
pub(super) async fn confirm_statements(tx: &mut Tx, settlement: SettlementId) -> Result<(), Error> {
    let (now, actor) = (tx.now(), tx.actor().to_string());
    sqlx::query!(
        "update statement set state = 'auto_confirmed', confirmed_at = $2, confirmed_by = $3
         where settlement_id = $1 and state = 'issued'",
        settlement.uuid(),
        now,
        actor,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whether a statement waits for its merchant; by `statement_merchant_key`.
pub(super) async fn is_any_unconfirmed(
    tx: &mut ReadTx,
    settlement: SettlementId,
) -> Result<bool, Error> {
    let found = sqlx::query_scalar!(
        r#"
        select exists (
            select from statement
            where settlement_id = $1 and state in ('proofed', 'issued')
        ) as "found!""#,
        settlement.uuid(),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(found)
}

//! The table `earn_rate`.

use super::OwnRate;
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::ids::MerchantId,
};

/// Writes a choice down, unless it is the one that holds. Whoever chooses at the same moment comes
/// after it, because both revise the mall's settings.
pub(super) async fn append(
    tx: &mut Tx,
    merchant: MerchantId,
    rule: &str,
    points: Option<i64>,
) -> Result<(), Error> {
    tx.revise().await?;
    let (now, actor) = (tx.now(), tx.actor().to_string());
    // Its few rows by earn_rate_pkey.
    sqlx::query!(
        "insert into earn_rate (merchant_id, version, rule, points, since, set_by)
         select $1, coalesce(max(version), 0) + 1, $2, $3::bigint, greatest($4, max(since)), $5
         from earn_rate
         where merchant_id = $1
         having (array_agg(points order by version desc) filter (where rule = $2))[1]
             is distinct from $3",
        merchant.uuid(),
        rule,
        points,
        now,
        actor,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The newest choice for each rule, by `earn_rate_pkey`.
pub(super) async fn newest(tx: &mut ReadTx, merchant: MerchantId) -> Result<Vec<OwnRate>, Error> {
    let rows = sqlx::query_as!(
        OwnRate,
        "select distinct on (rule) rule, points, since
         from earn_rate
         where merchant_id = $1
         order by rule, version desc",
        merchant.uuid(),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

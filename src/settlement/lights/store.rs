//! What merchants owe by their statements: `settlement`, `statement` and `payment`, read.

use crate::{
    db::{error::Error, tx::ReadTx},
    kernel::{
        ids::MerchantId,
        time::{Period, Unit},
    },
};

/// The first period that was cut off and has no figures yet.
pub(super) async fn unsettled_from(tx: &mut ReadTx) -> Result<Option<Period>, Error> {
    let first = sqlx::query!(
        r#"
        select month, period as "period: Unit"
        from settlement
        where state = 'cut_off'
        order by month
        limit 1"#
    );
    let row = first.fetch_optional(tx.conn()).await?;
    Ok(row.map(|row| Period::containing(row.month, row.period)))
}

/// What merchants owe by payments that are due, and by statements whose payments are not fixed; of
/// one where one is named. A merchant may come twice.
pub(super) async fn owed(
    tx: &mut ReadTx,
    only: Option<MerchantId>,
) -> Result<Vec<(MerchantId, i64)>, Error> {
    let rows = sqlx::query!(
        r#"
        select from_merchant as "merchant!: MerchantId", sum(amount)::bigint as "owed!"
        from payment
        join settlement using (settlement_id)
        where settlement.state = 'confirmed' and payment.state = 'due'
          and from_merchant is not null and ($1::uuid is null or from_merchant = $1)
        group by from_merchant
        union all
        select merchant_id, -sum(net)::bigint
        from statement
        join settlement using (settlement_id)
        where settlement.state in ('proofed', 'issued') and net < 0
          and ($1::uuid is null or merchant_id = $1)
        group by merchant_id"#,
        only.map(|merchant| merchant.uuid()),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.merchant, row.owed))
        .collect())
}

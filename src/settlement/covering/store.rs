//! The table `payment_cover`, and the payments that it is about.

use chrono::NaiveDate;
use uuid::Uuid;

use super::{Cover, Due};
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{MerchantId, SettlementId},
        time::Period,
    },
    settlement::calculation::Carried,
};

/// What was carried into a period; by `payment_cover_month_idx`. Two payments between the same
/// parties are one claim.
pub(super) async fn carried_into(tx: &mut ReadTx, period: Period) -> Result<Vec<Carried>, Error> {
    let rows = sqlx::query!(
        r#"
        select payment.from_merchant as "from!: MerchantId", payment.to_merchant as "to: MerchantId",
               sum(payment_cover.carried)::bigint as "amount!"
        from payment_cover
        join payment on payment.settlement_id = payment_cover.settlement_id
            and payment.line = payment_cover.line
        where payment_cover.carried_to = $1 and payment_cover.carried > 0
          and payment.from_merchant is not null
        group by payment.from_merchant, payment.to_merchant
        order by payment.from_merchant, payment.to_merchant nulls first"#,
        period.first_day(),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Carried {
            from: row.from,
            to: row.to,
            amount: row.amount,
        })
        .collect())
}

/// Locks the settlements in which payments of a merchant are due, in the order of their periods.
pub(super) async fn lock_settlements(
    tx: &mut Tx,
    merchant: MerchantId,
) -> Result<Vec<SettlementId>, Error> {
    let ids = sqlx::query_scalar!(
        r#"
        select settlement_id as "id: SettlementId"
        from settlement
        where state = 'confirmed' and settlement_id in
            (select settlement_id from payment where from_merchant = $1 and state = 'due')
        order by month
        for update"#,
        merchant.uuid(),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(ids)
}

/// What a merchant has to pay of these settlements, in the order of the periods and lines; by
/// `payment_pkey`.
pub(super) async fn due(
    tx: &mut ReadTx,
    settlements: &[SettlementId],
    merchant: MerchantId,
) -> Result<Vec<Due>, Error> {
    let ids: Vec<Uuid> = settlements.iter().map(SettlementId::uuid).collect();
    let rows = sqlx::query!(
        r#"
        select payment.settlement_id as "settlement: SettlementId", payment.line,
               payment.to_merchant as "to: MerchantId", payment.amount
        from payment
        join settlement on settlement.settlement_id = payment.settlement_id
        where payment.settlement_id = any ($1) and payment.from_merchant = $2
          and payment.state = 'due'
        order by settlement.month, payment.line"#,
        &ids,
        merchant.uuid(),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Due {
            settlement: row.settlement,
            line: row.line,
            to: row.to,
            amount: row.amount,
        })
        .collect())
}

/// Writes down how payments were met that were due.
pub(super) async fn cover(
    tx: &mut Tx,
    covers: &[(Due, Cover)],
    carried_to: Period,
) -> Result<(), Error> {
    let settlements: Vec<Uuid> = covers
        .iter()
        .map(|(due, _)| due.settlement.uuid())
        .collect();
    let lines: Vec<i32> = covers.iter().map(|(due, _)| due.line).collect();
    let references: Vec<String> = covers.iter().map(|(due, _)| due.reference()).collect();
    let column =
        |of: fn(&Cover) -> i64| -> Vec<i64> { covers.iter().map(|(_, cover)| of(cover)).collect() };
    let (now, actor) = (tx.now(), tx.actor().to_string());
    let first_day: NaiveDate = carried_to.first_day();
    sqlx::query!(
        "with noted as (
             insert into payment_cover (settlement_id, line, deposit, guarantee, carried, carried_to,
                 covered_at, actor)
             select unnest($1::uuid[]), unnest($2::int[]), unnest($4::bigint[]),
                 unnest($5::bigint[]), unnest($6::bigint[]), $7, $8, $9)
         update payment
         set state = 'covered', method = 'deposit', reference = met.reference, recorded_at = $8,
             recorded_by = $9
         from (select unnest($1::uuid[]) as settlement_id, unnest($2::int[]) as line,
             unnest($3::text[]) as reference) as met
         where payment.settlement_id = met.settlement_id and payment.line = met.line
           and payment.state = 'due'",
        &settlements,
        &lines,
        &references,
        &column(|cover| cover.deposit),
        &column(|cover| cover.guarantee),
        &column(|cover| cover.carried),
        first_day,
        now,
        actor,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

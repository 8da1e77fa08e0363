//! The table `payment`.

use chrono::NaiveDate;
use uuid::Uuid;

use super::{Cover, Method, Payment, PaymentLine, PaymentState, Record};
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{MerchantId, SettlementId},
        text::Code,
        time::Instant,
    },
};

/// What each merchant's statement comes to, one a merchant; by `statement_merchant_key`.
pub(super) async fn nets(
    tx: &mut ReadTx,
    settlement: SettlementId,
) -> Result<Vec<(MerchantId, i64)>, Error> {
    let rows = sqlx::query!(
        r#"
        select merchant_id as "merchant: MerchantId", net
        from statement
        where settlement_id = $1
        order by merchant_id"#,
        settlement.uuid(),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.merchant, row.net))
        .collect())
}

/// What of a period's points merchants had paid for in advance; by `statement_line_pkey`.
pub(super) async fn prepaid(
    tx: &mut ReadTx,
    settlement: SettlementId,
) -> Result<Vec<(MerchantId, i64)>, Error> {
    let rows = sqlx::query!(
        r#"
        select merchant_id as "merchant!: MerchantId", amount
        from statement_line
        where settlement_id = $1 and kind = 'prepaid' and merchant_id is not null
        order by line"#,
        settlement.uuid(),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.merchant, row.amount))
        .collect())
}

pub(super) async fn insert(
    tx: &mut Tx,
    settlement: SettlementId,
    payments: &[Payment],
) -> Result<(), Error> {
    let from: Vec<Option<Uuid>> = payments
        .iter()
        .map(|payment| payment.from.map(|merchant| merchant.uuid()))
        .collect();
    let to: Vec<Option<Uuid>> = payments
        .iter()
        .map(|payment| payment.to.map(|merchant| merchant.uuid()))
        .collect();
    let amounts: Vec<i64> = payments.iter().map(|payment| payment.amount).collect();
    #[expect(
        clippy::as_conversions,
        reason = "tells a checked query of arrays with nulls"
    )]
    let insert = sqlx::query!(
        "insert into payment (settlement_id, line, from_merchant, to_merchant, amount, state)
         select $1, (line - 1)::int, from_merchant, to_merchant, amount, 'due'
         from unnest($2::uuid[], $3::uuid[], $4::bigint[])
             with ordinality as new (from_merchant, to_merchant, amount, line)",
        settlement.uuid(),
        &from as &[Option<Uuid>],
        &to as &[Option<Uuid>],
        &amounts,
    );
    insert.execute(tx.conn()).await?;
    Ok(())
}

/// A payment as the table holds it.
struct Row {
    settlement: SettlementId,
    line: i32,
    from: Option<MerchantId>,
    to: Option<MerchantId>,
    amount: i64,
    from_code: Option<String>,
    to_code: Option<String>,
    state: String,
    method: Option<String>,
    reference: Option<String>,
    executed_on: Option<NaiveDate>,
    recorded_at: Option<Instant>,
    recorded_by: Option<String>,
    deposit: Option<i64>,
    guarantee: Option<i64>,
    carried: Option<i64>,
}

impl TryFrom<Row> for PaymentLine {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let code = |text: Option<String>| {
            let code = text.map(|text| text.parse::<Code>()).transpose();
            code.map_err(|_| Error::Corrupt("code of a payment"))
        };
        let record = match (row.method, row.reference, row.recorded_at, row.recorded_by) {
            (Some(method), Some(reference), Some(recorded_at), Some(recorded_by)) => Some(Record {
                method: Method::parse(&method).ok_or(Error::Corrupt("payment method"))?,
                reference,
                executed_on: row.executed_on,
                recorded_at,
                recorded_by,
            }),
            _ => None,
        };
        let cover = match (row.deposit, row.guarantee, row.carried) {
            (Some(deposit), Some(guarantee), Some(carried)) => Some(Cover {
                deposit,
                guarantee,
                carried,
            }),
            _ => None,
        };
        Ok(Self {
            cover,
            settlement: row.settlement,
            line: row.line,
            payment: Payment {
                from: row.from,
                to: row.to,
                amount: row.amount,
            },
            from_code: code(row.from_code)?,
            to_code: code(row.to_code)?,
            state: PaymentState::parse(&row.state).ok_or(Error::Corrupt("payment state"))?,
            record,
        })
    }
}

/// Payments of a settlement after one line, those of one merchant only where one is named; by
/// `payment_pkey` and `statement_merchant_key`. Fewer than there are merchants and an operator.
pub(super) async fn payments(
    tx: &mut ReadTx,
    settlement: SettlementId,
    only: Option<MerchantId>,
    after: i32,
    limit: i64,
) -> Result<Vec<PaymentLine>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select payment.settlement_id as "settlement: _", payment.line,
               payment.from_merchant as "from: _", payment.to_merchant as "to: _", payment.amount,
               payer.code as "from_code?", receiver.code as "to_code?", payment.state,
               payment.method, payment.reference, payment.executed_on, payment.recorded_at,
               payment.recorded_by, payment_cover.deposit as "deposit?",
               payment_cover.guarantee as "guarantee?", payment_cover.carried as "carried?"
        from payment
        left join payment_cover on payment_cover.settlement_id = payment.settlement_id
            and payment_cover.line = payment.line
        left join statement as payer on payer.settlement_id = payment.settlement_id
            and payer.merchant_id = payment.from_merchant
        left join statement as receiver on receiver.settlement_id = payment.settlement_id
            and receiver.merchant_id = payment.to_merchant
        where payment.settlement_id = $1 and payment.line > $3
          and ($2::uuid is null or payment.from_merchant = $2 or payment.to_merchant = $2)
        order by payment.line
        limit $4"#,
        settlement.uuid(),
        only.map(|merchant| merchant.uuid()),
        after,
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(PaymentLine::try_from).collect()
}

/// Writes down how payments of one settlement were made that were due.
pub(super) async fn record(
    tx: &mut Tx,
    settlement: SettlementId,
    paid: &[(i32, PaymentState, &Record)],
) -> Result<(), Error> {
    let lines: Vec<i32> = paid.iter().map(|(line, ..)| *line).collect();
    let column = |of: fn(PaymentState, &Record) -> String| -> Vec<String> {
        paid.iter().map(|(_, state, how)| of(*state, how)).collect()
    };
    let days: Vec<Option<NaiveDate>> = paid.iter().map(|(_, _, how)| how.executed_on).collect();
    let (now, actor) = (tx.now(), tx.actor().to_string());
    #[expect(
        clippy::as_conversions,
        reason = "tells a checked query of arrays with nulls"
    )]
    let update = sqlx::query!(
        "update payment
         set state = paid.state, method = paid.method, reference = paid.reference,
             executed_on = paid.executed_on, recorded_at = $7, recorded_by = $8
         from unnest($2::int[], $3::text[], $4::text[], $5::text[], $6::date[])
             as paid (line, state, method, reference, executed_on)
         where payment.settlement_id = $1 and payment.line = paid.line and payment.state = 'due'",
        settlement.uuid(),
        &lines,
        &column(|state, _| state.as_str().to_owned()),
        &column(|_, how| how.method.as_str().to_owned()),
        &column(|_, how| how.reference.clone()),
        &days as &[Option<NaiveDate>],
        now,
        actor,
    );
    update.execute(tx.conn()).await?;
    Ok(())
}

/// Whether something is left to pay; by `payment_pkey`.
pub(super) async fn is_any_due(tx: &mut ReadTx, settlement: SettlementId) -> Result<bool, Error> {
    let found = sqlx::query_scalar!(
        r#"
        select exists (
            select from payment where settlement_id = $1 and state = 'due'
        ) as "found!""#,
        settlement.uuid(),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(found)
}

//! The tables `settlement` and `statement`.

use uuid::Uuid;

use super::{
    Approval, Course, Line, LineKind, Settlement, State, Statement, StatementState,
    calculation::Position,
};
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{MerchantId, SettlementId, StatementId},
        text::Code,
        time::{Instant, Period, Unit},
    },
};

/// A settlement as the table holds it.
struct Row {
    settlement_id: SettlementId,
    month: chrono::NaiveDate,
    period: Unit,
    state: String,
    form: i32,
    fee_basis_points: i32,
    approval: String,
    confirm_days: i32,
    cut_off_at: Instant,
    proofed_at: Option<Instant>,
    actor: String,
    digest: Option<String>,
    issued_at: Option<Instant>,
    issued_by: Option<String>,
    confirm_by: Option<Instant>,
    confirmed_at: Option<Instant>,
    closed_at: Option<Instant>,
}

impl TryFrom<Row> for Settlement {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.settlement_id,
            period: Period::containing(row.month, row.period),
            state: State::parse(&row.state).ok_or(Error::Corrupt("settlement state"))?,
            form: row.form,
            fee_basis_points: i64::from(row.fee_basis_points),
            course: course(&row)?,
            cut_off_at: row.cut_off_at,
            proofed_at: row.proofed_at,
            actor: row.actor,
            digest: row.digest,
            issued_at: row.issued_at,
            issued_by: row.issued_by,
            confirm_by: row.confirm_by,
            confirmed_at: row.confirmed_at,
            closed_at: row.closed_at,
        })
    }
}

fn course(row: &Row) -> Result<Course, Error> {
    let corrupt = Error::Corrupt("settlement course");
    match (
        Approval::parse(&row.approval),
        u32::try_from(row.confirm_days),
    ) {
        (Some(approval), Ok(confirm_days)) => Ok(Course {
            approval,
            confirm_days,
        }),
        _ => Err(corrupt),
    }
}

/// Lets the statements of this transaction take as long as a period of millions of lines does.
pub(super) async fn take_time(tx: &mut ReadTx) -> Result<(), Error> {
    sqlx::raw_sql("set local statement_timeout = '15min'; set local jit = off")
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Writes a period down as cut off; one that is there stays as it is.
pub(super) async fn insert(tx: &mut Tx, new: &Settlement) -> Result<(), Error> {
    let fee = i32::try_from(new.fee_basis_points).map_err(|_| Error::Corrupt("settlement fee"))?;
    let days = i32::try_from(new.course.confirm_days);
    let days = days.map_err(|_| Error::Corrupt("settlement course"))?;
    sqlx::query!(
        "insert into settlement (settlement_id, month, period, state, form, fee_basis_points,
             approval, confirm_days, cut_off_at, actor)
         values ($1, $2, $7, 'cut_off', $3, $4, $8, $9, $5, $6)
         on conflict (month) do nothing",
        new.id.uuid(),
        new.period.first_day(),
        new.form,
        fee,
        new.cut_off_at,
        new.actor,
        new.period.unit().as_str(),
        new.course.approval.as_str(),
        days,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn of_period(
    tx: &mut ReadTx,
    period: Period,
) -> Result<Option<Settlement>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select settlement_id as "settlement_id: _", month, period as "period: Unit", state, form,
               fee_basis_points, approval, confirm_days, cut_off_at, proofed_at, actor, digest, issued_at, issued_by, confirm_by,
               confirmed_at, closed_at
        from settlement
        where month = $1"#,
        period.first_day(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Settlement::try_from).transpose()
}

/// The period's row, locked until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, period: Period) -> Result<Option<Settlement>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select settlement_id as "settlement_id: _", month, period as "period: Unit", state, form,
               fee_basis_points, approval, confirm_days, cut_off_at, proofed_at, actor, digest, issued_at, issued_by, confirm_by,
               confirmed_at, closed_at
        from settlement
        where month = $1
        order by settlement_id
        for update"#,
        period.first_day(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Settlement::try_from).transpose()
}

/// The settlement's row, locked until the transaction ends.
pub(super) async fn lock_id(tx: &mut Tx, id: SettlementId) -> Result<Option<Settlement>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select settlement_id as "settlement_id: _", month, period as "period: Unit", state, form,
               fee_basis_points, approval, confirm_days, cut_off_at, proofed_at, actor, digest, issued_at, issued_by, confirm_by,
               confirmed_at, closed_at
        from settlement
        where settlement_id = $1
        order by settlement_id
        for update"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Settlement::try_from).transpose()
}

/// The oldest settlement that waits for its merchants and whose time is over at `now`, locked until
/// the transaction ends. There are as many that wait as periods in a few weeks.
pub(super) async fn lock_due(tx: &mut Tx, now: Instant) -> Result<Option<Settlement>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select settlement_id as "settlement_id: _", month, period as "period: Unit", state, form,
               fee_basis_points, approval, confirm_days, cut_off_at, proofed_at, actor, digest, issued_at, issued_by, confirm_by,
               confirmed_at, closed_at
        from settlement
        where state = 'issued' and confirm_by <= $1
        order by month
        limit 1
        for update"#,
        now,
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Settlement::try_from).transpose()
}

pub(super) async fn by_id(tx: &mut ReadTx, id: SettlementId) -> Result<Option<Settlement>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select settlement_id as "settlement_id: _", month, period as "period: Unit", state, form,
               fee_basis_points, approval, confirm_days, cut_off_at, proofed_at, actor, digest, issued_at, issued_by, confirm_by,
               confirmed_at, closed_at
        from settlement
        where settlement_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Settlement::try_from).transpose()
}

/// Settlements whose first day is before one, the newest first; by `settlement_month_key`.
pub(super) async fn before(
    tx: &mut ReadTx,
    first_day: chrono::NaiveDate,
    limit: i64,
) -> Result<Vec<Settlement>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select settlement_id as "settlement_id: _", month, period as "period: Unit", state, form,
               fee_basis_points, approval, confirm_days, cut_off_at, proofed_at, actor, digest, issued_at, issued_by, confirm_by,
               confirmed_at, closed_at
        from settlement
        where month < $1
        order by month desc
        limit $2"#,
        first_day,
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Settlement::try_from).collect()
}

/// Writes down how far a settlement is, and when it came there.
pub(super) async fn update(tx: &mut Tx, it: &Settlement) -> Result<(), Error> {
    sqlx::query!(
        "update settlement
         set state = $2, proofed_at = $3, actor = $4, digest = $5, issued_at = $6, issued_by = $7,
             confirm_by = $8, confirmed_at = $9, closed_at = $10
         where settlement_id = $1",
        it.id.uuid(),
        it.state.as_str(),
        it.proofed_at,
        it.actor,
        it.digest,
        it.issued_at,
        it.issued_by,
        it.confirm_by,
        it.confirmed_at,
        it.closed_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn insert_statements(
    tx: &mut Tx,
    settlement: SettlementId,
    rows: &[(StatementId, MerchantId, Code, Position)],
) -> Result<(), Error> {
    let column = |of: fn(&Position) -> i64| -> Vec<i64> {
        rows.iter()
            .map(|(_, _, _, position)| of(position))
            .collect()
    };
    let ids: Vec<Uuid> = rows.iter().map(|(id, ..)| id.uuid()).collect();
    let merchants: Vec<Uuid> = rows
        .iter()
        .map(|(_, merchant, ..)| merchant.uuid())
        .collect();
    let codes: Vec<String> = rows
        .iter()
        .map(|(_, _, code, _)| code.as_str().to_owned())
        .collect();
    let tax: Vec<i32> = rows
        .iter()
        .map(|(_, _, _, it)| i32::try_from(it.tax_basis_points))
        .collect::<Result<_, _>>()
        .map_err(|_| Error::Corrupt("tax of a statement"))?;
    sqlx::query!(
        "insert into statement (settlement_id, statement_id, merchant_id, code, issued,
             taken_back, redeemed, given_back, expired, own_points, own_value, pays, receives, funded,
             fee, breakage, adjusted, net, tax_received, tax_fee, tax_basis_points)
         select $1, statement_id, merchant_id, code, issued,
             taken_back, redeemed, given_back, expired, own_points, own_value, pays, receives, funded,
             fee, breakage, adjusted, net, tax_received, tax_fee, tax_basis_points
         from unnest($2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[],
             $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[],
             $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[],
             $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::int[])
             as new (statement_id, merchant_id, code, issued,
             taken_back, redeemed, given_back, expired, own_points, own_value, pays, receives, funded,
             fee, breakage, adjusted, net, tax_received, tax_fee, tax_basis_points)",
        settlement.uuid(),
        &ids,
        &merchants,
        &codes,
        &column(|it| it.issued),
        &column(|it| it.taken_back),
        &column(|it| it.redeemed),
        &column(|it| it.given_back),
        &column(|it| it.expired),
        &column(|it| it.own_points),
        &column(|it| it.own_value),
        &column(|it| it.pays),
        &column(|it| it.receives),
        &column(|it| it.funded),
        &column(|it| it.fee),
        &column(|it| it.breakage),
        &column(|it| it.adjusted),
        &column(|it| it.net),
        &column(|it| it.tax_received),
        &column(|it| it.tax_fee),
        &tax,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn insert_lines(
    tx: &mut Tx,
    settlement: SettlementId,
    lines: &[Line],
) -> Result<(), Error> {
    let id = |merchant: Option<MerchantId>| merchant.map(|merchant| merchant.uuid());
    let parties: Vec<Option<Uuid>> = lines.iter().map(|line| id(line.party)).collect();
    let partners: Vec<Option<Uuid>> = lines.iter().map(|line| id(line.partner)).collect();
    let kinds: Vec<String> = lines
        .iter()
        .map(|line| line.kind.as_str().to_owned())
        .collect();
    let points: Vec<i64> = lines.iter().map(|line| line.points).collect();
    let values: Vec<i64> = lines.iter().map(|line| line.value).collect();
    let amounts: Vec<i64> = lines.iter().map(|line| line.amount).collect();
    #[expect(
        clippy::as_conversions,
        reason = "tells a checked query of arrays with nulls"
    )]
    let insert = sqlx::query!(
        "insert into statement_line (settlement_id, line, merchant_id, kind, partner_id, points,
             value, amount)
         select $1, (line - 1)::int, merchant_id, kind, partner_id, points, value, amount
         from unnest($2::uuid[], $3::text[], $4::uuid[], $5::bigint[], $6::bigint[], $7::bigint[])
             with ordinality as new (merchant_id, kind, partner_id, points, value, amount, line)",
        settlement.uuid(),
        &parties as &[Option<Uuid>],
        &kinds,
        &partners as &[Option<Uuid>],
        &points,
        &values,
        &amounts,
    );
    insert.execute(tx.conn()).await?;
    Ok(())
}

/// A statement as the table holds it.
struct StatementRow {
    statement_id: StatementId,
    settlement_id: SettlementId,
    month: chrono::NaiveDate,
    period: Unit,
    merchant_id: MerchantId,
    code: String,
    issued: i64,
    taken_back: i64,
    redeemed: i64,
    given_back: i64,
    expired: i64,
    own_points: i64,
    own_value: i64,
    pays: i64,
    receives: i64,
    funded: i64,
    fee: i64,
    breakage: i64,
    adjusted: i64,
    net: i64,
    tax_basis_points: i32,
    tax_received: i64,
    tax_fee: i64,
    state: String,
    confirmed_at: Option<Instant>,
}

impl TryFrom<StatementRow> for Statement {
    type Error = Error;

    fn try_from(row: StatementRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.statement_id,
            settlement: row.settlement_id,
            period: Period::containing(row.month, row.period),
            merchant: row.merchant_id,
            code: row
                .code
                .parse()
                .map_err(|_| Error::Corrupt("statement code"))?,
            position: Position {
                issued: row.issued,
                taken_back: row.taken_back,
                redeemed: row.redeemed,
                given_back: row.given_back,
                expired: row.expired,
                own_points: row.own_points,
                own_value: row.own_value,
                pays: row.pays,
                receives: row.receives,
                funded: row.funded,
                fee: row.fee,
                breakage: row.breakage,
                adjusted: row.adjusted,
                net: row.net,
                tax_basis_points: i64::from(row.tax_basis_points),
                tax_received: row.tax_received,
                tax_fee: row.tax_fee,
            },
            state: StatementState::parse(&row.state).ok_or(Error::Corrupt("statement state"))?,
            confirmed_at: row.confirmed_at,
        })
    }
}

/// Statements of a settlement after one merchant, in the order of their ids; of a single merchant
/// only what was issued. By `statement_merchant_key`.
pub(super) async fn statements(
    tx: &mut ReadTx,
    settlement: SettlementId,
    only: Option<MerchantId>,
    after: MerchantId,
    limit: i64,
) -> Result<Vec<Statement>, Error> {
    let rows = sqlx::query_as!(
        StatementRow,
        r#"
        select statement_id as "statement_id: _", settlement_id as "settlement_id: _", month,
               settlement.period as "period: Unit", merchant_id as "merchant_id: _", code, issued, taken_back, redeemed, given_back,
               expired, own_points, own_value, pays, receives, funded, fee, breakage, adjusted, net,
               tax_basis_points, tax_received, tax_fee, statement.state, statement.confirmed_at
        from statement
        join settlement using (settlement_id)
        where settlement_id = $1 and merchant_id > $3
          and ($2::uuid is null or merchant_id = $2 and statement.state <> 'proofed')
        order by merchant_id
        limit $4"#,
        settlement.uuid(),
        only.map(|merchant| merchant.uuid()),
        after.uuid(),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Statement::try_from).collect()
}

pub(super) async fn statement(
    tx: &mut ReadTx,
    id: StatementId,
) -> Result<Option<Statement>, Error> {
    let row = sqlx::query_as!(
        StatementRow,
        r#"
        select statement_id as "statement_id: _", settlement_id as "settlement_id: _", month,
               settlement.period as "period: Unit", merchant_id as "merchant_id: _", code, issued, taken_back, redeemed, given_back,
               expired, own_points, own_value, pays, receives, funded, fee, breakage, adjusted, net,
               tax_basis_points, tax_received, tax_fee, statement.state, statement.confirmed_at
        from statement
        join settlement using (settlement_id)
        where statement_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Statement::try_from).transpose()
}

/// What a merchant's net is the sum of, after one line; by `statement_line_merchant_idx`.
pub(super) async fn lines(
    tx: &mut ReadTx,
    settlement: SettlementId,
    merchant: MerchantId,
    after: i32,
    limit: i64,
) -> Result<Vec<(i32, Line)>, Error> {
    let rows = sqlx::query!(
        r#"
        select line, kind, partner_id as "partner: MerchantId", points, value, amount
        from statement_line
        where settlement_id = $1 and merchant_id = $2 and line > $3
        order by line
        limit $4"#,
        settlement.uuid(),
        merchant.uuid(),
        after,
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            let kind = LineKind::parse(&row.kind).ok_or(Error::Corrupt("kind of line"))?;
            let line = Line {
                party: Some(merchant),
                kind,
                partner: row.partner,
                points: row.points,
                value: row.value,
                amount: row.amount,
            };
            Ok((row.line, line))
        })
        .collect()
}

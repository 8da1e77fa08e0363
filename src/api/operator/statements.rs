//! Statements: each merchant's part of a closed period, and what it is made of.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use uuid::Uuid;

use crate::{
    api::{
        Group,
        pos::wallets::source,
        words::{FlowWord, LineWord, StatementWord},
    },
    authz::action::{ConfirmStatement, ReadStatements},
    http::{
        admit::Caller,
        idempotency::{IdempotencyKey, Once},
        paging::{self, List},
        problem::Problem,
        reply::{Reply, Sheet},
        wire::{Cursor, Limit, Minor, Moment, Positive, Quantity, Signed},
    },
    kernel::{
        ids::{AgreementId, JournalId, LotId, MerchantId, SettlementId, StatementId, StoreId},
        money::Currency,
        text::{Code, Language},
        time::Period,
    },
    ledger::FlowLine,
    reports::sources::{Origin, Source, origins, sources},
    settlement::{self, Line, Statement, calculation::Position, confirming},
};

/// Operations on statements.
#[derive(Debug)]
pub struct Statements;

/// What a period was for one merchant. Points are whole, money is in minor units.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Figures")]
pub(super) struct FiguresOut {
    /// Points that it gave to members.
    issued: Quantity,
    /// Points that came back to it, because a purchase was refunded.
    taken_back: Quantity,
    /// Points that it took from members, its own among them.
    redeemed: Quantity,
    /// Points that it had taken and gave back, because a purchase was refunded.
    given_back: Quantity,
    /// Its points that lapsed unspent.
    expired: Quantity,
    /// Its own points that it took, less those that it gave back.
    own_points: Signed,
    /// What of their worth moved no money, in minor units.
    own_value: Signed,
    /// What it pays for its points that others took, in minor units; below zero where they gave
    /// back more.
    pays: Signed,
    /// What it receives for points that it took, in minor units.
    receives: Signed,
    /// What it pays into the pool for points that it gave, in minor units.
    funded: Signed,
    /// The operator's fees, in minor units; below zero where more is returned.
    fee: Signed,
    /// Its part of what lapsed in the pool, in minor units.
    breakage: Signed,
    /// What earlier periods left to be put right, in minor units: above zero is owed to it.
    adjusted: Signed,
    /// `receives - pays - funded - fee + breakage + adjusted`, in minor units: above zero is owed to
    /// it.
    net: Signed,
    /// The tax that its amounts include, in ten-thousandths of the amount without it.
    tax_basis_points: Quantity,
    /// The tax in `receives`, in minor units.
    tax_received: Signed,
    /// The tax in `fee`, in minor units.
    tax_fee: Signed,
}

/// A merchant's part of a closed period.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Statement", skip_serializing_if_is_none)]
struct StatementOut {
    /// The statement's id.
    statement_id: StatementId,
    /// Of which settlement.
    settlement_id: SettlementId,
    /// Of which period.
    period: Period,
    /// Whose.
    merchant_id: MerchantId,
    /// What lists call the merchant.
    code: Code,
    /// The currency of every amount.
    currency: Currency,
    /// The part.
    figures: FiguresOut,
    /// What the merchant said to it.
    state: StatementWord,
    /// When it was confirmed, by the merchant or by time.
    confirmed_at: Option<Moment>,
}

/// One line of the sum that a statement's net is.
#[derive(Debug, Clone, Object)]
#[oai(rename = "StatementSum", skip_serializing_if_is_none)]
struct StatementSumOut {
    /// What for.
    kind: LineWord,
    /// With whom, where it is about one other merchant.
    partner_id: Option<MerchantId>,
    /// How many points; below zero where they went back.
    points: Signed,
    /// What they settle at, or what a fee is taken of, in minor units.
    value: Signed,
    /// What the merchant is owed for it, in minor units; below zero, what it owes.
    amount: Signed,
}

/// One movement that a statement's figures are made of.
#[derive(Debug, Clone, Object)]
#[oai(rename = "StatementLine", skip_serializing_if_is_none)]
struct StatementLineOut {
    /// The event's id.
    journal_id: JournalId,
    /// The movement's number within the event, from 0.
    line: i32,
    /// Which way the points went.
    flow: FlowWord,
    /// Who took the points; for points that were issued or taken back, who issued them.
    by_merchant_id: MerchantId,
    /// Who had issued them.
    from_merchant_id: MerchantId,
    /// How many points.
    points: Positive,
    /// What they settle at, in minor units.
    value: Minor,
    /// The currency of the value.
    currency: Currency,
    /// The grant that they are part of.
    lot_id: LotId,
    /// When they were earned.
    earned_at: Moment,
    /// The version of the programme whose rules gave them.
    programme: Option<i64>,
    /// The issuer's agreement by which they settle; without it, as the programme says.
    agreement_id: Option<AgreementId>,
    /// That agreement's version.
    agreement_version: Option<i32>,
    /// Why: purchase, refund, spend, spend-return, claim; new ones may be added.
    reason: String,
    /// The id of the purchase, refund, spend or redemption that caused it.
    source_id: Option<String>,
    /// The number of the receipt that earned, was paid or was refunded, as the store printed it.
    receipt_number: Option<String>,
    /// The code of the good that was claimed.
    good: Option<String>,
    /// In which store.
    store_id: Option<StoreId>,
    /// When it happened.
    occurred_at: Moment,
    /// Whether it happened in an earlier period, closed before this was recorded.
    late: bool,
}

impl From<Position> for FiguresOut {
    fn from(position: Position) -> Self {
        Self {
            issued: Quantity(position.issued),
            taken_back: Quantity(position.taken_back),
            redeemed: Quantity(position.redeemed),
            given_back: Quantity(position.given_back),
            expired: Quantity(position.expired),
            own_points: Signed(position.own_points),
            own_value: Signed(position.own_value),
            pays: Signed(position.pays),
            receives: Signed(position.receives),
            funded: Signed(position.funded),
            fee: Signed(position.fee),
            breakage: Signed(position.breakage),
            adjusted: Signed(position.adjusted),
            net: Signed(position.net),
            tax_basis_points: Quantity(position.tax_basis_points),
            tax_received: Signed(position.tax_received),
            tax_fee: Signed(position.tax_fee),
        }
    }
}

impl StatementOut {
    fn of(statement: Statement, currency: Currency) -> Self {
        Self {
            statement_id: statement.id,
            settlement_id: statement.settlement,
            period: statement.period,
            merchant_id: statement.merchant,
            code: statement.code,
            currency,
            figures: statement.position.into(),
            state: statement.state.into(),
            confirmed_at: statement.confirmed_at.map(Moment),
        }
    }
}

impl From<Line> for StatementSumOut {
    fn from(line: Line) -> Self {
        Self {
            kind: line.kind.into(),
            partner_id: line.partner,
            points: Signed(line.points),
            value: Signed(line.value),
            amount: Signed(line.amount),
        }
    }
}

impl StatementLineOut {
    fn of(
        line: FlowLine,
        about: Option<Source>,
        origin: Option<Origin>,
        currency: Currency,
    ) -> Self {
        let agreement = origin.and_then(|origin| origin.agreement);
        let (receipt_number, good) = match about {
            Some(Source::Receipt(number)) => (Some(number), None),
            Some(Source::Good(code)) => (None, Some(code)),
            None => (None, None),
        };
        Self {
            journal_id: line.journal,
            line: line.line,
            flow: line.kind.into(),
            by_merchant_id: line.by,
            from_merchant_id: line.from,
            points: Positive(line.points),
            value: Minor(line.value),
            currency,
            lot_id: line.lot,
            earned_at: Moment(line.earned_at),
            programme: origin.and_then(|origin| origin.programme),
            agreement_id: agreement.map(|(id, _)| id),
            agreement_version: agreement.map(|(_, version)| version),
            source_id: source(&line.reason, line.source),
            reason: line.reason,
            receipt_number,
            good,
            store_id: line.store,
            occurred_at: Moment(line.occurred_at),
            late: line.late,
        }
    }
}

#[OpenApi(tag = "Group::Operator")]
impl Statements {
    /// List a settlement's statements
    ///
    /// In the order in which the merchants joined. A merchant's key sees its own only, and that once
    /// the settlement is issued.
    #[oai(
        path = "/v1/settlements/:settlement_id/statements",
        method = "get",
        operation_id = "list_statements"
    )]
    async fn list_statements(
        &self,
        caller: Caller<ReadStatements>,
        settlement_id: Path<SettlementId>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<StatementOut>>, Problem> {
        let url = format!("/v1/settlements/{}/statements", settlement_id.0);
        let slice = paging::slice(caller.app(), &url, limit.0, cursor.0.as_ref())?;
        let currency = caller.tenant.currency;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = settlement::statements(&mut tx, &caller.grant, settlement_id.0, &slice).await?;
        let list = List::new(caller.app(), &url, page, |statement| {
            StatementOut::of(statement, currency)
        });
        Ok(Reply::new(&list))
    }

    /// Download a settlement's statements
    ///
    /// All of them within reach as one sheet of comma-separated values in UTF-8, one line a
    /// merchant, amounts of money as decimals. The first line is in English, for programs, unless
    /// `language` asks for another.
    #[oai(
        path = "/v1/settlements/:settlement_id/statements.csv",
        method = "get",
        operation_id = "download_statements"
    )]
    async fn download_statements(
        &self,
        caller: Caller<ReadStatements>,
        settlement_id: Path<SettlementId>,
        language: Query<Option<Language>>,
    ) -> Result<Sheet, Problem> {
        let (id, tenant) = (settlement_id.0, &caller.tenant);
        let language = language.0.unwrap_or(Language::En);
        let mut tx = caller.db().read(&caller.grant).await?;
        let (period, text) =
            settlement::sheet(&mut tx, &caller.grant, id, tenant.currency, language).await?;
        let name = format!("{}-{period}.csv", tenant.slug.as_str());
        Ok(Sheet { name, text })
    }

    /// Read a statement
    #[oai(
        path = "/v1/statements/:statement_id",
        method = "get",
        operation_id = "get_statement"
    )]
    async fn get_statement(
        &self,
        caller: Caller<ReadStatements>,
        statement_id: Path<StatementId>,
    ) -> Result<Reply<200, StatementOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let found = settlement::statement(&mut tx, &caller.grant, statement_id.0).await?;
        Ok(Reply::new(&StatementOut::of(found, caller.tenant.currency)))
    }

    /// List what a statement's net is the sum of
    ///
    /// A line for each kind of figure and each partner; their amounts add up to the net. Periods that
    /// were closed before statements had them have none.
    #[oai(
        path = "/v1/statements/:statement_id/sums",
        method = "get",
        operation_id = "list_statement_sums"
    )]
    async fn list_statement_sums(
        &self,
        caller: Caller<ReadStatements>,
        statement_id: Path<StatementId>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<StatementSumOut>>, Problem> {
        let url = format!("/v1/statements/{}/sums", statement_id.0);
        let slice = paging::slice(caller.app(), &url, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = settlement::sums(&mut tx, &caller.grant, statement_id.0, &slice).await?;
        let list = List::new(caller.app(), &url, page, |(_, line)| line.into());
        Ok(Reply::new(&list))
    }

    /// Confirm a statement
    ///
    /// Its merchant agrees to it. With the last statement of a settlement what is to be paid is
    /// fixed; what nobody has answered by `confirm_by` of the settlement is confirmed by itself. 409
    /// `statement-already-confirmed`.
    #[oai(
        path = "/v1/statements/:statement_id/confirm",
        method = "post",
        operation_id = "confirm_statement"
    )]
    async fn confirm_statement(
        &self,
        caller: Caller<ConfirmStatement>,
        statement_id: Path<StatementId>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
    ) -> Result<Reply<200, StatementOut>, Problem> {
        let mut once = match Once::begin(&caller, &key, &[]).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let (id, currency) = (statement_id.0, caller.tenant.currency);
        let confirmed = confirming::confirm(once.tx(), &caller.grant, id, currency).await;
        once.finish(confirmed.map(|statement| StatementOut::of(statement, currency)))
            .await
    }

    /// List a statement's lines
    ///
    /// Every movement that its figures are made of, in the order in which they were recorded, each with
    /// its receipt, its grant, and the rules and terms by which its points are what they are. Those of
    /// a month of millions follow its figures by seconds: 503 `lines-being-listed` until then.
    #[oai(
        path = "/v1/statements/:statement_id/lines",
        method = "get",
        operation_id = "list_statement_lines"
    )]
    async fn list_statement_lines(
        &self,
        caller: Caller<ReadStatements>,
        statement_id: Path<StatementId>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<StatementLineOut>>, Problem> {
        let url = format!("/v1/statements/{}/lines", statement_id.0);
        let slice = paging::slice(caller.app(), &url, limit.0, cursor.0.as_ref())?;
        let currency = caller.tenant.currency;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = settlement::lines(&mut tx, &caller.grant, statement_id.0, &slice).await?;
        let ids: Vec<Uuid> = page.items.iter().map(|line| line.source).collect();
        let known = sources(&mut tx, &caller.grant, &ids).await?;
        let lots: Vec<LotId> = page.items.iter().map(|line| line.lot).collect();
        let origins = origins(&mut tx, &caller.grant, &lots).await?;
        let list = List::new(caller.app(), &url, page, |line| {
            let about = known.get(&line.source).cloned();
            let origin = origins.get(&line.lot).copied();
            StatementLineOut::of(line, about, origin, currency)
        });
        Ok(Reply::new(&list))
    }
}

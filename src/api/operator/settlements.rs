//! Settlements: who pays whom for a period.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use super::{payments::PaymentLineOut, statements::FiguresOut};
use crate::{
    api::{Group, words::SettlementState},
    app::Mall,
    authz::action::{CloseSettlement, IssueSettlement, PreviewSettlement, ReadSettlements},
    db::{self, tx::ReadTx},
    http::{
        admit::Caller,
        body::Body,
        codes,
        idempotency::{IdempotencyKey, Once},
        paging::{self, List},
        problem::Problem,
        reply::Reply,
        wire::{Cursor, Limit, Moment, Positive, Quantity, Signed},
    },
    kernel::{
        ids::{MerchantId, SettlementId},
        money::Currency,
        page::{MOST, Slice},
        text::Code,
        time::Period,
    },
    settlement::{
        self, Preview, Settlement, SettlementError, State, confirming,
        netting::Payment,
        recalculation::{self, Recalculation},
    },
};

/// The address of the list of settlements.
const SETTLEMENTS: &str = "/v1/settlements";

/// How often a period's posting is tried to be ended while tills are at work.
const TRIES: u32 = 3;

/// Operations on settlements.
#[derive(Debug)]
pub struct Settlements;

/// A period that is to be closed.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct CloseSettlementIn {
    /// Which period of the mall, such as 2017-06; it must be over in the mall's time zone.
    period: Period,
}

/// A payment between two parties that would be made.
#[derive(Debug, Clone, Object)]
#[oai(rename = "PreviewedPayment", skip_serializing_if_is_none)]
struct PaymentOut {
    /// Who pays; without it, the operator.
    from_merchant_id: Option<MerchantId>,
    /// Who receives; without it, the operator.
    to_merchant_id: Option<MerchantId>,
    /// How much, in minor units.
    amount: Positive,
}

/// A period that was cut off or closed.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Settlement", skip_serializing_if_is_none)]
pub(super) struct SettlementOut {
    /// The settlement's id.
    settlement_id: SettlementId,
    /// Which period.
    period: Period,
    /// How far it is.
    state: SettlementState,
    /// The currency of every amount.
    currency: Currency,
    /// The operator's fee on what a merchant receives: 100 are 1 %.
    fee_basis_points: Quantity,
    /// When its last line could be added.
    cut_off_at: Moment,
    /// When its figures were written.
    proofed_at: Option<Moment>,
    /// SHA-256 over its figures, by which anybody can see that they never change.
    digest: Option<String>,
    /// When its merchants could see their statements first.
    issued_at: Option<Moment>,
    /// The first moment at which statements that nobody has answered are confirmed by themselves.
    confirm_by: Option<Moment>,
    /// When the last statement was confirmed, and what is to be paid was fixed.
    confirmed_at: Option<Moment>,
    /// When everything was paid or offset.
    closed_at: Option<Moment>,
    /// What the parties pay each other, where one settlement is read that is confirmed; a merchant's
    /// key sees what the merchant itself pays and receives.
    payments: Option<Vec<PaymentLineOut>>,
}

/// A merchant's part of a period that may still change.
#[derive(Debug, Clone, Object)]
#[oai(rename = "PreviewedMerchant", skip_serializing_if_is_none)]
struct PreviewedMerchantOut {
    /// Whose part.
    merchant_id: MerchantId,
    /// What lists call the merchant.
    code: Option<Code>,
    /// The part.
    figures: FiguresOut,
}

/// What a period comes to so far.
#[derive(Debug, Clone, Object)]
#[oai(rename = "SettlementPreview", skip_serializing_if_is_none)]
struct PreviewOut {
    /// Which period.
    period: Period,
    /// How far it is; without it, lines are still added.
    state: Option<SettlementState>,
    /// The currency of every amount.
    currency: Currency,
    /// The operator's fee on what a merchant receives: 100 are 1 %.
    fee_basis_points: Quantity,
    /// Every merchant with any movement.
    merchants: Vec<PreviewedMerchantOut>,
    /// What the operator gets: the sum of the fees, in minor units.
    operator_net: Signed,
    /// What the parties would pay each other.
    payments: Vec<PaymentOut>,
}

/// A closed period's figures as they come out now, beside those that were sealed.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Recalculation")]
struct RecalculationOut {
    /// The settlement's id.
    settlement_id: SettlementId,
    /// Which period.
    period: Period,
    /// The digest that was written when the period was closed.
    digest: String,
    /// That of its figures as they come out now.
    recalculated_digest: String,
    /// Whether both are the same, and every statement says the figures that come out now.
    same: bool,
    /// What lists call the merchants whose statements say other figures.
    differing: Vec<Code>,
}

impl From<Recalculation> for RecalculationOut {
    fn from(it: Recalculation) -> Self {
        Self {
            same: it.is_same(),
            settlement_id: it.settlement,
            period: it.period,
            digest: it.sealed,
            recalculated_digest: it.recalculated,
            differing: it.differing,
        }
    }
}

impl From<Payment> for PaymentOut {
    fn from(payment: Payment) -> Self {
        Self {
            from_merchant_id: payment.from,
            to_merchant_id: payment.to,
            amount: Positive(payment.amount),
        }
    }
}

impl SettlementOut {
    pub(super) fn of(settlement: Settlement, currency: Currency) -> Self {
        Self {
            settlement_id: settlement.id,
            period: settlement.period,
            state: settlement.state.into(),
            currency,
            fee_basis_points: Quantity(settlement.fee_basis_points),
            cut_off_at: Moment(settlement.cut_off_at),
            proofed_at: settlement.proofed_at.map(Moment),
            digest: settlement.digest,
            issued_at: settlement.issued_at.map(Moment),
            confirm_by: settlement.confirm_by.map(Moment),
            confirmed_at: settlement.confirmed_at.map(Moment),
            closed_at: settlement.closed_at.map(Moment),
            payments: None,
        }
    }
}

impl PreviewOut {
    fn of(mut preview: Preview, currency: Currency) -> Self {
        let calculation = preview.calculation;
        let merchants = calculation.merchants.into_iter();
        let merchants = merchants.map(|(merchant, position)| PreviewedMerchantOut {
            merchant_id: merchant,
            code: preview.codes.remove(&merchant),
            figures: position.into(),
        });
        Self {
            period: preview.period,
            state: preview.state.map(Into::into),
            currency,
            fee_basis_points: Quantity(preview.fee_basis_points),
            merchants: merchants.collect(),
            operator_net: Signed(calculation.operator_net),
            payments: calculation
                .payments
                .into_iter()
                .map(PaymentOut::from)
                .collect(),
        }
    }
}

/// Ends the posting in a period, in a transaction of its own. Done again it changes nothing.
async fn cut_off(
    caller: &Caller<CloseSettlement>,
    mall: &Mall,
    period: Period,
) -> Result<Settlement, SettlementError> {
    let (terms, zone) = (&mall.settlement, mall.tenant.zone);
    let mut tried = 1;
    loop {
        let mut tx = caller.db().write(&caller.grant).await?;
        match settlement::cut_off(&mut tx, &caller.grant, period, terms, zone).await {
            Ok(settlement) => {
                tx.commit().await?;
                return Ok(settlement);
            }
            Err(SettlementError::Db(db::Error::Retry(_))) if tried < TRIES => {
                tried = tried.saturating_add(1);
            }
            Err(error) => return Err(error),
        }
    }
}

/// A period whose figures were written before this request, or by another in the same moment.
fn already_closed(settlement: &Settlement) -> Problem {
    let (period, state) = (settlement.period, settlement.state.as_str());
    let detail = format!("The period {period} is closed already and never changes: it is {state}.");
    Problem::new(&codes::PERIOD_ALREADY_CLOSED, detail)
}

/// Every payment of a settlement within reach: fewer than there are merchants and an operator.
async fn payments(
    tx: &mut ReadTx,
    caller: &Caller<ReadSettlements>,
    id: SettlementId,
) -> Result<Vec<PaymentLineOut>, SettlementError> {
    let mut slice = Slice {
        limit: MOST,
        after: None,
    };
    let mut all = Vec::new();
    loop {
        let page = settlement::payments(tx, &caller.grant, id, &slice).await?;
        all.extend(page.items.into_iter().map(PaymentLineOut::from));
        match page.next {
            Some(next) => slice.after = Some(next),
            None => return Ok(all),
        }
    }
}

#[OpenApi(tag = "Group::Operator")]
impl Settlements {
    /// Preview a period
    ///
    /// What it would settle to if it were closed now; of a closed period, what it did settle to.
    /// 409 `period-of-other-unit`.
    #[oai(
        path = "/v1/settlements/preview",
        method = "get",
        operation_id = "preview_settlement"
    )]
    async fn preview_settlement(
        &self,
        caller: Caller<PreviewSettlement>,
        /// Which period of the mall, such as 2017-06.
        period: Query<Period>,
    ) -> Result<Reply<200, PreviewOut>, Problem> {
        let mall = caller.mall().await?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let terms = &mall.settlement;
        let preview =
            settlement::preview(&mut tx, &caller.grant, period.0, terms, mall.tenant.zone).await?;
        Ok(Reply::new(&PreviewOut::of(preview, mall.tenant.currency)))
    }

    /// Close a period
    ///
    /// Ends the posting in it, writes the statements, and never changes them again. What happened in
    /// the period and arrives later belongs to the next one. It goes as far as the mall's programme
    /// lets one act go: `state` says how far. 409 `period-not-over`, `period-already-closed`.
    #[oai(
        path = "/v1/settlements",
        method = "post",
        operation_id = "close_settlement"
    )]
    async fn close_settlement(
        &self,
        caller: Caller<CloseSettlement>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<CloseSettlementIn>,
    ) -> Result<Reply<201, SettlementOut>, Problem> {
        let (period, digest) = (body.value.period, body.digest);
        let mall = caller.mall().await?;
        // Asked before anything is done: a key that was used for another period cuts off none. What
        // is begun here is given up, because the cut-off must be durable before the figures.
        if let Err(before) = Once::begin(&caller, &key, &digest).await?.fresh() {
            return Ok(before);
        }
        let cut = cut_off(&caller, &mall, period).await;
        let mut once = match Once::begin(&caller, &key, &digest).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let currency = mall.tenant.currency;
        let sealed = match cut {
            Err(refusal) => Err(refusal.into()),
            Ok(known) if known.state != State::CutOff => Err(already_closed(&known)),
            Ok(_) => {
                let (tx, grant, zone) = (once.tx(), &caller.grant, mall.tenant.zone);
                match settlement::seal(tx, grant, period, zone, currency).await {
                    Ok(it) if it.fresh => Ok(SettlementOut::of(it.settlement, currency)),
                    Ok(it) => Err(already_closed(&it.settlement)),
                    Err(refusal) => Err(refusal.into()),
                }
            }
        };
        let reply = once.finish(sealed).await;
        // There may be lines to list, and where one person is enough, mail to send.
        caller.app().bell.ring(mall.tenant.id);
        reply
    }

    /// Issue a settlement
    ///
    /// Lets its merchants see their statements; from then on they have as many days to confirm or
    /// dispute as the mall's programme says. 409 `needs-second-person` for whoever closed the period,
    /// where the programme asks for two; `out-of-turn`.
    #[oai(
        path = "/v1/settlements/:settlement_id/issue",
        method = "post",
        operation_id = "issue_settlement"
    )]
    async fn issue_settlement(
        &self,
        caller: Caller<IssueSettlement>,
        settlement_id: Path<SettlementId>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
    ) -> Result<Reply<200, SettlementOut>, Problem> {
        let mall = caller.mall().await?;
        let mut once = match Once::begin(&caller, &key, &[]).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let (id, zone, currency) = (settlement_id.0, mall.tenant.zone, mall.tenant.currency);
        let issued = confirming::issue(once.tx(), &caller.grant, id, zone, currency).await;
        let reply = once
            .finish(issued.map(|settlement| SettlementOut::of(settlement, currency)))
            .await;
        // There may be mail to send.
        caller.app().bell.ring(mall.tenant.id);
        reply
    }

    /// List the settlements
    ///
    /// Periods that were cut off or closed, the newest first.
    #[oai(
        path = "/v1/settlements",
        method = "get",
        operation_id = "list_settlements"
    )]
    async fn list_settlements(
        &self,
        caller: Caller<ReadSettlements>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<SettlementOut>>, Problem> {
        let slice = paging::slice(caller.app(), SETTLEMENTS, limit.0, cursor.0.as_ref())?;
        let currency = caller.tenant.currency;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = settlement::list(&mut tx, &caller.grant, &slice).await?;
        let list = List::new(caller.app(), SETTLEMENTS, page, |settlement| {
            SettlementOut::of(settlement, currency)
        });
        Ok(Reply::new(&list))
    }

    /// Read a settlement
    ///
    /// With its payments.
    #[oai(
        path = "/v1/settlements/:settlement_id",
        method = "get",
        operation_id = "get_settlement"
    )]
    async fn get_settlement(
        &self,
        caller: Caller<ReadSettlements>,
        settlement_id: Path<SettlementId>,
    ) -> Result<Reply<200, SettlementOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let found = settlement::get(&mut tx, &caller.grant, settlement_id.0).await?;
        let payments = payments(&mut tx, &caller, found.id).await?;
        let mut settlement = SettlementOut::of(found, caller.tenant.currency);
        settlement.payments = Some(payments);
        Ok(Reply::new(&settlement))
    }

    /// Calculate a closed period anew
    ///
    /// From the ledger, without changing anything: it comes to the same bytes however long ago it was
    /// closed, and where it does not, this says whose figures were changed. 409 `out-of-turn` while no
    /// figures are written.
    #[oai(
        path = "/v1/settlements/:settlement_id/recalculation",
        method = "get",
        operation_id = "recalculate_settlement"
    )]
    async fn recalculate_settlement(
        &self,
        caller: Caller<PreviewSettlement>,
        settlement_id: Path<SettlementId>,
    ) -> Result<Reply<200, RecalculationOut>, Problem> {
        let (id, zone) = (settlement_id.0, caller.tenant.zone);
        let mut tx = caller.db().read(&caller.grant).await?;
        let done = recalculation::recalculate(&mut tx, &caller.grant, id, zone).await?;
        Ok(Reply::new(&RecalculationOut::from(done)))
    }
}

//! Payments: what is due after a period, and how it was paid.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use super::settlements::SettlementOut;
use crate::{
    api::{
        Group,
        words::{MethodWord, PaymentWord},
    },
    authz::action::{ReadSettlements, RecordPayment},
    http::{
        admit::Caller,
        body::Body,
        idempotency::{IdempotencyKey, Once},
        paging::{self, List},
        problem::Problem,
        reply::{Reply, Sheet},
        wire::{Cursor, Day, FileText, Limit, LineNumber, Minor, Moment, Positive, Quantity, Text},
    },
    kernel::{
        ids::{MerchantId, SettlementId},
        text::Code,
    },
    settlement::{PaymentLine, covering::Cover, paying},
};

/// Operations on payments.
#[derive(Debug)]
pub struct Payments;

/// A payment between two parties after a period.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Payment", skip_serializing_if_is_none)]
pub(super) struct PaymentLineOut {
    /// The payment's number within the settlement, from 0.
    line: LineNumber,
    /// By which a bank's file knows it: the settlement's id, a dash and `line`.
    payment_reference: String,
    /// Who pays; without it, the operator.
    from_merchant_id: Option<MerchantId>,
    /// What lists call who pays; without it, the operator.
    from_code: Option<Code>,
    /// Who receives; without it, the operator.
    to_merchant_id: Option<MerchantId>,
    /// What lists call who receives; without it, the operator.
    to_code: Option<Code>,
    /// How much, in minor units.
    amount: Positive,
    /// Whether it was made.
    state: PaymentWord,
    /// By which means; without it, it is due.
    method: Option<MethodWord>,
    /// What whoever made it calls it: a bank's number, a rent invoice.
    reference: Option<String>,
    /// On which day, where a bank's file said it.
    executed_on: Option<Day>,
    /// When that was recorded.
    recorded_at: Option<Moment>,
    /// By which key.
    recorded_by: Option<String>,
    /// How it was met, where who had to pay was found in default.
    cover: Option<CoverOut>,
}

/// How a payment was met whose payer was found in default, in minor units that add up to it.
#[derive(Debug, Clone, Object)]
#[oai(rename = "PaymentCover")]
pub(super) struct CoverOut {
    /// From the payer's deposit.
    deposit: Minor,
    /// By the operator in the payer's place.
    guarantee: Minor,
    /// Not at all: the receiver has a claim in a later period.
    carried: Minor,
}

impl From<Cover> for CoverOut {
    fn from(cover: Cover) -> Self {
        Self {
            deposit: Minor(cover.deposit),
            guarantee: Minor(cover.guarantee),
            carried: Minor(cover.carried),
        }
    }
}

impl From<PaymentLine> for PaymentLineOut {
    fn from(line: PaymentLine) -> Self {
        let payment_reference = line.reference();
        let (mut method, mut reference, mut executed_on) = (None, None, None);
        let (mut recorded_at, mut recorded_by) = (None, None);
        if let Some(record) = line.record {
            method = Some(record.method.into());
            reference = Some(record.reference);
            executed_on = record.executed_on.map(Day);
            recorded_at = Some(Moment(record.recorded_at));
            recorded_by = Some(record.recorded_by);
        }
        Self {
            line: LineNumber(line.line),
            payment_reference,
            from_merchant_id: line.payment.from,
            from_code: line.from_code,
            to_merchant_id: line.payment.to,
            to_code: line.to_code,
            amount: Positive(line.payment.amount),
            state: line.state.into(),
            method,
            reference,
            executed_on,
            recorded_at,
            recorded_by,
            cover: line.cover.map(CoverOut::from),
        }
    }
}

/// How a payment was made.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct RecordPaymentIn {
    /// By which means.
    method: MethodWord,
    /// What whoever made it calls it: a bank's number, a rent invoice.
    reference: Text,
}

/// What a bank says that it executed.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct ImportBankFileIn {
    /// The file as text: comma-separated values with the columns of the bank file and `executed_on`.
    file: FileText,
}

/// What reading a bank's file came to.
#[derive(Debug, Clone, Object)]
#[oai(rename = "BankFileImported")]
struct ImportedOut {
    /// Payments that were due and are paid now.
    recorded: Quantity,
    /// Lines that such a file had said before: they change nothing.
    known: Quantity,
    /// The settlement after it.
    settlement: SettlementOut,
}

#[OpenApi(tag = "Group::Operator")]
impl Payments {
    /// List a settlement's payments
    ///
    /// What the parties pay each other; none before the settlement is confirmed. A merchant's key
    /// sees what the merchant itself pays and receives.
    #[oai(
        path = "/v1/settlements/:settlement_id/payments",
        method = "get",
        operation_id = "list_payments"
    )]
    async fn list_payments(
        &self,
        caller: Caller<ReadSettlements>,
        settlement_id: Path<SettlementId>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<PaymentLineOut>>, Problem> {
        let url = format!("/v1/settlements/{}/payments", settlement_id.0);
        let slice = paging::slice(caller.app(), &url, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = paying::payments(&mut tx, &caller.grant, settlement_id.0, &slice).await?;
        let list = List::new(caller.app(), &url, page, PaymentLineOut::from);
        Ok(Reply::new(&list))
    }

    /// Record a payment
    ///
    /// Says how it was made. Said again in the same words it changes nothing. With the last payment
    /// the settlement is closed. By `deposit` the operator pays from what it keeps of who pays. 409
    /// `payment-already-recorded`, `out-of-turn`, `deposit-too-small`.
    #[oai(
        path = "/v1/settlements/:settlement_id/payments/:line/record",
        method = "post",
        operation_id = "record_payment"
    )]
    async fn record_payment(
        &self,
        caller: Caller<RecordPayment>,
        settlement_id: Path<SettlementId>,
        line: Path<LineNumber>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<RecordPaymentIn>,
    ) -> Result<Reply<200, PaymentLineOut>, Problem> {
        let mut once = match Once::begin(&caller, &key, &body.digest).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let (id, line, how) = (settlement_id.0, line.0.0, body.value);
        let (method, reference) = (how.method.into(), how.reference.as_str());
        let (grant, currency) = (&caller.grant, caller.tenant.currency);
        let recorded =
            paying::record(once.tx(), grant, id, line, method, reference, currency).await;
        once.finish(recorded.map(PaymentLineOut::from)).await
    }

    /// Download what a bank is to pay
    ///
    /// The payments within reach that are due, a line each, as comma-separated values in UTF-8 with
    /// the columns reference, from, to, amount, currency and purpose. 409 `out-of-turn` before they
    /// are fixed.
    #[oai(
        path = "/v1/settlements/:settlement_id/bank-file",
        method = "get",
        operation_id = "download_bank_file"
    )]
    async fn download_bank_file(
        &self,
        caller: Caller<ReadSettlements>,
        settlement_id: Path<SettlementId>,
    ) -> Result<Sheet, Problem> {
        let (id, tenant) = (settlement_id.0, &caller.tenant);
        let mut tx = caller.db().write(&caller.grant).await?;
        let (settlement, text) =
            paying::bank_file(&mut tx, &caller.grant, id, tenant.currency).await?;
        tx.commit().await?;
        let name = format!(
            "{}-{}-payments.csv",
            tenant.slug.as_str(),
            settlement.period
        );
        Ok(Sheet { name, text })
    }

    /// Say what a bank executed
    ///
    /// The columns of the bank file and `executed_on`; each line is one of the payments that are
    /// due, by reference, amount and currency. A line that such a file had said before changes
    /// nothing. With a line that is neither nothing of the file counts: 409 `bank-file-refused`
    /// names each.
    #[oai(
        path = "/v1/settlements/:settlement_id/bank-file",
        method = "post",
        operation_id = "import_bank_file"
    )]
    async fn import_bank_file(
        &self,
        caller: Caller<RecordPayment>,
        settlement_id: Path<SettlementId>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<ImportBankFileIn>,
    ) -> Result<Reply<200, ImportedOut>, Problem> {
        let mut once = match Once::begin(&caller, &key, &body.digest).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let (id, currency) = (settlement_id.0, caller.tenant.currency);
        let file = &body.value.file.0;
        let imported = paying::import(once.tx(), &caller.grant, id, file, currency).await;
        let count = |number: usize| Quantity(i64::try_from(number).unwrap_or(i64::MAX));
        let told = imported.map(|imported| ImportedOut {
            recorded: count(imported.recorded),
            known: count(imported.known),
            settlement: SettlementOut::of(imported.settlement, currency),
        });
        once.finish(told).await
    }
}

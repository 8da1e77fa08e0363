//! What parties pay each other, and whether they did. Money moves outside of this house; here
//! stands what is due, and what somebody says was done about it.
//!
//! Payments are fixed once, when the last statement is confirmed: the nets of the statements, less
//! the money of disputed lines, which the operator holds, come down to the fewest payments, and the
//! ledger gets them in the same transaction.

pub mod bank;
mod store;

use std::collections::BTreeMap;

use chrono::NaiveDate;
use thiserror::Error;

use super::{
    Settlement, SettlementError, audited,
    covering::Cover,
    disputes,
    netting::{self, NettingError, Party, Payment},
    period::{self, Act, OutOfTurn, State},
    store as settlements, stripe, whole_mall, within,
};
use crate::{
    audit,
    authz::{
        action::{ReadSettlements, RecordPayment},
        grant::Grant,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        AmountError,
        ids::{MerchantId, SettlementId},
        money::Currency,
        page::{CursorError, MOST, Page, Slice},
        text::Code,
        time::{Instant, Period},
    },
    ledger::{self, account::Account, transfer::Kind},
    merchants::credit::{self, CreditError},
};
use bank::{BadLine, Order};

/// By which means something was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// From one bank account to another.
    BankTransfer,
    /// Offset against the rent that one of the two owes the other.
    Rent,
    /// In some other way, which the reference names.
    Other,
    /// By the operator, from what it keeps of who pays.
    Deposit,
    /// Through Stripe; the reference is its last invoice or transfer there.
    Stripe,
}

impl Method {
    const ALL: [Self; 5] = [
        Self::BankTransfer,
        Self::Rent,
        Self::Other,
        Self::Deposit,
        Self::Stripe,
    ];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BankTransfer => "bank_transfer",
            Self::Rent => "rent",
            Self::Other => "other",
            Self::Deposit => "deposit",
            Self::Stripe => "stripe",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }

    /// What a payment is after it.
    fn leads_to(self) -> PaymentState {
        match self {
            Self::Rent => PaymentState::Offset,
            Self::BankTransfer | Self::Other | Self::Deposit | Self::Stripe => PaymentState::Paid,
        }
    }
}

/// Whether a payment was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentState {
    /// Not yet, as far as anybody said.
    Due,
    /// Money went from one to the other.
    Paid,
    /// It was set off against something else.
    Offset,
    /// Who had to pay was found in default; how the payment was met [`Cover`] says.
    Covered,
}

impl PaymentState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Due, Self::Paid, Self::Offset, Self::Covered];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Paid => "paid",
            Self::Offset => "offset",
            Self::Covered => "covered",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// How a payment was made, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// By which means.
    pub method: Method,
    /// What whoever made it calls it: a bank's number, a rent invoice.
    pub reference: String,
    /// On which day, where a bank said it.
    pub executed_on: Option<NaiveDate>,
    /// When it was recorded.
    pub recorded_at: Instant,
    /// By whom.
    pub recorded_by: String,
}

/// A payment of a confirmed period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentLine {
    /// Of which settlement.
    pub settlement: SettlementId,
    /// Its number within the settlement, from 0.
    pub line: i32,
    /// Who pays whom how much.
    pub payment: Payment,
    /// What lists call who pays; none is the operator.
    pub from_code: Option<Code>,
    /// What lists call who receives; none is the operator.
    pub to_code: Option<Code>,
    /// Whether it was made.
    pub state: PaymentState,
    /// How; none while it is due.
    pub record: Option<Record>,
    /// How it was met, where who had to pay was found in default.
    pub cover: Option<Cover>,
}

impl PaymentLine {
    /// By which everybody outside knows it: `stl_01h2xcejqtf2nbrexx3vqjhp41-0`.
    pub fn reference(&self) -> String {
        reference(self.settlement, self.line)
    }
}

/// By which everybody outside knows a payment.
pub(super) fn reference(settlement: SettlementId, line: i32) -> String {
    format!("{settlement}-{line}")
}

/// What reading a bank's file came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Lines whose payment was due and is paid now.
    pub recorded: usize,
    /// Lines whose payment had been recorded from such a line before.
    pub known: usize,
    /// The settlement after it.
    pub settlement: Settlement,
}

/// Why something about payments is refused.
#[derive(Debug, Error)]
pub enum PaymentError {
    /// No such settlement, or none within reach.
    #[error("there is no such settlement")]
    UnknownSettlement,
    /// No payment of that number.
    #[error("the settlement has no such payment")]
    UnknownPayment,
    /// Payments that are not fixed yet, or all made.
    #[error(transparent)]
    OutOfTurn(#[from] OutOfTurn),
    /// A payment of which something else was recorded.
    #[error("the payment was recorded already, in another way")]
    AlreadyRecorded,
    /// What goes through Stripe is recorded when Stripe says so, and in no other way.
    #[error("the payment goes through Stripe: it is recorded when Stripe says that it was made")]
    AtStripe,
    /// Lines of a bank's file that are none of these payments; nothing of it was recorded.
    #[error("{} of the file are not payments of this settlement that are due", lines(.0))]
    BankFile(Vec<BadLine>),
    /// A deposit that does not cover the payment.
    #[error(transparent)]
    Credit(#[from] CreditError),
    /// A page that begins after something that is no place in this list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// "line 3", "lines 3, 5".
fn lines(bad: &[BadLine]) -> String {
    let mut numbers: Vec<u64> = bad.iter().map(|line| line.line).collect();
    numbers.dedup();
    let noun = if numbers.len() == 1 { "line" } else { "lines" };
    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
    format!("{noun} {}", numbers.join(", "))
}

/// A disputed line as it counts when payments are fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    /// Who pays for the line by the statements.
    pub(super) payer: MerchantId,
    /// Who receives for it.
    pub(super) receiver: MerchantId,
    /// What the receiver gets, in minor units.
    pub(super) amount: i64,
    /// What the payer gives; the operator has or bears the difference.
    pub(super) returned: i64,
    /// What was decided.
    pub(super) outcome: Option<disputes::Outcome>,
}

/// What each party is owed when payments are fixed: its net, less what is disputed of it. The
/// operator has the opposite of all nets, and holds what nobody has decided on.
///
/// # Errors
/// [`AmountError::Overflow`].
///
/// Source: settlement.md, example L.
fn owed(nets: &[(MerchantId, i64)], claims: &[Claim]) -> Result<BTreeMap<Party, i64>, AmountError> {
    let mut owed: BTreeMap<Party, i64> = BTreeMap::from([(None, 0)]);
    let mut add = |party: Party, amount: i64| {
        let sum = owed.entry(party).or_default();
        *sum = sum.checked_add(amount).ok_or(AmountError::Overflow)?;
        Ok::<_, AmountError>(())
    };
    let minus = |amount: i64| amount.checked_neg().ok_or(AmountError::Overflow);
    for (merchant, net) in nets {
        add(Some(*merchant), *net)?;
        add(None, minus(*net)?)?;
    }
    for claim in claims {
        if claim.outcome == Some(disputes::Outcome::Rejected) {
            continue;
        }
        add(Some(claim.receiver), minus(claim.amount)?)?;
        add(None, claim.amount)?;
        if claim.outcome == Some(disputes::Outcome::Upheld) {
            add(None, minus(claim.returned)?)?;
            add(Some(claim.payer), claim.returned)?;
        }
    }
    Ok(owed)
}

/// Fixes what is to be paid, once every statement is confirmed, and gives it to the ledger. Where
/// there is nothing to pay, that closes the settlement.
pub(super) async fn fix(
    tx: &mut Tx,
    settlement: &mut Settlement,
    currency: Currency,
) -> Result<(), SettlementError> {
    settlement.state = period::step(Some(settlement.state), Act::Confirm)?;
    settlement.confirmed_at = Some(tx.now());
    let nets = store::nets(tx, settlement.id).await?;
    let claims = disputes::hold(tx, settlement.id).await?;
    let owed = owed(&nets, &claims).map_err(NettingError::from)?;
    let payments = netting::payments(&owed)?;
    store::insert(tx, settlement.id, &payments).await?;
    let moves: Vec<_> = payments
        .iter()
        .map(|payment| (payment.from, payment.to, payment.amount))
        .collect();
    let (id, period) = (settlement.id, settlement.period);
    ledger::settle_money(tx, id, period, currency.code(), &moves).await?;
    use_prepaid(tx, id, period, currency).await?;
    if payments.is_empty() {
        close(tx, settlement)?;
    }
    settlements::update(tx, settlement).await?;
    Ok(())
}

/// Gives the operator what the period used of what merchants had paid in advance; where more came
/// back than was used, the other way.
async fn use_prepaid(
    tx: &mut Tx,
    id: SettlementId,
    period: Period,
    currency: Currency,
) -> Result<(), db::Error> {
    let used = store::prepaid(tx, id).await?;
    let operator = Account::Receivable(None);
    let moves: Vec<_> = used
        .into_iter()
        .filter_map(|(merchant, amount)| {
            let (prepaid, size) = (Account::Prepaid(merchant), amount.checked_abs()?);
            match amount {
                ..0 => Some((operator, prepaid, size)),
                0 => None,
                1.. => Some((prepaid, operator, size)),
            }
        })
        .collect();
    ledger::move_money(tx, Kind::Prepay, id.uuid(), period, currency.code(), &moves).await
}

/// Ends a settlement of which nothing is due any more.
fn close(tx: &Tx, settlement: &mut Settlement) -> Result<(), OutOfTurn> {
    settlement.state = period::step(Some(settlement.state), Act::Close)?;
    settlement.closed_at = Some(tx.now());
    Ok(())
}

/// Every payment of a settlement, as it stands.
pub(super) async fn all(tx: &mut ReadTx, id: SettlementId) -> Result<Vec<PaymentLine>, db::Error> {
    store::payments(tx, id, None, -1, i64::MAX).await
}

/// Every payment that was fixed for a settlement.
pub(super) async fn fixed(tx: &mut ReadTx, id: SettlementId) -> Result<Vec<Payment>, db::Error> {
    let all = store::payments(tx, id, None, -1, i64::MAX).await?;
    Ok(all.into_iter().map(|line| line.payment).collect())
}

/// What parties pay each other after a period; a merchant sees what it pays and receives itself.
/// None before the settlement is confirmed.
///
/// # Errors
/// [`SettlementError::NotFound`], [`SettlementError::Cursor`].
pub async fn payments(
    tx: &mut ReadTx,
    grant: &Grant<ReadSettlements>,
    id: SettlementId,
    slice: &Slice,
) -> Result<Page<PaymentLine>, SettlementError> {
    let only = within(grant.reach())?;
    let found = settlements::by_id(tx, id).await?;
    let settlement = found.ok_or(SettlementError::NotFound)?;
    let after = match &slice.after {
        Some(key) => key.parse().map_err(|_| CursorError)?,
        None => -1,
    };
    let limit = slice.limit.clamp(1, MOST);
    let rows = store::payments(tx, settlement.id, only, after, limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, limit, |row| row.line.to_string()))
}

/// The payments of one merchant: at most one more than there are parties.
pub(super) async fn of_merchant(
    tx: &mut ReadTx,
    id: SettlementId,
    merchant: MerchantId,
) -> Result<Vec<PaymentLine>, db::Error> {
    store::payments(tx, id, Some(merchant), -1, i64::MAX).await
}

/// The payments within reach that are due and do not go through Stripe, as a file for a bank
/// ([`bank::write`]), and the settlement.
///
/// # Errors
/// [`SettlementError::NotFound`]; [`SettlementError::OutOfTurn`] before they are fixed.
pub async fn bank_file(
    tx: &mut Tx,
    grant: &Grant<ReadSettlements>,
    id: SettlementId,
    currency: Currency,
) -> Result<(Settlement, String), SettlementError> {
    let only = within(grant.reach())?;
    let found = settlements::by_id(tx, id).await?;
    let settlement = found.ok_or(SettlementError::NotFound)?;
    if settlement.state != State::Closed {
        period::step(Some(settlement.state), Act::RecordPayment)?;
    }
    let all = store::payments(tx, id, only, -1, i64::MAX).await?;
    // What goes through Stripe would be paid twice.
    let held = stripe::held(tx, id).await?;
    let due = all
        .iter()
        .filter(|line| line.state == PaymentState::Due && !held.contains(&line.line))
        .map(|line| Order::of(line, settlement.period, currency));
    let file = bank::write(due, currency);
    audited::bank_file(tx, id, audit::Act::BankFileWritten, file.lines().count()).await?;
    Ok((settlement, file))
}

/// Writes down how a payment was made. Said again in the same words it changes nothing; with the
/// last payment the settlement is closed. By [`Method::Deposit`] it takes the payment out of what the
/// operator keeps of who pays.
///
/// # Errors
/// [`PaymentError`], but for `BankFile`.
pub async fn record(
    tx: &mut Tx,
    grant: &Grant<RecordPayment>,
    id: SettlementId,
    line: i32,
    method: Method,
    reference: &str,
    currency: Currency,
) -> Result<PaymentLine, PaymentError> {
    whole_mall(grant.reach()).map_err(|_| PaymentError::UnknownSettlement)?;
    let found = settlements::lock_id(tx, id).await?;
    let mut settlement = found.ok_or(PaymentError::UnknownSettlement)?;
    if settlement.state != State::Closed {
        period::step(Some(settlement.state), Act::RecordPayment)?;
    }
    let found = store::payments(tx, id, None, line.saturating_sub(1), 1).await?;
    let found = found.into_iter().find(|payment| payment.line == line);
    let payment = found.ok_or(PaymentError::UnknownPayment)?;
    if let Some(known) = &payment.record {
        return if known.method == method && known.reference == reference {
            Ok(payment)
        } else {
            Err(PaymentError::AlreadyRecorded)
        };
    }
    if method == Method::Stripe || stripe::held(tx, id).await?.contains(&line) {
        return Err(PaymentError::AtStripe);
    }
    if method == Method::Deposit {
        let (from, wanted) = (payment.payment.from, payment.payment.amount);
        let nobodys = CreditError::TooMuch { deposit: 0, wanted };
        let payer = from.ok_or(nobodys)?;
        credit::draw(tx, payer, wanted, (id, line), currency).await?;
    }
    audited::payment(tx, id, line, method, reference).await?;
    Ok(write_down(tx, &mut settlement, payment, method, reference).await?)
}

/// Writes down how a payment was made that is due; with the last one the settlement is closed.
pub(super) async fn write_down(
    tx: &mut Tx,
    settlement: &mut Settlement,
    mut payment: PaymentLine,
    method: Method,
    reference: &str,
) -> Result<PaymentLine, db::Error> {
    let record = Record {
        method,
        reference: reference.to_owned(),
        executed_on: None,
        recorded_at: tx.now(),
        recorded_by: tx.actor().to_string(),
    };
    payment.state = method.leads_to();
    store::record(tx, settlement.id, &[(payment.line, payment.state, &record)]).await?;
    payment.record = Some(record);
    close_if_paid(tx, settlement).await?;
    Ok(payment)
}

/// Reads what a bank says it executed: each line one of the payments that are due, by reference and
/// amount. A line that was read before changes nothing; with a line that is neither, nothing of the
/// file counts.
///
/// # Errors
/// [`PaymentError::BankFile`] with every line that is wrong; [`PaymentError::UnknownSettlement`],
/// [`PaymentError::OutOfTurn`], [`PaymentError::AtStripe`].
pub async fn import(
    tx: &mut Tx,
    grant: &Grant<RecordPayment>,
    id: SettlementId,
    file: &str,
    currency: Currency,
) -> Result<Imported, PaymentError> {
    whole_mall(grant.reach()).map_err(|_| PaymentError::UnknownSettlement)?;
    let found = settlements::lock_id(tx, id).await?;
    let mut settlement = found.ok_or(PaymentError::UnknownSettlement)?;
    if settlement.state != State::Closed {
        period::step(Some(settlement.state), Act::RecordPayment)?;
    }
    let payments = store::payments(tx, id, None, -1, i64::MAX).await?;
    let matched = bank::matched(file, &payments, currency).map_err(PaymentError::BankFile)?;
    let due = matched
        .iter()
        .filter(|(payment, _)| payment.state == PaymentState::Due);
    let held = stripe::held(tx, id).await?;
    if due.clone().any(|(payment, _)| held.contains(&payment.line)) {
        return Err(PaymentError::AtStripe);
    }
    let records: Vec<(i32, Record)> = due
        .map(|(payment, executed_on)| {
            let record = Record {
                method: Method::BankTransfer,
                reference: payment.reference(),
                executed_on: Some(*executed_on),
                recorded_at: tx.now(),
                recorded_by: tx.actor().to_string(),
            };
            (payment.line, record)
        })
        .collect();
    let paid: Vec<(i32, PaymentState, &Record)> = records
        .iter()
        .map(|(line, record)| (*line, record.method.leads_to(), record))
        .collect();
    if !paid.is_empty() {
        audited::bank_file(tx, id, audit::Act::BankFileRead, paid.len()).await?;
        store::record(tx, id, &paid).await?;
        close_if_paid(tx, &mut settlement).await?;
    }
    Ok(Imported {
        recorded: paid.len(),
        known: matched.len().saturating_sub(paid.len()),
        settlement,
    })
}

/// Ends a confirmed settlement, if nothing of it is due any more.
pub(super) async fn close_if_paid(
    tx: &mut Tx,
    settlement: &mut Settlement,
) -> Result<(), db::Error> {
    if settlement.state == State::Confirmed && !store::is_any_due(tx, settlement.id).await? {
        settlement.state = State::Closed;
        settlement.closed_at = Some(tx.now());
        settlements::update(tx, settlement).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{super::disputes::Outcome, *};

    fn merchant(number: u128) -> MerchantId {
        MerchantId::from_uuid(Uuid::from_u128(number))
    }

    fn told(outcome: Option<Outcome>) -> Vec<(Party, i64)> {
        let (a, c) = (merchant(1), merchant(3));
        let claim = Claim {
            payer: a,
            receiver: c,
            amount: 700,
            returned: 700,
            outcome,
        };
        let owed = owed(&[(a, -120_00), (c, 120_00)], &[claim]).unwrap();
        assert_eq!(owed.values().sum::<i64>(), 0);
        owed.into_iter().collect()
    }

    #[test]
    fn example_l_the_operator_holds_a_disputed_line_and_the_rest_settles() {
        let (a, c) = (Some(merchant(1)), Some(merchant(3)));
        assert_eq!(told(None), [(None, 7_00), (a, -120_00), (c, 113_00)]);
        let upheld = told(Some(Outcome::Upheld));
        assert_eq!(upheld, [(None, 0), (a, -113_00), (c, 113_00)]);
        let rejected = told(Some(Outcome::Rejected));
        assert_eq!(rejected, [(None, 0), (a, -120_00), (c, 120_00)]);
    }

    #[test]
    fn the_operator_has_the_opposite_of_all_nets_whatever_they_are_made_of() {
        let nets = [
            (merchant(1), -6_00),
            (merchant(2), -1_00),
            (merchant(3), 6_86),
        ];
        assert_eq!(owed(&nets, &[]).unwrap()[&None], 14);
        let most = [(merchant(1), i64::MIN)];
        assert_eq!(owed(&most, &[]), Err(AmountError::Overflow));
    }
}

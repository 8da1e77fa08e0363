//! Settling a period: who pays whom for points that one merchant issued and another took. A mall's
//! periods are days, weeks or months of its zone, as its programme says.
//!
//! A period's figures are a pure function of the ledger ([`calculation::calculate`]); they add up to zero
//! over merchants and operator and come down to at most one payment fewer than there are parties
//! ([`netting::payments`]). Anybody with the right to may look at them at any time ([`preview`]).
//!
//! Closing takes two transactions, which a door opens one after the other, or [`close_period`] for
//! it. [`cut_off`] ends the posting in the period: from its commit on no line can be added, and what
//! happened in the period and arrives later belongs to the next one. [`seal`] then counts what can no
//! longer change, proves that it adds up to zero and writes the statements; their lines follow
//! ([`listed`]). Each can be done again without doing anything again, and where the second did not
//! happen, a later close goes on from
//! there. What was written is never changed.
//!
//! From there a settlement takes one step after the other ([`period::step`]): somebody else issues
//! it ([`confirming::issue`]), its merchants confirm ([`confirming::confirm`]) or let the time pass
//! ([`confirming::confirm_due`]), or object to a line ([`disputes`]), whose money the operator then
//! holds while the rest settles. When every statement is confirmed, what is left comes down to
//! payments ([`paying`]), which the ledger gets in the same transaction; they are made outside, or
//! through [`stripe`], and recorded here, and with the last of them the settlement is closed. How far one act goes is the
//! matter of the mall's programme ([`period::Course`]).

#![deny(clippy::arithmetic_side_effects)]

mod agreed;
mod audited;
pub mod calculation;
pub mod confirming;
pub mod covering;
pub mod disputes;
pub mod document;
pub mod due;
pub mod figures;
pub mod journal;
pub mod lights;
mod lines;
pub mod listed;
pub mod netting;
pub mod paying;
pub mod period;
pub mod recalculation;
pub mod revenue;
mod sheet;
mod store;
pub mod stripe;
mod terms;

pub use agreed::Agreed;
pub use document::{Document, Face, PrintError};
pub use lines::{Line, LineKind};
pub use listed::{line, lines};
pub use paying::{PaymentLine, payments};
pub use period::{Approval, Course, State, StatementState};
pub use sheet::csv;
pub use terms::{Model, Terms, TermsError};

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{
    audit,
    authz::{
        action::{CloseSettlement, PreviewSettlement, ReadSettlements, ReadStatements},
        actor::Reach,
        grant::Grant,
    },
    db::{
        self, Db,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{MerchantId, SettlementId, StatementId},
        money::Currency,
        page::{CursorError, MOST, Page, Slice, hex},
        text::{Code, Language},
        time::{Instant, OtherUnit, Period, Zone},
    },
    ledger::{self, Flow},
    merchants,
};
use calculation::{Basis, Calculation, Position};
use netting::NettingError;
use period::{Act, OutOfTurn};

/// A period that was cut off or closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Its id.
    pub id: SettlementId,
    /// Which period.
    pub period: Period,
    /// How far it is.
    pub state: State,
    /// Which figures it has; [`calculation::FORM`] today.
    pub form: i32,
    /// The operator's fee, as the programme said at the cut-off.
    pub fee_basis_points: i64,
    /// Who issues it and how long its merchants have to answer, as the programme said then.
    pub course: Course,
    /// When its last line could be added.
    pub cut_off_at: Instant,
    /// When its figures were written.
    pub proofed_at: Option<Instant>,
    /// Who cut it off or, once they are written, wrote its figures.
    pub actor: String,
    /// SHA-256 over its figures ([`Calculation::canonical`]), 64 hexadecimal digits.
    pub digest: Option<String>,
    /// When its merchants could see it first.
    pub issued_at: Option<Instant>,
    /// Who let them.
    pub issued_by: Option<String>,
    /// The first moment at which what they have not answered is confirmed by itself.
    pub confirm_by: Option<Instant>,
    /// When the last statement was confirmed, and its payments were fixed.
    pub confirmed_at: Option<Instant>,
    /// When the last payment was recorded.
    pub closed_at: Option<Instant>,
}

/// A merchant's part of a closed period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its id.
    pub id: StatementId,
    /// Of which settlement.
    pub settlement: SettlementId,
    /// Of which period.
    pub period: Period,
    /// Whose.
    pub merchant: MerchantId,
    /// What lists call the merchant.
    pub code: Code,
    /// The figures.
    pub position: Position,
    /// What the merchant said to it.
    pub state: StatementState,
    /// When it was confirmed, by the merchant or by time.
    pub confirmed_at: Option<Instant>,
}

/// What a period comes to so far.
#[derive(Debug, Clone)]
pub struct Preview {
    /// Which period.
    pub period: Period,
    /// How far it is; none while lines are still added.
    pub state: Option<State>,
    /// The fee that it was calculated with.
    pub fee_basis_points: i64,
    /// The figures.
    pub calculation: Calculation,
    /// What lists call the merchants.
    pub codes: BTreeMap<MerchantId, Code>,
}

/// What a close came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The period, as far as it came.
    pub settlement: Settlement,
    /// Whether this close wrote its figures; false where they were written already.
    pub fresh: bool,
}

/// Why something about settlements is refused.
#[derive(Debug, Error)]
pub enum SettlementError {
    /// No such settlement or statement, or none within reach.
    #[error("there is no such settlement")]
    NotFound,
    /// A period that is none of this mall's.
    #[error(transparent)]
    OtherUnit(#[from] OtherUnit),
    /// A period that goes on.
    #[error("the period {period} is not over before {ends_at}")]
    PeriodNotOver {
        /// Which period.
        period: Period,
        /// Its end in the mall's zone.
        ends_at: Instant,
    },
    /// [`seal`] without [`cut_off`] before it: a mistake of ours.
    #[error("the period {0} is not cut off yet")]
    NotCutOff(Period),
    /// Not the next step of this settlement.
    #[error(transparent)]
    OutOfTurn(#[from] OutOfTurn),
    /// Who wrote the figures would put them out as well.
    #[error(
        "who closed a period does not issue its settlement: this mall asks for a second person"
    )]
    NeedsSecondPerson,
    /// A statement that is confirmed.
    #[error("the statement is confirmed already")]
    StatementConfirmed,
    /// Merchants who have time left.
    #[error("the merchants have time to answer until {confirm_by}")]
    NotDue {
        /// The first moment at which their silence counts.
        confirm_by: Instant,
    },
    /// Figures that the books cannot hold or that do not add up.
    #[error(transparent)]
    Figures(#[from] NettingError),
    /// Lines of a large period, which are being written down behind its figures.
    #[error("{done} of the period's {all} lines are listed so far")]
    NotListed {
        /// So many are.
        done: i64,
        /// So many there are.
        all: i64,
    },
    /// A page that begins after something that is no place in this list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// What a period would settle to if it were closed now; of a closed one, what it did settle to. Of
/// one that is confirmed the payments are those that were fixed then: money of disputed lines may
/// have changed them.
///
/// # Errors
/// [`SettlementError::NotFound`] for whoever does not reach the whole mall,
/// [`SettlementError::OtherUnit`].
pub async fn preview(
    tx: &mut ReadTx,
    grant: &Grant<PreviewSettlement>,
    period: Period,
    terms: &Terms,
    zone: Zone,
) -> Result<Preview, SettlementError> {
    whole_mall(grant.reach())?;
    let known = of_period(tx, period).await?;
    let fee_basis_points = known
        .as_ref()
        .map_or(terms.fee_basis_points, |known| known.fee_basis_points);
    store::take_time(tx).await?;
    let agreed = agreed(tx, period, zone).await?;
    let flows = ledger::flows(tx, period, agreed.eras()).await?;
    let (mut calculation, codes) =
        calculate(tx, period, fee_basis_points, &agreed, &flows.sums).await?;
    if let Some(known) = known.as_ref().filter(|known| known.confirmed_at.is_some()) {
        calculation.payments = paying::fixed(tx, known.id).await?;
    }
    Ok(Preview {
        period,
        state: known.map(|known| known.state),
        fee_basis_points,
        calculation,
        codes,
    })
}

/// Ends the posting in a period that is over in `zone`: after the commit no line can be added to it.
/// The fee and the course of that moment are the period's. A period that was cut off already stays as it is.
///
/// # Errors
/// [`SettlementError::OtherUnit`], [`SettlementError::PeriodNotOver`]; [`db::Error::Retry`] where a till under way takes longer than
/// the lock timeout.
pub async fn cut_off(
    tx: &mut Tx,
    grant: &Grant<CloseSettlement>,
    period: Period,
    terms: &Terms,
    zone: Zone,
) -> Result<Settlement, SettlementError> {
    whole_mall(grant.reach())?;
    if let Some(known) = of_period(tx, period).await? {
        return Ok(known);
    }
    let (_, ends_at) = period.span(zone);
    if tx.now() < ends_at {
        return Err(SettlementError::PeriodNotOver { period, ends_at });
    }
    ledger::cut_off(tx, period).await?;
    let new = Settlement {
        id: tx.new_id(),
        period,
        state: period::step(None, Act::CutOff)?,
        form: calculation::FORM,
        fee_basis_points: terms.fee_basis_points,
        course: terms.course,
        cut_off_at: tx.now(),
        proofed_at: None,
        actor: tx.actor().to_string(),
        digest: None,
        issued_at: None,
        issued_by: None,
        confirm_by: None,
        confirmed_at: None,
        closed_at: None,
    };
    store::insert(tx, &new).await?;
    audited::step(tx, audit::Act::PeriodCutOff, &new).await?;
    let known = store::of_period(tx, period).await?;
    known.ok_or(SettlementError::NotCutOff(period))
}

/// Writes the figures of a period that was cut off, and goes on as far as the programme lets one act
/// go. A period whose figures are written is given back as it is.
///
/// # Errors
/// [`SettlementError::NotCutOff`], [`SettlementError::Figures`].
pub async fn seal(
    tx: &mut Tx,
    grant: &Grant<CloseSettlement>,
    period: Period,
    zone: Zone,
    currency: Currency,
) -> Result<Sealed, SettlementError> {
    whole_mall(grant.reach())?;
    let mut settlement = lock(tx, period)
        .await?
        .ok_or(SettlementError::NotCutOff(period))?;
    let Ok(proofed) = period::step(Some(settlement.state), Act::Proof) else {
        return Ok(Sealed {
            settlement,
            fresh: false,
        });
    };
    let fee = settlement.fee_basis_points;
    store::take_time(tx).await?;
    let agreed = agreed(tx, period, zone).await?;
    let flows = ledger::flows(tx, period, agreed.eras()).await?;
    let (calculation, codes) = calculate(tx, period, fee, &agreed, &flows.sums).await?;
    let mut rows = Vec::with_capacity(codes.len());
    for (merchant, position) in &calculation.merchants {
        let code = codes.get(merchant).cloned();
        let code = code.ok_or(db::Error::Corrupt("merchant of a settlement"))?;
        rows.push((tx.new_id(), *merchant, code, *position));
    }
    store::insert_statements(tx, settlement.id, &rows).await?;
    store::insert_lines(tx, settlement.id, &calculation.lines).await?;
    listed::begin(tx, period, flows.lines).await?;
    settlement.state = proofed;
    settlement.proofed_at = Some(tx.now());
    settlement.actor = tx.actor().to_string();
    let canonical = calculation.canonical(period, fee, settlement.form);
    settlement.digest = Some(digest(&canonical));
    store::update(tx, &settlement).await?;
    audited::step(tx, audit::Act::SettlementCalculated, &settlement).await?;
    if settlement.course.approval == Approval::One {
        confirming::put_out(tx, &mut settlement, zone, currency).await?;
    }
    Ok(Sealed {
        settlement,
        fresh: true,
    })
}

/// [`cut_off`] and then [`seal`], each in a transaction of its own.
///
/// # Errors
/// As both.
pub async fn close_period(
    db: &Db,
    grant: &Grant<CloseSettlement>,
    period: Period,
    terms: &Terms,
    zone: Zone,
    currency: Currency,
) -> Result<Sealed, SettlementError> {
    let mut tx = db.write(grant).await?;
    cut_off(&mut tx, grant, period, terms, zone).await?;
    tx.commit().await?;
    let mut tx = db.write(grant).await?;
    let sealed = seal(&mut tx, grant, period, zone, currency).await?;
    tx.commit().await?;
    Ok(sealed)
}

/// Periods that were cut off or closed, the newest first.
///
/// # Errors
/// [`SettlementError::Cursor`].
pub async fn list(
    tx: &mut ReadTx,
    grant: &Grant<ReadSettlements>,
    slice: &Slice,
) -> Result<Page<Settlement>, SettlementError> {
    within(grant.reach())?;
    let before = match &slice.after {
        Some(key) => key.parse::<Period>().map_err(|_| CursorError)?.first_day(),
        None => chrono::NaiveDate::MAX,
    };
    let limit = limit(slice);
    let rows = store::before(tx, before, limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, limit, |row| row.period.to_string()))
}

/// One of them.
///
/// # Errors
/// [`SettlementError::NotFound`].
pub async fn get(
    tx: &mut ReadTx,
    grant: &Grant<ReadSettlements>,
    id: SettlementId,
) -> Result<Settlement, SettlementError> {
    within(grant.reach())?;
    let found = store::by_id(tx, id).await?;
    found.ok_or(SettlementError::NotFound)
}

/// The statements of a period within reach, in the order in which the merchants joined; a merchant
/// sees its own once it is issued.
///
/// # Errors
/// [`SettlementError::NotFound`], [`SettlementError::Cursor`].
pub async fn statements(
    tx: &mut ReadTx,
    grant: &Grant<ReadStatements>,
    id: SettlementId,
    slice: &Slice,
) -> Result<Page<Statement>, SettlementError> {
    let only = within(grant.reach())?;
    let found = store::by_id(tx, id).await?;
    let settlement = found.ok_or(SettlementError::NotFound)?;
    let after = match &slice.after {
        Some(key) => key.parse().map_err(|_| CursorError)?,
        None => MerchantId::from_uuid(uuid::Uuid::nil()),
    };
    let limit = limit(slice);
    let rows = store::statements(tx, settlement.id, only, after, limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, limit, |row| row.merchant.to_string()))
}

/// The statements of a period within reach as one [`csv()`] in the order of the merchants' codes,
/// and the period: the same bytes that a preview of the whole period gave in that language.
///
/// # Errors
/// [`SettlementError::NotFound`].
pub async fn sheet(
    tx: &mut ReadTx,
    grant: &Grant<ReadStatements>,
    id: SettlementId,
    currency: Currency,
    language: Language,
) -> Result<(Period, String), SettlementError> {
    let found = store::by_id(tx, id).await?;
    let period = found.ok_or(SettlementError::NotFound)?.period;
    let mut slice = Slice {
        limit: MOST,
        after: None,
    };
    let mut all = Vec::new();
    loop {
        let mut page = statements(tx, grant, id, &slice).await?;
        all.append(&mut page.items);
        match page.next {
            Some(next) => slice.after = Some(next),
            None => break,
        }
    }
    all.sort_by(|one, other| one.code.cmp(&other.code));
    let rows = all.iter().map(|one| (&one.code, &one.position));
    Ok((period, csv(language, period, currency, rows)))
}

/// One statement.
///
/// # Errors
/// [`SettlementError::NotFound`], also for another merchant's, and to a merchant for its own before
/// it is issued.
pub async fn statement(
    tx: &mut ReadTx,
    grant: &Grant<ReadStatements>,
    id: StatementId,
) -> Result<Statement, SettlementError> {
    let found = statement_within(tx, grant.reach(), id).await?;
    found.ok_or(SettlementError::NotFound)
}

/// A statement that somebody with that reach may see.
async fn statement_within(
    tx: &mut ReadTx,
    reach: Reach,
    id: StatementId,
) -> Result<Option<Statement>, db::Error> {
    let found = store::statement(tx, id).await?;
    Ok(found.filter(|found| {
        reach.covers(found.merchant) && (reach == Reach::Mall || found.state.is_issued())
    }))
}

/// The lines that a statement's net is the sum of: by kind and partner, in the order of both.
///
/// # Errors
/// As [`statement`]; [`SettlementError::Cursor`].
pub async fn sums(
    tx: &mut ReadTx,
    grant: &Grant<ReadStatements>,
    id: StatementId,
    slice: &Slice,
) -> Result<Page<(i32, Line)>, SettlementError> {
    let found = statement(tx, grant, id).await?;
    let after = match &slice.after {
        Some(key) => key.parse().map_err(|_| CursorError)?,
        None => -1,
    };
    let limit = limit(slice);
    let (of, whose) = (found.settlement, found.merchant);
    let rows = store::lines(tx, of, whose, after, limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, limit, |(line, _)| line.to_string()))
}

/// The settlement of a period of the mall's unit. A date alone does not tell: months begin on Mondays
/// too.
async fn of_period(tx: &mut ReadTx, period: Period) -> Result<Option<Settlement>, SettlementError> {
    let period = period.of_unit(ledger::periods::unit(tx).await?)?;
    Ok(store::of_period(tx, period).await?)
}

/// The same, locked until the transaction ends.
async fn lock(tx: &mut Tx, period: Period) -> Result<Option<Settlement>, SettlementError> {
    let period = period.of_unit(ledger::periods::unit(tx).await?)?;
    Ok(store::lock(tx, period).await?)
}

/// What was agreed on with whom, as of a period.
async fn agreed(tx: &mut ReadTx, period: Period, zone: Zone) -> Result<Agreed, db::Error> {
    let (start, end) = period.span(zone);
    let versions = merchants::agreements::accepted_before(tx, end).await?;
    Ok(Agreed::new(versions, start))
}

/// A period's figures and the codes of its merchants.
async fn calculate(
    tx: &mut ReadTx,
    period: Period,
    fee_basis_points: i64,
    agreed: &Agreed,
    flows: &[Flow],
) -> Result<(Calculation, BTreeMap<MerchantId, Code>), SettlementError> {
    let adjustments = disputes::adjustments(tx, period).await?;
    let prepaid = merchants::credit::advances(tx, period).await?;
    let claims = covering::carried_into(tx, period).await?;
    let basis = Basis {
        fee_basis_points,
        agreed,
        adjustments: &adjustments,
        prepaid: &prepaid,
        claims: &claims,
    };
    let calculation = calculation::calculate(flows, &basis)?;
    let ids: Vec<MerchantId> = calculation.merchants.keys().copied().collect();
    let codes: HashMap<MerchantId, Code> = merchants::codes(tx, &ids).await?;
    Ok((calculation, codes.into_iter().collect()))
}

/// SHA-256 of a text, as 64 hexadecimal digits.
fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn limit(slice: &Slice) -> i64 {
    slice.limit.clamp(1, MOST)
}

fn whole_mall(reach: Reach) -> Result<(), SettlementError> {
    match reach {
        Reach::Mall => Ok(()),
        Reach::Merchant(_) | Reach::Member(_) => Err(SettlementError::NotFound),
    }
}

/// The only merchant that a right within settlements covers; none covers all of them.
fn within(reach: Reach) -> Result<Option<MerchantId>, SettlementError> {
    match reach {
        Reach::Mall => Ok(None),
        Reach::Merchant(own) => Ok(Some(own)),
        Reach::Member(_) => Err(SettlementError::NotFound),
    }
}

//! Objections to lines of a statement: only the money of such a line waits for a decision.
//!
//! A dispute is about one line by which points of one merchant moved to or from another, and money
//! with them: the line's own money, whatever fee the operator takes of it. Who is one of the two may
//! raise it, until its statement is confirmed. While nobody has decided, the operator holds the money
//! instead of whoever would receive it; upheld, each gets back what it gave, rejected, the receiver
//! has it. Where the operator or the pool bears part of the line, that part stays with the operator.
//!
//! What is decided before the settlement is confirmed only changes what its payments are. What is
//! decided later becomes part of the first period that is still open ([`adjustments`]), because
//! nothing that was confirmed is changed.
//!
//! Source: settlement.md, example L.

mod store;

use thiserror::Error;

use super::{
    agreed,
    agreed::Agreed,
    calculation::Adjustment,
    lines::Shares,
    paying::Claim,
    period::{self, Act, OutOfTurn, end_of_day},
    statement_within, store as settlements,
};
use crate::{
    audit::{self, Done, Field},
    authz::{
        action::{DecideDispute, RaiseDispute, ReadDisputes},
        actor::Reach,
        grant::Grant,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        AmountError,
        ids::{DisputeId, JournalId, MerchantId, SettlementId, StatementId},
        page::{CursorError, MOST, Page, Slice},
        time::{Instant, Period, Zone},
    },
    ledger::{self, FlowKind, FlowLine},
};

/// How many whole days the operator has to decide.
pub const DECISION_DAYS: u32 = 30;

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The line does not hold: who would pay for it does not.
    Upheld,
    /// The line holds.
    Rejected,
}

/// How far a dispute is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisputeState {
    /// Nobody has decided.
    Open,
    /// The line does not hold.
    Upheld,
    /// The line holds.
    Rejected,
}

impl DisputeState {
    const ALL: [Self; 3] = [Self::Open, Self::Upheld, Self::Rejected];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Upheld => "upheld",
            Self::Rejected => "rejected",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// What was decided, if anything.
    pub const fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Open => None,
            Self::Upheld => Some(Outcome::Upheld),
            Self::Rejected => Some(Outcome::Rejected),
        }
    }
}

impl From<Outcome> for DisputeState {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Upheld => Self::Upheld,
            Outcome::Rejected => Self::Rejected,
        }
    }
}

/// What was decided, by whom and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// When.
    pub decided_at: Instant,
    /// By whom.
    pub decided_by: String,
    /// Why, in the operator's words.
    pub note: String,
}

/// An objection to a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    /// Its id.
    pub id: DisputeId,
    /// Of which settlement the line is.
    pub settlement: SettlementId,
    /// Of which period.
    pub period: Period,
    /// Who objects.
    pub merchant: MerchantId,
    /// The line's event, and
    pub journal: JournalId,
    /// its number within that.
    pub line: i32,
    /// Who pays for the line.
    pub payer: MerchantId,
    /// Who receives for it.
    pub receiver: MerchantId,
    /// What the receiver gets for the line, which waits for the decision; in minor units, not below
    /// zero.
    pub amount: i64,
    /// What the payer gives for it, and gets back if the line does not hold; in minor units, not
    /// below zero. The operator, or the pool, has or bears the difference.
    pub returned: i64,
    /// Why, in the merchant's words.
    pub reason: String,
    /// How far it is.
    pub state: DisputeState,
    /// Whether the operator has or had the money, because the period was confirmed before anybody
    /// decided.
    pub held: bool,
    /// When it was raised.
    pub raised_at: Instant,
    /// By whom.
    pub raised_by: String,
    /// The first moment at which a decision is late.
    pub decide_by: Instant,
    /// The decision.
    pub decision: Option<Decision>,
}

/// A line that a merchant objects to.
#[derive(Debug, Clone)]
pub struct Objection {
    /// In which statement.
    pub statement: StatementId,
    /// The line's event, and
    pub journal: JournalId,
    /// its number within that.
    pub line: i32,
    /// Why.
    pub reason: String,
}

/// Why something about disputes is refused.
#[derive(Debug, Error)]
pub enum DisputeError {
    /// No such statement, or none within reach.
    #[error("there is no such statement")]
    UnknownStatement,
    /// A line that is none of this statement.
    #[error("the statement has no such line")]
    UnknownLine,
    /// No such dispute, or none within reach.
    #[error("there is no such dispute")]
    UnknownDispute,
    /// A line for which no merchant gets or gives anything, or only to itself.
    #[error("no merchant gets or gives money for this line")]
    MovesNothing,
    /// A line that was objected to before, by either side.
    #[error("the line is disputed already")]
    AlreadyDisputed,
    /// A statement that is confirmed, by its merchant or by time.
    #[error("the statement could be disputed until {until}")]
    TooLate {
        /// When it was confirmed, or would have been.
        until: Instant,
    },
    /// A dispute that was decided.
    #[error("the dispute is decided already")]
    AlreadyDecided,
    /// Who raised a dispute would decide it as well.
    #[error("who raised a dispute does not decide it")]
    NeedsSecondPerson,
    /// A line whose worth cannot be shared out.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// Not a moment for this.
    #[error(transparent)]
    OutOfTurn(#[from] OutOfTurn),
    /// A page that begins after something that is no place in this list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// Who pays whom for a line: the payer, what it gives, the receiver, what it gets.
struct Crossing {
    payer: MerchantId,
    gives: i64,
    receiver: MerchantId,
    gets: i64,
}

/// How the money of a line crosses between merchants; none where it does not.
///
/// # Errors
/// [`AmountError`] for a worth below zero.
fn crossing(line: &FlowLine, agreed: &Agreed) -> Result<Option<Crossing>, AmountError> {
    let shares = Shares::of(agreed.at(line.from, line.earned_at), line.value)?;
    let received = line.value.checked_sub(shares.redeemer);
    let received = received.ok_or(AmountError::Overflow)?;
    let crossing = match line.kind {
        FlowKind::Issued | FlowKind::TakenBack | FlowKind::Owed | FlowKind::Expired => {
            return Ok(None);
        }
        FlowKind::Accepted => Crossing {
            payer: line.from,
            gives: shares.issuer,
            receiver: line.by,
            gets: received,
        },
        FlowKind::GivenBack => Crossing {
            payer: line.by,
            gives: received,
            receiver: line.from,
            gets: shares.issuer,
        },
    };
    let moves = crossing.payer != crossing.receiver && (crossing.gives, crossing.gets) != (0, 0);
    Ok(moves.then_some(crossing))
}

/// Objects to a line of one's own statement.
///
/// # Errors
/// [`DisputeError`]: the statement, then whether there is still time, then the line.
pub async fn raise(
    tx: &mut Tx,
    grant: &Grant<RaiseDispute>,
    objection: &Objection,
    zone: Zone,
) -> Result<Dispute, DisputeError> {
    let seen = statement_within(tx, grant.reach(), objection.statement).await?;
    let seen = seen.ok_or(DisputeError::UnknownStatement)?;
    let found = settlements::lock_id(tx, seen.settlement).await?;
    let settlement = found.ok_or(DisputeError::UnknownStatement)?;
    // As it is now that nobody else is at it.
    let found = settlements::statement(tx, seen.id).await?;
    let statement = found.ok_or(DisputeError::UnknownStatement)?;
    let now = tx.now();
    let ends = [statement.confirmed_at, settlement.confirm_by];
    if let Some(until) = ends
        .into_iter()
        .flatten()
        .min()
        .filter(|until| *until <= now)
    {
        return Err(DisputeError::TooLate { until });
    }
    period::step(Some(settlement.state), Act::RaiseDispute)?;
    let (journal, line) = (objection.journal, objection.line);
    let found = ledger::flow_line(tx, settlement.period, journal, line).await?;
    let flow = found.filter(|line| line.concerns(statement.merchant));
    let flow = flow.ok_or(DisputeError::UnknownLine)?;
    let agreed = agreed(tx, settlement.period, zone).await?;
    let crossing = crossing(&flow, &agreed)?.ok_or(DisputeError::MovesNothing)?;
    let dispute = Dispute {
        id: tx.new_id(),
        settlement: settlement.id,
        period: settlement.period,
        merchant: statement.merchant,
        journal,
        line,
        payer: crossing.payer,
        receiver: crossing.receiver,
        amount: crossing.gets,
        returned: crossing.gives,
        reason: objection.reason.clone(),
        state: DisputeState::Open,
        held: false,
        raised_at: now,
        raised_by: tx.actor().to_string(),
        decide_by: end_of_day(now, DECISION_DAYS, zone),
        decision: None,
    };
    if !store::insert(tx, &dispute).await? {
        return Err(DisputeError::AlreadyDisputed);
    }
    let done = Done::to(audit::Act::DisputeRaised, dispute.id)
        .is(Field::Merchant, audit::id(dispute.merchant))
        .is(Field::Period, dispute.period.to_string())
        .is(Field::Amount, dispute.amount);
    audit::record(tx, done.because(&dispute.reason)).await?;
    Ok(dispute)
}

/// Says who gets the money of a disputed line. Where the operator holds it, that becomes part of the
/// first period that is still open.
///
/// # Errors
/// [`DisputeError::UnknownDispute`], [`DisputeError::AlreadyDecided`],
/// [`DisputeError::NeedsSecondPerson`].
pub async fn decide(
    tx: &mut Tx,
    grant: &Grant<DecideDispute>,
    id: DisputeId,
    outcome: Outcome,
    note: &str,
) -> Result<Dispute, DisputeError> {
    if grant.reach() != Reach::Mall {
        return Err(DisputeError::UnknownDispute);
    }
    let found = store::by_id(tx, id).await?;
    let seen = found.ok_or(DisputeError::UnknownDispute)?;
    let found = settlements::lock_id(tx, seen.settlement).await?;
    let settlement = found.ok_or(DisputeError::UnknownDispute)?;
    // As it is now that nobody else is at it.
    let found = store::by_id(tx, id).await?;
    let mut dispute = found.ok_or(DisputeError::UnknownDispute)?;
    if dispute.state != DisputeState::Open {
        return Err(DisputeError::AlreadyDecided);
    }
    period::step(Some(settlement.state), Act::DecideDispute)?;
    if dispute.raised_by == tx.actor().to_string() {
        return Err(DisputeError::NeedsSecondPerson);
    }
    dispute.state = outcome.into();
    let decision = Decision {
        decided_at: tx.now(),
        decided_by: tx.actor().to_string(),
        note: note.to_owned(),
    };
    store::decide(tx, id, dispute.state, &decision).await?;
    let (before, after) = (DisputeState::Open.as_str(), dispute.state.as_str());
    let done = Done::to(audit::Act::DisputeDecided, id);
    let done = done.changed(Field::State, before, after).because(note);
    audit::record(tx, done).await?;
    dispute.decision = Some(decision);
    if dispute.held {
        let (merchant, amount) = match outcome {
            Outcome::Upheld => (dispute.payer, dispute.returned),
            Outcome::Rejected => (dispute.receiver, dispute.amount),
        };
        if amount > 0 {
            // Until the commit nobody cuts that period off.
            let period = ledger::open_period(tx).await?;
            store::adjust(tx, id, period, Adjustment { merchant, amount }).await?;
        }
    }
    Ok(dispute)
}

/// The disputes of a settlement as they count when its payments are fixed; from now on the operator
/// holds what nobody has decided on.
pub(super) async fn hold(tx: &mut Tx, settlement: SettlementId) -> Result<Vec<Claim>, db::Error> {
    let claims = store::claims(tx, settlement).await?;
    if claims.iter().any(|claim| claim.outcome.is_none()) {
        store::hold(tx, settlement).await?;
    }
    Ok(claims)
}

/// What was decided after its own period was confirmed and is part of this one: of each the operator
/// has the opposite. A period that was cut off cannot gain any.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn adjustments(tx: &mut ReadTx, period: Period) -> Result<Vec<Adjustment>, db::Error> {
    store::adjustments(tx, period).await
}

/// The newest disputes first, those of one state where one is named; a merchant sees those about
/// lines that it pays or receives for.
///
/// # Errors
/// [`DisputeError::Cursor`].
pub async fn list(
    tx: &mut ReadTx,
    grant: &Grant<ReadDisputes>,
    state: Option<DisputeState>,
    slice: &Slice,
) -> Result<Page<Dispute>, DisputeError> {
    let only = match grant.reach() {
        Reach::Mall => None,
        Reach::Merchant(own) => Some(own),
        Reach::Member(_) => return Err(DisputeError::UnknownDispute),
    };
    let before = match &slice.after {
        Some(key) => key.parse().map_err(|_| CursorError)?,
        None => DisputeId::from_uuid(uuid::Uuid::max()),
    };
    let limit = slice.limit.clamp(1, MOST);
    let rows = store::before(tx, only, state, before, limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, limit, |row| row.id.to_string()))
}

/// One of them.
///
/// # Errors
/// [`DisputeError::UnknownDispute`].
pub async fn get(
    tx: &mut ReadTx,
    grant: &Grant<ReadDisputes>,
    id: DisputeId,
) -> Result<Dispute, DisputeError> {
    let found = store::by_id(tx, id).await?;
    let covers = |dispute: &Dispute| {
        grant.reach().covers(dispute.payer) || grant.reach().covers(dispute.receiver)
    };
    found.filter(covers).ok_or(DisputeError::UnknownDispute)
}

//! The isolation self-test: really tries to get out of a mall, on the live mall, and says what came of
//! each attempt.
//!
//! The proof of the books asks PostgreSQL which rights there are; this one does what those rights are
//! to prevent. Every attempt is made with the mall's own role in a [`Trial`], which keeps nothing. An
//! attempt counts as refused only by an SQLSTATE that stands with it: one that failed in another way
//! (a table that is not there any more, a server that runs out of memory) shows nothing, and so the
//! test does not hold.
//!
//! What it cannot show: the login of the server may put on the role of every mall, because it serves
//! them all. What keeps a request with its own mall's role is the program, which turns no text from
//! outside into SQL; the report says so ([`Why::ByDesign`]) instead of passing over it.

mod attempts;
mod store;

use thiserror::Error;

use self::attempts::{ATTEMPTS, Target};
use super::proof::{self, Check};
use crate::{
    authz::{action::VerifyIsolation, grant::Grant},
    db::{self, Db, trial::Trial},
    kernel::{text::Language, time::Instant},
    texts::text,
};

/// Why the self-test was not made.
#[derive(Debug, Error)]
pub enum IsolationError {
    /// One is under way in the same mall on this server.
    #[error("the self-test of this mall is under way already")]
    UnderWay,
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// What came of all attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// When it was.
    pub at: Instant,
    /// How many other malls were tried to get into, at most three.
    pub others: usize,
    /// The attempts, in a fixed order.
    pub attempts: Vec<Attempt>,
    /// The rights by which PostgreSQL decides, asked as the proof of the books asks them.
    pub rights: Vec<Check>,
}

/// Something that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its name, which never changes its meaning: `read-other-mall`.
    pub name: &'static str,
    /// The statements; `{own}` is the mall's schema and role, `{name}` what was tried to get at.
    pub statements: &'static [&'static str],
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// PostgreSQL refused every statement, by these SQLSTATEs.
    Refused(Vec<String>),
    /// PostgreSQL did what this statement says: the wall has a hole.
    GotThrough(&'static str),
    /// This statement failed by an SQLSTATE that shows nothing about the wall.
    Failed(&'static str, String),
    /// It was not tried.
    NotTried(Why),
}

/// Why something was not tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No other mall is in this database.
    NoOtherMall,
    /// What it is about is not in this database.
    NotHere,
    /// It is no wall of the database: one login serves every mall.
    ByDesign,
}

impl Why {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::NoOtherMall, Self::NotHere, Self::ByDesign];

    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoOtherMall => "no-other-mall",
            Self::NotHere => "not-here",
            Self::ByDesign => "by-design",
        }
    }

    /// What people read.
    pub fn words(self, language: Language) -> String {
        text(language, &format!("isolation-why-{}", self.as_str()))
    }
}

impl Outcome {
    /// As the API writes it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::GotThrough(_) => "got-through",
            Self::Failed(..) => "failed",
            Self::NotTried(_) => "not-tried",
        }
    }

    /// Whether there is nothing to do about it.
    pub const fn is_fine(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::NotTried(_))
    }

    /// SQLSTATEs, the statement that was not refused as it should be, and why nothing was tried.
    pub fn details(&self) -> (Vec<String>, Option<&'static str>, Option<Why>) {
        match self {
            Self::Refused(states) => (states.clone(), None, None),
            Self::GotThrough(statement) => (Vec::new(), Some(statement), None),
            Self::Failed(statement, state) => (vec![state.clone()], Some(statement), None),
            Self::NotTried(why) => (Vec::new(), None, Some(*why)),
        }
    }
}

impl Attempt {
    /// What was tried, in words.
    pub fn what(&self, language: Language) -> String {
        text(language, &format!("isolation-try-{}", self.name))
    }
}

impl Report {
    /// Whether nothing got through, nothing failed for another reason, and the rights are as they
    /// should be.
    pub fn holds(&self) -> bool {
        self.attempts
            .iter()
            .all(|attempt| attempt.outcome.is_fine())
            && self.rights.iter().all(|check| check.holds)
    }

    /// How many attempts and rights are not as they should be.
    pub fn broken(&self) -> usize {
        let attempts = self.attempts.iter();
        let rights = self.rights.iter();
        attempts
            .filter(|attempt| !attempt.outcome.is_fine())
            .count()
            .saturating_add(rights.filter(|check| !check.holds).count())
    }
}

/// The names of all attempts, in the order of the report.
pub fn names() -> impl Iterator<Item = &'static str> {
    ATTEMPTS.iter().map(|attempt| attempt.name)
}

/// Makes every attempt; nothing is changed by it, in this mall or elsewhere.
///
/// # Errors
/// [`IsolationError`]. A wall with a hole is no error but an outcome.
pub async fn verify(db: &Db, grant: &Grant<VerifyIsolation>) -> Result<Report, IsolationError> {
    let trial = db.trial(grant).await?;
    let mut trial = trial.ok_or(IsolationError::UnderWay)?;
    let others = store::other_malls(&mut trial).await?;
    let administrators = store::administrators(&mut trial).await?;
    let mut attempts = Vec::new();
    for plan in ATTEMPTS {
        let nothing = [String::new()];
        let (names, without) = match plan.target {
            Target::Here => (&nothing[..], Why::NotHere),
            Target::OtherMall => (&others[..], Why::NoOtherMall),
            Target::Administrator => (&administrators[..], Why::NotHere),
            Target::Table(schema, table) if store::is_there(&mut trial, schema, table).await? => {
                (&nothing[..], Why::NotHere)
            }
            Target::Table(..) => (&[][..], Why::NotHere),
            Target::Unwalled => (&[][..], Why::ByDesign),
        };
        let outcome = if names.is_empty() {
            Outcome::NotTried(without)
        } else {
            attempt(&mut trial, plan, names).await?
        };
        attempts.push(Attempt {
            name: plan.name,
            statements: plan.statements,
            outcome,
        });
    }
    Ok(Report {
        at: trial.now(),
        others: others.len(),
        attempts,
        rights: proof::walls(&mut trial).await?,
    })
}

/// Every statement of an attempt against each of `names`; the worst that came of them. A mall that
/// went away meanwhile, because it moved or ended, counts for nothing.
async fn attempt(
    trial: &mut Trial,
    plan: &attempts::Plan,
    names: &[String],
) -> Result<Outcome, db::Error> {
    let (mut states, mut failed) = (Vec::<String>::new(), None);
    for name in names {
        for statement in plan.statements {
            let Some(state) = trial.attempt(statement, name).await? else {
                return Ok(Outcome::GotThrough(statement));
            };
            if plan.refusals.contains(&state.as_str()) {
                if !states.contains(&state) {
                    states.push(state);
                }
                continue;
            }
            let mall = matches!(plan.target, Target::OtherMall);
            if mall && !store::has_tables(trial, name).await? {
                break;
            }
            failed.get_or_insert((*statement, state));
        }
    }
    Ok(match failed {
        Some((statement, state)) => Outcome::Failed(statement, state),
        None if states.is_empty() => Outcome::NotTried(Why::NoOtherMall),
        None => Outcome::Refused(states),
    })
}

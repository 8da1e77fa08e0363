//! Whether the mall's walls hold.

use poem_openapi::{Enum, Object, OpenApi};

use super::books::CheckOut;
use crate::{
    api::Group,
    authz::action::VerifyIsolation,
    http::{
        admit::Caller,
        problem::Problem,
        reply::Reply,
        wire::{Moment, Quantity},
    },
    kernel::text::Language,
    reports::isolation::{self, Attempt, Outcome, Report, Why},
};

/// Operations on the mall's walls.
#[derive(Debug)]
pub struct Isolation;

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "kebab-case", rename = "AttemptOutcome")]
enum OutcomeWord {
    /// The database refused it, as it should.
    Refused,
    /// The database did it: the wall has a hole.
    GotThrough,
    /// It failed for another reason, which shows nothing about the wall.
    Failed,
    /// It was not tried; `why` says why.
    NotTried,
}

/// Why something was not tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "kebab-case", rename = "AttemptNotTried")]
enum WhyWord {
    /// There is no other mall in this mall's database.
    NoOtherMall,
    /// What it is about is not in this mall's database.
    NotHere,
    /// It is no wall of the database: the server's one login serves every mall, and the program alone
    /// keeps each request with the role of its own.
    ByDesign,
}

/// Something that was tried, to get out of the mall.
#[derive(Debug, Clone, Object)]
#[oai(rename = "IsolationAttempt", skip_serializing_if_is_none)]
struct AttemptOut {
    /// Its name, which never changes its meaning. New ones may be added.
    name: String,
    /// What was tried.
    what: String,
    /// What came of it.
    outcome: OutcomeWord,
    /// By which SQLSTATEs the database refused it, or it failed.
    sqlstates: Vec<String>,
    /// The statement that got through, or failed.
    statement: Option<String>,
    /// Why it was not tried.
    why: Option<WhyWord>,
    /// The statements of the attempt: `{own}` stands for the mall's schema and role, `{name}` for
    /// each of those that it was tried on.
    statements: Vec<String>,
}

/// What the isolation self-test came to.
#[derive(Debug, Clone, Object)]
#[oai(rename = "IsolationProof")]
struct ReportOut {
    /// Whether nothing got through, nothing failed for another reason, and the rights are as they
    /// should be.
    holds: bool,
    /// When it was made.
    at: Moment,
    /// How many other malls were tried to get into: at most three.
    other_malls: Quantity,
    /// The attempts.
    attempts: Vec<AttemptOut>,
    /// The rights by which the database decides, as the proof of the books asks them too.
    rights: Vec<CheckOut>,
}

impl From<Attempt> for AttemptOut {
    fn from(attempt: Attempt) -> Self {
        let (sqlstates, statement, why) = attempt.outcome.details();
        Self {
            name: attempt.name.to_owned(),
            what: attempt.what(Language::En),
            outcome: match attempt.outcome {
                Outcome::Refused(_) => OutcomeWord::Refused,
                Outcome::GotThrough(_) => OutcomeWord::GotThrough,
                Outcome::Failed(..) => OutcomeWord::Failed,
                Outcome::NotTried(_) => OutcomeWord::NotTried,
            },
            sqlstates,
            statement: statement.map(ToOwned::to_owned),
            why: why.map(|why| match why {
                Why::NoOtherMall => WhyWord::NoOtherMall,
                Why::NotHere => WhyWord::NotHere,
                Why::ByDesign => WhyWord::ByDesign,
            }),
            statements: attempt
                .statements
                .iter()
                .map(|one| (*one).to_owned())
                .collect(),
        }
    }
}

impl From<Report> for ReportOut {
    fn from(report: Report) -> Self {
        Self {
            holds: report.holds(),
            at: Moment(report.at),
            other_malls: Quantity(i64::try_from(report.others).unwrap_or(i64::MAX)),
            attempts: report.attempts.into_iter().map(AttemptOut::from).collect(),
            rights: report.rights.into_iter().map(CheckOut::from).collect(),
        }
    }
}

#[OpenApi(tag = "Group::Operator")]
impl Isolation {
    /// Prove the isolation
    ///
    /// Really tries to get out of the mall in the database: into other malls, the registry and the
    /// server, and to change what is written once. Each attempt is taken back, whatever came of it, and
    /// nothing is changed. One is made at a time in a mall: 429 `self-test-under-way` to others.
    #[oai(
        path = "/v1/isolation/proof",
        method = "get",
        operation_id = "prove_isolation"
    )]
    async fn prove_isolation(
        &self,
        caller: Caller<VerifyIsolation>,
    ) -> Result<Reply<200, ReportOut>, Problem> {
        let report = isolation::verify(caller.db(), &caller.grant).await?;
        Ok(Reply::new(&report.into()))
    }
}

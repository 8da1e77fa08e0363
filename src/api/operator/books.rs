//! The mall's rules and books.

use poem_openapi::{Object, OpenApi};
use serde_json::Value;

use crate::{
    api::{Group, words::UnitWord},
    authz::action::{ReadProgramme, VerifyBooks},
    http::{
        admit::Caller,
        problem::Problem,
        reply::Reply,
        wire::{Moment, Quantity, Signed},
    },
    kernel::{money::Currency, text::Names},
    reports::{
        proof::{self, Check},
        totals::{self, Totals},
    },
};

/// Operations on the mall's rules and books.
#[derive(Debug)]
pub struct Books;

/// The mall's programme.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Programme")]
struct ProgrammeOut {
    /// The version's number, from 1; a purchase keeps the one that it earned by.
    version: i64,
    /// Since when it holds.
    valid_from: Moment,
    /// The mall's currency.
    currency: Currency,
    /// The mall's time zone, by which days, weeks and months begin: a name of the IANA database.
    time_zone: String,
    /// By which periods merchants settle.
    period: UnitWord,
    /// What people call the mall.
    names: Names,
    /// The sections earning, expiry, spending, exchange and settlement, as the mall's manifest
    /// gave them: amounts of money are decimals in quotes.
    body: Value,
}

/// Something that must hold in the books, and whether it does.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Check")]
pub(super) struct CheckOut {
    /// The check's name.
    name: String,
    /// What must hold.
    what: String,
    /// Whether it does.
    holds: bool,
    /// How many places were looked at.
    counted: Quantity,
    /// In how many of them it does not hold.
    broken: Quantity,
    /// Twenty of those at most, each naming the ids in question.
    findings: Vec<String>,
}

/// Where all points of the mall are, since its first day: `issued - taken_back` is
/// `redeemed + expired + outstanding + held - owed`.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Totals")]
struct TotalsOut {
    /// Points given to members.
    issued: Quantity,
    /// Points taken back because purchases were refunded.
    taken_back: Quantity,
    /// Points taken by merchants, less what they gave back.
    redeemed: Signed,
    /// Points that lapsed unspent.
    expired: Quantity,
    /// Points with members; those that have lapsed and are not booked so yet are among them.
    outstanding: Quantity,
    /// Points set aside for reserved goods.
    held: Quantity,
    /// Points that members owe.
    owed: Quantity,
}

/// The proof of the books.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Proof")]
struct ProofOut {
    /// Whether every check holds.
    holds: bool,
    /// The checks.
    checks: Vec<CheckOut>,
    /// What the points add up to.
    totals: TotalsOut,
}

impl From<Check> for CheckOut {
    fn from(check: Check) -> Self {
        Self {
            name: check.name.to_owned(),
            what: check.what.to_owned(),
            holds: check.holds,
            counted: Quantity(check.counted),
            broken: Quantity(check.broken),
            findings: check.findings,
        }
    }
}

impl From<Totals> for TotalsOut {
    fn from(totals: Totals) -> Self {
        Self {
            issued: Quantity(totals.issued),
            taken_back: Quantity(totals.taken_back),
            redeemed: Signed(totals.redeemed),
            expired: Quantity(totals.expired),
            outstanding: Quantity(totals.outstanding),
            held: Quantity(totals.held),
            owed: Quantity(totals.owed),
        }
    }
}

#[OpenApi(tag = "Group::Operator")]
impl Books {
    /// Read the programme
    ///
    /// How points are earned, spent and settled now.
    #[oai(path = "/v1/programme", method = "get", operation_id = "get_programme")]
    async fn get_programme(
        &self,
        caller: Caller<ReadProgramme>,
    ) -> Result<Reply<200, ProgrammeOut>, Problem> {
        let mall = caller.mall().await?;
        let programme = &mall.programme;
        Ok(Reply::new(&ProgrammeOut {
            version: programme.version,
            valid_from: Moment(programme.valid_from),
            currency: mall.tenant.currency,
            time_zone: mall.tenant.zone.to_string(),
            period: mall.settlement.period.into(),
            names: mall.tenant.names.clone(),
            body: programme.body.clone(),
        }))
    }

    /// Prove the books
    ///
    /// Computes anew, from what was written down when it happened, everything that must hold:
    /// balances from movements, statements from a period's lines, and so on. It looks at whole
    /// tables: in a large mall it takes minutes.
    #[oai(path = "/v1/books/proof", method = "get", operation_id = "prove_books")]
    async fn prove_books(
        &self,
        caller: Caller<VerifyBooks>,
    ) -> Result<Reply<200, ProofOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let checks = proof::prove(&mut tx, &caller.grant).await?;
        let totals = totals::totals(&mut tx, &caller.grant).await?;
        Ok(Reply::new(&ProofOut {
            holds: checks.iter().all(|check| check.holds),
            checks: checks.into_iter().map(CheckOut::from).collect(),
            totals: totals.into(),
        }))
    }
}

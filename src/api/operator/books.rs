//! The mall's rules and books.

use poem_openapi::{Object, OpenApi};
use serde_json::Value;

use crate::{
    api::Group,
    authz::action::ReadProgramme,
    http::{admit::Caller, problem::Problem, reply::Reply, wire::Moment},
    kernel::{money::Currency, text::Names},
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
    /// The mall's time zone, by which days and months begin: a name of the IANA database.
    time_zone: String,
    /// What people call the mall.
    names: Names,
    /// The sections earning, expiry, spending, exchange and settlement, as the mall's manifest
    /// gave them: amounts of money are decimals in quotes.
    body: Value,
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
            names: mall.tenant.names.clone(),
            body: programme.body.clone(),
        }))
    }
}

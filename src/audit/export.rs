//! The audit to take away: a line an entry, in the order of the chain, with the hash that seals it.
//!
//! Whoever keeps the lines can compute the chain anew without this house, as [`super::chain`] does it,
//! and goes on later behind the last number that they have.

use serde_json::{Value, json};

use super::{
    Act, Done, Entry, Field,
    store::{self, Link},
};
use crate::{
    authz::{action::ExportAudit, grant::Grant},
    db::{error::Error, tx::Tx},
    kernel::page::hex,
};

/// The most lines of one export.
pub const LINES: i64 = 10_000;

/// Part of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// An object of JSON a line (NDJSON), each ending in a line break.
    pub text: String,
    /// The number of the last one; none where there was nothing more.
    pub last: Option<i64>,
}

/// The sealed entries behind a number, 0 for all, at most [`LINES`] of them. That it was taken away is
/// itself written down.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn export(
    tx: &mut Tx,
    _grant: &Grant<ExportAudit>,
    after: i64,
) -> Result<Exported, Error> {
    let links = store::links(tx, after, LINES).await?;
    let last = links.last().map(|link| link.seal.number);
    if let Some(last) = last {
        let done = Done::new(Act::AuditExported)
            .is(Field::From, after.saturating_add(1))
            .is(Field::Line, last);
        super::record(tx, done).await?;
    }
    Ok(Exported {
        text: links.iter().map(line).collect(),
        last,
    })
}

/// One line; of an entry that is gone its seal.
fn line(link: &Link) -> String {
    let seal = &link.seal;
    let mut said = json!({
        "number": seal.number,
        "entry_id": seal.entry.to_string(),
        "previous": hex(&seal.previous),
        "hash": hex(&seal.hash),
    });
    if let (Value::Object(all), Some(entry)) = (&mut said, &link.entry)
        && let Value::Object(rest) = columns(entry)
    {
        all.extend(rest);
    }
    format!("{said}\n")
}

fn columns(entry: &Entry) -> Value {
    json!({
        "at": entry.at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        "actor": entry.actor,
        "act": entry.act,
        "object": entry.object,
        "right_object": entry.right.0,
        "right_act": entry.right.1,
        // As texts: what is sealed is their very bytes.
        "before": entry.before,
        "after": entry.after,
        "reason": entry.reason,
        "door": entry.door,
        "address": entry.address,
        "agent": entry.agent,
        "request": entry.request,
    })
}

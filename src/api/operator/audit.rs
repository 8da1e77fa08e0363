//! Who did what.

use poem_openapi::{Enum, Object, OpenApi, param::Query};
use serde_json::Value;

use crate::{
    api::Group,
    audit::{self, Act, AuditError, Filter, Finding, Head, Listed, Verified},
    authz::action::{ExportAudit, ReadAudit},
    http::{
        admit::Caller,
        paging::{self, List},
        problem::Problem,
        reply::{Lines, Reply, percent_encoded},
        wire::{AnyId, Cursor, Limit, Moment, Quantity, Whom},
    },
    kernel::ids::AuditEntryId,
};

/// The address of the list of entries.
const AUDIT: &str = "/v1/audit";

/// Operations on the audit.
#[derive(Debug)]
pub struct Audit;

/// By which door somebody came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase", rename = "AuditDoor")]
enum DoorWord {
    /// The API.
    Api,
    /// The pages.
    Page,
    /// The command line.
    Command,
    /// Work of the house itself.
    Job,
}

/// Something that somebody did.
#[derive(Debug, Clone, Object)]
#[oai(rename = "AuditEntry", skip_serializing_if_is_none)]
struct EntryOut {
    /// The entry's id.
    entry_id: AuditEntryId,
    /// The number of its seal in the chain; it has one within two minutes.
    number: Option<Quantity>,
    /// When.
    at: Moment,
    /// Who: the id of a person or a key, or anonymous, platform, system.
    actor: String,
    /// What. New words may be added.
    act: String,
    /// To what: an id.
    object: Option<String>,
    /// By which right, as the permission table writes it: `staff invite`.
    right: String,
    /// What changed, as it was; without secrets, addresses masked.
    before: Value,
    /// The same, as it is since.
    after: Value,
    /// Why, in the words of whoever did it.
    reason: Option<String>,
    /// By which door.
    door: DoorWord,
    /// From which network address, or as much of it as one household shares.
    address: Option<String>,
    /// What the browser or the machine said of itself.
    agent: Option<String>,
    /// The request: `X-Request-Id` of its answer.
    request: Option<String>,
}

impl From<Listed> for EntryOut {
    fn from(Listed { entry, number }: Listed) -> Self {
        let (object, act) = entry.right;
        Self {
            entry_id: entry.id,
            number: number.map(Quantity),
            at: Moment(entry.at),
            actor: entry.actor,
            act: entry.act,
            object: entry.object,
            right: format!("{object} {act}"),
            before: audit::value(&entry.before),
            after: audit::value(&entry.after),
            reason: entry.reason,
            door: match entry.door.as_str() {
                "api" => DoorWord::Api,
                "page" => DoorWord::Page,
                "command" => DoorWord::Command,
                _ => DoorWord::Job,
            },
            address: entry.address,
            agent: entry.agent,
            request: entry.request,
        }
    }
}

/// What is wrong with the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "kebab-case", rename = "AuditFinding")]
enum FindingWord {
    /// There is no seal of this number, and there are later ones.
    SealMissing,
    /// The seal is not what was written.
    SealChanged,
    /// The entry is not there.
    EntryMissing,
    /// The entry is not what was sealed.
    EntryChanged,
    /// The chain ends before the head that was given.
    CutOff,
    /// The chain does not go through the head that was given.
    OtherChain,
    /// Entries wait for their seal for more than an hour; the number is how many.
    Unsealed,
}

/// The first place that does not hold.
#[derive(Debug, Clone, Object)]
#[oai(rename = "AuditBroken", skip_serializing_if_is_none)]
struct BrokenOut {
    /// What is wrong.
    finding: FindingWord,
    /// The number of the seal; of entries without seals, how many.
    number: Quantity,
    /// The entry in question.
    entry_id: Option<AuditEntryId>,
}

/// What walking the chain came to.
#[derive(Debug, Clone, Object)]
#[oai(rename = "AuditVerification", skip_serializing_if_is_none)]
struct VerifiedOut {
    /// Whether all of it holds.
    holds: bool,
    /// Seals that hold, from the first on.
    sealed: Quantity,
    /// Entries that wait for their seal; that takes up to two minutes.
    waiting: Quantity,
    /// The last seal that holds: kept elsewhere and given back as `head`, it shows whether anything up to
    /// it was changed since, by whomever.
    head: Option<Head>,
    /// The first place that does not hold.
    broken: Option<BrokenOut>,
}

impl From<Finding> for BrokenOut {
    fn from(finding: Finding) -> Self {
        let word = match finding {
            Finding::SealMissing(_) => FindingWord::SealMissing,
            Finding::SealChanged(..) => FindingWord::SealChanged,
            Finding::EntryMissing(..) => FindingWord::EntryMissing,
            Finding::EntryChanged(..) => FindingWord::EntryChanged,
            Finding::CutOff(_) => FindingWord::CutOff,
            Finding::OtherChain(_) => FindingWord::OtherChain,
            Finding::Unsealed(..) => FindingWord::Unsealed,
        };
        Self {
            finding: word,
            number: Quantity(finding.number()),
            entry_id: finding.entry(),
        }
    }
}

impl From<Verified> for VerifiedOut {
    fn from(verified: Verified) -> Self {
        Self {
            holds: verified.broken.is_none(),
            sealed: Quantity(verified.sealed),
            waiting: Quantity(verified.waiting),
            head: verified.head,
            broken: verified.broken.map(BrokenOut::from),
        }
    }
}

/// The address of a list with this filter, always written in the same way.
fn url(filter: &Filter) -> String {
    let moment = |moment: crate::kernel::time::Instant| moment.to_rfc3339();
    let parts = [
        ("act", filter.act.map(|act| act.as_str().to_owned())),
        ("actor", filter.actor.clone()),
        ("object", filter.object.clone()),
        ("from", filter.from.map(moment)),
        ("until", filter.until.map(moment)),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", percent_encoded(&value?))))
        .collect();
    if parts.is_empty() {
        AUDIT.to_owned()
    } else {
        format!("{AUDIT}?{}", parts.join("&"))
    }
}

#[OpenApi(tag = "Group::Operator")]
impl Audit {
    /// List who did what
    ///
    /// The newest first: every act of administration and every sign-in, with what was otherwise before,
    /// why and from where. What happens at a till is in the books instead.
    #[oai(path = "/v1/audit", method = "get", operation_id = "list_audit")]
    #[expect(
        clippy::too_many_arguments,
        reason = "one for each parameter of the query"
    )]
    async fn list_audit(
        &self,
        caller: Caller<ReadAudit>,
        /// Only this act.
        act: Query<Option<Act>>,
        /// Only what they did.
        actor: Query<Option<Whom>>,
        /// Only what was done to it.
        object: Query<Option<AnyId>>,
        /// From then on.
        from: Query<Option<Moment>>,
        /// Before then.
        until: Query<Option<Moment>>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<EntryOut>>, Problem> {
        let filter = Filter {
            act: act.0,
            actor: actor.0.map(|whom| whom.0),
            object: object.0.map(|id| id.0),
            from: from.0.map(|moment| moment.0),
            until: until.0.map(|moment| moment.0),
        };
        let url = url(&filter);
        let slice = paging::slice(caller.app(), &url, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = audit::list(&mut tx, &caller.grant, &filter, &slice).await?;
        Ok(Reply::new(&List::new(
            caller.app(),
            &url,
            page,
            EntryOut::from,
        )))
    }

    /// Prove the audit
    ///
    /// Computes the chain of seals anew and names the first place that does not hold. With a `head`
    /// that an earlier answer told and somebody kept elsewhere, also whether the chain still goes
    /// through it. It reads the whole audit: in a large mall that takes a while.
    #[oai(
        path = "/v1/audit/verification",
        method = "get",
        operation_id = "verify_audit"
    )]
    async fn verify_audit(
        &self,
        caller: Caller<ReadAudit>,
        /// What an earlier answer told.
        head: Query<Option<Head>>,
    ) -> Result<Reply<200, VerifiedOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let verified = audit::verify(&mut tx, head.0.as_ref()).await;
        let verified = verified.map_err(AuditError::from)?;
        Ok(Reply::new(&verified.into()))
    }

    /// Take the audit away
    ///
    /// The sealed entries behind number `after`, the oldest first, at most 10,000: an object of JSON a
    /// line (NDJSON) with the hashes by which the chain can be computed without this house. Ask again
    /// behind the last number until there is no line. That it was taken away is an entry itself.
    #[oai(
        path = "/v1/audit/export",
        method = "get",
        operation_id = "export_audit"
    )]
    async fn export_audit(
        &self,
        caller: Caller<ExportAudit>,
        /// The last number that is known already; 0 for all.
        #[oai(default)]
        after: Query<Quantity>,
    ) -> Result<Lines, Problem> {
        let mut tx = caller.db().write(&caller.grant).await?;
        let exported = audit::export(&mut tx, &caller.grant, after.0.0).await?;
        tx.commit().await?;
        let slug = caller.tenant.slug.as_str();
        Ok(Lines {
            name: format!("{slug}-audit-{}.ndjson", after.0.0),
            text: exported.text,
        })
    }
}

//! The tables `audit_entry` and `audit_seal`.

use super::{Entry, Filter, Listed, chain::Seal};
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{ids::AuditEntryId, time::Instant},
};

pub(super) async fn insert(tx: &mut Tx, entry: &Entry) -> Result<(), Error> {
    sqlx::query!(
        "insert into audit_entry
             (entry_id, at, actor, act, object, right_object, right_act, before, after, reason, door,
              address, agent, request)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        entry.id.uuid(),
        entry.at,
        entry.actor,
        entry.act,
        entry.object,
        entry.right.0,
        entry.right.1,
        entry.before,
        entry.after,
        entry.reason,
        entry.door,
        entry.address,
        entry.agent,
        entry.request,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

struct Row {
    entry_id: AuditEntryId,
    at: Instant,
    actor: String,
    act: String,
    object: Option<String>,
    right_object: String,
    right_act: String,
    before: String,
    after: String,
    reason: Option<String>,
    door: String,
    address: Option<String>,
    agent: Option<String>,
    request: Option<String>,
    number: Option<i64>,
}

impl From<Row> for Listed {
    fn from(row: Row) -> Self {
        Self {
            number: row.number,
            entry: Entry {
                id: row.entry_id,
                at: row.at,
                actor: row.actor,
                act: row.act,
                object: row.object,
                right: (row.right_object, row.right_act),
                before: row.before,
                after: row.after,
                reason: row.reason,
                door: row.door,
                address: row.address,
                agent: row.agent,
                request: row.request,
            },
        }
    }
}

/// Entries before one, the newest first; by `audit_entry_pkey`, or by the index of what is asked for:
/// `audit_entry_object_idx`, `audit_entry_actor_idx`, `audit_entry_act_idx`. Ids sort by time.
pub(super) async fn page(
    tx: &mut ReadTx,
    filter: &Filter,
    before: Option<AuditEntryId>,
    limit: i64,
) -> Result<Vec<Listed>, Error> {
    let from = filter.from.map(AuditEntryId::floor);
    let until = filter.until.map(AuditEntryId::floor);
    let before = match (before, until) {
        (Some(before), Some(until)) => Some(before.min(until)),
        (one, other) => one.or(other),
    };
    let rows = sqlx::query_as!(
        Row,
        r#"select audit_entry.entry_id as "entry_id: AuditEntryId", at, actor, act, object,
                  right_object, right_act, before, after, reason, door, address, agent, request,
                  audit_seal.number as "number?"
           from audit_entry
           left join audit_seal on audit_seal.entry_id = audit_entry.entry_id
           where ($1::text is null or act = $1)
             and ($2::text is null or actor = $2)
             and ($3::text is null or object = $3)
             and ($4::uuid is null or audit_entry.entry_id >= $4)
             and ($5::uuid is null or audit_entry.entry_id < $5)
           order by audit_entry.entry_id desc
           limit $6"#,
        filter.act.map(super::Act::as_str),
        filter.actor,
        filter.object,
        from.map(|id| id.uuid()),
        before.map(|id| id.uuid()),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Listed::from).collect())
}

/// Entries without a seal from one on, the oldest first; by `audit_entry_pkey`, each held against
/// `audit_seal_entry_key`.
pub(super) async fn unsealed(
    tx: &mut ReadTx,
    since: AuditEntryId,
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select audit_entry.entry_id as "entry_id: AuditEntryId", at, actor, act, object,
                  right_object, right_act, before, after, reason, door, address, agent, request,
                  null::bigint as number
           from audit_entry
           left join audit_seal on audit_seal.entry_id = audit_entry.entry_id
           where audit_entry.entry_id >= $1 and audit_seal.entry_id is null
           order by audit_entry.entry_id
           limit $2"#,
        since.uuid(),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Listed::from(row).entry)
        .collect())
}

/// The newest seal, and when what it seals was done; by `audit_seal_pkey`.
pub(super) async fn last_seal(tx: &mut ReadTx) -> Result<Option<(Seal, Instant)>, Error> {
    let row = sqlx::query!(
        r#"select number, audit_seal.entry_id as "entry: AuditEntryId", previous, hash,
                  at as "at?"
           from audit_seal
           left join audit_entry on audit_entry.entry_id = audit_seal.entry_id
           order by number desc
           limit 1"#
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| {
        let seal = Seal {
            number: row.number,
            entry: row.entry,
            previous: row.previous,
            hash: row.hash,
        };
        // Where the entry is gone, all that is left is looked at.
        (seal, row.at.unwrap_or_default())
    }))
}

/// Writes a seal; says no where there is one of this number or of this entry.
///
/// Both keys are named by naming none: two who write the same seal at the same moment may be told of
/// the entry's key before that of the number.
pub(super) async fn insert_seal(tx: &mut Tx, seal: &Seal) -> Result<bool, Error> {
    let written = sqlx::query!(
        "insert into audit_seal (number, entry_id, previous, hash) values ($1, $2, $3, $4)
         on conflict do nothing",
        seal.number,
        seal.entry.uuid(),
        seal.previous,
        seal.hash,
    )
    .execute(tx.conn())
    .await?;
    Ok(written.rows_affected() == 1)
}

/// A seal, and its entry where there is one.
pub(super) struct Link {
    pub(super) seal: Seal,
    pub(super) entry: Option<Entry>,
}

/// Seals behind a number, in their order, with their entries; by `audit_seal_pkey` and
/// `audit_entry_pkey`.
pub(super) async fn links(tx: &mut ReadTx, after: i64, limit: i64) -> Result<Vec<Link>, Error> {
    let rows = sqlx::query!(
        r#"select number, audit_seal.entry_id as "sealed: AuditEntryId", previous, hash,
                  audit_entry.entry_id as "entry_id?: AuditEntryId",
                  at as "at?", actor as "actor?", act as "act?", object,
                  right_object as "right_object?", right_act as "right_act?", before as "before?",
                  after as "after?", reason, door as "door?", address, agent, request
           from audit_seal
           left join audit_entry on audit_entry.entry_id = audit_seal.entry_id
           where number > $1
           order by number
           limit $2"#,
        after,
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    let links = rows.into_iter().map(|row| {
        let entry = row.entry_id.map(|id| Entry {
            id,
            at: row.at.unwrap_or_default(),
            actor: row.actor.unwrap_or_default(),
            act: row.act.unwrap_or_default(),
            object: row.object,
            right: (
                row.right_object.unwrap_or_default(),
                row.right_act.unwrap_or_default(),
            ),
            before: row.before.unwrap_or_default(),
            after: row.after.unwrap_or_default(),
            reason: row.reason,
            door: row.door.unwrap_or_default(),
            address: row.address,
            agent: row.agent,
            request: row.request,
        });
        Link {
            seal: Seal {
                number: row.number,
                entry: row.sealed,
                previous: row.previous,
                hash: row.hash,
            },
            entry,
        }
    });
    Ok(links.collect())
}

/// How many entries have no seal; and how many of those are from before then, and which of them is the
/// oldest. By `audit_entry_pkey` and `audit_seal_entry_key`, whole.
pub(super) async fn waiting(
    tx: &mut ReadTx,
    before: Instant,
) -> Result<(i64, Option<(i64, AuditEntryId)>), Error> {
    let row = sqlx::query!(
        r#"select count(*) as "all!", count(*) filter (where at < $1) as "late!",
                  (array_agg(audit_entry.entry_id order by audit_entry.entry_id)
                       filter (where at < $1))[1] as "oldest: AuditEntryId"
           from audit_entry
           left join audit_seal on audit_seal.entry_id = audit_entry.entry_id
           where audit_seal.entry_id is null"#,
        before,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok((row.all, row.oldest.map(|oldest| (row.late, oldest))))
}

//! The audit: who did what, to what, what it was before and after, by which right, why and from where.
//!
//! A use case calls [`record`] in its own transaction, so that act and entry are durable together or
//! not at all; nothing is locked, and nobody waits for anybody. What happens at a till is not here: the
//! ledger carries who did it itself.
//!
//! Soon after, the house seals what is new ([`seal()`]): entry by entry a hash of it and of the seal
//! before, so that whoever changes, removes or inserts anything below the newest seal breaks the
//! chain, and [`verify()`] names the first place. Against whoever can write the tables at will and makes
//! the whole chain anew, or cuts its end off, helps a [`Head`] that was kept elsewhere.
//!
//! Never in an entry: secrets, passwords, tokens, and personal data in full. What an entry says of a
//! change is named field by field ([`Field`]), so that nothing gets in by being part of something else.

mod act;
mod chain;
mod export;
mod seal;
mod store;
mod verify;

use serde_json::{Map, Value};

pub use act::{Act, Field};
pub use chain::Hash;
pub use export::{Exported, LINES, export};
pub use seal::{SealEntries, Sealed, seal};
pub use verify::{Finding, Head, HeadError, Verified, verify};

use crate::{
    authz::{action::ReadAudit, actor::Actor, grant::Grant},
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{AuditEntryId, Id, Kind},
        page::{CursorError, MOST, Page, Slice},
        text::Names,
        time::Instant,
    },
};

/// The most letters of a reason, of an object and of a value that are kept.
const LONGEST: usize = 1_000;

/// What is to be written down of an act.
#[derive(Debug, Clone)]
#[must_use = "an act that is not recorded leaves no entry"]
pub struct Done {
    act: Act,
    object: Option<String>,
    by: Option<Actor>,
    before: Map<String, Value>,
    after: Map<String, Value>,
    reason: Option<String>,
}

impl Done {
    /// An act on one thing.
    pub fn to<K: Kind>(act: Act, object: Id<K>) -> Self {
        Self {
            object: Some(object.to_string()),
            ..Self::new(act)
        }
    }

    /// An act on no thing that has an id.
    pub fn new(act: Act) -> Self {
        Self {
            act,
            object: None,
            by: None,
            before: Map::new(),
            after: Map::new(),
            reason: None,
        }
    }

    /// The same, by somebody who was not recognised before the act itself: who signs in.
    pub fn by(self, actor: Actor) -> Self {
        Self {
            by: Some(actor),
            ..self
        }
    }

    /// What was otherwise before; nothing where it was not.
    pub fn changed(self, field: Field, before: impl Into<Value>, after: impl Into<Value>) -> Self {
        let (before, after) = (before.into(), after.into());
        if before == after {
            return self;
        }
        self.was(field, before).is(field, after)
    }

    /// What is no more.
    pub fn was(mut self, field: Field, value: impl Into<Value>) -> Self {
        keep(&mut self.before, field, value.into());
        self
    }

    /// What is new.
    pub fn is(mut self, field: Field, value: impl Into<Value>) -> Self {
        keep(&mut self.after, field, value.into());
        self
    }

    /// Why, in the words of whoever did it.
    pub fn because(self, reason: impl AsRef<str>) -> Self {
        Self {
            reason: Some(cut(reason.as_ref())),
            ..self
        }
    }
}

/// What an entry says of before or after, as JSON.
pub fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// An id as a value.
pub fn id<K: Kind>(of: impl Into<Option<Id<K>>>) -> Value {
    of.into().map(|id| id.to_string()).into()
}

/// Ids as a value; nothing where all are meant.
pub fn ids<K: Kind>(of: Option<&[Id<K>]>) -> Value {
    of.map(|ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>())
        .into()
}

/// Names as a value, by language.
pub fn names(of: &Names) -> Value {
    let pairs = of.iter();
    Value::Object(
        pairs
            .map(|(tag, name)| (tag.to_owned(), name.into()))
            .collect(),
    )
}

fn keep(map: &mut Map<String, Value>, field: Field, value: Value) {
    let value = match value {
        Value::Null => return,
        Value::String(text) => Value::String(cut(&text)),
        other => other,
    };
    map.insert(field.as_str().to_owned(), value);
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// An entry as it was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: AuditEntryId,
    /// When.
    pub at: Instant,
    /// Who: an id, or `anonymous`, `platform`, `system`.
    pub actor: String,
    /// What: one of [`Act`].
    pub act: String,
    /// To what: an id.
    pub object: Option<String>,
    /// By which right, as object and act of the policy.
    pub right: (String, String),
    /// What changed, as it was: an object of JSON.
    pub before: String,
    /// The same as it is since.
    pub after: String,
    /// Why, in the words of whoever did it.
    pub reason: Option<String>,
    /// By which door.
    pub door: String,
    /// From which network address, or as much of it as one household shares.
    pub address: Option<String>,
    /// What the browser or the machine said of itself.
    pub agent: Option<String>,
    /// The request, as the log calls it.
    pub request: Option<String>,
}

/// An entry with the number of its seal, which it has within a minute or two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The entry.
    pub entry: Entry,
    /// The number of its seal.
    pub number: Option<i64>,
}

/// Writes an act down, in its own transaction.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn record(tx: &mut Tx, done: Done) -> Result<(), db::Error> {
    let (object, act) = tx.right();
    let whence = tx.whence().clone();
    let entry = Entry {
        id: tx.new_id(),
        at: tx.now(),
        actor: done.by.unwrap_or_else(|| tx.actor()).to_string(),
        act: done.act.as_str().to_owned(),
        object: done.object,
        right: (object.to_owned(), act.to_owned()),
        before: Value::Object(done.before).to_string(),
        after: Value::Object(done.after).to_string(),
        reason: done.reason,
        door: whence.door.as_str().to_owned(),
        address: whence.address,
        agent: whence.agent,
        request: whence.request,
    };
    store::insert(tx, &entry).await
}

/// Which entries are asked for; all of it where nothing is said.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of one act.
    pub act: Option<Act>,
    /// Of one actor: an id, or `anonymous`, `platform`, `system`.
    pub actor: Option<String>,
    /// About one thing: an id.
    pub object: Option<String>,
    /// From then on.
    pub from: Option<Instant>,
    /// Before then.
    pub until: Option<Instant>,
}

/// Entries, the newest first.
///
/// # Errors
/// [`AuditError::Cursor`], [`AuditError::Db`].
pub async fn list(
    tx: &mut ReadTx,
    _grant: &Grant<ReadAudit>,
    filter: &Filter,
    slice: &Slice,
) -> Result<Page<Listed>, AuditError> {
    let after: Option<AuditEntryId> = match &slice.after {
        Some(key) => Some(key.parse().map_err(|_| CursorError)?),
        None => None,
    };
    let limit = slice.limit.clamp(1, MOST);
    let rows = store::page(tx, filter, after, limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, limit, |row| row.entry.id.to_string()))
}

/// Why the audit is not shown.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A page that begins after something that is no place in this list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

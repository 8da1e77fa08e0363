//! What is to be said to somebody, as values that hold ids alone.
//!
//! A use case queues a message in its own transaction ([`queue()`]): a row that says about what and to
//! whom, and a job. Who sends it asks first whether it is still to be sent ([`begin`]), commits, sends
//! without any transaction open, and writes down what came of it ([`record`]). Where it dies between
//! the two, the message goes again, with the same `Message-ID`. What failed stays in the list until
//! somebody has it tried again ([`retry`]).
//!
//! No address, no name and no word of a letter is in these rows, in jobs or in logs.

mod store;
pub mod words;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::{
    audit::{self, Act, Done},
    authz::{
        action::{CarryTenant, ReadMessages, RetryMessage, SendMessages},
        actor::Reach,
        grant::Grant,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    gateway::mail::MailError,
    kernel::{
        ids::{MerchantId, MessageId},
        page::{CursorError, MOST, Page, Slice},
        time::Instant,
    },
    queue::{self, Job},
};

/// How often a message is tried before it counts as failed; with the worker's pauses that takes
/// about half a day.
pub const TRIES: i32 = 12;

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A merchant's statement can be seen; the subject is the statement.
    StatementIssued,
}

impl Kind {
    const ALL: [Self; 1] = [Self::StatementIssued];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StatementIssued => "statement_issued",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is to be sent, perhaps again.
    Queued,
    /// The mail server took it.
    Sent,
    /// It was given up.
    Failed,
}

impl State {
    const ALL: [Self; 3] = [Self::Queued, Self::Sent, Self::Failed];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// Something that was to be said to a merchant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id, and what its `Message-ID` begins with.
    pub id: MessageId,
    /// What it is about.
    pub kind: Kind,
    /// Which one of the kind.
    pub subject: Uuid,
    /// To whom.
    pub merchant: MerchantId,
    /// How far it is.
    pub state: State,
    /// How often somebody asked for it again.
    pub round: i32,
    /// How often it was tried since then.
    pub attempts: i32,
    /// Why the last try failed, by a short word without any name.
    pub problem: Option<String>,
    /// When it was queued first.
    pub created_at: Instant,
    /// When the mail server took it.
    pub sent_at: Option<Instant>,
}

/// Send a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendMessage {
    /// Which one.
    pub message: Uuid,
    /// In which round.
    pub round: i32,
}

impl Job for SendMessage {
    const NAME: &'static str = "message.send";

    fn dedup(&self) -> String {
        format!("{}:{}", self.message, self.round)
    }
}

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// The mail server took it.
    Sent,
    /// It will be tried again.
    Later(String),
    /// It was given up.
    Failed(String),
}

impl Tried {
    /// What came of the `attempts`th try of a round.
    pub fn of(sent: Result<(), MailError>, attempts: i32) -> Self {
        match sent {
            Ok(()) => Self::Sent,
            Err(MailError::Later(why)) if attempts < TRIES => Self::Later(why),
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}

/// Why something about messages is refused.
#[derive(Debug, Error)]
pub enum MessageError {
    /// No such message, or none within reach.
    #[error("there is no such message")]
    NotFound,
    /// One that arrived.
    #[error("the message was sent already")]
    AlreadySent,
    /// A page that begins after something that is no place in this list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// Queues a message to each merchant about its own subject, once for ever: a second one about the
/// same is none.
///
/// # Errors
/// [`db::Error`].
pub async fn queue(tx: &mut Tx, kind: Kind, about: &[(MerchantId, Uuid)]) -> Result<(), db::Error> {
    if about.is_empty() {
        return Ok(());
    }
    let jobs: Vec<SendMessage> = store::insert(tx, kind, about)
        .await?
        .into_iter()
        .map(|message| SendMessage { message, round: 0 })
        .collect();
    queue::enqueue_all(tx, &jobs).await
}

/// The message of a job that is to be tried now, with this try counted; none where it was sent or
/// given up, or another round has begun.
///
/// # Errors
/// [`db::Error`].
pub async fn begin(
    tx: &mut Tx,
    _grant: &Grant<SendMessages>,
    job: &SendMessage,
) -> Result<Option<Message>, db::Error> {
    store::begin(tx, job).await
}

/// Writes down what came of a try.
///
/// # Errors
/// [`db::Error`].
pub async fn record(
    tx: &mut Tx,
    _grant: &Grant<SendMessages>,
    message: &Message,
    tried: &Tried,
) -> Result<(), db::Error> {
    let (state, problem) = match tried {
        Tried::Sent => (State::Sent, None),
        Tried::Later(why) => (State::Queued, Some(why.as_str())),
        Tried::Failed(why) => (State::Failed, Some(why.as_str())),
    };
    store::record(tx, message, state, problem).await
}

/// A mall was made of an archive of another one, which may have sent what is queued: it is given up
/// here, and people may have it tried again. How many those were.
///
/// # Errors
/// [`db::Error`].
pub async fn settle(
    tx: &mut Tx,
    _grant: &Grant<CarryTenant>,
    problem: &str,
) -> Result<u64, db::Error> {
    store::give_up(tx, problem).await
}

/// Messages, the newest first; of one state where `state` names it.
///
/// # Errors
/// [`MessageError::Cursor`]; [`MessageError::NotFound`] for whoever does not reach the whole mall.
pub async fn list(
    tx: &mut ReadTx,
    grant: &Grant<ReadMessages>,
    state: Option<State>,
    slice: &Slice,
) -> Result<Page<Message>, MessageError> {
    whole_mall(grant.reach())?;
    let before = match &slice.after {
        Some(key) => key.parse().map_err(|_| CursorError)?,
        None => MessageId::from_uuid(Uuid::max()),
    };
    let limit = slice.limit.clamp(1, MOST);
    let rows = store::before(tx, state, before, limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, limit, |row| row.id.to_string()))
}

/// Has a message tried again that was given up, or whose tries came to nothing that could be written
/// down; any other that is queued stays as it is.
///
/// # Errors
/// [`MessageError::NotFound`], [`MessageError::AlreadySent`].
pub async fn retry(
    tx: &mut Tx,
    grant: &Grant<RetryMessage>,
    id: MessageId,
) -> Result<Message, MessageError> {
    whole_mall(grant.reach())?;
    let found = store::lock(tx, id).await?;
    let mut message = found.ok_or(MessageError::NotFound)?;
    match message.state {
        State::Sent => Err(MessageError::AlreadySent),
        State::Queued if message.attempts < TRIES => Ok(message),
        State::Queued | State::Failed => {
            message.state = State::Queued;
            message.round = message.round.saturating_add(1);
            message.attempts = 0;
            store::again(tx, &message).await?;
            audit::record(tx, Done::to(Act::MessageRetried, message.id)).await?;
            let (id, round) = (message.id.uuid(), message.round);
            queue::enqueue(tx, &SendMessage { message: id, round }).await?;
            Ok(message)
        }
    }
}

fn whole_mall(reach: Reach) -> Result<(), MessageError> {
    match reach {
        Reach::Mall => Ok(()),
        Reach::Merchant(_) | Reach::Member(_) => Err(MessageError::NotFound),
    }
}

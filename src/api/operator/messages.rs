//! What was sent to merchants, and what was not.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use crate::{
    api::{
        Group,
        words::{MessageKindWord, MessageStateWord},
    },
    authz::action::{ReadMessages, RetryMessage},
    http::{
        admit::Caller,
        paging::{self, List},
        problem::Problem,
        reply::Reply,
        wire::{Cursor, Limit, Moment},
    },
    kernel::ids::{MerchantId, MessageId, StatementId},
    notify::{self, Kind, Message},
};

/// The address of the list of messages.
const MESSAGES: &str = "/v1/messages";

/// Operations on messages.
#[derive(Debug)]
pub struct Messages;

/// Something that was to be said to a merchant by mail.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Message", skip_serializing_if_is_none)]
struct MessageOut {
    /// The message's id; the letter's `Message-ID` begins with it.
    message_id: MessageId,
    /// What it is about.
    kind: MessageKindWord,
    /// About which statement.
    statement_id: Option<StatementId>,
    /// To whom.
    merchant_id: MerchantId,
    /// How far it is.
    state: MessageStateWord,
    /// How often it was tried since it was queued, or somebody asked for it again.
    attempts: i32,
    /// Why the last try failed: connection, timeout, tls, refused-451 (and other numbers of the mail
    /// server), mail-is-off, no-contact, no-statement, not-printed, address, letter; new ones may be
    /// added.
    problem: Option<String>,
    /// When it was queued first.
    created_at: Moment,
    /// When the mail server took it.
    sent_at: Option<Moment>,
}

impl From<Message> for MessageOut {
    fn from(message: Message) -> Self {
        let Kind::StatementIssued = message.kind;
        Self {
            message_id: message.id,
            kind: message.kind.into(),
            statement_id: Some(StatementId::from_uuid(message.subject)),
            merchant_id: message.merchant,
            state: message.state.into(),
            attempts: message.attempts,
            problem: message.problem,
            created_at: Moment(message.created_at),
            sent_at: message.sent_at.map(Moment),
        }
    }
}

#[OpenApi(tag = "Group::Operator")]
impl Messages {
    /// List the messages to merchants
    ///
    /// The newest first, or of one `state`; without addresses and without what they say.
    #[oai(path = "/v1/messages", method = "get", operation_id = "list_messages")]
    async fn list_messages(
        &self,
        caller: Caller<ReadMessages>,
        state: Query<Option<MessageStateWord>>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<MessageOut>>, Problem> {
        let state = state.0.map(notify::State::from);
        let url = match state {
            Some(state) => format!("{MESSAGES}?state={}", state.as_str()),
            None => MESSAGES.to_owned(),
        };
        let slice = paging::slice(caller.app(), &url, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = notify::list(&mut tx, &caller.grant, state, &slice).await?;
        let list = List::new(caller.app(), &url, page, MessageOut::from);
        Ok(Reply::new(&list))
    }

    /// Have a message sent again
    ///
    /// One that was given up is queued again, under the same `Message-ID`; one that is queued stays as
    /// it is. 409 `message-already-sent`.
    #[oai(
        path = "/v1/messages/:message_id/retry",
        method = "post",
        operation_id = "retry_message"
    )]
    async fn retry_message(
        &self,
        caller: Caller<RetryMessage>,
        message_id: Path<MessageId>,
    ) -> Result<Reply<200, MessageOut>, Problem> {
        let mut tx = caller.db().write(&caller.grant).await?;
        let message = notify::retry(&mut tx, &caller.grant, message_id.0).await?;
        tx.commit().await?;
        caller.app().bell.ring(caller.tenant.id);
        Ok(Reply::new(&message.into()))
    }
}

//! An act is done once, however often it is asked for (trust.md, section 2).
//!
//! The key is claimed in the transaction of the work; answer and work become durable together. A
//! refusal by the books is remembered too, in a transaction of its own, because the one of the
//! work is rolled back; if in between another request under the same key was answered, that
//! answer holds for both. What may go better next time (5xx, timeouts) is never remembered.

use std::{fmt, sync::Arc};

use poem::{
    Request, RequestBody,
    http::{HeaderMap, HeaderName},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchema, MetaSchemaRef},
    types::ToJSON,
};
use sha2::{Digest, Sha256};

use super::{
    admit::Caller,
    codes,
    problem::Problem,
    reply::{Reply, Written},
    visit::Visit,
};
use crate::{
    authz::{action::Action, grant::Grant},
    db::{
        Db,
        error::Error,
        replay::{Known, ReplayKey},
        tx::Tx,
    },
};

/// The header's name.
static HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key.
const LONGEST: usize = 255;

/// The header `Idempotency-Key` of a request: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    key: String,
}

impl IdempotencyKey {
    fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut given = headers.get_all(&HEADER).iter();
        let (first, second) = (given.next(), given.next());
        let Some(first) = first else {
            return Err(Problem::of(&codes::IDEMPOTENCY_KEY_MISSING).param("Idempotency-Key"));
        };
        let key = first.to_str().ok().and_then(Self::given);
        key.filter(|_| second.is_none()).ok_or_else(|| {
            let detail = "Idempotency-Key must be one value of 1 to 255 printable ASCII \
                          characters without spaces.";
            Problem::new(&codes::INVALID_PARAMETER, detail).param("Idempotency-Key")
        })
    }

    /// A key that stands in a body; none where it is no key.
    pub fn given(text: &str) -> Option<Self> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        (visible && (1..=LONGEST).contains(&text.len())).then(|| Self {
            key: text.to_owned(),
        })
    }

    /// For the table of keys: whose, which, and for what.
    pub fn replay_key<A: Action>(&self, caller: &Caller<A>, digest: &[u8]) -> ReplayKey {
        self.replay_key_of(caller, &caller.visit.method, &caller.visit.path, digest)
    }

    /// The same where the act has an address of its own that this request did not go to.
    pub fn replay_key_of<A: Action>(
        &self,
        caller: &Caller<A>,
        method: &str,
        path: &str,
        digest: &[u8],
    ) -> ReplayKey {
        let mut hash = Sha256::new();
        for part in [method, path] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.update(digest);
        ReplayKey {
            scope: caller.actor().to_string(),
            key: self.key.clone(),
            fingerprint: hash.finalize().to_vec(),
        }
    }
}

impl From<IdempotencyKey> for String {
    fn from(key: IdempotencyKey) -> Self {
        key.key
    }
}

impl<'a> ApiExtractor<'a> for IdempotencyKey {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    const PARAM_IS_REQUIRED: bool = true;
    type ParamType = ();
    type ParamRawType = ();

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(MetaSchemaRef::Inline(Box::new(MetaSchema {
            description: Some(
                "A value of your own for this act: 1 to 255 printable ASCII characters without \
                 spaces. Repeating the request with the same value repeats the answer, not the act.",
            ),
            min_length: Some(1),
            max_length: Some(LONGEST),
            pattern: Some("^[!-~]+$".to_owned()),
            ..MetaSchema::new("string")
        })))
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        std::future::ready(Self::read(request.headers()).map_err(Into::into)).await
    }
}

/// What a key turned out to be.
#[derive(Debug)]
pub enum Begun<A: Action> {
    /// New: do the work in [`Once::tx`], then [`Once::finish`].
    Fresh(Box<Once<A>>),
    /// Answered before: status and body.
    Answered(u16, String),
}

/// Work that is done once.
#[must_use = "work that is not finished is rolled back"]
pub struct Once<A: Action> {
    tx: Tx,
    key: ReplayKey,
    db: Db,
    grant: Grant<A>,
    visit: Arc<Visit>,
}

impl<A: Action> fmt::Debug for Once<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Once")
    }
}

impl<A: Action> Once<A> {
    /// Opens a transaction and claims the key in it; `digest` is [`super::body::Body::digest`],
    /// empty for an operation without a body.
    ///
    /// # Errors
    /// `idempotency-key-reused`, `idempotency-in-progress`, `database-unavailable`.
    pub async fn begin(
        caller: &Caller<A>,
        key: &IdempotencyKey,
        digest: &[u8],
    ) -> Result<Begun<A>, Problem> {
        let key = key.replay_key(caller, digest);
        let db = caller.db().clone();
        let (tx, known) = claim(&db, &caller.grant, &key).await?;
        match known {
            Known::Fresh => Ok(Begun::Fresh(Box::new(Self {
                tx,
                key,
                db,
                grant: caller.grant.clone(),
                visit: Arc::clone(&caller.visit),
            }))),
            Known::Answered(status, body) => Ok(Begun::Answered(status, body)),
            Known::Reused => Err(Problem::of(&codes::IDEMPOTENCY_KEY_REUSED)),
        }
    }

    /// The transaction of the work.
    pub fn tx(&mut self) -> &mut Tx {
        &mut self.tx
    }

    /// The right under which the work is done.
    pub fn grant(&self) -> &Grant<A> {
        &self.grant
    }

    /// Makes work and answer durable, or remembers the refusal.
    ///
    /// # Errors
    /// The refusal itself; `database-unavailable` where it is unknown whether the work became
    /// durable: asking again under the same key tells.
    pub async fn finish<const STATUS: u16, T: ToJSON>(
        self,
        outcome: Result<T, impl Into<Problem>>,
    ) -> Result<Reply<STATUS, T>, Problem> {
        let done = outcome.map_err(Into::into).map(|content| (STATUS, content));
        self.conclude(done).await.map(Reply::from)
    }

    /// As [`Once::finish`], with the status beside the content.
    ///
    /// # Errors
    /// As [`Once::finish`].
    pub(super) async fn conclude<T: ToJSON>(
        self,
        outcome: Result<(u16, T), Problem>,
    ) -> Result<Written, Problem> {
        match outcome {
            Ok((status, content)) => self.keep(status, content.to_json_string(), None).await,
            Err(refusal) => self.refuse(refusal).await,
        }
    }

    /// As [`Once::finish`], but of a good answer only the text beside it is remembered, for one that holds
    /// personal data: whoever repeats the request looks it up anew, by what [`Begun::kept`] says.
    ///
    /// # Errors
    /// As [`Once::finish`].
    pub async fn finish_keeping<const STATUS: u16, T: ToJSON>(
        self,
        outcome: Result<(T, String), impl Into<Problem>>,
    ) -> Result<Reply<STATUS, T>, Problem> {
        match outcome {
            Ok((content, kept)) => {
                let body = content.to_json_string();
                let written = self.keep(STATUS, body, Some((STATUS, &kept)));
                written.await.map(Reply::from)
            }
            Err(refusal) => self.refuse(refusal.into()).await.map(Reply::from),
        }
    }

    /// Makes the work durable and answers `content`, but remembers `instead`: for an answer that
    /// must not be given twice, such as a secret.
    ///
    /// # Errors
    /// As [`Once::finish`].
    pub async fn finish_secretly<const STATUS: u16, T: ToJSON>(
        self,
        content: &T,
        instead: &Problem,
    ) -> Result<Reply<STATUS, T>, Problem> {
        let status = instead.status().as_u16();
        let kept = instead.body(self.visit.occurrence());
        let written = self.keep(STATUS, content.to_json_string(), Some((status, &kept)));
        written.await.map(Reply::from)
    }

    async fn keep(
        mut self,
        status: u16,
        body: String,
        instead: Option<(u16, &str)>,
    ) -> Result<Written, Problem> {
        let (kept_status, kept) = instead.unwrap_or((status, &body));
        self.tx.remember(&self.key, kept_status, kept).await?;
        self.tx.commit().await?;
        Ok(Written::new(status, body))
    }

    async fn refuse(self, refusal: Problem) -> Result<Written, Problem> {
        // The work is rolled back first: a refusal leaves no trace but itself.
        drop(self.tx);
        if !refusal.is_final() {
            return Err(refusal);
        }
        let (mut tx, known) = claim(&self.db, &self.grant, &self.key).await?;
        match known {
            Known::Fresh => {
                let status = refusal.status().as_u16();
                let body = refusal.body(self.visit.occurrence());
                tx.remember(&self.key, status, &body).await?;
                tx.commit().await?;
                Err(refusal)
            }
            Known::Answered(status, body) => Ok(Written::again(status, body)),
            Known::Reused => Err(Problem::of(&codes::IDEMPOTENCY_KEY_REUSED)),
        }
    }
}

impl<A: Action> Begun<A> {
    /// What [`Once::finish_keeping`] remembered of a good answer; none of anything else.
    pub fn kept(&self) -> Option<&str> {
        match self {
            Self::Answered(200..300, kept) => Some(kept),
            _ => None,
        }
    }

    /// The work to do, or the answer that was given before.
    ///
    /// # Errors
    /// The remembered answer, as the outer function's own.
    pub fn fresh<const STATUS: u16, T: ToJSON>(self) -> Result<Box<Once<A>>, Reply<STATUS, T>> {
        match self {
            Self::Fresh(once) => Ok(once),
            Self::Answered(status, body) => Err(Written::again(status, body).into()),
        }
    }
}

/// A transaction in which the key is claimed, or what is known of it.
async fn claim<A: Action>(
    db: &Db,
    grant: &Grant<A>,
    key: &ReplayKey,
) -> Result<(Tx, Known), Problem> {
    let mut tx = db.write(grant).await?;
    match tx.claim_key(key).await {
        Ok(known) => Ok((tx, known)),
        // Somebody holds the key for longer than we wait: the first request is still at work.
        Err(Error::Retry(_)) => Err(Problem::of(&codes::IDEMPOTENCY_IN_PROGRESS).retry_after(1)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::http::HeaderValue;

    fn read(values: &[&str]) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&HEADER, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let key = IdempotencyKey::read(&headers);
        key.map(|key| key.key)
            .map_err(|problem| problem.kind().code)
    }

    #[test]
    fn a_key_is_one_value_of_visible_characters() {
        assert_eq!(read(&["till-7/0001"]), Ok("till-7/0001".to_owned()));
        assert_eq!(read(&[]), Err("idempotency-key-missing"));
        let long = "x".repeat(256);
        for bad in [&[""][..], &["a b"], &["é"], &["a", "b"], &[long.as_str()]] {
            assert_eq!(read(bad), Err("invalid-parameter"), "{bad:?}");
        }
    }
}

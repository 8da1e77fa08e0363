//! What happened to an application, and the letters that say so.
//!
//! Each letter holds a link of its own, which opens the application until it expires; a later letter
//! does not end an earlier one. Of the token there is the SHA-256 alone: it is made when the letter is
//! written, by a job, so that it is in no table and in no queue.

pub(super) mod store;

use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::{Application, OnboardingError, State, store as applications};
use crate::{
    audit::{self, Act, Done},
    authz::{
        action::{Authenticate, SendNews},
        actor::Principal,
        grant::Grant,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{ApplicationId, MerchantId, News, NewsId},
        key_text,
        time::Instant,
    },
    queue::{self, Job},
};

/// How long a letter's link opens.
pub const OPENS_FOR: TimeDelta = TimeDelta::days(30);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It was begun, and the conditions were accepted.
    Started,
    /// Its link was asked for again.
    LinkAsked,
    /// It was sent in.
    Submitted,
    /// Somebody looks at it.
    UnderReview,
    /// The operator wants to know more.
    InformationAsked,
    /// What was asked was answered.
    Resubmitted,
    /// It is a merchant.
    Approved,
    /// The agreement was accepted, and the merchant works.
    Live,
    /// It was refused.
    Rejected,
    /// It was taken back.
    Withdrawn,
    /// It was begun anew.
    Reopened,
    /// The merchant neither gives nor takes points for now.
    Suspended,
    /// It does again.
    Activated,
    /// The merchant leaves: its points are good until a day.
    Leaving,
    /// The merchant has left.
    Left,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Started,
        Self::LinkAsked,
        Self::Submitted,
        Self::UnderReview,
        Self::InformationAsked,
        Self::Resubmitted,
        Self::Approved,
        Self::Live,
        Self::Rejected,
        Self::Withdrawn,
        Self::Reopened,
        Self::Suspended,
        Self::Activated,
        Self::Leaving,
        Self::Left,
    ];

    /// As the table, the API and the keys of words write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::LinkAsked => "link_asked",
            Self::Submitted => "submitted",
            Self::UnderReview => "under_review",
            Self::InformationAsked => "information_asked",
            Self::Resubmitted => "resubmitted",
            Self::Approved => "approved",
            Self::Live => "live",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
            Self::Reopened => "reopened",
            Self::Suspended => "suspended",
            Self::Activated => "activated",
            Self::Leaving => "leaving",
            Self::Left => "left",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, db::Error> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or(db::Error::Corrupt("event of an application"))
    }

    /// What reaching a state is called.
    pub(super) const fn of(state: State) -> Self {
        match state {
            State::Draft => Self::Reopened,
            State::Submitted => Self::Submitted,
            State::UnderReview => Self::UnderReview,
            State::InformationAsked => Self::InformationAsked,
            State::Resubmitted => Self::Resubmitted,
            State::Approved => Self::Approved,
            State::Live => Self::Live,
            State::Rejected => Self::Rejected,
            State::Withdrawn => Self::Withdrawn,
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id, which opens nothing; the letter's `Message-ID` begins with it.
    pub id: NewsId,
    /// To which application.
    pub application: ApplicationId,
    /// Its number within the application, from 1.
    pub number: i32,
    /// What.
    pub kind: EventKind,
    /// Who did it.
    pub actor: String,
    /// From where, in short, where it was somebody at a browser.
    pub origin: Option<String>,
    /// Why, in the words of who did it.
    pub reason: Option<String>,
    /// When.
    pub happened_at: Instant,
    /// Until when the letter's link opens.
    pub expires_at: Instant,
    /// How far its letter is: none, queued, sent, failed.
    pub mail: String,
    /// Why the letter did not go, by a short word.
    pub problem: Option<String>,
}

/// Write the letter about an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TellNews {
    /// Which one.
    pub event: Uuid,
}

impl Job for TellNews {
    const NAME: &'static str = "application.tell";

    fn dedup(&self) -> String {
        self.event.to_string()
    }
}

/// A letter to be written.
#[derive(Debug)]
pub struct ToTell {
    /// About what.
    pub event: Event,
    /// To whom.
    pub application: Application,
    /// The token of its link.
    pub token: SecretString,
}

/// Writes down what happened, with the application as it is now, and has the letter written.
pub(super) async fn happened(
    tx: &mut Tx,
    application: &mut Application,
    kind: EventKind,
    origin: Option<&str>,
    reason: Option<&str>,
) -> Result<NewsId, db::Error> {
    application.revision = application.revision.saturating_add(1);
    applications::save(tx, application).await?;
    let event = Event {
        id: tx.new_id(),
        application: application.id,
        number: application.revision,
        kind,
        actor: tx.actor().to_string(),
        origin: origin.map(str::to_owned),
        reason: reason.map(str::to_owned),
        happened_at: tx.now(),
        expires_at: tx.now() + OPENS_FOR,
        mail: "queued".to_owned(),
        problem: None,
    };
    store::insert_event(tx, &event).await?;
    written_down(tx, &event).await?;
    let job = TellNews {
        event: event.id.uuid(),
    };
    queue::enqueue(tx, &job).await?;
    Ok(event.id)
}

/// Has the audit know of a step of an application; what became of a merchant later, it knows already.
async fn written_down(tx: &mut Tx, event: &Event) -> Result<(), db::Error> {
    let act = match event.kind {
        EventKind::Started => Act::ApplicationStarted,
        EventKind::LinkAsked => Act::LinkAsked,
        EventKind::Suspended | EventKind::Activated | EventKind::Leaving | EventKind::Left => {
            return Ok(());
        }
        EventKind::Submitted
        | EventKind::UnderReview
        | EventKind::InformationAsked
        | EventKind::Resubmitted
        | EventKind::Approved
        | EventKind::Live
        | EventKind::Rejected
        | EventKind::Withdrawn
        | EventKind::Reopened => Act::ApplicationMoved,
    };
    let done = Done::to(act, event.application).is(audit::Field::State, event.kind.as_str());
    let done = event.reason.iter().fold(done, Done::because);
    audit::record(tx, done).await
}

/// Puts what became of a merchant on the timeline of the application that it came of, if it did.
pub(in crate::merchants) async fn became(
    tx: &mut Tx,
    merchant: MerchantId,
    kind: EventKind,
    reason: Option<&str>,
) -> Result<(), db::Error> {
    let Some(mut application) = applications::lock_of_merchant(tx, merchant).await? else {
        return Ok(());
    };
    happened(tx, &mut application, kind, None, reason).await?;
    Ok(())
}

/// Tells the token of an event's link at once, where no letter can.
pub(super) async fn tell_now(tx: &mut Tx, event: NewsId) -> Result<SecretString, db::Error> {
    let fresh = key_text::make(event, tx.entropy());
    store::give_token(tx, event, &fresh.hash).await?;
    store::record_mail(tx, event, "none", None).await?;
    Ok(fresh.secret)
}

/// Whether this could be the token of an application's link; costs no question to the database.
pub fn has_form(presented: &str) -> bool {
    key_text::id_of::<News>(presented).is_some()
}

/// Who shows this token.
///
/// # Errors
/// [`OnboardingError::BadLink`], [`OnboardingError::Db`].
pub async fn authenticate(
    tx: &mut ReadTx,
    _grant: &Grant<Authenticate>,
    presented: &SecretString,
) -> Result<Principal, OnboardingError> {
    let presented = presented.expose_secret();
    let id = key_text::id_of::<News>(presented).ok_or(OnboardingError::BadLink)?;
    let found = store::token_of(tx, id).await?;
    let (application, hash, expires_at) = found.ok_or(OnboardingError::BadLink)?;
    let hash = hash.ok_or(OnboardingError::BadLink)?;
    let same: bool = hash.ct_eq(&key_text::hash(presented)[..]).into();
    if !same || tx.now() >= expires_at {
        return Err(OnboardingError::BadLink);
    }
    Ok(Principal::applicant(tx.tenant(), application))
}

/// The letter that is to be written now, with a token of its own; none where it is settled.
///
/// # Errors
/// [`OnboardingError::Db`].
pub async fn begin_news(
    tx: &mut Tx,
    _grant: &Grant<SendNews>,
    job: &TellNews,
) -> Result<Option<ToTell>, OnboardingError> {
    let id = NewsId::from_uuid(job.event);
    let Some(event) = store::lock_event(tx, id).await? else {
        return Ok(None);
    };
    if event.mail != "queued" || tx.now() >= event.expires_at {
        return Ok(None);
    }
    let found = applications::find(tx, event.application).await?;
    let application = found.ok_or(OnboardingError::NotFound)?;
    let fresh = key_text::make(id, tx.entropy());
    store::give_token(tx, id, &fresh.hash).await?;
    Ok(Some(ToTell {
        event,
        application,
        token: fresh.secret,
    }))
}

/// Writes down what became of a letter: `problem` is why it did not go, and `given_up` that it is not
/// tried again.
///
/// # Errors
/// [`OnboardingError::Db`].
pub async fn record_news(
    tx: &mut Tx,
    _grant: &Grant<SendNews>,
    event: NewsId,
    problem: Option<&str>,
    given_up: bool,
) -> Result<(), OnboardingError> {
    let mail = match (problem, given_up) {
        (None, _) => "sent",
        (Some(_), true) => "failed",
        (Some(_), false) => "queued",
    };
    Ok(store::record_mail(tx, event, mail, problem).await?)
}

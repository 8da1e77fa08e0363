//! What lets somebody choose a password: an invitation, or a way back for who forgot it.
//!
//! A link is a random token of which the SHA-256 is stored; it opens once, until it expires, and only
//! in its own mall. A letter's token is made when the letter is written, by a job, so that it is in no
//! table and in no queue. Where a letter goes out a second time, because nobody knows whether the first
//! one arrived, the first one's token opens nothing any more.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Staff, StaffError, store};
use crate::{
    authz::{action::SendLinks, grant::Grant},
    db::{self, tx::Tx},
    kernel::{
        ids::{LinkId, StaffId},
        key_text,
        time::Instant,
    },
    queue::{self, Job},
};

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Somebody was asked to come.
    Invitation,
    /// Somebody forgot the password.
    Reset,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Invitation, Self::Reset];

    /// As the table writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::Reset => "reset",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A link, and what became of its letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkMail {
    /// Its id, which opens nothing.
    pub id: LinkId,
    /// For whom.
    pub staff: StaffId,
    /// What for.
    pub kind: Kind,
    /// When it was made.
    pub created_at: Instant,
    /// By whom.
    pub created_by: String,
    /// Until when it opens.
    pub expires_at: Instant,
    /// When it was used.
    pub used_at: Option<Instant>,
    /// When it was taken back.
    pub ended_at: Option<Instant>,
    /// How far its letter is: none, queued, sent, failed.
    pub mail: String,
    /// Why the letter did not go, by a short word.
    pub problem: Option<String>,
}

impl LinkMail {
    /// Whether it opens at `now`, for whoever has the token.
    pub fn is_open(&self, now: Instant) -> bool {
        self.used_at.is_none() && self.ended_at.is_none() && now < self.expires_at
    }
}

/// Write a link's letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendLink {
    /// Which one.
    pub link: Uuid,
}

impl Job for SendLink {
    const NAME: &'static str = "link.send";

    fn dedup(&self) -> String {
        self.link.to_string()
    }
}

/// A letter to be written: to whom, and the token that it tells.
#[derive(Debug)]
pub struct Ready {
    /// Which link.
    pub link: LinkMail,
    /// To whom.
    pub staff: Staff,
    /// The token.
    pub token: SecretString,
}

/// Makes a link whose token the caller tells.
pub(crate) async fn tell(
    tx: &mut Tx,
    staff: StaffId,
    kind: Kind,
    expires_at: Instant,
) -> Result<SecretString, db::Error> {
    let id: LinkId = tx.new_id();
    let fresh = key_text::make(id, tx.entropy());
    store::insert_link(tx, id, staff, kind, expires_at, Some(&fresh.hash), "none").await?;
    Ok(fresh.secret)
}

/// Makes a link whose token a letter tells, and has the letter written.
pub(crate) async fn mail(
    tx: &mut Tx,
    staff: StaffId,
    kind: Kind,
    expires_at: Instant,
) -> Result<(), db::Error> {
    let id: LinkId = tx.new_id();
    store::insert_link(tx, id, staff, kind, expires_at, None, "queued").await?;
    queue::enqueue(tx, &SendLink { link: id.uuid() }).await
}

/// Ends every link of a kind that somebody has.
pub(crate) async fn end(tx: &mut Tx, staff: StaffId, kind: Kind) -> Result<(), db::Error> {
    store::end_links(tx, staff, kind).await
}

/// The letter that is to be written now, with a token of its own; none where the link opens nothing
/// any more or its letter is settled.
///
/// # Errors
/// [`StaffError::Db`].
pub async fn begin_link(
    tx: &mut Tx,
    _grant: &Grant<SendLinks>,
    job: &SendLink,
) -> Result<Option<Ready>, StaffError> {
    let id = LinkId::from_uuid(job.link);
    let Some((link, _)) = store::lock_link(tx, id).await? else {
        return Ok(None);
    };
    if !link.is_open(tx.now()) || link.mail != "queued" {
        return Ok(None);
    }
    let Some(staff) = store::find(tx, link.staff).await? else {
        return Ok(None);
    };
    let fresh = key_text::make(id, tx.entropy());
    store::give_token(tx, id, &fresh.hash).await?;
    Ok(Some(Ready {
        link,
        staff,
        token: fresh.secret,
    }))
}

/// Writes down what became of a letter: `problem` is why it did not go, and `given_up` that it is not
/// tried again.
///
/// # Errors
/// [`StaffError::Db`].
pub async fn record_link(
    tx: &mut Tx,
    _grant: &Grant<SendLinks>,
    link: LinkId,
    problem: Option<&str>,
    given_up: bool,
) -> Result<(), StaffError> {
    let mail = match (problem, given_up) {
        (None, _) => "sent",
        (Some(_), true) => "failed",
        (Some(_), false) => "queued",
    };
    Ok(store::record_mail(tx, link, mail, problem).await?)
}

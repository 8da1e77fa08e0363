//! How a company becomes a merchant: it reads the conditions, applies, is asked and asked again, is
//! approved, accepts the agreement, and works.
//!
//! Whoever applies is nobody's staff yet. A link in a letter opens their application and nothing else
//! ([`news`]): it is a secret like a key, and the principal that it makes may do one thing. The way of
//! an application is decided in [`course`], what it must say in [`form`], what may be a file in
//! [`files`]. Each step is safe to take twice, stands on a timeline with who, when and why, and is told
//! in a letter in the language of whoever applied.
//!
//! An approval makes merchant and stores by the use cases that make any; the merchant rests until the
//! agreement is accepted. What becomes of it later is on the same timeline.

pub mod carried;
pub mod course;
mod deciding;
pub mod files;
pub mod form;
mod licence;
pub mod news;
mod store;
pub mod texts;

use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use course::State;
pub use deciding::{Approved, Rights, approve, ask, counts, get, list, reject, take_up};
pub use files::{FileFault, Media, Paper, PaperKind};
pub use form::{Field, Form, Lack, Person, Secrets};
pub use news::{Event, EventKind};
pub use texts::{TextKind, TextVersion};

use self::course::{Step, Turn, turn};
use super::{MerchantError, Status};
use crate::{
    authz::{
        action::{StartApplication, UseApplication},
        actor::Actor,
        grant::Grant,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{ApplicationId, Entropy, MerchantId, TenantId},
        page::{CursorError, MOST},
        text::{Email, Language},
        time::Instant,
        vault::Vault,
    },
};

/// The longest reason and the longest question, in characters.
pub const LONGEST_REASON: usize = 1000;

/// How old a letter with the link must be before the same address gets another one.
const AGAIN_AFTER: TimeDelta = TimeDelta::minutes(1);

/// Something that the operator wants to know besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// About which part, by its name.
    pub field: String,
    /// In the operator's words.
    pub note: String,
}

/// That a text was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Which version.
    pub version: i32,
    /// Its digest.
    pub digest: String,
    /// When.
    pub at: Instant,
    /// By whom.
    pub by: String,
    /// From where, in short.
    pub from: String,
}

/// A company that wants to join.
#[derive(Clone)]
pub struct Application {
    /// Its id, which opens nothing.
    pub id: ApplicationId,
    /// Where letters go; the merchant's owner signs in by it.
    pub email: Email,
    /// In which language they are written.
    pub language: Language,
    /// How far it is.
    pub state: State,
    /// What it says.
    pub form: Form,
    /// What nobody is shown, sealed.
    sealed: Option<Vec<u8>>,
    /// What the operator wants to know besides.
    pub asked: Vec<Question>,
    /// Why it was asked or refused, in the operator's words.
    pub reason: Option<String>,
    /// The conditions as they were accepted.
    pub conditions: Accepted,
    /// Version and digest of the agreement, since the approval.
    pub agreement: Option<(i32, String)>,
    /// The agreement as it was accepted.
    pub agreed: Option<Accepted>,
    /// The merchant that it became.
    pub merchant: Option<MerchantId>,
    /// How many events it has had.
    pub revision: i32,
    /// When it was begun.
    pub created_at: Instant,
    /// When something about it changed.
    pub changed_at: Instant,
    /// When it was sent in, the last time.
    pub submitted_at: Option<Instant>,
    /// When it was decided, and by whom.
    pub decided: Option<(Instant, String)>,
}

impl std::fmt::Debug for Application {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Application({}, {:?})", self.id, self.state)
    }
}

/// An application with everything that belongs to it.
#[derive(Debug, Clone)]
pub struct Whole {
    /// The application.
    pub application: Application,
    /// The end of the number of the representative's identity card.
    pub representative_id: Option<String>,
    /// The end of the number of the bank account.
    pub bank_account: Option<String>,
    /// Its files.
    pub papers: Vec<Paper>,
    /// What happened, the first first; the last hundred.
    pub events: Vec<Event>,
    /// What it lacks before it can be sent in.
    pub lacks: Vec<(Field, Lack)>,
    /// The agreement that is to be accepted, or was.
    pub agreement: Option<TextVersion>,
}

/// Why something about an application is refused.
#[derive(Debug, Error)]
pub enum OnboardingError {
    /// No such application.
    #[error("there is no such application")]
    NotFound,
    /// No such file.
    #[error("there is no such file")]
    NoSuchFile,
    /// Expired, of another mall, or no link at all.
    #[error("this link opens nothing: it has expired, or was copied incompletely")]
    BadLink,
    /// Other conditions, or another agreement, than hold now.
    #[error("this is not the text as it is now: read it again")]
    OtherText,
    /// It cannot be changed any more, or not now.
    #[error("the application is {}: what it says cannot be changed now", .0.as_str())]
    Closed(State),
    /// A step that cannot be taken from here.
    #[error("the application is {}: this cannot be done about it now", .0.as_str())]
    NoStep(State),
    /// It is not complete.
    #[error("the application is not complete")]
    Incomplete(Vec<(Field, Lack)>),
    /// Another application has the same licence number.
    #[error("a company with this licence number has applied or joined already")]
    LicenceTaken,
    /// The server has no key to keep secrets under.
    #[error(
        "this server cannot keep the number of an identity card or of a bank account: its settings have no key (secrets.key, ROTUNDA_SECRETS_KEY)"
    )]
    SecretsOff,
    /// Not a file that is taken.
    #[error(transparent)]
    File(#[from] FileFault),
    /// Enough files.
    #[error("an application has at most {} files", files::MOST_FILES)]
    TooManyFiles,
    /// No text, or too long a one.
    #[error("a text needs at least one language and at most 20,000 characters in each")]
    BadText,
    /// No reason, or too long a one.
    #[error("give a reason of 1 to 1000 characters")]
    NoReason,
    /// Who applied does not decide.
    #[error("who applied does not decide about it")]
    Oneself,
    /// What making a merchant says.
    #[error(transparent)]
    Merchant(#[from] MerchantError),
    /// A page that begins after something that is no place in this list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// Somebody who begins.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// Where the letter with the link goes.
    pub email: Email,
    /// In which language letters are written.
    pub language: Language,
    /// The digest of the conditions that they have read.
    pub digest: String,
    /// From where, in short.
    pub from: String,
    /// Whether to answer a new application's token, because no letter can be sent.
    pub tell: bool,
}

/// Begins an application, whose link goes to the address by a letter. Where the address has one that
/// is not live, its link goes there again and nothing else happens, so that nobody is told whether
/// there is one. The token is answered for a new one where no letter can be sent, and only then.
///
/// # Errors
/// [`OnboardingError::OtherText`], [`OnboardingError::Db`].
pub async fn start(
    tx: &mut Tx,
    grant: &Grant<StartApplication>,
    new: Beginning,
) -> Result<Option<SecretString>, OnboardingError> {
    let conditions = texts::newest(tx, TextKind::Conditions).await?;
    if conditions.digest != new.digest {
        return Err(OnboardingError::OtherText);
    }
    let email = lower(&new.email);
    if send_link(tx, grant, &email, &new.from).await? {
        return Ok(None);
    }
    let (id, now) = (tx.new_id(), tx.now());
    let mut application = Application {
        id,
        email,
        language: new.language,
        state: State::Draft,
        form: Form::default(),
        sealed: None,
        asked: Vec::new(),
        reason: None,
        conditions: Accepted {
            version: conditions.version,
            digest: conditions.digest,
            at: now,
            by: id.to_string(),
            from: new.from.clone(),
        },
        agreement: None,
        agreed: None,
        merchant: None,
        revision: 0,
        created_at: now,
        changed_at: now,
        submitted_at: None,
        decided: None,
    };
    if !store::insert(tx, &application).await? {
        // Somebody began with the same address in this moment, and has the letter.
        return Ok(None);
    }
    let event = news::happened(
        tx,
        &mut application,
        EventKind::Started,
        Some(&new.from),
        None,
    );
    let event = event.await?;
    if !new.tell {
        return Ok(None);
    }
    Ok(Some(news::tell_now(tx, event).await?))
}

/// Has the link of an address's newest application sent again, if it has one that is not live: whether
/// there is one.
///
/// # Errors
/// [`OnboardingError::Db`].
pub async fn send_link(
    tx: &mut Tx,
    _grant: &Grant<StartApplication>,
    email: &Email,
    from: &str,
) -> Result<bool, OnboardingError> {
    let Some(mut application) = store::lock_of_address(tx, &lower(email)).await? else {
        return Ok(false);
    };
    let last = news::store::last_event(tx, application.id).await?;
    let just_now = last.is_some_and(|last| {
        let letter = matches!(last.kind, EventKind::Started | EventKind::LinkAsked);
        letter && tx.now() < last.happened_at + AGAIN_AFTER
    });
    if !just_now {
        news::happened(tx, &mut application, EventKind::LinkAsked, Some(from), None).await?;
    }
    Ok(true)
}

/// One's own application.
///
/// # Errors
/// [`OnboardingError::Db`].
pub async fn own_application(
    tx: &mut ReadTx,
    grant: &Grant<UseApplication>,
    vault: Option<&Vault>,
) -> Result<Whole, OnboardingError> {
    let found = store::find(tx, own(grant)?).await?;
    whole(tx, vault, found.ok_or(OnboardingError::NotFound)?).await
}

/// What somebody says anew of their application; a secret that is not given stays as it was.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// All of what can be shown.
    pub form: Form,
    /// The number of the representative's identity card.
    pub representative_id: Option<SecretString>,
    /// The number of the bank account.
    pub bank_account: Option<SecretString>,
    /// In which language letters are written.
    pub language: Option<Language>,
}

/// Keeps what somebody says, as far as they have come.
///
/// # Errors
/// [`OnboardingError::Closed`]; [`OnboardingError::SecretsOff`] where something secret is said and
/// cannot be kept.
pub async fn save(
    tx: &mut Tx,
    grant: &Grant<UseApplication>,
    vault: Option<&Vault>,
    said: Said,
) -> Result<Whole, OnboardingError> {
    let mut application = locked(tx, own(grant)?).await?;
    if !application.state.is_open() {
        return Err(OnboardingError::Closed(application.state));
    }
    if said.representative_id.is_some() || said.bank_account.is_some() {
        let vault = vault.ok_or(OnboardingError::SecretsOff)?;
        let mut secrets = opened(tx.tenant(), &application, Some(vault))?;
        secrets.representative_id = said.representative_id.unwrap_or(secrets.representative_id);
        secrets.bank_account = said.bank_account.unwrap_or(secrets.bank_account);
        application.sealed = Some(sealed(
            tx.tenant(),
            &application,
            vault,
            &secrets,
            tx.entropy(),
        )?);
    }
    application.form = said.form;
    application.language = said.language.unwrap_or(application.language);
    application.changed_at = tx.now();
    store::save(tx, &application).await?;
    whole(tx, vault, application).await
}

/// Sends one's own application in, for the first time or with what was asked.
///
/// # Errors
/// [`OnboardingError::Incomplete`] with everything that is missing, [`OnboardingError::LicenceTaken`],
/// [`OnboardingError::NoStep`].
pub async fn submit(
    tx: &mut Tx,
    grant: &Grant<UseApplication>,
    vault: Option<&Vault>,
    from: &str,
) -> Result<Whole, OnboardingError> {
    let mut application = locked(tx, own(grant)?).await?;
    if let Some(next) = next(&application, Step::Submit)? {
        let before = whole(tx, vault, application).await?;
        if !before.lacks.is_empty() {
            return Err(OnboardingError::Incomplete(before.lacks));
        }
        application = before.application;
        application.submitted_at = Some(tx.now());
        application.asked.clear();
        application.reason = None;
        go(tx, &mut application, next, Some(from), None).await?;
    }
    whole(tx, vault, application).await
}

/// Takes one's own application back.
///
/// # Errors
/// [`OnboardingError::NoStep`].
pub async fn withdraw(
    tx: &mut Tx,
    grant: &Grant<UseApplication>,
    vault: Option<&Vault>,
    from: &str,
) -> Result<Whole, OnboardingError> {
    let mut application = locked(tx, own(grant)?).await?;
    if let Some(next) = next(&application, Step::Withdraw)? {
        go(tx, &mut application, next, Some(from), None).await?;
    }
    whole(tx, vault, application).await
}

/// Begins one's own application anew after it was refused or taken back, with everything that it said.
///
/// # Errors
/// [`OnboardingError::OtherText`] where `digest` is not of the conditions as they are now,
/// [`OnboardingError::NoStep`].
pub async fn reopen(
    tx: &mut Tx,
    grant: &Grant<UseApplication>,
    vault: Option<&Vault>,
    digest: &str,
    from: &str,
) -> Result<Whole, OnboardingError> {
    let mut application = locked(tx, own(grant)?).await?;
    if let Some(next) = next(&application, Step::Reopen)? {
        let conditions = texts::newest(tx, TextKind::Conditions).await?;
        if conditions.digest != digest {
            return Err(OnboardingError::OtherText);
        }
        application.conditions = Accepted {
            version: conditions.version,
            digest: conditions.digest,
            at: tx.now(),
            by: tx.actor().to_string(),
            from: from.to_owned(),
        };
        application.decided = None;
        application.reason = None;
        go(tx, &mut application, next, Some(from), None).await?;
    }
    whole(tx, vault, application).await
}

/// Accepts the agreement, whose digest one names: the merchant works from now on.
///
/// # Errors
/// [`OnboardingError::OtherText`], [`OnboardingError::NoStep`].
pub async fn accept(
    tx: &mut Tx,
    grant: &Grant<UseApplication>,
    vault: Option<&Vault>,
    digest: &str,
    from: &str,
) -> Result<Whole, OnboardingError> {
    let mut application = locked(tx, own(grant)?).await?;
    let turned = next(&application, Step::Accept)?;
    let (Some((version, wanted)), Some(merchant)) = (&application.agreement, application.merchant)
    else {
        return Err(OnboardingError::NoStep(application.state));
    };
    if wanted != digest {
        return Err(OnboardingError::OtherText);
    }
    if let Some(next) = turned {
        application.agreed = Some(Accepted {
            version: *version,
            digest: wanted.clone(),
            at: tx.now(),
            by: tx.actor().to_string(),
            from: from.to_owned(),
        });
        super::store::set_merchant_status(tx, merchant, Status::Active).await?;
        go(tx, &mut application, next, Some(from), None).await?;
    }
    whole(tx, vault, application).await
}

async fn go(
    tx: &mut Tx,
    application: &mut Application,
    to: State,
    from: Option<&str>,
    reason: Option<&str>,
) -> Result<(), OnboardingError> {
    application.state = to;
    application.changed_at = tx.now();
    match news::happened(tx, application, EventKind::of(to), from, reason).await {
        Err(error) if error.is_constraint("application_licence_key") => {
            Err(OnboardingError::LicenceTaken)
        }
        other => Ok(other.map(drop)?),
    }
}

/// Where a step leads; nowhere where it was taken already.
fn next(application: &Application, step: Step) -> Result<Option<State>, OnboardingError> {
    match turn(application.state, step) {
        Turn::To(state) => Ok(Some(state)),
        Turn::Already => Ok(None),
        Turn::Refused => Err(OnboardingError::NoStep(application.state)),
    }
}

async fn whole(
    tx: &mut ReadTx,
    vault: Option<&Vault>,
    application: Application,
) -> Result<Whole, OnboardingError> {
    let id = application.id;
    let papers = files::store::papers(tx, id, files::MOST_FILES).await?;
    let events = news::store::events(tx, id, MOST).await?;
    let secrets = opened(tx.tenant(), &application, vault)?;
    let kinds: Vec<PaperKind> = papers.iter().map(|paper| paper.kind).collect();
    let agreement = match &application.agreement {
        Some((version, _)) => Some(texts::of_version(tx, TextKind::Agreement, *version).await?),
        None => None,
    };
    Ok(Whole {
        lacks: form::lacks(&application.form, &secrets, &kinds),
        representative_id: form::masked(&secrets.representative_id),
        bank_account: form::masked(&secrets.bank_account),
        application,
        papers,
        events,
        agreement,
    })
}

async fn locked(tx: &mut Tx, id: ApplicationId) -> Result<Application, OnboardingError> {
    store::lock(tx, id).await?.ok_or(OnboardingError::NotFound)
}

/// Whose application it is that somebody has the link to.
fn own(grant: &Grant<UseApplication>) -> Result<ApplicationId, OnboardingError> {
    match grant.actor() {
        Actor::Applicant(id) => Ok(id),
        _ => Err(OnboardingError::NotFound),
    }
}

/// An address as it is stored and compared, like the addresses by which people sign in.
fn lower(email: &Email) -> Email {
    let lower = email.as_str().to_ascii_lowercase();
    lower.parse().unwrap_or_else(|_| email.clone())
}

/// Both secrets as they are sealed.
#[derive(Serialize)]
struct Kept<'a> {
    representative_id: &'a str,
    bank_account: &'a str,
}

fn sealed(
    tenant: TenantId,
    application: &Application,
    vault: &Vault,
    secrets: &Secrets,
    entropy: &Entropy,
) -> Result<Vec<u8>, OnboardingError> {
    let kept = Kept {
        representative_id: secrets.representative_id.expose_secret(),
        bank_account: secrets.bank_account.expose_secret(),
    };
    let text = serde_json::to_vec(&kept).map_err(|_| db::Error::Corrupt("secrets"))?;
    let sealed = vault.seal(&carried::bound(tenant, application.id), &text, entropy);
    sealed.ok_or(OnboardingError::SecretsOff)
}

fn opened(
    tenant: TenantId,
    application: &Application,
    vault: Option<&Vault>,
) -> Result<Secrets, OnboardingError> {
    // Without a key they are as if they had not been said.
    let (Some(sealed), Some(vault)) = (&application.sealed, vault) else {
        return Ok(Secrets::default());
    };
    let text = vault.open(&carried::bound(tenant, application.id), sealed);
    let text = text.ok_or(db::Error::Corrupt("sealed secrets of an application"))?;
    let text = String::from_utf8(text).map_err(|_| db::Error::Corrupt("secrets"))?;
    let kept: serde_json::Value =
        serde_json::from_str(&text).map_err(|_| db::Error::Corrupt("secrets"))?;
    let said = |name: &str| {
        let value = kept.get(name).and_then(serde_json::Value::as_str);
        SecretString::from(value.unwrap_or_default())
    };
    Ok(Secrets {
        representative_id: said("representative_id"),
        bank_account: said("bank_account"),
    })
}

//! What the operator does about applications.

use super::{
    Application, Field, LONGEST_REASON, OnboardingError, Question, State, TextKind, Whole,
    course::Step, go, locked, lower, next, store, texts, whole,
};
use crate::{
    authz::{
        action::{
            CreateMerchant, CreateStore, DecideApplications, ReadApplications, SetContact,
            SuspendMerchant,
        },
        grant::Grant,
    },
    db::tx::{ReadTx, Tx},
    kernel::{
        ids::{ApplicationId, MerchantId},
        page::{CursorError, MOST, Page, Slice},
        text::{Code, Email, Name, Names},
        vault::Vault,
    },
    merchants::{self, Alliance, NewMerchant, NewStore, contacts},
};

/// Applications, the newest first; of one state where `state` names it.
///
/// # Errors
/// [`OnboardingError::Cursor`], [`OnboardingError::Db`].
pub async fn list(
    tx: &mut ReadTx,
    _grant: &Grant<ReadApplications>,
    state: Option<State>,
    slice: &Slice,
) -> Result<Page<Application>, OnboardingError> {
    let before = match &slice.after {
        Some(key) => key.parse().map_err(|_| CursorError)?,
        None => ApplicationId::from_uuid(uuid::Uuid::max()),
    };
    let limit = slice.limit.clamp(1, MOST);
    let rows = match state {
        Some(state) => store::of_state(tx, state, before, limit.saturating_add(1)).await?,
        None => store::before(tx, before, limit.saturating_add(1)).await?,
    };
    Ok(Page::from_rows(rows, limit, |row| row.id.to_string()))
}

/// How many applications there are of each state, where there are any.
///
/// # Errors
/// [`OnboardingError::Db`].
pub async fn counts(
    tx: &mut ReadTx,
    _grant: &Grant<ReadApplications>,
) -> Result<Vec<(State, i64)>, OnboardingError> {
    Ok(store::counts(tx).await?)
}

/// One application.
///
/// # Errors
/// [`OnboardingError::NotFound`], [`OnboardingError::Db`].
pub async fn get(
    tx: &mut ReadTx,
    _grant: &Grant<ReadApplications>,
    vault: Option<&Vault>,
    id: ApplicationId,
) -> Result<Whole, OnboardingError> {
    let found = store::find(tx, id).await?;
    whole(tx, vault, found.ok_or(OnboardingError::NotFound)?).await
}

/// Says that somebody looks at an application.
///
/// # Errors
/// [`OnboardingError::NotFound`], [`OnboardingError::NoStep`].
pub async fn take_up(
    tx: &mut Tx,
    _grant: &Grant<DecideApplications>,
    vault: Option<&Vault>,
    id: ApplicationId,
) -> Result<Whole, OnboardingError> {
    let mut application = locked(tx, id).await?;
    if let Some(next) = next(&application, Step::TakeUp)? {
        go(tx, &mut application, next, None, None).await?;
    }
    whole(tx, vault, application).await
}

/// Asks for more, part by part; whoever applied can then change what they said.
///
/// # Errors
/// [`OnboardingError::NotFound`], [`OnboardingError::NoStep`], [`OnboardingError::NoReason`].
pub async fn ask(
    tx: &mut Tx,
    _grant: &Grant<DecideApplications>,
    vault: Option<&Vault>,
    id: ApplicationId,
    questions: &[(Field, String)],
) -> Result<Whole, OnboardingError> {
    let fits = |(_, note): &(Field, String)| given(note).is_ok();
    if questions.is_empty() || questions.len() > Field::ALL.len() || !questions.iter().all(fits) {
        return Err(OnboardingError::NoReason);
    }
    let asked: Vec<Question> = questions
        .iter()
        .map(|(field, note)| Question {
            field: field.as_str().to_owned(),
            note: note.trim().to_owned(),
        })
        .collect();
    let mut application = locked(tx, id).await?;
    let next = next(&application, Step::Ask)?;
    if next.is_some() || application.asked != asked {
        let notes: Vec<&str> = asked.iter().map(|one| one.note.as_str()).collect();
        let notes = notes.join("\n");
        application.asked.clone_from(&asked);
        let to = next.unwrap_or(application.state);
        go(tx, &mut application, to, None, Some(&notes)).await?;
    }
    whole(tx, vault, application).await
}

/// Refuses an application; whoever applied may begin anew with everything that it said.
///
/// # Errors
/// [`OnboardingError::NotFound`], [`OnboardingError::NoStep`], [`OnboardingError::NoReason`].
pub async fn reject(
    tx: &mut Tx,
    _grant: &Grant<DecideApplications>,
    vault: Option<&Vault>,
    id: ApplicationId,
    reason: &str,
) -> Result<Whole, OnboardingError> {
    let reason = given(reason)?;
    let mut application = locked(tx, id).await?;
    if let Some(next) = next(&application, Step::Reject)? {
        application.decided = Some((tx.now(), tx.actor().to_string()));
        application.reason = Some(reason.to_owned());
        application.asked.clear();
        go(tx, &mut application, next, None, Some(reason)).await?;
    }
    whole(tx, vault, application).await
}

/// The rights of which an approval consists besides its own.
#[derive(Debug)]
pub struct Rights {
    /// To take a merchant into the alliance.
    pub merchant: Grant<CreateMerchant>,
    /// To let it rest until the agreement is accepted.
    pub rest: Grant<SuspendMerchant>,
    /// To open its stores.
    pub store: Grant<CreateStore>,
    /// To say where its mail goes.
    pub contact: Grant<SetContact>,
}

/// What an approval made.
#[derive(Debug)]
pub struct Approved {
    /// The application.
    pub whole: Whole,
    /// The merchant whose owner is to be invited now; none where that was done before.
    pub fresh: Option<MerchantId>,
}

/// Makes an application a merchant with its stores, which rest until the agreement is accepted. `code`
/// is what lists and files call it; without one, a code is made of its id. `who` decides, by their
/// address where they have one.
///
/// # Errors
/// [`OnboardingError::NotFound`], [`OnboardingError::NoStep`], [`OnboardingError::Oneself`],
/// [`OnboardingError::Merchant`].
pub async fn approve(
    tx: &mut Tx,
    _grant: &Grant<DecideApplications>,
    rights: &Rights,
    vault: Option<&Vault>,
    id: ApplicationId,
    code: Option<Code>,
    who: Option<&Email>,
) -> Result<Approved, OnboardingError> {
    let mut application = locked(tx, id).await?;
    let mut fresh = None;
    if let Some(next) = next(&application, Step::Approve)? {
        if who.is_some_and(|who| is_theirs(&application, who)) {
            return Err(OnboardingError::Oneself);
        }
        let merchant = make(tx, rights, &application, code).await?;
        let agreement = texts::newest(tx, TextKind::Agreement).await?;
        application.agreement = Some((agreement.version, agreement.digest));
        application.merchant = Some(merchant);
        application.decided = Some((tx.now(), tx.actor().to_string()));
        go(tx, &mut application, next, None, None).await?;
        fresh = Some(merchant);
    }
    let whole = whole(tx, vault, application).await?;
    Ok(Approved { whole, fresh })
}

/// The merchant, its stores and its address, by the use cases that make any.
async fn make(
    tx: &mut Tx,
    rights: &Rights,
    application: &Application,
    code: Option<Code>,
) -> Result<MerchantId, OnboardingError> {
    let (form, language) = (&application.form, application.language);
    let unfit = || OnboardingError::NoStep(application.state);
    let name = |text: &str| text.parse::<Name>().map_err(|_| unfit());
    let code = match code {
        Some(code) => code,
        None => made_code(application.id).ok_or_else(unfit)?,
    };
    let new = NewMerchant {
        code: code.clone(),
        names: Names::only(language, name(&form.company)?),
        trade: name(form.categories.first().map_or("", String::as_str))?,
        alliance: form.alliance.parse::<Alliance>().map_err(|_| unfit())?,
    };
    let merchant = merchants::create(tx, &rights.merchant, new).await?.id;
    merchants::suspend(tx, &rights.rest, merchant).await?;
    for (place, store) in form.stores.iter().enumerate() {
        let number = place.saturating_add(1);
        let start: String = code.as_str().chars().take(37).collect();
        let new = NewStore {
            merchant,
            code: format!("{start}-{number}").parse().map_err(|_| unfit())?,
            names: Names::only(language, name(store)?),
            alliance: None,
        };
        merchants::create_store(tx, &rights.store, new).await?;
    }
    let email = application.email.clone();
    contacts::set(tx, &rights.contact, merchant, email, language).await?;
    Ok(merchant)
}

/// A code of the last digits of an id, which are random.
fn made_code(id: ApplicationId) -> Option<Code> {
    let text = id.to_string();
    let end = text.get(text.len().checked_sub(8)?..)?;
    format!("m-{end}").parse().ok()
}

/// Whether that address is of somebody for whom the application was made.
fn is_theirs(application: &Application, who: &Email) -> bool {
    let who = lower(who);
    let named = |email: &str| email.trim().eq_ignore_ascii_case(who.as_str());
    let contacts = &application.form.contacts;
    application.email == who || contacts.iter().any(|one| named(&one.email))
}

fn given(reason: &str) -> Result<&str, OnboardingError> {
    let reason = reason.trim();
    let printable = |letter: char| letter == '\n' || crate::kernel::text::printable(letter);
    let fits = !reason.is_empty()
        && reason.chars().count() <= LONGEST_REASON
        && reason.chars().all(printable);
    fits.then_some(reason).ok_or(OnboardingError::NoReason)
}

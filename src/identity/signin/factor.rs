//! The second factor: set up, shown, and what replaces it.

use secrecy::SecretString;

use super::{
    Desk, Opened, SignInError,
    attempts::{self, Subject},
    note, renew, store,
};
use crate::{
    audit::{self, Act, Done},
    authz::{action::UseAccount, grant::Grant},
    db::tx::{ReadTx, Tx},
    identity::{
        Seen,
        one_time::{self, Enrolment, Whose},
        sessions::{person, store::end_all_of, whole},
        staff::{Staff, State, store as people},
    },
    kernel::{ids::StaffId, key_text, vault::Vault},
};

/// How many recovery codes there are.
const CODES: usize = 10;

/// A second factor that was taken into use.
#[derive(Debug, Clone)]
pub struct Activated {
    /// The session, with the second factor shown and another token.
    pub opened: Opened,
    /// What replaces a lost telephone, each once; told this once.
    pub recovery_codes: Vec<SecretString>,
}

/// Makes a secret and tells it, this once. Until a code of it was shown it is not in use, and the next
/// one replaces it. `issuer` is what the telephone calls the mall.
///
/// # Errors
/// [`SignInError::SecondFactorOff`], [`SignInError::AlreadyEnrolled`],
/// [`SignInError::UnknownSession`], [`SignInError::Db`].
pub async fn begin_enrolment(
    tx: &mut Tx,
    grant: &Grant<UseAccount>,
    vault: Option<&Vault>,
    issuer: &str,
) -> Result<Enrolment, SignInError> {
    let vault = vault.ok_or(SignInError::SecondFactorOff)?;
    let staff = locked(tx, person(grant)?).await?;
    if staff.second_factor_since.is_some() {
        return Err(SignInError::AlreadyEnrolled);
    }
    let whose = whose(tx, staff.id);
    let made = one_time::enrol(vault, &whose, issuer, staff.email.as_str(), tx.entropy());
    let (told, sealed) = made.ok_or(SignInError::SecondFactorOff)?;
    store::propose_factor(tx, staff.id, &sealed).await?;
    Ok(told)
}

/// The secret that is being set up, for a page that is shown again; none where there is none.
///
/// # Errors
/// [`SignInError::AlreadyEnrolled`], [`SignInError::UnknownSession`], [`SignInError::Db`].
pub async fn enrolment(
    tx: &mut ReadTx,
    grant: &Grant<UseAccount>,
    vault: Option<&Vault>,
    issuer: &str,
) -> Result<Option<Enrolment>, SignInError> {
    let vault = vault.ok_or(SignInError::SecondFactorOff)?;
    let id = person(grant)?;
    let staff = people::find(tx, id).await?;
    let staff = staff.ok_or(SignInError::UnknownSession)?;
    if staff.second_factor_since.is_some() {
        return Err(SignInError::AlreadyEnrolled);
    }
    let sealed = store::factor_of(tx, id).await?.and_then(|kept| kept.sealed);
    let whose = whose(tx, id);
    let email = staff.email.as_str();
    Ok(sealed.and_then(|sealed| one_time::tell_again(vault, &whose, issuer, email, &sealed)))
}

/// Takes the second factor into use by a first code of it, and tells the recovery codes.
///
/// # Errors
/// [`SignInError::SecondFactorOff`], [`SignInError::AlreadyEnrolled`],
/// [`SignInError::NoSecondFactor`] where none is being set up, [`SignInError::WrongCode`],
/// [`SignInError::TooMany`], [`SignInError::Db`].
pub async fn activate(
    desk: Desk<'_>,
    grant: &Grant<UseAccount>,
    by: &Seen,
    code: &str,
) -> Result<Activated, SignInError> {
    let vault = desk.vault.ok_or(SignInError::SecondFactorOff)?;
    let own = person(grant)?;
    let subject = [Subject::code(own)];
    let mut tx = desk.db.write(grant).await?;
    let last = attempts::count(&mut tx, &subject).await?;
    tx.commit().await?;
    let mut tx = desk.db.write(grant).await?;
    let mut staff = locked(&mut tx, own).await?;
    if staff.second_factor_since.is_some() {
        return Err(SignInError::AlreadyEnrolled);
    }
    let kept = store::factor_of(&mut tx, own).await?;
    let sealed = kept.and_then(|kept| kept.sealed);
    let sealed = sealed.ok_or(SignInError::NoSecondFactor)?;
    let (whose, now) = (whose(&tx, own), tx.now());
    let step = one_time::step_of(vault, &whose, &sealed, code, now, None);
    let Some(step) = step else {
        drop(tx);
        return Err(wrong(desk, grant, own, last).await);
    };
    store::use_factor(&mut tx, own, step).await?;
    staff.second_factor_since = Some(now);
    let recovery_codes = make_codes(&mut tx, own).await?;
    attempts::forgive(&mut tx, &subject).await?;
    let opened = renew(&mut tx, &staff, by.id, true).await?;
    audit::record(&mut tx, Done::to(Act::FactorAdded, own)).await?;
    tx.commit().await?;
    Ok(Activated {
        opened,
        recovery_codes,
    })
}

/// Shows the second factor: a code of this moment, or a recovery code. The session gets another token.
///
/// # Errors
/// [`SignInError::NoSecondFactor`], [`SignInError::WrongCode`], [`SignInError::TooMany`],
/// [`SignInError::Db`].
pub async fn pass(
    desk: Desk<'_>,
    grant: &Grant<UseAccount>,
    by: &Seen,
    code: &str,
) -> Result<Opened, SignInError> {
    let own = person(grant)?;
    let subject = [Subject::code(own)];
    let mut tx = desk.db.write(grant).await?;
    let last = attempts::count(&mut tx, &subject).await?;
    tx.commit().await?;
    let mut tx = desk.db.write(grant).await?;
    let staff = locked(&mut tx, own).await?;
    let kept = store::factor_of(&mut tx, own).await?;
    let kept = kept.filter(|kept| kept.since.is_some());
    let kept = kept.ok_or(SignInError::NoSecondFactor)?;
    let (whose, now) = (whose(&tx, own), tx.now());
    let step = kept.sealed.zip(desk.vault).and_then(|(sealed, vault)| {
        one_time::step_of(vault, &whose, &sealed, code, now, kept.step)
    });
    let act = match (step, key_text::typed(code)) {
        (Some(step), _) => {
            store::keep_step(&mut tx, own, step).await?;
            Some(Act::FactorShown)
        }
        (None, Some(typed)) => {
            let hash = key_text::hash(&typed);
            let used = store::use_recovery_code(&mut tx, own, &hash).await?;
            used.then_some(Act::RecoveryCodeUsed)
        }
        (None, None) => None,
    };
    let Some(act) = act else {
        drop(tx);
        return Err(wrong(desk, grant, own, last).await);
    };
    attempts::forgive(&mut tx, &subject).await?;
    let opened = renew(&mut tx, &staff, by.id, true).await?;
    audit::record(&mut tx, Done::to(act, own)).await?;
    tx.commit().await?;
    Ok(opened)
}

/// Writes down that a code was wrong.
async fn wrong(desk: Desk<'_>, grant: &Grant<UseAccount>, own: StaffId, last: bool) -> SignInError {
    let failed = [Act::FactorFailed, Act::FactorLocked].map(|act| Done::to(act, own));
    match note(desk, grant, failed, last).await {
        Ok(()) => SignInError::WrongCode,
        Err(error) => error.into(),
    }
}

/// Makes new recovery codes and tells them, this once; those before open nothing any more.
///
/// # Errors
/// [`SignInError::SecondFactorNeeded`], [`SignInError::NoSecondFactor`], [`SignInError::Db`].
pub async fn new_recovery_codes(
    tx: &mut Tx,
    grant: &Grant<UseAccount>,
    by: &Seen,
) -> Result<Vec<SecretString>, SignInError> {
    whole(by)?;
    let staff = locked(tx, person(grant)?).await?;
    if staff.second_factor_since.is_none() {
        return Err(SignInError::NoSecondFactor);
    }
    audit::record(tx, Done::to(Act::RecoveryCodesMade, staff.id)).await?;
    make_codes(tx, staff.id).await
}

/// Takes the second factor away, with its recovery codes, so that another can be set up; every other
/// session of theirs ends. Whose role asks for one does nothing else before.
///
/// # Errors
/// [`SignInError::SecondFactorNeeded`], [`SignInError::NoSecondFactor`], [`SignInError::Db`].
pub async fn remove_factor(
    tx: &mut Tx,
    grant: &Grant<UseAccount>,
    by: &Seen,
) -> Result<Opened, SignInError> {
    whole(by)?;
    let mut staff = locked(tx, person(grant)?).await?;
    if staff.second_factor_since.is_none() {
        return Err(SignInError::NoSecondFactor);
    }
    store::remove_factor(tx, staff.id).await?;
    store::set_recovery_codes(tx, staff.id, &[]).await?;
    end_all_of(tx, staff.id, Some(by.id)).await?;
    audit::record(tx, Done::to(Act::FactorRemoved, staff.id)).await?;
    staff.second_factor_since = None;
    renew(tx, &staff, by.id, false).await
}

async fn make_codes(tx: &mut Tx, staff: StaffId) -> Result<Vec<SecretString>, SignInError> {
    let (mut told, mut hashes) = (Vec::new(), Vec::new());
    for _ in 0..CODES {
        let (code, hash) = key_text::recovery_code(tx.entropy());
        told.push(SecretString::from(code));
        hashes.push(hash.to_vec());
    }
    store::set_recovery_codes(tx, staff, &hashes).await?;
    Ok(told)
}

async fn locked(tx: &mut Tx, id: StaffId) -> Result<Staff, SignInError> {
    let found = people::lock(tx, id).await?;
    let staff = found.filter(|staff| staff.state == State::Active);
    staff.ok_or(SignInError::UnknownSession)
}

fn whose(tx: &ReadTx, staff: StaffId) -> Whose {
    Whose {
        tenant: tx.tenant(),
        staff,
    }
}

//! How often something failed. What is tried is counted first and forgiven when it succeeds, so that
//! many who try at once are many.

use chrono::TimeDelta;
use sha2::{Digest, Sha256};

use super::{SignInError, store};
use crate::{
    db::{self, tx::Tx},
    kernel::{ids::StaffId, text::Email},
};

/// The most failures within a window.
const MOST: i32 = 10;

/// The most letters to one account within a window.
const LETTERS: i32 = 5;

/// The most letters that are asked for from one address within a window: a mall's office is one.
const ASKED: i32 = 60;

/// How long failures count, from the first of them on, where nothing else is said.
const WINDOW: TimeDelta = TimeDelta::minutes(15);

/// The longest of all windows: what is older counts for nothing.
const LONGEST: TimeDelta = TimeDelta::days(1);

/// What something fails for, as the table holds it, which is not to be read back; and how often it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::identity) struct Subject {
    hash: [u8; 32],
    most: i32,
    window: TimeDelta,
}

impl Subject {
    /// Something of a kind, which fails as often and for as long as a password may.
    pub(in crate::identity) fn of(kind: &str, what: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(kind.as_bytes());
        hash.update([0]);
        hash.update(what.as_bytes());
        Self {
            hash: hash.finalize().into(),
            most: MOST,
            window: WINDOW,
        }
    }

    /// The same, which may so often within so long.
    pub(in crate::identity) fn within(self, most: i32, window: TimeDelta) -> Self {
        Self {
            most,
            window: window.min(LONGEST),
            ..self
        }
    }

    /// Signing in to an account, which need not exist.
    pub(super) fn account(email: &Email) -> Self {
        Self::of("account", email.as_str())
    }

    /// Signing in from an address.
    pub(super) fn address(address: &str) -> Self {
        Self::of("address", address)
    }

    /// Asking for letters from an address.
    pub(super) fn asker(address: &str) -> Self {
        let most = ASKED;
        Self {
            most,
            ..Self::of("asker", address)
        }
    }

    /// Letters to an account.
    pub(super) fn letters(email: &Email) -> Self {
        let most = LETTERS;
        Self {
            most,
            ..Self::of("letters", email.as_str())
        }
    }

    /// Somebody's codes.
    pub(super) fn code(staff: StaffId) -> Self {
        Self::of("code", &staff.to_string())
    }

    /// Somebody's password, asked for again.
    pub(super) fn own(staff: StaffId) -> Self {
        Self::of("own", &staff.to_string())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.hash
    }
}

/// Counts a try for each of the subjects.
///
/// The transaction is to be committed before what is tried is tried; it is to be dropped where this
/// refuses, so that nobody is shut out for longer by those who go on trying.
///
/// Says whether it was the last one that they have.
///
/// # Errors
/// [`SignInError::TooMany`] where one of them has failed too often, [`SignInError::Db`].
pub(in crate::identity) async fn count(
    tx: &mut Tx,
    subjects: &[Subject],
) -> Result<bool, SignInError> {
    let now = tx.now();
    store::sweep(tx, now - LONGEST).await?;
    let mut sorted = subjects.to_vec();
    // Always in the same order, so that no two wait for each other.
    sorted.sort_unstable();
    let mut last = false;
    for subject in &sorted {
        let begun = now - subject.window;
        let (failures, since) = store::count(tx, subject.bytes(), begun).await?;
        if failures > subject.most {
            let left = (since + subject.window - now)
                .num_seconds()
                .clamp(1, LONGEST.num_seconds());
            return Err(SignInError::TooMany(u32::try_from(left).unwrap_or(1)));
        }
        last |= failures == subject.most;
    }
    Ok(last)
}

/// Forgives: the first subject everything, and each other one this try.
pub(in crate::identity) async fn forgive(
    tx: &mut Tx,
    subjects: &[Subject],
) -> Result<(), db::Error> {
    let mut sorted = subjects.to_vec();
    sorted.sort_unstable();
    for subject in &sorted {
        if subjects.first() == Some(subject) {
            store::forget(tx, subject.bytes()).await?;
        } else {
            store::take_back(tx, subject.bytes()).await?;
        }
    }
    Ok(())
}

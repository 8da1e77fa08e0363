//! Passwords: what may be one, and what is kept of it.
//!
//! A password is kept as argon2id makes it (19 MiB, two passes, one lane: what OWASP asks for). That
//! takes 30 ms of a core and 19 MiB, so that it happens off the threads that answer requests, outside
//! any transaction, and for a few at a time; who does not get a turn soon is sent away.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier},
};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};
use unicode_normalization::UnicodeNormalization;

use crate::kernel::{ids::Entropy, text::Email};

/// The shortest and the longest password, in characters.
const LENGTH: std::ops::RangeInclusive<usize> = 10..=128;

/// How many passwords are hashed at a time.
const AT_ONCE: usize = 2;

/// The longest that somebody waits for a turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// The salt of the password that nobody has.
const NOBODYS: &[u8; 16] = b"nobody has this.";

/// Why something is not to be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// Too short or too long.
    #[error("a password has 10 to 128 characters")]
    Length,
    /// What everybody tries first.
    #[error(
        "this password is easily guessed: it is one letter over and over, a row of the keyboard, or the address"
    )]
    Guessable,
}

/// What a hash takes: a turn, and a machine that computes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HashError {
    /// Too many want one.
    #[error("too many people are signing in at this moment")]
    Busy,
    /// What is stored is no hash.
    #[error("the stored password cannot be read")]
    Unreadable,
}

/// A password that somebody chooses. It prints as stars.
#[derive(Clone)]
pub struct Password(SecretString);

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

impl Password {
    /// Checks what somebody wants as a password, whose address is `email`.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub fn choose(wanted: &SecretString, email: &Email) -> Result<Self, PasswordError> {
        let same = normal(wanted);
        let text = same.expose_secret();
        if !LENGTH.contains(&text.chars().count()) {
            return Err(PasswordError::Length);
        }
        let lower = text.to_lowercase();
        let mut letters: Vec<char> = lower.chars().collect();
        letters.sort_unstable();
        letters.dedup();
        let rows = "1234567890 0987654321 qwertyuiop asdfghjkl zxcvbnm abcdefghijklmnopqrstuvwxyz \
                    password passw0rd 11223344556677889900 123123123123 1q2w3e4r5t6y";
        let row = rows.split(' ').any(|row| {
            let rest = lower.replace(row, "");
            rest.chars().count() < 4 && rest.len() < lower.len()
        }) || rows.contains(&lower);
        let address = email.as_str().to_lowercase();
        let own = lower.contains(&address) || address.split('@').next() == Some(lower.as_str());
        if letters.len() < 3 || row || own {
            return Err(PasswordError::Guessable);
        }
        Ok(Self(same))
    }
}

/// The same letters in the same bytes, however a keyboard writes them (NFKC).
fn normal(text: &SecretString) -> SecretString {
    SecretString::from(text.expose_secret().nfkc().collect::<String>())
}

/// Hashes passwords, a few at a time. A clone is the same one.
#[derive(Debug, Clone)]
pub struct Hashing {
    turns: Arc<Semaphore>,
    computed: Arc<AtomicU64>,
}

impl Default for Hashing {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            computed: Arc::default(),
        }
    }
}

impl Hashing {
    /// How many hashes were computed so far.
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// What is stored of a password.
    ///
    /// # Errors
    /// [`HashError::Busy`].
    pub async fn hash(&self, password: &Password, entropy: &Entropy) -> Result<String, HashError> {
        let (password, salt) = (password.0.clone(), entropy.bytes::<16>());
        let hashed = self.in_turn(move || hashed(&password, &salt)).await?;
        hashed.ok_or(HashError::Unreadable)
    }

    /// Whether `presented` is the password of which `stored` is kept. Where there is none, the same is
    /// computed for a password that nobody has, and the answer is no.
    ///
    /// # Errors
    /// [`HashError::Busy`], [`HashError::Unreadable`].
    pub async fn verify(
        &self,
        presented: &SecretString,
        stored: Option<String>,
    ) -> Result<bool, HashError> {
        let presented = normal(presented);
        let known = stored.is_some();
        let stored = stored.or_else(nobodys).ok_or(HashError::Unreadable)?;
        let same = self.in_turn(move || {
            let hash = argon2::password_hash::phc::PasswordHash::new(&stored).ok()?;
            let presented = presented.expose_secret().as_bytes();
            Some(Argon2::default().verify_password(presented, &hash).is_ok())
        });
        let same = same.await?.ok_or(HashError::Unreadable)?;
        Ok(same && known)
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let turn = timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(HashError::Busy);
        };
        self.computed.fetch_add(1, Ordering::Relaxed);
        let done = spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(|_| HashError::Busy)
    }
}

fn hashed(password: &SecretString, salt: &[u8]) -> Option<String> {
    let password = password.expose_secret().as_bytes();
    let hash = Argon2::default().hash_password_with_salt(password, salt);
    hash.ok().map(|hash| hash.to_string())
}

/// The hash of a password that nobody has, made once.
fn nobodys() -> Option<String> {
    static MADE: OnceLock<Option<String>> = OnceLock::new();
    MADE.get_or_init(|| hashed(&SecretString::from("nobody"), NOBODYS))
        .clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email() -> Email {
        "ada@lantern.example".parse().unwrap()
    }

    #[test]
    fn what_everybody_tries_first_is_no_password() {
        for bad in [
            "aaaaaaaaaaaa",
            "1234567890",
            "Qwertyuiop12",
            "password123",
            "ada@lantern.example",
            "abababababab",
        ] {
            let chosen = Password::choose(&SecretString::from(bad), &email());
            assert_eq!(chosen.unwrap_err(), PasswordError::Guessable, "{bad}");
        }
        for (text, fits) in [
            ("short one", false),
            ("rain on the bakery roof", true),
            ("雨落在茶館的屋頂上面了", true),
        ] {
            let chosen = Password::choose(&SecretString::from(text), &email());
            assert_eq!(chosen.is_ok(), fits, "{text}");
        }
        let long = SecretString::from("ab1".repeat(43));
        assert!(Password::choose(&long, &email()).is_err());
        let chosen = Password::choose(&SecretString::from("hunter2 hunter2"), &email());
        assert!(!format!("{chosen:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_costs_the_same_where_there_is_none() {
        let hashing = Hashing::default();
        let wanted = SecretString::from("Ｒain on the bakery roof");
        let password = Password::choose(&wanted, &email()).unwrap();
        let stored = hashing.hash(&password, &Entropy::seeded(1)).await.unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        let typed = SecretString::from("Rain on the bakery roof");
        for (known, stored) in [(true, Some(stored)), (false, None)] {
            let before = hashing.computed();
            assert_eq!(hashing.verify(&typed, stored).await, Ok(known));
            assert_eq!(hashing.computed(), before + 1);
        }
        // Whoever guesses what nobody has is nobody.
        let guessed = SecretString::from("nobody");
        assert_eq!(hashing.verify(&guessed, None).await, Ok(false));
    }
}

//! What has to be read again and is nobody's to read: sealed by XChaCha20-Poly1305 under a key of the
//! server's settings, bound to whose it is. Who has the database alone has none of it, and what was
//! copied to somebody else does not open.

use std::fmt;

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use thiserror::Error;

use super::ids::Entropy;

/// The shortest key of the settings, in characters.
const SHORTEST: usize = 32;

/// Bytes of a nonce.
const NONCE: usize = 24;

/// The first byte of what was sealed in this way.
const FORM: u8 = 1;

/// A key that seals nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the key of the secrets (secrets.key, ROTUNDA_SECRETS_KEY) must have at least 32 characters, such as what `openssl rand -hex 32` prints"
)]
pub struct VaultError;

/// Seals and opens secrets. A clone is the same one; it prints as nothing.
#[derive(Clone)]
pub struct Vault(XChaCha20Poly1305);

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Vault")
    }
}

impl Vault {
    /// The vault of a key of the settings.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn new(key: &SecretString) -> Result<Self, VaultError> {
        let key = key.expose_secret();
        if key.chars().count() < SHORTEST {
            return Err(VaultError);
        }
        let mut mac =
            <Hmac<Sha256> as Mac>::new_from_slice(key.as_bytes()).map_err(|_| VaultError)?;
        // The first of what is sealed, and now the name of all of it: another one would open nothing.
        mac.update(b"rotunda: secrets of one-time codes");
        let key = mac.finalize().into_bytes();
        let cipher = XChaCha20Poly1305::new_from_slice(&key).map_err(|_| VaultError)?;
        Ok(Self(cipher))
    }

    /// Seals a secret, bound to whose it is and what it is for; none where it is too long.
    pub fn seal(&self, bound: &[u8], secret: &[u8], entropy: &Entropy) -> Option<Vec<u8>> {
        let nonce = entropy.bytes::<NONCE>();
        let payload = Payload {
            msg: secret,
            aad: bound,
        };
        let sealed = self.0.encrypt(&nonce.into(), payload).ok()?;
        Some([&[FORM][..], &nonce, &sealed].concat())
    }

    /// What was sealed under this key, bound to the same; none for anything else.
    pub fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (&form, rest) = sealed.split_first()?;
        let (nonce, sealed) = rest.split_at_checked(NONCE)?;
        let nonce: [u8; NONCE] = nonce.try_into().ok()?;
        let payload = Payload {
            msg: sealed,
            aad: bound,
        };
        let opened = self.0.decrypt(&nonce.into(), payload).ok()?;
        (form == FORM).then_some(opened)
    }
}

//! What a key looks like: `rk_live_<26 digits of its id>_<32 digits of secret><4 of checksum>`.
//!
//! The checksum tells a mistyped or cut-off key from a foreign one without asking the database,
//! and lets scanners of source code be certain that they found a key.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::kernel::ids::{ApiKeyId, Entropy, encode};

/// What every key begins with.
const PREFIX: &str = "rk_live_";

/// Random bytes in a key: 160 bits.
const SECRET_BYTES: usize = 20;

/// Digits that the random bytes fill.
const SECRET_DIGITS: usize = 32;

/// Digits of the checksum: 20 bits.
const CHECK_DIGITS: usize = 4;

/// Crockford's base32, as ids use it.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A key that was just made.
pub(super) struct Fresh {
    /// What its owner is told, once.
    pub(super) secret: SecretString,
    /// What is stored.
    pub(super) hash: [u8; 32],
    /// What people recognise it by.
    pub(super) last_four: String,
}

/// Makes the secret of the key `id`.
pub(super) fn make(id: ApiKeyId, entropy: &Entropy) -> Fresh {
    let bytes = entropy.bytes::<SECRET_BYTES>();
    let digits = encode(id.uuid().as_u128());
    let body = format!("{PREFIX}{digits}_{}", base32(&bytes));
    let text = format!("{body}{}", checksum(&body));
    let last_four = text
        .get(text.len().saturating_sub(4)..)
        .unwrap_or_default()
        .to_owned();
    let secret = SecretString::from(text);
    Fresh {
        hash: hash(secret.expose_secret()),
        secret,
        last_four,
    }
}

/// The id in something that has a key's form and checksum.
pub(super) fn id_of(presented: &str) -> Option<ApiKeyId> {
    let cut = presented.len().checked_sub(CHECK_DIGITS)?;
    let (body, check) = presented.split_at_checked(cut)?;
    let (id, secret) = body.strip_prefix(PREFIX)?.split_once('_')?;
    let digits = secret.bytes().all(|byte| DIGITS.contains(&byte));
    if secret.len() != SECRET_DIGITS || !digits || checksum(body) != check {
        return None;
    }
    format!("key_{id}").parse().ok()
}

/// What is stored of a key.
pub(super) fn hash(presented: &str) -> [u8; 32] {
    Sha256::digest(presented.as_bytes()).into()
}

fn checksum(body: &str) -> String {
    let mut digits = base32(&hash(body));
    digits.truncate(CHECK_DIGITS);
    digits
}

/// Five bits a digit, the first bits first, the last digit filled up with zeros.
fn base32(bytes: &[u8]) -> String {
    let bit = |at: usize| {
        let byte = bytes.get(at / 8).copied().unwrap_or(0);
        usize::from(byte >> (7 - at % 8) & 1)
    };
    (0..(bytes.len() * 8).div_ceil(5))
        .map(|place| (0..5).fold(0, |value, offset| value << 1 | bit(place * 5 + offset)))
        .filter_map(|value| DIGITS.get(value))
        .map(|digit| char::from(*digit))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn fresh() -> (ApiKeyId, Fresh) {
        let id = ApiKeyId::from_uuid(Uuid::from_u128(0x0188_bac7_4afa_78aa_bc3b_bd1e_ef28_d881));
        (id, make(id, &Entropy::seeded(7)))
    }

    #[test]
    fn a_key_names_its_id_and_its_hash_is_of_the_whole() {
        let (id, fresh) = fresh();
        let text = fresh.secret.expose_secret();
        assert_eq!(
            text.len(),
            PREFIX.len() + 26 + 1 + SECRET_DIGITS + CHECK_DIGITS
        );
        assert_eq!(id_of(text), Some(id));
        assert_eq!(hash(text), fresh.hash);
        assert!(text.ends_with(&fresh.last_four));
    }

    #[test]
    fn a_cut_off_a_changed_and_a_foreign_key_have_no_id() {
        let (_, fresh) = fresh();
        let text = fresh.secret.expose_secret();
        for at in 0..text.len() {
            let mut changed = text.as_bytes().to_vec();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(id_of(&String::from_utf8(changed).unwrap()), None, "{at}");
        }
        for text in [
            &text[..text.len() - 1],
            "",
            "é",
            "rk_live_",
            "sk_live_x",
            "ééé",
        ] {
            assert_eq!(id_of(text), None);
        }
    }

    #[test]
    fn base32_is_crockfords() {
        assert_eq!(base32(&[0xff; 5]), "zzzzzzzz");
        assert_eq!(base32(&[0, 0, 0, 0, 1]), "00000001");
        assert_eq!(base32(&[0x80]), "g0");
    }
}

//! What a secret looks like that opens something: what kind it is, 26 digits of its id, the secret
//! itself and 4 digits of a checksum: `rk_live_<id>_<32 digits><4>` for a machine's key,
//! `rs_<id>_<52 digits><4>` for a session, `rm_…` for a member's, `rc_…` for who asked for a code, `rl_…`
//! for a link, `ra_…` for an application.
//!
//! The checksum tells a mistyped or cut-off one from a foreign one without asking the database,
//! and lets scanners of source code be certain of what they found.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::ids::{
    ApiKey, Entropy, Id, Kind, Link, MemberSession, News, Session, SignInCode, encode,
};

/// What has a secret that opens something.
pub trait Opens: Kind {
    /// What every one of the kind begins with.
    const START: &'static str;
    /// How many random bytes there are in it, 32 at most.
    const BYTES: usize;
}

impl Opens for ApiKey {
    const START: &'static str = "rk_live_";
    const BYTES: usize = 20;
}

impl Opens for Session {
    const START: &'static str = "rs_";
    const BYTES: usize = 32;
}

impl Opens for MemberSession {
    const START: &'static str = "rm_";
    const BYTES: usize = 32;
}

impl Opens for SignInCode {
    const START: &'static str = "rc_";
    const BYTES: usize = 32;
}

impl Opens for Link {
    const START: &'static str = "rl_";
    const BYTES: usize = 32;
}

impl Opens for News {
    const START: &'static str = "ra_";
    const BYTES: usize = 32;
}

/// Digits of the checksum: 20 bits.
const CHECK_DIGITS: usize = 4;

/// Crockford's base32, as ids use it.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A secret that was just made.
#[derive(Debug)]
pub struct Fresh {
    /// What its owner is told, once.
    pub secret: SecretString,
    /// What is stored.
    pub hash: [u8; 32],
    /// What people recognise it by.
    pub last_four: String,
}

/// Makes the secret of `id`.
pub fn make<K: Opens>(id: Id<K>, entropy: &Entropy) -> Fresh {
    let bytes = if K::BYTES <= 20 {
        entropy.bytes::<20>().to_vec()
    } else {
        entropy.bytes::<32>().to_vec()
    };
    let digits = encode(id.uuid().as_u128());
    let body = format!("{}{digits}_{}", K::START, base32(&bytes));
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

/// The id in something that has the form and the checksum of that kind.
pub fn id_of<K: Opens>(presented: &str) -> Option<Id<K>> {
    let cut = presented.len().checked_sub(CHECK_DIGITS)?;
    let (body, check) = presented.split_at_checked(cut)?;
    let (id, secret) = body.strip_prefix(K::START)?.split_once('_')?;
    let digits = secret.bytes().all(|byte| DIGITS.contains(&byte));
    if secret.len() != K::BYTES.saturating_mul(8).div_ceil(5) || !digits || checksum(body) != check
    {
        return None;
    }
    format!("{}_{id}", K::PREFIX).parse().ok()
}

/// What is stored of a secret.
pub fn hash(presented: &str) -> [u8; 32] {
    Sha256::digest(presented.as_bytes()).into()
}

fn checksum(body: &str) -> String {
    let mut digits = base32(&hash(body));
    digits.truncate(CHECK_DIGITS);
    digits
}

/// A code that people type: 80 random bits as four groups of four digits, and what is stored of it.
pub fn recovery_code(entropy: &Entropy) -> (String, [u8; 32]) {
    let digits = base32(&entropy.bytes::<10>());
    let code = format!(
        "{}-{}-{}-{}",
        digits.get(..4).unwrap_or_default(),
        digits.get(4..8).unwrap_or_default(),
        digits.get(8..12).unwrap_or_default(),
        digits.get(12..).unwrap_or_default(),
    );
    let hash = typed(&code).map_or_else(|| hash(&code), |typed| hash(&typed));
    (code, hash)
}

/// A recovery code as somebody typed it, in the one form that is hashed; none where it is none.
pub fn typed(code: &str) -> Option<String> {
    let digits: String = code
        .chars()
        .filter(|digit| !digit.is_whitespace() && *digit != '-')
        .map(|digit| match digit.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        })
        .collect();
    let fits = digits.len() == 16 && digits.bytes().all(|byte| DIGITS.contains(&byte));
    fits.then_some(digits)
}

/// Five bits a digit, the first bits first, the last digit filled up with zeros.
fn base32(bytes: &[u8]) -> String {
    let bit = |at: usize| {
        let byte = bytes.get(at / 8).copied().unwrap_or(0);
        usize::from(byte >> 7_usize.saturating_sub(at % 8) & 1)
    };
    (0..bytes.len().saturating_mul(8).div_ceil(5))
        .map(|place| {
            (0..5).fold(0, |value, offset| {
                value << 1 | bit(place.saturating_mul(5).saturating_add(offset))
            })
        })
        .filter_map(|value| DIGITS.get(value))
        .map(|digit| char::from(*digit))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    use crate::kernel::ids::ApiKeyId;

    fn fresh() -> (ApiKeyId, Fresh) {
        let id = ApiKeyId::from_uuid(Uuid::from_u128(0x0188_bac7_4afa_78aa_bc3b_bd1e_ef28_d881));
        (id, make(id, &Entropy::seeded(7)))
    }

    #[test]
    fn a_key_names_its_id_and_its_hash_is_of_the_whole() {
        let (id, fresh) = fresh();
        let text = fresh.secret.expose_secret();
        assert_eq!(text.len(), ApiKey::START.len() + 26 + 1 + 32 + CHECK_DIGITS);
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
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(id_of::<ApiKey>(&changed), None, "{at}");
        }
        for text in [
            &text[..text.len() - 1],
            "",
            "é",
            "rk_live_",
            "sk_live_x",
            "ééé",
        ] {
            assert_eq!(id_of::<ApiKey>(text), None);
        }
    }

    #[test]
    fn a_secret_of_one_kind_is_none_of_another() {
        let entropy = Entropy::seeded(7);
        let session = make::<Session>(Id::from_uuid(Uuid::from_u128(1)), &entropy);
        let text = session.secret.expose_secret();
        assert_eq!(text.len(), 3 + 26 + 1 + 52 + CHECK_DIGITS);
        assert!(id_of::<Session>(text).is_some());
        assert!(id_of::<Link>(text).is_none() && id_of::<ApiKey>(text).is_none());
    }

    #[test]
    fn a_recovery_code_may_be_typed_as_people_read_it() {
        let (code, stored) = recovery_code(&Entropy::seeded(7));
        let shouted = format!(
            " {} ",
            code.to_uppercase().replace('-', " ").replace('1', "l")
        );
        assert_eq!(hash(&typed(&shouted).unwrap()), stored);
        assert_eq!(typed(code.get(1..).unwrap()), None);
        assert_eq!(typed("uuuu-uuuu-uuuu-uuuu"), None);
    }

    #[test]
    fn base32_is_crockfords() {
        assert_eq!(base32(&[0xff; 5]), "zzzzzzzz");
        assert_eq!(base32(&[0, 0, 0, 0, 1]), "00000001");
        assert_eq!(base32(&[0x80]), "g0");
    }
}

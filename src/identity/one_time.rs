//! One-time codes (RFC 6238) as a second factor.
//!
//! The secret of a code has to be read again to check one, so that it cannot be hashed. It is sealed in
//! the [`Vault`], bound to mall and person.

use std::fmt;

use secrecy::SecretString;
use totp_rs::{Builder, Secret, Totp};

use crate::kernel::{
    ids::{Entropy, StaffId, TenantId},
    time::Instant,
    vault::Vault,
};

/// Bytes of a secret: 160 bits, as RFC 4226 recommends.
const SECRET: usize = 20;

/// To whom a secret belongs.
#[derive(Debug, Clone, Copy)]
pub struct Whose {
    /// In which mall.
    pub tenant: TenantId,
    /// Which person.
    pub staff: StaffId,
}

impl Whose {
    fn bound(&self) -> Vec<u8> {
        let (mall, person) = (self.tenant.uuid(), self.staff.uuid());
        [&b"totp"[..], mall.as_bytes(), person.as_bytes()].concat()
    }
}

/// What somebody's telephone is told, this once.
#[derive(Clone)]
pub struct Enrolment {
    /// The secret in base32, to be typed.
    pub secret: SecretString,
    /// The same as an `otpauth://` address, for a square to be photographed.
    pub address: SecretString,
}

impl fmt::Debug for Enrolment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Enrolment")
    }
}

/// Makes a secret: what is told, and what is stored.
pub fn enrol(
    vault: &Vault,
    whose: &Whose,
    issuer: &str,
    account: &str,
    entropy: &Entropy,
) -> Option<(Enrolment, Vec<u8>)> {
    let bytes = entropy.bytes::<SECRET>();
    let told = told(&bytes, issuer, account)?;
    let sealed = vault.seal(&whose.bound(), &bytes, entropy)?;
    Some((told, sealed))
}

/// A stored secret as it is stored for somebody else: the same person in a mall that was made of this
/// one. None where it was not sealed under this key.
pub fn resealed(
    vault: &Vault,
    (from, to): (&Whose, &Whose),
    sealed: &[u8],
    entropy: &Entropy,
) -> Option<Vec<u8>> {
    let secret = vault.open(&from.bound(), sealed)?;
    vault.seal(&to.bound(), &secret, entropy)
}

/// What was told when the stored secret was made, for as long as it is not in use.
pub fn tell_again(
    vault: &Vault,
    whose: &Whose,
    issuer: &str,
    account: &str,
    sealed: &[u8],
) -> Option<Enrolment> {
    told(&vault.open(&whose.bound(), sealed)?, issuer, account)
}

fn told(secret: &[u8], issuer: &str, account: &str) -> Option<Enrolment> {
    // A colon parts issuer and account in the address.
    let issuer = issuer.replace(':', " ");
    let totp = Builder::new()
        .with_secret(Secret::new(secret.into()))
        .with_issuer(Some(issuer))
        .with_account_name(account)
        .build()
        .ok()?;
    Some(Enrolment {
        secret: SecretString::from(totp.secret().to_base32()),
        address: SecretString::from(totp.to_url().ok()?),
    })
}

/// The step of which `code` is, at `now` or half a minute to either side; none where it is of none of
/// them, or of a step that is not after `last`: a code works once.
pub fn step_of(
    vault: &Vault,
    whose: &Whose,
    sealed: &[u8],
    code: &str,
    now: Instant,
    last: Option<i64>,
) -> Option<i64> {
    let secret = vault.open(&whose.bound(), sealed)?;
    let digits: String = code
        .chars()
        .filter(|digit| !digit.is_whitespace())
        .collect();
    if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let totp: Totp = Builder::new()
        .with_secret(Secret::new(secret.into()))
        .with_account_name("x")
        .build()
        .ok()?;
    let time = u64::try_from(now.timestamp()).ok()?;
    let step = i64::try_from(totp.check(&digits, time)?).ok()?;
    last.is_none_or(|last| step > last).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use secrecy::ExposeSecret;
    use uuid::Uuid;

    fn whose(staff: u128) -> Whose {
        Whose {
            tenant: TenantId::from_uuid(Uuid::from_u128(1)),
            staff: StaffId::from_uuid(Uuid::from_u128(staff)),
        }
    }

    fn vault(key: &str) -> Vault {
        Vault::new(&SecretString::from(key.repeat(32))).unwrap()
    }

    /// The code of a secret in base32 at that moment, as a telephone makes it.
    fn code(secret: &SecretString, at: Instant) -> String {
        let secret = Secret::try_from_base32(secret.expose_secret()).unwrap();
        let totp = Builder::new()
            .with_secret(secret)
            .with_account_name("x")
            .build()
            .unwrap();
        totp.generate(u64::try_from(at.timestamp()).unwrap())
            .to_string()
    }

    #[test]
    fn a_code_works_once_and_for_half_a_minute_to_either_side() {
        let (vault, whose, entropy) = (vault("k"), whose(2), Entropy::seeded(3));
        let (told, sealed) =
            enrol(&vault, &whose, "Star: mall", "ada@a.example", &entropy).unwrap();
        let address = told.address.expose_secret();
        assert!(address.starts_with("otpauth://totp/"), "{address}");
        let now = Instant::UNIX_EPOCH + TimeDelta::days(20_000);
        let step = |code: &str, at, last| step_of(&vault, &whose, &sealed, code, at, last);
        let typed = code(&told.secret, now);
        let first = step(&typed, now, None).unwrap();
        assert_eq!(step(&typed, now, Some(first)), None, "a second time");
        let late = now + TimeDelta::seconds(30);
        assert_eq!(step(&typed, late, None), Some(first));
        assert_eq!(step(&typed, late + TimeDelta::seconds(60), None), None);
        for bad in ["", "12345", "1234567", "١٢٣٤٥٦", "abcdef"] {
            assert_eq!(step(bad, now, None), None, "{bad}");
        }
        let spaced = format!("{} {}", &typed[..3], &typed[3..]);
        assert_eq!(step(&spaced, now, None), Some(first));
    }

    #[test]
    fn a_secret_opens_under_its_key_and_for_its_person_alone() {
        let (own, entropy) = (vault("k"), Entropy::seeded(3));
        let (told, sealed) = enrol(&own, &whose(2), "Mall", "a@a.example", &entropy).unwrap();
        let again = tell_again(&own, &whose(2), "Mall", "a@a.example", &sealed).unwrap();
        assert_eq!(again.secret.expose_secret(), told.secret.expose_secret());
        assert!(own.open(&whose(3).bound(), &sealed).is_none());
        assert!(vault("l").open(&whose(2).bound(), &sealed).is_none());
        let bare = Secret::try_from_base32(told.secret.expose_secret()).unwrap();
        assert!(!sealed.windows(SECRET).any(|part| part == bare.as_bytes()));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(own.open(&whose(2).bound(), &changed).is_none(), "{at}");
        }
        assert!(Vault::new(&SecretString::from("short")).is_err());
        assert_eq!(format!("{told:?}{own:?}"), "EnrolmentVault");
    }
}

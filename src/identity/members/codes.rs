//! Codes of six digits that show that a telephone is somebody's.
//!
//! Whoever asks gets a token, and the telephone a code; only both together open, once, within five
//! minutes, and five wrong codes close them for good. So whoever knows a number can try nothing without
//! having asked, and who asked can try little.
//!
//! A code is written down nowhere: it is an HMAC of the request's id and the hash of its token, under a
//! secret of the server (RFC 4226's truncation). A message that has to be sent twice tells the same code.
//!
//! How often somebody may ask is counted by number, by address, and for the whole mall, whose messages
//! cost money; numbers nobody knows are sent codes too, because who comes in for the first time joins.

use std::fmt;

use chrono::TimeDelta;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::{Entered, open, store};
use crate::{
    authz::{
        action::{SendCodes, SignIn},
        grant::Grant,
    },
    db::{self, Db, tx::Tx},
    identity::{
        key_text,
        signin::{
            Origin, SignInError,
            attempts::{self, Subject},
        },
    },
    kernel::{
        ids::{MemberId, SignInCode, SignInCodeId},
        text::{Language, Phone},
        time::Instant,
    },
    queue::{self, Job},
};

/// How long a code opens.
pub const OPEN_FOR: TimeDelta = TimeDelta::minutes(5);

/// How soon after a code the next one may be asked for.
pub const AGAIN_AFTER: TimeDelta = TimeDelta::minutes(1);

/// How long a row is kept: as long as the longest count of them.
const KEPT_FOR: TimeDelta = TimeDelta::days(1);

/// The most codes that one number is sent in an hour.
const TO_ONE: i32 = 5;

/// The most that one address asks for in an hour.
const FROM_ONE: i32 = 20;

/// For what the server's secret is here.
const PURPOSE: &[u8] = b"sign-in codes";

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Which request it is.
    pub id: SignInCodeId,
    /// What opens together with the code; it is told this once.
    pub token: SecretString,
    /// Until when.
    pub expires_at: Instant,
    /// From when on another one may be asked for.
    pub again_at: Instant,
}

/// A request as the table holds it.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) id: SignInCodeId,
    pub(super) phone: Phone,
    pub(super) language: Language,
    pub(super) token_hash: Vec<u8>,
    pub(super) expires_at: Instant,
    pub(super) used: bool,
    pub(super) sending: String,
}

/// Tell a telephone its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendCode {
    /// Of which request.
    pub code: Uuid,
}

impl Job for SendCode {
    const NAME: &'static str = "code.send";

    fn dedup(&self) -> String {
        self.code.to_string()
    }
}

/// Asks for a code to be sent to a telephone, whoever's it is. `most_a_day` is how many the mall sends.
///
/// # Errors
/// [`SignInError::TooManyCodes`], [`SignInError::Db`].
pub async fn ask(
    db: &Db,
    grant: &Grant<SignIn>,
    phone: &Phone,
    language: Language,
    from: &Origin,
    most_a_day: i32,
) -> Result<Asked, SignInError> {
    let mut tx = db.write(grant).await?;
    let day = TimeDelta::days(1);
    let hour = TimeDelta::hours(1);
    let subjects = [
        Subject::of("code soon", phone.as_str()).within(1, AGAIN_AFTER),
        Subject::of("code to", phone.as_str()).within(TO_ONE, hour),
        Subject::of("code from", &from.address).within(FROM_ONE, hour),
        Subject::of("codes", "").within(most_a_day, day),
    ];
    match attempts::count(&mut tx, &subjects).await {
        Err(SignInError::TooMany(seconds)) => return Err(SignInError::TooManyCodes(seconds)),
        other => other.map(drop)?,
    }
    let (id, now): (SignInCodeId, Instant) = (tx.new_id(), tx.now());
    let fresh = key_text::make(id, tx.entropy());
    let request = Request {
        id,
        phone: phone.clone(),
        language,
        token_hash: fresh.hash.to_vec(),
        expires_at: now + OPEN_FOR,
        used: false,
        sending: "queued".to_owned(),
    };
    store::sweep(&mut tx, now - KEPT_FOR).await?;
    store::insert_request(&mut tx, &request).await?;
    queue::enqueue(&mut tx, &SendCode { code: id.uuid() }).await?;
    tx.commit().await?;
    Ok(Asked {
        id,
        token: fresh.secret,
        expires_at: request.expires_at,
        again_at: now + AGAIN_AFTER,
    })
}

/// Which request a token is of; none where it is of none.
pub fn request_of(token: &SecretString) -> Option<SignInCodeId> {
    key_text::id_of::<SignInCode>(token.expose_secret())
}

/// A code that is to be told now. It prints as its id alone.
pub struct Ready {
    /// Of which request.
    pub id: SignInCodeId,
    /// Whose telephone.
    pub phone: Phone,
    /// In which language.
    pub language: Language,
    /// The code.
    pub code: SecretString,
}

impl fmt::Debug for Ready {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Ready({})", self.id)
    }
}

/// The code that is to be sent now; none where it opens nothing any more, or was sent.
///
/// # Errors
/// [`db::Error`].
pub async fn begin(
    db: &Db,
    grant: &Grant<SendCodes>,
    job: &SendCode,
) -> Result<Option<Ready>, db::Error> {
    let mut tx = db.read(grant).await?;
    let found = store::request(&mut tx, SignInCodeId::from_uuid(job.code)).await?;
    let open = |it: &Request| !it.used && tx.now() < it.expires_at && it.sending == "queued";
    let Some(request) = found.filter(open) else {
        return Ok(None);
    };
    Ok(Some(Ready {
        id: request.id,
        code: code_of(db, &request)?,
        phone: request.phone,
        language: request.language,
    }))
}

/// Writes down what became of a message: `problem` is why it did not go, and `given_up` that it is not
/// tried again.
///
/// # Errors
/// [`db::Error`].
pub async fn record(
    tx: &mut Tx,
    _grant: &Grant<SendCodes>,
    id: SignInCodeId,
    problem: Option<&str>,
    given_up: bool,
) -> Result<(), db::Error> {
    let sending = match (problem, given_up) {
        (None, _) => "sent",
        (Some(_), true) => "failed",
        (Some(_), false) => "queued",
    };
    store::record(tx, id, sending, problem).await
}

/// That a telephone is in the hand of whoever came: it opens one session.
#[derive(Debug, Clone)]
pub struct Proof {
    id: SignInCodeId,
    /// The number.
    pub phone: Phone,
}

/// Looks at what somebody typed. A try is counted before it is looked at, so that many who try at once
/// are many.
///
/// # Errors
/// [`SignInError::CodeGone`] where no code opens this request any more, [`SignInError::NotTheCode`],
/// [`SignInError::Db`].
pub async fn check(
    db: &Db,
    grant: &Grant<SignIn>,
    token: &SecretString,
    code: &str,
) -> Result<Proof, SignInError> {
    let token = token.expose_secret();
    let id = key_text::id_of::<SignInCode>(token).ok_or(SignInError::CodeGone)?;
    let mut tx = db.write(grant).await?;
    let request = store::request(&mut tx, id).await?;
    let request = request.ok_or(SignInError::CodeGone)?;
    let same: bool = request.token_hash.ct_eq(&key_text::hash(token)[..]).into();
    if !same || !store::try_once(&mut tx, id).await? {
        return Err(SignInError::CodeGone);
    }
    tx.commit().await?;
    let right = code_of(db, &request)?;
    let typed: String = code
        .chars()
        .filter(|digit| !digit.is_whitespace())
        .collect();
    let same: bool = typed
        .as_bytes()
        .ct_eq(right.expose_secret().as_bytes())
        .into();
    if !same {
        return Err(SignInError::NotTheCode);
    }
    Ok(Proof {
        id,
        phone: request.phone,
    })
}

/// Uses a proof up, and opens a session of the member whose number it is.
///
/// # Errors
/// [`SignInError::CodeGone`] where it was used, [`SignInError::Db`].
pub async fn enter(
    tx: &mut Tx,
    _grant: &Grant<SignIn>,
    proof: &Proof,
    member: MemberId,
    from: &Origin,
) -> Result<Entered, SignInError> {
    if !store::use_up(tx, proof.id).await? {
        return Err(SignInError::CodeGone);
    }
    let soon = Subject::of("code soon", proof.phone.as_str());
    attempts::forgive(tx, &[soon]).await?;
    Ok(open(tx, member, from).await?)
}

/// The code of a request: six digits.
fn code_of(db: &Db, request: &Request) -> Result<SecretString, db::Error> {
    let secret = db.secret_for(PURPOSE)?;
    let mac = <Hmac<Sha256> as Mac>::new_from_slice(secret.as_bytes());
    let mut mac = mac.map_err(|_| db::Error::Corrupt("secret of codes"))?;
    mac.update(request.id.uuid().as_bytes());
    mac.update(&request.token_hash);
    let bytes = mac.finalize().into_bytes();
    Ok(SecretString::from(truncated(&bytes)))
}

/// Six digits of a MAC, as RFC 4226 takes them.
fn truncated(mac: &[u8]) -> String {
    let offset = usize::from(mac.last().copied().unwrap_or_default() & 0xf);
    let four = mac.iter().skip(offset).take(4);
    let number = four.fold(0u32, |number, byte| (number << 8) | u32::from(*byte));
    format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_what_rfc_4226_makes_of_a_mac() {
        // Appendix D of RFC 4226: the HMACs of counts 0, 1 and 2.
        for (mac, code) in [
            ("cc93cf18508d94934c64b65d8ba7667fb7cde4b0", "755224"),
            ("75a48a19d4cbe100644e8ac1397eea747a2d33ab", "287082"),
            ("0bacb7fa082fef30782211938bc1c5e70416ff44", "359152"),
        ] {
            let bytes: Vec<u8> = (0..mac.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&mac[at..at + 2], 16).unwrap())
                .collect();
            assert_eq!(truncated(&bytes), code);
        }
        assert_eq!(truncated(&[0; 32]), "000000");
    }
}

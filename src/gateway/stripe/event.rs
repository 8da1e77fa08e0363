//! What Stripe sends by itself: signed by a secret that each mall has of its own, read as little as
//! we go by.
//!
//! Source: Stripe's documentation, "Verify webhook signatures manually".

use chrono::DateTime;
use hmac::{Hmac, Mac};
use secrecy::ExposeSecret;
use serde_json::Value;
use sha2::Sha256;
use thiserror::Error;

use super::{Account, Marks, ToldInvoice, ToldTransfer};
use crate::kernel::time::Instant;

/// How far the moment of a signature may be from now, in seconds.
pub const TOLERANCE: i64 = 300;

/// The longest id, in bytes, as Stripe promises.
const LONGEST_ID: usize = 255;

/// The most signatures of one message; Stripe sends two while a secret is changed.
const SIGNATURES: usize = 10;

/// Why nothing of a message counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EventError {
    /// No signature, or none that can be read.
    #[error("the header Stripe-Signature is missing or cannot be read")]
    Unsigned,
    /// Signed too long ago, or in times to come.
    #[error("the signature is more than five minutes from now")]
    Old,
    /// Signed with another secret, or changed on the way.
    #[error("the signature is not by the secret of this mall's webhook")]
    Signature,
    /// Not an event.
    #[error("the body is not an event of Stripe's")]
    Body,
}

/// What Stripe says has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// What kind of thing happened: "invoice.paid".
    pub kind: String,
    /// When.
    pub said_at: Instant,
    /// To what.
    pub about: About,
}

/// To what something happened, as it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// An invoice.
    Invoice(ToldInvoice),
    /// A transfer.
    Transfer(ToldTransfer),
    /// Something else, or a shape of it that we do not know.
    Other(Option<String>),
}

impl About {
    /// Its id at Stripe.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Invoice(told) => Some(&told.id),
            Self::Transfer(told) => Some(&told.id),
            Self::Other(id) => id.as_deref(),
        }
    }

    /// What it is to us.
    pub fn marks(&self) -> Marks {
        match self {
            Self::Invoice(told) => told.marks(),
            Self::Transfer(told) => told.marks(),
            Self::Other(_) => Marks::default(),
        }
    }
}

impl Account {
    /// Reads a message that Stripe signed for this mall, to which it is `now`.
    ///
    /// # Errors
    /// [`EventError`].
    pub fn hear(&self, signature: &str, body: &[u8], now: Instant) -> Result<Event, EventError> {
        let secret = self.webhook_secret.expose_secret().as_bytes();
        verify(secret, signature, body, now)?;
        read(body).ok_or(EventError::Body)
    }
}

/// Holds `t=…,v1=…,v1=…` against a body: one `v1` must be the HMAC-SHA-256 of moment and body.
fn verify(secret: &[u8], signature: &str, body: &[u8], now: Instant) -> Result<(), EventError> {
    let parts = signature
        .split(',')
        .filter_map(|part| part.trim().split_once('='));
    let (mut moment, mut given) = (None, Vec::new());
    for (name, value) in parts {
        match name {
            "t" if moment.is_none() => moment = Some(value),
            "v1" if given.len() < SIGNATURES => given.extend(bytes(value)),
            _ => {}
        }
    }
    let moment = moment.ok_or(EventError::Unsigned)?;
    let seconds: i64 = moment.parse().map_err(|_| EventError::Unsigned)?;
    if given.is_empty() {
        return Err(EventError::Unsigned);
    }
    let key = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| EventError::Signature)?;
    // The moment as it was written: a zero more before it is another message.
    let signed = key
        .chain_update(moment)
        .chain_update(".")
        .chain_update(body);
    let is_ours = |given: &Vec<u8>| signed.clone().verify_slice(given).is_ok();
    // Each is compared in constant time, and all of them are.
    if given.iter().filter(|given| is_ours(given)).count() == 0 {
        return Err(EventError::Signature);
    }
    if now.timestamp().abs_diff(seconds) > TOLERANCE.unsigned_abs() {
        return Err(EventError::Old);
    }
    Ok(())
}

/// 64 hexadecimal digits.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let pairs = digits
        .chunks_exact(2)
        .map(|pair| std::str::from_utf8(pair).ok());
    pairs
        .map(|pair| u8::from_str_radix(pair?, 16).ok())
        .collect()
}

fn read(body: &[u8]) -> Option<Event> {
    let event: Value = serde_json::from_slice(body).ok()?;
    let text = |value: &Value, name: &str| {
        let text = value.get(name)?.as_str()?;
        let fits =
            (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| text.to_owned())
    };
    let object = event.get("data")?.get("object")?;
    // Read as an answer of Stripe's is.
    let written = object.to_string();
    let about = match object.get("object").and_then(Value::as_str) {
        Some("invoice") => miniserde::json::from_str(&written).ok().map(About::Invoice),
        Some("transfer") => miniserde::json::from_str(&written)
            .ok()
            .map(About::Transfer),
        _ => None,
    };
    let about = about.filter(|about| about.id().is_some_and(|id| id.len() <= LONGEST_ID));
    Some(Event {
        id: text(&event, "id")?,
        kind: text(&event, "type")?,
        said_at: DateTime::from_timestamp(event.get("created")?.as_i64()?, 0)?,
        about: about.unwrap_or_else(|| About::Other(text(object, "id"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"whsec_test";
    const NOW: i64 = 1_780_000_000;

    fn v1(secret: &[u8], moment: &str, body: &[u8]) -> String {
        let key = Hmac::<Sha256>::new_from_slice(secret).unwrap();
        let signed = key
            .chain_update(moment)
            .chain_update(".")
            .chain_update(body);
        crate::kernel::page::hex(&signed.finalize().into_bytes())
    }

    fn said(signature: &str, body: &[u8]) -> Result<(), EventError> {
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        verify(SECRET, signature, body, now)
    }

    #[test]
    fn one_good_signature_of_these_five_minutes_lets_a_body_in_and_nothing_else_does() {
        let good = v1(SECRET, &NOW.to_string(), b"{}");
        assert_eq!(said(&format!("t={NOW},v1={good}"), b"{}"), Ok(()));
        let upper = good.to_uppercase();
        assert_eq!(said(&format!("t={NOW},v1={upper}"), b"{}"), Ok(()));
        let other = v1(b"whsec_other", &NOW.to_string(), b"{}");
        assert_eq!(
            said(&format!("t={NOW}, v1={other}, v1={good}"), b"{}"),
            Ok(())
        );
        for (signature, body, why) in [
            (format!("t={NOW},v1={other}"), "{}", EventError::Signature),
            (format!("t={NOW},v1={good}"), "{ }", EventError::Signature),
            (format!("t=0{NOW},v1={good}"), "{}", EventError::Signature),
            (
                format!("t={},v1={good}", NOW - 1),
                "{}",
                EventError::Signature,
            ),
            (format!("t={NOW},v0={good}"), "{}", EventError::Unsigned),
            (
                format!("t={NOW},v1={}", &good[2..]),
                "{}",
                EventError::Unsigned,
            ),
            (format!("v1={good}"), "{}", EventError::Unsigned),
            (format!("t=x,v1={good}"), "{}", EventError::Unsigned),
            (String::new(), "{}", EventError::Unsigned),
        ] {
            assert_eq!(said(&signature, body.as_bytes()), Err(why), "{signature}");
        }
        for (away, fine) in [(-300, true), (-301, false), (300, true), (301, false)] {
            let moment = (NOW + away).to_string();
            let signature = format!("t={moment},v1={}", v1(SECRET, &moment, b"{}"));
            assert_eq!(said(&signature, b"{}").is_ok(), fine, "{away}");
        }
    }

    #[test]
    fn an_event_is_read_as_far_as_we_go_by_it_and_other_shapes_are_no_harm() {
        let invoice = br#"{"id": "evt_1", "type": "invoice.paid", "created": 5, "livemode": true,
            "data": {"object": {"object": "invoice", "id": "in_1", "status": "paid", "total": 7,
            "amount_paid": 7, "currency": "cny", "metadata": {"rotunda_leg": "leg_1"},
            "lines": {"data": []}}}}"#;
        let event = read(invoice).unwrap();
        assert_eq!(
            (event.id.as_str(), event.kind.as_str()),
            ("evt_1", "invoice.paid")
        );
        assert_eq!(event.about.marks().leg, "leg_1");
        let strange = br#"{"id": "evt_2", "type": "invoice.new", "created": 5,
            "data": {"object": {"object": "invoice", "id": "in_2", "total": "much"}}}"#;
        assert_eq!(
            read(strange).unwrap().about,
            About::Other(Some("in_2".to_owned()))
        );
        for body in [
            "",
            "[]",
            "{}",
            "null",
            r#"{"id": "", "type": "a", "created": 1, "data": {"object": {}}}"#,
            r#"{"id": "evt_1", "type": "a", "created": "1", "data": {"object": {}}}"#,
            r#"{"id": "evt_1", "type": "a", "created": 1}"#,
        ] {
            assert_eq!(read(body.as_bytes()), None, "{body}");
        }
    }
}

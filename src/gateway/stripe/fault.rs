//! What goes wrong at Stripe, sorted by what to do about it.

use std::fmt::Write;

use stripe_rust::{ApiErrors, ApiErrorsCode, StripeError};
use thiserror::Error;

/// The most letters that are kept of what Stripe says.
const LONGEST: usize = 160;

/// Why Stripe did not do it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// It may do it later: it is away, slow or busy. It may even have done it.
    #[error("{0}")]
    Later(String),
    /// It does not do it now, and would say the same again under this key: it broke, or lacks the
    /// money. It may even have done it.
    #[error("{0}")]
    NotUnderThisKey(String),
    /// It will never do this.
    #[error("{0}")]
    Refused(String),
    /// It does not know the key, or the key may not do this.
    #[error("{0}")]
    Misconfigured(String),
}

impl Fault {
    /// Whether it said that there is no such thing.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused(why) if why.starts_with("refused-404"))
    }
}

impl From<StripeError> for Fault {
    fn from(error: StripeError) -> Self {
        match error {
            StripeError::Stripe(said, status) => sorted(&said, status),
            StripeError::Timeout => Self::Later("timeout".to_owned()),
            // What it did not say in its own words is no word: it may have done it.
            StripeError::JSONDeserialize(_) => Self::Later("unreadable".to_owned()),
            StripeError::ClientError(_) => Self::Later("connection".to_owned()),
            StripeError::ConfigError(_) => Self::Misconfigured("settings".to_owned()),
        }
    }
}

fn sorted(said: &ApiErrors, status: u16) -> Fault {
    match status {
        // It may name the key: not a word of it.
        401 | 403 => Fault::Misconfigured(format!("refused-{status}")),
        409 | 424 | 429 => Fault::Later(format!("answered-{status}")),
        500.. => Fault::NotUnderThisKey(format!("answered-{status}")),
        _ if said.code == Some(ApiErrorsCode::BalanceInsufficient) => {
            Fault::NotUnderThisKey(told(said, status))
        }
        _ => Fault::Refused(told(said, status)),
    }
}

/// Status, code and a short message, without words that may be an address or a secret.
fn told(said: &ApiErrors, status: u16) -> String {
    let mut told = format!("refused-{status}");
    let code = said
        .code
        .as_ref()
        .map_or(said.type_.as_str(), |code| code.as_str());
    let _ = write!(told, " {code}");
    if let Some(message) = &said.message {
        let plain = |word: &&str| {
            let secret = ["sk_", "rk_", "whsec_"]
                .iter()
                .any(|mark| word.contains(mark));
            !secret && !word.contains('@')
        };
        let message: Vec<&str> = message.split_whitespace().filter(plain).collect();
        let _ = write!(told, ": {}", message.join(" "));
    }
    let kept = told.chars().filter(|letter| !letter.is_control());
    kept.take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use miniserde::json;

    use super::*;

    fn fault(status: u16, message: &str) -> Fault {
        let text = format!(
            "{{\"type\": \"invalid_request_error\", \"code\": \"email_invalid\", \
              \"message\": \"{message}\"}}"
        );
        let said: ApiErrors = json::from_str(&text).unwrap();
        StripeError::Stripe(Box::new(said), status).into()
    }

    #[test]
    fn what_stripe_says_is_sorted_and_no_secret_is_kept_of_it() {
        assert_eq!(
            fault(401, "Invalid API Key: sk_1"),
            Fault::Misconfigured("refused-401".into())
        );
        for status in [409, 429] {
            let later = Fault::Later(format!("answered-{status}"));
            assert_eq!(fault(status, "busy"), later);
        }
        for status in [500, 503] {
            let broken = Fault::NotUnderThisKey(format!("answered-{status}"));
            assert_eq!(fault(status, "busy"), broken);
        }
        let Fault::Refused(why) = fault(400, "no a@b.example of sk_live_x here") else {
            panic!("sorted otherwise");
        };
        assert_eq!(why, "refused-400 email_invalid: no of here");
        let Fault::Refused(why) = fault(402, &"long ".repeat(100)) else {
            panic!("sorted otherwise");
        };
        assert_eq!(why.len(), LONGEST);
        assert!(fault(404, "gone").is_missing());
        let lost = Fault::from(StripeError::JSONDeserialize("html".into()));
        assert_eq!(lost, Fault::Later("unreadable".into()));
    }
}

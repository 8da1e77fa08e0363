//! Short messages, by whoever sends them for us: one signed HTTP request a message.
//!
//! Those who send messages have an interface each. Ours is the smallest that any of them can be put
//! behind (deploy/README.md): a `POST` with a JSON body and the header `Rotunda-Signature:
//! t=<seconds>,v1=<hex>`, an HMAC-SHA256 of `<seconds>.<body>` under a shared secret. On somebody's own
//! machine messages stay in memory and pages show them ([`Sms::Outbox`]).

use std::{
    collections::VecDeque,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hmac::{Hmac, Mac};
use reqwest::{Client, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::Sha256;
use thiserror::Error;

use crate::kernel::{page::hex, text::Phone, time::Instant};

/// How long one message may take, from the connection to the last word.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many messages the outbox of somebody's own machine keeps.
const KEPT: usize = 100;

/// Settings with which no message can be sent; the text shows no secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SmsSettingError {
    /// Not an address to send secrets to.
    #[error("sms.url must be https://, or http:// to this machine")]
    Url,
    /// A secret that could be guessed.
    #[error(
        "sms.secret must have at least 16 characters, such as what `openssl rand -hex 32` prints"
    )]
    Secret,
}

/// Why a message did not go.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SmsError {
    /// Nobody sends messages, by the settings.
    #[error("sms-is-off")]
    Off,
    /// It may go later.
    #[error("{0}")]
    Later(String),
    /// It will never be taken.
    #[error("{0}")]
    Never(String),
}

/// A message to one telephone. It prints as its id alone.
#[derive(Clone)]
pub struct Text {
    /// Ours, always the same for the same message.
    pub id: String,
    /// The mall's short name.
    pub mall: String,
    /// To which number.
    pub to: Phone,
    /// The language that it is in, as a tag.
    pub language: &'static str,
    /// What it says.
    pub text: SecretString,
    /// When it was written.
    pub date: Instant,
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Text({})", self.id)
    }
}

/// A message as it goes out.
#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    mall: &'a str,
    to: &'a str,
    language: &'a str,
    text: &'a str,
}

/// Who takes messages. A clone is the same one.
#[derive(Clone)]
pub enum Sms {
    /// Nobody.
    Off,
    /// Whoever answers at an address.
    Hook(Arc<Hook>),
    /// This process's memory, for somebody's own machine: by id, the newest last.
    Outbox(Arc<Mutex<VecDeque<(String, SecretString)>>>),
}

/// Whoever sends messages for us.
pub struct Hook {
    client: Client,
    url: Url,
    secret: SecretString,
}

impl fmt::Debug for Sms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Off => "Off",
            Self::Hook(_) => "Hook",
            Self::Outbox(_) => "Outbox",
        })
    }
}

impl Sms {
    /// Whoever answers at that address, and shares that secret.
    ///
    /// # Errors
    /// [`SmsSettingError`].
    pub fn hook(url: &str, secret: &SecretString) -> Result<Self, SmsSettingError> {
        let url: Url = url.parse().map_err(|_| SmsSettingError::Url)?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let here = host == "localhost"
            || host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        if url.scheme() != "https" && !(url.scheme() == "http" && here) {
            return Err(SmsSettingError::Url);
        }
        if secret.expose_secret().chars().count() < 16 {
            return Err(SmsSettingError::Secret);
        }
        let client = Client::builder()
            .timeout(PATIENCE)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|_| SmsSettingError::Url)?;
        Ok(Self::Hook(Arc::new(Hook {
            client,
            url,
            secret: secret.clone(),
        })))
    }

    /// The memory of somebody's own machine.
    pub fn outbox() -> Self {
        Self::Outbox(Arc::default())
    }

    /// Whether nobody takes messages.
    pub fn is_off(&self) -> bool {
        matches!(self, Self::Off)
    }

    /// Whether messages stay in this process's memory.
    pub fn is_outbox(&self) -> bool {
        matches!(self, Self::Outbox(_))
    }

    /// Sends a message. Sent again it has the same id.
    ///
    /// # Errors
    /// [`SmsError`].
    pub async fn send(&self, text: &Text) -> Result<(), SmsError> {
        match self {
            Self::Off => Err(SmsError::Off),
            Self::Hook(hook) => hook.send(text).await,
            Self::Outbox(kept) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() >= KEPT {
                    kept.pop_front();
                }
                kept.push_back((text.id.clone(), text.text.clone()));
                Ok(())
            }
        }
    }

    /// What the outbox of somebody's own machine says under that id; nothing anywhere else.
    pub fn shown(&self, id: &str) -> Option<SecretString> {
        let Self::Outbox(kept) = self else {
            return None;
        };
        let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().rev().find(|(known, _)| known == id);
        found.map(|(_, text)| text.clone())
    }
}

impl Hook {
    async fn send(&self, text: &Text) -> Result<(), SmsError> {
        let body = Body {
            id: &text.id,
            mall: &text.mall,
            to: text.to.as_str(),
            language: text.language,
            text: text.text.expose_secret(),
        };
        let unwritten = || SmsError::Never("message".to_owned());
        let body = serde_json::to_string(&body).map_err(|_| unwritten())?;
        let seconds = text.date.timestamp();
        let secret = self.secret.expose_secret().as_bytes();
        let mac = <Hmac<Sha256> as Mac>::new_from_slice(secret);
        let mut mac = mac.map_err(|_| unwritten())?;
        mac.update(format!("{seconds}.{body}").as_bytes());
        let signature = hex(&mac.finalize().into_bytes());
        let sent = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("idempotency-key", &text.id)
            .header("rotunda-signature", format!("t={seconds},v1={signature}"))
            .body(body)
            .send()
            .await;
        match sent.map(|answer| answer.status()) {
            Ok(status) if status.is_success() => Ok(()),
            Ok(status @ (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)) => {
                Err(SmsError::Later(refused(status)))
            }
            Ok(status) if status.is_server_error() => Err(SmsError::Later(refused(status))),
            Ok(status) => Err(SmsError::Never(refused(status))),
            Err(error) if error.is_timeout() => Err(SmsError::Later("timeout".to_owned())),
            Err(_) => Err(SmsError::Later("connection".to_owned())),
        }
    }
}

/// What went wrong, without a word of theirs.
fn refused(status: StatusCode) -> String {
    format!("refused-{}", status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_go_by_tls_or_stay_here() {
        let secret = SecretString::from("0123456789abcdef");
        for (url, good) in [
            ("https://sms.example/send", true),
            ("http://127.0.0.1:9/", true),
            ("http://[::1]:9/", true),
            ("http://localhost/", true),
            ("http://localhost.evil.example/", false),
            ("http://sms.example/", false),
            ("ftp://sms.example/", false),
            ("sms.example", false),
        ] {
            assert_eq!(Sms::hook(url, &secret).is_ok(), good, "{url}");
        }
        let short = SecretString::from("hunter2");
        let refused = Sms::hook("https://sms.example/", &short);
        assert_eq!(refused.unwrap_err(), SmsSettingError::Secret);
    }
}

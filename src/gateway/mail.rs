//! Mail, by SMTP.
//!
//! What goes wrong is said by a short word and the server's number alone: a server's own words may
//! hold the address.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Attachment, Mailbox, MultiPart, SinglePart, header::ContentType},
    transport::smtp,
};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use crate::kernel::{text::Email, time::Instant};

/// How long one letter may take, from the connection to the server's last word.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long the server may take where somebody only asks whether it is there.
const GLANCE: Duration = Duration::from_secs(5);

/// Settings with which no mail can be sent; the message shows no secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MailSettingError {
    /// Not an address of a server.
    #[error(
        "the mail server's address must be smtp://, or smtps://, such as smtps://user:password@mail.example"
    )]
    Url,
    /// A password that anybody on the way could read.
    #[error(
        "the mail server's password would go in the clear: use smtps://, or end the address with ?tls=required"
    )]
    Clear,
    /// Not an address of somebody.
    #[error(
        "mail must come from an address, such as \"Starlight Mall <points@starlight.example>\""
    )]
    From,
}

/// Why a letter did not go.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MailError {
    /// There is no mail server in the settings.
    #[error("mail-is-off")]
    Off,
    /// It may go later: the server is away, slow or busy.
    #[error("{0}")]
    Later(String),
    /// The server will never take it, or it cannot be written.
    #[error("{0}")]
    Never(String),
}

/// A file that goes with a letter.
#[derive(Clone, PartialEq, Eq)]
pub struct Enclosure {
    /// What it is called, in any letters.
    pub name: String,
    /// The media type.
    pub media: &'static str,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// A letter to one address. It prints as its id alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// Ours, always the same for the same letter: servers and readers know it again by it.
    pub id: String,
    /// To whom.
    pub to: Email,
    /// What it is about; line breaks and other controls in it are left out.
    pub subject: String,
    /// What it says.
    pub text: String,
    /// What goes with it.
    pub enclosure: Option<Enclosure>,
    /// When it was written.
    pub date: Instant,
}

impl fmt::Debug for Letter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Letter({})", self.id)
    }
}

/// Who takes letters. A clone is the same one.
#[derive(Clone)]
pub enum Mailer {
    /// Nobody: there is no mail server in the settings.
    Off,
    /// A mail server.
    Smtp(Arc<Server>),
}

/// A mail server, and who we are to it.
pub struct Server {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Off => "Off",
            Self::Smtp(_) => "Smtp",
        })
    }
}

impl Mailer {
    /// The mail server of an address: `smtps://user:password@host:465`, `smtp://host:587?tls=required`
    /// (TLS after the greeting), `smtp://host` (a server of one's own, without any).
    ///
    /// # Errors
    /// [`MailSettingError`].
    pub fn new(url: &SecretString, from: &str) -> Result<Self, MailSettingError> {
        let url = url.expose_secret();
        if is_clear(url) {
            return Err(MailSettingError::Clear);
        }
        let from: Mailbox = from.parse().map_err(|_| MailSettingError::From)?;
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url);
        let transport = builder
            .map_err(|_| MailSettingError::Url)?
            .timeout(Some(PATIENCE))
            .build();
        Ok(Self::Smtp(Arc::new(Server { transport, from })))
    }

    /// Sends a letter. Sent again it has the same `Message-ID`.
    ///
    /// # Errors
    /// [`MailError`].
    pub async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        let Self::Smtp(server) = self else {
            return Err(MailError::Off);
        };
        let message = server.message(letter)?;
        let sent = server.transport.send(message);
        match tokio::time::timeout(PATIENCE, sent).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(of_smtp(&error)),
            Err(_) => Err(MailError::Later("timeout".to_owned())),
        }
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// [`MailError`].
    pub async fn greet(&self) -> Result<(), MailError> {
        let Self::Smtp(server) = self else {
            return Err(MailError::Off);
        };
        match tokio::time::timeout(GLANCE, server.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(MailError::Later("connection".to_owned())),
            Ok(Err(error)) => Err(of_smtp(&error)),
            Err(_) => Err(MailError::Later("timeout".to_owned())),
        }
    }
}

impl Server {
    fn message(&self, letter: &Letter) -> Result<Message, MailError> {
        let unwritten = |_| MailError::Never("letter".to_owned());
        let to = letter.to.as_str().parse();
        let to = to.map_err(|_| MailError::Never("address".to_owned()))?;
        let domain = self.from.email.domain();
        let builder = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(one_line(&letter.subject))
            .message_id(Some(format!("<{}@{domain}>", letter.id)))
            .date(letter.date.into());
        let text = SinglePart::plain(letter.text.clone());
        let Some(file) = &letter.enclosure else {
            return builder.singlepart(text).map_err(unwritten);
        };
        let media = ContentType::parse(file.media);
        let media = media.map_err(|_| MailError::Never("letter".to_owned()))?;
        let file = Attachment::new(one_line(&file.name)).body(file.bytes.clone(), media);
        let parts = MultiPart::mixed().singlepart(text).singlepart(file);
        builder.multipart(parts).map_err(unwritten)
    }
}

/// What went wrong, without a word of the server's.
fn of_smtp(error: &smtp::Error) -> MailError {
    match error.status() {
        Some(code) if error.is_permanent() => MailError::Never(format!("refused-{code}")),
        Some(code) => MailError::Later(format!("refused-{code}")),
        None if error.is_timeout() => MailError::Later("timeout".to_owned()),
        None if error.is_tls() => MailError::Later("tls".to_owned()),
        None if error.is_client() => MailError::Never("letter".to_owned()),
        None => MailError::Later("connection".to_owned()),
    }
}

/// A text for a header: what could end it is left out.
fn one_line(text: &str) -> String {
    let kept = text.chars().map(|letter| match letter {
        '\r' | '\n' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        other => other,
    });
    kept.filter(|letter| !letter.is_control()).collect()
}

/// Whether a password would go to another machine without TLS.
fn is_clear(url: &str) -> bool {
    let url = url.to_ascii_lowercase();
    let Some(rest) = url.strip_prefix("smtp://") else {
        return false;
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let Some((_, host)) = place.rsplit_once('@') else {
        return false;
    };
    let host = host.split('/').next().unwrap_or(host);
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    !here && !query.split('&').any(|part| part == "tls=required")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_does_not_go_in_the_clear() {
        let from = "Mall <points@mall.example>";
        for (url, wanted) in [
            ("smtps://u:hunter2@mail.example", None),
            ("smtp://u:hunter2@mail.example:587?tls=required", None),
            ("smtp://mail.example", None),
            ("smtp://u:hunter2@127.0.0.1:2525", None),
            ("smtp://u:hunter2@[::1]", None),
            (
                "smtp://u:hunter2@localhost.evil.example",
                Some(MailSettingError::Clear),
            ),
            (
                "SMTP://u:hunter2@127.0.0.1.evil.example:25",
                Some(MailSettingError::Clear),
            ),
            (
                "smtp://u:hunter2@mail.example",
                Some(MailSettingError::Clear),
            ),
            (
                "smtp://u:hunter2@mail.example?tls=opportunistic",
                Some(MailSettingError::Clear),
            ),
            ("http://mail.example", Some(MailSettingError::Url)),
            ("mail.example", Some(MailSettingError::Url)),
        ] {
            let made = Mailer::new(&SecretString::from(url), from);
            assert_eq!(made.as_ref().err(), wanted.as_ref(), "{url}");
            assert!(!format!("{made:?}").contains("hunter2"));
        }
        let url = SecretString::from("smtp://mail.example");
        assert_eq!(
            Mailer::new(&url, "nobody").err(),
            Some(MailSettingError::From)
        );
    }

    #[test]
    fn nothing_that_is_put_in_gets_out_of_its_header() {
        let url = SecretString::from("smtp://mail.example");
        let Ok(Mailer::Smtp(server)) = Mailer::new(&url, "Mall <points@mall.example>") else {
            panic!("no server");
        };
        let letter = Letter {
            id: "msg_1".to_owned(),
            to: "a@b.example".parse().unwrap(),
            subject: "灯下茶\r\nBcc: c@d.example\r\n\r\nbody".to_owned(),
            text: "x".to_owned(),
            enclosure: Some(Enclosure {
                name: "对账单\"\r\nX-Evil: 1.pdf".to_owned(),
                media: "application/pdf",
                bytes: vec![1],
            }),
            date: Instant::UNIX_EPOCH,
        };
        let written = String::from_utf8(server.message(&letter).unwrap().formatted()).unwrap();
        for line in written.lines() {
            assert!(
                !line.starts_with("Bcc") && !line.starts_with("X-Evil"),
                "{written}"
            );
        }
        assert!(written.contains("Message-ID: <msg_1@mall.example>"));
        assert_eq!(format!("{letter:?}"), "Letter(msg_1)");
    }
}

//! What letters say.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::{kernel::text::Language, texts::text_with};

/// What a letter about a statement names, as it is to be read.
#[derive(Debug, Clone, Copy)]
pub struct OfStatement<'a> {
    /// The mall.
    pub mall: &'a str,
    /// The merchant.
    pub merchant: &'a str,
    /// The period.
    pub period: &'a str,
    /// The net with its currency.
    pub net: &'a str,
    /// Until when the merchant can object; none where it is confirmed already.
    pub until: Option<&'a str>,
    /// Where the statement is to be had, where the settings say how the outside reaches this house.
    pub link: Option<&'a str>,
}

/// Subject and text.
pub fn statement_issued(language: Language, of: &OfStatement<'_>) -> (String, String) {
    let places = [
        ("mall", of.mall),
        ("merchant", of.merchant),
        ("period", of.period),
        ("net", of.net),
        ("until", of.until.unwrap_or_default()),
        ("link", of.link.unwrap_or_default()),
    ];
    let said = |key: &str| text_with(language, key, &places);
    let mut paragraphs = vec![said("mail-statement-greeting"), said("mail-statement-text")];
    if of.until.is_some() {
        paragraphs.push(said("mail-statement-until"));
    }
    if of.link.is_some() {
        paragraphs.push(said("mail-statement-link"));
    }
    paragraphs.push(said("mail-statement-close"));
    (
        said("mail-statement-subject"),
        format!("{}\n", paragraphs.join("\n\n")),
    )
}

/// What a letter names that lets somebody choose a password, as it is to be read.
#[derive(Clone, Copy)]
pub struct OfLink<'a> {
    /// The mall.
    pub mall: &'a str,
    /// To whom.
    pub name: &'a str,
    /// Until when the link opens.
    pub until: &'a str,
    /// The link, which is a secret.
    pub link: &'a str,
}

impl fmt::Debug for OfLink<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("OfLink")
    }
}

/// Subject and text of an invitation.
pub fn invitation(language: Language, of: &OfLink<'_>) -> (String, String) {
    link_letter(language, "mail-invitation", of)
}

/// Subject and text for who forgot the password.
pub fn password_reset(language: Language, of: &OfLink<'_>) -> (String, String) {
    link_letter(language, "mail-reset", of)
}

fn link_letter(language: Language, key: &str, of: &OfLink<'_>) -> (String, String) {
    let places = [
        ("mall", of.mall),
        ("name", of.name),
        ("until", of.until),
        ("link", of.link),
    ];
    let said = |part: &str| text_with(language, &format!("{key}-{part}"), &places);
    let paragraphs = ["greeting", "text", "link", "otherwise", "close"].map(said);
    (said("subject"), format!("{}\n", paragraphs.join("\n\n")))
}

/// What a telephone is told so that its owner comes in.
pub fn sign_in_code(language: Language, mall: &str, code: &SecretString) -> SecretString {
    let places = [("mall", mall), ("code", code.expose_secret())];
    SecretString::from(text_with(language, "sms-sign-in-code", &places))
}

/// What a letter about an application names, as it is to be read.
#[derive(Clone, Copy)]
pub struct OfApplication<'a> {
    /// The mall.
    pub mall: &'a str,
    /// The company; empty where it was not said yet.
    pub company: &'a str,
    /// Why, or what is asked, in the operator's words.
    pub reason: Option<&'a str>,
    /// Until when the link opens.
    pub until: &'a str,
    /// The link, which is a secret.
    pub link: &'a str,
}

impl fmt::Debug for OfApplication<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("OfApplication")
    }
}

/// Subject and text about something that happened to an application, by the event's name.
pub fn application(language: Language, event: &str, of: &OfApplication<'_>) -> (String, String) {
    let places = [
        ("mall", of.mall),
        ("company", of.company),
        ("reason", of.reason.unwrap_or_default()),
        ("until", of.until),
        ("link", of.link),
    ];
    let said = |key: &str| text_with(language, key, &places);
    let event = event.replace('_', "-");
    let mut paragraphs = vec![
        said("mail-application-greeting"),
        said(&format!("mail-application-{event}")),
    ];
    paragraphs.extend(of.reason.map(|_| said("mail-application-reason")));
    paragraphs.push(said("mail-application-link"));
    paragraphs.push(said("mail-application-until"));
    paragraphs.push(said("mail-application-close"));
    (
        said("mail-application-subject"),
        format!("{}\n", paragraphs.join("\n\n")),
    )
}

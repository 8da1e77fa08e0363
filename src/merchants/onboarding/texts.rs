//! What merchants are told before they apply, and what they agree to: a version each time that the
//! operator changes it, in as many languages as the operator likes.
//!
//! Before the operator wrote any there is the product's own text, which is version 0.

pub(super) mod store;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::OnboardingError;
use crate::{
    audit::{self, Act, Done},
    authz::{
        action::{SetConditions, StartApplication},
        grant::Grant,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{page::hex, text::Language, time::Instant},
    texts::text,
};

/// The longest text, in characters.
pub const LONGEST_TEXT: usize = 20_000;

/// What a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    /// Requirements, fees, what is not taken: read and accepted before one applies.
    Conditions,
    /// What is accepted after the approval, before the merchant works.
    Agreement,
}

impl TextKind {
    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Conditions => "conditions",
            Self::Agreement => "agreement",
        }
    }
}

/// One version of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextVersion {
    /// What it is for.
    pub kind: TextKind,
    /// Its number; 0 is the product's own.
    pub version: i32,
    /// By language, by its tag.
    pub texts: BTreeMap<String, String>,
    /// SHA-256 over kind, version and texts, 64 hexadecimal digits.
    pub digest: String,
    /// When the operator wrote it, and
    pub created_at: Option<Instant>,
    /// who.
    pub created_by: Option<String>,
}

impl TextVersion {
    fn of(kind: TextKind, version: i32, texts: BTreeMap<String, String>) -> Self {
        let said = serde_json::json!(texts).to_string();
        let canonical = format!("{}\n{version}\n{said}\n", kind.as_str());
        Self {
            kind,
            version,
            texts,
            digest: hex(&Sha256::digest(canonical)),
            created_at: None,
            created_by: None,
        }
    }

    fn own(kind: TextKind) -> Self {
        let key = format!("onboarding-{}", kind.as_str());
        let texts = Language::ALL.map(|language| (language.tag().to_owned(), text(language, &key)));
        Self::of(kind, 0, texts.into())
    }

    /// The text in that language, or in another one where there is none.
    pub fn in_language(&self, language: Language) -> &str {
        let text = self.texts.get(language.tag());
        let text = text.or_else(|| self.texts.values().next());
        text.map_or("", String::as_str)
    }
}

/// The text that holds now.
///
/// # Errors
/// [`OnboardingError::Db`].
pub async fn current(
    tx: &mut ReadTx,
    _grant: &Grant<StartApplication>,
    kind: TextKind,
) -> Result<TextVersion, OnboardingError> {
    Ok(newest(tx, kind).await?)
}

pub(super) async fn newest(tx: &mut ReadTx, kind: TextKind) -> Result<TextVersion, db::Error> {
    let found = store::text(tx, kind, None).await?;
    Ok(found.unwrap_or_else(|| TextVersion::own(kind)))
}

/// The text of that version, as it was accepted or is to be.
pub(super) async fn of_version(
    tx: &mut ReadTx,
    kind: TextKind,
    version: i32,
) -> Result<TextVersion, db::Error> {
    if version == 0 {
        return Ok(TextVersion::own(kind));
    }
    let found = store::text(tx, kind, Some(version)).await?;
    found.ok_or(db::Error::Corrupt("version of a text"))
}

/// Has another text hold from now on; what says the same as the one that holds changes nothing.
/// Applications keep the version that they accepted.
///
/// # Errors
/// [`OnboardingError::BadText`], [`OnboardingError::Db`].
pub async fn publish(
    tx: &mut Tx,
    _grant: &Grant<SetConditions>,
    kind: TextKind,
    texts: &[(Language, String)],
) -> Result<TextVersion, OnboardingError> {
    let fits = |text: &str| {
        let printable = |letter: char| letter == '\n' || crate::kernel::text::printable(letter);
        !text.trim().is_empty()
            && text.chars().count() <= LONGEST_TEXT
            && text.chars().all(printable)
    };
    let texts: BTreeMap<String, String> = texts
        .iter()
        .map(|(language, text)| (language.tag().to_owned(), text.replace("\r\n", "\n")))
        .collect();
    if texts.is_empty() || !texts.values().all(|text| fits(text)) {
        return Err(OnboardingError::BadText);
    }
    let before = newest(tx, kind).await?;
    if before.texts == texts {
        return Ok(before);
    }
    let mut new = TextVersion::of(kind, before.version.saturating_add(1), texts);
    new.created_at = Some(tx.now());
    new.created_by = Some(tx.actor().to_string());
    store::insert_text(tx, &new).await?;
    let done = Done::new(Act::ConditionsPublished)
        .is(audit::Field::Kind, kind.as_str())
        .changed(audit::Field::Digest, before.digest, new.digest.as_str());
    audit::record(tx, done).await?;
    Ok(new)
}

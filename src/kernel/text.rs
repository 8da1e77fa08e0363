//! Text that was parsed once: names, codes, phones.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// Why text is not what it should be; the message completes "… is".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TextError {
    /// Nothing but spaces.
    #[error("empty")]
    Empty,
    /// Longer than the limit, in characters.
    #[error("longer than {0} characters")]
    TooLong(usize),
    /// NUL, another control character, or one that turns the direction of writing.
    #[error("written with a control character")]
    Control,
    /// Not of the form that this kind of text has.
    #[error("not {0}")]
    Form(&'static str),
}

/// Whether a character may stand in text that people see.
pub fn printable(character: char) -> bool {
    let bidi = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !character.is_control() && !bidi && character != '\u{feff}'
}

fn parse_line(text: &str, longest: usize) -> Result<&str, TextError> {
    let text = text.trim();
    if text.is_empty() {
        Err(TextError::Empty)
    } else if text.chars().count() > longest {
        Err(TextError::TooLong(longest))
    } else if !text.chars().all(printable) {
        Err(TextError::Control)
    } else {
        Ok(text)
    }
}

/// A name or a title: one line, 1 to 120 characters of any script.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// What a merchant, a store or a good is called in lists, files and addresses: 1 to 40 of
/// `A-Z a-z 0-9 _ -`, as the operator chose it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(String);

/// A tenant's short name: 2 to 40 of `a-z 0-9 -`, a letter first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(String);

/// What a store printed on the receipt: one line, 1 to 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptNumber(String);

/// A member's card: 1 to 64 of `A-Z a-z 0-9 -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardNumber(String);

/// A telephone number: `+`, country code and number, 7 to 15 digits (E.164).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone(String);

/// An address of e-mail: at most 254 characters, of those that every server takes. Personal: what is
/// printed for a log is not the address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);

/// A connected account at Stripe, to which transfers go: `acct_` and 1 to 60 letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StripeAccount(String);

/// A class of goods on a receipt line: one line, 1 to 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Category(String);

fn ascii(
    text: &str,
    longest: usize,
    extra: &[u8],
    form: &'static str,
) -> Result<String, TextError> {
    let text = parse_line(text, longest)?;
    if text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte))
    {
        Ok(text.to_owned())
    } else {
        Err(TextError::Form(form))
    }
}

impl FromStr for Name {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        parse_line(text, 120).map(|text| Self(text.to_owned()))
    }
}

impl FromStr for Code {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        ascii(text, 40, b"_-", "a code of letters, digits, _ and -").map(Self)
    }
}

impl FromStr for Slug {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        let form = TextError::Form("a short name of 2 to 40 of a-z, 0-9 and -, a letter first");
        let slug = text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let letter = text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase());
        if slug && letter && (2..=40).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(form)
        }
    }
}

impl FromStr for StripeAccount {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        let form = TextError::Form("an account at Stripe, such as acct_1OQhVYI8lGC2uyqB");
        let rest = text.strip_prefix("acct_").unwrap_or_default();
        let plain = rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let fits = plain && (1..=60).contains(&rest.len());
        fits.then(|| Self(text.to_owned())).ok_or(form)
    }
}

impl FromStr for ReceiptNumber {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        parse_line(text, 64).map(|text| Self(text.to_owned()))
    }
}

impl FromStr for CardNumber {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        ascii(text, 64, b"-", "a card number of letters, digits and -").map(Self)
    }
}

impl FromStr for Category {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        parse_line(text, 64).map(|text| Self(text.to_owned()))
    }
}

impl FromStr for Email {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        let form = TextError::Form("an address of e-mail, such as accounts@lantern.example");
        if text.len() > 254 {
            return Err(TextError::TooLong(254));
        }
        let (local, domain) = text.split_once('@').ok_or(form)?;
        let letter = |byte: u8| byte.is_ascii_alphanumeric();
        let local_fits = local.split('.').all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| letter(byte) || b"_+-".contains(&byte))
        });
        let domain_fits = domain.contains('.')
            && domain.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.bytes().all(|byte| letter(byte) || byte == b'-')
            });
        if local_fits && domain_fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(form)
        }
    }
}

impl Email {
    /// For people who need not know the whole: `a***@example.com`.
    pub fn masked(&self) -> String {
        let (person, host) = self.0.split_once('@').unwrap_or_default();
        let first: String = person.chars().take(1).collect();
        format!("{first}***@{host}")
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

impl Phone {
    /// Reads a number as people write it: spaces, dots, dashes and brackets are dropped; `00` and
    /// `+` begin a country code; without one, `calling_code` (digits, such as "86") goes before.
    ///
    /// # Errors
    /// [`TextError::Form`].
    pub fn parse(text: &str, calling_code: &str) -> Result<Self, TextError> {
        let form = TextError::Form("a telephone number of 7 to 15 digits");
        let kept: String = text
            .chars()
            .filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')'))
            .collect();
        let international = kept.strip_prefix('+').or_else(|| kept.strip_prefix("00"));
        let digits = match international {
            Some(digits) => digits.to_owned(),
            None => format!("{calling_code}{kept}"),
        };
        let fits = (7..=15).contains(&digits.len());
        if fits && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(format!("+{digits}")))
        } else {
            Err(form)
        }
    }

    /// For people who need not know the whole: `+86138****0271`.
    pub fn masked(&self) -> String {
        let digits: Vec<char> = self.0.chars().collect();
        let last = digits.len().saturating_sub(4);
        let first = last.saturating_sub(4);
        let hide = |(place, digit): (usize, &char)| {
            if (first..last).contains(&place) {
                '*'
            } else {
                *digit
            }
        };
        digits.iter().enumerate().map(hide).collect()
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.masked())
    }
}

/// Gives the text back.
macro_rules! text {
    ($($kind:ident),*) => {$(
        impl $kind {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    )*};
}
text!(
    Name,
    Code,
    Slug,
    ReceiptNumber,
    CardNumber,
    Phone,
    Email,
    StripeAccount,
    Category
);

/// A language that the product speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// Simplified Chinese.
    ZhCn,
    /// Traditional Chinese, as written in Taiwan.
    ZhTw,
    /// English.
    En,
}

impl Language {
    /// All of them, the default first.
    pub const ALL: [Self; 3] = [Self::ZhCn, Self::ZhTw, Self::En];

    /// The tag: "zh-CN".
    pub const fn tag(self) -> &'static str {
        match self {
            Self::ZhCn => "zh-CN",
            Self::ZhTw => "zh-TW",
            Self::En => "en",
        }
    }

    /// The language that a tag means: zh-HK, zh-MO and zh-Hant are read in traditional script.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let tag = tag.trim().to_ascii_lowercase();
        let mut parts = tag.split(['-', '_']);
        match (parts.next()?, tag.contains("hant")) {
            ("en", _) => Some(Self::En),
            ("zh", true) => Some(Self::ZhTw),
            ("zh", false) if parts.any(|part| matches!(part, "tw" | "hk" | "mo")) => {
                Some(Self::ZhTw)
            }
            ("zh", false) => Some(Self::ZhCn),
            _ => None,
        }
    }
}

impl FromStr for Language {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        let found = Self::ALL
            .into_iter()
            .find(|language| language.tag() == text);
        found.ok_or(TextError::Form("zh-CN, zh-TW or en"))
    }
}

/// A name in one to three languages; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(Vec<(Language, Name)>);

impl Names {
    /// From pairs of tag and text.
    ///
    /// # Errors
    /// [`TextError::Empty`] without any, [`TextError::Form`] for another language or one twice.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, TextError> {
        let mut names: Vec<(Language, Name)> = Vec::new();
        for (tag, text) in pairs {
            let language: Language = tag.parse()?;
            if names.iter().any(|(known, _)| *known == language) {
                return Err(TextError::Form("one name a language"));
            }
            names.push((language, text.parse()?));
        }
        names.sort_by_key(|(language, _)| *language);
        if names.is_empty() {
            Err(TextError::Empty)
        } else {
            Ok(Self(names))
        }
    }

    /// The same name in one language.
    pub fn only(language: Language, name: Name) -> Self {
        Self(vec![(language, name)])
    }

    /// The name in that language, else the first there is.
    pub fn get(&self, language: Language) -> &str {
        let found = self
            .0
            .iter()
            .find(|(known, _)| *known == language)
            .or_else(|| self.0.first());
        found.map_or("", |(_, name)| name.as_str())
    }

    /// Pairs of tag and text.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0
            .iter()
            .map(|(language, name)| (language.tag(), name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_is_one_however_it_is_written() {
        for text in ["138 0000 0271", "+86 138-0000-0271", "0086 (138) 0000.0271"] {
            assert_eq!(Phone::parse(text, "86").unwrap().as_str(), "+8613800000271");
        }
        assert_eq!(
            Phone::parse("13800000271", "86").unwrap().masked(),
            "+86138****0271"
        );
        for text in ["", "12", "phone", "+86 138 0000 0271 00000", "１３８"] {
            assert!(Phone::parse(text, "86").is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_of_mail_is_one_that_every_server_takes_and_shows_in_no_log() {
        for text in ["a@b.example", "accounts+tea.2@lantern-tea.example.cn"] {
            let address: Email = text.parse().unwrap();
            assert_eq!(address.as_str(), text);
            assert_eq!(format!("{address:?}"), "***");
        }
        for text in [
            "",
            "a",
            "a@b",
            "@b.example",
            "a@.example",
            "a@b..example",
            "a@-b.example",
            "a b@c.example",
            "a..b@c.example",
            "a@b@c.example",
            " a@b.example",
            "a@b.example\r\nBcc: c@d.example",
            "\"a\"@b.example",
            "<a@b.example>",
            "a@b.example, c@d.example",
            "灯@茶.example",
        ] {
            assert!(text.parse::<Email>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_account_at_stripe_has_its_beginning_and_plain_letters() {
        let account: StripeAccount = "acct_1OQhVYI8lGC2uyqB".parse().unwrap();
        assert_eq!(account.as_str(), "acct_1OQhVYI8lGC2uyqB");
        for text in [
            "", "acct_", "cus_1", "acct_1-2", "acct_ 1", "acct_1 ", " acct_1", "acct_茶",
        ] {
            assert!(text.parse::<StripeAccount>().is_err(), "{text:?}");
        }
        assert!(
            format!("acct_{}", "1".repeat(61))
                .parse::<StripeAccount>()
                .is_err()
        );
    }

    #[test]
    fn nul_bidi_and_controls_are_refused() {
        for text in ["a\0b", "a\u{202e}b", "a\nb", "\u{7f}"] {
            assert_eq!(text.parse::<Name>(), Err(TextError::Control));
        }
        assert_eq!("  ".parse::<Name>(), Err(TextError::Empty));
        assert_eq!(
            "字".repeat(121).parse::<Name>(),
            Err(TextError::TooLong(120))
        );
        assert_eq!(" 灯下茶 ".parse::<Name>().unwrap().as_str(), "灯下茶");
    }

    #[test]
    fn hong_kong_reads_traditional_script() {
        for (tag, language) in [
            ("zh-HK", "zh-TW"),
            ("zh-Hant", "zh-TW"),
            ("zh", "zh-CN"),
            ("en-GB", "en"),
        ] {
            assert_eq!(Language::from_tag(tag).unwrap().tag(), language);
        }
        assert_eq!(Language::from_tag("fr"), None);
    }
}

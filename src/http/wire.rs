//! How the house's values look in JSON, in addresses and in the API's description. Each is read
//! through its own constructor; the description says with pattern, length and range what the
//! constructor takes, so that what it calls valid is valid.

use std::borrow::Cow;

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Utc};
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde_json::Value;

use crate::{
    kernel::{
        ids::{Id, Kind},
        money::Currency,
        points::{LARGEST, Points},
        text::{
            CardNumber, Category, Code, Email, Language, Name, Names, ReceiptNumber, Slug,
            TextError, printable,
        },
        time::{Instant, Month},
    },
    redemption::Search,
};

/// 2^53 − 1, as a schema writes it.
const LARGEST_NUMBER: f64 = 9_007_199_254_740_991.0;

/// What [`Email`] takes.
const EMAIL: &str = concat!(
    r"^[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*",
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+",
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"
);

/// One line of text: no control characters, none that turn the direction of writing, and not only
/// spaces. Plain enough to mean the same to every reader of regular expressions.
const LINE: &str = concat!(
    r"^[^\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]*",
    r"[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u200e\u200f\u2028-\u202f\u205f\u2066-\u2069\u3000\ufeff]",
    r"[^\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]*$"
);

/// The schema of a text.
fn text_schema(
    description: &'static str,
    longest: usize,
    pattern: impl Into<String>,
) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        description: Some(description),
        min_length: Some(1),
        max_length: Some(longest),
        pattern: Some(pattern.into()),
        ..MetaSchema::new("string")
    }))
}

/// The schema of a whole number.
fn number_schema(description: &'static str, least: f64, most: f64) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        description: Some(description),
        minimum: Some(least),
        maximum: Some(most),
        ..MetaSchema::new_with_format("integer", "int64")
    }))
}

/// What poem-openapi wants to know of a value that is written as text or as a number.
macro_rules! scalar {
    ([$($generics:tt)*] $type:ty, $name:expr, $schema:expr) => {
        impl<$($generics)*> Type for $type {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                $name.into()
            }
            fn schema_ref() -> MetaSchemaRef {
                $schema
            }
            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }
            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }
    };
}

/// A value that is written as text: how it is read and how it is written.
macro_rules! written {
    ([$($generics:tt)*] $type:ty, $name:expr, $schema:expr, $read:expr, $write:expr) => {
        scalar!([$($generics)*] $type, $name, $schema);

        impl<$($generics)*> ParseFromParameter for $type {
            fn parse_from_parameter(text: &str) -> ParseResult<Self> {
                let read: fn(&str) -> Option<Self> = $read;
                read(text).ok_or_else(ParseError::expected_input)
            }
        }
        impl<$($generics)*> ParseFromJSON for $type {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                match value {
                    Some(Value::String(text)) => Self::parse_from_parameter(&text),
                    _ => Err(ParseError::expected_input()),
                }
            }
        }
        impl<$($generics)*> ToJSON for $type {
            fn to_json(&self) -> Option<Value> {
                let write: fn(&Self) -> String = $write;
                Some(Value::String(write(self)))
            }
        }
    };
}

/// A value that is written as a whole number.
macro_rules! counted {
    ($type:ty, $name:expr, $schema:expr, $read:expr, $write:expr) => {
        scalar!([] $type, $name, $schema);

        impl ParseFromParameter for $type {
            fn parse_from_parameter(text: &str) -> ParseResult<Self> {
                let plain = text.strip_prefix('-').unwrap_or(text);
                let number = if plain.bytes().all(|byte| byte.is_ascii_digit()) {
                    text.parse().ok()
                } else {
                    None
                };
                let read: fn(i64) -> Option<Self> = $read;
                number.and_then(read).ok_or_else(ParseError::expected_input)
            }
        }
        impl ParseFromJSON for $type {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                let read: fn(i64) -> Option<Self> = $read;
                let number = value.as_ref().and_then(Value::as_i64);
                number.and_then(read).ok_or_else(ParseError::expected_input)
            }
        }
        impl ToJSON for $type {
            fn to_json(&self) -> Option<Value> {
                let write: fn(&Self) -> i64 = $write;
                Some(write(self).into())
            }
        }
    };
}

mod audited;
mod hidden;
mod prose;
mod settling;
mod till;

pub use audited::{AnyId, Whom};
pub use hidden::Hidden;
pub use prose::Prose;
pub use settling::{FileText, LineNumber};
pub use till::{Claim, Positive, Quantity, Telephone};

// --- ids

written!(
    [K: Kind] Id<K>,
    format!("id_{}", K::PREFIX),
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        description: Some("An id: the prefix of its kind, `_` and 26 digits."),
        pattern: Some(format!("^{}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$", K::PREFIX)),
        ..MetaSchema::new("string")
    })),
    |text| text.parse().ok(),
    ToString::to_string
);

// --- amounts

counted!(
    Points,
    "points",
    number_schema("Points, whole.", 0.0, LARGEST_NUMBER),
    |number| Self::new(number).ok(),
    |points| points.get()
);

/// An amount of money that is not below zero, in minor units of the mall's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minor(pub i64);

counted!(
    Minor,
    "minor",
    number_schema(
        "Money in minor units of the currency, such as cents.",
        0.0,
        LARGEST_NUMBER
    ),
    |number| (0..=LARGEST).contains(&number).then_some(Self(number)),
    |minor| minor.0
);

/// An amount that may be below zero: money in minor units, or a change of points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed(pub i64);

counted!(
    Signed,
    "signed",
    number_schema(
        "A whole amount that may be below zero.",
        -LARGEST_NUMBER,
        LARGEST_NUMBER
    ),
    |number| (-LARGEST..=LARGEST)
        .contains(&number)
        .then_some(Self(number)),
    |signed| signed.0
);

/// How many items a page shall have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub i64);

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

counted!(
    Limit,
    "limit",
    number_schema("Items on a page.", 1.0, 100.0),
    |number| (1..=100).contains(&number).then_some(Self(number)),
    |limit| limit.0
);

// --- text

written!(
    [] Name,
    "name",
    text_schema("One line of 1 to 120 characters, without control characters.", 120, LINE),
    |text| text.parse().ok(),
    |name| name.as_str().to_owned()
);
written!(
    [] Code,
    "code",
    text_schema("A code of 1 to 40 letters, digits, _ and -.", 40, "^[A-Za-z0-9_-]+$"),
    |text| text.parse().ok(),
    |code| code.as_str().to_owned()
);
written!(
    [] Slug,
    "slug",
    text_schema("A short name of 2 to 40 of a-z, 0-9 and -, a letter first.", 40, "^[a-z][a-z0-9-]+$"),
    |text| text.parse().ok(),
    |slug| slug.as_str().to_owned()
);
written!(
    [] ReceiptNumber,
    "receipt_number",
    text_schema("One line of 1 to 64 characters, as the receipt shows it.", 64, LINE),
    |text| text.parse().ok(),
    |number| number.as_str().to_owned()
);
written!(
    [] CardNumber,
    "card_number",
    text_schema("A card number of 1 to 64 letters, digits and -.", 64, "^[A-Za-z0-9-]+$"),
    |text| text.parse().ok(),
    |number| number.as_str().to_owned()
);
written!(
    [] Category,
    "category",
    text_schema("One line of 1 to 64 characters.", 64, LINE),
    |text| text.parse().ok(),
    |category| category.as_str().to_owned()
);
written!(
    [] Language,
    "language",
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        enum_items: Self::ALL.iter().map(|language| language.tag().into()).collect(),
        ..MetaSchema::new("string")
    })),
    |text| text.parse().ok(),
    |language| language.tag().to_owned()
);
written!(
    [] Email,
    "email",
    text_schema("An address of e-mail, such as accounts@lantern.example.", 254, EMAIL),
    |text| text.parse().ok(),
    |email| email.as_str().to_owned()
);
written!(
    [] Currency,
    "currency",
    text_schema("A currency code of ISO 4217, such as CNY.", 3, "^[A-Z]{3}$"),
    |text| Self::from_code(text).ok(),
    |currency| currency.code().to_owned()
);

/// One line of text of at most 200 characters, for what has no kind of its own: a telephone
/// number as people write it, a role, a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// The text, without spaces around it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Result<Self, TextError> {
        // A name has the same characters; only its length differs.
        let trimmed = text.trim();
        if trimmed.chars().count() > 200 {
            return Err(TextError::TooLong(200));
        }
        let letters: Vec<char> = trimmed.chars().collect();
        for part in letters.chunks(100) {
            // Between two letters, so that nothing at an end is cut off before it is looked at.
            let part: String = part.iter().collect();
            format!("a{part}b").parse::<Name>()?;
        }
        if trimmed.is_empty() {
            Err(TextError::Empty)
        } else {
            Ok(Self(trimmed.to_owned()))
        }
    }
}

impl From<&str> for Text {
    /// Text of our own, which needs no check.
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

written!(
    [] Text,
    "text",
    text_schema("One line of 1 to 200 characters, without control characters.", 200, LINE),
    |text| Self::parse(text).ok(),
    |text| text.0.clone()
);

/// Where a page begins: `next_cursor` of the page before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

written!(
    [] Cursor,
    "cursor",
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        description: Some("`next_cursor` of an earlier page of the same list."),
        min_length: Some(1),
        max_length: Some(1000),
        pattern: Some("^[0-9a-f]+$".to_owned()),
        // Says to generators of test data that no pattern can make a sealed value.
        ..MetaSchema::new_with_format("string", "cursor")
    })),
    |text| {
        let fits = (1..=1000).contains(&text.len());
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (fits && digits).then(|| Self(text.to_owned()))
    },
    |cursor| cursor.0.clone()
);

// --- time

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub Instant);

written!(
    [] Moment,
    "moment",
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        description: Some("A moment of the years 1 to 9999 (RFC 3339), such as 2026-11-22T10:00:00Z."),
        ..MetaSchema::new_with_format("string", "date-time")
    })),
    |text| {
        let moment = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
        let moment = DateTime::from_timestamp_micros(moment.timestamp_micros())?;
        (1..=9999).contains(&moment.year()).then_some(Self(moment))
    },
    |moment| moment.0.to_rfc3339_opts(SecondsFormat::Micros, true)
);

/// A calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day(pub NaiveDate);

written!(
    [] Day,
    "day",
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        description: Some("A day of the years 1 to 9999, such as 2026-11-22."),
        ..MetaSchema::new_with_format("string", "date")
    })),
    |text| {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10)?;
        (1..=9999).contains(&day.year()).then_some(Self(day))
    },
    |day| day.0.format("%Y-%m-%d").to_string()
);

written!(
    [] Month,
    "month",
    text_schema("A month, such as 2026-11.", 7, "^[0-9]{4}-(0[1-9]|1[0-2])$"),
    |text| text.parse().ok(),
    ToString::to_string
);

/// What somebody looks for in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought(pub Search);

/// The longest text that is looked for.
const LONGEST_SOUGHT: usize = 64;

written!(
    [] Sought,
    "sought",
    text_schema(
        "One line of 1 to 64 characters with at least one word in it, without control characters.",
        LONGEST_SOUGHT,
        LINE
    ),
    |text| {
        let fits = text.chars().count() <= LONGEST_SOUGHT && text.chars().all(printable);
        fits.then(|| Search::new(text)).flatten().map(Self)
    },
    |sought| sought.0.to_string()
);

// --- names in several languages

scalar!(
    [] Names,
    "names",
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        description: Some("A name in one to three languages."),
        properties: Language::ALL
            .iter()
            .map(|language| (language.tag(), Name::schema_ref()))
            .collect(),
        min_properties: Some(1),
        ..MetaSchema::new("object")
    }))
);

impl ParseFromJSON for Names {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let Some(Value::Object(members)) = value else {
            return Err(ParseError::expected_input());
        };
        let pairs: Option<Vec<(&str, &str)>> = members
            .iter()
            .map(|(tag, name)| Some((tag.as_str(), name.as_str()?)))
            .collect();
        pairs
            .and_then(|pairs| Self::new(pairs).ok())
            .ok_or_else(ParseError::expected_input)
    }
}

impl ToJSON for Names {
    fn to_json(&self) -> Option<Value> {
        let members = self.iter().map(|(tag, name)| (tag.to_owned(), name.into()));
        Some(Value::Object(members.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        http::schema::Schemas,
        kernel::ids::{Member, MemberId, MerchantId},
    };
    use proptest::prelude::*;
    use serde_json::json;

    /// Whether schema and constructor both take a value; they must agree.
    pub(super) fn takes<T: ParseFromJSON>(value: &Value) -> bool {
        let MetaSchemaRef::Inline(schema) = T::schema_ref() else {
            panic!("an inline schema")
        };
        let schema = serde_json::to_value(*schema).unwrap();
        let schemas = Schemas::new(&schema);
        let said = schemas.check(&schema, value).is_empty();
        let done = T::parse_from_json(Some(value.clone())).is_ok();
        assert_eq!(said, done, "schema and constructor differ on {value}");
        done
    }

    #[test]
    fn ids_of_another_kind_are_not_taken() {
        let id = "mem_01h2xcejqtf2nbrexx3vqjhp41";
        assert!(takes::<MemberId>(&json!(id)));
        assert!(!takes::<MerchantId>(&json!(id)));
        assert!(!takes::<MemberId>(&json!("mem_81h2xcejqtf2nbrexx3vqjhp41")));
        assert!(!takes::<MemberId>(&json!(7)));
        assert_eq!(<Id<Member> as Type>::name(), "id_mem");
    }

    #[test]
    fn amounts_are_whole_and_exact_in_every_reader() {
        for (value, taken) in [
            (json!(0), true),
            (json!(LARGEST), true),
            (json!(LARGEST + 1), false),
            (json!(-1), false),
            (json!(1.0), false),
            (json!("1"), false),
            (json!(1e300), false),
        ] {
            assert_eq!(takes::<Points>(&value), taken, "{value}");
            assert_eq!(takes::<Minor>(&value), taken, "{value}");
        }
        assert!(takes::<Signed>(&json!(-LARGEST)));
        for text in ["", "-", "+1", "1e3", " 1", "0x1", "１"] {
            assert!(Points::parse_from_parameter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn text_is_one_line_that_shows_something() {
        for (text, taken) in [
            ("灯下茶", true),
            (" a ", true),
            ("", false),
            ("\u{3000}", false),
            ("a\0", false),
            ("\u{202e}a", false),
            ("a\nb", false),
        ] {
            assert_eq!(takes::<Name>(&json!(text)), taken, "{text:?}");
            assert_eq!(takes::<Text>(&json!(text)), taken, "{text:?}");
        }
        assert!(takes::<Text>(&json!(format!("a{}b", " ".repeat(198)))));
    }

    #[test]
    fn moments_travel_to_the_microsecond_in_utc() {
        let read = Moment::parse_from_parameter("2026-11-22T10:00:00.1234567+08:00").unwrap();
        assert_eq!(read.to_json(), Some(json!("2026-11-22T02:00:00.123456Z")));
        for text in [
            "0000-01-01T00:00:00Z",
            "2026-11-22",
            "2026-11-22 10:00",
            "now",
        ] {
            assert!(Moment::parse_from_parameter(text).is_err(), "{text}");
        }
        assert!(Day::parse_from_parameter("2026-11-22").is_ok());
        assert!(Day::parse_from_parameter("2026-1-2").is_err());
        assert!(takes::<Month>(&json!("2017-06")));
        assert!(!takes::<Month>(&json!("2017-13")));
    }

    #[test]
    fn names_need_one_language_that_is_spoken_here() {
        assert!(takes::<Names>(&json!({"en": "Tea", "zh-CN": "茶"})));
        assert!(!takes::<Names>(&json!({})));
        assert!(Names::parse_from_json(Some(json!({"fr": "Thé"}))).is_err());
    }

    proptest! {
        #[test]
        fn schema_and_constructor_agree_on_any_text(text in "\\PC{0,130}|[\\s\\u{0}-\\u{9f}]{0,4}a?[\\s]{0,3}") {
            // What is cut off at an end by the constructor, the schema may refuse.
            prop_assume!(text.trim() == text);
            takes::<Name>(&json!(text));
            takes::<Text>(&json!(text));
            takes::<Code>(&json!(text));
            takes::<ReceiptNumber>(&json!(text));
        }
    }
}

//! What is sent about settlements: periods, numbers of lines, files.

use std::borrow::Cow;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde_json::Value;

use super::{number_schema, text_schema};
use crate::kernel::{text::StripeAccount, time::Period};

written!(
    [] Period,
    "period",
    text_schema(
        "A period of the mall: a day such as 2026-11-22, a week (ISO 8601) such as 2026-W47 or a \
         month such as 2026-11, as its programme says.",
        10,
        "^[0-9]{4}-((0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?|W(0[1-9]|[1-4][0-9]|5[0-3]))$"
    ),
    |text| text.parse().ok(),
    ToString::to_string
);

/// The number of a line, of a payment, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineNumber(pub i32);

counted!(
    LineNumber,
    "line_number",
    number_schema("A line's number, from 0.", 0.0, 2_147_483_647.0),
    |number| i32::try_from(number)
        .ok()
        .filter(|line| *line >= 0)
        .map(Self),
    |line| line.0.into()
);

/// The longest file, in characters: a body of a mebibyte holds it, whatever its letters.
const LONGEST_FILE: usize = 160_000;

/// A file of text, lines and all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileText(pub String);

written!(
    [] FileText,
    "file_text",
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        description: Some("A file as text, at most 160,000 characters."),
        max_length: Some(LONGEST_FILE),
        ..MetaSchema::new("string")
    })),
    |text| (text.chars().count() <= LONGEST_FILE).then(|| Self(text.to_owned())),
    |file| file.0.clone()
);

written!(
    [] StripeAccount,
    "stripe_account",
    text_schema(
        "A connected account at Stripe, to which transfers go.",
        65,
        "^acct_[A-Za-z0-9]{1,60}$",
    ),
    |text| text.parse().ok(),
    |account| account.as_str().to_owned()
);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::tests::takes, *};

    #[test]
    fn periods_are_days_weeks_and_months() {
        for text in ["2017-06", "2026-W53", "2026-06-14"] {
            assert!(takes::<Period>(&json!(text)), "{text}");
        }
        for text in [
            "2017-13",
            "2017-W54",
            "2017-W00",
            "2017-06-32",
            "2017-6",
            "2017-w06",
            "2017",
        ] {
            assert!(!takes::<Period>(&json!(text)), "{text}");
        }
    }
}

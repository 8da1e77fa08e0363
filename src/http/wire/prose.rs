//! Text of more than one line.

use std::borrow::Cow;

use poem_openapi::{
    registry::MetaSchemaRef,
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde_json::Value;

use super::{printable, text_schema};

/// The longest text of more than one line.
const LONGEST: usize = 20_000;

/// What it takes: what a line does, and line breaks; not only spaces.
const PROSE: &str = concat!(
    r"^[^\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]*",
    r"[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u200e\u200f\u2028-\u202f\u205f\u2066-\u2069\u3000\ufeff]",
    r"[^\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]*$"
);

/// A text of one or more lines, such as a question or an agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prose(pub String);

written!(
    [] Prose,
    "prose",
    text_schema(
        "A text of 1 to 20,000 characters in one or more lines, without other control characters.",
        LONGEST,
        PROSE
    ),
    |text| {
        let fits = text.chars().count() <= LONGEST
            && !text.trim().is_empty()
            && text.chars().all(|letter| letter == '\n' || printable(letter));
        fits.then(|| Self(text.to_owned()))
    },
    |prose| prose.0.clone()
);

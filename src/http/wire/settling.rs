//! What is sent about settlements: numbers of lines, files.

use std::borrow::Cow;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde_json::Value;

use super::number_schema;

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

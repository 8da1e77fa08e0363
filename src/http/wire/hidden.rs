//! What people send and nobody is shown.

use std::{borrow::Cow, fmt};

use poem_openapi::{
    registry::MetaSchemaRef,
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use secrecy::SecretString;
use serde_json::Value;

use super::{LINE, Text, text_schema};

/// What must not be seen: a password, a token. It prints as stars and is in no answer.
#[derive(Clone)]
pub struct Hidden(SecretString);

impl Hidden {
    /// The secret.
    pub fn secret(&self) -> &SecretString {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

written!(
    [] Hidden,
    "hidden",
    text_schema("One line of 1 to 200 characters, which is not shown again.", 200, LINE),
    |text| {
        let line = Text::parse(text).is_ok() && text.chars().count() <= 200;
        line.then(|| Self(SecretString::from(text)))
    },
    |_hidden| "***".to_owned()
);

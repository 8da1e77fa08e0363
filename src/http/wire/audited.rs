//! What is asked of the audit.

use std::borrow::Cow;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde_json::Value;

use super::text_schema;
use crate::audit::{Act, Head};

written!(
    [] Act,
    "audit_act",
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        enum_items: Self::ALL.iter().map(|act| act.as_str().into()).collect(),
        ..MetaSchema::new("string")
    })),
    |text| Self::parse(text),
    |act| act.as_str().to_owned()
);

written!(
    [] Head,
    "audit_head",
    text_schema(
        "The end of a chain: the number of a seal, a colon and its hash as 64 hexadecimal digits.",
        83,
        "^[1-9][0-9]{0,17}:[0-9a-f]{64}$"
    ),
    |text| text.parse().ok(),
    ToString::to_string
);

/// The id of anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnyId(pub String);

written!(
    [] AnyId,
    "any_id",
    text_schema(
        "An id of any kind.",
        30,
        "^[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}$"
    ),
    |text| is_id(text).then(|| Self(text.to_owned())),
    |id| id.0.clone()
);

/// Who did something: a person, a machine, or one of the three that have no id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whom(pub String);

written!(
    [] Whom,
    "actor",
    text_schema(
        "An id of a person or a key, or anonymous, platform, system.",
        30,
        "^((stf|key)_[0-7][0-9a-hjkmnp-tv-z]{25}|anonymous|platform|system)$"
    ),
    |text| {
        let nameless = ["anonymous", "platform", "system"].contains(&text);
        let known = text.starts_with("stf_") || text.starts_with("key_");
        (nameless || known && is_id(text)).then(|| Self(text.to_owned()))
    },
    |whom| whom.0.clone()
);

/// Whether this is the public form of an id, of whatever kind.
fn is_id(text: &str) -> bool {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z') && !b"ilou".contains(&byte);
    text.split_once('_').is_some_and(|(kind, digits)| {
        kind.len() == 3
            && kind.bytes().all(|letter| letter.is_ascii_lowercase())
            && digits.len() == 26
            && digits.bytes().all(digit)
            && digits
                .as_bytes()
                .first()
                .is_some_and(|first| *first <= b'7')
    })
}

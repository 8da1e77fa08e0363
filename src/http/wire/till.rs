//! What tills send: amounts that cannot be nothing, telephone numbers, codes that fetch a good.

use std::borrow::Cow;

use poem_openapi::{
    registry::MetaSchemaRef,
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde_json::Value;

use super::{LARGEST_NUMBER, number_schema, text_schema};
use crate::{
    kernel::{points::LARGEST, text::Phone},
    redemption::ClaimCode,
};

/// A whole amount above zero: points, money in minor units, a number of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Positive(pub i64);

counted!(
    Positive,
    "positive",
    number_schema("A whole amount from 1 on.", 1.0, LARGEST_NUMBER),
    |number| (1..=LARGEST).contains(&number).then_some(Self(number)),
    |positive| positive.0
);

/// How many of something.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Quantity(pub i64);

counted!(
    Quantity,
    "quantity",
    number_schema("How many, whole.", 0.0, LARGEST_NUMBER),
    |number| (0..=LARGEST).contains(&number).then_some(Self(number)),
    |quantity| quantity.0
);

/// A telephone number as people write it.
#[derive(Clone, PartialEq, Eq)]
pub struct Telephone(String);

/// With a country code 7 to 15 digits, without one 6 to 12; between digits at most two of the
/// signs that people put there.
const TELEPHONE: &str = concat!(
    r"^((\+|00)[0-9]([ .()-]{0,2}[0-9]){6,14}",
    r"|0?[1-9]([ .()-]{0,2}[0-9]){5,10})$"
);

impl Telephone {
    /// The number that is meant where a number without country code is one of `calling_code`.
    pub fn within(&self, calling_code: &str) -> Option<Phone> {
        Phone::parse(&self.0, calling_code).ok()
    }

    fn read(text: &str) -> Option<Self> {
        // The longest and the shortest country code: what both admit is a number in every mall.
        let fits = ["1", "999"]
            .iter()
            .all(|code| Phone::parse(text, code).is_ok());
        let plain = text
            .chars()
            .next()
            .is_some_and(|first| first == '+' || first.is_ascii_digit())
            && text.ends_with(|last: char| last.is_ascii_digit())
            && text.len() <= 48;
        (fits && plain).then(|| Self(text.to_owned()))
    }
}

impl std::fmt::Debug for Telephone {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Telephone(***)")
    }
}

written!(
    [] Telephone,
    "telephone",
    text_schema(
        "A telephone number, such as +86 138 0013 8000; without a country code it is one of the \
         mall's own country.",
        48,
        TELEPHONE
    ),
    |text| Self::read(text),
    |telephone| telephone.0.clone()
);

/// The code that fetches a good, in either case, with or without its dash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim(pub ClaimCode);

/// Seven signs with an optional dash after the third.
const CLAIM: &str = "^[2-9A-HJKMNP-Za-hjkmnp-z]{3}-?[2-9A-HJKMNP-Za-hjkmnp-z]{4}$";

written!(
    [] Claim,
    "claim_code",
    text_schema("The seven letters and digits of a code, such as K7M-2QXA.", 8, CLAIM),
    |text| {
        let signs = text.chars().filter(|sign| *sign != '-').count();
        let dash = text.find('-').is_none_or(|place| place == 3);
        let tight = !text.contains(' ') && text.len() <= signs.saturating_add(1);
        (dash && tight).then(|| text.parse().ok().map(Self)).flatten()
    },
    |claim| claim.0.to_string()
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::schema::Schemas;
    use proptest::prelude::*;

    /// Whether the schema takes a text; what it takes, the constructor takes.
    fn takes<T: ParseFromJSON>(text: &str) -> bool {
        let MetaSchemaRef::Inline(schema) = T::schema_ref() else {
            panic!("an inline schema")
        };
        let schema = serde_json::to_value(*schema).unwrap();
        let said = Schemas::new(&schema)
            .check(&schema, &text.into())
            .is_empty();
        let done = T::parse_from_json(Some(text.into())).is_ok();
        assert!(
            done || !said,
            "the schema takes {text} and the constructor does not"
        );
        said
    }

    #[test]
    fn telephone_numbers_are_taken_as_people_write_them() {
        for (text, taken) in [
            ("13800138000", true),
            ("+86 138-0013-8000", true),
            ("0086 13800138000", true),
            ("0755 8888 8888", true),
            ("+1 (415) 555.2671", true),
            ("138", false),
            ("+8613800138000123456", false),
            ("call me", false),
            ("", false),
        ] {
            assert_eq!(takes::<Telephone>(text), taken, "{text}");
        }
        let number = Telephone::read("138 0013 8000").unwrap();
        assert_eq!(number.within("86").unwrap().as_str(), "+8613800138000");
        assert_eq!(format!("{number:?}"), "Telephone(***)");
    }

    #[test]
    fn codes_are_taken_with_and_without_their_dash() {
        for (text, taken) in [
            ("K7M-2QXA", true),
            ("k7m2qxa", true),
            ("K7M2-QXA", false),
            ("K0M-2QXA", false),
            ("K7M-2QX", false),
        ] {
            assert_eq!(takes::<Claim>(text), taken, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_the_schema_takes_the_constructor_takes(
            telephone in "(\\+|00|0)?[0-9]([ .()-]{0,2}[0-9]){4,15}",
            code in "[2-9A-Za-z]{3}-?[2-9A-Za-z]{4}",
        ) {
            takes::<Telephone>(&telephone);
            takes::<Claim>(&code);
        }
    }
}

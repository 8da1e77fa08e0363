//! What the product says to people, by language and key.
//!
//! The words are in `src/texts/<language>/*.ftl` (Project Fluent), every key in every language; they
//! are part of the program. A file that is new is seen when this one is compiled again. Codes, log
//! lines and the API's problems are not here: those are the same for everybody.

#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::HashMap};

use fluent_templates::{LanguageIdentifier, Loader, fluent_bundle::FluentValue, static_loader};

use crate::kernel::text::Language;

static_loader! {
    static WORDS = {
        locales: "./src/texts",
        fallback_language: "en",
        // Without the invisible marks around what is put in: they would be in file names and sheets.
        customise: |bundle| bundle.set_use_isolating(false),
    };
}

/// The words of a key.
pub fn text(language: Language, key: &str) -> String {
    text_with(language, key, &[])
}

/// The words of a key, with what stands in their places.
///
/// What is put in is put in as it is: for HTML, a header or a sheet the whole has still to be made
/// safe.
pub fn text_with(language: Language, key: &str, places: &[(&'static str, &str)]) -> String {
    let places: HashMap<Cow<'static, str>, FluentValue<'_>> = places
        .iter()
        .map(|(place, what)| (Cow::Borrowed(*place), FluentValue::from(*what)))
        .collect();
    // The tag of each of the languages is one, and each has every key: a test says so.
    let words = language
        .tag()
        .parse::<LanguageIdentifier>()
        .ok()
        .and_then(|tag| WORDS.try_lookup_with_args(&tag, key, &places));
    words.unwrap_or_else(|| key.to_owned())
}

//! Finding goods by what is in their names, in any script.
//!
//! Chinese writes no spaces between words, and many words have one or two characters, which an
//! index of three letters is blind to. So a good is found by every single letter and every pair of
//! neighbours in its names (an array with a GIN index), and what is found that way is held against
//! the names themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use unicode_normalization::UnicodeNormalization;

use super::goods::GoodListing;

/// What to look for: words, each of which has to stand somewhere in a good's names or code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    words: Vec<String>,
}

impl Search {
    /// The words of a text; none where there is no word in it.
    pub fn new(text: &str) -> Option<Self> {
        let words: BTreeSet<String> = folded(text).split_whitespace().map(str::to_owned).collect();
        let words: Vec<String> = words.into_iter().collect();
        (!words.is_empty()).then_some(Self { words })
    }

    /// What a good must have among its pieces: a word's pairs, or its only letter.
    pub(super) fn pieces(&self) -> Vec<String> {
        let all: BTreeSet<String> = self
            .words
            .iter()
            .flat_map(|word| {
                let pieces = pieces_of(word);
                let longest = if word.chars().nth(1).is_some() { 2 } else { 1 };
                pieces
                    .into_iter()
                    .filter(move |piece| piece.chars().count() == longest)
            })
            .collect();
        all.into_iter().collect()
    }

    /// The same words as patterns of SQL's `like`, which the searched text must fit all.
    pub(super) fn patterns(&self) -> Vec<String> {
        self.words.iter().map(|word| pattern(word)).collect()
    }
}

/// The words, in the order of the alphabet, with spaces between them.
impl fmt::Display for Search {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words.join(" "))
    }
}

/// The plain form of a good's code and names, a line each, in the order of the languages' tags.
pub(super) fn text_of(listing: &GoodListing) -> String {
    let names: BTreeMap<&str, &str> = listing.names.iter().collect();
    let mut lines = vec![folded(listing.code.as_str())];
    lines.extend(names.into_values().map(folded));
    lines.join("\n")
}

/// Every letter and every pair of neighbours in the words of a plain text, each once.
pub(super) fn pieces_of(text: &str) -> Vec<String> {
    let mut pieces = BTreeSet::new();
    for word in text.split_whitespace() {
        let mut before: Option<char> = None;
        for letter in word.chars() {
            pieces.insert(letter.to_string());
            if let Some(before) = before {
                pieces.insert(String::from_iter([before, letter]));
            }
            before = Some(letter);
        }
    }
    pieces.into_iter().collect()
}

/// One form for what looks the same to a reader: full and half width, composed and not, large and
/// small letters (NFKC, then lower case).
fn folded(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).collect()
}

/// `like`'s own signs mean themselves in a word.
fn pattern(word: &str) -> String {
    let mut pattern = String::from("%");
    for letter in word.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_into_letters_and_pairs_and_never_across_words() {
        assert_eq!(pieces_of("牛奶 茶"), ["奶", "牛", "牛奶", "茶"]);
        assert_eq!(pieces_of("ab\nb"), ["a", "ab", "b"]);
        assert!(pieces_of(" \n").is_empty());
    }

    #[test]
    fn a_search_asks_for_pairs_and_for_a_letter_only_where_it_stands_alone() {
        let search = Search::new(" 茶  鲜牛奶 ").unwrap();
        assert_eq!(search.pieces(), ["牛奶", "茶", "鲜牛"]);
        assert_eq!(search.patterns(), ["%茶%", "%鲜牛奶%"]);
        assert_eq!(Search::new(" \u{3000}\t"), None);
    }

    #[test]
    fn what_looks_the_same_is_the_same_and_signs_of_like_mean_themselves() {
        for same in ["ＴＥＡ", "tea", "Tea", "TEA"] {
            assert_eq!(Search::new(same), Search::new("tea"), "{same}");
        }
        assert_eq!(Search::new("ｶﾞ"), Search::new("ガ"));
        assert_eq!(Search::new("e\u{301}"), Search::new("É"));
        let search = Search::new("50%_\\").unwrap();
        assert_eq!(search.patterns(), ["%50\\%\\_\\\\%"]);
    }
}

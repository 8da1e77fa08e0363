//! Reads TOML strictly: every key is known, every value is of its kind, and a refusal says where,
//! which key, what was found and what is expected.

use std::{fmt, ops::Range, str::FromStr};

use serde_json::Value;
use thiserror::Error;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::kernel::text::{Names, TextError};

/// The longest piece of a wrong value that a refusal repeats, in characters.
const QUOTED: usize = 60;

/// Where something stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A manifest that is not applied.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// A file that is not there or cannot be read.
    #[error("{file}: cannot be read")]
    Unreadable {
        /// The file, as it was named.
        file: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Text that is not TOML.
    #[error("{place}: not TOML: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser said.
        message: String,
    },
    /// A key with a wrong value, without one, or that nobody knows.
    #[error("{place}: {key}: found {found}, expected {expected}")]
    Key {
        /// Where.
        place: Place,
        /// The way to it: `merchants[0].stores[1].code`.
        key: String,
        /// What stands there.
        found: String,
        /// What should.
        expected: String,
    },
}

/// A file's name and text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl<'a> Source<'a> {
    /// The whole file as a table.
    pub(super) fn parse(self) -> Result<Spanned<DeTable<'a>>, ManifestError> {
        DeTable::parse(self.text).map_err(|error| ManifestError::Syntax {
            place: self.place(error.span().map_or(0, |span| span.start)),
            message: error.message().replace('\n', "; "),
        })
    }

    /// The place of a byte.
    pub(super) fn place(self, byte: usize) -> Place {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let in_line = before.get(line_start..).unwrap_or_default();
        Place {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: in_line.chars().count() + 1,
        }
    }
}

/// A value and the way to it.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    source: Source<'a>,
    key: String,
    value: &'a DeValue<'a>,
    span: Range<usize>,
}

/// A table whose keys are all known.
#[derive(Debug, Clone)]
pub(super) struct Table<'a> {
    source: Source<'a>,
    key: String,
    entries: &'a DeTable<'a>,
    span: Range<usize>,
}

impl<'a> Table<'a> {
    /// The top of a file, which may hold these keys only.
    pub(super) fn top(
        source: Source<'a>,
        top: &'a Spanned<DeTable<'a>>,
        keys: &[&str],
    ) -> Result<Self, ManifestError> {
        let table = Self {
            source,
            key: String::new(),
            entries: top.get_ref(),
            span: 0..0,
        };
        table.knows(keys)
    }

    fn knows(self, keys: &[&str]) -> Result<Self, ManifestError> {
        for name in self.entries.keys() {
            if !keys.contains(&name.get_ref().as_ref()) {
                return Err(ManifestError::Key {
                    place: self.source.place(name.span().start),
                    key: self.way_to(name.get_ref()),
                    found: "a key that is not known".to_owned(),
                    expected: format!("one of {}", keys.join(", ")),
                });
            }
        }
        Ok(self)
    }

    fn way_to(&self, name: &str) -> String {
        if self.key.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.key)
        }
    }

    /// The value of a key, where it stands.
    pub(super) fn optional(&self, name: &str) -> Option<Node<'a>> {
        let value = self.entries.get(name)?;
        Some(Node {
            source: self.source,
            key: self.way_to(name),
            value: value.get_ref(),
            span: value.span(),
        })
    }

    /// The value of a key that has to stand there.
    pub(super) fn required(&self, name: &str, expected: &str) -> Result<Node<'a>, ManifestError> {
        self.optional(name).ok_or_else(|| ManifestError::Key {
            place: self.source.place(self.span.start),
            key: self.way_to(name),
            found: "nothing".to_owned(),
            expected: expected.to_owned(),
        })
    }

    /// The entries of a list of tables; none where the key does not stand.
    pub(super) fn list(&self, name: &str) -> Result<Vec<Node<'a>>, ManifestError> {
        self.optional(name)
            .map_or(Ok(Vec::new()), |node| node.items())
    }
}

impl<'a> Node<'a> {
    /// The refusal of this value.
    pub(super) fn refuse(&self, expected: impl Into<String>) -> ManifestError {
        ManifestError::Key {
            place: self.source.place(self.span.start),
            key: self.key.clone(),
            found: shown(self.value),
            expected: expected.into(),
        }
    }

    /// The text.
    pub(super) fn text(&self, expected: &str) -> Result<&'a str, ManifestError> {
        match self.value {
            DeValue::String(text) => Ok(text),
            _ => Err(self.refuse(expected)),
        }
    }

    /// The text, read by its own constructor.
    pub(super) fn parse<T: FromStr>(&self, expected: &str) -> Result<T, ManifestError> {
        let text = self.text(expected)?;
        text.parse().map_err(|_| self.refuse(expected))
    }

    /// A whole number between two others.
    pub(super) fn whole(
        &self,
        least: i64,
        most: i64,
        expected: &str,
    ) -> Result<i64, ManifestError> {
        integer(self.value)
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| self.refuse(expected))
    }

    /// The entries of a list.
    pub(super) fn items(&self) -> Result<Vec<Self>, ManifestError> {
        let DeValue::Array(items) = self.value else {
            return Err(self.refuse("a list"));
        };
        Ok(items
            .iter()
            .enumerate()
            .map(|(at, item)| Node {
                source: self.source,
                key: format!("{}[{at}]", self.key),
                value: item.get_ref(),
                span: item.span(),
            })
            .collect())
    }

    /// A table that may hold these keys only.
    pub(super) fn table(&self, keys: &[&str]) -> Result<Table<'a>, ManifestError> {
        let DeValue::Table(table) = self.value else {
            return Err(self.refuse("a table"));
        };
        let table = Table {
            source: self.source,
            key: self.key.clone(),
            entries: table,
            span: self.span.clone(),
        };
        table.knows(keys)
    }

    /// One to three names: a table from language to text.
    pub(super) fn names(&self) -> Result<Names, ManifestError> {
        let DeValue::Table(table) = self.value else {
            return Err(self.refuse(r#"a table of names such as { en = "Lantern Tea" }"#));
        };
        let table = Table {
            source: self.source,
            key: self.key.clone(),
            entries: table,
            span: self.span.clone(),
        }
        .knows(&["zh-CN", "zh-TW", "en"])?;
        let mut pairs = Vec::new();
        for language in table.entries.keys() {
            let tag: &str = language.get_ref();
            let expected = "a name of 1 to 120 characters in one line";
            let node = table.required(tag, expected)?;
            let text = node.text(expected)?;
            Names::new([(tag, text)]).map_err(|_| node.refuse(expected))?;
            pairs.push((tag, text));
        }
        Names::new(pairs).map_err(|error: TextError| {
            self.refuse(if error == TextError::Empty {
                "at least one name, in zh-CN, zh-TW or en"
            } else {
                "one name a language"
            })
        })
    }

    /// The same as JSON. Numbers with a fraction and dates have no place in a manifest. Tells
    /// `places` where each key stands.
    pub(super) fn json(&self, places: &mut Vec<(String, Place)>) -> Result<Value, ManifestError> {
        places.push((self.key.clone(), self.source.place(self.span.start)));
        match self.value {
            DeValue::String(text) => Ok(Value::from(text.as_ref())),
            DeValue::Boolean(yes) => Ok(Value::from(*yes)),
            DeValue::Integer(_) => integer(self.value)
                .map(Value::from)
                .ok_or_else(|| self.refuse("a whole number of at most 18 digits")),
            DeValue::Float(_) | DeValue::Datetime(_) => {
                Err(self.refuse(r#"a whole number, or a decimal in quotes such as "12.50""#))
            }
            DeValue::Array(_) => {
                let items = self.items()?;
                items.iter().map(|item| item.json(places)).collect()
            }
            DeValue::Table(table) => {
                let mut object = serde_json::Map::new();
                for (name, value) in table {
                    let node = Node {
                        source: self.source,
                        key: format!("{}.{}", self.key, name.get_ref()),
                        value: value.get_ref(),
                        span: value.span(),
                    };
                    object.insert(name.get_ref().to_string(), node.json(places)?);
                }
                Ok(Value::Object(object))
            }
        }
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A value as a refusal repeats it.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() > QUOTED => {
            let head: String = text.chars().take(QUOTED).collect();
            format!("{head:?}…")
        }
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(yes) => yes.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

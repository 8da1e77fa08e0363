//! Data to standard output, talk to standard error.

use std::io::{self, Write};

use serde_json::Value;

use super::{Exit, Failure};

/// Where a command's words go.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Data as JSON, or for people.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints data: one JSON object a line, or `people`'s words.
    ///
    /// # Errors
    /// [`Exit::Failed`] where standard output cannot be written.
    pub fn data(self, json: &Value, people: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json {
            self.text(&format!("{json}\n"))
        } else {
            self.text(&format!("{}\n", people()))
        }
    }

    /// Prints text as it is.
    ///
    /// # Errors
    /// [`Exit::Failed`] where standard output cannot be written; a reader that left early, as
    /// `head` does, is no error.
    pub fn text(self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())
    }

    /// Prints a file as it is.
    ///
    /// # Errors
    /// As [`Output::text`].
    pub fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let message = format!("standard output cannot be written: {error}");
                Err(Failure::new(Exit::Failed, message))
            }
            _ => Ok(()),
        }
    }

    /// Says something to people.
    pub fn say(self, words: &str) {
        // There is nobody left to tell where standard error is closed.
        let _ = writeln!(io::stderr().lock(), "{words}");
    }
}

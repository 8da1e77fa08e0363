//! What a server writes into its log, listened to.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use tracing_subscriber::{EnvFilter, fmt};

/// Far more than anybody has logged: all of ours, and what libraries say of their work.
const FILTER: &str = "debug,rotunda=trace";

/// Everything that was logged since it was opened, by whatever thread of this process.
#[derive(Clone, Default)]
pub struct Listening(Arc<Mutex<Vec<u8>>>);

impl Listening {
    /// Once in a process, before anything else is logged.
    pub fn open() -> Self {
        let heard = Self::default();
        let writer = heard.clone();
        fmt()
            .with_env_filter(EnvFilter::new(FILTER))
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        heard
    }

    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Listening {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

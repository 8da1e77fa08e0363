//! How far a long job is: a bar on a terminal, else a plain line a second on standard error.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use super::rows::BytesRead;

/// How far a job is.
pub struct Progress {
    what: &'static str,
    bytes: BytesRead,
    size: u64,
    done: u64,
    expected: Option<u64>,
    started: Instant,
    told: Instant,
    bar: Option<ProgressBar>,
    show: bool,
}

impl Progress {
    /// A job over files of `size` bytes; silent unless `show`.
    pub fn new(what: &'static str, size: u64, bytes: BytesRead, show: bool) -> Self {
        let bar = (show && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(size);
            let style = "{msg} [{bar:30}] {percent:>3} %  {per_sec}  {eta} left";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_message(what);
            bar
        });
        let now = Instant::now();
        let (started, told) = (now, now);
        Self {
            what,
            bytes,
            size,
            done: 0,
            expected: None,
            started,
            told,
            bar,
            show,
        }
    }

    /// The number of items is known.
    pub fn expect(&mut self, items: u64) {
        self.expected = Some(items);
        if let Some(bar) = &self.bar {
            bar.set_length(items);
        }
    }

    /// So many items more are done.
    pub fn advance(&mut self, items: u64) {
        self.done = self.done.saturating_add(items);
        if let Some(bar) = &self.bar {
            bar.set_position(if self.expected.is_some() {
                self.done
            } else {
                self.bytes.get()
            });
        } else if self.show && self.told.elapsed() >= Duration::from_secs(1) {
            self.told = Instant::now();
            self.tell();
        }
    }

    /// The job is done.
    pub fn finish(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        } else if self.show {
            self.tell();
        }
    }

    fn tell(&self) {
        let elapsed = self.started.elapsed();
        let rate = u128::from(self.done)
            .saturating_mul(1000)
            .checked_div(elapsed.as_millis());
        let (done, all) = match self.expected {
            Some(items) => (self.done, items),
            None => (self.bytes.get(), self.size),
        };
        let percent = done
            .saturating_mul(100)
            .checked_div(all)
            .unwrap_or(100)
            .min(100);
        let left = elapsed
            .as_millis()
            .saturating_mul(u128::from(all.saturating_sub(done)))
            .checked_div(u128::from(done))
            .and_then(|millis| u64::try_from(millis).ok())
            .map_or_else(String::new, |millis| {
                format!(", {} left", HumanDuration(Duration::from_millis(millis)))
            });
        let (what, items, rate) = (self.what, self.done, rate.unwrap_or(0));
        #[expect(clippy::print_stderr, reason = "talk goes to standard error")]
        {
            eprintln!("{what}: {percent} %, {items} events, {rate}/s{left}");
        }
    }
}

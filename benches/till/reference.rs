//! Programs that are measured on the same PostgreSQL: pgbench's TPC-B-like transactions, and
//! cala-ledger's transactions of two entries.

use std::{path::PathBuf, process::Command, time::Duration};

use super::{load::Measured, site::Site};

/// Branches: enough that 32 clients seldom meet in one.
const SCALE: u32 = 50;

/// pgbench, with a database of its own.
pub struct Pgbench {
    program: PathBuf,
    url: String,
}

impl Pgbench {
    pub async fn prepare(site: &Site) -> Self {
        let reference = Self {
            program: site.tool("pgbench"),
            url: site.database("pgbench").await,
        };
        let scale = SCALE.to_string();
        reference.pgbench(&["-i", "-q", "-s", &scale]);
        reference
    }

    pub fn run(&self, clients: usize, span: Duration) -> Measured {
        let (clients, seconds) = (clients.to_string(), span.as_secs().to_string());
        let said = self.pgbench(&["-n", "-c", &clients, "-j", "2", "-T", &seconds]);
        let after = |words: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(words));
            let figure = line.and_then(|rest| rest.split_whitespace().next());
            figure
                .unwrap_or_else(|| panic!("no {words} in {said}"))
                .parse::<f64>()
                .unwrap()
        };
        let (rate, latency) = (after("tps = "), after("latency average = "));
        Measured {
            rate,
            answered: (rate * span.as_secs_f64()) as u64,
            p50: latency,
            ..Measured::default()
        }
    }

    fn pgbench(&self, arguments: &[&str]) -> String {
        output(
            Command::new(&self.program)
                .args(arguments)
                .arg(self.url.split('?').next().unwrap()),
        )
    }
}

/// cala-ledger, a ledger crate on sqlx, with a database of its own. benches/cala builds it.
pub struct Cala {
    program: PathBuf,
    url: String,
}

impl Cala {
    /// The program; none where nobody built it.
    pub fn found() -> Option<PathBuf> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let built = root.join("benches/target/release/cala-posts");
        let program = std::env::var_os("ROTUNDA_BENCH_CALA").map_or(built, PathBuf::from);
        program.exists().then_some(program)
    }

    pub async fn prepare(site: &Site) -> Self {
        let reference = Self {
            program: Self::found().expect("cala-posts"),
            url: site.database("cala").await,
        };
        reference.run(1, 1, Duration::from_secs(1));
        reference
    }

    pub fn run(&self, tasks: usize, batch: usize, span: Duration) -> Measured {
        let numbers = [tasks as u64, batch as u64, span.as_secs()].map(|number| number.to_string());
        let said = output(
            Command::new(&self.program)
                .args(&numbers)
                .env("DATABASE_URL", &self.url),
        );
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        let figure = |name: &str| said[name].as_f64().unwrap();
        Measured {
            rate: figure("rate"),
            answered: figure("answered") as u64,
            errors: figure("errors") as u64,
            p50: figure("p50_ms"),
            p99: figure("p99_ms"),
            longest: figure("longest_ms"),
            ..Measured::default()
        }
    }
}

/// What a program says, that must end well.
pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

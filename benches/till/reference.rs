//! pgbench's TPC-B-like transactions, on the same PostgreSQL.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use rotunda::db::embedded::Cluster;

use super::load::Measured;

/// Branches: enough that 32 clients seldom meet in one.
const SCALE: u32 = 50;

/// The reference's own database.
pub struct Reference {
    program: PathBuf,
    url: String,
}

impl Reference {
    pub fn prepare((cluster, folder): (&Cluster, &std::path::Path)) -> Self {
        let found = rotunda::db::embedded::find_binaries(folder).unwrap();
        let program = found.bin.join("pgbench");
        assert!(program.exists(), "{} is missing", program.display());
        let admin = cluster.admin_url();
        let (server, _) = admin.rsplit_once('/').unwrap();
        let reference = Self {
            program,
            url: format!("{server}/pgbench"),
        };
        let made = Command::new(found.bin.join("psql"))
            .args([&admin, "-qc", "create database pgbench"])
            .status();
        assert!(made.unwrap().success());
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
        let output = Command::new(&self.program)
            .args(arguments)
            .arg(&self.url)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }
}

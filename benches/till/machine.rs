//! What a measurement cost: processors, log, memory.

use std::{fs, time::Duration};

use sqlx::{Connection, PgConnection};

use super::load::Measured;

/// Clock ticks a second, as Linux counts them.
const TICKS: f64 = 100.0;

/// How long PostgreSQL has to see that connections of a program that ended are gone.
const PARTING: Duration = Duration::from_millis(300);

/// Whose processor time is a measurement's "server".
#[derive(Debug, Clone, Copy)]
pub enum Subject {
    /// A process that goes on.
    Process(u32),
    /// Programs that begin and end within the measurement.
    Programs,
    /// Nobody's.
    Nobody,
}

/// The figures at the begin of a measurement.
pub struct Machine {
    admin: PgConnection,
    postmaster: u32,
    subject: Subject,
    before: Counters,
}

#[derive(Default, Clone, Copy)]
struct Counters {
    subject: f64,
    postgres: f64,
    /// Of this process, of those that it began, and of those of them that have ended.
    ours: f64,
    busy: f64,
    all: f64,
    wal: f64,
}

impl Machine {
    pub async fn new(url: &str) -> Self {
        let mut admin = PgConnection::connect(url).await.unwrap();
        let backend: i32 = sqlx::query_scalar("select pg_backend_pid()")
            .fetch_one(&mut admin)
            .await
            .unwrap();
        Self {
            admin,
            postmaster: parent_of(u32::try_from(backend).unwrap()).unwrap(),
            subject: Subject::Nobody,
            before: Counters::default(),
        }
    }

    pub async fn begin(&mut self, subject: Subject) {
        self.subject = subject;
        self.before = self.count().await;
    }

    /// Adds to a measurement what it cost since the begin.
    pub async fn end(&mut self, taken: &mut Measured) {
        if !matches!(self.subject, Subject::Process(_)) {
            // What their backends used counts once the postmaster has seen them end.
            tokio::time::sleep(PARTING).await;
        }
        let (now, before) = (self.count().await, self.before);
        let each = |what: f64| what / (taken.answered.max(1) as f64);
        taken.server_us = each(now.subject - before.subject) * 1e6;
        taken.postgres_us = each(now.postgres - before.postgres) * 1e6;
        taken.wal = each(now.wal - before.wal);
        let ours = |of: &Counters| of.ours + of.postgres;
        let others = (now.busy - before.busy) - (ours(&now) - ours(&before));
        taken.others = (others / (now.all - before.all)).max(0.0);
    }

    async fn count(&mut self) -> Counters {
        let wal: i64 = sqlx::query_scalar("select (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint")
            .fetch_one(&mut self.admin)
            .await
            .unwrap();
        let own = usage(std::process::id()).unwrap_or_default();
        let begun: f64 = children_of(std::process::id())
            .into_iter()
            .filter(|child| *child != self.postmaster)
            .filter_map(usage)
            .map(|used| used.own + used.children)
            .sum();
        let mut postgres = usage(self.postmaster).map_or(0.0, |used| used.own + used.children);
        for child in children_of(self.postmaster) {
            postgres += usage(child).map_or(0.0, |used| used.own);
        }
        let stat = fs::read_to_string("/proc/stat").unwrap();
        let fields: Vec<f64> = stat
            .lines()
            .next()
            .unwrap()
            .split_whitespace()
            .skip(1)
            .map(|field| field.parse().unwrap())
            .collect();
        // user nice system idle iowait irq softirq steal
        let idle = fields[3] + fields[4];
        let all: f64 = fields.iter().take(8).sum();
        Counters {
            subject: match self.subject {
                Subject::Process(process) => usage(process).unwrap().own,
                Subject::Programs => own.children,
                Subject::Nobody => 0.0,
            },
            postgres,
            ours: own.own + own.children + begun,
            busy: (all - idle) / TICKS,
            all: all / TICKS,
            wal: wal as f64,
        }
    }
}

/// The most memory that a process ever held, in MB.
pub fn peak_memory(process: u32) -> f64 {
    memory(process, "VmHWM:")
}

/// The memory that a process holds, in MB.
pub fn memory_now(process: u32) -> f64 {
    memory(process, "VmRSS:")
}

fn memory(process: u32, which: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(which));
    let figure = line.and_then(|line| line.split_whitespace().nth(1));
    figure.unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Seconds of a process, and of those of its children that have ended.
#[derive(Default, Clone, Copy)]
struct Usage {
    own: f64,
    children: f64,
}

fn fields_of(process: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn usage(process: u32) -> Option<Usage> {
    let fields = fields_of(process)?;
    let at = |place: usize| {
        fields
            .get(place)
            .and_then(|field| field.parse::<f64>().ok())
    };
    Some(Usage {
        own: (at(11)? + at(12)?) / TICKS,
        children: (at(13)? + at(14)?) / TICKS,
    })
}

fn parent_of(process: u32) -> Option<u32> {
    fields_of(process)?.get(1)?.parse().ok()
}

fn children_of(process: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap();
    all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|child| parent_of(*child) == Some(process))
        .collect()
}

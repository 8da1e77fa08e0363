//! What is measured, against what, and what is to be reached.

use super::{load::Ask, mall::Mall};

/// Rows of one part take turns; the parts follow one another, each with what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// One mall of 50 merchants and 10,000 members with points.
    Till,
    /// Files.
    Import,
    /// `ROTUNDA_BENCH_TENANTS` malls beside the first.
    Malls,
}

/// One measurement.
pub struct Row {
    pub name: &'static str,
    pub part: Part,
    pub what: What,
}

pub enum What {
    /// So many clients that ask again as soon as they are answered.
    Clients(usize, Ask),
    /// Purchases that come evenly, at half the rate of a row before.
    HalfOf(&'static str),
    /// So many purchases that come evenly in a second.
    Fixed(f64),
    /// So many purchases that come evenly in a second, while the mall's office works.
    BesideOffice(f64),
    /// Small malls with 10 clients each, while another has so many.
    Beside(usize),
    /// Purchases over all malls.
    Spread(usize),
    Pgbench(usize),
    /// Tasks, and transactions in a batch.
    Cala(usize, usize),
    /// Clients of `select 1`.
    SelectOne(usize),
    /// Clients of the naive server.
    Naive(usize),
    Import,
    /// The imported rows of these tables by COPY.
    Copy(&'static [&'static str]),
}

/// What is to be reached. A goal that is named as a row comes with it.
pub struct Goal {
    pub name: &'static str,
    pub wanted: Wanted,
}

pub enum Wanted {
    /// At least so many times the rate of the best of those; none: only shown.
    Times(&'static str, &'static [&'static str], Option<f64>),
    /// p99 at most so many times the other row's.
    P99Times(&'static str, &'static str, f64),
    /// Milliseconds.
    P99(&'static str, f64),
    Longest(&'static str, f64),
    /// None lost, none double.
    Exact(&'static str),
    /// A figure of a part.
    Figure(Part, &'static str, f64),
}

pub const PURCHASES: &str = "purchases, 128 connections";
const STEADY: &str = "purchases, 1,000 a second";
const CLOSING: &str = "purchases beside the office";
pub const MEMORY: &str = "server's peak memory, MB";
pub const IDLE: &str = "memory idle, all malls, MB";
pub const SERVED: &str = "memory idle after serving all, MB";
pub const START: &str = "cold start with all malls, s";
pub const FIRST: &str = "one more mall, the first, s";
pub const LAST: &str = "one more mall, the last, s";
pub const GROWTH: &str = "one more mall, last to first";

const TPCB: &[&str] = &["tpcb, 8 clients", "tpcb, 32 clients"];

pub static ROWS: &[Row] = &[
    till("tpcb, 1 client", What::Pgbench(1)),
    till("tpcb, 8 clients", What::Pgbench(8)),
    till("tpcb, 32 clients", What::Pgbench(32)),
    till(PURCHASES, What::Clients(128, Mall::any_purchase)),
    till(
        "purchases, 1 connection",
        What::Clients(1, Mall::any_purchase),
    ),
    till("purchases at half their peak", What::HalfOf(PURCHASES)),
    till("purchases, 5,000 a second", What::Fixed(5_000.0)),
    till(STEADY, What::Fixed(1_000.0)),
    till(CLOSING, What::BesideOffice(1_000.0)),
    till(
        "purchases at one merchant",
        What::Clients(128, |mall, dice| mall.purchase(0, dice)),
    ),
    till("purchases, naive, 32 connections", What::Naive(32)),
    till("cala, 1 task", What::Cala(1, 1)),
    till("cala, 8 tasks", What::Cala(8, 1)),
    till("cala, 32 tasks", What::Cala(32, 1)),
    till("cala, batches of 64, 1 task", What::Cala(1, 64)),
    till("cala, batches of 64, 8 tasks", What::Cala(8, 64)),
    till(
        "spends over 10,000 members",
        What::Clients(128, Mall::any_spend),
    ),
    till(
        "spends on one member",
        What::Clients(128, |mall, dice| mall.spend(0, dice)),
    ),
    till("select 1, 128 connections", What::SelectOne(128)),
    till(
        "member home, 128 connections",
        What::Clients(128, Mall::home),
    ),
    till(
        "mixed 70/10/20",
        What::Clients(128, |mall, dice| match dice.below(10) {
            0..7 => mall.any_purchase(dice),
            7 => mall.any_spend(dice),
            _ => mall.home(dice),
        }),
    ),
    till("five malls alone", What::Beside(0)),
    till("five malls beside one like them", What::Beside(10)),
    till("five malls beside a busy one", What::Beside(100)),
    row(Part::Import, "import", What::Import),
    row(Part::Import, "copy of purchases", What::Copy(&["purchase"])),
    row(
        Part::Import,
        "copy of all that is posted",
        What::Copy(&["purchase", "journal", "transfer", "lot"]),
    ),
    row(
        Part::Malls,
        "purchases in one mall of many",
        What::Clients(128, Mall::any_purchase),
    ),
    row(Part::Malls, "purchases over all malls", What::Spread(128)),
];

pub static GOALS: &[Goal] = &[
    times(PURCHASES, PURCHASES, TPCB, Some(4.0)),
    times(
        "purchases, 1 connection",
        "purchases, 1 connection",
        &["tpcb, 1 client"],
        Some(0.7),
    ),
    goal(
        "purchases at half their peak",
        Wanted::P99("purchases at half their peak", 25.0),
    ),
    goal(
        "purchases at half their peak",
        Wanted::Exact("purchases at half their peak"),
    ),
    goal(
        "purchases, 5,000 a second",
        Wanted::P99("purchases, 5,000 a second", 25.0),
    ),
    goal(
        "purchases, 5,000 a second",
        Wanted::Longest("purchases, 5,000 a second", 150.0),
    ),
    goal(CLOSING, Wanted::P99Times(CLOSING, STEADY, 1.5)),
    times(
        "purchases at one merchant",
        "purchases at one merchant",
        &[PURCHASES],
        Some(0.95),
    ),
    times(
        "purchases against the naive form",
        PURCHASES,
        &["purchases, naive, 32 connections"],
        None,
    ),
    times(
        "purchases against cala, one at a time",
        PURCHASES,
        &["cala, 1 task", "cala, 8 tasks", "cala, 32 tasks"],
        Some(25.0),
    ),
    times(
        "purchases against cala, batches of 64",
        PURCHASES,
        &[
            "cala, batches of 64, 1 task",
            "cala, batches of 64, 8 tasks",
        ],
        Some(5.0),
    ),
    times(
        "spends over 10,000 members",
        "spends over 10,000 members",
        TPCB,
        Some(3.0),
    ),
    times(
        "spends on one member",
        "spends on one member",
        TPCB,
        Some(1.0),
    ),
    times(
        "member home, 128 connections",
        "member home, 128 connections",
        &["select 1, 128 connections"],
        Some(0.5),
    ),
    times("mixed 70/10/20", "mixed 70/10/20", TPCB, Some(3.0)),
    goal(
        "five malls beside a busy one",
        Wanted::P99Times(
            "five malls beside a busy one",
            "five malls beside one like them",
            1.5,
        ),
    ),
    goal(
        "five malls beside a busy one",
        Wanted::P99Times("five malls beside a busy one", "five malls alone", 1.5),
    ),
    times("import", "import", &["copy of purchases"], Some(0.3)),
    times("import", "import", &["copy of all that is posted"], None),
    times(
        "purchases over all malls",
        "purchases over all malls",
        &["purchases in one mall of many"],
        Some(0.4),
    ),
    figure(Part::Till, MEMORY, 300.0),
    figure(Part::Malls, FIRST, 1.0),
    figure(Part::Malls, LAST, 1.0),
    figure(Part::Malls, GROWTH, 1.5),
    figure(Part::Malls, START, 2.0),
    figure(Part::Malls, IDLE, 120.0),
    figure(Part::Malls, SERVED, 120.0),
];

const fn till(name: &'static str, what: What) -> Row {
    row(Part::Till, name, what)
}

const fn row(part: Part, name: &'static str, what: What) -> Row {
    Row { name, part, what }
}

const fn goal(name: &'static str, wanted: Wanted) -> Goal {
    Goal { name, wanted }
}

const fn times(
    name: &'static str,
    row: &'static str,
    of: &'static [&'static str],
    least: Option<f64>,
) -> Goal {
    goal(name, Wanted::Times(row, of, least))
}

const fn figure(part: Part, name: &'static str, most: f64) -> Goal {
    goal(name, Wanted::Figure(part, name, most))
}

impl Row {
    /// Rows that must have been measured before.
    fn needs(&self) -> Option<&'static str> {
        match self.what {
            What::HalfOf(peak) => Some(peak),
            What::Copy(_) => Some("import"),
            _ => None,
        }
    }
}

impl Goal {
    /// The rows that it is read from.
    pub fn rows(&self) -> Vec<&'static str> {
        match self.wanted {
            Wanted::Times(row, of, _) => [&[row], of].concat(),
            Wanted::P99Times(row, of, _) => vec![row, of],
            Wanted::P99(row, _) | Wanted::Longest(row, _) | Wanted::Exact(row) => vec![row],
            Wanted::Figure(..) => Vec::new(),
        }
    }
}

/// What a run measures.
pub struct Plan {
    pub rows: Vec<&'static Row>,
    pub goals: Vec<&'static Goal>,
}

impl Plan {
    /// What the words ask for, with the references that it is compared with; no words: everything.
    /// A word finds rows and goals whose names contain it, and a row's goals where they are named
    /// as it is. Without `cala` nothing is compared with that.
    pub fn of(words: &[String], cala: bool) -> Self {
        let asked = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
        let wanted: Vec<&Row> = ROWS.iter().filter(|row| asked(row.name)).collect();
        let built = |name: &&str| cala || !name.starts_with("cala");
        let goals: Vec<&Goal> = GOALS
            .iter()
            .filter(|goal| asked(goal.name) && goal.rows().iter().all(built))
            .collect();
        let mut names: Vec<&str> = wanted.iter().map(|row| row.name).filter(built).collect();
        names.extend(goals.iter().flat_map(|goal| goal.rows()));
        let needs = |name: &&str| ROWS.iter().find(|row| row.name == *name)?.needs();
        let needed: Vec<&str> = names.iter().filter_map(needs).collect();
        names.extend(needed);
        Self {
            rows: ROWS
                .iter()
                .filter(|row| names.contains(&row.name))
                .collect(),
            goals,
        }
    }

    /// Whether it has to do with a part.
    pub fn has(&self, part: Part) -> bool {
        let figure = |goal: &&Goal| matches!(goal.wanted, Wanted::Figure(of, ..) if of == part);
        let figures = part == Part::Malls && self.goals.iter().any(figure);
        figures || self.rows.iter().any(|row| row.part == part)
    }
}

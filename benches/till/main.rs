//! How fast the till is, as ratios to references in the same run on the same PostgreSQL.
//!
//!     cargo bench --bench till [-- word ...]    everything, or what has a name with one of the words
//!
//! A private cluster with `fsync` and `synchronous_commit` on is made for the run and goes away after
//! it; the server is the release binary, a process of its own; clients are tasks of this process on
//! keep-alive connections. Clients, server and PostgreSQL share the machine. After each measurement
//! the database is asked for what was answered, and at the end the books of every mall are proved.
//!
//! A measurement during which other processes took more than 15 % of the machine is void and taken
//! again, three times at most.
//!
//! - `ROTUNDA_BENCH_SECONDS`: how long each measurement lasts (10)
//! - `ROTUNDA_BENCH_ROUNDS`: how often the rows take turns (3)
//! - `ROTUNDA_BENCH_TENANTS`: malls of the rows about many malls (1,000)
//! - `ROTUNDA_BENCH_IMPORT`: purchases of the import (80,000, about 200,000 lines)
//! - `ROTUNDA_BENCH_PURCHASES`: the year of purchases that is imported, CSV.gz
//! - `ROTUNDA_BENCH_CALA`: the program of benches/cala, where `benches/run` did not build it
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement that meets the unexpected ends, and its figures are fractions"
)]

mod crowd;
mod import;
mod load;
mod machine;
mod mall;
mod naive;
mod office;
mod reference;
mod roles;
mod rows;
mod site;
mod table;

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, future::join_all, stream};
use mimalloc::MiMalloc;

use crowd::Crowd;
use import::Imports;
use load::{Ask, Measured, Seen};
use machine::{Machine, Subject};
use mall::{Mall, Size};
use reference::{Cala, Pgbench};
use rows::{MEMORY, Part, Plan, Row, What};
use site::{Server, Site};
use table::Results;

/// The program's allocator, for the servers that it is compared with.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const LARGE: Size = Size {
    merchants: 50,
    members: 10_000,
    points: true,
};

/// One of the malls that share a server with a busy one.
const SMALL: Size = Size {
    merchants: 10,
    members: 1_000,
    points: false,
};
const SMALL_MALLS: usize = 5;
const SMALL_CLIENTS: usize = 10;

/// How many measurements long purchases go to all malls before the first one counts.
const WARMING: u32 = 3;

/// Malls whose books are proved at the same time.
const PROVING: usize = 4;

const PURCHASE: Ask = Mall::any_purchase;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    roles::play(words.first().map(String::as_str)).await;
    let words: Vec<String> = words
        .into_iter()
        .filter(|word| !word.starts_with("--"))
        .collect();
    let cala = Cala::found();
    if cala.is_none() {
        println!("cala-ledger is left out: benches/run builds it");
    }
    let plan = Plan::of(&words, cala.is_some());
    let mut bench = Bench::open(&plan).await;
    for part in [Part::Till, Part::Import, Part::Malls] {
        if plan.has(part) {
            bench.run(&plan, part).await;
        }
    }
    println!("\n{}", bench.results.text(&plan));
    bench.prove().await;
}

/// The run: what it needs, and what it found.
struct Bench {
    // Before the site, which takes away the database that they are on.
    server: Server,
    select_one: Option<Server>,
    naive: Option<Server>,
    pgbench: Option<Pgbench>,
    cala: Option<Cala>,
    mall: Arc<Mall>,
    /// Malls that share the server with a busy one, which is the last.
    small: Vec<Arc<Mall>>,
    crowd: Option<Crowd>,
    imports: Option<Imports>,
    results: Results,
    machine: Machine,
    span: Duration,
    rounds: u64,
    site: Site,
}

impl Bench {
    /// What the rows at the till need.
    async fn open(plan: &Plan) -> Self {
        let site = Site::open().await;
        let server = Server::rotunda(&site).await;
        let (mall, _) = Mall::open(&site, "bench", LARGE).await;
        let machine = Machine::new(&site.url).await;
        let needs = |is: fn(&What) -> bool| plan.rows.iter().any(|row| is(&row.what));
        let mut bench = Self {
            server,
            select_one: None,
            naive: None,
            pgbench: None,
            cala: None,
            mall,
            small: Vec::new(),
            crowd: None,
            imports: None,
            results: Results::default(),
            machine,
            span: Duration::from_secs(setting("ROTUNDA_BENCH_SECONDS", 10)),
            rounds: setting("ROTUNDA_BENCH_ROUNDS", 3),
            site,
        };
        let site = &bench.site;
        if needs(|what| matches!(what, What::Pgbench(_))) {
            bench.pgbench = Some(Pgbench::prepare(site).await);
        }
        if needs(|what| matches!(what, What::Cala(..))) {
            bench.cala = Some(Cala::prepare(site).await);
        }
        if needs(|what| matches!(what, What::SelectOne(_))) {
            bench.select_one = Some(Server::own(site, roles::SELECT_ONE).await);
        }
        if needs(|what| matches!(what, What::Naive(_))) {
            roles::prepare_naive(site, &bench.mall).await;
            bench.naive = Some(Server::own(site, roles::NAIVE).await);
        }
        if needs(|what| matches!(what, What::Beside(_))) {
            for number in 0..=SMALL_MALLS {
                let (mall, _) = Mall::open(site, &format!("small-{number}"), SMALL).await;
                bench.small.push(mall);
            }
        }
        bench
    }

    /// Measures the rows of one part in turn, and its figures.
    async fn run(&mut self, plan: &Plan, part: Part) {
        match part {
            Part::Till => {}
            Part::Import => {
                let purchases = setting("ROTUNDA_BENCH_IMPORT", 80_000) as usize;
                self.imports = Some(Imports::prepare(&self.site, purchases));
            }
            Part::Malls => {
                let malls = setting("ROTUNDA_BENCH_TENANTS", 1_000) as usize;
                let crowd = Crowd::open(&self.site, malls, &mut self.results.figures).await;
                self.crowd = Some(crowd);
                let figures = &mut self.results.figures;
                crowd::restart(&self.site, &mut self.server, figures).await;
                if plan
                    .rows
                    .iter()
                    .any(|row| matches!(row.what, What::Spread(_)))
                {
                    // What the first visit to each mall costs is not what the rows are about.
                    let (address, span) = (self.server.address, self.span * WARMING);
                    let malls = self.malls_of(&What::Spread(128));
                    load::clients(address, &malls, PURCHASE, 128, span).await;
                }
            }
        }
        for round in 1..=self.rounds {
            for row in plan.rows.iter().filter(|row| row.part == part) {
                let taken = self.measure(round, row).await;
                self.results.rows.entry(row.name).or_default().push(taken);
            }
        }
        match part {
            Part::Till => {
                let peak = machine::peak_memory(self.server.process());
                self.results.figures.insert(MEMORY, peak);
            }
            Part::Import => {}
            Part::Malls => {
                let crowd = self.crowd.as_ref().unwrap();
                let figures = &mut self.results.figures;
                crowd.serve_all(&self.server, figures).await;
            }
        }
    }

    /// One measurement that others did not disturb, or the third.
    async fn measure(&mut self, round: u64, row: &Row) -> Measured {
        let mut tried = 1;
        loop {
            let taken = self.take(row).await;
            println!("round {round}  {:<33} {taken}", row.name);
            if taken.others <= 0.15 || tried == 3 {
                return taken;
            }
            tried += 1;
        }
    }

    async fn take(&mut self, row: &Row) -> Measured {
        let span = self.span;
        match row.what {
            What::Pgbench(clients) => {
                self.machine.begin(Subject::Nobody).await;
                let taken = self.pgbench.as_ref().unwrap().run(clients, span);
                self.ended(taken).await
            }
            What::Cala(tasks, batch) => {
                self.machine.begin(Subject::Programs).await;
                let taken = self.cala.as_ref().unwrap().run(tasks, batch, span);
                self.ended(taken).await
            }
            What::Import => {
                let imports = self.imports.as_mut().unwrap();
                imports.open_mall(&self.site).await;
                self.machine.begin(Subject::Programs).await;
                let taken = imports.import(&self.site);
                self.ended(taken).await
            }
            What::Copy(tables) => {
                let imports = self.imports.as_ref().unwrap();
                imports.copy_out(&self.site, tables).await;
                self.machine.begin(Subject::Programs).await;
                let taken = imports.copy(&self.site, tables);
                self.ended(taken).await
            }
            _ => self.take_requests(row).await,
        }
    }

    /// A measurement of a server; what it answered is looked for in the database.
    async fn take_requests(&mut self, row: &Row) -> Measured {
        let server = match row.what {
            What::SelectOne(_) => self.select_one.as_ref().unwrap(),
            What::Naive(_) => self.naive.as_ref().unwrap(),
            _ => &self.server,
        };
        let process = server.process();
        let asked = self.malls_of(&row.what);
        let schemas: Vec<String> = match row.what {
            What::Naive(_) => vec![naive::SCHEMA.to_owned()],
            _ => asked.iter().map(|mall| mall.schema.clone()).collect(),
        };
        if let What::BesideOffice(_) = row.what {
            office::prepare(&self.site, &self.mall).await;
        }
        let before = self.site.stored(&schemas).await;
        self.machine.begin(Subject::Process(process)).await;
        let (seen, beside) = self.ask(&row.what).await;
        let written = seen.written() + beside.written();
        let errors = beside.errors();
        let mut taken = self.ended(seen.measured()).await;
        taken.errors += errors;
        let stored = self.site.stored(&schemas).await - before;
        taken.lost = written.saturating_sub(stored);
        taken.double = stored.saturating_sub(written + taken.errors);
        taken
    }

    async fn ended(&mut self, mut taken: Measured) -> Measured {
        self.machine.end(&mut taken).await;
        taken
    }

    fn malls_of(&self, what: &What) -> Vec<Arc<Mall>> {
        match what {
            What::Beside(_) => self.small.clone(),
            What::Spread(_) => self.crowd.as_ref().unwrap().malls.clone(),
            _ => vec![Arc::clone(&self.mall)],
        }
    }

    /// What the clients of a row saw, and those beside them.
    async fn ask(&self, what: &What) -> (Seen, Seen) {
        let (address, span) = (self.server.address, self.span);
        let malls = self.malls_of(what);
        let seen = match *what {
            What::Clients(count, ask) => load::clients(address, &malls, ask, count, span).await,
            What::Spread(count) => load::clients(address, &malls, PURCHASE, count, span).await,
            What::SelectOne(count) => {
                let address = self.select_one.as_ref().unwrap().address;
                let ask: Ask = |mall, _| mall.get("/");
                load::clients(address, &malls, ask, count, span).await
            }
            What::Naive(count) => {
                let address = self.naive.as_ref().unwrap().address;
                load::clients(address, &malls, PURCHASE, count, span).await
            }
            What::Fixed(rate) => load::arrivals(address, &self.mall, PURCHASE, rate, span).await,
            What::HalfOf(peak) => {
                let rate = self.results.median(peak, |one| one.rate).unwrap() / 2.0;
                load::arrivals(address, &self.mall, PURCHASE, rate, span).await
            }
            What::BesideOffice(rate) => {
                let tills = load::arrivals(address, &self.mall, PURCHASE, rate, span);
                let office = office::work(&self.site, &self.mall, span);
                let (seen, (previews, members)) = tokio::join!(tills, office);
                println!("the office: {previews} previews, the points of {members} members lapsed");
                seen
            }
            What::Beside(busy) => return self.beside(busy).await,
            What::Pgbench(_) | What::Cala(..) | What::Import | What::Copy(_) => {
                panic!("not a server's")
            }
        };
        (seen, Seen::default())
    }

    /// Small malls with their clients, while the last of them has `busy`.
    async fn beside(&self, busy: usize) -> (Seen, Seen) {
        let (address, span) = (self.server.address, self.span);
        let (last, small) = self.small.split_last().unwrap();
        let clients = |mall: &Arc<Mall>, count: usize| {
            let mall = Arc::clone(mall);
            async move { load::clients(address, &[mall], PURCHASE, count, span).await }
        };
        let all = join_all(small.iter().map(|mall| clients(mall, SMALL_CLIENTS)));
        let (all, beside) = tokio::join!(all, clients(last, busy));
        (all.into_iter().fold(Seen::default(), Seen::and), beside)
    }

    /// Proves the books of every mall.
    async fn prove(&self) {
        let crowd = self.crowd.iter().flat_map(|crowd| &crowd.malls);
        let imported = self.imports.iter().flat_map(|imports| &imports.malls);
        let malls = [&self.mall].into_iter().chain(&self.small);
        let tenants: Vec<_> = malls
            .chain(crowd)
            .chain(imported)
            .map(|mall| mall.tenant)
            .collect();
        let proved = tenants.len();
        let checks = stream::iter(tenants)
            .map(|tenant| self.site.prove(tenant))
            .buffer_unordered(PROVING)
            .fold(0, |all, checks| async move { all + checks })
            .await;
        println!("the books of {proved} malls: {checks} checks, all of them hold");
    }
}

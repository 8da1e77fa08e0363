//! A file of purchases through `rotunda import purchases`, and the same rows by COPY into tables
//! of the same columns and indexes.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    load::Measured,
    mall::{Mall, Size},
    reference::output,
    site::Site,
};

/// A year of purchases that nobody here wrote, where it is at hand.
const REAL: &str = "../shared/data/purchases.csv.gz";

/// What stands for it elsewhere: so many purchases a year, of so many members in so many stores.
const YEAR: usize = 80_000;
const MEMBERS: usize = 1_200;
const STORES: usize = 350;

const HEAD: &str = "purchase_ref,member_ref,store_code,occurred_at,category,quantity,amount";

/// The file that is imported, and the malls that it was imported into.
pub struct Imports {
    file: PathBuf,
    purchases: usize,
    pub malls: Vec<Arc<Mall>>,
}

impl Imports {
    /// Writes a file of that many purchases: a year of them, again and again, the earlier ones
    /// dated a year back each.
    pub fn prepare(site: &Site, purchases: usize) -> Self {
        let year = real_year().unwrap_or_else(year_by_chance);
        let years = purchases.div_ceil(year.len().max(1));
        let file = site.folder.join("purchases.csv");
        let mut out = BufWriter::new(File::create(&file).unwrap());
        writeln!(out, "{HEAD}").unwrap();
        let mut written = 0;
        for back in (0..years).rev() {
            for lines in year.iter().take(purchases - written) {
                for line in lines {
                    writeln!(out, "{}", line.dated_back(back)).unwrap();
                }
            }
            written = purchases.min(written + year.len());
        }
        out.flush().unwrap();
        Self {
            file,
            purchases,
            malls: Vec::new(),
        }
    }

    /// Makes a new mall for the next import.
    pub async fn open_mall(&mut self, site: &Site) {
        let slug = format!("import-{}", self.malls.len());
        let extent = Size {
            merchants: 0,
            members: 0,
            points: false,
        };
        let (mall, _) = Mall::open(site, &slug, extent).await;
        self.malls.push(mall);
        site.execute("checkpoint").await;
    }

    /// Imports the file into the newest mall by the release binary, its start and its check of the
    /// file included.
    pub fn import(&self, site: &Site) -> Measured {
        let slug = format!("import-{}", self.malls.len() - 1);
        let begin = Instant::now();
        let said = output(
            Command::new(env!("CARGO_BIN_EXE_rotunda"))
                .args(["import", "purchases", "--tenant", &slug, "--json"])
                .args(["--create-missing".as_ref(), self.file.as_os_str()])
                .env("DATABASE_URL", &site.url),
        );
        let took = begin.elapsed();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["purchases"].as_u64(), Some(self.purchases as u64));
        self.measured(took)
    }

    /// Makes tables like these, and files of what the newest mall has in them.
    pub async fn copy_out(&self, site: &Site, tables: &[&str]) {
        let from = &self.malls.last().expect("an import").schema;
        site.execute("drop schema if exists copied cascade; create schema copied")
            .await;
        for table in tables {
            let make = format!("create table copied.{table} (like {from}.{table} including all)");
            site.execute(&make).await;
            psql(site, &format!("\\copy {from}.{table} to"), table);
        }
        site.execute("checkpoint").await;
    }

    /// Copies those files into those tables, one after the other.
    pub fn copy(&self, site: &Site, tables: &[&str]) -> Measured {
        let begin = Instant::now();
        for table in tables {
            psql(site, &format!("\\copy copied.{table} from"), table);
        }
        self.measured(begin.elapsed())
    }

    fn measured(&self, took: Duration) -> Measured {
        Measured {
            rate: self.purchases as f64 / took.as_secs_f64(),
            answered: self.purchases as u64,
            longest: took.as_secs_f64() * 1_000.0,
            ..Measured::default()
        }
    }
}

fn psql(site: &Site, copy: &str, table: &str) {
    let file = site.folder.join(format!("{table}.copy"));
    let copy = format!("{copy} '{}'", file.display());
    output(Command::new(site.tool("psql")).args([&site.url, "-qXc", &copy]));
}

/// One line of a file; its reference and date change from year to year.
struct Row {
    reference: String,
    /// Member and store.
    who: String,
    year: usize,
    /// What follows the year.
    rest: String,
}

impl Row {
    fn of(line: &str) -> Self {
        let fields: Vec<&str> = line.splitn(4, ',').collect();
        Self {
            reference: fields[0].to_owned(),
            who: format!("{},{}", fields[1], fields[2]),
            year: fields[3][..4].parse().unwrap(),
            rest: fields[3][4..].to_owned(),
        }
    }

    fn dated_back(&self, years: usize) -> String {
        let (reference, who, year) = (&self.reference, &self.who, self.year - years);
        format!("{reference}-{years},{who},{year}{}", self.rest)
    }
}

/// The purchases of a year, in time order, with their lines.
type Year = Vec<Vec<Row>>;

fn real_year() -> Option<Year> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(REAL);
    let path = std::env::var_os("ROTUNDA_BENCH_PURCHASES").map_or(path, PathBuf::from);
    let mut packed = flate2::read::GzDecoder::new(File::open(path).ok()?);
    let mut text = String::new();
    packed.read_to_string(&mut text).unwrap();
    let mut year: Year = Vec::new();
    for line in BufReader::new(text.as_bytes()).lines().skip(1) {
        let row = Row::of(&line.unwrap());
        match year.last_mut() {
            Some(lines) if lines[0].reference == row.reference => lines.push(row),
            _ => year.push(vec![row]),
        }
    }
    Some(year)
}

fn year_by_chance() -> Year {
    let mut rng = StdRng::seed_from_u64(1);
    let begin = chrono::DateTime::from_timestamp(1_483_228_800, 0).unwrap();
    let purchase = |number: usize| {
        let (member, store) = (rng.random_range(0..MEMBERS), rng.random_range(0..STORES));
        let seconds = number * 365 * 86_400 / YEAR;
        let at = begin + Duration::from_secs(seconds as u64);
        let at = at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let lines = 0..rng.random_range(1..=4);
        lines
            .map(|line| {
                let amount = rng.random_range(50..5_000);
                let (whole, part) = (amount / 100, amount % 100);
                Row::of(&format!(
                    "{number},M-{member},S-{store},{at},category {line},1,{whole}.{part:02}"
                ))
            })
            .collect()
    };
    (0..YEAR).map(purchase).collect()
}

//! A mall as one file: how it is written, checked, and filled into a schema again.
//!
//! tenants/README.md, "The archive", says what is in the file. Here is who does what:
//!
//! - [`Db::snapshot`] opens the one transaction from which everything is read, on the mall's own role;
//!   it takes no lock that a till would wait for.
//! - [`Pack`] writes: a thread hashes, compresses and writes what the transaction reads, a part of a
//!   table at a time, so that neither waits for the other and nothing is in memory whole.
//! - [`read`] reads and believes nothing.
//! - [`arrival`] makes a mall of it.

pub mod arrival;
mod pack;
mod rows;
mod unpack;

use std::{
    collections::BTreeMap,
    io::{BufWriter, Write},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use thiserror::Error;
use tokio::{sync::mpsc, task::JoinHandle};

pub use pack::PackError;
use pack::{Part, Tar};
pub use rows::TableTotal;
use rows::Tally;
pub use unpack::{Piece, manifest_of, read};

use super::{
    Db, copy,
    error::Error,
    moving::{MoveError, PATIENT},
    tenants::{Schema, Tenant, names_to_json},
    tx::{On, ReadTx},
};
use crate::{
    authz::{action::Action, grant::Grant},
    kernel::time::Instant,
};

/// The form of the archive. A reader knows its own and those before it.
pub const FORMAT: u32 = 1;

const MANIFEST: &str = "manifest.json";
const TOTALS: &str = "totals.json";
const TABLES: &str = "tables/";
const FILES: &str = "files/";

/// Bytes of rows that go into one part of a table.
const PART: usize = 8 << 20;

/// Parts that may wait for the other side.
const WAITING: usize = 2;

/// Why a mall does not become an archive, or an archive no mall.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The file.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The archive is of a form that came after this program.
    #[error(
        "the archive is of form {0}, and this program reads forms up to {FORMAT}: use a newer one"
    )]
    Form(u32),
    /// The archive's tables were made by a migration that this program does not have.
    #[error(
        "the archive was made by Rotunda {version}, whose tables are newer than this program's \
         (migration {migration} is not known here): import it with that version or a later one"
    )]
    Newer {
        /// Of the program that made it.
        version: String,
        /// The first migration that is not known here.
        migration: i64,
    },
    /// What arrived is not what was sent.
    #[error("{0} is not what the archive says: nothing was opened")]
    Differs(String),
    /// The short name is or was somebody's.
    #[error(
        "{0} is taken, if only by a mall that was deleted: choose another short name with --as"
    )]
    Taken(String),
    /// The host means another mall.
    #[error("the host {0} means another mall already")]
    HostTaken(String),
    /// Another process works on it.
    #[error("another process works on {0}")]
    Busy(String),
    /// A schema that nobody knows, or a row that is locked.
    #[error(transparent)]
    Move(#[from] MoveError),
    /// The database.
    #[error(transparent)]
    Db(#[from] Error),
}

impl From<sqlx::Error> for ArchiveError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

/// What an archive says of itself first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form: [`FORMAT`].
    pub format: u32,
    /// Which program made it, and which version of it.
    pub product: String,
    /// Its version.
    pub version: String,
    /// When.
    pub taken_at: Instant,
    /// What `PostgreSQL` calls the moment of which everything is.
    pub snapshot: String,
    /// The migrations that made the tables.
    pub migrations: Vec<i64>,
    /// Whose it is.
    pub tenant: Described,
}

/// What the registry said of the mall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// Its id, `ten_…`.
    pub id: String,
    /// Its short name.
    pub slug: String,
    /// Its names, by language.
    pub names: Value,
    /// Whether it was open.
    pub status: String,
    /// In which zone its days begin.
    pub time_zone: String,
    /// ISO 4217.
    pub currency: String,
    /// The country code of telephone numbers without one.
    pub calling_code: String,
    /// The languages that it speaks, its default first.
    pub languages: Vec<String>,
    /// The hosts that meant it.
    pub hosts: Vec<String>,
}

/// What is in an archive, as it says last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Each table.
    pub tables: BTreeMap<String, TableTotal>,
    /// The files.
    pub files: FilesTotal,
    /// What the books come to: name and number.
    pub control: BTreeMap<String, String>,
}

/// How much there is of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FilesTotal {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many the tables name that were not in the store for files.
    pub missing: u64,
}

/// An archive that was written or read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// What it says of itself.
    pub manifest: Manifest,
    /// What is in it.
    pub totals: Totals,
    /// The SHA-256 of the file, 64 hexadecimal digits.
    pub digest: String,
    /// Its bytes.
    pub bytes: u64,
}

/// How far an export or an import is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The table that is done.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// How many are done, this one among them, and how many there are; none where that is not known.
    pub of: (usize, usize),
}

impl Db {
    /// A transaction that only reads and sees one moment for as long as it lasts, which may be long.
    ///
    /// # Errors
    /// As [`Db::read`].
    pub async fn snapshot<A: Action>(&self, grant: &Grant<A>) -> Result<ReadTx, Error> {
        let kind = "set transaction isolation level repeatable read, read only; ";
        let mut tx = self.open_of(grant, On::Own, kind, "begin").await?;
        sqlx::raw_sql(AssertSqlSafe(PATIENT.to_owned()))
            .execute(tx.connection())
            .await?;
        Ok(tx)
    }
}

/// What an archive of this mall says of itself.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn describe(tx: &mut ReadTx, mall: &Tenant) -> Result<Manifest, Error> {
    let migrations =
        sqlx::query_scalar("select version from _sqlx_migrations where success order by version");
    let migrations = migrations.fetch_all(tx.connection()).await?;
    let snapshot = sqlx::query_scalar("select pg_current_snapshot()::text");
    Ok(Manifest {
        format: FORMAT,
        product: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at: tx.now(),
        snapshot: snapshot.fetch_one(tx.connection()).await?,
        migrations,
        tenant: Described {
            id: mall.id.to_string(),
            slug: mall.slug.as_str().to_owned(),
            names: names_to_json(&mall.names),
            status: mall.status.as_str().to_owned(),
            time_zone: mall.zone.to_string(),
            currency: mall.currency.code().to_owned(),
            calling_code: mall.calling_code.clone(),
            languages: mall
                .languages
                .iter()
                .map(|language| language.tag().to_owned())
                .collect(),
            hosts: mall.hosts.clone(),
        },
    })
}

/// Reads every table of the mall into the archive; `tell` hears of each.
///
/// # Errors
/// [`ArchiveError::Pack`], [`ArchiveError::Db`].
pub async fn copy_out(
    tx: &mut ReadTx,
    pack: &mut Pack,
    mut tell: impl FnMut(Progress),
) -> Result<(), ArchiveError> {
    let each = async |table: &copy::Table, body| {
        let (table, header) = (table.name.clone(), table.header());
        pack.send(Entry::Rows {
            table,
            header,
            body,
        })
        .await
    };
    each_part(tx, each, &mut tell).await
}

/// What every table of the mall comes to, as an archive of this moment would say.
///
/// # Errors
/// [`ArchiveError::Db`].
pub async fn count(
    tx: &mut ReadTx,
    mut tell: impl FnMut(Progress),
) -> Result<BTreeMap<String, TableTotal>, ArchiveError> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let each = async |table: &copy::Table, body: Vec<u8>| {
        tallies.entry(table.name.clone()).or_default().add(&body);
        Ok(())
    };
    each_part(tx, each, &mut tell).await?;
    Ok(tallies
        .into_iter()
        .map(|(table, tally)| (table, tally.total()))
        .collect())
}

/// Reads every table, a part at a time; of an empty one there is one part without rows.
async fn each_part(
    tx: &mut ReadTx,
    mut each: impl AsyncFnMut(&copy::Table, Vec<u8>) -> Result<(), ArchiveError>,
    tell: &mut impl FnMut(Progress),
) -> Result<(), ArchiveError> {
    let schema = Schema::of(tx.tenant()).to_string();
    let connection = tx.connection();
    let tables = copy::tables(connection, &schema).await?;
    for (number, table) in (1..).zip(&tables) {
        let mut lines = connection.copy_out_raw(&table.reading(&schema)).await?;
        let (mut rows, mut body) = (0_u64, Vec::new());
        // PostgreSQL sends a row at a time.
        while let Some(row) = lines.next().await {
            rows = rows.saturating_add(1);
            body.extend_from_slice(&row?);
            if body.len() >= PART {
                each(table, std::mem::take(&mut body)).await?;
            }
        }
        drop(lines);
        if rows == 0 || !body.is_empty() {
            each(table, body).await?;
        }
        tell(Progress {
            table: table.name.clone(),
            rows,
            of: (number, tables.len()),
        });
    }
    Ok(())
}

/// What goes into an archive.
enum Entry {
    /// Rows of a table, and the line of CSV that names its columns.
    Rows {
        table: String,
        header: String,
        body: Vec<u8>,
    },
    /// A file that the tables name by its id.
    File { id: String, bytes: Vec<u8> },
    /// That this was all.
    Seal {
        control: BTreeMap<String, String>,
        missing: u64,
    },
}

/// An archive that is being written. Dropped before it is sealed, it leaves nothing.
#[derive(Debug)]
pub struct Pack {
    entries: mpsc::Sender<Entry>,
    writer: JoinHandle<Result<Sealed, PackError>>,
}

impl Pack {
    /// Begins an archive at `path`, where nothing may be; nobody but its owner can read it.
    ///
    /// # Errors
    /// [`PackError::Exists`], [`PackError::Busy`], [`PackError::Write`].
    pub fn create(path: &Path, manifest: Manifest) -> Result<Self, PackError> {
        let part = Part::create(path)?;
        let (entries, incoming) = mpsc::channel(WAITING);
        let path = path.to_owned();
        let writer = tokio::task::spawn_blocking(move || write(part, &path, manifest, incoming));
        Ok(Self { entries, writer })
    }

    /// Adds a file that the tables name by that id.
    ///
    /// # Errors
    /// [`PackError::Write`].
    pub async fn file(&mut self, id: String, bytes: Vec<u8>) -> Result<(), ArchiveError> {
        self.send(Entry::File { id, bytes }).await
    }

    /// Ends the archive, and gives it its name.
    ///
    /// # Errors
    /// [`PackError::Write`].
    pub async fn seal(
        mut self,
        control: BTreeMap<String, String>,
        missing: u64,
    ) -> Result<Sealed, ArchiveError> {
        self.send(Entry::Seal { control, missing }).await?;
        Ok(self.writer.await.unwrap_or(Err(PackError::BrokenOff))?)
    }

    async fn send(&mut self, entry: Entry) -> Result<(), ArchiveError> {
        if self.entries.send(entry).await.is_ok() {
            return Ok(());
        }
        // It has gone away, and says why.
        let why = (&mut self.writer)
            .await
            .unwrap_or(Err(PackError::BrokenOff));
        Err(why.err().unwrap_or(PackError::BrokenOff).into())
    }
}

/// Writes what comes, until it is sealed.
fn write(
    part: Part,
    path: &Path,
    manifest: Manifest,
    mut incoming: mpsc::Receiver<Entry>,
) -> Result<Sealed, PackError> {
    let failed = |source| PackError::Write {
        path: path.to_owned(),
        source,
    };
    let time = u64::try_from(manifest.taken_at.timestamp()).unwrap_or(0);
    let mut tar = Tar::new(BufWriter::with_capacity(1 << 20, part.file()), time);
    tar.put(MANIFEST, &pretty(&manifest)).map_err(failed)?;
    let mut tallies: BTreeMap<String, (u32, Tally)> = BTreeMap::new();
    let mut files = FilesTotal::default();
    while let Some(entry) = incoming.blocking_recv() {
        match entry {
            Entry::Rows {
                table,
                header,
                body,
            } => {
                let (number, tally) = tallies.entry(table.clone()).or_default();
                *number = number.saturating_add(1);
                tally.add(&body);
                let name = format!("{TABLES}{table}.{number:06}.csv.gz");
                let packed = squeezed(&[header.as_bytes(), &body]).map_err(failed)?;
                tar.put(&name, &packed).map_err(failed)?;
            }
            Entry::File { id, bytes } => {
                files.count = files.count.saturating_add(1);
                files.bytes = files.bytes.saturating_add(length(&bytes));
                tar.put(&format!("{FILES}{id}"), &bytes).map_err(failed)?;
            }
            Entry::Seal { control, missing } => {
                let tables = tallies.into_iter();
                let totals = Totals {
                    tables: tables
                        .map(|(name, (_, tally))| (name, tally.total()))
                        .collect(),
                    files: FilesTotal { missing, ..files },
                    control,
                };
                tar.put(TOTALS, &pretty(&totals)).map_err(failed)?;
                let (out, digest, bytes) = tar.end().map_err(failed)?;
                drop(out);
                part.publish().map_err(failed)?;
                return Ok(Sealed {
                    manifest,
                    totals,
                    digest,
                    bytes,
                });
            }
        }
    }
    Err(PackError::BrokenOff)
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn pretty(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    text
}

fn squeezed(texts: &[&[u8]]) -> std::io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    for text in texts {
        packed.write_all(text)?;
    }
    packed.finish()
}

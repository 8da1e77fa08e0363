//! Reads an archive, and believes nothing of it: sums, digests of rows, counts.

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    ArchiveError, FILES, FORMAT, FilesTotal, MANIFEST, Manifest, PackError, Sealed, TABLES, TOTALS,
    Totals, WAITING, length,
    pack::{LARGEST, Untar},
    rows::Tally,
};

/// Something of an archive, in the order in which it stands there.
#[derive(Debug)]
pub enum Piece {
    /// Rows of a table as CSV; each table behind those that it refers to.
    Rows {
        /// Which.
        table: String,
        /// The line that names the columns.
        header: String,
        /// The rows.
        body: Vec<u8>,
    },
    /// A file.
    File {
        /// Its id.
        id: String,
        /// Its bytes.
        bytes: Vec<u8>,
    },
}

/// What an archive says of itself first; nothing more is read.
///
/// # Errors
/// [`PackError`]; [`ArchiveError::Form`].
pub fn manifest_of(path: &Path) -> Result<Manifest, ArchiveError> {
    first(&mut Untar::open(path)?)
}

fn first(archive: &mut Untar) -> Result<Manifest, ArchiveError> {
    let not_ours = || PackError::damaged(MANIFEST, "this is no archive of a mall");
    let (name, bytes) = archive.next()?.ok_or_else(not_ours)?;
    if name != MANIFEST {
        return Err(not_ours().into());
    }
    let form: Value = parsed(MANIFEST, &bytes)?;
    match form.get("format").and_then(Value::as_u64) {
        Some(form) if form == u64::from(FORMAT) => Ok(parsed(MANIFEST, &bytes)?),
        Some(form) => Err(ArchiveError::Form(u32::try_from(form).unwrap_or(u32::MAX))),
        None => Err(not_ours().into()),
    }
}

/// Reads an archive to its end, and hands on what is in it before the end says whether it is whole:
/// nothing of it counts before this returns. `each` says whether to go on.
///
/// # Errors
/// [`PackError::Damaged`] with the place; [`PackError::BrokenOff`] where `each` gave up.
pub fn read(path: &Path, mut each: impl FnMut(Piece) -> bool) -> Result<Sealed, ArchiveError> {
    let mut archive = Untar::open(path)?;
    let manifest = first(&mut archive)?;
    let (mut tallies, mut files): (BTreeMap<String, Tally>, _) = <_>::default();
    let mut totals: Option<Totals> = None;
    while let Some((name, bytes)) = archive.next()? {
        let unknown = || PackError::damaged(name.clone(), "nothing of that name belongs here");
        if totals.is_some() {
            return Err(unknown().into());
        }
        let piece = if name == TOTALS {
            totals = Some(parsed(&name, &bytes)?);
            continue;
        } else if let Some(id) = name.strip_prefix(FILES) {
            let FilesTotal {
                count, bytes: all, ..
            } = &mut files;
            *count = u64::saturating_add(*count, 1);
            *all = u64::saturating_add(*all, length(&bytes));
            let id = id.to_owned();
            Piece::File { id, bytes }
        } else {
            let table = name
                .strip_prefix(TABLES)
                .and_then(|it| it.split('.').next());
            let table = table.ok_or_else(unknown)?.to_owned();
            let (header, body) = unpacked(&name, &bytes)?;
            if !tallies.entry(table.clone()).or_default().add(&body) {
                return Err(PackError::damaged(name, "it ends within a row").into());
            }
            Piece::Rows {
                table,
                header,
                body,
            }
        };
        if !each(piece) {
            return Err(PackError::BrokenOff.into());
        }
    }
    let missing = || PackError::damaged(TOTALS, "it is not there");
    let totals = totals.ok_or_else(missing)?;
    agree(&totals, &tallies, files)?;
    let bytes = std::fs::metadata(path).map_or(0, |found| found.len());
    Ok(Sealed {
        manifest,
        totals,
        digest: archive.digest(),
        bytes,
    })
}

/// That an archive holds what its totals say.
fn agree(
    totals: &Totals,
    tallies: &BTreeMap<String, Tally>,
    files: FilesTotal,
) -> Result<(), PackError> {
    let said = totals.tables.keys().chain(tallies.keys());
    let other = |table: &&String| {
        totals.tables.get(*table) != tallies.get(*table).map(Tally::total).as_ref()
    };
    if let Some(table) = { said }.find(other) {
        let place = format!("{TABLES}{table}");
        return Err(PackError::damaged(
            place,
            "its rows are not those of the totals",
        ));
    }
    if (files.count, files.bytes) != (totals.files.count, totals.files.bytes) {
        return Err(PackError::damaged(
            FILES,
            "they are not those of the totals",
        ));
    }
    Ok(())
}

fn parsed<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, PackError> {
    serde_json::from_slice(bytes).map_err(|_| PackError::damaged(name, "this cannot be read"))
}

/// The first line of a part, and its rows.
fn unpacked(name: &str, bytes: &[u8]) -> Result<(String, Vec<u8>), PackError> {
    let spoilt = || PackError::damaged(name, "this cannot be unpacked");
    let mut text = Vec::new();
    let read = GzDecoder::new(bytes).take(LARGEST).read_to_end(&mut text);
    read.map_err(|_| spoilt())?;
    let end = text.iter().position(|byte| *byte == b'\n');
    let body = text.split_off(end.ok_or_else(spoilt)?.saturating_add(1));
    Ok((String::from_utf8(text).map_err(|_| spoilt())?, body))
}

/// Reads an archive on a thread of its own.
pub(super) fn reading(
    path: PathBuf,
) -> (
    mpsc::Receiver<Piece>,
    JoinHandle<Result<Sealed, ArchiveError>>,
) {
    let (out, pieces) = mpsc::channel(WAITING);
    let reader =
        tokio::task::spawn_blocking(move || read(&path, |piece| out.blocking_send(piece).is_ok()));
    (pieces, reader)
}

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

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::db::archive::{pack::Tar, pretty, squeezed};

    /// An archive of these members, whose list of sums is right.
    fn archive(name: &str, members: &[(&str, Vec<u8>)]) -> Result<Sealed, ArchiveError> {
        let path = std::env::temp_dir().join(format!("rotunda-{}-{name}.tar", std::process::id()));
        let manifest = json!({"format": FORMAT, "product": "rotunda", "version": "0", "taken_at":
            "2026-06-15T04:00:00Z", "snapshot": "1:1:", "migrations": [1], "tenant": {"id": "x",
            "slug": "x", "names": {"en": "X"}, "status": "active", "time_zone": "UTC",
            "currency": "CNY", "calling_code": "86", "languages": ["en"], "hosts": []}});
        let mut tar = Tar::new(fs::File::create(&path).unwrap(), 0);
        tar.put(MANIFEST, &pretty(&manifest)).unwrap();
        for (name, bytes) in members {
            tar.put(name, bytes).unwrap();
        }
        tar.end().unwrap();
        let read = read(&path, |_| true);
        fs::remove_file(path).unwrap();
        read
    }

    #[test]
    fn an_archive_holds_what_it_says_last_that_it_holds() {
        let rows = |text: &str| squeezed(&[b"a\n", text.as_bytes()]).unwrap();
        let mut tally = Tally::default();
        assert!(tally.add(b"1\n2\n"));
        let mut totals = Totals::default();
        totals.tables.insert("t".to_owned(), tally.total());
        totals.files = FilesTotal {
            count: 1,
            bytes: 3,
            missing: 0,
        };
        let said = || (TOTALS, pretty(&totals));
        let (first, second) = ("tables/t.000001.csv.gz", "tables/t.000002.csv.gz");
        let (file, papers) = ("files/f", b"abc".to_vec());
        let one = (first, rows("1\n"));
        let two = (second, rows("2\n"));
        let paper = (file, papers.clone());
        let whole = [one.clone(), two.clone(), paper.clone(), said()];
        assert_eq!(archive("whole", &whole).unwrap().totals, totals);
        let place = |name: &str, members: &[(&str, Vec<u8>)]| match archive(name, members) {
            Err(ArchiveError::Pack(PackError::Damaged { place, .. })) => place,
            other => panic!("{name}: {:?}", other.map(|_| "is whole")),
        };
        let (other, longer) = ((second, rows("3\n")), (file, b"abcd".to_vec()));
        let more = ("tables/u.000001.csv.gz", rows("1\n"));
        for (name, members, wrong) in [
            ("part", vec![one.clone(), paper.clone(), said()], "tables/t"),
            (
                "other",
                vec![one.clone(), other, paper.clone(), said()],
                "tables/t",
            ),
            (
                "twice",
                vec![one.clone(), one.clone(), paper.clone(), said()],
                "tables/t",
            ),
            (
                "more",
                vec![one.clone(), two.clone(), more, paper.clone(), said()],
                "tables/u",
            ),
            ("file", vec![one.clone(), two.clone(), said()], FILES),
            (
                "longer",
                vec![one.clone(), two.clone(), longer, said()],
                FILES,
            ),
            (
                "totals",
                vec![one.clone(), two.clone(), paper.clone()],
                TOTALS,
            ),
            ("behind", vec![one, said(), two], second),
            ("half", vec![(first, rows("1\n2")), paper, said()], first),
        ] {
            assert_eq!(place(name, &members), wrong, "{name}");
        }
    }
}

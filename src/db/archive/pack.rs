//! The container of an archive: a tar file (POSIX ustar) of which every byte is accounted for.
//!
//! What is written follows from names, bytes and one moment alone. So whoever reads it writes each
//! header again and compares, looks whether the padding is zero, and holds the bytes of every member
//! against the last one, `SHA256SUMS`, which is a file as `sha256sum` writes and checks it. That file
//! has no sum of its own and needs none: it is written again too, from what was read.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::kernel::page::hex;

/// Bytes of a header, and of what everything is padded to.
const BLOCK: usize = 512;

/// The last member.
pub(super) const SUMS: &str = "SHA256SUMS";

/// The most bytes of one member.
pub(super) const LARGEST: u64 = 256 << 20;

/// Why an archive is not written or not read.
#[derive(Debug, Error)]
pub enum PackError {
    /// A file of that name is there.
    #[error("{} is there already: choose another name, or take it away", .0.display())]
    Exists(PathBuf),
    /// Another process writes it.
    #[error("another process is writing {}", .0.display())]
    Busy(PathBuf),
    /// The disk is full, the folder is not there or not ours.
    #[error("{} cannot be written: {source}; nothing is left of it", .path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not there, or not ours to read.
    #[error("{} cannot be read: {source}", .path.display())]
    Read {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what was written.
    #[error("the archive is damaged: {place}: {what}")]
    Damaged {
        /// The member, or how many bytes from the beginning.
        place: String,
        /// What is wrong there.
        what: &'static str,
    },
    /// Whoever made it stopped before the end.
    #[error("the export was broken off; nothing is left of it")]
    BrokenOff,
}

impl PackError {
    pub(super) fn damaged(place: impl Into<String>, what: &'static str) -> Self {
        Self::Damaged {
            place: place.into(),
            what,
        }
    }
}

/// A member's header. Every field is a function of these three.
fn header(path: &str, size: u64, time: u64) -> Vec<u8> {
    let (size, time) = (format!("{size:011o}"), format!("{time:011o}"));
    let with = |sum: &str| -> Vec<u8> {
        let fields: [(&str, usize); 16] = [
            (path, 100),
            ("0000600", 8),
            ("0000000", 8),
            ("0000000", 8),
            (&size, 12),
            (&time, 12),
            (sum, 8),
            ("0", 1),
            ("", 100),
            ("ustar", 6),
            ("00", 2),
            ("rotunda", 32),
            ("rotunda", 32),
            ("0000000", 8),
            ("0000000", 8),
            ("", 167),
        ];
        let padded = |(text, width): &(&str, usize)| {
            let mut field = text.as_bytes().to_vec();
            field.resize(*width, 0);
            field
        };
        fields.iter().flat_map(padded).collect()
    };
    let plain = with("        ");
    let sum: u32 = plain.iter().map(|byte| u32::from(*byte)).sum();
    with(&format!("{sum:06o}\0 "))
}

/// Zeros behind so many bytes.
fn padding(size: usize) -> &'static [u8] {
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    let short = size.next_multiple_of(BLOCK).saturating_sub(size);
    ZEROS.get(..short).unwrap_or_default()
}

/// Writes members one after the other.
pub(super) struct Tar<W> {
    out: W,
    time: u64,
    sums: String,
    whole: Sha256,
    bytes: u64,
}

impl<W: Write> Tar<W> {
    /// `time` in seconds since 1970.
    pub(super) fn new(out: W, time: u64) -> Self {
        Self {
            out,
            time,
            sums: String::new(),
            whole: Sha256::new(),
            bytes: 0,
        }
    }

    pub(super) fn put(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.write(&header(path, size, self.time))?;
        self.write(bytes)?;
        self.write(padding(bytes.len()))?;
        self.sums += &line(path, bytes);
        Ok(())
    }

    /// Writes the sums and the end: what it wrote on, the SHA-256 of all, and how many bytes it is.
    pub(super) fn end(mut self) -> io::Result<(W, String, u64)> {
        let sums = std::mem::take(&mut self.sums);
        self.put(SUMS, sums.as_bytes())?;
        self.write(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok((self.out, hex(&self.whole.finalize()), self.bytes))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.whole.update(bytes);
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(())
    }
}

/// A line of the sums.
fn line(path: &str, bytes: &[u8]) -> String {
    format!("{}  {path}\n", hex(&Sha256::digest(bytes)))
}

/// Reads members one after the other, and believes nothing.
pub(super) struct Untar {
    input: BufReader<File>,
    path: PathBuf,
    at: u64,
    last: String,
    time: Option<u64>,
    sums: String,
    summed: bool,
    whole: Sha256,
}

impl Untar {
    pub(super) fn open(path: &Path) -> Result<Self, PackError> {
        let input = File::open(path).map_err(|source| PackError::Read {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            input: BufReader::with_capacity(1 << 20, input),
            path: path.to_owned(),
            at: 0,
            last: "its beginning".to_owned(),
            time: None,
            sums: String::new(),
            summed: false,
            whole: Sha256::new(),
        })
    }

    /// The next member; none behind the last one, which is checked and not shown.
    pub(super) fn next(&mut self) -> Result<Option<(String, Vec<u8>)>, PackError> {
        loop {
            let here = format!("byte {}, behind {}", self.at, self.last);
            let head = self.take(BLOCK)?;
            if head.iter().all(|byte| *byte == 0) {
                return self.end(&here).map(|()| None);
            }
            let spoilt = || PackError::damaged(here.clone(), "this is no header of ours");
            if self.summed {
                return Err(PackError::damaged(here, "something stands behind the end"));
            }
            let (path, size, time) = fields(&head).ok_or_else(spoilt)?;
            if header(&path, size, time) != head || self.time.is_some_and(|first| first != time) {
                return Err(spoilt());
            }
            self.time = Some(time);
            self.last.clone_from(&path);
            let length = usize::try_from(size).ok().filter(|_| size <= LARGEST);
            let bytes = self.take(length.ok_or_else(spoilt)?)?;
            let pad = self.take(padding(bytes.len()).len())?;
            if pad.iter().any(|byte| *byte != 0) {
                let what = "what is behind it is not empty";
                return Err(PackError::damaged(path, what));
            }
            if path == SUMS {
                self.compare(&bytes)?;
                self.summed = true;
                continue;
            }
            self.sums += &line(&path, &bytes);
            return Ok(Some((path, bytes)));
        }
    }

    /// The SHA-256 of the file, behind the last member.
    pub(super) fn digest(self) -> String {
        hex(&self.whole.finalize())
    }

    fn compare(&self, said: &[u8]) -> Result<(), PackError> {
        if said == self.sums.as_bytes() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(said);
        let mut pairs = self.sums.lines().zip(said.lines());
        let other = pairs.find(|(ours, theirs)| ours != theirs);
        let place = other.and_then(|(ours, _)| ours.split_once("  "));
        let place = place.map_or(SUMS, |(_, path)| path);
        let what = "it is not what the list of sums says";
        Err(PackError::damaged(place, what))
    }

    fn end(&mut self, here: &str) -> Result<(), PackError> {
        let behind = self.take(BLOCK)?;
        let mut more = [0];
        let read = self
            .input
            .read(&mut more)
            .map_err(|source| self.failed(source))?;
        if !self.summed || behind.iter().any(|byte| *byte != 0) || read > 0 {
            return Err(PackError::damaged(here, "it does not end as it should"));
        }
        Ok(())
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, PackError> {
        let mut bytes = vec![0; length];
        match self.input.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let what = "the file ends here, and should not";
                return Err(PackError::damaged(&self.last, what));
            }
            Err(error) => return Err(self.failed(error)),
        }
        self.whole.update(&bytes);
        self.at = self
            .at
            .saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        Ok(bytes)
    }

    fn failed(&self, source: io::Error) -> PackError {
        PackError::Read {
            path: self.path.clone(),
            source,
        }
    }
}

/// Path, size and time of a header.
fn fields(head: &[u8]) -> Option<(String, u64, u64)> {
    let text = |from: usize, length: usize| {
        let field = head.get(from..from.checked_add(length)?)?;
        let field = field.split(|byte| *byte == 0).next()?;
        std::str::from_utf8(field).ok()
    };
    let octal = |from| u64::from_str_radix(text(from, 12)?, 8).ok();
    Some((text(0, 100)?.to_owned(), octal(124)?, octal(136)?))
}

/// A file that is being written: beside its place, under a name that says so, for nobody but its owner.
/// It is gone when it is dropped, and locked for as long as somebody writes it.
pub(super) struct Part {
    file: File,
    path: PathBuf,
    wanted: PathBuf,
    published: bool,
}

impl Part {
    /// # Errors
    /// [`PackError::Exists`], [`PackError::Busy`], [`PackError::Write`].
    pub(super) fn create(wanted: &Path) -> Result<Self, PackError> {
        use std::os::unix::fs::OpenOptionsExt;
        let failed = |source| PackError::Write {
            path: wanted.to_owned(),
            source,
        };
        if wanted.try_exists().map_err(failed)? {
            return Err(PackError::Exists(wanted.to_owned()));
        }
        let mut path = wanted.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        let new = || {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600).open(&path)
        };
        let file = match new() {
            // What a process that was killed has left is nobody's. It is not written to, because
            // others may read it, or it may lead elsewhere.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let left = File::open(&path).map_err(failed)?;
                locked(&left, wanted)?;
                fs::remove_file(&path).map_err(failed)?;
                new()
            }
            other => other,
        };
        let file = file.map_err(failed)?;
        locked(&file, wanted)?;
        Ok(Self {
            file,
            path,
            wanted: wanted.to_owned(),
            published: false,
        })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives it its name, durably.
    pub(super) fn publish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.wanted)?;
        self.published = true;
        let folder = self.wanted.parent().filter(|it| !it.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// Locks a file that is being written.
fn locked(file: &File, wanted: &Path) -> Result<(), PackError> {
    let path = wanted.to_owned();
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(PackError::Busy(path)),
        Err(TryLockError::Error(source)) => Err(PackError::Write { path, source }),
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_and_not_passed_over() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut tar = Tar::new(full, 0);
        let told = tar.put("manifest.json", b"{}").unwrap_err();
        assert_eq!(told.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn standard_tools_read_what_is_written() {
        let folder = std::env::temp_dir().join(format!("rotunda-pack-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.tar");
        let mut tar = Tar::new(File::create(&path).unwrap(), 1_700_000_000);
        tar.put("a/b.txt", b"hello\n").unwrap();
        tar.put("c", &[7; 1_000]).unwrap();
        let (.., bytes) = tar.end().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), bytes);
        let script = "tar -xf a.tar && sha256sum --strict -c SHA256SUMS && cat a/b.txt";
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", script]).current_dir(&folder);
        let ran = shell.output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert_eq!(said, "a/b.txt: OK\nc: OK\nhello\n", "{ran:?}");
        fs::remove_dir_all(&folder).unwrap();
    }
}

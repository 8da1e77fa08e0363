//! Where PostgreSQL's programs are.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::EmbeddedError;

/// The major versions that the schema is tested on.
pub(super) const MAJORS: RangeInclusive<u32> = 15..=18;

/// Programs without which there is no cluster.
const NEEDED: [&str; 3] = ["postgres", "initdb", "pg_ctl"];

/// A folder with the programs of one PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder that holds `postgres`, `initdb` and `pg_ctl`.
    pub bin: PathBuf,
    /// The major version, 15 to 18.
    pub major: u32,
}

impl Binaries {
    /// Looks at a folder; says as the end of a sentence why it does not serve.
    fn at(bin: &Path) -> Result<Self, String> {
        if let Some(name) = NEEDED.iter().find(|name| !bin.join(name).is_file()) {
            return Err(format!("has no program {name}"));
        }
        let major = major_of(&bin.join("postgres")).ok_or("has a postgres that does not run")?;
        if !MAJORS.contains(&major) {
            return Err(format!("is PostgreSQL {major}"));
        }
        Ok(Self {
            bin: bin.to_path_buf(),
            major,
        })
    }
}

/// Finds the programs for the cluster in `data_dir`: the folder that `ROTUNDA_PG_BIN` names, else
/// what `pg_config` tells, the newest in the usual folders, and last what `deploy/start` unpacked.
/// Where there is a cluster already, only its own major version will do.
///
/// # Errors
/// [`EmbeddedError::NotFound`], [`EmbeddedError::MajorMissing`], [`EmbeddedError::NamedBinaries`].
pub fn find_binaries(data_dir: &Path) -> Result<Binaries, EmbeddedError> {
    let existing = existing_data(data_dir);
    if let Some(bin) = std::env::var_os("ROTUNDA_PG_BIN").filter(|value| !value.is_empty()) {
        return named(PathBuf::from(bin), existing.as_ref());
    }
    let fits = |found: &Binaries| {
        existing
            .as_ref()
            .is_none_or(|(_, major)| found.major == *major)
    };
    let found = candidates(data_dir)
        .into_iter()
        .filter_map(|bin| Binaries::at(&bin).ok());
    match (found.into_iter().find(fits), existing) {
        (Some(found), _) => Ok(found),
        (None, Some((data, major))) => Err(EmbeddedError::MajorMissing { data, major }),
        (None, None) => Err(EmbeddedError::NotFound),
    }
}

fn named(bin: PathBuf, existing: Option<&(PathBuf, u32)>) -> Result<Binaries, EmbeddedError> {
    let found = Binaries::at(&bin).map_err(|problem| EmbeddedError::NamedBinaries {
        bin: bin.clone(),
        problem,
    })?;
    match existing {
        Some((data, major)) if *major != found.major => {
            let (data, found) = (data.display(), found.major);
            let problem = format!("is PostgreSQL {found}, while the data in {data} is of {major}");
            Err(EmbeddedError::NamedBinaries { bin, problem })
        }
        _ => Ok(found),
    }
}

/// The newest cluster in the data folder and its major version.
pub(super) fn existing_data(data_dir: &Path) -> Option<(PathBuf, u32)> {
    MAJORS
        .rev()
        .map(|major| (data_dir.join(format!("data-{major}")), major))
        .find(|(data, _)| data.is_dir())
}

/// All folders to look in, in the order of preference.
fn candidates(data_dir: &Path) -> Vec<PathBuf> {
    let mut bins: Vec<PathBuf> = said_by_pg_config().into_iter().collect();
    let majors = || MAJORS.rev();
    bins.extend(majors().map(|major| PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"))));
    bins.extend(majors().map(|major| PathBuf::from(format!("/usr/pgsql-{major}/bin"))));
    bins.push(PathBuf::from("/usr/local/pgsql/bin"));
    for brew in [
        "/opt/homebrew/opt",
        "/usr/local/opt",
        "/home/linuxbrew/.linuxbrew/opt",
    ] {
        bins.extend(majors().map(|major| Path::new(brew).join(format!("postgresql@{major}/bin"))));
    }
    bins.extend(majors().map(|major| data_dir.join(format!("postgres/{major}/bin"))));
    bins.into_iter()
        .map(|bin| fs::canonicalize(&bin).unwrap_or(bin))
        .collect()
}

fn said_by_pg_config() -> Option<PathBuf> {
    let line = first_line(Command::new("pg_config").arg("--bindir"))?;
    Some(PathBuf::from(line))
}

/// The major version from a line such as `postgres (PostgreSQL) 18.4`.
fn major_of(postgres: &Path) -> Option<u32> {
    let line = first_line(Command::new(postgres).arg("--version"))?;
    let (_, version) = line.split_once("(PostgreSQL) ")?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn first_line(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout)
        .ok()
        .filter(|_| output.status.success())?;
    text.lines().next().map(|line| line.trim().to_owned())
}

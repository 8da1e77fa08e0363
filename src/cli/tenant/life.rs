//! `rotunda tenant export`, `inspect`, `import` and `drop`.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Value, json};

use super::described;
use crate::{
    app::{
        App,
        life::{self, LifeError, Restored, Wish},
    },
    cli::{Exit, Failure, Output},
    db::{
        archive::{ArchiveError, PackError, Progress, Sealed},
        ending::EndError,
        locator::MAIN,
    },
    kernel::text::Slug,
};

/// What is to become of an archive.
#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// The archive.
    file: PathBuf,
    /// The new mall's short name; else that of the archive.
    #[arg(long = "as", value_name = "SLUG")]
    slug: Option<Slug>,
    /// A host that is to mean it, more than once for more; else those of the archive that mean no
    /// other mall.
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// The database target of the settings on which it comes to be; else the main one.
    #[arg(long, value_name = "NAME", default_value = MAIN)]
    target: String,
}

/// What is to be deleted.
#[derive(Debug, Args)]
pub(in crate::cli) struct Drop {
    /// The mall's short name.
    slug: Slug,
    /// The short name again: nothing brings the mall back but its archive.
    #[arg(long, value_name = "SLUG")]
    confirm: String,
    /// An archive that has to hold the mall as it is now.
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,
    /// Where to write the proof too, which is printed in any case.
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    /// Who deletes it, for the proof.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    by: String,
}

pub(super) async fn export(
    app: &App,
    slug: &Slug,
    to: &Path,
    output: Output,
) -> Result<(), Failure> {
    let tell = |progress| output.say(&words(&progress));
    let sealed = life::export(app, slug, to, tell).await?;
    output.data(&document("archive", to, &sealed), || {
        let (file, digest) = (to.display(), &sealed.digest);
        format!("{}\n{file}: SHA-256 {digest}", contents(&sealed))
    })
}

/// Needs no database.
pub(in crate::cli) async fn inspect(file: &Path, output: Output) -> Result<(), Failure> {
    let sealed = life::inspect(file).await?;
    output.data(&document("archive", file, &sealed), || {
        let (file, digest) = (file.display(), &sealed.digest);
        let said = &sealed.manifest;
        format!(
            "{file} is whole: {} of {}, by Rotunda {}, tables at migration {}\n{}\nSHA-256 {digest}",
            said.tenant.slug,
            said.taken_at.to_rfc3339(),
            said.version,
            said.migrations.last().copied().unwrap_or(0),
            contents(&sealed),
        )
    })
}

pub(super) async fn import(app: &App, args: Import, output: Output) -> Result<(), Failure> {
    let wish = Wish {
        file: args.file,
        slug: args.slug,
        hosts: args.hosts,
        target: args.target,
    };
    let tell = |progress| output.say(&words(&progress));
    let restored = life::import(app, &wish, tell).await?;
    output.data(&of_restored(&restored), || in_words(&restored))?;
    if restored.broken.is_empty() {
        return Ok(());
    }
    let why = format!(
        "the books do not add up ({}), and did not in the archive: {} is suspended",
        restored.broken.join(", "),
        restored.tenant.slug.as_str()
    );
    Err(Failure::new(Exit::Failed, why))
}

pub(super) async fn drop(app: &App, args: &Drop, output: Output) -> Result<(), Failure> {
    // Before anything is deleted: afterwards it could only be said that it cannot be written.
    let file = match &args.proof {
        Some(path) => {
            let new = OpenOptions::new().write(true).create_new(true).open(path);
            Some(new.map_err(|error| unwritten(path, &error))?)
        }
        None => None,
    };
    let archive = args.archive.as_deref();
    let deleted = life::delete(app, &args.slug, &args.confirm, archive, &args.by).await;
    let proof = match (deleted, &args.proof) {
        (Ok(proof), _) => proof,
        (Err(error), Some(path)) => {
            // Nothing was proved.
            let _ = std::fs::remove_file(path);
            return Err(error.into());
        }
        (Err(error), None) => return Err(error.into()),
    };
    if let (Some(mut file), Some(path)) = (file, &args.proof) {
        let text = format!("{proof:#}\n");
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|error| unwritten(path, &error))?;
    }
    output.data(&proof, || {
        format!(
            "{proof:#}\n{} is deleted; nobody gets its short name or its id",
            args.slug.as_str()
        )
    })
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("{} cannot be written: {error}", path.display());
    let there = error.kind() == ErrorKind::AlreadyExists;
    Failure::new(if there { Exit::Refused } else { Exit::Failed }, message)
}

fn words(progress: &Progress) -> String {
    let (done, all) = progress.of;
    format!("[{done}/{all}] {}: {} rows", progress.table, progress.rows)
}

/// What is in an archive, in a few lines.
fn contents(sealed: &Sealed) -> String {
    let totals = &sealed.totals;
    let rows: u64 = totals.tables.values().map(|table| table.rows).sum();
    let (tables, files, bytes) = (totals.tables.len(), totals.files.count, sealed.bytes);
    let mut lines = vec![format!(
        "{rows} rows of {tables} tables, {files} files, {bytes} bytes"
    )];
    if totals.files.missing > 0 {
        let missing = totals.files.missing;
        lines.push(format!("{missing} files were not in the store for files"));
    }
    let sums = totals.control.iter();
    lines.extend(sums.map(|(name, sum)| format!("{name:<20} {sum}")));
    lines.join("\n")
}

fn document(object: &str, file: &Path, sealed: &Sealed) -> Value {
    json!({
        "object": object,
        "file": file.display().to_string(),
        "sha256": sealed.digest,
        "bytes": sealed.bytes,
        "manifest": sealed.manifest,
        "totals": sealed.totals,
    })
}

fn of_restored(restored: &Restored) -> Value {
    let keys = restored.opening.keys.iter();
    let keys: Vec<Value> = keys
        .map(|key| {
            json!({
                "label": key.label,
                "role": key.role.as_str(),
                "merchant_id": key.merchant.map(|id| id.to_string()),
                "last_four": key.last_four,
            })
        })
        .collect();
    let (opening, applications) = (&restored.opening, restored.applications);
    json!({
        "tenant": described(&restored.tenant),
        "sha256": restored.sealed.digest,
        "totals": restored.sealed.totals,
        "keys_ended": keys,
        "second_factors": { "kept": opening.factors, "lost": opening.factors_lost },
        "invitations_ended": opening.invited,
        "application_secrets": { "kept": applications.secrets, "lost": applications.secrets_lost },
        "application_links_ended": applications.links,
        "letters_given_up": applications.letters,
        "messages_given_up": restored.messages,
        "payments_under_way_at_stripe": restored.at_stripe,
        "books": { "holds": restored.broken.is_empty(), "broken": restored.broken },
    })
}

fn in_words(restored: &Restored) -> String {
    let (opening, applications) = (&restored.opening, restored.applications);
    let (slug, hosts) = (restored.tenant.slug.as_str(), &restored.tenant.hosts);
    let mut lines = vec![format!(
        "{slug}: {}, row by row and sum by sum what the archive says",
        restored.tenant.status.as_str()
    )];
    lines.push(if hosts.is_empty() {
        "no host means it yet: give its manifest some, and apply that".to_owned()
    } else {
        format!("hosts: {}", hosts.join(", "))
    });
    lines.push("everybody has to sign in again".to_owned());
    for key in &opening.keys {
        let merchant = key.merchant.map_or_else(String::new, |id| format!(" {id}"));
        let (label, role) = (&key.label, key.role.as_str());
        lines.push(format!("key to be made anew: {label} ({role}{merchant})"));
    }
    let mut told = |count: u64, what: &str| {
        if count > 0 {
            lines.push(format!("{count} {what}"));
        }
    };
    told(
        opening.factors_lost,
        "people set up their second factor again: it was sealed under another secrets.key",
    );
    told(
        applications.secrets_lost,
        "applications without the numbers of identity cards and bank accounts: ask for them again",
    );
    told(
        u64::try_from(opening.invited).unwrap_or(0),
        "people to be invited again: their links open nothing here",
    );
    told(
        applications.links,
        "links of applicants open nothing any more: they ask for another",
    );
    told(
        restored.messages.saturating_add(applications.letters),
        "letters waited in the archive and are not sent",
    );
    told(
        u64::try_from(restored.at_stripe).unwrap_or(0),
        "payments were under way at Stripe: look there before trying them again",
    );
    lines.join("\n")
}

impl From<LifeError> for Failure {
    fn from(error: LifeError) -> Self {
        let exit = match error {
            LifeError::Db(error)
            | LifeError::Archive(ArchiveError::Db(error))
            | LifeError::End(EndError::Db(error)) => return error.into(),
            LifeError::Archive(ArchiveError::Move(error))
            | LifeError::End(EndError::Move(error)) => return error.into(),
            LifeError::Denied(denied) => return denied.into(),
            LifeError::Unknown(_) | LifeError::End(EndError::Unknown(_)) => Exit::NotFound,
            LifeError::Elsewhere(..)
            | LifeError::WrongName { .. }
            | LifeError::NotThis(_)
            | LifeError::End(EndError::NotSuspended(_) | EndError::Gone(_))
            | LifeError::Archive(
                ArchiveError::Form(_)
                | ArchiveError::Newer { .. }
                | ArchiveError::Taken(_)
                | ArchiveError::HostTaken(_)
                | ArchiveError::Pack(PackError::Exists(_)),
            ) => Exit::Refused,
            LifeError::Archive(ArchiveError::Busy(_) | ArchiveError::Pack(PackError::Busy(_)))
            | LifeError::End(EndError::Busy(_)) => Exit::Unavailable,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

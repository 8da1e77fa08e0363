//! What can go wrong with the private cluster, in sentences that say what to do.

use std::path::{Path, PathBuf};

/// Why there is no private cluster to work with.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No programs of PostgreSQL 15 to 18 on this machine.
    #[error(
        "no PostgreSQL 15 to 18 was found. Any one of these helps:\n  \
         deploy/start --only-database                      (gets one that needs no rights)\n  \
         apt-get install postgresql                        (Debian, Ubuntu; or brew install postgresql@18)\n  \
         ROTUNDA_PG_BIN=/path/to/postgresql/bin rotunda …  (one that is installed elsewhere)\n\
         Or set DATABASE_URL to a server that runs already"
    )]
    NotFound,
    /// `ROTUNDA_PG_BIN` names a folder that does not serve.
    #[error(
        "ROTUNDA_PG_BIN is {}, which {problem}. Let it name the folder that holds postgres, initdb \
         and pg_ctl of PostgreSQL 15 to 18, or unset it", bin.display()
    )]
    NamedBinaries {
        /// What the variable says.
        bin: PathBuf,
        /// What is wrong with it, as the end of a sentence.
        problem: String,
    },
    /// The cluster was made by a major version whose programs are not here.
    #[error(
        "the data in {} is of PostgreSQL {major}, and its programs were not found (other majors \
         cannot read it). Install PostgreSQL {major}, or set ROTUNDA_PG_BIN to its bin folder, or \
         start anew in another folder with --data-dir", data.display()
    )]
    MajorMissing {
        /// The cluster's folder.
        data: PathBuf,
        /// The major version that made it.
        major: u32,
    },
    /// Root has nobody to run the server as.
    #[error(
        "PostgreSQL does not run as root, and /etc/passwd has neither a user postgres nor a user \
         nobody. Create one (useradd --system postgres), or run this as an ordinary user"
    )]
    NoAccount,
    /// The folder belongs to somebody else.
    #[error(
        "{} belongs to the user with number {owner}, and a database is worked on by its owner alone. \
         Run this as that user, or choose another folder with --data-dir", folder.display()
    )]
    Owner {
        /// The data folder, or the cluster in it.
        folder: PathBuf,
        /// The user's number.
        owner: u32,
    },
    /// The unprivileged user cannot get to a folder.
    #[error(
        "PostgreSQL does not run as root but as the user {account}, and that user cannot enter {}, \
         which is on the way to {}. Choose a folder that it can reach (--data-dir /var/lib/rotunda \
         will do), or open the way", blocked.display(), wanted.display()
    )]
    Unreachable {
        /// The user's name.
        account: String,
        /// The folder that stops it.
        blocked: PathBuf,
        /// Where it has to get to.
        wanted: PathBuf,
    },
    /// A path that PostgreSQL's own tools would misread.
    #[error(
        "the data folder {} has a quote, a dollar sign, a backslash, a line break or a byte that is \
         not UTF-8 in its path; choose another with --data-dir", folder.display()
    )]
    OddPath {
        /// The folder.
        folder: PathBuf,
    },
    /// Another process holds the start lock for ever.
    #[error(
        "another process has been starting or stopping the database for more than ten minutes (it \
         holds {}); see what it waits for, or end it, and try again", lock.display()
    )]
    Busy {
        /// The lock's file.
        lock: PathBuf,
    },
    /// The password file is gone, and the cluster is not.
    #[error(
        "{} is missing, so nobody can sign in to the database beside it. Put the file back from \
         your backup, or start anew in another folder with --data-dir", file.display()
    )]
    NoCredentials {
        /// Where the file should be.
        file: PathBuf,
    },
    /// One of PostgreSQL's programs failed.
    #[error("{program} failed: {said}\nThe server's own words are in {}", log.display())]
    Program {
        /// Which one.
        program: &'static str,
        /// The last lines of what it printed.
        said: String,
        /// The server's log.
        log: PathBuf,
    },
    /// The command to run beside the cluster could not be started.
    #[error("cannot run {command}: {source}. Check its name and that it is on the PATH")]
    Command {
        /// As it was given.
        command: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file could not be worked with.
    #[error("cannot {act} {}: {source}. Check who owns it and that the disk has room, or choose \
             another folder with --data-dir", path.display())]
    Io {
        /// What was tried, a verb.
        act: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The program was ending while it worked on the cluster.
    #[error("the work on the database was interrupted; run the command again")]
    Interrupted,
}

/// Puts the act and the path to an input or output error.
pub(super) fn io(act: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> EmbeddedError {
    let path = path.to_path_buf();
    move |source| EmbeddedError::Io { act, path, source }
}

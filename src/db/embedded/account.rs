//! Whose process the server is: the caller's own, or, where the caller is root, somebody who can
//! do less.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::error::{EmbeddedError, io};

/// Users that root may run the server as, the first that exists.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// The user that the server and its tools run as.
#[derive(Debug, Clone)]
pub(super) struct Account {
    name: String,
    /// User and group number to change to; `None` is the caller itself.
    becomes: Option<(u32, u32)>,
}

impl Account {
    /// Whoever owns the cluster in `data`; where there is none yet, the caller, or for root an
    /// unprivileged user.
    pub(super) fn of(data: &Path) -> Result<Self, EmbeddedError> {
        let caller = own_number();
        let owner = fs::metadata(data)
            .ok()
            .map(|found| (found.uid(), found.gid()));
        match (caller, owner) {
            (0, Some((owner, _))) if owner == 0 => Err(EmbeddedError::Owner {
                folder: data.to_path_buf(),
                owner,
            }),
            (0, Some((uid, gid))) => {
                let known = |line: &PasswdLine| line.uid == uid;
                let name = passwd(known).map_or_else(|| uid.to_string(), |line| line.name);
                Ok(Self {
                    name,
                    becomes: Some((uid, gid)),
                })
            }
            (0, None) => Self::unprivileged(),
            (caller, Some((owner, _))) if owner != caller => Err(EmbeddedError::Owner {
                folder: data.to_path_buf(),
                owner,
            }),
            _ => Ok(Self {
                name: "you".to_owned(),
                becomes: None,
            }),
        }
    }

    fn unprivileged() -> Result<Self, EmbeddedError> {
        let found = UNPRIVILEGED
            .iter()
            .find_map(|name| passwd(|line| line.name == *name));
        let line = found.ok_or(EmbeddedError::NoAccount)?;
        Ok(Self {
            name: line.name,
            becomes: Some((line.uid, line.gid)),
        })
    }

    /// A command that runs as this user, with nothing of the caller's environment but the paths.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null());
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some((uid, gid)) = self.becomes {
            // The standard library clears root's other groups when it changes the user.
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Gives a file or folder to this user.
    pub(super) fn take(&self, path: &Path) -> Result<(), EmbeddedError> {
        match self.becomes {
            Some((uid, gid)) => chown(path, Some(uid), Some(gid)).map_err(io("give away", path)),
            None => Ok(()),
        }
    }

    /// Checks that this user can enter `folder`, and names the folder on the way that stops it.
    pub(super) fn check_way_to(&self, folder: &Path) -> Result<(), EmbeddedError> {
        if self.becomes.is_none() || self.enters(folder) {
            return Ok(());
        }
        let mut way: Vec<&Path> = folder.ancestors().collect();
        way.reverse();
        let blocked = way
            .into_iter()
            .find(|step| !self.enters(step))
            .unwrap_or(folder);
        Err(EmbeddedError::Unreachable {
            account: self.name.clone(),
            blocked: blocked.to_path_buf(),
            wanted: folder.to_path_buf(),
        })
    }

    fn enters(&self, folder: &Path) -> bool {
        let mut command = self.command("/bin/sh");
        command
            .args(["-c", "cd -- \"$1\"", "sh"])
            .arg(folder)
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

/// Checks that root works only in a folder of its own: what it writes and gives away in somebody
/// else's folder could be led astray by a link.
pub(super) fn check_owner(folder: &Path) -> Result<(), EmbeddedError> {
    let owner = fs::metadata(folder).map_err(io("look at", folder))?.uid();
    if owner != 0 && is_root() {
        return Err(EmbeddedError::Owner {
            folder: folder.to_path_buf(),
            owner,
        });
    }
    Ok(())
}

/// Whether this process may do everything.
pub(super) fn is_root() -> bool {
    own_number() == 0
}

/// The caller's effective user number, from `id -u`: the standard library has no call for it.
fn own_number() -> u32 {
    let output = Command::new("id").arg("-u").stdin(Stdio::null()).output();
    let text = output.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    text.ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(u32::MAX)
}

struct PasswdLine {
    name: String,
    uid: u32,
    gid: u32,
}

/// The first line of `/etc/passwd` that `wanted` accepts.
fn passwd(wanted: impl Fn(&PasswdLine) -> bool) -> Option<PasswdLine> {
    let text = fs::read_to_string("/etc/passwd").ok()?;
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some(PasswdLine { name, uid, gid })
        })
        .find(wanted)
}

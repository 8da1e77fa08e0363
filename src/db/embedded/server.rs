//! The cluster itself: made once, started, stopped.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::account::{Account, check_owner};
use super::error::{EmbeddedError, io};
use super::find::{Binaries, existing_data, find_binaries};
use super::read_if_there;

/// The superuser of the cluster.
pub(super) const ADMIN: &str = "rotunda_admin";
/// The database in it.
pub(super) const DATABASE: &str = "rotunda";

/// Seconds that a start may take: a recovery after a crash replays up to 2 GB of log.
const START_SECONDS: u64 = 600;
/// Seconds that a fast stop may take: it writes out what is in memory.
const STOP_SECONDS: u64 = 120;
/// How often a start is tried: the port may be taken in between, and the children of a server
/// that was killed need a moment to end.
const START_TRIES: u32 = 6;
/// The log is put aside at a start when it is longer than this many bytes.
const LOG_BYTES: u64 = 16 * 1024 * 1024;

/// What must hold whatever the cluster's own settings say, so it is given at every start.
const FIXED: &str = "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=on \
                     -c full_page_writes=on -c synchronous_commit=on \
                     -c timezone=UTC -c log_timezone=UTC";

/// What a new cluster begins with; the owner may change it.
const SETTINGS: &str = "
# --- Rotunda's choice for a new cluster; change it as the machine allows
cluster_name = 'rotunda'
max_connections = 200
shared_buffers = 256MB
max_wal_size = 2GB
jit = off
password_encryption = scram-sha-256
log_line_prefix = '%m [%p] %q%u@%d '
";

/// One cluster in its data folder.
#[derive(Debug)]
pub(super) struct Server {
    folder: PathBuf,
    data: PathBuf,
    log: PathBuf,
    binaries: Binaries,
    account: Account,
}

/// Creates the data folder where it is new, and gives its one true path.
pub(super) fn open_folder(folder: &Path) -> Result<PathBuf, EmbeddedError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(folder)
        .map_err(io("create", folder))?;
    let folder = fs::canonicalize(folder).map_err(io("find", folder))?;
    check_owner(&folder)?;
    let odd = |text: &str| text.contains(['"', '\'', '`', '$', '\\', '\n']);
    if folder.to_str().is_none_or(odd) {
        return Err(EmbeddedError::OddPath { folder });
    }
    Ok(folder)
}

impl Server {
    /// Finds the programs and the user for the cluster, and makes the cluster where it is new.
    /// The caller holds the start lock.
    pub(super) fn prepare(folder: PathBuf) -> Result<Self, EmbeddedError> {
        let binaries = find_binaries(&folder)?;
        let data = folder.join(format!("data-{}", binaries.major));
        let account = Account::of(&data)?;
        account.check_way_to(&folder)?;
        account.check_way_to(&binaries.bin)?;
        let log = folder.join("postgres.log");
        let server = Self {
            folder,
            data,
            log,
            binaries,
            account,
        };
        if existing_data(&server.folder).is_none() {
            server.create()?;
        }
        Ok(server)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn log_file(&self) -> &Path {
        &self.log
    }

    /// The superuser's password, as it was made with the cluster.
    pub(super) fn password(&self) -> Result<String, EmbeddedError> {
        let file = self.folder.join("credentials");
        let text = read_if_there(&file)?.ok_or(EmbeddedError::NoCredentials { file })?;
        Ok(text.trim().to_owned())
    }

    /// Makes the cluster beside its place and moves it there when it is whole, so that an
    /// interrupted attempt leaves nothing that looks like a cluster.
    fn create(&self) -> Result<(), EmbeddedError> {
        let fresh = self
            .folder
            .join(format!("data-{}.new", self.binaries.major));
        if fresh.exists() {
            fs::remove_dir_all(&fresh).map_err(io("remove", &fresh))?;
        }
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&fresh)
            .map_err(io("create", &fresh))?;
        self.account.take(&fresh)?;
        let password = new_password()?;
        self.initdb(&fresh, &password)?;
        self.write_settings(&fresh)?;
        self.create_database(&fresh)?;
        write_private(&self.folder.join("credentials"), &password)?;
        fs::rename(&fresh, &self.data).map_err(io("rename", &fresh))?;
        let folder = File::open(&self.folder).map_err(io("open", &self.folder))?;
        folder.sync_all().map_err(io("sync", &self.folder))
    }

    fn initdb(&self, fresh: &Path, password: &str) -> Result<(), EmbeddedError> {
        // A file of its own, because the unprivileged user must be able to read it.
        let handover = self.folder.join("credentials.new");
        write_private(&handover, password)?;
        self.account.take(&handover)?;
        let mut command = self.tool("initdb");
        command
            .arg("-D")
            .arg(fresh)
            .args(["-U", ADMIN, "--auth=scram-sha-256"]);
        command.arg(format!("--pwfile={}", handover.display()));
        command.args(["--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"]);
        command.arg("--no-instructions");
        if self.binaries.major >= 17 {
            command.args(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]);
        }
        let done = self.finish("initdb", &mut command, None);
        fs::remove_file(&handover).map_err(io("remove", &handover))?;
        done
    }

    /// Written by the server's own user: root writes no file in a folder that somebody else owns.
    fn write_settings(&self, fresh: &Path) -> Result<(), EmbeddedError> {
        let mut command = self.account.command("/bin/sh");
        command
            .args(["-c", "cat >> \"$1\"", "sh"])
            .arg(fresh.join("postgresql.conf"));
        self.finish("sh", &mut command, Some(SETTINGS))
    }

    /// Without a server, because PostgreSQL as npm carries it has no client.
    fn create_database(&self, fresh: &Path) -> Result<(), EmbeddedError> {
        let mut command = self.tool("postgres");
        command.args(["--single", "-D"]).arg(fresh);
        command.args(["-c", "exit_on_error=true", "postgres"]);
        self.finish(
            "postgres",
            &mut command,
            Some(&format!("create database {DATABASE};\n")),
        )
    }

    /// Starts the server where it is down, and gives its port. The caller holds the start lock.
    pub(super) fn start(&self) -> Result<u16, EmbeddedError> {
        if let Some(port) = self.running()? {
            return Ok(port);
        }
        self.open_log()?;
        let mut tries = 0;
        loop {
            let port = self.free_port()?;
            tries += 1;
            match self.start_on(port) {
                Ok(()) => return self.remember(port),
                Err(error) if tries >= START_TRIES => return Err(error),
                Err(_) => thread::sleep(Duration::from_millis(300) * tries),
            }
        }
    }

    fn start_on(&self, port: u16) -> Result<(), EmbeddedError> {
        let mut command = self.tool("pg_ctl");
        command
            .arg("start")
            .arg("-D")
            .arg(&self.data)
            .arg("-l")
            .arg(&self.log);
        // pg_ctl gives the server a session of its own: a Ctrl-C in the terminal does not reach it.
        command.args(["-w", "-s", "-t", &START_SECONDS.to_string()]);
        command.arg("-o").arg(format!("-p {port} {FIXED}"));
        self.finish("pg_ctl start", &mut command, None)
    }

    /// Stops the server where it runs; sessions are ended, what was committed is kept. The caller
    /// holds the start lock.
    pub(super) fn stop(&self) -> Result<(), EmbeddedError> {
        if self.running()?.is_none() {
            return Ok(());
        }
        let mut command = self.tool("pg_ctl");
        command.arg("stop").arg("-D").arg(&self.data);
        command.args(["-m", "fast", "-w", "-s", "-t", &STOP_SECONDS.to_string()]);
        self.finish("pg_ctl stop", &mut command, None)
    }

    /// The port of the server that runs in this folder, once it takes connections.
    ///
    /// A server that was killed leaves its process number behind, and the number may by now be
    /// somebody else's; then the note is removed, as PostgreSQL itself would refuse to start.
    fn running(&self) -> Result<Option<u16>, EmbeddedError> {
        let note = self.data.join("postmaster.pid");
        let since = Instant::now();
        loop {
            let Some(text) = read_if_there(&note)? else {
                return Ok(None);
            };
            match self.whose(text.lines().next().unwrap_or_default()) {
                Process::Gone => return Ok(None),
                Process::Stranger => {
                    fs::remove_file(&note).map_err(io("remove", &note))?;
                    return Ok(None);
                }
                Process::Server => {}
            }
            // Line 4 is the port, line 8 the state.
            let port = text
                .lines()
                .nth(3)
                .and_then(|port| port.trim().parse().ok());
            let ready = text
                .lines()
                .nth(7)
                .is_some_and(|state| state.trim() == "ready");
            if let (Some(port), true) = (port, ready) {
                return Ok(Some(port));
            }
            if since.elapsed() > Duration::from_secs(START_SECONDS) {
                let said = "the server has been coming up or going down for ten minutes".to_owned();
                return Err(self.failed("postgres", said));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Who has the process number that the server left in its folder. The server works in its
    /// data folder, so its current folder tells it from everybody else.
    fn whose(&self, pid: &str) -> Process {
        let process = Path::new("/proc").join(pid.trim().trim_start_matches('-'));
        if !Path::new("/proc/self").exists() {
            let mut status = self.tool("pg_ctl");
            status
                .arg("status")
                .arg("-D")
                .arg(&self.data)
                .stdout(Stdio::null());
            let up = status.status().is_ok_and(|status| status.success());
            return if up { Process::Server } else { Process::Gone };
        }
        if !process.exists() {
            return Process::Gone;
        }
        let here = fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == self.data);
        if here {
            Process::Server
        } else {
            Process::Stranger
        }
    }

    /// The port of the last start where it is free, else any free one.
    fn free_port(&self) -> Result<u16, EmbeddedError> {
        let last = read_if_there(&self.folder.join("port"))?;
        let last = last.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let address = |port: u16| ("127.0.0.1", port);
        let listener = TcpListener::bind(address(last)).or_else(|_| TcpListener::bind(address(0)));
        let local = listener.and_then(|listener| listener.local_addr());
        Ok(local
            .map_err(io("find a free port for", &self.folder))?
            .port())
    }

    fn remember(&self, port: u16) -> Result<u16, EmbeddedError> {
        let file = self.folder.join("port");
        fs::write(&file, format!("{port}\n")).map_err(io("write", &file))?;
        Ok(port)
    }

    fn open_log(&self) -> Result<(), EmbeddedError> {
        if fs::metadata(&self.log).is_ok_and(|log| log.len() > LOG_BYTES) {
            let old = self.log.with_extension("log.1");
            fs::rename(&self.log, &old).map_err(io("rename", &self.log))?;
        }
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        options.open(&self.log).map_err(io("open", &self.log))?;
        self.account.take(&self.log)
    }

    fn tool(&self, name: &str) -> Command {
        self.account.command(self.binaries.bin.join(name))
    }

    /// Runs a command to its end, with `input` on its standard input.
    fn finish(
        &self,
        program: &'static str,
        command: &mut Command,
        input: Option<&str>,
    ) -> Result<(), EmbeddedError> {
        let output =
            run(command, input).map_err(|error| self.failed(program, error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        Err(self.failed(program, last_lines(&said)))
    }

    fn failed(&self, program: &'static str, said: String) -> EmbeddedError {
        EmbeddedError::Program {
            program,
            said,
            log: self.log.clone(),
        }
    }
}

enum Process {
    Server,
    Stranger,
    Gone,
}

fn run(command: &mut Command, input: Option<&str>) -> std::io::Result<Output> {
    let Some(input) = input else {
        return command.output();
    };
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    child.wait_with_output()
}

/// The last eight lines, where programs say why they stopped.
fn last_lines(text: &str) -> String {
    let mut lines: Vec<&str> = text.trim().lines().rev().take(8).collect();
    lines.reverse();
    lines.join("\n")
}

/// 256 random bits in hexadecimal, so that it needs no escaping in an address.
fn new_password() -> Result<String, EmbeddedError> {
    let source = Path::new("/dev/urandom");
    let (mut first, mut second) = ([0_u8; 16], [0_u8; 16]);
    let mut random = File::open(source).map_err(io("open", source))?;
    random.read_exact(&mut first).map_err(io("read", source))?;
    random.read_exact(&mut second).map_err(io("read", source))?;
    Ok(format!(
        "{:032x}{:032x}",
        u128::from_ne_bytes(first),
        u128::from_ne_bytes(second)
    ))
}

/// Writes a file that only its owner may read, and makes it last.
fn write_private(path: &Path, text: &str) -> Result<(), EmbeddedError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).map_err(io("open", path))?;
    file.set_permissions(Permissions::from_mode(0o600))
        .map_err(io("protect", path))?;
    writeln!(file, "{text}")
        .and_then(|()| file.sync_all())
        .map_err(io("write", path))
}

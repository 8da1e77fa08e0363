//! PostgreSQL and the server as child processes.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    str::FromStr,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use rotunda::{
    app::App,
    config::{Config, Given},
    db::{
        embedded::{Cluster, find_binaries},
        tenants::Schema,
    },
    kernel::{ids::Entropy, time::Clock},
};
use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};

use crate::support::{
    fresh_slug,
    till::{Opened, Till},
};

/// Longer than a start, a recovery or an end takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the product gives its own cluster at every start; the rest is in the cluster's settings.
const FIXED: [&str; 6] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=on",
    "full_page_writes=on",
    "synchronous_commit=on",
    "timezone=UTC",
];

/// A cluster of the test's own.
///
/// The product makes it: its programs, its user, its settings. But the test starts it, because
/// the process must be the test's child: the child that was killed is waited for, and not left
/// behind as a zombie whose number the next start finds in the lock file and believes alive.
pub struct Postgres {
    folder: PathBuf,
    data: PathBuf,
    bin: PathBuf,
    port: u16,
    pub url: String,
    child: Option<Child>,
}

impl Postgres {
    /// A new cluster that runs.
    pub async fn create() -> Self {
        let folder = std::env::temp_dir().join(format!("rotunda-faults-{}", fresh_slug()));
        let made = Cluster::share(&folder).await.unwrap();
        let admin = made.admin_url();
        made.release().await.unwrap();
        let found = find_binaries(&folder).unwrap();
        let port = free_port();
        let (login, rest) = admin.rsplit_once(':').unwrap();
        let (_, database) = rest.split_once('/').unwrap();
        let mut postgres = Self {
            data: folder.join(format!("data-{}", found.major)),
            bin: found.bin,
            url: format!("{login}:{port}/{database}"),
            folder,
            port,
            child: None,
        };
        postgres.start().await;
        postgres
    }

    /// Starts it, and comes back when it takes connections.
    pub async fn start(&mut self) {
        let since = Instant::now();
        let options = PgConnectOptions::from_str(&self.url).unwrap();
        loop {
            assert!(since.elapsed() < PATIENCE, "{}", self.said());
            let mut child = match self.child.take() {
                Some(child) => child,
                None => self.spawn(),
            };
            // One that ended at once is started again: what was killed before it may still hold
            // on to its memory for a moment.
            if child.try_wait().unwrap().is_none() {
                self.child = Some(child);
                if options.connect().await.is_ok() {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn spawn(&self) -> Child {
        let mut log = File::options();
        let log = log.append(true).create(true);
        let log = log.open(self.folder.join("faults.log")).unwrap();
        let mut command = Command::new(self.bin.join("postgres"));
        command.arg("-D").arg(&self.data);
        command.args(["-p", &self.port.to_string()]);
        for setting in FIXED {
            command.args(["-c", setting]);
        }
        command.env_clear().env("LC_ALL", "C").current_dir("/");
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        // Root gave the data to somebody who can do less, and PostgreSQL runs as that one.
        let (own, theirs) = (
            fs::metadata(&self.folder).unwrap(),
            fs::metadata(&self.data).unwrap(),
        );
        if own.uid() != theirs.uid() {
            command.uid(theirs.uid()).gid(theirs.gid());
        }
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        command.spawn().unwrap()
    }

    /// `kill -9` of every process of it at once. Each of them leads a group of its own, so they are
    /// named one by one; the first one is held still meanwhile, so that it makes no more.
    pub fn kill(&mut self) {
        let Some(mut first) = self.child.take() else {
            return;
        };
        signal("-STOP", &[first.id()]);
        let mut all = children_of(first.id());
        all.push(first.id());
        signal("-KILL", &all);
        first.wait().unwrap();
        let since = Instant::now();
        while all.iter().any(|pid| lives(*pid)) {
            assert!(since.elapsed() < PATIENCE, "still alive: {all:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// How often its log says something.
    pub fn has_said(&self, words: &str) -> usize {
        let text = fs::read_to_string(self.folder.join("faults.log")).unwrap_or_default();
        text.matches(words).count()
    }

    /// The end of its log.
    fn said(&self) -> String {
        let text = fs::read_to_string(self.folder.join("faults.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A port that nobody listens on, and that the system gives to no client while PostgreSQL is down:
/// those are above 32768.
fn free_port() -> u16 {
    let first = u16::from_ne_bytes(Entropy::System.bytes()) % 12_000;
    (0..1000)
        .map(|next| 20_000 + (first + next) % 12_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("no free port from 20000 to 32000")
}

/// Sends a signal by the shell's own `kill`; who is gone already is no mistake.
fn signal(signal: &str, pids: &[u32]) {
    let mut command = Command::new("sh");
    command.args(["-c", "kill \"$@\" 2>&-", "sh", signal]);
    command.args(pids.iter().map(ToString::to_string));
    command.status().unwrap();
}

/// The state and the parent of a process, from `/proc`.
fn stat(pid: u32) -> Option<(String, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let mut rest = text.rsplit_once(')')?.1.split_whitespace();
    Some((rest.next()?.to_owned(), rest.next()?.parse().ok()?))
}

fn children_of(parent: u32) -> Vec<u32> {
    let numbers = fs::read_dir("/proc").unwrap();
    let numbers = numbers.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    numbers
        .filter(|pid| stat(*pid).is_some_and(|(_, found)| found == parent))
        .collect()
}

/// Whether it runs; whoever only waits to be noticed holds nothing any more.
fn lives(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != "Z" && state != "X")
}

/// A command of the product on that database.
fn command(url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rotunda"));
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("ROTUNDA_"))
        {
            command.env_remove(name);
        }
    }
    command.env("DATABASE_URL", url).args(args);
    command.env("ROTUNDA_LOG", "warn").stdin(Stdio::null());
    command
}

/// `rotunda serve`.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    said: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts it on a free port, and comes back when it listens.
    pub fn start(url: &str) -> Self {
        Self::start_at(url, "127.0.0.1:0", &[])
    }

    /// As [`Server::start`], at that address and with those settings in its environment.
    pub fn start_at(url: &str, address: &str, settings: &[(&str, &str)]) -> Self {
        let mut serve = command(url, &["serve", "--listen", address, "--no-color"]);
        serve.envs(settings.iter().copied());
        serve.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = serve.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = Arc::<Mutex<Vec<String>>>::default();
        let keeps = Arc::clone(&said);
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once("listens on http://") {
                    let address = rest.split(' ').next().unwrap_or_default().parse();
                    let _ = tell.send(address.unwrap());
                }
                keeps.lock().unwrap().push(line);
            }
        });
        let address = told.recv_timeout(PATIENCE);
        let address = address.unwrap_or_else(|_| panic!("{:?}", said.lock().unwrap()));
        Self {
            child,
            address,
            said,
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        signal("-TERM", &[self.child.id()]);
    }

    /// Waits until it ends, and says whether it was content.
    pub async fn ends(&mut self) -> bool {
        let since = Instant::now();
        loop {
            if let Some(ended) = self.child.try_wait().unwrap() {
                return ended.success();
            }
            assert!(since.elapsed() < PATIENCE, "{:?}", self.said.lock());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Its resident memory in bytes.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
        kilobytes.parse::<u64>().unwrap() * 1024
    }

    /// That it still is the process that was started.
    pub fn assert_runs(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(
            ended.is_none(),
            "{ended:?}: {:?}",
            self.said.lock().unwrap()
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A mall on a server and a database of its own.
pub struct Place {
    // The server is dropped before its database.
    pub server: Server,
    pub postgres: Postgres,
    pub till: Till,
    app: App,
    opened: Opened,
}

impl Place {
    pub async fn open() -> Self {
        let postgres = Postgres::create().await;
        let env = |name: &str| (name == "DATABASE_URL").then(|| postgres.url.clone());
        let config = Config::load(Given::default(), None, env).unwrap();
        let app = App::open_with(config, Clock::System, Entropy::System);
        let app = app.await.unwrap();
        app.db.prepare().await.unwrap();
        let opened = Opened::by(&app).await;
        let key = opened.key(&app, "machine.erp").await;
        let server = Server::start(&postgres.url);
        let till = Till::new(server.address, &opened.host, key).enters().await;
        Self {
            server,
            postgres,
            till,
            app,
            opened,
        }
    }

    /// The same till with another key.
    pub async fn till_as(&self, role: &str) -> Till {
        Till {
            key: self.opened.key(&self.app, role).await,
            ..self.till.clone()
        }
    }

    /// A till in another mall on the same server.
    pub async fn other_mall(&self) -> Till {
        let opened = Opened::by(&self.app).await;
        let key = opened.key(&self.app, "machine.erp").await;
        Till::new(self.server.address, &opened.host, key)
            .enters()
            .await
    }

    /// Another server process in place of the one that is no more.
    pub fn serve_again(&mut self) {
        let url = self.postgres.url.clone();
        self.serve_through(&url);
    }

    /// Another server process at the very address of the one that is no more.
    pub fn serve_there_again(&mut self) {
        let address = self.server.address.to_string();
        self.server = Server::start_at(&self.postgres.url, &address, &[]);
    }

    /// Another server process that gives a balancer so many seconds at a stop.
    pub fn serve_draining(&mut self, seconds: &str) {
        let settings = [("ROTUNDA_DRAIN_SECONDS", seconds)];
        self.server = Server::start_at(&self.postgres.url, "127.0.0.1:0", &settings);
        self.till.server = self.server.address.to_string();
    }

    /// Another server process in its place that reaches the database by that URL.
    pub fn serve_through(&mut self, url: &str) {
        self.server = Server::start(url);
        self.till.server = self.server.address.to_string();
    }

    /// A connection that sees the mall's tables as the mall's own role does.
    pub async fn tenant(&self) -> PgConnection {
        let schema = Schema::of(self.opened.mall.tenant.id).to_string();
        PgConnectOptions::from_str(&self.postgres.url)
            .unwrap()
            .options([("search_path", &schema), ("role", &schema)])
            .connect()
            .await
            .unwrap()
    }

    /// A connection as the owner that sees the mall's tables.
    pub async fn tenant_owner(&self) -> PgConnection {
        let schema = Schema::of(self.opened.mall.tenant.id).to_string();
        let options = PgConnectOptions::from_str(&self.postgres.url).unwrap();
        let options = options.options([("search_path", &schema)]);
        options.connect().await.unwrap()
    }

    /// A connection as the owner of everything.
    pub async fn admin(&self) -> PgConnection {
        let options = PgConnectOptions::from_str(&self.postgres.url).unwrap();
        options.connect().await.unwrap()
    }

    /// A command of the product about this mall.
    pub fn run(&self, args: &[&str]) -> Output {
        let mut command = command(&self.postgres.url, args);
        command.args(["--tenant", &self.opened.slug]);
        command.output().unwrap()
    }

    /// That the books of this mall hold, by the product's own proof.
    pub fn prove(&self) {
        let proof = self.run(&["books", "verify"]);
        let said = [proof.stdout, proof.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(proof.status.success(), "{said}");
    }

    /// A file beside the cluster, which goes away with it.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path: &Path = &self.postgres.folder;
        let path = path.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

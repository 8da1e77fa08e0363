//! A private cluster, the program's own code on it, and servers as processes of their own.

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rotunda::{
    app::App,
    authz::{
        action::{Action, VerifyBooks},
        actor::Principal,
        grant::Grant,
    },
    config::{Config, Given},
    db::{
        embedded::{Cluster, find_binaries},
        tenants::Schema,
    },
    kernel::{
        ids::{Entropy, TenantId},
        time::Clock,
    },
    reports::proof::prove,
};
use sqlx::{Connection, PgConnection};

use super::load;

/// How often a starting server is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// What goes away at the end of the run, whatever way it ends.
pub struct Site {
    pub app: App,
    pub folder: PathBuf,
    pub url: String,
    cluster: Cluster,
}

impl Site {
    pub async fn open() -> Self {
        let folder = std::env::temp_dir().join(format!("rotunda-bench-{}", std::process::id()));
        let cluster = Cluster::share(&folder).await.unwrap();
        let url = cluster.admin_url();
        let app = open_app(url.clone()).await;
        app.db.prepare().await.unwrap();
        Self {
            app,
            folder,
            url,
            cluster,
        }
    }

    /// A program of PostgreSQL's.
    pub fn tool(&self, name: &str) -> PathBuf {
        let program = find_binaries(&self.folder).unwrap().bin.join(name);
        assert!(program.exists(), "{} is missing", program.display());
        program
    }

    /// A new, empty database on the same server; its URL.
    pub async fn database(&self, name: &str) -> String {
        self.execute(&format!("create database {name}")).await;
        let (server, _) = self.url.rsplit_once('/').unwrap();
        format!("{server}/{name}?sslmode=disable")
    }

    /// Runs SQL as the owner.
    pub async fn execute(&self, sql: &str) {
        let mut admin = PgConnection::connect(&self.url).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut admin)
            .await
            .unwrap();
    }

    /// Purchases and spends that the database holds in these schemas.
    pub async fn stored(&self, schemas: &[String]) -> u64 {
        let mut admin = PgConnection::connect(&self.url).await.unwrap();
        let mut all = 0;
        for schema in schemas {
            let sql = format!(
                "select (select count(*) from {schema}.purchase) \
                 + (select count(*) from {schema}.spend)"
            );
            let found: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                .fetch_one(&mut admin)
                .await
                .unwrap();
            all += u64::try_from(found).unwrap();
        }
        all
    }

    pub fn grant<A: Action>(&self, tenant: TenantId) -> Grant<A> {
        let vendor = Principal::platform(Some(tenant));
        self.app.policy.allow::<A>(&vendor).unwrap()
    }

    /// Proves a mall's books; how many checks that took.
    pub async fn prove(&self, tenant: TenantId) -> usize {
        let grant = self.grant::<VerifyBooks>(tenant);
        let mut tx = self.app.db.read(&grant).await.unwrap();
        let checks = prove(&mut tx, &grant).await.unwrap();
        let broken: Vec<_> = checks.iter().filter(|check| !check.holds).collect();
        assert!(broken.is_empty(), "{}: {broken:?}", Schema::of(tenant));
        checks.len()
    }
}

/// Every way out takes the cluster and its folder away.
impl Drop for Site {
    fn drop(&mut self) {
        let _ = &self.cluster;
        let stop =
            "kill $(head -n 1 \"$0\"/data-*/postmaster.pid) 2>/dev/null; sleep 1; rm -rf \"$0\"";
        drop(
            Command::new("sh")
                .arg("-c")
                .arg(stop)
                .arg(&self.folder)
                .status(),
        );
    }
}

/// The program's own code on that database.
pub async fn open_app(url: String) -> App {
    let env = |name: &str| (name == "DATABASE_URL").then(|| url.clone());
    let config = Config::load(Given::default(), None, env).unwrap();
    App::open_with(config, Clock::System, Entropy::System)
        .await
        .unwrap()
}

/// A process that listens; it ends with its owner.
pub struct Server {
    pub address: SocketAddr,
    child: Child,
}

impl Server {
    /// The release binary.
    pub async fn rotunda(site: &Site) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rotunda"));
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        Self::start(command, &site.url, &site.folder.join("server.log")).await
    }

    /// This program in another role.
    pub async fn own(site: &Site, role: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(role);
        let log = format!("{}.log", role.trim_start_matches('-'));
        Self::start(command, &site.url, &site.folder.join(log)).await
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Starts the release binary, and how long it took until `/readyz` said 200.
    pub async fn ready(site: &Site) -> (Self, Duration) {
        let begin = Instant::now();
        let server = Self::rotunda(site).await;
        while load::get(server.address, "/readyz").await != Some(200) {
            assert!(begin.elapsed() < Duration::from_mins(1), "not ready");
            tokio::time::sleep(LOOK).await;
        }
        (server, begin.elapsed())
    }

    /// Where it listens, it says in its log.
    async fn start(mut command: Command, url: &str, log: &Path) -> Self {
        let mut child = command
            .env("DATABASE_URL", url)
            .stdout(Stdio::null())
            .stderr(File::create(log).unwrap())
            .spawn()
            .unwrap();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(30) {
            let said = std::fs::read_to_string(log).unwrap();
            let address = said.split_once("address=").and_then(|(_, rest)| {
                let (address, _) = rest.split_once('\n')?;
                address.parse().ok()
            });
            if let Some(address) = address {
                return Self { address, child };
            }
            tokio::time::sleep(LOOK).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let log = log.display();
        panic!("a server does not say where it listens; its log is {log}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

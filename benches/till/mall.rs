//! A mall of 50 merchants and 10,000 members with points, behind a server of its own.

use std::{
    fmt::Write as _,
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rotunda::{
    app::App,
    authz::{
        action::{Action, CreateKey, EnrolMember, RecordPurchase, VerifyBooks},
        actor::{Principal, Role},
        grant::Grant,
    },
    cli::tenant::apply,
    config::{Config, Given},
    db::embedded::Cluster,
    earning::{self, Item, line::Line},
    identity::{self, NewKey},
    kernel::{
        ids::{Entropy, MemberId, StoreId},
        text::CardNumber,
        time::Clock,
    },
    members, merchants,
    reports::proof::prove,
};
use secrecy::ExposeSecret;

use super::load::{Dice, Request};

pub const MEMBERS: usize = 10_000;
const MERCHANTS: usize = 50;
const HOST: &str = "bench.localhost";

/// Points that each member has at the begin, in one lot; the first has enough for all.
const PLENTY: i64 = 1_000_000;

const MANIFEST: &str = r#"
slug = "bench"
names = { en = "Bench" }
languages = ["en"]
time_zone = "UTC"
currency = "USD"
calling_code = "1"
hosts = ["bench.localhost"]
[earning]
[[earning.rules]]
code = "base"
points = 1
per = "1.00"
[expiry]
policy = "rolling_month"
months = 12
[spending]
points = 100
worth = "1.00"
most_share = "1"
[settlement]
model = "bilateral"
points = 100
worth = "1.00"
"#;

pub struct Mall {
    pub address: SocketAddr,
    pub stores: Vec<StoreId>,
    members: Vec<MemberId>,
    key: String,
    app: App,
    opened: rotunda::app::Mall,
    cluster: Cluster,
    folder: PathBuf,
    url: String,
    server: Child,
    clients: AtomicU64,
}

impl Mall {
    pub async fn open() -> Self {
        let folder = std::env::temp_dir().join(format!("rotunda-bench-{}", std::process::id()));
        let cluster = Cluster::share(&folder).await.unwrap();
        let url = cluster.admin_url();
        let env = |name: &str| (name == "DATABASE_URL").then(|| url.clone());
        let config = Config::load(Given::default(), None, env).unwrap();
        let app = App::open_with(config, Clock::System, Entropy::System)
            .await
            .unwrap();
        app.db.prepare().await.unwrap();
        let file = folder.join("bench.toml");
        std::fs::write(&file, manifest()).unwrap();
        apply(&app, &file).await.unwrap();
        let mall = app.mall_of("bench").await.unwrap();
        let (server, address) = serve(&url, &folder).await;
        let mut opened = Self {
            address,
            stores: Vec::new(),
            members: Vec::new(),
            key: String::new(),
            app,
            opened: mall,
            cluster,
            folder,
            url,
            server,
            clients: AtomicU64::new(1),
        };
        opened.fill().await;
        opened
    }

    pub fn cluster(&self) -> (&Cluster, &Path) {
        (&self.cluster, &self.folder)
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn server_process(&self) -> u32 {
        self.server.id()
    }

    pub fn next_client(&self) -> u64 {
        self.clients.fetch_add(1, Ordering::Relaxed)
    }

    fn grant<A: Action>(&self) -> Grant<A> {
        let vendor = Principal::platform(Some(self.opened.tenant.id));
        self.app.policy.allow::<A>(&vendor).unwrap()
    }

    async fn fill(&mut self) {
        let grant = self.grant::<CreateKey>();
        let role = Role::new("machine.erp");
        let new = NewKey::new(&self.app.policy, "till".parse().unwrap(), role, None).unwrap();
        let mut tx = self.app.db.write(&grant).await.unwrap();
        let (_, secret) = identity::create(&mut tx, &grant, new).await.unwrap();
        tx.commit().await.unwrap();
        secret.expose_secret().clone_into(&mut self.key);

        let enrols = self.grant::<EnrolMember>();
        let mut tx = self.app.db.write(&enrols).await.unwrap();
        let codes: Vec<_> = (0..MERCHANTS)
            .map(|number| format!("store-{number}").parse().unwrap())
            .collect();
        let stores = merchants::stores_by_code(&mut tx, &codes).await.unwrap();
        self.stores = codes.iter().map(|code| stores[code].store).collect();
        let cards: Vec<CardNumber> = (0..MEMBERS)
            .map(|number| format!("C-{number:06}").parse().unwrap())
            .collect();
        let enrolled = members::enrol_cards(&mut tx, &enrols, &cards)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        self.members = cards.iter().map(|card| enrolled[card]).collect();
        for (slice, members) in self.members.chunks(500).enumerate() {
            self.grant_points(slice, members).await;
        }
    }

    async fn grant_points(&self, slice: usize, members: &[MemberId]) {
        let grant = self.grant::<RecordPurchase>();
        let mut tx = self.app.db.write(&grant).await.unwrap();
        let items: Vec<Item> = members
            .iter()
            .enumerate()
            .map(|(place, member)| Item {
                grant: grant.clone(),
                store: self.stores[(slice * 500 + place) % self.stores.len()],
                receipt_number: format!("first-{slice}-{place}").parse().unwrap(),
                member: Some(*member),
                lines: vec![Line {
                    category: "tea".parse().unwrap(),
                    quantity: 1,
                    amount: PLENTY * 100,
                }],
                occurred_at: tx.now(),
            })
            .collect();
        let setting = &self.opened.earning;
        let answers = earning::record(&mut tx, setting, &items).await.unwrap();
        assert!(answers.iter().all(Result::is_ok));
        tx.commit().await.unwrap();
    }

    pub fn purchase(&self, store: usize, dice: &mut Dice) -> Request {
        let (receipt, member) = (dice.fresh(), self.members[dice.below(MEMBERS)]);
        let body = format!(
            r#"{{"store_id":"{}","receipt_number":"{receipt}","member_id":"{member}","lines":[{{"category":"tea","quantity":1,"amount":{}}}]}}"#,
            self.stores[store],
            100 + dice.below(20_000),
        );
        self.post("/v1/purchases", &receipt, &body)
    }

    pub fn spend(&self, member: usize, dice: &mut Dice) -> Request {
        let receipt = dice.fresh();
        let body = format!(
            r#"{{"store_id":"{}","receipt_number":"{receipt}","member_id":"{}","total":100000,"points":{}}}"#,
            self.stores[dice.below(self.stores.len())],
            self.members[member],
            1 + dice.below(5),
        );
        self.post("/v1/spends", &receipt, &body)
    }

    pub fn balance(&self, member: usize) -> Request {
        let (member, key) = (self.members[member], &self.key);
        Request(
            format!(
                "GET /v1/members/{member}/balance HTTP/1.1\r\nHost: {HOST}\r\n\
                 Authorization: Bearer {key}\r\n\r\n"
            )
            .into_bytes(),
        )
    }

    fn post(&self, path: &str, act: &str, body: &str) -> Request {
        let (key, length) = (&self.key, body.len());
        Request(
            format!(
                "POST {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {key}\r\n\
                 Idempotency-Key: {act}\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            )
            .into_bytes(),
        )
    }

    /// Proves the books, ends everything and leaves nothing behind.
    pub async fn close(&self) {
        let grant = self.grant::<VerifyBooks>();
        let mut tx = self.app.db.read(&grant).await.unwrap();
        let checks = prove(&mut tx, &grant).await.unwrap();
        let broken: Vec<_> = checks.iter().filter(|check| !check.holds).collect();
        println!(
            "the books: {} checks, {} do not hold",
            checks.len(),
            broken.len()
        );
        assert!(broken.is_empty(), "{broken:?}");
    }
}

/// Every way out ends the server and takes the folder away.
impl Drop for Mall {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
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

fn manifest() -> String {
    let mut text = MANIFEST.to_owned();
    for number in 0..MERCHANTS {
        write!(
            text,
            "[[merchants]]\ncode = \"merchant-{number}\"\nnames = {{ en = \"M {number}\" }}\n\
             trade = \"tea\"\nalliance = \"both\"\n[[merchants.stores]]\n\
             code = \"store-{number}\"\nnames = {{ en = \"S {number}\" }}\n"
        )
        .unwrap();
    }
    text
}

/// The server as a process of its own, and where it listens, as its log says.
async fn serve(url: &str, folder: &Path) -> (Child, SocketAddr) {
    let log = folder.join("server.log");
    let mut child = Command::new(env!("CARGO_BIN_EXE_rotunda"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("DATABASE_URL", url)
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    for _ in 0..300 {
        let said = std::fs::read_to_string(&log).unwrap();
        let address = said.split_once("address=").and_then(|(_, rest)| {
            let (address, _) = rest.split_once('\n')?;
            address.parse().ok()
        });
        if let Some(address) = address {
            return (child, address);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!(
        "the server does not say where it listens; its log is {}",
        log.display()
    );
}

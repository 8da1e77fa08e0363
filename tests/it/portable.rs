//! The same product on a PostgreSQL that says things otherwise: with another zone for its sessions,
//! and without the names of constraints, as it is through Citus and through poolers
//! (scale.md, R7, R10 and R20).

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use poem::http::Method;
use rotunda::{
    db::{
        locator::Targets,
        tenants::{Schema, Tenant},
    },
    jobs::{self, Tools},
    kernel::{ids::Entropy, time::Clock},
    queue::worker::Outcome,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    task::{JoinHandle, JoinSet},
};

use crate::support::{
    OwnDatabase,
    front::{Front, SHANGHAI, Sheet},
    instant,
    outside::{Server, tables_at},
};

/// A mall in whose zone the year begins while it is still the last one in UTC, and which is neither
/// of the zones that its database may have.
const SHEET: Sheet = Sheet {
    names: r#"{ en = "Elsewhere" }"#,
    expiry: "policy = \"fixed\"\nmonths = 1",
    spending: r#"most_share = "1""#,
    shops: &[
        ("tea", r#"{ en = "Tea" }"#, r#"{ en = "Tea 1" }"#),
        ("cake", r#"{ en = "Cake" }"#, r#"{ en = "Cake 1" }"#),
    ],
    ..SHANGHAI
};

/// What happens on the way to PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Sessions have the zone of their login, not the one that the client wishes for.
    NoZone,
    /// Errors name no constraint but in their message, and there with the number of a shard.
    ByMessage,
    /// Errors name no constraint at all.
    Nameless,
}

/// A way to the tests' server that changes what is said.
struct Detour {
    url: String,
    changed: Arc<AtomicU64>,
    at_work: JoinHandle<()>,
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.at_work.abort();
    }
}

impl Detour {
    async fn to(url: &str, way: Way) -> Self {
        let (login, rest) = url.rsplit_once('@').unwrap();
        let (place, database) = rest.split_once('/').unwrap();
        let server: SocketAddr = place.replace("localhost", "127.0.0.1").parse().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let here = listener.local_addr().unwrap();
        let changed = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&changed);
        let at_work = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let counter = Arc::clone(&counter);
                // Whoever goes away ends the connection, and that is all.
                tokio::spawn(async move { pass(client, server, way, &counter).await.ok() });
            }
        });
        let url = format!("{login}@{here}/{database}");
        Self {
            url,
            changed,
            at_work,
        }
    }
}

/// One connection.
async fn pass(
    mut client: TcpStream,
    server: SocketAddr,
    way: Way,
    changed: &AtomicU64,
) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut asks, mut hears) = client.split();
    let (mut answers, mut listens) = server.split();
    // What comes before the first message of a kind has none: a wish for TLS, which is declined
    // here, and the start.
    loop {
        let length = asks.read_u32().await?;
        let mut said = vec![0; length as usize - 4];
        asks.read_exact(&mut said).await?;
        if said == 80_877_103_u32.to_be_bytes() {
            hears.write_all(b"N").await?;
            continue;
        }
        if way == Way::NoZone {
            said = without_zone(&said);
            changed.fetch_add(1, Ordering::Relaxed);
        }
        listens.write_u32(said.len() as u32 + 4).await?;
        listens.write_all(&said).await?;
        break;
    }
    tokio::select! {
        ended = tokio::io::copy(&mut asks, &mut listens) => ended.map(drop),
        ended = back(&mut answers, &mut hears, way, changed) => ended,
    }
}

/// The start of a session without the zone that it wishes for.
fn without_zone(start: &[u8]) -> Vec<u8> {
    let (version, rest) = start.split_at(4);
    let words: Vec<&[u8]> = rest.split(|byte| *byte == 0).collect();
    let mut kept = version.to_vec();
    for pair in words.chunks(2) {
        if let [name, value] = pair
            && !name.is_empty()
            && !name.eq_ignore_ascii_case(b"timezone")
        {
            kept.extend([name, &b"\0"[..], value, b"\0"].concat());
        }
    }
    kept.push(0);
    kept
}

/// What PostgreSQL says, message by message.
async fn back(
    answers: &mut tcp::ReadHalf<'_>,
    hears: &mut tcp::WriteHalf<'_>,
    way: Way,
    changed: &AtomicU64,
) -> io::Result<()> {
    let mut answers = tokio::io::BufReader::with_capacity(64 * 1024, answers);
    loop {
        let kind = answers.read_u8().await?;
        let mut said = vec![0; answers.read_u32().await? as usize - 4];
        answers.read_exact(&mut said).await?;
        if kind == b'E' && way != Way::NoZone {
            said = anonymous(&said, way, changed);
        }
        let length = (said.len() as u32 + 4).to_be_bytes();
        hears
            .write_all(&[&[kind], &length[..], &said].concat())
            .await?;
    }
}

/// An error that does not name the constraint as it should.
fn anonymous(error: &[u8], way: Way, changed: &AtomicU64) -> Vec<u8> {
    let mut said = Vec::new();
    for field in error
        .split(|byte| *byte == 0)
        .filter(|field| !field.is_empty())
    {
        let text = String::from_utf8_lossy(&field[1..]).into_owned();
        let text = match field[0] {
            b'n' => {
                changed.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            b'M' if way == Way::Nameless => text.split('"').next().unwrap().to_owned(),
            b'M' if text.contains(" constraint \"") => {
                let (head, _) = text.rsplit_once('"').unwrap();
                format!("{head}_102008\"")
            }
            _ => text,
        };
        said.push(field[0]);
        said.extend(text.as_bytes());
        said.push(0);
    }
    said.push(0);
    said
}

/// A mall on a server, and who asks there.
struct House {
    server: Server,
    clock: Clock,
    front: Front,
    stores: BTreeMap<&'static str, String>,
}

impl House {
    async fn at(url: &str) -> Self {
        let clock = Clock::fixed(instant("2025-12-31T15:00:00Z"));
        let entropy = Entropy::seeded(7);
        let server = Server::open_on(url, Targets::new(), 4, clock.clone(), entropy).await;
        let front = Front::open(&server, &SHEET, None).await;
        let mut stores = BTreeMap::new();
        for code in ["tea-1", "cake-1"] {
            stores.insert(code, front.store(&server, code).await);
        }
        Self {
            server,
            clock,
            front,
            stores,
        }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.server.post(self.front.till(), path, &body).await
    }

    async fn buys(&self, member: &Value, store: &str, receipt: &str, yuan: i64) -> Value {
        let body = json!({ "store_id": self.stores[store], "receipt_number": receipt,
            "member_id": member, "lines": [{ "category": "tea", "quantity": 1,
            "amount": yuan * 100 }] });
        self.post("/v1/purchases", body).await["purchase_id"].clone()
    }

    async fn pays(&self, member: &Value, store: &str, receipt: &str, points: i64) {
        let body = json!({ "store_id": self.stores[store], "receipt_number": receipt,
            "member_id": member, "total": 100_000, "points": points });
        self.post("/v1/spends", body).await;
    }

    /// Two months in which everything happens just before or just after a midnight of this mall's
    /// zone, of UTC's, or of Auckland's; the sheets of both, the members' histories, and every
    /// table.
    async fn lives(&self, url: &str) -> BTreeMap<String, String> {
        let mut members = Vec::new();
        for card in ["ada", "ben"] {
            let made = self
                .post("/v1/members", json!({ "card_number": card }))
                .await;
            members.push(made["member_id"].clone());
        }
        let (ada, ben) = (&members[0], &members[1]);
        for (number, moment) in [
            "2025-12-31T15:59:59Z",
            "2025-12-31T16:00:00Z",
            "2026-01-01T00:00:00Z",
            "2026-01-15T11:00:00Z",
            "2026-01-31T10:59:59Z",
            "2026-01-31T15:59:59.999999Z",
            "2026-01-31T16:00:00Z",
            "2026-02-01T00:00:00Z",
        ]
        .into_iter()
        .enumerate()
        {
            self.clock.set(instant(moment));
            let first = self.buys(ada, "tea-1", &format!("a-{number}"), 100).await;
            self.buys(ben, "cake-1", &format!("b-{number}"), 70).await;
            self.pays(ada, "cake-1", &format!("pa-{number}"), 30).await;
            self.pays(ben, "tea-1", &format!("pb-{number}"), 20).await;
            let path = format!("/v1/purchases/{}/refunds", first.as_str().unwrap());
            self.post(&path, json!({ "reference": "r", "amount": 1_000 }))
                .await;
        }
        // The first points lapse at the end of a day of Shanghai.
        for moment in [
            "2026-02-28T15:59:59Z",
            "2026-02-28T16:00:00Z",
            "2026-03-02T00:00:00Z",
        ] {
            self.clock.set(instant(moment));
            self.expires().await;
        }
        let mut seen = BTreeMap::new();
        for period in ["2025-12", "2026-01", "2026-02"] {
            let finance = self.front.owner();
            let body = json!({ "period": period });
            let closed = self.server.post(finance, "/v1/settlements", &body).await;
            let id = closed["settlement_id"].as_str().unwrap();
            let path = format!("/v1/settlements/{id}/statements.csv");
            let sheet = self.server.ask(finance, &Method::GET, &path, None).await;
            assert_eq!(sheet.status, 200, "{}", sheet.body);
            assert!(sheet.body.lines().count() > 2, "{}", sheet.body);
            seen.insert(format!("sheet {period}"), sheet.body);
        }
        for member in &members {
            let path = format!("/v1/members/{}/history", member.as_str().unwrap());
            let told = self
                .server
                .ask(self.front.till(), &Method::GET, &path, None)
                .await;
            seen.insert(format!("history of {member}"), told.body);
        }
        let proof = self.server.get(self.front.owner(), "/v1/books/proof").await;
        assert_eq!(proof["holds"], json!(true), "{proof}");
        let mut tables = tables_at(url, &self.front.tenant).await;
        tables.remove("_sqlx_migrations");
        // Who asked under which key is not of this story.
        tables.retain(|table, _| table != "idempotency_key");
        seen.extend(
            tables
                .into_iter()
                .map(|(table, rows)| (format!("table {table}"), rows)),
        );
        seen
    }

    async fn expires(&self) {
        let app = &self.server.app;
        let tools = Tools {
            db: app.db.clone(),
            policy: app.policy.clone(),
            bell: app.bell.clone(),
            mailer: rotunda::gateway::mail::Mailer::Off,
            sms: rotunda::gateway::sms::Sms::Off,
            stripe: rotunda::gateway::stripe::Stripe::default(),
            files: rotunda::gateway::files::Files::Folder(std::env::temp_dir()),
            base_url: None,
        };
        let day = json!({ "day": "2026-02-28" });
        let done = jobs::handlers(&tools)
            .run(self.front.tenant.id, "points.expire", day)
            .await;
        assert_eq!(done, Outcome::Done);
    }
}

/// What a session of the app's login believes to be its zone.
async fn zone(url: &str, mall: &Tenant) -> String {
    let mut sql = PgConnection::connect(url).await.unwrap();
    let role = format!("set role {}", Schema::of(mall.id));
    sqlx::raw_sql(AssertSqlSafe(role))
        .execute(&mut sql)
        .await
        .unwrap();
    sqlx::query_scalar("show timezone")
        .fetch_one(&mut sql)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn days_and_months_are_the_malls_own_whatever_zone_the_database_has() {
    let mut seen = Vec::new();
    for wanted in ["UTC", "Pacific/Auckland"] {
        let database = OwnDatabase::create().await;
        // The login is there from here on, and this database's own word about it goes before all.
        Server::open_on(
            &database.url,
            Targets::new(),
            1,
            Clock::System,
            Entropy::System,
        )
        .await;
        let name = database
            .url
            .rsplit('/')
            .next()
            .unwrap()
            .split('?')
            .next()
            .unwrap();
        let mut admin = PgConnection::connect(&database.url).await.unwrap();
        for who in [
            "database",
            "role rotunda_app in database",
            "role current_user in database",
        ] {
            let sql = format!("alter {who} {name} set timezone = '{wanted}'");
            sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&mut admin)
                .await
                .unwrap();
        }
        let detour = Detour::to(&database.url, Way::NoZone).await;
        let house = House::at(&detour.url).await;
        assert_eq!(
            zone(&detour.url, &house.front.tenant).await,
            wanted,
            "the detour works"
        );
        let lived = house.lives(&database.url).await;
        // The negative control: what a session's zone has a say in is seen to differ.
        let journal = &tables_at(&detour.url, &house.front.tenant).await["journal"];
        assert_eq!(journal == &lived["table journal"], wanted == "UTC");
        seen.push(lived);
        drop(house);
        drop(detour);
        admin.close().await.unwrap();
        database.remove().await;
    }
    let lapsed = &seen[0]["table journal"];
    assert!(lapsed.contains(",expire,"), "points lapsed: {lapsed}");
    for other in &seen[1..] {
        for (what, bytes) in &seen[0] {
            assert_eq!(bytes, &other[what], "{what}");
        }
    }
}

/// The same receipts at two servers at the same time, under the same and under other keys; how many.
async fn contend(
    way: Way,
    house: &Arc<House>,
    second: &Arc<Server>,
    member: &Value,
    from: usize,
) -> usize {
    let mut asked = JoinSet::new();
    for number in from..from + 60 {
        for (key, server) in [("a", 0), ("a", 1), ("b", 1), ("c", 0)] {
            let (house, second) = (Arc::clone(house), Arc::clone(second));
            let receipt = format!("r-{number}");
            let body = json!({ "store_id": house.stores["tea-1"], "receipt_number": receipt,
                "member_id": member, "lines": [{ "category": "tea", "quantity": 1,
                "amount": 100 }] });
            asked.spawn(async move {
                let server = [&house.server, &*second][server];
                let (key, body) = (format!("{key}-{number}"), body.to_string());
                for _ in 0..100 {
                    let caller = house.front.till();
                    let answer = server
                        .ask_under(&key, caller, &Method::POST, "/v1/purchases", Some(&body))
                        .await;
                    match answer.status {
                        200 | 201 => return (receipt, answer.json()["purchase_id"].clone()),
                        409 | 503 => {}
                        _ => panic!("{way:?}: {answer:?}"),
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                panic!("{way:?}: put off for ever");
            });
        }
    }
    let mut made = BTreeMap::new();
    for (receipt, purchase) in asked.join_all().await {
        let first = made.entry(receipt).or_insert_with(|| purchase.clone());
        assert_eq!(*first, purchase, "one receipt, one purchase");
    }
    made.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_faster_is_told_from_the_message_or_from_the_state_alone() {
    for way in [Way::ByMessage, Way::Nameless] {
        let database = OwnDatabase::create().await;
        let detour = Detour::to(&database.url, way).await;
        let house = Arc::new(House::at(&detour.url).await);
        let member = house
            .post("/v1/members", json!({ "card_number": "ada" }))
            .await;
        let member = member["member_id"].clone();
        let second = Server::open_on(
            &detour.url,
            Targets::new(),
            8,
            house.clock.clone(),
            Entropy::System,
        );
        let second = Arc::new(second.await);
        let mut receipts = 0;
        while detour.changed.load(Ordering::Relaxed) < 3 {
            assert!(receipts < 2_000, "nobody is ever slower");
            receipts += contend(way, &house, &second, &member, receipts).await;
        }
        let changed = detour.changed.load(Ordering::Relaxed);
        eprintln!(
            "{way:?}: {changed} errors without the name of a constraint, {receipts} receipts"
        );
        let path = format!("/v1/members/{}/balance", member.as_str().unwrap());
        let balance = house.server.get(house.front.till(), &path).await;
        assert_eq!(balance["available"], receipts);
        let again = json!({ "card_number": "ada" }).to_string();
        let caller = house.front.till();
        let known = house
            .server
            .ask(caller, &Method::POST, "/v1/members", Some(&again))
            .await;
        assert_eq!(known.code(), "already-member", "{}", known.body);
        drop((house, second, detour));
        database.remove().await;
    }
}

//! The till's day over real sockets: many at once, the same thing twice, answers that get lost.

use std::{net::SocketAddr, sync::Arc};

use reqwest::{Client, Method, StatusCode};
use rotunda::{
    api,
    app::App,
    authz::{
        action::{CreateKey, VerifyBooks},
        actor::{Principal, Role},
    },
    cli::tenant::apply,
    http::listen,
    identity::{self, NewKey},
    reports::proof::prove,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::oneshot,
    task::{JoinHandle, JoinSet},
};

use crate::support::{app, fresh_slug};

const MALL: &str = r#"
names = { en = "Flows" }
languages = ["en"]
time_zone = "UTC"
currency = "USD"
calling_code = "1"
[earning]
[[earning.rules]]
code = "base"
points = 1
per = "1.00"
[expiry]
policy = "never"
[spending]
points = 100
worth = "1.00"
most_share = "1"
[settlement]
model = "bilateral"
points = 100
worth = "1.00"
[[merchants]]
code = "tea"
names = { en = "Tea" }
trade = "tea"
alliance = "both"
[[merchants.stores]]
code = "tea-1"
names = { en = "Tea 1" }
"#;

/// A server with one mall, one store and a till's key.
struct Day {
    app: App,
    host: String,
    key: String,
    other_key: String,
    store: String,
    address: SocketAddr,
    client: Client,
    mall: rotunda::app::Mall,
    _stop: oneshot::Sender<()>,
    _served: JoinHandle<()>,
}

impl Day {
    async fn begin() -> Arc<Self> {
        let app = app().await;
        let slug = fresh_slug();
        let host = format!("{slug}.localhost");
        let file = std::env::temp_dir().join(format!("{slug}.toml"));
        let text = MALL.replace("[earning]\n", &format!("hosts = [\"{host}\"]\n[earning]\n"));
        std::fs::write(&file, format!("slug = \"{slug}\"{text}")).unwrap();
        apply(&app, &file).await.unwrap();
        std::fs::remove_file(&file).unwrap();
        let mall = app.mall_of(&slug).await.unwrap();
        let who = Principal::platform(Some(mall.tenant.id));
        let grant = app.policy.allow::<CreateKey>(&who).unwrap();
        let mut keys = Vec::new();
        for label in ["till 1", "till 2"] {
            let role = Role::new("machine.erp");
            let new = NewKey::new(&app.policy, label.parse().unwrap(), role, None).unwrap();
            let mut tx = app.db.write(&grant).await.unwrap();
            let (_, secret) = identity::create(&mut tx, &grant, new).await.unwrap();
            tx.commit().await.unwrap();
            keys.push(secret.expose_secret().to_owned());
        }
        let listener = listen::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn({
            let app = app.clone();
            async move {
                let until = async move { drop(stopped.await) };
                listen::serve(&app, listener, api::endpoint(&app), until).await;
            }
        });
        let mut day = Self {
            app,
            host,
            other_key: keys.pop().unwrap(),
            key: keys.pop().unwrap(),
            store: String::new(),
            address,
            client: Client::new(),
            mall,
            _stop: stop,
            _served: served,
        };
        let (_, stores) = day.ask(Method::GET, "/v1/stores", None, None).await;
        stores["data"][0]["store_id"]
            .as_str()
            .unwrap()
            .clone_into(&mut day.store);
        Arc::new(day)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        self.ask_as(&self.key, method, path, key, body).await
    }

    async fn ask_as(
        &self,
        secret: &str,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let url = format!("http://{}{path}", self.address);
        let mut request = self.client.request(method, url).header("Host", &self.host);
        request = request.bearer_auth(secret);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap_or(Value::Null))
    }

    /// A new member with so many points.
    async fn member(&self, card: &str, points: i64) -> String {
        let new = json!({ "card_number": card });
        let made = self
            .ask(Method::POST, "/v1/members", Some(card), Some(&new))
            .await;
        assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
        let id = made.1["member_id"].as_str().unwrap().to_owned();
        if points > 0 {
            let bought = self.purchase(&id, &format!("first-{card}"), points * 100);
            let done = self
                .ask(Method::POST, "/v1/purchases", Some(&id), Some(&bought))
                .await;
            assert_eq!(done.0, StatusCode::CREATED, "{}", done.1);
        }
        id
    }

    fn purchase(&self, member: &str, receipt: &str, amount: i64) -> Value {
        json!({ "store_id": self.store, "receipt_number": receipt, "member_id": member,
                "lines": [{ "category": "tea", "quantity": 1, "amount": amount }] })
    }

    fn spend(&self, member: &str, receipt: &str, points: i64) -> Value {
        json!({ "store_id": self.store, "receipt_number": receipt, "member_id": member,
                "total": 100_000, "points": points })
    }

    async fn available(&self, member: &str) -> i64 {
        let path = format!("/v1/members/{member}/balance");
        self.ask(Method::GET, &path, None, None).await.1["available"]
            .as_i64()
            .unwrap()
    }

    async fn prove(&self) {
        let who = Principal::platform(Some(self.mall.tenant.id));
        let grant = self.app.policy.allow::<VerifyBooks>(&who).unwrap();
        let mut tx = self.app.db.read(&grant).await.unwrap();
        for check in prove(&mut tx, &grant).await.unwrap() {
            assert!(check.holds, "{check:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_who_spend_all_the_points_at_once_one_wins() {
    let day = Day::begin().await;
    let member = day.member("c-1", 100).await;
    let mut tills = JoinSet::new();
    for till in 0..20 {
        let (day, member) = (Arc::clone(&day), member.clone());
        tills.spawn(async move {
            let (key, body) = (
                format!("s-{till}"),
                day.spend(&member, &format!("s-{till}"), 100),
            );
            day.ask(Method::POST, "/v1/spends", Some(&key), Some(&body))
                .await
        });
    }
    let answers = tills.join_all().await;
    let won = answers
        .iter()
        .filter(|(status, _)| *status == StatusCode::CREATED)
        .count();
    let refused = answers.iter().filter(|(status, body)| {
        *status == StatusCode::CONFLICT && body["code"] == "not-enough-points"
    });
    assert_eq!((won, refused.count()), (1, 19), "{answers:?}");
    assert_eq!(day.available(&member).await, 0);
    day.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn con_1_a_hot_spender_never_overdraws() {
    let day = Day::begin().await;
    let member = day.member("c-1", 300).await;
    let mut tills = JoinSet::new();
    for till in 0..32_i64 {
        let (day, member) = (Arc::clone(&day), member.clone());
        tills.spawn(async move {
            let mut taken = 0;
            for round in 0..8 {
                let points = 1 + (till * 7 + round * 3) % 5;
                let name = format!("h-{till}-{round}");
                let body = day.spend(&member, &name, points);
                match day
                    .ask(Method::POST, "/v1/spends", Some(&name), Some(&body))
                    .await
                {
                    (StatusCode::CREATED, _) => taken += points,
                    (StatusCode::CONFLICT, body) => assert_eq!(body["code"], "not-enough-points"),
                    (StatusCode::SERVICE_UNAVAILABLE, _) => {}
                    (status, body) => panic!("{status} {body}"),
                }
            }
            taken
        });
    }
    let taken: i64 = tills.join_all().await.into_iter().sum();
    assert_eq!(day.available(&member).await, 300 - taken);
    day.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idm_1_and_2_a_key_acts_once_and_only_for_what_it_was_given() {
    let day = Day::begin().await;
    let member = day.member("c-1", 0).await;
    let body = day.purchase(&member, "r-1", 1000);
    let mut tills = JoinSet::new();
    for _ in 0..50 {
        let (day, body) = (Arc::clone(&day), body.clone());
        tills.spawn(async move {
            day.ask(Method::POST, "/v1/purchases", Some("k"), Some(&body))
                .await
        });
    }
    for (status, _) in tills.join_all().await {
        let known = [StatusCode::CREATED, StatusCode::OK, StatusCode::CONFLICT];
        assert!(
            known.contains(&status) || status == StatusCode::SERVICE_UNAVAILABLE,
            "{status}"
        );
    }
    assert_eq!(day.available(&member).await, 10);

    let other = day.purchase(&member, "r-2", 1000);
    let reused = day
        .ask(Method::POST, "/v1/purchases", Some("k"), Some(&other))
        .await;
    assert_eq!(reused.0, StatusCode::UNPROCESSABLE_ENTITY, "{}", reused.1);
    let spend = day.spend(&member, "r-3", 1);
    let elsewhere = day
        .ask(Method::POST, "/v1/spends", Some("k"), Some(&spend))
        .await;
    assert_eq!(
        elsewhere.0,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        elsewhere.1
    );
    let second = &day.other_key;
    let theirs = day
        .ask_as(
            second,
            Method::POST,
            "/v1/purchases",
            Some("k"),
            Some(&other),
        )
        .await;
    assert_eq!(
        theirs.0,
        StatusCode::CREATED,
        "another key's value is its own"
    );

    let again = day
        .ask(Method::POST, "/v1/purchases", Some("new"), Some(&body))
        .await;
    assert_eq!(
        again.0,
        StatusCode::OK,
        "a receipt is known without its key for ever"
    );
    let changed = day.purchase(&member, "r-1", 2000);
    let taken = day
        .ask(Method::POST, "/v1/purchases", Some("newer"), Some(&changed))
        .await;
    assert_eq!(
        (taken.0, &taken.1["code"]),
        (StatusCode::CONFLICT, &json!("receipt-taken"))
    );
    day.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_got_lost_is_asked_for_again_and_nothing_happens_twice() {
    let day = Day::begin().await;
    let member = day.member("c-1", 0).await;
    let mut tills = JoinSet::new();
    for till in 0..40 {
        let (day, member) = (Arc::clone(&day), member.clone());
        tills.spawn(async move {
            let name = format!("lost-{till}");
            let body = day.purchase(&member, &name, 100);
            for _ in 0..=till % 3 {
                // Sent whole, and nobody there for the answer.
                let text = body.to_string();
                let head = format!(
                    "POST /v1/purchases HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
                     Content-Type: application/json\r\nIdempotency-Key: {name}\r\n\
                     Content-Length: {}\r\n\r\n{text}",
                    day.host,
                    day.key,
                    text.len()
                );
                let mut socket = TcpStream::connect(day.address).await.unwrap();
                socket.write_all(head.as_bytes()).await.unwrap();
                drop(socket);
            }
            loop {
                let asked = day
                    .ask(Method::POST, "/v1/purchases", Some(&name), Some(&body))
                    .await;
                match asked.0 {
                    StatusCode::CREATED | StatusCode::OK => return,
                    StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE => {}
                    status => panic!("{status} {}", asked.1),
                }
            }
        });
    }
    tills.join_all().await;
    assert_eq!(day.available(&member).await, 40);
    day.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aut_2_every_other_method_is_405_and_nobody_gets_in_without_a_key() {
    let day = Day::begin().await;
    let document: Value = serde_json::from_str(&api::document()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        let address = format!(
            "http://{}{}",
            day.address,
            path.replace('{', "x").replace('}', "")
        );
        let known = item.as_object().unwrap();
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
        ] {
            let request = day
                .client
                .request(method.clone(), &address)
                .header("Host", &day.host);
            let answer = request.send().await.unwrap();
            if known.contains_key(&method.as_str().to_ascii_lowercase()) {
                assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
            } else {
                assert_eq!(
                    answer.status(),
                    StatusCode::METHOD_NOT_ALLOWED,
                    "{method} {path}"
                );
                assert!(answer.headers().contains_key("Allow"), "{method} {path}");
            }
        }
    }
}

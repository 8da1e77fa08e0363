//! What a till asks for over real sockets, and the mall that it stands in.

use std::net::SocketAddr;

use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use rotunda::{
    app::{App, Mall},
    authz::{
        action::CreateKey,
        actor::{Principal, Role},
    },
    identity::{self, NewKey},
    kernel::ids::{Id, Kind},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use uuid::Uuid;

use super::front::{PLAIN, Sheet, TEA, open_mall};

/// A mall with one merchant, one store and one good: a point for a dollar, and a cent for a point.
const SHEET: Sheet = Sheet {
    spending: r#"most_share = "1""#,
    shops: TEA,
    goods: &[(
        "cup",
        r#"{ en = "A cup" }"#,
        "pickup",
        3,
        1_000_000,
        &["tea"],
    )],
    ..PLAIN
};

/// A mall that was just opened.
pub struct Opened {
    pub mall: Mall,
    /// The name in the Host header.
    pub host: String,
    pub slug: String,
}

impl Opened {
    /// A new mall, as its manifest says.
    pub async fn by(app: &App) -> Self {
        let tenant = open_mall(app, &SHEET.to_string(), None).await;
        let (slug, host) = (tenant.slug.as_str().to_owned(), tenant.hosts[0].clone());
        let mall = app.mall_of(&slug).await.unwrap();
        Self { mall, host, slug }
    }

    /// A new key of that role.
    pub async fn key(&self, app: &App, role: &str) -> String {
        let who = Principal::platform(Some(self.mall.tenant.id));
        let grant = app.policy.allow::<CreateKey>(&who).unwrap();
        let new = NewKey::new(
            &app.policy,
            &rotunda::authz::own::OwnRoles::default(),
            "till".parse().unwrap(),
            Role::new(role),
            None,
            rotunda::authz::actor::Stores::All,
        )
        .unwrap();
        let mut tx = app.db.write(&grant).await.unwrap();
        let (_, secret) = identity::create(&mut tx, &app.policy, &grant, new)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        secret.expose_secret().to_owned()
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// A member of the body, empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }

    /// The bits of an id in the body.
    pub fn id<K: Kind>(&self, name: &str) -> Uuid {
        self.text(name).parse::<Id<K>>().unwrap().uuid()
    }

    /// A number of the body.
    pub fn number(&self, name: &str) -> i64 {
        let found = self.body[name].as_i64();
        found.unwrap_or_else(|| panic!("no {name} in {}", self.body))
    }
}

/// A key at a store, and where the server is.
#[derive(Debug, Clone)]
pub struct Till {
    pub client: Client,
    /// The server's address and port.
    pub server: String,
    pub host: String,
    pub key: String,
    /// The mall's only store and its only good, found by [`Till::enters`].
    pub store: String,
    pub good: String,
}

impl Till {
    pub fn new(server: SocketAddr, host: &str, key: String) -> Self {
        Self {
            client: Client::new(),
            server: server.to_string(),
            host: host.to_owned(),
            key,
            store: String::new(),
            good: String::new(),
        }
    }

    /// The same at the mall's only store.
    pub async fn enters(mut self) -> Self {
        let (_, stores) = self.ask(Method::GET, "/v1/stores", None, None).await;
        let store = stores["data"][0]["store_id"].as_str().unwrap();
        store.clone_into(&mut self.store);
        let (_, goods) = self.ask(Method::GET, "/v1/goods", None, None).await;
        let good = goods["data"][0]["good_id"].as_str().unwrap();
        good.clone_into(&mut self.good);
        self
    }

    /// Sends a request whose answer may get lost.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer, reqwest::Error> {
        let url = format!("http://{}{path}", self.server);
        let mut request = self.client.request(method, url).header("Host", &self.host);
        request = request.bearer_auth(&self.key);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let answer = self.send(method, path, key, body).await.unwrap();
        (answer.status, answer.body)
    }

    /// A new member with so many points.
    pub async fn member(&self, card: &str, points: i64) -> String {
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

    pub fn purchase(&self, member: &str, receipt: &str, amount: i64) -> Value {
        json!({ "store_id": self.store, "receipt_number": receipt, "member_id": member,
                "lines": [{ "category": "tea", "quantity": 1, "amount": amount }] })
    }

    pub fn spend(&self, member: &str, receipt: &str, points: i64) -> Value {
        json!({ "store_id": self.store, "receipt_number": receipt, "member_id": member,
                "total": 100_000, "points": points })
    }

    pub async fn available(&self, member: &str) -> i64 {
        let path = format!("/v1/members/{member}/balance");
        self.ask(Method::GET, &path, None, None).await.1["available"]
            .as_i64()
            .unwrap()
    }
}

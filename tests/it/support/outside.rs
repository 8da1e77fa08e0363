//! Malls as their clients meet them: over HTTP, by host and key.

use std::{
    collections::BTreeMap,
    fmt::Write,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use poem::{
    Addr, Body, Endpoint, EndpointExt, Request, RequestParts, Response,
    endpoint::BoxEndpoint,
    http::{self, HeaderMap, Method, uri::Scheme},
    web::{LocalAddr, RemoteAddr},
};
use rotunda::{
    app::App,
    authz::{
        action::{CreateKey, RevokeKey},
        actor::{Principal, Role},
    },
    cli,
    config::{Config, LogFormat},
    db::{
        locator::Targets,
        tenants::{Schema, Tenant},
    },
    identity::{self, NewKey},
    kernel::{
        ids::{Entropy, MerchantId},
        time::Clock,
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::{books::owner_at, front::open_mall, url};

/// A server without its sockets.
pub struct Server {
    pub app: App,
    door: BoxEndpoint<'static, Response>,
    asked: AtomicU64,
}

/// An answer as it went out.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

/// Who asks, and at which host.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    pub host: &'a str,
    pub key: Option<&'a str>,
}

impl Server {
    /// A server with that many database connections.
    pub async fn open(connections: u32, clock: Clock, entropy: Entropy) -> Self {
        Self::open_on(&url(), Targets::new(), connections, clock, entropy).await
    }

    /// A server on the database of that URL, with further targets.
    pub async fn open_on(
        url: &str,
        targets: Targets,
        connections: u32,
        clock: Clock,
        entropy: Entropy,
    ) -> Self {
        let config = Self::config(url, targets, connections);
        Self::open_with(config, clock, entropy).await
    }

    /// What the settings of such a server are.
    pub fn config(url: &str, targets: Targets, connections: u32) -> Config {
        Config {
            data_dir: std::env::temp_dir(),
            database_url: Some(SecretString::from(url)),
            targets,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            base_url: None,
            mail: None,
            sms: None,
            codes_a_day: 5_000,
            secrets_key: Some(SecretString::from(
                "the tests' key of 32 characters and more",
            )),
            files: rotunda::config::Files {
                dir: std::env::temp_dir().join("rotunda-it-files"),
                largest: 256 << 10,
                bucket: None,
            },
            behind_proxy: false,
            dev: false,
            stripe: BTreeMap::new(),
            stripe_url: None,
            log: LogFormat::Text,
            connections,
            drain_seconds: 0,
        }
    }

    /// A server of those settings.
    pub async fn open_with(config: Config, clock: Clock, entropy: Entropy) -> Self {
        let app = App::open_with(config, clock, entropy).await.unwrap();
        app.db.prepare().await.unwrap();
        let door = cli::endpoint(&app).boxed();
        let asked = AtomicU64::new(0);
        Self { app, door, asked }
    }

    /// A new mall by that manifest, in which `SLUG` stands for its short name.
    pub async fn mall(&self, manifest: &str) -> Tenant {
        open_mall(&self.app, manifest, None).await
    }

    /// A new key of a mall.
    pub async fn key(&self, mall: &Tenant, role: &str, merchant: Option<MerchantId>) -> String {
        self.key_and_id(mall, role, merchant).await.0
    }

    /// A key of a mall that was ended before anybody used it.
    pub async fn ended_key(&self, mall: &Tenant, role: &str) -> String {
        let (secret, id) = self.key_and_id(mall, role, None).await;
        let vendor = Principal::platform(Some(mall.id));
        let grant = self.app.policy.allow::<RevokeKey>(&vendor).unwrap();
        let mut tx = self.app.db.write(&grant).await.unwrap();
        identity::revoke(&mut tx, &grant, id).await.unwrap();
        tx.commit().await.unwrap();
        secret
    }

    async fn key_and_id(
        &self,
        mall: &Tenant,
        role: &str,
        merchant: Option<MerchantId>,
    ) -> (String, rotunda::kernel::ids::ApiKeyId) {
        let vendor = Principal::platform(Some(mall.id));
        let grant = self.app.policy.allow::<CreateKey>(&vendor).unwrap();
        let label = role.parse().unwrap();
        let new = NewKey::new(
            &self.app.policy,
            &rotunda::authz::own::OwnRoles::default(),
            label,
            Role::new(role),
            merchant,
            rotunda::authz::actor::Stores::All,
        )
        .unwrap();
        let mut tx = self.app.db.write(&grant).await.unwrap();
        let (key, secret) = identity::create(&mut tx, &self.app.policy, &grant, new)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        (secret.expose_secret().to_owned(), key.id)
    }

    /// One request, under an idempotency key that nobody used before.
    pub async fn ask(
        &self,
        caller: Caller<'_>,
        method: &Method,
        path: &str,
        body: Option<&str>,
    ) -> Answer {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let key = format!("ask-{number}");
        self.ask_under(&key, caller, method, path, body).await
    }

    /// One request under that idempotency key.
    pub async fn ask_under(
        &self,
        key: &str,
        caller: Caller<'_>,
        method: &Method,
        path: &str,
        body: Option<&str>,
    ) -> Answer {
        let mut head = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", caller.host)
            .header("idempotency-key", key);
        if let Some(key) = caller.key {
            head = head.header("authorization", format!("Bearer {key}"));
        }
        if let Some(body) = body {
            head = head
                .header("content-type", "application/json")
                .header("content-length", body.len());
        }
        self.knock(head, body).await
    }

    /// One request of a browser at that address, as a proxy hands it on.
    pub async fn ask_from(
        &self,
        address: &str,
        caller: Caller<'_>,
        path: &str,
        body: &Value,
    ) -> Answer {
        let body = body.to_string();
        let mut head = http::Request::builder()
            .method(Method::POST)
            .uri(path)
            .header("host", caller.host)
            .header("x-forwarded-for", format!("192.0.2.200, {address}"))
            .header(
                "user-agent",
                "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
            )
            .header("content-type", "application/json")
            .header("content-length", body.len());
        if let Some(key) = caller.key {
            head = head.header("authorization", format!("Bearer {key}"));
        }
        self.knock(head, Some(&body)).await
    }

    /// One request of a browser, with these headers.
    pub async fn browse(
        &self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Answer {
        let mut head = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            head = head.header(*name, *value);
        }
        if let Some(body) = body {
            head = head
                .header("content-type", "application/x-www-form-urlencoded")
                .header("content-length", body.len());
        }
        self.knock(head, body).await
    }

    /// One request of a browser at this very machine: a form where there is a body.
    pub async fn browse_here(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Answer {
        let method = body.map_or(Method::GET, |_| Method::POST);
        let mut head = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            head = head.header(*name, *value);
        }
        if let Some(body) = body {
            head = head
                .header("content-type", "application/x-www-form-urlencoded")
                .header("content-length", body.len());
        }
        let here = RemoteAddr(Addr::from(SocketAddr::from(([127, 0, 0, 1], 9))));
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_owned()));
        self.knock_from(here, head, body).await
    }

    /// A message of Stripe's.
    pub async fn hears(&self, host: &str, signature: &str, body: &str) -> Answer {
        let head = http::Request::builder()
            .method(Method::POST)
            .uri("/webhooks/stripe")
            .header("host", host)
            .header("content-length", body.len())
            .header("stripe-signature", signature);
        self.knock(head, Some(body)).await
    }

    /// Bytes that somebody sends, of that media type and with these headers besides.
    pub async fn send(
        &self,
        caller: Caller<'_>,
        path: &str,
        media: &str,
        more: &[(&str, &str)],
        bytes: &[u8],
    ) -> Answer {
        let mut head = http::Request::builder()
            .method(Method::POST)
            .uri(path)
            .header("host", caller.host)
            .header("content-type", media)
            .header("content-length", bytes.len());
        if let Some(key) = caller.key {
            head = head.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in more {
            head = head.header(*name, *value);
        }
        self.knock_with(head, Body::from(bytes.to_vec())).await
    }

    /// One request, made as the server's sockets make it, so that the address as it was asked for is
    /// known behind the door.
    async fn knock(&self, head: http::request::Builder, body: Option<&str>) -> Answer {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_owned()));
        self.knock_with(head, body).await
    }

    async fn knock_with(&self, head: http::request::Builder, body: Body) -> Answer {
        self.knock_from(RemoteAddr::default(), head, body).await
    }

    async fn knock_from(
        &self,
        remote: RemoteAddr,
        head: http::request::Builder,
        body: Body,
    ) -> Answer {
        let (head, ()) = head.body(()).unwrap().into_parts();
        let local = LocalAddr::default();
        let head = RequestParts::from((head, local, remote, Scheme::HTTP));
        let request = Request::from_parts(head, body);
        let response = self.door.call(request).await.unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: String::from_utf8_lossy(&response.into_body().into_vec().await.unwrap())
                .into_owned(),
        }
    }

    /// Something that is there.
    pub async fn get(&self, caller: Caller<'_>, path: &str) -> Value {
        let answer = self.ask(caller, &Method::GET, path, None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// Something that is done.
    pub async fn post(&self, caller: Caller<'_>, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let body = (body != "null").then_some(body.as_str());
        let answer = self.ask(caller, &Method::POST, path, body).await;
        assert!(
            matches!(answer.status, 200 | 201),
            "{path}: {}",
            answer.body
        );
        answer.json()
    }
}

impl Answer {
    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The problem's code, where there is one.
    pub fn code(&self) -> String {
        if self.status < 400 {
            return "-".to_owned();
        }
        self.json()["code"].as_str().unwrap().to_owned()
    }

    /// Status, headers and body, without what differs from request to request.
    pub fn said(&self) -> String {
        let mut said = self.status.to_string();
        for (name, value) in &self.headers {
            if name != "x-request-id" {
                write!(said, "\n{name}: {}", value.to_str().unwrap()).unwrap();
            }
        }
        let mut body: Value = serde_json::from_str(&self.body).unwrap();
        for name in ["request_id", "instance"] {
            if let Some(member) = body.get_mut(name) {
                *member = Value::Null;
            }
        }
        write!(said, "\n\n{body}").unwrap();
        said
    }
}

/// Every row of every table of a mall as text, by table.
pub async fn tables(mall: &Tenant) -> BTreeMap<String, String> {
    tables_at(&url(), mall).await
}

/// As [`tables`], on the database of that URL.
pub async fn tables_at(url: &str, mall: &Tenant) -> BTreeMap<String, String> {
    let schema = Schema::of(mall.id).to_string();
    let mut sql = owner_at(url, &schema).await;
    let names: Vec<String> =
        sqlx::query_scalar("select tablename::text from pg_tables where schemaname = $1")
            .bind(&schema)
            .fetch_all(&mut sql)
            .await
            .unwrap();
    let mut all = BTreeMap::new();
    for name in names {
        let rows = format!(
            "select coalesce(string_agg(whole_row::text, E'\\n' order by whole_row::text), '')
             from {name} as whole_row"
        );
        let rows: String = sqlx::query_scalar(AssertSqlSafe(rows))
            .fetch_one(&mut sql)
            .await
            .unwrap();
        all.insert(name, rows);
    }
    all
}

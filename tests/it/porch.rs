//! What a stranger meets at the door: hosts, keys, limits and the shape of every refusal, over
//! real sockets.

#![expect(
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed; clippy knows test functions, not their helpers"
)]

mod limits;

use std::{net::SocketAddr, time::Duration};

use poem::{Endpoint, Response};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use rotunda::{
    app::App,
    authz::{
        action::{CreateKey, ManageTenants},
        actor::{Principal, Role},
    },
    cli,
    config::{Config, LogFormat},
    db::tenants::{Schema, Status, Tenant},
    http::listen,
    identity::{self, NewKey},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::support::{fresh_slug, registration, url};

/// One server with two malls.
struct House {
    app: App,
    demo: Tenant,
    other: Tenant,
    address: SocketAddr,
    client: Client,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

fn config(url: &str) -> Config {
    Config {
        data_dir: std::env::temp_dir(),
        database_url: Some(SecretString::from(url)),
        targets: rotunda::db::locator::Targets::new(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        base_url: None,
        mail: None,
        sms: None,
        codes_a_day: 5_000,
        secrets_key: None,
        files: rotunda::config::Files {
            dir: std::env::temp_dir(),
            largest: 1 << 20,
            bucket: None,
        },
        behind_proxy: false,
        dev: false,
        stripe: std::collections::BTreeMap::new(),
        stripe_url: None,
        log: LogFormat::Text,
        connections: 5,
        drain_seconds: 0,
    }
}

async fn serve<E>(app: &App, endpoint: E) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>)
where
    E: Endpoint<Output = Response> + 'static,
{
    let listener = listen::bind(app.config.listen).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let app = app.clone();
    let served = tokio::spawn(async move {
        let stopped = async move {
            let _ = stopped.await;
        };
        listen::serve(&app, listener, endpoint, stopped).await;
    });
    (address, stop, served)
}

impl House {
    async fn open() -> Self {
        let app = App::open(config(&url())).await.unwrap();
        app.db.prepare().await.unwrap();
        let vendor = app
            .policy
            .allow::<ManageTenants>(&Principal::platform(None))
            .unwrap();
        let wanted = registration(&fresh_slug());
        let demo = app.db.register(&vendor, &wanted).await.unwrap();
        let wanted = registration(&fresh_slug());
        let other = app.db.register(&vendor, &wanted).await.unwrap();
        let (address, stop, served) = serve(&app, cli::endpoint(&app)).await;
        Self {
            app,
            demo,
            other,
            address,
            client: Client::builder().no_proxy().build().unwrap(),
            stop: Some(stop),
            served,
        }
    }

    /// A key of that mall in that role.
    async fn key(&self, tenant: &Tenant, role: &str) -> String {
        let grant = self
            .app
            .policy
            .allow::<CreateKey>(&Principal::platform(Some(tenant.id)))
            .unwrap();
        let mut tx = self.app.db.write(&grant).await.unwrap();
        let label = role.parse().unwrap();
        let new = NewKey::new(
            &self.app.policy,
            &rotunda::authz::own::OwnRoles::default(),
            label,
            Role::new(role),
            None,
            rotunda::authz::actor::Stores::All,
        )
        .unwrap();
        let (_, secret) = identity::create(&mut tx, &self.app.policy, &grant, new)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        secret.expose_secret().to_owned()
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("http://{}{path}", self.address))
            .header("host", &self.demo.hosts[0])
    }

    async fn close(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        drop(self.client);
        self.served.await.unwrap();
        self.app.close().await.unwrap();
    }
}

/// Checks a problem's shape and gives its body.
async fn problem(request: RequestBuilder, status: u16, code: &str) -> Value {
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), status, "{code}");
    let header = |name: &str| {
        let value = response.headers().get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(
        header("content-type").as_deref(),
        Some("application/problem+json")
    );
    assert_eq!(header("cache-control").as_deref(), Some("no-store"));
    assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
    assert!(
        header("content-security-policy")
            .unwrap()
            .contains("default-src 'none'")
    );
    let id = header("x-request-id").unwrap();
    let retry = header("retry-after");
    let replayed = header("idempotent-replayed").is_some();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["code"], code, "{body}");
    assert_eq!(body["status"], status);
    assert_eq!(body["type"], format!("/problems/{code}"));
    // A remembered answer keeps the id of the request that it was made for.
    if !replayed {
        assert_eq!(body["request_id"], id);
    }
    assert!(body["detail"].as_str().unwrap().len() > 10);
    if status == 503 {
        assert!(retry.is_some());
        assert_eq!(body["retryable"], true);
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_and_addresses_that_are_not_ours_are_told_so() {
    let house = House::open().await;
    let strange = house
        .client
        .get(format!("http://{}/v1/keys", house.address))
        .header("host", "nowhere.example");
    problem(strange, 404, "unknown-mall").await;
    problem(house.ask(Method::GET, "/v1/nothing"), 404, "not-found").await;
    problem(
        house.ask(Method::GET, "/problems/nothing"),
        404,
        "not-found",
    )
    .await;
    let wrong = house.ask(Method::DELETE, "/v1/keys");
    let allow = wrong.try_clone().unwrap().send().await.unwrap();
    assert_eq!(allow.headers()["allow"], "GET, HEAD, POST");
    problem(wrong, 405, "method-not-allowed").await;
    let health = house.ask(Method::POST, "/healthz").send().await.unwrap();
    assert_eq!(health.headers()["allow"], "GET, HEAD");

    // Every code has its page.
    for kind in rotunda::http::codes::all() {
        let page = house.ask(Method::GET, &format!("/problems/{}", kind.code));
        let page = page.send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK);
        assert!(page.text().await.unwrap().contains(kind.title));
    }

    // A suspended mall comes back.
    let vendor = house
        .app
        .policy
        .allow::<ManageTenants>(&Principal::platform(None))
        .unwrap();
    let slug = house.demo.slug.clone();
    house
        .app
        .db
        .set_status(&vendor, &slug, Status::Suspended)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    problem(house.ask(Method::GET, "/v1/keys"), 503, "mall-suspended").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_living_key_of_this_mall_with_the_right_role_opens_a_door() {
    let house = House::open().await;
    let keys = || house.ask(Method::GET, "/v1/keys");
    let missing = keys().send().await.unwrap();
    assert_eq!(
        missing.headers()["www-authenticate"],
        "Bearer realm=\"rotunda\""
    );
    problem(keys(), 401, "missing-key").await;
    problem(
        keys().header("authorization", "Basic eDp5"),
        401,
        "missing-key",
    )
    .await;
    problem(keys().bearer_auth("rk_live_nonsense"), 401, "unknown-key").await;
    let foreign = house.key(&house.other, "operator.owner").await;
    problem(keys().bearer_auth(&foreign), 401, "unknown-key").await;
    let app = house.key(&house.demo, "machine.app").await;
    problem(keys().bearer_auth(&app), 403, "not-allowed").await;
    let auditor = house.key(&house.demo, "operator.auditor").await;
    assert_eq!(
        keys().bearer_auth(&auditor).send().await.unwrap().status(),
        StatusCode::OK
    );

    // Revoked, it opens nothing a second later.
    let owner = house.key(&house.demo, "operator.owner").await;
    let list: Value = keys()
        .bearer_auth(&owner)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let data = list["data"].as_array().unwrap();
    let id = data
        .iter()
        .find(|key| key["role"] == "operator.auditor")
        .unwrap()["key_id"]
        .as_str()
        .unwrap();
    let revoke = |id: &str| {
        house
            .ask(Method::POST, &format!("/v1/keys/{id}/revocation"))
            .bearer_auth(&owner)
    };
    let revoked: Value = revoke(id).send().await.unwrap().json().await.unwrap();
    let again: Value = revoke(id).send().await.unwrap().json().await.unwrap();
    assert_eq!(revoked, again);
    assert!(revoked["revoked_at"].as_str().unwrap().ends_with('Z'));
    tokio::time::sleep(Duration::from_secs(1)).await;
    problem(keys().bearer_auth(&auditor), 401, "unknown-key").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_malls_key_looks_like_one_that_nobody_has() {
    let house = House::open().await;
    let foreign = house.key(&house.other, "operator.owner").await;
    let owner = house.key(&house.demo, "operator.owner").await;
    let revoke = |id: &str| {
        house
            .ask(Method::POST, &format!("/v1/keys/{id}/revocation"))
            .bearer_auth(&owner)
    };

    let mut others = house
        .client
        .get(format!("http://{}/v1/keys", house.address))
        .header("host", &house.other.hosts[0])
        .bearer_auth(&foreign)
        .send()
        .await
        .unwrap()
        .json::<Value>()
        .await
        .unwrap();
    let foreign_id = others["data"][0]["key_id"].take();
    let foreign_id = foreign_id.as_str().unwrap();
    let mut one = problem(revoke(foreign_id), 404, "unknown-key-id").await;
    let mut two = problem(
        revoke("key_00000000000000000000000000"),
        404,
        "unknown-key-id",
    )
    .await;
    for body in [&mut one, &mut two] {
        body["request_id"].take();
        body["instance"].take();
    }
    assert_eq!(one, two);
    let bad = problem(revoke("nonsense"), 400, "invalid-parameter").await;
    assert_eq!(bad["param"], "key_id");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_once_and_its_secret_told_once() {
    let house = House::open().await;
    let owner = house.key(&house.demo, "operator.owner").await;
    let send = |key: &'static str, label: &'static str| {
        house
            .ask(Method::POST, "/v1/keys")
            .bearer_auth(&owner)
            .header("idempotency-key", key)
            .json(&json!({"label": label, "role": "machine.erp"}))
    };
    let first = send("one", "till 3").send().await.unwrap();
    assert_eq!(first.status(), StatusCode::CREATED);
    let made: Value = first.json().await.unwrap();
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("rk_live_"));
    assert!(secret.ends_with(made["last_four"].as_str().unwrap()));

    let again = send("one", "till 3").send().await.unwrap();
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    let again = problem(send("one", "till 3"), 409, "key-already-created").await;
    let detail = again["detail"].as_str().unwrap();
    assert!(detail.contains(made["key_id"].as_str().unwrap()));
    problem(send("one", "till 4"), 422, "idempotency-key-reused").await;

    // The secret is nowhere in the tables.
    let mut admin = PgConnection::connect(&url()).await.unwrap();
    let schema = Schema::of(house.demo.id);
    let kept = sqlx::AssertSqlSafe(format!(
        "select coalesce(string_agg(body, ''), '') from {schema}.idempotency_key"
    ));
    let kept: String = sqlx::query_scalar(kept)
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert!(kept.contains("key-already-created") && !kept.contains("rk_live_"));

    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_that_are_not_for_keys_are_refused() {
    let house = House::open().await;
    let owner = house.key(&house.demo, "operator.owner").await;
    let odd = |key: &'static str, role: &'static str| {
        house
            .ask(Method::POST, "/v1/keys")
            .bearer_auth(&owner)
            .header("idempotency-key", key)
            .json(&json!({"label": "x", "role": role}))
    };
    for role in [
        "member",
        "system",
        "anonymous",
        "platform.admin",
        "machine.king",
    ] {
        problem(odd("two", role), 409, "unsuitable-role").await;
    }
    problem(odd("three", "merchant.cashier"), 409, "merchant-missing").await;

    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_requests_at_once_under_one_key_make_one_key() {
    let house = House::open().await;
    let owner = house.key(&house.demo, "operator.owner").await;
    let sent = (0..8).map(|_| {
        house
            .ask(Method::POST, "/v1/keys")
            .bearer_auth(&owner)
            .header("idempotency-key", "at-once")
            .json(&json!({"label": "till", "role": "machine.erp"}))
            .send()
    });
    let answers = futures_util::future::join_all(sent).await;
    let made = answers
        .iter()
        .filter(|answer| answer.as_ref().unwrap().status() == StatusCode::CREATED);
    assert_eq!(made.count(), 1);
    let list = house.ask(Method::GET, "/v1/keys").bearer_auth(&owner);
    let list: Value = list.send().await.unwrap().json().await.unwrap();
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_page_by_page_and_only_with_its_own_cursors() {
    let house = House::open().await;
    let owner = house.key(&house.demo, "operator.owner").await;
    for number in 0..4 {
        let body = json!({"label": format!("k{number}"), "role": "machine.erp"});
        let key = format!("page-{number}");
        let sent = house
            .ask(Method::POST, "/v1/keys")
            .bearer_auth(&owner)
            .header("idempotency-key", key)
            .json(&body);
        assert_eq!(sent.send().await.unwrap().status(), StatusCode::CREATED);
    }
    let mut seen = Vec::new();
    let mut path = "/v1/keys?limit=2".to_owned();
    loop {
        let page = house.ask(Method::GET, &path).bearer_auth(&owner);
        let page: Value = page.send().await.unwrap().json().await.unwrap();
        assert_eq!(page["object"], "list");
        for key in page["data"].as_array().unwrap() {
            seen.push(key["key_id"].as_str().unwrap().to_owned());
            assert!(key.get("secret").is_none());
        }
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(cursor) => path = format!("/v1/keys?limit=2&cursor={cursor}"),
            None => break assert_eq!(page["has_more"], false),
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(
        seen.windows(2).all(|pair| pair[0] > pair[1]),
        "newest first"
    );
    let bent = house.ask(Method::GET, "/v1/keys?cursor=00ff00ff00ff00ff00");
    problem(bent.bearer_auth(&owner), 400, "invalid-cursor").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_named_by_place() {
    let house = House::open().await;
    let owner = house.key(&house.demo, "operator.owner").await;
    let post = || {
        house
            .ask(Method::POST, "/v1/keys")
            .bearer_auth(&owner)
            .header("idempotency-key", "x")
    };
    let json = "application/json";
    problem(post(), 415, "unsupported-media-type").await;
    let text = post().header("content-type", "text/plain").body("{}");
    problem(text, 415, "unsupported-media-type").await;
    let broken = post().header("content-type", json).body("{\"label\": oops");
    let said = problem(broken, 400, "invalid-json").await;
    assert!(said["detail"].as_str().unwrap().contains("line 1, column"));
    problem(post().header("content-type", json), 400, "invalid-json").await;
    let body = json!({"label": "a\u{0}b", "rol": 1, "merchant_id": null});
    let said = problem(post().json(&body), 400, "invalid-body").await;
    let places: Vec<_> = said["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| {
            (
                fault["pointer"].as_str().unwrap(),
                fault["code"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            ("/role", "missing"),
            ("/label", "wrong-form"),
            ("/merchant_id", "wrong-type"),
            ("/rol", "unknown-member"),
        ]
    );
    let get = |query: &str| {
        house
            .ask(Method::GET, &format!("/v1/keys?{query}"))
            .bearer_auth(&owner)
    };
    let said = problem(get("limit=0"), 400, "invalid-parameter").await;
    assert_eq!(said["param"], "limit");
    assert_eq!(
        said["detail"],
        "limit must be a whole number from 1 to 100."
    );
    let said = problem(get("limt=1"), 400, "unknown-parameter").await;
    assert_eq!(said["param"], "limt");
    problem(get("limit=1&limit=2"), 400, "repeated-parameter").await;
    let unkeyed = house
        .ask(Method::POST, "/v1/keys")
        .bearer_auth(&owner)
        .json(&json!({}));
    problem(unkeyed, 400, "idempotency-key-missing").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_describes_itself() {
    let house = House::open().await;
    let get = |path: &str| house.ask(Method::GET, path).send();
    assert_eq!(get("/readyz").await.unwrap().status(), StatusCode::OK);
    let version: Value = get("/version").await.unwrap().json().await.unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    let head = house.ask(Method::HEAD, "/healthz").send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);

    let document: Value = get("/openapi.json").await.unwrap().json().await.unwrap();
    let input = &document["components"]["schemas"]["CreateKeyIn"];
    assert_eq!(input["additionalProperties"], false);
    let answers = &document["paths"]["/v1/keys"]["post"]["responses"];
    for status in [
        "201", "400", "401", "403", "409", "413", "415", "422", "503",
    ] {
        assert!(answers.get(status).is_some(), "{status}");
    }
    let docs = get("/docs").await.unwrap();
    let policy = docs.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("connect-src 'self'"));
    let page = docs.text().await.unwrap();
    assert!(page.contains("SwaggerUIBundle") && page.contains("Problem503"));
    let small = house
        .ask(Method::GET, "/docs")
        .header("accept-encoding", "gzip");
    let small = small.send().await.unwrap();
    assert_eq!(small.headers()["content-encoding"], "gzip");
    assert!(small.bytes().await.unwrap().len() < 600_000);

    let figures = get("/metrics").await.unwrap().text().await.unwrap();
    assert!(figures.contains("rotunda_http_requests_total{method=\"GET\",route=\"other\""));
    house.close().await;
}

//! A mall of weeks over HTTP, and as its manifest makes it.

use poem::http::Method;
use rotunda::{
    authz::{action::ReadProgramme, actor::Principal},
    cli::tenant::apply_manifest,
    kernel::{
        ids::Entropy,
        time::{Clock, Unit},
    },
    tenancy::{self, Manifest},
};
use serde_json::json;

use crate::support::{
    front::{Front, PLAIN, SHANGHAI, Sheet},
    instant,
    outside::Server,
};

const WEEKLY: Sheet = Sheet {
    settling: "period = \"week\"\napproval = \"one\"\nconfirm_days = 0",
    spending: r#"most_share = "1""#,
    shops: &[
        ("tea", r#"{ en = "Tea" }"#, r#"{ en = "Tea 1" }"#),
        ("cake", r#"{ en = "Cake" }"#, r#"{ en = "Cake 1" }"#),
    ],
    ..SHANGHAI
};

#[tokio::test(flavor = "multi_thread")]
async fn a_week_is_asked_for_closed_and_read_over_http_and_a_month_is_refused() {
    let clock = Clock::fixed(instant("2026-06-10T04:00:00Z"));
    let server = Server::open(4, clock.clone(), Entropy::System).await;
    let mall = Front::open(&server, &WEEKLY, None).await;
    let programme = server.get(mall.owner(), "/v1/programme").await;
    assert_eq!(programme["period"], "week");
    let ada = mall.member(&server, &json!({"card_number": "1"})).await;
    let (tea, cake) = (
        mall.store(&server, "tea-1").await,
        mall.store(&server, "cake-1").await,
    );
    let bought = json!({"store_id": tea, "receipt_number": "1", "member_id": ada,
        "lines": [{"category": "tea", "quantity": 1, "amount": 1_000_00}]});
    server.post(mall.till(), "/v1/purchases", &bought).await;
    let spent = json!({"store_id": cake, "receipt_number": "2", "member_id": ada,
        "total": 100_00, "points": 300});
    server.post(mall.till(), "/v1/spends", &spent).await;

    let get = async |path: &str| server.ask(mall.owner(), &Method::GET, path, None).await;
    for path in [
        "/v1/settlements/preview?period=",
        "/v1/liability?period=",
        "/v1/liability/journal?period=",
    ] {
        let own = get(&format!("{path}2026-W24")).await;
        assert_eq!(own.status, 200, "{path}: {}", own.body);
        let other = get(&format!("{path}2026-06")).await;
        assert_eq!(
            (other.status, other.code().as_str()),
            (409, "period-of-other-unit")
        );
        let told = other.json();
        assert_eq!(told["param"], "period");
        assert_eq!(
            told["detail"],
            "2026-06 is a month, and this mall settles by the week: say 2026-W23, for example."
        );
        let none = get(&format!("{path}2026-W54")).await;
        assert!(none.status == 400 && none.code() != "period-of-other-unit");
    }
    let close = async |period: &str| {
        let body = json!({"period": period}).to_string();
        let path = "/v1/settlements";
        server
            .ask(mall.owner(), &Method::POST, path, Some(&body))
            .await
    };
    let early = close("2026-W24").await;
    assert_eq!(
        (early.status, early.code().as_str()),
        (409, "period-not-over")
    );
    clock.set(instant("2026-06-14T16:00:00Z"));
    let other = close("2026-06-14").await;
    assert_eq!(
        (other.status, other.code().as_str()),
        (409, "period-of-other-unit")
    );
    let closed = close("2026-W24").await;
    assert_eq!(
        (closed.status, closed.json()["period"].as_str()),
        (201, Some("2026-W24"))
    );
    let again = close("2026-W24").await;
    assert_eq!(
        (again.status, again.code().as_str()),
        (409, "period-already-closed")
    );
    assert!(
        again.said().contains("The period 2026-W24"),
        "{}",
        again.said()
    );
    let listed = get("/v1/settlements").await.json();
    assert_eq!(listed["data"][0]["period"], "2026-W24");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_changes_the_period_too_late_changes_nothing() {
    let clock = Clock::fixed(instant("2026-06-10T04:00:00Z"));
    let server = Server::open(4, clock.clone(), Entropy::System).await;
    let slug = crate::support::fresh_slug();
    let manifest = |settling: &'static str, names: &'static str| {
        let sheet = Sheet {
            names,
            settling,
            ..WEEKLY
        };
        let text = sheet.to_string().replace("SLUG", &slug);
        let path = std::env::temp_dir().join(format!("rotunda-unit-{slug}.toml"));
        std::fs::write(&path, text).unwrap();
        let read = Manifest::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        read
    };
    let (week, none) = (WEEKLY.settling, PLAIN.settling);
    let first = manifest(none, r#"{ en = "One" }"#);
    let made = apply_manifest(&server.app, &first).await.unwrap().tenant;
    let state = async || {
        let grant = server
            .app
            .policy
            .allow::<ReadProgramme>(&Principal::system(made.id))
            .unwrap();
        let mut tx = server.app.db.read(&grant).await.unwrap();
        let version = tenancy::programme(&mut tx).await.unwrap().unwrap().version;
        let unit = tenancy::period(&mut tx).await.unwrap();
        let known = server.app.db.tenant_of_slug(&slug).await.unwrap().unwrap();
        (version, unit, known.names, tx.revision().await.unwrap())
    };
    assert_eq!(state().await.1, Unit::Month);
    assert_eq!(
        server.app.mall_of(&slug).await.unwrap().settlement.period,
        Unit::Month
    );
    let weekly = manifest(week, r#"{ en = "Two" }"#);
    apply_manifest(&server.app, &weekly).await.unwrap();
    assert_eq!((state().await.0, state().await.1), (2, Unit::Week));
    assert_eq!(
        server.app.mall_of(&slug).await.unwrap().settlement.period,
        Unit::Week
    );

    let mall = Front::of(&server, made.clone()).await;
    let ada = mall.member(&server, &json!({"card_number": "1"})).await;
    let tea = mall.store(&server, "tea-1").await;
    let bought = json!({"store_id": tea, "receipt_number": "1", "member_id": ada,
        "lines": [{"category": "tea", "quantity": 1, "amount": 1_000_00}]});
    server.post(mall.till(), "/v1/purchases", &bought).await;
    let before = state().await;
    let monthly = manifest(none, r#"{ en = "Three" }"#);
    let refused = apply_manifest(&server.app, &monthly).await.unwrap_err();
    let said = refused.to_string();
    assert!(
        said.contains("settles by the week since its first entry") && said.contains("month"),
        "{said}"
    );
    assert_eq!(state().await, before);
    // Everything else of the manifest can still be changed.
    let renamed = manifest(week, r#"{ en = "Four" }"#);
    apply_manifest(&server.app, &renamed).await.unwrap();
}

//! Malls come to be from their manifests, change with them, close and open again.

use std::{path::PathBuf, time::Instant as Stopwatch};

use rotunda::{
    app::App,
    authz::{
        action::{ApplyManifest, ManageTenants},
        actor::Principal,
        grant::Grant,
    },
    cli::tenant::{Applied, apply},
    db::tenants::Status,
    kernel::{money::Currency, text::Slug, time::Clock},
    merchants::Upserted,
    tenancy::{self, TenancyError},
};
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::support::{Mall, NOON, OwnDatabase, app, app_on, fresh_slug, instant, registration};

/// One file with a merchant, for a mall of that short name.
struct File(PathBuf, String);

impl File {
    fn of(slug: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rotunda-{slug}.toml"));
        let text = format!(
            r#"slug = "{slug}"
names = {{ en = "A mall" }}
languages = ["en"]
time_zone = "UTC"
currency = "USD"
calling_code = "1"
hosts = ["{slug}.localhost"]
[earning]
counts = "paid"
[expiry]
policy = "never"
[settlement]
model = "bilateral"
points = 100
worth = "1.00"
[[merchants]]
code = "tea"
names = {{ en = "Tea" }}
trade = "tea"
alliance = "both"
[[merchants.stores]]
code = "tea-1"
names = {{ en = "Tea 1" }}
"#
        );
        Self(path, text)
    }

    async fn apply(&self, app: &App, from: &str, to: &str) -> anyhow::Result<Applied> {
        std::fs::write(&self.0, self.1.replace(from, to)).unwrap();
        apply(app, &self.0).await
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn manages(app: &App) -> Grant<ManageTenants> {
    app.policy.allow(&Principal::platform(None)).unwrap()
}

#[tokio::test]
async fn a_manifest_applied_twice_changes_nothing_and_a_changed_rule_is_a_new_version() {
    let app = app().await;
    let slug = fresh_slug();
    let file = File::of(&slug);
    let first = file.apply(&app, "", "").await.unwrap();
    assert!(first.created && first.programme.changed && first.programme.version == 1);
    assert_eq!(
        (
            first.merchants.merchants_created,
            first.merchants.stores_created
        ),
        (1, 1)
    );

    let again = file.apply(&app, "# nothing", "").await.unwrap();
    assert!(!again.created && !again.programme.changed && again.programme.version == 1);
    assert_eq!(again.merchants, Upserted::default());

    app.clock.set(instant("2026-04-01T00:00:00Z"));
    let changed = file.apply(&app, "\"paid\"", "\"full\"").await.unwrap();
    assert!(changed.programme.changed && changed.programme.version == 2);
    let back = file.apply(&app, "", "").await.unwrap();
    assert_eq!(
        back.programme.version, 3,
        "what is taken back is a version too"
    );

    let grant: Grant<ApplyManifest> = app
        .policy
        .allow(&Principal::platform(Some(first.tenant.id)))
        .unwrap();
    let mut tx = app.db.read(&grant).await.unwrap();
    let versions = tenancy::programmes(&mut tx).await.unwrap();
    let since: Vec<String> = versions
        .iter()
        .map(|it| it.valid_from.to_rfc3339())
        .collect();
    let april = "2026-04-01T00:00:00+00:00";
    assert_eq!(since, ["0001-01-01T00:00:00+00:00", april, april]);
    assert_eq!(versions[1].body["earning"], json!({ "counts": "full" }));
    assert_eq!(
        tenancy::programme(&mut tx).await.unwrap(),
        versions.last().cloned()
    );
}

#[tokio::test]
async fn a_programme_that_a_room_refuses_leaves_no_trace() {
    let app = app().await;
    let slug = fresh_slug();
    let file = File::of(&slug);
    let refused = file
        .apply(&app, "\"paid\"", "\"everything\"")
        .await
        .unwrap_err();
    let said = refused.to_string();
    let place = file.0.display().to_string();
    assert!(said.starts_with(&place), "{said}");
    assert!(
        said.contains("`everything`, expected `paid` or `full`"),
        "{said}"
    );
    assert!(app.db.tenant_of_slug(&slug).await.unwrap().is_none());
}

#[tokio::test]
async fn the_currency_of_the_books_and_anothers_host_stay() {
    let mall = Mall::open().await;
    let grant = manages(&mall.app);
    let slug = mall.tenant.slug.as_str();

    let mut wanted = registration(slug);
    wanted.currency = Currency::from_code("USD").unwrap();
    let refused = tenancy::open(&mall.app.db, &grant, &wanted)
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("the books of {slug} are in CNY, and a mall's currency cannot be changed to USD")
    );
    let mut wanted = registration(&fresh_slug());
    wanted.hosts.push(format!("{slug}.localhost"));
    let refused = tenancy::open(&mall.app.db, &grant, &wanted)
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("the host {slug}.localhost means the mall {slug} already")
    );
    let known = mall.app.db.tenant_of_slug(wanted.slug.as_str()).await;
    assert!(known.unwrap().is_none());
}

#[tokio::test]
async fn a_suspended_mall_stays_suspended_when_its_manifest_is_applied() {
    let mall = Mall::open().await;
    let (db, grant, slug) = (&mall.app.db, manages(&mall.app), &mall.tenant.slug);
    tenancy::suspend(db, &grant, slug).await.unwrap();
    let opened = tenancy::open(db, &grant, &registration(slug.as_str()))
        .await
        .unwrap();
    assert!(!opened.created && opened.tenant.status == Status::Suspended);
    tenancy::resume(db, &grant, slug).await.unwrap();
    let shown = tenancy::show(db, &grant, slug).await.unwrap();
    assert_eq!(shown.status, Status::Active);
    let malls = tenancy::list(db, &grant).await.unwrap();
    assert!(malls.iter().any(|it| it.slug == *slug));

    let nobody: Slug = "nobody-here".parse().unwrap();
    for refused in [
        tenancy::suspend(db, &grant, &nobody).await.unwrap_err(),
        tenancy::show(db, &grant, &nobody).await.unwrap_err(),
    ] {
        assert!(matches!(refused, TenancyError::UnknownTenant(_)));
    }
}

#[tokio::test]
async fn two_who_apply_at_once_make_one_version() {
    let mall = Mall::open().await;
    let grant = mall.vendor::<ApplyManifest>();
    let adopt = async || {
        let mut tx = mall.app.db.write(&grant).await.unwrap();
        let done = tenancy::adopt(&mut tx, &grant, &json!({ "earning": {} })).await;
        tx.commit().await.unwrap();
        done
    };
    let (one, two) = tokio::join!(adopt(), adopt());
    let outcomes = [one, two].map(|done| match done {
        Ok(adopted) => adopted.version == 1,
        Err(error) => matches!(error, TenancyError::ChangedMeanwhile),
    });
    assert_eq!(outcomes, [true, true]);
    assert_eq!(mall.count("programme").await, 1);
}

#[tokio::test]
async fn a_server_is_ready_when_every_mall_has_its_tables() {
    let database = OwnDatabase::create().await;
    let app = app_on(&database.url, Clock::fixed(instant(NOON))).await;
    let grant = manages(&app);
    for _ in 0..3 {
        let wanted = registration(&fresh_slug());
        tenancy::open(&app.db, &grant, &wanted).await.unwrap();
    }
    assert!(app.db.is_current().await.unwrap());
    assert_eq!(app.db.migrate_all().await.unwrap().tenants, 0);

    // Two malls are as a program before this one left them.
    let mut admin = PgConnection::connect(&database.url).await.unwrap();
    let older = "update platform.tenant set schema_version = 0 \
                 where tenant_id in (select tenant_id from platform.tenant limit 2)";
    sqlx::query(older).execute(&mut admin).await.unwrap();
    assert!(!app.db.is_current().await.unwrap());
    assert!(app.ready().await.is_err());
    assert_eq!(app.db.migrate_all().await.unwrap().tenants, 2);
    assert!(app.ready().await.is_ok());
    app.close().await.unwrap();
    database.remove().await;
}

/// `tests/run -- --ignored --nocapture one_more_mall`
#[tokio::test]
#[ignore = "a measurement"]
async fn one_more_mall_is_there_in_under_a_second() {
    let app = app().await;
    assert_eq!(app.clock.now(), instant(NOON));
    let grant = manages(&app);
    let mut seconds = Vec::new();
    for _ in 0..20 {
        let wanted = registration(&fresh_slug());
        let begin = Stopwatch::now();
        tenancy::open(&app.db, &grant, &wanted).await.unwrap();
        seconds.push(begin.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    println!(
        "one more mall: median {:.3} s, slowest {:.3} s",
        seconds[10], seconds[19]
    );
    assert!(seconds[10] < 1.0);
}

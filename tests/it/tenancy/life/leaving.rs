//! A mall is deleted, and what is left of it is the proof of what it was.

use std::path::Path;

use rotunda::{
    app::{
        App,
        life::{self, LifeError},
    },
    authz::{action::ManageTenants, actor::Principal, grant::Grant},
    db::{
        archive::ArchiveError,
        ending::EndError,
        tenants::{Schema, Status, Tenant},
    },
    jobs::schedule::TidyOutbox,
    kernel::time::Clock,
    queue,
    tenancy::{self, TenancyError},
};
use serde_json::{Value, json};

use super::{Elsewhere, Folder, export, import, in_schema};
use crate::{
    support::{
        NOON,
        books::owner_at,
        fresh_slug,
        front::open_mall,
        instant,
        outside::{Server, tables_at},
        registration,
    },
    tenancy::places::{SHEET, Shopping},
};

fn vendor(app: &App) -> Grant<ManageTenants> {
    app.policy.allow(&Principal::platform(None)).unwrap()
}

async fn delete(app: &App, mall: &Tenant, archive: Option<&Path>) -> Result<Value, LifeError> {
    let slug = &mall.slug;
    life::delete(app, slug, slug.as_str(), archive, "Ada").await
}

/// Schema, role, hosts and jobs that are left of a mall.
async fn left(url: &str, mall: &Tenant) -> (i64, i64, i64, i64) {
    sqlx::query_as(
        "select (select count(*) from pg_namespace where nspname = $1),
                (select count(*) from pg_roles where rolname = $1),
                (select count(*) from platform.host where tenant_id = $2),
                (select count(*) from jobs.jobs where key like $3)",
    )
    .bind(Schema::of(mall.id).to_string())
    .bind(mall.id.uuid())
    .bind(format!("{}/%", mall.id))
    .fetch_one(&mut owner_at(url, "public").await)
    .await
    .unwrap()
}

/// A job of the mall that waits in the queue, a file in the store, and a purchase.
async fn lives(server: &Server, mall: &Shopping) {
    let (app, tenant) = (&server.app, &mall.tenant);
    server
        .post(mall.till(), "/v1/purchases", &mall.purchase("1"))
        .await;
    let paper = "fil_01h2xcejqtf2nbrexx3vqjhp42".parse().unwrap();
    app.files
        .put(tenant.id, paper, b"bytes".to_vec())
        .await
        .unwrap();
    let relay = app.policy.allow(&Principal::system(tenant.id)).unwrap();
    let mut tx = app.db.write(&relay).await.unwrap();
    let day = "2026-03-02".parse().unwrap();
    queue::enqueue(&mut tx, &TidyOutbox { day }).await.unwrap();
    tx.commit().await.unwrap();
    assert!(queue::relay::relay(&app.db, &relay).await.unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mall_is_deleted_by_its_typed_name_and_its_archive_brings_it_back() {
    let house = Elsewhere::open(&Clock::fixed(instant(NOON)), None).await;
    let (server, url) = (&house.server, house.database.url.as_str());
    let (app, grant) = (&server.app, vendor(&server.app));
    let (mall, other) = (
        Shopping::open(server, "main").await,
        Shopping::open(server, "main").await,
    );
    lives(server, &mall).await;
    lives(server, &other).await;
    let (tenant, folder) = (&mall.tenant, Folder::new());
    let neighbour = tables_at(url, &other.tenant).await;

    // Not while it is open, not by another name, not against another archive, not against an old one.
    let early = delete(app, tenant, None).await;
    assert!(matches!(
        early,
        Err(LifeError::End(EndError::NotSuspended(_)))
    ));
    let (stale, foreign) = (folder.file("stale.tar"), folder.file("foreign.tar"));
    export(app, tenant, &stale).await;
    export(app, &other.tenant, &foreign).await;
    let neighbour_now = tables_at(url, &other.tenant).await;
    server
        .post(mall.till(), "/v1/purchases", &mall.purchase("2"))
        .await;
    tenancy::suspend(&app.db, &grant, &tenant.slug)
        .await
        .unwrap();
    let typed = life::delete(app, &tenant.slug, "my-mall", None, "Ada").await;
    assert!(matches!(typed, Err(LifeError::WrongName { .. })));
    for archive in [&stale, &foreign] {
        let refused = delete(app, tenant, Some(archive)).await;
        assert!(matches!(refused, Err(LifeError::NotThis(_))), "{refused:?}");
    }
    let nobody = "no-such-mall".parse().unwrap();
    let unknown = life::delete(app, &nobody, "no-such-mall", None, "Ada").await;
    assert!(matches!(unknown, Err(LifeError::Unknown(_))));
    let whole = tables_at(url, tenant).await;
    assert_eq!(app.db.ending(&grant, &tenant.slug).await.unwrap(), None);
    assert_eq!(left(url, tenant).await, (1, 1, 1, 1));

    let file = folder.file("last.tar");
    let sealed = export(app, tenant, &file).await;
    let proof = delete(app, tenant, Some(&file)).await.unwrap();
    assert_eq!(left(url, tenant).await, (0, 0, 0, 0));
    assert_eq!(app.files.list(tenant.id).await.unwrap(), []);
    assert_eq!(proof["archive"]["sha256"], json!(sealed.digest));
    assert_eq!(proof["tables"]["purchase"]["rows"], 2);
    assert_eq!(proof["tables"], json!(sealed.totals.tables));
    assert_eq!(proof["control"], json!(sealed.totals.control));
    assert_eq!((&proof["files"], &proof["by"]), (&json!(1), &json!("Ada")));
    assert!(proof["ended_at"].is_string());
    let kept = app.db.ending(&grant, &tenant.slug).await.unwrap().unwrap();
    assert_eq!(kept.proof["control"], proof["control"]);

    // The other one noticed nothing.
    assert_eq!(tables_at(url, &other.tenant).await, neighbour_now);
    assert_ne!(neighbour, neighbour_now, "its export was written down");
    assert_eq!(left(url, &other.tenant).await, (1, 1, 1, 1));
    assert_eq!(app.files.list(other.tenant.id).await.unwrap().len(), 1);
    other.proves(server).await;
    assert!(app.db.is_current().await.unwrap());
    assert_eq!(app.db.examine().await.unwrap().behind, [""; 0]);

    // Nobody gets its short name, whoever asks.
    let gone = app
        .db
        .tenant_of_slug(tenant.slug.as_str())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((gone.id, gone.status), (tenant.id, Status::Gone));
    let again = delete(app, tenant, None).await.unwrap();
    assert_eq!(again, proof, "it is told again");
    let resumed = tenancy::resume(&app.db, &grant, &tenant.slug).await;
    assert!(matches!(
        resumed,
        Err(TenancyError::NotThere(_, Status::Gone))
    ));
    let anew = tenancy::open(&app.db, &grant, &registration(tenant.slug.as_str())).await;
    assert!(matches!(anew, Err(TenancyError::NotThere(_, Status::Gone))));
    let taken = import(app, &file, None).await;
    assert!(matches!(
        taken,
        Err(LifeError::Archive(ArchiveError::Taken(_)))
    ));

    // Under another one it comes back, on its own hosts, which nobody else has.
    let restored = import(app, &file, Some(&fresh_slug())).await.unwrap();
    assert_eq!(restored.tenant.hosts, tenant.hosts);
    let same = super::same_in_both;
    assert_eq!(same(tables_at(url, &restored.tenant).await), same(whole));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_was_begun_is_finished_by_whoever_comes() {
    let house = Elsewhere::open(&Clock::fixed(instant(NOON)), None).await;
    let (server, url) = (&house.server, house.database.url.as_str());
    let (app, grant) = (&server.app, vendor(&server.app));
    // Killed before anything was dropped, and after the schema was.
    for dropped in [false, true] {
        let tenant = open_mall(app, &SHEET.to_string(), None).await;
        tenancy::suspend(&app.db, &grant, &tenant.slug)
            .await
            .unwrap();
        let proof = json!({"kept": dropped});
        app.db
            .begin_end(&grant, &tenant.slug, "Ada", &proof)
            .await
            .unwrap();
        if dropped {
            let schema = Schema::of(tenant.id);
            in_schema(url, &tenant, &format!("drop schema {schema} cascade")).await;
        }
        let twice = app.db.begin_end(&grant, &tenant.slug, "Bo", &proof).await;
        assert!(matches!(twice, Err(EndError::NotSuspended(_))));
        let resumed = tenancy::resume(&app.db, &grant, &tenant.slug).await;
        assert!(matches!(
            resumed,
            Err(TenancyError::NotThere(_, Status::Leaving))
        ));
        let file = std::env::temp_dir().join("no.tar");
        let taken = life::export(app, &tenant.slug, &file, |_| ());
        assert!(matches!(
            taken.await,
            Err(LifeError::Elsewhere(_, Status::Leaving))
        ));
        assert!(app.db.is_current().await.unwrap());
        let proof = delete(app, &tenant, None).await.unwrap();
        assert_eq!(
            (&proof["kept"], &proof["by"]),
            (&json!(dropped), &json!("Ada"))
        );
        assert_eq!(left(url, &tenant).await, (0, 0, 0, 0));
    }
    house.close().await;
}

//! Archives of other versions.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use rotunda::{
    app::life::{self, LifeError},
    authz::{action::CarryTenant, actor::Principal},
    db::{
        archive::{self, ArchiveError, Manifest, Pack},
        tenants::{Schema, Tenant},
    },
    kernel::time::Clock,
};
use sqlx::AssertSqlSafe;

use super::{Elsewhere, Folder, asked, import, in_schema};
use crate::{
    support::{NOON, books::owner_at, front::open_mall, instant, outside::Server},
    tenancy::places::{SHEET, Shopping},
};

/// Merchants have stores and members, and nobody yet has an account, a role or an audit.
const THEN: i64 = 12;

/// A mall as a program of that time had it: its tables are made by the migrations of then, and filled
/// with what today's mall has in the columns that were there.
async fn of_then(server: &Server, url: &str, today: &Tenant) -> Tenant {
    let then = open_mall(&server.app, &SHEET.to_string(), None).await;
    let (schema, source) = (
        Schema::of(then.id).to_string(),
        Schema::of(today.id).to_string(),
    );
    let mut files: Vec<_> = std::fs::read_dir("migrations/tenant")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut sql = format!(
        "drop schema {schema} cascade; create schema {schema}; set search_path = {schema}; \
         create table _sqlx_migrations (like {source}._sqlx_migrations including all); \
         insert into _sqlx_migrations select * from {source}._sqlx_migrations where version <= {THEN};"
    );
    for file in files {
        let version = file.file_name().unwrap().to_str().unwrap()[..4].parse::<i64>();
        if version.unwrap() <= THEN {
            sql += &std::fs::read_to_string(file).unwrap();
        }
    }
    let mut admin = owner_at(url, "public").await;
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut admin)
        .await
        .unwrap();
    let columns: Vec<(String, String)> = sqlx::query_as(
        "select old.table_name::text, string_agg(quote_ident(old.column_name), ', ')
         from information_schema.columns old
         join information_schema.columns new
             on new.table_schema = $2 and new.table_name = old.table_name
                and new.column_name = old.column_name
         where old.table_schema = $1 and old.table_name <> '_sqlx_migrations'
         group by old.table_name",
    )
    .bind(&schema)
    .bind(&source)
    .fetch_all(&mut admin)
    .await
    .unwrap();
    let mut sql = "set session_replication_role = replica;".to_owned();
    for (table, columns) in columns {
        let copied = format!("({columns}) select {columns} from {source}.{table}");
        write!(
            sql,
            "delete from {schema}.{table}; insert into {schema}.{table} {copied};"
        )
        .unwrap();
    }
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut admin)
        .await
        .unwrap();
    then
}

/// What that program would have written.
async fn packed(server: &Server, mall: &Tenant, to: &Path, change: impl FnOnce(&mut Manifest)) {
    let app = &server.app;
    let vendor = Principal::platform(Some(mall.id));
    let grant = app.policy.allow::<CarryTenant>(&vendor).unwrap();
    let mut tx = app.db.snapshot(&grant).await.unwrap();
    let mut manifest = archive::describe(&mut tx, mall).await.unwrap();
    change(&mut manifest);
    let mut pack = Pack::create(to, manifest).unwrap();
    archive::copy_out(&mut tx, &mut pack, |_| ()).await.unwrap();
    // It knew fewer sums.
    let control = BTreeMap::from([("points_issued".to_owned(), "200".to_owned())]);
    pack.seal(control, 0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_older_tables_becomes_a_mall_of_todays_and_a_newer_one_is_refused() {
    let house = Elsewhere::open(&Clock::fixed(instant(NOON)), None).await;
    let (server, url) = (&house.server, house.database.url.as_str());
    let today = Shopping::open(server, "main").await;
    for receipt in ["1", "2"] {
        server
            .post(today.till(), "/v1/purchases", &today.purchase(receipt))
            .await;
    }
    let then = of_then(server, url, &today.tenant).await;
    let folder = Folder::new();
    let file = folder.file("older.tar");
    packed(server, &then, &file, |manifest| {
        assert_eq!(manifest.migrations.last(), Some(&THEN));
    })
    .await;
    let read = life::inspect(&file).await.unwrap();
    assert!(!read.totals.tables.contains_key("staff"));
    let restored = import(&server.app, &file, Some("older")).await.unwrap();
    let mall = &restored.tenant;
    assert_eq!(restored.broken, [""; 0]);
    let rows = "select (select count(*) from purchase)::text || (select count(*) from staff)";
    assert_eq!(asked(url, mall, rows).await, "20");
    assert!(server.app.db.is_current().await.unwrap_or(false) || !then.hosts.is_empty());
    let newest = "select max(version)::text from _sqlx_migrations";
    assert_eq!(
        asked(url, mall, newest).await,
        asked(url, &today.tenant, newest).await
    );

    // Sums that are not those of the rows.
    in_schema(url, &then, "update lot set points = points + 1 where false").await;
    let wrong = folder.file("wrong.tar");
    in_schema(url, &then, "update transfer set amount = amount + 1").await;
    packed(server, &then, &wrong, |_| ()).await;
    let refused = import(&server.app, &wrong, Some("wrong")).await;
    assert!(
        matches!(&refused, Err(LifeError::Archive(ArchiveError::Differs(what))) if what == "points_issued"),
        "{refused:?}"
    );

    // Tables that a later program made.
    let newer = folder.file("newer.tar");
    packed(server, &then, &newer, |manifest| {
        manifest.version = "9.0.0".to_owned();
        manifest.migrations.push(9_999);
    })
    .await;
    let refused = import(&server.app, &newer, Some("newer"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            refused,
            LifeError::Archive(ArchiveError::Newer {
                migration: 9_999,
                ..
            })
        ),
        "{refused}"
    );
    assert!(refused.to_string().contains("9.0.0"), "{refused}");
    let form = folder.file("form.tar");
    packed(server, &then, &form, |manifest| manifest.format = 2).await;
    let refused = import(&server.app, &form, Some("form")).await;
    assert!(matches!(
        refused,
        Err(LifeError::Archive(ArchiveError::Form(2)))
    ));
    for slug in ["wrong", "newer", "form"] {
        let known = server.app.db.tenant_of_slug(slug).await.unwrap();
        assert!(known.is_none(), "{slug}");
    }
    house.close().await;
}

//! The isolation self-test: on sound walls it holds, it sees every hole that is made on purpose, and
//! it changes nothing, however much gets through.

use std::{collections::BTreeMap, process::Command};

use poem::http::Method;
use rotunda::{
    app::App,
    authz::{
        action::{ManageTenants, VerifyIsolation},
        actor::Principal,
        grant::Grant,
    },
    db::{
        embedded::Cluster,
        tenants::{Schema, Tenant},
    },
    kernel::{text::Language, time::Clock},
    reports::isolation::{self, IsolationError, Outcome, Report, Why},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::support::{
    NOON, app_on, books::owner_at, browser::Browser, fresh_slug, instant, people::People,
    registration, url,
};

/// A hole in a wall: which attempt has to find it, how it is made, and how it is mended. `{a}` is the
/// mall that is tested, `{b}` another.
const HOLES: &[(&str, &str, &str)] = &[
    (
        "read-other-mall",
        "grant usage on schema {b} to {a}; grant select on {b}.transfer to {a}",
        "revoke usage on schema {b} from {a}; revoke select on {b}.transfer from {a}",
    ),
    (
        "search-path-to-other-mall",
        "grant usage on schema {b} to {a}; grant select on {b}.member to {a}",
        "revoke usage on schema {b} from {a}; revoke select on {b}.member from {a}",
    ),
    (
        "write-other-mall",
        "grant usage on schema {b} to {a}; grant update (available) on {b}.wallet to {a}",
        "revoke usage on schema {b} from {a}; revoke update (available) on {b}.wallet from {a}",
    ),
    (
        "truncate-other-mall",
        "grant usage on schema {b} to {a}; grant truncate on {b}.audit_seal to {a}",
        "revoke usage on schema {b} from {a}; revoke truncate on {b}.audit_seal from {a}",
    ),
    (
        "lock-other-mall",
        "grant usage on schema {b} to {a}; grant delete on {b}.audit_seal to {a}",
        "revoke usage on schema {b} from {a}; revoke delete on {b}.audit_seal from {a}",
    ),
    (
        "create-in-other-mall",
        "grant usage, create on schema {b} to {a}",
        "revoke usage, create on schema {b} from {a}",
    ),
    (
        "own-other-mall",
        "alter schema {b} owner to {a}",
        "alter schema {b} owner to current_user",
    ),
    (
        "join-other-mall",
        "grant {b} to {a} with admin option",
        "revoke {b} from {a}",
    ),
    (
        "read-registry",
        "grant usage on schema platform to {a}; grant select on platform.tenant to {a}",
        "revoke usage on schema platform from {a}; revoke select on platform.tenant from {a}",
    ),
    (
        "write-registry",
        "grant usage on schema platform to {a}; grant update on platform.registry to {a}",
        "revoke usage on schema platform from {a}; revoke update on platform.registry from {a}",
    ),
    (
        "read-jobs",
        "grant usage on schema jobs to {a}; grant select on jobs._private_jobs to {a}",
        "revoke usage on schema jobs from {a}; revoke select on jobs._private_jobs from {a}",
    ),
    (
        "create-beside-malls",
        "grant usage, create on schema ext to {a}",
        "revoke usage, create on schema ext from {a}",
    ),
    (
        "create-table",
        "grant create on schema {a} to {a}",
        "revoke create on schema {a} from {a}",
    ),
    (
        "create-schema",
        "grant create on database {database} to {a}",
        "revoke create on database {database} from {a}",
    ),
    (
        "update-books",
        "grant update (actor) on {a}.audit_entry to {a}",
        "revoke update (actor) on {a}.audit_entry from {a}",
    ),
    (
        "delete-books",
        "grant delete on {a}.transfer to {a}",
        "revoke delete on {a}.transfer from {a}",
    ),
    (
        "truncate-books",
        "grant truncate on {a}.journal to {a}",
        "revoke truncate on {a}.journal from {a}",
    ),
    (
        "own-books",
        "alter table {a}.audit_seal owner to {a}",
        "alter table {a}.audit_seal owner to current_user",
    ),
    (
        "become-administrator",
        "create role breach_master superuser; grant breach_master to rotunda_app",
        "drop role breach_master",
    ),
    (
        "sign-in-as-administrator",
        "alter role rotunda_app superuser; \
         select pg_terminate_backend(pid) from pg_stat_activity where usename = 'rotunda_app'",
        "alter role rotunda_app nosuperuser; \
         select pg_terminate_backend(pid) from pg_stat_activity where usename = 'rotunda_app'",
    ),
    (
        "make-oneself-administrator",
        "alter role {a} superuser",
        "alter role {a} nosuperuser",
    ),
    (
        "grant-oneself-more",
        "grant pg_read_all_data to {a} with admin option",
        "revoke pg_read_all_data from {a}",
    ),
    (
        "create-role",
        "alter role {a} createrole",
        "alter role {a} nocreaterole",
    ),
    (
        "read-passwords",
        "grant select on pg_catalog.pg_authid to {a}",
        "revoke select on pg_catalog.pg_authid from {a}",
    ),
    (
        "read-server-files",
        "grant execute on function pg_catalog.pg_ls_dir(text) to {a}",
        "revoke execute on function pg_catalog.pg_ls_dir(text) from {a}",
    ),
    (
        "write-server-files",
        "grant pg_write_server_files to {a}",
        "revoke pg_write_server_files from {a}",
    ),
    (
        "run-program",
        "grant pg_execute_server_program to {a}",
        "revoke pg_execute_server_program from {a}",
    ),
];

/// Holes through which more than one attempt gets.
const WIDE: [&str; 11] = [
    "search-path-to-other-mall",
    "truncate-other-mall",
    "own-other-mall",
    "join-other-mall",
    "own-books",
    "sign-in-as-administrator",
    "make-oneself-administrator",
    "grant-oneself-more",
    "create-role",
    "write-server-files",
    "run-program",
];

/// A server of PostgreSQL of its own: some of the holes are the whole server's.
struct Place {
    url: String,
    app: App,
    a: Tenant,
}

impl Place {
    async fn open(url: String) -> Self {
        let app = app_on(&url, Clock::fixed(instant(NOON))).await;
        let a = register(&app).await;
        Self { url, app, a }
    }

    async fn owner(&self) -> PgConnection {
        owner_at(&self.url, "pg_catalog").await
    }

    async fn verify(&self) -> Report {
        let grant = grant(&self.app, &self.a);
        isolation::verify(&self.app.db, &grant).await.unwrap()
    }
}

async fn register(app: &App) -> Tenant {
    let grant: Grant<ManageTenants> = app.policy.allow(&Principal::platform(None)).unwrap();
    let wanted = registration(&fresh_slug());
    app.db.register(&grant, &wanted).await.unwrap()
}

fn grant(app: &App, mall: &Tenant) -> Grant<VerifyIsolation> {
    let who = Principal::platform(Some(mall.id));
    app.policy.allow(&who).unwrap()
}

fn outcome<'r>(report: &'r Report, name: &str) -> &'r Outcome {
    let found = report.attempts.iter().find(|one| one.name == name);
    &found.unwrap_or_else(|| panic!("{name}")).outcome
}

/// Every row of every table of every schema that is ours, and what the server knows of roles,
/// schemas, tables and rights.
async fn dump(sql: &mut PgConnection) -> BTreeMap<String, String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables
         where schemaname ~ '^t_' or schemaname in ('platform', 'ext', 'jobs', 'public')
         union all select unnest(array['pg_catalog.pg_authid', 'pg_catalog.pg_auth_members',
             'pg_catalog.pg_namespace', 'pg_catalog.pg_description', 'pg_catalog.pg_database'])",
    )
    .fetch_all(&mut *sql)
    .await
    .unwrap();
    assert!(tables.len() > 80, "{tables:?}");
    let mut dump = BTreeMap::new();
    for table in tables {
        let rows = format!(
            "select coalesce(string_agg(row::text, E'\\n' order by row::text), '') from {table} row"
        );
        let rows = sqlx::query_scalar(AssertSqlSafe(rows));
        dump.insert(table, rows.fetch_one(&mut *sql).await.unwrap());
    }
    let classes = "select string_agg(concat_ws(' ', oid, relname, relowner, relacl), E'\\n' \
                   order by oid) from pg_class";
    let classes = sqlx::query_scalar(classes).fetch_one(&mut *sql).await;
    dump.insert("classes".to_owned(), classes.unwrap());
    dump
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hole_that_is_made_is_seen_and_nothing_is_changed_through_it() {
    let folder = std::env::temp_dir().join(format!("rotunda-walls-{}", fresh_slug()));
    let cluster = Cluster::share(&folder).await.unwrap();
    let place = Place::open(cluster.admin_url()).await;

    // Alone in a database, there is nobody to get at, and that is said.
    let alone = place.verify().await;
    let alone_with = |name| outcome(&alone, name) == &Outcome::NotTried(Why::NoOtherMall);
    assert!(alone_with("read-other-mall") && alone_with("join-other-mall"));
    assert!(alone.holds() && alone.others == 0, "{alone:?}");

    let b = register(&place.app).await;
    let sound = place.verify().await;
    assert!(sound.holds() && sound.others == 1, "{sound:#?}");
    let skipped: Vec<&str> = sound
        .attempts
        .iter()
        .filter(|one| matches!(one.outcome, Outcome::NotTried(_)))
        .map(|one| one.name)
        .collect();
    assert_eq!(
        skipped,
        ["role-of-other-mall"],
        "all others are really tried"
    );

    let mut sql = place.owner().await;
    let database: String = sqlx::query_scalar("select quote_ident(current_database())")
        .fetch_one(&mut sql)
        .await
        .unwrap();
    let (own, other) = (Schema::of(place.a.id), Schema::of(b.id));
    let filled = |text: &str| {
        text.replace("{a}", &own.to_string())
            .replace("{b}", &other.to_string())
            .replace("{database}", &database)
    };
    for (name, make, mend) in HOLES {
        let (make, mend) = (filled(make), filled(mend));
        sqlx::raw_sql(AssertSqlSafe(make))
            .execute(&mut sql)
            .await
            .unwrap();
        let before = dump(&mut sql).await;
        let report = place.verify().await;
        assert!(dump(&mut sql).await == before, "{name} changed something");
        let found = outcome(&report, name);
        assert!(matches!(found, Outcome::GotThrough(_)), "{name}: {found:?}");
        assert!(!report.holds());
        let through = report.attempts.iter();
        let through = through.filter(|one| matches!(one.outcome, Outcome::GotThrough(_)));
        let through: Vec<&str> = through.map(|one| one.name).collect();
        if !WIDE.contains(name) {
            assert_eq!(through, [*name], "one attempt leaves nothing to the next");
        }
        sqlx::raw_sql(AssertSqlSafe(mend))
            .execute(&mut sql)
            .await
            .unwrap();
        let mended = place.verify().await;
        assert!(mended.holds(), "{name}: {mended:#?}");
    }
    for name in isolation::names().filter(|name| *name != "role-of-other-mall") {
        let made = HOLES.iter().any(|(hole, ..)| *hole == name);
        assert!(made, "no hole is made for {name}");
    }

    // What fails for another reason shows nothing, and so does not hold.
    let rename = filled("alter table {a}.journal rename to journey");
    sqlx::raw_sql(AssertSqlSafe(rename))
        .execute(&mut sql)
        .await
        .unwrap();
    let report = place.verify().await;
    for name in [
        "update-books",
        "delete-books",
        "truncate-books",
        "own-books",
    ] {
        let found = outcome(&report, name);
        assert!(
            matches!(found, Outcome::Failed(statement, state)
                if statement.contains("journal") && state == "42P01"),
            "{name}: {found:?}"
        );
    }
    assert!(!report.holds() && report.broken() == 4, "{report:#?}");

    place.app.close().await.unwrap();
    drop(sql);
    cluster.release().await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_made_once_at_a_time_in_a_mall() {
    let mall = People::open().await;
    let owner = mall
        .whole("owner@mall.example", &["operator.owner"], None)
        .await;
    let app = &mall.server.app;
    let grant = grant(app, &mall.front.tenant);
    let under_way = app.db.trial(&grant).await.unwrap();
    assert!(under_way.is_some());
    let refused = isolation::verify(&app.db, &grant).await;
    assert!(matches!(refused, Err(IsolationError::UnderWay)));
    let asked = mall.asks(&owner.token, "/v1/isolation/proof").await;
    assert_eq!(asked, (429, "self-test-under-way".to_owned()));
    let desk = Browser::of(&mall, &owner);
    let page = desk.get("/console/isolation").await;
    let page = desk.submit(&page, "/console/isolation", &[]).await;
    assert_eq!(page.status, 429);
    assert!(page.body.contains("under way already"), "{}", page.body);
    // Another mall's is made meanwhile.
    let other = register(app).await;
    let other = Principal::platform(Some(other.id));
    let other: Grant<VerifyIsolation> = app.policy.allow(&other).unwrap();
    assert!(isolation::verify(&app.db, &other).await.unwrap().holds());
    drop(under_way);
    let proof = mall
        .server
        .get(mall.at(&owner.token), "/v1/isolation/proof")
        .await;
    assert_eq!(proof["holds"], true, "{proof}");
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_and_auditors_run_it_by_the_api_and_nobody_else() {
    let mall = People::open().await;
    let tea = mall.merchant("tea").await;
    let auditor = mall
        .active("eve@mall.example", &["operator.auditor"], None)
        .await;
    register(&mall.server.app).await;
    let proof = mall
        .server
        .get(mall.at(&auditor.token), "/v1/isolation/proof")
        .await;
    assert_eq!(proof["holds"], true, "{proof}");
    assert!(proof["other_malls"].as_i64().unwrap() >= 1, "{proof}");
    let attempts = proof["attempts"].as_array().unwrap();
    let names: Vec<&str> = attempts
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(names, isolation::names().collect::<Vec<_>>());
    assert_eq!(attempts[0]["outcome"], "refused");
    assert_eq!(attempts[0]["sqlstates"], serde_json::json!(["42501"]));
    assert_eq!(attempts[0]["what"], "Read the tables of another mall");
    let unwalled = attempts
        .iter()
        .find(|one| one["name"] == "role-of-other-mall");
    assert_eq!(unwalled.unwrap()["why"], "by-design");
    let rights = proof["rights"].as_array().unwrap();
    let rights: Vec<&str> = rights
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(rights, ["wall-schemas", "wall-role", "append-only"]);
    assert!(
        !proof.to_string().contains("t_0"),
        "no other mall is named: {proof}"
    );

    let marketing = mall
        .active("cy@mall.example", &["operator.marketing"], None)
        .await;
    let merchant = mall
        .whole("bo@tea.example", &["merchant.owner"], Some(&tea))
        .await;
    for token in [&marketing.token, &merchant.token] {
        let refused = mall.asks(token, "/v1/isolation/proof").await;
        assert_eq!(refused, (403, "not-allowed".to_owned()));
        let browser = Browser::new(&mall, "en");
        let cookie = ("__Host-rotunda".to_owned(), token.clone());
        browser.cookies.borrow_mut().extend([cookie]);
        assert_eq!(browser.get("/console/isolation").await.status, 403);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_tries_when_it_is_asked_and_says_what_came_of_it_in_three_languages() {
    let mall = People::open().await;
    let owner = mall
        .whole("owner@mall.example", &["operator.owner"], None)
        .await;
    register(&mall.server.app).await;
    let desk = Browser::of(&mall, &owner);
    let said = [
        ("en", "The walls hold:", "Refused", "Not tried", "Holds"),
        ("zh-CN", "隔离完好：", "已拒绝", "未尝试", "符合"),
        ("zh-TW", "隔離完好：", "已拒絕", "未嘗試", "符合"),
    ];
    for (tag, holds, refused, skipped, right) in said {
        let me = serde_json::json!({"name": "Ada", "language": tag, "theme": "system"});
        let put = mall
            .server
            .ask(
                mall.at(&owner.token),
                &Method::PUT,
                "/v1/me",
                Some(&me.to_string()),
            )
            .await;
        assert_eq!(put.status, 200, "{}", put.body);
        let language: Language = tag.parse().unwrap();
        let page = desk.get("/console/isolation").await;
        assert_eq!(page.status, 200, "{}", page.body);
        assert!(!page.body.contains(holds), "nothing is tried at page load");
        for name in isolation::names() {
            let what = rotunda::texts::text(language, &format!("isolation-try-{name}"));
            assert!(page.body.contains(&format!("<li>{what}</li>")), "{name}");
        }
        let page = desk.submit(&page, "/console/isolation", &[]).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let is_said = |words: &str| page.body.matches(&format!(">{words}</span>")).count();
        assert!(page.body.contains(holds), "{}", page.body);
        assert_eq!(is_said(refused), isolation::names().count() - 1);
        assert_eq!((is_said(skipped), is_said(right)), (1, 3));
    }

    // A hole is red, in words, with the statement.
    let mut sql = owner_at(&url(), "pg_catalog").await;
    let schema = Schema::of(mall.front.tenant.id);
    let make = format!("grant update (kind) on {schema}.journal to {schema}");
    sqlx::raw_sql(AssertSqlSafe(make))
        .execute(&mut sql)
        .await
        .unwrap();
    let page = desk.get("/console/isolation").await;
    let page = desk.submit(&page, "/console/isolation", &[]).await;
    for words in [
        "role=\"alert\"",
        "隔離有漏洞",
        "class=\"state got-through\">被突破</span>",
        "<code>update journal set kind = 'x' where false</code>",
        "不符合",
    ] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
}

/// What the command line says, and how it ended.
fn command(slug: &str, more: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_rotunda"))
        .env("DATABASE_URL", url())
        .args(["isolation", "verify", "--tenant", slug])
        .args(more)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_says_what_came_of_it_and_fails_where_a_wall_has_a_hole() {
    let mall = People::open().await;
    register(&mall.server.app).await;
    let slug = mall.front.tenant.slug.as_str();
    let (exit, said) = command(slug, &[]);
    assert_eq!(exit, Some(0), "{said}");
    for line in [
        "✓ Read the tables of another mall: refused (42501)",
        "- Put on the role of another mall: not-tried",
        "✓ this mall's role can look into no other mall",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let (_, json) = command(slug, &["--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["tenant"], &json["holds"]),
        (&slug.into(), &true.into())
    );
    let attempts = json["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), isolation::names().count());

    let mut sql = owner_at(&url(), "pg_catalog").await;
    let schema = Schema::of(mall.front.tenant.id);
    let make = format!("grant delete on {schema}.transfer to {schema}");
    sqlx::raw_sql(AssertSqlSafe(make))
        .execute(&mut sql)
        .await
        .unwrap();
    let (exit, said) = command(slug, &[]);
    assert_eq!(exit, Some(1), "{said}");
    for line in [
        "✗ Delete from the books and from the audit: got-through",
        "    delete-books: delete from transfer where false",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let (exit, json) = command(slug, &["--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((exit, &json["holds"]), (Some(1), &false.into()));
    assert_eq!(command("nobody-here", &[]).0, Some(3));
}

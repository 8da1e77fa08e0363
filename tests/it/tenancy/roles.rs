//! TEN-11: the walls between malls as PostgreSQL itself keeps them.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::books::{House, Mall, fresh_slug};

/// Three malls of one house.
async fn malls() -> Vec<Mall> {
    let house = House::new(2).await;
    let mut malls = Vec::new();
    for _ in 0..3 {
        malls.push(house.mall(&fresh_slug(), "Asia/Shanghai").await);
    }
    malls
}

async fn count(sql: &mut PgConnection, query: &str, role: &str, schema: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(query.to_owned()))
        .bind(role)
        .bind(schema)
        .fetch_one(sql)
        .await
        .unwrap()
}

const SCHEMA_RIGHTS: &str = "\
    select count(*) from unnest(array['usage', 'create']) as may \
    where has_schema_privilege($1, $2, may)";
const TABLE_RIGHTS: &str = "\
    select count(*) from pg_class, \
        unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) \
        as may \
    where relnamespace = $2::text::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f') \
      and (has_table_privilege($1, pg_class.oid, may) \
           or may in ('select', 'insert', 'update', 'references') \
              and has_any_column_privilege($1, pg_class.oid, may))";
const OTHER_RIGHTS: &str = "\
    select (select count(*) from pg_class where relnamespace = $2::text::regnamespace \
              and case when relkind = 'S' \
                  then has_sequence_privilege($1, oid, 'usage, select, update') end) \
         + (select count(*) from pg_proc where pronamespace = $2::text::regnamespace \
              and has_schema_privilege($1, $2, 'usage') \
              and has_function_privilege($1, oid, 'execute'))";

#[tokio::test]
async fn ten_11_no_malls_role_has_any_right_in_another_schema() {
    let malls = malls().await;
    let mut sql = malls[0].owner().await;
    let schemas: Vec<String> = malls.iter().map(Mall::schema).collect();
    let others = ["platform", "jobs", "ext"].map(str::to_owned);
    for role in &schemas {
        for schema in schemas
            .iter()
            .chain(&others)
            .filter(|schema| *schema != role)
        {
            for rights in [SCHEMA_RIGHTS, TABLE_RIGHTS, OTHER_RIGHTS] {
                let found = count(&mut sql, rights, role, schema).await;
                assert_eq!(found, 0, "{role} in {schema}: {rights}");
            }
        }
        let own = count(&mut sql, SCHEMA_RIGHTS, role, role).await;
        assert_eq!(
            own, 1,
            "usage of its own schema, and nothing is created there"
        );
    }
}

#[tokio::test]
async fn ten_11_postgresql_refuses_a_mall_that_names_another() {
    let malls = malls().await;
    let (a, b) = (malls[0].schema(), malls[1].schema());
    let mut sql = malls[0].owner().await;
    let foreign = [
        format!("select from {b}.member"),
        format!("insert into {b}.outbox (name) values ('x')"),
        format!("update {b}.wallet set available = 1"),
        format!("delete from {b}.good_offer"),
        format!("truncate {b}.journal"),
        format!("lock table {b}.book in exclusive mode"),
        format!("create table {b}.mine (x int)"),
        format!("drop schema {b} cascade"),
        format!("alter schema {b} rename to mine"),
        "create schema mine".to_owned(),
        "create table public.mine (x int)".to_owned(),
        "create table ext.mine (x int)".to_owned(),
        "select from platform.tenant".to_owned(),
        "update platform.tenant set status = 'suspended'".to_owned(),
        "select from jobs._private_jobs".to_owned(),
        "create role mine".to_owned(),
        format!("grant {b} to {a}"),
        "set local role postgres".to_owned(),
    ];
    for (role, statement) in foreign.iter().map(|one| (Some(&a), one)) {
        let said = refusal(&mut sql, role, statement).await;
        assert!(
            matches!(said.as_deref(), Some("42501" | "22023")),
            "{statement}: {said:?}"
        );
    }
    // The login without any mall's role: nothing of any mall, and the registry is only read.
    let bare = [
        format!("select from {a}.member"),
        format!("insert into {a}.outbox (name) values ('x')"),
        "update platform.tenant set status = 'suspended'".to_owned(),
        "insert into platform.host (host) values ('x')".to_owned(),
        "create table public.mine (x int)".to_owned(),
        "create schema mine".to_owned(),
    ];
    for statement in &bare {
        let said = refusal(&mut sql, None, statement).await;
        assert_eq!(said.as_deref(), Some("42501"), "{statement}");
    }
    for (role, fine) in [
        (Some(&a), "select from member"),
        (None, "select from platform.tenant"),
    ] {
        assert_eq!(refusal(&mut sql, role, fine).await, None, "{fine}");
    }
}

/// The SQLSTATE with which a statement is refused to `rotunda_app` with that role put on.
async fn refusal(sql: &mut PgConnection, role: Option<&String>, statement: &str) -> Option<String> {
    let mut tx = sql.begin().await.unwrap();
    let mut opening = "set local session authorization rotunda_app".to_owned();
    if let Some(role) = role {
        opening = format!("{opening}; set local role {role}");
    }
    sqlx::raw_sql(AssertSqlSafe(opening))
        .execute(&mut *tx)
        .await
        .unwrap();
    let outcome = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(&mut *tx)
        .await;
    tx.rollback().await.unwrap();
    let error = outcome.err()?.into_database_error().unwrap();
    Some(error.code().unwrap().into_owned())
}

#[tokio::test]
async fn ten_11_the_login_owns_nothing_inherits_nothing_and_creates_nothing() {
    let malls = malls().await;
    let mut sql = malls[0].owner().await;
    let flags: Vec<bool> = sqlx::query_scalar(
        "select unnest(array[rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolreplication,
             rolbypassrls]) from pg_roles where rolname = 'rotunda_app'",
    )
    .fetch_all(&mut sql)
    .await
    .unwrap();
    assert_eq!(flags, [false; 6]);
    let owned: i64 = sqlx::query_scalar(
        "select count(*) from pg_shdepend
         where refobjid = 'rotunda_app'::regrole and deptype = 'o'
           and dbid = (select oid from pg_database where datname = current_database())",
    )
    .fetch_one(&mut sql)
    .await
    .unwrap();
    assert_eq!(owned, 0);
    let creates: Vec<String> = sqlx::query_scalar(
        "select nspname::text from pg_namespace
         where nspname !~ '^pg_(toast_)?temp_' and has_schema_privilege('rotunda_app', oid, 'create')
         union all
         select datname::text from pg_database
         where datname = current_database()
           and has_database_privilege('rotunda_app', oid, 'create')",
    )
    .fetch_all(&mut sql)
    .await
    .unwrap();
    assert_eq!(creates, Vec::<String>::new());
    for mall in &malls {
        let (login, inherits, members): (bool, i64, Vec<String>) = sqlx::query_as(
            "select rolcanlogin or rolsuper or rolbypassrls or rolcreaterole or rolcreatedb,
                    (select count(*) from pg_auth_members where member = pg_roles.oid),
                    (select array_agg(member::regrole::text) from pg_auth_members
                     where roleid = pg_roles.oid)
             from pg_roles where rolname = $1",
        )
        .bind(mall.schema())
        .fetch_one(&mut sql)
        .await
        .unwrap();
        assert_eq!(
            (login, inherits),
            (false, 0),
            "a mall's role only has what its schema grants"
        );
        assert!(members.contains(&"rotunda_app".to_owned()));
    }
}

#[tokio::test]
async fn ten_11_nothing_runs_with_its_owners_rights_and_nobody_creates_in_public() {
    let mall = Mall::open().await;
    let mut sql = mall.owner().await;
    let definers: Vec<String> = sqlx::query_scalar(
        "select oid::regprocedure::text from pg_proc
         where prosecdef and pronamespace not in ('pg_catalog'::regnamespace,
             'information_schema'::regnamespace)",
    )
    .fetch_all(&mut sql)
    .await
    .unwrap();
    assert_eq!(definers, Vec::<String>::new());
    let open: i64 = sqlx::query_scalar(
        "select count(*) from pg_namespace, aclexplode(nspacl)
         where nspname = 'public' and grantee = 0 and privilege_type = 'CREATE'",
    )
    .fetch_one(&mut sql)
    .await
    .unwrap();
    assert_eq!(open, 0);
    // What is made later belongs to its maker alone, too.
    let defaults: i64 = sqlx::query_scalar("select count(*) from pg_default_acl")
        .fetch_one(&mut sql)
        .await
        .unwrap();
    assert_eq!(defaults, 0);
    let code: i64 = sqlx::query_scalar(
        "select (select count(*) from pg_proc where pronamespace = $1::text::regnamespace)
              + (select count(*) from pg_type where typnamespace = $1::text::regnamespace
                   and typtype in ('e', 'd', 'r'))
              + (select count(*) from pg_trigger join pg_class on pg_class.oid = tgrelid
                 where relnamespace = $1::text::regnamespace and not tgisinternal)",
    )
    .bind(mall.schema())
    .fetch_one(&mut sql)
    .await
    .unwrap();
    assert_eq!(code, 0, "no function, type or trigger in a mall's schema");
}

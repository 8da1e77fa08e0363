//! Who may speak SQL, and what it never says, so that it runs on Citus too (scale.md, R20).

use std::path::Path;

use regex::Regex;

use super::{
    dialect::{Dialect, plain, statements},
    source::{files, room_of, sources},
};

/// Files that need one of these words, and why.
const EXCUSED: [(&str, &str); 6] = [
    // The queue's tables come from elsewhere, with row level security that lets nobody in.
    ("src/db/migrate.rs", "R18: create policy"),
    // One snapshot of all tables of a mall that is copied, though nobody writes to it.
    ("src/db/moving.rs", "R11: isolation level"),
    ("src/db/archive/mod.rs", "R11: isolation level"),
    // Rows are written and compared as texts, which are the same whatever a server is set to.
    ("src/db/moving.rs", "R7: a zone of the session"),
    // What the server says of itself, its own clock included, for the doctor.
    ("src/db/examine.rs", "R13: current_setting"),
    ("src/db/examine.rs", "R6: clock_timestamp"),
];

/// Whether a file is one of those that may speak SQL.
fn speaks(path: &str) -> bool {
    ["db", "ledger", "queue", "reports"].contains(&room_of(path)) || path.ends_with("/store.rs")
}

#[test]
fn sql_is_spoken_in_few_places_and_plainly() {
    let dialect = Dialect::of_the_house();
    let (mut wrong, mut needed) = (Vec::new(), [false; EXCUSED.len()]);
    for (path, (code, texts)) in sources() {
        if code.contains("sqlx::") && !speaks(&path) {
            wrong.push(format!("{path}: sqlx"));
        }
        if code.contains("AssertSqlSafe") && room_of(&path) != "db" {
            wrong.push(format!("{path}: AssertSqlSafe"));
        }
        let mut found = Vec::new();
        for text in &texts {
            found.extend(dialect.words(text));
            if speaks(&path) {
                found.extend(statements(text).iter().flat_map(|one| dialect.faults(one)));
            }
        }
        found.retain(|fault| {
            let excuse = |(file, may): &(&str, &str)| path.starts_with(file) && may == fault;
            let excused = EXCUSED.iter().position(excuse);
            if let Some(place) = excused {
                needed[place] = true;
            }
            excused.is_none()
        });
        wrong.extend(found.iter().map(|fault| format!("{path}: {fault}")));
    }
    for (path, text) in files(Path::new("migrations"), ".sql") {
        let sql = plain(&text);
        let mut found = dialect.words(&sql);
        for one in statements(&sql) {
            found.extend(dialect.faults(&one));
            if path.contains("/tenant/") && one.contains("platform.") {
                found.push("R18: a mall's table that knows of the platform".to_owned());
            }
        }
        wrong.extend(found.iter().map(|fault| format!("{path}: {fault}")));
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(
        needed.iter().all(|used| *used),
        "nobody needs one of the excuses: {needed:?}"
    );
}

/// Whoever changes what servers remember of a mall says so in the same function.
#[test]
fn what_servers_remember_is_not_changed_in_silence() {
    let change = r"\b(insert into|update|delete from) (programme|api_key|merchant|store|staff|staff_role)\s|\bupdate session set (token_hash|ended_at)\b";
    let change = Regex::new(change).unwrap();
    let (mut silent, mut told) = (Vec::new(), 0);
    for (path, text) in files(Path::new("src"), ".rs") {
        for function in text.split("async fn ").skip(1) {
            if !change.is_match(function) {
                continue;
            }
            if function.contains("tx.revise()") {
                told += 1;
            } else {
                let name = function.split('(').next().unwrap();
                silent.push(format!("{path}: {name}"));
            }
        }
    }
    assert_eq!(silent, Vec::<String>::new());
    assert!(told >= 20, "{told}");
}

/// One of each kind that must be found, with the rule that finds it.
const PLANTED: [(&str, &str); 53] = [
    (
        "revision",
        "update platform.tenant set status = $2 where slug = $1",
    ),
    ("R6", "update lot set earned_at = now()"),
    ("R6", "select clock_timestamp()"),
    ("R6", "insert into lot (lot_id) values (gen_random_uuid())"),
    (
        "R6",
        "update lot set expires_at = expires_at + interval '1 day'",
    ),
    (
        "R6",
        "delete from lot where expires_at - interval '1 day' < $1",
    ),
    ("R6", "update journal set posted_in = occurred_at::date"),
    (
        "R6",
        "delete from lot where date_trunc('day', expires_at) < $1",
    ),
    (
        "R6",
        "with a as (select 1) update good set code = concat(code, 'x')",
    ),
    ("R6", "update good set names = to_jsonb(code)"),
    (
        "R6",
        "insert into a (b) values ($1) on conflict (b) do update set c = lower(excluded.c)",
    ),
    (
        "R6",
        "insert into a (b) values ($1) returning to_char(b, 'YYYY')",
    ),
    ("R7", "select posted_at::date from journal"),
    ("R7", "select date_trunc('month', posted_at) from journal"),
    ("R7", "select extract(day from lot.expires_at) from lot"),
    ("R7", "set local timezone = 'Asia/Shanghai'"),
    (
        "R8",
        "create table a (b serial, constraint a_pkey primary key (b))",
    ),
    ("R8", "create table a (b int generated always as identity)"),
    ("R8", "select nextval('a')"),
    ("R8", "alter sequence a restart"),
    (
        "R9",
        "insert into a (b, c) values ($1, (select max(c) from a))",
    ),
    (
        "R9",
        "merge into a using b on true when matched then delete",
    ),
    ("R9", "create or replace view a as select 1"),
    ("R9", "update a set b = 1 where current of c"),
    ("R9", "update a set (b).c = 1"),
    ("R9", "prepare transaction 'a'"),
    (
        "R11",
        "alter table a add constraint a_b_fkey foreign key (b) references b (b) deferrable",
    ),
    ("R11", "set constraints all deferred"),
    ("R11", "begin isolation level serializable"),
    (
        "R11",
        "select 1 from wallet where member_id = any($1) for update",
    ),
    ("R12", "select pg_advisory_xact_lock(1)"),
    ("R12", "listen jobs"),
    ("R13", "set search_path to t_a"),
    ("R13", "begin; set role t_a"),
    ("R13", "select set_config('a.b', 'c', true)"),
    ("R13", "select current_setting('a.b')"),
    ("R13", "reset all"),
    (
        "R14",
        "create trigger a before update on b for each row execute function c()",
    ),
    ("R14", "select pg_notify('a', 'b')"),
    (
        "R15",
        "create function a() returns int language sql as 'select 1'",
    ),
    ("R16", "create type mood as enum ('glad', 'sad')"),
    ("R16", "create domain points as bigint"),
    ("R16", "create extension pg_trgm"),
    ("R17", "alter table a add column b int, add column c int"),
    (
        "R17",
        "alter table a add column b uuid constraint a_b_fkey references b (b)",
    ),
    ("R17", "drop index a, b"),
    ("R17", "create table a (b int)"),
    (
        "R17",
        "create table a (b int, constraint a_pkey primary key (b), unique (b))",
    ),
    (
        "R17",
        "create table a (b int references c (b), constraint a_pkey primary key (b))",
    ),
    (
        "R17",
        "alter table a add constraint a_name_that_is_longer_than_what_citus_leaves_of_it_check \
         check (b > 0)",
    ),
    ("R18", "create materialized view a as select 1"),
    ("R18", "create policy a on b using (c in (select d from e))"),
    (
        "R18",
        "alter table a add constraint a_fkey foreign key (b) references platform.tenant (b)",
    ),
];

/// What looks like one of them and is fine.
const FINE: [&str; 12] = [
    "set local lock_timeout = '1s'",
    "select 1 from wallet where member_id = $1 order by member_id for update",
    "update lot set remaining = remaining - $1, expires_at = $2 where lot_id = $3",
    "insert into a (b) values ($1) on conflict (b) do update set c = excluded.c + 1",
    "insert into a (b) select unnest($1::date[]) where not exists (select from a)",
    "insert into a (b) values ($1), ($2) returning b, (select count(*) from c)",
    "update a set b = true where c in (select c from d where e::date = $1)",
    "select (posted_at at time zone $1)::date from journal",
    "select date_trunc('month', posted_at at time zone $1) from journal",
    "alter table a add constraint a_b_check check (b in ('x', 'y'))",
    "alter role rotunda_app set timezone = 'UTC'",
    "create table a (b int not null, c uuid not null, constraint a_pkey primary key (b, c), \
     constraint a_c_fkey foreign key (c) references d (c))",
];

#[test]
fn every_rule_finds_what_it_is_for() {
    let dialect = Dialect::of_the_house();
    let found = |sql: &str| {
        let sql = plain(sql);
        let mut found = dialect.words(&sql);
        found.extend(statements(&sql).iter().flat_map(|one| dialect.faults(one)));
        found
    };
    let mut used = Vec::new();
    for (rule, sql) in PLANTED {
        let found = found(sql);
        let by_rule = |fault: &String| fault.starts_with(&format!("{rule}: "));
        assert!(
            found.iter().any(by_rule),
            "{rule} does not see: {sql}: {found:?}"
        );
        used.extend(found);
    }
    for sql in FINE {
        assert_eq!(found(sql), Vec::<String>::new(), "{sql}");
    }
    for rule in dialect.rules() {
        assert!(
            used.iter().any(|fault| fault == rule),
            "nothing planted for {rule}"
        );
    }
}

//! Who may speak SQL, and what it never says, so that it runs on Citus too (scale.md, R20).

use std::path::Path;

use super::source::{files, room_of, sources};

/// What the SQL of this house never says (scale.md, R6, R8, R9, R11 to R14, R16 to R18).
const BANNED: &str = "\
    select *, .*,, now(), current_timestamp, clock_timestamp, statement_timestamp, random(), \
    gen_random_uuid, nextval, setval, currval, alter sequence, serial, as identity, \
    merge into, current of, prepare transaction, deferrable, set constraints, advisory, \
    set_config, current_setting, set session, create trigger, create type, create domain, \
    rename constraint, alter constraint, set statistics, inherits (, attach partition, \
    concurrently, materialized view, create rule, create policy, create function, \
    isolation level, create extension";

/// Files that need one of these words, and why.
const EXCUSED: [(&str, &str); 5] = [
    // The queue's tables come from elsewhere, with row level security that lets nobody in.
    ("src/db/migrate.rs", "create policy"),
    // Private servers of tests and of one machine are made here, outside of any mall.
    ("src/db/embedded", "current_setting"),
    // One snapshot of all tables of a mall that is copied, though nobody writes to it.
    ("src/db/moving.rs", "isolation level"),
    // What the server says of itself, its own clock included, for the doctor.
    ("src/db/examine.rs", "current_setting"),
    ("src/db/examine.rs", "clock_timestamp"),
];

#[test]
fn sql_is_spoken_in_few_places_and_plainly() {
    let mut wrong = Vec::new();
    for (path, (code, texts)) in sources() {
        let room = room_of(&path);
        let speaks =
            ["db", "ledger", "queue", "reports"].contains(&room) || path.ends_with("/store.rs");
        if code.contains("sqlx::") && !speaks {
            wrong.push(format!("{path}: sqlx"));
        }
        if code.contains("AssertSqlSafe") && room != "db" {
            wrong.push(format!("{path}: AssertSqlSafe"));
        }
        for word in BANNED.split(", ") {
            let excused = EXCUSED
                .iter()
                .any(|(file, may)| path.starts_with(file) && *may == word);
            if !excused && texts.iter().any(|text| text.contains(word)) {
                wrong.push(format!("{path}: {word}"));
            }
        }
    }
    for (path, text) in files(Path::new("migrations"), ".sql") {
        let sql: Vec<&str> = text
            .lines()
            .map(|line| line.split("--").next().unwrap())
            .collect();
        let sql = sql
            .join(" ")
            .to_lowercase()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let used = BANNED.split(", ").filter(|word| sql.contains(*word));
        wrong.extend(used.map(|word| format!("{path}: {word}")));
        let keys = sql.matches("_pkey primary key").count();
        assert_eq!(
            sql.matches("create table").count(),
            keys,
            "{path}: a table without a key"
        );
        for name in sql
            .split("constraint ")
            .skip(1)
            .filter_map(|rest| rest.split(' ').next())
        {
            assert!(name.len() <= 50, "{name}: Citus appends a number");
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

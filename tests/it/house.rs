//! The plan of the house: who imports whom, who may speak SQL and which, and who owns a table.

mod dialect;
mod source;
mod sql;

use std::{collections::BTreeMap, path::Path};

use source::{files, imports, room_of, sources, split};

/// Floor by floor; a room imports only from lower ones.
const FLOORS: [&[&str]; 8] = [
    &["kernel"],
    &["authz"],
    &["db", "gateway", "config", "telemetry", "texts"],
    &["audit", "ledger", "queue", "notify"],
    &[
        "identity",
        "tenancy",
        "merchants",
        "members",
        "earning",
        "redemption",
        "settlement",
        "billing",
        "reports",
    ],
    &["app", "http"],
    &["api", "web", "jobs"],
    &["cli", "main", "lib"],
];

/// What is allowed on the same floor.
const ARROWS: [(&str, &[&str]); 10] = [
    ("config", &["db"]),
    ("telemetry", &["config"]),
    ("audit", &["queue"]),
    ("notify", &["audit", "queue"]),
    ("earning", &["members", "merchants", "redemption"]),
    ("redemption", &["members", "merchants"]),
    ("settlement", &["merchants"]),
    ("tenancy", &["identity"]),
    ("http", &["app"]),
    ("main", &["cli"]),
];

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&room))
}

#[test]
fn a_room_imports_only_what_lies_below_it_or_where_an_arrow_points() {
    let mut wrong = Vec::new();
    for (path, (code, _)) in sources() {
        let room = room_of(&path);
        let own = floor_of(room).unwrap_or_else(|| panic!("{room} has no place in the house"));
        for other in imports(&code).into_iter().filter(|other| other != room) {
            let arrow = ARROWS
                .iter()
                .any(|(from, to)| *from == room && to.contains(&other.as_str()));
            if floor_of(&other).is_none_or(|floor| floor >= own) && !arrow {
                wrong.push(format!("{path}: {other}"));
            }
        }
        let outside = ["poem", "maud", "askama", "reqwest", "hyper"];
        // The gateway is where the outside is asked.
        let asks = |word: &str| room == "gateway" && word == "reqwest";
        let knows = |word: &&str| own <= 4 && !asks(word) && code.contains(&format!("{word}::"));
        wrong.extend(
            outside
                .into_iter()
                .filter(knows)
                .map(|word| format!("{path}: {word}")),
        );
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Table by owner, as the migrations' comments say it: `-- members` or `-- queue: why`.
fn owners() -> BTreeMap<String, String> {
    let (mut owners, mut owner) = (BTreeMap::new(), String::new());
    for (_, text) in files(Path::new("migrations/tenant"), ".sql") {
        for line in text.lines() {
            if let Some(said) = line.strip_prefix("-- ") {
                let word = said.split([':', ' ', ',']).next().unwrap();
                if floor_of(word).is_some() {
                    word.clone_into(&mut owner);
                }
            } else if let Some(rest) = line.strip_prefix("create table ") {
                let table = rest.split(' ').next().unwrap().to_owned();
                owners.insert(table, owner.clone());
            }
        }
    }
    owners
}

#[test]
fn a_table_is_named_by_its_owner_and_by_reports() {
    let (owners, mut wrong) = (owners(), Vec::new());
    assert!(owners.len() > 20 && owners.values().all(|owner| !owner.is_empty()));
    for (path, (_, texts)) in sources() {
        let room = room_of(&path);
        for (table, owner) in &owners {
            let store = path.starts_with(&format!("src/{owner}/")) && path.ends_with("/store.rs");
            let views = owner == "ledger"
                && ["flows", "listing", "views"]
                    .iter()
                    .any(|name| path == format!("src/ledger/{name}.rs"));
            let anywhere = room == "reports" || room == owner && ["db", "queue"].contains(&room);
            if anywhere || store || views {
                continue;
            }
            let names = |text: &String| {
                ["from", "join", "into", "update", "table", "only"]
                    .iter()
                    .any(|verb| {
                        let said = format!("{verb} {table}");
                        text.match_indices(&said).any(|(at, _)| {
                            let before = text[..at].chars().next_back();
                            let after = text[at + said.len()..].chars().next();
                            before.is_none_or(|letter| letter == ' ' || letter == '(')
                                && after.is_none_or(|letter| " ,();".contains(letter))
                        })
                    })
            };
            if texts.iter().any(names) {
                wrong.push(format!("{path} names {table} of {owner}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn files_are_short_and_finished() {
    let mut wrong = Vec::new();
    for folder in ["src", "tests"] {
        for (path, source) in files(Path::new(folder), ".rs") {
            let (code, _) = split(&source);
            if source.lines().count() > 600 {
                wrong.push(format!("{path}: more than 600 lines"));
            }
            let unfinished = ["todo!(", "unimplemented!(", "dbg!("].iter();
            wrong.extend(
                unfinished
                    .filter(|word| code.contains(**word))
                    .map(|word| format!("{path}: {word}")),
            );
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

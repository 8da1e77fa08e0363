//! The SQL that PostgreSQL and Citus both take, as what it must not contain (scale.md, R6 to R18).

use regex::Regex;

/// What no text says at all, by rule.
const WORDS: [(&str, &str); 12] = [
    ("style", "select *, .*,"),
    (
        "R6",
        "now(), current_timestamp, current_date, localtimestamp, clock_timestamp, \
         statement_timestamp, transaction_timestamp, timeofday, random(), gen_random_uuid",
    ),
    (
        "R8",
        "nextval, setval, currval, lastval, create sequence, alter sequence, serial, as identity",
    ),
    (
        "R9",
        "merge into, current of, prepare transaction, commit prepared",
    ),
    (
        "R11",
        "deferrable, initially deferred, set constraints, isolation level",
    ),
    ("R12", "advisory"),
    (
        "R13",
        "set_config, current_setting, set session, reset all, discard all",
    ),
    (
        "R14",
        "create trigger, create constraint trigger, pg_notify, tg_table_name, create rule",
    ),
    (
        "R15",
        "create function, create or replace function, create procedure",
    ),
    (
        "R16",
        "create type, create domain, create extension, create operator, create cast",
    ),
    (
        "R17",
        "rename constraint, alter constraint, set statistics, inherits (, attach partition, \
         detach partition, partition by range, partition by list, partition by hash, concurrently",
    ),
    ("R18", "materialized view, create policy"),
];

/// What no statement is, and what makes it one all the same.
const STATEMENTS: [(&str, &str, &str); 18] = [
    (
        "revision: what servers remember of the registry, changed in silence",
        r"\b(insert into|update|delete from) platform\.tenant\b",
        r"\bupdate platform\.registry set revision\b|\bset schema_version\b",
    ),
    (
        "R6: what differs from node to node, in an update or a delete",
        r"\b(update [a-z_.]+ (as [a-z_]+ )?set|delete from) .*(date_trunc|to_char|to_jsonb?|row_to_json|concat|concat_ws|age)\(",
        "",
    ),
    (
        "R6: an interval added to a column, in an update or a delete",
        r"\b(update [a-z_.]+ (as [a-z_]+ )?set|delete from) .*[a-z_] [+-] interval\b",
        "",
    ),
    (
        "R6: a column cut to its day, in an update or a delete",
        r"\b(update [a-z_.]+ (as [a-z_]+ )?set|delete from) [^(]*[a-z_]::(date|time|timestamp)\b",
        "",
    ),
    (
        "R6: a function on conflict",
        r"\bdo update set .*[a-z_]\(",
        "",
    ),
    (
        "R6: what differs from node to node, returned",
        r"\breturning .*(date_trunc|to_char|to_jsonb?|row_to_json|concat|concat_ws|age)\(",
        "",
    ),
    (
        "R7: a moment as the session's zone has it",
        r"[a-z]_at::(date|time|timestamp|text)\b",
        "",
    ),
    (
        "R7: a part of a moment in the session's zone",
        r"\b(date_trunc|to_char|extract|date_part)\([^()]*[a-z]_at\b",
        "_at at time zone",
    ),
    (
        "R7: a zone of the session",
        r"\bset (local |session )?time ?zone\b",
        "^alter (role|database) ",
    ),
    (
        "R8: a small number that counts itself",
        r"\b(smallint|int|integer) generated\b",
        "",
    ),
    (
        "R9: a view",
        r"\bcreate (or replace )?(temporary |temp |recursive )*view\b",
        "",
    ),
    ("R9: a field of a composite", r"\bset \([a-z_]+\)\.", ""),
    (
        "R11: rows locked in any order",
        r"\bfor (no key )?(update|share)\b",
        r"\border by\b",
    ),
    (
        "R12: a channel",
        r"^(un)?listen [a-z_*]+$|^notify [a-z_]+( ?,|$)",
        "",
    ),
    (
        "R13: a setting of the session",
        r"^(set|reset) [a-z_.]+",
        "^set (local|constraints|session|transaction) |^reset all",
    ),
    ("R16: a type of its own", r"\bas (enum|range) ?\(", ""),
    (
        "R17: a column that comes with more than itself",
        r"^alter table .* add (column )?[a-z_]+ .*\b(constraint|references|unique|primary key|generated)\b",
        r"^alter table [a-z_.]+ add constraint ",
    ),
    (
        "R18: a policy that asks a table",
        r"^create policy .*\bselect\b",
        "",
    ),
];

/// Whether a statement is of some shape.
type Shape = fn(&str) -> bool;

/// As [`STATEMENTS`], for what a pattern cannot say.
const SHAPES: [(&str, Shape); 7] = [
    ("R9: a question among values", asks_among_values),
    ("R17: several changes of a table at once", |one| {
        one.starts_with("alter table ") && commas(one) > 0
    }),
    ("R17: several indexes at once", |one| {
        one.starts_with("drop index ") && commas(one) > 0
    }),
    ("R17: a table without a key", |one| {
        one.starts_with("create table ") && !one.contains(" primary key (")
    }),
    ("R17: a constraint without a name", has_nameless),
    ("R17: a constraint with a long name", |one| {
        let names = one.split("constraint ").skip(1);
        let names = names.filter_map(|rest| rest.split(' ').next());
        // Citus appends a number.
        is_table(one) && names.into_iter().any(|name| name.len() > 50)
    }),
    ("R18: a key from a mall to the platform", |one| {
        one.contains(" references platform.") && !one.split(' ').nth(2).is_some_and(in_platform)
    }),
];

/// The rules, ready to be asked.
pub struct Dialect {
    words: Vec<(String, &'static str)>,
    statements: Vec<(&'static str, Regex, Option<Regex>)>,
}

impl Dialect {
    pub fn of_the_house() -> Self {
        let word = |(rule, words): &(&str, &'static str)| {
            let named = |word: &'static str| (format!("{rule}: {word}"), word);
            words.split(", ").map(named).collect::<Vec<_>>()
        };
        let pattern = |text: &str| Regex::new(text).unwrap();
        let statement = |(rule, is, unless): &(&'static str, &str, &str)| {
            let unless = (!unless.is_empty()).then(|| pattern(unless));
            (*rule, pattern(is), unless)
        };
        Self {
            words: WORDS.iter().flat_map(word).collect(),
            statements: STATEMENTS.iter().map(statement).collect(),
        }
    }

    /// The rules about statements.
    pub fn rules(&self) -> impl Iterator<Item = &'static str> {
        let patterns = self.statements.iter().map(|(rule, ..)| *rule);
        patterns.chain(SHAPES.iter().map(|(rule, _)| *rule))
    }

    /// Which words of a text no text may have.
    pub fn words(&self, text: &str) -> Vec<String> {
        let found = self.words.iter().filter(|(_, word)| text.contains(word));
        found.map(|(fault, _)| fault.clone()).collect()
    }

    /// Against which rules a statement is.
    pub fn faults(&self, one: &str) -> Vec<String> {
        let patterns = self.statements.iter().filter(|(_, is, unless)| {
            is.is_match(one) && !unless.as_ref().is_some_and(|unless| unless.is_match(one))
        });
        let shapes = SHAPES.iter().filter(|(_, is)| is(one));
        let rules = patterns
            .map(|(rule, ..)| rule)
            .chain(shapes.map(|(rule, _)| rule));
        rules.map(|rule| (*rule).to_owned()).collect()
    }
}

/// SQL without comments, in lower case, with single spaces.
pub fn plain(sql: &str) -> String {
    let lines = sql.lines().map(|line| line.split("--").next().unwrap());
    let lines = lines.collect::<Vec<_>>().join(" ").to_lowercase();
    lines.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The statements of plain SQL, those of a block among them, with nothing in their texts.
pub fn statements(sql: &str) -> Vec<String> {
    let (mut all, mut one, mut quoted) = (Vec::new(), String::new(), false);
    for letter in sql.replace("$$", ";").chars() {
        match letter {
            '\'' => {
                quoted = !quoted;
                one.push(letter);
            }
            _ if quoted => {}
            ';' => all.push(std::mem::take(&mut one)),
            _ => one.push(letter),
        }
    }
    all.push(one);
    let trimmed = all.iter().map(|one| one.trim().to_owned());
    trimmed.filter(|one| !one.is_empty()).collect()
}

/// How many commas of a statement are in no parentheses.
fn commas(one: &str) -> usize {
    let (mut depth, mut found) = (0, 0);
    for letter in one.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => found += 1,
            _ => {}
        }
    }
    found
}

/// Whether a list of values has a question in it.
fn asks_among_values(one: &str) -> bool {
    one.split("values (").skip(1).any(|rest| {
        let (mut depth, mut list) = (1, String::new());
        for letter in rest.chars() {
            match letter {
                '(' => depth += 1,
                ')' => depth -= 1,
                // The list ends where something else than its next row stands between.
                _ if depth == 0 && letter != ',' && letter != ' ' => break,
                _ => {}
            }
            list.push(letter);
        }
        list.contains("(select ")
    })
}

fn is_table(one: &str) -> bool {
    one.starts_with("create table ") || one.starts_with("alter table ")
}

fn in_platform(table: &str) -> bool {
    table.starts_with("platform.")
}

/// Whether a table's statement has a constraint that nobody named.
fn has_nameless(one: &str) -> bool {
    let named = |before: &str| {
        let mut words = before.split(' ').rev();
        let _name = words.next();
        words.next() == Some("constraint")
    };
    let nameless = |word: &str| {
        let mut places = one.match_indices(word);
        places.any(|(at, _)| !named(one[..at].trim_end()))
    };
    let inline = one.match_indices(" references ");
    is_table(one)
        && ([" primary key", " unique", " check (", " foreign key"]
            .iter()
            .any(|word| nameless(word))
            || inline.into_iter().any(|(at, _)| !one[..at].ends_with(')')))
}

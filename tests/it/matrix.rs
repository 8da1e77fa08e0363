//! AUT-1: every operation of the API, asked for by everybody, of everything there is: one's own,
//! another merchant's, another mall's, nothing. `golden/aut1.tsv` is what was reviewed, cell by
//! cell; after a wanted change `UPDATE_GOLDEN=1` writes it anew, and the diff is what has to be
//! reviewed. What must hold whatever was reviewed is checked by rule beside it.

mod audited;
mod fields;
mod mall;
mod operations;
mod silent;

use std::{collections::BTreeMap, fmt::Write};

use self::{
    mall::{Found, Plaza, Who, Whose},
    operations::{Operation, operations},
};
use crate::support::{listening::Listening, outside::Answer};

const GOLDEN: &str = "tests/it/golden/aut1.tsv";

/// What every merchant may know of, whoever offers it: a good of the mall's catalogue, and that a
/// code which a member shows is fetched elsewhere. These are told apart from nothing on purpose.
const SHARED: [&str; 2] = ["good_id", "code"];

/// What one operation answered to one caller, by what it was asked about.
type Row = BTreeMap<(Option<&'static str>, Whose), Answer>;

/// Asks for one operation with each of its names standing for each kind of thing in turn.
async fn ask_about_all(plaza: &Plaza, who: &Who, operation: &Operation) -> Row {
    let mut row = Row::new();
    let answer = plaza.ask(who, operation, &Found::own()).await;
    row.insert((None, Whose::Own), answer);
    for slot in operation.slots() {
        for whose in [Whose::Other, Whose::Foreign, Whose::Nobodys] {
            if whose == Whose::Other && !plaza.belongs_to_a_merchant(slot) {
                continue;
            }
            let found = Found::with(slot, whose);
            let answer = plaza.ask(who, operation, &found).await;
            row.insert((Some(slot), whose), answer);
        }
    }
    row
}

/// What must hold for every row, whatever was reviewed.
fn check(plaza: &Plaza, who: &Who, operation: &Operation, row: &Row) {
    let policy = &plaza.server.app.policy;
    let (object, act) = operation.recipe.right;
    let may = |role| {
        let reach = policy.decide(role, object, act);
        match reach {
            Some("mall") => true,
            Some("merchant") => who.merchant,
            Some("member") => role == "member",
            _ => false,
        }
    };
    let allowed = who.role.is_some_and(may) || who.person && may("staff");
    // Where anybody may come in, nobody is asked for a key.
    let open = may("anonymous");
    for ((slot, whose), answer) in row {
        let what = format!(
            "{} as {} of {whose:?} {slot:?}: {} {}",
            operation.recipe.name, who.name, answer.status, answer.body
        );
        match (who.role, allowed) {
            _ if open => assert!(matches!(answer.status, 200 | 201), "{what}"),
            (None, _) => assert_eq!(answer.status, 401, "{what}"),
            (Some(_), false) => {
                assert_eq!(
                    (answer.status, answer.code().as_str()),
                    (403, "not-allowed"),
                    "{what}"
                );
            }
            (Some(_), true) => {
                assert!(!matches!(answer.status, 401 | 403), "{what}");
                match whose {
                    // A key is no second person; tests/it/identity/owners.rs has people confirm.
                    Whose::Own if operation.recipe.name == "confirm_role_change" => {
                        assert_eq!(answer.code(), "needs-second-owner", "{what}");
                    }
                    Whose::Own => assert!(matches!(answer.status, 200 | 201), "{what}"),
                    Whose::Other if !who.merchant => {}
                    Whose::Other if slot.is_some_and(|slot| SHARED.contains(&slot)) => {}
                    Whose::Other | Whose::Foreign | Whose::Nobodys => {
                        assert_eq!(answer.status, 404, "{what}");
                    }
                }
            }
        }
        if answer.status < 300 {
            for hidden in plaza.hidden_from(who, operation) {
                assert!(!answer.body.contains(hidden), "{hidden} in {what}");
            }
        }
        // Whatever is out of reach is answered with the bytes of what does not exist.
        let Some(slot) = *slot else { continue };
        let hidden = match whose {
            Whose::Foreign => true,
            Whose::Other => who.merchant && !SHARED.contains(&slot),
            Whose::Own | Whose::Nobodys => false,
        };
        if hidden {
            let nothing = &row[&(Some(slot), Whose::Nobodys)];
            assert_eq!(answer.said(), nothing.said(), "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aut_1_everybody_gets_from_every_operation_what_was_reviewed() {
    let listening = Listening::open();
    let plaza = Plaza::open().await;
    let everybody = plaza.everybody().await;
    let mut found = "operation\tobject\tprincipal\tstatus\tcode\n".to_owned();
    let mut cells = 0;
    for operation in operations() {
        let mut rows = Vec::new();
        for who in &everybody {
            let row = ask_about_all(&plaza, who, &operation).await;
            check(&plaza, who, &operation, &row);
            rows.push((who.name, row));
        }
        let objects: Vec<_> = rows[0].1.keys().copied().collect();
        for object in objects {
            for (who, row) in &rows {
                let answer = &row[&object];
                let name = operation.recipe.name;
                let (status, code) = (answer.status, answer.code());
                let object = mall::said(object, &operation);
                writeln!(found, "{name}\t{object}\t{who}\t{status}\t{code}").unwrap();
                cells += 1;
            }
        }
    }
    audited::check(&plaza).await;
    silent::check(&plaza, &listening);
    println!("AUT-1: {cells} cells, {} principals", everybody.len());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &found).unwrap();
    }
    let reviewed = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    let changed: Vec<String> = differences(&reviewed, &found);
    assert!(
        changed.is_empty(),
        "review the change, then run with UPDATE_GOLDEN=1:\n{}",
        changed.join("\n")
    );
}

/// The lines that only one of two texts has.
fn differences(old: &str, new: &str) -> Vec<String> {
    let gone = old
        .lines()
        .filter(|line| !new.lines().any(|one| one == *line));
    let come = new
        .lines()
        .filter(|line| !old.lines().any(|one| one == *line));
    let gone = gone.map(|line| format!("- {line}"));
    gone.chain(come.map(|line| format!("+ {line}"))).collect()
}

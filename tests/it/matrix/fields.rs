//! AUT-3: nobody writes what only the house writes.

use serde_json::{Value, json};

use super::{
    mall::Plaza,
    operations::{Operation, operations},
};
use crate::support::outside::{Caller, tables};

/// What a request must not set, beside what an operation is for.
const FORBIDDEN: [&str; 12] = [
    "available",
    "balance",
    "created_at",
    "held",
    "id",
    "merchant_id",
    "points_earned",
    "programme",
    "role",
    "status",
    "tenant_id",
    "version",
];

/// A valid body, with each member that it does not know added in turn: at the top and, where there
/// is a list of objects, in the first of them.
fn smuggled(plaza: &Plaza, operation: &Operation) -> Vec<(String, Value)> {
    let known = operation.schema.as_ref().unwrap()["properties"].clone();
    let unknown = |name: &&str| known.get(name).is_none();
    let mut bodies = Vec::new();
    for name in FORBIDDEN.into_iter().filter(unknown) {
        let mut body = plaza.body(operation);
        body[name] = json!("1");
        bodies.push((format!("/{name}"), body));
        let mut body = plaza.body(operation);
        if let Some(line) = body.pointer_mut("/lines/0") {
            line[name] = json!("1");
            bodies.push((format!("/lines/0/{name}"), body));
        }
    }
    bodies
}

#[tokio::test(flavor = "multi_thread")]
async fn aut_3_what_a_body_must_not_say_is_refused_and_changes_nothing() {
    let plaza = Plaza::open().await;
    let person = plaza.signed_in().await;
    let person = Caller {
        key: Some(&person),
        ..plaza.owner()
    };
    let before = tables(plaza.tenant()).await;
    let (mut bodies, mut tried) = (0, 0);
    for operation in operations() {
        if operation.schema.is_none() {
            continue;
        }
        bodies += 1;
        for (pointer, body) in smuggled(&plaza, &operation) {
            // They may do more than anybody else; each operation is one of theirs.
            for caller in [plaza.owner(), plaza.till(), person] {
                let address = plaza.address(&operation);
                let (method, body) = (&operation.method, body.to_string());
                let answer = plaza
                    .server
                    .ask(caller, method, &address, Some(&body))
                    .await;
                let what = format!("{} {pointer}: {}", operation.recipe.name, answer.body);
                if answer.code() == "not-allowed" {
                    continue;
                }
                assert_eq!(
                    (answer.status, answer.code().as_str()),
                    (400, "invalid-body"),
                    "{what}"
                );
                assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{what}");
                tried += 1;
            }
        }
    }
    assert_eq!(tables(plaza.tenant()).await, before);
    println!("AUT-3: {tried} bodies of {bodies} operations");
    assert!(tried >= bodies * 8, "each operation is one of theirs");
}

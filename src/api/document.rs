//! What poem-openapi cannot say about the API: which problems an operation may answer, and that
//! unknown members are refused.

use std::borrow::Cow;

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::http::codes::{self, Kind};

/// The document's own introduction.
pub const ABOUT: &str = "\
A points alliance for shopping malls.

Each mall has hosts of its own: send requests to one of them, with the header \
`Authorization: Bearer` and a key of that mall. Amounts of money are whole numbers in minor units \
of the mall's currency, points are whole numbers, moments are RFC 3339 in UTC. Lists come in pages; \
follow `next_cursor`. An operation that moves points needs an `Idempotency-Key`, and repeating a \
request under the same key repeats the answer and not the act. Refusals are problems (RFC 9457) \
with a stable `code`; its `type` leads to a page that says what to do.";

/// The published document, from poem-openapi's.
pub fn finished(spec: &str) -> Value {
    let mut document: Value = serde_json::from_str(&whole_limits(spec)).unwrap_or_default();
    let mut inputs = Vec::new();
    let operations = document.get_mut("paths").and_then(Value::as_object_mut);
    for item in operations.into_iter().flat_map(Map::values_mut) {
        let item = item.as_object_mut();
        for operation in item.into_iter().flat_map(Map::values_mut) {
            references(operation.get("requestBody"), &mut inputs);
            add_problems(operation);
        }
    }
    close(&mut document, inputs);
    publish_problems(&mut document);
    // `identifier` belongs to OpenAPI 3.1; this is 3.0.
    if let Some(license) = document
        .pointer_mut("/info/license")
        .and_then(Value::as_object_mut)
    {
        license.remove("identifier");
    }
    document
}

/// The limits of whole numbers as whole numbers. poem-openapi writes fractions, and 2^53 − 1 does
/// not survive the way through one: the document would refuse the largest amount.
fn whole_limits(spec: &str) -> Cow<'_, str> {
    match Regex::new(r#"("(?:minimum|maximum)":\s*-?[0-9]+)\.0\b"#) {
        Ok(limits) => limits.replace_all(spec, "$1"),
        Err(_) => Cow::Borrowed(spec),
    }
}

/// The names of the schemas that a part of the document refers to.
fn references(part: Option<&Value>, found: &mut Vec<String>) {
    match part {
        Some(Value::Object(members)) => {
            if let Some(Value::String(name)) = members.get("$ref")
                && let Some(name) = name.strip_prefix("#/components/schemas/")
            {
                found.push(name.to_owned());
            }
            members
                .values()
                .for_each(|member| references(Some(member), found));
        }
        Some(Value::Array(items)) => items.iter().for_each(|item| references(Some(item), found)),
        _ => {}
    }
}

/// Says of everything that requests may send that unknown members are refused.
fn close(document: &mut Value, mut waiting: Vec<String>) {
    let mut done = Vec::new();
    while let Some(name) = waiting.pop() {
        if done.contains(&name) {
            continue;
        }
        if let Some(schema) = document.pointer_mut(&format!("/components/schemas/{name}")) {
            close_schema(schema);
            references(Some(schema), &mut waiting);
        }
        done.push(name);
    }
}

fn close_schema(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let object = members.get("type").and_then(Value::as_str) == Some("object");
            if object && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".to_owned(), false.into());
            }
            members.values_mut().for_each(close_schema);
        }
        Value::Array(items) => items.iter_mut().for_each(close_schema),
        _ => {}
    }
}

/// Adds the problems that an operation may answer.
fn add_problems(operation: &mut Value) {
    let has_body = operation.get("requestBody").is_some();
    let parameters = operation.get("parameters").and_then(Value::as_array);
    let idempotent = parameters
        .into_iter()
        .flatten()
        .any(|parameter| parameter.get("name").and_then(Value::as_str) == Some("Idempotency-Key"));
    let mut statuses = vec!["400", "401", "403", "404", "500", "503"];
    if has_body {
        statuses.extend(["408", "409", "413", "415"]);
    }
    if idempotent {
        statuses.extend(["409", "422"]);
    }
    // What nothing is sent to conflicts with seldom, and says so.
    let words = operation.get("description").and_then(Value::as_str);
    if words.is_some_and(|words| words.contains("409 `")) {
        statuses.push("409");
    }
    if words.is_some_and(|words| words.contains("429 `")) {
        statuses.push("429");
    }
    let responses = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut);
    let Some(responses) = responses else { return };
    for status in statuses {
        responses
            .entry(status)
            .or_insert_with(|| json!({"$ref": format!("#/components/responses/Problem{status}")}));
    }
}

/// Publishes the problem itself and one response a status that lists its codes.
fn publish_problems(document: &mut Value) {
    let Some(root) = document.as_object_mut() else {
        return;
    };
    let components = root.entry("components").or_insert_with(|| json!({}));
    let Some(components) = components.as_object_mut() else {
        return;
    };
    let schemas = components.entry("schemas").or_insert_with(|| json!({}));
    if let Some(schemas) = schemas.as_object_mut() {
        schemas.insert("Problem".to_owned(), problem_schema());
    }
    let mut responses = Map::new();
    for status in [
        "400", "401", "403", "404", "408", "409", "413", "415", "422", "429", "500", "503",
    ] {
        let rows: Vec<String> = codes::all()
            .filter(|kind| kind.status.as_str() == status)
            .map(row)
            .collect();
        let reference = json!({"$ref": "#/components/schemas/Problem"});
        let response = json!({
            "description": rows.join("\n"),
            "content": {"application/problem+json": {"schema": reference}},
        });
        responses.insert(format!("Problem{status}"), response);
    }
    components.insert("responses".to_owned(), responses.into());
}

fn row(kind: &Kind) -> String {
    format!("- `{}`: {}.", kind.code, kind.title)
}

fn problem_schema() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "type": "object",
        "description": "Why a request was refused (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "retryable"],
        "properties": {
            "type": text("The address of a page about this code."),
            "title": text("What happened, the same for every occurrence."),
            "status": {"type": "integer", "description": "The answer's status."},
            "detail": text("What happened here, and what to do."),
            "instance": text("The path of the request."),
            "code": text("The stable name of what happened; new ones may be added."),
            "param": text("The parameter that is wrong."),
            "request_id": text("What the log calls this request."),
            "errors": {
                "type": "array",
                "description": "The places in the body that are wrong, twenty at most; of a file, every line.",
                "items": {
                    "type": "object",
                    "required": ["pointer", "code", "detail"],
                    "properties": {
                        "pointer": text("Where, as a JSON pointer; empty for the whole body."),
                        "code": text("What is wrong, by a stable name."),
                        "detail": text("What is wrong, in words."),
                    },
                },
            },
            "permission": {
                "type": "object",
                "description": "Of `not-allowed`: the permission that is missing.",
                "required": ["object", "action", "held_by", "given_by"],
                "properties": {
                    "object": text("What was to be acted on."),
                    "action": text("What was to be done."),
                    "held_by": {
                        "type": "array",
                        "description": "Roles that may; new ones may be added.",
                        "items": {"type": "string"},
                    },
                    "given_by": {
                        "type": "array",
                        "description": "Roles whose people give such a role.",
                        "items": {"type": "string"},
                    },
                },
            },
            "retryable": {
                "type": "boolean",
                "description": "Whether the same request may succeed later.",
            },
        },
    })
}

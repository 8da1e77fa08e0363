//! Holds a JSON value against a schema of the API's description and names every place that does
//! not fit. Knows the parts of OpenAPI 3.0's schemas that our document uses, no more.

use std::collections::HashMap;

use regex::Regex;
use serde_json::{Map, Value};

use super::problem::Fault;

/// The most faults that one answer names.
const MOST_FAULTS: usize = 20;

/// The document's schemas by name, and every pattern, compiled once.
#[derive(Debug, Default)]
pub struct Schemas {
    named: Map<String, Value>,
    patterns: HashMap<String, Regex>,
}

impl Schemas {
    /// From an OpenAPI document.
    pub fn new(document: &Value) -> Self {
        let named = document
            .pointer("/components/schemas")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let mut patterns = HashMap::new();
        collect_patterns(document, &mut patterns);
        Self { named, patterns }
    }

    /// What is wrong with `value`, at most [`MOST_FAULTS`] places.
    pub fn check(&self, schema: &Value, value: &Value) -> Vec<Fault> {
        let mut check = Check {
            schemas: self,
            faults: Vec::new(),
        };
        check.value(schema, value, "");
        check.faults
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let name = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|name| name.strip_prefix("#/components/schemas/"));
        name.and_then(|name| self.named.get(name)).unwrap_or(schema)
    }
}

fn collect_patterns(value: &Value, patterns: &mut HashMap<String, Regex>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(pattern)) = members.get("pattern")
                && let Ok(compiled) = Regex::new(pattern)
            {
                patterns.insert(pattern.clone(), compiled);
            }
            members
                .values()
                .for_each(|member| collect_patterns(member, patterns));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_patterns(item, patterns)),
        _ => {}
    }
}

/// One run over one value.
struct Check<'a> {
    schemas: &'a Schemas,
    faults: Vec<Fault>,
}

impl Check<'_> {
    fn fault(&mut self, pointer: &str, code: &'static str, detail: String) {
        if self.faults.len() < MOST_FAULTS {
            let pointer = pointer.to_owned();
            self.faults.push(Fault {
                pointer,
                code,
                detail,
            });
        }
    }

    fn value(&mut self, schema: &Value, value: &Value, pointer: &str) {
        let schema = self.schemas.resolve(schema);
        for part in schema
            .get("allOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            self.value(part, value, pointer);
        }
        if value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
            return;
        }
        if let Some(choices) = alternatives(schema) {
            let fits = choices
                .iter()
                .any(|choice| self.schemas.check(choice, value).is_empty());
            if !fits {
                let detail = "This is none of the forms that are known here.".to_owned();
                self.fault(pointer, "wrong-form", detail);
            }
            return;
        }
        if !has_type(schema, value) {
            let detail = format!("This must be {}, not {}.", describe(schema), noun(value));
            return self.fault(pointer, "wrong-type", detail);
        }
        if let Some(known) = schema.get("enum").and_then(Value::as_array)
            && !known.contains(value)
        {
            let detail = format!("This must be {}.", describe(schema));
            return self.fault(pointer, "unknown-value", detail);
        }
        match value {
            Value::String(text) => self.text(schema, text, pointer),
            Value::Number(number) => self.number(schema, number, pointer),
            Value::Array(items) => self.array(schema, items, pointer),
            Value::Object(members) => self.object(schema, members, pointer),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn text(&mut self, schema: &Value, text: &str, pointer: &str) {
        let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        if let Some(least) = limit(schema, "minLength").filter(|least| length < *least) {
            let detail = format!("This must have {least} characters or more.");
            return self.fault(pointer, "too-short", detail);
        }
        if let Some(most) = limit(schema, "maxLength").filter(|most| length > *most) {
            let detail = format!("This must have {most} characters at most.");
            return self.fault(pointer, "too-long", detail);
        }
        let pattern = schema.get("pattern").and_then(Value::as_str);
        let pattern = pattern.and_then(|pattern| self.schemas.patterns.get(pattern));
        if pattern.is_some_and(|pattern| !pattern.is_match(text)) {
            let detail = format!("This must be {}.", describe(schema));
            self.fault(pointer, "wrong-form", detail);
        }
    }

    fn number(&mut self, schema: &Value, number: &serde_json::Number, pointer: &str) {
        let (Some(number), bound) = (number.as_f64(), |name| {
            schema.get(name).and_then(Value::as_f64)
        }) else {
            return;
        };
        let detail = format!("This must be {}.", describe(schema));
        if bound("minimum").is_some_and(|least| number < least) {
            self.fault(pointer, "too-small", detail);
        } else if bound("maximum").is_some_and(|most| number > most) {
            self.fault(pointer, "too-large", detail);
        }
    }

    fn array(&mut self, schema: &Value, items: &[Value], pointer: &str) {
        let length = u64::try_from(items.len()).unwrap_or(u64::MAX);
        if let Some(least) = limit(schema, "minItems").filter(|least| length < *least) {
            let detail = format!("This list must have {least} items or more.");
            return self.fault(pointer, "too-few", detail);
        }
        if let Some(most) = limit(schema, "maxItems").filter(|most| length > *most) {
            let detail = format!("This list must have {most} items at most.");
            return self.fault(pointer, "too-many", detail);
        }
        if let Some(schema) = schema.get("items") {
            for (place, item) in items.iter().enumerate() {
                self.value(schema, item, &format!("{pointer}/{place}"));
            }
        }
    }

    fn object(&mut self, schema: &Value, members: &Map<String, Value>, pointer: &str) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        for name in required
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(|name| !members.contains_key(*name))
        {
            let at = format!("{pointer}/{}", escaped(name));
            let known = properties.and_then(|known| known.get(name));
            let wanted = known.map_or_else(
                || "a value".to_owned(),
                |schema| describe(self.schemas.resolve(schema)),
            );
            self.fault(
                &at,
                "missing",
                format!("This is missing; it must be {wanted}."),
            );
        }
        let length = u64::try_from(members.len()).unwrap_or(u64::MAX);
        if limit(schema, "minProperties").is_some_and(|least| length < least) {
            let detail = "This object must not be empty.".to_owned();
            self.fault(pointer, "too-few", detail);
        }
        let others = schema.get("additionalProperties");
        for (name, member) in members {
            let at = format!("{pointer}/{}", escaped(name));
            match (properties.and_then(|known| known.get(name)), others) {
                (Some(schema), _) | (None, Some(schema @ Value::Object(_))) => {
                    self.value(schema, member, &at);
                }
                (None, Some(Value::Bool(false))) => {
                    let detail = "There is no such member here.".to_owned();
                    self.fault(&at, "unknown-member", detail);
                }
                (None, _) => {}
            }
        }
    }
}

fn alternatives(schema: &Value) -> Option<&Vec<Value>> {
    let named = schema.get("oneOf").or_else(|| schema.get("anyOf"))?;
    named.as_array()
}

fn limit(schema: &Value, name: &str) -> Option<u64> {
    schema.get(name).and_then(Value::as_u64)
}

/// A member's name within a JSON pointer, cut to a length that an answer can carry.
fn escaped(name: &str) -> String {
    let short: String = name.chars().take(64).collect();
    short.replace('~', "~0").replace('/', "~1")
}

fn has_type(schema: &Value, value: &Value) -> bool {
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    }
}

fn noun(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a fraction or a number beyond all limits",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// What a schema takes, in words that complete "must be …".
pub fn describe(schema: &Value) -> String {
    let text = |name: &str| schema.get(name).and_then(Value::as_str);
    if let Some(known) = schema.get("enum").and_then(Value::as_array) {
        let known: Vec<&str> = known.iter().filter_map(Value::as_str).collect();
        return format!("one of {}", known.join(", "));
    }
    let number = |name: &str| schema.get(name).and_then(Value::as_f64);
    match (text("type"), text("description")) {
        (Some("integer"), _) => match (number("minimum"), number("maximum")) {
            (Some(least), Some(most)) => format!("a whole number from {least} to {most}"),
            (Some(least), None) => format!("a whole number from {least} on"),
            _ => "a whole number".to_owned(),
        },
        (Some("string"), Some(said)) => {
            let said = said.trim_end_matches('.');
            let mut letters = said.chars();
            let first = letters.next().map(|first| first.to_lowercase().to_string());
            format!("{}{}", first.unwrap_or_default(), letters.as_str())
        }
        (Some("string"), None) => "text".to_owned(),
        (Some("boolean"), _) => "true or false".to_owned(),
        (Some("array"), _) => "a list".to_owned(),
        (Some("object"), _) => "an object".to_owned(),
        (Some("number"), _) => "a number".to_owned(),
        _ => "what the API's description says".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn faults(value: &Value) -> Vec<(String, &'static str)> {
        let document = json!({"components": {"schemas": {
            "Line": {"type": "object", "required": ["amount"], "additionalProperties": false,
                "properties": {
                    "amount": {"type": "integer", "minimum": 0.0, "maximum": 100.0},
                    "category": {"type": "string", "maxLength": 5, "pattern": "^[a-z]*$"}}},
            "Sale": {"type": "object", "required": ["lines"], "additionalProperties": false,
                "properties": {
                    "lines": {"type": "array", "maxItems": 3,
                        "items": {"$ref": "#/components/schemas/Line"}},
                    "kind": {"type": "string", "enum": ["a", "b"]}}},
        }}});
        let schemas = Schemas::new(&document);
        let found = schemas.check(&json!({"$ref": "#/components/schemas/Sale"}), value);
        found
            .into_iter()
            .map(|fault| (fault.pointer, fault.code))
            .collect()
    }

    #[test]
    fn every_place_that_does_not_fit_is_named() {
        assert!(faults(&json!({"lines": [{"amount": 1, "category": "tea"}]})).is_empty());
        let found = faults(&json!({
            "lines": [{"amount": -1}, {"amount": "1"}, {"category": "gift card", "a/b": 1}],
            "kind": "c",
        }));
        let expected = [
            ("/kind", "unknown-value"),
            ("/lines/0/amount", "too-small"),
            ("/lines/1/amount", "wrong-type"),
            ("/lines/2/amount", "missing"),
            ("/lines/2/a~1b", "unknown-member"),
            ("/lines/2/category", "too-long"),
        ];
        assert_eq!(
            found,
            expected.map(|(pointer, code)| (pointer.to_owned(), code))
        );
        assert_eq!(faults(&json!([])), [(String::new(), "wrong-type")]);
        assert_eq!(
            faults(&json!({"lines": [{"amount": 1.5}]})),
            [("/lines/0/amount".to_owned(), "wrong-type")]
        );
        assert_eq!(
            faults(&json!({"lines": null})),
            [("/lines".to_owned(), "wrong-type")]
        );
    }

    #[test]
    fn an_answer_names_twenty_places_at_most() {
        let members: Map<String, Value> = (0..500).map(|n| (format!("x{n}"), n.into())).collect();
        assert_eq!(faults(&Value::Object(members)).len(), MOST_FAULTS);
    }
}

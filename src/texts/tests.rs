//! That every key is there in every language, and takes the same places.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::text_with;
use crate::{
    audit::{Act, Field, Finding},
    kernel::text::Language,
    reports::isolation::{self, Why},
};

/// The keys of a language's files, with the places that each has.
fn catalogue(language: Language) -> BTreeMap<String, BTreeSet<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/texts")
        .join(language.tag());
    let (mut keys, mut key) = (BTreeMap::<String, BTreeSet<String>>::new(), String::new());
    for entry in fs::read_dir(folder).unwrap() {
        let words = fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in words.lines() {
            if let Some((name, _)) = line.split_once(" =")
                && name.starts_with(|letter: char| letter.is_ascii_lowercase())
            {
                name.clone_into(&mut key);
                let fresh = keys.insert(key.clone(), BTreeSet::new()).is_none();
                assert!(fresh, "{key} is twice in {}", language.tag());
            }
            for part in line.split("{ $").skip(1) {
                let place = part.split(' ').next().unwrap();
                keys.get_mut(&key).unwrap().insert(place.to_owned());
            }
        }
    }
    keys
}

#[test]
fn every_key_is_in_every_language_with_the_same_places() {
    let first = catalogue(Language::En);
    assert!(first.len() > 60);
    for language in Language::ALL {
        assert_eq!(catalogue(language), first, "{}", language.tag());
        for (key, places) in &first {
            let places: Vec<(&'static str, &str)> = places
                .iter()
                .map(|place| (&*place.clone().leak(), "7"))
                .collect();
            let words = text_with(language, key, &places);
            assert!(!words.trim().is_empty() && words != *key, "{key}");
        }
    }
}

#[test]
fn every_right_and_every_role_has_a_name() {
    let keys = catalogue(Language::En);
    for (object, act) in crate::authz::action::ALL {
        assert!(
            keys.contains_key(&format!("right-{object}-{act}")),
            "{object} {act}"
        );
        assert!(keys.contains_key(&format!("object-{object}")), "{object}");
    }
    let rules = include_str!("../../policies/roles.csv");
    let rules = rules.lines().filter_map(|line| line.strip_prefix("p, "));
    for role in rules.filter_map(|rule| rule.split(", ").next()) {
        let key = role.replace("r:", "role-").replace('.', "-");
        assert!(keys.contains_key(&key), "{key}");
    }
}

#[test]
fn whatever_the_audit_says_has_words() {
    let keys = catalogue(Language::En);
    let acts = Act::ALL.iter().map(|act| act.as_str().replace('.', "-"));
    let acts = acts.map(|act| format!("audit-act-{act}"));
    let fields = Field::ALL.iter().map(|field| field.as_str());
    let fields = fields.map(|field| format!("audit-field-{field}"));
    let findings = Finding::ALL.iter();
    let findings = findings.map(|finding| format!("audit-finding-{finding}"));
    for key in acts.chain(fields).chain(findings) {
        assert!(keys.contains_key(&key), "{key}");
    }
}

#[test]
fn whatever_the_isolation_self_test_says_has_words() {
    let keys = catalogue(Language::En);
    let tries = isolation::names().map(|name| format!("isolation-try-{name}"));
    let why = Why::ALL.map(|why| format!("isolation-why-{}", why.as_str()));
    let outcomes = ["refused", "got-through", "failed", "not-tried"];
    let outcomes = outcomes.map(|outcome| format!("isolation-outcome-{outcome}"));
    let rights = ["wall-schemas", "wall-role", "append-only"];
    let rights = rights.map(|right| format!("console-isolation-right-{right}"));
    for key in tries.chain(why).chain(outcomes).chain(rights) {
        assert!(keys.contains_key(&key), "{key}");
    }
}

#[test]
fn what_is_put_in_stands_there_without_invisible_marks() {
    let places = [("page", "2"), ("pages", "11")];
    let said = Language::ALL.map(|language| text_with(language, "paper-page", &places));
    assert_eq!(
        said,
        ["第 2 页，共 11 页", "第 2 頁，共 11 頁", "Page 2 of 11"]
    );
}

//! Every crate in `Cargo.lock`, on every platform, is one that `.cargo/deny.toml` admits: by its
//! licence, by its name, by where it comes from.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where it finds a fault"
)]

use std::process::Command;

use serde_json::Value;

struct Rules {
    licences: Vec<String>,
    banned: Vec<String>,
}

impl Rules {
    fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/.cargo/deny.toml");
        let rules: toml::Value = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let licences = rules["licenses"]["allow"].as_array().unwrap();
        let banned = rules["bans"]["deny"].as_array().unwrap();
        let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
        Self {
            licences: licences.iter().map(text).collect(),
            banned: banned.iter().map(|ban| text(&ban["crate"])).collect(),
        }
    }

    /// What is wrong with a crate as `cargo metadata` describes it.
    fn complaints(&self, package: &Value) -> Vec<String> {
        let name = package["name"].as_str().unwrap();
        let mut complaints = Vec::new();
        let licence = package["license"].as_str().unwrap_or("not stated");
        if !self.admit(licence) {
            complaints.push(format!("{name}: its licence is {licence}"));
        }
        if self.banned.iter().any(|banned| banned == name) {
            complaints.push(format!("{name}: it is banned"));
        }
        // Our own crate has no source; all others come from the one public registry.
        if let Some(source) = package["source"].as_str()
            && !source.ends_with("/rust-lang/crates.io-index")
        {
            complaints.push(format!("{name}: it comes from {source}"));
        }
        complaints
    }

    /// Whether a licence expression can be met with admitted licences alone.
    fn admit(&self, expression: &str) -> bool {
        let spaced = expression
            .replace('/', " OR ")
            .replace('(', " ( ")
            .replace(')', " ) ");
        let mut words = spaced.split_whitespace().peekable();
        let met = self.any(&mut words);
        met && words.next().is_none()
    }

    fn any<'a>(&self, words: &mut Words<'a, impl Iterator<Item = &'a str>>) -> bool {
        let mut met = self.all(words);
        while words.next_if_eq(&"OR").is_some() {
            met |= self.all(words);
        }
        met
    }

    fn all<'a>(&self, words: &mut Words<'a, impl Iterator<Item = &'a str>>) -> bool {
        let mut met = self.one(words);
        while words.next_if_eq(&"AND").is_some() {
            met &= self.one(words);
        }
        met
    }

    fn one<'a>(&self, words: &mut Words<'a, impl Iterator<Item = &'a str>>) -> bool {
        let Some(word) = words.next() else {
            return false;
        };
        if word == "(" {
            let met = self.any(words);
            return met & words.next_if_eq(&")").is_some();
        }
        let mut licence = word.trim_end_matches('+').to_owned();
        if words.next_if_eq(&"WITH").is_some() {
            licence = format!("{licence} WITH {}", words.next().unwrap_or_default());
        }
        self.licences.contains(&licence)
    }
}

type Words<'a, I> = std::iter::Peekable<I>;

#[test]
fn every_crate_is_one_that_we_may_use() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "the whole lock was read");
    let rules = Rules::read();
    let complaints: Vec<String> = packages
        .iter()
        .flat_map(|package| rules.complaints(package))
        .collect();
    assert!(
        complaints.is_empty(),
        "see .cargo/deny.toml:\n{}",
        complaints.join("\n")
    );
}

#[test]
fn a_licence_expression_is_met_only_by_admitted_licences() {
    let rules = Rules {
        licences: vec![
            "MIT".into(),
            "ISC".into(),
            "Apache-2.0 WITH LLVM-exception".into(),
        ],
        banned: Vec::new(),
    };
    for met in [
        "MIT",
        "GPL-3.0 OR MIT",
        "GPL-3.0/MIT",
        "(GPL-3.0 OR MIT) AND ISC",
        "MIT+",
        "Apache-2.0 WITH LLVM-exception",
        "GPL-3.0 AND X OR ISC",
    ] {
        assert!(rules.admit(met), "{met}");
    }
    for unmet in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "Apache-2.0",
        "(MIT OR ISC",
        "MIT ISC",
    ] {
        assert!(!rules.admit(unmet), "{unmet}");
    }
}

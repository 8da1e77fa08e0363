//! Reading our own source: code without comments, texts in quotes, imports.

use std::{collections::BTreeMap, fs, path::Path};

/// Every file below a folder with such an ending, and what is in it.
pub fn files(folder: &Path, ending: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_str().unwrap().ends_with(ending) {
            found.insert(
                path.to_str().unwrap().to_owned(),
                fs::read_to_string(&path).unwrap(),
            );
        }
    }
    found
}

/// A Rust file without its comments, and the texts in quotes apart from the code, in lower case
/// and with single spaces.
pub fn split(source: &str) -> (String, Vec<String>) {
    let (mut code, mut texts, mut rest) = (String::new(), Vec::new(), source);
    while let Some(at) = rest.find(['/', '"', '\'']) {
        code += &rest[..at];
        let here = &rest[at..];
        let raw = code.ends_with("r#") || code.ends_with("br#");
        let length = match here.as_bytes() {
            [b'/', b'/', ..] => here.find('\n').unwrap_or(here.len()),
            [b'\'', b'\\', ..] => here[2..].find('\'').map_or(1, |end| end + 3),
            [b'\'', _, b'\'', ..] => 3,
            [b'"', ..] if raw => here.find("\"#").unwrap() + 2,
            [b'"', ..] => {
                let mut escaped = false;
                let end = here[1..].find(|letter| {
                    let ends = letter == '"' && !escaped;
                    escaped = letter == '\\' && !escaped;
                    ends
                });
                end.unwrap() + 2
            }
            _ => 1,
        };
        if here.starts_with('"') {
            let text = here[1..length]
                .trim_end_matches(['#', '"'])
                .replace("\\\n", " ")
                .to_lowercase();
            texts.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
        } else if length == 1 {
            code += &here[..1];
        }
        rest = &here[length..];
    }
    (code + rest, texts)
}

/// The rooms that code names after `crate::`, alone or in braces.
pub fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in code.split("crate::").skip(1) {
        let (mut depth, mut word, mut fresh) = (0, String::new(), true);
        for letter in part.chars() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => {
                    found.push(std::mem::take(&mut word));
                    fresh = true;
                }
                'a'..='z' | '_' | '0'..='9' if fresh => word.push(letter),
                letter if letter.is_whitespace() => {}
                _ => fresh = false,
            }
            if !fresh || depth == 0 && !(letter.is_alphanumeric() || letter == '_') {
                found.push(std::mem::take(&mut word));
            }
            if depth <= 0 && !(letter.is_alphanumeric() || letter == '_') {
                break;
            }
        }
    }
    found.retain(|room| !room.is_empty());
    found
}

/// The room that a file belongs to.
pub fn room_of(path: &str) -> &str {
    path.strip_prefix("src/")
        .unwrap()
        .split(['/', '.'])
        .next()
        .unwrap()
}

/// Every file of `src/`, split; tests beside the code are no part of the house.
pub fn sources() -> BTreeMap<String, (String, Vec<String>)> {
    let all = files(Path::new("src"), ".rs").into_iter();
    all.filter(|(path, _)| !path.contains("/tests/") && !path.ends_with("/tests.rs"))
        .map(|(path, source)| (path, split(&source)))
        .collect()
}

//! The same for many malls: several at a time, each told as it is done; what fails holds up no
//! other, and a second run goes on where the first stopped.

use std::{
    fs,
    path::{Path, PathBuf},
};

use futures_util::{StreamExt, stream};
use serde_json::Value;

use crate::cli::{Exit, Failure, Output};

/// How many malls are worked on at the same time where nobody says.
pub(super) const AT_ONCE: usize = 4;

/// The most failures that the last line names.
const NAMED: usize = 20;

/// Does `act` for each of `items`, `at_once` at a time, and says of each how it went. A single one
/// answers as if it were alone.
///
/// # Errors
/// The single one's failure; [`Exit::Failed`] with the names of those that failed.
pub(super) async fn each<T>(
    items: &[T],
    at_once: usize,
    output: Output,
    name: impl Fn(&T) -> String,
    act: impl AsyncFn(&T) -> Result<(Value, String), Failure>,
) -> Result<(), Failure> {
    if let [only] = items {
        let (json, words) = act(only).await?;
        return output.data(&json, || words);
    }
    let all = items.len();
    let (mut done, mut failed) = (0_usize, Vec::new());
    let mut outcomes = stream::iter(items)
        .map(async |item| (item, act(item).await))
        .buffer_unordered(at_once.max(1));
    while let Some((item, outcome)) = outcomes.next().await {
        done = done.saturating_add(1);
        match outcome {
            Ok((json, words)) => output.data(&json, || format!("[{done}/{all}] {words}"))?,
            Err(failure) => {
                let name = name(item);
                output.say(&format!("[{done}/{all}] {name}: {failure}"));
                failed.push(name);
            }
        }
    }
    conclude(all, &failed)
}

/// The end of a run over many malls: a failure where any of them failed.
///
/// # Errors
/// [`Exit::Failed`].
pub(crate) fn conclude(all: usize, failed: &[String]) -> Result<(), Failure> {
    if failed.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = failed.iter().take(NAMED).map(String::as_str).collect();
    let more = failed.len().saturating_sub(named.len());
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let why = format!(
        "{} of {all} failed: {}{more}; the others are done, and a second run does what is missing",
        failed.len(),
        named.join(", "),
    );
    Err(Failure::new(Exit::Failed, why))
}

/// The manifests that paths mean: a file or a folder with `tenant.toml` is one, any other folder
/// holds them. Names that begin with `_` or a dot are left out.
pub(super) fn manifests(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for path in paths {
        let within = within(path);
        if within.is_empty() {
            // One manifest, or something whose reading says what is wrong with it.
            found.push(path.clone());
        }
        found.extend(within);
    }
    found
}

fn within(folder: &Path) -> Vec<PathBuf> {
    if folder.join("tenant.toml").exists() {
        return Vec::new();
    }
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            let shown = name.is_some_and(|name| !name.starts_with(['_', '.']));
            let file = path.extension().is_some_and(|ending| ending == "toml");
            shown && (file || path.join("tenant.toml").exists())
        })
        .collect();
    found.sort();
    found
}

//! The same as it is typed.

use std::process::{Command, Output};

use serde_json::Value;

use super::{Elsewhere, Folder};
use crate::{
    support::{NOON, front::open_mall, instant},
    tenancy::places::SHEET,
};
use rotunda::kernel::time::Clock;

fn rotunda(url: &str, folder: &Folder, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rotunda"))
        .args(arguments)
        .env("DATABASE_URL", url)
        .env("ROTUNDA_DATA_DIR", folder.file("data"))
        .env("USER", "ada")
        .env_remove("ROTUNDA_CONFIG")
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mall_leaves_and_comes_back_at_the_command_line() {
    let house = Elsewhere::open(&Clock::fixed(instant(NOON)), None).await;
    let (url, folder) = (house.database.url.as_str(), Folder::new());
    let mall = open_mall(&house.server.app, &SHEET.to_string(), None).await;
    let (slug, file) = (mall.slug.as_str(), folder.file("mall.tar"));
    let (file, proof) = (file.to_str().unwrap(), folder.file("proof.json"));
    let run = |arguments: &[&str]| rotunda(url, &folder, arguments);

    let exported = json(&run(&["tenant", "export", slug, "--to", file, "--json"]));
    let again = run(&["tenant", "export", slug, "--to", file]);
    assert_eq!(again.status.code(), Some(4));
    // Without any database.
    let read = rotunda(
        "postgres://nobody@127.0.0.1:1/no",
        &folder,
        &["tenant", "inspect", file, "--json"],
    );
    let read = json(&read);
    assert_eq!(read["sha256"], exported["sha256"]);
    assert_eq!(read["totals"], exported["totals"]);
    let words = run(&["tenant", "inspect", file]);
    assert!(String::from_utf8_lossy(&words.stdout).contains("is whole"));

    let copy = format!("{slug}-2");
    let host = format!("{copy}.example");
    let made = json(&run(&[
        "tenant", "import", file, "--as", &copy, "--host", &host, "--json",
    ]));
    assert_eq!(made["tenant"]["hosts"], serde_json::json!([host]));
    assert_eq!(made["books"]["holds"], true);
    let taken = run(&["tenant", "import", file, "--as", "third", "--host", &host]);
    assert_eq!(taken.status.code(), Some(4));

    let drop = |typed: &str| {
        let proof = proof.to_str().unwrap();
        run(&[
            "tenant",
            "drop",
            slug,
            "--confirm",
            typed,
            "--proof",
            proof,
            "--json",
        ])
    };
    assert_eq!(drop(slug).status.code(), Some(4), "it is open");
    assert!(run(&["tenant", "suspend", slug]).status.success());
    assert_eq!(drop("another").status.code(), Some(4));
    assert!(!proof.exists(), "nothing was proved");
    let proved = json(&drop(slug));
    assert_eq!(
        (&proved["by"], &proved["archive"]),
        (&"ada".into(), &Value::Null)
    );
    let kept: Value = serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
    assert_eq!(kept, proved);
    assert_eq!(drop(slug).status.code(), Some(4), "the proof is there");
    let told = json(&run(&["tenant", "drop", slug, "--confirm", slug, "--json"]));
    assert_eq!(told, proved, "and is told again");
    assert_eq!(
        run(&["tenant", "drop", "nobody", "--confirm", "nobody"])
            .status
            .code(),
        Some(3)
    );
    house.close().await;
}

//! The same for many malls at the command line: in parallel, told mall by mall, and again harmless.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use rotunda::{
    db::tenants::{Schema, Status},
    kernel::time::Clock,
};
use sqlx::AssertSqlSafe;

use super::places::{Places, SHEET, Shopping};
use crate::support::{NOON, OwnDatabase, app_on, books::owner_at, fresh_slug, instant};

/// SHA-384 of `migrations/tenant/0001_mall.sql` as it was before it named the tables of its grants.
const OLD_FORM: &str = "9c411663fed66b24cfb22bdf4bcf4992a360f2cb01abfc40cb41682332968f2e\
                        7c9f2c30eb9366d75160e14f8e1c12c7";

/// A folder of manifests that goes away with its test.
struct Folder(PathBuf);

impl Folder {
    fn of(slugs: &[String]) -> Self {
        let folder = std::env::temp_dir().join(format!("rotunda-many-{}", fresh_slug()));
        for (number, slug) in slugs.iter().enumerate() {
            let text = SHEET.to_string().replace("SLUG", slug);
            // Some are folders, some are files.
            let mut place = folder.clone();
            let mut text = text.as_str();
            if number % 2 == 0 {
                place.push(slug);
                std::fs::create_dir_all(&place).unwrap();
                let (mall, rest) = text.split_at(text.find("[[merchants]]").unwrap());
                let (merchants, goods) = rest.split_at(rest.find("[[goods]]").unwrap());
                std::fs::write(place.join("merchants.toml"), merchants).unwrap();
                std::fs::write(place.join("rewards.toml"), goods).unwrap();
                place.push("tenant.toml");
                text = mall;
            } else {
                std::fs::create_dir_all(&place).unwrap();
                place.push(format!("{slug}.toml"));
            }
            std::fs::write(place, text).unwrap();
        }
        std::fs::create_dir_all(folder.join("_template")).unwrap();
        std::fs::write(folder.join("_template/tenant.toml"), "no = \"mall\"").unwrap();
        Self(folder)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn rotunda(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rotunda"));
    command.args(arguments).env("DATABASE_URL", url);
    for name in ["ROTUNDA_DATABASE_URL", "ROTUNDA_CONFIG", "ROTUNDA_TARGETS"] {
        command.env_remove(name);
    }
    command
}

fn run(url: &str, arguments: &[&str]) -> (i32, Vec<String>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = rotunda(url, arguments).output().unwrap();
    let lines = String::from_utf8(stdout).unwrap();
    let lines = lines.lines().map(str::to_owned).collect();
    (
        status.code().unwrap(),
        lines,
        String::from_utf8(stderr).unwrap(),
    )
}

fn slugs(count: usize) -> Vec<String> {
    let mut slugs: Vec<String> = (0..count).map(|_| fresh_slug()).collect();
    slugs.sort();
    slugs
}

#[tokio::test]
async fn a_folder_of_malls_is_opened_suspended_and_migrated_and_one_that_fails_holds_up_no_other() {
    let database = OwnDatabase::create().await;
    let url = database.url.as_str();
    let slugs = slugs(6);
    let folder = Folder::of(&slugs);
    let bad = folder.0.join(format!("{}.toml", slugs[3]));
    let good = std::fs::read_to_string(&bad).unwrap();
    std::fs::write(
        &bad,
        good.replace("currency = \"USD\"", "currency = \"XXQ\""),
    )
    .unwrap();

    let (status, told, said) = run(url, &["tenant", "apply", folder.path(), "--parallel", "3"]);
    assert_eq!((status, told.len()), (1, 5), "{said}");
    assert!(told.iter().all(|line| line.contains(": made;")), "{told:?}");
    assert!(said.contains(&format!("/6] {}", bad.display())), "{said}");
    assert!(
        said.contains("1 of 6 failed") && !said.contains("_template"),
        "{said}"
    );
    std::fs::write(&bad, good).unwrap();
    let (status, told, said) = run(url, &["tenant", "apply", folder.path()]);
    let made = told.iter().filter(|line| line.contains(": made;")).count();
    assert_eq!((status, told.len(), made), (0, 6, 1), "{said}");

    let (status, told, said) = run(url, &["tenant", "suspend", &slugs[0], "nobody", &slugs[1]]);
    assert_eq!((status, told.len()), (1, 2), "{said}");
    assert!(said.contains("there is no mall nobody"), "{said}");
    let (status, told, said) = run(url, &["tenant", "suspend", "--all", "--json"]);
    assert_eq!((status, told.len()), (0, 4), "those that were open: {said}");
    assert!(
        told.iter()
            .all(|line| line.contains("\"status\":\"suspended\""))
    );
    let (status, told, _) = run(url, &["tenant", "resume", "--all"]);
    assert_eq!((status, told.len()), (0, 6));
    assert!(told[5].starts_with("[6/6] "), "{told:?}");
    // One alone says what it always said.
    let (status, _, said) = run(url, &["tenant", "suspend", "nobody"]);
    assert_eq!(
        (status, said.trim()),
        (3, "rotunda: there is no mall nobody")
    );

    // All are behind, the tables of one are gone, and one was opened by the first file's old form.
    let app = app_on(url, Clock::fixed(instant(NOON))).await;
    let lost = app.db.tenant_of_slug(&slugs[2]).await.unwrap().unwrap();
    let schema = Schema::of(lost.id);
    let old = app.db.tenant_of_slug(&slugs[1]).await.unwrap().unwrap();
    let list = format!("{}._sqlx_migrations", Schema::of(old.id));
    let mut admin = owner_at(url, "pg_catalog").await;
    let first = format!("select encode(checksum, 'hex') from {list} where version = 1");
    let form: String = sqlx::query_scalar(AssertSqlSafe(first.clone()))
        .fetch_one(&mut admin)
        .await
        .unwrap();
    let hide = format!(
        "update platform.tenant set schema_version = 0; alter schema {schema} rename to hidden; \
         update {list} set checksum = '\\x{OLD_FORM}' where version = 1"
    );
    sqlx::raw_sql(AssertSqlSafe(hide))
        .execute(&mut admin)
        .await
        .unwrap();
    let (status, _, said) = run(url, &["migrate"]);
    assert_eq!(status, 1, "{said}");
    assert!(
        said.contains(&format!("1 of 6 failed: {}", slugs[2])),
        "{said}"
    );
    assert_eq!(
        said.matches("up to date").count(),
        6,
        "five, and the log's line: {said}"
    );
    let show = format!("alter schema hidden rename to {schema}");
    sqlx::raw_sql(AssertSqlSafe(show))
        .execute(&mut admin)
        .await
        .unwrap();
    let (status, told, said) = run(url, &["migrate"]);
    assert_eq!(
        (status, said.matches("up to date").count()),
        (0, 1),
        "{told:?} {said}"
    );
    let formed: String = sqlx::query_scalar(AssertSqlSafe(first))
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert_eq!(formed, form);
    assert_eq!(
        app.db
            .tenant_of_slug(&slugs[2])
            .await
            .unwrap()
            .unwrap()
            .status,
        Status::Active
    );
    app.close().await.unwrap();
    database.remove().await;
}

/// Runs the command until it has said that, then kills it.
fn kill_at(mut command: Command, said: &str) {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let found = lines.any(|line| line.unwrap().contains(said));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(found, "it never said {said}");
}

#[tokio::test]
async fn the_command_moves_a_mall_and_goes_on_after_kill_9() {
    let places = Places::open().await;
    let server = places.server(&Clock::fixed(instant(NOON))).await;
    let mall = Shopping::open(&server, "main").await;
    server
        .post(mall.till(), "/v1/purchases", &mall.purchase("1"))
        .await;
    let slug = mall.tenant.slug.as_str();
    let (url, targets) = (&places.main.url, format!("north={}", places.north));
    let (mut to, mut from) = ("north", "main");
    for said in [
        "copying",
        "purchase: 1 rows",
        "the copy is the same",
        "answers again",
    ] {
        let go = || {
            let mut command = rotunda(url, &["tenant", "move", slug, "--to", to, "--dev"]);
            command.env("ROTUNDA_TARGETS", &targets);
            command
        };
        kill_at(go(), said);
        let ended = go().output().unwrap();
        let told = String::from_utf8(ended.stdout).unwrap();
        assert!(
            ended.status.success(),
            "{said}: {}",
            String::from_utf8_lossy(&ended.stderr)
        );
        assert!(told.contains(&format!("on {to}")), "{told}");
        assert_eq!(places.holds(from, &mall.tenant).await, (false, false));
        assert_eq!(places.count(to, &mall.tenant, "purchase").await, 1);
        (to, from) = (from, to);
    }
    let mut unknown = rotunda(url, &["tenant", "move", slug, "--to", "south", "--dev"]);
    let unknown = unknown.output().unwrap();
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert!(
        said.contains("the settings name no database target south"),
        "{said}"
    );
    places.close(vec![server]).await;
}

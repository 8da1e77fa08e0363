//! The private cluster as its users meet it, on a real server.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection, PgConnection, Row};

use super::{Cluster, EmbeddedError, find_binaries, run_with_database};

/// A data folder that goes away with its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let (process, number) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let at = std::env::temp_dir().join(format!("rotunda-embedded-{process}-{number}"));
        std::fs::create_dir_all(&at).unwrap();
        Self(at)
    }

    fn data(&self) -> PathBuf {
        self.0
            .join(format!("data-{}", find_binaries(&self.0).unwrap().major))
    }

    fn server_pid(&self) -> String {
        let note = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        note.lines().next().unwrap().to_owned()
    }

    fn server_runs(&self) -> bool {
        self.data().join("postmaster.pid").exists()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn query(cluster: &Cluster, sql: &'static str) -> String {
    let mut connection = PgConnection::connect(&cluster.admin_url()).await.unwrap();
    let row = sqlx::query(sql)
        .fetch_optional(&mut connection)
        .await
        .unwrap();
    row.map_or_else(String::new, |row| row.get(0))
}

#[tokio::test]
async fn two_who_start_at_once_share_one_server_and_the_last_one_stops_it() {
    let folder = Folder::new();
    // What an attempt that was cut short left behind.
    std::fs::create_dir(folder.data().with_extension("new")).unwrap();
    std::fs::write(folder.data().with_extension("new").join("half"), "").unwrap();

    let (ada, bo) = tokio::join!(Cluster::share(&folder.0), Cluster::share(&folder.0));
    let (ada, bo) = (ada.unwrap(), bo.unwrap());
    assert_eq!(ada.admin_url(), bo.admin_url());
    query(&ada, "create table note as select 'kept' as text").await;

    ada.release().await.unwrap();
    assert_eq!(query(&bo, "select text from note").await, "kept");
    drop(bo);
    assert!(
        !folder.server_runs(),
        "the last one stops the server, even by a drop"
    );

    let again = Cluster::share(&folder.0).await.unwrap();
    assert_eq!(query(&again, "select text from note").await, "kept");
    again.release().await.unwrap();
}

#[tokio::test]
async fn a_server_that_was_killed_comes_back_with_what_was_committed() {
    let folder = Folder::new();
    let first = Cluster::share(&folder.0).await.unwrap();
    query(&first, "create table note as select 'kept' as text").await;
    let kill = std::process::Command::new("kill")
        .args(["-9", &folder.server_pid()])
        .status();
    assert!(kill.unwrap().success());

    let second = Cluster::share(&folder.0).await.unwrap();
    assert_eq!(query(&second, "select text from note").await, "kept");
    first.release().await.unwrap();
    assert_eq!(query(&second, "select text from note").await, "kept");
    second.release().await.unwrap();

    // The number in the note now belongs to somebody else, as after the machine restarted.
    let stale = format!(
        "{}\n{}\n0\n5432\n",
        std::process::id(),
        folder.data().display()
    );
    std::fs::write(folder.data().join("postmaster.pid"), stale).unwrap();
    let third = Cluster::share(&folder.0).await.unwrap();
    assert_eq!(query(&third, "select text from note").await, "kept");
    third.release().await.unwrap();
}

#[tokio::test]
async fn the_server_is_private_durable_and_speaks_every_language() {
    let folder = Folder::new();
    let cluster = Cluster::share(&folder.0).await.unwrap();
    for (setting, value) in [
        ("show fsync", "on"),
        ("show full_page_writes", "on"),
        ("show synchronous_commit", "on"),
        ("show listen_addresses", "127.0.0.1"),
        ("show unix_socket_directories", ""),
        ("show password_encryption", "scram-sha-256"),
        ("show server_encoding", "UTF8"),
        ("show timezone", "UTC"),
        ("show jit", "off"),
        (
            "select upper('ä') || ('購物' ~ '^[[:alpha:]]+$')::text",
            "Ätrue",
        ),
        (
            "select string_agg(distinct auth_method, ' ') from pg_hba_file_rules",
            "scram-sha-256",
        ),
        (
            "select rolname::text from pg_authid where rolsuper",
            "rotunda_admin",
        ),
    ] {
        assert_eq!(query(&cluster, setting).await, value, "{setting}");
    }
    let wrong = cluster.admin_url().replacen("admin:", "admin:x", 1);
    assert!(
        PgConnection::connect(&wrong).await.is_err(),
        "nobody enters without the password"
    );
    assert!(
        !format!("{cluster:?}").contains(&cluster.password),
        "the password is not for logs"
    );

    let argv = ["sh", "-c", "test -n \"$DATABASE_URL\" && exit 7"].map(OsString::from);
    let ended = run_with_database(&folder.0, argv.to_vec()).await.unwrap();
    assert_eq!(ended.code(), Some(7));
    assert!(
        folder.server_runs(),
        "the command's share was not the last one"
    );
    let missing = run_with_database(&folder.0, vec!["no-such-program".into()]).await;
    assert!(matches!(missing, Err(EmbeddedError::Command { .. })));
    cluster.release().await.unwrap();
}

#[test]
fn data_of_one_major_version_is_never_given_to_another() {
    let folder = Folder::new();
    let newest = find_binaries(&folder.0).unwrap().major;
    let other = if newest == 16 { 17 } else { 16 };
    std::fs::create_dir(folder.0.join(format!("data-{other}"))).unwrap();
    match find_binaries(&folder.0) {
        Ok(found) => assert_eq!(found.major, other),
        Err(EmbeddedError::MajorMissing { major, .. }) => assert_eq!(major, other),
        Err(error) => assert!(
            matches!(error, EmbeddedError::NamedBinaries { .. }),
            "{error}"
        ),
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_refused_in_words() {
    let odd = std::env::temp_dir().join(format!("rotunda-$odd-{}", std::process::id()));
    let refused = Cluster::share(&odd).await.unwrap_err();
    assert!(refused.to_string().contains("--data-dir"), "{refused}");
    std::fs::remove_dir(&odd).unwrap();

    let file = Path::new("/proc/version/rotunda");
    let refused = Cluster::share(file).await.unwrap_err();
    assert!(
        matches!(refused, EmbeddedError::Io { act: "create", .. }),
        "{refused}"
    );
}

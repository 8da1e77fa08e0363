//! A mall is taken out whole, brought in somewhere else, and deleted.

mod arriving;
mod backup;
mod damage;
mod leaving;
mod older;
mod typed;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rotunda::{
    app::{
        App,
        life::{self, LifeError, Restored, Wish},
    },
    db::{
        archive::Sealed,
        locator::Targets,
        tenants::{Schema, Tenant},
    },
    kernel::{ids::Entropy, time::Clock},
};
use sqlx::AssertSqlSafe;

use crate::support::{OwnDatabase, books::owner_at, fresh_slug, outside::Server};

/// What a mall that was made of an archive does not have.
const LEFT_BEHIND: [&str; 8] = [
    "idempotency_key",
    "member_session",
    "outbox",
    "recovery_code",
    "session",
    "sign_in_code",
    "signin_attempt",
    "staff_link",
];

/// What it has otherwise: keys and links ended, secrets sealed anew, letters given up, a line more in
/// the audit, another revision, its own list of migrations.
const OTHERWISE: [&str; 8] = [
    "_sqlx_migrations",
    "api_key",
    "application",
    "application_event",
    "audit_entry",
    "message",
    "setting",
    "staff",
];

/// A folder that goes away with its test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("rotunda-life-{}", fresh_slug()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What is in it.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Another installation: a registry and a store for files of its own.
pub struct Elsewhere {
    pub server: Server,
    pub database: OwnDatabase,
    folder: Folder,
}

impl Elsewhere {
    /// One whose secrets are sealed under that key.
    pub async fn open(clock: &Clock, secrets_key: Option<&str>) -> Self {
        let (database, folder) = (OwnDatabase::create().await, Folder::new());
        let mut config = Server::config(&database.url, Targets::new(), 8);
        config.behind_proxy = true;
        config.files.dir = folder.file("files");
        if let Some(key) = secrets_key {
            config.secrets_key = Some(key.into());
        }
        let server = Server::open_with(config, clock.clone(), Entropy::System).await;
        Self {
            server,
            database,
            folder,
        }
    }

    pub async fn close(self) {
        self.server.app.close().await.unwrap();
        self.database.remove().await;
        drop(self.folder);
    }
}

pub async fn export(app: &App, mall: &Tenant, to: &Path) -> Sealed {
    life::export(app, &mall.slug, to, |_| ()).await.unwrap()
}

/// Makes a mall of an archive, by another short name where one is said.
pub async fn import(app: &App, file: &Path, slug: Option<&str>) -> Result<Restored, LifeError> {
    let wish = wish(file, slug);
    life::import(app, &wish, |_| ()).await
}

pub fn wish(file: &Path, slug: Option<&str>) -> Wish {
    Wish {
        file: file.to_owned(),
        slug: slug.map(|slug| slug.parse().unwrap()),
        hosts: Vec::new(),
        target: "main".to_owned(),
    }
}

/// Every table but those that a mall made of an archive has otherwise.
fn same_in_both(mut tables: BTreeMap<String, String>) -> BTreeMap<String, String> {
    tables.retain(|name, _| {
        !LEFT_BEHIND.contains(&name.as_str()) && !OTHERWISE.contains(&name.as_str())
    });
    tables
}

/// Does something in a mall's schema as its owner.
pub async fn in_schema(url: &str, mall: &Tenant, sql: &str) {
    let schema = Schema::of(mall.id).to_string();
    let mut admin = owner_at(url, &schema).await;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut admin)
        .await
        .unwrap();
}

/// Something about a mall's schema as its owner, as text.
pub async fn asked(url: &str, mall: &Tenant, sql: &str) -> String {
    let schema = Schema::of(mall.id).to_string();
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(&mut owner_at(url, &schema).await)
        .await
        .unwrap()
}

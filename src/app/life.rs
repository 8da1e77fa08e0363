//! A mall is taken out whole, brought in again, and deleted.
//!
//! What an archive is made of, [`archive`] says; here is who adds what to it, and what a mall that was
//! made of one does not have of the first: whatever opens it (keys, sessions, links, codes), whatever
//! waits to be sent, and what was answered under idempotency keys. Two malls may live of one archive,
//! and only one of them is the one that others meant.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use thiserror::Error;

use super::App;
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{Action, CarryTenant, ManageTenants, VerifyBooks},
        actor::Principal,
        grant::Grant,
        policy::Denied,
    },
    db::{
        self,
        archive::{
            self, ArchiveError, Manifest, Pack, PackError, Progress, Sealed, Totals,
            arrival::Arrival,
        },
        ending::{EndError, Ending},
        migrate, replay,
        tenants::{Registration, Status, Tenant, names_from_json},
        tx::ReadTx,
    },
    gateway::files::FilesError,
    identity::carried::{self, Opening},
    kernel::{
        ids::{PaperId, TenantId},
        money::Currency,
        text::Slug,
    },
    merchants::onboarding::{
        OnboardingError,
        carried::{self as applications, Applications},
        files,
    },
    notify, queue,
    reports::{proof, totals},
};

/// Why something was not sent: the word that messages and letters have for it.
const RESTORED: &str = "restored";

/// Files that one question asks about.
const FILES: usize = 500;

/// Why a mall is not taken out, brought in or deleted.
#[derive(Debug, Error)]
pub enum LifeError {
    /// No mall of that short name.
    #[error("there is no mall {}: `rotunda tenant list` shows which there are", .0.as_str())]
    Unknown(Slug),
    /// It is neither open nor suspended.
    #[error("{} is {}: nothing can be taken of it now", .0.as_str(), .1.as_str())]
    Elsewhere(Slug, Status),
    /// What was typed is not its short name.
    #[error("{typed} is not {}: nothing was deleted", .slug.as_str())]
    WrongName {
        /// The mall's.
        slug: Slug,
        /// What was typed.
        typed: String,
    },
    /// The archive is of another mall, or of this one before something changed.
    #[error("the archive does not hold the mall as it is now ({0}): export it again")]
    NotThis(String),
    /// What the archive says of the mall is nothing that a mall can be.
    #[error("the archive's {0} cannot be read")]
    Unreadable(&'static str),
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The registry.
    #[error(transparent)]
    End(#[from] EndError),
    /// The store for files.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The policy.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The applications.
    #[error(transparent)]
    Applications(#[from] OnboardingError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

impl From<PackError> for LifeError {
    fn from(error: PackError) -> Self {
        Self::Archive(error.into())
    }
}

fn registry(app: &App) -> Result<Grant<ManageTenants>, Denied> {
    app.policy.allow(&Principal::platform(None))
}

fn within<A: Action>(app: &App, tenant: TenantId) -> Result<Grant<A>, Denied> {
    app.policy.allow(&Principal::platform(Some(tenant)))
}

async fn known(app: &App, slug: &Slug) -> Result<Tenant, LifeError> {
    let found = app.db.tenant_of_slug(slug.as_str()).await?;
    found.ok_or_else(|| LifeError::Unknown(slug.clone()))
}

/// Writes a mall as one file, as it is at one moment while its tills go on.
///
/// # Errors
/// [`LifeError::Elsewhere`], [`ArchiveError::Pack`]; then there is no file.
pub async fn export(
    app: &App,
    slug: &Slug,
    to: &Path,
    mut tell: impl FnMut(Progress),
) -> Result<Sealed, LifeError> {
    let mall = known(app, slug).await?;
    if !matches!(mall.status, Status::Active | Status::Suspended) {
        return Err(LifeError::Elsewhere(slug.clone(), mall.status));
    }
    if to.try_exists().unwrap_or(false) {
        return Err(PackError::Exists(to.to_owned()).into());
    }
    let grant = within::<CarryTenant>(app, mall.id)?;
    // Written down first: whoever takes a mall away is in the archive too.
    let mut tx = app.db.write(&grant).await?;
    audit::record(&mut tx, Done::new(Act::MallExported)).await?;
    tx.commit().await?;
    let mut tx = app.db.snapshot(&grant).await?;
    let manifest = archive::describe(&mut tx, &mall).await?;
    let mut pack = Pack::create(to, manifest)?;
    archive::copy_out(&mut tx, &mut pack, &mut tell).await?;
    let control = totals::control(&mut tx, &within::<VerifyBooks>(app, mall.id)?).await?;
    let packed = pack_files(app, &mut tx, &grant, &mut pack).await?;
    let named: u64 = control
        .get("files")
        .and_then(|it| it.parse().ok())
        .unwrap_or(0);
    Ok(pack.seal(control, named.saturating_sub(packed)).await?)
}

/// The files that the moment's tables name; how many of them there were.
async fn pack_files(
    app: &App,
    tx: &mut ReadTx,
    grant: &Grant<CarryTenant>,
    pack: &mut Pack,
) -> Result<u64, LifeError> {
    let stored = app.files.list(tx.tenant()).await?;
    let mut packed = 0_u64;
    for some in stored.chunks(FILES) {
        for id in files::kept(tx, grant, some).await? {
            match app.files.get(tx.tenant(), id).await {
                Ok(bytes) => pack.file(id.to_string(), bytes).await?,
                // It was taken away since the moment.
                Err(FilesError::Missing) => continue,
                Err(error) => return Err(error.into()),
            }
            packed = packed.saturating_add(1);
        }
    }
    Ok(packed)
}

/// Reads an archive to its end: whether every byte of it is what was written.
///
/// # Errors
/// [`PackError::Damaged`] with the place.
pub async fn inspect(file: &Path) -> Result<Sealed, LifeError> {
    let file = file.to_owned();
    let read = tokio::task::spawn_blocking(move || archive::read(&file, |_| true)).await;
    Ok(read.unwrap_or_else(|_| Err(PackError::BrokenOff.into()))?)
}

/// How a mall is to be made of an archive.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The archive.
    pub file: PathBuf,
    /// By which short name, where not by that of the first.
    pub slug: Option<Slug>,
    /// Which hosts are to mean it; where none are named, those of the first that mean no other mall.
    pub hosts: Vec<String>,
    /// On which database target.
    pub target: String,
}

/// A mall that was made of an archive, and what it does not have of the first.
#[derive(Debug, Clone)]
pub struct Restored {
    /// The mall.
    pub tenant: Tenant,
    /// What it was made of.
    pub sealed: Sealed,
    /// Keys and second factors.
    pub opening: Opening,
    /// Applications of merchants.
    pub applications: Applications,
    /// Messages that waited and are not going to be sent.
    pub messages: u64,
    /// Payments that were under way at Stripe: somebody has to look how they are there.
    pub at_stripe: i64,
    /// The checks of the books that do not hold: then the mall is suspended.
    pub broken: Vec<&'static str>,
}

/// Makes a mall of an archive, with an id of its own. Where something is wrong, there is none.
///
/// # Errors
/// [`ArchiveError`], [`LifeError::Unreadable`].
pub async fn import(
    app: &App,
    wish: &Wish,
    tell: impl FnMut(Progress),
) -> Result<Restored, LifeError> {
    let manifest = archive::manifest_of(&wish.file)?;
    if let Some(migration) = migrate::first_unknown(&manifest.migrations) {
        let version = manifest.version;
        return Err(ArchiveError::Newer { version, migration }.into());
    }
    let from: TenantId = manifest
        .tenant
        .id
        .parse()
        .map_err(|_| LifeError::Unreadable("id"))?;
    let wanted = registration(&manifest, wish)?;
    for host in &wish.hosts {
        if app.db.tenant_of_host(host).await?.is_some() {
            return Err(ArchiveError::HostTaken(host.clone()).into());
        }
    }
    let arrival = app
        .db
        .arrive(&registry(app)?, &wanted, &wish.target)
        .await?;
    let id = arrival.id;
    let made = Box::pin(make(app, &arrival, (&wish.file, &manifest, from), tell)).await;
    let mut restored = match made {
        Ok(restored) => restored,
        Err(error) => {
            remove_files(app, id).await?;
            arrival.abandon().await?;
            return Err(error);
        }
    };
    let status = if restored.broken.is_empty() {
        Status::Active
    } else {
        Status::Suspended
    };
    let strict = !wish.hosts.is_empty();
    arrival.open(&wanted.hosts, strict, status).await?;
    restored.tenant = known(app, &wanted.slug).await?;
    Ok(restored)
}

/// What the registry is to say.
fn registration(manifest: &Manifest, wish: &Wish) -> Result<Registration, LifeError> {
    use LifeError::Unreadable;
    let said = &manifest.tenant;
    let own = || said.slug.parse().map_err(|_| Unreadable("short name"));
    let languages: Result<_, _> = said.languages.iter().map(|tag| tag.parse()).collect();
    Ok(Registration {
        slug: wish.slug.clone().map_or_else(own, Ok)?,
        names: names_from_json(&said.names)?,
        zone: said
            .time_zone
            .parse()
            .map_err(|_| Unreadable("time zone"))?,
        currency: Currency::from_code(&said.currency).map_err(|_| Unreadable("currency"))?,
        calling_code: said.calling_code.clone(),
        languages: languages.map_err(|_| Unreadable("languages"))?,
        hosts: if wish.hosts.is_empty() {
            said.hosts.clone()
        } else {
            wish.hosts.clone()
        },
    })
}

/// Fills what arrives, compares it with what was sent, and makes it a mall of its own.
async fn make(
    app: &App,
    arrival: &Arrival,
    (file, manifest, from): (&Path, &Manifest, TenantId),
    tell: impl FnMut(Progress),
) -> Result<Restored, LifeError> {
    let id = arrival.id;
    remove_files(app, id).await?;
    let left = [
        &carried::LEFT_BEHIND[..],
        &replay::LEFT_BEHIND,
        &queue::LEFT_BEHIND,
    ]
    .concat();
    let keep = async |name: String, bytes| {
        let paper: PaperId = name.parse().map_err(|_| LifeError::Unreadable("files"))?;
        Ok::<(), LifeError>(app.files.put(id, paper, bytes).await?)
    };
    let archive = (file, manifest);
    let sealed = arrival.fill(&app.db, archive, &left, keep, tell).await?;
    compare(app, id, &sealed.totals, &left).await?;
    arrival.catch_up().await?;

    let grant = within::<CarryTenant>(app, id)?;
    let mut tx = app.db.write(&grant).await?;
    let vault = app.vault.as_ref();
    let opening = carried::settle(&mut tx, &grant, vault, from).await?;
    let applications = applications::settle(&mut tx, &grant, vault, from, RESTORED).await?;
    let messages = notify::settle(&mut tx, &grant, RESTORED).await?;
    let done = Done::new(Act::MallRestored).is(Field::Digest, sealed.digest.as_str());
    audit::record(&mut tx, done).await?;
    tx.commit().await?;

    let books = within::<VerifyBooks>(app, id)?;
    let mut tx = app.db.read(&books).await?;
    let checks = proof::prove(&mut tx, &books).await?;
    let at_stripe = totals::under_way_at_stripe(&mut tx, &books).await?;
    let found = app.db.tenant_of_id(id).await?;
    Ok(Restored {
        tenant: found.ok_or(db::Error::NoTenant)?,
        sealed,
        opening,
        applications,
        messages,
        at_stripe,
        broken: checks
            .iter()
            .filter(|check| !check.holds)
            .map(|check| check.name)
            .collect(),
    })
}

/// That the tables are filled with what the archive has, row by row and sum by sum.
async fn compare(app: &App, id: TenantId, said: &Totals, left: &[&str]) -> Result<(), LifeError> {
    let books = within::<VerifyBooks>(app, id)?;
    let mut tx = app.db.snapshot(&books).await?;
    let found = archive::count(&mut tx, |_| {}).await?;
    // Each schema has its own list of migrations.
    let own = |table: &str| table.starts_with('_') || left.contains(&table);
    if let Some(table) = first_other(&said.tables, &found, own) {
        return Err(ArchiveError::Differs(format!("the table {table}")).into());
    }
    match other_sum(&said.control, &totals::control(&mut tx, &books).await?) {
        Some(name) => Err(ArchiveError::Differs(name).into()),
        None => Ok(()),
    }
}

/// The first sum that differs, of those that both sides know: a program of another version may know
/// others.
fn other_sum(said: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Option<String> {
    let differs = |(name, sum): &(&String, &String)| found.get(*name).is_some_and(|it| it != *sum);
    said.iter().find(differs).map(|(name, _)| name.clone())
}

/// The first that is not the same on both sides, but for those to be passed over.
fn first_other<V: PartialEq>(
    one: &BTreeMap<String, V>,
    other: &BTreeMap<String, V>,
    passed_over: impl Fn(&str) -> bool,
) -> Option<String> {
    let mut names = one.keys().chain(other.keys());
    let differs = |name: &&String| !passed_over(name) && one.get(*name) != other.get(*name);
    names.find(differs).cloned()
}

async fn remove_files(app: &App, id: TenantId) -> Result<u64, LifeError> {
    let mut removed = 0_u64;
    for paper in app.files.list(id).await? {
        app.files.remove(id, paper).await?;
        removed = removed.saturating_add(1);
    }
    Ok(removed)
}

/// Deletes a suspended mall for good. `typed` is its short name again; `archive`, where there is one,
/// has to hold the mall as it is now. What was begun and interrupted goes on; of what is deleted the
/// proof is told again.
///
/// # Errors
/// [`LifeError::WrongName`], [`LifeError::NotThis`], [`EndError`]; then nothing was deleted.
pub async fn delete(
    app: &App,
    slug: &Slug,
    typed: &str,
    archive: Option<&Path>,
    by: &str,
) -> Result<Value, LifeError> {
    let mall = known(app, slug).await?;
    if typed != slug.as_str() {
        return Err(LifeError::WrongName {
            slug: slug.clone(),
            typed: typed.to_owned(),
        });
    }
    let grant = registry(app)?;
    match mall.status {
        Status::Suspended => {
            let proof = prove(app, &mall, archive).await?;
            app.db.begin_end(&grant, slug, by, &proof).await?;
        }
        Status::Leaving | Status::Gone => {}
        _ => return Err(EndError::NotSuspended(slug.clone()).into()),
    }
    remove_files(app, mall.id).await?;
    Ok(told(app.db.end_tenant(&grant, slug).await?))
}

/// What the mall is, to be kept when it is not any more.
async fn prove(app: &App, mall: &Tenant, archive: Option<&Path>) -> Result<Value, LifeError> {
    let sealed = match archive {
        Some(file) => Some(inspect(file).await?),
        None => None,
    };
    let books = within::<VerifyBooks>(app, mall.id)?;
    let mut tx = app.db.snapshot(&books).await?;
    let described = archive::describe(&mut tx, mall).await?;
    let tables = archive::count(&mut tx, |_| {}).await?;
    let control = totals::control(&mut tx, &books).await?;
    let files = app.files.list(mall.id).await?.len();
    if let Some(sealed) = &sealed {
        if sealed.manifest.tenant.id != described.tenant.id {
            return Err(LifeError::NotThis(sealed.manifest.tenant.slug.clone()));
        }
        let said = &sealed.totals;
        let other = first_other(&said.tables, &tables, |_| false);
        let other = other.or_else(|| other_sum(&said.control, &control));
        let missing = (said.files.missing > 0).then(|| "files".to_owned());
        if let Some(what) = other.or(missing) {
            return Err(LifeError::NotThis(what));
        }
    }
    Ok(json!({
        "product": described.product,
        "version": described.version,
        "migrations": described.migrations,
        "tenant": described.tenant,
        "target": mall.target,
        "tables": tables,
        "files": files,
        "control": control,
        "archive": sealed.map(|sealed| json!({
            "sha256": sealed.digest,
            "bytes": sealed.bytes,
            "taken_at": sealed.manifest.taken_at,
        })),
    }))
}

/// The proof with its ends.
fn told(ending: Ending) -> Value {
    let mut proof = ending.proof;
    if let Some(proof) = proof.as_object_mut() {
        proof.insert("object".to_owned(), json!("deletion_proof"));
        proof.insert("begun_at".to_owned(), json!(ending.begun_at));
        proof.insert("ended_at".to_owned(), json!(ending.ended_at));
        proof.insert("by".to_owned(), json!(ending.begun_by));
    }
    proof
}

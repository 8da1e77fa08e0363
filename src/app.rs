//! What every door holds: built once, cloned into each.

pub mod address;
pub mod entering;
pub mod joining;
pub mod life;
pub mod mall;
pub mod own;

use std::{
    fmt,
    hash::Hash,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use moka::future::Cache;
use secrecy::SecretString;
use thiserror::Error;
use tokio::sync::Mutex;

use crate::{
    authz::{
        action::{Authenticate, ReadProgramme},
        actor::Principal,
        grant::Grant,
        own::OwnRoles,
        policy::{Denied, Policy, PolicyError},
    },
    config::Config,
    db::{
        Db,
        embedded::{Cluster, EmbeddedError},
        error::Error as DbError,
        tenants::Tenant,
    },
    gateway::{
        files::{Bucket, Files, FilesError},
        mail::{MailSettingError, Mailer},
        sms::{Sms, SmsSettingError},
        stripe::{Keys, PATIENCE, SettingError, Stripe},
    },
    identity::{self, IdentityError, Recognised, password::Hashing, roles, signin::Desk},
    kernel::{
        ids::{Entropy, TenantId},
        page::CursorKey,
        time::Clock,
        vault::{Vault, VaultError},
    },
    queue::Bell,
    telemetry::{Metrics, TelemetryError},
};
pub use mall::Mall;

/// How long a revision is believed: what is suspended or revoked stops within a second.
const BELIEVED: Duration = Duration::from_millis(900);

/// The most hosts, keys and malls that are remembered, each as it was at one revision.
const REMEMBERED: u64 = 10_000;

/// How long what is remembered at a revision holds at most. It would hold for ever, were all changes
/// told; one that is made behind the program's back (by hand, by an older program, by putting an older
/// copy of a mall in its place) holds within that time.
const CHECKED: Duration = Duration::from_mins(1);

/// How long connections that are in use may hold up the end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Why the application cannot start.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The private cluster.
    #[error(transparent)]
    Cluster(#[from] EmbeddedError),
    /// The database.
    #[error("the database cannot be used")]
    Db(#[from] DbError),
    /// The policy.
    #[error("the policy cannot be used")]
    Policy(#[from] PolicyError),
    /// The mail server of the settings.
    #[error(transparent)]
    Mail(#[from] MailSettingError),
    /// Whoever sends short messages, by the settings.
    #[error(transparent)]
    Sms(#[from] SmsSettingError),
    /// The key of the secrets of the settings.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The bucket for files of the settings.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The keys of Stripe of the settings.
    #[error(transparent)]
    Stripe(#[from] SettingError),
    /// The figures.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}

/// Why a mall cannot be worked with.
#[derive(Debug, Error)]
pub enum MallError {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The policy does not let the house read it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is none.
    #[error("there is no mall {0}: `rotunda tenant list` shows which there are")]
    Unknown(String),
    /// Its programme cannot be read.
    #[error("the mall's programme cannot be read: {0}")]
    Programme(String),
}

/// The application. A clone is the same application.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// What an [`App`] holds.
pub struct Inner {
    /// The database.
    pub db: Db,
    /// Who may do what.
    pub policy: Arc<Policy>,
    /// What time it is.
    pub clock: Clock,
    /// Where randomness comes from.
    pub entropy: Entropy,
    /// The settings.
    pub config: Config,
    /// The figures.
    pub metrics: Metrics,
    /// Who takes letters.
    pub mailer: Mailer,
    /// Who takes short messages.
    pub sms: Sms,
    /// The malls' accounts at Stripe.
    pub stripe: Stripe,
    /// Where files are kept that people send.
    pub files: Files,
    cursors: CursorKey,
    registry: Cache<(), i64>,
    tenants: Cache<(String, i64), Option<Arc<Tenant>>>,
    /// The malls' revisions as they were a moment ago.
    revisions: Cache<TenantId, i64>,
    /// The same, whenever that was.
    last_revisions: Cache<TenantId, i64>,
    /// Who hashes passwords.
    pub hashing: Hashing,
    /// What keeps secrets that have to be read again; none where the settings have no key.
    pub vault: Option<Vault>,
    principals: Cache<(TenantId, i64, [u8; 32]), Recognised>,
    /// What the malls' own roles mean, each mall's as of one revision.
    own_roles: Cache<(TenantId, i64), Arc<OwnRoles>>,
    migrated: AtomicBool,
    draining: AtomicBool,
    answering: Cache<(), ()>,
    malls: Cache<(TenantId, u64, i64), Arc<Mall>>,
    /// To be rung after a commit that enqueued something.
    pub bell: Bell,
    cluster: Mutex<Option<Cluster>>,
}

impl App {
    /// The application of these settings, in real time and with real randomness. Starts the
    /// private cluster where no database is named. Migrates nothing.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        Self::open_with(config, Clock::System, Entropy::System).await
    }

    /// As [`App::open`], with a clock and randomness of the caller's.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open_with(
        config: Config,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Self, OpenError> {
        let policy = Arc::new(Policy::embedded().await?);
        let metrics = Metrics::new()?;
        let mailer = match &config.mail {
            Some(mail) => Mailer::new(&mail.url, &mail.from)?,
            None => Mailer::Off,
        };
        let sms = match &config.sms {
            Some(hook) => Sms::hook(&hook.url, &hook.secret)?,
            None if config.dev => Sms::outbox(),
            None => Sms::Off,
        };
        let stripe = stripe(&config)?;
        let vault = config.secrets_key.as_ref().map(Vault::new).transpose()?;
        let files = files(&config)?;
        let (url, cluster) = database(&config).await?;
        let (now, chance) = (clock.clone(), entropy.clone());
        let db = Db::on(&url, &config.targets, config.connections, now, chance)?;
        let secret = db.secret_for(b"cursor")?;
        let cursors = CursorKey::new(secret.as_bytes()).ok_or(DbError::Corrupt("cursor key"))?;
        Ok(Self(Arc::new(Inner {
            db,
            policy,
            clock,
            entropy,
            config,
            metrics,
            mailer,
            sms,
            stripe,
            files,
            cursors,
            registry: remembering(BELIEVED),
            tenants: remembering(CHECKED),
            revisions: remembering(BELIEVED),
            last_revisions: remembering(CHECKED),
            hashing: Hashing::default(),
            vault,
            principals: remembering(CHECKED),
            own_roles: remembering(CHECKED),
            migrated: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            answering: remembering(BELIEVED),
            malls: remembering(CHECKED),
            bell: Bell::default(),
            cluster: Mutex::new(cluster),
        })))
    }

    /// Ends every connection and gives the private cluster back.
    ///
    /// # Errors
    /// [`OpenError::Cluster`] where the cluster did not stop.
    pub async fn close(&self) -> Result<(), OpenError> {
        // What still holds a connection then was given up; the cluster's stop ends its session.
        let _ = tokio::time::timeout(LAST_WORDS, self.db.close()).await;
        if let Some(cluster) = self.cluster.lock().await.take() {
            cluster.release().await?;
        }
        Ok(())
    }
}

impl Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for App {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("App")
    }
}

impl Inner {
    /// Seals and opens the cursors of lists.
    pub fn cursor_key(&self) -> &CursorKey {
        &self.cursors
    }

    /// The mall that a host means, which may be suspended.
    ///
    /// # Errors
    /// [`DbError::Unavailable`].
    pub async fn tenant_of_host(&self, host: &str) -> Result<Option<Arc<Tenant>>, Arc<DbError>> {
        let asked = self.db.registry_revision();
        let revision = self.registry.try_get_with((), asked).await?;
        let asked = async { Ok(self.db.tenant_of_host(host).await?.map(Arc::new)) };
        self.tenants
            .try_get_with((host.to_owned(), revision), asked)
            .await
    }

    /// The revision of the mall's settings: what was remembered at it still holds. If `checked`, as
    /// it was at most a moment ago; else as this server saw it last, for whoever checks it himself.
    ///
    /// # Errors
    /// [`MallError::Db`].
    pub async fn revision(&self, tenant: TenantId, checked: bool) -> Result<i64, Arc<MallError>> {
        if !checked && let Some(last) = self.last_revisions.get(&tenant).await {
            return Ok(last);
        }
        let asked = async {
            let house = Principal::system(tenant);
            let grant = self.policy.allow::<ReadProgramme>(&house)?;
            let revision = self.db.read(&grant).await?.revision().await?;
            self.last_revisions.insert(tenant, revision).await;
            Ok(revision)
        };
        self.revisions.try_get_with(tenant, asked).await
    }

    /// Says that this is not the mall's revision any more. Of many who find that out in the same
    /// moment, the first has this server look again.
    pub async fn is_stale(&self, tenant: TenantId, revision: i64) {
        if self.last_revisions.get(&tenant).await == Some(revision) {
            self.last_revisions.invalidate(&tenant).await;
            self.revisions.invalidate(&tenant).await;
        }
    }

    /// The mall with its programme and stores, as of that revision.
    ///
    /// # Errors
    /// [`MallError`].
    pub async fn mall(
        &self,
        tenant: &Arc<Tenant>,
        revision: i64,
    ) -> Result<Arc<Mall>, Arc<MallError>> {
        let key = (tenant.id, tenant.version, revision);
        // Nearly every request finds its mall here.
        if let Some(found) = self.malls.get(&key).await {
            return Ok(found);
        }
        let asked = async {
            let read = self.read_mall(tenant).await?;
            // It may be newer than that by now, and the key that was shown by then may not hold.
            Ok(Arc::new(Mall { revision, ..read }))
        };
        self.malls.try_get_with(key, asked).await
    }

    async fn read_mall(&self, tenant: &Arc<Tenant>) -> Result<Mall, MallError> {
        Mall::read(&self.db, &self.policy, Arc::clone(tenant)).await
    }

    /// The mall of a short name, with its programme: for the command line.
    ///
    /// # Errors
    /// [`MallError::Unknown`] and what [`Inner::mall`] says.
    pub async fn mall_of(&self, slug: &str) -> Result<Mall, MallError> {
        let tenant = self.db.tenant_of_slug(slug).await?;
        let tenant = tenant.ok_or_else(|| MallError::Unknown(slug.to_owned()))?;
        self.read_mall(&Arc::new(tenant)).await
    }

    /// What people come in by.
    pub fn desk(&self) -> Desk<'_> {
        Desk {
            db: &self.db,
            hashing: &self.hashing,
            vault: self.vault.as_ref(),
        }
    }

    /// Who shows this key, or this token of a session, to that mall, as of that revision; nobody where
    /// it is not a living one of the mall. That a session was used is written down now and then.
    ///
    /// # Errors
    /// [`IdentityError::UnknownKey`], [`IdentityError::Db`].
    pub async fn principal_of(
        &self,
        grant: &Grant<Authenticate>,
        tenant: TenantId,
        revision: i64,
        presented: &str,
    ) -> Result<Recognised, Arc<IdentityError>> {
        if !identity::has_form(presented) {
            return Err(Arc::new(IdentityError::UnknownKey));
        }
        let key = (tenant, revision, identity::fingerprint(presented));
        if let Some(found) = self.principals.get(&key).await {
            // A session may have run out since it was remembered, or is to be looked at again.
            let now = self.clock.now();
            match found.presence.map(|one| one.life()) {
                Some(life) if now >= life.until || now >= life.again_at => {
                    self.principals.invalidate(&key).await;
                }
                _ => return Ok(found),
            }
        }
        let asked = async {
            let mut tx = self.db.read(grant).await?;
            let mut found = identity::authenticate(&mut tx, grant, presented).await?;
            drop(tx);
            found.principal.own = self.own_roles(grant, tenant, revision).await?;
            if let Some(presence) = &found.presence
                && presence.life().stale
            {
                let mut tx = self.db.write(grant).await?;
                identity::touch(&mut tx, grant, presence).await?;
                tx.commit().await?;
            }
            Ok(found)
        };
        self.principals.try_get_with(key, asked).await
    }

    /// What the mall's own roles mean, as of that revision or a later one.
    ///
    /// # Errors
    /// [`IdentityError::Db`], [`IdentityError::Policy`].
    pub async fn own_roles(
        &self,
        grant: &Grant<Authenticate>,
        tenant: TenantId,
        revision: i64,
    ) -> Result<Arc<OwnRoles>, IdentityError> {
        let key = (tenant, revision);
        if let Some(found) = self.own_roles.get(&key).await {
            return Ok(found);
        }
        let mut tx = self.db.read(grant).await?;
        let rows = roles::all(&mut tx, grant).await?;
        drop(tx);
        let decided = Arc::new(self.policy.decide_own(&rows).await?);
        self.own_roles.insert(key, Arc::clone(&decided)).await;
        Ok(decided)
    }

    /// No more requests from now on; `/readyz` says so.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether requests may come: not stopping, the database answers, the tables are those of
    /// this program.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub async fn ready(&self) -> Result<(), &'static str> {
        if self.draining.load(Ordering::Acquire) {
            return Err("This server is stopping.");
        }
        self.answering
            .try_get_with((), self.db.ping())
            .await
            .map_err(|_| "The database does not answer.")?;
        if !self.migrated.load(Ordering::Acquire) {
            // Once true it stays true: no other program takes tables back.
            match self.db.is_current().await {
                Ok(true) => self.migrated.store(true, Ordering::Release),
                Ok(false) => return Err("The tables are not those of this program."),
                Err(_) => return Err("The database does not answer."),
            }
        }
        Ok(())
    }
}

/// The malls' accounts at Stripe.
fn stripe(config: &Config) -> Result<Stripe, SettingError> {
    let keys = config.stripe.iter().map(|(slug, keys)| {
        let keys = Keys {
            secret: keys.secret_key.clone(),
            webhook: keys.webhook_secret.clone(),
        };
        (slug.clone(), keys)
    });
    Stripe::new(config.stripe_url.as_deref(), PATIENCE, keys)
}

/// Where files are kept that people send.
fn files(config: &Config) -> Result<Files, FilesError> {
    let Some(bucket) = &config.files.bucket else {
        return Ok(Files::Folder(config.files.dir.clone()));
    };
    Files::in_bucket(&Bucket {
        name: &bucket.name,
        region: &bucket.region,
        endpoint: bucket.endpoint.as_deref(),
        access_key: &bucket.access_key,
        secret_key: &bucket.secret_key,
    })
}

/// The database's owner login, and the private cluster where that is the one.
async fn database(config: &Config) -> Result<(SecretString, Option<Cluster>), OpenError> {
    if let Some(url) = &config.database_url {
        return Ok((url.clone(), None));
    }
    let cluster = Cluster::share(&config.data_dir).await?;
    Ok((SecretString::from(cluster.admin_url()), Some(cluster)))
}

/// Remembers for so long.
fn remembering<K, V>(span: Duration) -> Cache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder()
        .max_capacity(REMEMBERED)
        .time_to_live(span)
        .build()
}

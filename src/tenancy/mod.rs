//! Malls: what their manifests say, which programme is in force, and whether they are open.
//!
//! The programme is the mall's settings as the manifest gave them. It is never changed, only
//! succeeded: each version says since when it holds, the first since before any purchase, so that
//! an import of past years finds rules. A purchase keeps the number of the version that it earned
//! by.

pub mod manifest;
mod reader;
mod store;

pub use manifest::{GoodListing, Manifest, MerchantListing, Roles, StoreListing};
pub use reader::{ManifestError, Place};

use serde_json::Value;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{ApplyManifest, ManageTenants},
        grant::Grant,
    },
    db::{
        self, Db,
        locator::MAIN,
        tenants::{Registration, Status, Tenant},
        tx::{ReadTx, Tx},
    },
    kernel::{
        page::hex,
        text::Slug,
        time::{Instant, Unit},
    },
    ledger::periods::{self, UnitChangeError},
};

/// How many malls [`list`] asks for at a time.
const PAGE: i64 = 100;

/// A version of the programme.
#[derive(Debug, Clone, PartialEq)]
pub struct ProgrammeVersion {
    /// From 1, without gaps.
    pub version: i64,
    /// The sections earning, expiry, spending, exchange and settlement.
    pub body: Value,
    /// Since when it holds, until the next one does.
    pub valid_from: Instant,
}

/// What [`adopt`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adopted {
    /// The version in force now.
    pub version: i64,
    /// Whether it is a new one.
    pub changed: bool,
}

/// What [`open`] did.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The mall.
    pub tenant: Tenant,
    /// Whether it was not there before.
    pub created: bool,
}

/// Why something about malls is refused.
#[derive(Debug, Error)]
pub enum TenancyError {
    /// No mall of that short name.
    #[error("there is no mall {}", .0.as_str())]
    UnknownTenant(Slug),
    /// The books have been in another currency since the mall opened.
    #[error(
        "the books of {} are in {books}, and a mall's currency cannot be changed to {wanted}",
        .slug.as_str()
    )]
    CurrencyFixed {
        /// The mall.
        slug: Slug,
        /// Of its books.
        books: &'static str,
        /// Of the manifest.
        wanted: &'static str,
    },
    /// The books have been kept by another unit since their first entry or cut-off.
    #[error(
        "{} settles by the {books} since its first entry or cut-off; that cannot be changed to the \
         {wanted} any more: leave settlement.period as it was",
        .slug.as_str()
    )]
    PeriodFixed {
        /// The mall.
        slug: Slug,
        /// Of its books.
        books: Unit,
        /// Of the manifest.
        wanted: Unit,
    },
    /// The host means another mall.
    #[error("the host {host} means the mall {} already", .slug.as_str())]
    HostTaken {
        /// The host.
        host: String,
        /// The mall that it means.
        slug: Slug,
    },
    /// The mall lives elsewhere.
    #[error(
        "{} lives on the target {home}: `rotunda tenant move` takes it to another",
        .slug.as_str()
    )]
    Elsewhere {
        /// The mall.
        slug: Slug,
        /// Its target.
        home: String,
    },
    /// The mall is on its way to another database.
    #[error("{} is being moved: finish the move or cancel it first", .0.as_str())]
    Moving(Slug),
    /// It comes from an archive in this moment, is being deleted, or was.
    #[error(
        "{} is {}: another mall needs another short name",
        .0.as_str(), .1.as_str()
    )]
    NotThere(Slug, Status),
    /// Two manifests of one mall were applied at once; this one was not.
    #[error("the programme was changed at the same moment: apply again")]
    ChangedMeanwhile,
    /// The database.
    #[error(transparent)]
    Db(#[from] db::error::Error),
}

/// Brings a mall into being, or the registry up to what its manifest says. A suspended mall stays
/// suspended. Safe to repeat, and goes on where an earlier try stopped.
///
/// # Errors
/// [`TenancyError::CurrencyFixed`], [`TenancyError::HostTaken`].
pub async fn open(
    db: &Db,
    grant: &Grant<ManageTenants>,
    wanted: &Registration,
) -> Result<Opened, TenancyError> {
    open_on(db, grant, wanted, None).await
}

/// As [`open`]; a new mall comes to be on that database target, the main one where none is named.
///
/// # Errors
/// As [`open`]; [`TenancyError::Elsewhere`] where the mall lives on another target than that.
pub async fn open_on(
    db: &Db,
    grant: &Grant<ManageTenants>,
    wanted: &Registration,
    target: Option<&str>,
) -> Result<Opened, TenancyError> {
    let known = db.tenant_of_slug(wanted.slug.as_str()).await?;
    if let Some(known) = &known
        && matches!(
            known.status,
            Status::Arriving | Status::Leaving | Status::Gone
        )
    {
        return Err(TenancyError::NotThere(wanted.slug.clone(), known.status));
    }
    if let (Some(known), Some(target)) = (&known, target)
        && known.target != target
    {
        return Err(TenancyError::Elsewhere {
            slug: wanted.slug.clone(),
            home: known.target.clone(),
        });
    }
    if let Some(known) = known.as_ref().filter(|it| it.currency != wanted.currency) {
        return Err(TenancyError::CurrencyFixed {
            slug: wanted.slug.clone(),
            books: known.currency.code(),
            wanted: wanted.currency.code(),
        });
    }
    for host in &wanted.hosts {
        let other = db.tenant_of_host(host).await?;
        if let Some(other) = other.filter(|other| other.slug != wanted.slug) {
            return Err(TenancyError::HostTaken {
                host: host.clone(),
                slug: other.slug,
            });
        }
    }
    Ok(Opened {
        tenant: db
            .register_on(grant, wanted, target.unwrap_or(MAIN))
            .await?,
        created: known.is_none(),
    })
}

/// All malls, by short name.
///
/// # Errors
/// [`TenancyError::Db`].
pub async fn list(db: &Db, _grant: &Grant<ManageTenants>) -> Result<Vec<Tenant>, TenancyError> {
    let mut malls: Vec<Tenant> = Vec::new();
    loop {
        let after = malls.last().map_or("", |last| last.slug.as_str());
        let mut page = db.tenants(after, PAGE).await?;
        if page.is_empty() {
            return Ok(malls);
        }
        malls.append(&mut page);
    }
}

/// One mall.
///
/// # Errors
/// [`TenancyError::UnknownTenant`].
pub async fn show(
    db: &Db,
    _grant: &Grant<ManageTenants>,
    slug: &Slug,
) -> Result<Tenant, TenancyError> {
    let found = db.tenant_of_slug(slug.as_str()).await?;
    found.ok_or_else(|| TenancyError::UnknownTenant(slug.clone()))
}

/// Closes a mall's doors: it answers no request until [`resume`]. Its books stay.
///
/// # Errors
/// [`TenancyError::UnknownTenant`], [`TenancyError::Moving`].
pub async fn suspend(
    db: &Db,
    grant: &Grant<ManageTenants>,
    slug: &Slug,
) -> Result<(), TenancyError> {
    set_status(db, grant, slug, Status::Suspended).await
}

/// Opens a suspended mall's doors again.
///
/// # Errors
/// [`TenancyError::UnknownTenant`], [`TenancyError::Moving`].
pub async fn resume(
    db: &Db,
    grant: &Grant<ManageTenants>,
    slug: &Slug,
) -> Result<(), TenancyError> {
    set_status(db, grant, slug, Status::Active).await
}

async fn set_status(
    db: &Db,
    grant: &Grant<ManageTenants>,
    slug: &Slug,
    status: Status,
) -> Result<(), TenancyError> {
    if db.set_status(grant, slug, status).await? {
        return Ok(());
    }
    let known = db.tenant_of_slug(slug.as_str()).await?;
    Err(match known {
        Some(mall) if mall.status == Status::Moving => TenancyError::Moving(slug.clone()),
        Some(mall) if mall.status != Status::Opening => {
            TenancyError::NotThere(slug.clone(), mall.status)
        }
        _ => TenancyError::UnknownTenant(slug.clone()),
    })
}

/// The newest version of the programme; none before the first manifest.
///
/// # Errors
/// [`db::error::Error::Unavailable`].
pub async fn programme(tx: &mut ReadTx) -> Result<Option<ProgrammeVersion>, db::error::Error> {
    Ok(store::newest(tx).await?.map(|(version, _)| version))
}

/// By which periods the mall settles.
///
/// # Errors
/// [`db::error::Error::Unavailable`].
pub async fn period(tx: &mut ReadTx) -> Result<Unit, db::error::Error> {
    periods::unit(tx).await
}

/// The versions of the programme, oldest first, the newest thousand of them.
///
/// # Errors
/// [`db::error::Error::Unavailable`].
pub async fn programmes(tx: &mut ReadTx) -> Result<Vec<ProgrammeVersion>, db::error::Error> {
    let mut versions = store::versions(tx).await?;
    versions.reverse();
    Ok(versions)
}

/// Lets the mall settle by periods of that unit, from its first entry on; before [`adopt`], in the
/// same transaction, because both are remembered together.
///
/// # Errors
/// [`TenancyError::PeriodFixed`] where something was posted or cut off by another unit.
pub async fn settle_by(
    tx: &mut Tx,
    _grant: &Grant<ApplyManifest>,
    slug: &Slug,
    unit: Unit,
) -> Result<(), TenancyError> {
    match periods::settle_by(tx, unit).await {
        Ok(false) => Ok(()),
        Ok(true) => {
            let done = Done::new(Act::PeriodUnitSet).is(Field::Unit, unit.as_str());
            Ok(audit::record(tx, done).await?)
        }
        Err(UnitChangeError::Fixed { books }) => Err(TenancyError::PeriodFixed {
            slug: slug.clone(),
            books,
            wanted: unit,
        }),
        Err(UnitChangeError::Db(error)) => Err(error.into()),
    }
}

/// Makes `body` the programme: a new version where it says something else than the newest one. The
/// first holds since the beginning of time, each later one from this transaction on.
///
/// # Errors
/// [`TenancyError::ChangedMeanwhile`].
pub async fn adopt(
    tx: &mut Tx,
    _grant: &Grant<ApplyManifest>,
    body: &Value,
) -> Result<Adopted, TenancyError> {
    let digest = digest(body);
    let newest = store::newest(tx).await?;
    let (version, valid_from) = match newest {
        Some((newest, same)) if same == digest => {
            return Ok(Adopted {
                version: newest.version,
                changed: false,
            });
        }
        Some((newest, _)) => (newest.version.saturating_add(1), tx.now()),
        None => (1, beginning()),
    };
    let next = ProgrammeVersion {
        version,
        body: body.clone(),
        valid_from,
    };
    if !store::insert(tx, &next, &digest).await? {
        return Err(TenancyError::ChangedMeanwhile);
    }
    let done = Done::new(Act::ProgrammePublished)
        .changed(
            Field::Version,
            (version > 1).then_some(version.saturating_sub(1)),
            version,
        )
        .is(Field::Digest, digest);
    audit::record(tx, done).await?;
    Ok(Adopted {
        version,
        changed: true,
    })
}

/// The first moment of the year 1, when the books' first open period begins.
fn beginning() -> Instant {
    Instant::from_timestamp(-62_135_596_800, 0).unwrap_or(Instant::UNIX_EPOCH)
}

/// SHA-256 of the canonical form: objects by their keys in order, no spaces.
fn digest(body: &Value) -> String {
    hex(&Sha256::digest(canonical(body)))
}

fn canonical(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort();
            let pairs: Vec<String> = keys
                .into_iter()
                .filter_map(|key| Some((key, object.get(key)?)))
                .map(|(key, inner)| format!("{}:{}", Value::from(key.as_str()), canonical(inner)))
                .collect();
            format!("{{{}}}", pairs.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_knows_no_order_of_keys_but_one_of_entries() {
        let one = serde_json::json!({ "b": [1, { "y": "1", "x": null }], "a": true });
        let text = r#"{ "a": true, "b": [ 1, { "x": null, "y": "1" } ] }"#;
        let two: Value = serde_json::from_str(text).unwrap();
        assert_eq!(canonical(&one), r#"{"a":true,"b":[1,{"x":null,"y":"1"}]}"#);
        assert_eq!(digest(&one), digest(&two));
        assert_ne!(
            digest(&serde_json::json!([1, 2])),
            digest(&serde_json::json!([2, 1]))
        );
    }

    #[test]
    fn time_begins_with_the_year_one() {
        assert_eq!(beginning().to_rfc3339(), "0001-01-01T00:00:00+00:00");
    }
}

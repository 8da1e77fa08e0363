//! `rotunda tenant`: malls come to be, change with their manifests, close and open again.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, anyhow};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    app::App,
    authz::{
        action::{ApplyManifest, ManageTenants},
        actor::Principal,
        grant::Grant,
    },
    db::{
        tenants::{Tenant, names_to_json},
        tx::Tx,
    },
    kernel::text::{Language, Slug},
    merchants::{self, Alliance, Listing, Upserted},
    tenancy::{self, Adopted, GoodListing, Manifest, MerchantListing, Roles, TenancyError},
};

/// The exit code of something that is not there.
const NOT_FOUND: u8 = 3;

/// Malls.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Make a mall, or bring it up to its manifest.
    #[command(after_help = "Examples:\n  \
        rotunda tenant apply tenants/demo\n  \
        rotunda tenant apply my-mall.toml --json")]
    Apply {
        /// A folder with tenant.toml, merchants.toml and rewards.toml, or one file with it all.
        path: PathBuf,
    },
    /// List every mall.
    List,
    /// Show one mall and its programme.
    Show {
        /// The mall's short name.
        slug: Slug,
    },
    /// Close a mall's doors; its books stay.
    Suspend {
        /// The mall's short name.
        slug: Slug,
    },
    /// Open a suspended mall's doors again.
    Resume {
        /// The mall's short name.
        slug: Slug,
    },
}

/// What applying a manifest did.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The mall.
    pub tenant: Tenant,
    /// Whether it is new.
    pub created: bool,
    /// Its programme.
    pub programme: Adopted,
    /// Its merchants and stores.
    pub merchants: Upserted,
}

/// What the rooms above tenancy do with a manifest: the door hands it to them.
pub trait Rooms {
    /// Whether every section of the programme can be read; a message that begins with the key.
    ///
    /// # Errors
    /// What is wrong, as in `earning.rules[0].per: found "x", expected …`.
    fn check(&self, programme: &Value) -> Result<(), String>;

    /// Brings the catalogue to what the manifest lists; the merchants are there already.
    fn stock(
        &self,
        tx: &mut Tx,
        grant: &Grant<ApplyManifest>,
        goods: &[GoodListing],
    ) -> impl Future<Output = anyhow::Result<()>>;
}

/// Runs one command; data goes to the standard output, as JSON where `json` says so.
///
/// # Errors
/// Everything but a mall that is not there, which is an exit code of its own.
pub async fn run(
    app: &App,
    rooms: &impl Rooms,
    command: TenantCommand,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let done = match command {
        TenantCommand::Apply { path } => apply(app, rooms, &path)
            .await
            .and_then(|applied| say_applied(&applied, json)),
        TenantCommand::List => list(app, json).await,
        TenantCommand::Show { slug } => show(app, &slug, json).await,
        TenantCommand::Suspend { slug } => {
            let done = tenancy::suspend(&app.db, &registry(app)?, &slug).await;
            say_status(done, &slug, "suspended", json)
        }
        TenantCommand::Resume { slug } => {
            let done = tenancy::resume(&app.db, &registry(app)?, &slug).await;
            say_status(done, &slug, "active", json)
        }
    };
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => match error.downcast_ref::<TenancyError>() {
            Some(unknown @ TenancyError::UnknownTenant(_)) => {
                writeln!(io::stderr(), "{unknown}")?;
                Ok(ExitCode::from(NOT_FOUND))
            }
            _ => Err(error),
        },
    }
}

/// Applies the manifest at `path`. Everything is read and checked before anything is written; the
/// programme, the merchants and the goods change together or not at all.
///
/// # Errors
/// What is wrong with the manifest, with its place; the database's errors.
pub async fn apply(app: &App, rooms: &impl Rooms, path: &Path) -> anyhow::Result<Applied> {
    let manifest = Manifest::read(path)?;
    rooms
        .check(&manifest.programme)
        .map_err(|message| anyhow!(manifest.locate(&message)))?;
    let listings: Vec<Listing> = manifest.merchants.iter().map(listing).collect();

    let opened = tenancy::open(&app.db, &registry(app)?, &manifest.registration).await?;
    let grant = within(app, &opened.tenant)?;
    let mut tx = app.db.write(&grant).await?;
    let programme = tenancy::adopt(&mut tx, &grant, &manifest.programme).await?;
    let merchants = merchants::upsert(&mut tx, &grant, &listings).await?;
    rooms.stock(&mut tx, &grant, &manifest.goods).await?;
    tx.commit().await?;
    Ok(Applied {
        tenant: opened.tenant,
        created: opened.created,
        programme,
        merchants,
    })
}

/// The vendor's right over the registry.
fn registry(app: &App) -> anyhow::Result<Grant<ManageTenants>> {
    let platform = Principal::platform(None);
    app.policy
        .allow(&platform)
        .context("the command line manages malls")
}

/// The vendor's right over one mall's manifest.
fn within(app: &App, tenant: &Tenant) -> anyhow::Result<Grant<ApplyManifest>> {
    let platform = Principal::platform(Some(tenant.id));
    app.policy
        .allow(&platform)
        .context("the command line applies manifests")
}

/// Tenancy's words in the merchants' room's.
fn listing(listed: &MerchantListing) -> Listing {
    Listing {
        code: listed.code.clone(),
        names: listed.names.clone(),
        trade: listed.trade.clone(),
        alliance: alliance(listed.roles),
        stores: listed
            .stores
            .iter()
            .map(|store| merchants::StoreListing {
                code: store.code.clone(),
                names: store.names.clone(),
                alliance: store.roles.map(alliance),
            })
            .collect(),
    }
}

/// A manifest's roles are one at least.
fn alliance(roles: Roles) -> Alliance {
    Alliance::of(roles.earns, roles.spends).unwrap_or(Alliance::Both)
}

async fn list(app: &App, json: bool) -> anyhow::Result<()> {
    let malls = tenancy::list(&app.db, &registry(app)?).await?;
    if json {
        let data: Vec<Value> = malls.iter().map(described).collect();
        return print(&json!({ "object": "list", "data": data }));
    }
    let mut out = io::stdout().lock();
    for mall in &malls {
        writeln!(
            out,
            "{:<20} {:<10} {}",
            mall.slug.as_str(),
            mall.status.as_str(),
            mall.names.get(Language::En)
        )?;
    }
    Ok(())
}

async fn show(app: &App, slug: &Slug, json: bool) -> anyhow::Result<()> {
    let mall = tenancy::show(&app.db, &registry(app)?, slug).await?;
    let mut tx = app.db.read(&within(app, &mall)?).await?;
    let programme = tenancy::programme(&mut tx).await?;
    let mut shown = described(&mall);
    if let (Some(shown), Some(programme)) = (shown.as_object_mut(), &programme) {
        shown.insert("programme_version".to_owned(), json!(programme.version));
        shown.insert("programme".to_owned(), programme.body.clone());
    }
    if json {
        return print(&shown);
    }
    let languages: Vec<&str> = mall
        .languages
        .iter()
        .map(|language| language.tag())
        .collect();
    let version = programme.map_or_else(|| "none".to_owned(), |found| found.version.to_string());
    let mut out = io::stdout().lock();
    for (what, value) in [
        ("id", mall.id.to_string()),
        ("slug", mall.slug.as_str().to_owned()),
        ("name", mall.names.get(Language::En).to_owned()),
        ("status", mall.status.as_str().to_owned()),
        ("time zone", mall.zone.to_string()),
        ("currency", mall.currency.code().to_owned()),
        ("languages", languages.join(", ")),
        ("hosts", mall.hosts.join(", ")),
        ("programme", format!("version {version}")),
    ] {
        writeln!(out, "{what:<10} {value}")?;
    }
    Ok(())
}

fn say_applied(applied: &Applied, json: bool) -> anyhow::Result<()> {
    let counts = applied.merchants;
    if json {
        return print(&json!({
            "tenant": described(&applied.tenant),
            "created": applied.created,
            "programme": {
                "version": applied.programme.version,
                "changed": applied.programme.changed,
            },
            "merchants": {
                "created": counts.merchants_created,
                "changed": counts.merchants_changed,
            },
            "stores": { "created": counts.stores_created, "changed": counts.stores_changed },
        }));
    }
    let slug = applied.tenant.slug.as_str();
    let made = if applied.created { "made" } else { "known" };
    let new = if applied.programme.changed {
        "new"
    } else {
        "unchanged"
    };
    writeln!(
        io::stdout(),
        "{slug}: {made}; programme version {version} ({new}); \
         merchants {} new, {} changed; stores {} new, {} changed",
        counts.merchants_created,
        counts.merchants_changed,
        counts.stores_created,
        counts.stores_changed,
        version = applied.programme.version,
    )?;
    Ok(())
}

fn say_status(
    done: Result<(), TenancyError>,
    slug: &Slug,
    status: &str,
    json: bool,
) -> anyhow::Result<()> {
    done?;
    let slug = slug.as_str();
    if json {
        return print(&json!({ "slug": slug, "status": status }));
    }
    writeln!(io::stdout(), "{slug}: {status}")?;
    Ok(())
}

fn described(mall: &Tenant) -> Value {
    let languages: Vec<&str> = mall
        .languages
        .iter()
        .map(|language| language.tag())
        .collect();
    json!({
        "object": "tenant",
        "id": mall.id.to_string(),
        "slug": mall.slug.as_str(),
        "names": names_to_json(&mall.names),
        "status": mall.status.as_str(),
        "time_zone": mall.zone.to_string(),
        "currency": mall.currency.code(),
        "calling_code": mall.calling_code,
        "languages": languages,
        "hosts": mall.hosts,
    })
}

fn print(value: &Value) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

//! `rotunda tenant`: malls come to be, change with their manifests, close and open again.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Subcommand;
use serde_json::{Value, json};

use super::{Exit, Failure, Output};
use crate::{
    app::{App, Mall},
    authz::{
        action::{ApplyManifest, ManageTenants},
        actor::Principal,
        grant::Grant,
    },
    db::{
        tenants::{Schema, Tenant, names_to_json},
        tx::Tx,
    },
    kernel::text::{Language, Slug},
    merchants::{self, Alliance, Listing, Upserted},
    redemption::{self, GoodsUpserted},
    tenancy::{self, Adopted, GoodListing, Manifest, MerchantListing, Roles, TenancyError},
};

/// Malls.
#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
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
    /// Its catalogue.
    pub goods: GoodsUpserted,
}

/// Runs one command.
pub(super) async fn run(app: &App, command: TenantCommand, output: Output) -> Result<(), Failure> {
    app.db.prepare().await?;
    let done = match command {
        TenantCommand::Apply { path } => match apply(app, &path).await {
            Ok(applied) => return say_applied(&applied, output),
            Err(error) => Err(error),
        },
        TenantCommand::List => return list(app, output).await,
        TenantCommand::Show { slug } => show(app, &slug).await,
        TenantCommand::Suspend { slug } => {
            let done = tenancy::suspend(&app.db, &registry(app)?, &slug).await;
            done.map(|()| status(&slug, "suspended"))
                .map_err(anyhow::Error::from)
        }
        TenantCommand::Resume { slug } => {
            let done = tenancy::resume(&app.db, &registry(app)?, &slug).await;
            done.map(|()| status(&slug, "active"))
                .map_err(anyhow::Error::from)
        }
    };
    match done {
        Ok((json, words)) => output.data(&json, || words),
        Err(error) => match error.downcast_ref::<TenancyError>() {
            Some(unknown @ TenancyError::UnknownTenant(_)) => {
                Err(Failure::new(Exit::NotFound, unknown.to_string()))
            }
            _ => Err(error.into()),
        },
    }
}

/// Applies the manifest at `path`.
///
/// # Errors
/// What is wrong with the manifest, with its place; the database's errors.
pub async fn apply(app: &App, path: &Path) -> anyhow::Result<Applied> {
    apply_manifest(app, &Manifest::read(path)?).await
}

/// Applies a manifest. Everything is checked before anything is written; the programme, the
/// merchants and the goods change together or not at all.
///
/// # Errors
/// What is wrong with the manifest, with its place; the database's errors.
pub async fn apply_manifest(app: &App, manifest: &Manifest) -> anyhow::Result<Applied> {
    Mall::check(&manifest.programme, manifest.registration.currency)
        .map_err(|message| anyhow!(manifest.locate(&message)))?;
    let listings: Vec<Listing> = manifest.merchants.iter().map(listing).collect();

    let opened = tenancy::open(&app.db, &registry(app)?, &manifest.registration).await?;
    let grant = within(app, &opened.tenant)?;
    let mut tx = app.db.write(&grant).await?;
    let programme = tenancy::adopt(&mut tx, &grant, &manifest.programme).await?;
    let merchants = merchants::upsert(&mut tx, &grant, &listings).await?;
    let goods = stock(&mut tx, &grant, &manifest.goods).await?;
    tx.commit().await?;
    Ok(Applied {
        tenant: opened.tenant,
        created: opened.created,
        programme,
        merchants,
        goods,
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

/// Brings the catalogue to what the manifest lists; the merchants are there already.
async fn stock(
    tx: &mut Tx,
    grant: &Grant<ApplyManifest>,
    goods: &[GoodListing],
) -> anyhow::Result<GoodsUpserted> {
    let listings: anyhow::Result<Vec<redemption::GoodListing>> = goods
        .iter()
        .map(|good| {
            Ok(redemption::GoodListing {
                code: good.code.clone(),
                names: good.names.clone(),
                kind: good.kind.as_str().parse()?,
                points: good.points.get(),
                stock: good.stock,
                per_member_day: good.per_member_day,
                per_member_month: good.per_member_month,
                offered_by: good.offered_by.clone(),
            })
        })
        .collect();
    Ok(redemption::upsert_goods(tx, grant, &listings?).await?)
}

async fn list(app: &App, output: Output) -> Result<(), Failure> {
    let malls = tenancy::list(&app.db, &registry(app)?)
        .await
        .map_err(Failure::other)?;
    let data: Vec<Value> = malls.iter().map(described).collect();
    let line = |mall: &Tenant| {
        let (slug, status) = (mall.slug.as_str(), mall.status.as_str());
        format!("{slug:<20} {status:<10} {}", mall.names.get(Language::En))
    };
    output.data(&json!({ "object": "list", "data": data }), || {
        malls.iter().map(line).collect::<Vec<_>>().join("\n")
    })
}

async fn show(app: &App, slug: &Slug) -> anyhow::Result<(Value, String)> {
    let mall = tenancy::show(&app.db, &registry(app)?, slug).await?;
    let mut tx = app.db.read(&within(app, &mall)?).await?;
    let programme = tenancy::programme(&mut tx).await?;
    let mut shown = described(&mall);
    if let (Some(shown), Some(programme)) = (shown.as_object_mut(), &programme) {
        shown.insert("programme_version".to_owned(), json!(programme.version));
        shown.insert("programme".to_owned(), programme.body.clone());
    }
    let languages: Vec<&str> = mall
        .languages
        .iter()
        .map(|language| language.tag())
        .collect();
    let version = programme.map_or_else(|| "none".to_owned(), |found| found.version.to_string());
    let words = [
        ("id", mall.id.to_string()),
        ("slug", mall.slug.as_str().to_owned()),
        ("name", mall.names.get(Language::En).to_owned()),
        ("status", mall.status.as_str().to_owned()),
        ("time zone", mall.zone.to_string()),
        ("currency", mall.currency.code().to_owned()),
        ("languages", languages.join(", ")),
        ("hosts", mall.hosts.join(", ")),
        ("programme", format!("version {version}")),
    ]
    .map(|(what, value)| format!("{what:<10} {value}"));
    Ok((shown, words.join("\n")))
}

fn say_applied(applied: &Applied, output: Output) -> Result<(), Failure> {
    let counts = applied.merchants;
    let json = json!({
        "tenant": described(&applied.tenant),
        "created": applied.created,
        "programme": {
            "version": applied.programme.version,
            "changed": applied.programme.changed,
        },
        "merchants": { "created": counts.merchants_created, "changed": counts.merchants_changed },
        "stores": { "created": counts.stores_created, "changed": counts.stores_changed },
        "goods": { "created": applied.goods.created, "changed": applied.goods.changed },
    });
    output.data(&json, || {
        format!(
            "{}: {}; programme version {} ({}); merchants {} new, {} changed; \
             stores {} new, {} changed; goods {} new, {} changed",
            applied.tenant.slug.as_str(),
            if applied.created { "made" } else { "known" },
            applied.programme.version,
            if applied.programme.changed {
                "new"
            } else {
                "unchanged"
            },
            counts.merchants_created,
            counts.merchants_changed,
            counts.stores_created,
            counts.stores_changed,
            applied.goods.created,
            applied.goods.changed,
        )
    })
}

fn status(slug: &Slug, status: &str) -> (Value, String) {
    let slug = slug.as_str();
    (
        json!({ "slug": slug, "status": status }),
        format!("{slug}: {status}"),
    )
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
        "schema": Schema::of(mall.id).to_string(),
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

//! `rotunda tenant`: malls come to be, change with their manifests, close and open again.

pub(super) mod life;
pub(super) mod many;
mod moving;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
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
        tenants::{Schema, Status, Tenant, names_to_json},
        tx::Tx,
    },
    kernel::{
        text::{Code, Email, Language, Slug, StripeAccount},
        time::Unit,
    },
    merchants::{self, Alliance, Listing, Upserted},
    redemption::{self, GoodsUpserted},
    tenancy::{self, Adopted, GoodListing, Manifest, MerchantListing, Roles, TenancyError},
};

/// Malls.
#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// Make malls, or bring them up to their manifests.
    #[command(after_help = "Examples:\n  \
        rotunda tenant apply tenants/demo\n  \
        rotunda tenant apply my-mall.toml --json\n  \
        rotunda tenant apply tenants --parallel 8")]
    Apply {
        /// A folder with tenant.toml, merchants.toml and rewards.toml, one file with it all, or a
        /// folder of many such.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// The database target of the settings on which a new mall comes to be; else the main one.
        #[arg(long, value_name = "NAME")]
        target: Option<String>,
        /// How many malls at the same time.
        #[arg(long, value_name = "N", default_value_t = many::AT_ONCE)]
        parallel: usize,
    },
    /// List every mall.
    List,
    /// Show one mall and its programme.
    Show {
        /// The mall's short name.
        slug: Slug,
    },
    /// Close malls' doors; their books stay.
    Suspend(Which),
    /// Open suspended malls' doors again.
    Resume(Which),
    /// Take a mall to another database; its tills answer 503 meanwhile. Run again, it goes on.
    #[command(after_help = "Examples:\n  \
        rotunda tenant move my-mall --to north\n  \
        rotunda tenant move my-mall --cancel")]
    Move {
        /// The mall's short name.
        slug: Slug,
        /// The database target of the settings, or main.
        #[arg(long, value_name = "NAME", required_unless_present = "cancel")]
        to: Option<Slug>,
        /// Take back a move that was interrupted: the mall opens again where it was.
        #[arg(long, conflicts_with = "to")]
        cancel: bool,
        /// Also to a database that may lose what it has confirmed.
        #[arg(long)]
        dev: bool,
    },
    /// Write a mall as one file while its tills go on: its backup, and what it takes along.
    #[command(after_help = "Examples:\n  \
        rotunda tenant export my-mall --to /backup/my-mall-2026-11-24.tar\n  \
        rotunda tenant export my-mall --to my-mall.tar --json\n\n\
        The file holds personal data; nobody but you can read it. What is in it: tenants/README.md.")]
    Export {
        /// The mall's short name.
        slug: Slug,
        /// Where to; nothing may be there.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Check that every byte of an archive is what was written, and say what is in it.
    #[command(after_help = "Examples:\n  rotunda tenant inspect my-mall.tar\n  \
        rotunda tenant inspect my-mall.tar --json")]
    Inspect {
        /// The archive.
        file: PathBuf,
    },
    /// Make a mall of an archive, here or in another installation; nothing is sent twice.
    #[command(after_help = "Examples:\n  \
        rotunda tenant import my-mall.tar\n  \
        rotunda tenant import my-mall.tar --as my-mall-restored --host restored.example.com")]
    Import(life::Import),
    /// Delete a suspended mall for good, and print the proof of what it was.
    #[command(after_help = "Examples:\n  \
        rotunda tenant suspend my-mall\n  \
        rotunda tenant export my-mall --to my-mall.tar\n  \
        rotunda tenant drop my-mall --confirm my-mall --archive my-mall.tar --proof proof.json")]
    Drop(life::Drop),
}

/// Which malls.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The malls' short names.
    #[arg(value_name = "SLUG", required_unless_present = "all")]
    slugs: Vec<Slug>,
    /// Every mall.
    #[arg(long, conflicts_with = "slugs")]
    all: bool,
    /// How many malls at the same time.
    #[arg(long, value_name = "N", default_value_t = many::AT_ONCE)]
    parallel: usize,
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
    match command {
        TenantCommand::Apply {
            paths,
            target,
            parallel,
        } => {
            let paths = many::manifests(&paths);
            let name = |path: &PathBuf| path.display().to_string();
            let act = async |path: &PathBuf| {
                let manifest = Manifest::read(path).map_err(anyhow::Error::from)?;
                let applied = apply_manifest_on(app, &manifest, target.as_deref()).await?;
                Ok(of_applied(&applied))
            };
            many::each(&paths, parallel, output, name, act).await
        }
        TenantCommand::List => list(app, output).await,
        TenantCommand::Show { slug } => {
            let (json, words) = show(app, &slug).await?;
            output.data(&json, || words)
        }
        TenantCommand::Suspend(which) => set_status(app, which, Status::Suspended, output).await,
        TenantCommand::Resume(which) => set_status(app, which, Status::Active, output).await,
        TenantCommand::Move { slug, to, dev, .. } => {
            let (json, words) = moving::run(app, &slug, to.as_ref(), dev, output).await?;
            output.data(&json, || words)
        }
        TenantCommand::Export { slug, to } => life::export(app, &slug, &to, output).await,
        TenantCommand::Inspect { file } => life::inspect(&file, output).await,
        TenantCommand::Import(args) => life::import(app, args, output).await,
        TenantCommand::Drop(args) => life::drop(app, &args, output).await,
    }
}

/// Suspends or resumes; of all malls those that are not so already.
async fn set_status(
    app: &App,
    which: Which,
    wanted: Status,
    output: Output,
) -> Result<(), Failure> {
    let grant = registry(app)?;
    let slugs = if which.all {
        let malls = tenancy::list(&app.db, &grant).await?;
        let other = |mall: &Tenant| match wanted {
            Status::Suspended => mall.status == Status::Active,
            _ => mall.status == Status::Suspended,
        };
        malls
            .into_iter()
            .filter(other)
            .map(|mall| mall.slug)
            .collect()
    } else {
        which.slugs
    };
    let act = async |slug: &Slug| {
        match wanted {
            Status::Suspended => tenancy::suspend(&app.db, &grant, slug).await?,
            _ => tenancy::resume(&app.db, &grant, slug).await?,
        }
        Ok(status(slug, wanted.as_str()))
    };
    let name = |slug: &Slug| slug.as_str().to_owned();
    many::each(&slugs, which.parallel, output, name, act).await
}

impl From<TenancyError> for Failure {
    fn from(error: TenancyError) -> Self {
        match error {
            TenancyError::UnknownTenant(_) => Self::new(Exit::NotFound, error.to_string()),
            TenancyError::Db(error) => error.into(),
            other => Self::new(Exit::Failed, other.to_string()),
        }
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
    apply_manifest_on(app, manifest, None).await
}

/// As [`apply_manifest`]; a new mall comes to be on that database target.
async fn apply_manifest_on(
    app: &App,
    manifest: &Manifest,
    target: Option<&str>,
) -> anyhow::Result<Applied> {
    let unit = Mall::check(&manifest.programme, manifest.registration.currency)
        .map_err(|message| anyhow!(manifest.locate(&message)))?;
    let listings: Vec<Listing> = manifest.merchants.iter().map(listing).collect();

    may_settle_by(app, &manifest.registration.slug, unit).await?;
    let opened = tenancy::open_on(&app.db, &registry(app)?, &manifest.registration, target).await?;
    let grant = within(app, &opened.tenant)?;
    let mut tx = app.db.write(&grant).await?;
    tenancy::settle_by(&mut tx, &grant, &manifest.registration.slug, unit).await?;
    let programme = tenancy::adopt(&mut tx, &grant, &manifest.programme).await?;
    let merchants = merchants::upsert(&mut tx, &grant, &listings).await?;
    let contacts: Vec<(Code, Email, Language)> = manifest
        .merchants
        .iter()
        .filter_map(|listed| {
            let (email, language) = listed.contact.clone()?;
            Some((listed.code.clone(), email, language))
        })
        .collect();
    merchants::contacts::apply(&mut tx, &grant, &contacts).await?;
    let listed = manifest.merchants.iter();
    let accounts: Vec<(Code, StripeAccount)> = listed
        .filter_map(|listed| Some((listed.code.clone(), listed.stripe_account.clone()?)))
        .collect();
    merchants::accounts::apply(&mut tx, &grant, &accounts).await?;
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

/// Refuses another unit than that of a mall's books before anything is written, the registry
/// included; where somebody posts in this very moment, the transaction that is to come refuses it.
async fn may_settle_by(app: &App, slug: &Slug, unit: Unit) -> anyhow::Result<()> {
    let known = app.db.tenant_of_slug(slug.as_str()).await?;
    let there = |known: &Tenant| {
        !matches!(
            known.status,
            Status::Opening | Status::Arriving | Status::Leaving | Status::Gone
        )
    };
    let Some(mall) = known.filter(there) else {
        return Ok(());
    };
    let grant = within(app, &mall)?;
    let mut tx = app.db.write(&grant).await?;
    Ok(tenancy::settle_by(&mut tx, &grant, slug, unit).await?)
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
    let malls = tenancy::list(&app.db, &registry(app)?).await?;
    let data: Vec<Value> = malls.iter().map(described).collect();
    let line = |mall: &Tenant| {
        let (slug, status) = (mall.slug.as_str(), mall.status.as_str());
        let (target, name) = (&mall.target, mall.names.get(Language::En));
        format!("{slug:<20} {status:<10} {target:<10} {name}")
    };
    output.data(&json!({ "object": "list", "data": data }), || {
        malls.iter().map(line).collect::<Vec<_>>().join("\n")
    })
}

async fn show(app: &App, slug: &Slug) -> Result<(Value, String), Failure> {
    let mall = tenancy::show(&app.db, &registry(app)?, slug).await?;
    let mut tx = app.db.read(&within(app, &mall)?).await?;
    let programme = tenancy::programme(&mut tx).await?;
    let period = tenancy::period(&mut tx).await?;
    let mut shown = described(&mall);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("period".to_owned(), json!(period.as_str()));
    }
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
        ("target", mall.target.clone()),
        ("time zone", mall.zone.to_string()),
        ("currency", mall.currency.code().to_owned()),
        ("period", period.to_string()),
        ("languages", languages.join(", ")),
        ("hosts", mall.hosts.join(", ")),
        ("programme", format!("version {version}")),
    ]
    .map(|(what, value)| format!("{what:<10} {value}"));
    Ok((shown, words.join("\n")))
}

fn of_applied(applied: &Applied) -> (Value, String) {
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
    let words = format!(
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
    );
    (json, words)
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
        "target": mall.target,
        "time_zone": mall.zone.to_string(),
        "currency": mall.currency.code(),
        "calling_code": mall.calling_code,
        "languages": languages,
        "hosts": mall.hosts,
    })
}

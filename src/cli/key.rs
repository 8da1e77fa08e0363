//! `rotunda key`: machines' keys of one mall.

use clap::{Args, Subcommand};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{Exit, Failure, Output};
use crate::{
    app::App,
    authz::{
        action::Action,
        actor::{Principal, Role, Stores},
        grant::Grant,
    },
    identity::{self, Key, NewKey},
    kernel::{
        ids::{ApiKeyId, MerchantId},
        page::{MOST, Slice},
        text::Name,
    },
    merchants,
};

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a key and print it, this once
    #[command(before_help = "Examples:\n  \
        rotunda key create --tenant demo --role machine.erp --label 'till 3'\n  \
        rotunda key create --tenant demo --role operator.owner --label 'head office' --json\n")]
    Create(Create),
    /// List the keys, the newest first
    #[command(before_help = "Examples:\n  rotunda key list --tenant demo\n  \
        rotunda key list --tenant demo --json\n")]
    List {
        /// The mall's short name
        #[arg(long, value_name = "SLUG")]
        tenant: String,
    },
    /// End a key from the next second on
    #[command(before_help = "Examples:\n  \
        rotunda key revoke --tenant demo key_01h2xcejqtf2nbrexx3vqjhp41\n  \
        rotunda key revoke --tenant demo key_01h2xcejqtf2nbrexx3vqjhp41 --json\n")]
    Revoke {
        /// The mall's short name
        #[arg(long, value_name = "SLUG")]
        tenant: String,
        /// The key's id
        key: ApiKeyId,
    },
}

/// The key to be made.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// The mall's short name
    #[arg(long, value_name = "SLUG")]
    tenant: String,
    /// The role that it acts in, such as machine.erp or merchant.cashier
    #[arg(long)]
    role: String,
    /// What it is for, in your words
    #[arg(long)]
    label: Name,
    /// The merchant that a merchant's key is for
    #[arg(long, value_name = "ID")]
    merchant: Option<MerchantId>,
}

/// Does one of them.
pub(super) async fn run(app: &App, command: Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Create(create) => make(app, create, output).await,
        Command::List { tenant } => list(app, &tenant, output).await,
        Command::Revoke { tenant, key } => {
            let grant = grant(app, &tenant).await?;
            let mut tx = app.db.write(&grant).await?;
            let key = identity::revoke(&mut tx, &grant, key).await?;
            tx.commit().await?;
            output.data(&shown(&key), || {
                format!("{} opens nothing any more.", key.id)
            })
        }
    }
}

async fn make(app: &App, create: Create, output: Output) -> Result<(), Failure> {
    let role = Role::new(create.role);
    let grant = grant(app, &create.tenant).await?;
    let new = NewKey::new(
        &app.policy,
        grant.own_roles(),
        create.label,
        role,
        create.merchant,
        Stores::All,
    )?;
    let mut tx = app.db.write(&grant).await?;
    if let Some(merchant) = new.merchant()
        && merchants::codes(&mut tx, &[merchant]).await?.is_empty()
    {
        let message = format!(
            "there is no merchant {merchant} in the mall {}",
            create.tenant
        );
        return Err(Failure::new(Exit::NotFound, message));
    }
    let (key, secret) = identity::create(&mut tx, &app.policy, &grant, new).await?;
    tx.commit().await?;
    let secret = secret.expose_secret();
    let mut json = shown(&key);
    if let Some(members) = json.as_object_mut() {
        members.insert("secret".to_owned(), secret.into());
    }
    output.say("Keep this key now: it is told this once.");
    output.data(&json, || secret.to_owned())
}

async fn list(app: &App, tenant: &str, output: Output) -> Result<(), Failure> {
    let grant = grant(app, tenant).await?;
    let mut slice = Slice {
        limit: MOST,
        after: None,
    };
    loop {
        let mut tx = app.db.read(&grant).await?;
        let page = identity::list(&mut tx, &grant, &slice).await?;
        for key in &page.items {
            output.data(&shown(key), || {
                let ended = key.revoked_at.map_or("", |_| "  (revoked)");
                let (role, label) = (key.role.as_str(), &key.label);
                format!("{}  …{}  {role:24}  {label}{ended}", key.id, key.last_four)
            })?;
        }
        match page.next {
            Some(next) => slice.after = Some(next),
            None => return Ok(()),
        }
    }
}

/// The vendor's right to do `A` in the mall of that short name.
pub(super) async fn grant<A: Action>(app: &App, slug: &str) -> Result<Grant<A>, Failure> {
    let Some(tenant) = app.db.tenant_of_slug(slug).await? else {
        let message = format!("there is no mall {slug:?}; `rotunda tenant list` shows them");
        return Err(Failure::new(Exit::NotFound, message));
    };
    let anonymous = app.policy.allow(&Principal::anonymous(tenant.id))?;
    let revision = app.revision(tenant.id, true).await;
    let revision = revision.map_err(Failure::other)?;
    let own = app.own_roles(&anonymous, tenant.id, revision).await?;
    let vendor = Principal::platform(Some(tenant.id)).with(own);
    Ok(app.policy.allow(&vendor)?)
}

fn shown(key: &Key) -> Value {
    json!({
        "object": "key",
        "id": key.id.to_string(),
        "label": key.label,
        "role": key.role.as_str(),
        "merchant_id": key.merchant.map(|id| id.to_string()),
        "last_four": key.last_four,
        "created_at": key.created_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        "revoked_at": key
            .revoked_at
            .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)),
    })
}

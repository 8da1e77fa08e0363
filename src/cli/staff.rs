//! `rotunda staff`: the people who work in one mall.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Exit, Failure, Output, key::grant};
use crate::{
    app::{App, address},
    authz::{
        action,
        actor::{Role, Stores},
    },
    gateway::mail::Mailer,
    identity::{
        holders::{self, Holder},
        staff::{self, NewStaff, Roles, Staff, Tell},
    },
    kernel::{
        ids::{MerchantId, StaffId},
        page::{MOST, Slice},
        text::{Email, Language, Name},
    },
    merchants,
};

/// What can be done with people.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Ask somebody to come, and print the link by which they choose a password, this once
    #[command(before_help = "Examples:\n  \
        rotunda staff invite --tenant demo --email ada@lantern.example --role operator.owner\n  \
        rotunda staff invite --tenant demo --email bo@lantern.example --role merchant.owner \
        --merchant mer_01h2xcejqtf2nbrexx3vqjhp41\n")]
    Invite(Invite),
    /// List the people, the newest first
    #[command(before_help = "Examples:\n  rotunda staff list --tenant demo\n  \
        rotunda staff list --tenant demo --json\n")]
    List {
        /// The mall's short name
        #[arg(long, value_name = "SLUG")]
        tenant: String,
    },
    /// Say who can do something now, by which role and how far
    #[command(before_help = "Examples:\n  \
        rotunda staff who-can purchase record --tenant demo\n  \
        rotunda staff who-can staff manage --tenant demo --json\n")]
    WhoCan {
        /// What is acted on, such as purchase
        object: String,
        /// What is done, such as record
        action: String,
        /// The mall's short name
        #[arg(long, value_name = "SLUG")]
        tenant: String,
    },
    /// End what somebody may do, at once and for good
    #[command(before_help = "Examples:\n  \
        rotunda staff end --tenant demo stf_01h2xcejqtf2nbrexx3vqjhp41\n")]
    End {
        /// The mall's short name
        #[arg(long, value_name = "SLUG")]
        tenant: String,
        /// The person's id
        person: StaffId,
    },
}

/// Somebody to be invited.
#[derive(Debug, Args)]
pub(super) struct Invite {
    /// The mall's short name
    #[arg(long, value_name = "SLUG")]
    tenant: String,
    /// Where the letter goes, and by what they sign in
    #[arg(long)]
    email: Email,
    /// A role that they act in, such as operator.owner; again for further ones
    #[arg(long, required = true)]
    role: Vec<String>,
    /// What they are called; without it, what stands before the @
    #[arg(long)]
    name: Option<Name>,
    /// In which language they are written to: zh-CN, zh-TW or en; without it, the mall's
    #[arg(long)]
    language: Option<Language>,
    /// The merchant that a merchant's role is for
    #[arg(long, value_name = "ID")]
    merchant: Option<MerchantId>,
}

/// Does one of them.
pub(super) async fn run(app: &App, command: Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Invite(invite) => ask(app, invite, output).await,
        Command::List { tenant } => list(app, &tenant, output).await,
        Command::WhoCan {
            object,
            action,
            tenant,
        } => who_can(app, &tenant, (&object, &action), output).await,
        Command::End { tenant, person } => {
            let grant = grant(app, &tenant).await?;
            let mut tx = app.db.write(&grant).await?;
            let ended = staff::end(&mut tx, &app.policy, &grant, person).await?;
            tx.commit().await?;
            output.data(&shown(&ended), || {
                format!("{} opens nothing any more.", ended.id)
            })
        }
    }
}

async fn ask(app: &App, invite: Invite, output: Output) -> Result<(), Failure> {
    let Some(tenant) = app.db.tenant_of_slug(&invite.tenant).await? else {
        let message = format!("there is no mall {:?}", invite.tenant);
        return Err(Failure::new(Exit::NotFound, message));
    };
    let roles: Vec<Role> = invite.role.into_iter().map(Role::new).collect();
    let grant = grant(app, &invite.tenant).await?;
    let (own, all) = (grant.own_roles(), Stores::All);
    let roles = Roles::new(&app.policy, own, roles, invite.merchant, all)?;
    let local = invite.email.as_str().split('@').next().unwrap_or_default();
    let name = match invite.name {
        Some(name) => name,
        None => local.parse().map_err(Failure::other)?,
    };
    let new = NewStaff {
        name,
        language: invite.language.unwrap_or_else(|| tenant.language()),
        email: invite.email,
        roles,
    };
    let mut tx = app.db.write(&grant).await?;
    if let Some(merchant) = new.roles.merchant()
        && merchants::codes(&mut tx, &[merchant]).await?.is_empty()
    {
        let message = format!(
            "there is no merchant {merchant} in the mall {}",
            invite.tenant
        );
        return Err(Failure::new(Exit::NotFound, message));
    }
    let tell = match app.mailer {
        Mailer::Off => Tell::ByInviter,
        Mailer::Smtp(_) => Tell::ByBoth,
    };
    let invited = staff::invite(&mut tx, &app.policy, &grant, new, tell).await?;
    tx.commit().await?;
    app.bell.ring(tenant.id);
    let link = invited.token.map(|token| {
        let (base, listen) = (app.config.base_url.as_deref(), Some(app.config.listen));
        address::link(base, listen, &tenant, address::Page::Invitation, &token)
    });
    let link = link.unwrap_or_default();
    if app.vault.is_none() && invited.staff.is_guarded() {
        output.say(
            "This role needs a second factor, and the settings have no key to keep one under: \
             set secrets.key (ROTUNDA_SECRETS_KEY) before this link is used.",
        );
    }
    output.say("Pass this link on now: it is told this once, opens once, and for seven days.");
    let mut json = shown(&invited.staff);
    if let Some(members) = json.as_object_mut() {
        members.insert("link".to_owned(), link.clone().into());
    }
    output.data(&json, || link)
}

async fn list(app: &App, tenant: &str, output: Output) -> Result<(), Failure> {
    let grant = grant(app, tenant).await?;
    let mut slice = Slice {
        limit: MOST,
        after: None,
    };
    loop {
        let mut tx = app.db.read(&grant).await?;
        let page = staff::list(&mut tx, &grant, None, &slice).await?;
        for person in &page.items {
            output.data(&shown(person), || {
                let (state, roles) = (person.state.as_str(), roles(person).join(", "));
                format!(
                    "{}  {state:8}  {roles:24}  {}",
                    person.id,
                    person.email.as_str()
                )
            })?;
        }
        match page.next {
            Some(next) => slice.after = Some(next),
            None => return Ok(()),
        }
    }
}

async fn who_can(
    app: &App,
    tenant: &str,
    (object, act): (&str, &str),
    output: Output,
) -> Result<(), Failure> {
    let Some(right) = action::find(object, act) else {
        let message = format!("nothing is called {object} {act}; policies/roles.csv lists all");
        return Err(Failure::new(Exit::NotFound, message));
    };
    let grant = grant(app, tenant).await?;
    let mut slice = Slice {
        limit: MOST,
        after: None,
    };
    loop {
        let mut tx = app.db.read(&grant).await?;
        let page = holders::who_can(&mut tx, &app.policy, &grant, right, &slice).await?;
        for holder in &page.items {
            output.data(&held(holder), || {
                let roles = holder.roles.join(", ");
                let reach = holder
                    .merchant
                    .map_or_else(|| "mall".to_owned(), |id| id.to_string());
                let stores = holder.stores.named().map_or(0, <[_]>::len);
                let stores = match stores {
                    0 => String::new(),
                    some => format!(" ({some} stores)"),
                };
                format!(
                    "{}  {roles:24}  {reach}{stores}  {}",
                    holder.who, holder.name
                )
            })?;
        }
        match page.next {
            Some(next) => slice.after = Some(next),
            None => return Ok(()),
        }
    }
}

fn held(holder: &Holder) -> Value {
    let stores = holder.stores.named();
    json!({
        "object": "holder",
        "id": holder.who.to_string(),
        "name": holder.name,
        "roles": holder.roles,
        "merchant_id": holder.merchant.map(|id| id.to_string()),
        "store_ids": stores.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>()),
        "needs_second_factor": holder.needs_second_factor,
    })
}

fn roles(person: &Staff) -> Vec<&str> {
    person.roles.iter().map(Role::as_str).collect()
}

fn shown(person: &Staff) -> Value {
    json!({
        "object": "person",
        "id": person.id.to_string(),
        "email": person.email.as_str(),
        "name": person.name,
        "state": person.state.as_str(),
        "roles": roles(person),
        "merchant_id": person.merchant.map(|id| id.to_string()),
        "second_factor": person.second_factor_since.is_some(),
    })
}

//! `rotunda merchant`: companies that want to join one mall.

use chrono::SecondsFormat;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Exit, Failure, Output, key::grant};
use crate::{
    app::{App, address, joining},
    authz::action::{DecideApplications, ReadApplications},
    kernel::{
        ids::ApplicationId,
        page::{MOST, Slice},
        text::Code,
    },
    merchants::onboarding::{self, Application, Field, State, Whole, files},
};

/// What can be done about merchants.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List, show, approve and refuse applications, and ask for more
    #[command(subcommand)]
    Applications(Applications),
}

/// What can be done about applications.
#[derive(Debug, Subcommand)]
pub(super) enum Applications {
    /// List the applications, the newest first
    #[command(
        before_help = "Examples:\n  rotunda merchant applications list --tenant demo\n  \
        rotunda merchant applications list --tenant demo --status submitted --json\n"
    )]
    List {
        /// The mall's short name
        #[arg(long, value_name = "SLUG")]
        tenant: String,
        /// Of one state only, such as submitted
        #[arg(long, value_name = "STATE")]
        status: Option<String>,
    },
    /// Show one application with what it lacks and its timeline
    Show(One),
    /// Make an application a merchant with its stores, and invite its owner
    Approve {
        #[command(flatten)]
        one: One,
        /// What lists and files call the merchant; without it, one is made
        #[arg(long)]
        code: Option<Code>,
    },
    /// Refuse an application
    Reject {
        #[command(flatten)]
        one: One,
        /// What whoever applied is told
        #[arg(long)]
        reason: String,
    },
    /// Ask for more about a part of an application
    Ask {
        #[command(flatten)]
        one: One,
        /// About which part, such as goods
        #[arg(long)]
        field: String,
        /// What is to be known
        #[arg(long)]
        note: String,
    },
}

/// Which application.
#[derive(Debug, Args)]
pub(super) struct One {
    /// The mall's short name
    #[arg(long, value_name = "SLUG")]
    tenant: String,
    /// The application's id
    application: ApplicationId,
}

/// Does one of them.
pub(super) async fn run(app: &App, command: Command, output: Output) -> Result<(), Failure> {
    let Command::Applications(command) = command;
    match command {
        Applications::List { tenant, status } => list(app, &tenant, status, output).await,
        Applications::Show(one) => {
            let grant = grant::<ReadApplications>(app, &one.tenant).await?;
            let vault = app.vault.as_ref();
            let mut tx = app.db.read(&grant).await?;
            let whole = onboarding::get(&mut tx, &grant, vault, one.application).await;
            let whole = whole?;
            output.data(&described(&whole), || lines(&whole))
        }
        Applications::Approve { one, code } => approve(app, one, code, output).await,
        Applications::Reject { one, reason } => {
            let grant = grant::<DecideApplications>(app, &one.tenant).await?;
            let vault = app.vault.as_ref();
            let mut tx = app.db.write(&grant).await?;
            let done = onboarding::reject(&mut tx, &grant, vault, one.application, &reason).await;
            let whole = done?;
            tx.commit().await?;
            output.data(&described(&whole), || lines(&whole))
        }
        Applications::Ask { one, field, note } => {
            let known = Field::ALL.map(Field::as_str).join(", ");
            let unknown = || Failure::new(Exit::Usage, format!("a part is one of {known}"));
            let asked = [(Field::parse(&field).ok_or_else(unknown)?, note)];
            let grant = grant::<DecideApplications>(app, &one.tenant).await?;
            let vault = app.vault.as_ref();
            let mut tx = app.db.write(&grant).await?;
            let done = onboarding::ask(&mut tx, &grant, vault, one.application, &asked).await;
            let whole = done?;
            tx.commit().await?;
            output.data(&described(&whole), || lines(&whole))
        }
    }
}

async fn list(
    app: &App,
    tenant: &str,
    status: Option<String>,
    output: Output,
) -> Result<(), Failure> {
    let grant = grant::<ReadApplications>(app, tenant).await?;
    let state = status.map(|status| {
        let known = State::ALL.map(State::as_str).join(", ");
        let found = State::ALL.into_iter().find(|one| one.as_str() == status);
        found.ok_or_else(|| Failure::new(Exit::Usage, format!("a state is one of {known}")))
    });
    let state = state.transpose()?;
    let mut slice = Slice {
        limit: MOST,
        after: None,
    };
    loop {
        let mut tx = app.db.read(&grant).await?;
        let page = onboarding::list(&mut tx, &grant, state, &slice).await;
        let page = page?;
        for one in &page.items {
            output.data(&shown(one), || line(one))?;
        }
        match page.next {
            Some(next) => slice.after = Some(next),
            None => return Ok(()),
        }
    }
}

async fn approve(app: &App, one: One, code: Option<Code>, output: Output) -> Result<(), Failure> {
    let grant = grant::<DecideApplications>(app, &one.tenant).await?;
    let tenant = app.db.tenant_of_slug(&one.tenant).await?;
    let Some(tenant) = tenant else {
        let message = format!("there is no mall {:?}", one.tenant);
        return Err(Failure::new(Exit::NotFound, message));
    };
    let mut tx = app.db.write(&grant).await?;
    let joined = joining::approve(app, &mut tx, &tenant, &grant, one.application, code).await;
    let joined = joined?;
    tx.commit().await?;
    app.bell.ring(tenant.id);
    let link = joined.invitation.map(|token| {
        let (base, listen) = (app.config.base_url.as_deref(), Some(app.config.listen));
        address::link(base, listen, &tenant, address::Page::Invitation, &token)
    });
    let mut json = described(&joined.whole);
    if let (Some(members), Some(link)) = (json.as_object_mut(), &link) {
        output.say("Pass this link on now: it is told this once, opens once, and for seven days.");
        members.insert("link".to_owned(), link.clone().into());
    }
    let lines = lines(&joined.whole);
    output.data(&json, || {
        link.map_or(lines.clone(), |link| format!("{lines}\n{link}"))
    })
}

fn line(application: &Application) -> String {
    let (state, company) = (application.state.as_str(), &application.form.company);
    format!("{}  {state:17}  {company}", application.id)
}

/// What one decides by: what was said, what is missing, and what happened.
fn lines(whole: &Whole) -> String {
    let (application, form) = (&whole.application, &whole.application.form);
    let mut lines = vec![line(application)];
    let contacts = form.contacts.iter().map(|one| {
        let parts = [&one.name, &one.role, &one.email, &one.phone];
        joined(parts.into_iter(), ", ")
    });
    let hidden = |masked: &Option<String>| masked.clone().unwrap_or_default();
    let payout = [
        form.bank_holder.clone(),
        form.bank_name.clone(),
        hidden(&whole.bank_account),
        form.stripe_account.clone(),
    ];
    let registered = [&form.country, &form.licence_number];
    let files = whole.papers.iter().map(|paper| paper.name.as_str());
    for (part, said) in [
        ("email", application.email.as_str().to_owned()),
        (
            Field::LicenceNumber.as_str(),
            joined(registered.into_iter(), " "),
        ),
        (Field::Representative.as_str(), form.representative.clone()),
        (
            Field::RepresentativeId.as_str(),
            hidden(&whole.representative_id),
        ),
        (
            Field::Contacts.as_str(),
            contacts.collect::<Vec<_>>().join("; "),
        ),
        (Field::Categories.as_str(), form.categories.join(", ")),
        (Field::Payout.as_str(), joined(payout.iter(), ", ")),
        (Field::Goods.as_str(), form.goods.replace('\n', " ")),
        (Field::Alliance.as_str(), form.alliance.clone()),
        (Field::Stores.as_str(), form.stores.join(", ")),
        ("files", files.collect::<Vec<_>>().join(", ")),
    ] {
        if !said.is_empty() {
            lines.push(format!("  {part:18}{said}"));
        }
    }
    for (field, lack) in &whole.lacks {
        lines.push(format!("  {} is {}", field.as_str(), lack.as_str()));
    }
    for event in &whole.events {
        let at = event.happened_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let reason = event.reason.as_deref().unwrap_or_default();
        let (kind, actor) = (event.kind.as_str(), &event.actor);
        let event = format!("  {at}  {kind:17}  {actor}  {reason}");
        lines.push(event.trim_end().to_owned());
    }
    lines.join("\n")
}

fn joined<'a>(parts: impl Iterator<Item = &'a String>, by: &str) -> String {
    let given: Vec<&str> = parts
        .map(String::as_str)
        .filter(|one| !one.is_empty())
        .collect();
    given.join(by)
}

fn shown(application: &Application) -> Value {
    json!({
        "object": "application",
        "id": application.id.to_string(),
        "state": application.state.as_str(),
        "email": application.email.as_str(),
        "company": application.form.company,
        "merchant_id": application.merchant.map(|id| id.to_string()),
        "submitted_at": application.submitted_at.map(|at| at.to_rfc3339()),
    })
}

fn described(whole: &Whole) -> Value {
    let mut json = shown(&whole.application);
    let lacks = whole
        .lacks
        .iter()
        .map(|(field, lack)| (field.as_str(), lack.as_str()));
    let lacks: serde_json::Map<String, Value> = lacks
        .map(|(field, lack)| (field.to_owned(), lack.into()))
        .collect();
    let event = |one: &onboarding::Event| {
        json!({
            "kind": one.kind.as_str(), "actor": one.actor, "reason": one.reason,
            "happened_at": one.happened_at.to_rfc3339(),
        })
    };
    if let Some(members) = json.as_object_mut() {
        let form = serde_json::to_value(&whole.application.form).unwrap_or_default();
        members.insert("form".to_owned(), form);
        let hidden = [
            ("representative_id", &whole.representative_id),
            ("bank_account", &whole.bank_account),
        ];
        for (name, masked) in hidden {
            members.insert(name.to_owned(), json!(masked));
        }
        let file = |one: &files::Paper| json!({"id": one.id.to_string(), "kind": one.kind.as_str(), "name": one.name});
        let papers: Vec<Value> = whole.papers.iter().map(file).collect();
        members.insert("files".to_owned(), papers.into());
        members.insert("lacks".to_owned(), lacks.into());
        let events: Vec<Value> = whole.events.iter().map(event).collect();
        members.insert("events".to_owned(), events.into());
    }
    json
}

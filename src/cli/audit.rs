//! `rotunda audit`: who did what, and whether that is still what was written.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Exit, Failure, Output, table::table};
use crate::{
    app::App,
    audit::{self, Act, AuditError, Filter, Head, Listed},
    authz::{
        action::{ExportAudit, ReadAudit},
        actor::Principal,
    },
    kernel::{page::Slice, text::Slug, time::Instant},
};

/// Read, prove and take away the audit.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List who did what, the newest first.
    #[command(after_help = "Examples:\n  rotunda audit list --tenant demo\n  \
        rotunda audit list --tenant demo --act staff.roles-changed --json")]
    List(ListArgs),
    /// Prove that nothing was changed, and tell the head of the chain to be kept elsewhere.
    #[command(after_help = "Examples:\n  rotunda audit verify --tenant demo\n  \
        rotunda audit verify --tenant demo --head 41:9f86d081884c7d65…")]
    Verify(VerifyArgs),
    /// Print every sealed entry as a line of JSON, the oldest first.
    #[command(
        after_help = "Examples:\n  rotunda audit export --tenant demo > audit.ndjson\n  \
        rotunda audit export --tenant demo --after 41 >> audit.ndjson"
    )]
    Export(ExportArgs),
}

/// Which entries.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The mall's short name.
    #[arg(long)]
    pub tenant: Slug,
    /// Only this act, such as `key.made`.
    #[arg(long, value_parser = act)]
    pub act: Option<Act>,
    /// Only what they did: an id, or anonymous, platform, system.
    #[arg(long)]
    pub actor: Option<String>,
    /// Only what was done to it: an id.
    #[arg(long)]
    pub object: Option<String>,
    /// From then on, such as 2026-11-22T10:00:00Z.
    #[arg(long)]
    pub from: Option<Instant>,
    /// Before then.
    #[arg(long)]
    pub until: Option<Instant>,
    /// At most so many, 1 to 100.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=100))]
    pub limit: i64,
}

/// Which chain.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The mall's short name.
    #[arg(long)]
    pub tenant: Slug,
    /// A head that was told before: whether the chain still goes through it.
    #[arg(long)]
    pub head: Option<Head>,
}

/// From where on.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The mall's short name.
    #[arg(long)]
    pub tenant: Slug,
    /// The last number that is known already.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    pub after: i64,
}

fn act(word: &str) -> Result<Act, String> {
    Act::parse(word).ok_or_else(|| {
        let known: Vec<&str> = Act::ALL.iter().map(|act| act.as_str()).collect();
        format!("there is no such act; there are {}", known.join(", "))
    })
}

/// Runs the command. `verify` fails where the chain does not hold.
pub(super) async fn run(app: &App, command: AuditCommand, output: Output) -> Result<(), Failure> {
    app.db.prepare().await?;
    match command {
        AuditCommand::List(args) => list(app, args, output).await,
        AuditCommand::Verify(args) => verify(app, args, output).await,
        AuditCommand::Export(args) => export(app, args, output).await,
    }
}

async fn list(app: &App, args: ListArgs, output: Output) -> Result<(), Failure> {
    let mall = app.mall_of(args.tenant.as_str()).await?;
    let grant = app
        .policy
        .allow::<ReadAudit>(&Principal::platform(Some(mall.tenant.id)))?;
    let filter = Filter {
        act: args.act,
        actor: args.actor,
        object: args.object,
        from: args.from,
        until: args.until,
    };
    let slice = Slice {
        limit: args.limit,
        after: None,
    };
    let mut tx = app.db.read(&grant).await?;
    let page = audit::list(&mut tx, &grant, &filter, &slice).await?;
    let entries: Vec<_> = page.items.iter().map(document).collect();
    let more = page.next.is_some();
    output.data(
        &json!({"object": "list", "data": entries, "has_more": more}),
        || {
            let rows: Vec<_> = page.items.iter().map(row).collect();
            table(["at", "actor", "act", "object"], &rows)
        },
    )
}

fn document(Listed { entry, number }: &Listed) -> serde_json::Value {
    json!({
        "entry_id": entry.id.to_string(),
        "number": number,
        "at": entry.at.to_rfc3339(),
        "actor": entry.actor,
        "act": entry.act,
        "object": entry.object,
        "right": format!("{} {}", entry.right.0, entry.right.1),
        "before": audit::value(&entry.before),
        "after": audit::value(&entry.after),
        "reason": entry.reason,
        "door": entry.door,
        "address": entry.address,
        "agent": entry.agent,
        "request": entry.request,
    })
}

fn row(Listed { entry, .. }: &Listed) -> [String; 4] {
    [
        entry.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        entry.actor.clone(),
        entry.act.clone(),
        entry.object.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

async fn verify(app: &App, args: VerifyArgs, output: Output) -> Result<(), Failure> {
    let mall = app.mall_of(args.tenant.as_str()).await?;
    let grant = app
        .policy
        .allow::<ReadAudit>(&Principal::platform(Some(mall.tenant.id)))?;
    let mut tx = app.db.read(&grant).await?;
    let verified = audit::verify(&mut tx, args.head.as_ref()).await?;
    let head = verified.head.as_ref().map(ToString::to_string);
    let broken = verified.broken.as_ref().map(|broken| {
        json!({
            "finding": broken.as_str(),
            "number": broken.number(),
            "entry_id": broken.entry().map(|entry| entry.to_string()),
        })
    });
    let document = json!({
        "tenant": args.tenant.as_str(),
        "holds": verified.broken.is_none(),
        "sealed": verified.sealed,
        "waiting": verified.waiting,
        "head": head,
        "broken": broken,
    });
    output.data(&document, || {
        let head = head.as_deref().unwrap_or("none yet");
        format!(
            "{} seals hold, {} entries wait for theirs. The head: {head}",
            verified.sealed, verified.waiting
        )
    })?;
    match &verified.broken {
        None => Ok(()),
        Some(broken) => {
            let which = broken.entry().map(|entry| format!(", {entry}"));
            let why = format!(
                "the chain does not hold: {} at {}{}",
                broken.as_str(),
                broken.number(),
                which.unwrap_or_default()
            );
            Err(Failure::new(Exit::Failed, why))
        }
    }
}

async fn export(app: &App, args: ExportArgs, output: Output) -> Result<(), Failure> {
    let mall = app.mall_of(args.tenant.as_str()).await?;
    let grant = app
        .policy
        .allow::<ExportAudit>(&Principal::platform(Some(mall.tenant.id)))?;
    let mut after = args.after;
    loop {
        let mut tx = app.db.write(&grant).await?;
        let exported = audit::export(&mut tx, &grant, after).await?;
        tx.commit().await?;
        let Some(last) = exported.last else {
            return Ok(());
        };
        output.text(&exported.text)?;
        after = last;
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Db(error) => error.into(),
            AuditError::Cursor(_) => Self::new(Exit::Usage, error.to_string()),
        }
    }
}

//! Sends what is to be said: reads it, lets the database go, sends, and writes down what came of it.

use tracing::{info, warn};

use super::Tools;
use crate::{
    app::address,
    authz::action::{ReadStatements, SendMessages},
    db::tenants::Tenant,
    gateway::mail::{Enclosure, Letter, MailError},
    kernel::{
        ids::{StatementId, TenantId},
        money::decimal,
    },
    merchants,
    notify::{
        self, Kind, Message, SendMessage, Tried,
        words::{OfStatement, statement_issued},
    },
    queue::worker::Outcome,
    settlement::{Document, Face, SettlementError, document},
};

/// Why no letter was written, or that the database is away.
enum Unwritten {
    Never(&'static str),
    Again(Outcome),
}

impl<E: Into<Outcome>> From<E> for Unwritten {
    fn from(error: E) -> Self {
        Self::Again(error.into())
    }
}

/// Tries a message once.
pub(super) async fn send(tools: Tools, tenant: TenantId, job: SendMessage) -> Result<(), Outcome> {
    let grant = tools.grant::<SendMessages>(tenant)?;
    let mut tx = tools.db.write(&grant).await?;
    let Some(message) = notify::begin(&mut tx, &grant, &job).await? else {
        return Ok(());
    };
    tx.commit().await?;
    let sent = match letter(&tools, tenant, &message).await {
        Ok(letter) => tools.mailer.send(&letter).await,
        Err(Unwritten::Never(why)) => Err(MailError::Never(why.to_owned())),
        Err(Unwritten::Again(outcome)) => return Err(outcome),
    };
    let tried = Tried::of(sent, message.attempts);
    let mut tx = tools.db.write(&grant).await?;
    notify::record(&mut tx, &grant, &message, &tried).await?;
    tx.commit().await?;
    let id = message.id;
    match tried {
        Tried::Sent => {
            info!(tenant.id = %tenant, message.id = %id, "Sent {id} of {tenant}");
            Ok(())
        }
        Tried::Later(why) => Err(Outcome::Retry(why)),
        Tried::Failed(why) => {
            warn!(tenant.id = %tenant, message.id = %id, problem = %why, "Gave up {id} of {tenant}");
            Err(Outcome::Fail(why))
        }
    }
}

/// The letter of a message, as of now.
async fn letter(tools: &Tools, tenant: TenantId, message: &Message) -> Result<Letter, Unwritten> {
    let Kind::StatementIssued = message.kind;
    let mall = tools.mall(tenant).await.map_err(Unwritten::Again)?.tenant;
    let grant = tools
        .grant::<ReadStatements>(tenant)
        .map_err(Unwritten::Again)?;
    let mut tx = tools.db.read(&grant).await?;
    let contact = merchants::contacts::contact_of(&mut tx, message.merchant).await?;
    let contact = contact.ok_or(Unwritten::Never("no-contact"))?;
    let id = StatementId::from_uuid(message.subject);
    let read = document::of(&mut tx, &grant, id, &mall, contact.language).await;
    let document = read.map_err(|error| match error {
        SettlementError::Db(error) => Unwritten::Again(error.into()),
        _ => Unwritten::Never("no-statement"),
    })?;
    let date = tx.now();
    drop(tx);
    let (subject, text) = words(tools, &mall, &document);
    let printed = tokio::task::spawn_blocking(move || {
        let name = document.file_name(Face::Pdf);
        document.print(Face::Pdf).map(|bytes| (name, bytes))
    });
    let Ok(Ok((name, bytes))) = printed.await else {
        return Err(Unwritten::Never("not-printed"));
    };
    Ok(Letter {
        id: message.id.to_string(),
        to: contact.email,
        subject,
        text,
        enclosure: Some(Enclosure {
            name,
            media: "application/pdf",
            bytes,
        }),
        date,
    })
}

/// Subject and text. The link is by the settings and never by what a request said.
fn words(tools: &Tools, mall: &Tenant, document: &Document) -> (String, String) {
    let net = decimal(document.position.net, document.currency.places());
    let net = format!("{net} {}", document.currency.code());
    let open = document
        .confirm_by
        .filter(|_| !document.state.is_confirmed());
    let until = open.map(|moment| format!("{} ({})", mall.zone.minute(moment), mall.zone));
    let link = tools.base_url.as_deref().map(|base| {
        let mall = address::of(Some(base), None, mall);
        format!("{mall}/console/statements/{}", document.statement)
    });
    let period = document.period.to_string();
    let of = OfStatement {
        mall: &document.mall,
        merchant: &document.merchant,
        period: &period,
        net: &net,
        until: until.as_deref(),
        link: link.as_deref(),
    };
    statement_issued(document.language, &of)
}

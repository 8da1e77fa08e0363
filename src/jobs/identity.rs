//! Writes the letters that let people choose a password, and tells telephones their codes.

use tracing::{info, warn};

use super::Tools;
use crate::{
    app::address,
    authz::action::{SendCodes, SendLinks},
    gateway::{
        mail::{Letter, MailError},
        sms::{SmsError, Text},
    },
    identity::{
        members::codes::{self, SendCode},
        staff::{self, LinkKind, Ready, SendLink, StaffError},
    },
    kernel::ids::TenantId,
    notify::words::{self, OfLink},
    queue::worker::Outcome,
};

/// Writes one letter and sends it.
pub(super) async fn send(tools: Tools, tenant: TenantId, job: SendLink) -> Result<(), Outcome> {
    let grant = tools.grant::<SendLinks>(tenant)?;
    let Some(mall) = tools.db.tenant_of_id(tenant).await? else {
        return Err(Outcome::Fail("there is no such mall".to_owned()));
    };
    let mut tx = tools.db.write(&grant).await?;
    let begun = staff::begin_link(&mut tx, &grant, &job).await;
    let Some(ready) = begun.map_err(outcome)? else {
        return Ok(());
    };
    let date = tx.now();
    tx.commit().await?;
    let Ready { link, staff, token } = ready;
    let page = match link.kind {
        LinkKind::Invitation => address::Page::Invitation,
        LinkKind::Reset => address::Page::Reset,
    };
    let address = address::link(tools.base_url.as_deref(), None, &mall, page, &token);
    let zone = staff.zone.unwrap_or(mall.zone);
    let until = format!("{} ({zone})", zone.minute(link.expires_at));
    let of = OfLink {
        mall: mall.names.get(staff.language),
        name: &staff.name,
        until: &until,
        link: &address,
    };
    let (subject, text) = match link.kind {
        LinkKind::Invitation => words::invitation(staff.language, &of),
        LinkKind::Reset => words::password_reset(staff.language, &of),
    };
    let letter = Letter {
        id: link.id.to_string(),
        to: staff.email,
        subject,
        text,
        enclosure: None,
        date,
    };
    let sent = tools.mailer.send(&letter).await;
    let given_up = matches!(sent, Err(MailError::Never(_) | MailError::Off));
    let why = sent.err().map(|error| error.to_string());
    let mut tx = tools.db.write(&grant).await?;
    let recorded = staff::record_link(&mut tx, &grant, link.id, why.as_deref(), given_up).await;
    recorded.map_err(outcome)?;
    tx.commit().await?;
    let id = link.id;
    match why {
        None => {
            info!(tenant.id = %tenant, link.id = %id, "Sent the letter of {id} of {tenant}");
            Ok(())
        }
        Some(why) if given_up => {
            warn!(tenant.id = %tenant, link.id = %id, problem = %why, "Gave up {id} of {tenant}");
            Err(Outcome::Fail(why))
        }
        Some(why) => Err(Outcome::Retry(why)),
    }
}

fn outcome(error: StaffError) -> Outcome {
    match error {
        StaffError::Db(error) => error.into(),
        other => Outcome::Fail(other.to_string()),
    }
}

/// Tells one telephone its code.
pub(super) async fn tell(tools: Tools, tenant: TenantId, job: SendCode) -> Result<(), Outcome> {
    let grant = tools.grant::<SendCodes>(tenant)?;
    let Some(mall) = tools.db.tenant_of_id(tenant).await? else {
        return Err(Outcome::Fail("there is no such mall".to_owned()));
    };
    let Some(ready) = codes::begin(&tools.db, &grant, &job).await? else {
        return Ok(());
    };
    let (id, language) = (ready.id, ready.language);
    let text = Text {
        id: id.to_string(),
        mall: mall.slug.as_str().to_owned(),
        to: ready.phone,
        language: language.tag(),
        text: words::sign_in_code(language, mall.names.get(language), &ready.code),
        date: tools.db.clock().now(),
    };
    let sent = tools.sms.send(&text).await;
    let given_up = matches!(sent, Err(SmsError::Never(_) | SmsError::Off));
    let why = sent.err().map(|error| error.to_string());
    let mut tx = tools.db.write(&grant).await?;
    codes::record(&mut tx, &grant, id, why.as_deref(), given_up).await?;
    tx.commit().await?;
    match why {
        None => {
            info!(tenant.id = %tenant, code.id = %id, "Sent the message of {id} of {tenant}");
            Ok(())
        }
        Some(why) if given_up => {
            warn!(tenant.id = %tenant, code.id = %id, problem = %why, "Gave up {id} of {tenant}");
            Err(Outcome::Fail(why))
        }
        Some(why) => Err(Outcome::Retry(why)),
    }
}

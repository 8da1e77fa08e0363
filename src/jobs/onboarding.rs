//! Writes the letters about applications, and tidies the files that came of nothing.

use tracing::{info, warn};

use super::{Tools, schedule::TidyFiles};
use crate::{
    app::address,
    authz::action::SendNews,
    gateway::mail::{Letter, MailError},
    kernel::ids::TenantId,
    merchants::onboarding::{
        OnboardingError, files,
        news::{self, TellNews, ToTell},
    },
    notify::words::{self, OfApplication},
    queue::worker::Outcome,
};

/// Writes one letter and sends it.
pub(super) async fn tell(tools: Tools, tenant: TenantId, job: TellNews) -> Result<(), Outcome> {
    let grant = tools.grant::<SendNews>(tenant)?;
    let Some(mall) = tools.db.tenant_of_id(tenant).await? else {
        return Err(Outcome::Fail("there is no such mall".to_owned()));
    };
    let mut tx = tools.db.write(&grant).await?;
    let begun = news::begin_news(&mut tx, &grant, &job).await;
    let Some(ready) = begun.map_err(outcome)? else {
        return Ok(());
    };
    let date = tx.now();
    tx.commit().await?;
    let ToTell {
        event,
        application,
        token,
    } = ready;
    let (base, page) = (tools.base_url.as_deref(), address::Page::Application);
    let address = address::link(base, None, &mall, page, &token);
    let until = format!("{} ({})", mall.zone.minute(event.expires_at), mall.zone);
    let of = OfApplication {
        mall: mall.names.get(application.language),
        company: &application.form.company,
        reason: event.reason.as_deref(),
        until: &until,
        link: &address,
    };
    let (subject, text) = words::application(application.language, event.kind.as_str(), &of);
    let letter = Letter {
        id: event.id.to_string(),
        to: application.email,
        subject,
        text,
        enclosure: None,
        date,
    };
    let sent = tools.mailer.send(&letter).await;
    let given_up = matches!(sent, Err(MailError::Never(_) | MailError::Off));
    let why = sent.err().map(|error| error.to_string());
    let mut tx = tools.db.write(&grant).await?;
    let recorded = news::record_news(&mut tx, &grant, event.id, why.as_deref(), given_up).await;
    recorded.map_err(outcome)?;
    tx.commit().await?;
    let id = event.id;
    match why {
        None => {
            info!(tenant.id = %tenant, event.id = %id, "Sent the letter of {id} of {tenant}");
            Ok(())
        }
        Some(why) if given_up => {
            warn!(tenant.id = %tenant, event.id = %id, problem = %why, "Gave up {id} of {tenant}");
            Err(Outcome::Fail(why))
        }
        Some(why) => Err(Outcome::Retry(why)),
    }
}

/// Takes away the files of a mall that nobody has: what was written and got no row, or was removed.
pub(super) async fn tidy(tools: Tools, tenant: TenantId, _: TidyFiles) -> Result<(), Outcome> {
    let grant = tools.grant::<SendNews>(tenant)?;
    let retry = |error: crate::gateway::files::FilesError| Outcome::Retry(error.to_string());
    let there = tools.files.list(tenant).await.map_err(retry)?;
    for some in there.chunks(1000) {
        let mut tx = tools.db.read(&grant).await?;
        let strays = files::strays(&mut tx, &grant, some).await;
        drop(tx);
        for id in strays.map_err(outcome)? {
            tools.files.remove(tenant, id).await.map_err(retry)?;
        }
    }
    Ok(())
}

fn outcome(error: OnboardingError) -> Outcome {
    match error {
        OnboardingError::Db(error) => error.into(),
        other => Outcome::Fail(other.to_string()),
    }
}

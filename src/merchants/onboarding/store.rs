//! The tables `merchant_text`, `application`, `application_event` and `application_file`.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{
    Accepted, Application, Event, EventKind, Form, Media, Paper, PaperKind, Question, State,
    TextKind, TextVersion,
};
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{ApplicationId, MerchantId, NewsId, PaperId},
        text::Email,
        time::Instant,
    },
};

/// An application as the table holds it.
struct Row {
    application_id: ApplicationId,
    email: String,
    language: String,
    state: String,
    form: serde_json::Value,
    sealed: Option<Vec<u8>>,
    asked: serde_json::Value,
    reason: Option<String>,
    conditions_version: i32,
    conditions_digest: String,
    conditions_at: Instant,
    conditions_from: String,
    agreement_version: Option<i32>,
    agreement_digest: Option<String>,
    agreed_at: Option<Instant>,
    agreed_by: Option<String>,
    agreed_from: Option<String>,
    merchant_id: Option<MerchantId>,
    revision: i32,
    created_at: Instant,
    changed_at: Instant,
    submitted_at: Option<Instant>,
    decided_at: Option<Instant>,
    decided_by: Option<String>,
}

impl TryFrom<Row> for Application {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let form: Form =
            serde_json::from_value(row.form).map_err(|_| Error::Corrupt("application form"))?;
        let asked: Vec<Question> =
            serde_json::from_value(row.asked).map_err(|_| Error::Corrupt("questions"))?;
        let agreement = row.agreement_version.zip(row.agreement_digest);
        let agreed = match (row.agreed_at, row.agreed_by, row.agreed_from, &agreement) {
            (Some(at), Some(by), Some(from), Some((version, digest))) => Some(Accepted {
                version: *version,
                digest: digest.clone(),
                at,
                by,
                from,
            }),
            _ => None,
        };
        Ok(Self {
            id: row.application_id,
            email: email(&row.email)?,
            language: row
                .language
                .parse()
                .map_err(|_| Error::Corrupt("language of an application"))?,
            state: State::parse(&row.state)?,
            form,
            sealed: row.sealed,
            asked,
            reason: row.reason,
            conditions: Accepted {
                version: row.conditions_version,
                digest: row.conditions_digest,
                at: row.conditions_at,
                by: row.application_id.to_string(),
                from: row.conditions_from,
            },
            agreement,
            agreed,
            merchant: row.merchant_id,
            revision: row.revision,
            created_at: row.created_at,
            changed_at: row.changed_at,
            submitted_at: row.submitted_at,
            decided: row.decided_at.zip(row.decided_by),
        })
    }
}

fn email(text: &str) -> Result<Email, Error> {
    text.parse()
        .map_err(|_| Error::Corrupt("address of an application"))
}

/// Writes an application down; not where its address has another one that is not over.
pub(super) async fn insert(tx: &mut Tx, application: &Application) -> Result<bool, Error> {
    let done = sqlx::query!(
        "insert into application
             (application_id, email, language, state, form, asked, conditions_version,
              conditions_digest, conditions_at, conditions_from, revision, created_at, changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $9, $9)
         on conflict do nothing",
        application.id.uuid(),
        application.email.as_str(),
        application.language.tag(),
        application.state.as_str(),
        form_of(application)?,
        asked_of(application)?,
        application.conditions.version,
        application.conditions.digest,
        application.created_at,
        application.conditions.from,
        application.revision,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes down how an application is now.
pub(super) async fn save(tx: &mut Tx, application: &Application) -> Result<(), Error> {
    let form = &application.form;
    let licence = super::licence::normal(&form.country, &form.licence_number);
    let licence = licence.map(|number| format!("{}:{number}", form.country));
    let (agreement, agreed) = (&application.agreement, &application.agreed);
    let decided = application.decided.as_ref();
    sqlx::query!(
        "update application
         set language = $2, state = $3, form = $4, sealed = $5, licence_key = $6, asked = $7,
             reason = $8, conditions_version = $9, conditions_digest = $10, conditions_at = $11,
             conditions_from = $12, agreement_version = $13, agreement_digest = $14,
             agreed_at = $15, agreed_by = $16, agreed_from = $17, merchant_id = $18,
             revision = $19, changed_at = $20, submitted_at = $21, decided_at = $22,
             decided_by = $23
         where application_id = $1",
        application.id.uuid(),
        application.language.tag(),
        application.state.as_str(),
        form_of(application)?,
        application.sealed.as_deref(),
        licence,
        asked_of(application)?,
        application.reason,
        application.conditions.version,
        application.conditions.digest,
        application.conditions.at,
        application.conditions.from,
        agreement.as_ref().map(|(version, _)| *version),
        agreement.as_ref().map(|(_, digest)| digest.as_str()),
        agreed.as_ref().map(|agreed| agreed.at),
        agreed.as_ref().map(|agreed| agreed.by.as_str()),
        agreed.as_ref().map(|agreed| agreed.from.as_str()),
        application.merchant.map(|id| id.uuid()),
        application.revision,
        application.changed_at,
        application.submitted_at,
        decided.map(|(at, _)| *at),
        decided.map(|(_, by)| by.as_str()),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

fn form_of(application: &Application) -> Result<serde_json::Value, Error> {
    serde_json::to_value(&application.form).map_err(|_| Error::Corrupt("application form"))
}

fn asked_of(application: &Application) -> Result<serde_json::Value, Error> {
    serde_json::to_value(&application.asked).map_err(|_| Error::Corrupt("questions"))
}

/// One application.
pub(super) async fn find(tx: &mut ReadTx, id: ApplicationId) -> Result<Option<Application>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select application_id as "application_id: _", email, language, state, form, sealed, asked,
                  reason, conditions_version, conditions_digest, conditions_at, conditions_from,
                  agreement_version, agreement_digest, agreed_at, agreed_by, agreed_from,
                  merchant_id as "merchant_id: _", revision, created_at, changed_at, submitted_at,
                  decided_at, decided_by
           from application
           where application_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Application::try_from).transpose()
}

/// The application, locked until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, id: ApplicationId) -> Result<Option<Application>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select application_id as "application_id: _", email, language, state, form, sealed, asked,
                  reason, conditions_version, conditions_digest, conditions_at, conditions_from,
                  agreement_version, agreement_digest, agreed_at, agreed_by, agreed_from,
                  merchant_id as "merchant_id: _", revision, created_at, changed_at, submitted_at,
                  decided_at, decided_by
           from application
           where application_id = $1
           order by application_id
           for update"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Application::try_from).transpose()
}

/// The application of which a merchant came, locked; by `application_merchant_key`.
pub(super) async fn lock_of_merchant(
    tx: &mut Tx,
    merchant: MerchantId,
) -> Result<Option<Application>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select application_id as "application_id: _", email, language, state, form, sealed, asked,
                  reason, conditions_version, conditions_digest, conditions_at, conditions_from,
                  agreement_version, agreement_digest, agreed_at, agreed_by, agreed_from,
                  merchant_id as "merchant_id: _", revision, created_at, changed_at, submitted_at,
                  decided_at, decided_by
           from application
           where merchant_id = $1
           order by application_id
           for update"#,
        merchant.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Application::try_from).transpose()
}

/// The newest application of an address that is not live, locked; by `application_address_idx`.
pub(super) async fn lock_of_address(
    tx: &mut Tx,
    email: &Email,
) -> Result<Option<Application>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select application_id as "application_id: _", email, language, state, form, sealed, asked,
                  reason, conditions_version, conditions_digest, conditions_at, conditions_from,
                  agreement_version, agreement_digest, agreed_at, agreed_by, agreed_from,
                  merchant_id as "merchant_id: _", revision, created_at, changed_at, submitted_at,
                  decided_at, decided_by
           from application
           where email = $1 and state <> 'live'
           order by application_id desc
           limit 1
           for update"#,
        email.as_str(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Application::try_from).transpose()
}

/// Applications of a state before one, the newest first; by `application_state_idx`.
pub(super) async fn of_state(
    tx: &mut ReadTx,
    state: State,
    before: ApplicationId,
    limit: i64,
) -> Result<Vec<Application>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select application_id as "application_id: _", email, language, state, form, sealed, asked,
                  reason, conditions_version, conditions_digest, conditions_at, conditions_from,
                  agreement_version, agreement_digest, agreed_at, agreed_by, agreed_from,
                  merchant_id as "merchant_id: _", revision, created_at, changed_at, submitted_at,
                  decided_at, decided_by
           from application
           where state = $1 and application_id < $2
           order by application_id desc
           limit $3"#,
        state.as_str(),
        before.uuid(),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Application::try_from).collect()
}

/// Applications before one, the newest first; by `application_pkey`.
pub(super) async fn before(
    tx: &mut ReadTx,
    before: ApplicationId,
    limit: i64,
) -> Result<Vec<Application>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select application_id as "application_id: _", email, language, state, form, sealed, asked,
                  reason, conditions_version, conditions_digest, conditions_at, conditions_from,
                  agreement_version, agreement_digest, agreed_at, agreed_by, agreed_from,
                  merchant_id as "merchant_id: _", revision, created_at, changed_at, submitted_at,
                  decided_at, decided_by
           from application
           where application_id < $1
           order by application_id desc
           limit $2"#,
        before.uuid(),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Application::try_from).collect()
}

/// How many there are of each state; by `application_state_idx`. There are few states.
pub(super) async fn counts(tx: &mut ReadTx) -> Result<Vec<(State, i64)>, Error> {
    let rows = sqlx::query!(
        r#"select state, count(*) as "count!"
           from application
           group by state
           order by state
           limit 20"#,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| Ok((State::parse(&row.state)?, row.count)))
        .collect()
}

/// An event as the table holds it.
struct EventRow {
    application_event_id: NewsId,
    application_id: ApplicationId,
    number: i32,
    kind: String,
    actor: String,
    origin: Option<String>,
    reason: Option<String>,
    happened_at: Instant,
    expires_at: Instant,
    mail: String,
    problem: Option<String>,
}

impl TryFrom<EventRow> for Event {
    type Error = Error;

    fn try_from(row: EventRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.application_event_id,
            application: row.application_id,
            number: row.number,
            kind: EventKind::parse(&row.kind)?,
            actor: row.actor,
            origin: row.origin,
            reason: row.reason,
            happened_at: row.happened_at,
            expires_at: row.expires_at,
            mail: row.mail,
            problem: row.problem,
        })
    }
}

pub(super) async fn insert_event(tx: &mut Tx, event: &Event) -> Result<(), Error> {
    sqlx::query!(
        "insert into application_event
             (application_event_id, application_id, number, kind, actor, origin, reason,
              happened_at, expires_at, mail)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        event.id.uuid(),
        event.application.uuid(),
        event.number,
        event.kind.as_str(),
        event.actor,
        event.origin,
        event.reason,
        event.happened_at,
        event.expires_at,
        event.mail,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The last events of an application, the first first; by `application_event_number_key`.
pub(super) async fn events(
    tx: &mut ReadTx,
    application: ApplicationId,
    limit: i64,
) -> Result<Vec<Event>, Error> {
    let rows = sqlx::query_as!(
        EventRow,
        r#"select application_event_id as "application_event_id: _",
                  application_id as "application_id: _", number, kind, actor, origin, reason,
                  happened_at, expires_at, mail, problem
           from application_event
           where application_id = $1
           order by number desc
           limit $2"#,
        application.uuid(),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().rev().map(Event::try_from).collect()
}

pub(super) async fn last_event(
    tx: &mut ReadTx,
    application: ApplicationId,
) -> Result<Option<Event>, Error> {
    Ok(events(tx, application, 1).await?.pop())
}

/// The event, locked until the transaction ends.
pub(super) async fn lock_event(tx: &mut Tx, id: NewsId) -> Result<Option<Event>, Error> {
    let row = sqlx::query_as!(
        EventRow,
        r#"select application_event_id as "application_event_id: _",
                  application_id as "application_id: _", number, kind, actor, origin, reason,
                  happened_at, expires_at, mail, problem
           from application_event
           where application_event_id = $1
           order by application_event_id
           for update"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Event::try_from).transpose()
}

/// Whose link an event's letter held, the hash of its token, and until when it opens.
pub(super) async fn token_of(
    tx: &mut ReadTx,
    id: NewsId,
) -> Result<Option<(ApplicationId, Option<Vec<u8>>, Instant)>, Error> {
    let row = sqlx::query!(
        r#"select application_id as "application_id: ApplicationId", token_hash, expires_at
           from application_event
           where application_event_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| (row.application_id, row.token_hash, row.expires_at)))
}

pub(super) async fn give_token(tx: &mut Tx, id: NewsId, hash: &[u8]) -> Result<(), Error> {
    sqlx::query!(
        "update application_event set token_hash = $2 where application_event_id = $1",
        id.uuid(),
        hash,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn record_mail(
    tx: &mut Tx,
    id: NewsId,
    mail: &str,
    problem: Option<&str>,
) -> Result<(), Error> {
    sqlx::query!(
        "update application_event set mail = $2, problem = $3 where application_event_id = $1",
        id.uuid(),
        mail,
        problem,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A file as the table holds it.
struct PaperRow {
    application_file_id: PaperId,
    application_id: ApplicationId,
    kind: String,
    name: String,
    media: String,
    size: i64,
    digest: String,
    created_at: Instant,
}

impl TryFrom<PaperRow> for Paper {
    type Error = Error;

    fn try_from(row: PaperRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.application_file_id,
            application: row.application_id,
            kind: PaperKind::parse(&row.kind).ok_or(Error::Corrupt("kind of a file"))?,
            name: row.name,
            media: Media::parse(&row.media).ok_or(Error::Corrupt("media of a file"))?,
            size: row.size,
            digest: row.digest,
            created_at: row.created_at,
        })
    }
}

pub(super) async fn insert_paper(tx: &mut Tx, paper: &Paper) -> Result<(), Error> {
    sqlx::query!(
        "insert into application_file
             (application_file_id, application_id, kind, name, media, size, digest, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (application_file_id) do nothing",
        paper.id.uuid(),
        paper.application.uuid(),
        paper.kind.as_str(),
        paper.name,
        paper.media.as_str(),
        paper.size,
        paper.digest,
        paper.created_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The files of an application that were not removed; by `application_file_application_idx`.
pub(super) async fn papers(
    tx: &mut ReadTx,
    application: ApplicationId,
    limit: i64,
) -> Result<Vec<Paper>, Error> {
    let rows = sqlx::query_as!(
        PaperRow,
        r#"select application_file_id as "application_file_id: _",
                  application_id as "application_id: _", kind, name, media, size, digest,
                  created_at
           from application_file
           where application_id = $1 and removed_at is null
           order by application_file_id
           limit $2"#,
        application.uuid(),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Paper::try_from).collect()
}

/// How many files an application ever had; by `application_file_application_idx`.
pub(super) async fn count_papers(
    tx: &mut ReadTx,
    application: ApplicationId,
) -> Result<i64, Error> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from application_file where application_id = $1"#,
        application.uuid(),
    );
    Ok(count.fetch_one(tx.conn()).await?)
}

pub(super) async fn paper(tx: &mut ReadTx, id: PaperId) -> Result<Option<Paper>, Error> {
    let row = sqlx::query_as!(
        PaperRow,
        r#"select application_file_id as "application_file_id: _",
                  application_id as "application_id: _", kind, name, media, size, digest,
                  created_at
           from application_file
           where application_file_id = $1 and removed_at is null"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Paper::try_from).transpose()
}

pub(super) async fn remove_paper(tx: &mut Tx, id: PaperId) -> Result<(), Error> {
    let now = tx.now();
    sqlx::query!(
        "update application_file set removed_at = $2
         where application_file_id = $1 and removed_at is null",
        id.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Those of `ids` that are somebody's; at most one row an id, by `application_file_pkey`.
pub(super) async fn kept_papers(tx: &mut ReadTx, ids: &[PaperId]) -> Result<Vec<PaperId>, Error> {
    let ids: Vec<Uuid> = ids.iter().map(PaperId::uuid).collect();
    let kept = sqlx::query_scalar!(
        r#"select application_file_id as "application_file_id: PaperId"
           from application_file
           where application_file_id = any ($1) and removed_at is null"#,
        &ids,
    );
    Ok(kept.fetch_all(tx.conn()).await?)
}

/// The newest version of a text, or the one of that number; by `merchant_text_version_key`.
pub(super) async fn text(
    tx: &mut ReadTx,
    kind: TextKind,
    version: Option<i32>,
) -> Result<Option<TextVersion>, Error> {
    let row = sqlx::query!(
        "select version, texts, digest, created_at, created_by
         from merchant_text
         where kind = $1 and ($2::int is null or version = $2)
         order by version desc
         limit 1",
        kind.as_str(),
        version,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let texts: BTreeMap<String, String> =
        serde_json::from_value(row.texts).map_err(|_| Error::Corrupt("texts for merchants"))?;
    Ok(Some(TextVersion {
        kind,
        version: row.version,
        texts,
        digest: row.digest,
        created_at: Some(row.created_at),
        created_by: Some(row.created_by),
    }))
}

pub(super) async fn insert_text(tx: &mut Tx, new: &TextVersion) -> Result<(), Error> {
    let (id, now, actor) = (tx.new_id::<TextVersion>().uuid(), tx.now(), tx.actor());
    let texts = serde_json::json!(new.texts);
    sqlx::query!(
        "insert into merchant_text
             (merchant_text_id, kind, version, texts, digest, created_at, created_by)
         values ($1, $2, $3, $4, $5, $6, $7)",
        id,
        new.kind.as_str(),
        new.version,
        texts,
        new.digest,
        now,
        actor.to_string(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

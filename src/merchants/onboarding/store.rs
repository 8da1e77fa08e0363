//! The table `application`.

use super::{Accepted, Application, Form, Question, State};
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{ApplicationId, MerchantId},
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

/// Sealed secrets of applications, behind that one's; by `application_pkey`.
pub(super) async fn sealed(
    tx: &mut ReadTx,
    after: Option<ApplicationId>,
    limit: i64,
) -> Result<Vec<(ApplicationId, Vec<u8>)>, Error> {
    let after = after.map_or(uuid::Uuid::nil(), |id| id.uuid());
    let rows = sqlx::query!(
        r#"select application_id as "application_id: ApplicationId", sealed as "sealed!"
           from application
           where application_id > $1 and sealed is not null
           order by application_id
           limit $2"#,
        after,
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.application_id, row.sealed))
        .collect())
}

/// Keeps an application's secrets as they are sealed now, or as if they had not been said.
pub(super) async fn reseal(
    tx: &mut Tx,
    id: ApplicationId,
    sealed: Option<&[u8]>,
) -> Result<(), Error> {
    sqlx::query!(
        "update application set sealed = $2 where application_id = $1",
        id.uuid(),
        sealed,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
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

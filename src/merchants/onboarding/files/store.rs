//! The table `application_file`.

use uuid::Uuid;

use super::{Media, Paper, PaperKind};
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{ApplicationId, PaperId},
        time::Instant,
    },
};

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

pub(in crate::merchants::onboarding) async fn insert_paper(
    tx: &mut Tx,
    paper: &Paper,
) -> Result<(), Error> {
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
pub(in crate::merchants::onboarding) async fn papers(
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
pub(in crate::merchants::onboarding) async fn count_papers(
    tx: &mut ReadTx,
    application: ApplicationId,
) -> Result<i64, Error> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from application_file where application_id = $1"#,
        application.uuid(),
    );
    Ok(count.fetch_one(tx.conn()).await?)
}

pub(in crate::merchants::onboarding) async fn paper(
    tx: &mut ReadTx,
    id: PaperId,
) -> Result<Option<Paper>, Error> {
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

pub(in crate::merchants::onboarding) async fn remove_paper(
    tx: &mut Tx,
    id: PaperId,
) -> Result<(), Error> {
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
pub(in crate::merchants::onboarding) async fn kept_papers(
    tx: &mut ReadTx,
    ids: &[PaperId],
) -> Result<Vec<PaperId>, Error> {
    let ids: Vec<Uuid> = ids.iter().map(PaperId::uuid).collect();
    let kept = sqlx::query_scalar!(
        r#"select application_file_id as "application_file_id: PaperId"
           from application_file
           where application_file_id = any ($1) and removed_at is null"#,
        &ids,
    );
    Ok(kept.fetch_all(tx.conn()).await?)
}

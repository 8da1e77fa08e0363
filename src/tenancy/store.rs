//! The table `programme`.

use super::ProgrammeVersion;
use crate::db::{
    error::Error,
    tx::{ReadTx, Tx},
};

/// The newest version and its digest. Index: `programme_pkey`.
pub(super) async fn newest(tx: &mut ReadTx) -> Result<Option<(ProgrammeVersion, String)>, Error> {
    let row = sqlx::query!(
        "select version, body, digest, valid_from
         from programme
         order by version desc
         limit 1",
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| {
        let version = ProgrammeVersion {
            version: row.version,
            body: row.body,
            valid_from: row.valid_from,
        };
        (version, row.digest)
    }))
}

/// Versions, newest first. Index: `programme_pkey`.
pub(super) async fn versions(tx: &mut ReadTx) -> Result<Vec<ProgrammeVersion>, Error> {
    Ok(sqlx::query_as!(
        ProgrammeVersion,
        "select version, body, valid_from
         from programme
         order by version desc
         limit 1000",
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Whether nobody else made that version meanwhile.
pub(super) async fn insert(
    tx: &mut Tx,
    next: &ProgrammeVersion,
    digest: &str,
) -> Result<bool, Error> {
    tx.revise().await?;
    let now = tx.now();
    let inserted = sqlx::query!(
        "insert into programme (version, body, digest, valid_from, created_at)
         values ($1, $2, $3, $4, $5)
         on conflict (version) do nothing",
        next.version,
        next.body,
        digest,
        next.valid_from,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(inserted.rows_affected() == 1)
}

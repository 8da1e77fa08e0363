//! The table `merchant_text`.

use std::collections::BTreeMap;

use super::{TextKind, TextVersion};
use crate::db::{
    error::Error,
    tx::{ReadTx, Tx},
};

/// The newest version of a text, or the one of that number; by `merchant_text_version_key`.
pub(in crate::merchants::onboarding) async fn text(
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

pub(in crate::merchants::onboarding) async fn insert_text(
    tx: &mut Tx,
    new: &TextVersion,
) -> Result<(), Error> {
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

//! The table `merchant_contact`, and of `merchant` what merchants are called.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Called, Contact};
use crate::{
    db::{
        error::Error,
        tenants::names_from_json,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::MerchantId,
        text::{Email, Language},
    },
};

/// At most one row an id, by `merchant_pkey`.
pub(super) async fn called(
    tx: &mut ReadTx,
    ids: &[MerchantId],
) -> Result<HashMap<MerchantId, Called>, Error> {
    let ids: Vec<Uuid> = ids.iter().map(MerchantId::uuid).collect();
    let rows = sqlx::query!(
        r#"select merchant_id as "merchant_id: MerchantId", code, names
           from merchant
           where merchant_id = any ($1)"#,
        &ids,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            let code = row.code.parse();
            let called = Called {
                code: code.map_err(|_| Error::Corrupt("merchant code"))?,
                names: names_from_json(&row.names)?,
            };
            Ok((row.merchant_id, called))
        })
        .collect()
}

pub(super) async fn contact(
    tx: &mut ReadTx,
    merchant: MerchantId,
) -> Result<Option<Contact>, Error> {
    let row = sqlx::query!(
        "select email, language, changed_at from merchant_contact where merchant_id = $1",
        merchant.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (email, language) = (row.email.parse(), row.language.parse());
    Ok(Some(Contact {
        email: email.map_err(|_| Error::Corrupt("address of a merchant"))?,
        language: language.map_err(|_| Error::Corrupt("language of a merchant"))?,
        changed_at: row.changed_at,
    }))
}

/// Those of them who have a contact, by `merchant_contact_pkey`.
pub(super) async fn with_contact(
    tx: &mut ReadTx,
    ids: &[MerchantId],
) -> Result<Vec<MerchantId>, Error> {
    let ids: Vec<Uuid> = ids.iter().map(MerchantId::uuid).collect();
    let rows = sqlx::query_scalar!(
        r#"select merchant_id as "merchant_id: MerchantId"
           from merchant_contact
           where merchant_id = any ($1)
           order by merchant_id"#,
        &ids,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// Writes contacts down; those that are the same stay as they are.
pub(super) async fn set(
    tx: &mut Tx,
    contacts: &[(MerchantId, &Email, Language)],
) -> Result<(), Error> {
    let ids: Vec<Uuid> = contacts.iter().map(|(id, ..)| id.uuid()).collect();
    let emails: Vec<String> = contacts
        .iter()
        .map(|(_, email, _)| email.as_str().to_owned())
        .collect();
    let languages: Vec<String> = contacts
        .iter()
        .map(|(.., language)| language.tag().to_owned())
        .collect();
    let (now, actor) = (tx.now(), tx.actor().to_string());
    sqlx::query!(
        "insert into merchant_contact (merchant_id, email, language, changed_at, changed_by)
         select merchant_id, email, language, $4, $5
         from unnest($1::uuid[], $2::text[], $3::text[]) as new (merchant_id, email, language)
         on conflict (merchant_id) do update
         set email = excluded.email, language = excluded.language,
             changed_at = excluded.changed_at, changed_by = excluded.changed_by
         where (merchant_contact.email, merchant_contact.language)
             is distinct from (excluded.email, excluded.language)",
        &ids,
        &emails,
        &languages,
        now,
        actor,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn remove(tx: &mut Tx, merchant: MerchantId) -> Result<(), Error> {
    sqlx::query!(
        "delete from merchant_contact where merchant_id = $1",
        merchant.uuid(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

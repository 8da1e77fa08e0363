//! The table `merchant_stripe`.

use std::collections::HashMap;

use uuid::Uuid;

use super::PaidTo;
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{ids::MerchantId, text::StripeAccount},
};

fn account(text: &str) -> Result<StripeAccount, Error> {
    let account = text.parse();
    account.map_err(|_| Error::Corrupt("account of a merchant"))
}

pub(super) async fn paid_to(
    tx: &mut ReadTx,
    merchant: MerchantId,
) -> Result<Option<PaidTo>, Error> {
    let row = sqlx::query!(
        r#"select account_id as "account_id!", changed_at
           from merchant_stripe
           where merchant_id = $1 and account_id is not null"#,
        merchant.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(PaidTo {
        account: account(&row.account_id)?,
        changed_at: row.changed_at,
    }))
}

/// By `merchant_stripe_pkey`.
pub(super) async fn accounts_of(
    tx: &mut ReadTx,
    ids: &[MerchantId],
) -> Result<HashMap<MerchantId, StripeAccount>, Error> {
    let ids: Vec<Uuid> = ids.iter().map(MerchantId::uuid).collect();
    let rows = sqlx::query!(
        r#"select merchant_id as "merchant_id: MerchantId", account_id as "account_id!"
           from merchant_stripe
           where merchant_id = any ($1) and account_id is not null"#,
        &ids,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| Ok((row.merchant_id, account(&row.account_id)?)))
        .collect()
}

pub(super) async fn customer_of(
    tx: &mut ReadTx,
    merchant: MerchantId,
) -> Result<Option<String>, Error> {
    let found = sqlx::query_scalar!(
        "select customer_id from merchant_stripe where merchant_id = $1",
        merchant.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found.flatten())
}

/// Writes accounts down; those that are the same stay as they are.
pub(super) async fn set_accounts(
    tx: &mut Tx,
    accounts: &[(MerchantId, &StripeAccount)],
) -> Result<(), Error> {
    let (now, actor) = (tx.now(), tx.actor().to_string());
    for (merchant, account) in accounts {
        sqlx::query!(
            "insert into merchant_stripe (merchant_id, account_id, changed_at, changed_by)
             values ($1, $2, $3, $4)
             on conflict (merchant_id) do update
             set account_id = excluded.account_id, changed_at = excluded.changed_at,
                 changed_by = excluded.changed_by
             where merchant_stripe.account_id is distinct from excluded.account_id",
            merchant.uuid(),
            account.as_str(),
            now,
            actor,
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

pub(super) async fn set_customer(
    tx: &mut Tx,
    merchant: MerchantId,
    customer: &str,
) -> Result<(), Error> {
    let (now, actor) = (tx.now(), tx.actor().to_string());
    sqlx::query!(
        "insert into merchant_stripe (merchant_id, customer_id, changed_at, changed_by)
         values ($1, $2, $3, $4)
         on conflict (merchant_id) do update
         set customer_id = excluded.customer_id
         where merchant_stripe.customer_id is distinct from excluded.customer_id",
        merchant.uuid(),
        customer,
        now,
        actor,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

//! Idempotency: what was asked under a key is answered once, and the same answer is given again.
//!
//! The key's row is inserted first, in the transaction of the work itself: either both are durable
//! or neither. A second request under the same key waits for the first transaction to end, then
//! reads its answer. (trust.md, section 2.)

use super::{error::Error, tx::Tx};

/// A key as one caller gave it, with what it was given for.
#[derive(Debug, Clone)]
pub struct ReplayKey {
    /// Who asked: the API key's id.
    pub scope: String,
    /// The `Idempotency-Key` header.
    pub key: String,
    /// SHA-256 over method, path and canonical body.
    pub fingerprint: Vec<u8>,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing: the work is to be done, then [`Tx::remember`].
    Fresh,
    /// It was answered: status and body.
    Answered(u16, String),
    /// It was given for something else.
    Reused,
}

impl Tx {
    /// Claims `key` for this transaction, or says what was answered under it.
    ///
    /// # Errors
    /// [`Error::Retry`] where another transaction holds the key for too long.
    pub async fn claim_key(&mut self, key: &ReplayKey) -> Result<Known, Error> {
        let now = self.now();
        let fresh = sqlx::query!(
            "insert into idempotency_key (scope, key, fingerprint, created_at)
             values ($1, $2, $3, $4)
             on conflict (scope, key) do nothing",
            key.scope,
            key.key,
            key.fingerprint,
            now,
        )
        .execute(self.conn())
        .await?;
        if fresh.rows_affected() == 1 {
            return Ok(Known::Fresh);
        }
        let row = sqlx::query!(
            "select fingerprint, status, body from idempotency_key where scope = $1 and key = $2",
            key.scope,
            key.key,
        )
        .fetch_one(self.conn())
        .await?;
        if row.fingerprint != key.fingerprint {
            return Ok(Known::Reused);
        }
        let status = row.status.and_then(|status| u16::try_from(status).ok());
        match (status, row.body) {
            (Some(status), Some(body)) => Ok(Known::Answered(status, body)),
            _ => Err(Error::Corrupt("idempotency key")),
        }
    }

    /// Writes down the answer under a key that [`Tx::claim_key`] found fresh.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn remember(
        &mut self,
        key: &ReplayKey,
        status: u16,
        body: &str,
    ) -> Result<(), Error> {
        sqlx::query!(
            "update idempotency_key set status = $3, body = $4 where scope = $1 and key = $2",
            key.scope,
            key.key,
            i32::from(status),
            body,
        )
        .execute(self.conn())
        .await?;
        Ok(())
    }
}

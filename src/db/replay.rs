//! Idempotency: what was asked under a key is answered once, and the same answer is given again.
//!
//! The key's row is inserted first, in the transaction of the work itself: either both are durable
//! or neither. A second request under the same key waits for the first transaction to end, then
//! reads its answer. (trust.md, section 2.)

use sqlx::postgres::PgQueryResult;

use super::{error::Error, tx::Tx};

/// The table that is not filled from an archive: whoever gave these keys has none here any more.
pub const LEFT_BEHIND: [&str; 1] = ["idempotency_key"];

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

/// What was answered under a key.
#[derive(Debug, Clone, Copy)]
pub struct Remembered<'a> {
    /// The key.
    pub key: &'a ReplayKey,
    /// The answer's status.
    pub status: u16,
    /// The answer's body.
    pub body: &'a str,
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
        answered(key, &row.fingerprint, row.status, row.body)
    }

    /// What is known of each of these keys, in their order, without claiming any: for many at once,
    /// whose answers [`Tx::remember_all`] writes down in the same transaction. By
    /// `idempotency_key_pkey`.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn known_keys(&mut self, keys: &[&ReplayKey]) -> Result<Vec<Known>, Error> {
        let scopes: Vec<String> = keys.iter().map(|key| key.scope.clone()).collect();
        let names: Vec<String> = keys.iter().map(|key| key.key.clone()).collect();
        let rows = sqlx::query!(
            r#"select place as "place!", fingerprint, status, body
               from (select unnest($1::text[]) as scope, unnest($2::text[]) as key,
                            generate_series(0, $3::int) as place) as asked
               join idempotency_key using (scope, key)"#,
            &scopes,
            &names,
            i32::try_from(keys.len().saturating_sub(1)).unwrap_or(i32::MAX),
        )
        .fetch_all(self.conn())
        .await?;
        let mut known = vec![Known::Fresh; keys.len()];
        for row in rows {
            let place = usize::try_from(row.place).unwrap_or(usize::MAX);
            if let (Some(key), Some(known)) = (keys.get(place), known.get_mut(place)) {
                *known = answered(key, &row.fingerprint, row.status, row.body)?;
            }
        }
        Ok(known)
    }

    /// Writes down the answers under keys that [`Tx::known_keys`] found fresh, in the order of the
    /// keys, so that two who write the same ones never wait for each other in a circle. The first
    /// by a plain `values`: no transaction may consist of inserts from a set alone (scale.md, R3).
    ///
    /// # Errors
    /// [`Error::Retry`] where another transaction answered one of them in between.
    pub async fn remember_all(&mut self, answers: &[Remembered<'_>]) -> Result<(), Error> {
        let mut answers = answers.to_vec();
        answers.sort_by_key(|answer| (&answer.key.scope, &answer.key.key));
        let Some((first, rest)) = answers.split_first() else {
            return Ok(());
        };
        let now = self.now();
        let written = sqlx::query!(
            "insert into idempotency_key (scope, key, fingerprint, status, body, created_at)
             values ($1, $2, $3, $4, $5, $6)",
            first.key.scope,
            first.key.key,
            first.key.fingerprint,
            i32::from(first.status),
            first.body,
            now,
        )
        .execute(self.conn())
        .await;
        faster(written)?;
        if rest.is_empty() {
            return Ok(());
        }
        let written = sqlx::query!(
            "insert into idempotency_key (scope, key, fingerprint, status, body, created_at)
             select unnest($1::text[]), unnest($2::text[]), unnest($3::bytea[]), unnest($4::int[]),
                 unnest($5::text[]), $6",
            &rest
                .iter()
                .map(|one| one.key.scope.clone())
                .collect::<Vec<_>>(),
            &rest
                .iter()
                .map(|one| one.key.key.clone())
                .collect::<Vec<_>>(),
            &rest
                .iter()
                .map(|one| one.key.fingerprint.clone())
                .collect::<Vec<_>>(),
            &rest
                .iter()
                .map(|one| i32::from(one.status))
                .collect::<Vec<_>>(),
            &rest
                .iter()
                .map(|one| one.body.to_owned())
                .collect::<Vec<_>>(),
            now,
        )
        .execute(self.conn())
        .await;
        faster(written)
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

/// What a key's row says to whoever shows it for `key`.
fn answered(
    key: &ReplayKey,
    fingerprint: &[u8],
    status: Option<i32>,
    body: Option<String>,
) -> Result<Known, Error> {
    if fingerprint != key.fingerprint {
        return Ok(Known::Reused);
    }
    let status = status.and_then(|status| u16::try_from(status).ok());
    match (status, body) {
        (Some(status), Some(body)) => Ok(Known::Answered(status, body)),
        _ => Err(Error::Corrupt("idempotency key")),
    }
}

/// A key that is there already was answered since we looked.
fn faster(written: Result<PgQueryResult, sqlx::Error>) -> Result<(), Error> {
    match written.map_err(Error::from) {
        Err(Error::Constraint { name, source }) if name == "idempotency_key_pkey" => {
            Err(Error::Retry(source))
        }
        other => other.map(|_| ()),
    }
}

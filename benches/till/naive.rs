//! A purchase as one would write it first: one transaction a request, a statement a step. It checks
//! less than ours (no key's secret, no store, no limits) and locks no merchant's row.

use rotunda::kernel::{
    ids::{Entropy, JournalId, MemberId, PurchaseId, StoreId},
    time::{Clock, Instant},
};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

pub const SCHEMA: &str = "naive";

/// What it keeps, and `spend`, so that all schemas are counted alike.
pub const TABLES: [&str; 7] = [
    "idempotency_key",
    "wallet",
    "purchase",
    "journal",
    "transfer",
    "lot",
    "spend",
];

struct Purchase<'a> {
    key: &'a str,
    asked: &'a Value,
    id: Uuid,
    journal: Uuid,
    store: Uuid,
    member: Uuid,
    total: i64,
    /// One for each 1.00, worth 0.01.
    points: i64,
    rules: Value,
    now: Instant,
}

/// Records one purchase; the answer's body.
pub async fn record(pool: &PgPool, key: &str, body: &[u8]) -> Result<String, sqlx::Error> {
    let asked: Value = serde_json::from_slice(body).unwrap();
    let text = |name: &str| asked[name].as_str().unwrap();
    let total: i64 = asked["lines"][0]["amount"].as_i64().unwrap();
    let (points, now) = (total / 100, Clock::System.now());
    let purchase = Purchase {
        key,
        asked: &asked,
        id: PurchaseId::new(now, &Entropy::System).uuid(),
        journal: JournalId::new(now, &Entropy::System).uuid(),
        store: text("store_id").parse::<StoreId>().unwrap().uuid(),
        member: text("member_id").parse::<MemberId>().unwrap().uuid(),
        total,
        points,
        rules: json!([{ "rule": "base", "amount": total, "points": points }]),
        now,
    };
    let mut tx = pool.begin().await?;
    purchase.claim_key(&mut tx).await?;
    let (available, seq): (i64, i64) =
        sqlx::query_as("select available, seq from wallet where member_id = $1 for update")
            .bind(purchase.member)
            .fetch_one(&mut *tx)
            .await?;
    let (balance, seq) = (available + points, seq + 1);
    purchase.enter(&mut tx, balance).await?;
    purchase.post(&mut tx, balance, seq).await?;
    let answer = json!({
        "purchase_id": purchase.id, "total": total, "points": points, "rules": purchase.rules,
        "balance": balance, "member_id": text("member_id"), "occurred_at": now.to_rfc3339(),
    })
    .to_string();
    sqlx::query(
        "update idempotency_key set status = 201, body = $2 where scope = 'till' and key = $1",
    )
    .bind(key)
    .bind(&answer)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(answer)
}

impl Purchase<'_> {
    async fn claim_key(&self, tx: &mut PgConnection) -> Result<(), sqlx::Error> {
        let fresh = sqlx::query(
            "insert into idempotency_key (scope, key, fingerprint, created_at)
             values ('till', $1, '\\x00', $2) on conflict (scope, key) do nothing",
        )
        .bind(self.key)
        .bind(self.now)
        .execute(tx)
        .await?;
        match fresh.rows_affected() {
            0 => Err(sqlx::Error::RowNotFound),
            _ => Ok(()),
        }
    }

    async fn enter(&self, tx: &mut PgConnection, balance: i64) -> Result<(), sqlx::Error> {
        sqlx::query(
            "insert into purchase (purchase_id, store_id, merchant_id, receipt_number, member_id,
                 total, paid_by_points, points, balance_after, refunded, clawed, lines, rules,
                 programme, fingerprint, business_day, occurred_at, recorded_at)
             values ($1, $2, $2, $3, $4, $5, 0, $6, $7, 0, 0, $8, $9, 1, '\\x00', $10, $11, $11)",
        )
        .bind(self.id)
        .bind(self.store)
        .bind(self.asked["receipt_number"].as_str())
        .bind(self.member)
        .bind(self.total)
        .bind(self.points)
        .bind(balance)
        .bind(&self.asked["lines"])
        .bind(&self.rules)
        .bind(self.now.date_naive())
        .bind(self.now)
        .execute(tx)
        .await?;
        Ok(())
    }

    async fn post(&self, tx: &mut PgConnection, balance: i64, seq: i64) -> Result<(), sqlx::Error> {
        sqlx::query(
            "insert into journal (journal_id, kind, member_id, seq, points, balance_after,
                 merchant_id, store_id, source_id, posted_in, late, occurred_at, posted_at, actor)
             values ($1, 'purchase', $2, $3, $4, $5, $6, $6, $7, $8, false, $9, $9, 'till')",
        )
        .bind(self.journal)
        .bind(self.member)
        .bind(seq)
        .bind(self.points)
        .bind(balance)
        .bind(self.store)
        .bind(self.id)
        .bind(self.now.date_naive())
        .bind(self.now)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "insert into transfer (journal_id, line, from_account, to_account, amount, value,
                 lot_id, posted_in, earned_at)
             values ($1, 0, $2, $3, $4, $4, $5, $6, $7)",
        )
        .bind(self.journal)
        .bind(self.store)
        .bind(self.member)
        .bind(self.points)
        .bind(self.id)
        .bind(self.now.date_naive())
        .bind(self.now)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "insert into lot (lot_id, member_id, merchant_id, store_id, journal_id, points,
                 remaining, expired, clawed, owed, worth, worth_left, earned_at, expires_at)
             values ($1, $2, $3, $3, $4, $5, $5, 0, 0, 0, $5, $5, $6, $7)",
        )
        .bind(self.id)
        .bind(self.member)
        .bind(self.store)
        .bind(self.journal)
        .bind(self.points)
        .bind(self.now)
        .bind(self.now + chrono::Months::new(12))
        .execute(&mut *tx)
        .await?;
        sqlx::query("update wallet set available = $2, seq = $3 where member_id = $1")
            .bind(self.member)
            .bind(balance)
            .bind(seq)
            .execute(&mut *tx)
            .await?;
        Ok(())
    }
}

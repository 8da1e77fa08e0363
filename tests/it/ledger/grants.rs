//! LED-8: a mall's role cannot change or remove what was written, whatever our code does.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::books::Mall;

/// The columns that change after a row was written, by table; every other one stays for ever.
const CHANGES: &[(&str, &[&str])] = &[
    ("agreement", &["accepted_at", "accepted_by"]),
    ("api_key", &["revoked_at"]),
    (
        "application",
        &[
            "agreed_at",
            "agreed_by",
            "agreed_from",
            "agreement_digest",
            "agreement_version",
            "asked",
            "changed_at",
            "conditions_at",
            "conditions_digest",
            "conditions_from",
            "conditions_version",
            "decided_at",
            "decided_by",
            "form",
            "language",
            "licence_key",
            "merchant_id",
            "reason",
            "revision",
            "sealed",
            "state",
            "submitted_at",
        ],
    ),
    (
        "application_event",
        &["expires_at", "mail", "problem", "token_hash"],
    ),
    ("application_file", &["removed_at"]),
    // The cut-off locks this table exclusively, for which PostgreSQL asks for all of UPDATE.
    ("book", &["book_id", "open_from", "period"]),
    (
        "credit",
        &[
            "credit_limit",
            "declared_at",
            "declared_by",
            "deposit",
            "evaluated_at",
            "exit_at",
            "light",
            "light_since",
            "light_why",
            "open_worth",
            "owed",
            "raised_at",
            "raised_by",
            "standing",
            "withheld",
            "withheld_since",
        ],
    ),
    ("deficit", &["remaining"]),
    (
        "dispute",
        &["decided_at", "decided_by", "held", "note", "state"],
    ),
    (
        "good",
        &[
            "changed_at",
            "kind",
            "names",
            "per_member_day",
            "per_member_month",
            "points",
            "search_pieces",
            "search_text",
            "stock",
        ],
    ),
    ("idempotency_key", &["body", "status"]),
    (
        "lot",
        &[
            "clawed",
            "expired",
            "expires_at",
            "owed",
            "remaining",
            "worth_left",
        ],
    ),
    ("member", &["card_number", "erased_at", "name", "phone"]),
    ("member_session", &["ended_at", "seen_at"]),
    (
        "merchant",
        &["changed_at", "earns", "names", "spends", "status", "trade"],
    ),
    (
        "merchant_contact",
        &["changed_at", "changed_by", "email", "language"],
    ),
    (
        "merchant_stripe",
        &["account_id", "changed_at", "changed_by", "customer_id"],
    ),
    (
        "message",
        &[
            "attempts",
            "changed_at",
            "problem",
            "round",
            "sent_at",
            "state",
        ],
    ),
    (
        "month_listing",
        &[
            "after_journal",
            "after_line",
            "done",
            "last_journal",
            "listed_at",
        ],
    ),
    ("outbox", &["relayed_at"]),
    (
        "payment",
        &[
            "executed_on",
            "method",
            "recorded_at",
            "recorded_by",
            "reference",
            "state",
        ],
    ),
    (
        "points_adjustment",
        &[
            "decided_at",
            "decided_by",
            "decision_note",
            "journal_id",
            "state",
        ],
    ),
    ("prepaid", &["used"]),
    ("purchase", &["clawed", "refunded"]),
    ("recovery_code", &["used_at"]),
    ("redemption", &["ended_at", "state", "store_id"]),
    (
        "role",
        &[
            "changed_at",
            "changed_by",
            "ended_at",
            "ended_by",
            "guarded",
            "name",
            "revision",
        ],
    ),
    ("role_change", &["decided_at", "decided_by", "state"]),
    (
        "session",
        &["ended_at", "second_factor", "seen_at", "token_hash"],
    ),
    ("setting", &["revision"]),
    (
        "settlement",
        &[
            "actor",
            "closed_at",
            "confirm_by",
            "confirmed_at",
            "digest",
            "issued_at",
            "issued_by",
            "proofed_at",
            "state",
        ],
    ),
    ("sign_in_code", &["problem", "sending", "tries", "used_at"]),
    ("signin_attempt", &["failures", "since"]),
    ("spend", &["returned"]),
    (
        "staff",
        &[
            "changed_at",
            "ended_at",
            "ended_by",
            "language",
            "name",
            "password_at",
            "password_hash",
            "state",
            "theme",
            "time_zone",
            "totp_secret",
            "totp_since",
            "totp_step",
        ],
    ),
    (
        "staff_link",
        &["ended_at", "mail", "problem", "token_hash", "used_at"],
    ),
    ("staff_role", &["ended_at", "ended_by"]),
    ("statement", &["confirmed_at", "confirmed_by", "state"]),
    (
        "store",
        &["changed_at", "earns", "names", "spends", "status"],
    ),
    (
        "stripe_leg",
        &[
            "account_id",
            "attempts",
            "begun_at",
            "changed_at",
            "keys",
            "problem",
            "round",
            "state",
            "stripe_id",
        ],
    ),
    ("wallet", &["available", "debt", "held", "seq"]),
];

/// What is only ever appended to.
const APPEND_ONLY: [&str; 17] = [
    "account",
    "adjustment",
    "audit_entry",
    "audit_seal",
    "credit_entry",
    "earn_rate",
    "journal",
    "merchant_text",
    "month_line",
    "payment_cover",
    "prepaid_use",
    "programme",
    "refund",
    "role_right",
    "statement_line",
    "stripe_event",
    "transfer",
];

/// The tables whose rows may go.
const DELETES: [&str; 7] = [
    "good_offer",
    "member_session",
    "merchant_contact",
    "outbox",
    "recovery_code",
    "sign_in_code",
    "signin_attempt",
];

/// Every table of the mall with its columns.
async fn tables(sql: &mut PgConnection, schema: &str) -> BTreeMap<String, Vec<String>> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select relname::text, attname::text from pg_class
         join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
         where relnamespace = $1::text::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f')
         order by 1, 2",
    )
    .bind(schema)
    .fetch_all(sql)
    .await
    .unwrap();
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (table, column) in rows {
        tables.entry(table).or_default().push(column);
    }
    tables
}

#[tokio::test]
async fn led_8_the_catalogue_grants_no_change_of_what_was_written() {
    let mall = Mall::open().await;
    let mut sql = mall.owner().await;
    let schema = mall.schema();
    let updates: Vec<(String, Vec<String>)> = sqlx::query_as(
        "select relname::text, array_agg(attname::text order by attname::text)
         from pg_class join pg_attribute on attrelid = pg_class.oid and attnum > 0
         where relnamespace = $1::text::regnamespace and relkind = 'r'
           and has_column_privilege($1, pg_class.oid, attnum, 'update')
         group by 1 order by 1",
    )
    .bind(&schema)
    .fetch_all(&mut sql)
    .await
    .unwrap();
    let expected: Vec<(String, Vec<String>)> = CHANGES
        .iter()
        .map(|(table, columns)| {
            (
                (*table).to_owned(),
                columns.iter().map(|column| (*column).to_owned()).collect(),
            )
        })
        .collect();
    assert_eq!(updates, expected);
    let more: BTreeSet<(String, String)> = sqlx::query_as(
        "select relname::text, privilege from pg_class,
             unnest(array['delete', 'truncate', 'references', 'trigger']) as privilege
         where relnamespace = $1::text::regnamespace and relkind = 'r'
           and has_table_privilege($1, pg_class.oid, privilege)",
    )
    .bind(&schema)
    .fetch_all(&mut sql)
    .await
    .unwrap()
    .into_iter()
    .collect();
    let expected = DELETES.map(|table| (table.to_owned(), "delete".to_owned()));
    assert_eq!(more, BTreeSet::from(expected));
    let known = CHANGES
        .iter()
        .map(|(table, _)| *table)
        .chain(APPEND_ONLY)
        .chain(DELETES);
    let known: BTreeSet<&str> = known.chain(["_sqlx_migrations"]).collect();
    let tables = tables(&mut sql, &schema).await;
    let found: BTreeSet<&str> = tables.keys().map(String::as_str).collect();
    assert_eq!(found, known, "every table is in one of this file's lists");
}

#[tokio::test]
async fn led_8_postgresql_refuses_every_change_of_what_was_written() {
    let mall = Mall::open().await;
    let mut sql = mall.owner().await;
    let schema = mall.schema();
    let changes: BTreeMap<&str, &[&str]> = CHANGES.iter().copied().collect();
    let (mut refused, mut allowed) = (0, 0);
    for (table, columns) in tables(&mut sql, &schema).await {
        let free = changes.get(table.as_str()).copied().unwrap_or_default();
        let mut statements = vec![
            (format!("truncate {table}"), false),
            (
                format!("delete from {table}"),
                DELETES.contains(&table.as_str()),
            ),
            (format!("alter table {table} add column more int"), false),
            (format!("drop table {table}"), false),
        ];
        for column in columns {
            let change = format!("update {table} set {column} = {column}");
            statements.push((change, free.contains(&column.as_str())));
        }
        for (statement, may) in statements {
            let outcome = try_as_mall(&mut sql, &schema, &statement).await;
            let expected = if may { Ok(()) } else { Err("42501".to_owned()) };
            assert_eq!(outcome, expected, "{statement}");
            if may { allowed += 1 } else { refused += 1 }
        }
    }
    assert!(
        refused > 150 && allowed > 30,
        "{refused} refused, {allowed} allowed"
    );
}

/// What PostgreSQL says to a statement of the mall's role, put on as a request puts it on.
async fn try_as_mall(sql: &mut PgConnection, schema: &str, statement: &str) -> Result<(), String> {
    let mut tx = sql.begin().await.unwrap();
    let role = format!("set local session authorization rotunda_app; set local role {schema}");
    sqlx::raw_sql(AssertSqlSafe(role))
        .execute(&mut *tx)
        .await
        .unwrap();
    let outcome = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(&mut *tx)
        .await;
    tx.rollback().await.unwrap();
    match outcome {
        Ok(_) => Ok(()),
        Err(error) => {
            let said = error.into_database_error().unwrap();
            Err(said.code().unwrap().into_owned())
        }
    }
}

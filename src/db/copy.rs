//! One mall's tables from one place to another, row by row as text, and whether they arrived.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::db::error::Error;

/// Bytes that go to the destination at a time.
const CHUNK: usize = 256 * 1024;

/// The list of migrations: each side has its own, written when it was migrated.
const MIGRATIONS: &str = "_sqlx_migrations";

/// A table as both sides must have it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Table {
    /// Its name, quoted where it must be.
    pub(super) name: String,
    /// Its columns, quoted where they must be, by name.
    columns: Vec<String>,
    /// Their types, in the same order.
    types: Vec<String>,
    /// The tables that its foreign keys point to.
    refers_to: Vec<String>,
}

impl Table {
    /// The columns' names as the first line of a CSV file.
    pub(super) fn header(&self) -> String {
        format!("{}\n", self.columns.join(","))
    }

    /// What reads it as CSV, without that line.
    pub(super) fn reading(&self, schema: &str) -> String {
        let (name, columns) = (&self.name, self.columns.join(", "));
        format!("copy (select {columns} from {schema}.{name}) to stdout with (format csv)")
    }

    /// What fills it with such.
    pub(super) fn filling(&self, schema: &str) -> String {
        let (name, columns) = (&self.name, self.columns.join(", "));
        format!("copy {schema}.{name} ({columns}) from stdin with (format csv)")
    }

    /// Whether it is the list of migrations, which each schema has of its own.
    pub(super) fn is_migrations(&self) -> bool {
        self.name == MIGRATIONS
    }
}

/// A schema's tables, each behind those that it refers to.
pub(super) async fn tables(admin: &mut PgConnection, schema: &str) -> Result<Vec<Table>, Error> {
    let mut waiting: Vec<Table> = sqlx::query_as(
        "select quote_ident(relname) as name, \
                array_agg(quote_ident(attname) order by attname) as columns, \
                array_agg(format_type(atttypid, atttypmod) order by attname) as types, \
                array(select distinct quote_ident(other.relname) \
                      from pg_constraint join pg_class other on other.oid = confrelid \
                      where conrelid = pg_class.oid and contype = 'f' \
                        and confrelid <> conrelid) as refers_to \
         from pg_class \
         join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped \
         where relnamespace = (select oid from pg_namespace where nspname = $1) \
           and relkind in ('r', 'p') and not relispartition \
         group by pg_class.oid, relname \
         order by relname",
    )
    .bind(schema)
    .fetch_all(admin)
    .await?;
    let mut sorted: Vec<Table> = Vec::with_capacity(waiting.len());
    let mut placed: BTreeSet<String> = BTreeSet::new();
    while !waiting.is_empty() {
        let (ready, blocked): (Vec<Table>, Vec<Table>) = waiting
            .into_iter()
            .partition(|table| table.refers_to.iter().all(|other| placed.contains(other)));
        if ready.is_empty() {
            return Err(Error::Corrupt("foreign keys"));
        }
        placed.extend(ready.iter().map(|table| table.name.clone()));
        sorted.extend(ready);
        waiting = blocked;
    }
    Ok(sorted)
}

/// The first table that one side has and the other has not, or has otherwise.
pub(super) fn first_difference(one: &[Table], other: &[Table]) -> Option<String> {
    let missing = |from: &[Table], table: &&Table| !from.contains(table);
    let mut differing = one
        .iter()
        .filter(|table| missing(other, table))
        .chain(other.iter().filter(|table| missing(one, table)));
    differing.next().map(|table| table.name.clone())
}

/// Takes out what the migrations wrote: it comes with the copy. By plain deletes, so that no
/// transaction consists of copying alone (scale.md, R3).
pub(super) async fn empty(
    admin: &mut PgConnection,
    schema: &str,
    tables: &[Table],
) -> Result<(), Error> {
    for table in tables.iter().rev().filter(|table| !table.is_migrations()) {
        let delete = format!("delete from {schema}.{}", table.name);
        sqlx::raw_sql(AssertSqlSafe(delete))
            .execute(&mut *admin)
            .await?;
    }
    Ok(())
}

/// Copies one table; how many rows it has. The list of migrations stays as it is.
pub(super) async fn one(
    source: &mut PgConnection,
    destination: &mut PgConnection,
    schema: &str,
    table: &Table,
) -> Result<u64, Error> {
    if table.is_migrations() {
        return Ok(0);
    }
    let (name, columns) = (&table.name, table.columns.join(", "));
    let read = format!("copy (select {columns} from {schema}.{name}) to stdout");
    let write = format!("copy {schema}.{name} ({columns}) from stdin");
    let mut rows = source.copy_out_raw(&read).await?;
    let mut sink = destination.copy_in_raw(&write).await?;
    let mut chunk: Vec<u8> = Vec::with_capacity(CHUNK);
    while let Some(row) = rows.next().await {
        chunk.extend_from_slice(&row?);
        if chunk.len() >= CHUNK {
            sink.send(chunk.as_slice()).await?;
            chunk.clear();
        }
    }
    sink.send(chunk.as_slice()).await?;
    Ok(sink.finish().await?)
}

/// Lets the planner know what has arrived.
pub(super) async fn analyze(admin: &mut PgConnection, schema: &str) -> Result<(), Error> {
    let names: Vec<String> = tables(admin, schema)
        .await?
        .into_iter()
        .map(|table| format!("{schema}.{}", table.name))
        .collect();
    sqlx::raw_sql(AssertSqlSafe(format!("analyze {}", names.join(", "))))
        .execute(admin)
        .await?;
    Ok(())
}

/// How many rows a table has, and the sum of 60 bits of each row's SHA-256: the same on both sides
/// however the rows are ordered. Of the list of migrations only which were run counts, not when
/// or in which form (`REWRITTEN` in `migrate`).
pub(super) async fn digest(
    admin: &mut PgConnection,
    schema: &str,
    table: &Table,
) -> Result<(i64, String), Error> {
    let columns = if table.is_migrations() {
        "version, success".to_owned()
    } else {
        table.columns.join(", ")
    };
    let sql = format!(
        "select count(*), \
                coalesce(sum(('x' || left(encode(sha256(convert_to(line::text, 'UTF8')), 'hex'), 15))\
                    ::bit(60)::bigint), 0)::text \
         from (select {columns} from {schema}.{name}) line",
        name = table.name,
    );
    Ok(sqlx::query_as(AssertSqlSafe(sql)).fetch_one(admin).await?)
}

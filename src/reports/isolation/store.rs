//! Whom and what there is to get at, as PostgreSQL's catalogue tells every login.

use crate::db::{Error, tx::ReadTx};

/// Up to three other malls' schemas in this database, of those that have their tables already.
pub(super) async fn other_malls(tx: &mut ReadTx) -> Result<Vec<String>, Error> {
    let found = sqlx::query_scalar(
        "select nspname::text
         from pg_catalog.pg_namespace
         where nspname ~ '^t_[0-9a-z]{26}$' and nspname <> current_schema()
           and exists (select from pg_catalog.pg_class
               where relnamespace = pg_namespace.oid and relname = 'audit_seal')
         order by nspname
         limit 3",
    );
    Ok(found.fetch_all(tx.conn()).await?)
}

/// Roles that may more than a mall's: administrators, owners of what is here, and those by which
/// PostgreSQL gives out its files, programs and everybody's tables.
pub(super) async fn administrators(tx: &mut ReadTx) -> Result<Vec<String>, Error> {
    let found = sqlx::query_scalar(
        "select rolname::text
         from pg_catalog.pg_roles
         where rolname !~ '^t_[0-9a-z]{26}$' and rolname <> session_user
           and (rolsuper or rolcreaterole or rolcreatedb or rolbypassrls or rolreplication
               or rolname in ('pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files',
                   'pg_write_server_files', 'pg_execute_server_program')
               or oid in (select datdba from pg_catalog.pg_database
                   where datname = current_database())
               or oid in (select nspowner from pg_catalog.pg_namespace
                   where nspname = current_schema()))
         order by rolname
         limit 100",
    );
    Ok(found.fetch_all(tx.conn()).await?)
}

/// Whether a mall's schema is there still, with its tables.
pub(super) async fn has_tables(tx: &mut ReadTx, schema: &str) -> Result<bool, Error> {
    is_there(tx, schema, "audit_seal").await
}

/// Whether there is such a table in this database, whoever may use it.
pub(super) async fn is_there(tx: &mut ReadTx, schema: &str, table: &str) -> Result<bool, Error> {
    let found = sqlx::query_scalar(
        "select exists (select from pg_catalog.pg_class
             join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
             where nspname = $1 and relname = $2)",
    );
    Ok(found.bind(schema).bind(table).fetch_one(tx.conn()).await?)
}

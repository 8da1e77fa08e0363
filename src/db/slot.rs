//! Statements on a connection that serves many malls.
//!
//! PostgreSQL plans a prepared statement anew whenever it is used under another search path than the
//! last time, and that costs many times what the statement does. So the statements of each mall are
//! prepared apart: their text begins with a comment that names the mall. The names in it stay
//! unqualified; role and path say whose they are, as everywhere.

use std::sync::Arc;

use futures_util::{future::BoxFuture, stream::BoxStream};
use sqlx::{
    AssertSqlSafe, Database, Either, Execute, Executor, PgConnection, Postgres, SqlSafeStr, SqlStr,
    error::BoxDynError,
    postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

/// How many statements a connection keeps: those of some 140 malls that sell; those that were not
/// used for longest make room. A session that kept so many of 1,000 malls held 83 to 91 MB.
pub(super) const KEPT: usize = 1_000;

/// A connection, and the mall whose statements are kept apart on it.
#[derive(Debug)]
pub(crate) struct Conn<'c> {
    connection: &'c mut PgConnection,
    slot: Option<Arc<str>>,
}

impl<'c> Conn<'c> {
    /// Statements of `slot`; without one they are those of whoever uses the connection.
    pub(super) fn new(connection: &'c mut PgConnection, slot: Option<Arc<str>>) -> Self {
        Self { connection, slot }
    }
}

/// A statement of one mall.
struct Slotted<E> {
    statement: E,
    slot: Option<Arc<str>>,
}

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Slotted<E> {
    fn sql(self) -> SqlStr {
        let sql = self.statement.sql();
        match self.slot {
            Some(slot) => AssertSqlSafe(format!("/* {slot} */ {}", sql.as_str())).into_sql_str(),
            None => sql,
        }
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.statement.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.statement.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.statement.persistent()
    }
}

impl<'c> Executor<'c> for Conn<'c> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        statement: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let slot = self.slot;
        self.connection.fetch_many(Slotted { statement, slot })
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        statement: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let slot = self.slot;
        self.connection.fetch_optional(Slotted { statement, slot })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<<Postgres as Database>::Statement, sqlx::Error>>
    where
        'c: 'e,
    {
        self.connection.prepare_with(sql, parameters)
    }

    fn describe<'e>(
        self,
        sql: SqlStr,
    ) -> BoxFuture<'e, Result<sqlx::Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        self.connection.describe(sql)
    }
}

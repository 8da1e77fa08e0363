//! A transaction of a mall in which anything may be tried and of which nothing ever stays: it has no
//! commit, and each statement is taken back before the next one.

use std::{
    collections::HashSet,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

use sqlx::AssertSqlSafe;

use super::{
    Db,
    error::Error,
    tenants::Schema,
    tx::{On, ReadTx},
};
use crate::{
    authz::{action::Action, grant::Grant},
    kernel::ids::TenantId,
};

/// How a trial begins: nobody waits long for what it locks, should it be let, nor it for anybody.
const BEGIN: &str = "begin; set local lock_timeout = '1s'; set local statement_timeout = '15s'";

/// The malls in which a trial is under way on this server.
pub(super) type UnderWay = Arc<Mutex<HashSet<TenantId>>>;

/// A transaction with a mall's role and path that can write as far as that role can, and that can
/// only be rolled back.
#[derive(Debug)]
pub struct Trial {
    tx: ReadTx,
    _place: Place,
}

/// A mall's place in [`UnderWay`], which is free again once this is gone.
#[derive(Debug)]
struct Place {
    tenant: TenantId,
    under_way: UnderWay,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut malls = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        malls.remove(&self.tenant);
    }
}

impl Place {
    fn take(tenant: TenantId, under_way: &UnderWay) -> Option<Self> {
        let mut malls = under_way.lock().unwrap_or_else(PoisonError::into_inner);
        malls.insert(tenant).then(|| Self {
            tenant,
            under_way: Arc::clone(under_way),
        })
    }
}

impl Deref for Trial {
    type Target = ReadTx;
    fn deref(&self) -> &ReadTx {
        &self.tx
    }
}
impl DerefMut for Trial {
    fn deref_mut(&mut self) -> &mut ReadTx {
        &mut self.tx
    }
}

impl Trial {
    /// Tries a statement and takes it back, whatever came of it: the SQLSTATE by which PostgreSQL
    /// refused it, or nothing where it did not.
    ///
    /// In the statement `{own}` stands for the mall's schema, which is its role's name too, and
    /// `{name}` for `name`, whatever is in it. That it is `'static` keeps it to what stands in the
    /// program.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn attempt(
        &mut self,
        statement: &'static str,
        name: &str,
    ) -> Result<Option<String>, Error> {
        let own = Schema::of(self.tenant()).to_string();
        let name = format!("\"{}\"", name.replace('"', "\"\""));
        let sql = statement.replace("{own}", &own).replace("{name}", &name);
        sqlx::raw_sql("savepoint attempt")
            .execute(self.conn())
            .await?;
        let tried = sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.conn()).await;
        let state = match tried {
            Ok(_) => None,
            Err(sqlx::Error::Database(said)) => Some(said.code().unwrap_or_default().into_owned()),
            Err(lost) => return Err(lost.into()),
        };
        sqlx::raw_sql("rollback to savepoint attempt; release savepoint attempt")
            .execute(self.conn())
            .await?;
        Ok(state)
    }
}

impl Db {
    /// Opens a trial; none where one is under way in the same mall on this server already.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Moving`]; [`Error::NoTenant`] for a grant on the registry.
    pub async fn trial<A: Action>(&self, grant: &Grant<A>) -> Result<Option<Trial>, Error> {
        let tenant = grant.tenant().ok_or(Error::NoTenant)?;
        let Some(place) = Place::take(tenant, &self.trials) else {
            return Ok(None);
        };
        let tx = self.open(grant, On::Requests, BEGIN).await?;
        Ok(Some(Trial { tx, _place: place }))
    }
}

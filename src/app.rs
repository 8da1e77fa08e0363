//! What every door holds.

use std::sync::Arc;

use crate::{
    authz::policy::Policy,
    db::{Db, Error, tenants::Tenant},
    kernel::{text::Slug, time::Clock},
    settlement::Terms,
};

/// Built once, cloned into every door.
#[derive(Debug, Clone)]
pub struct App {
    /// The database.
    pub db: Db,
    /// Who may do what.
    pub policy: Arc<Policy>,
    /// What time it is.
    pub clock: Clock,
}

/// A mall and its programme.
#[derive(Debug, Clone)]
pub struct Mall {
    /// What the registry knows.
    pub tenant: Tenant,
    /// How it settles.
    pub settlement: Terms,
}

impl App {
    /// The mall of a short name.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn mall(&self, slug: &Slug) -> Result<Option<Mall>, Error> {
        match self.db.tenant_of_slug(slug.as_str()).await? {
            Some(_) => Err(Error::Corrupt("programme")),
            None => Ok(None),
        }
    }
}

//! What every door holds.

use std::sync::Arc;

use crate::{authz::policy::Policy, db::Db, kernel::time::Clock};

/// Built once, cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    /// The database.
    pub db: Db,
    /// Who may do what.
    pub policy: Arc<Policy>,
    /// What time it is.
    pub clock: Clock,
}

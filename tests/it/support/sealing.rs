//! Sealing the audit, as the house does it every minute.

use rotunda::{
    app::App,
    audit::{self, Sealed},
    authz::{action::RelayJobs, actor::Principal, policy::Policy},
    db::Db,
    kernel::ids::TenantId,
};

/// Seals all that is new in a mall; how many entries.
pub async fn seal(app: &App, tenant: TenantId) -> usize {
    seal_in(&app.db, &app.policy, tenant, true).await
}

/// The same without an application; entries of any age if `all`.
pub async fn seal_in(db: &Db, policy: &Policy, tenant: TenantId, all: bool) -> usize {
    let grant = policy
        .allow::<RelayJobs>(&Principal::system(tenant))
        .unwrap();
    let mut sealed = 0;
    loop {
        let mut tx = db.write(&grant).await.unwrap();
        let outcome = audit::seal(&mut tx, &grant, all).await.unwrap();
        tx.commit().await.unwrap();
        match outcome {
            Sealed::More(count) => sealed += count,
            Sealed::All(count) => return sealed + count,
            Sealed::Overtaken => {}
        }
    }
}

//! The table `role_change`.

use uuid::Uuid;

use super::{RoleChange, State};
use crate::{
    authz::actor::Role,
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    identity::staff::store::{store_ids, stores},
    kernel::{
        ids::{MerchantId, RoleChangeId, StaffId},
        time::Instant,
    },
};

struct Row {
    role_change_id: RoleChangeId,
    staff_id: StaffId,
    merchant_id: Option<MerchantId>,
    roles: Vec<String>,
    roles_before: Vec<String>,
    store_ids: Option<Vec<Uuid>>,
    proposed_at: Instant,
    proposed_by: String,
    expires_at: Instant,
    state: String,
    decided_at: Option<Instant>,
    decided_by: Option<String>,
}

impl Row {
    fn read(self, now: Instant) -> Result<RoleChange, Error> {
        let named = |names: Vec<String>| names.into_iter().map(Role::new).collect();
        let stored = State::ALL
            .into_iter()
            .find(|one| one.as_str() == self.state);
        let stored = stored.ok_or(Error::Corrupt("role change"))?;
        let over = stored == State::Open && self.expires_at <= now;
        Ok(RoleChange {
            id: self.role_change_id,
            staff: self.staff_id,
            merchant: self.merchant_id,
            roles: named(self.roles),
            before: named(self.roles_before),
            stores: stores(self.store_ids),
            proposed_at: self.proposed_at,
            proposed_by: self.proposed_by,
            expires_at: self.expires_at,
            state: if over { State::Expired } else { stored },
            decided_at: self.decided_at,
            decided_by: self.decided_by,
        })
    }
}

pub(super) async fn insert(tx: &mut Tx, change: &RoleChange) -> Result<(), Error> {
    let named = |roles: &[Role]| -> Vec<String> {
        roles.iter().map(|role| role.as_str().to_owned()).collect()
    };
    let (roles, before) = (named(&change.roles), named(&change.before));
    let narrowed = store_ids(&change.stores);
    sqlx::query!(
        "insert into role_change
             (role_change_id, staff_id, merchant_id, roles, roles_before, store_ids, proposed_at,
              proposed_by, expires_at, state)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'open')",
        change.id.uuid(),
        change.staff.uuid(),
        change.merchant.map(|id| id.uuid()),
        &roles,
        &before,
        narrowed.as_deref(),
        change.proposed_at,
        change.proposed_by,
        change.expires_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Says of what is open about somebody and over that it is; by `role_change_open_key`.
pub(super) async fn expire(tx: &mut Tx, staff: StaffId) -> Result<(), Error> {
    let now = tx.now();
    sqlx::query!(
        "update role_change
         set state = 'expired', decided_at = expires_at
         where staff_id = $1 and state = 'open' and expires_at <= $2",
        staff.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What is open about somebody; by `role_change_open_key`.
pub(super) async fn open_of(
    tx: &mut ReadTx,
    staff: StaffId,
) -> Result<Option<RoleChangeId>, Error> {
    let found = sqlx::query_scalar!(
        r#"select role_change_id as "id: RoleChangeId" from role_change
           where staff_id = $1 and state = 'open'"#,
        staff.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found)
}

/// One of them, locked until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, id: RoleChangeId) -> Result<Option<RoleChange>, Error> {
    let now = tx.now();
    let row = sqlx::query_as!(
        Row,
        r#"select role_change_id as "role_change_id: _", staff_id as "staff_id: _",
                  merchant_id as "merchant_id: _", roles, roles_before, store_ids, proposed_at,
                  proposed_by, expires_at, state, decided_at, decided_by
           from role_change
           where role_change_id = $1
           order by role_change_id
           for update"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| row.read(now)).transpose()
}

/// Proposals before one, the newest first; by `role_change_pkey`.
pub(super) async fn page(
    tx: &mut ReadTx,
    merchant: Option<MerchantId>,
    before: Option<RoleChangeId>,
    limit: i64,
) -> Result<Vec<RoleChange>, Error> {
    let now = tx.now();
    let rows = sqlx::query_as!(
        Row,
        r#"select role_change_id as "role_change_id: _", staff_id as "staff_id: _",
                  merchant_id as "merchant_id: _", roles, roles_before, store_ids, proposed_at,
                  proposed_by, expires_at, state, decided_at, decided_by
           from role_change
           where ($1::uuid is null or merchant_id = $1)
             and ($2::uuid is null or role_change_id < $2)
           order by role_change_id desc
           limit $3"#,
        merchant.map(|id| id.uuid()),
        before.map(|id| id.uuid()),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(|row| row.read(now)).collect()
}

pub(super) async fn decide(tx: &mut Tx, id: RoleChangeId, state: State) -> Result<(), Error> {
    let (now, by) = (tx.now(), tx.actor().to_string());
    sqlx::query!(
        "update role_change set state = $2, decided_at = $3, decided_by = $4
         where role_change_id = $1 and state = 'open'",
        id.uuid(),
        state.as_str(),
        now,
        by,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

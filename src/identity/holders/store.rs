//! Of the tables `staff`, `staff_role` and `api_key`, who has one of some roles.

use uuid::Uuid;

use super::{Holder, Who};
use crate::{
    authz::actor::Role,
    db::{error::Error, tx::ReadTx},
    identity::staff::{is_guarded, store::stores},
    kernel::ids::{ApiKeyId, MerchantId, StaffId},
};

/// Whose holders are wanted.
pub(super) struct Wanted {
    /// Who has one of these.
    pub(super) roles: Vec<String>,
    /// Of this merchant alone.
    pub(super) merchant: Option<MerchantId>,
    /// Also those who are narrowed to stores.
    pub(super) narrowed_too: bool,
    /// At most so many.
    pub(super) limit: i64,
}

/// Active people before one, the newest first; by `staff_pkey` and `staff_role_staff_key`.
pub(super) async fn people(
    tx: &mut ReadTx,
    wanted: &Wanted,
    before: Option<StaffId>,
) -> Result<Vec<Holder>, Error> {
    let rows = sqlx::query!(
        r#"select staff.staff_id as "staff_id: StaffId", staff.name, staff.totp_since,
                  max(staff_role.merchant_id::text) as "merchant_id",
                  array_agg(staff_role.role order by staff_role.staff_role_id) as "roles!",
                  (
                      select one.store_ids from staff_role as one
                      where one.staff_id = staff.staff_id and one.ended_at is null
                      order by one.staff_role_id
                      limit 1
                  ) as "store_ids: Vec<Uuid>",
                  exists (
                      select from staff_role as one
                      join role on role.code = one.role
                      where one.staff_id = staff.staff_id and one.ended_at is null
                        and role.guarded and role.ended_at is null
                  ) as "guarded!",
                  (
                      select array_agg(one.role) from staff_role as one
                      where one.staff_id = staff.staff_id and one.ended_at is null
                  ) as "all_roles: Vec<String>"
           from staff
           join staff_role on staff_role.staff_id = staff.staff_id
           where staff.state = 'active' and staff_role.ended_at is null
             and staff_role.role = any($1)
             and ($2::uuid is null or staff_role.merchant_id = $2)
             and ($3 or staff_role.store_ids is null)
             and ($4::uuid is null or staff.staff_id < $4)
           group by staff.staff_id, staff.name, staff.totp_since
           order by staff.staff_id desc
           limit $5"#,
        &wanted.roles,
        wanted.merchant.map(|id| id.uuid()),
        wanted.narrowed_too,
        before.map(|id| id.uuid()),
        wanted.limit,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut holders = Vec::new();
    for row in rows {
        let all = row.all_roles.unwrap_or_default();
        let guarded = row.guarded || all.into_iter().any(|role| is_guarded(&Role::new(role)));
        let merchant = row.merchant_id.map(|id| id.parse::<Uuid>()).transpose();
        let merchant = merchant.map_err(|_| Error::Corrupt("merchant"))?;
        holders.push(Holder {
            who: Who::Person(row.staff_id),
            name: row.name,
            roles: row.roles,
            merchant: merchant.map(MerchantId::from_uuid),
            stores: stores(row.store_ids),
            needs_second_factor: guarded && row.totp_since.is_none(),
        });
    }
    Ok(holders)
}

/// Living keys before one, the newest first; by `api_key_pkey`.
pub(super) async fn keys(
    tx: &mut ReadTx,
    wanted: &Wanted,
    before: Option<ApiKeyId>,
    limit: i64,
) -> Result<Vec<Holder>, Error> {
    let rows = sqlx::query!(
        r#"select api_key_id as "api_key_id: ApiKeyId", label, role,
                  merchant_id as "merchant_id: MerchantId", store_ids
           from api_key
           where revoked_at is null and role = any($1)
             and ($2::uuid is null or merchant_id = $2)
             and ($3 or store_ids is null)
             and ($4::uuid is null or api_key_id < $4)
           order by api_key_id desc
           limit $5"#,
        &wanted.roles,
        wanted.merchant.map(|id| id.uuid()),
        wanted.narrowed_too,
        before.map(|id| id.uuid()),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    let holders = rows.into_iter().map(|row| Holder {
        who: Who::Key(row.api_key_id),
        name: row.label,
        roles: vec![row.role],
        merchant: row.merchant_id,
        stores: stores(row.store_ids),
        needs_second_factor: false,
    });
    Ok(holders.collect())
}

//! Of the table `staff` what was sealed.

use uuid::Uuid;

use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::ids::StaffId,
};

/// Sealed secrets of second factors, behind that person's; by `staff_pkey`.
pub(super) async fn factors(
    tx: &mut ReadTx,
    after: Option<StaffId>,
    limit: i64,
) -> Result<Vec<(StaffId, Vec<u8>)>, Error> {
    let after = after.map_or(Uuid::nil(), |id| id.uuid());
    let rows = sqlx::query!(
        r#"select staff_id as "staff_id: StaffId", totp_secret as "sealed!"
           from staff
           where staff_id > $1 and totp_secret is not null
           order by staff_id
           limit $2"#,
        after,
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.staff_id, row.sealed))
        .collect())
}

/// Keeps somebody's secret as it is sealed now, or forgets the second factor.
pub(super) async fn reseal(
    tx: &mut Tx,
    staff: StaffId,
    sealed: Option<&[u8]>,
) -> Result<(), Error> {
    tx.revise().await?;
    let now = tx.now();
    sqlx::query!(
        "update staff
         set totp_secret = $2, changed_at = $3,
             totp_since = case when $2::bytea is null then null else totp_since end
         where staff_id = $1",
        staff.uuid(),
        sealed,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// How many people have not answered their invitation.
pub(super) async fn invited(tx: &mut ReadTx) -> Result<i64, Error> {
    let count =
        sqlx::query_scalar!(r#"select count(*) as "count!" from staff where state = 'invited'"#);
    Ok(count.fetch_one(tx.conn()).await?)
}

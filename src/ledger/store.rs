//! The table `wallet`.

use uuid::Uuid;

use crate::{
    db::{error::Error, tx::Tx},
    kernel::ids::{Id, MemberId},
};

pub(super) async fn open_wallets(tx: &mut Tx, members: &[MemberId]) -> Result<(), Error> {
    let members: Vec<Uuid> = members.iter().map(Id::uuid).collect();
    sqlx::query!(
        "insert into wallet (member_id, available, held, debt, seq)
         select opened.member_id, 0, 0, 0, 0
         from unnest($1::uuid[]) as opened (member_id)
         on conflict (member_id) do nothing",
        &members,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

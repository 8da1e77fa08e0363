//! The table `book`, as far as periods go.

use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::time::{Period, Unit},
};

/// Waits for those who post, and keeps others from it until the transaction ends.
pub(super) async fn shut(tx: &mut Tx) -> Result<(), Error> {
    sqlx::raw_sql("lock table book in exclusive mode")
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Keeps others from cutting off and from changing the unit until the transaction ends; who posts is
/// not kept.
pub(super) async fn guard(tx: &mut Tx) -> Result<(), Error> {
    sqlx::raw_sql("lock table book in share update exclusive mode")
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// After [`shut`].
pub(super) async fn cut_off(tx: &mut Tx, period: Period) -> Result<(), Error> {
    sqlx::query!(
        "update book set open_from = $1 where open_from < $1",
        period.next().first_day(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Locks as a writer does; the next statement sees what a cut-off wrote that this one waited for.
pub(super) async fn hold(tx: &mut Tx) -> Result<(), Error> {
    // An update of no row locks the table all the same.
    sqlx::query!("update book set open_from = open_from where false")
        .execute(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn first_open(tx: &mut ReadTx) -> Result<Period, Error> {
    let row = sqlx::query!(r#"select open_from, period as "period: Unit" from book"#)
        .fetch_one(tx.conn())
        .await?;
    Ok(Period::containing(row.open_from, row.period))
}

/// Whether anything was posted or cut off.
pub(super) async fn is_used(tx: &mut ReadTx) -> Result<bool, Error> {
    let used = sqlx::query_scalar!(
        r#"
        select open_from > date '0001-01-01' or exists (select from journal) as "used!"
        from book"#
    );
    Ok(used.fetch_one(tx.conn()).await?)
}

pub(super) async fn set_unit(tx: &mut Tx, unit: Unit) -> Result<(), Error> {
    // Servers remember the programme, and the unit with it.
    tx.revise().await?;
    sqlx::query!("update book set period = $1", unit.as_str())
        .execute(tx.conn())
        .await?;
    Ok(())
}

//! The ledger's beginning: a wallet for each member.

mod store;

use crate::{
    db::{error::Error, tx::Tx},
    kernel::ids::MemberId,
};

/// Gives each of these members an empty wallet; who has one keeps it.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn open_wallets(tx: &mut Tx, members: &[MemberId]) -> Result<(), Error> {
    store::open_wallets(tx, members).await
}

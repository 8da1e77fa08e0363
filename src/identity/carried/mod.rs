//! A mall was made of an archive of another one: what opened that one opens nothing here.

mod store;

use super::{
    Key,
    one_time::{Whose, resealed},
    store as keys,
};
use crate::{
    authz::{action::CarryTenant, grant::Grant},
    db::{Error, tx::Tx},
    kernel::{
        ids::{StaffId, TenantId},
        vault::Vault,
    },
};

/// The tables that are not filled from an archive: sessions, links, one-time codes, failed tries.
pub const LEFT_BEHIND: [&str; 6] = [
    "session",
    "member_session",
    "staff_link",
    "recovery_code",
    "sign_in_code",
    "signin_attempt",
];

/// People that one question reads.
const SLICE: i64 = 500;

/// What became of what opens a mall.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// The keys that were ended: each has to be made anew.
    pub keys: Vec<Key>,
    /// People whose second factor works here.
    pub factors: u64,
    /// People who have to set theirs up again: it was sealed under another key than this server's.
    pub factors_lost: u64,
    /// People whose invitation has to be sent again.
    pub invited: i64,
}

/// Ends every key, and seals the second factors for this mall that were sealed for `from`.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn settle(
    tx: &mut Tx,
    _grant: &Grant<CarryTenant>,
    vault: Option<&Vault>,
    from: TenantId,
) -> Result<Opening, Error> {
    let mut opening = Opening {
        keys: keys::revoke_all(tx).await?,
        invited: store::invited(tx).await?,
        ..Opening::default()
    };
    let tenant = tx.tenant();
    let mut after: Option<StaffId> = None;
    loop {
        let factors = store::factors(tx, after, SLICE).await?;
        let Some((last, _)) = factors.last() else {
            return Ok(opening);
        };
        after = Some(*last);
        for (staff, sealed) in factors {
            let of = |tenant| Whose { tenant, staff };
            let whose = (&of(from), &of(tenant));
            let again = vault.and_then(|vault| resealed(vault, whose, &sealed, tx.entropy()));
            let counted = match again {
                Some(_) => &mut opening.factors,
                None => &mut opening.factors_lost,
            };
            *counted = counted.saturating_add(1);
            store::reseal(tx, staff, again.as_deref()).await?;
        }
    }
}

//! A mall was made of an archive of another one: links that were sent open nothing here, letters that
//! waited are not sent, and what was sealed for that mall is sealed for this one.

use super::{OnboardingError, news, store};
use crate::{
    authz::{action::CarryTenant, grant::Grant},
    db::tx::Tx,
    kernel::{
        ids::{ApplicationId, TenantId},
        vault::Vault,
    },
};

/// Applications that one question reads.
const SLICE: i64 = 500;

/// What became of applications.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applications {
    /// Those whose sealed numbers can be read here.
    pub secrets: u64,
    /// Those whose numbers of identity cards and bank accounts have to be asked for again: they were
    /// sealed under another key than this server's.
    pub secrets_lost: u64,
    /// Links that open nothing any more.
    pub links: u64,
    /// Letters that were not sent, and are not going to be.
    pub letters: u64,
}

/// To whom sealed secrets belong, so that they open nowhere else.
pub(super) fn bound(tenant: TenantId, application: ApplicationId) -> Vec<u8> {
    let (mall, id) = (tenant.uuid(), application.uuid());
    [&b"application"[..], mall.as_bytes(), id.as_bytes()].concat()
}

/// Ends every link, gives up what waits to be sent, and seals for this mall what was sealed for `from`.
///
/// # Errors
/// [`OnboardingError::Db`].
pub async fn settle(
    tx: &mut Tx,
    _grant: &Grant<CarryTenant>,
    vault: Option<&Vault>,
    from: TenantId,
    problem: &str,
) -> Result<Applications, OnboardingError> {
    let (links, letters) = news::store::end_all(tx, problem).await?;
    let mut done = Applications {
        links,
        letters,
        ..Applications::default()
    };
    let tenant = tx.tenant();
    let mut after: Option<ApplicationId> = None;
    loop {
        let sealed = store::sealed(tx, after, SLICE).await?;
        let Some((last, _)) = sealed.last() else {
            return Ok(done);
        };
        after = Some(*last);
        for (id, sealed) in sealed {
            let again = vault.and_then(|vault| {
                let text = vault.open(&bound(from, id), &sealed)?;
                vault.seal(&bound(tenant, id), &text, tx.entropy())
            });
            let counted = match again {
                Some(_) => &mut done.secrets,
                None => &mut done.secrets_lost,
            };
            *counted = counted.saturating_add(1);
            store::reseal(tx, id, again.as_deref()).await?;
        }
    }
}

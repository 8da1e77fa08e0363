//! What an approval of an application does in more rooms than one, in one transaction: the merchant
//! with its stores, and the invitation of its owner.

use secrecy::SecretString;
use thiserror::Error;

use super::App;
use crate::{
    authz::{
        action::{DecideApplications, InviteStaff, UseAccount},
        actor::{Actor, Principal, Role, Stores},
        grant::Grant,
        own::OwnRoles,
        policy::Denied,
    },
    db::{self, tenants::Tenant, tx::Tx},
    gateway::mail::Mailer,
    identity::{
        sessions,
        signin::SignInError,
        staff::{self, NewStaff, Roles, StaffError, Tell},
    },
    kernel::{
        ids::{ApplicationId, MerchantId},
        text::{Code, Name},
    },
    merchants::onboarding::{self, Application, OnboardingError, Rights, Whole},
};

/// In which role whoever applied comes.
const OWNER: &str = "merchant.owner";

/// Why an application is not approved.
#[derive(Debug, Error)]
pub enum JoinError {
    /// What onboarding says.
    #[error(transparent)]
    Onboarding(#[from] OnboardingError),
    /// What inviting the owner says.
    #[error(transparent)]
    Staff(#[from] StaffError),
    /// Who decides may not do a part of it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Who decides is nobody any more.
    #[error(transparent)]
    Person(#[from] SignInError),
}

/// An application that is approved.
#[derive(Debug)]
pub struct Joined {
    /// As it is now.
    pub whole: Whole,
    /// The token of the owner's invitation, where no letter can tell it.
    pub invitation: Option<SecretString>,
}

/// Approves an application, and invites its owner by the house's own right: who decides about
/// merchants need not be one who invites people.
///
/// # Errors
/// [`JoinError`].
pub async fn approve(
    app: &App,
    tx: &mut Tx,
    tenant: &Tenant,
    grant: &Grant<DecideApplications>,
    id: ApplicationId,
    code: Option<Code>,
) -> Result<Joined, JoinError> {
    let policy = &app.policy;
    let rights = Rights {
        merchant: policy.also(grant)?,
        rest: policy.also(grant)?,
        store: policy.also(grant)?,
        contact: policy.also(grant)?,
    };
    let who = match grant.actor() {
        Actor::Staff(_) => {
            let own: Grant<UseAccount> = policy.also(grant)?;
            Some(sessions::me(tx, &own).await?.email)
        }
        _ => None,
    };
    let vault = app.vault.as_ref();
    let done = onboarding::approve(tx, grant, &rights, vault, id, code, who.as_ref()).await?;
    let mut invitation = None;
    if let Some(merchant) = done.fresh {
        invitation = invite(app, tx, tenant, &done.whole.application, merchant).await?;
    }
    Ok(Joined {
        whole: done.whole,
        invitation,
    })
}

async fn invite(
    app: &App,
    tx: &mut Tx,
    tenant: &Tenant,
    application: &Application,
    merchant: MerchantId,
) -> Result<Option<SecretString>, JoinError> {
    let grant: Grant<InviteStaff> = app.policy.allow(&Principal::system(tenant.id))?;
    let form = &application.form;
    // Whose address it is, where that is said; else who speaks for the company.
    let contact = form.contacts.iter().find(|one| {
        one.email
            .trim()
            .eq_ignore_ascii_case(application.email.as_str())
    });
    let name = contact.map_or(&form.representative, |one| &one.name);
    let name: Name = name
        .parse()
        .map_err(|_| db::Error::Corrupt("name of an applicant"))
        .map_err(StaffError::Db)?;
    let new = NewStaff {
        email: application.email.clone(),
        name,
        language: application.language,
        roles: Roles::new(
            &app.policy,
            &OwnRoles::default(),
            vec![Role::new(OWNER)],
            Some(merchant),
            Stores::All,
        )?,
    };
    let tell = match app.mailer {
        Mailer::Off => Tell::ByInviter,
        Mailer::Smtp(_) => Tell::ByMail,
    };
    let invited = staff::invite(tx, &app.policy, &grant, new, tell).await?;
    Ok(invited.token)
}

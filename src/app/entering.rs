//! How a member comes in: a code shows that a telephone is theirs, and whoever has none of its number
//! yet is enrolled. Identity knows telephones and sessions, members knows members; here they meet.

use secrecy::SecretString;

use super::App;
use crate::{
    authz::{
        action::{EnrolMember, ReadMembers, SignIn},
        actor::Principal,
        grant::Grant,
        policy::Denied,
    },
    db::{self, tx::Tx},
    identity::{
        members::{
            Entered,
            codes::{self, Proof},
        },
        signin::{Origin, SignInError},
    },
    kernel::{ids::TenantId, text::Name},
    members::{self, Enrolment, Lookup, Member, MemberError},
};
use thiserror::Error;

/// Why a member does not come in.
#[derive(Debug, Error)]
pub enum EnterError {
    /// The code.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// The member.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// The policy does not let the house do its part.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// A member who came in.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Who.
    pub member: Member,
    /// Whether they became a member by it.
    pub joined: bool,
    /// The session.
    pub entered: Entered,
}

/// Comes in with the code that a telephone was told, all or nothing; `name` is for who joins.
///
/// # Errors
/// [`EnterError`].
pub async fn enter(
    app: &App,
    tenant: TenantId,
    grant: &Grant<SignIn>,
    (token, code): (&SecretString, &str),
    name: Option<Name>,
    from: &Origin,
) -> Result<Arrival, EnterError> {
    let house = Principal::system(tenant);
    let reads = app.policy.allow::<ReadMembers>(&house)?;
    let enrols = app.policy.allow::<EnrolMember>(&house)?;
    let proof = codes::check(&app.db, grant, token, code).await?;
    let mut tx = app.db.write(grant).await?;
    let (member, joined) = member_of(&mut tx, (&reads, &enrols), &proof, name).await?;
    let entered = codes::enter(&mut tx, grant, &proof, member.id, from).await?;
    tx.commit().await?;
    Ok(Arrival {
        member,
        joined,
        entered,
    })
}

/// Whose number it is, and whether they are a member since now.
async fn member_of(
    tx: &mut Tx,
    (reads, enrols): (&Grant<ReadMembers>, &Grant<EnrolMember>),
    proof: &Proof,
    name: Option<Name>,
) -> Result<(Member, bool), MemberError> {
    match members::find(tx, reads, &Lookup::Phone(proof.phone.clone())).await {
        Err(MemberError::UnknownMember) => {}
        found => return Ok((found?, false)),
    }
    let new = Enrolment {
        phone: Some(proof.phone.clone()),
        card_number: None,
        name,
    };
    match members::enrol(tx, enrols, new).await {
        // A till enrolled the same number in the meantime.
        Err(MemberError::AlreadyMember(Some(holder))) => {
            Ok((members::get(tx, reads, holder).await?, false))
        }
        enrolled => Ok((enrolled?, true)),
    }
}

//! For members: coming in by a code, and what is one's own.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use secrecy::{ExposeSecret, SecretString};

use super::{Group, pos::members::MemberOut};
use crate::{
    app::entering,
    authz::action::{ReadMembers, UseMembership},
    http::{
        admit::{Caller, Stranger},
        body::Body,
        codes as refused,
        paging::{self, List},
        problem::Problem,
        reply::Reply,
        wire::{Cursor, Hidden, Limit, Moment, Telephone, Text},
    },
    identity::members::{self as visits, Visit, codes},
    kernel::{
        ids::MemberSessionId,
        text::{Language, Name},
    },
    members,
};

/// The address of the list of one's own sessions.
const SESSIONS: &str = "/v1/membership/sessions";

/// Operations of members on what is theirs.
#[derive(Debug)]
pub struct Membership;

/// Who wants to come in.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct AskCodeIn {
    /// The telephone number, a member's or not.
    phone: Telephone,
    /// In which language the message is; without it, the mall's first.
    language: Option<Language>,
}

/// A code that is on its way to a telephone.
#[derive(Debug, Clone, Object)]
#[oai(rename = "SignInCode")]
struct AskedOut {
    /// What opens together with the code; it is told this once, and only to whoever asked.
    token: String,
    /// Until when the code opens.
    expires_at: Moment,
    /// From when on another one may be asked for.
    again_at: Moment,
}

/// What a member comes in with.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct EnterIn {
    /// What the request for the code answered.
    token: Hidden,
    /// The six digits that the telephone was told.
    code: Text,
    /// What to call whoever becomes a member by it.
    name: Option<Name>,
}

/// A member's session, without the token.
#[derive(Debug, Clone, Object)]
#[oai(rename = "MemberSession", skip_serializing_if_is_none)]
struct VisitOut {
    /// Its id, which opens nothing.
    session_id: MemberSessionId,
    /// From where, in short.
    origin: String,
    /// When it began.
    created_at: Moment,
    /// When it was used last, to the hour.
    seen_at: Moment,
    /// When it ends at the latest; a month without use ends it sooner.
    expires_at: Moment,
    /// When it was ended.
    ended_at: Option<Moment>,
}

impl From<Visit> for VisitOut {
    fn from(visit: Visit) -> Self {
        Self {
            session_id: visit.id,
            origin: visit.origin,
            created_at: Moment(visit.created_at),
            seen_at: Moment(visit.seen_at),
            expires_at: Moment(visit.expires_at),
            ended_at: visit.ended_at.map(Moment),
        }
    }
}

/// A member who came in.
#[derive(Debug, Clone, Object)]
#[oai(rename = "EnteredMember")]
struct EnteredOut {
    /// Who.
    member: MemberOut,
    /// Whether they became a member by it.
    joined: bool,
    /// The session.
    session: VisitOut,
    /// Its token, for `Authorization: Bearer`. It is told this once.
    token: String,
}

/// What a member says of themselves.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct SetOwnIn {
    /// What to call the member; without it, nothing.
    name: Option<Name>,
}

/// Oneself.
#[derive(Debug, Clone, Object)]
#[oai(rename = "OwnMembership")]
struct OwnOut {
    /// Who.
    member: MemberOut,
    /// The session by which it is asked for.
    session_id: MemberSessionId,
}

#[OpenApi(tag = "Group::Member")]
impl Membership {
    /// Ask for a code
    ///
    /// Sends a code of six digits to a telephone, whoever's it is, without a key. It opens once, for five
    /// minutes, together with `token`. 409 `sign-in-codes-off`, 429 `too-many-codes`.
    #[oai(
        path = "/v1/sign-in-codes",
        method = "post",
        operation_id = "ask_for_sign_in_code"
    )]
    async fn ask_for_sign_in_code(
        &self,
        stranger: Stranger,
        body: Body<AskCodeIn>,
    ) -> Result<Reply<201, AskedOut>, Problem> {
        let AskCodeIn { phone, language } = body.value;
        let (app, mall) = (stranger.app(), &stranger.tenant);
        if app.sms.is_off() {
            return Err(Problem::of(&refused::SIGN_IN_CODES_OFF));
        }
        let phone = phone.within(&mall.calling_code);
        let phone = phone.ok_or_else(|| Problem::of(&refused::INVALID_BODY))?;
        let language = language.unwrap_or_else(|| mall.language());
        let (grant, origin, most) = (&stranger.grant, &stranger.origin, app.config.codes_a_day);
        let asked = codes::ask(&app.db, grant, &phone, language, origin, most).await?;
        app.bell.ring(mall.id);
        Ok(Reply::new(&AskedOut {
            token: asked.token.expose_secret().to_owned(),
            expires_at: Moment(asked.expires_at),
            again_at: Moment(asked.again_at),
        }))
    }

    /// Come in as a member
    ///
    /// With the code, without a key. Who has the number of no member becomes one. 409
    /// `wrong-sign-in-code`, `sign-in-code-gone`.
    #[oai(
        path = "/v1/member-sessions",
        method = "post",
        operation_id = "enter_as_member"
    )]
    async fn enter_as_member(
        &self,
        stranger: Stranger,
        body: Body<EnterIn>,
    ) -> Result<Reply<201, EnteredOut>, Problem> {
        let EnterIn { token, code, name } = body.value;
        let (app, mall) = (stranger.app(), stranger.tenant.id);
        let shown: (&SecretString, &str) = (token.secret(), code.as_str());
        let arrival =
            entering::enter(app, mall, &stranger.grant, shown, name, &stranger.origin).await?;
        Ok(Reply::new(&EnteredOut {
            member: arrival.member.into(),
            joined: arrival.joined,
            session: arrival.entered.visit.into(),
            token: arrival.entered.token.expose_secret().to_owned(),
        }))
    }

    /// Show one's own membership
    #[oai(
        path = "/v1/membership",
        method = "get",
        operation_id = "get_membership"
    )]
    async fn get_membership(
        &self,
        caller: Caller<UseMembership>,
    ) -> Result<Reply<200, OwnOut>, Problem> {
        let session_id = caller.membership()?;
        let member = oneself(&caller).await?;
        Ok(Reply::new(&OwnOut { member, session_id }))
    }

    /// Change one's own membership
    ///
    /// The whole of what a member says of themselves: what is left out is gone.
    #[oai(
        path = "/v1/membership",
        method = "put",
        operation_id = "set_membership"
    )]
    async fn set_membership(
        &self,
        caller: Caller<UseMembership>,
        body: Body<SetOwnIn>,
    ) -> Result<Reply<200, OwnOut>, Problem> {
        let session_id = caller.membership()?;
        let mut tx = caller.db().write(&caller.grant).await?;
        members::rename(&mut tx, &caller.grant, body.value.name.as_ref()).await?;
        tx.commit().await?;
        let member = oneself(&caller).await?;
        Ok(Reply::new(&OwnOut { member, session_id }))
    }

    /// List one's sessions as a member
    ///
    /// The newest first, with those that were ended.
    #[oai(
        path = "/v1/membership/sessions",
        method = "get",
        operation_id = "list_member_sessions"
    )]
    async fn list_member_sessions(
        &self,
        caller: Caller<UseMembership>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<VisitOut>>, Problem> {
        let slice = paging::slice(caller.app(), SESSIONS, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = visits::list(&mut tx, &caller.grant, &slice).await?;
        let list = List::new(caller.app(), SESSIONS, page, VisitOut::from);
        Ok(Reply::new(&list))
    }

    /// End one of one's sessions as a member
    ///
    /// It opens nothing from the next second on. Ending it again changes nothing.
    #[oai(
        path = "/v1/membership/sessions/:member_session_id/revocation",
        method = "post",
        operation_id = "revoke_member_session"
    )]
    async fn revoke_member_session(
        &self,
        caller: Caller<UseMembership>,
        member_session_id: Path<MemberSessionId>,
    ) -> Result<Reply<200, VisitOut>, Problem> {
        let mut tx = caller.db().write(&caller.grant).await?;
        let ended = visits::end(&mut tx, &caller.grant, member_session_id.0).await?;
        tx.commit().await?;
        Ok(Reply::new(&ended.into()))
    }

    /// Sign out as a member
    ///
    /// Ends the session by which it is asked for.
    #[oai(
        path = "/v1/membership/sign-out",
        method = "post",
        operation_id = "sign_out_as_member"
    )]
    async fn sign_out_as_member(
        &self,
        caller: Caller<UseMembership>,
    ) -> Result<Reply<200, VisitOut>, Problem> {
        let own = caller.membership()?;
        let mut tx = caller.db().write(&caller.grant).await?;
        let ended = visits::end(&mut tx, &caller.grant, own).await?;
        tx.commit().await?;
        Ok(Reply::new(&ended.into()))
    }
}

/// The member who asks.
async fn oneself(caller: &Caller<UseMembership>) -> Result<MemberOut, Problem> {
    let own = visits::oneself(&caller.grant)?;
    let reads = caller.app().policy.also::<_, ReadMembers>(&caller.grant);
    let reads = reads.map_err(|_| Problem::of(&refused::NOT_ALLOWED))?;
    let mut tx = caller.db().read(&reads).await?;
    Ok(members::get(&mut tx, &reads, own).await?.into())
}

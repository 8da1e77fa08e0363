//! For people: coming in, and what is one's own.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    Group,
    operator::staff::PersonOut,
    words::{NeedWord, ThemeWord},
};
use crate::{
    authz::action::UseAccount,
    http::{
        admit::{Caller, Stranger},
        body::Body,
        codes,
        paging::{self, List},
        problem::Problem,
        reply::Reply,
        wire::{Cursor, Hidden, Limit, Moment, Text},
    },
    identity::{
        sessions::{self, Preferences, SignedIn},
        signin::{self, About, Need, Opened},
        staff::LinkKind,
    },
    kernel::{
        ids::SessionId,
        text::{Email, Language, Name},
        time::Zone,
    },
};

/// The address of the list of one's own sessions.
const SESSIONS: &str = "/v1/me/sessions";

/// Operations of people on what is theirs.
#[derive(Debug)]
pub struct Account;

/// What somebody signs in by.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct SignInIn {
    /// The address.
    email: Email,
    /// The password.
    password: Hidden,
}

/// Who forgot the password.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct AskIn {
    /// The address.
    email: Email,
}

/// A link with the password that is chosen by it.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct ResetIn {
    /// What stands behind `token=` in the link.
    token: Hidden,
    /// The password, of 10 to 128 characters.
    password: Hidden,
}

/// An invitation with the password that is chosen by it.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct AcceptIn {
    /// What stands behind `token=` in the link.
    token: Hidden,
    /// The password, of 10 to 128 characters.
    password: Hidden,
    /// What one is called; without it, as whoever invited one said.
    name: Option<Name>,
    /// In which language one is spoken to; without it, as it was.
    language: Option<Language>,
}

/// The password so far, and another.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct PasswordIn {
    /// The password so far.
    current: Hidden,
    /// The new one, of 10 to 128 characters.
    new: Hidden,
}

/// A code of the second factor.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct CodeIn {
    /// Six digits, or a recovery code where one takes those.
    code: Text,
}

/// What follows a person wherever they sign in.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct MeIn {
    /// What one is called.
    name: Name,
    /// In which language one is spoken to.
    language: Language,
    /// In which zone times are shown; without it, the mall's.
    time_zone: Option<Text>,
    /// How pages look.
    theme: ThemeWord,
}

/// That somebody is signed in, without the token.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Session", skip_serializing_if_is_none)]
struct SessionOut {
    /// Its id, which opens nothing.
    session_id: SessionId,
    /// Whether the second factor was shown.
    second_factor: bool,
    /// From where, in short.
    origin: String,
    /// When it began.
    created_at: Moment,
    /// When it was used last, to the minute.
    seen_at: Moment,
    /// When it ends at the latest; half an hour without use ends it sooner.
    expires_at: Moment,
    /// When it was ended.
    ended_at: Option<Moment>,
}

impl From<SignedIn> for SessionOut {
    fn from(session: SignedIn) -> Self {
        Self {
            session_id: session.id,
            second_factor: session.second_factor,
            origin: session.origin,
            created_at: Moment(session.created_at),
            seen_at: Moment(session.seen_at),
            expires_at: Moment(session.expires_at),
            ended_at: session.ended_at.map(Moment),
        }
    }
}

/// A session with its token.
#[derive(Debug, Clone, Object)]
#[oai(rename = "OpenedSession", skip_serializing_if_is_none)]
struct OpenedOut {
    /// The session.
    session: SessionOut,
    /// The token, for `Authorization: Bearer`. It is told this once; the one before it, if there was
    /// one, opens nothing any more.
    token: String,
    /// What the session needs before it opens more than one's own account.
    needs: NeedWord,
}

impl From<Opened> for OpenedOut {
    fn from(opened: Opened) -> Self {
        Self {
            session: opened.session.into(),
            token: opened.token.expose_secret().to_owned(),
            needs: opened.need.into(),
        }
    }
}

/// Oneself.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Me", skip_serializing_if_is_none)]
struct MeOut {
    /// The person.
    person: PersonOut,
    /// The session by which it is asked for.
    session_id: SessionId,
    /// What the session needs before it opens more than one's own account.
    needs: NeedWord,
}

/// A second factor that is being set up.
#[derive(Debug, Clone, Object)]
#[oai(rename = "SecondFactor")]
struct EnrolmentOut {
    /// The secret in base32, to be typed into an app for one-time codes. It is told this once.
    secret: String,
    /// The same as an `otpauth://` address, to be shown as a square.
    address: String,
}

/// What replaces a lost telephone.
#[derive(Debug, Clone, Object)]
#[oai(rename = "RecoveryCodes")]
struct CodesOut {
    /// Each opens once. They are told this once, and those before open nothing any more.
    recovery_codes: Vec<String>,
}

/// A second factor in use.
#[derive(Debug, Clone, Object)]
#[oai(rename = "SecondFactorActivated")]
struct ActivatedOut {
    /// The session, with another token.
    opened: OpenedOut,
    /// What replaces a lost telephone: each opens once. They are told this once.
    recovery_codes: Vec<String>,
}

/// That something was taken note of.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Noted")]
struct NotedOut {
    /// Always true, whether there is such an account or not.
    noted: bool,
}

/// How many sessions were ended.
#[derive(Debug, Clone, Object)]
#[oai(rename = "SessionsEnded")]
struct EndedOut {
    /// How many.
    ended: u64,
}

fn told(codes: &[SecretString]) -> Vec<String> {
    codes
        .iter()
        .map(|code| code.expose_secret().to_owned())
        .collect()
}

#[OpenApi(tag = "Group::Person")]
impl Account {
    /// Sign in
    ///
    /// With address and password, without a key. `needs` says what the session needs before it opens
    /// more than one's own account. 401 `wrong-credentials`, 429 `too-many-tries`.
    #[oai(path = "/v1/sessions", method = "post", operation_id = "sign_in")]
    async fn sign_in(
        &self,
        stranger: Stranger,
        body: Body<SignInIn>,
    ) -> Result<Reply<201, OpenedOut>, Problem> {
        let SignInIn { email, password } = body.value;
        let (desk, grant) = (stranger.app().desk(), &stranger.grant);
        let opened =
            signin::sign_in(desk, grant, &email, password.secret(), &stranger.origin).await?;
        Ok(Reply::new(&opened.into()))
    }

    /// Ask for a link
    ///
    /// For who forgot the password: where somebody has that address, a letter with a link goes there.
    /// The answer is the same where nobody has. 429 `too-many-tries`.
    #[oai(
        path = "/v1/password-resets",
        method = "post",
        operation_id = "ask_for_password_reset"
    )]
    async fn ask_for_password_reset(
        &self,
        stranger: Stranger,
        body: Body<AskIn>,
    ) -> Result<Reply<200, NotedOut>, Problem> {
        let (desk, grant) = (stranger.app().desk(), &stranger.grant);
        signin::ask_for_link(desk, grant, &body.value.email, &stranger.origin).await?;
        stranger.app().bell.ring(stranger.tenant.id);
        Ok(Reply::new(&NotedOut { noted: true }))
    }

    /// Choose a password by a link
    ///
    /// Every other session of the person ends, and this opens one. 409 `link-not-valid`, 409
    /// `bad-password`.
    #[oai(
        path = "/v1/password-resets/completion",
        method = "post",
        operation_id = "reset_password"
    )]
    async fn reset_password(
        &self,
        stranger: Stranger,
        body: Body<ResetIn>,
    ) -> Result<Reply<201, OpenedOut>, Problem> {
        let ResetIn { token, password } = body.value;
        let about = About::default();
        redeem(&stranger, LinkKind::Reset, &token, &password, &about).await
    }

    /// Accept an invitation
    ///
    /// Chooses a password and opens a session. 409 `link-not-valid`, 409 `bad-password`.
    #[oai(
        path = "/v1/staff/invitations/acceptance",
        method = "post",
        operation_id = "accept_invitation"
    )]
    async fn accept_invitation(
        &self,
        stranger: Stranger,
        body: Body<AcceptIn>,
    ) -> Result<Reply<201, OpenedOut>, Problem> {
        let AcceptIn {
            token,
            password,
            name,
            language,
        } = body.value;
        let about = About { name, language };
        redeem(&stranger, LinkKind::Invitation, &token, &password, &about).await
    }

    /// Show oneself
    ///
    /// Also before the second factor: `needs` says what is missing.
    #[oai(path = "/v1/me", method = "get", operation_id = "get_me")]
    async fn get_me(&self, caller: Caller<UseAccount>) -> Result<Reply<200, MeOut>, Problem> {
        let seen = caller.session()?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let person = sessions::me(&mut tx, &caller.grant).await?;
        let needs = Need::of(&person, !seen.limited);
        Ok(Reply::new(&MeOut {
            person: person.into(),
            session_id: seen.id,
            needs: needs.into(),
        }))
    }

    /// Set what follows oneself
    ///
    /// Name, language, zone and theme. 409 `unknown-time-zone`.
    #[oai(path = "/v1/me", method = "put", operation_id = "set_me")]
    async fn set_me(
        &self,
        caller: Caller<UseAccount>,
        body: Body<MeIn>,
    ) -> Result<Reply<200, PersonOut>, Problem> {
        let wanted = body.value;
        let zone = wanted.time_zone.map(|zone| zone.as_str().parse::<Zone>());
        let zone = zone
            .transpose()
            .map_err(|_| Problem::of(&codes::UNKNOWN_ZONE))?;
        let wanted = Preferences {
            name: wanted.name,
            language: wanted.language,
            zone,
            theme: wanted.theme.into(),
        };
        let seen = caller.session()?;
        let mut tx = caller.db().write(&caller.grant).await?;
        let person = sessions::prefer(&mut tx, &caller.grant, &seen, &wanted).await?;
        tx.commit().await?;
        Ok(Reply::new(&person.into()))
    }

    /// List one's sessions
    ///
    /// The newest first, with those that were ended.
    #[oai(
        path = "/v1/me/sessions",
        method = "get",
        operation_id = "list_sessions"
    )]
    async fn list_sessions(
        &self,
        caller: Caller<UseAccount>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<SessionOut>>, Problem> {
        let slice = paging::slice(caller.app(), SESSIONS, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = sessions::list(&mut tx, &caller.grant, &slice).await?;
        let list = List::new(caller.app(), SESSIONS, page, SessionOut::from);
        Ok(Reply::new(&list))
    }

    /// Revoke one of one's sessions
    ///
    /// It opens nothing from the next second on. Revoking it again changes nothing.
    #[oai(
        path = "/v1/me/sessions/:session_id/revocation",
        method = "post",
        operation_id = "revoke_session"
    )]
    async fn revoke_session(
        &self,
        caller: Caller<UseAccount>,
        session_id: Path<SessionId>,
    ) -> Result<Reply<200, SessionOut>, Problem> {
        let seen = caller.session()?;
        let mut tx = caller.db().write(&caller.grant).await?;
        let ended = sessions::revoke(&mut tx, &caller.grant, &seen, session_id.0).await?;
        tx.commit().await?;
        Ok(Reply::new(&ended.into()))
    }

    /// Revoke all one's other sessions
    #[oai(
        path = "/v1/me/sessions/revocation",
        method = "post",
        operation_id = "revoke_other_sessions"
    )]
    async fn revoke_other_sessions(
        &self,
        caller: Caller<UseAccount>,
    ) -> Result<Reply<200, EndedOut>, Problem> {
        let seen = caller.session()?;
        let mut tx = caller.db().write(&caller.grant).await?;
        let ended = sessions::revoke_others(&mut tx, &caller.grant, &seen).await?;
        tx.commit().await?;
        Ok(Reply::new(&EndedOut { ended }))
    }

    /// Sign out
    ///
    /// The token opens nothing from the next second on.
    #[oai(path = "/v1/me/sign-out", method = "post", operation_id = "sign_out")]
    async fn sign_out(
        &self,
        caller: Caller<UseAccount>,
    ) -> Result<Reply<200, SessionOut>, Problem> {
        let seen = caller.session()?;
        let mut tx = caller.db().write(&caller.grant).await?;
        let ended = sessions::sign_out(&mut tx, &caller.grant, &seen).await?;
        tx.commit().await?;
        Ok(Reply::new(&ended.into()))
    }

    /// Choose another password
    ///
    /// Every other session ends, and this one gets another token. 409 `wrong-password`, 409
    /// `bad-password`, 429 `too-many-tries`.
    #[oai(
        path = "/v1/me/password",
        method = "post",
        operation_id = "change_password"
    )]
    async fn change_password(
        &self,
        caller: Caller<UseAccount>,
        body: Body<PasswordIn>,
    ) -> Result<Reply<200, OpenedOut>, Problem> {
        let (seen, PasswordIn { current, new }) = (caller.session()?, body.value);
        let (desk, grant) = (caller.app().desk(), &caller.grant);
        let opened =
            signin::change_password(desk, grant, &seen, current.secret(), new.secret()).await?;
        Ok(Reply::new(&opened.into()))
    }

    /// Begin to set a second factor up
    ///
    /// Answers a secret for an app that makes one-time codes, this once; asking again makes another. It
    /// is in use when a code of it was shown. 409 `second-factor-set-up`, 409 `second-factor-off`.
    #[oai(
        path = "/v1/me/second-factor",
        method = "post",
        operation_id = "begin_second_factor"
    )]
    async fn begin_second_factor(
        &self,
        caller: Caller<UseAccount>,
    ) -> Result<Reply<201, EnrolmentOut>, Problem> {
        let issuer = caller.tenant.names.get(caller.tenant.language()).to_owned();
        let vault = caller.app().vault.as_ref();
        let mut tx = caller.db().write(&caller.grant).await?;
        let told = signin::begin_enrolment(&mut tx, &caller.grant, vault, &issuer).await?;
        tx.commit().await?;
        Ok(Reply::new(&EnrolmentOut {
            secret: told.secret.expose_secret().to_owned(),
            address: told.address.expose_secret().to_owned(),
        }))
    }

    /// Take the second factor into use
    ///
    /// By a first code of it. Answers ten recovery codes this once, and the session with another
    /// token. 409 `wrong-code`, 409 `no-second-factor`, 409 `second-factor-set-up`,
    /// 429 `too-many-tries`.
    #[oai(
        path = "/v1/me/second-factor/activation",
        method = "post",
        operation_id = "activate_second_factor"
    )]
    async fn activate_second_factor(
        &self,
        caller: Caller<UseAccount>,
        body: Body<CodeIn>,
    ) -> Result<Reply<200, ActivatedOut>, Problem> {
        let (seen, code) = (caller.session()?, body.value.code);
        let (desk, grant) = (caller.app().desk(), &caller.grant);
        let activated = signin::activate(desk, grant, &seen, code.as_str()).await?;
        Ok(Reply::new(&ActivatedOut {
            recovery_codes: told(&activated.recovery_codes),
            opened: activated.opened.into(),
        }))
    }

    /// Show the second factor
    ///
    /// A code of this moment, or a recovery code. The session gets another token. 409 `wrong-code`, 409
    /// `no-second-factor`, 429 `too-many-tries`.
    #[oai(
        path = "/v1/me/second-factor/verification",
        method = "post",
        operation_id = "verify_second_factor"
    )]
    async fn verify_second_factor(
        &self,
        caller: Caller<UseAccount>,
        body: Body<CodeIn>,
    ) -> Result<Reply<200, OpenedOut>, Problem> {
        let (seen, code) = (caller.session()?, body.value.code);
        let (desk, grant) = (caller.app().desk(), &caller.grant);
        let opened = signin::pass(desk, grant, &seen, code.as_str()).await?;
        Ok(Reply::new(&opened.into()))
    }

    /// Remove the second factor
    ///
    /// So that another can be set up. Every other session ends, and this one gets another token; whose
    /// role asks for a second factor does nothing else before. 409 `no-second-factor`.
    #[oai(
        path = "/v1/me/second-factor/removal",
        method = "post",
        operation_id = "remove_second_factor"
    )]
    async fn remove_second_factor(
        &self,
        caller: Caller<UseAccount>,
    ) -> Result<Reply<200, OpenedOut>, Problem> {
        let seen = caller.session()?;
        let mut tx = caller.db().write(&caller.grant).await?;
        let opened = signin::remove_factor(&mut tx, &caller.grant, &seen).await?;
        tx.commit().await?;
        Ok(Reply::new(&opened.into()))
    }

    /// Make new recovery codes
    ///
    /// They are told this once. 409 `no-second-factor`.
    #[oai(
        path = "/v1/me/second-factor/recovery-codes",
        method = "post",
        operation_id = "make_recovery_codes"
    )]
    async fn make_recovery_codes(
        &self,
        caller: Caller<UseAccount>,
    ) -> Result<Reply<201, CodesOut>, Problem> {
        let seen = caller.session()?;
        let mut tx = caller.db().write(&caller.grant).await?;
        let codes = signin::new_recovery_codes(&mut tx, &caller.grant, &seen).await?;
        tx.commit().await?;
        Ok(Reply::new(&CodesOut {
            recovery_codes: told(&codes),
        }))
    }
}

async fn redeem(
    stranger: &Stranger,
    kind: LinkKind,
    token: &Hidden,
    password: &Hidden,
    about: &About,
) -> Result<Reply<201, OpenedOut>, Problem> {
    let by = (token.secret(), password.secret());
    let (desk, grant) = (stranger.app().desk(), &stranger.grant);
    let opened = signin::redeem(desk, grant, kind, by, about, &stranger.origin).await?;
    Ok(Reply::new(&opened.into()))
}

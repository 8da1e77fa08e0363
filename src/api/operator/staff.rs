//! The people who work in the mall.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use crate::{
    api::{
        Group,
        words::{LetterWord, StaffStateWord, ThemeWord},
    },
    app::address,
    authz::{
        action::{InviteStaff, ManageStaff, ReadStaff},
        actor::{Role, Stores},
    },
    db::tx::Tx,
    gateway::mail::Mailer,
    http::{
        admit::Caller,
        body::Body,
        codes,
        idempotency::{IdempotencyKey, Once},
        paging::{self, List},
        problem::Problem,
        reply::Reply,
        wire::{Cursor, Limit, Moment, Text},
    },
    identity::staff::{
        self, Invited, LinkMail, NewStaff, Roles, Staff as Person, StaffError, State, Tell, Wanted,
    },
    kernel::{
        ids::{LinkId, MerchantId, StaffId, StoreId},
        text::{Email, Language, Name},
    },
    merchants::{self, MerchantError},
};

/// The address of the list of people.
const STAFF: &str = "/v1/staff";

/// The address of the list of invitations.
const INVITATIONS: &str = "/v1/staff/invitations";

/// Operations on people.
#[derive(Debug)]
pub struct Staff;

/// Somebody to be invited.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct InviteIn {
    /// Where the letter goes, and by what they sign in.
    email: Email,
    /// What they are called.
    name: Name,
    /// In which language they are written to; without it, the mall's first.
    language: Option<Language>,
    /// In which roles they act: of the permission table, all beginning with `operator.` or all with
    /// `merchant.`.
    #[oai(validator(min_items = 1, max_items = 10))]
    roles: Vec<Text>,
    /// The merchant that merchant's roles are for; only for those.
    merchant_id: Option<MerchantId>,
    /// The stores of it that they are narrowed to; without them, they reach all.
    #[oai(validator(min_items = 1, max_items = 50))]
    store_ids: Option<Vec<StoreId>>,
}

/// The roles that somebody is to have.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct RolesIn {
    /// All of them, for the same merchant or the mall as before.
    #[oai(validator(min_items = 1, max_items = 10))]
    roles: Vec<Text>,
    /// The stores of their merchant that they are narrowed to; without them, they reach all.
    #[oai(validator(min_items = 1, max_items = 50))]
    store_ids: Option<Vec<StoreId>>,
}

/// A person who works in the mall.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Person", skip_serializing_if_is_none)]
pub struct PersonOut {
    /// Their id.
    pub staff_id: StaffId,
    /// By what they sign in.
    pub email: Email,
    /// What they are called.
    pub name: String,
    /// In which language they are spoken to.
    pub language: Language,
    /// In which zone times are shown to them; without it, the mall's.
    pub time_zone: Option<String>,
    /// How pages look to them.
    pub theme: ThemeWord,
    /// How far they are.
    pub state: StaffStateWord,
    /// In which roles they act.
    pub roles: Vec<String>,
    /// The merchant that they never reach beyond.
    pub merchant_id: Option<MerchantId>,
    /// The stores of it that they are narrowed to.
    pub store_ids: Option<Vec<StoreId>>,
    /// Since when they have a second factor.
    pub second_factor_since: Option<Moment>,
    /// When they were invited.
    pub created_at: Moment,
    /// When they were ended.
    pub ended_at: Option<Moment>,
}

impl From<Person> for PersonOut {
    fn from(person: Person) -> Self {
        let roles = person.roles.iter().map(|role| role.as_str().to_owned());
        Self {
            staff_id: person.id,
            roles: roles.collect(),
            email: person.email,
            name: person.name,
            language: person.language,
            time_zone: person.zone.map(|zone| zone.to_string()),
            theme: person.theme.into(),
            state: person.state.into(),
            merchant_id: person.merchant,
            store_ids: person.stores.named().map(<[StoreId]>::to_vec),
            second_factor_since: person.second_factor_since.map(Moment),
            created_at: Moment(person.created_at),
            ended_at: person.ended_at.map(Moment),
        }
    }
}

/// Somebody who was invited.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Invited", skip_serializing_if_is_none)]
struct InvitedOut {
    /// Who.
    person: PersonOut,
    /// Until when the link opens.
    expires_at: Moment,
    /// The link by which they choose a password, where this server sends no mail: pass it on. It is
    /// told this once.
    link: Option<String>,
}

/// A link that asks somebody to come, without its token.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Invitation", skip_serializing_if_is_none)]
struct InvitationOut {
    /// Its id, which opens nothing; the letter's `Message-ID` begins with it.
    invitation_id: LinkId,
    /// For whom.
    staff_id: StaffId,
    /// When it was made.
    created_at: Moment,
    /// By whom.
    created_by: String,
    /// Until when it opens.
    expires_at: Moment,
    /// When it was used.
    used_at: Option<Moment>,
    /// When it was replaced or taken back.
    ended_at: Option<Moment>,
    /// What became of its letter.
    letter: LetterWord,
    /// Why the letter did not go: connection, timeout, tls, refused-451 (and other numbers of the
    /// mail server), mail-is-off, address, letter; new ones may be added.
    problem: Option<String>,
}

impl From<LinkMail> for InvitationOut {
    fn from(link: LinkMail) -> Self {
        Self {
            invitation_id: link.id,
            staff_id: link.staff,
            created_at: Moment(link.created_at),
            created_by: link.created_by,
            expires_at: Moment(link.expires_at),
            used_at: link.used_at.map(Moment),
            ended_at: link.ended_at.map(Moment),
            letter: LetterWord::of(&link.mail),
            problem: link.problem,
        }
    }
}

fn roles(named: &[Text]) -> Vec<Role> {
    named.iter().map(|role| Role::new(role.as_str())).collect()
}

/// What somebody is to have, as a request says it.
pub(super) fn wanted(named: &[Text], stores: Option<Vec<StoreId>>) -> Wanted {
    Wanted {
        roles: roles(named),
        stores: Stores::of(stores),
    }
}

/// How an invitation is told: by mail, or where there is none by whoever asks.
fn tell(caller: &Caller<InviteStaff>) -> Tell {
    match caller.app().mailer {
        Mailer::Off => Tell::ByInviter,
        Mailer::Smtp(_) => Tell::ByMail,
    }
}

/// Makes the work durable, tells the link where it is to be told, and has the letter written.
async fn finish(
    once: Box<Once<InviteStaff>>,
    caller: &Caller<InviteStaff>,
    outcome: Result<Invited, StaffError>,
) -> Result<Reply<201, InvitedOut>, Problem> {
    let invited = match outcome {
        Ok(invited) => invited,
        Err(refusal) => return once.finish(Err(refusal)).await,
    };
    let app = caller.app();
    let link = invited.token.as_ref().map(|token| {
        let (base, listen) = (app.config.base_url.as_deref(), Some(app.config.listen));
        address::link(
            base,
            listen,
            &caller.tenant,
            address::Page::Invitation,
            token,
        )
    });
    let told = link.is_some();
    let out = InvitedOut {
        expires_at: Moment(invited.expires_at),
        person: invited.staff.into(),
        link,
    };
    let answer = if told {
        let detail = format!("An earlier request invited {}.", out.person.staff_id);
        let instead = Problem::new(&codes::INVITATION_TOLD, detail);
        once.finish_secretly(&out, &instead).await
    } else {
        once.finish(Ok::<_, Problem>(out)).await
    };
    app.bell.ring(caller.tenant.id);
    answer
}

/// Invites, for a merchant of this mall where it is a merchant's.
async fn invite(
    tx: &mut Tx,
    caller: &Caller<InviteStaff>,
    new: NewStaff,
) -> Result<Result<Invited, StaffError>, Problem> {
    if let Some(merchant) = new.roles.merchant()
        && merchants::codes(tx, &[merchant]).await?.is_empty()
    {
        return Err(MerchantError::UnknownMerchant.into());
    }
    let (merchant, named) = (new.roles.merchant(), new.roles.stores().named());
    merchants::has_stores(tx, merchant, named).await?;
    let policy = &caller.app().policy;
    Ok(staff::invite(tx, policy, &caller.grant, new, tell(caller)).await)
}

#[OpenApi(tag = "Group::Operator")]
impl Staff {
    /// Invite somebody
    ///
    /// A letter with a link goes to them; where this server sends no mail, the answer holds the link
    /// this once, and a repetition is answered 409 `invitation-already-told`. Nobody gives a role in
    /// which they could not act (409 `beyond-own`); the mall's owners give merchants their people. 404
    /// `unknown-merchant`, `unknown-store` where there is no such thing, or it is not one's own. Where
    /// there is an owner already, another one is not invited but proposed: 409 `needs-second-owner`.
    #[oai(
        path = "/v1/staff/invitations",
        method = "post",
        operation_id = "invite_staff"
    )]
    async fn invite_staff(
        &self,
        caller: Caller<InviteStaff>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<InviteIn>,
    ) -> Result<Reply<201, InvitedOut>, Problem> {
        let InviteIn {
            email,
            name,
            language,
            roles: named,
            merchant_id,
            store_ids,
        } = body.value;
        let (policy, own) = (&caller.app().policy, caller.grant.own_roles());
        let stores = Stores::of(store_ids);
        let new = NewStaff {
            email,
            name,
            language: language.unwrap_or_else(|| caller.tenant.language()),
            roles: Roles::new(policy, own, roles(&named), merchant_id, stores)?,
        };
        let mut once = match Once::begin(&caller, &key, &body.digest).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        match invite(once.tx(), &caller, new).await {
            Ok(outcome) => finish(once, &caller, outcome).await,
            Err(refusal) => once.finish(Err(refusal)).await,
        }
    }

    /// List the invitations
    ///
    /// The newest first, with what became of their letters; without what opens them.
    #[oai(
        path = "/v1/staff/invitations",
        method = "get",
        operation_id = "list_invitations"
    )]
    async fn list_invitations(
        &self,
        caller: Caller<ReadStaff>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<InvitationOut>>, Problem> {
        let slice = paging::slice(caller.app(), INVITATIONS, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = staff::invitations(&mut tx, &caller.grant, &slice).await?;
        let list = List::new(caller.app(), INVITATIONS, page, InvitationOut::from);
        Ok(Reply::new(&list))
    }

    /// Invite somebody again
    ///
    /// For who has not come yet; earlier links open nothing any more. 409 `not-invited`.
    #[oai(
        path = "/v1/staff/:staff_id/invitation",
        method = "post",
        operation_id = "invite_staff_again"
    )]
    async fn invite_staff_again(
        &self,
        caller: Caller<InviteStaff>,
        staff_id: Path<StaffId>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
    ) -> Result<Reply<201, InvitedOut>, Problem> {
        let mut once = match Once::begin(&caller, &key, &[]).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let (policy, told) = (&caller.app().policy, tell(&caller));
        let grant = &caller.grant;
        let outcome = staff::invite_again(once.tx(), policy, grant, staff_id.0, told).await;
        finish(once, &caller, outcome).await
    }

    /// List the people
    ///
    /// The newest first, or of one `state`; a merchant's people see their own.
    #[oai(path = "/v1/staff", method = "get", operation_id = "list_staff")]
    async fn list_staff(
        &self,
        caller: Caller<ReadStaff>,
        state: Query<Option<StaffStateWord>>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<PersonOut>>, Problem> {
        let state = state.0.map(State::from);
        let url = match state {
            Some(state) => format!("{STAFF}?state={}", state.as_str()),
            None => STAFF.to_owned(),
        };
        let slice = paging::slice(caller.app(), &url, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = staff::list(&mut tx, &caller.grant, state, &slice).await?;
        let list = List::new(caller.app(), &url, page, PersonOut::from);
        Ok(Reply::new(&list))
    }

    /// Show a person
    #[oai(
        path = "/v1/staff/:staff_id",
        method = "get",
        operation_id = "get_staff"
    )]
    async fn get_staff(
        &self,
        caller: Caller<ReadStaff>,
        staff_id: Path<StaffId>,
    ) -> Result<Reply<200, PersonOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let person = staff::get(&mut tx, &caller.grant, staff_id.0).await?;
        Ok(Reply::new(&person.into()))
    }

    /// Set somebody's roles
    ///
    /// Effective within a second, for every session of theirs. Who takes a role away must be one who
    /// could give it (409 `beyond-own`), and the mall keeps an owner (409 `last-owner`). Who is an owner
    /// changes by two people where there is another one (409 `needs-second-owner`): see
    /// /v1/role-changes.
    #[oai(
        path = "/v1/staff/:staff_id/roles",
        method = "put",
        operation_id = "set_staff_roles"
    )]
    async fn set_staff_roles(
        &self,
        caller: Caller<ManageStaff>,
        staff_id: Path<StaffId>,
        body: Body<RolesIn>,
    ) -> Result<Reply<200, PersonOut>, Problem> {
        let policy = &caller.app().policy;
        let mut tx = caller.db().write(&caller.grant).await?;
        let to = wanted(&body.value.roles, body.value.store_ids);
        let person = staff::set_roles(&mut tx, policy, &caller.grant, staff_id.0, to).await?;
        merchants::has_stores(&mut tx, person.merchant, person.stores.named()).await?;
        tx.commit().await?;
        Ok(Reply::new(&person.into()))
    }

    /// End what somebody may do
    ///
    /// Their sessions open nothing from the next second on, and neither does any link. Ending them
    /// again changes nothing. 409 `last-owner`, 409 `beyond-own`, 409 `needs-second-owner`.
    #[oai(
        path = "/v1/staff/:staff_id/ending",
        method = "post",
        operation_id = "end_staff"
    )]
    async fn end_staff(
        &self,
        caller: Caller<ManageStaff>,
        staff_id: Path<StaffId>,
    ) -> Result<Reply<200, PersonOut>, Problem> {
        let policy = &caller.app().policy;
        let mut tx = caller.db().write(&caller.grant).await?;
        let person = staff::end(&mut tx, policy, &caller.grant, staff_id.0).await?;
        tx.commit().await?;
        Ok(Reply::new(&person.into()))
    }
}

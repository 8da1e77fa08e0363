//! Changes of people's roles that take two.

use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
};

use super::staff::wanted;
use crate::{
    api::Group,
    authz::{
        action::{ManageStaff, ReadStaff},
        actor::Role,
    },
    http::{
        admit::Caller,
        body::Body,
        idempotency::{IdempotencyKey, Once},
        paging::{self, List},
        problem::Problem,
        reply::Reply,
        wire::{Cursor, Limit, Moment, Text},
    },
    identity::changes::{self, RoleChange, State},
    kernel::ids::{MerchantId, RoleChangeId, StaffId, StoreId},
    merchants,
};

/// The address of the list.
const CHANGES: &str = "/v1/role-changes";

/// Operations on changes of roles.
#[derive(Debug)]
pub struct RoleChanges;

/// What became of a change of roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "RoleChangeState")]
enum StateWord {
    /// It waits for a second person.
    Open,
    /// It was done.
    Confirmed,
    /// Somebody refused it, or took it back.
    Rejected,
    /// Nobody decided it in time.
    Expired,
}

impl From<State> for StateWord {
    fn from(state: State) -> Self {
        match state {
            State::Open => Self::Open,
            State::Confirmed => Self::Confirmed,
            State::Rejected => Self::Rejected,
            State::Expired => Self::Expired,
        }
    }
}

/// A change to be proposed.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct ChangeIn {
    /// Whose roles.
    staff_id: StaffId,
    /// All that they are to have; without them, they are to be ended.
    #[oai(validator(min_items = 1, max_items = 10))]
    roles: Option<Vec<Text>>,
    /// The stores of their merchant that they are to be narrowed to; without them, to none.
    #[oai(validator(min_items = 1, max_items = 50))]
    store_ids: Option<Vec<StoreId>>,
}

/// A change of somebody's roles that takes two.
#[derive(Debug, Clone, Object)]
#[oai(rename = "RoleChange", skip_serializing_if_is_none)]
struct ChangeOut {
    /// Its id.
    role_change_id: RoleChangeId,
    /// Whose roles.
    staff_id: StaffId,
    /// Their merchant.
    merchant_id: Option<MerchantId>,
    /// All that they are to have; none where they are to be ended.
    roles: Vec<String>,
    /// Those that they had.
    roles_before: Vec<String>,
    /// The stores that they are to be narrowed to.
    store_ids: Option<Vec<StoreId>>,
    /// What became of it.
    state: StateWord,
    /// When it was proposed.
    proposed_at: Moment,
    /// By whom.
    proposed_by: String,
    /// When it is over, where nobody decides it.
    expires_at: Moment,
    /// When it was decided.
    decided_at: Option<Moment>,
    /// By whom.
    decided_by: Option<String>,
}

impl From<RoleChange> for ChangeOut {
    fn from(change: RoleChange) -> Self {
        let named = |roles: &[Role]| roles.iter().map(|role| role.as_str().to_owned()).collect();
        Self {
            role_change_id: change.id,
            staff_id: change.staff,
            merchant_id: change.merchant,
            roles: named(&change.roles),
            roles_before: named(&change.before),
            store_ids: change.stores.named().map(<[StoreId]>::to_vec),
            state: change.state.into(),
            proposed_at: Moment(change.proposed_at),
            proposed_by: change.proposed_by,
            expires_at: Moment(change.expires_at),
            decided_at: change.decided_at.map(Moment),
            decided_by: change.decided_by,
        }
    }
}

#[OpenApi(tag = "Group::Operator")]
impl RoleChanges {
    /// Propose a change of roles
    ///
    /// Any change may be proposed; where there is another owner, who is an owner of the mall or of a
    /// merchant changes in no other way. It is open for seven days. 409 `role-change-already-open`,
    /// `no-change-of-roles`, `beyond-own`, `last-owner`.
    #[oai(
        path = "/v1/role-changes",
        method = "post",
        operation_id = "propose_role_change"
    )]
    async fn propose_role_change(
        &self,
        caller: Caller<ManageStaff>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<ChangeIn>,
    ) -> Result<Reply<201, ChangeOut>, Problem> {
        let ChangeIn {
            staff_id,
            roles,
            store_ids,
        } = body.value;
        let to = roles.map(|roles| wanted(&roles, store_ids));
        let mut once = match Once::begin(&caller, &key, &body.digest).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let (policy, grant) = (&caller.app().policy, &caller.grant);
        let proposed = changes::propose(once.tx(), policy, grant, staff_id, to).await;
        let proposed = proposed.map_err(Problem::from);
        let done = match proposed {
            Ok(change) => {
                let (merchant, named) = (change.merchant, change.stores.named());
                let known = merchants::has_stores(once.tx(), merchant, named).await;
                known
                    .map(|()| ChangeOut::from(change))
                    .map_err(Problem::from)
            }
            Err(problem) => Err(problem),
        };
        once.finish(done).await
    }

    /// List the changes of roles
    ///
    /// The newest first, those that were decided too.
    #[oai(
        path = "/v1/role-changes",
        method = "get",
        operation_id = "list_role_changes"
    )]
    async fn list_role_changes(
        &self,
        caller: Caller<ReadStaff>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<ChangeOut>>, Problem> {
        let slice = paging::slice(caller.app(), CHANGES, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = changes::list(&mut tx, &caller.grant, &slice).await?;
        let list = List::new(caller.app(), CHANGES, page, ChangeOut::from);
        Ok(Reply::new(&list))
    }

    /// Confirm a change of roles
    ///
    /// By another owner than who proposed it, of the mall or of the merchant, in a session of their own:
    /// 409 `needs-second-owner` for others and for keys. It is done then, within a second everywhere.
    /// 409 `role-change-not-open`, 409 `role-change-overtaken`, 409 `beyond-own`, 409 `last-owner`.
    #[oai(
        path = "/v1/role-changes/:role_change_id/confirmation",
        method = "post",
        operation_id = "confirm_role_change"
    )]
    async fn confirm_role_change(
        &self,
        caller: Caller<ManageStaff>,
        role_change_id: Path<RoleChangeId>,
    ) -> Result<Reply<200, ChangeOut>, Problem> {
        let (policy, grant) = (&caller.app().policy, &caller.grant);
        let mut tx = caller.db().write(grant).await?;
        let change = changes::confirm(&mut tx, policy, grant, role_change_id.0).await?;
        tx.commit().await?;
        Ok(Reply::new(&change.into()))
    }

    /// Reject a change of roles
    ///
    /// Or take it back: whoever may change roles there. 409 `role-change-not-open`.
    #[oai(
        path = "/v1/role-changes/:role_change_id/rejection",
        method = "post",
        operation_id = "reject_role_change"
    )]
    async fn reject_role_change(
        &self,
        caller: Caller<ManageStaff>,
        role_change_id: Path<RoleChangeId>,
    ) -> Result<Reply<200, ChangeOut>, Problem> {
        let mut tx = caller.db().write(&caller.grant).await?;
        let change = changes::reject(&mut tx, &caller.grant, role_change_id.0).await?;
        tx.commit().await?;
        Ok(Reply::new(&change.into()))
    }
}

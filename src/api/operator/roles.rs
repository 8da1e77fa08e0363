//! Roles of the mall's own, and who may do what.

use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
};

use crate::{
    api::Group,
    authz::{
        action::{self, ManageRoles, ReadRoles, ReadStaff},
        own::Family,
    },
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
    identity::{
        holders::{self, Holder, Who},
        roles::{self, Edit, NewRole, Role},
    },
    kernel::{
        ids::{ApiKeyId, MerchantId, OwnRoleId, StaffId, StoreId},
        page::{MOST, Page, Slice},
        text::{Language, Name, Slug},
    },
    texts::text,
};

/// The address of the list of roles.
const ROLES: &str = "/v1/roles";

/// The address of the list of permissions.
const PERMISSIONS: &str = "/v1/permissions";

/// Operations on roles.
#[derive(Debug)]
pub struct Roles;

/// For which people, or machines, a role is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "RoleScope")]
enum ScopeWord {
    /// The mall's own people.
    Mall,
    /// One merchant's people.
    Merchant,
}

impl From<ScopeWord> for Family {
    fn from(word: ScopeWord) -> Self {
        match word {
            ScopeWord::Mall => Self::Mall,
            ScopeWord::Merchant => Self::Merchant,
        }
    }
}

/// An object and what may be done with it.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, rename = "Right")]
struct RightIn {
    /// What is acted on, as the list of permissions names it.
    object: Text,
    /// What is done, as the list of permissions names it.
    action: Text,
}

/// A role to be made.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct RoleIn {
    /// By what people and keys name it, behind `own.`; it never changes and is never used again.
    code: Slug,
    /// What it is called.
    name: Name,
    /// For whom it is.
    scope: ScopeWord,
    /// What it may do.
    #[oai(validator(min_items = 1, max_items = 100))]
    rights: Vec<RightIn>,
}

/// What a role is to be from now on.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct EditIn {
    /// What it is called.
    name: Name,
    /// All that it may do.
    #[oai(validator(min_items = 1, max_items = 100))]
    rights: Vec<RightIn>,
    /// The revision that is changed.
    #[oai(validator(minimum(value = "1"), maximum(value = "2147483647")))]
    revision: i32,
}

/// A right.
#[derive(Debug, Clone, Object)]
#[oai(rename = "HeldRight")]
struct RightOut {
    /// What is acted on.
    object: String,
    /// What is done.
    action: String,
}

/// A role of the mall's own.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Role", skip_serializing_if_is_none)]
struct RoleOut {
    /// Its id.
    role_id: OwnRoleId,
    /// By what people and keys name it.
    code: String,
    /// What it is called.
    name: String,
    /// For whom it is: mall or merchant.
    scope: String,
    /// What it may do.
    rights: Vec<RightOut>,
    /// Whether nobody acts in it without a second factor.
    needs_second_factor: bool,
    /// How often it was changed, from 1.
    revision: i32,
    /// When it was made.
    created_at: Moment,
    /// By whom.
    created_by: String,
    /// When it was changed last.
    changed_at: Moment,
    /// By whom.
    changed_by: String,
    /// When it was ended.
    ended_at: Option<Moment>,
}

impl From<Role> for RoleOut {
    fn from(role: Role) -> Self {
        let rights = role.rights.into_iter().map(|(object, act)| RightOut {
            object: object.to_owned(),
            action: act.to_owned(),
        });
        Self {
            role_id: role.id,
            code: role.code,
            name: role.name,
            scope: role.family.as_str().to_owned(),
            rights: rights.collect(),
            needs_second_factor: role.guarded,
            revision: role.revision,
            created_at: Moment(role.created_at),
            created_by: role.created_by,
            changed_at: Moment(role.changed_at),
            changed_by: role.changed_by,
            ended_at: role.ended_at.map(Moment),
        }
    }
}

/// Something that can be permitted, and who has it.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Permission")]
struct PermissionOut {
    /// What is acted on.
    object: String,
    /// What is done.
    action: String,
    /// The same as a sentence.
    sentence: SentenceOut,
    /// Roles that have it, the program's and the mall's own.
    roles: Vec<String>,
    /// Whether somebody has it who is narrowed to stores.
    by_store: bool,
    /// Whether a role of the mall's own for the mall's people may have it.
    in_roles_for_mall: bool,
    /// Whether a role of the mall's own for a merchant's people may have it.
    in_roles_for_merchants: bool,
}

/// A sentence in every language.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Sentence")]
struct SentenceOut {
    /// In simplified Chinese.
    #[oai(rename = "zh-CN")]
    zh_cn: String,
    /// In traditional Chinese.
    #[oai(rename = "zh-TW")]
    zh_tw: String,
    /// In English.
    en: String,
}

/// A person or a machine who can do something.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Holder", skip_serializing_if_is_none)]
struct HolderOut {
    /// The person; either this or `key_id`.
    staff_id: Option<StaffId>,
    /// The machine's key.
    key_id: Option<ApiKeyId>,
    /// What the person is called, or what the key is for.
    name: String,
    /// The roles by which they can.
    roles: Vec<String>,
    /// The merchant that they never reach beyond; without it, they reach the mall.
    merchant_id: Option<MerchantId>,
    /// The stores of it that they are narrowed to.
    store_ids: Option<Vec<StoreId>>,
    /// Whether they have to set a second factor up first.
    needs_second_factor: bool,
}

impl From<Holder> for HolderOut {
    fn from(holder: Holder) -> Self {
        let (staff_id, key_id) = match holder.who {
            Who::Person(id) => (Some(id), None),
            Who::Key(id) => (None, Some(id)),
        };
        Self {
            staff_id,
            key_id,
            name: holder.name,
            roles: holder.roles,
            merchant_id: holder.merchant,
            store_ids: holder.stores.named().map(<[StoreId]>::to_vec),
            needs_second_factor: holder.needs_second_factor,
        }
    }
}

fn rights(wished: &[RightIn]) -> Vec<(String, String)> {
    wished
        .iter()
        .map(|right| {
            (
                right.object.as_str().to_owned(),
                right.action.as_str().to_owned(),
            )
        })
        .collect()
}

fn permission(caller: &Caller<ReadRoles>, right: (&'static str, &'static str)) -> PermissionOut {
    let (object, act) = right;
    let (policy, own) = (&caller.app().policy, caller.grant.own_roles());
    let key = format!("right-{object}-{act}");
    let holders = policy.holders(own, object, act);
    PermissionOut {
        object: object.to_owned(),
        action: act.to_owned(),
        sentence: SentenceOut {
            zh_cn: text(Language::ZhCn, &key),
            zh_tw: text(Language::ZhTw, &key),
            en: text(Language::En, &key),
        },
        roles: holders.into_iter().map(|(_, role)| role).collect(),
        by_store: action::is_by_store(object, act),
        in_roles_for_mall: policy.grantable(Family::Mall).contains(&right),
        in_roles_for_merchants: policy.grantable(Family::Merchant).contains(&right),
    }
}

/// A permission, and its place in the program's list.
type Placed = (usize, (&'static str, &'static str));

/// The list of permissions from a place on: it is the program's, and has a place by number.
fn listed(slice: &Slice) -> Result<Page<Placed>, Problem> {
    let first = match &slice.after {
        None => 0,
        Some(key) => key
            .parse::<usize>()
            .ok()
            .and_then(|last| last.checked_add(1))
            .ok_or_else(|| Problem::of(&codes::INVALID_CURSOR).param("cursor"))?,
    };
    let limit = slice.limit.clamp(1, MOST);
    let most = usize::try_from(limit).unwrap_or(0).saturating_add(1);
    let all = action::ALL.iter().copied().enumerate();
    let rows = all.skip(first).take(most).collect();
    Ok(Page::from_rows(rows, limit, |(place, _)| place.to_string()))
}

#[OpenApi(tag = "Group::Operator")]
impl Roles {
    /// Make a role
    ///
    /// For the mall's people or for those of merchants. It may do what a role of the program for the same
    /// people does (409 `unsuitable-right`), and whoever makes it has each of its rights, or staffs the
    /// merchants (409 `right-beyond-own`). 409 `role-code-taken`, 409 `too-many-roles`.
    #[oai(path = "/v1/roles", method = "post", operation_id = "create_role")]
    async fn create_role(
        &self,
        caller: Caller<ManageRoles>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<RoleIn>,
    ) -> Result<Reply<201, RoleOut>, Problem> {
        let wished = body.value;
        let new = NewRole {
            slug: wished.code,
            name: wished.name,
            family: wished.scope.into(),
            rights: rights(&wished.rights),
        };
        let mut once = match Once::begin(&caller, &key, &body.digest).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let policy = &caller.app().policy;
        let made = roles::create(once.tx(), policy, &caller.grant, new).await;
        let answer = once.finish(made.map(RoleOut::from)).await;
        caller.changed().await;
        answer
    }

    /// List the mall's own roles
    ///
    /// The newest first, with those that were ended. Those of the program stand in the list of
    /// permissions.
    #[oai(path = "/v1/roles", method = "get", operation_id = "list_roles")]
    async fn list_roles(
        &self,
        caller: Caller<ReadRoles>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<RoleOut>>, Problem> {
        let slice = paging::slice(caller.app(), ROLES, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = roles::list(&mut tx, &caller.grant, &slice).await?;
        let list = List::new(caller.app(), ROLES, page, RoleOut::from);
        Ok(Reply::new(&list))
    }

    /// Read a role of the mall's own
    #[oai(path = "/v1/roles/:role_id", method = "get", operation_id = "get_role")]
    async fn get_role(
        &self,
        caller: Caller<ReadRoles>,
        role_id: Path<OwnRoleId>,
    ) -> Result<Reply<200, RoleOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let role = roles::get(&mut tx, &caller.grant, role_id.0).await?;
        Ok(Reply::new(&role.into()))
    }

    /// Change a role of the mall's own
    ///
    /// Effective within a second for everybody who has it. The same again changes nothing. Whoever takes
    /// a right out has it too (409 `right-beyond-own`); 409 `role-overtaken` where somebody else was
    /// faster, 409 `role-ended`, `unsuitable-right`.
    #[oai(path = "/v1/roles/:role_id", method = "put", operation_id = "set_role")]
    async fn set_role(
        &self,
        caller: Caller<ManageRoles>,
        role_id: Path<OwnRoleId>,
        body: Body<EditIn>,
    ) -> Result<Reply<200, RoleOut>, Problem> {
        let EditIn {
            name,
            rights: wished,
            revision,
        } = body.value;
        let edit = Edit {
            name,
            rights: rights(&wished),
            revision,
        };
        let policy = &caller.app().policy;
        let mut tx = caller.db().write(&caller.grant).await?;
        let role = roles::change(&mut tx, policy, &caller.grant, role_id.0, edit).await?;
        tx.commit().await?;
        caller.changed().await;
        Ok(Reply::new(&role.into()))
    }

    /// End a role of the mall's own
    ///
    /// Nobody may do anything by it from the next second on. Ending it again changes nothing. 409
    /// `right-beyond-own`.
    #[oai(
        path = "/v1/roles/:role_id/ending",
        method = "post",
        operation_id = "end_role"
    )]
    async fn end_role(
        &self,
        caller: Caller<ManageRoles>,
        role_id: Path<OwnRoleId>,
    ) -> Result<Reply<200, RoleOut>, Problem> {
        let policy = &caller.app().policy;
        let mut tx = caller.db().write(&caller.grant).await?;
        let role = roles::end(&mut tx, policy, &caller.grant, role_id.0).await?;
        tx.commit().await?;
        caller.changed().await;
        Ok(Reply::new(&role.into()))
    }

    /// List the permissions
    ///
    /// Everything that can be permitted, as a sentence in each language, with the roles that have it.
    #[expect(clippy::unused_async, reason = "what it lists is in the program")]
    #[oai(
        path = "/v1/permissions",
        method = "get",
        operation_id = "list_permissions"
    )]
    async fn list_permissions(
        &self,
        caller: Caller<ReadRoles>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<PermissionOut>>, Problem> {
        let slice = paging::slice(caller.app(), PERMISSIONS, limit.0, cursor.0.as_ref())?;
        let page = listed(&slice)?;
        let list = List::new(caller.app(), PERMISSIONS, page, |(_, right)| {
            permission(&caller, right)
        });
        Ok(Reply::new(&list))
    }

    /// Who can do this?
    ///
    /// The people, the newest first, and then the machines who can do it now, by which of their roles and
    /// how far; a merchant's people see their own. 404 `unknown-permission`.
    #[oai(
        path = "/v1/permissions/:object/:action",
        method = "get",
        operation_id = "list_holders"
    )]
    async fn list_holders(
        &self,
        caller: Caller<ReadStaff>,
        object: Path<Text>,
        action: Path<Text>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<HolderOut>>, Problem> {
        let right = action::find(object.as_str(), action.as_str())
            .ok_or_else(|| Problem::of(&codes::UNKNOWN_PERMISSION))?;
        let url = format!("{PERMISSIONS}/{}/{}", right.0, right.1);
        let slice = paging::slice(caller.app(), &url, limit.0, cursor.0.as_ref())?;
        let (policy, grant) = (&caller.app().policy, &caller.grant);
        let mut tx = caller.db().read(grant).await?;
        let page = holders::who_can(&mut tx, policy, grant, right, &slice).await?;
        let list = List::new(caller.app(), &url, page, HolderOut::from);
        Ok(Reply::new(&list))
    }
}

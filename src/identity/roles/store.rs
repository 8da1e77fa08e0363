//! The tables `role` and `role_right`.

use super::{Right, Role};
use crate::{
    authz::{
        action,
        own::{Family, OwnRole},
    },
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{ids::OwnRoleId, time::Instant},
};

/// A role as the table holds it, with its rights as `object action`.
struct Row {
    role_id: OwnRoleId,
    code: String,
    name: String,
    scope: String,
    guarded: bool,
    revision: i32,
    created_at: Instant,
    created_by: String,
    changed_at: Instant,
    changed_by: String,
    ended_at: Option<Instant>,
    rights: Vec<String>,
}

impl TryFrom<Row> for Role {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        // What this program does not know any more, nobody may do.
        let known = |text: &String| text.split_once(' ').and_then(|(o, a)| action::find(o, a));
        Ok(Self {
            id: row.role_id,
            code: row.code,
            name: row.name,
            family: family(&row.scope)?,
            guarded: row.guarded,
            revision: row.revision,
            created_at: row.created_at,
            created_by: row.created_by,
            changed_at: row.changed_at,
            changed_by: row.changed_by,
            ended_at: row.ended_at,
            rights: row.rights.iter().filter_map(known).collect(),
        })
    }
}

fn family(scope: &str) -> Result<Family, Error> {
    match scope {
        "mall" => Ok(Family::Mall),
        "merchant" => Ok(Family::Merchant),
        _ => Err(Error::Corrupt("role")),
    }
}

/// Has changes of roles wait for each other, and for whoever gives one; before any person is locked.
pub(super) async fn lock(tx: &mut Tx) -> Result<(), Error> {
    sqlx::query!("select role_id from role where ended_at is null order by role_id for update")
        .fetch_all(tx.conn())
        .await?;
    Ok(())
}

/// Has the roles stay as they are until the transaction ends; before any person is locked.
pub(super) async fn hold(tx: &mut Tx) -> Result<(), Error> {
    sqlx::query!("select role_id from role where ended_at is null order by role_id for share")
        .fetch_all(tx.conn())
        .await?;
    Ok(())
}

/// Every living role with its rights; there are few.
pub(super) async fn all(tx: &mut ReadTx) -> Result<Vec<OwnRole>, Error> {
    let rows = sqlx::query!(
        r#"select role.code, role.name, role.scope, role_right.object as "object?",
                  role_right.action as "action?"
           from role
           left join role_right
             on role_right.role_id = role.role_id and role_right.revision = role.revision
           where role.ended_at is null
           order by role.role_id, role_right.object, role_right.action"#,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut roles: Vec<OwnRole> = Vec::new();
    for row in rows {
        if roles.last().is_none_or(|last| last.code != row.code) {
            roles.push(OwnRole {
                family: family(&row.scope)?,
                code: row.code,
                name: row.name,
                rights: Vec::new(),
            });
        }
        if let (Some(role), Some(right)) = (roles.last_mut(), row.object.zip(row.action)) {
            role.rights.push(right);
        }
    }
    Ok(roles)
}

/// Roles before one, the newest first; by `role_pkey`.
pub(super) async fn page(
    tx: &mut ReadTx,
    only: Option<Family>,
    before: Option<OwnRoleId>,
    limit: i64,
) -> Result<Vec<Role>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select role_id as "role_id: _", code, name, scope, guarded, revision, created_at,
                  created_by, changed_at, changed_by, ended_at,
                  array(
                      select object || ' ' || action from role_right
                      where role_right.role_id = role.role_id
                        and role_right.revision = role.revision
                      order by object, action
                  ) as "rights!: Vec<String>"
           from role
           where ($1::text is null or scope = $1) and ($2::uuid is null or role_id < $2)
           order by role_id desc
           limit $3"#,
        only.map(Family::as_str),
        before.map(|id| id.uuid()),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Role::try_from).collect()
}

pub(super) async fn find(tx: &mut ReadTx, id: OwnRoleId) -> Result<Option<Role>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select role_id as "role_id: _", code, name, scope, guarded, revision, created_at,
                  created_by, changed_at, changed_by, ended_at,
                  array(
                      select object || ' ' || action from role_right
                      where role_right.role_id = role.role_id
                        and role_right.revision = role.revision
                      order by object, action
                  ) as "rights!: Vec<String>"
           from role
           where role_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Role::try_from).transpose()
}

/// Writes a new role; false where its code was used before.
pub(super) async fn insert(tx: &mut Tx, role: &Role) -> Result<bool, Error> {
    tx.revise().await?;
    let made = sqlx::query!(
        "insert into role
             (role_id, code, name, scope, guarded, revision, created_at, created_by, changed_at,
              changed_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $7, $8)
         on conflict (code) do nothing",
        role.id.uuid(),
        role.code,
        role.name,
        role.family.as_str(),
        role.guarded,
        role.revision,
        role.created_at,
        role.created_by,
    )
    .execute(tx.conn())
    .await?;
    if made.rows_affected() == 0 {
        return Ok(false);
    }
    insert_rights(tx, role.id, role.revision, &role.rights).await?;
    Ok(true)
}

async fn insert_rights(
    tx: &mut Tx,
    id: OwnRoleId,
    revision: i32,
    rights: &[Right],
) -> Result<(), Error> {
    let (objects, actions): (Vec<String>, Vec<String>) = rights
        .iter()
        .map(|(object, act)| ((*object).to_owned(), (*act).to_owned()))
        .unzip();
    sqlx::query!(
        "insert into role_right (role_id, revision, object, action)
         select $1, $2, object, action
         from unnest($3::text[], $4::text[]) as wished (object, action)",
        id.uuid(),
        revision,
        &objects,
        &actions,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn change(tx: &mut Tx, role: &Role) -> Result<(), Error> {
    tx.revise().await?;
    sqlx::query!(
        "update role
         set name = $2, guarded = $3, revision = $4, changed_at = $5, changed_by = $6
         where role_id = $1",
        role.id.uuid(),
        role.name,
        role.guarded,
        role.revision,
        role.changed_at,
        role.changed_by,
    )
    .execute(tx.conn())
    .await?;
    insert_rights(tx, role.id, role.revision, &role.rights).await
}

pub(super) async fn end(tx: &mut Tx, id: OwnRoleId) -> Result<(), Error> {
    tx.revise().await?;
    let (now, by) = (tx.now(), tx.actor().to_string());
    sqlx::query!(
        "update role set ended_at = $2, ended_by = $3 where role_id = $1 and ended_at is null",
        id.uuid(),
        now,
        by,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

//! The tables `staff`, `staff_role` and `staff_link`.

use uuid::Uuid;

use super::{LinkKind, LinkMail, Named, Roles, Staff, State};
use crate::{
    authz::actor::{Role, Stores},
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{LinkId, MerchantId, StaffId, StaffRoleId, StoreId},
        text::Email,
        time::Instant,
    },
};

/// A person as the table holds them, with their roles.
struct Row {
    staff_id: StaffId,
    email: String,
    name: String,
    language: String,
    time_zone: Option<String>,
    theme: String,
    state: String,
    totp_since: Option<Instant>,
    created_at: Instant,
    ended_at: Option<Instant>,
    roles: Vec<String>,
    guarded: bool,
    merchant_id: Option<MerchantId>,
    store_ids: Option<Vec<Uuid>>,
}

impl TryFrom<Row> for Staff {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let zone = row.time_zone.map(|zone| zone.parse()).transpose();
        Ok(Self {
            id: row.staff_id,
            email: row.email.parse().map_err(|_| Error::Corrupt("address"))?,
            name: row.name,
            language: row
                .language
                .parse()
                .map_err(|_| Error::Corrupt("language"))?,
            zone: zone.map_err(|_| Error::Corrupt("time zone"))?,
            theme: row.theme.parse().map_err(|_| Error::Corrupt("theme"))?,
            state: State::parse(&row.state).ok_or(Error::Corrupt("state"))?,
            roles: row.roles.into_iter().map(Role::new).collect(),
            guarded_by_own: row.guarded,
            merchant: row.merchant_id,
            stores: stores(row.store_ids),
            second_factor_since: row.totp_since,
            created_at: row.created_at,
            ended_at: row.ended_at,
        })
    }
}

/// The stores to which something is narrowed, as its column says it.
pub(crate) fn stores(named: Option<Vec<Uuid>>) -> Stores {
    Stores::of(named.map(|named| named.into_iter().map(StoreId::from_uuid).collect()))
}

/// The same, as the column holds it.
pub(crate) fn store_ids(stores: &Stores) -> Option<Vec<Uuid>> {
    let named = stores.named()?;
    Some(named.iter().map(StoreId::uuid).collect())
}

pub(super) async fn insert(tx: &mut Tx, staff: &Staff) -> Result<(), Error> {
    tx.revise().await?;
    let (now, by) = (tx.now(), tx.actor().to_string());
    sqlx::query!(
        "insert into staff
             (staff_id, email, name, language, theme, state, created_at, created_by, changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $7)",
        staff.id.uuid(),
        staff.email.as_str(),
        staff.name,
        staff.language.tag(),
        staff.theme.as_str(),
        staff.state.as_str(),
        now,
        by,
    )
    .execute(tx.conn())
    .await?;
    for role in &staff.roles {
        insert_role(tx, staff.id, role, staff.merchant, &staff.stores).await?;
    }
    Ok(())
}

async fn insert_role(
    tx: &mut Tx,
    staff: StaffId,
    role: &Role,
    merchant: Option<MerchantId>,
    stores: &Stores,
) -> Result<(), Error> {
    tx.revise().await?;
    let (id, now): (StaffRoleId, _) = (tx.new_id(), tx.now());
    let (by, narrowed) = (tx.actor().to_string(), store_ids(stores));
    sqlx::query!(
        "insert into staff_role
             (staff_role_id, staff_id, role, merchant_id, store_ids, created_at, created_by)
         values ($1, $2, $3, $4, $5, $6, $7)",
        id.uuid(),
        staff.uuid(),
        role.as_str(),
        merchant.map(|id| id.uuid()),
        narrowed.as_deref(),
        now,
        by,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Ends the roles that somebody is not to have any more, and begins those that are new. Those of who
/// was ended stay as they were last.
pub(super) async fn set_roles(tx: &mut Tx, staff: StaffId, roles: &Roles) -> Result<(), Error> {
    tx.revise().await?;
    let (now, by) = (tx.now(), tx.actor().to_string());
    let wanted: Vec<String> = roles
        .all
        .iter()
        .map(|role| role.as_str().to_owned())
        .collect();
    let narrowed = store_ids(&roles.stores);
    sqlx::query!(
        "update staff_role
         set ended_at = $3, ended_by = $4
         where staff_id = $1 and ended_at is null
           and (role <> all($2) or store_ids is distinct from $5)",
        staff.uuid(),
        &wanted,
        now,
        by,
        narrowed.as_deref(),
    )
    .execute(tx.conn())
    .await?;
    let kept: Vec<String> = sqlx::query_scalar!(
        "select role from staff_role where staff_id = $1 and ended_at is null",
        staff.uuid(),
    )
    .fetch_all(tx.conn())
    .await?;
    for role in &roles.all {
        if !kept.iter().any(|kept| kept == role.as_str()) {
            insert_role(tx, staff, role, roles.merchant, &roles.stores).await?;
        }
    }
    Ok(())
}

pub(super) async fn end(tx: &mut Tx, staff: StaffId) -> Result<(), Error> {
    tx.revise().await?;
    let (now, by) = (tx.now(), tx.actor().to_string());
    sqlx::query!(
        "update staff
         set state = 'ended', ended_at = $2, ended_by = $3, changed_at = $2, password_hash = null,
             totp_secret = null, totp_since = null
         where staff_id = $1",
        staff.uuid(),
        now,
        by,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// One person.
pub(crate) async fn find(tx: &mut ReadTx, id: StaffId) -> Result<Option<Staff>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select staff_id as "staff_id: _", email, name, language, time_zone, theme, state, totp_since,
               created_at, ended_at,
               array(
                   select role from staff_role
                   where staff_role.staff_id = staff.staff_id and staff_role.ended_at is null
                   order by staff_role_id
               ) as "roles!",
               exists (
                   select from staff_role
                   join role on role.code = staff_role.role
                   where staff_role.staff_id = staff.staff_id and staff_role.ended_at is null
                     and role.guarded and role.ended_at is null
               ) as "guarded!",
               (
                   select merchant_id from staff_role
                   where staff_role.staff_id = staff.staff_id and staff_role.ended_at is null
                   order by staff_role_id
                   limit 1
               ) as "merchant_id: MerchantId",
               (
                   select store_ids from staff_role
                   where staff_role.staff_id = staff.staff_id and staff_role.ended_at is null
                   order by staff_role_id
                   limit 1
               ) as "store_ids: Vec<Uuid>"
        from staff
        where staff_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Staff::try_from).transpose()
}

/// One person, locked until the transaction ends.
pub(crate) async fn lock(tx: &mut Tx, id: StaffId) -> Result<Option<Staff>, Error> {
    sqlx::query!(
        "select staff_id from staff where staff_id = $1 order by staff_id for update",
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    find(tx, id).await
}

/// Whoever has that address and was not ended; by `staff_email_key`.
pub(crate) async fn by_email(tx: &mut ReadTx, email: &Email) -> Result<Option<StaffId>, Error> {
    let found = sqlx::query_scalar!(
        r#"select staff_id as "staff_id: StaffId" from staff
           where email = $1 and state <> 'ended'"#,
        email.as_str(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found)
}

/// Those who run the mall, or a merchant, and can sign in, locked until the transaction ends; by
/// `staff_role_role_idx`.
pub(super) async fn lock_owners(
    tx: &mut Tx,
    role: &str,
    merchant: Option<MerchantId>,
) -> Result<Vec<StaffId>, Error> {
    let owners = sqlx::query_scalar!(
        r#"select staff_id as "staff_id: StaffId" from staff
           where state = 'active' and staff_id in (
               select staff_id from staff_role
               where role = $1 and ended_at is null and merchant_id is not distinct from $2
           )
           order by staff_id
           for update"#,
        role,
        merchant.map(|id| id.uuid()),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(owners)
}

/// People before one, the newest first; by `staff_pkey`.
pub(super) async fn page(
    tx: &mut ReadTx,
    merchant: Option<MerchantId>,
    state: Option<State>,
    before: Option<StaffId>,
    limit: i64,
) -> Result<Vec<Staff>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select staff_id as "staff_id: _", email, name, language, time_zone, theme, state, totp_since,
               created_at, ended_at,
               array(
                   select role from staff_role
                   where staff_role.staff_id = staff.staff_id and staff_role.ended_at is null
                   order by staff_role_id
               ) as "roles!",
               exists (
                   select from staff_role
                   join role on role.code = staff_role.role
                   where staff_role.staff_id = staff.staff_id and staff_role.ended_at is null
                     and role.guarded and role.ended_at is null
               ) as "guarded!",
               (
                   select merchant_id from staff_role
                   where staff_role.staff_id = staff.staff_id and staff_role.ended_at is null
                   order by staff_role_id
                   limit 1
               ) as "merchant_id: MerchantId",
               (
                   select store_ids from staff_role
                   where staff_role.staff_id = staff.staff_id and staff_role.ended_at is null
                   order by staff_role_id
                   limit 1
               ) as "store_ids: Vec<Uuid>"
        from staff
        where ($1::uuid is null or staff_id in (
                  select staff_id from staff_role where merchant_id = $1
              ))
          and ($2::text is null or state = $2)
          and ($3::uuid is null or staff_id < $3)
        order by staff_id desc
        limit $4"#,
        merchant.map(|id| id.uuid()),
        state.map(State::as_str),
        before.map(|id| id.uuid()),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Staff::try_from).collect()
}

/// Who was not ended and has a role, the newest first; by `staff_role_role_idx`.
pub(super) async fn in_role(
    tx: &mut ReadTx,
    merchant: Option<MerchantId>,
    role: &str,
    limit: i64,
) -> Result<Vec<Named>, Error> {
    let rows = sqlx::query_as!(
        Named,
        r#"select staff.staff_id as "id: _", staff.name
           from staff_role
           join staff on staff.staff_id = staff_role.staff_id
           where staff_role.role = $1 and staff_role.ended_at is null and staff.state <> 'ended'
             and ($2::uuid is null or staff_role.merchant_id = $2)
           order by staff_role.staff_id desc
           limit $3"#,
        role,
        merchant.map(|id| id.uuid()),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// What people are called; by `staff_pkey`.
pub(super) async fn names(
    tx: &mut ReadTx,
    merchant: Option<MerchantId>,
    ids: &[StaffId],
) -> Result<Vec<Named>, Error> {
    let ids: Vec<Uuid> = ids.iter().map(StaffId::uuid).collect();
    let rows = sqlx::query_as!(
        Named,
        r#"select staff_id as "id: _", name
           from staff
           where staff_id = any($1)
             and ($2::uuid is null or staff_id in (
                     select staff_id from staff_role where merchant_id = $2
                 ))"#,
        &ids,
        merchant.map(|id| id.uuid()),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// A link as the table holds it.
struct LinkRow {
    link_id: LinkId,
    staff_id: StaffId,
    kind: String,
    created_at: Instant,
    created_by: String,
    expires_at: Instant,
    used_at: Option<Instant>,
    ended_at: Option<Instant>,
    mail: String,
    problem: Option<String>,
}

impl TryFrom<LinkRow> for LinkMail {
    type Error = Error;

    fn try_from(row: LinkRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.link_id,
            staff: row.staff_id,
            kind: LinkKind::parse(&row.kind).ok_or(Error::Corrupt("link"))?,
            created_at: row.created_at,
            created_by: row.created_by,
            expires_at: row.expires_at,
            used_at: row.used_at,
            ended_at: row.ended_at,
            mail: row.mail,
            problem: row.problem,
        })
    }
}

/// Invitations before one, the newest first; by `staff_link_pkey`.
pub(super) async fn invitations(
    tx: &mut ReadTx,
    merchant: Option<MerchantId>,
    before: Option<LinkId>,
    limit: i64,
) -> Result<Vec<LinkMail>, Error> {
    let rows = sqlx::query_as!(
        LinkRow,
        r#"
        select link_id as "link_id: _", staff_id as "staff_id: _", kind, created_at, created_by,
               expires_at, used_at, ended_at, mail, problem
        from staff_link
        where kind = 'invitation'
          and ($1::uuid is null or staff_id in (
                  select staff_id from staff_role where merchant_id = $1
              ))
          and ($2::uuid is null or link_id < $2)
        order by link_id desc
        limit $3"#,
        merchant.map(|id| id.uuid()),
        before.map(|id| id.uuid()),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(LinkMail::try_from).collect()
}

pub(super) async fn insert_link(
    tx: &mut Tx,
    id: LinkId,
    staff: StaffId,
    kind: LinkKind,
    expires_at: Instant,
    hash: Option<&[u8]>,
    mail: &str,
) -> Result<(), Error> {
    let (now, by) = (tx.now(), tx.actor().to_string());
    sqlx::query!(
        "insert into staff_link
             (link_id, staff_id, kind, token_hash, created_at, created_by, expires_at, mail)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        id.uuid(),
        staff.uuid(),
        kind.as_str(),
        hash,
        now,
        by,
        expires_at,
        mail,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A link and the hash of its token, locked until the transaction ends.
pub(crate) async fn lock_link(
    tx: &mut Tx,
    id: LinkId,
) -> Result<Option<(LinkMail, Option<Vec<u8>>)>, Error> {
    let hash = sqlx::query_scalar!(
        "select token_hash from staff_link where link_id = $1 order by link_id for update",
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(hash) = hash else { return Ok(None) };
    let link = find_link(tx, id).await?;
    Ok(link.map(|(link, _)| (link, hash)))
}

/// A link and the hash of its token.
pub(crate) async fn find_link(
    tx: &mut ReadTx,
    id: LinkId,
) -> Result<Option<(LinkMail, Option<Vec<u8>>)>, Error> {
    let hash = sqlx::query_scalar!(
        "select token_hash from staff_link where link_id = $1",
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    let row = sqlx::query_as!(
        LinkRow,
        r#"
        select link_id as "link_id: _", staff_id as "staff_id: _", kind, created_at, created_by,
               expires_at, used_at, ended_at, mail, problem
        from staff_link
        where link_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    let link = row.map(LinkMail::try_from).transpose()?;
    Ok(link.zip(hash))
}

pub(super) async fn give_token(tx: &mut Tx, id: LinkId, hash: &[u8]) -> Result<(), Error> {
    sqlx::query!(
        "update staff_link set token_hash = $2 where link_id = $1",
        id.uuid(),
        hash,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn record_mail(
    tx: &mut Tx,
    id: LinkId,
    mail: &str,
    problem: Option<&str>,
) -> Result<(), Error> {
    sqlx::query!(
        "update staff_link set mail = $2, problem = $3 where link_id = $1 and mail = 'queued'",
        id.uuid(),
        mail,
        problem,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Says that a link was used.
pub(crate) async fn use_link(tx: &mut Tx, id: LinkId) -> Result<(), Error> {
    let now = tx.now();
    sqlx::query!(
        "update staff_link set used_at = $2 where link_id = $1",
        id.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn end_links(tx: &mut Tx, staff: StaffId, kind: LinkKind) -> Result<(), Error> {
    let now = tx.now();
    sqlx::query!(
        "update staff_link
         set ended_at = $3
         where staff_id = $1 and kind = $2 and used_at is null and ended_at is null",
        staff.uuid(),
        kind.as_str(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

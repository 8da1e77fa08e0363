//! Machines' keys.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    api::Group,
    authz::{
        action::{CreateKey, ReadKeys, RevokeKey},
        actor::{Role, Stores},
        grant::Grant,
        policy::Policy,
    },
    db::tx::Tx,
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
    identity::{self, Key, NewKey},
    kernel::{
        ids::{ApiKeyId, MerchantId, StoreId},
        text::Name,
    },
    merchants::{self, MerchantError},
};

/// The address of the list of keys.
const KEYS: &str = "/v1/keys";

/// Operations on machines' keys.
#[derive(Debug)]
pub struct Keys;

/// A key to be made.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct CreateKeyIn {
    /// What the key is for, such as "till 3".
    label: Name,
    /// The role that it acts in: one of the permission table that begins with `operator.`,
    /// `merchant.` or `machine.`, or one of the mall's own.
    role: Text,
    /// The merchant that a merchant's key is for; only for a role that begins with `merchant.`.
    merchant_id: Option<MerchantId>,
    /// The stores of it that the key is narrowed to; without them, it reaches all.
    #[oai(validator(min_items = 1, max_items = 50))]
    store_ids: Option<Vec<StoreId>>,
}

/// A machine's key, without its secret.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Key", skip_serializing_if_is_none)]
struct KeyOut {
    /// The key's id, which opens nothing.
    key_id: ApiKeyId,
    /// What the key is for.
    label: String,
    /// The role that it acts in.
    role: String,
    /// The merchant that it never reaches beyond.
    merchant_id: Option<MerchantId>,
    /// The stores of it that it is narrowed to.
    store_ids: Option<Vec<StoreId>>,
    /// The last four digits of the key.
    last_four: String,
    /// When it was made.
    created_at: Moment,
    /// When the key was ended; such a key opens nothing.
    revoked_at: Option<Moment>,
}

/// A key that was just made.
#[derive(Debug, Clone, Object)]
#[oai(rename = "NewKey", skip_serializing_if_is_none)]
struct NewKeyOut {
    /// The key's id, which opens nothing.
    key_id: ApiKeyId,
    /// What the key is for.
    label: String,
    /// The role that it acts in.
    role: String,
    /// The merchant that it never reaches beyond.
    merchant_id: Option<MerchantId>,
    /// The stores of it that it is narrowed to.
    store_ids: Option<Vec<StoreId>>,
    /// The last four digits of the key.
    last_four: String,
    /// When it was made.
    created_at: Moment,
    /// The key itself. It is told this once.
    secret: String,
}

impl From<Key> for KeyOut {
    fn from(key: Key) -> Self {
        Self {
            key_id: key.id,
            label: key.label,
            role: key.role.as_str().to_owned(),
            merchant_id: key.merchant,
            store_ids: key.stores.named().map(<[StoreId]>::to_vec),
            last_four: key.last_four,
            created_at: Moment(key.created_at),
            revoked_at: key.revoked_at.map(Moment),
        }
    }
}

/// Makes a key, for a merchant of this mall where it is a merchant's.
async fn create(
    tx: &mut Tx,
    policy: &Policy,
    grant: &Grant<CreateKey>,
    new: NewKey,
) -> Result<(Key, SecretString), Problem> {
    if let Some(merchant) = new.merchant()
        && merchants::codes(tx, &[merchant]).await?.is_empty()
    {
        return Err(MerchantError::UnknownMerchant.into());
    }
    merchants::has_stores(tx, new.merchant(), new.stores().named()).await?;
    Ok(identity::create(tx, policy, grant, new).await?)
}

#[OpenApi(tag = "Group::Operator")]
impl Keys {
    /// Make a key
    ///
    /// Answers the key's secret this once. A repetition under the same Idempotency-Key makes no
    /// second key and is answered 409 `key-already-created`, because the secret is not kept. 404
    /// `unknown-merchant`, `unknown-store` where the mall or the merchant has no such thing. 409
    /// `beyond-own`, `cannot-narrow`.
    #[oai(path = "/v1/keys", method = "post", operation_id = "create_key")]
    async fn create_key(
        &self,
        caller: Caller<CreateKey>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<CreateKeyIn>,
    ) -> Result<Reply<201, NewKeyOut>, Problem> {
        let CreateKeyIn {
            label,
            role,
            merchant_id,
            store_ids,
        } = body.value;
        let role = Role::new(role.as_str());
        let (policy, own) = (&caller.app().policy, caller.grant.own_roles());
        let stores = Stores::of(store_ids);
        let new = NewKey::new(policy, own, label, role, merchant_id, stores)?;
        let mut once = match Once::begin(&caller, &key, &body.digest).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        match create(once.tx(), policy, &caller.grant, new).await {
            Ok((key, secret)) => {
                let detail = format!("An earlier request made the key {}.", key.id);
                let instead = Problem::new(&codes::KEY_ALREADY_CREATED, detail);
                let made = NewKeyOut {
                    key_id: key.id,
                    label: key.label,
                    role: key.role.as_str().to_owned(),
                    merchant_id: key.merchant,
                    store_ids: key.stores.named().map(<[StoreId]>::to_vec),
                    last_four: key.last_four,
                    created_at: Moment(key.created_at),
                    secret: secret.expose_secret().to_owned(),
                };
                once.finish_secretly(&made, &instead).await
            }
            Err(refusal) => once.finish(Err(refusal)).await,
        }
    }

    /// List the keys
    ///
    /// The newest first, with those that were revoked, without their secrets.
    #[oai(path = "/v1/keys", method = "get", operation_id = "list_keys")]
    async fn list_keys(
        &self,
        caller: Caller<ReadKeys>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<KeyOut>>, Problem> {
        let slice = paging::slice(caller.app(), KEYS, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = identity::list(&mut tx, &caller.grant, &slice).await?;
        let list = List::new(caller.app(), KEYS, page, KeyOut::from);
        Ok(Reply::new(&list))
    }

    /// Revoke a key
    ///
    /// The key opens nothing from the next second on. Revoking it again changes nothing.
    #[oai(
        path = "/v1/keys/:key_id/revocation",
        method = "post",
        operation_id = "revoke_key"
    )]
    async fn revoke_key(
        &self,
        caller: Caller<RevokeKey>,
        key_id: Path<ApiKeyId>,
    ) -> Result<Reply<200, KeyOut>, Problem> {
        let mut tx = caller.db().write(&caller.grant).await?;
        let key = identity::revoke(&mut tx, &caller.grant, key_id.0).await?;
        tx.commit().await?;
        Ok(Reply::new(&KeyOut::from(key)))
    }
}

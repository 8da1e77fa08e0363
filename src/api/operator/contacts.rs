//! Where a merchant's mail goes.

use poem_openapi::{Object, OpenApi, param::Path};

use crate::{
    api::Group,
    authz::action::{ReadContact, SetContact},
    http::{admit::Caller, body::Body, problem::Problem, reply::Reply, wire::Moment},
    kernel::{
        ids::MerchantId,
        text::{Email, Language},
    },
    merchants::contacts::{self, Contact},
};

/// Operations on contacts.
#[derive(Debug)]
pub struct Contacts;

/// Where mail is to go.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct SetContactIn {
    /// The address.
    email: Email,
    /// In which language letters and statements are written.
    language: Language,
}

/// Where a merchant's mail goes.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Contact")]
struct ContactOut {
    /// Whose.
    merchant_id: MerchantId,
    /// The address.
    email: Email,
    /// In which language letters and statements are written.
    language: Language,
    /// Since when.
    changed_at: Moment,
}

/// That there is none.
#[derive(Debug, Clone, Object)]
#[oai(rename = "ContactRemoved")]
struct RemovedOut {
    /// Whose.
    merchant_id: MerchantId,
}

impl ContactOut {
    fn of(merchant_id: MerchantId, contact: Contact) -> Self {
        Self {
            merchant_id,
            email: contact.email,
            language: contact.language,
            changed_at: Moment(contact.changed_at),
        }
    }
}

#[OpenApi(tag = "Group::Operator")]
impl Contacts {
    /// Read where a merchant's mail goes
    ///
    /// 404 `unknown-contact` where it gets none.
    #[oai(
        path = "/v1/merchants/:merchant_id/contact",
        method = "get",
        operation_id = "get_contact"
    )]
    async fn get_contact(
        &self,
        caller: Caller<ReadContact>,
        merchant_id: Path<MerchantId>,
    ) -> Result<Reply<200, ContactOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let found = contacts::get(&mut tx, &caller.grant, merchant_id.0).await?;
        Ok(Reply::new(&ContactOut::of(merchant_id.0, found)))
    }

    /// Say where a merchant's mail goes
    ///
    /// Its statements are sent there when they are issued. The same again changes nothing.
    #[oai(
        path = "/v1/merchants/:merchant_id/contact",
        method = "put",
        operation_id = "set_contact"
    )]
    async fn set_contact(
        &self,
        caller: Caller<SetContact>,
        merchant_id: Path<MerchantId>,
        body: Body<SetContactIn>,
    ) -> Result<Reply<200, ContactOut>, Problem> {
        let SetContactIn { email, language } = body.value;
        let mut tx = caller.db().write(&caller.grant).await?;
        let set = contacts::set(&mut tx, &caller.grant, merchant_id.0, email, language).await?;
        tx.commit().await?;
        Ok(Reply::new(&ContactOut::of(merchant_id.0, set)))
    }

    /// Send a merchant no more mail
    ///
    /// The address is forgotten. Where there is none, nothing changes.
    #[oai(
        path = "/v1/merchants/:merchant_id/contact",
        method = "delete",
        operation_id = "remove_contact"
    )]
    async fn remove_contact(
        &self,
        caller: Caller<SetContact>,
        merchant_id: Path<MerchantId>,
    ) -> Result<Reply<200, RemovedOut>, Problem> {
        let mut tx = caller.db().write(&caller.grant).await?;
        contacts::remove(&mut tx, &caller.grant, merchant_id.0).await?;
        tx.commit().await?;
        let merchant_id = merchant_id.0;
        Ok(Reply::new(&RemovedOut { merchant_id }))
    }
}

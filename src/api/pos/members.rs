//! Members, as a till meets them.

use poem_openapi::{Object, OpenApi, param::Path};
use serde::{Deserialize, Serialize};

use crate::{
    api::Group,
    authz::action::{EnrolMember, ReadMembers},
    http::{
        admit::Caller,
        body::Body,
        codes,
        idempotency::{IdempotencyKey, Once},
        problem::Problem,
        reply::Reply,
        wire::{Moment, Telephone},
    },
    kernel::{
        ids::MemberId,
        text::{CardNumber, Name, Phone},
    },
    members::{self, Enrolment, Lookup, Member},
};

/// Operations on members.
#[derive(Debug)]
pub struct Members;

/// Who is to become a member: at least one of the two numbers.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct EnrolMemberIn {
    /// The telephone number, not yet a member's.
    phone: Option<Telephone>,
    /// The card's number, not yet a member's.
    card_number: Option<CardNumber>,
    /// What to call the member.
    name: Option<Name>,
}

/// By what a member is looked for: one of the two numbers.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct FindMemberIn {
    /// The telephone number.
    phone: Option<Telephone>,
    /// The card's number.
    card_number: Option<CardNumber>,
}

/// A member, as far as the key may see one.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Member", skip_serializing_if_is_none)]
pub(in crate::api) struct MemberOut {
    /// The member's id.
    member_id: MemberId,
    /// What to call the member.
    name: Option<Name>,
    /// The telephone number, such as +8613800138000; a merchant's key sees it masked, such as
    /// +86138****8000.
    phone: Option<String>,
    /// The card's number.
    card_number: Option<CardNumber>,
    /// Since when the member is one.
    enrolled_at: Moment,
}

impl From<Member> for MemberOut {
    fn from(member: Member) -> Self {
        Self {
            member_id: member.id,
            name: member.name,
            phone: member.phone.map(|phone| phone.to_string()),
            card_number: member.card_number,
            enrolled_at: Moment(member.enrolled_at),
        }
    }
}

impl EnrolMemberIn {
    fn enrolment(self, calling_code: &str) -> Result<Enrolment, Problem> {
        let phone = self.phone.map(|phone| within(&phone, calling_code));
        Ok(Enrolment {
            phone: phone.transpose()?,
            card_number: self.card_number,
            name: self.name,
        })
    }
}

/// What is remembered of an enrolment: nothing personal.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Enrolled {
    member_id: String,
}

impl Enrolled {
    fn written(id: MemberId) -> String {
        let member_id = id.to_string();
        serde_json::json!(Self { member_id }).to_string()
    }

    fn read(kept: &str) -> Option<MemberId> {
        let kept: Self = serde_json::from_str(kept).ok()?;
        kept.member_id.parse().ok()
    }
}

/// The telephone number that is meant in this mall.
fn within(phone: &Telephone, calling_code: &str) -> Result<Phone, Problem> {
    let meant = phone.within(calling_code);
    meant.ok_or_else(|| Problem::of(&codes::INVALID_BODY))
}

#[OpenApi(tag = "Group::Till")]
impl Members {
    /// Enrol a member
    ///
    /// The member has an empty wallet at once. Repeated under the same key, the answer is the member as he or
    /// she is then. 409 `already-member` where one of the numbers is a
    /// member's, `member-without-number` where neither is given.
    #[oai(path = "/v1/members", method = "post", operation_id = "enrol_member")]
    async fn enrol_member(
        &self,
        caller: Caller<EnrolMember>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<EnrolMemberIn>,
    ) -> Result<Reply<201, MemberOut>, Problem> {
        let new = body.value.enrolment(&caller.tenant.calling_code)?;
        let begun = Once::begin(&caller, &key, &body.digest).await?;
        if let Some(id) = begun.kept().and_then(Enrolled::read) {
            let mut tx = caller.db().read(&caller.grant).await?;
            let member = members::enrolled(&mut tx, &caller.grant, id).await?;
            return Ok(Reply::again(&member.into()));
        }
        let mut once = match begun.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let member = members::enrol(once.tx(), &caller.grant, new).await;
        let kept = member.map(|member| {
            let id = member.id;
            (MemberOut::from(member), Enrolled::written(id))
        });
        once.finish_keeping(kept).await
    }

    /// Search for a member
    ///
    /// By telephone number or by card number, one of them; 409 `member-not-one` otherwise. A
    /// number is personal and stands in the body, so that no address and no log line holds it.
    #[oai(
        path = "/v1/members/search",
        method = "post",
        operation_id = "find_member"
    )]
    async fn find_member(
        &self,
        caller: Caller<ReadMembers>,
        body: Body<FindMemberIn>,
    ) -> Result<Reply<200, MemberOut>, Problem> {
        let FindMemberIn { phone, card_number } = body.value;
        let by = match (phone, card_number) {
            (Some(phone), None) => Lookup::Phone(within(&phone, &caller.tenant.calling_code)?),
            (None, Some(card)) => Lookup::Card(card),
            _ => return Err(Problem::of(&codes::MEMBER_NOT_ONE)),
        };
        let mut tx = caller.db().read(&caller.grant).await?;
        let member = members::find(&mut tx, &caller.grant, &by).await?;
        Ok(Reply::new(&member.into()))
    }

    /// Read a member
    #[oai(
        path = "/v1/members/:member_id",
        method = "get",
        operation_id = "get_member"
    )]
    async fn get_member(
        &self,
        caller: Caller<ReadMembers>,
        member_id: Path<MemberId>,
    ) -> Result<Reply<200, MemberOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let member = members::get(&mut tx, &caller.grant, member_id.0).await?;
        Ok(Reply::new(&member.into()))
    }
}

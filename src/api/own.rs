//! What is known of a member, to be taken away or to be gone.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use super::Group;
use crate::{
    app::own,
    authz::action::{CopyMembers, EraseMembers},
    http::{
        admit::Caller,
        body::Body,
        problem::Problem,
        reply::{Csv, Download, Json, Reply},
        wire::Moment,
    },
    kernel::{ids::MemberId, text::Language},
};

/// Operations on all that is known of a member.
#[derive(Debug)]
pub struct Own;

/// What has to be said of an erasure.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct EraseIn {
    /// That points which are left may lapse unused.
    #[oai(default)]
    points_given_up: bool,
}

/// Somebody whose personal data is gone.
#[derive(Debug, Clone, Object)]
#[oai(rename = "ErasedMember")]
struct ErasedOut {
    /// What the books keep, which leads to nobody.
    member_id: MemberId,
    /// Since when.
    erased_at: Moment,
}

#[OpenApi(tag = "Group::Member")]
impl Own {
    /// Take a copy of all that is known of a member
    ///
    /// One object of JSON: name and numbers, points and grants, the whole history with its receipts, and
    /// where the member is signed in. A member gets their own. It is written into the audit.
    #[oai(
        path = "/v1/members/:member_id/copy",
        method = "get",
        operation_id = "copy_member"
    )]
    async fn copy_member(
        &self,
        caller: Caller<CopyMembers>,
        member_id: Path<MemberId>,
    ) -> Result<Download<Json>, Problem> {
        let copy = own::copy(caller.app(), &caller.tenant, &caller.grant, member_id.0).await?;
        Ok(Download::new(copy.name, copy.text.into_bytes()))
    }

    /// Take a member's history away as a sheet
    ///
    /// As comma-separated values in UTF-8, one line each, the first first, times in the mall's zone; in
    /// `language`, else in the mall's first. A member gets their own. It is written into the audit.
    #[oai(
        path = "/v1/members/:member_id/copy/history",
        method = "get",
        operation_id = "copy_member_history"
    )]
    async fn copy_member_history(
        &self,
        caller: Caller<CopyMembers>,
        member_id: Path<MemberId>,
        language: Query<Option<Language>>,
    ) -> Result<Download<Csv>, Problem> {
        let language = language.0.unwrap_or_else(|| caller.tenant.language());
        let (app, mall, grant) = (caller.app(), &caller.tenant, &caller.grant);
        let copy = own::history(app, mall, grant, member_id.0, language).await?;
        Ok(Download::new(copy.name, copy.text.into_bytes()))
    }

    /// Erase a member's personal data
    ///
    /// Name, telephone and card number and all sessions are gone for ever; what was earned, spent and
    /// settled stays in the books under an id that leads to nobody. The numbers can become a member's
    /// anew. Doing it again changes nothing. 409 `points-left` where points would lapse unused and
    /// `points_given_up` is not true.
    #[oai(
        path = "/v1/members/:member_id/erasure",
        method = "post",
        operation_id = "erase_member"
    )]
    async fn erase_member(
        &self,
        caller: Caller<EraseMembers>,
        member_id: Path<MemberId>,
        body: Body<EraseIn>,
    ) -> Result<Reply<200, ErasedOut>, Problem> {
        let given_up = body.value.points_given_up;
        let erased = own::erase(caller.app(), &caller.grant, member_id.0, given_up).await?;
        Ok(Reply::new(&ErasedOut {
            member_id: erased.id,
            erased_at: Moment(erased.at),
        }))
    }
}

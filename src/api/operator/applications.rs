//! Companies that want to join, as the operator meets them.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use crate::{
    api::{
        Group,
        joining::{ApplicationWord, FieldWord, SummaryOut, TextKindWord, TextOut, WholeOut},
    },
    app::{address, joining},
    authz::action::{DecideApplications, ReadApplications, SetConditions},
    http::{
        admit::Caller,
        body::Body,
        paging::{self, List},
        problem::Problem,
        reply::{Foreign, Reply},
        wire::{Cursor, Limit, Prose},
    },
    kernel::{
        ids::{ApplicationId, PaperId},
        text::{Code, Language},
    },
    merchants::onboarding::{self, Field, Whole, files, texts},
};

/// The address of the list of applications.
const APPLICATIONS: &str = "/v1/merchant-applications";

/// Operations on applications.
#[derive(Debug)]
pub struct Applications;

/// A question about a part of an application.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct ApplicationQuestionIn {
    /// About which part.
    field: FieldWord,
    /// What is to be known, in at most 1000 characters.
    note: Prose,
}

/// What is to be known besides.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct AskApplicantIn {
    /// Part by part.
    #[oai(validator(min_items = 1, max_items = 12))]
    questions: Vec<ApplicationQuestionIn>,
}

/// Why an application is refused.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct RejectApplicationIn {
    /// What whoever applied is told, in at most 1000 characters.
    reason: Prose,
}

/// How the merchant is to be called.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct ApproveApplicationIn {
    /// What lists and files call it; without it, a code is made.
    code: Option<Code>,
}

/// An application that is approved.
#[derive(Debug, Clone, Object)]
#[oai(rename = "ApprovedApplication", skip_serializing_if_is_none)]
struct ApprovedOut {
    /// As it is now.
    approved: WholeOut,
    /// The link by which the merchant's owner chooses a password, where this server sends no mail: pass
    /// it on. It is told this once.
    invitation_link: Option<String>,
}

/// A text in one language.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct MerchantTextInLanguage {
    /// Which one.
    language: Language,
    /// The text.
    text: Prose,
}

/// A text for merchants that is to hold from now on.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct MerchantTextIn {
    /// In each of the languages in which it is to be read.
    #[oai(validator(min_items = 1, max_items = 3))]
    texts: Vec<MerchantTextInLanguage>,
}

/// Makes a step durable and answers how the application is now; its letter goes out.
async fn done(
    caller: &Caller<DecideApplications>,
    tx: crate::db::tx::Tx,
    whole: Whole,
) -> Result<Reply<200, WholeOut>, Problem> {
    tx.commit().await?;
    caller.app().bell.ring(caller.tenant.id);
    Ok(Reply::new(&whole.into()))
}

#[OpenApi(tag = "Group::Operator")]
impl Applications {
    /// List the applications
    ///
    /// The newest first; of one state where `status` names it.
    #[oai(
        path = "/v1/merchant-applications",
        method = "get",
        operation_id = "list_applications"
    )]
    async fn list_applications(
        &self,
        caller: Caller<ReadApplications>,
        status: Query<Option<ApplicationWord>>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<SummaryOut>>, Problem> {
        let slice = paging::slice(caller.app(), APPLICATIONS, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let state = status.0.map(Into::into);
        let page = onboarding::list(&mut tx, &caller.grant, state, &slice).await?;
        let list = List::new(caller.app(), APPLICATIONS, page, SummaryOut::from);
        Ok(Reply::new(&list))
    }

    /// Read an application
    ///
    /// With its files and its timeline.
    #[oai(
        path = "/v1/merchant-applications/:application_id",
        method = "get",
        operation_id = "get_application"
    )]
    async fn get_application(
        &self,
        caller: Caller<ReadApplications>,
        application_id: Path<ApplicationId>,
    ) -> Result<Reply<200, WholeOut>, Problem> {
        let vault = caller.app().vault.as_ref();
        let mut tx = caller.db().read(&caller.grant).await?;
        let whole = onboarding::get(&mut tx, &caller.grant, vault, application_id.0).await?;
        Ok(Reply::new(&whole.into()))
    }

    /// Fetch a file of an application
    ///
    /// As it was sent. 404 `unknown-file`.
    #[oai(
        path = "/v1/merchant-applications/:application_id/files/:file_id",
        method = "get",
        operation_id = "get_application_file"
    )]
    async fn get_application_file(
        &self,
        caller: Caller<ReadApplications>,
        application_id: Path<ApplicationId>,
        file_id: Path<PaperId>,
    ) -> Result<Foreign, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let (application, file) = (application_id.0, file_id.0);
        let paper = files::file(&mut tx, &caller.grant, application, file).await?;
        drop(tx);
        let bytes = caller.app().files.get(caller.tenant.id, paper.id).await?;
        Ok(Foreign {
            name: paper.name,
            media: paper.media.as_str(),
            bytes,
        })
    }

    /// Take an application under review
    ///
    /// Whoever applied is told. 409 `application-out-of-step`.
    #[oai(
        path = "/v1/merchant-applications/:application_id/review",
        method = "post",
        operation_id = "review_application"
    )]
    async fn review_application(
        &self,
        caller: Caller<DecideApplications>,
        application_id: Path<ApplicationId>,
    ) -> Result<Reply<200, WholeOut>, Problem> {
        let vault = caller.app().vault.as_ref();
        let mut tx = caller.db().write(&caller.grant).await?;
        let whole = onboarding::take_up(&mut tx, &caller.grant, vault, application_id.0).await?;
        done(&caller, tx, whole).await
    }

    /// Ask for more
    ///
    /// Part by part; whoever applied is told, and can change what they said. Asking the same again
    /// changes nothing. 409 `application-out-of-step`, 409 `reason-missing`.
    #[oai(
        path = "/v1/merchant-applications/:application_id/questions",
        method = "post",
        operation_id = "ask_applicant"
    )]
    async fn ask_applicant(
        &self,
        caller: Caller<DecideApplications>,
        application_id: Path<ApplicationId>,
        body: Body<AskApplicantIn>,
    ) -> Result<Reply<200, WholeOut>, Problem> {
        let question = |one: ApplicationQuestionIn| (Field::from(one.field), one.note.0);
        let asked: Vec<(Field, String)> = body.value.questions.into_iter().map(question).collect();
        let (vault, id) = (caller.app().vault.as_ref(), application_id.0);
        let mut tx = caller.db().write(&caller.grant).await?;
        let whole = onboarding::ask(&mut tx, &caller.grant, vault, id, &asked).await?;
        done(&caller, tx, whole).await
    }

    /// Approve an application
    ///
    /// Makes the merchant and its stores, which rest until the agreement is accepted, and invites
    /// whoever applied as the merchant's owner. Nobody approves their own (409 `needs-second-person`).
    /// 409 `code-taken`, 409 `address-taken` where somebody here has the address already. Approving
    /// again changes nothing.
    #[oai(
        path = "/v1/merchant-applications/:application_id/approval",
        method = "post",
        operation_id = "approve_application"
    )]
    async fn approve_application(
        &self,
        caller: Caller<DecideApplications>,
        application_id: Path<ApplicationId>,
        body: Body<ApproveApplicationIn>,
    ) -> Result<Reply<200, ApprovedOut>, Problem> {
        let (app, id) = (caller.app(), application_id.0);
        let mut tx = caller.db().write(&caller.grant).await?;
        let tenant = &caller.tenant;
        let code = body.value.code;
        let joined = joining::approve(app, &mut tx, tenant, &caller.grant, id, code).await?;
        tx.commit().await?;
        app.bell.ring(tenant.id);
        let link = joined.invitation.map(|token| {
            let (base, listen) = (app.config.base_url.as_deref(), Some(app.config.listen));
            address::link(base, listen, tenant, address::Page::Invitation, &token)
        });
        Ok(Reply::new(&ApprovedOut {
            approved: joined.whole.into(),
            invitation_link: link,
        }))
    }

    /// Refuse an application
    ///
    /// Whoever applied is told the reason, and may begin anew with everything that was said. 409
    /// `application-out-of-step`, 409 `reason-missing`.
    #[oai(
        path = "/v1/merchant-applications/:application_id/rejection",
        method = "post",
        operation_id = "reject_application"
    )]
    async fn reject_application(
        &self,
        caller: Caller<DecideApplications>,
        application_id: Path<ApplicationId>,
        body: Body<RejectApplicationIn>,
    ) -> Result<Reply<200, WholeOut>, Problem> {
        let (vault, id) = (caller.app().vault.as_ref(), application_id.0);
        let mut tx = caller.db().write(&caller.grant).await?;
        let reason = &body.value.reason.0;
        let whole = onboarding::reject(&mut tx, &caller.grant, vault, id, reason).await?;
        done(&caller, tx, whole).await
    }

    /// Have another text for merchants hold
    ///
    /// From now on; applications keep the version that they accepted. The same text again changes
    /// nothing.
    #[oai(
        path = "/v1/merchant-texts/current",
        method = "put",
        operation_id = "set_merchant_text"
    )]
    async fn set_merchant_text(
        &self,
        caller: Caller<SetConditions>,
        kind: Query<TextKindWord>,
        body: Body<MerchantTextIn>,
    ) -> Result<Reply<200, TextOut>, Problem> {
        let texts: Vec<(Language, String)> = body
            .value
            .texts
            .into_iter()
            .map(|one| (one.language, one.text.0))
            .collect();
        let mut tx = caller.db().write(&caller.grant).await?;
        let text = texts::publish(&mut tx, &caller.grant, kind.0.into(), &texts).await?;
        tx.commit().await?;
        Ok(Reply::new(&text.into()))
    }
}

//! For companies that want to join: the conditions, and one's own application.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Binary,
};
use secrecy::ExposeSecret;

use super::{
    Group,
    joining::{ApplicationForm, FileKindWord, FileOut, TextKindWord, TextOut, WholeOut},
};
use crate::{
    authz::action::UseApplication,
    gateway::mail::Mailer,
    http::{
        admit::{Caller, Stranger},
        body::Body,
        origin::FromWhere,
        problem::Problem,
        reply::{Foreign, Reply},
        wire::{Hidden, Text},
    },
    identity::signin,
    kernel::{
        ids::PaperId,
        text::{Email, Language},
    },
    merchants::onboarding::{self, Beginning, Said, Whole, files, texts},
};

/// Operations of whoever applies.
#[derive(Debug)]
pub struct Applicant;

/// Somebody who begins.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct StartApplicationIn {
    /// Where the letter with the link goes.
    email: Email,
    /// In which language letters are written; without it, the mall's first.
    language: Option<Language>,
    /// The `digest` of the conditions that one has read and accepts.
    #[oai(validator(pattern = "^[0-9a-f]{64}$"))]
    conditions_digest: String,
}

/// Whoever lost the link.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct ApplicationLinkIn {
    /// The address of the application.
    email: Email,
}

/// That something was taken note of.
#[derive(Debug, Clone, Object)]
#[oai(rename = "ApplicationNoted", skip_serializing_if_is_none)]
struct NotedOut {
    /// Always true, whether there was such an application or not.
    noted: bool,
    /// The token of a new application, where this server sends no mail: for `Authorization: Bearer`. It
    /// is told this once.
    token: Option<String>,
}

/// What an application is to say from now on.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct SaveApplicationIn {
    /// All of what can be shown.
    form: ApplicationForm,
    /// The number of the representative's identity card; left out, it stays as it was.
    representative_id: Option<Hidden>,
    /// The number of the bank account; left out, it stays as it was.
    bank_account: Option<Hidden>,
    /// In which language letters are written; left out, it stays as it was.
    language: Option<Language>,
}

/// By which text one stands.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct AcceptTextIn {
    /// The `digest` of the text that one has read and accepts.
    #[oai(validator(pattern = "^[0-9a-f]{64}$"))]
    digest: String,
}

/// Makes a step durable and answers how the application is now; its letter goes out.
async fn done(
    caller: &Caller<UseApplication>,
    tx: crate::db::tx::Tx,
    whole: Whole,
) -> Result<Reply<200, WholeOut>, Problem> {
    tx.commit().await?;
    caller.app().bell.ring(caller.tenant.id);
    Ok(Reply::new(&whole.into()))
}

#[OpenApi(tag = "Group::Applicant")]
impl Applicant {
    /// Read a text for merchants
    ///
    /// The conditions are read before one applies; the agreement is what one accepts after the
    /// approval. In as many languages as the operator wrote them.
    #[oai(
        path = "/v1/merchant-texts",
        method = "get",
        operation_id = "get_merchant_text"
    )]
    async fn get_merchant_text(
        &self,
        stranger: Stranger,
        kind: Query<TextKindWord>,
    ) -> Result<Reply<200, TextOut>, Problem> {
        let grant = stranger.may()?;
        let mut tx = stranger.app().db.read(&grant).await?;
        let text = texts::current(&mut tx, &grant, kind.0.into()).await?;
        Ok(Reply::new(&text.into()))
    }

    /// Begin an application
    ///
    /// Accepts the conditions by their digest (409 `other-text` where they have changed). A letter with
    /// the application's link goes to the address; where it has one already, its link goes there again
    /// and the answer is the same. 429 `too-many-tries`.
    #[oai(
        path = "/v1/applications",
        method = "post",
        operation_id = "start_application"
    )]
    async fn start_application(
        &self,
        stranger: Stranger,
        body: Body<StartApplicationIn>,
    ) -> Result<Reply<200, NotedOut>, Problem> {
        let StartApplicationIn {
            email,
            language,
            conditions_digest,
        } = body.value;
        let (app, from) = (stranger.app(), &stranger.origin);
        let mut token = None;
        if signin::count_letter(app.desk(), &stranger.grant, &email, from).await? {
            let grant = stranger.may()?;
            let new = Beginning {
                email,
                language: language.unwrap_or_else(|| stranger.tenant.language()),
                digest: conditions_digest,
                from: from.short(),
                tell: matches!(app.mailer, Mailer::Off),
            };
            let mut tx = app.db.write(&grant).await?;
            token = onboarding::start(&mut tx, &grant, new).await?;
            tx.commit().await?;
            app.bell.ring(stranger.tenant.id);
        }
        let token = token.map(|token| token.expose_secret().to_owned());
        Ok(Reply::new(&NotedOut { noted: true, token }))
    }

    /// Have an application's link sent again
    ///
    /// The answer is the same where the address has none. 429 `too-many-tries`.
    #[oai(
        path = "/v1/applications/links",
        method = "post",
        operation_id = "ask_for_application_link"
    )]
    async fn ask_for_application_link(
        &self,
        stranger: Stranger,
        body: Body<ApplicationLinkIn>,
    ) -> Result<Reply<200, NotedOut>, Problem> {
        let (app, from) = (stranger.app(), &stranger.origin);
        let email = body.value.email;
        if signin::count_letter(app.desk(), &stranger.grant, &email, from).await? {
            let grant = stranger.may()?;
            let mut tx = app.db.write(&grant).await?;
            onboarding::send_link(&mut tx, &grant, &email, &from.short()).await?;
            tx.commit().await?;
            app.bell.ring(stranger.tenant.id);
        }
        let (noted, token) = (true, None);
        Ok(Reply::new(&NotedOut { noted, token }))
    }

    /// Read one's own application
    ///
    /// With what it lacks, its files and its timeline; by the token of a letter's link.
    #[oai(
        path = "/v1/application",
        method = "get",
        operation_id = "get_own_application"
    )]
    async fn get_own_application(
        &self,
        caller: Caller<UseApplication>,
    ) -> Result<Reply<200, WholeOut>, Problem> {
        let vault = caller.app().vault.as_ref();
        let mut tx = caller.db().read(&caller.grant).await?;
        let whole = onboarding::own_application(&mut tx, &caller.grant, vault).await?;
        Ok(Reply::new(&whole.into()))
    }

    /// Keep what one's own application says
    ///
    /// As far as one has come; `lacks` says what is missing. 409 `application-closed` unless it is a
    /// draft or more was asked.
    #[oai(
        path = "/v1/application",
        method = "put",
        operation_id = "save_application"
    )]
    async fn save_application(
        &self,
        caller: Caller<UseApplication>,
        body: Body<SaveApplicationIn>,
    ) -> Result<Reply<200, WholeOut>, Problem> {
        let SaveApplicationIn {
            form,
            representative_id,
            bank_account,
            language,
        } = body.value;
        let said = Said {
            form: form.into(),
            representative_id: representative_id.map(|one| one.secret().clone()),
            bank_account: bank_account.map(|one| one.secret().clone()),
            language,
        };
        let vault = caller.app().vault.as_ref();
        let mut tx = caller.db().write(&caller.grant).await?;
        let whole = onboarding::save(&mut tx, &caller.grant, vault, said).await?;
        done(&caller, tx, whole).await
    }

    /// Send a file of one's own application
    ///
    /// The body is the file: a PDF, PNG, JPEG or WebP by its content, whatever it is called. The same
    /// bytes sent again are the same file.
    #[oai(
        path = "/v1/application/files",
        method = "post",
        operation_id = "send_file"
    )]
    async fn send_file(
        &self,
        caller: Caller<UseApplication>,
        kind: Query<FileKindWord>,
        name: Query<Text>,
        body: Binary<Vec<u8>>,
    ) -> Result<Reply<200, FileOut>, Problem> {
        let app = caller.app();
        let largest = usize::try_from(app.config.files.largest).unwrap_or(usize::MAX);
        let mut tx = caller.db().read(&caller.grant).await?;
        let (kind, name) = (kind.0.into(), name.0.as_str());
        let arrived = files::arrive(&mut tx, &caller.grant, kind, name, &body.0, largest).await?;
        drop(tx);
        if !arrived.known {
            let id = arrived.paper.id;
            app.files.put(caller.tenant.id, id, body.0).await?;
            let mut tx = caller.db().write(&caller.grant).await?;
            files::keep(&mut tx, &caller.grant, &arrived.paper).await?;
            tx.commit().await?;
        }
        Ok(Reply::new(&arrived.paper.into()))
    }

    /// Fetch a file of one's own application
    ///
    /// As it was sent. 404 `unknown-file`.
    #[oai(
        path = "/v1/application/files/:file_id",
        method = "get",
        operation_id = "get_own_file"
    )]
    async fn get_own_file(
        &self,
        caller: Caller<UseApplication>,
        file_id: Path<PaperId>,
    ) -> Result<Foreign, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let paper = files::own_file(&mut tx, &caller.grant, file_id.0).await?;
        drop(tx);
        let bytes = caller.app().files.get(caller.tenant.id, paper.id).await?;
        Ok(Foreign {
            name: paper.name,
            media: paper.media.as_str(),
            bytes,
        })
    }

    /// Take a file out of one's own application
    ///
    /// 409 `application-closed` unless it is a draft or more was asked.
    #[oai(
        path = "/v1/application/files/:file_id/removal",
        method = "post",
        operation_id = "remove_file"
    )]
    async fn remove_file(
        &self,
        caller: Caller<UseApplication>,
        file_id: Path<PaperId>,
    ) -> Result<Reply<200, WholeOut>, Problem> {
        let vault = caller.app().vault.as_ref();
        let mut tx = caller.db().write(&caller.grant).await?;
        files::remove(&mut tx, &caller.grant, file_id.0).await?;
        let whole = onboarding::own_application(&mut tx, &caller.grant, vault).await?;
        done(&caller, tx, whole).await
    }

    /// Send one's own application in
    ///
    /// 409 `application-incomplete` names everything that is missing at once. Sending it in again
    /// changes nothing.
    #[oai(
        path = "/v1/application/submission",
        method = "post",
        operation_id = "submit_application"
    )]
    async fn submit_application(
        &self,
        caller: Caller<UseApplication>,
        whence: FromWhere,
    ) -> Result<Reply<200, WholeOut>, Problem> {
        let vault = caller.app().vault.as_ref();
        let mut tx = caller.db().write(&caller.grant).await?;
        let whole = onboarding::submit(&mut tx, &caller.grant, vault, &whence.0).await?;
        done(&caller, tx, whole).await
    }

    /// Take one's own application back
    ///
    /// 409 `application-out-of-step` once it is decided.
    #[oai(
        path = "/v1/application/withdrawal",
        method = "post",
        operation_id = "withdraw_application"
    )]
    async fn withdraw_application(
        &self,
        caller: Caller<UseApplication>,
        whence: FromWhere,
    ) -> Result<Reply<200, WholeOut>, Problem> {
        let vault = caller.app().vault.as_ref();
        let mut tx = caller.db().write(&caller.grant).await?;
        let whole = onboarding::withdraw(&mut tx, &caller.grant, vault, &whence.0).await?;
        done(&caller, tx, whole).await
    }

    /// Begin one's own application anew
    ///
    /// After it was refused or taken back, with everything that it said; by the digest of the
    /// conditions as they are now.
    #[oai(
        path = "/v1/application/renewal",
        method = "post",
        operation_id = "renew_application"
    )]
    async fn renew_application(
        &self,
        caller: Caller<UseApplication>,
        whence: FromWhere,
        body: Body<AcceptTextIn>,
    ) -> Result<Reply<200, WholeOut>, Problem> {
        let (vault, digest) = (caller.app().vault.as_ref(), &body.value.digest);
        let mut tx = caller.db().write(&caller.grant).await?;
        let whole = onboarding::reopen(&mut tx, &caller.grant, vault, digest, &whence.0).await?;
        done(&caller, tx, whole).await
    }

    /// Accept the agreement
    ///
    /// By the digest of what one has read. The merchant gives and takes points from now on.
    #[oai(
        path = "/v1/application/acceptance",
        method = "post",
        operation_id = "accept_merchant_agreement"
    )]
    async fn accept_merchant_agreement(
        &self,
        caller: Caller<UseApplication>,
        whence: FromWhere,
        body: Body<AcceptTextIn>,
    ) -> Result<Reply<200, WholeOut>, Problem> {
        let (vault, digest) = (caller.app().vault.as_ref(), &body.value.digest);
        let mut tx = caller.db().write(&caller.grant).await?;
        let whole = onboarding::accept(&mut tx, &caller.grant, vault, digest, &whence.0).await?;
        done(&caller, tx, whole).await
    }
}

//! Coming in: with a password, with the second factor, with a link.

use maud::{Markup, html};
use poem::Response;
use secrecy::SecretString;

use super::{Answer, Knock, own, said, shown, to};
use crate::{
    http::{codes, problem::Problem},
    identity::{
        signin::{self, About, Need, Opened},
        staff::LinkKind,
    },
    kernel::text::Email,
    texts::{text, text_with},
};

/// Where a session goes on that needs this.
pub(super) const fn next(need: Need) -> &'static str {
    match need {
        Need::Nothing => "/account",
        Need::Code => "/sign-in/code",
        Need::Enrolment => "/second-factor",
    }
}

/// Keeps the session that was opened, and goes on.
fn opened(mut knock: Knock, opened: Opened) -> Response {
    knock.turn(Some(opened.token));
    knock.with_cookies(to(next(opened.need)))
}

/// A form on a page of its own, with what went wrong before.
fn form(knock: &Knock, title: &str, problem: Option<&Problem>, content: &Markup) -> Response {
    let language = knock.language_of(None);
    let title = text(language, title);
    let body = html! {
        main.narrow {
            h1 { (title) }
            @if let Some(problem) = problem {
                p.bad role="alert" { (said(language, problem)) }
            }
            (content)
        }
    };
    let mut response = shown(knock, None, &title, &body);
    if let Some(problem) = problem {
        response.set_status(problem.status());
    }
    response
}

fn sign_in_form(knock: &Knock, problem: Option<&Problem>) -> Response {
    let language = knock.language_of(None);
    let word = |key: &str| text(language, key);
    let content = html! {
        form method="post" action="/sign-in" {
            (knock.seal())
            label for="email" { (word("web-email")) }
            input #email name="email" type="email" autocomplete="username" required autofocus
                value=(knock.field("email"));
            label for="password" { (word("web-password")) }
            input #password name="password" type="password" autocomplete="current-password" required;
            button type="submit" { (word("web-sign-in")) }
        }
        p { a href="/password" { (word("web-forgot")) } }
    };
    form(knock, "web-sign-in", problem, &content)
}

pub(super) fn show(knock: Knock) -> Answer {
    Box::pin(async move { Ok(sign_in_form(&knock, None)) })
}

pub(super) fn submit(knock: Knock) -> Answer {
    Box::pin(async move {
        let wrong = || Problem::of(&codes::WRONG_CREDENTIALS);
        let done = match knock.field("email").trim().parse::<Email>() {
            Ok(email) => {
                let stranger = &knock.stranger;
                let (desk, grant) = (stranger.app().desk(), &stranger.grant);
                let password = knock.hidden("password");
                signin::sign_in(desk, grant, &email, &password, &stranger.origin)
                    .await
                    .map_err(Problem::from)
            }
            Err(_) => Err(wrong()),
        };
        match done {
            Ok(session) => Ok(opened(knock, session)),
            Err(problem) => {
                let known = [
                    &codes::WRONG_CREDENTIALS,
                    &codes::TOO_MANY_TRIES,
                    &codes::SIGNING_IN_BUSY,
                ];
                Ok(sign_in_form(&knock, Some(&own(problem, &known)?)))
            }
        }
    })
}

fn code_form(knock: &Knock, problem: Option<&Problem>) -> Response {
    let language = knock.language_of(None);
    let word = |key: &str| text(language, key);
    let content = html! {
        form method="post" action="/sign-in/code" {
            (knock.seal())
            label for="code" { (word("web-code")) }
            input #code name="code" type="text" autocomplete="one-time-code" autocapitalize="off"
                spellcheck="false" required autofocus aria-describedby="code-hint";
            p.hint #code-hint { (word("web-code-hint")) }
            button type="submit" { (word("web-continue")) }
        }
        form method="post" action="/sign-out" {
            (knock.seal())
            p { button.plain type="submit" { (word("web-sign-out")) } }
        }
    };
    form(knock, "web-code-title", problem, &content)
}

pub(super) fn code(knock: Knock) -> Answer {
    Box::pin(async move {
        match knock.caller().await? {
            Some(caller) if caller.session()?.limited => Ok(code_form(&knock, None)),
            Some(_) => Ok(to("/account")),
            None => Ok(to("/sign-in")),
        }
    })
}

pub(super) fn submit_code(knock: Knock) -> Answer {
    Box::pin(async move {
        let Some(caller) = knock.caller().await? else {
            return Ok(to("/sign-in"));
        };
        let (seen, desk) = (caller.session()?, caller.app().desk());
        let shown = signin::pass(desk, &caller.grant, &seen, knock.field("code")).await;
        match shown.map_err(Problem::from) {
            Ok(session) => Ok(opened(knock, session)),
            Err(problem) => {
                let known = [
                    &codes::WRONG_CODE,
                    &codes::TOO_MANY_TRIES,
                    &codes::NO_SECOND_FACTOR,
                ];
                Ok(code_form(&knock, Some(&own(problem, &known)?)))
            }
        }
    })
}

pub(super) fn forgot(knock: Knock) -> Answer {
    Box::pin(async move {
        let language = knock.language_of(None);
        let word = |key: &str| text(language, key);
        let content = html! {
            p { (word("web-forgot-text")) }
            form method="post" action="/password" {
                (knock.seal())
                label for="email" { (word("web-email")) }
                input #email name="email" type="email" autocomplete="username" required autofocus;
                button type="submit" { (word("web-forgot-send")) }
            }
            p { a href="/sign-in" { (word("web-sign-in")) } }
        };
        Ok(form(&knock, "web-forgot", None, &content))
    })
}

pub(super) fn submit_forgot(knock: Knock) -> Answer {
    Box::pin(async move {
        // What is no address has no account either, and is answered in the same way.
        if let Ok(email) = knock.field("email").trim().parse::<Email>() {
            let stranger = &knock.stranger;
            let (desk, grant) = (stranger.app().desk(), &stranger.grant);
            signin::ask_for_link(desk, grant, &email, &stranger.origin).await?;
            stranger.app().bell.ring(stranger.tenant.id);
        }
        let language = knock.language_of(None);
        let content = html! {
            p.ok role="status" { (text(language, "web-forgot-sent")) }
            p { a href="/sign-in" { (text(language, "web-sign-in")) } }
        };
        Ok(form(&knock, "web-forgot", None, &content))
    })
}

/// What leads here: the address at first, the form after that.
fn token_of(knock: &Knock) -> SecretString {
    match knock.field("token") {
        "" => SecretString::from(knock.asked("token")),
        _ => knock.hidden("token"),
    }
}

/// The page of a link: that it opens nothing, or the form in which a password is chosen.
async fn link_page(
    knock: &Knock,
    kind: LinkKind,
    problem: Option<Problem>,
) -> Result<Response, Problem> {
    use secrecy::ExposeSecret;
    let (title, action) = match kind {
        LinkKind::Invitation => ("web-invitation", "/invitation"),
        LinkKind::Reset => ("web-reset", "/password/reset"),
    };
    let language = knock.language_of(None);
    let word = |key: &str| text(language, key);
    let (token, stranger) = (token_of(knock), &knock.stranger);
    let mut tx = stranger.app().db.read(&stranger.grant).await?;
    let looked = signin::look_at(&mut tx, &stranger.grant, &token).await;
    drop(tx);
    let staff = match looked.map_err(Problem::from) {
        Ok((found, staff)) if found == kind => staff,
        Ok(_) => return Ok(nowhere(knock, title, &Problem::of(&codes::LINK_NOT_VALID))),
        Err(other) => {
            let problem = own(other, &[&codes::LINK_NOT_VALID])?;
            return Ok(nowhere(knock, title, &problem));
        }
    };
    let mall = stranger.tenant.names.get(language);
    let greeting = text_with(
        language,
        "web-link-text",
        &[("name", &staff.name), ("mall", mall)],
    );
    let content = html! {
        p { (greeting) }
        form method="post" action=(action) {
            (knock.seal())
            input type="hidden" name="token" value=(token.expose_secret());
            label for="email" { (word("web-email")) }
            input #email name="email" type="email" autocomplete="username" readonly
                value=(staff.email.as_str());
            label for="password" { (word("web-new-password")) }
            input #password name="password" type="password" autocomplete="new-password" required
                minlength="10" maxlength="128" aria-describedby="password-hint";
            p.hint #password-hint { (word("web-password-hint")) }
            button type="submit" { (word("web-continue")) }
        }
    };
    Ok(form(knock, title, problem.as_ref(), &content))
}

fn nowhere(knock: &Knock, title: &str, problem: &Problem) -> Response {
    let language = knock.language_of(None);
    let content = html! {
        p { a href="/password" { (text(language, "web-forgot")) } }
        p { a href="/sign-in" { (text(language, "web-sign-in")) } }
    };
    form(knock, title, Some(problem), &content)
}

async fn choose(knock: Knock, kind: LinkKind) -> Result<Response, Problem> {
    let (token, password) = (token_of(&knock), knock.hidden("password"));
    let stranger = &knock.stranger;
    let (desk, grant, about) = (stranger.app().desk(), &stranger.grant, About::default());
    let by = (&token, &password);
    let done = signin::redeem(desk, grant, kind, by, &about, &stranger.origin).await;
    match done.map_err(Problem::from) {
        Ok(session) => Ok(opened(knock, session)),
        Err(problem) => {
            let known = [
                &codes::LINK_NOT_VALID,
                &codes::BAD_PASSWORD,
                &codes::SIGNING_IN_BUSY,
            ];
            let problem = own(problem, &known)?;
            link_page(&knock, kind, Some(problem)).await
        }
    }
}

pub(super) fn invited(knock: Knock) -> Answer {
    Box::pin(async move { link_page(&knock, LinkKind::Invitation, None).await })
}

pub(super) fn submit_invited(knock: Knock) -> Answer {
    Box::pin(choose(knock, LinkKind::Invitation))
}

pub(super) fn reset(knock: Knock) -> Answer {
    Box::pin(async move { link_page(&knock, LinkKind::Reset, None).await })
}

pub(super) fn submit_reset(knock: Knock) -> Answer {
    Box::pin(choose(knock, LinkKind::Reset))
}

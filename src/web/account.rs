//! What is one's own: who one is, the second factor, sessions.

use maud::{Markup, PreEscaped, html};
use poem::Response;
use qrcode::{QrCode, render::svg};
use secrecy::{ExposeSecret, SecretString};

use super::{Answer, Knock, console::role_called, own, said, shown, sign_in::next, to};
use crate::{
    authz::{action::UseAccount, actor::Role},
    http::{admit::Caller, codes, problem::Problem},
    identity::{
        one_time::Enrolment,
        sessions::{self, Preferences},
        signin::{self, Need},
        staff::{Staff, Theme},
    },
    kernel::{page::Slice, text::Language},
    texts::text,
};

/// The most sessions on the page.
const LISTED: i64 = 20;

/// Somebody who is signed in, as far as they are.
pub(super) struct Present {
    pub(super) caller: Caller<UseAccount>,
    pub(super) person: Staff,
    need: Need,
}

impl Present {
    /// Nobody where the cookie opens nothing.
    async fn of(knock: &Knock) -> Result<Option<Self>, Problem> {
        let Some(caller) = knock.caller().await? else {
            return Ok(None);
        };
        let limited = caller.session()?.limited;
        let mut tx = caller.db().read(&caller.grant).await?;
        let person = sessions::me(&mut tx, &caller.grant).await?;
        drop(tx);
        let need = Need::of(&person, !limited);
        Ok(Some(Self {
            caller,
            person,
            need,
        }))
    }

    /// What the telephone calls the mall.
    fn issuer(&self) -> String {
        let mall = &self.caller.tenant;
        mall.names.get(mall.language()).to_owned()
    }
}

/// Whoever may go on at a page for those who are wholly signed in, or where to go first.
pub(super) async fn whole(knock: &Knock) -> Result<Result<Present, Response>, Problem> {
    Ok(match Present::of(knock).await? {
        None => Err(to("/sign-in")),
        Some(present) if present.need == Need::Nothing => Ok(present),
        Some(present) => Err(to(next(present.need))),
    })
}

pub(super) fn show(knock: Knock) -> Answer {
    Box::pin(async move {
        let present = match whole(&knock).await? {
            Ok(present) => present,
            Err(elsewhere) => return Ok(elsewhere),
        };
        Ok(account(&knock, &present, false))
    })
}

fn account(knock: &Knock, present: &Present, kept: bool) -> Response {
    let person = &present.person;
    let language = person.language;
    let word = |key: &str| text(language, key);
    let mall = present.caller.tenant.names.get(language);
    let own = present.caller.grant.own_roles();
    let called = |role: &Role| role_called(language, own, role.as_str());
    let roles = person.roles.iter().map(called);
    let content = html! {
        main {
            h1 { (word("web-account")) }
            @if kept { p.ok role="status" { (word("web-kept")) } }
            dl {
                dt { (word("web-name")) } dd { (person.name) }
                dt { (word("web-email")) } dd { (person.email.as_str()) }
                dt { (word("web-mall")) } dd { (mall) }
                @if let Some(merchant) = person.merchant {
                    dt { (word("web-merchant")) } dd { code { (merchant) } }
                }
                dt { (word("web-roles")) } dd { ul.tags { @for role in roles { li { (role) } } } }
                dt { (word("web-second-factor")) }
                dd {
                    @if person.second_factor_since.is_some() { (word("web-on")) }
                    @else { a href="/second-factor" { (word("web-set-up")) } }
                }
            }
            p { a href="/console" { (word("console-open")) } }
            h2 { (word("web-preferences")) }
            (preferences(knock, person))
        }
    };
    shown(knock, Some(person), &word("web-account"), &content)
}

fn preferences(knock: &Knock, person: &Staff) -> Markup {
    let word = |key: &str| text(person.language, key);
    html! {
        form method="post" action="/account" {
            (knock.seal())
            label for="language" { (word("web-language")) }
            select #language name="language" {
                @for language in Language::ALL {
                    option value=(language.tag()) lang=(language.tag())
                        selected[language == person.language] { (text(language, "web-language-own")) }
                }
            }
            label for="theme" { (word("web-theme")) }
            select #theme name="theme" {
                @for theme in Theme::ALL {
                    option value=(theme.as_str()) selected[theme == person.theme] {
                        (word(&format!("web-theme-{}", theme.as_str())))
                    }
                }
            }
            button type="submit" { (word("web-keep")) }
        }
    }
}

pub(super) fn prefer(knock: Knock) -> Answer {
    Box::pin(async move {
        let mut present = match whole(&knock).await? {
            Ok(present) => present,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let person = &present.person;
        let name = person.name.parse();
        let name = name.map_err(|_| Problem::of(&codes::FORM_REFUSED))?;
        let wanted = Preferences {
            name,
            language: knock.field("language").parse().unwrap_or(person.language),
            zone: person.zone,
            theme: knock.field("theme").parse().unwrap_or(person.theme),
        };
        let caller = &present.caller;
        let mut tx = caller.db().write(&caller.grant).await?;
        let person = sessions::prefer(&mut tx, &caller.grant, &caller.session()?, &wanted).await?;
        tx.commit().await?;
        present.person = person;
        Ok(account(&knock, &present, true))
    })
}

pub(super) fn factor(knock: Knock) -> Answer {
    Box::pin(async move {
        let Some(present) = Present::of(&knock).await? else {
            return Ok(to("/sign-in"));
        };
        if present.need == Need::Code {
            return Ok(to("/sign-in/code"));
        }
        if present.person.second_factor_since.is_some() {
            return Ok(to("/account"));
        }
        factor_page(&knock, &present, None).await
    })
}

/// The secret that is being set up, or how to begin.
async fn factor_page(
    knock: &Knock,
    present: &Present,
    problem: Option<Problem>,
) -> Result<Response, Problem> {
    let caller = &present.caller;
    let vault = caller.app().vault.as_ref();
    let mut tx = caller.db().read(&caller.grant).await?;
    let asked = signin::enrolment(&mut tx, &caller.grant, vault, &present.issuer()).await;
    drop(tx);
    let (enrolment, problem) = match asked.map_err(Problem::from) {
        Ok(enrolment) => (enrolment, problem),
        Err(other) => (None, Some(own(other, &[&codes::SECOND_FACTOR_OFF])?)),
    };
    let language = present.person.language;
    let word = |key: &str| text(language, key);
    let content = html! {
        main.narrow {
            h1 { (word("web-factor-title")) }
            @if let Some(problem) = &problem {
                p.bad role="alert" { (said(language, problem)) }
            }
            p { (word("web-factor-text")) }
            @if let Some(enrolment) = &enrolment {
                (steps(knock, language, enrolment))
            } @else {
                form method="post" action="/second-factor/begin" {
                    (knock.seal())
                    button type="submit" { (word("web-factor-begin")) }
                }
            }
        }
    };
    let mut response = shown(
        knock,
        Some(&present.person),
        &word("web-factor-title"),
        &content,
    );
    if let Some(problem) = &problem {
        response.set_status(problem.status());
    }
    Ok(response)
}

fn steps(knock: &Knock, language: Language, enrolment: &Enrolment) -> Markup {
    let word = |key: &str| text(language, key);
    html! {
        p { (word("web-factor-scan")) }
        @if let Some(square) = square(&enrolment.address) {
            p.square role="img" aria-label=(word("web-factor-square")) { (square) }
        }
        p { (word("web-factor-type")) }
        p { code { (enrolment.secret.expose_secret()) } }
        form method="post" action="/second-factor" {
            (knock.seal())
            label for="code" { (word("web-code")) }
            input #code name="code" type="text" inputmode="numeric" autocomplete="one-time-code"
                required;
            button type="submit" { (word("web-continue")) }
        }
    }
}

/// A text as a square to be photographed.
fn square(address: &SecretString) -> Option<Markup> {
    let code = QrCode::new(address.expose_secret().as_bytes()).ok()?;
    let drawn = code
        .render::<svg::Color<'_>>()
        .min_dimensions(220, 220)
        .build();
    // What stands before the drawing belongs to a file of its own.
    let at = drawn.find("<svg")?;
    Some(PreEscaped(drawn.get(at..)?.to_owned()))
}

pub(super) fn begin_factor(knock: Knock) -> Answer {
    Box::pin(async move {
        let Some(present) = Present::of(&knock).await? else {
            return Ok(to("/sign-in"));
        };
        let caller = &present.caller;
        let mut tx = caller.db().write(&caller.grant).await?;
        let vault = caller.app().vault.as_ref();
        let begun = signin::begin_enrolment(&mut tx, &caller.grant, vault, &present.issuer()).await;
        match begun.map_err(Problem::from) {
            Ok(_) => {
                tx.commit().await?;
                Ok(to("/second-factor"))
            }
            Err(problem) => {
                drop(tx);
                let problem = own(problem, &[&codes::SECOND_FACTOR_OFF])?;
                factor_page(&knock, &present, Some(problem)).await
            }
        }
    })
}

pub(super) fn submit_factor(mut knock: Knock) -> Answer {
    Box::pin(async move {
        let Some(present) = Present::of(&knock).await? else {
            return Ok(to("/sign-in"));
        };
        let caller = &present.caller;
        let (desk, seen) = (caller.app().desk(), caller.session()?);
        let done = signin::activate(desk, &caller.grant, &seen, knock.field("code")).await;
        match done.map_err(Problem::from) {
            Ok(activated) => {
                knock.turn(Some(activated.opened.token));
                Ok(codes_page(
                    &knock,
                    &present.person,
                    &activated.recovery_codes,
                ))
            }
            Err(problem) => {
                let known = [
                    &codes::WRONG_CODE,
                    &codes::TOO_MANY_TRIES,
                    &codes::NO_SECOND_FACTOR,
                ];
                let problem = own(problem, &known)?;
                factor_page(&knock, &present, Some(problem)).await
            }
        }
    })
}

fn codes_page(knock: &Knock, person: &Staff, codes: &[SecretString]) -> Response {
    let word = |key: &str| text(person.language, key);
    let content = html! {
        main.narrow {
            h1 { (word("web-codes-title")) }
            p.ok role="status" { (word("web-codes-on")) }
            p { (word("web-codes-text")) }
            ul.codes { @for code in codes { li { code { (code.expose_secret()) } } } }
            p { a href="/account" { (word("web-codes-kept")) } }
        }
    };
    shown(knock, Some(person), &word("web-codes-title"), &content)
}

pub(super) fn sessions(knock: Knock) -> Answer {
    Box::pin(async move {
        match whole(&knock).await? {
            Ok(present) => sessions_page(&knock, &present).await,
            Err(elsewhere) => Ok(elsewhere),
        }
    })
}

async fn sessions_page(knock: &Knock, present: &Present) -> Result<Response, Problem> {
    let (caller, person) = (&present.caller, &present.person);
    let slice = Slice {
        limit: LISTED,
        after: None,
    };
    let mut tx = caller.db().read(&caller.grant).await?;
    let (page, now) = (
        sessions::list(&mut tx, &caller.grant, &slice).await?,
        tx.now(),
    );
    drop(tx);
    let word = |key: &str| text(person.language, key);
    let zone = person.zone.unwrap_or(caller.tenant.zone);
    let this = caller.session()?.id;
    let alive = page.items.iter().filter(|session| session.is_alive(now));
    let content = html! {
        main {
            h1 { (word("web-sessions")) }
            div.scroll {
                table {
                    caption { (word("web-sessions-text")) }
                    thead { tr {
                        th scope="col" { (word("web-origin")) }
                        th scope="col" { (word("web-since")) }
                        th scope="col" { (word("web-seen")) }
                        th scope="col" { (word("web-end")) }
                    } }
                    tbody { @for session in alive { tr {
                        th scope="row" { (session.origin) }
                        td { (zone.minute(session.created_at)) }
                        td { (zone.minute(session.seen_at)) }
                        td {
                            @if session.id == this { (word("web-this")) }
                            @else {
                                form method="post" action="/account/sessions" {
                                    (knock.seal())
                                    input type="hidden" name="session" value=(session.id);
                                    button.plain type="submit" { (word("web-end")) }
                                }
                            }
                        }
                    } } }
                }
            }
            form method="post" action="/account/sessions" {
                (knock.seal())
                input type="hidden" name="session" value="others";
                button type="submit" { (word("web-end-others")) }
            }
        }
    };
    Ok(shown(knock, Some(person), &word("web-sessions"), &content))
}

pub(super) fn end_session(knock: Knock) -> Answer {
    Box::pin(async move {
        let present = match whole(&knock).await? {
            Ok(present) => present,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let caller = &present.caller;
        let (seen, named) = (caller.session()?, knock.field("session"));
        let mut tx = caller.db().write(&caller.grant).await?;
        if named == "others" {
            sessions::revoke_others(&mut tx, &caller.grant, &seen).await?;
        } else {
            let id = named.parse();
            let id = id.map_err(|_| Problem::of(&codes::UNKNOWN_SESSION))?;
            sessions::revoke(&mut tx, &caller.grant, &seen, id).await?;
        }
        tx.commit().await?;
        Ok(to("/account/sessions"))
    })
}

pub(super) fn sign_out(mut knock: Knock) -> Answer {
    Box::pin(async move {
        if let Some(caller) = knock.caller().await? {
            let mut tx = caller.db().write(&caller.grant).await?;
            sessions::sign_out(&mut tx, &caller.grant, &caller.session()?).await?;
            tx.commit().await?;
        }
        knock.turn(None);
        Ok(knock.with_cookies(to("/sign-in")))
    })
}

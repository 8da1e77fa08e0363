//! For members: coming in by a code that their telephone is told, and their points.
//!
//! Members have a cookie of their own, so that somebody who works here can be a member in the same
//! browser. While a code is on its way, it holds what opens together with the code.

use std::time::Duration;

use maud::{Markup, html};
use poem::Response;
use secrecy::ExposeSecret;

use super::{Answer, Knock, document, own, said, to};
use crate::{
    app::entering,
    authz::action::{ReadMembers, UseMembership},
    http::{admit::Caller, codes, problem::Problem},
    identity::{
        members::{self as visits, codes as sign_in_codes},
        staff::Theme,
    },
    kernel::{ids::MemberId, text::Phone},
    members,
    reports::home::{Home, HomeLine, home},
    settlement::document::Cell,
    texts::{text, text_with},
};

/// How often it is looked whether the message is written, on somebody's own machine.
const LOOKS: u32 = 100;

/// And how long apart.
const BETWEEN: Duration = Duration::from_millis(100);

/// A page for members; whoever is in can go.
pub(super) fn framed(knock: &Knock, inside: bool, title: &str, content: &Markup) -> Response {
    let language = knock.language_of(None);
    let mall = knock.stranger.tenant.names.get(language);
    let whole = html! {
        header {
            strong { (mall) }
            @if inside {
                nav aria-label=(text(language, "web-menu")) {
                    a href="/my" { (text(language, "my-points")) }
                    a href="/my/profile" { (text(language, "my-profile")) }
                    form method="post" action="/my/sign-out" {
                        (knock.seal())
                        button.plain type="submit" { (text(language, "web-sign-out")) }
                    }
                }
            }
        }
        main.narrow {
            h1 { (title) }
            (content)
        }
    };
    let titled = text_with(language, "web-title", &[("page", title), ("mall", mall)]);
    knock.with_cookies(document(language, Theme::System, &titled, &whole))
}

/// A form on a page of its own, with what went wrong before.
fn form(knock: &Knock, title: &str, problem: Option<&Problem>, content: &Markup) -> Response {
    let language = knock.language_of(None);
    let content = html! {
        @if let Some(problem) = problem {
            p.bad role="alert" { (said(language, problem)) }
        }
        (content)
    };
    let mut response = framed(knock, false, &text(language, title), &content);
    if let Some(problem) = problem {
        response.set_status(problem.status());
    }
    response
}

fn phone_form(knock: &Knock, problem: Option<&Problem>) -> Response {
    let word = |key: &str| text(knock.language_of(None), key);
    let content = html! {
        form method="post" action="/my/sign-in" {
            (knock.seal())
            label for="phone" { (word("my-phone")) }
            input #phone name="phone" type="tel" inputmode="tel" autocomplete="tel-national" required
                autofocus maxlength="40" aria-describedby="phone-hint" value=(knock.field("phone"));
            p.hint #phone-hint { (word("my-phone-hint")) }
            button type="submit" { (word("my-send-code")) }
        }
    };
    form(knock, "my-sign-in", problem, &content)
}

pub(super) fn sign_in(knock: Knock) -> Answer {
    Box::pin(async move {
        match knock.caller_for::<UseMembership>().await? {
            Some(_) => Ok(to("/my")),
            None => Ok(phone_form(&knock, None)),
        }
    })
}

pub(super) fn ask(mut knock: Knock) -> Answer {
    Box::pin(async move {
        match asked(&knock).await {
            Ok(asked) => {
                knock.stranger.app().bell.ring(knock.stranger.tenant.id);
                knock.turn(Some(asked.token));
                Ok(knock.with_cookies(to("/my/sign-in/code")))
            }
            Err(problem) => {
                let known = [
                    &codes::TOO_MANY_CODES,
                    &codes::SIGN_IN_CODES_OFF,
                    &codes::INVALID_PHONE,
                ];
                Ok(phone_form(&knock, Some(&own(problem, &known)?)))
            }
        }
    })
}

async fn asked(knock: &Knock) -> Result<sign_in_codes::Asked, Problem> {
    let (stranger, app) = (&knock.stranger, knock.stranger.app());
    if app.sms.is_off() {
        return Err(Problem::of(&codes::SIGN_IN_CODES_OFF));
    }
    let phone = Phone::parse(knock.field("phone").trim(), &stranger.tenant.calling_code);
    let phone = phone.map_err(|_| Problem::of(&codes::INVALID_PHONE))?;
    let (grant, language) = (&stranger.grant, knock.language_of(None));
    let (origin, most) = (&stranger.origin, app.config.codes_a_day);
    Ok(sign_in_codes::ask(&app.db, grant, &phone, language, origin, most).await?)
}

/// What would have been sent, where this is somebody's own machine, nobody sends anything, and it is they
/// who ask. The job that writes it may just have begun.
async fn unsent(knock: &Knock) -> Option<String> {
    if !knock.is_here() {
        return None;
    }
    let sms = &knock.stranger.app().sms;
    let id = sign_in_codes::request_of(knock.token()?)?.to_string();
    for _ in 0..LOOKS {
        if let Some(found) = sms.shown(&id) {
            return Some(found.expose_secret().to_owned());
        }
        if !sms.is_outbox() {
            break;
        }
        tokio::time::sleep(BETWEEN).await;
    }
    None
}

async fn code_form(knock: &Knock, problem: Option<&Problem>) -> Response {
    let language = knock.language_of(None);
    let word = |key: &str| text(language, key);
    let unsent = unsent(knock).await;
    let content = html! {
        @if let Some(unsent) = unsent {
            p.ok role="status" { (text_with(language, "my-unsent", &[("text", &unsent)])) }
        }
        form method="post" action="/my/sign-in/code" {
            (knock.seal())
            label for="code" { (word("my-code")) }
            input #code name="code" type="text" inputmode="numeric" autocomplete="one-time-code"
                required autofocus maxlength="20" aria-describedby="code-hint";
            p.hint #code-hint { (word("my-code-hint")) }
            button type="submit" { (word("my-enter")) }
        }
        p { a href="/my/sign-in" { (word("my-another")) } }
    };
    form(knock, "my-code-title", problem, &content)
}

pub(super) fn code(knock: Knock) -> Answer {
    Box::pin(async move {
        if knock.token().and_then(sign_in_codes::request_of).is_none() {
            return Ok(to("/my/sign-in"));
        }
        Ok(code_form(&knock, None).await)
    })
}

pub(super) fn enter(mut knock: Knock) -> Answer {
    Box::pin(async move {
        let Some(token) = knock.token().cloned() else {
            return Ok(to("/my/sign-in"));
        };
        let stranger = &knock.stranger;
        let (app, mall, from) = (stranger.app(), stranger.tenant.id, &stranger.origin);
        let shown = (&token, knock.field("code"));
        let arrived = entering::enter(app, mall, &stranger.grant, shown, None, from).await;
        match arrived.map_err(Problem::from) {
            Ok(arrival) => {
                knock.turn(Some(arrival.entered.token));
                Ok(knock.with_cookies(to("/my")))
            }
            Err(problem) if *problem.kind() == codes::SIGN_IN_CODE_GONE => {
                knock.turn(None);
                Ok(phone_form(&knock, Some(&problem)))
            }
            Err(problem) => {
                let problem = own(problem, &[&codes::WRONG_SIGN_IN_CODE])?;
                Ok(code_form(&knock, Some(&problem)).await)
            }
        }
    })
}

pub(super) fn sign_out(mut knock: Knock) -> Answer {
    Box::pin(async move {
        if let Some(caller) = knock.caller_for::<UseMembership>().await? {
            let own = caller.membership()?;
            let mut tx = caller.db().write(&caller.grant).await?;
            visits::end(&mut tx, &caller.grant, own).await?;
            tx.commit().await?;
        }
        knock.turn(None);
        Ok(knock.with_cookies(to("/my/sign-in")))
    })
}

/// The member's points: how many, until when, and what happened last.
pub(super) fn show(knock: Knock) -> Answer {
    Box::pin(async move {
        let Some(caller) = knock.caller_for::<UseMembership>().await? else {
            return Ok(to("/my/sign-in"));
        };
        let reads = caller.app().policy.also::<_, ReadMembers>(&caller.grant);
        let reads = reads.map_err(|_| Problem::of(&codes::NOT_ALLOWED))?;
        let member: MemberId = visits::oneself(&caller.grant)?;
        let mut tx = caller.db().read(&reads).await?;
        let known = members::get(&mut tx, &reads, member).await?;
        let found = home(&mut tx, &reads, member).await?;
        drop(tx);
        let found = found.ok_or_else(|| Problem::of(&codes::UNKNOWN_MEMBER))?;
        let language = knock.language_of(None);
        let title = match &known.name {
            Some(name) => text_with(language, "my-hello", &[("name", name.as_str())]),
            None => text(language, "my-points"),
        };
        let content = points(&knock, &caller, &found);
        Ok(framed(&knock, true, &title, &content))
    })
}

fn points(knock: &Knock, caller: &Caller<UseMembership>, home: &Home) -> Markup {
    let (language, zone) = (knock.language_of(None), caller.tenant.zone);
    let word = |key: &str| text(language, key);
    let count = |points: i64| Cell::Points(points).shown(0);
    let counted = |key: &str, points: i64| text_with(language, key, &[("points", &count(points))]);
    html! {
        section.purse aria-label=(word("my-points")) {
            p.much { strong { (count(home.available)) } " " (word("my-unit")) }
            @for (_, names, points) in &home.earmarked {
                p.hint { (text_with(language, "my-only-at",
                    &[("points", &count(*points)), ("merchant", names.get(language))])) }
            }
            @if home.held > 0 { p.hint { (counted("my-held", home.held)) } }
            @if home.owed > 0 { p.bad { (counted("my-owed", home.owed)) } }
            @if let Some(next) = home.next_expiry {
                p { (text_with(language, "my-lapse",
                    &[("points", &count(next.points)), ("until", &zone.minute(next.at))])) }
            }
        }
        h2 { (word("my-lines")) }
        @if home.lines.is_empty() { p.empty { (word("my-no-lines")) } } @else {
            ol.moves {
                @for line in &home.lines { li { (moved(knock, caller, line)) } }
            }
        }
    }
}

/// One line: how many, why, where, when, and what was left.
fn moved(knock: &Knock, caller: &Caller<UseMembership>, line: &HomeLine) -> Markup {
    let (language, zone) = (knock.language_of(None), caller.tenant.zone);
    let count = |points: i64| Cell::Points(points).shown(0);
    let sign = if line.points > 0 { "+" } else { "" };
    let merchant = line.merchant.as_ref().map(|(_, names)| names.get(language));
    let store = line.store.as_ref().map(|(_, names)| names.get(language));
    // Most stores are called by their merchant's name and where they are.
    let place: Vec<&str> = match (merchant, store) {
        (Some(merchant), Some(store)) if store.starts_with(merchant) => vec![store],
        (merchant, store) => merchant.into_iter().chain(store).collect(),
    };
    let after = text_with(
        language,
        "my-after",
        &[("points", &count(line.balance_after))],
    );
    html! {
        span.why { (text(language, &format!("my-kind-{}", line.kind))) }
        span.many.gain[line.points > 0] { (sign) (count(line.points)) }
        span.hint.where { (place.join(" · ")) }
        span.hint.after { (after) }
        time.hint datetime=(line.occurred_at.to_rfc3339()) { (zone.minute(line.occurred_at)) }
    }
}

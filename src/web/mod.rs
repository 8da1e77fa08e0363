//! The door for people: pages, which work without any script.
//!
//! A page is a function; what it shows is a value of `maud`, which makes every text safe. Each form has
//! a token of its own (see [`knock`]). The words are the catalogue's, in the person's language, or in
//! the one that the browser asks for. Nothing comes from elsewhere, and nothing is inline.

mod account;
mod applications;
mod apply;
mod knock;
mod sign_in;

use std::sync::LazyLock;

use futures_util::future::BoxFuture;
use maud::{DOCTYPE, Markup, html};
use poem::{
    Endpoint, Request, Response, Route,
    endpoint::make,
    get,
    http::{HeaderValue, StatusCode, header},
    post,
};
use sha2::{Digest, Sha256};

use self::knock::Knock;
use crate::{
    app::App,
    http::{
        codes,
        problem::{Problem, chain},
    },
    identity::staff::{Staff, Theme},
    kernel::page::hex,
    texts::{text, text_with},
};

/// How pages look.
const STYLE: &str = include_str!("assets/style.css");

/// What pages may load: what is ours, and no script.
const ALLOWED: &str = "default-src 'self'; script-src 'none'; object-src 'none'; form-action 'self'; \
                       frame-ancestors 'none'; base-uri 'none'";

/// The style's address, which is another one whenever the style is.
static STYLE_PATH: LazyLock<String> = LazyLock::new(|| {
    let digest = hex(&Sha256::digest(STYLE.as_bytes()));
    format!("/assets/style-{}.css", digest.get(..16).unwrap_or_default())
});

/// What a page answers.
type Answer = BoxFuture<'static, Result<Response, Problem>>;

/// A page, or what its form does.
type Handler = fn(Knock) -> Answer;

/// Every page, added to `route`.
pub fn routes(app: &App, route: Route) -> Route {
    let at = |handler: Handler| page(app, handler);
    route
        .at("/sign-in", get(at(sign_in::show)).post(at(sign_in::submit)))
        .at(
            "/sign-in/code",
            get(at(sign_in::code)).post(at(sign_in::submit_code)),
        )
        .at("/sign-out", post(at(account::sign_out)))
        .at(
            "/password",
            get(at(sign_in::forgot)).post(at(sign_in::submit_forgot)),
        )
        .at(
            "/password/reset",
            get(at(sign_in::reset)).post(at(sign_in::submit_reset)),
        )
        .at(
            "/invitation",
            get(at(sign_in::invited)).post(at(sign_in::submit_invited)),
        )
        .at(
            "/second-factor",
            get(at(account::factor)).post(at(account::submit_factor)),
        )
        .at("/second-factor/begin", post(at(account::begin_factor)))
        .at("/account", get(at(account::show)).post(at(account::prefer)))
        .at(
            "/account/sessions",
            get(at(account::sessions)).post(at(account::end_session)),
        )
        .at("/apply", get(at(apply::show)).post(at(apply::begin)))
        .at("/apply/link", post(at(apply::link)))
        .at(
            "/apply/application",
            get(at(apply::application)).post(at(apply::act)),
        )
        .at("/apply/files", post(at(apply::send)))
        .at("/apply/file", get(at(apply::file)))
        .at("/applications", get(at(applications::queue)))
        .at(
            "/applications/application",
            get(at(applications::show)).post(at(applications::act)),
        )
        .at("/applications/file", get(at(applications::file)))
        .at(STYLE_PATH.as_str(), get(make(|_| async { style() })))
}

fn page(app: &App, handler: Handler) -> impl Endpoint<Output = Response> + use<> {
    let app = app.clone();
    make(move |request: Request| {
        let app = app.clone();
        async move { Ok::<_, poem::Error>(answer(&app, request, handler).await) }
    })
}

/// A page, or the page that says why there is none.
async fn answer(app: &App, request: Request, handler: Handler) -> Response {
    let language = knock::asked_language(&request);
    let done = match Knock::of(app, request).await {
        Ok(knock) => handler(knock).await,
        Err(problem) => Err(problem),
    };
    done.unwrap_or_else(|problem| {
        if problem.status().is_server_error() {
            tracing::error!(code = problem.kind().code, "No page: {}", chain(&problem));
        }
        let said = said(language, &problem);
        let title = text(language, "web-problem-title");
        let body = html! {
            main.narrow {
                h1 { (title) }
                p.bad role="alert" { (said) }
                p { a href="/sign-in" { (text(language, "web-sign-in")) } }
            }
        };
        let mut response = document(language, Theme::System, &title, &body);
        response.set_status(problem.status());
        response
    })
}

/// What a problem means to somebody who reads pages.
fn said(language: crate::kernel::text::Language, problem: &Problem) -> String {
    const KNOWN: [&str; 30] = [
        "wrong-credentials",
        "too-many-tries",
        "wrong-code",
        "no-second-factor",
        "second-factor-off",
        "second-factor-set-up",
        "link-not-valid",
        "bad-password",
        "wrong-password",
        "signing-in-busy",
        "form-refused",
        "unknown-mall",
        "unknown-session",
        "other-text",
        "application-incomplete",
        "application-closed",
        "application-out-of-step",
        "licence-taken",
        "secrets-off",
        "file-refused",
        "too-many-files",
        "reason-missing",
        "needs-second-person",
        "code-taken",
        "address-taken",
        "not-allowed",
        "unknown-application",
        "unknown-file",
        "files-unavailable",
        "body-too-large",
    ];
    let code = problem.kind().code;
    let key = if KNOWN.contains(&code) { code } else { "other" };
    text(language, &format!("web-problem-{key}"))
}

/// A whole page.
fn document(
    language: crate::kernel::text::Language,
    theme: Theme,
    title: &str,
    body: &Markup,
) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang=(language.tag()) data-theme=[themed(theme)] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) }
                link rel="stylesheet" href=(STYLE_PATH.as_str());
            }
            body { (body) }
        }
    };
    let mut response = Response::builder()
        .content_type("text/html; charset=utf-8")
        .body(page.into_string());
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(ALLOWED),
    );
    // Where nothing at all is said of where one comes from, a browser does not say of a form either
    // that it is ours.
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("same-origin"),
    );
    response
}

fn themed(theme: Theme) -> Option<&'static str> {
    match theme {
        Theme::System => None,
        Theme::Light | Theme::Dark => Some(theme.as_str()),
    }
}

/// A page of the mall, with whoever is signed in.
fn shown(knock: &Knock, person: Option<&Staff>, title: &str, content: &Markup) -> Response {
    let language = knock.language_of(person);
    let mall = knock.stranger.tenant.names.get(language);
    let whole = html! {
        header {
            strong { (mall) }
            @if let Some(person) = person {
                nav aria-label=(text(language, "web-menu")) {
                    a href="/account" { (person.name) }
                    a href="/account/sessions" { (text(language, "web-sessions")) }
                    form method="post" action="/sign-out" {
                        (knock.seal())
                        button.plain type="submit" { (text(language, "web-sign-out")) }
                    }
                }
            }
        }
        (content)
    };
    let titled = text_with(language, "web-title", &[("page", title), ("mall", mall)]);
    let theme = person.map_or(Theme::System, |person| person.theme);
    knock.with_cookies(document(language, theme, &titled, &whole))
}

/// To another page, which is asked for anew.
fn to(path: &str) -> Response {
    Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::LOCATION, path)
        .finish()
}

fn style() -> Response {
    Response::builder()
        .content_type("text/css; charset=utf-8")
        .header(header::CACHE_CONTROL, "public, max-age=31536000, immutable")
        .body(STYLE)
}

/// What is not one of a page's own problems goes to the page of problems.
fn own(problem: Problem, codes: &[&'static codes::Kind]) -> Result<Problem, Problem> {
    if codes.iter().any(|kind| **kind == *problem.kind()) {
        Ok(problem)
    } else {
        Err(problem)
    }
}

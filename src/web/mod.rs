//! The door for people: pages, which work without any script.
//!
//! A page is a function; what it shows is a value of `maud`, which makes every text safe. Each form has
//! a token of its own (see [`knock`]). The words are the catalogue's, in the person's language, or in
//! the one that the browser asks for. Nothing comes from elsewhere, and nothing is inline.

mod account;
mod applications;
mod apply;
mod console;
mod disputes;
mod knock;
mod lines;
mod member;
mod membership;
mod operator;
mod settlements;
mod sign_in;

use std::sync::LazyLock;

use futures_util::future::BoxFuture;
use maud::{DOCTYPE, Markup, html};
use poem::{
    Endpoint, EndpointExt, Request, Response, Route, RouteMethod,
    endpoint::make,
    error::MethodNotAllowedError,
    get,
    http::{HeaderValue, StatusCode, header},
};
use sha2::{Digest, Sha256};

use self::{
    knock::Knock,
    operator::{audit, changes, isolation, people, permissions, roles},
};
use crate::{
    app::App,
    http::{
        codes,
        problem::{Occurrence, Problem, chain},
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

/// An address at which there is a page, with what one needs to see it and to send its form; no right
/// where it is for whoever comes, or for oneself.
pub struct Place {
    /// The address; what begins with a colon stands for something.
    pub path: &'static str,
    /// What seeing it takes; none where it is not to be seen.
    pub get: Option<Option<Right>>,
    /// What sending its form takes; none where it has none.
    pub post: Option<Option<Right>>,
}

/// An object and an action of the policy.
type Right = (&'static str, &'static str);

/// What shows a page, and what takes its form.
type Handlers = (Option<Handler>, Option<Handler>);

/// Declares every page once: for the routes, and for whoever checks who gets into which.
macro_rules! pages {
    ($($path:literal $(get $get:path $(as $gr:literal $ga:literal)?)?
        $(, post $post:path $(as $pr:literal $pa:literal)?)?;)*) => {
        /// Every page, in the order of this file.
        pub const PLACES: &[Place] = &[$(Place {
            path: $path,
            get: pages!(@right $($get)? ; $($($gr $ga)?)?),
            post: pages!(@right $($post)? ; $($($pr $pa)?)?),
        }),*];

        const HANDLERS: &[Handlers] = &[$((
            pages!(@handler $($get)?),
            pages!(@handler $($post)?),
        )),*];
    };
    (@right ; ) => { None };
    (@right $handler:path ; ) => { Some(None) };
    (@right $handler:path ; $object:literal $act:literal) => { Some(Some(($object, $act))) };
    (@handler ) => { None };
    (@handler $handler:path) => { Some($handler) };
}

pages! {
    "/my" get member::show;
    "/my/sign-in" get member::sign_in, post member::ask;
    "/my/sign-in/code" get member::code, post member::enter;
    "/my/sign-out" , post member::sign_out;
    "/my/profile" get membership::profile, post membership::rename;
    "/my/profile/devices" , post membership::end;
    "/my/copy" get membership::copy;
    "/my/copy/history" get membership::history;
    "/my/leave" get membership::leave, post membership::go;
    "/sign-in" get sign_in::show, post sign_in::submit;
    "/sign-in/code" get sign_in::code, post sign_in::submit_code;
    "/sign-out" , post account::sign_out;
    "/password" get sign_in::forgot, post sign_in::submit_forgot;
    "/password/reset" get sign_in::reset, post sign_in::submit_reset;
    "/invitation" get sign_in::invited, post sign_in::submit_invited;
    "/second-factor" get account::factor, post account::submit_factor;
    "/second-factor/begin" , post account::begin_factor;
    "/account" get account::show, post account::prefer;
    "/account/sessions" get account::sessions, post account::end_session;
    "/apply" get apply::show, post apply::begin;
    "/apply/link" , post apply::link;
    "/apply/application" get apply::application, post apply::act;
    "/apply/files" , post apply::send;
    "/apply/file" get apply::file;
    "/console" get console::show;
    "/console/applications" get applications::queue as "application" "read";
    "/console/applications/application" get applications::show as "application" "read",
        post applications::act as "application" "decide";
    "/console/applications/file" get applications::file as "application" "read";
    "/console/people" get people::list as "staff" "read";
    "/console/people/invite" get people::invite as "staff" "invite",
        post people::submit_invite as "staff" "invite";
    "/console/people/:person" get people::show as "staff" "read";
    "/console/people/:person/roles" , post people::set_roles as "staff" "manage";
    "/console/people/:person/end" , post people::end as "staff" "manage";
    "/console/changes" get changes::list as "staff" "read";
    "/console/changes/:change" , post changes::decide as "staff" "manage";
    "/console/roles" get roles::list as "role" "read";
    "/console/roles/new" get roles::new as "role" "manage", post roles::create as "role" "manage";
    "/console/roles/:role" get roles::show as "role" "read", post roles::change as "role" "manage";
    "/console/roles/:role/end" , post roles::end as "role" "manage";
    "/console/permissions" get permissions::list as "role" "read";
    "/console/permissions/:object/:action" get permissions::show as "staff" "read";
    "/console/audit" get audit::list as "audit" "read";
    "/console/audit/proof" get audit::proof as "audit" "read";
    "/console/isolation" get isolation::show as "isolation" "verify",
        post isolation::run as "isolation" "verify";
    "/console/settlements" get settlements::list as "settlement" "read";
    "/console/settlements/:settlement" get settlements::show as "statement" "read";
    "/console/settlements/:settlement/issue" , post settlements::issue as "settlement" "issue";
    "/console/settlements/:settlement/statements.csv" get settlements::sheet as "statement" "read";
    "/console/statements/:statement" get settlements::statement as "statement" "read";
    "/console/statements/:statement/confirm" , post settlements::confirm as "statement" "confirm";
    "/console/statements/:statement/statement.pdf" get settlements::pdf as "statement" "read";
    "/console/statements/:statement/statement.xlsx" get settlements::xlsx as "statement" "read";
    "/console/statements/:statement/statement.csv" get settlements::csv as "statement" "read";
    "/console/statements/:statement/lines" get lines::list as "statement" "read",
        post lines::dispute as "dispute" "raise";
    "/console/statements/:statement/lines/:journal/:line" get lines::show as "statement" "read";
    "/console/disputes" get disputes::list as "dispute" "read",
        post disputes::decide as "dispute" "decide";
}

/// Every page, added to `route`.
pub fn routes(app: &App, route: Route) -> Route {
    let at = |handler: Handler| page(app, handler);
    let pages = PLACES.iter().zip(HANDLERS);
    let route = pages.fold(route, |route, (place, (shows, takes))| {
        let mut methods = RouteMethod::new();
        let mut allowed = Vec::new();
        if let Some(shows) = shows {
            methods = methods.get(at(*shows));
            allowed.extend(["GET", "HEAD"]);
        }
        if let Some(takes) = takes {
            methods = methods.post(at(*takes));
            allowed.push("POST");
        }
        let allowed = allowed.join(", ");
        let other = move |_: MethodNotAllowedError| {
            let allowed = HeaderValue::try_from(allowed.as_str());
            async move {
                let problem = Problem::of(&codes::METHOD_NOT_ALLOWED);
                let mut answer = problem.response(Occurrence::default());
                if let Ok(allowed) = allowed {
                    answer.headers_mut().insert(header::ALLOW, allowed);
                }
                answer
            }
        };
        route.at(place.path, methods.catch_error(other))
    });
    route.at(STYLE_PATH.as_str(), get(make(|_| async { style() })))
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
    let key = format!("web-problem-{}", problem.kind().code);
    match text(language, &key) {
        same if same == key => text(language, "web-problem-other"),
        words => words,
    }
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
    shown_at(knock, person, title, None, content)
}

/// The same below a menu.
fn shown_at(
    knock: &Knock,
    person: Option<&Staff>,
    title: &str,
    menu: Option<&Markup>,
    content: &Markup,
) -> Response {
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
        @if let Some(menu) = menu { (menu) }
        (content)
    };
    let titled = text_with(language, "web-title", &[("page", title), ("mall", mall)]);
    let theme = person.map_or(Theme::System, |person| person.theme);
    knock.with_cookies(document(language, theme, &titled, &whole))
}

/// To another page, which is asked for anew.
fn to(path: &'static str) -> Response {
    to_address(path)
}

/// The same of an address that is made up here.
fn to_address(path: &str) -> Response {
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

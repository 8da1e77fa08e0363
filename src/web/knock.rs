//! One request for a page: who asks, in which language, by which cookie, and that a form is ours.
//!
//! The session's token is in a cookie that only our own host gets, over TLS, and that no script sees.
//! A form opens only with its seal: an HMAC over a second random cookie and the session's token, so that
//! neither another site nor another session can fill it in; and only where the browser does not say that
//! it comes from elsewhere. On this very machine, without TLS and with `--dev`, the cookies have other
//! names and go without.

use std::collections::BTreeMap;

use hmac::{Hmac, Mac};
use maud::{Markup, html};
use poem::{
    Addr, FromRequest, Request, RequestBody, Response,
    http::{HeaderName, HeaderValue, Method, header},
    web::{Form, Multipart},
};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::{
    app::App,
    authz::action::{Action, UseAccount, UseApplication},
    http::{
        admit::{Caller, Stranger, admit_session},
        codes,
        problem::Problem,
    },
    identity::{members, sessions::LONGEST, staff::Staff},
    kernel::{page::hex, text::Language},
    merchants::onboarding::news,
};

/// The cookie of the session of whoever works here, of a member's, and of seals.
const NAMES: [&str; 3] = [
    "__Host-rotunda",
    "__Host-rotunda-member",
    "__Host-rotunda-form",
];

/// The same on this machine without TLS.
const DEV_NAMES: [&str; 3] = ["rotunda-dev", "rotunda-dev-member", "rotunda-dev-form"];

/// Where members' pages are.
const MEMBERS: &str = "/my";

/// The field that holds a form's seal.
const SEAL: &str = "seal";

static FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A request for a page.
pub(super) struct Knock {
    /// Who asks, as far as coming in goes.
    pub(super) stranger: Stranger,
    /// What the form says.
    form: BTreeMap<String, String>,
    /// The file that came with it.
    file: Option<(String, Vec<u8>)>,
    /// What the address says.
    query: BTreeMap<String, String>,
    request: Request,
    token: Option<SecretString>,
    salt: String,
    fresh: bool,
    secure: bool,
    /// Whether it is for a page of members.
    member: bool,
    turn: Turn,
}

/// What becomes of the session's cookie.
enum Turn {
    /// It stays as it is.
    Kept,
    /// It holds another token.
    To(SecretString),
    /// It goes.
    Gone,
}

impl Knock {
    /// Reads a request, and refuses a form that is not ours.
    pub(super) async fn of(app: &App, request: Request) -> Result<Self, Problem> {
        let stranger = Stranger::of(&request).await?;
        let peer = match &request.remote_addr().0 {
            Addr::SocketAddr(address) => address.ip().is_loopback(),
            _ => false,
        };
        let secure = !(app.config.dev && peer && !app.config.behind_proxy);
        let (request, mut body) = request.split();
        let posts = request.method() == Method::POST;
        let (form, file) = if !posts {
            (BTreeMap::new(), None)
        } else if request.content_type().is_some_and(is_multipart) {
            parts(&request, &mut body).await?
        } else {
            let read = Form::<BTreeMap<String, String>>::from_request(&request, &mut body).await;
            (read.map_err(|error| refused(&error))?.0, None)
        };
        let [staff, members, sealing] = if secure { NAMES } else { DEV_NAMES };
        let below = request.uri().path().strip_prefix(MEMBERS);
        let member = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let session = if member { members } else { staff };
        let salt = cookie(&request, sealing);
        let fresh = salt.is_none();
        let mut knock = Self {
            stranger,
            form,
            file,
            query: request.params().unwrap_or_default(),
            token: cookie(&request, session).map(SecretString::from),
            salt: salt.unwrap_or_else(|| hex(&app.entropy.bytes::<16>())),
            request,
            fresh,
            secure,
            member,
            turn: Turn::Kept,
        };
        if posts {
            knock.check()?;
        }
        // A token that opens nothing is as none.
        if knock
            .token
            .as_ref()
            .is_some_and(|token| token.expose_secret().len() > 200)
        {
            knock.token = None;
        }
        Ok(knock)
    }

    /// That a form is ours.
    fn check(&self) -> Result<(), Problem> {
        let refused = || Problem::of(&codes::FORM_REFUSED);
        let headers = self.request.headers();
        let said = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let host = said(&header::HOST).unwrap_or_default();
        if let Some(origin) = headers.get(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or_default();
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            if authority != Some(host) {
                return Err(refused());
            }
        }
        if said(&FETCH_SITE).is_some_and(|site| !matches!(site, "same-origin" | "none")) {
            return Err(refused());
        }
        let given = self.field(SEAL);
        let bytes: Option<Vec<u8>> = (0..given.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(given.get(at..at.checked_add(2)?)?, 16).ok())
            .collect();
        let (Some(bytes), false) = (bytes, self.fresh) else {
            return Err(refused());
        };
        self.mac()?.verify_slice(&bytes).map_err(|_| refused())
    }

    fn mac(&self) -> Result<Hmac<Sha256>, Problem> {
        let secret = self.stranger.app().db.secret_for(b"form")?;
        let mac = <Hmac<Sha256> as Mac>::new_from_slice(secret.as_bytes());
        let mut mac = mac.map_err(|_| Problem::of(&codes::INTERNAL_ERROR))?;
        mac.update(self.salt.as_bytes());
        mac.update(&[0]);
        let token = match &self.turn {
            Turn::Kept => self.token.as_ref(),
            Turn::To(token) => Some(token),
            Turn::Gone => None,
        };
        mac.update(token.map_or("", |token| token.expose_secret()).as_bytes());
        Ok(mac)
    }

    /// What a form needs to be ours.
    pub(super) fn seal(&self) -> Markup {
        let seal = self.mac().map(|mac| hex(&mac.finalize().into_bytes()));
        html! { input type="hidden" name=(SEAL) value=(seal.unwrap_or_default()); }
    }

    /// What the form says under that name; nothing where it does not.
    pub(super) fn field(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }

    /// The same, not to be seen.
    pub(super) fn hidden(&self, name: &str) -> SecretString {
        SecretString::from(self.field(name))
    }

    /// What the address says under that name.
    pub(super) fn asked(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// The part of the address that its pattern gives that name.
    pub(super) fn part(&self, name: &str) -> String {
        self.request
            .path_params::<BTreeMap<String, String>>()
            .ok()
            .and_then(|mut parts| parts.remove(name))
            .unwrap_or_default()
    }

    /// The address, without what it asks.
    pub(super) fn path(&self) -> &str {
        self.request.uri().path()
    }

    /// Whoever is signed in; nobody where the cookie opens nothing.
    pub(super) async fn caller(&self) -> Result<Option<Caller<UseAccount>>, Problem> {
        self.caller_for().await
    }

    /// The same, where they may do `A`.
    ///
    /// # Errors
    /// `not-allowed`, `second-factor-needed`, and what [`admit_session`] says.
    pub(super) async fn caller_for<A: Action>(&self) -> Result<Option<Caller<A>>, Problem> {
        let Some(token) = &self.token else {
            return Ok(None);
        };
        match admit_session(&self.request, token.clone()).await {
            Ok(caller) => Ok(Some(caller)),
            Err(problem) if *problem.kind() == codes::UNKNOWN_KEY => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// Whether somebody at this very machine asks it, as its own for trying things out.
    pub(super) fn is_here(&self) -> bool {
        !self.secure
    }

    /// What the session's cookie holds.
    pub(super) fn token(&self) -> Option<&SecretString> {
        self.token.as_ref()
    }

    /// Whoever shows the token of an application's link.
    pub(super) async fn applicant(&self, token: &str) -> Result<Caller<UseApplication>, Problem> {
        // A session's token opens no application, and is not to be asked for here.
        if !news::has_form(token) {
            return Err(Problem::of(&codes::LINK_NOT_VALID));
        }
        let token = SecretString::from(token);
        match admit_session(&self.request, token).await {
            Err(problem) if *problem.kind() == codes::UNKNOWN_KEY => {
                Err(Problem::of(&codes::LINK_NOT_VALID))
            }
            other => other,
        }
    }

    /// The file that came with the form: what it is called, and its bytes.
    pub(super) fn file(&self) -> Option<&(String, Vec<u8>)> {
        self.file.as_ref()
    }

    /// Has the session's cookie hold this token from now on; none: be gone.
    pub(super) fn turn(&mut self, token: Option<SecretString>) {
        self.turn = token.map_or(Turn::Gone, Turn::To);
    }

    /// In which language to speak: the person's, else the browser's, else the mall's.
    pub(super) fn language_of(&self, person: Option<&Staff>) -> Language {
        match person {
            Some(person) => person.language,
            None => wished(&self.request).unwrap_or_else(|| self.stranger.tenant.language()),
        }
    }

    /// An answer with the cookies that are new.
    pub(super) fn with_cookies(&self, mut response: Response) -> Response {
        let [staff, member, sealing] = if self.secure { NAMES } else { DEV_NAMES };
        let (session, longest) = if self.member {
            (member, members::LONGEST)
        } else {
            (staff, LONGEST)
        };
        let most = longest.num_seconds();
        let mut set = |name: &str, value: &str, age: i64| {
            let secure = if self.secure { "; Secure" } else { "" };
            let cookie =
                format!("{name}={value}; Path=/; Max-Age={age}{secure}; HttpOnly; SameSite=Lax");
            if let Ok(cookie) = HeaderValue::try_from(cookie) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
        };
        if self.fresh {
            set(sealing, &self.salt, most);
        }
        match &self.turn {
            Turn::Kept => {}
            Turn::To(token) => set(session, token.expose_secret(), most),
            Turn::Gone => set(session, "", 0),
        }
        response
    }
}

fn is_multipart(media: &str) -> bool {
    media.starts_with("multipart/form-data")
}

/// Why a form was not read.
fn refused(error: &poem::Error) -> Problem {
    let problem = Problem::from_poem(error, None);
    if problem.status().is_server_error() {
        return Problem::of(&codes::FORM_REFUSED);
    }
    problem
}

/// A form with a file in it; of several the last. The body as a whole has its limit.
async fn parts(
    request: &Request,
    body: &mut RequestBody,
) -> Result<(BTreeMap<String, String>, Option<(String, Vec<u8>)>), Problem> {
    let read = Multipart::from_request(request, body).await;
    let mut read = read.map_err(|error| refused(&error))?;
    let (mut form, mut file) = (BTreeMap::new(), None);
    // What breaks off is too large or no form.
    let broken = |_| Problem::of(&codes::BODY_TOO_LARGE);
    while let Some(field) = read.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        if let Some(called) = field.file_name().map(str::to_owned) {
            let bytes = field
                .bytes()
                .await
                .map_err(|_| Problem::of(&codes::BODY_TOO_LARGE))?;
            file = Some((called, bytes));
        } else {
            let text = field
                .text()
                .await
                .map_err(|_| Problem::of(&codes::FORM_REFUSED))?;
            form.insert(name, text);
        }
    }
    Ok((form, file))
}

/// The one cookie of that name.
fn cookie(request: &Request, name: &str) -> Option<String> {
    let all = request.headers().get_all(header::COOKIE).iter();
    let mut found = all
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(known, value)| *known == name && !value.is_empty());
    let (_, value) = found.next()?;
    found.next().is_none().then(|| value.to_owned())
}

/// The first language of ours that a browser wishes for, by its own order of weights.
fn wished(request: &Request) -> Option<Language> {
    let header = request
        .headers()
        .get(header::ACCEPT_LANGUAGE)?
        .to_str()
        .ok()?;
    let mut wishes: Vec<(u32, Language)> = Vec::new();
    for wish in header.split(',').take(20) {
        let (tag, weight) = wish.split_once(";q=").unwrap_or((wish, "1"));
        let weight: f64 = weight.trim().parse().unwrap_or(0.0);
        let Some(language) = Language::from_tag(tag) else {
            continue;
        };
        let thousandths = (1..=1000u32)
            .rev()
            .find(|part| f64::from(*part) <= weight * 1000.0);
        if let Some(weight) = thousandths {
            wishes.push((weight, language));
        }
    }
    // Of equal weights the first stays first.
    wishes.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    wishes.first().map(|(_, language)| *language)
}

/// The language of a page about a request of which nothing else is known.
pub(super) fn asked_language(request: &Request) -> Language {
    wished(request).unwrap_or(Language::En)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_wish_is_taken_by_its_weights() {
        for (header, language) in [
            ("zh-TW,zh;q=0.9,en;q=0.8", Some(Language::ZhTw)),
            ("fr, en;q=0.5, zh-CN;q=0.7", Some(Language::ZhCn)),
            ("zh-Hant-HK", Some(Language::ZhTw)),
            ("en;q=0, zh", Some(Language::ZhCn)),
            ("fr", None),
            (";;;q=x,,", None),
        ] {
            let request = Request::builder()
                .header("accept-language", header)
                .finish();
            assert_eq!(wished(&request), language, "{header}");
        }
    }

    #[test]
    fn a_cookie_that_comes_twice_is_none() {
        let of = |line: &str| cookie(&Request::builder().header("cookie", line).finish(), "a");
        assert_eq!(of("b=2; a=1"), Some("1".to_owned()));
        assert_eq!(of("a=1; a=2"), None);
        assert_eq!(of("aa=1"), None);
    }
}

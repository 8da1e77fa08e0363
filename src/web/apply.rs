//! For companies that want to join: the conditions, and their application on one page, which is kept as
//! far as it is and needs no script.

mod parts;

use maud::{Markup, html};
use poem::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretString};

use self::parts::{form, papers};
use super::{Answer, Knock, own, said, shown, to_address};
use crate::{
    authz::action::UseApplication,
    gateway::mail::Mailer,
    http::{admit::Caller, codes, problem::Problem, reply::Foreign},
    identity::signin,
    kernel::{
        text::{Email, Language, printable},
        time::Zone,
    },
    merchants::onboarding::{
        self, Beginning, Event, Field, Form, Lack, Paper, PaperKind, Person, Said, State, TextKind,
        TextVersion, Whole, files, texts,
    },
    texts::{text, text_with},
};

/// The longest line that a form gives, in characters.
const LINE: usize = 200;

/// The longest text of several lines.
const LINES: usize = 4000;

pub(super) fn show(knock: Knock) -> Answer {
    Box::pin(async move { conditions(&knock, None).await })
}

/// The conditions, and how to begin.
async fn conditions(knock: &Knock, problem: Option<&Problem>) -> Result<Response, Problem> {
    let language = knock.language_of(None);
    let grant = knock.stranger.may()?;
    let mut tx = knock.stranger.app().db.read(&grant).await?;
    let terms = texts::current(&mut tx, &grant, TextKind::Conditions).await?;
    drop(tx);
    let word = |key: &str| text(language, key);
    let content = html! {
        main {
            h1 { (word("apply-title")) }
            @if let Some(problem) = problem {
                p.bad role="alert" { (said(language, problem)) }
            }
            p { (word("apply-steps")) }
            h2 { (word("apply-conditions")) }
            div.text tabindex="0" { (terms.in_language(language)) }
            p.hint { (version(language, &terms)) }
            form method="post" action="/apply" {
                (knock.seal())
                input type="hidden" name="digest" value=(terms.digest);
                label for="email" { (word("web-email")) }
                input #email name="email" type="email" autocomplete="email" required
                    value=(knock.field("email"));
                p.hint { (word("apply-email-hint")) }
                p {
                    input #accept name="accept" type="checkbox" value="yes" required;
                    label for="accept" { (word("apply-accept")) }
                }
                button type="submit" { (word("apply-begin")) }
            }
            h2 { (word("apply-lost")) }
            form method="post" action="/apply/link" {
                (knock.seal())
                label for="known" { (word("web-email")) }
                input #known name="email" type="email" autocomplete="email" required;
                button.second type="submit" { (word("apply-send-link")) }
            }
        }
    };
    let mut response = shown(knock, None, &word("apply-title"), &content);
    if let Some(problem) = problem {
        response.set_status(problem.status());
    }
    Ok(response)
}

fn version(language: Language, terms: &TextVersion) -> String {
    let (version, digest) = (terms.version.to_string(), terms.digest.get(..12));
    let places = [
        ("version", version.as_str()),
        ("digest", digest.unwrap_or_default()),
    ];
    text_with(language, "apply-version", &places)
}

pub(super) fn begin(knock: Knock) -> Answer {
    Box::pin(async move {
        let (app, from) = (knock.stranger.app(), &knock.stranger.origin);
        let begun = async {
            let email: Email = knock.field("email").parse().map_err(|_| unfit())?;
            if knock.field("accept") != "yes" {
                return Err(unfit());
            }
            if !signin::count_letter(app.desk(), &knock.stranger.grant, &email, from).await? {
                return Ok(None);
            }
            let grant = knock.stranger.may()?;
            let new = Beginning {
                email,
                language: knock.language_of(None),
                digest: knock.field("digest").to_owned(),
                from: from.short(),
                tell: matches!(app.mailer, Mailer::Off),
            };
            let mut tx = app.db.write(&grant).await?;
            let token = onboarding::start(&mut tx, &grant, new).await?;
            tx.commit().await?;
            app.bell.ring(knock.stranger.tenant.id);
            Ok(token)
        };
        match begun.await {
            Ok(Some(token)) => {
                Ok(knock.with_cookies(to_address(&path_of(token.expose_secret(), ""))))
            }
            Ok(None) => Ok(on_its_way(&knock)),
            Err(problem) => {
                let known = [
                    &codes::OTHER_TEXT,
                    &codes::TOO_MANY_TRIES,
                    &codes::FORM_REFUSED,
                ];
                conditions(&knock, Some(&own(problem, &known)?)).await
            }
        }
    })
}

pub(super) fn link(knock: Knock) -> Answer {
    Box::pin(async move {
        let (app, from) = (knock.stranger.app(), &knock.stranger.origin);
        let email: Email = knock.field("email").parse().map_err(|_| unfit())?;
        if signin::count_letter(app.desk(), &knock.stranger.grant, &email, from).await? {
            let grant = knock.stranger.may()?;
            let mut tx = app.db.write(&grant).await?;
            onboarding::send_link(&mut tx, &grant, &email, &from.short()).await?;
            tx.commit().await?;
            app.bell.ring(knock.stranger.tenant.id);
        }
        Ok(on_its_way(&knock))
    })
}

fn on_its_way(knock: &Knock) -> Response {
    let language = knock.language_of(None);
    let word = |key: &str| text(language, key);
    let content = html! {
        main.narrow {
            h1 { (word("apply-title")) }
            p.ok role="status" { (word("apply-sent")) }
        }
    };
    shown(knock, None, &word("apply-title"), &content)
}

fn unfit() -> Problem {
    Problem::of(&codes::FORM_REFUSED)
}

fn path_of(token: &str, more: &str) -> String {
    format!("/apply/application?token={token}{more}")
}

pub(super) fn application(knock: Knock) -> Answer {
    Box::pin(async move {
        let token = knock.asked("token");
        let caller = knock.applicant(token).await?;
        let own = read(&knock, &caller).await?;
        let kept = !knock.asked("kept").is_empty();
        Ok(page(&knock, &caller, token, &own, kept, None))
    })
}

/// One's own application.
struct Own {
    whole: Whole,
    /// The conditions as they are now, where beginning anew takes that they are accepted.
    terms: Option<TextVersion>,
}

async fn read(knock: &Knock, caller: &Caller<UseApplication>) -> Result<Own, Problem> {
    let vault = caller.app().vault.as_ref();
    let mut tx = caller.db().read(&caller.grant).await?;
    let whole = onboarding::own_application(&mut tx, &caller.grant, vault).await?;
    let mut terms = None;
    if whole.application.state.is_over() {
        let grant = knock.stranger.may()?;
        terms = Some(texts::current(&mut tx, &grant, TextKind::Conditions).await?);
    }
    Ok(Own { whole, terms })
}

/// What the buttons of an application do; all of them first keep what the form says, where it says
/// anything.
pub(super) fn act(knock: Knock) -> Answer {
    Box::pin(async move {
        let token = knock.field("token").to_owned();
        let caller = knock.applicant(&token).await?;
        match done(&knock, &caller).await {
            Ok(()) => {
                caller.app().bell.ring(caller.tenant.id);
                Ok(knock.with_cookies(to_address(&path_of(&token, "&kept=yes"))))
            }
            Err(problem) => again(&knock, &caller, &token, problem).await,
        }
    })
}

/// The page as it is, with what went wrong.
async fn again(
    knock: &Knock,
    caller: &Caller<UseApplication>,
    token: &str,
    problem: Problem,
) -> Result<Response, Problem> {
    let known = [
        &codes::APPLICATION_INCOMPLETE,
        &codes::APPLICATION_CLOSED,
        &codes::APPLICATION_OUT_OF_STEP,
        &codes::LICENCE_TAKEN,
        &codes::SECRETS_OFF,
        &codes::OTHER_TEXT,
        &codes::FILE_REFUSED,
        &codes::TOO_MANY_FILES,
    ];
    let problem = own(problem, &known)?;
    let own = read(knock, caller).await?;
    Ok(page(knock, caller, token, &own, false, Some(&problem)))
}

async fn done(knock: &Knock, caller: &Caller<UseApplication>) -> Result<(), Problem> {
    let (vault, grant) = (caller.app().vault.as_ref(), &caller.grant);
    let (digest, from) = (knock.field("digest"), knock.stranger.origin.short());
    let action = knock.field("do");
    let mut tx = caller.db().write(grant).await?;
    match action {
        "save" | "submit" => {
            onboarding::save(&mut tx, grant, vault, said_by(knock)).await?;
        }
        "withdraw" => {
            onboarding::withdraw(&mut tx, grant, vault, &from).await?;
        }
        "renew" => {
            onboarding::reopen(&mut tx, grant, vault, digest, &from).await?;
        }
        "accept" => {
            onboarding::accept(&mut tx, grant, vault, digest, &from).await?;
        }
        "remove" => {
            let id = knock.field("file").parse();
            let id = id.map_err(|_| Problem::of(&codes::UNKNOWN_FILE))?;
            files::remove(&mut tx, grant, id).await?;
        }
        _ => return Err(unfit()),
    }
    tx.commit().await?;
    if action == "submit" {
        // What was said is kept also where it cannot be sent in.
        let mut tx = caller.db().write(grant).await?;
        onboarding::submit(&mut tx, grant, vault, &from).await?;
        tx.commit().await?;
    }
    Ok(())
}

pub(super) fn send(knock: Knock) -> Answer {
    Box::pin(async move {
        let token = knock.field("token").to_owned();
        let caller = knock.applicant(&token).await?;
        match sent(&knock, &caller).await {
            Ok(()) => Ok(knock.with_cookies(to_address(&path_of(&token, "&kept=yes")))),
            Err(problem) => again(&knock, &caller, &token, problem).await,
        }
    })
}

async fn sent(knock: &Knock, caller: &Caller<UseApplication>) -> Result<(), Problem> {
    let app = caller.app();
    let kind = PaperKind::parse(knock.field("kind")).ok_or_else(unfit)?;
    let (name, bytes) = knock.file().ok_or_else(unfit)?;
    let largest = usize::try_from(app.config.files.largest).unwrap_or(usize::MAX);
    let mut tx = caller.db().read(&caller.grant).await?;
    let arrived = files::arrive(&mut tx, &caller.grant, kind, name, bytes, largest).await?;
    drop(tx);
    if !arrived.known {
        let (tenant, id) = (caller.tenant.id, arrived.paper.id);
        app.files.put(tenant, id, bytes.clone()).await?;
        let mut tx = caller.db().write(&caller.grant).await?;
        files::keep(&mut tx, &caller.grant, &arrived.paper).await?;
        tx.commit().await?;
    }
    Ok(())
}

pub(super) fn file(knock: Knock) -> Answer {
    Box::pin(async move {
        let caller = knock.applicant(knock.asked("token")).await?;
        let id = knock.asked("file").parse();
        let id = id.map_err(|_| Problem::of(&codes::UNKNOWN_FILE))?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let paper = files::own_file(&mut tx, &caller.grant, id).await?;
        drop(tx);
        let bytes = caller.app().files.get(caller.tenant.id, paper.id).await?;
        Ok(as_file(paper, bytes))
    })
}

/// A file as an answer, which is kept and never shown in place.
pub(super) fn as_file(paper: Paper, bytes: Vec<u8>) -> Response {
    let (name, media) = (paper.name, paper.media.as_str());
    Foreign { name, media, bytes }.into_response()
}

/// One line of a form as it may be kept.
fn line(given: &str) -> String {
    let plain = given.chars().filter(|letter| printable(*letter));
    plain.take(LINE).collect::<String>().trim().to_owned()
}

/// Several lines likewise.
pub(super) fn lines(given: &str) -> String {
    let plain = given
        .chars()
        .filter(|letter| *letter == '\n' || printable(*letter));
    plain.take(LINES).collect::<String>().trim().to_owned()
}

/// A list of which each stands on a line of its own.
fn listed(given: &str) -> Vec<String> {
    let each = given.lines().map(line).filter(|one| !one.is_empty());
    each.take(onboarding::form::MOST_LISTED).collect()
}

fn said_by(knock: &Knock) -> Said {
    let field = |name: &str| line(knock.field(name));
    let secret = |name: &str| {
        let said = field(name);
        (!said.is_empty()).then(|| SecretString::from(said))
    };
    let person = |number: usize| Person {
        name: field(&format!("contact-{number}-name")),
        role: field(&format!("contact-{number}-role")),
        email: field(&format!("contact-{number}-email")),
        phone: field(&format!("contact-{number}-phone")),
    };
    let contacts = (0..onboarding::form::MOST_LISTED).map(person);
    let form = Form {
        company: field("company"),
        country: field("country")
            .to_ascii_uppercase()
            .chars()
            .take(2)
            .collect(),
        licence_number: field("licence"),
        representative: field("representative"),
        contacts: contacts.filter(|one| *one != Person::default()).collect(),
        categories: listed(knock.field("categories")),
        bank_holder: field("holder"),
        bank_name: field("bank"),
        stripe_account: field("stripe"),
        goods: lines(knock.field("goods")),
        alliance: field("alliance"),
        stores: listed(knock.field("stores")),
    };
    Said {
        form,
        representative_id: secret("identity"),
        bank_account: secret("account"),
        language: knock.field("language").parse().ok(),
    }
}

fn page(
    knock: &Knock,
    caller: &Caller<UseApplication>,
    token: &str,
    own: &Own,
    kept: bool,
    problem: Option<&Problem>,
) -> Response {
    let (whole, application) = (&own.whole, &own.whole.application);
    // What somebody chose in the form goes before what the browser wishes.
    let language = application.language;
    let word = |key: &str| text(language, key);
    let zone = caller.tenant.zone;
    let content = html! {
        main {
            h1 { (word("apply-own")) }
            @if let Some(problem) = problem {
                p.bad role="alert" { (said(language, problem)) }
            } @else if kept {
                p.ok role="status" { (word("web-kept")) }
            }
            p { (state(language, application.state)) }
            p { (word(&format!("apply-now-{}", hyphened(application.state.as_str())))) }
            (asked(language, whole))
            @match application.state {
                State::Draft | State::InformationAsked => {
                    (lacking(language, whole))
                    (form(knock, token, whole))
                    (papers(knock, token, whole, true))
                    form method="post" action="/apply/application" {
                        (knock.seal())
                        input type="hidden" name="token" value=(token);
                        button.danger type="submit" name="do" value="withdraw" {
                            (word("apply-withdraw"))
                        }
                    }
                }
                State::Submitted | State::UnderReview | State::Resubmitted => {
                    (papers(knock, token, whole, false))
                    (button(knock, token, "withdraw", None, &word("apply-withdraw"), "danger"))
                }
                State::Approved => {
                    @if let Some(agreement) = &whole.agreement {
                        h2 { (word("apply-agreement")) }
                        div.text tabindex="0" { (agreement.in_language(language)) }
                        p.hint { (version(language, agreement)) }
                        (button(knock, token, "accept", Some(&agreement.digest),
                                &word("apply-agree"), ""))
                    }
                }
                State::Live => { p { a href="/sign-in" { (word("web-sign-in")) } } }
                State::Rejected | State::Withdrawn => {
                    @if let Some(terms) = &own.terms {
                        h2 { (word("apply-conditions")) }
                        div.text tabindex="0" { (terms.in_language(language)) }
                        p.hint { (version(language, terms)) }
                        (button(knock, token, "renew", Some(&terms.digest),
                                &word("apply-again"), ""))
                    }
                }
            }
            (timeline(language, zone, &whole.events))
        }
    };
    let mut response = shown(knock, None, &word("apply-own"), &content);
    if let Some(problem) = problem {
        response.set_status(problem.status());
    }
    response
}

/// A form of one button.
fn button(
    knock: &Knock,
    token: &str,
    action: &str,
    digest: Option<&str>,
    label: &str,
    class: &str,
) -> Markup {
    html! {
        form method="post" action="/apply/application" {
            (knock.seal())
            input type="hidden" name="token" value=(token);
            @if let Some(digest) = digest {
                input type="hidden" name="digest" value=(digest);
            }
            button class=(class) type="submit" name="do" value=(action) { (label) }
        }
    }
}

pub(super) fn hyphened(name: &str) -> String {
    name.replace('_', "-")
}

/// How far an application is, in a frame of its own colour.
pub(super) fn state(language: Language, state: State) -> Markup {
    let word = text(
        language,
        &format!("apply-state-{}", hyphened(state.as_str())),
    );
    html! { span class={ "state " (state.as_str()) } { (word) } }
}

/// What a part is called.
pub(super) fn called(language: Language, field: Field) -> String {
    text(
        language,
        &format!("apply-field-{}", hyphened(field.as_str())),
    )
}

fn asked(language: Language, whole: &Whole) -> Markup {
    let application = &whole.application;
    html! {
        @if let Some(reason) = &application.reason {
            div.ask { p { (text(language, "apply-reason")) } p { (reason) } }
        }
        @if !application.asked.is_empty() {
            div.ask {
                p { (text(language, "apply-asked")) }
                ul {
                    @for one in &application.asked {
                        li {
                            @if let Some(field) = Field::parse(&one.field) {
                                strong { (called(language, field)) } ": "
                            }
                            (one.note)
                        }
                    }
                }
            }
        }
    }
}

/// Everything that is missing, at once.
fn lacking(language: Language, whole: &Whole) -> Markup {
    html! {
        @if whole.lacks.is_empty() {
            p.ok { (text(language, "apply-complete")) }
        } @else {
            h2 { (text(language, "apply-lacks")) }
            ul.lacks {
                @for (field, lack) in &whole.lacks {
                    li { (called(language, *field)) ": " (lack_word(language, *lack)) }
                }
            }
        }
    }
}

pub(super) fn lack_word(language: Language, lack: Lack) -> String {
    text(language, &format!("apply-{}", lack.as_str()))
}

/// What happened, the last first.
pub(super) fn timeline(language: Language, zone: Zone, events: &[Event]) -> Markup {
    html! {
        h2 { (text(language, "apply-timeline")) }
        ol.timeline reversed {
            @for event in events.iter().rev() {
                li {
                    (zone.minute(event.happened_at)) " "
                    strong { (text(language, &format!("apply-event-{}", hyphened(event.kind.as_str())))) }
                    @if let Some(reason) = &event.reason { p { (reason) } }
                }
            }
        }
    }
}

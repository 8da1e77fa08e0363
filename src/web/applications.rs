//! Companies that want to join, as the operator meets them: the queue, and one application beside what
//! can be done about it.

use maud::{Markup, html};
use poem::Response;

use super::{
    Answer, Knock,
    apply::{as_file, called, hyphened, lack_word, lines, state, timeline},
    console::{Seat, enter},
    own, to_address,
};
use crate::{
    app::{address, joining},
    authz::action::{DecideApplications, ReadApplications},
    http::{admit::Caller, codes, problem::Problem},
    kernel::{
        ids::ApplicationId,
        page::{Page, Slice},
        text::{Code, Language},
    },
    merchants::onboarding::{self, Application, Field, State, Whole, files},
    texts::{text, text_with},
};

/// Applications on a page.
const LISTED: i64 = 20;

/// The address of the queue, to which cursors belong.
const QUEUE: &str = "/console/applications";

/// Reasons that are often given, by the key of their words.
const REASONS: [&str; 4] = ["category", "papers", "space", "contact"];

pub(super) fn queue(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ReadApplications>(&knock).await? {
            Ok(seat) => seat,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let caller = &seat.caller;
        let wanted = knock.asked("state");
        let wanted = State::ALL.into_iter().find(|one| one.as_str() == wanted);
        let key = caller.app().cursor_key();
        let after = match knock.asked("after") {
            "" => None,
            cursor => {
                let opened = key.open(QUEUE, cursor);
                Some(opened.map_err(|_| Problem::of(&codes::INVALID_CURSOR))?)
            }
        };
        let slice = Slice {
            limit: LISTED,
            after,
        };
        let mut tx = caller.db().read(&caller.grant).await?;
        let counts = onboarding::counts(&mut tx, &caller.grant).await?;
        // What waits for the operator comes first, where nothing else was asked for.
        let all = knock.asked("state") == "all";
        let first = counts
            .iter()
            .map(|(one, _)| *one)
            .find(|one| one.waits_for_operator());
        let wanted = wanted.or(first).filter(|_| !all);
        let page = onboarding::list(&mut tx, &caller.grant, wanted, &slice).await?;
        drop(tx);
        let next = page.next.as_ref().map(|next| key.seal(QUEUE, next));
        Ok(queue_page(
            &knock,
            &seat,
            &counts,
            wanted,
            &page,
            next.as_deref(),
        ))
    })
}

fn queue_page(
    knock: &Knock,
    seat: &Seat<ReadApplications>,
    counts: &[(State, i64)],
    wanted: Option<State>,
    page: &Page<Application>,
    next: Option<&str>,
) -> Response {
    let language = seat.language();
    let word = |key: &str| seat.word(key);
    let zone = seat.person.zone.unwrap_or(seat.caller.tenant.zone);
    let shown_state = wanted.map_or("all", State::as_str);
    let content = html! {
        div {
            ul.tabs {
                @for (one, count) in counts {
                    li {
                        a href={ "/console/applications?state=" (one.as_str()) }
                            aria-current=[(wanted == Some(*one)).then_some("page")] {
                            (word(&format!("apply-state-{}", hyphened(one.as_str())))) " " (count)
                        }
                    }
                }
                li {
                    a href="/console/applications?state=all"
                        aria-current=[wanted.is_none().then_some("page")] { (word("apply-all")) }
                }
            }
            @if page.items.is_empty() {
                p { (word("apply-none")) }
                p { a href="/apply" { (word("apply-none-link")) } }
            } @else {
                div.scroll {
                    table {
                        caption { (word("apply-queue-text")) }
                        thead { tr {
                            th scope="col" { (word("apply-field-company")) }
                            th scope="col" { (word("apply-state")) }
                            th scope="col" { (word("apply-since")) }
                            th scope="col" { (word("web-email")) }
                        } }
                        tbody { @for one in &page.items { tr {
                            th scope="row" {
                                a href={ "/console/applications/application?id=" (one.id) } {
                                    @if one.form.company.is_empty() { (word("apply-nameless")) }
                                    @else { (one.form.company) }
                                }
                            }
                            td { (state(language, one.state)) }
                            td { (zone.minute(one.submitted_at.unwrap_or(one.created_at))) }
                            td { (one.email.as_str()) }
                        } } }
                    }
                }
                @if let Some(next) = next {
                    p { a href={ "/console/applications?state=" (shown_state) "&after=" (next) } {
                        (word("apply-more"))
                    } }
                }
            }
        }
    };
    seat.page(knock, &word("apply-queue"), None, &content)
}

fn id_of(text: &str) -> Result<ApplicationId, Problem> {
    text.parse()
        .map_err(|_| Problem::of(&codes::UNKNOWN_APPLICATION))
}

pub(super) fn show(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ReadApplications>(&knock).await? {
            Ok(seat) => seat,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let caller = &seat.caller;
        let whole = read(caller, id_of(knock.asked("id"))?).await?;
        Ok(page(&knock, &seat, &whole, None, None))
    })
}

async fn read(caller: &Caller<ReadApplications>, id: ApplicationId) -> Result<Whole, Problem> {
    let vault = caller.app().vault.as_ref();
    let mut tx = caller.db().read(&caller.grant).await?;
    Ok(onboarding::get(&mut tx, &caller.grant, vault, id).await?)
}

pub(super) fn file(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ReadApplications>(&knock).await? {
            Ok(seat) => seat,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let caller = &seat.caller;
        let id = id_of(knock.asked("id"))?;
        let paper = knock.asked("file").parse();
        let paper = paper.map_err(|_| Problem::of(&codes::UNKNOWN_FILE))?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let paper = files::file(&mut tx, &caller.grant, id, paper).await?;
        drop(tx);
        let bytes = caller.app().files.get(caller.tenant.id, paper.id).await?;
        Ok(as_file(paper, bytes))
    })
}

pub(super) fn act(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ReadApplications>(&knock).await? {
            Ok(seat) => seat,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let decider = match enter::<DecideApplications>(&knock).await? {
            Ok(decider) => decider.caller,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let caller = &seat.caller;
        let id = id_of(knock.field("id"))?;
        match decided(&knock, &decider, id).await {
            Ok(link) => {
                caller.app().bell.ring(caller.tenant.id);
                let Some(link) = link else {
                    let path = format!("/console/applications/application?id={id}");
                    return Ok(knock.with_cookies(to_address(&path)));
                };
                // Told this once, because no letter can.
                let whole = read(caller, id).await?;
                Ok(page(&knock, &seat, &whole, None, Some(&link)))
            }
            Err(problem) => {
                let known = [
                    &codes::APPLICATION_OUT_OF_STEP,
                    &codes::REASON_MISSING,
                    &codes::NEEDS_SECOND_PERSON,
                    &codes::CODE_TAKEN,
                    &codes::ADDRESS_TAKEN,
                    &codes::FORM_REFUSED,
                ];
                let problem = own(problem, &known)?;
                let whole = read(caller, id).await?;
                Ok(page(&knock, &seat, &whole, Some(&problem), None))
            }
        }
    })
}

/// What a button does; the link of the owner's invitation where no letter can tell it.
async fn decided(
    knock: &Knock,
    caller: &Caller<DecideApplications>,
    id: ApplicationId,
) -> Result<Option<String>, Problem> {
    let (app, grant) = (caller.app(), &caller.grant);
    let vault = app.vault.as_ref();
    let mut tx = caller.db().write(grant).await?;
    let mut told = None;
    match knock.field("do") {
        "review" => {
            onboarding::take_up(&mut tx, grant, vault, id).await?;
        }
        "ask" => {
            let asked: Vec<(Field, String)> = Field::ALL
                .into_iter()
                .map(|field| {
                    (
                        field,
                        lines(knock.field(&format!("ask-{}", field.as_str()))),
                    )
                })
                .filter(|(_, note)| !note.is_empty())
                .collect();
            onboarding::ask(&mut tx, grant, vault, id, &asked).await?;
        }
        "reject" => {
            let template = knock.field("template");
            let language = read_language(knock);
            let template = REASONS.iter().find(|one| **one == template);
            let template = template.map(|one| text(language, &format!("apply-refuse-{one}")));
            let words = lines(knock.field("reason"));
            let reason: Vec<String> = template
                .into_iter()
                .chain((!words.is_empty()).then_some(words))
                .collect();
            onboarding::reject(&mut tx, grant, vault, id, &reason.join("\n")).await?;
        }
        "approve" => {
            let code: Option<Code> = match knock.field("code").trim() {
                "" => None,
                code => Some(
                    code.parse()
                        .map_err(|_| Problem::of(&codes::FORM_REFUSED))?,
                ),
            };
            let tenant = &caller.tenant;
            let joined = joining::approve(app, &mut tx, tenant, grant, id, code).await?;
            told = joined.invitation.map(|token| {
                let (base, listen) = (app.config.base_url.as_deref(), Some(app.config.listen));
                let page = address::Page::Invitation;
                address::link(base, listen, tenant, page, &token)
            });
        }
        _ => return Err(Problem::of(&codes::FORM_REFUSED)),
    }
    tx.commit().await?;
    Ok(told)
}

/// In which language whoever applied is written to, as the page said.
fn read_language(knock: &Knock) -> Language {
    let said = knock.field("language").parse();
    said.unwrap_or_else(|_| knock.language_of(None))
}

fn page(
    knock: &Knock,
    seat: &Seat<ReadApplications>,
    whole: &Whole,
    problem: Option<&Problem>,
    link: Option<&str>,
) -> Response {
    let application = &whole.application;
    let language = seat.language();
    let word = |key: &str| seat.word(key);
    let zone = seat.person.zone.unwrap_or(seat.caller.tenant.zone);
    let decides = seat.may("application", "decide");
    let name = match application.form.company.as_str() {
        "" => word("apply-nameless"),
        company => company.to_owned(),
    };
    let content = html! {
        div {
            p { a href=(QUEUE) { (word("apply-queue")) } " " (state(language, application.state)) }
            @if let Some(link) = link {
                p.ok role="status" { (word("apply-pass-on")) " " code { (link) } }
            }
            div.pair {
                div {
                    (facts(language, whole))
                    (papers(language, whole))
                }
                div {
                    @if decides { (actions(knock, language, whole)) }
                    @else { p.hint { (word("apply-read-only")) } }
                    (timeline(language, zone, &whole.events))
                }
            }
        }
    };
    seat.page(knock, &name, problem, &content)
}

/// What the application says, part by part, each with whether it is as it has to be.
fn facts(language: Language, whole: &Whole) -> Markup {
    let form = &whole.application.form;
    let masked = |secret: &Option<String>| secret.clone().unwrap_or_default();
    let payout = [
        form.bank_holder.clone(),
        form.bank_name.clone(),
        masked(&whole.bank_account),
        form.stripe_account.clone(),
    ];
    let people = form.contacts.iter().map(|one| {
        let parts = [&one.name, &one.role, &one.email, &one.phone];
        joined(parts.into_iter(), ", ")
    });
    let rows = [
        (Field::Company, form.company.clone()),
        (
            Field::LicenceNumber,
            format!("{} {}", form.country, form.licence_number),
        ),
        (Field::Representative, form.representative.clone()),
        (Field::RepresentativeId, masked(&whole.representative_id)),
        (Field::Contacts, people.collect::<Vec<_>>().join("\n")),
        (Field::Categories, form.categories.join("\n")),
        (Field::Payout, joined(payout.iter(), ", ")),
        (Field::Goods, form.goods.clone()),
        (Field::Stores, form.stores.join("\n")),
    ];
    let lack_of = |field: Field| whole.lacks.iter().find(|(one, _)| *one == field);
    html! {
        dl.facts {
            @for (field, value) in &rows {
                dt { (called(language, *field)) }
                dd {
                    @if let Some((_, lack)) = lack_of(*field) {
                        span.state.rejected { (lack_word(language, *lack)) } " "
                    }
                    (value)
                }
            }
            dt { (called(language, Field::Alliance)) }
            dd {
                @if lack_of(Field::Alliance).is_none() {
                    (text(language, &format!("apply-alliance-{}", form.alliance)))
                }
            }
            dt { (text(language, "web-email")) }
            dd { (whole.application.email.as_str()) }
        }
    }
}

fn joined<'a>(parts: impl Iterator<Item = &'a String>, by: &str) -> String {
    let given: Vec<&str> = parts
        .map(String::as_str)
        .filter(|one| !one.is_empty())
        .collect();
    given.join(by)
}

fn papers(language: Language, whole: &Whole) -> Markup {
    html! {
        h2 { (text(language, "apply-files")) }
        @if whole.papers.is_empty() { p { (text(language, "apply-no-files")) } }
        ul {
            @for paper in &whole.papers {
                li {
                    (text(language, &format!("apply-file-{}", paper.kind.as_str()))) ": "
                    a href={ "/console/applications/file?id=" (paper.application) "&file=" (paper.id) } {
                        (paper.name)
                    }
                }
            }
        }
    }
}

/// The buttons that make sense now.
fn actions(knock: &Knock, language: Language, whole: &Whole) -> Markup {
    let application = &whole.application;
    let word = |key: &str| text(language, key);
    let hidden = html! {
        (knock.seal())
        input type="hidden" name="id" value=(application.id);
        input type="hidden" name="language" value=(application.language.tag());
    };
    let waits = application.state.waits_for_operator();
    html! {
        @if matches!(application.state, State::Submitted | State::Resubmitted) {
            form method="post" action="/console/applications/application" {
                (hidden)
                button.second type="submit" name="do" value="review" { (word("apply-review")) }
            }
        }
        @if waits {
            form method="post" action="/console/applications/application" {
                (hidden)
                label for="code" { (word("apply-code")) }
                input #code name="code" type="text" maxlength="40" pattern="[A-Za-z0-9_\\-]+";
                p.hint { (word("apply-code-hint")) }
                button type="submit" name="do" value="approve" { (word("apply-approve")) }
            }
            details {
                summary { (word("apply-ask")) }
                form method="post" action="/console/applications/application" {
                    (hidden)
                    @for field in Field::ALL {
                        label for={ "ask-" (field.as_str()) } { (called(language, field)) }
                        input id={ "ask-" (field.as_str()) } name={ "ask-" (field.as_str()) }
                            type="text" maxlength="1000";
                    }
                    button.second type="submit" name="do" value="ask" { (word("apply-ask-send")) }
                }
            }
        }
        @if waits || application.state == State::InformationAsked {
            details {
                summary { (word("apply-reject")) }
                form method="post" action="/console/applications/application" {
                    (hidden)
                    label for="template" { (word("apply-template")) }
                    select #template name="template" {
                        option value="" { (word("apply-template-none")) }
                        @for one in REASONS {
                            option value=(one) { (word(&format!("apply-refuse-{one}"))) }
                        }
                    }
                    label for="reason" { (word("apply-own-words")) }
                    textarea #reason name="reason" maxlength="900" rows="3" {}
                    button.danger type="submit" name="do" value="reject" { (word("apply-reject-send")) }
                }
            }
        }
        @if application.state == State::Approved {
            p { (text_with(language, "apply-waits", &[("email", application.email.as_str())])) }
        }
    }
}

//! What is a member's own: name and devices, a copy of everything, and the way out.

use maud::{Markup, html};
use poem::{IntoResponse, Response};

use super::{Answer, Knock, member::framed, own, said, to};
use crate::{
    app::own as data,
    authz::{
        action::{Action, CopyMembers, EraseMembers, ReadMembers, UseMembership},
        grant::Grant,
    },
    http::{
        admit::Caller,
        codes,
        problem::Problem,
        reply::{Csv, Download, Json},
    },
    identity::members::{self as visits, Visit},
    kernel::{
        ids::MemberId,
        page::Slice,
        text::{Language, Name},
    },
    members::{self, Member},
    reports::home::home,
    settlement::document::Cell,
    texts::{text, text_with},
};

/// The most devices on the page.
const LISTED: i64 = 50;

/// A member who is in.
struct Inside {
    caller: Caller<UseMembership>,
    id: MemberId,
}

impl Inside {
    /// Nobody where the cookie opens nothing.
    async fn of(knock: &Knock) -> Result<Option<Self>, Problem> {
        let Some(caller) = knock.caller_for::<UseMembership>().await? else {
            return Ok(None);
        };
        let id = visits::oneself(&caller.grant)?;
        Ok(Some(Self { caller, id }))
    }

    /// The right to something else of one's own.
    fn also<A: Action>(&self) -> Result<Grant<A>, Problem> {
        let grant = self.caller.app().policy.also(&self.caller.grant);
        grant.map_err(|_| Problem::of(&codes::NOT_ALLOWED))
    }
}

pub(super) fn profile(knock: Knock) -> Answer {
    Box::pin(async move {
        match Inside::of(&knock).await? {
            Some(inside) => profile_page(&knock, &inside, None).await,
            None => Ok(to("/my/sign-in")),
        }
    })
}

/// The page; with what is wrong with the name, or that it is kept.
async fn profile_page(
    knock: &Knock,
    inside: &Inside,
    done: Option<Result<(), Problem>>,
) -> Result<Response, Problem> {
    let (caller, language) = (&inside.caller, knock.language_of(None));
    let reads = inside.also::<ReadMembers>()?;
    let slice = Slice {
        limit: LISTED,
        after: None,
    };
    let mut tx = caller.db().read(&reads).await?;
    let member = members::get(&mut tx, &reads, inside.id).await?;
    let page = visits::list(&mut tx, &caller.grant, &slice).await?;
    let now = tx.now();
    drop(tx);
    let alive: Vec<&Visit> = page.items.iter().filter(|one| one.is_alive(now)).collect();
    let word = |key: &str| text(language, key);
    let content = html! {
        @match &done {
            Some(Ok(())) => p.ok role="status" { (word("web-kept")) },
            Some(Err(problem)) => p.bad role="alert" { (said(language, problem)) },
            None => {}
        }
        (facts(knock, inside, &member))
        h2 { (word("my-devices")) }
        (devices(knock, inside, &alive)?)
        h2 { (word("my-data")) }
        p { (word("my-data-text")) }
        ul {
            li { a href="/my/copy" { (word("my-copy")) } }
            li { a href="/my/copy/history" { (word("my-copy-history")) } }
            li { a href="/my/leave" { (word("my-leave")) } }
        }
    };
    let mut response = framed(knock, true, &word("my-profile"), &content);
    if let Some(Err(problem)) = &done {
        response.set_status(problem.status());
    }
    Ok(response)
}

/// By what the mall knows the member; the name can be changed.
fn facts(knock: &Knock, inside: &Inside, member: &Member) -> Markup {
    let (language, zone) = (knock.language_of(None), inside.caller.tenant.zone);
    let word = |key: &str| text(language, key);
    let name = member.name.as_ref().map(Name::as_str).unwrap_or_default();
    html! {
        dl {
            @if let Some(phone) = &member.phone { dt { (word("my-phone")) } dd { (phone) } }
            @if let Some(card) = &member.card_number { dt { (word("my-card")) } dd { (card.as_str()) } }
            dt { (word("my-since")) } dd { (zone.minute(member.enrolled_at)) }
        }
        form method="post" action="/my/profile" {
            (knock.seal())
            label for="name" { (word("my-name")) }
            input #name name="name" type="text" autocomplete="name" maxlength="120"
                aria-describedby="name-hint" value=(name);
            p.hint #name-hint { (word("my-name-hint")) }
            button type="submit" { (word("web-keep")) }
        }
    }
}

fn devices(knock: &Knock, inside: &Inside, alive: &[&Visit]) -> Result<Markup, Problem> {
    let (language, zone) = (knock.language_of(None), inside.caller.tenant.zone);
    let word = |key: &str| text(language, key);
    let this = inside.caller.membership()?;
    let end = |which: &str, label: &str, plain: bool| {
        html! {
            form method="post" action="/my/profile/devices" {
                (knock.seal())
                input type="hidden" name="session" value=(which);
                button.plain[plain].second[!plain] type="submit" { (word(label)) }
            }
        }
    };
    Ok(html! {
        ol.moves {
            @for visit in alive {
                li {
                    span.why { (visit.origin) }
                    span.many {
                        @if visit.id == this { (word("web-this")) }
                        @else { (end(&visit.id.to_string(), "web-end", true)) }
                    }
                    time.hint datetime=(visit.seen_at.to_rfc3339()) {
                        (text_with(language, "my-seen", &[("when", &zone.minute(visit.seen_at))]))
                    }
                }
            }
        }
        @if alive.len() > 1 { (end("others", "web-end-others", false)) }
    })
}

pub(super) fn rename(knock: Knock) -> Answer {
    Box::pin(async move {
        let Some(inside) = Inside::of(&knock).await? else {
            return Ok(to("/my/sign-in"));
        };
        let done = match knock.field("name").trim() {
            "" => Ok(None),
            typed => typed.parse().map(Some),
        };
        let done = match done {
            Ok(name) => Ok(renamed(&inside, name.as_ref()).await?),
            Err(_) => Err(Problem::of(&codes::INVALID_NAME)),
        };
        profile_page(&knock, &inside, Some(done)).await
    })
}

async fn renamed(inside: &Inside, name: Option<&Name>) -> Result<(), Problem> {
    let caller = &inside.caller;
    let mut tx = caller.db().write(&caller.grant).await?;
    members::rename(&mut tx, &caller.grant, name).await?;
    Ok(tx.commit().await?)
}

pub(super) fn end(knock: Knock) -> Answer {
    Box::pin(async move {
        let Some(inside) = Inside::of(&knock).await? else {
            return Ok(to("/my/sign-in"));
        };
        let caller = &inside.caller;
        let mut tx = caller.db().write(&caller.grant).await?;
        if knock.field("session") == "others" {
            visits::end_others(&mut tx, &caller.grant, caller.membership()?).await?;
        } else {
            let id = knock.field("session").parse();
            let id = id.map_err(|_| Problem::of(&codes::UNKNOWN_SESSION))?;
            visits::end(&mut tx, &caller.grant, id).await?;
        }
        tx.commit().await?;
        Ok(to("/my/profile"))
    })
}

pub(super) fn copy(knock: Knock) -> Answer {
    Box::pin(async move {
        let Some(inside) = Inside::of(&knock).await? else {
            return Ok(to("/my/sign-in"));
        };
        let (caller, grant) = (&inside.caller, inside.also::<CopyMembers>()?);
        let copy = data::copy(caller.app(), &caller.tenant, &grant, inside.id).await?;
        Ok(Download::<Json>::new(copy.name, copy.text.into_bytes()).into_response())
    })
}

pub(super) fn history(knock: Knock) -> Answer {
    Box::pin(async move {
        let Some(inside) = Inside::of(&knock).await? else {
            return Ok(to("/my/sign-in"));
        };
        let (caller, grant) = (&inside.caller, inside.also::<CopyMembers>()?);
        let (app, mall, language) = (caller.app(), &caller.tenant, knock.language_of(None));
        let copy = data::history(app, mall, &grant, inside.id, language).await?;
        Ok(Download::<Csv>::new(copy.name, copy.text.into_bytes()).into_response())
    })
}

pub(super) fn leave(knock: Knock) -> Answer {
    Box::pin(async move {
        match Inside::of(&knock).await? {
            Some(inside) => leave_page(&knock, &inside, None).await,
            None => Ok(to("/my/sign-in")),
        }
    })
}

/// What going means, and what has to be said of it.
async fn leave_page(
    knock: &Knock,
    inside: &Inside,
    problem: Option<&Problem>,
) -> Result<Response, Problem> {
    let language = knock.language_of(None);
    let reads = inside.also::<ReadMembers>()?;
    let mut tx = inside.caller.db().read(&reads).await?;
    let found = home(&mut tx, &reads, inside.id).await?;
    drop(tx);
    let points = found.map_or(0, |home| home.available.saturating_add(home.held));
    let content = leave_form(knock, language, points, problem);
    let mut response = framed(knock, true, &text(language, "my-leave"), &content);
    if let Some(problem) = problem {
        response.set_status(problem.status());
    }
    Ok(response)
}

fn leave_form(knock: &Knock, language: Language, points: i64, problem: Option<&Problem>) -> Markup {
    let word = |key: &str| text(language, key);
    let many = Cell::Points(points).shown(0);
    let tick = |name: &str, label: &str| {
        html! {
            label.tick {
                input type="checkbox" name=(name) value="on" checked[knock.field(name) == "on"] required;
                span { (label) }
            }
        }
    };
    html! {
        @if let Some(problem) = problem { p.bad role="alert" { (said(language, problem)) } }
        p { (word("my-leave-text")) }
        p { a href="/my/copy" { (word("my-copy")) } }
        form method="post" action="/my/leave" {
            (knock.seal())
            @if points > 0 {
                (tick("points", &text_with(language, "my-leave-points", &[("points", &many)])))
            }
            (tick("sure", &word("my-leave-sure")))
            button type="submit" { (word("my-leave-now")) }
        }
        p { a href="/my/profile" { (word("my-stay")) } }
    }
}

pub(super) fn go(mut knock: Knock) -> Answer {
    Box::pin(async move {
        let Some(inside) = Inside::of(&knock).await? else {
            return Ok(to("/my/sign-in"));
        };
        if knock.field("sure") != "on" {
            let problem = Problem::of(&codes::NOT_SURE);
            return leave_page(&knock, &inside, Some(&problem)).await;
        }
        let given_up = knock.field("points") == "on";
        let grant = inside.also::<EraseMembers>()?;
        let gone = data::erase(inside.caller.app(), &grant, inside.id, given_up).await;
        if let Err(problem) = gone.map_err(Problem::from) {
            let problem = own(problem, &[&codes::POINTS_LEFT])?;
            return leave_page(&knock, &inside, Some(&problem)).await;
        }
        knock.turn(None);
        let language = knock.language_of(None);
        let content = html! {
            p.ok role="status" { (text(language, "my-gone-text")) }
            p { a href="/my/sign-in" { (text(language, "my-sign-in")) } }
        };
        Ok(framed(&knock, false, &text(language, "my-gone"), &content))
    })
}

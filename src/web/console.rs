//! The console of whoever works in a mall: the frame around its pages, and who gets into which.
//!
//! A page of the console begins with [`enter`], which names the action that it takes. Whoever may not
//! is told which permission is missing and which roles give it, within the same frame. A place that one
//! may not enter is not in the menu.

use maud::{Markup, html};
use poem::Response;

use super::{Answer, Knock, account::whole, said, shown_at, to};
use crate::{
    authz::{
        action::{Action, UseAccount},
        actor::Role,
        own::OwnRoles,
    },
    http::{admit::Caller, codes, problem::Problem},
    identity::staff::Staff,
    kernel::text::Language,
    texts::{text, text_with},
};

/// A place of the menu: its address, its word, and what one needs for it.
struct Place {
    path: &'static str,
    word: &'static str,
    right: (&'static str, &'static str),
}

/// The menu.
const PLACES: [Place; 9] = [
    Place {
        path: "/console/applications",
        word: "apply-queue",
        right: ("application", "read"),
    },
    Place {
        path: "/console/people",
        word: "console-people",
        right: ("staff", "read"),
    },
    Place {
        path: "/console/changes",
        word: "console-changes",
        right: ("staff", "read"),
    },
    Place {
        path: "/console/roles",
        word: "console-roles",
        right: ("role", "read"),
    },
    Place {
        path: "/console/permissions",
        word: "console-permissions",
        right: ("role", "read"),
    },
    Place {
        path: "/console/settlements",
        word: "web-settlements",
        right: ("settlement", "read"),
    },
    Place {
        path: "/console/disputes",
        word: "web-disputes",
        right: ("dispute", "read"),
    },
    Place {
        path: "/console/audit",
        word: "console-audit",
        right: ("audit", "read"),
    },
    Place {
        path: "/console/isolation",
        word: "console-isolation",
        right: ("isolation", "verify"),
    },
];

/// Somebody at a page of the console.
pub(super) struct Seat<A: Action> {
    /// The right that the page takes.
    pub(super) caller: Caller<A>,
    /// Who it is.
    pub(super) person: Staff,
    /// The places that they may enter.
    places: Vec<&'static Place>,
}

/// Whoever may do `A`, or what they get instead of the page.
pub(super) async fn enter<A: Action>(knock: &Knock) -> Result<Result<Seat<A>, Response>, Problem> {
    let present = match whole(knock).await? {
        Ok(present) => present,
        Err(elsewhere) => return Ok(Err(elsewhere)),
    };
    let places = places(&present.caller);
    let person = present.person;
    match knock.caller_for::<A>().await {
        Ok(Some(caller)) => Ok(Ok(Seat {
            caller,
            person,
            places,
        })),
        Ok(None) => Ok(Err(to("/sign-in"))),
        Err(problem) if *problem.kind() == codes::NOT_ALLOWED => {
            let own = present.caller.grant.own_roles();
            Ok(Err(forbidden(knock, &person, &places, own, &problem)))
        }
        Err(problem) => Err(problem),
    }
}

/// The first place that one may enter.
pub(super) fn show(knock: Knock) -> Answer {
    Box::pin(async move {
        let present = match whole(&knock).await? {
            Ok(present) => present,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let places = places(&present.caller);
        Ok(to(places.first().map_or("/account", |place| place.path)))
    })
}

fn places(caller: &Caller<UseAccount>) -> Vec<&'static Place> {
    let (policy, grant) = (&caller.app().policy, &caller.grant);
    let may = |place: &&Place| policy.may(grant, place.right.0, place.right.1);
    PLACES.iter().filter(may).collect()
}

impl<A: Action> Seat<A> {
    /// In which language they are spoken to.
    pub(super) fn language(&self) -> Language {
        self.person.language
    }

    /// A word.
    pub(super) fn word(&self, key: &str) -> String {
        text(self.person.language, key)
    }

    /// Whether they may do something else too, so that it is offered.
    pub(super) fn may(&self, object: &'static str, act: &'static str) -> bool {
        let policy = &self.caller.app().policy;
        policy.may(&self.caller.grant, object, act)
    }

    /// What a role is called.
    pub(super) fn role(&self, code: &str) -> String {
        role_called(self.language(), self.caller.grant.own_roles(), code)
    }

    /// The same of several, one after the other.
    pub(super) fn roles<'a>(&self, codes: impl Iterator<Item = &'a Role>) -> Markup {
        html! {
            ul.tags { @for role in codes { li { (self.role(role.as_str())) } } }
        }
    }

    /// When something was, in the person's zone.
    pub(super) fn minute(&self, at: crate::kernel::time::Instant) -> String {
        let zone = self.person.zone.unwrap_or(self.caller.tenant.zone);
        zone.minute(at)
    }

    /// The page, with what went wrong before.
    pub(super) fn page(
        &self,
        knock: &Knock,
        title: &str,
        problem: Option<&Problem>,
        content: &Markup,
    ) -> Response {
        let alert = problem.map(|problem| said(self.language(), problem));
        let mut response = framed(
            knock,
            &self.person,
            &self.places,
            title,
            alert.as_deref(),
            content,
        );
        if let Some(problem) = problem {
            response.set_status(problem.status());
        }
        response
    }
}

fn framed(
    knock: &Knock,
    person: &Staff,
    places: &[&Place],
    title: &str,
    alert: Option<&str>,
    content: &Markup,
) -> Response {
    let here = knock.path();
    let menu = html! {
        nav.places aria-label=(text(person.language, "console-places")) {
            @for place in places {
                @let current = here.starts_with(place.path).then_some("page");
                a href=(place.path) aria-current=[current] { (text(person.language, place.word)) }
            }
        }
    };
    let body = html! {
        main.wide {
            h1 { (title) }
            @if let Some(alert) = alert { p.bad role="alert" { (alert) } }
            (content)
        }
    };
    shown_at(knock, Some(person), title, Some(&menu), &body)
}

/// That something is missing, and who gives it.
fn forbidden(
    knock: &Knock,
    person: &Staff,
    places: &[&Place],
    own: &OwnRoles,
    problem: &Problem,
) -> Response {
    let language = person.language;
    let called = |code: &String| role_called(language, own, code);
    let content = html! {
        @if let Some(lacks) = problem.lacks() {
            @let words = text(language, &format!("right-{}-{}", lacks.object, lacks.action));
            p.bad role="alert" { (text_with(language, "console-lacks", &[("right", &words)])) }
            @if !lacks.held_by.is_empty() {
                p { (text(language, "console-held-by")) }
                ul.tags { @for code in &lacks.held_by { li { (called(code)) } } }
            }
            @if !lacks.given_by.is_empty() {
                p { (text(language, "console-given-by")) }
                ul.tags { @for code in &lacks.given_by { li { (called(code)) } } }
            }
        }
    };
    let title = text(language, "console-forbidden");
    let mut response = framed(knock, person, places, &title, None, &content);
    response.set_status(problem.status());
    response
}

/// What a role is called: the program's by the catalogue, the mall's own as it was written.
pub(super) fn role_called(language: Language, own: &OwnRoles, code: &str) -> String {
    if let Some(name) = own.called(code) {
        return name.to_owned();
    }
    let key = format!("role-{}", code.replace('.', "-"));
    match text(language, &key) {
        same if same == key => code.to_owned(),
        words => words,
    }
}

/// The link to the page that follows, where there is one.
pub(super) fn more<A: Action>(seat: &Seat<A>, path: &str, next: Option<&str>) -> Markup {
    let sealed = next.map(|key| seat.caller.app().cursor_key().seal(path, key));
    html! {
        @if let Some(cursor) = sealed {
            p { a href=(format!("{path}?cursor={cursor}")) rel="next" { (seat.word("console-more")) } }
        }
    }
}

/// What a page of a list asks for.
pub(super) fn slice<A: Action>(
    seat: &Seat<A>,
    knock: &Knock,
    path: &str,
) -> Result<crate::kernel::page::Slice, Problem> {
    /// How many rows a page has.
    const ROWS: i64 = 50;
    let after = match knock.asked("cursor") {
        "" => None,
        cursor => {
            let opened = seat.caller.app().cursor_key().open(path, cursor);
            Some(opened.map_err(|_| Problem::of(&codes::INVALID_CURSOR))?)
        }
    };
    Ok(crate::kernel::page::Slice { limit: ROWS, after })
}

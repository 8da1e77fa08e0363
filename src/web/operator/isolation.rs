//! Whether the mall's walls hold: tried when somebody asks for it.

use maud::{Markup, html};
use poem::Response;

use super::super::{
    Answer, Knock,
    console::{Seat, enter},
    own,
};
use crate::{
    authz::action::VerifyIsolation,
    http::{codes, problem::Problem},
    reports::{
        isolation::{self, Attempt, Report},
        proof::Check,
    },
    texts::text_with,
};

/// The address of the page.
const PATH: &str = "/console/isolation";

pub(in crate::web) fn show(knock: Knock) -> Answer {
    Box::pin(async move {
        match enter::<VerifyIsolation>(&knock).await? {
            Ok(seat) => Ok(page(&knock, &seat, None, None)),
            Err(instead) => Ok(instead),
        }
    })
}

pub(in crate::web) fn run(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<VerifyIsolation>(&knock).await? {
            Ok(seat) => seat,
            Err(instead) => return Ok(instead),
        };
        match isolation::verify(seat.caller.db(), &seat.caller.grant).await {
            Ok(report) => Ok(page(&knock, &seat, Some(&report), None)),
            Err(error) => {
                let problem = own(error.into(), &[&codes::SELF_TEST_UNDER_WAY])?;
                Ok(page(&knock, &seat, None, Some(&problem)))
            }
        }
    })
}

/// What is tried, the button, and what came of it where it was just done.
fn page(
    knock: &Knock,
    seat: &Seat<VerifyIsolation>,
    report: Option<&Report>,
    problem: Option<&Problem>,
) -> Response {
    let button = match report {
        Some(_) => "console-isolation-again",
        None => "console-isolation-run",
    };
    // What there is something to do about comes first: on a telephone the list is long.
    let mut attempts: Vec<&Attempt> =
        report.map_or_else(Vec::new, |it| it.attempts.iter().collect());
    attempts.sort_by_key(|attempt| attempt.outcome.is_fine());
    let content = html! {
        p { (seat.word("console-isolation-text")) }
        @if let Some(report) = report { (summary(seat, report)) }
        form method="post" action=(PATH) {
            (knock.seal())
            button type="submit" { (seat.word(button)) }
        }
        @if let Some(report) = report {
            h2 { (seat.word("console-isolation-attempts")) }
            div.scroll { table {
                thead { tr {
                    th scope="col" { (seat.word("console-isolation-attempt")) }
                    th scope="col" { (seat.word("console-isolation-outcome")) }
                } }
                tbody { @for attempt in attempts { (attempt_row(seat, attempt)) } }
            } }
            h2 { (seat.word("console-isolation-rights")) }
            div.scroll { table {
                tbody { @for check in &report.rights { (right_row(seat, check)) } }
            } }
        } @else {
            h2 { (seat.word("console-isolation-attempts")) }
            ul { @for name in isolation::names() { li { (seat.word(&format!("isolation-try-{name}"))) } } }
        }
    };
    seat.page(knock, &seat.word("console-isolation"), problem, &content)
}

/// Whether it holds, and when that was.
fn summary(seat: &Seat<VerifyIsolation>, report: &Report) -> Markup {
    let outcomes = report.attempts.iter().map(|attempt| &attempt.outcome);
    let of = |word: &str| {
        let of_it = outcomes.clone().filter(|outcome| outcome.as_str() == word);
        of_it.count().to_string()
    };
    let (refused, skipped) = (of("refused"), of("not-tried"));
    let (broken, others) = (report.broken().to_string(), report.others.to_string());
    let time = seat.minute(report.at);
    let said = |key: &str, places: &[(&'static str, &str)]| text_with(seat.language(), key, places);
    html! {
        @if report.holds() {
            p.ok role="status" {
                (said("console-isolation-holds", &[("refused", &refused), ("skipped", &skipped)]))
            }
        } @else {
            p.bad role="alert" { (said("console-isolation-broken", &[("count", &broken)])) }
        }
        p.hint { (said("console-isolation-at", &[("time", &time), ("others", &others)])) }
    }
}

fn attempt_row(seat: &Seat<VerifyIsolation>, attempt: &Attempt) -> Markup {
    let outcome = &attempt.outcome;
    let (states, statement, why) = outcome.details();
    let states = states.join(", ");
    html! {
        tr id=(attempt.name) {
            th scope="row" { (attempt.what(seat.language())) }
            td {
                span class=(format!("state {}", outcome.as_str())) {
                    (seat.word(&format!("isolation-outcome-{}", outcome.as_str())))
                }
                @if !states.is_empty() {
                    p.hint { (text_with(seat.language(), "console-isolation-state", &[("state", &states)])) }
                }
                @if let Some(statement) = statement { p.hint { code { (statement) } } }
                @if let Some(why) = why { p.hint { (why.words(seat.language())) } }
            }
        }
    }
}

fn right_row(seat: &Seat<VerifyIsolation>, check: &Check) -> Markup {
    let (class, word) = if check.holds {
        ("state refused", "console-isolation-right-holds")
    } else {
        ("state got-through", "console-isolation-right-broken")
    };
    html! {
        tr id=(check.name) {
            th scope="row" { (seat.word(&format!("console-isolation-right-{}", check.name))) }
            td {
                span class=(class) { (seat.word(word)) }
                @for finding in &check.findings { p.hint { code { (finding) } } }
            }
        }
    }
}

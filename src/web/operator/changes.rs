//! Changes of roles that wait for a second person.

use maud::{Markup, html};
use poem::Response;

use super::super::{
    Answer, Knock,
    console::{Seat, enter, more, slice},
    own, to_address,
};
use crate::{
    authz::action::{ManageStaff, ReadStaff},
    http::{codes, problem::Problem},
    identity::{
        changes::{self, RoleChange, State},
        staff,
    },
    kernel::ids::{RoleChangeId, StaffId},
};

/// The address of the list.
const PATH: &str = "/console/changes";

/// Why a change is not decided.
const REFUSALS: [&codes::Kind; 7] = [
    &codes::INVALID_PARAMETER,
    &codes::NEEDS_SECOND_OWNER,
    &codes::ROLE_CHANGE_DECIDED,
    &codes::ROLE_CHANGE_OVERTAKEN,
    &codes::BEYOND_OWN,
    &codes::LAST_OWNER,
    &codes::UNSUITABLE_ROLE,
];

pub(in crate::web) fn list(knock: Knock) -> Answer {
    Box::pin(async move {
        match enter::<ReadStaff>(&knock).await? {
            Ok(seat) => list_page(&knock, &seat, None).await,
            Err(instead) => Ok(instead),
        }
    })
}

async fn list_page(
    knock: &Knock,
    seat: &Seat<ReadStaff>,
    problem: Option<&Problem>,
) -> Result<Response, Problem> {
    let slice = slice(seat, knock, PATH)?;
    let mut tx = seat.caller.db().read(&seat.caller.grant).await?;
    let page = changes::list(&mut tx, &seat.caller.grant, &slice).await?;
    let mut people: Vec<StaffId> = page.items.iter().map(|change| change.staff).collect();
    let by = page.items.iter().flat_map(|change| {
        let by = [Some(&change.proposed_by), change.decided_by.as_ref()];
        by.into_iter().flatten()
    });
    people.extend(by.filter_map(|by| by.parse::<StaffId>().ok()));
    let names = staff::names(&mut tx, &seat.caller.grant, &people).await?;
    drop(tx);
    let person = |id: StaffId| -> Markup {
        let name = names.get(&id).cloned().unwrap_or_else(|| id.to_string());
        html! { a href=(format!("/console/people/{id}")) { (name) } }
    };
    let by = |actor: &str| {
        let id = actor.parse();
        id.map_or_else(|_| html! { code { (actor) } }, person)
    };
    let content = html! {
        p { (seat.word("console-changes-text")) }
        @if page.items.is_empty() {
            p.empty { (seat.word("console-changes-none")) }
        } @else {
            @for change in &page.items {
                section.card {
                    h2 { (person(change.staff)) }
                    dl {
                        dt { (seat.word("console-before")) } dd { (seat.roles(change.before.iter())) }
                        dt { (seat.word("console-after")) }
                        dd {
                            @if change.roles.is_empty() { (seat.word("console-to-be-ended")) }
                            @else { (seat.roles(change.roles.iter())) }
                        }
                        dt { (seat.word("console-proposed")) }
                        dd { (by(&change.proposed_by)) " · " (seat.minute(change.proposed_at)) }
                        dt { (seat.word("console-state")) }
                        dd {
                            (seat.word(&format!("console-change-{}", change.state.as_str())))
                            @if let (Some(at), Some(actor)) = (change.decided_at, &change.decided_by) {
                                " · " (by(actor)) " · " (seat.minute(at))
                            }
                        }
                        @if change.state == State::Open {
                            dt { (seat.word("console-expires")) } dd { (seat.minute(change.expires_at)) }
                        }
                    }
                    @if change.state == State::Open && seat.may("staff", "manage") {
                        (decide_form(knock, seat, change))
                    }
                }
            }
            (more(seat, PATH, page.next.as_deref()))
        }
    };
    Ok(seat.page(knock, &seat.word("console-changes"), problem, &content))
}

/// What whoever looks at it can do about a change: who proposed it only takes it back.
fn decide_form(knock: &Knock, seat: &Seat<ReadStaff>, change: &RoleChange) -> Markup {
    let own = change.proposed_by == seat.person.id.to_string();
    html! {
        form method="post" action=(format!("{PATH}/{}", change.id)) {
            (knock.seal())
            @if own {
                p.hint { (seat.word("console-waits-for-another")) }
                button.plain type="submit" name="decision" value="reject" { (seat.word("console-take-back")) }
            } @else {
                button type="submit" name="decision" value="confirm" { (seat.word("console-confirm")) } " "
                button.plain type="submit" name="decision" value="reject" { (seat.word("console-reject")) }
            }
        }
    }
}

pub(in crate::web) fn decide(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ManageStaff>(&knock).await? {
            Ok(seat) => seat,
            Err(instead) => return Ok(instead),
        };
        match decided(&knock, &seat).await {
            Ok(()) => Ok(to_address(PATH)),
            Err(problem) => {
                let problem = own(problem, &REFUSALS)?;
                match enter::<ReadStaff>(&knock).await? {
                    Ok(seat) => list_page(&knock, &seat, Some(&problem)).await,
                    Err(instead) => Ok(instead),
                }
            }
        }
    })
}

async fn decided(knock: &Knock, seat: &Seat<ManageStaff>) -> Result<(), Problem> {
    let id: RoleChangeId = knock
        .part("change")
        .parse()
        .map_err(|_| Problem::of(&codes::UNKNOWN_ROLE_CHANGE))?;
    let (policy, grant) = (&seat.caller.app().policy, &seat.caller.grant);
    let mut tx = seat.caller.db().write(grant).await?;
    match knock.field("decision") {
        "confirm" => changes::confirm(&mut tx, policy, grant, id).await?,
        "reject" => changes::reject(&mut tx, grant, id).await?,
        _ => return Err(Problem::of(&codes::INVALID_PARAMETER).param("decision")),
    };
    tx.commit().await?;
    seat.caller.changed().await;
    Ok(())
}

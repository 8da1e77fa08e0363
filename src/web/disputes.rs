//! Disputes: lines that a merchant objects to, and what the operator decides.

use maud::{Markup, html};
use poem::Response;

use super::{
    Answer, Knock,
    console::{enter, more, slice},
    own,
    settlements::money,
    to,
};
use crate::{
    authz::action::{DecideDispute, ReadDisputes},
    http::{codes, problem::Problem},
    kernel::{
        ids::{DisputeId, MerchantId},
        text::{Language, printable},
    },
    merchants,
    settlement::disputes::{self, Dispute, DisputeState, Outcome},
    texts::text,
};

/// The address of the list.
const DISPUTES: &str = "/console/disputes";

/// The most characters of a note.
const LONGEST_NOTE: usize = 1000;

pub(super) fn list(knock: Knock) -> Answer {
    Box::pin(async move { page(&knock, None).await })
}

async fn page(knock: &Knock, problem: Option<Problem>) -> Result<Response, Problem> {
    let seat = match enter::<ReadDisputes>(knock).await? {
        Ok(seat) => seat,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let caller = &seat.caller;
    let slice = slice(&seat, knock, DISPUTES)?;
    let mut tx = caller.db().read(&caller.grant).await?;
    let page = disputes::list(&mut tx, &caller.grant, None, &slice).await?;
    let mut ids: Vec<MerchantId> = page
        .items
        .iter()
        .flat_map(|one| [one.merchant, one.payer, one.receiver])
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let known_as = merchants::called(&mut tx, &ids).await?;
    drop(tx);
    let decides = seat.may("dispute", "decide");
    let (language, mall) = (seat.language(), &caller.tenant);
    let word = |key: &str| seat.word(key);
    let name = |id: MerchantId| {
        let found = known_as
            .get(&id)
            .map(|it| it.names.get(language).to_owned());
        found.unwrap_or_default()
    };
    let row = |one: &Dispute| {
        html! { tr {
            th scope="row" { a href={ "/console/settlements/" (one.settlement) } { (one.period) } }
            td { (name(one.merchant)) }
            td { (name(one.payer)) " → " (name(one.receiver)) }
            td.number { (money(one.amount, mall.currency)) }
            td { (one.reason) }
            td {
                (word(&format!("dispute-state-{}", one.state.as_str())))
                @if let Some(decision) = &one.decision { ": " (decision.note) }
                @else { br; (word("web-decide-by")) " " (mall.zone.minute(one.decide_by)) }
            }
            @if decides { td { @if one.state == DisputeState::Open {
                (decision(knock, language, one.id))
            } } }
        } }
    };
    let content = html! {
        div {
            @if page.items.is_empty() { p { (word("web-no-disputes")) } } @else {
                div.scroll tabindex="0" role="region" aria-label=(word("web-disputes")) { table {
                    thead { tr {
                        @for key in ["web-period", "web-raised-by", "web-payer-receiver"] {
                            th scope="col" { (word(key)) }
                        }
                        th.number scope="col" { (word("statement-amount")) }
                        th scope="col" { (word("web-reason")) }
                        th scope="col" { (word("statement-state")) }
                        @if decides { th scope="col" { (word("web-decide")) } }
                    } }
                    tbody { @for one in &page.items { (row(one)) } }
                } }
            }
            (more(&seat, DISPUTES, page.next.as_deref()))
        }
    };
    Ok(seat.page(knock, &word("web-disputes"), problem.as_ref(), &content))
}

/// How the operator decides.
fn decision(knock: &Knock, language: Language, id: DisputeId) -> Markup {
    let word = |key: &str| text(language, key);
    let field = format!("note-{id}");
    html! {
        details {
            summary { (word("web-decide")) }
            form method="post" action=(DISPUTES) {
                (knock.seal())
                input type="hidden" name="dispute" value=(id);
                label for=(field) { (word("web-note")) }
                input id=(field) name="note" type="text" required maxlength=(LONGEST_NOTE);
                button type="submit" name="outcome" value="upheld" { (word("web-uphold")) }
                button type="submit" name="outcome" value="rejected" { (word("web-reject")) }
            }
        }
    }
}

pub(super) fn decide(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<DecideDispute>(&knock).await? {
            Ok(seat) => seat,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let caller = &seat.caller;
        let id = knock.field("dispute").parse();
        let id = id.map_err(|_| Problem::of(&codes::UNKNOWN_DISPUTE))?;
        let outcome = match knock.field("outcome") {
            "upheld" => Outcome::Upheld,
            "rejected" => Outcome::Rejected,
            _ => return Err(Problem::of(&codes::FORM_REFUSED)),
        };
        let note = knock.field("note").trim();
        if note.is_empty() || note.chars().count() > LONGEST_NOTE || !note.chars().all(printable) {
            return Err(Problem::of(&codes::FORM_REFUSED));
        }
        let mut tx = caller.db().write(&caller.grant).await?;
        let decided = disputes::decide(&mut tx, &caller.grant, id, outcome, note).await;
        match decided.map_err(Problem::from) {
            Ok(_) => {
                tx.commit().await?;
                Ok(to(DISPUTES))
            }
            Err(problem) => {
                drop(tx);
                let known = [&codes::DISPUTE_DECIDED, &codes::NEEDS_SECOND_PERSON];
                page(&knock, Some(own(problem, &known)?)).await
            }
        }
    })
}

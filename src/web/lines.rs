//! The lines of a statement: every movement behind its figures, and for one of them the receipt, the
//! grant, the rules and the terms that make it what it is. A merchant objects to a line here.

use std::collections::HashMap;

use maud::{Markup, html};
use poem::Response;
use uuid::Uuid;

use super::{
    Answer, Knock,
    console::{Seat, enter, more, slice},
    own,
    settlements::{money, statement_of},
    to,
};
use crate::{
    authz::action::{RaiseDispute, ReadStatements},
    http::{codes, problem::Problem},
    kernel::{
        ids::{JournalId, LotId, MerchantId, StoreId},
        text::{Language, Names, printable},
    },
    ledger::FlowLine,
    merchants::{self, Called},
    reports::sources::{Made, Origin, Source, Terms, made, origins, sources, store_names},
    settlement::{
        self, Statement,
        disputes::{self, Objection},
        document::Cell,
    },
    texts::text,
};

/// The most characters of a merchant's reason.
const LONGEST_REASON: usize = 1000;

pub(super) fn list(knock: Knock) -> Answer {
    Box::pin(async move { lines_page(&knock, None).await })
}

/// Every movement behind a statement's figures: receipt, grant, rules and terms.
async fn lines_page(knock: &Knock, problem: Option<Problem>) -> Result<Response, Problem> {
    let seat = match enter::<ReadStatements>(knock).await? {
        Ok(seat) => seat,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let caller = &seat.caller;
    let id = statement_of(knock)?;
    let path = format!("/console/statements/{id}/lines");
    let slice = slice(&seat, knock, &path)?;
    let mut tx = caller.db().read(&caller.grant).await?;
    let one = settlement::statement(&mut tx, &caller.grant, id).await?;
    let page = settlement::lines(&mut tx, &caller.grant, id, &slice).await?;
    let ids: Vec<Uuid> = page.items.iter().map(|line| line.source).collect();
    let sources = sources(&mut tx, &caller.grant, &ids).await?;
    let lots: Vec<LotId> = page.items.iter().map(|line| line.lot).collect();
    let origins = origins(&mut tx, &caller.grant, &lots).await?;
    let mut parties: Vec<MerchantId> = page
        .items
        .iter()
        .flat_map(|line| [line.by, line.from])
        .collect();
    parties.sort_unstable();
    parties.dedup();
    let known_as = merchants::called(&mut tx, &parties).await?;
    drop(tx);
    let disputes = takes_disputes(&seat, &one);
    let word = |key: &str| seat.word(key);
    let known = Known {
        names: known_as,
        sources,
        origins,
    };
    let content = html! {
        div {
            p { a href={ "/console/statements/" (id) } { (word("statement-title")) " " (one.period) } }
            @if page.items.is_empty() { p { (word("web-no-lines")) } } @else {
                div.scroll tabindex="0" role="region" aria-label=(word("web-lines")) { table {
                    thead { tr {
                        @for key in ["web-when", "web-what", "web-taken-by", "web-issued-by"] {
                            th scope="col" { (word(key)) }
                        }
                        th.number scope="col" { (word("statement-points")) }
                        th.number scope="col" { (word("statement-value")) }
                        th scope="col" { (word("web-receipt")) }
                        th scope="col" { (word("web-earned")) }
                        @if disputes { th scope="col" { (word("web-dispute")) } }
                    } }
                    tbody { @for line in &page.items { tr {
                        (known.row(&seat, &path, line))
                        @if disputes { td { @if line.by != line.from {
                            (objection(knock, seat.language(), &path, line))
                        } } }
                    } } }
                } }
            }
            (more(&seat, &path, page.next.as_deref()))
        }
    };
    Ok(seat.page(knock, &word("web-lines"), problem.as_ref(), &content))
}

/// What is known of the lines of a page.
struct Known {
    names: HashMap<MerchantId, Called>,
    sources: HashMap<Uuid, Source>,
    origins: HashMap<LotId, Origin>,
}

impl Known {
    fn name(&self, language: Language, id: MerchantId) -> &str {
        let found = self.names.get(&id);
        found.map_or("", |it| it.names.get(language))
    }

    fn row(&self, seat: &Seat<ReadStatements>, path: &str, line: &FlowLine) -> Markup {
        let (language, mall) = (seat.language(), &seat.caller.tenant);
        let word = |key: &str| seat.word(key);
        let origin = self.origins.get(&line.lot);
        let programme = origin.and_then(|origin| origin.programme);
        let agreement = origin.and_then(|origin| origin.agreement);
        html! {
            th scope="row" {
                a href={ (path) "/" (line.journal) "/" (line.line) } {
                    (mall.zone.minute(line.occurred_at))
                }
                @if line.late { " " em { (word("web-late")) } }
            }
            td { (word(&format!("flow-{}", line.kind.as_str()))) }
            td { (self.name(language, line.by)) }
            td { (self.name(language, line.from)) }
            td.number { (Cell::Points(line.points).shown(0)) }
            td.number { (money(line.value, mall.currency)) }
            td { @match self.sources.get(&line.source) {
                Some(Source::Receipt(number)) => (number),
                Some(Source::Good(code)) => (code),
                None => {},
            } }
            td {
                (mall.zone.minute(line.earned_at))
                @if let Some(version) = programme { " · " (word("web-programme")) " " (version) }
                @if let Some((_, version)) = agreement {
                    " · " (word("web-agreement")) " " (version)
                }
            }
        }
    }
}

/// Whether whoever looks may still object to lines of a statement.
fn takes_disputes(seat: &Seat<ReadStatements>, one: &Statement) -> bool {
    one.confirmed_at.is_none() && one.state.is_issued() && seat.may("dispute", "raise")
}

pub(super) fn show(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ReadStatements>(&knock).await? {
            Ok(seat) => seat,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let (caller, id) = (&seat.caller, statement_of(&knock)?);
        let unknown = || Problem::of(&codes::UNKNOWN_LINE);
        let journal: JournalId = knock.part("journal").parse().map_err(|_| unknown())?;
        let line = knock.part("line").parse().map_err(|_| unknown())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let found = settlement::line(&mut tx, &caller.grant, id, (journal, line)).await?;
        let (statement, line) = found.ok_or_else(unknown)?;
        let made = made(&mut tx, &caller.grant, line.lot).await?;
        let made = made.ok_or_else(unknown)?;
        let source = sources(&mut tx, &caller.grant, &[line.source]).await?;
        let stores: Vec<StoreId> = line.store.into_iter().chain([made.store]).collect();
        let whole = Whole {
            merchants: merchants::called(&mut tx, &[line.by, line.from]).await?,
            stores: store_names(&mut tx, &caller.grant, &stores).await?,
            source: source.into_values().next(),
            line,
            made,
        };
        drop(tx);
        let path = format!("/console/statements/{id}/lines");
        let (word, line) = (|key: &str| seat.word(key), &whole.line);
        let content = html! {
            div {
                p.row {
                    a href={ "/console/statements/" (id) } {
                        (word("statement-title")) " " (statement.period)
                    }
                    a href=(path) { (word("web-lines")) }
                }
                h2 { (word("web-line-moved")) } (facts(&seat, &whole.moved(&seat)))
                h2 { (word("web-line-grant")) } (facts(&seat, &whole.granted(&seat)))
                h2 { (word("web-line-terms")) }
                @match &whole.made.agreement {
                    Some(terms) => (facts(&seat, &agreed(&seat, terms))),
                    None => p { (word("web-line-no-agreement")) },
                }
                @if takes_disputes(&seat, &statement) && line.by != line.from {
                    (objection(&knock, seat.language(), &path, line))
                }
            }
        };
        Ok(seat.page(&knock, &word("web-line"), None, &content))
    })
}

/// Labels and what they are about.
type Facts = Vec<(&'static str, String)>;

fn facts(seat: &Seat<ReadStatements>, facts: &Facts) -> Markup {
    html! {
        dl.facts {
            @for (label, fact) in facts.iter().filter(|(_, fact)| !fact.is_empty()) {
                dt { (seat.word(label)) } dd { (fact) }
            }
        }
    }
}

/// A line with all that makes it what it is.
struct Whole {
    line: FlowLine,
    made: Made,
    source: Option<Source>,
    merchants: HashMap<MerchantId, Called>,
    stores: HashMap<StoreId, Names>,
}

impl Whole {
    /// A merchant, and in which of its stores.
    fn place(&self, language: Language, merchant: MerchantId, store: Option<StoreId>) -> String {
        let merchant = self.merchants.get(&merchant);
        let merchant = merchant.map_or("", |it| it.names.get(language));
        let store = store.and_then(|store| self.stores.get(&store));
        let store = store.map_or("", |names| names.get(language));
        let both = [merchant, store];
        let both: Vec<&str> = both.into_iter().filter(|it| !it.is_empty()).collect();
        both.join(" · ")
    }

    /// What happened, where, and on which paper that can be looked up.
    fn moved(&self, seat: &Seat<ReadStatements>) -> Facts {
        let (line, mall) = (&self.line, &seat.caller.tenant);
        let paper = match &self.source {
            Some(Source::Receipt(number)) => number.clone(),
            Some(Source::Good(code)) => code.clone(),
            None => String::new(),
        };
        let mut at = mall.zone.minute(line.occurred_at);
        if line.late {
            at = format!("{at} · {}", seat.word("web-late"));
        }
        vec![
            ("web-when", at),
            (
                "web-what",
                seat.word(&format!("flow-{}", line.kind.as_str())),
            ),
            (
                "web-taken-by",
                self.place(seat.language(), line.by, line.store),
            ),
            ("web-receipt", paper),
            ("statement-points", Cell::Points(line.points).shown(0)),
            ("statement-value", money(line.value, mall.currency)),
        ]
    }

    /// The grant whose points they are. Which receipt earned them is for its issuer and the operator.
    fn granted(&self, seat: &Seat<ReadStatements>) -> Facts {
        let (made, mall) = (&self.made, &seat.caller.tenant);
        let own = seat.caller.grant.reach().covers(self.line.from);
        let receipt = made.receipt.clone().filter(|_| own);
        let store = Some(made.store).filter(|_| own);
        let lapses = made.expires_at.map(|at| mall.zone.minute(at));
        vec![
            (
                "web-issued-by",
                self.place(seat.language(), self.line.from, store),
            ),
            ("web-line-earned-at", mall.zone.minute(made.earned_at)),
            ("web-line-earned-by", receipt.unwrap_or_default()),
            ("statement-points", Cell::Points(made.points).shown(0)),
            ("statement-value", money(made.worth, mall.currency)),
            (
                "web-line-lapses",
                lapses.unwrap_or_else(|| seat.word("web-line-never")),
            ),
            (
                "web-line-programme",
                made.programme.map(|it| it.to_string()).unwrap_or_default(),
            ),
            ("web-line-lot", self.line.lot.to_string()),
        ]
    }
}

/// The agreement under which a grant was made: what was accepted when, and how to tell that it is it.
fn agreed(seat: &Seat<ReadStatements>, terms: &Terms) -> Facts {
    let zone = seat.caller.tenant.zone;
    vec![
        ("web-line-version", terms.version.to_string()),
        ("web-line-since", zone.minute(terms.starts_at)),
        ("web-line-accepted", zone.minute(terms.accepted_at)),
        ("web-line-digest", terms.digest.clone()),
        (
            "web-line-paper",
            terms.document_digest.clone().unwrap_or_default(),
        ),
        ("web-line-agreement", terms.agreement.to_string()),
    ]
}

/// How a merchant objects to a line.
fn objection(knock: &Knock, language: Language, path: &str, line: &FlowLine) -> Markup {
    let word = |key: &str| text(language, key);
    let field = format!("reason-{}-{}", line.journal, line.line);
    html! {
        details {
            summary { (word("web-dispute")) }
            form method="post" action=(path) {
                (knock.seal())
                input type="hidden" name="journal" value=(line.journal);
                input type="hidden" name="line" value=(line.line);
                label for=(field) { (word("web-reason")) }
                input id=(field) name="reason" type="text" required maxlength=(LONGEST_REASON);
                button type="submit" { (word("web-dispute")) }
            }
        }
    }
}

pub(super) fn dispute(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<RaiseDispute>(&knock).await? {
            Ok(seat) => seat,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let caller = &seat.caller;
        let unknown = || Problem::of(&codes::UNKNOWN_LINE);
        let journal: JournalId = knock.field("journal").parse().map_err(|_| unknown())?;
        let line = knock.field("line").parse().map_err(|_| unknown())?;
        let reason = knock.field("reason").trim();
        if reason.is_empty()
            || reason.chars().count() > LONGEST_REASON
            || !reason.chars().all(printable)
        {
            return Err(Problem::of(&codes::FORM_REFUSED));
        }
        let objection = Objection {
            statement: statement_of(&knock)?,
            journal,
            line,
            reason: reason.to_owned(),
        };
        let mut tx = caller.db().write(&caller.grant).await?;
        let raised = disputes::raise(&mut tx, &caller.grant, &objection, caller.tenant.zone).await;
        match raised.map_err(Problem::from) {
            Ok(_) => {
                tx.commit().await?;
                Ok(to("/console/disputes"))
            }
            Err(problem) => {
                drop(tx);
                let known = [
                    &codes::LINE_DISPUTED,
                    &codes::LINE_MOVES_NO_MONEY,
                    &codes::DISPUTE_TOO_LATE,
                    &codes::OUT_OF_TURN,
                ];
                lines_page(&knock, Some(own(problem, &known)?)).await
            }
        }
    })
}

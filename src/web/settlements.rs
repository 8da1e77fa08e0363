//! Settlements and statements: what a period came to, for whom, and what every figure is made of.
//!
//! The operator sees every merchant's, a merchant its own. A statement's page prints the same tables as
//! its files, so that they cannot differ in a figure.

use std::collections::HashMap;

use maud::{Markup, html};
use poem::{IntoResponse, Response};

use super::{
    Answer, Knock,
    console::{Seat, enter, more, slice},
    own, to_address,
};
use crate::{
    authz::action::{ConfirmStatement, IssueSettlement, ReadSettlements, ReadStatements},
    http::{
        codes,
        problem::Problem,
        reply::{Csv, Download, Media, Pdf, Sheet, Xlsx},
    },
    kernel::{
        ids::{MerchantId, SettlementId, StatementId},
        money::Currency,
        time::{Instant, Zone},
    },
    merchants::{self, Called},
    settlement::{
        self, Face, Settlement, State, Statement, confirming,
        document::{self, Cell, Document, Table},
    },
};

/// The address of the list.
const SETTLEMENTS: &str = "/console/settlements";

/// Which settlement or statement an address means.
fn settlement_of(knock: &Knock) -> Result<SettlementId, Problem> {
    let id = knock.part("settlement").parse();
    id.map_err(|_| Problem::of(&codes::UNKNOWN_SETTLEMENT))
}

/// The same of a statement.
pub(super) fn statement_of(knock: &Knock) -> Result<StatementId, Problem> {
    let id = knock.part("statement").parse();
    id.map_err(|_| Problem::of(&codes::UNKNOWN_SETTLEMENT))
}

/// Money of the mall, with its sign and a comma before every three digits.
pub(super) fn money(minor: i64, currency: Currency) -> String {
    Cell::Money(minor).shown(currency.places())
}

fn moment(at: Option<Instant>, zone: Zone) -> String {
    at.map(|at| zone.minute(at)).unwrap_or_default()
}

pub(super) fn list(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ReadSettlements>(&knock).await? {
            Ok(seat) => seat,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let (caller, word) = (&seat.caller, |key: &str| seat.word(key));
        let slice = slice(&seat, &knock, SETTLEMENTS)?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = settlement::list(&mut tx, &caller.grant, &slice).await?;
        drop(tx);
        let zone = caller.tenant.zone;
        let row = |one: &Settlement| {
            html! { tr {
                th scope="row" { a href={ "/console/settlements/" (one.id) } { (one.period) } }
                td { (word(&format!("settlement-state-{}", one.state.as_str()))) }
                td { (moment(one.issued_at, zone)) }
                td { (moment(one.confirm_by, zone)) }
            } }
        };
        let content = html! {
            div {
                @if page.items.is_empty() { p { (word("web-no-settlements")) } } @else {
                    div.scroll tabindex="0" role="region" aria-label=(word("web-settlements")) { table {
                        thead { tr {
                            @for key in ["web-period", "statement-state", "statement-issued-at",
                                "statement-confirm-by"] {
                                th scope="col" { (word(key)) }
                            }
                        } }
                        tbody { @for one in &page.items { (row(one)) } }
                    } }
                }
                (more(&seat, SETTLEMENTS, page.next.as_deref()))
            }
        };
        Ok(seat.page(&knock, &word("web-settlements"), None, &content))
    })
}

pub(super) fn show(knock: Knock) -> Answer {
    Box::pin(async move { settlement_page(&knock, None).await })
}

/// A period with the statements of it that one may see.
async fn settlement_page(knock: &Knock, problem: Option<Problem>) -> Result<Response, Problem> {
    let seat = match enter::<ReadStatements>(knock).await? {
        Ok(seat) => seat,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let caller = &seat.caller;
    let id = settlement_of(knock)?;
    let path = format!("/console/settlements/{id}");
    let reader = knock.caller_for::<ReadSettlements>().await?;
    let reader = reader.ok_or_else(|| Problem::of(&codes::NOT_ALLOWED))?;
    let slice = slice(&seat, knock, &path)?;
    let mut tx = caller.db().read(&caller.grant).await?;
    let one = settlement::get(&mut tx, &reader.grant, id).await?;
    let page = settlement::statements(&mut tx, &caller.grant, id, &slice).await?;
    let ids: Vec<MerchantId> = page
        .items
        .iter()
        .map(|statement| statement.merchant)
        .collect();
    let known_as = merchants::called(&mut tx, &ids).await?;
    drop(tx);
    let issues = one.state == State::Proofed && seat.may("settlement", "issue");
    let word = |key: &str| seat.word(key);
    let content = html! {
        div {
            p { a href="/console/settlements" { (word("web-settlements")) } }
            (facts(&seat, &one))
            @if issues {
                form method="post" action={ (path) "/issue" } {
                    (knock.seal())
                    p.hint { (word("web-issue-text")) }
                    button type="submit" { (word("web-issue")) }
                }
            }
            h2 { (word("web-statements")) }
            @if page.items.is_empty() { p { (word("web-no-statements")) } } @else {
                (statements(&seat, &page.items, &known_as))
                p { a href={ (path) "/statements.csv" } { (word("web-all-as-csv")) } }
            }
            (more(&seat, &path, page.next.as_deref()))
        }
    };
    let title = format!("{} {}", word("web-settlement"), one.period);
    Ok(seat.page(knock, &title, problem.as_ref(), &content))
}

/// What a settlement is about, as far as it has come.
fn facts(seat: &Seat<ReadStatements>, one: &Settlement) -> Markup {
    let word = |key: &str| seat.word(key);
    let mall = &seat.caller.tenant;
    let facts = [
        ("statement-currency", mall.currency.code().to_owned()),
        (
            "statement-state",
            word(&format!("settlement-state-{}", one.state.as_str())),
        ),
        ("web-cut-off-at", mall.zone.minute(one.cut_off_at)),
        ("statement-issued-at", moment(one.issued_at, mall.zone)),
        ("statement-confirm-by", moment(one.confirm_by, mall.zone)),
        (
            "statement-confirmed-at",
            moment(one.confirmed_at, mall.zone),
        ),
        ("web-closed-at", moment(one.closed_at, mall.zone)),
        (
            "statement-settlement-digest",
            one.digest.clone().unwrap_or_default(),
        ),
    ];
    html! {
        dl {
            @for (label, fact) in facts.iter().filter(|(_, fact)| !fact.is_empty()) {
                dt { (word(label)) } dd { (fact) }
            }
        }
    }
}

/// One line a merchant.
fn statements(
    seat: &Seat<ReadStatements>,
    all: &[Statement],
    known_as: &HashMap<MerchantId, Called>,
) -> Markup {
    let (language, mall) = (seat.language(), &seat.caller.tenant);
    let word = |key: &str| seat.word(key);
    let name = |statement: &Statement| {
        let found = known_as.get(&statement.merchant);
        found
            .map_or(statement.code.as_str(), |it| it.names.get(language))
            .to_owned()
    };
    html! {
        div.scroll tabindex="0" role="region" aria-label=(word("web-statements")) { table {
            thead { tr {
                th scope="col" { (word("statement-merchant")) }
                th scope="col" { (word("statement-state")) }
                th.number scope="col" { (word("figure-receives")) }
                th.number scope="col" { (word("figure-pays")) }
                th.number scope="col" { (word("figure-net")) }
            } }
            tbody { @for statement in all { tr {
                th scope="row" { a href={ "/console/statements/" (statement.id) } { (name(statement)) } }
                td { (word(&format!("statement-state-{}", statement.state.as_str()))) }
                td.number { (money(statement.position.receives, mall.currency)) }
                td.number { (money(statement.position.pays, mall.currency)) }
                td.number { (money(statement.position.net, mall.currency)) }
            } } }
        } }
    }
}

pub(super) fn issue(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<IssueSettlement>(&knock).await? {
            Ok(seat) => seat,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let (id, caller) = (settlement_of(&knock)?, &seat.caller);
        let (zone, currency) = (caller.tenant.zone, caller.tenant.currency);
        let mut tx = caller.db().write(&caller.grant).await?;
        let done = confirming::issue(&mut tx, &caller.grant, id, zone, currency).await;
        match done.map_err(Problem::from) {
            Ok(_) => {
                tx.commit().await?;
                Ok(to_address(&format!("/console/settlements/{id}")))
            }
            Err(problem) => {
                drop(tx);
                let problem = own(problem, &[&codes::NEEDS_SECOND_PERSON, &codes::OUT_OF_TURN])?;
                settlement_page(&knock, Some(problem)).await
            }
        }
    })
}

pub(super) fn sheet(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ReadStatements>(&knock).await? {
            Ok(seat) => seat,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let (id, language, caller) = (settlement_of(&knock)?, seat.language(), &seat.caller);
        let mall = &caller.tenant;
        let mut tx = caller.db().read(&caller.grant).await?;
        let (period, text) =
            settlement::sheet(&mut tx, &caller.grant, id, mall.currency, language).await?;
        let name = format!("{}-{period}.csv", mall.slug.as_str());
        Ok(Sheet { name, text }.into_response())
    })
}

pub(super) fn statement(knock: Knock) -> Answer {
    Box::pin(async move { statement_page(&knock, None).await })
}

async fn document_of(knock: &Knock, seat: &Seat<ReadStatements>) -> Result<Document, Problem> {
    let (caller, id) = (&seat.caller, statement_of(knock)?);
    let mut tx = caller.db().read(&caller.grant).await?;
    let (mall, language) = (&caller.tenant, seat.language());
    Ok(document::of(&mut tx, &caller.grant, id, mall, language).await?)
}

async fn statement_page(knock: &Knock, problem: Option<Problem>) -> Result<Response, Problem> {
    let seat = match enter::<ReadStatements>(knock).await? {
        Ok(seat) => seat,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let word = |key: &str| seat.word(key);
    let document = document_of(knock, &seat).await?;
    let path = format!("/console/statements/{}", document.statement);
    let confirms = document.confirmed_at.is_none()
        && document.state.is_issued()
        && seat.may("statement", "confirm");
    let places = document.currency.places();
    let content = html! {
        div {
            p { a href={ "/console/settlements/" (document.settlement) } {
                (word("web-settlement")) " " (document.period)
            } }
            dl { @for (label, fact) in document.facts() { dt { (label) } dd { (fact) } } }
            @for note in document.notes() { p.hint { (note) } }
            p.row {
                @for face in [Face::Pdf, Face::Xlsx, Face::Csv] {
                    a href={ (path) "/statement." (face.ending()) } { (face.ending().to_uppercase()) }
                }
                a href={ (path) "/lines" } { (word("web-lines")) }
            }
            @if confirms {
                form method="post" action={ (path) "/confirm" } {
                    (knock.seal())
                    p.hint { (word("web-confirm-text")) }
                    button type="submit" { (word("web-confirm")) }
                }
            }
            @for table in document.tables() { (printed(&table, places, &path)) }
            @if document.lines.is_empty() { p { (document.word("statement-no-lines")) } }
        }
    };
    let title = format!("{} {}", word("statement-title"), document.period);
    Ok(seat.page(knock, &title, problem.as_ref(), &content))
}

/// A table of the statement; its numbers lead to the lines that they are made of.
fn printed(table: &Table, places: u32, path: &str) -> Markup {
    let last = table.rows.len();
    let number = |place: usize| place >= table.words;
    html! {
        h2 { (table.title) }
        div.scroll tabindex="0" role="region" aria-label=(table.title) { table {
            thead { tr {
                @for (place, label) in table.head.iter().enumerate() {
                    th.number[number(place)] scope="col" { (label) }
                }
            } }
            tbody { @for (at, row) in (1..).zip(&table.rows) {
                tr.sum[table.summed && at == last] {
                    @for (place, cell) in row.iter().enumerate() {
                        @if place == 0 { th scope="row" { (cell.shown(places)) } }
                        @else { td.number[number(place)] {
                            @match cell {
                                Cell::Points(count) if *count != 0 => {
                                    a href={ (path) "/lines" } { (cell.shown(places)) }
                                }
                                _ => (cell.shown(places)),
                            }
                        } }
                    }
                }
            } }
        } }
    }
}

pub(super) fn confirm(knock: Knock) -> Answer {
    Box::pin(async move {
        let seat = match enter::<ConfirmStatement>(&knock).await? {
            Ok(seat) => seat,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let (id, caller) = (statement_of(&knock)?, &seat.caller);
        let currency = caller.tenant.currency;
        let mut tx = caller.db().write(&caller.grant).await?;
        let done = confirming::confirm(&mut tx, &caller.grant, id, currency).await;
        match done.map_err(Problem::from) {
            Ok(_) => {
                tx.commit().await?;
                Ok(to_address(&format!("/console/statements/{id}")))
            }
            Err(problem) => {
                drop(tx);
                let problem = own(problem, &[&codes::STATEMENT_CONFIRMED, &codes::OUT_OF_TURN])?;
                statement_page(&knock, Some(problem)).await
            }
        }
    })
}

pub(super) fn pdf(knock: Knock) -> Answer {
    Box::pin(file::<Pdf>(knock, Face::Pdf))
}

pub(super) fn xlsx(knock: Knock) -> Answer {
    Box::pin(file::<Xlsx>(knock, Face::Xlsx))
}

pub(super) fn csv(knock: Knock) -> Answer {
    Box::pin(file::<Csv>(knock, Face::Csv))
}

/// The statement as a file, printed on a thread that may take its time.
async fn file<M: Media>(knock: Knock, face: Face) -> Result<Response, Problem> {
    let seat = match enter::<ReadStatements>(&knock).await? {
        Ok(seat) => seat,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let document = document_of(&knock, &seat).await?;
    let name = document.file_name(face);
    let bytes = tokio::task::spawn_blocking(move || document.print(face))
        .await
        .map_err(|error| Problem::of(&codes::INTERNAL_ERROR).because(error))??;
    Ok(Download::<M>::new(name, bytes).into_response())
}

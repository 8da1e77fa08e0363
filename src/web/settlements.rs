//! Settlements and statements: what a period came to, for whom, and what every figure is made of.
//!
//! The operator sees every merchant's, a merchant its own. A statement's page prints the same tables as
//! its files, so that they cannot differ in a figure.

use maud::{Markup, html};
use poem::{IntoResponse, Response};
use uuid::Uuid;

use super::{
    Answer, Knock,
    account::{Present, whole},
    own, said, shown, to,
};
use crate::{
    authz::action::{
        ConfirmStatement, IssueSettlement, RaiseDispute, ReadSettlements, ReadStatements,
    },
    http::{
        codes,
        problem::Problem,
        reply::{Csv, Download, Media, Pdf, Sheet, Xlsx},
    },
    kernel::{
        ids::{JournalId, LotId, MerchantId, SettlementId, StatementId},
        money::Currency,
        page::Page,
        text::{Language, printable},
        time::{Instant, Zone},
    },
    ledger::FlowLine,
    merchants,
    reports::sources::{Source, origins, sources},
    settlement::{
        self, Face, Settlement, State, Statement, confirming,
        disputes::{self, Objection},
        document::{self, Cell, Document, Table},
    },
    texts::text,
};

/// The most characters of a merchant's reason.
const LONGEST_REASON: usize = 1000;

/// Which settlement or statement an address means.
fn settlement_of(knock: &Knock) -> Result<SettlementId, Problem> {
    let id = knock.place("settlement_id").parse();
    id.map_err(|_| Problem::of(&codes::UNKNOWN_SETTLEMENT))
}

fn statement_of(knock: &Knock) -> Result<StatementId, Problem> {
    let id = knock.place("statement_id").parse();
    id.map_err(|_| Problem::of(&codes::UNKNOWN_SETTLEMENT))
}

/// Money of the mall, with its sign and a comma before every three digits.
pub(super) fn money(minor: i64, currency: Currency) -> String {
    Cell::Money(minor).shown(currency.places())
}

fn moment(at: Option<Instant>, zone: Zone) -> String {
    at.map(|at| zone.minute(at)).unwrap_or_default()
}

/// The way to the next page of a list, where there is one.
pub(super) fn onward<T>(
    knock: &Knock,
    language: Language,
    path: &str,
    page: &Page<T>,
) -> Option<Markup> {
    let next = page.next.as_ref()?;
    let cursor = knock.stranger.app().cursor_key().seal(path, next);
    Some(html! {
        p { a rel="next" href={ (path) "?cursor=" (cursor) } { (text(language, "web-next-page")) } }
    })
}

pub(super) fn list(knock: Knock) -> Answer {
    Box::pin(async move {
        let present = match whole(&knock).await? {
            Ok(present) => present,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let language = present.person.language;
        let word = |key: &str| text(language, key);
        let caller = knock.must::<ReadSettlements>().await?;
        let slice = knock.slice("/settlements")?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = settlement::list(&mut tx, &caller.grant, &slice).await?;
        drop(tx);
        let zone = caller.tenant.zone;
        let row = |one: &Settlement| {
            html! { tr {
                th scope="row" { a href={ "/settlements/" (one.id) } { (one.period) } }
                td { (word(&format!("settlement-state-{}", one.state.as_str()))) }
                td { (moment(one.issued_at, zone)) }
                td { (moment(one.confirm_by, zone)) }
            } }
        };
        let content = html! {
            main.wide {
                h1 { (word("web-settlements")) }
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
                (onward(&knock, language, "/settlements", &page).unwrap_or_default())
            }
        };
        Ok(shown(
            &knock,
            Some(&present.person),
            &word("web-settlements"),
            &content,
        ))
    })
}

pub(super) fn show(knock: Knock) -> Answer {
    Box::pin(async move {
        let present = match whole(&knock).await? {
            Ok(present) => present,
            Err(elsewhere) => return Ok(elsewhere),
        };
        settlement_page(&knock, &present, None).await
    })
}

/// A period with the statements of it that one may see.
async fn settlement_page(
    knock: &Knock,
    present: &Present,
    problem: Option<Problem>,
) -> Result<Response, Problem> {
    let id = settlement_of(knock)?;
    let path = format!("/settlements/{id}");
    let caller = knock.must::<ReadStatements>().await?;
    let reader = knock.must::<ReadSettlements>().await?;
    let slice = knock.slice(&path)?;
    let mut tx = caller.db().read(&caller.grant).await?;
    let one = settlement::get(&mut tx, &reader.grant, id).await?;
    let page = settlement::statements(&mut tx, &caller.grant, id, &slice).await?;
    let ids: Vec<MerchantId> = page
        .items
        .iter()
        .map(|statement| statement.merchant)
        .collect();
    let called = merchants::called(&mut tx, &ids).await?;
    drop(tx);
    let issues = one.state == State::Proofed && knock.may::<IssueSettlement>().await?.is_some();
    let (language, mall) = (present.person.language, &caller.tenant);
    let word = |key: &str| text(language, key);
    let name = |statement: &Statement| {
        let found = called.get(&statement.merchant);
        found
            .map_or(statement.code.as_str(), |it| it.names.get(language))
            .to_owned()
    };
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
    let content = html! {
        main.wide {
            p { a href="/settlements" { (word("web-settlements")) } }
            h1 { (word("web-settlement")) " " (one.period) }
            @if let Some(problem) = &problem { p.bad role="alert" { (said(language, problem)) } }
            dl {
                @for (label, fact) in facts.iter().filter(|(_, fact)| !fact.is_empty()) {
                    dt { (word(label)) } dd { (fact) }
                }
            }
            @if issues {
                form method="post" action={ (path) "/issue" } {
                    (knock.seal())
                    p.hint { (word("web-issue-text")) }
                    button type="submit" { (word("web-issue")) }
                }
            }
            h2 { (word("web-statements")) }
            @if page.items.is_empty() { p { (word("web-no-statements")) } } @else {
                div.scroll tabindex="0" role="region" aria-label=(word("web-statements")) { table {
                    thead { tr {
                        th scope="col" { (word("statement-merchant")) }
                        th scope="col" { (word("statement-state")) }
                        th.number scope="col" { (word("figure-receives")) }
                        th.number scope="col" { (word("figure-pays")) }
                        th.number scope="col" { (word("figure-net")) }
                    } }
                    tbody { @for statement in &page.items { tr {
                        th scope="row" { a href={ "/statements/" (statement.id) } { (name(statement)) } }
                        td { (word(&format!("statement-state-{}", statement.state.as_str()))) }
                        td.number { (money(statement.position.receives, mall.currency)) }
                        td.number { (money(statement.position.pays, mall.currency)) }
                        td.number { (money(statement.position.net, mall.currency)) }
                    } } }
                } }
                p { a href={ (path) "/statements.csv" } { (word("web-all-as-csv")) } }
            }
            (onward(knock, language, &path, &page).unwrap_or_default())
        }
    };
    let title = format!("{} {}", word("web-settlement"), one.period);
    Ok(refused(
        shown(knock, Some(&present.person), &title, &content),
        problem,
    ))
}

/// The page with the status of what was refused.
fn refused(mut response: Response, problem: Option<Problem>) -> Response {
    if let Some(problem) = problem {
        response.set_status(problem.status());
    }
    response
}

pub(super) fn issue(knock: Knock) -> Answer {
    Box::pin(async move {
        let present = match whole(&knock).await? {
            Ok(present) => present,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let id = settlement_of(&knock)?;
        let caller = knock.must::<IssueSettlement>().await?;
        let (zone, currency) = (caller.tenant.zone, caller.tenant.currency);
        let mut tx = caller.db().write(&caller.grant).await?;
        let done = confirming::issue(&mut tx, &caller.grant, id, zone, currency).await;
        match done.map_err(Problem::from) {
            Ok(_) => {
                tx.commit().await?;
                Ok(to(&format!("/settlements/{id}")))
            }
            Err(problem) => {
                drop(tx);
                let problem = own(problem, &[&codes::NEEDS_SECOND_PERSON, &codes::OUT_OF_TURN])?;
                settlement_page(&knock, &present, Some(problem)).await
            }
        }
    })
}

pub(super) fn sheet(knock: Knock) -> Answer {
    Box::pin(async move {
        let present = match whole(&knock).await? {
            Ok(present) => present,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let (id, language) = (settlement_of(&knock)?, present.person.language);
        let caller = knock.must::<ReadStatements>().await?;
        let mall = &caller.tenant;
        let mut tx = caller.db().read(&caller.grant).await?;
        let (period, text) =
            settlement::sheet(&mut tx, &caller.grant, id, mall.currency, language).await?;
        let name = format!("{}-{period}.csv", mall.slug.as_str());
        Ok(Sheet { name, text }.into_response())
    })
}

pub(super) fn statement(knock: Knock) -> Answer {
    Box::pin(async move {
        let present = match whole(&knock).await? {
            Ok(present) => present,
            Err(elsewhere) => return Ok(elsewhere),
        };
        statement_page(&knock, &present, None).await
    })
}

async fn document_of(knock: &Knock, language: Language) -> Result<Document, Problem> {
    let caller = knock.must::<ReadStatements>().await?;
    let (id, mall) = (statement_of(knock)?, &caller.tenant);
    let mut tx = caller.db().read(&caller.grant).await?;
    Ok(document::of(&mut tx, &caller.grant, id, mall, language).await?)
}

async fn statement_page(
    knock: &Knock,
    present: &Present,
    problem: Option<Problem>,
) -> Result<Response, Problem> {
    let language = present.person.language;
    let word = |key: &str| text(language, key);
    let document = document_of(knock, language).await?;
    let path = format!("/statements/{}", document.statement);
    let confirms = document.confirmed_at.is_none()
        && document.state.is_issued()
        && knock.may::<ConfirmStatement>().await?.is_some();
    let places = document.currency.places();
    let content = html! {
        main.wide {
            p { a href={ "/settlements/" (document.settlement) } {
                (word("web-settlement")) " " (document.period)
            } }
            h1 { (word("statement-title")) }
            @if let Some(problem) = &problem { p.bad role="alert" { (said(language, problem)) } }
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
    Ok(refused(
        shown(knock, Some(&present.person), &title, &content),
        problem,
    ))
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
        let present = match whole(&knock).await? {
            Ok(present) => present,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let id = statement_of(&knock)?;
        let caller = knock.must::<ConfirmStatement>().await?;
        let currency = caller.tenant.currency;
        let mut tx = caller.db().write(&caller.grant).await?;
        let done = confirming::confirm(&mut tx, &caller.grant, id, currency).await;
        match done.map_err(Problem::from) {
            Ok(_) => {
                tx.commit().await?;
                Ok(to(&format!("/statements/{id}")))
            }
            Err(problem) => {
                drop(tx);
                let problem = own(problem, &[&codes::STATEMENT_CONFIRMED, &codes::OUT_OF_TURN])?;
                statement_page(&knock, &present, Some(problem)).await
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
    let present = match whole(&knock).await? {
        Ok(present) => present,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let document = document_of(&knock, present.person.language).await?;
    let name = document.file_name(face);
    let bytes = tokio::task::spawn_blocking(move || document.print(face))
        .await
        .map_err(|error| Problem::of(&codes::INTERNAL_ERROR).because(error))??;
    Ok(Download::<M>::new(name, bytes).into_response())
}

pub(super) fn lines(knock: Knock) -> Answer {
    Box::pin(async move {
        let present = match whole(&knock).await? {
            Ok(present) => present,
            Err(elsewhere) => return Ok(elsewhere),
        };
        lines_page(&knock, &present, None).await
    })
}

/// Every movement behind a statement's figures: receipt, grant, rules and terms.
async fn lines_page(
    knock: &Knock,
    present: &Present,
    problem: Option<Problem>,
) -> Result<Response, Problem> {
    let id = statement_of(knock)?;
    let path = format!("/statements/{id}/lines");
    let caller = knock.must::<ReadStatements>().await?;
    let slice = knock.slice(&path)?;
    let mut tx = caller.db().read(&caller.grant).await?;
    let one = settlement::statement(&mut tx, &caller.grant, id).await?;
    let page = settlement::lines(&mut tx, &caller.grant, id, &slice).await?;
    let ids: Vec<Uuid> = page.items.iter().map(|line| line.source).collect();
    let known = sources(&mut tx, &caller.grant, &ids).await?;
    let lots: Vec<LotId> = page.items.iter().map(|line| line.lot).collect();
    let origins = origins(&mut tx, &caller.grant, &lots).await?;
    let mut parties: Vec<MerchantId> = page
        .items
        .iter()
        .flat_map(|line| [line.by, line.from])
        .collect();
    parties.sort_unstable();
    parties.dedup();
    let called = merchants::called(&mut tx, &parties).await?;
    drop(tx);
    let disputes = one.confirmed_at.is_none()
        && one.state.is_issued()
        && knock.may::<RaiseDispute>().await?.is_some();
    let (language, mall) = (present.person.language, &caller.tenant);
    let word = |key: &str| text(language, key);
    let name = |id: MerchantId| {
        let found = called.get(&id);
        found
            .map(|it| it.names.get(language).to_owned())
            .unwrap_or_default()
    };
    let row = |line: &FlowLine| {
        let origin = origins.get(&line.lot);
        let agreement = origin
            .and_then(|origin| origin.agreement)
            .map(|(_, version)| version);
        html! { tr {
            th scope="row" {
                (mall.zone.minute(line.occurred_at))
                @if line.late { " " em { (word("web-late")) } }
            }
            td { (word(&format!("flow-{}", line.kind.as_str()))) }
            td { (name(line.by)) }
            td { (name(line.from)) }
            td.number { (Cell::Points(line.points).shown(0)) }
            td.number { (money(line.value, mall.currency)) }
            td { @match known.get(&line.source) {
                Some(Source::Receipt(number)) => (number),
                Some(Source::Good(code)) => (code),
                None => {},
            } }
            td {
                (mall.zone.minute(line.earned_at))
                @if let Some(version) = origin.and_then(|origin| origin.programme) {
                    " · " (word("web-programme")) " " (version)
                }
                @if let Some(version) = agreement { " · " (word("web-agreement")) " " (version) }
            }
            @if disputes { td { @if line.by != line.from { (objection(knock, language, &path, line)) } } }
        } }
    };
    let content = html! {
        main.wide {
            p { a href={ "/statements/" (id) } { (word("statement-title")) " " (one.period) } }
            h1 { (word("web-lines")) }
            @if let Some(problem) = &problem { p.bad role="alert" { (said(language, problem)) } }
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
                    tbody { @for line in &page.items { (row(line)) } }
                } }
            }
            (onward(knock, language, &path, &page).unwrap_or_default())
        }
    };
    Ok(refused(
        shown(knock, Some(&present.person), &word("web-lines"), &content),
        problem,
    ))
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
        let present = match whole(&knock).await? {
            Ok(present) => present,
            Err(elsewhere) => return Ok(elsewhere),
        };
        let refused = || Problem::of(&codes::FORM_REFUSED);
        let journal: JournalId = knock.field("journal").parse().map_err(|_| refused())?;
        let line = knock.field("line").parse().map_err(|_| refused())?;
        let reason = knock.field("reason").trim();
        if reason.is_empty()
            || reason.chars().count() > LONGEST_REASON
            || !reason.chars().all(printable)
        {
            return Err(refused());
        }
        let objection = Objection {
            statement: statement_of(&knock)?,
            journal,
            line,
            reason: reason.to_owned(),
        };
        let caller = knock.must::<RaiseDispute>().await?;
        let mut tx = caller.db().write(&caller.grant).await?;
        let raised = disputes::raise(&mut tx, &caller.grant, &objection, caller.tenant.zone).await;
        match raised.map_err(Problem::from) {
            Ok(_) => {
                tx.commit().await?;
                Ok(to("/disputes"))
            }
            Err(problem) => {
                drop(tx);
                let known = [
                    &codes::LINE_DISPUTED,
                    &codes::LINE_MOVES_NO_MONEY,
                    &codes::DISPUTE_TOO_LATE,
                    &codes::OUT_OF_TURN,
                ];
                lines_page(&knock, &present, Some(own(problem, &known)?)).await
            }
        }
    })
}

//! SET-7: a statement says the same on paper, in the workbook, in the sheet and in the API, to the unit.

use std::io::Cursor;

use calamine::{Data, Reader, Xlsx};
use rotunda::{
    authz::action::ReadStatements,
    kernel::{ids::SettlementId, money::decimal, page::Slice, text::Language},
    merchants::agreements::{AgreementTerms, Breakage, Fees, InvoicedBy, Model, Price, Tax},
    settlement::{
        self, Course, Document, LineKind,
        disputes::Outcome,
        document::{self, Cell},
        figures::{Amount, FIGURES},
    },
};

use crate::support::settling::{Mall, at};

/// Every statement of a month, as a document, beside its figures as the API reads them.
async fn documents(
    mall: &Mall,
    period: &str,
    language: Language,
) -> Vec<(settlement::Statement, Document)> {
    let closed = mall.closes(period).await.settlement;
    documents_of(mall, closed.id, language).await
}

async fn documents_of(
    mall: &Mall,
    settlement: SettlementId,
    language: Language,
) -> Vec<(settlement::Statement, Document)> {
    let grant = mall.grant_of::<ReadStatements>("operator.auditor", None);
    let mut tx = mall.db.read(&grant).await.unwrap();
    let all = Slice {
        limit: 100,
        after: None,
    };
    let page = settlement::statements(&mut tx, &grant, settlement, &all).await;
    let mut found = Vec::new();
    for statement in page.unwrap().items {
        let printed = document::of(&mut tx, &grant, statement.id, &mall.tenant, language);
        found.push((statement, printed.await.unwrap()));
    }
    found
}

/// Rows as people read them: words and numbers without commas between digits, places that are empty
/// left out.
fn rows(document: &Document) -> Vec<Vec<String>> {
    let places = document.currency.places();
    let tables = document.tables();
    let rows = tables.iter().flat_map(|table| &table.rows);
    let written = |cell: &Cell| match cell {
        Cell::Text(text) => Some(text.clone()),
        Cell::Points(points) => Some(points.to_string()),
        Cell::Money(minor) => Some(decimal(*minor, places)),
        Cell::Empty => None,
    };
    rows.map(|row| row.iter().filter_map(written).collect())
        .collect()
}

/// The paper's words in their order, without the spaces and the commas in numbers.
fn on_paper(document: &Document) -> String {
    let pdf = lopdf::Document::load_mem(&document.paper().unwrap()).unwrap();
    let numbers: Vec<u32> = pdf.get_pages().into_keys().collect();
    let text = pdf.extract_text(&numbers).unwrap();
    text.replace([',', ' ', '\n'], "")
}

/// Each number of a workbook in its order, in minor units or points.
fn in_the_workbook(document: &Document) -> Vec<f64> {
    let bytes = document.workbook().unwrap();
    let mut book = Xlsx::new(Cursor::new(bytes)).unwrap();
    let names = book.sheet_names();
    let mut numbers = Vec::new();
    for name in names {
        let sheet = book.worksheet_range(&name).unwrap();
        numbers.extend(sheet.rows().flatten().filter_map(|cell| match cell {
            Data::Float(number) => Some(*number),
            _ => None,
        }));
    }
    numbers
}

fn agree(statement: &settlement::Statement, document: &Document) {
    let places = document.currency.places();
    assert_eq!(document.position, statement.position);
    let sum: i64 = document.lines.iter().map(|line| line.amount).sum();
    assert_eq!(sum, statement.position.net, "the lines are the net");

    // On paper every row stands as it is, figure behind label, in the order of the tables.
    let paper = on_paper(document);
    let mut rest = paper.as_str();
    for row in rows(document) {
        let row = row.concat().replace([',', ' '], "");
        let at = rest.find(&row);
        let at = at.unwrap_or_else(|| panic!("{row} is not on paper: {rest}"));
        rest = &rest[at + row.len()..];
    }
    assert!(paper.contains(&document.digest()) && paper.contains(&statement.id.to_string()));

    // In the sheet, too.
    let text = document.csv();
    let mut sheet = csv::Reader::from_reader(text.as_bytes());
    let lines: Vec<csv::StringRecord> = sheet.records().map(Result::unwrap).collect();
    let lines: Vec<Vec<&str>> = lines
        .iter()
        .map(|line| {
            line.iter()
                .skip(4)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    let tail = lines.split_at(document.facts().len()).1;
    assert_eq!(tail, rows(document));

    // The workbook's numbers are those of the tables: figures and payments, then lines.
    let mut tables = document.tables();
    let made_of = tables.remove(1);
    tables.push(made_of);
    let cells = tables.iter().flat_map(|table| table.rows.iter().flatten());
    let wanted: Vec<String> = cells
        .filter_map(|cell| match cell {
            Cell::Points(points) => Some(points.to_string()),
            Cell::Money(minor) => Some(decimal(*minor, places)),
            Cell::Text(_) | Cell::Empty => None,
        })
        .collect();
    let found = in_the_workbook(document);
    assert_eq!(found.len(), wanted.len());
    for (number, wanted) in found.iter().zip(&wanted) {
        let number = format!(
            "{number:.*}",
            wanted.split_once('.').map_or(0, |(_, part)| part.len())
        );
        assert_eq!(number, *wanted);
    }

    // And the merchant's line of the month's sheet has the same figures in the same order.
    let row = settlement::csv(
        Language::En,
        statement.period,
        document.currency,
        [(&statement.code, &statement.position)],
    );
    let figures = FIGURES.map(|(_, of)| match of(&document.position) {
        Amount::Points(points) => points.to_string(),
        Amount::Money(minor) => decimal(minor, places),
    });
    assert!(row.trim_end().ends_with(&figures.join(",")), "{row}");
}

#[tokio::test]
async fn set_7_every_face_of_every_statement_says_the_same_to_the_unit() {
    let mut mall = Mall::open("2026-12-02T00:00:00Z").await;
    let [a, b, c, d] = mall.shops(["a", "b", "c", "d"]).await;
    let ada = mall.member("1").await;
    // A crossing, its own points among them.
    mall.earns(ada, a, 600, "2026-06-01T04:00:00Z").await;
    mall.earns(ada, b, 401, "2026-06-02T04:00:00Z").await;
    mall.spends(ada, c, 700, "2026-06-03T04:00:00Z").await;
    mall.spends(ada, b, 301, "2026-06-04T04:00:00Z").await;
    // With a fee, and what went back.
    mall.earns(ada, d, 12_345_678, "2026-07-01T04:00:00Z").await;
    mall.spends(ada, a, 12_345_677, "2026-07-02T04:00:00Z")
        .await;
    let quiet = "2026-08";
    mall.earns(ada, d, 1, "2026-08-01T04:00:00Z").await;
    let mut seen = 0;
    for (period, fee) in [("2026-06", 0), ("2026-07", 125), (quiet, 50)] {
        mall.terms.fee_basis_points = fee;
        for language in Language::ALL {
            for (statement, document) in documents(&mall, period, language).await {
                agree(&statement, &document);
                seen += 1;
            }
        }
    }
    assert!(seen >= 3 * (3 + 2 + 1), "{seen}");
}

/// A mall in which one merchant pays into a pool, one is taxed and charged fees of its own, and one
/// line of June is decided when June is paid: July has all of it, and what June left.
#[tokio::test]
async fn set_7_with_a_pool_tax_fees_what_lapsed_and_what_an_earlier_month_left() {
    let mut mall = Mall::open("2026-05-20T00:00:00Z").await;
    mall.terms.course = Course::default();
    let [a, b, c] = mall.shops(["a", "b", "c"]).await;
    let pooled = AgreementTerms {
        model: Model::Pool,
        issue_price: Some(Price {
            points: 1000,
            worth: 1200,
        }),
        breakage: Some(Breakage {
            operator: 4_000,
            issuer: 3_000,
            fund: 3_000,
        }),
        ..AgreementTerms::default()
    };
    let taxed = AgreementTerms {
        tax: Some(Tax {
            basis_points: 600,
            invoiced_by: InvoicedBy::Merchant,
        }),
        fees: Fees {
            basis_points: Some(213),
            fixed: Some(9_99),
            ..Fees::default()
        },
        ..AgreementTerms::default()
    };
    mall.agrees(a, "2026-06", pooled).await;
    mall.agrees(c, "2026-06", taxed).await;
    mall.clock.set(at("2026-07-02T00:00:00Z"));
    let ada = mall.member("1").await;
    mall.earns(ada, b, 12_000, "2026-06-01T04:00:00Z").await;
    mall.spends(ada, c, 11_300, "2026-06-02T04:00:00Z").await;
    let line = mall.spends(ada, c, 700, "2026-06-03T04:00:00Z").await;
    let june = mall.closed_and_issued("2026-06").await.id;
    let own = mall.statement_of(june, b).await;
    let dispute = mall.objects(b, own, line.journal, 0).await.unwrap();
    mall.clock.set(at("2026-07-07T16:00:00Z"));
    assert_eq!(mall.confirms_what_is_due().await, 1);
    mall.decides(5, dispute.id, Outcome::Upheld).await.unwrap();

    mall.clock.set(at("2026-08-02T00:00:00Z"));
    let soon = Some("2026-07-20T16:00:00Z");
    mall.earns_until(ada, a, 1_000, "2026-07-08T04:00:00Z", soon)
        .await;
    mall.earns(ada, b, 777, "2026-07-09T04:00:00Z").await;
    mall.spends(ada, c, 701, "2026-07-10T04:00:00Z").await;
    mall.lapses(ada, "2026-07-21T00:00:00Z").await;
    let july = mall.closed_and_issued("2026-07").await.id;
    let mut kinds = Vec::new();
    for language in Language::ALL {
        for (statement, document) in [
            documents_of(&mall, june, language).await,
            documents_of(&mall, july, language).await,
        ]
        .concat()
        {
            agree(&statement, &document);
            kinds.extend(document.lines.iter().map(|line| line.kind));
            let position = statement.position;
            if statement.code.as_str() == "c" {
                assert!(
                    position.tax_received > 0 && position.fee > 9_99,
                    "{position:?}"
                );
            }
        }
    }
    for kind in [
        LineKind::Funded,
        LineKind::Breakage,
        LineKind::Fee,
        LineKind::FixedFee,
        LineKind::Adjustment,
    ] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
}

//! Every face of a statement: API, page, paper, workbook, sheet; and whether they agree.

use std::io::Cursor;

use calamine::{Data, Reader, Xlsx};
use rotunda::{
    authz::action::{ReadSettlements, ReadStatements},
    kernel::{ids::SettlementId, money::decimal, page::Slice, text::Language},
    settlement::{
        self, Document,
        document::{self, Cell},
        figures::{Amount, FIGURES},
    },
};
use serde_json::json;

use crate::support::{
    browser::Browser,
    people::{People, Person},
    settling::Mall,
};

const ALL: Slice = Slice {
    limit: 100,
    after: None,
};

impl Mall {
    /// Holds every statement that the mall has to SET-7, in every language, on every face; how many
    /// documents that were.
    pub async fn every_face_agrees(&self) -> usize {
        let grant = self.grant_of::<ReadSettlements>("operator.auditor", None);
        let mut tx = self.db.read(&grant).await.unwrap();
        let settlements = settlement::list(&mut tx, &grant, &ALL).await.unwrap().items;
        drop(tx);
        let people = People::before(self).await;
        let roles = ["operator.auditor"];
        let auditor = people.active("ada@mall.example", &roles, None).await;
        let mut seen = 0;
        for language in Language::ALL {
            let screen = Screen::of(&people, &auditor, language).await;
            for one in &settlements {
                for (statement, document) in documents_of(self, one.id, language).await {
                    agree(&statement, &document);
                    assert_eq!(screen.rows(&statement).await, rows(&document));
                    seen += 1;
                }
            }
        }
        assert!(seen > 0, "nothing to compare");
        seen
    }
}

/// Pages of a mall in one language.
struct Screen<'a>(Browser<'a>);

impl<'a> Screen<'a> {
    async fn of(people: &'a People, person: &Person, language: Language) -> Self {
        let language = language.tag();
        let me = json!({"name": "Ada", "language": language, "theme": "system"}).to_string();
        let caller = people.at(&person.token);
        let put = poem::http::Method::PUT;
        let set = people.server.ask(caller, &put, "/v1/me", Some(&me)).await;
        assert_eq!(set.status, 200, "{}", set.body);
        Self(Browser::of(people, person))
    }

    /// The rows of the tables on a statement's page, written as [`rows`] writes them.
    async fn rows(&self, statement: &settlement::Statement) -> Vec<Vec<String>> {
        let path = format!("/console/statements/{}", statement.id);
        let page = self.0.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let bodies = page.body.split("<tbody>").skip(1);
        let rows = bodies.flat_map(|body| {
            let (body, _) = body.split_once("</tbody>").unwrap();
            body.split("</tr>").filter(|row| !row.is_empty())
        });
        rows.map(cells).collect()
    }
}

/// What stands in the cells of a row of a page; numbers without commas, empty ones left out.
fn cells(row: &str) -> Vec<String> {
    let ends = row.replace("</th>", "</td>");
    let texts = ends.split("</td>").map(|cell| {
        let parts = cell
            .split('<')
            .map(|part| part.split_once('>').map_or(part, |(_, text)| text));
        let text: String = parts.collect();
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&amp;", "&")
    });
    let number = |text: &str| {
        text.chars()
            .all(|letter| letter.is_ascii_digit() || "-.,".contains(letter))
    };
    texts
        .filter(|text| !text.is_empty())
        .map(|text| {
            if number(&text) {
                text.replace(',', "")
            } else {
                text
            }
        })
        .collect()
}

/// Every statement of a settlement as the API reads it, beside it as a document.
pub async fn documents_of(
    mall: &Mall,
    settlement: SettlementId,
    language: Language,
) -> Vec<(settlement::Statement, Document)> {
    let grant = mall.grant_of::<ReadStatements>("operator.auditor", None);
    let mut tx = mall.db.read(&grant).await.unwrap();
    let page = settlement::statements(&mut tx, &grant, settlement, &ALL).await;
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

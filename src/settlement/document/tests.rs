//! What holds for every document, whatever is in it.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails"
)]

use std::collections::BTreeSet;

use calamine::{Data, Reader, Xlsx};

use super::*;
use crate::{
    kernel::time::Unit,
    settlement::{calculation::Position, figures::FIGURES},
    texts::text_with,
};

fn id<K>(number: u128) -> crate::kernel::ids::Id<K> {
    crate::kernel::ids::Id::from_uuid(uuid::Uuid::from_u128(number))
}

fn names(language: Language) -> [&'static str; 4] {
    match language {
        Language::ZhCn => ["灯下茶", "星光商场", "云端影院", "读字书店"],
        Language::ZhTw => ["燈下茶", "星光廣場", "雲端影城", "讀字書店"],
        Language::En => [
            "Lantern Tea",
            "Starlight Mall",
            "Cloud Cinema",
            "Read & Co.",
        ],
    }
}

/// Whatever a statement can hold has words: a key that is missing would be printed as it is.
#[test]
fn every_kind_of_line_state_and_figure_has_words() {
    let lines = LineKind::ALL.map(|kind| format!("line-{}", kind.as_str()));
    let payments = PaymentState::ALL.map(|state| format!("statement-payment-{}", state.as_str()));
    let states = StatementState::ALL.map(|state| format!("statement-state-{}", state.as_str()));
    let figures = FIGURES.map(|(name, _)| format!("figure-{name}"));
    let keys = lines.iter().chain(&payments).chain(&states).chain(&figures);
    for (language, key) in keys.flat_map(|key| Language::ALL.map(|language| (language, key))) {
        for unit in Unit::ALL {
            let words = text_with(language, key, &[("unit", unit.as_str())]);
            assert_ne!(words, *key, "{}", language.tag());
        }
    }
}

/// A confirmed statement with so many partners.
pub(super) fn sample(language: Language, partners: u32) -> Document {
    let [merchant, mall, cinema, books] = names(language);
    let partner = |number: u32| {
        let name = if number.is_multiple_of(2) {
            cinema
        } else {
            books
        };
        Some(format!("{name} {number} (partner-{number})"))
    };
    let lines: Vec<Entry> = (1..=partners)
        .map(|number| Entry {
            kind: if number.is_multiple_of(3) {
                LineKind::Charged
            } else {
                LineKind::Redeemed
            },
            partner: Some(id(u128::from(number))),
            partner_name: partner(number),
            points: i64::from(number) * 1_234,
            value: i64::from(number) * 1_234,
            amount: i64::from(number)
                * if number.is_multiple_of(3) {
                    -1_234
                } else {
                    1_234
                },
        })
        .collect();
    Document {
        language,
        mall: mall.to_owned(),
        zone: "Asia/Shanghai".parse().unwrap(),
        merchant: merchant.to_owned(),
        code: "lantern-tea".parse().unwrap(),
        period: "2026-10".parse().unwrap(),
        currency: Currency::from_code("CNY").unwrap(),
        statement: id(7),
        settlement: id(8),
        settlement_digest: Some("ab".repeat(32)),
        state: StatementState::Confirmed,
        issued_at: Some("2026-11-02T01:00:00Z".parse().unwrap()),
        confirm_by: Some("2026-11-07T16:00:00Z".parse().unwrap()),
        confirmed_at: Some("2026-11-03T02:30:00Z".parse().unwrap()),
        position: Position {
            issued: 182_000,
            taken_back: 1_200,
            redeemed: 64_000,
            pays: 182_000,
            receives: 64_000,
            fee: 640,
            net: -118_640,
            tax_basis_points: 600,
            tax_received: 3_623,
            tax_fee: 36,
            ..Position::default()
        },
        lines,
        payments: vec![Due {
            other: Some(format!("{cinema} (cinema)")),
            amount: -118_640,
            state: PaymentState::Due,
            due_on: Some("2026-11-27".parse().unwrap()),
        }],
    }
}

/// The texts of a PDF's pages, as another library reads them.
fn read_pdf(bytes: &[u8]) -> Vec<String> {
    let pdf = lopdf::Document::load_mem(bytes).unwrap();
    let numbers = pdf.get_pages().into_keys();
    numbers
        .map(|page| pdf.extract_text(&[page]).unwrap())
        .collect()
}

#[test]
fn the_same_statement_is_the_same_bytes_whatever_was_printed_before() {
    let printed = || {
        [Face::Pdf, Face::Xlsx, Face::Csv]
            .map(|face| sample(Language::ZhCn, 3).print(face).unwrap())
    };
    let first = printed();
    sample(Language::En, 90).paper().unwrap();
    sample(Language::En, 90).workbook().unwrap();
    // A zip counts in steps of two seconds.
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    assert!(first == printed());
}

/// The texts of a workbook's cells, and that none is a formula.
fn read_workbook(bytes: Vec<u8>) -> Vec<Data> {
    let mut book = Xlsx::new(std::io::Cursor::new(bytes)).unwrap();
    let mut cells = Vec::new();
    for name in book.sheet_names() {
        assert!(book.worksheet_formula(&name).unwrap().is_empty());
        let sheet = book.worksheet_range(&name).unwrap();
        cells.extend(sheet.rows().flatten().cloned());
    }
    cells
}

#[test]
fn a_long_statement_has_its_head_and_its_number_on_every_page() {
    for language in Language::ALL {
        let document = sample(language, 80);
        let pages = read_pdf(&document.paper().unwrap());
        assert!(pages.len() > 2);
        let lines = &document.tables()[1];
        for (place, page) in pages.iter().enumerate() {
            let places = [
                ("page", &*(place + 1).to_string()),
                ("pages", &*pages.len().to_string()),
            ];
            let foot = crate::texts::text_with(language, "paper-page", &places);
            assert!(page.contains(&foot), "{foot} is not in {page}");
            assert!(page.contains(&document.digest()));
            if page.contains("partner-") {
                for label in &lines.head {
                    assert!(page.contains(label), "{label} is not on page {place}");
                }
            }
        }
        // Nobody is left out, nobody is there twice.
        let all = pages.concat();
        for number in 1..=80 {
            assert_eq!(all.matches(&format!("(partner-{number})")).count(), 1);
        }
    }
}

#[test]
fn what_somebody_calls_himself_breaks_nothing() {
    let hostile = [
        "=cmd|'/c calc'!A0".to_owned(),
        "+1".to_owned(),
        "-1+1".to_owned(),
        "@sum(a1)".to_owned(),
        "\u{202e}txet\u{2066}\u{200b}\u{feff} \u{7}\r\nBcc: a@b.example".to_owned(),
        "\u{1f3ee}\u{10ffff}\u{e000}\u{0627}\u{0644}e\u{301}".to_owned(),
        "字".repeat(120),
        "W".repeat(120),
        String::new(),
    ];
    for name in hostile {
        let mut document = sample(Language::ZhCn, 2);
        document.merchant.clone_from(&name);
        document.mall.clone_from(&name);
        document.lines[0].partner_name = Some(name.clone());
        document.payments[0].other = Some(name.clone());
        let pages = read_pdf(&document.paper().unwrap());
        assert!(pages[0].contains("-1,186.40"), "{name}: {}", pages[0]);
        let cells = read_workbook(document.workbook().unwrap());
        let text = Data::String(name.clone());
        assert!(name.is_empty() || cells.contains(&text), "{name:?}");
        for line in ::csv::Reader::from_reader(document.csv().as_bytes()).records() {
            let line = line.unwrap();
            assert_eq!(line.len(), 9);
            for words in line.iter().take(6) {
                assert!(!words.starts_with(['=', '+', '-', '@']), "{words}");
            }
        }
    }
}

#[test]
fn the_widest_amounts_stay_in_their_columns_and_exact() {
    let mut document = sample(Language::En, 2);
    let most = crate::kernel::points::LARGEST;
    document.position.net = -most;
    document.position.issued = most;
    document.lines[1].amount = most;
    let pages = read_pdf(&document.paper().unwrap()).concat();
    for figure in ["-90,071,992,547,409.91", "9,007,199,254,740,991"] {
        assert!(pages.contains(figure), "{figure} is broken: {pages}");
    }
    let cells = read_workbook(document.workbook().unwrap());
    assert!(cells.contains(&Data::String("-90071992547409.91".to_owned())));
    assert!(document.csv().contains("-90071992547409.91"));
}

#[test]
fn a_digest_is_of_what_is_settled_and_of_nothing_else() {
    let document = sample(Language::En, 3);
    let mut digests = BTreeSet::from([document.digest()]);
    for language in Language::ALL {
        let mut same = sample(language, 3);
        same.state = StatementState::Issued;
        same.payments.clear();
        assert!(!digests.insert(same.digest()), "{}", language.tag());
    }
    let others: [fn(&mut Document); 6] = [
        |it| it.position.net += 1,
        |it| it.position.tax_fee += 1,
        |it| it.lines[2].points += 1,
        |it| it.lines[2].partner = None,
        |it| it.code = "other".parse().unwrap(),
        |it| it.period = it.period.next(),
    ];
    for change in others {
        let mut other = document.clone();
        change(&mut other);
        assert!(digests.insert(other.digest()));
    }
}

//! A period as a sheet: one line a merchant, to be opened in a spreadsheet.

use super::{
    calculation::Position,
    figures::{Amount, FIGURES},
};
use crate::{
    kernel::{
        money::{Currency, decimal},
        text::{Code, Language},
        time::Period,
    },
    texts::text,
};

/// What makes a spreadsheet take the file for UTF-8.
pub(super) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A period as CSV (RFC 4180): points whole, money as decimals of the currency. In English the words
/// of the first line are those that programs read, and stay as they are for ever.
pub fn csv<'a>(
    language: Language,
    period: Period,
    currency: Currency,
    rows: impl IntoIterator<Item = (&'a Code, &'a Position)>,
) -> String {
    let figures = FIGURES.iter().map(|(name, _)| *name);
    let head: Vec<String> = ["period", "currency", "merchant"]
        .into_iter()
        .chain(figures)
        .map(|name| cell(&text(language, &format!("sheet-{name}"))))
        .collect();
    let mut sheet = format!("{BYTE_ORDER_MARK}{}\r\n", head.join(","));
    for (code, position) in rows {
        let mut cells = vec![
            period.to_string(),
            currency.code().to_owned(),
            cell(code.as_str()),
        ];
        cells.extend(FIGURES.iter().map(|(_, of)| match of(position) {
            Amount::Points(points) => points.to_string(),
            Amount::Money(minor) => decimal(minor, currency.places()),
        }));
        sheet.push_str(&cells.join(","));
        sheet.push_str("\r\n");
    }
    sheet
}

/// Text of somebody else as a cell that no spreadsheet runs: what could begin a formula gets an
/// apostrophe before it. Numbers of ours go in as they are, their minus included.
pub fn cell(text: &str) -> String {
    let risky = [
        '=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠', '−',
    ];
    let begins = text.trim_start_matches([' ', '\u{3000}', '\u{a0}']);
    let guarded = if begins.starts_with(risky) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if guarded.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs of merchants read it: it never changes.
    const HEAD: &str = "period,currency,merchant,issued,taken_back,redeemed,given_back,expired,\
        own_points,own_value,pays,receives,funded,fee,breakage,adjusted,net,tax_received,tax_fee";

    #[test]
    fn a_cell_never_begins_a_formula_and_never_ends_early() {
        for text in [
            "=1+1", "+1", "-1", "@sum", "\tx", "\rx", "＝1", "－1", " =1", "＠x",
        ] {
            assert!(
                cell(text).trim_start_matches('"').starts_with('\''),
                "{text}"
            );
        }
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(cell("lantern-tea"), "lantern-tea");
    }

    #[test]
    fn a_period_is_one_line_a_merchant() {
        let position = Position {
            issued: 600,
            pays: 600,
            net: -600,
            ..Position::default()
        };
        let code = "-tea".parse().unwrap();
        let sheet = csv(
            Language::En,
            "2017-06".parse().unwrap(),
            Currency::from_code("CNY").unwrap(),
            [(&code, &position)],
        );
        assert_eq!(
            sheet,
            format!(
                "{BYTE_ORDER_MARK}{HEAD}\r\n\
                 2017-06,CNY,'-tea,600,0,0,0,0,0,0.00,6.00,0.00,0.00,0.00,0.00,0.00,-6.00,0.00,0.00\r\n"
            )
        );
    }
}

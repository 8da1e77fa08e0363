//! A month as a sheet: one line a merchant, to be opened in a spreadsheet.

use super::month::Position;
use crate::kernel::{
    money::{Currency, decimal},
    text::Code,
    time::Month,
};

/// What makes a spreadsheet take the file for UTF-8.
pub(super) const BYTE_ORDER_MARK: &str = "\u{feff}";

const HEAD: &str = "period,currency,merchant,issued,taken_back,redeemed,given_back,expired,\
    own_points,own_value,pays,receives,funded,fee,breakage,adjusted,net,tax_received,tax_fee";

/// A month as CSV (RFC 4180): points whole, money as decimals of the currency.
pub fn csv<'a>(
    month: Month,
    currency: Currency,
    rows: impl IntoIterator<Item = (&'a Code, &'a Position)>,
) -> String {
    let mut sheet = format!("{BYTE_ORDER_MARK}{HEAD}\r\n");
    let places = currency.places();
    for (code, it) in rows {
        let points = [
            it.issued,
            it.taken_back,
            it.redeemed,
            it.given_back,
            it.expired,
            it.own_points,
        ];
        let money = [
            it.own_value,
            it.pays,
            it.receives,
            it.funded,
            it.fee,
            it.breakage,
            it.adjusted,
            it.net,
            it.tax_received,
            it.tax_fee,
        ];
        let mut cells = vec![
            month.to_string(),
            currency.code().to_owned(),
            cell(code.as_str()),
        ];
        cells.extend(points.iter().map(i64::to_string));
        cells.extend(money.iter().map(|minor| decimal(*minor, places)));
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
    fn a_month_is_one_line_a_merchant() {
        let position = Position {
            issued: 600,
            pays: 600,
            net: -600,
            ..Position::default()
        };
        let code = "-tea".parse().unwrap();
        let sheet = csv(
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

//! A period as a sheet: one line a merchant, to be opened in a spreadsheet.

use super::{
    calculation::Position,
    figures::{Amount, FIGURES},
};
use crate::{
    kernel::{
        money::{Currency, decimal},
        sheet::{BYTE_ORDER_MARK, cell},
        text::{Code, Language},
        time::Period,
    },
    texts::text,
};

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs of merchants read it: it never changes.
    const HEAD: &str = "period,currency,merchant,issued,taken_back,redeemed,given_back,expired,\
        own_points,own_value,pays,receives,funded,fee,breakage,adjusted,net,tax_received,tax_fee";

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

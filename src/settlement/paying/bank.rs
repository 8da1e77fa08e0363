//! Payments as files that a bank reads and writes, pure: comma-separated values in UTF-8.
//!
//! What goes out is one line a payment that is due; what comes back has the same columns and the day
//! of the execution behind them. A line is known by its reference.
//!
//! Source: tenants/README.md, "Payments and the bank file".

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::{Method, PaymentLine, PaymentState};
use crate::kernel::{
    money::{Currency, decimal, parse_decimal},
    sheet::cell,
    text::Code,
    time::Period,
};

/// The columns of what goes out.
const COLUMNS: [&str; 6] = ["reference", "from", "to", "amount", "currency", "purpose"];

/// The column that comes back with them.
const EXECUTED_ON: &str = "executed_on";

/// What stands where a merchant's code would, for the operator: no merchant can have it.
pub const OPERATOR: &str = "(operator)";

/// What some programs put before UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A payment as a bank is asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    reference: String,
    from: String,
    to: String,
    amount: String,
    purpose: String,
}

impl Order {
    /// A payment of that period.
    pub(super) fn of(line: &PaymentLine, period: Period, currency: Currency) -> Self {
        let name = |code: &Option<Code>| {
            let code = code.as_ref();
            code.map_or(OPERATOR, Code::as_str).to_owned()
        };
        Self {
            reference: line.reference(),
            from: name(&line.from_code),
            to: name(&line.to_code),
            amount: decimal(line.payment.amount, currency.places()),
            purpose: format!("points {period}"),
        }
    }
}

/// A line of a bank's file that is none of the payments that it should be of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Its number in the file, the head being 1.
    pub line: u64,
    /// What is wrong, by a stable name.
    pub code: &'static str,
    /// What is wrong, in words.
    pub why: String,
}

/// Payments as a file, without a byte order mark; lines end in CR LF (RFC 4180).
pub fn write(orders: impl IntoIterator<Item = Order>, currency: Currency) -> String {
    let mut file = format!("{}\r\n", COLUMNS.join(","));
    for order in orders {
        let cells = [
            order.reference,
            cell(&order.from),
            cell(&order.to),
            order.amount,
            currency.code().to_owned(),
            order.purpose,
        ];
        file.push_str(&cells.join(","));
        file.push_str("\r\n");
    }
    file
}

/// The payments that the lines of a file are, each with the day of its execution: due, or recorded
/// from just such a line.
///
/// # Errors
/// Every line that is neither.
pub fn matched<'a>(
    file: &str,
    payments: &'a [PaymentLine],
    currency: Currency,
) -> Result<Vec<(&'a PaymentLine, NaiveDate)>, Vec<BadLine>> {
    let known: BTreeMap<String, &PaymentLine> = payments
        .iter()
        .map(|payment| (payment.reference(), payment))
        .collect();
    // The reader counts lines by line feeds, and a carriage return before one as the end already.
    let text = file.replace("\r\n", "\n");
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    if !reader.headers().is_ok_and(is_head) {
        let why = format!("the first line must be {},{EXECUTED_ON}", COLUMNS.join(","));
        return Err(vec![bad(1, "head", why)]);
    }
    let (mut found, mut wrong, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                wrong.push(bad(
                    line,
                    "unreadable",
                    "the line cannot be read".to_owned(),
                ));
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let one = one(&record, &known, currency).and_then(|one| {
            let again = || ("twice", "the reference stands in the file twice".to_owned());
            seen.insert(one.0.line).then_some(one).ok_or_else(again)
        });
        match one {
            Ok(one) => found.push(one),
            Err((code, why)) => wrong.push(bad(line, code, why)),
        }
    }
    if wrong.is_empty() {
        Ok(found)
    } else {
        Err(wrong)
    }
}

fn is_head(head: &csv::StringRecord) -> bool {
    head.iter().eq(COLUMNS.into_iter().chain([EXECUTED_ON]))
}

fn bad(line: u64, code: &'static str, why: String) -> BadLine {
    BadLine { line, code, why }
}

/// The payment that one line is; what is wrong with the line where it is none.
fn one<'a>(
    record: &csv::StringRecord,
    known: &BTreeMap<String, &'a PaymentLine>,
    currency: Currency,
) -> Result<(&'a PaymentLine, NaiveDate), (&'static str, String)> {
    let cells: Vec<&str> = record.iter().map(str::trim).collect();
    let [reference, _, _, amount, code, _, day] = cells.as_slice() else {
        return Err(("columns", "the line must have seven columns".to_owned()));
    };
    let Some(payment) = known.get(*reference).copied() else {
        return Err((
            "unknown-reference",
            "no payment of this settlement has this reference".to_owned(),
        ));
    };
    let asked = payment.payment.amount;
    if *code != currency.code() || parse_decimal(amount, currency.places()) != Ok(asked) {
        let asked = decimal(asked, currency.places());
        let why = format!("the payment is {asked} {}", currency.code());
        return Err(("other-amount", why));
    }
    let Some(day) = day_of(day) else {
        return Err((
            "day",
            "executed_on must be a day, such as 2026-11-22".to_owned(),
        ));
    };
    let same = payment.record.as_ref().is_some_and(|record| {
        record.method == Method::BankTransfer
            && record.reference == *reference
            && record.executed_on == Some(day)
    });
    if payment.state == PaymentState::Due || same {
        Ok((payment, day))
    } else {
        Err((
            "already-recorded",
            "the payment was recorded already, in another way or of another day".to_owned(),
        ))
    }
}

fn day_of(text: &str) -> Option<NaiveDate> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (text.len() == 10).then_some(day)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{
        super::{super::netting::Payment, Record},
        *,
    };
    use crate::kernel::ids::{MerchantId, SettlementId};

    fn payment(line: i32, amount: i64) -> PaymentLine {
        PaymentLine {
            settlement: SettlementId::from_uuid(Uuid::nil()),
            line,
            payment: Payment {
                from: Some(MerchantId::from_uuid(Uuid::nil())),
                to: None,
                amount,
            },
            from_code: Some("-tea".parse().unwrap()),
            to_code: None,
            state: PaymentState::Due,
            record: None,
            cover: None,
        }
    }

    fn cny() -> Currency {
        Currency::from_code("CNY").unwrap()
    }

    const ID: &str = "stl_00000000000000000000000000";

    #[test]
    fn a_file_goes_out_a_line_a_payment() {
        let orders = [payment(0, 120_05), payment(1, 7)]
            .map(|line| Order::of(&line, "2026-06".parse().unwrap(), cny()));
        assert_eq!(
            write(orders, cny()),
            format!(
                "reference,from,to,amount,currency,purpose\r\n\
                 {ID}-0,'-tea,(operator),120.05,CNY,points 2026-06\r\n\
                 {ID}-1,'-tea,(operator),0.07,CNY,points 2026-06\r\n"
            )
        );
    }

    /// What a file of these lines comes to: the numbers of payments, or line and code of what is
    /// wrong.
    fn read(payments: &[PaymentLine], lines: &str) -> Result<Vec<i32>, Vec<(u64, &'static str)>> {
        let lines = lines.replace("ID", ID);
        let file = format!("{},{EXECUTED_ON}\n{lines}", COLUMNS.join(","));
        let with_returns = file.replace('\n', "\r\n");
        let of = |file: &str| matched(file, payments, cny()).map_err(|wrong| wrong.len());
        assert_eq!(of(&file), of(&with_returns));
        match matched(&file, payments, cny()) {
            Ok(found) => Ok(found.iter().map(|(payment, _)| payment.line).collect()),
            Err(wrong) => Err(wrong.iter().map(|bad| (bad.line, bad.code)).collect()),
        }
    }

    #[test]
    fn what_comes_back_is_known_by_reference_and_amount_and_every_other_line_is_named() {
        let payments = [payment(0, 120_05), payment(1, 7)];
        let fine = "ID-1,x,y,0.07,CNY,,2026-07-03\nID-0,x,y,120.05,CNY,p,2026-07-03\n";
        assert_eq!(read(&payments, fine), Ok(vec![1, 0]));
        assert_eq!(read(&payments, ""), Ok(vec![]));
        let wrong = "ID-0,x,y,120.06,CNY,p,2026-07-03\n\
                     ID-1,x,y,0.07,USD,p,2026-07-03\n\
                     ID-2,x,y,0.07,CNY,p,2026-07-03\n\
                     ID-1,x,y,0.07,CNY,p,3.7.2026\n\
                     ID-1,x,y,0.07,CNY,2026-07-03\n\
                     ID-1,x,y,0.07,CNY,p,2026-07-03\n\
                     ID-1,x,y,0.07,CNY,p,2026-07-03\n\
                     ID-1,x,y,-0.07,CNY,p,2026-07-03\n";
        let expected = vec![
            (2, "other-amount"),
            (3, "other-amount"),
            (4, "unknown-reference"),
            (5, "day"),
            (6, "columns"),
            (8, "twice"),
            (9, "other-amount"),
        ];
        assert_eq!(read(&payments, wrong), Err(expected));
    }

    #[test]
    fn a_line_that_was_read_before_is_known_and_another_day_or_way_is_not() {
        let mut paid = payment(0, 120_05);
        paid.state = PaymentState::Paid;
        paid.record = Some(Record {
            method: Method::BankTransfer,
            reference: format!("{ID}-0"),
            executed_on: "2026-07-03".parse().ok(),
            recorded_at: "2026-07-04T00:00:00Z".parse().unwrap(),
            recorded_by: "platform".to_owned(),
        });
        let line = "ID-0,x,y,120.05,CNY,p,2026-07-03";
        assert_eq!(read(std::slice::from_ref(&paid), line), Ok(vec![0]));
        let other = "ID-0,x,y,120.05,CNY,p,2026-07-04";
        let refused = Err(vec![(2, "already-recorded")]);
        assert_eq!(read(std::slice::from_ref(&paid), other), refused);
        paid.record.as_mut().unwrap().method = Method::Rent;
        paid.state = PaymentState::Offset;
        assert_eq!(read(&[paid], line), refused);
    }

    #[test]
    fn a_file_without_its_head_is_none_and_a_mark_before_it_is_no_harm() {
        let head = format!("{},{EXECUTED_ON}", COLUMNS.join(","));
        let marked = format!("{BYTE_ORDER_MARK}{head}\r\n");
        assert_eq!(matched(&marked, &[], cny()), Ok(vec![]));
        for file in ["", "a,b", COLUMNS.join(",").as_str()] {
            let refused = matched(file, &[], cny()).unwrap_err();
            assert_eq!((refused[0].line, refused[0].code), (1, "head"));
        }
    }
}

//! What points take off, number by number (vectors.md).

use rotunda::{
    kernel::{money::Currency, points::LARGEST},
    redemption::{Explanation, Form, SpendError, Terms},
};
use serde_json::{Value, json};

use super::bazaar::{programme, terms};

/// Much more than any total admits.
const RICH: i64 = 99_999;

/// Points and what they take off.
fn quoted(terms: &Terms, form: Form, total: i64, balance: i64, wanted: Option<i64>) -> (i64, i64) {
    let quote = terms.quote(Some(form), total, balance, wanted).unwrap();
    assert_eq!(quote.to_pay, total - quote.pays);
    assert!(quote.points <= quote.most_points);
    (quote.points, quote.pays)
}

#[test]
fn v12_points_pay_at_most_as_much_as_money_does() {
    let terms = terms(&programme());
    for (total, balance, points, pays) in [
        (10_000, RICH, 5_000, 5_000),
        (10_000, 3_000, 3_000, 3_000),
        (333, RICH, 166, 166),
        (3_000, RICH, 1_500, 1_500),
        (1, RICH, 0, 0),
        (2, RICH, 1, 1),
        (0, RICH, 0, 0),
        (10_000, 0, 0, 0),
    ] {
        let found = quoted(&terms, Form::Ratio, total, balance, None);
        assert_eq!(found, (points, pays), "of {total} with {balance}");
    }
}

#[test]
fn v14_any_ratio_rounds_down() {
    let ratio = |points: i64, worth: &str| {
        terms(&json!({ "spending": { "points": points, "worth": worth, "most_share": "1" } }))
    };
    for (terms, points, pays) in [
        (ratio(10, "1.00"), 100, 1_000),
        (ratio(38, "1.00"), 100, 263),
        (ratio(38, "1.00"), 1_000, 2_631),
        (ratio(38, "1.00"), 38, 100),
        (ratio(38, "1.00"), 37, 97),
    ] {
        let found = quoted(&terms, Form::Ratio, 1_000_000, RICH, Some(points));
        assert_eq!(found, (points, pays));
    }
}

#[test]
fn points_that_take_nothing_more_off_stay_with_the_member() {
    let terms = terms(&json!({ "spending": { "points": 1000, "worth": "1.00" } }));
    let found = |wanted| quoted(&terms, Form::Ratio, 10_000, RICH, Some(wanted));
    assert_eq!([found(9), found(10), found(59)], [(0, 0), (10, 1), (50, 5)]);
}

#[test]
fn money_is_never_less_than_points_for_any_total_and_ratio() {
    for (points, worth) in [
        (100, "1.00"),
        (38, "1.00"),
        (1, "0.10"),
        (7, "0.03"),
        (1000, "1.00"),
    ] {
        let terms = terms(&json!({ "spending": { "points": points, "worth": worth } }));
        for total in 0..3_000 {
            let (taken, pays) = quoted(&terms, Form::Ratio, total, RICH, None);
            assert!(total - pays >= pays, "{total} by {points} for {worth}");
            let (_, fewer) = quoted(&terms, Form::Ratio, total, (taken - 1).max(0), None);
            assert!(taken == 0 || fewer < pays, "{total}: a point too many");
        }
    }
}

#[test]
fn v11_a_block_from_a_threshold_on_once_or_each_time() {
    let threshold = |each: bool| {
        let form = json!({ "from": "100.00", "points": 200, "off": "20.00", "each": each });
        terms(&json!({ "spending": { "threshold": form } }))
    };
    for (each, total, balance, points, pays) in [
        (false, 9_999, RICH, 0, 0),
        (false, 10_000, RICH, 200, 2_000),
        (false, 25_000, RICH, 200, 2_000),
        (true, 25_000, RICH, 400, 4_000),
        (true, 25_000, 399, 200, 2_000),
        (true, 9_999, RICH, 0, 0),
        (false, 10_000, 199, 0, 0),
    ] {
        let found = quoted(&threshold(each), Form::Threshold, total, balance, None);
        assert_eq!(
            found,
            (points, pays),
            "each {each} of {total} with {balance}"
        );
    }
}

#[test]
fn both_forms_stand_side_by_side_and_the_ratio_is_the_usual_one() {
    let form = json!({ "from": "100.00", "points": 200, "off": "20.00" });
    let both = terms(&json!({
        "spending": { "points": 100, "worth": "1.00", "threshold": form },
    }));
    assert_eq!(both.form(None).unwrap(), Form::Ratio);
    assert_eq!(
        quoted(&both, Form::Threshold, 10_000, RICH, None),
        (200, 2_000)
    );
    let only = terms(&json!({ "spending": { "threshold": form } }));
    assert_eq!(only.form(None).unwrap(), Form::Threshold);
    let none = terms(&json!({}));
    for (terms, asked) in [(&only, Some(Form::Ratio)), (&none, None)] {
        assert!(matches!(terms.form(asked), Err(SpendError::FormNotOffered)));
    }
}

#[test]
fn a_quote_says_why_it_is_no_more() {
    let terms = terms(&json!({
        "spending": { "points": 100, "worth": "1.00", "least_points": 100 },
    }));
    let said = |balance| -> Vec<String> {
        let quote = terms.quote(None, 10_000, balance, None).unwrap();
        quote
            .explanation
            .iter()
            .map(Explanation::to_string)
            .collect()
    };
    assert_eq!(
        said(RICH),
        [
            "100 points take 1.00 off",
            "points pay at most 50.00 of 100.00"
        ]
    );
    assert_eq!(
        said(99),
        [
            "100 points take 1.00 off",
            "the member has 99 points",
            "fewer than 100 points are not taken",
        ]
    );
}

#[test]
fn absurd_amounts_are_refused_and_large_ones_counted() {
    let terms = terms(&programme());
    for total in [-1, LARGEST + 1, i64::MAX, i64::MIN] {
        let refused = terms.quote(None, total, RICH, None);
        assert!(matches!(refused, Err(SpendError::Amount(_))), "{total}");
    }
    let quote = terms.quote(None, LARGEST, LARGEST, None).unwrap();
    assert_eq!(quote.points, LARGEST / 2);
}

#[test]
fn a_programme_that_is_wrong_is_refused_with_its_key() {
    let spending = |body: Value| json!({ "spending": body });
    let threshold = |from: &str, off: &str| {
        let form = json!({ "from": from, "points": 200, "off": off });
        spending(json!({ "threshold": form }))
    };
    for (programme, key) in [
        (spending(json!({})), "spending"),
        (spending(json!({ "points": 100 })), "spending.worth"),
        (spending(json!({ "worth": "1.00" })), "spending.points"),
        (
            spending(json!({ "points": 0, "worth": "1.00" })),
            "spending.points",
        ),
        (
            spending(json!({ "points": 100, "worth": "0.00" })),
            "spending.worth",
        ),
        (
            spending(json!({ "points": 100, "worth": "1.001" })),
            "spending.worth",
        ),
        (spending(json!({ "points": 100, "worth": 1 })), "spending"),
        (
            spending(json!({ "points": 100, "worth": "1.00", "most_shares": "1" })),
            "spending",
        ),
        (
            spending(json!({ "points": 100, "worth": "1.00", "most_share": "1.1" })),
            "spending.most_share",
        ),
        (
            spending(json!({ "points": 100, "worth": "1.00", "least_points": 0 })),
            "spending.least_points",
        ),
        (threshold("10.00", "20.00"), "spending.threshold.off"),
        (threshold("-1", "20.00"), "spending.threshold.from"),
        (
            json!({ "exchange": { "reserve_minutes": 0 } }),
            "exchange.reserve_minutes",
        ),
        (json!({ "exchange": {} }), "exchange"),
    ] {
        let refused = Terms::parse(&programme, Currency::from_code("CNY").unwrap()).unwrap_err();
        assert_eq!(refused.key, key, "{programme}: {refused}");
    }
}

//! What a mall's programme says about settling: the section `settlement` of its manifest.

use serde_json::{Map, Value};
use thiserror::Error;

use super::period::{Approval, Course};
use crate::{
    kernel::{
        money::{Currency, Money, Rate},
        points::LARGEST,
        time::Unit,
    },
    merchants::credit::{BadRule, Rules},
};

/// The most that the operator can keep of what a merchant receives: all of it.
const WHOLE: i64 = 10_000;

/// Every key that the section may have.
const KEYS: [&str; 8] = [
    "period",
    "model",
    "points",
    "worth",
    "fee_basis_points",
    "approval",
    "confirm_days",
    "credit",
];

/// Who pays when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Whoever issued the points pays whoever took them, for points that were spent
    /// (settlement.md, model M1).
    Bilateral,
}

/// At what price, and with what fee, a mall settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long a period is.
    pub period: Unit,
    /// Who pays when.
    pub model: Model,
    /// Minor units per point. A lot keeps the rate of the moment at which it was earned.
    pub rate: Rate,
    /// The operator's part of what a merchant receives from the others, in ten-thousandths.
    pub fee_basis_points: i64,
    /// How a settlement goes on once its figures are written.
    pub course: Course,
    /// How merchants are dealt with that pay in advance, too late, or not at all.
    pub credit: Rules,
}

/// A key of the section that says something else than it should.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{key} is {found}, expected {expected}")]
pub struct TermsError {
    /// Which key, from the top of the manifest: "settlement.worth".
    pub key: String,
    /// What stands there, as JSON, or "missing".
    pub found: String,
    /// What should stand there.
    pub expected: &'static str,
}

impl From<BadRule> for TermsError {
    fn from(bad: BadRule) -> Self {
        Self {
            key: bad.key,
            found: bad.found,
            expected: bad.expected,
        }
    }
}

impl Terms {
    /// Reads the section. `model`, `points` and `worth` must be there, `fee_basis_points` is 0
    /// where it is not, `period` a month, `approval` and `confirm_days` are those of
    /// [`Course::default`]; another key is refused.
    ///
    /// # Errors
    /// [`TermsError`], for the first key that is wrong.
    ///
    /// Source: tenants/README.md, "Settlement".
    pub fn parse(section: &Value, currency: Currency) -> Result<Self, TermsError> {
        let Some(section) = section.as_object() else {
            return Err(TermsError {
                key: "settlement".to_owned(),
                found: section.to_string(),
                expected: "a table with model, points and worth",
            });
        };
        if let Some((key, value)) = section
            .iter()
            .find(|(key, _)| !KEYS.contains(&key.as_str()))
        {
            return Err(TermsError {
                key: format!("settlement.{key}"),
                found: value.to_string(),
                expected: "no key but period, model, points, worth, fee_basis_points, approval, \
                           confirm_days and credit",
            });
        }
        let model = match section.get("model").and_then(Value::as_str) {
            Some("bilateral") => Model::Bilateral,
            _ => return Err(wrong(section, "model", "\"bilateral\"")),
        };
        let points = whole(
            section,
            "points",
            1,
            LARGEST,
            "a whole number of points above 0",
        )?;
        let worth = worth(section, currency)?;
        let rate = Rate::new(worth, points)
            .map_err(|_| wrong(section, "worth", "an amount that is not below zero"))?;
        let fee_basis_points = if section.contains_key("fee_basis_points") {
            let expected = "a whole number from 0 to 10000";
            whole(section, "fee_basis_points", 0, WHOLE, expected)?
        } else {
            0
        };
        Ok(Self {
            period: period(section)?,
            model,
            rate,
            fee_basis_points,
            course: course(section)?,
            credit: Rules::parse(section.get("credit"))?,
        })
    }
}

/// The unit of the mall's periods: months, where nothing else is said.
fn period(section: &Map<String, Value>) -> Result<Unit, TermsError> {
    let Some(unit) = section.get("period") else {
        return Ok(Unit::default());
    };
    let unit = unit.as_str().and_then(|unit| unit.parse().ok());
    unit.ok_or_else(|| wrong(section, "period", "\"day\", \"week\" or \"month\""))
}

/// Who issues a settlement, and how long its merchants have to answer.
fn course(section: &Map<String, Value>) -> Result<Course, TermsError> {
    let mut course = Course::default();
    if let Some(approval) = section.get("approval") {
        course.approval = match approval.as_str() {
            Some("one") => Approval::One,
            Some("two") => Approval::Two,
            _ => return Err(wrong(section, "approval", "\"one\" or \"two\"")),
        };
    }
    if section.contains_key("confirm_days") {
        let expected = "a whole number from 0 to 31";
        let days = whole(section, "confirm_days", 0, Course::LONGEST.into(), expected)?;
        course.confirm_days =
            u32::try_from(days).map_err(|_| wrong(section, "confirm_days", expected))?;
    }
    Ok(course)
}

fn whole(
    section: &Map<String, Value>,
    key: &str,
    least: i64,
    most: i64,
    expected: &'static str,
) -> Result<i64, TermsError> {
    section
        .get(key)
        .and_then(Value::as_i64)
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| wrong(section, key, expected))
}

fn worth(section: &Map<String, Value>, currency: Currency) -> Result<i64, TermsError> {
    let expected = "money in quotes, such as \"1.00\", no more places than the currency has";
    let text = section.get("worth").and_then(Value::as_str);
    text.and_then(|text| Money::parse(text, currency).ok())
        .map(Money::minor)
        .ok_or_else(|| wrong(section, "worth", expected))
}

fn wrong(section: &Map<String, Value>, key: &str, expected: &'static str) -> TermsError {
    TermsError {
        key: format!("settlement.{key}"),
        found: section
            .get(key)
            .map_or_else(|| "missing".to_owned(), Value::to_string),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(section: &Value) -> Result<Terms, String> {
        let currency = Currency::from_code("CNY").unwrap();
        Terms::parse(section, currency).map_err(|error| error.to_string())
    }

    #[test]
    fn the_demos_section_is_read() {
        let section = json!({
            "model": "bilateral", "points": 100, "worth": "1.00", "fee_basis_points": 200
        });
        let terms = parse(&section).unwrap();
        assert_eq!(terms.rate, Rate::new(100, 100).unwrap());
        assert_eq!(terms.fee_basis_points, 200);
        let plain = json!({ "model": "bilateral", "points": 10, "worth": "1" });
        assert_eq!(parse(&plain).unwrap().fee_basis_points, 0);
        assert_eq!(parse(&plain).unwrap().course, Course::default());
        assert_eq!(parse(&plain).unwrap().period, Unit::Month);
        let quick = json!({
            "model": "bilateral", "points": 10, "worth": "1", "approval": "one", "confirm_days": 0
        });
        let course = parse(&quick).unwrap().course;
        assert_eq!((course.approval, course.confirm_days), (Approval::One, 0));
    }

    #[test]
    fn a_wrong_key_is_named_with_what_stands_there_and_what_should() {
        for (key, value, message) in [
            (
                "model",
                json!("pool"),
                "settlement.model is \"pool\", expected \"bilateral\"",
            ),
            (
                "points",
                json!(0),
                "settlement.points is 0, expected a whole number of points above 0",
            ),
            (
                "points",
                json!("100"),
                "settlement.points is \"100\", expected a whole number of points above 0",
            ),
            (
                "worth",
                json!(1.0),
                "settlement.worth is 1.0, expected money in quotes, such as \"1.00\", \
                 no more places than the currency has",
            ),
            (
                "worth",
                json!("0.001"),
                "settlement.worth is \"0.001\", expected money in quotes, such as \"1.00\", \
                 no more places than the currency has",
            ),
            (
                "fee_basis_points",
                json!(10_001),
                "settlement.fee_basis_points is 10001, expected a whole number from 0 to 10000",
            ),
            (
                "fee",
                json!(1),
                "settlement.fee is 1, expected no key but period, model, points, worth, \
                 fee_basis_points, approval, confirm_days and credit",
            ),
            (
                "approval",
                json!("three"),
                "settlement.approval is \"three\", expected \"one\" or \"two\"",
            ),
            (
                "confirm_days",
                json!(32),
                "settlement.confirm_days is 32, expected a whole number from 0 to 31",
            ),
        ] {
            let mut section = json!({ "model": "bilateral", "points": 100, "worth": "1.00" });
            section[key] = value;
            assert_eq!(parse(&section), Err(message.to_owned()));
        }
        assert_eq!(
            parse(&json!({ "model": "bilateral", "points": 1 }))
                .unwrap_err()
                .split(',')
                .next(),
            Some("settlement.worth is missing")
        );
        assert!(parse(&json!([])).is_err());
    }
    #[test]
    fn a_period_is_a_day_a_week_or_a_month() {
        let of = |period: Value| {
            let section = json!({
                "period": period, "model": "bilateral", "points": 10, "worth": "1"
            });
            parse(&section).map(|terms| terms.period)
        };
        for unit in Unit::ALL {
            assert_eq!(of(json!(unit.as_str())), Ok(unit));
        }
        for (said, shown) in [(json!("quarter"), "\"quarter\""), (json!(7), "7")] {
            let expected = "expected \"day\", \"week\" or \"month\"";
            let message = format!("settlement.period is {shown}, {expected}");
            assert_eq!(of(said), Err(message));
        }
    }
}

//! Reads the programme's sections `spending` and `exchange`. Pure.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use thiserror::Error;

use super::terms::{Ratio, Terms, Threshold};
use crate::kernel::{
    money::{Currency, Rate, parse_decimal},
    points::LARGEST,
};

/// How long a reserved good waits where the programme does not say: seven days, in minutes.
const RESERVE_MINUTES: i64 = 10_080;

/// The longest that a reserved good may wait: a year, in minutes.
const LONGEST_RESERVE: i64 = 527_040;

/// A programme that cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{key}: {why}")]
pub struct TermsError {
    /// The key: "spending.worth".
    pub key: String,
    /// What is wrong, and what is expected.
    pub why: String,
}

fn wrong(key: &str, why: impl Into<String>) -> TermsError {
    TermsError {
        key: key.to_owned(),
        why: why.into(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpendingText {
    points: Option<i64>,
    worth: Option<String>,
    most_share: Option<String>,
    least_points: Option<i64>,
    threshold: Option<ThresholdText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ThresholdText {
    from: String,
    points: i64,
    off: String,
    #[serde(default)]
    each: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExchangeText {
    reserve_minutes: i64,
}

impl Terms {
    /// Reads the sections `spending` and `exchange` of a programme. Without `spending`, points pay
    /// nothing at the till; without `exchange`, a reserved good waits for seven days.
    ///
    /// # Errors
    /// [`TermsError`]: the first key that is unknown, missing, or out of range.
    ///
    /// Source: tenants/README.md, "Spending at the till" and "Exchange".
    pub fn parse(programme: &Value, currency: Currency) -> Result<Self, TermsError> {
        let exchange: Option<ExchangeText> = section(programme, "exchange")?;
        let reserve_minutes = exchange.map_or(RESERVE_MINUTES, |text| text.reserve_minutes);
        if !(1..=LONGEST_RESERVE).contains(&reserve_minutes) {
            let why = format!("expected 1 to {LONGEST_RESERVE} minutes");
            return Err(wrong("exchange.reserve_minutes", why));
        }
        let spending: Option<SpendingText> = section(programme, "spending")?;
        let (ratio, threshold) = match spending {
            Some(text) => read_spending(&text, currency)?,
            None => (None, None),
        };
        Ok(Self {
            currency,
            ratio,
            threshold,
            reserve_minutes,
        })
    }
}

/// A section of the programme, where there is one.
fn section<T: DeserializeOwned>(programme: &Value, key: &str) -> Result<Option<T>, TermsError> {
    match programme.get(key) {
        None => Ok(None),
        Some(body) => T::deserialize(body)
            .map(Some)
            .map_err(|error| wrong(key, error.to_string())),
    }
}

fn read_spending(
    text: &SpendingText,
    currency: Currency,
) -> Result<(Option<Ratio>, Option<Threshold>), TermsError> {
    let threshold = text
        .threshold
        .as_ref()
        .map(|text| read_threshold(text, currency))
        .transpose()?;
    match (text.points, text.worth.as_deref()) {
        (Some(points), Some(worth)) => {
            let ratio = read_ratio(text, points, worth, currency)?;
            Ok((Some(ratio), threshold))
        }
        (None, None) => {
            let stray = [
                ("spending.most_share", text.most_share.is_some()),
                ("spending.least_points", text.least_points.is_some()),
            ];
            if let Some((key, _)) = stray.into_iter().find(|(_, given)| *given) {
                return Err(wrong(key, "needs spending.points and spending.worth"));
            }
            if threshold.is_none() {
                return Err(wrong("spending", "expected points and worth, or threshold"));
            }
            Ok((None, threshold))
        }
        (Some(_), None) => Err(wrong("spending.worth", "missing beside spending.points")),
        (None, Some(_)) => Err(wrong("spending.points", "missing beside spending.worth")),
    }
}

fn read_ratio(
    text: &SpendingText,
    points: i64,
    worth: &str,
    currency: Currency,
) -> Result<Ratio, TermsError> {
    let share = text.most_share.as_deref().unwrap_or("0.5");
    let most_share = Rate::parse(share)
        .ok()
        .filter(|share| share.num() > 0 && share.num() <= share.den())
        .ok_or_else(|| {
            let why = "expected a share above 0 and at most 1, such as \"0.5\"";
            wrong("spending.most_share", why)
        })?;
    Ok(Ratio {
        points: read_points("spending.points", points)?,
        worth: read_money("spending.worth", worth, currency)?,
        most_share,
        least_points: read_points("spending.least_points", text.least_points.unwrap_or(1))?,
    })
}

fn read_threshold(text: &ThresholdText, currency: Currency) -> Result<Threshold, TermsError> {
    let from = read_money("spending.threshold.from", &text.from, currency)?;
    let off = read_money("spending.threshold.off", &text.off, currency)?;
    if off > from {
        let why = "more than spending.threshold.from, so that points would pay more than the total";
        return Err(wrong("spending.threshold.off", why));
    }
    Ok(Threshold {
        from,
        points: read_points("spending.threshold.points", text.points)?,
        off,
        each: text.each,
    })
}

fn read_points(key: &str, points: i64) -> Result<i64, TermsError> {
    if (1..=LARGEST).contains(&points) {
        Ok(points)
    } else {
        Err(wrong(key, "expected a whole number of points above 0"))
    }
}

fn read_money(key: &str, text: &str, currency: Currency) -> Result<i64, TermsError> {
    let places = currency.places();
    parse_decimal(text, places)
        .ok()
        .filter(|minor| (1..=LARGEST).contains(minor))
        .ok_or_else(|| {
            let code = currency.code();
            let why =
                format!("expected an amount of {code} above 0 with at most {places} decimals");
            wrong(key, why)
        })
}

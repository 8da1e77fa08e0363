//! What a mall's programme says about its merchants' credit: the section `settlement.credit`.
//!
//! Source: tenants/README.md, "Credit".

use serde_json::Value;
use thiserror::Error;

/// What happens to a purchase for whose points nothing is left of what was paid in advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenEmpty {
    /// It earns; what was not paid in advance is owed with the period.
    #[default]
    Postpaid,
    /// It earns nothing, and says why.
    StopEarning,
    /// It is refused.
    Reject,
}

/// What happens when a merchant's light is red.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRed {
    /// It is shown.
    #[default]
    Alert,
    /// The merchant gives no points until it is not red any more.
    StopEarning,
}

/// Who bears what a merchant in default owes beyond its deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDefault {
    /// Each creditor its part; what it lacks is carried into the next period as a claim.
    #[default]
    ProRata,
    /// The operator.
    Guarantee,
}

/// How a mall deals with its merchants' credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// A block is low when so many hundredths of it are left, or fewer.
    pub alert_percent: i64,
    /// What an empty block does.
    pub when_empty: WhenEmpty,
    /// A light is amber when so many hundredths of what covers a merchant are used, or more.
    pub amber_percent: i64,
    /// What a red light does.
    pub on_red: OnRed,
    /// Who bears a default.
    pub on_default: OnDefault,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            alert_percent: 20,
            when_empty: WhenEmpty::default(),
            amber_percent: 80,
            on_red: OnRed::default(),
            on_default: OnDefault::default(),
        }
    }
}

/// A key of the section that says something else than it should.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{key} is {found}, expected {expected}")]
pub struct BadRule {
    /// Which key, from the top of the manifest: `settlement.credit.on_red`.
    pub key: String,
    /// What stands there, as JSON.
    pub found: String,
    /// What should stand there.
    pub expected: &'static str,
}

impl Rules {
    /// Reads the section; what is not there is as [`Rules::default`] says, and another key is
    /// refused.
    ///
    /// # Errors
    /// [`BadRule`], for the first key that is wrong.
    pub fn parse(section: Option<&Value>) -> Result<Self, BadRule> {
        let mut rules = Self::default();
        let Some(section) = section else {
            return Ok(rules);
        };
        let Some(keys) = section.as_object() else {
            let expected = "a table";
            return Err(wrong("settlement.credit".to_owned(), section, expected));
        };
        for (key, value) in keys {
            let refuse = |expected| wrong(format!("settlement.credit.{key}"), value, expected);
            let percent = |least| {
                let number = value.as_i64();
                number.filter(|number| (least..=100).contains(number))
            };
            let word = value.as_str();
            match key.as_str() {
                "alert_percent" => {
                    let expected = "a whole number from 0 to 100";
                    rules.alert_percent = percent(0).ok_or_else(|| refuse(expected))?;
                }
                "amber_percent" => {
                    let expected = "a whole number from 1 to 100";
                    rules.amber_percent = percent(1).ok_or_else(|| refuse(expected))?;
                }
                "when_empty" => {
                    rules.when_empty = match word {
                        Some("postpaid") => WhenEmpty::Postpaid,
                        Some("stop_earning") => WhenEmpty::StopEarning,
                        Some("reject") => WhenEmpty::Reject,
                        _ => return Err(refuse("\"postpaid\", \"stop_earning\" or \"reject\"")),
                    };
                }
                "on_red" => {
                    rules.on_red = match word {
                        Some("alert") => OnRed::Alert,
                        Some("stop_earning") => OnRed::StopEarning,
                        _ => return Err(refuse("\"alert\" or \"stop_earning\"")),
                    };
                }
                "on_default" => {
                    rules.on_default = match word {
                        Some("pro_rata") => OnDefault::ProRata,
                        Some("guarantee") => OnDefault::Guarantee,
                        _ => return Err(refuse("\"pro_rata\" or \"guarantee\"")),
                    };
                }
                _ => {
                    return Err(refuse(
                        "no key but alert_percent, when_empty, amber_percent, on_red and on_default",
                    ));
                }
            }
        }
        Ok(rules)
    }
}

fn wrong(key: String, found: &Value, expected: &'static str) -> BadRule {
    BadRule {
        key,
        found: found.to_string(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_said_is_as_usual_and_what_is_said_counts() {
        assert_eq!(Rules::parse(None), Ok(Rules::default()));
        assert_eq!(Rules::parse(Some(&json!({}))), Ok(Rules::default()));
        let said = json!({
            "alert_percent": 0, "when_empty": "reject", "amber_percent": 100,
            "on_red": "stop_earning", "on_default": "guarantee"
        });
        let rules = Rules {
            alert_percent: 0,
            when_empty: WhenEmpty::Reject,
            amber_percent: 100,
            on_red: OnRed::StopEarning,
            on_default: OnDefault::Guarantee,
        };
        assert_eq!(Rules::parse(Some(&said)), Ok(rules));
    }

    #[test]
    fn a_wrong_key_is_named_with_what_stands_there_and_what_should() {
        for (section, key) in [
            (json!([]), "settlement.credit"),
            (
                json!({"alert_percent": 101}),
                "settlement.credit.alert_percent",
            ),
            (
                json!({"amber_percent": 0}),
                "settlement.credit.amber_percent",
            ),
            (
                json!({"when_empty": "stop"}),
                "settlement.credit.when_empty",
            ),
            (json!({"on_red": true}), "settlement.credit.on_red"),
            (json!({"on_default": ""}), "settlement.credit.on_default"),
            (json!({"limit": 1}), "settlement.credit.limit"),
        ] {
            let refused = Rules::parse(Some(&section)).unwrap_err();
            assert_eq!(refused.key, key);
            assert!(refused.to_string().contains("expected"));
        }
    }
}

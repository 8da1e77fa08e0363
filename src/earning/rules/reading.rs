//! How a programme's sections about earning are read.

use serde::Deserialize;
use serde_json::Value;

use super::{Band, Cap, Counts, Expiry, Programme, Rule};
use crate::{
    kernel::money::{Currency, Rate, parse_decimal},
    merchants::rates::Range,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEarning {
    #[serde(default)]
    counts: Counts,
    cap_per_day: Option<i64>,
    cap_per_month: Option<i64>,
    #[serde(default)]
    only_here: Vec<String>,
    #[serde(default)]
    adjust_alone: i64,
    #[serde(default)]
    rules: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    code: String,
    points: i64,
    per: String,
    #[serde(default)]
    count: RawCount,
    #[serde(default)]
    mode: RawMode,
    #[serde(default)]
    bands: Vec<RawBand>,
    #[serde(default)]
    categories: Vec<String>,
    #[serde(default)]
    except: Vec<String>,
    #[serde(default)]
    merchants: Vec<String>,
    own: Option<RawOwn>,
    cap_per_day: Option<i64>,
    cap_per_month: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOwn {
    least: i64,
    most: i64,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "lowercase")]
enum RawCount {
    #[default]
    Whole,
    Exact,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "lowercase")]
enum RawMode {
    #[default]
    Order,
    Marginal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBand {
    from: Option<String>,
    above: Option<String>,
    points: Option<i64>,
    times: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpiry {
    policy: RawPolicy,
    months: Option<u32>,
    grace_days: Option<u32>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
enum RawPolicy {
    Fixed,
    RollingMonth,
    Never,
}

/// The most that a rule may grant per unit, and a cap may be: far beyond any mall, far from overflow.
const MOST: i64 = 1_000_000_000;

impl Programme {
    /// Reads the sections `earning` and `expiry` of a programme; `settles_at` comes from the
    /// settlement's section.
    ///
    /// # Errors
    /// A sentence that names the key, what was found and what is expected.
    pub fn parse(body: &Value, currency: Currency, settles_at: Rate) -> Result<Self, String> {
        let section = |name: &str| body.get(name).cloned().unwrap_or(Value::Null);
        let earning: RawEarning = serde_json::from_value(section("earning"))
            .map_err(|error| format!("earning: {error}"))?;
        let expiry: RawExpiry = serde_json::from_value(section("expiry"))
            .map_err(|error| format!("expiry: {error}"))?;
        if !(0..=MOST).contains(&earning.adjust_alone) {
            return Err(format!(
                "earning.adjust_alone: found {}, expected 0 to {MOST} points",
                earning.adjust_alone
            ));
        }
        let mut rules = Vec::new();
        for (place, raw) in earning.rules.into_iter().enumerate() {
            if rules.iter().any(|known: &Rule| known.code == raw.code) {
                return Err(format!(
                    "earning.rules[{place}].code: a rule above has this code"
                ));
            }
            let rule = raw.parse(currency);
            rules.push(rule.map_err(|why| format!("earning.rules[{place}].{why}"))?);
        }
        Ok(Self {
            counts: earning.counts,
            cap: cap(earning.cap_per_day, earning.cap_per_month)
                .map_err(|why| format!("earning.{why}"))?,
            rules,
            only_here: earning.only_here,
            adjust_alone: earning.adjust_alone,
            grace_days: expiry.grace_days.unwrap_or(30).min(3650),
            expiry: expiry.parse().map_err(|why| format!("expiry.{why}"))?,
            settles_at,
        })
    }
}

fn cap(day: Option<i64>, month: Option<i64>) -> Result<Cap, String> {
    for (key, value) in [("cap_per_day", day), ("cap_per_month", month)] {
        if value.is_some_and(|value| !(0..=MOST).contains(&value)) {
            return Err(format!("{key}: expected points from 0 to {MOST}"));
        }
    }
    Ok(Cap { day, month })
}

impl RawExpiry {
    fn parse(&self) -> Result<Expiry, String> {
        match (self.policy, self.months) {
            (RawPolicy::Never, None) => Ok(Expiry::Never),
            (RawPolicy::Never, Some(_)) => Err("months: not with policy = \"never\"".to_owned()),
            (RawPolicy::Fixed, Some(months @ 1..=1200)) => Ok(Expiry::Fixed(months)),
            (RawPolicy::RollingMonth, Some(months @ 1..=1200)) => Ok(Expiry::RollingMonth(months)),
            _ => Err("months: expected a number of months from 1 to 1200".to_owned()),
        }
    }
}

impl RawRule {
    fn parse(self, currency: Currency) -> Result<Rule, String> {
        if self.code.is_empty() || self.code.chars().count() > 64 {
            return Err("code: expected 1 to 64 characters".to_owned());
        }
        if !(0..=MOST).contains(&self.points) {
            return Err(format!(
                "points: found {}, expected 0 to {MOST}",
                self.points
            ));
        }
        let per = amount("per", &self.per, currency)?;
        if per == 0 {
            return Err("per: expected more than 0".to_owned());
        }
        let mut bands: Vec<Band> = Vec::new();
        for raw in self.bands {
            let band = raw.parse(self.points, currency)?;
            if bands.last().is_some_and(|last| last.edge > band.edge) {
                return Err("bands: expected them in rising order".to_owned());
            }
            bands.push(band);
        }
        let own = self.own.map(|own| own.parse(self.points)).transpose()?;
        if own.is_some() && (!bands.is_empty() || self.mode == RawMode::Marginal) {
            return Err("own: not together with bands".to_owned());
        }
        Ok(Rule {
            own,
            code: self.code,
            points: self.points,
            per,
            whole: self.count == RawCount::Whole,
            marginal: self.mode == RawMode::Marginal,
            bands,
            categories: self.categories,
            except: self.except,
            merchants: self.merchants,
            cap: cap(self.cap_per_day, self.cap_per_month)?,
        })
    }
}

impl RawOwn {
    fn parse(self, points: i64) -> Result<Range, String> {
        let Self { least, most } = self;
        if (0..=points).contains(&least) && (points..=MOST).contains(&most) {
            return Ok(Range { least, most });
        }
        Err(format!(
            "own: found {least} to {most}, expected least from 0 to the rule's points ({points}) and most \
             from there to {MOST}"
        ))
    }
}

impl RawBand {
    fn parse(self, points: i64, currency: Currency) -> Result<Band, String> {
        let (edge, with_edge) = match (&self.from, &self.above) {
            (Some(from), None) => (amount("bands.from", from, currency)?, true),
            (None, Some(above)) => (amount("bands.above", above, currency)?, false),
            _ => return Err("bands: expected either from or above".to_owned()),
        };
        let (points, times) = match (self.points, &self.times) {
            (Some(own), None) if (0..=MOST).contains(&own) => (own, Rate::ONE),
            (None, Some(times)) => {
                let rate = Rate::parse(times).ok().filter(|rate| rate.num() <= MOST);
                (
                    points,
                    rate.ok_or_else(|| {
                        format!("bands.times: found {times:?}, expected a number such as \"1.5\"")
                    })?,
                )
            }
            _ => return Err("bands: expected either points or times".to_owned()),
        };
        Ok(Band {
            edge,
            with_edge,
            points,
            times,
        })
    }
}

fn amount(key: &str, text: &str, currency: Currency) -> Result<i64, String> {
    parse_decimal(text, currency.places()).map_err(|_| {
        format!(
            "{key}: found {text:?}, expected an amount with {} places",
            currency.places()
        )
    })
}

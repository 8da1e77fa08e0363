//! Earning rules, pure: how many points a receipt earns, by which rule, and until when they live.
//!
//! Source: vectors.md V1 to V3, V16, V21; `tenants/README.md` has the settings with examples.

mod reading;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::line::Line;
use crate::{
    kernel::{
        AmountError,
        money::{Rate, ratio_floor, split},
        time::{Instant, Month, Zone, add_months, next_day},
    },
    merchants::rates::Range,
};

/// What a mall's programme says about earning.
#[derive(Debug, Clone)]
pub struct Programme {
    /// Whether what points paid earns too.
    pub counts: Counts,
    /// The most points that a member earns, by any rule.
    pub cap: Cap,
    /// The first rule that matches a line takes it.
    pub rules: Vec<Rule>,
    /// The merchants, by code, whose points can be spent with themselves alone.
    only_here: Vec<String>,
    /// The most points that one person adds or takes by hand; beyond, a second one decides.
    pub adjust_alone: i64,
    /// How long points live.
    pub expiry: Expiry,
    /// Days that a lapsed lot lives on when points come back to it.
    pub grace_days: u32,
    /// Minor units per point at which the points settle between merchants.
    pub settles_at: Rate,
}

/// What of a purchase earns, where points paid a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Counts {
    /// The part that money paid.
    #[default]
    Paid,
    /// All of it.
    Full,
}

/// The most points for one member in a day and in a month of the mall's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cap {
    /// In a day.
    pub day: Option<i64>,
    /// In a month.
    pub month: Option<i64>,
}

impl Cap {
    /// Whether it limits anything.
    pub const fn is_set(&self) -> bool {
        self.day.is_some() || self.month.is_some()
    }

    /// How much of `points` fits after `today` and `this_month` were granted.
    pub fn fit(&self, points: i64, today: i64, this_month: i64) -> i64 {
        let room =
            |cap: Option<i64>, used: i64| cap.map_or(i64::MAX, |cap| cap.saturating_sub(used));
        points
            .min(room(self.day, today))
            .min(room(self.month, this_month))
            .max(0)
    }
}

/// One way of earning.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What the receipt calls it.
    pub code: String,
    points: i64,
    per: i64,
    whole: bool,
    marginal: bool,
    bands: Vec<Band>,
    categories: Vec<String>,
    except: Vec<String>,
    merchants: Vec<String>,
    /// Between which numbers of points each merchant chooses its own; none: the rule's points hold.
    pub own: Option<Range>,
    /// The most points by this rule.
    pub cap: Cap,
}

/// From which amount on other points count.
#[derive(Debug, Clone, Copy)]
struct Band {
    edge: i64,
    /// Whether the edge itself belongs to the band.
    with_edge: bool,
    points: i64,
    times: Rate,
}

/// How long points live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// So many months after the day on which they were earned.
    Fixed(u32),
    /// All of a month together, so many months with the month of earning counted.
    RollingMonth(u32),
    /// For ever.
    Never,
}

impl Expiry {
    /// The first moment at which points earned at `earned_at` cannot be spent any more.
    ///
    /// Source: vectors.md V16.
    pub fn end(self, earned_at: Instant, zone: Zone) -> Option<Instant> {
        let day = zone.day(earned_at);
        match self {
            Self::Fixed(months) => Some(zone.start_of(next_day(add_months(day, months)))),
            Self::RollingMonth(months) => {
                Some(zone.start_of(add_months(Month::of(day).first_day(), months)))
            }
            Self::Never => None,
        }
    }
}

/// What one rule gives for a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earned {
    /// The rule.
    pub rule: String,
    /// The part of the receipt that it took, in minor units.
    pub amount: i64,
    /// The points, after its cap.
    pub points: i64,
    /// Points that a cap kept back.
    pub capped: i64,
    /// How many points the merchant gives instead of the rule's own, where it chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<i64>,
}

impl Programme {
    /// The first moment of the day until which points live that come back to a lapsed lot.
    pub fn grace(&self, at: Instant, zone: Zone) -> Instant {
        let days = chrono::Days::new(u64::from(self.grace_days).saturating_add(1));
        let day = zone
            .day(at)
            .checked_add_days(days)
            .unwrap_or(NaiveDate::MAX);
        zone.start_of(day)
    }

    /// Whether what this merchant gives can be spent with it alone.
    pub fn keeps(&self, merchant: &str) -> bool {
        among(&self.only_here, merchant)
    }

    /// What a receipt earns, by rule, before caps. `counted` is the part of the total that earns;
    /// where it is less than the total, the lines share the difference by their amounts. `own` says how
    /// many points the merchant chose to give by a rule.
    ///
    /// # Errors
    /// [`AmountError::Overflow`].
    pub fn earn(
        &self,
        merchant: &str,
        lines: &[Line],
        counted: i64,
        own: impl Fn(&str) -> Option<i64>,
    ) -> Result<Vec<Earned>, AmountError> {
        let weights: Vec<i64> = lines.iter().map(|line| line.amount).collect();
        let amounts = split(counted, &weights)?;
        let mut taken = vec![0_i64; self.rules.len()];
        for (line, amount) in lines.iter().zip(amounts) {
            let matches = |rule: &Rule| rule.takes(merchant, line.category.as_str());
            if let Some(place) = self.rules.iter().position(matches)
                && let Some(sum) = taken.get_mut(place)
            {
                *sum = sum.checked_add(amount).ok_or(AmountError::Overflow)?;
            }
        }
        let mut earned = Vec::new();
        for (rule, amount) in self.rules.iter().zip(taken) {
            let own = rule.chosen(own(&rule.code));
            let points = rule.points_for(amount, own)?;
            if points > 0 {
                earned.push(Earned {
                    rule: rule.code.clone(),
                    amount,
                    points,
                    capped: 0,
                    own,
                });
            }
        }
        Ok(earned)
    }
}

impl Rule {
    /// How many points it gives where no merchant chose, before bands.
    pub const fn points(&self) -> i64 {
        self.points
    }

    /// For how much of a receipt, in minor units.
    pub const fn per(&self) -> i64 {
        self.per
    }

    fn takes(&self, merchant: &str, category: &str) -> bool {
        (self.merchants.is_empty() || among(&self.merchants, merchant))
            && (self.categories.is_empty() || among(&self.categories, category))
            && !among(&self.except, category)
    }

    /// What of a merchant's choice counts: the nearest number of points that the rule lets it give.
    fn chosen(&self, own: Option<i64>) -> Option<i64> {
        Some(self.own?.nearest(own?))
    }

    /// Points for an amount in minor units, rounded down once (in marginal mode once a band); `own`
    /// are those that count instead of the rule's.
    ///
    /// # Errors
    /// [`AmountError::Overflow`].
    pub fn points_for(&self, amount: i64, own: Option<i64>) -> Result<i64, AmountError> {
        if !self.marginal {
            let band = self.bands.iter().rev().find(|band| band.holds(amount));
            let plain = (own.unwrap_or(self.points), Rate::ONE);
            let (points, times) = band.map_or(plain, |b| (b.points, b.times));
            return self.apply(amount, points, times);
        }
        let mut sum = 0_i64;
        let mut start = 0;
        let mut current = (self.points, Rate::ONE);
        let edges = self
            .bands
            .iter()
            .map(|band| (band.edge, (band.points, band.times)));
        for (edge, next) in edges.chain([(i64::MAX, current)]) {
            let part = amount.min(edge).saturating_sub(start).max(0);
            let points = self.apply(part, current.0, current.1)?;
            sum = sum.checked_add(points).ok_or(AmountError::Overflow)?;
            (start, current) = (edge, next);
        }
        Ok(sum)
    }

    /// `amount / per × points × times`, rounded down; whole units only where the rule says so.
    fn apply(&self, amount: i64, points: i64, times: Rate) -> Result<i64, AmountError> {
        let num = points
            .checked_mul(times.num())
            .ok_or(AmountError::Overflow)?;
        if self.whole {
            return ratio_floor(ratio_floor(amount, 1, self.per)?, num, times.den());
        }
        let den = self
            .per
            .checked_mul(times.den())
            .ok_or(AmountError::Overflow)?;
        ratio_floor(amount, num, den)
    }
}

fn among(list: &[String], text: &str) -> bool {
    list.iter().any(|known| known == text)
}

impl Band {
    const fn holds(&self, amount: i64) -> bool {
        if self.with_edge {
            amount >= self.edge
        } else {
            amount > self.edge
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kernel::money::Currency;

    fn programme(earning: &Value) -> Programme {
        let body = json!({ "earning": earning, "expiry": { "policy": "never" } });
        let currency = Currency::from_code("CNY").unwrap();
        Programme::parse(&body, currency, Rate::new(1, 1).unwrap()).unwrap()
    }

    /// Points of one line of an amount, by a single rule.
    fn points(rule: &Value, amount: i64) -> i64 {
        let programme = programme(&json!({ "rules": [rule] }));
        let line = Line {
            category: "tea".parse().unwrap(),
            quantity: 1,
            amount,
        };
        let earned = programme.earn("shop", &[line], amount, |_| None).unwrap();
        earned.iter().map(|earned| earned.points).sum()
    }

    #[test]
    fn v1_one_point_for_ten_or_for_one() {
        let ten = json!({ "code": "base", "points": 1, "per": "10.00" });
        for (amount, expected) in [(9_99, 0), (10_00, 1), (99_99, 9), (100_00, 10)] {
            assert_eq!(points(&ten, amount), expected);
        }
        let one = json!({ "code": "base", "points": 1, "per": "1.00" });
        for (amount, expected) in [(99, 0), (1_00, 1), (99_99, 99)] {
            assert_eq!(points(&one, amount), expected);
        }
    }

    #[test]
    fn v1_the_receipt_is_floored_not_the_line() {
        let programme =
            programme(&json!({ "rules": [{ "code": "base", "points": 1, "per": "1.00" }] }));
        let line = Line {
            category: "tea".parse().unwrap(),
            quantity: 1,
            amount: 50,
        };
        let earned = programme
            .earn("shop", &[line.clone(), line], 100, |_| None)
            .unwrap();
        assert_eq!(earned[0].points, 1);
    }

    #[test]
    fn v2_bands_of_the_whole_order_and_marginal() {
        let bands = json!([{ "from": "100.00", "points": 2 }, { "from": "500.00", "points": 3 }]);
        let order = json!({ "code": "base", "points": 1, "per": "1.00", "bands": bands });
        for (amount, expected) in [(99_99, 99), (100_00, 200), (499_99, 998), (500_00, 1500)] {
            assert_eq!(points(&order, amount), expected);
        }
        let marginal = json!({ "code": "base", "points": 1, "per": "1.00", "mode": "marginal", "bands": bands });
        let cases = [
            (99_99, 99),
            (100_00, 100),
            (499_99, 898),
            (500_00, 900),
            (600_00, 1200),
        ];
        for (amount, expected) in cases {
            assert_eq!(points(&marginal, amount), expected);
        }
    }

    #[test]
    fn v3_two_hundred_is_inside_the_lower_band() {
        let rule = json!({ "code": "base", "points": 1, "per": "1.00", "bands": [
            { "from": "100.00", "times": "1.5" }, { "above": "200.00", "times": "2" }] });
        let cases = [
            (99_99, 99),
            (100_00, 150),
            (199_00, 298),
            (200_00, 300),
            (200_01, 400),
            (300_00, 600),
        ];
        for (amount, expected) in cases {
            assert_eq!(points(&rule, amount), expected);
        }
    }

    #[test]
    fn v21_parity_with_other_systems() {
        let ten = json!({ "code": "base", "points": 10, "per": "100.00" });
        assert_eq!(points(&ten, 109_00), 10);
        let five = json!({ "code": "base", "points": 5, "per": "1.00" });
        assert_eq!(points(&five, 10_00), 50);
    }

    #[test]
    fn d4_the_first_rule_that_matches_a_line_takes_it() {
        let programme = programme(&json!({ "rules": [
            { "code": "tea", "points": 2, "per": "1.00", "categories": ["tea"] },
            { "code": "base", "points": 1, "per": "1.00", "except": ["gift card"] }] }));
        let line = |category: &str| Line {
            category: category.parse().unwrap(),
            quantity: 1,
            amount: 10_00,
        };
        let lines = [line("tea"), line("bread"), line("gift card")];
        let earned = programme.earn("shop", &lines, 30_00, |_| None).unwrap();
        let found: Vec<(&str, i64)> = earned.iter().map(|e| (e.rule.as_str(), e.points)).collect();
        assert_eq!(found, [("tea", 20), ("base", 10)]);
    }

    #[test]
    fn v16_a_leap_day_and_a_rolling_month() {
        let zone: Zone = "Asia/Shanghai".parse().unwrap();
        let at = |text: &str| zone.start_of(text.parse().unwrap());
        assert_eq!(
            Expiry::Fixed(12).end(at("2024-02-29"), zone),
            Some(at("2025-03-01"))
        );
        for day in ["2025-03-01", "2025-03-31"] {
            assert_eq!(
                Expiry::RollingMonth(12).end(at(day), zone),
                Some(at("2026-03-01"))
            );
        }
        assert_eq!(Expiry::Never.end(at("2025-03-01"), zone), None);
    }

    #[test]
    fn a_wrong_programme_says_where_and_what() {
        let currency = Currency::from_code("CNY").unwrap();
        let parse = |earning: Value| {
            let body = json!({ "earning": earning, "expiry": { "policy": "fixed", "months": 12 } });
            Programme::parse(&body, currency, Rate::ONE).unwrap_err()
        };
        let rule = |key: &str, value: Value| {
            let mut rule = json!({ "code": "base", "points": 1, "per": "1.00" });
            rule[key] = value;
            json!({ "rules": [rule] })
        };
        assert!(parse(rule("per", json!("1.001"))).contains("per: found \"1.001\""));
        assert!(parse(rule("per", json!("0"))).contains("per: expected more than 0"));
        assert!(parse(rule("points", json!(-1))).contains("points: found -1"));
        assert!(parse(rule("surprise", json!(1))).contains("unknown field `surprise`"));
        assert!(parse(rule("bands", json!([{ "points": 2 }]))).contains("either from or above"));
    }
}

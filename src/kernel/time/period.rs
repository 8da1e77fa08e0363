//! Periods of a settlement: days, weeks or months, as a mall settles.

use std::{fmt, str::FromStr};

use chrono::{Datelike, Days, NaiveDate, Weekday};
use thiserror::Error;

use super::{Instant, Month, Zone};

/// How long a mall's periods are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Unit {
    /// A calendar day.
    Day,
    /// A week of ISO 8601, from Monday to Sunday.
    Week,
    /// A calendar month.
    #[default]
    Month,
}

/// Text that names no unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a unit of periods: day, week or month")]
pub struct UnitError;

impl Unit {
    /// All of them, the shortest first.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// As manifests, tables and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

impl FromStr for Unit {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let found = Self::ALL.into_iter().find(|unit| unit.as_str() == text);
        found.ok_or(UnitError)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A day, week or month, for which a mall settles: "2026-06-14", "2026-W24" or "2026-06".
///
/// Periods of one unit follow one another without gap or overlap and are in order by their first
/// days, as the mall's zone has days. Where a zone left out a whole day, that day is a period
/// without a moment: nothing happens in it, but what comes late may be settled with it, and it is
/// closed like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    // The first field decides the order.
    first: NaiveDate,
    unit: Unit,
}

/// Text that is not a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "not a period: expected a day such as 2026-06-14, a week such as 2026-W24 or a month such as \
     2026-06"
)]
pub struct PeriodError;

/// A period of another unit than the mall's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{given} is a {}, and this mall settles by the {unit}: say {example}, for example", .given.unit)]
pub struct OtherUnit {
    /// What was said.
    pub given: Period,
    /// The mall's unit.
    pub unit: Unit,
    /// The mall's period in which the first day of `given` lies.
    pub example: Period,
}

impl Period {
    /// The period of that unit in which `day` lies.
    pub fn containing(day: NaiveDate, unit: Unit) -> Self {
        let first = match unit {
            Unit::Day => day,
            Unit::Week => day.week(Weekday::Mon).checked_first_day().unwrap_or(day),
            Unit::Month => Month::of(day).first_day(),
        };
        Self { first, unit }
    }

    /// The period of that unit in which that moment lies in `zone`.
    pub fn at(at: Instant, zone: Zone, unit: Unit) -> Self {
        Self::containing(zone.day(at), unit)
    }

    /// How long it is.
    pub const fn unit(self) -> Unit {
        self.unit
    }

    /// Its first day.
    pub const fn first_day(self) -> NaiveDate {
        self.first
    }

    /// Its last day.
    pub fn last_day(self) -> NaiveDate {
        self.next().first.pred_opt().unwrap_or(self.first)
    }

    /// The period after.
    #[must_use]
    pub fn next(self) -> Self {
        let days = |count| self.first.checked_add_days(Days::new(count));
        let next = match self.unit {
            Unit::Day => days(1),
            Unit::Week => days(7),
            Unit::Month => Some(Month::of(self.first).next().first_day()),
        };
        Self {
            first: next.unwrap_or(self.first),
            unit: self.unit,
        }
    }

    /// From its first moment (included) to the next period's (not included), in `zone`; both are
    /// the same where the zone left the day out.
    pub fn span(self, zone: Zone) -> (Instant, Instant) {
        (zone.start_of(self.first), zone.start_of(self.next().first))
    }

    /// The same, where it is of that unit.
    ///
    /// # Errors
    /// [`OtherUnit`].
    pub fn of_unit(self, unit: Unit) -> Result<Self, OtherUnit> {
        if self.unit == unit {
            return Ok(self);
        }
        Err(OtherUnit {
            given: self,
            unit,
            example: Self::containing(self.first, unit),
        })
    }
}

impl From<Month> for Period {
    fn from(month: Month) -> Self {
        Self::containing(month.first_day(), Unit::Month)
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    /// Strictly as it is displayed: four digits of the year, two of everything else (RFC 3339, ISO
    /// 8601). The year of a week is the one in which its Thursday lies.
    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let (first, unit) = match text.as_bytes() {
            [_, _, _, _, b'-', b'W', _, _] => {
                let (year, week) = (number(text, 0, 4)?, number(text, 6, 8)?);
                let year = i32::try_from(year).map_err(|_| PeriodError)?;
                (
                    NaiveDate::from_isoywd_opt(year, week, Weekday::Mon),
                    Unit::Week,
                )
            }
            [_, _, _, _, b'-', _, _] => (date(text, 1)?, Unit::Month),
            [_, _, _, _, b'-', _, _, b'-', _, _] => (date(text, number(text, 8, 10)?)?, Unit::Day),
            _ => return Err(PeriodError),
        };
        let first = first.ok_or(PeriodError)?;
        Ok(Self { first, unit })
    }
}

/// That day of the year and month with which the text begins.
fn date(text: &str, day: u32) -> Result<Option<NaiveDate>, PeriodError> {
    let (year, month) = (number(text, 0, 4)?, number(text, 5, 7)?);
    let year = i32::try_from(year).map_err(|_| PeriodError)?;
    Ok(NaiveDate::from_ymd_opt(year, month, day))
}

/// The number that stands there, of digits alone.
fn number(text: &str, from: usize, to: usize) -> Result<u32, PeriodError> {
    let digits = text.get(from..to).ok_or(PeriodError)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PeriodError);
    }
    digits.parse().map_err(|_| PeriodError)
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let week = self.first.iso_week();
        let text = match self.unit {
            Unit::Day => self.first.format("%Y-%m-%d").to_string(),
            Unit::Week => format!("{:04}-W{:02}", week.year(), week.week()),
            Unit::Month => self.first.format("%Y-%m").to_string(),
        };
        formatter.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn period(text: &str) -> Period {
        text.parse().unwrap()
    }

    #[test]
    fn a_period_is_written_as_it_is_read_and_in_no_other_way() {
        for (text, unit, first, last) in [
            ("2026-06-14", Unit::Day, "2026-06-14", "2026-06-14"),
            ("2024-02-29", Unit::Day, "2024-02-29", "2024-02-29"),
            ("2026-W24", Unit::Week, "2026-06-08", "2026-06-14"),
            ("2020-W53", Unit::Week, "2020-12-28", "2021-01-03"),
            ("2021-W01", Unit::Week, "2021-01-04", "2021-01-10"),
            ("2026-W01", Unit::Week, "2025-12-29", "2026-01-04"),
            ("2026-W53", Unit::Week, "2026-12-28", "2027-01-03"),
            ("2027-W01", Unit::Week, "2027-01-04", "2027-01-10"),
            ("2026-06", Unit::Month, "2026-06-01", "2026-06-30"),
            ("2024-02", Unit::Month, "2024-02-01", "2024-02-29"),
            ("0001-W01", Unit::Week, "0001-01-01", "0001-01-07"),
        ] {
            let it = period(text);
            assert_eq!(it.to_string(), text);
            assert_eq!(
                (it.unit(), it.first_day(), it.last_day()),
                (unit, day(first), day(last))
            );
        }
        for text in [
            "",
            "2026",
            "2026-6",
            "26-06",
            "2026-13",
            "2026-00",
            "2026-W00",
            "2026-W54",
            "2025-W53",
            "2027-W53",
            "2026-w24",
            "2026W24",
            "2026-W4",
            "2026-W024",
            "2026-W24-1",
            "2026-06-31",
            "2026-02-29",
            "2026-6-14",
            "2026-06-1",
            "2026-06-14T00",
            "+026-06",
            "2026-+6",
            " 2026-06",
            "2026-06 ",
            "-026-W24",
            "2026-W+4",
            "２026-06",
            "2026/06",
            "20260614",
            "2026-Q2",
        ] {
            assert_eq!(text.parse::<Period>(), Err(PeriodError), "{text}");
        }
    }

    #[test]
    fn years_end_where_the_calendar_of_the_unit_says() {
        for (text, next) in [
            ("2020-W53", "2021-W01"),
            ("2025-W52", "2026-W01"),
            ("2026-W52", "2026-W53"),
            ("2026-W53", "2027-W01"),
            ("2026-12", "2027-01"),
            ("2026-12-31", "2027-01-01"),
            ("2024-02-28", "2024-02-29"),
            ("2026-02-28", "2026-03-01"),
        ] {
            assert_eq!(period(text).next(), period(next));
            assert!(period(text) < period(next));
        }
        // By the week's Thursday: the last days of a year may lie in the first week of the next.
        let week = |text| Period::containing(day(text), Unit::Week).to_string();
        assert_eq!(week("2019-12-30"), "2020-W01");
        assert_eq!(week("2021-01-03"), "2020-W53");
        assert_eq!(week("2027-01-03"), "2026-W53");
    }

    #[test]
    fn a_period_lasts_from_midnight_to_midnight_of_the_zone_across_clock_changes() {
        let hours = |text: &str, zone: &str| {
            let (start, end) = period(text).span(zone.parse().unwrap());
            (end - start).num_minutes()
        };
        // An hour less in spring, an hour more in autumn; half an hour on Lord Howe Island.
        assert_eq!(hours("2026-03-29", "Europe/Berlin"), 23 * 60);
        assert_eq!(hours("2026-W13", "Europe/Berlin"), 167 * 60);
        assert_eq!(hours("2026-W43", "Europe/Berlin"), 169 * 60);
        assert_eq!(hours("2026-10-25", "Europe/Berlin"), 25 * 60);
        assert_eq!(hours("2026-10-04", "Australia/Lord_Howe"), 23 * 60 + 30);
        assert_eq!(hours("2026-W40", "Australia/Lord_Howe"), 167 * 60 + 30);
        assert_eq!(hours("2026-W14", "Australia/Lord_Howe"), 168 * 60 + 30);
        let (start, _) = period("2026-W24").span("Asia/Shanghai".parse().unwrap());
        assert_eq!(start.to_rfc3339(), "2026-06-07T16:00:00+00:00");
    }

    #[test]
    fn a_day_that_a_zone_left_out_has_no_moment() {
        let apia: Zone = "Pacific/Apia".parse().unwrap();
        let (before, gone) = (period("2011-12-29"), period("2011-12-30"));
        let (start, end) = gone.span(apia);
        assert_eq!(start, end);
        assert_eq!(before.span(apia).1, start);
        assert_eq!(Period::at(start, apia, Unit::Day), gone.next());
        assert_eq!(before.next(), gone);
        let (start, end) = period("2011-W52").span(apia);
        assert_eq!((end - start).num_hours(), 6 * 24);
    }

    #[test]
    fn a_period_of_another_unit_is_answered_with_one_of_the_malls() {
        let given = period("2026-06");
        assert_eq!(given.of_unit(Unit::Month), Ok(given));
        let error = given.of_unit(Unit::Week).unwrap_err();
        assert_eq!(
            error.to_string(),
            "2026-06 is a month, and this mall settles by the week: say 2026-W23, for example"
        );
        assert_eq!(
            period("2026-W24")
                .of_unit(Unit::Day)
                .unwrap_err()
                .to_string(),
            "2026-W24 is a week, and this mall settles by the day: say 2026-06-08, for example"
        );
        for unit in Unit::ALL {
            assert_eq!(unit.to_string().parse(), Ok(unit));
        }
        assert_eq!("Week".parse::<Unit>(), Err(UnitError));
    }

    proptest! {
        #[test]
        fn every_day_lies_in_one_period_of_each_unit(days in 1_i32..3_600_000) {
            let day = NaiveDate::from_num_days_from_ce_opt(days).unwrap();
            for unit in Unit::ALL {
                let it = Period::containing(day, unit);
                prop_assert!((it.first_day()..=it.last_day()).contains(&day));
                prop_assert_eq!(Period::containing(it.last_day(), unit), it);
                prop_assert_eq!(Period::containing(it.next().first_day(), unit), it.next());
                prop_assert_eq!(it.next().first_day().pred_opt(), Some(it.last_day()));
                prop_assert_eq!(it.to_string().parse(), Ok(it));
            }
        }

        #[test]
        fn no_text_is_read_that_is_written_otherwise(text in "[0-9+W -]{4,11}|\\PC{0,12}") {
            if let Ok(it) = text.parse::<Period>() {
                prop_assert_eq!(it.to_string(), text);
            }
        }
    }
}

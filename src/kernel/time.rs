//! Time: one clock that a test can hold, days, months and periods in a mall's own zone.

mod period;

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use thiserror::Error;

pub use period::{OtherUnit, Period, PeriodError, Unit, UnitError};

/// A moment, in UTC, to the microsecond.
pub type Instant = DateTime<Utc>;

/// What time it is: the system's, or a test's.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A moment that moves only when it is told to.
    Fixed(Arc<Mutex<Instant>>),
}

impl Clock {
    /// A clock that stands at `now`.
    pub fn fixed(now: Instant) -> Self {
        Self::Fixed(Arc::new(Mutex::new(now)))
    }

    /// The moment, cut to the microsecond, as PostgreSQL stores it.
    pub fn now(&self) -> Instant {
        let now = match self {
            #[expect(
                clippy::disallowed_methods,
                reason = "the one place that asks the system"
            )]
            Self::System => Utc::now(),
            Self::Fixed(at) => *at.lock().unwrap_or_else(PoisonError::into_inner),
        };
        DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
    }

    /// Moves a fixed clock; the system's cannot be moved.
    pub fn set(&self, now: Instant) {
        if let Self::Fixed(at) = self {
            *at.lock().unwrap_or_else(PoisonError::into_inner) = now;
        }
    }
}

/// A time zone of the IANA database, by name: "Asia/Shanghai".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(Tz);

/// Text that names no time zone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a time zone of the IANA database, such as Asia/Shanghai")]
pub struct ZoneError;

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, ZoneError> {
        text.parse().map(Self).map_err(|_| ZoneError)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.name())
    }
}

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(Tz::UTC);

    /// The calendar day at that moment in this zone.
    pub fn day(self, at: Instant) -> NaiveDate {
        at.with_timezone(&self.0).date_naive()
    }

    /// The moment in this zone to the minute: "2026-03-29 05:30".
    pub fn minute(self, at: Instant) -> String {
        at.with_timezone(&self.0)
            .format("%Y-%m-%d %H:%M")
            .to_string()
    }

    /// The moment at which `day` begins: local midnight or, where a clock change skips it, the
    /// first moment after; where it comes twice, the first.
    pub fn start_of(self, day: NaiveDate) -> Instant {
        let mut local = day.and_time(NaiveTime::MIN);
        for _ in 0..100 {
            if let Some(found) = self.0.from_local_datetime(&local).earliest() {
                return found.with_timezone(&Utc);
            }
            // A gap: no zone ever skipped more than a day; quarter hours are fine enough.
            local = local
                .checked_add_signed(TimeDelta::minutes(15))
                .unwrap_or(local);
        }
        local.and_utc()
    }
}

/// A calendar month: "2017-06".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(NaiveDate);

/// Text that is not a month.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a month: expected a year and a month, such as 2017-06")]
pub struct MonthError;

impl Month {
    /// The month in which `day` lies.
    pub fn of(day: NaiveDate) -> Self {
        Self(day.with_day(1).unwrap_or(day))
    }

    /// The month of that moment in `zone`.
    pub fn at(at: Instant, zone: Zone) -> Self {
        Self::of(zone.day(at))
    }

    /// Its first day.
    pub const fn first_day(self) -> NaiveDate {
        self.0
    }

    /// Its last day.
    pub fn last_day(self) -> NaiveDate {
        self.next().0.pred_opt().unwrap_or(self.0)
    }

    /// The month after.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add_months(Months::new(1)).unwrap_or(self.0))
    }

    /// From its first moment (included) to the next month's (not included), in `zone`.
    pub fn span(self, zone: Zone) -> (Instant, Instant) {
        (zone.start_of(self.0), zone.start_of(self.next().0))
    }
}

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        if text.len() != 7 {
            return Err(MonthError);
        }
        NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d")
            .map(Self)
            .map_err(|_| MonthError)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.format("%Y-%m"))
    }
}

/// `day` plus a number of months, the last day of the month where the day does not exist:
/// 2024-02-29 plus 12 is 2025-02-28.
pub fn add_months(day: NaiveDate, months: u32) -> NaiveDate {
    day.checked_add_months(Months::new(months))
        .unwrap_or(NaiveDate::MAX)
}

/// The day after.
pub fn next_day(day: NaiveDate) -> NaiveDate {
    day.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn months_are_half_open_in_the_malls_zone() {
        let month: Month = "2026-03".parse().unwrap();
        let (start, end) = month.span("Europe/Berlin".parse().unwrap());
        assert_eq!(start.to_rfc3339(), "2026-02-28T23:00:00+00:00");
        assert_eq!(end.to_rfc3339(), "2026-03-31T22:00:00+00:00");
        let days = ["2024-02", "2026-12"].map(|text| text.parse::<Month>().unwrap().last_day());
        assert_eq!(days, [day("2024-02-29"), day("2026-12-31")]);
        for text in ["2026-13", "2026-3", "26-03", "2026-03-01", ""] {
            assert!(text.parse::<Month>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_skipped_midnight_and_a_skipped_day_begin_at_the_first_moment_after() {
        let beirut: Zone = "Asia/Beirut".parse().unwrap();
        assert_eq!(
            beirut.start_of(day("2024-03-31")).to_rfc3339(),
            "2024-03-30T22:00:00+00:00"
        );
        let apia: Zone = "Pacific/Apia".parse().unwrap();
        assert_eq!(
            apia.start_of(day("2011-12-30")),
            apia.start_of(day("2011-12-31"))
        );
    }

    #[test]
    fn a_leap_day_and_a_month_end_clip() {
        assert_eq!(add_months(day("2024-02-29"), 12), day("2025-02-28"));
        assert_eq!(add_months(day("2025-01-31"), 1), day("2025-02-28"));
    }
}

//! The days of the demo mall's history, and the moments at which it is written down.

use chrono::{Days, Months, NaiveDate, TimeDelta};

use super::dice::Dice;
use crate::kernel::time::{Instant, Month, Zone, next_day};

/// Months before the one in which the history ends.
const MONTHS: u32 = 3;

/// A part of a day, whose events are written down together at its end, as a till's journal is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// From this moment on.
    pub(super) from: Instant,
    /// Until before this one.
    pub(super) to: Instant,
    /// Whether goods are reserved and fetched at its end: at noon and after work.
    pub(super) counter: bool,
}

/// The days of the history.
#[derive(Debug)]
pub(super) struct Calendar {
    pub(super) zone: Zone,
    /// The first day: of the month three months before the last.
    pub(super) first: NaiveDate,
    /// The end of the history.
    pub(super) until: Instant,
    /// All of it in parts.
    pub(super) windows: Vec<Window>,
}

impl Calendar {
    pub(super) fn new(zone: Zone, until: Instant, dice: &Dice) -> Self {
        let last = zone.day(until);
        let month = Month::of(last).first_day();
        let first = month
            .checked_sub_months(Months::new(MONTHS))
            .unwrap_or(month);
        let mut calendar = Self {
            zone,
            first,
            until,
            windows: Vec::new(),
        };
        let mut from = zone.start_of(first);
        let dates: Vec<NaiveDate> = calendar.dates().collect();
        for day in dates {
            let noon = dice.between(12 * 3600 + 1800, 13 * 3600 + 1800);
            let evening = dice.between(18 * 3600, 19 * 3600 + 1200);
            let ends = [
                (calendar.moment(day, noon), true),
                (calendar.moment(day, evening), true),
                (zone.start_of(next_day(day)), false),
            ];
            for (end, counter) in ends {
                let to = end.min(until);
                if from < to {
                    let counter = counter && to < until;
                    calendar.windows.push(Window { from, to, counter });
                    from = to;
                }
            }
        }
        calendar
    }

    /// How many days there are, the last one perhaps not whole.
    pub(super) fn days(&self) -> u64 {
        let last = self.zone.day(self.until);
        let days = last.signed_duration_since(self.first).num_days();
        u64::try_from(days).unwrap_or(0).saturating_add(1)
    }

    /// The days, the first one first.
    pub(super) fn dates(&self) -> impl Iterator<Item = NaiveDate> {
        let first = self.first;
        (0..self.days()).filter_map(move |day| first.checked_add_days(Days::new(day)))
    }

    /// So many seconds into a day.
    pub(super) fn moment(&self, day: NaiveDate, second: i64) -> Instant {
        self.zone.start_of(day) + TimeDelta::seconds(second)
    }

    /// When the first day of somebody begins who joins on that day, counted from the first.
    pub(super) fn start_of_day(&self, day: u64) -> Instant {
        let date = self.first.checked_add_days(Days::new(day));
        self.zone.start_of(date.unwrap_or(self.first))
    }

    /// The window at whose end goods are reserved and fetched: the first after `at`, or so many
    /// later.
    pub(super) fn counter_after(&self, at: Instant, later: usize) -> Option<usize> {
        let next = self.windows.partition_point(|window| window.to <= at);
        let mut places = (next..self.windows.len()).filter(|place| {
            let window = self.windows.get(*place);
            window.is_some_and(|window| window.counter)
        });
        places.nth(later)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_whole_months_and_what_has_gone_by_of_the_fourth() {
        let until: Instant = "2026-11-22T09:00:00Z".parse().unwrap();
        let calendar = Calendar::new("Asia/Shanghai".parse().unwrap(), until, &Dice::new(1));
        assert_eq!(calendar.first.to_string(), "2026-08-01");
        assert_eq!(calendar.days(), 31 + 30 + 31 + 22);
        let windows = &calendar.windows;
        assert_eq!(
            windows.first().unwrap().from.to_rfc3339(),
            "2026-07-31T16:00:00+00:00"
        );
        assert_eq!(windows.last().unwrap().to, until);
        assert!(windows.windows(2).all(|pair| pair[0].to == pair[1].from));
        let counter = calendar.counter_after(windows[0].from, 1).unwrap();
        assert_eq!(counter, 1);
    }
}

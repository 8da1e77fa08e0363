//! The life of a settlement, pure: which act leads from which state to which, and by when.
//!
//! There is no way back. What turns out to be wrong after the figures are written is put right in a
//! later period.
//!
//! Source: settlement.md, section 6.

use std::fmt;

use chrono::Days;
use thiserror::Error;

use crate::kernel::time::{Instant, Zone, next_day};

/// How far a period is; a period without a settlement is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No line can be added to it; its figures are not written yet.
    CutOff,
    /// Its figures are written, add up to zero, and never change; its merchants do not see them yet.
    Proofed,
    /// A second person approved it; its merchants see their statements, confirm and dispute.
    Issued,
    /// Every statement is confirmed, and what is to be paid is fixed.
    Confirmed,
    /// Everything is paid or offset.
    Closed,
}

impl State {
    /// All of them, in the order in which they follow one another.
    pub const ALL: [Self; 5] = [
        Self::CutOff,
        Self::Proofed,
        Self::Issued,
        Self::Confirmed,
        Self::Closed,
    ];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CutOff => "cut_off",
            Self::Proofed => "proofed",
            Self::Issued => "issued",
            Self::Confirmed => "confirmed",
            Self::Closed => "closed",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What is done with a settlement or with a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// End the posting in the period.
    CutOff,
    /// Write its figures.
    Proof,
    /// Let its merchants see them.
    Issue,
    /// Agree to one statement.
    ConfirmStatement,
    /// Object to one line.
    RaiseDispute,
    /// Say who gets the money of a line.
    DecideDispute,
    /// Fix what is to be paid.
    Confirm,
    /// Say how something was paid.
    RecordPayment,
    /// End it.
    Close,
    /// Calculate its figures anew and hold them against what was written.
    Recalculate,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::CutOff,
        Self::Proof,
        Self::Issue,
        Self::ConfirmStatement,
        Self::RaiseDispute,
        Self::DecideDispute,
        Self::Confirm,
        Self::RecordPayment,
        Self::Close,
        Self::Recalculate,
    ];
}

/// An act at a moment at which it cannot be done; the message says how far the period is and what
/// comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub struct OutOfTurn {
    /// What was asked for.
    pub act: Act,
    /// How far the period is; none while it is open.
    pub state: Option<State>,
}

impl fmt::Display for OutOfTurn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.state {
            None => "the period is open: close it once it is over",
            Some(State::CutOff) => {
                "the period is cut off and its figures are not written yet: close it again"
            }
            Some(State::Proofed) => {
                "the settlement is proofed: somebody else than who closed the period issues it next"
            }
            Some(State::Issued) => {
                "the settlement is issued: its merchants confirm or dispute next, and what they do \
                 not answer in time is confirmed by itself"
            }
            Some(State::Confirmed) => {
                "the settlement is confirmed: its payments are recorded next, and what else is \
                 wrong is put right in a later period"
            }
            Some(State::Closed) => {
                "the settlement is closed and never changes: what is wrong is put right in a later \
                 period"
            }
        })
    }
}

/// Where an act leads; that every statement is confirmed, or everything paid, is for the caller to
/// see to before [`Act::Confirm`] and [`Act::Close`].
///
/// # Errors
/// [`OutOfTurn`] for everything that is not one step further.
pub fn step(from: Option<State>, act: Act) -> Result<State, OutOfTurn> {
    match (act, from) {
        (Act::CutOff, None) => Ok(State::CutOff),
        (Act::Proof, Some(State::CutOff)) => Ok(State::Proofed),
        (Act::Issue, Some(State::Proofed))
        | (Act::ConfirmStatement | Act::RaiseDispute, Some(State::Issued)) => Ok(State::Issued),
        (Act::DecideDispute, Some(state @ (State::Issued | State::Confirmed | State::Closed))) => {
            Ok(state)
        }
        (Act::Confirm, Some(State::Issued)) | (Act::RecordPayment, Some(State::Confirmed)) => {
            Ok(State::Confirmed)
        }
        (Act::Close, Some(State::Confirmed)) => Ok(State::Closed),
        (Act::Recalculate, Some(state)) if state != State::CutOff => Ok(state),
        (act, state) => Err(OutOfTurn { act, state }),
    }
}

/// What a merchant said to its statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementState {
    /// It has not seen it yet.
    Proofed,
    /// Nothing yet.
    Issued,
    /// It agreed.
    Confirmed,
    /// Nothing in time, which is as good.
    AutoConfirmed,
}

impl StatementState {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Proofed,
        Self::Issued,
        Self::Confirmed,
        Self::AutoConfirmed,
    ];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proofed => "proofed",
            Self::Issued => "issued",
            Self::Confirmed => "confirmed",
            Self::AutoConfirmed => "auto_confirmed",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether its merchant sees it.
    pub fn is_issued(self) -> bool {
        self != Self::Proofed
    }

    /// Whether its merchant agreed, or let the time pass.
    pub fn is_confirmed(self) -> bool {
        matches!(self, Self::Confirmed | Self::AutoConfirmed)
    }
}

/// Whether who wrote the figures may put them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Approval {
    /// The act that writes the figures issues them.
    One,
    /// Somebody else issues them.
    #[default]
    Two,
}

impl Approval {
    /// As the programme and the table write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Two => "two",
        }
    }

    /// The opposite of [`Approval::as_str`].
    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::One, Self::Two]
            .into_iter()
            .find(|approval| approval.as_str() == text)
    }
}

/// How a mall's settlements go from one state to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// Who issues them.
    pub approval: Approval,
    /// How many whole days merchants have to answer; none: their statements are confirmed when they
    /// are issued.
    pub confirm_days: u32,
}

impl Default for Course {
    fn default() -> Self {
        Self {
            approval: Approval::Two,
            confirm_days: 5,
        }
    }
}

impl Course {
    /// The longest time that merchants can have, in days.
    pub const LONGEST: u32 = 31;

    /// The first moment at which a statement that is issued at `now` is confirmed by itself: the end
    /// of the day so many days later in `zone`, or at once.
    pub fn confirm_by(self, now: Instant, zone: Zone) -> Instant {
        match self.confirm_days {
            0 => now,
            days => end_of_day(now, days, zone),
        }
    }
}

/// The end of the day that is `days` after that of `now` in `zone`: the first moment behind it.
pub fn end_of_day(now: Instant, days: u32, zone: Zone) -> Instant {
    let last = zone.day(now).checked_add_days(Days::new(days.into()));
    last.map_or(now, |day| zone.start_of(next_day(day)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every act in every state, the open one first: where it leads, `-` for nowhere.
    const TABLE: [(Act, [&str; 6]); 10] = [
        (Act::CutOff, ["cut_off", "-", "-", "-", "-", "-"]),
        (Act::Proof, ["-", "proofed", "-", "-", "-", "-"]),
        (Act::Issue, ["-", "-", "issued", "-", "-", "-"]),
        (Act::ConfirmStatement, ["-", "-", "-", "issued", "-", "-"]),
        (Act::RaiseDispute, ["-", "-", "-", "issued", "-", "-"]),
        (
            Act::DecideDispute,
            ["-", "-", "-", "issued", "confirmed", "closed"],
        ),
        (Act::Confirm, ["-", "-", "-", "confirmed", "-", "-"]),
        (Act::RecordPayment, ["-", "-", "-", "-", "confirmed", "-"]),
        (Act::Close, ["-", "-", "-", "-", "closed", "-"]),
        (
            Act::Recalculate,
            ["-", "-", "proofed", "issued", "confirmed", "closed"],
        ),
    ];

    #[test]
    fn every_act_in_every_state_leads_where_the_table_says_or_nowhere() {
        assert_eq!(TABLE.map(|(act, _)| act), Act::ALL);
        let states = [None].into_iter().chain(State::ALL.map(Some));
        for (place, from) in states.enumerate() {
            for (act, row) in TABLE {
                let led = step(from, act);
                let said = led.map_or("-", State::as_str);
                assert_eq!(said, row[place], "{act:?} from {from:?}");
                if let Err(refused) = led {
                    assert_eq!((refused.act, refused.state), (act, from));
                    assert!(refused.to_string().contains(':'), "says what comes next");
                }
            }
        }
    }

    #[test]
    fn no_act_leads_back() {
        for (place, from) in State::ALL.into_iter().enumerate() {
            for act in Act::ALL {
                if let Ok(to) = step(Some(from), act) {
                    let reached = State::ALL.iter().position(|state| *state == to).unwrap();
                    assert!(reached >= place, "{act:?} from {from:?}");
                }
            }
        }
    }

    #[test]
    fn words_travel_both_ways() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        for state in StatementState::ALL {
            assert_eq!(StatementState::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("open"), None);
    }

    #[test]
    fn merchants_have_whole_days_of_the_malls_own() {
        let course = |confirm_days| Course {
            confirm_days,
            ..Course::default()
        };
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        let now: Instant = "2026-03-24T22:30:00Z".parse().unwrap();
        // The night of 29 March is an hour shorter there.
        let end: Instant = "2026-03-29T22:00:00Z".parse().unwrap();
        assert_eq!(course(5).confirm_by(now, berlin), end);
        let late: Instant = "2026-03-24T23:00:00Z".parse().unwrap();
        let end: Instant = "2026-03-30T22:00:00Z".parse().unwrap();
        assert_eq!(course(5).confirm_by(late, berlin), end);
        assert_eq!(course(0).confirm_by(now, berlin), now);
    }
}

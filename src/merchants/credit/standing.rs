//! How a merchant stands, pure: which act leads from where to where.
//!
//! Source: settlement.md, section 6 and example H.

use std::fmt;

use thiserror::Error;

/// How far a merchant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// It belongs to the alliance.
    #[default]
    Active,
    /// It gives no points any more; those that it gave are good until a day that is set.
    WindingDown,
    /// Its points have ended.
    Exited,
    /// It did not pay what it owed.
    Defaulted,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Active,
        Self::WindingDown,
        Self::Exited,
        Self::Defaulted,
    ];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::WindingDown => "winding_down",
            Self::Exited => "exited",
            Self::Defaulted => "defaulted",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

/// What is done about a merchant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Let it leave in order.
    WindDown,
    /// End its points.
    Exit,
    /// Say that it does not pay.
    RaiseDefault,
    /// Say that this was said too early.
    WithdrawDefault,
    /// Find it in default.
    DeclareDefault,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::WindDown,
        Self::Exit,
        Self::RaiseDefault,
        Self::WithdrawDefault,
        Self::DeclareDefault,
    ];
}

/// Where a merchant is: how far, and whether somebody says that it does not pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// How far.
    pub standing: Standing,
    /// Whether its default was raised and nobody has decided.
    pub raised: bool,
}

/// An act at a moment at which it cannot be done; the message says what could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub struct NoStep {
    /// What was asked for.
    pub step: Step,
    /// Where the merchant is.
    pub from: Place,
}

impl fmt::Display for NoStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match (self.from.standing, self.from.raised) {
            (Standing::Defaulted, false) => {
                "the merchant is in default: what it owed is covered or carried, and its default can be \
                 raised again for what fell due since"
            }
            (_, true) => {
                "the merchant's default is raised: somebody else declares it, or it is withdrawn"
            }
            (Standing::Active, false) => {
                "the merchant is active: it can be wound down, or its default raised"
            }
            (Standing::WindingDown, false) => {
                "the merchant is winding down already: its points end on the day that was set"
            }
            (Standing::Exited, false) => {
                "the merchant has left: what is left of its deposit can be returned"
            }
        })
    }
}

/// Where an act leads.
///
/// # Errors
/// [`NoStep`] for every act that is not listed.
pub fn step(from: Place, step: Step) -> Result<Place, NoStep> {
    let Place { standing, raised } = from;
    let place = |standing, raised| Ok(Place { standing, raised });
    match (step, standing, raised) {
        (Step::WindDown, Standing::Active, false) => place(Standing::WindingDown, false),
        (Step::Exit, Standing::WindingDown, raised) => place(Standing::Exited, raised),
        // Also of one that is in default: what is carried falls due again, and its points go on.
        (Step::RaiseDefault, _, false) => place(standing, true),
        (Step::WithdrawDefault, _, true) => place(standing, false),
        (Step::DeclareDefault, _, true) => place(Standing::Defaulted, false),
        _ => Err(NoStep { step, from }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every act, by standing, without and with a default that was raised: where it leads, `-` for
    /// nowhere, `!` for raised.
    const TABLE: [(Step, [[&str; 2]; 4]); 5] = [
        (
            Step::WindDown,
            [["winding_down", "-"], ["-", "-"], ["-", "-"], ["-", "-"]],
        ),
        (
            Step::Exit,
            [["-", "-"], ["exited", "exited!"], ["-", "-"], ["-", "-"]],
        ),
        (
            Step::RaiseDefault,
            [
                ["active!", "-"],
                ["winding_down!", "-"],
                ["exited!", "-"],
                ["defaulted!", "-"],
            ],
        ),
        (
            Step::WithdrawDefault,
            [
                ["-", "active"],
                ["-", "winding_down"],
                ["-", "exited"],
                ["-", "defaulted"],
            ],
        ),
        (
            Step::DeclareDefault,
            [
                ["-", "defaulted"],
                ["-", "defaulted"],
                ["-", "defaulted"],
                ["-", "defaulted"],
            ],
        ),
    ];

    #[test]
    fn every_act_in_every_place_leads_where_the_table_says_or_nowhere() {
        assert_eq!(TABLE.map(|(act, _)| act), Step::ALL);
        for (act, rows) in TABLE {
            for (standing, row) in Standing::ALL.into_iter().zip(rows) {
                for (raised, expected) in [false, true].into_iter().zip(row) {
                    let from = Place { standing, raised };
                    let said = match step(from, act) {
                        Ok(to) if to.raised => format!("{}!", to.standing.as_str()),
                        Ok(to) => to.standing.as_str().to_owned(),
                        Err(refused) => {
                            assert_eq!(refused, NoStep { step: act, from });
                            assert!(refused.to_string().contains(':'), "says what comes next");
                            "-".to_owned()
                        }
                    };
                    assert_eq!(said, expected, "{act:?} from {from:?}");
                }
            }
        }
    }

    #[test]
    fn words_travel_both_ways() {
        for standing in Standing::ALL {
            assert_eq!(Standing::parse(standing.as_str()), Some(standing));
        }
        assert_eq!(Standing::parse("raised"), None);
    }
}

//! The way of an application, from a draft to a merchant that works. Pure.
//!
//! ```text
//! draft → submitted → under review ⇄ information asked → resubmitted → … → approved → live
//!                       └→ rejected → draft (apply again, with everything that was said)
//! ```
//!
//! Whoever applied can withdraw until it is decided. A step that was taken already is no fault: it is
//! answered with how things are.

use crate::db::Error;

/// How far an application is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It is being filled in.
    Draft,
    /// It was sent in and waits.
    Submitted,
    /// Somebody looks at it.
    UnderReview,
    /// The operator wants to know more.
    InformationAsked,
    /// What was asked was answered.
    Resubmitted,
    /// It is a merchant, which does not work before the agreement is accepted.
    Approved,
    /// The agreement is accepted: the merchant works.
    Live,
    /// The operator does not want it.
    Rejected,
    /// Whoever applied does not want it any more.
    Withdrawn,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Draft,
        Self::Submitted,
        Self::UnderReview,
        Self::InformationAsked,
        Self::Resubmitted,
        Self::Approved,
        Self::Live,
        Self::Rejected,
        Self::Withdrawn,
    ];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Submitted => "submitted",
            Self::UnderReview => "under_review",
            Self::InformationAsked => "information_asked",
            Self::Resubmitted => "resubmitted",
            Self::Approved => "approved",
            Self::Live => "live",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The state of that name.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|state| state.as_str() == text);
        known.ok_or(Error::Corrupt("application state"))
    }

    /// Whether whoever applied can change what it says.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Draft | Self::InformationAsked)
    }

    /// Whether it came to nothing, so that whoever applied may begin anew.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Rejected | Self::Withdrawn)
    }

    /// Whether the operator has something to do.
    pub const fn waits_for_operator(self) -> bool {
        matches!(
            self,
            Self::Submitted | Self::UnderReview | Self::Resubmitted
        )
    }
}

/// What somebody does about an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Send it in, for the first time or again.
    Submit,
    /// Look at it.
    TakeUp,
    /// Ask for more.
    Ask,
    /// Make it a merchant.
    Approve,
    /// Accept the agreement.
    Accept,
    /// Refuse it.
    Reject,
    /// Take it back.
    Withdraw,
    /// Begin anew with everything that was said.
    Reopen,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Submit,
        Self::TakeUp,
        Self::Ask,
        Self::Approve,
        Self::Accept,
        Self::Reject,
        Self::Withdraw,
        Self::Reopen,
    ];
}

/// What comes of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is so from now on.
    To(State),
    /// It was so before: there is nothing to do.
    Already,
    /// It cannot be taken from here.
    Refused,
}

/// Where a step leads.
pub const fn turn(from: State, step: Step) -> Turn {
    use State::{
        Approved, Draft, InformationAsked, Live, Rejected, Resubmitted, Submitted, UnderReview,
        Withdrawn,
    };
    match (step, from) {
        (Step::Submit, Draft) => Turn::To(Submitted),
        (Step::Submit, InformationAsked) => Turn::To(Resubmitted),
        (Step::TakeUp, Submitted | Resubmitted) => Turn::To(UnderReview),
        (Step::Ask, Submitted | UnderReview | Resubmitted) => Turn::To(InformationAsked),
        (Step::Approve, Submitted | UnderReview | Resubmitted) => Turn::To(Approved),
        (Step::Accept, Approved) => Turn::To(Live),
        (Step::Reject, Submitted | UnderReview | InformationAsked | Resubmitted) => {
            Turn::To(Rejected)
        }
        (Step::Withdraw, Draft | Submitted | UnderReview | InformationAsked | Resubmitted) => {
            Turn::To(Withdrawn)
        }
        (Step::Reopen, Rejected | Withdrawn) => Turn::To(Draft),
        (Step::Submit, Submitted | UnderReview | Resubmitted)
        | (Step::TakeUp, UnderReview)
        | (Step::Ask, InformationAsked)
        | (Step::Approve, Approved | Live)
        | (Step::Accept, Live)
        | (Step::Reject, Rejected)
        | (Step::Withdraw, Withdrawn)
        | (Step::Reopen, Draft) => Turn::Already,
        _ => Turn::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_was_taken_leaves_everything_as_it_is() {
        for state in State::ALL {
            for step in Step::ALL {
                if let Turn::To(next) = turn(state, step) {
                    assert_ne!(next, state);
                    assert_eq!(turn(next, step), Turn::Already, "{state:?} {step:?}");
                }
            }
        }
    }

    #[test]
    fn only_what_was_sent_in_is_decided_and_only_what_was_approved_goes_live() {
        for state in State::ALL {
            let approved = turn(state, Step::Approve) == Turn::To(State::Approved);
            assert_eq!(approved, state.waits_for_operator(), "{state:?}");
            let taken_up = turn(state, Step::TakeUp) == Turn::To(State::UnderReview);
            let fresh = matches!(state, State::Submitted | State::Resubmitted);
            assert_eq!(taken_up, fresh, "{state:?}");
            let asked = turn(state, Step::Ask) == Turn::To(State::InformationAsked);
            assert_eq!(asked, state.waits_for_operator(), "{state:?}");
            let refused = turn(state, Step::Reject) == Turn::To(State::Rejected);
            let undecided = state.waits_for_operator() || state == State::InformationAsked;
            assert_eq!(refused, undecided, "{state:?}");
            let live = turn(state, Step::Accept) == Turn::To(State::Live);
            assert_eq!(live, state == State::Approved, "{state:?}");
            let submits = matches!(turn(state, Step::Submit), Turn::To(_));
            assert_eq!(submits, state.is_open(), "{state:?}");
            let taken_back = turn(state, Step::Withdraw) == Turn::To(State::Withdrawn);
            let anew = turn(state, Step::Reopen) == Turn::To(State::Draft);
            assert_eq!(anew, state.is_over(), "{state:?}");
            let decided = matches!(state, State::Approved | State::Live | State::Rejected);
            assert_eq!(
                taken_back,
                !decided && state != State::Withdrawn,
                "{state:?}"
            );
        }
        assert_eq!(turn(State::Live, Step::Reject), Turn::Refused);
    }
}

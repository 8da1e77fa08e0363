//! The closed sets of words that requests and answers share.

use poem_openapi::Enum;

use crate::{
    ledger::FlowKind,
    merchants::{Alliance, Status},
    redemption::{Form, GoodKind, State},
    settlement::{
        self, StatementState,
        disputes::{DisputeState, Outcome},
        paying::{Method, PaymentState},
    },
};

/// Declares an enumeration of the API that says the same as one of a room.
macro_rules! words {
    ($(#[$doc:meta])* $word:ident = $room:ty { $($(#[$each:meta])* $name:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
        #[oai(rename_all = "snake_case")]
        pub(super) enum $word {
            $($(#[$each])* $name,)*
        }

        impl From<$room> for $word {
            fn from(value: $room) -> Self {
                match value {
                    $(<$room>::$name => Self::$name,)*
                }
            }
        }

        impl From<$word> for $room {
            fn from(word: $word) -> Self {
                match word {
                    $($word::$name => Self::$name,)*
                }
            }
        }
    };
}

words! {
    /// What a merchant or a store does in the alliance.
    AllianceWord = Alliance {
        /// Gives points and takes none.
        Earn,
        /// Takes points and gives none.
        Spend,
        /// Gives and takes.
        Both,
    }
}

words! {
    /// Whether a merchant or a store works.
    StatusWord = Status {
        /// It gives and takes points.
        Active,
        /// It neither gives nor takes points; refunds go on.
        Suspended,
    }
}

words! {
    /// What kind of thing a good is.
    GoodKindWord = GoodKind {
        /// A thing to collect.
        Pickup,
        /// Something done for the member.
        Service,
        /// A right to use later.
        Voucher,
    }
}

words! {
    /// How points pay.
    FormWord = Form {
        /// So many points take so much off, up to a share of the total.
        Ratio,
        /// From so much spent, a block of points takes a fixed amount off.
        Threshold,
    }
}

words! {
    /// What became of a reservation.
    RedemptionState = State {
        /// It waits for the member.
        Reserved,
        /// The good was handed over.
        Claimed,
        /// It was given up, and the points are back.
        Cancelled,
        /// Nobody came in time, and the points are back.
        Lapsed,
    }
}

words! {
    /// How far a settlement is.
    SettlementState = settlement::State {
        /// Nothing can be added to the month; its figures are not written yet.
        CutOff,
        /// Its figures are written and never change; its merchants do not see them yet.
        Proofed,
        /// Its merchants see their statements, and confirm or dispute them.
        Issued,
        /// Every statement is confirmed; what is to be paid is fixed.
        Confirmed,
        /// Everything is paid or offset.
        Closed,
    }
}

words! {
    /// What a merchant said to its statement.
    StatementWord = StatementState {
        /// It does not see it yet.
        Proofed,
        /// Nothing yet.
        Issued,
        /// It agreed.
        Confirmed,
        /// Nothing in time, which is as good.
        AutoConfirmed,
    }
}

words! {
    /// How far a dispute is.
    DisputeWord = DisputeState {
        /// Nobody has decided.
        Open,
        /// The line does not hold: who would pay for it does not.
        Upheld,
        /// The line holds.
        Rejected,
    }
}

words! {
    /// What is decided about a dispute.
    OutcomeWord = Outcome {
        /// The line does not hold: who would pay for it does not.
        Upheld,
        /// The line holds.
        Rejected,
    }
}

words! {
    /// Whether a payment was made.
    PaymentWord = PaymentState {
        /// Not yet, as far as anybody said.
        Due,
        /// Money went from one to the other.
        Paid,
        /// It was set off against something else, such as rent.
        Offset,
    }
}

words! {
    /// By which means something is paid.
    MethodWord = Method {
        /// From one bank account to another.
        BankTransfer,
        /// Offset against the rent that one of the two owes the other.
        Rent,
        /// In some other way, which the reference names.
        Other,
    }
}

words! {
    /// Which way points went.
    FlowWord = FlowKind {
        /// Given to members.
        Issued,
        /// Taken back to their issuer, because a purchase was refunded.
        TakenBack,
        /// Taken from members, at a till or for a good.
        Accepted,
        /// Given back to members, because a purchase was refunded.
        GivenBack,
    }
}

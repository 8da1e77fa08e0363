//! The closed sets of words that requests and answers share.

use poem_openapi::Enum;

use crate::{
    ledger::FlowKind,
    merchants::{
        Alliance, Status,
        agreements::{InvoicedBy, Model, Standing},
    },
    redemption::{Form, GoodKind, State},
    settlement,
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
        /// Its figures are written and never change.
        Closed,
    }
}

words! {
    /// Which way points went.
    FlowWord = FlowKind {
        /// Given to members.
        Issued,
        /// Taken back to their issuer, because a purchase was refunded.
        TakenBack,
        /// Taken back in the same way after they were used: the member owes them.
        Owed,
        /// Taken from members, at a till or for a good.
        Accepted,
        /// Given back to members, because a purchase was refunded.
        GivenBack,
        /// Lapsed unspent.
        Expired,
    }
}

words! {
    /// Who pays when for a merchant's points.
    ModelWord = Model {
        /// The issuer pays whoever took the points, when they are spent.
        Bilateral,
        /// The issuer pays into a pool when it gives points, and the pool pays whoever takes them.
        Pool,
    }
}

words! {
    /// Who writes the invoices for what a merchant receives.
    InvoicedByWord = InvoicedBy {
        /// The merchant itself.
        Merchant,
        /// The operator, in the merchant's name.
        Operator,
    }
}

words! {
    /// How far a version of an agreement is.
    StandingWord = Standing {
        /// It waits for the merchant.
        Proposed,
        /// The merchant accepted it; it holds from its first moment on, until a later one does.
        Accepted,
        /// Its first moment passed before the merchant accepted it: it never holds.
        Missed,
    }
}

words! {
    /// What a line of a statement is for.
    LineWord = settlement::LineKind {
        /// Points of the partner that the merchant took.
        Redeemed,
        /// Points of the partner that the merchant had taken and gave back.
        GivenBack,
        /// Its own points that the merchant took, less those that it gave back.
        OwnShop,
        /// The merchant's points that the partner took.
        Charged,
        /// The merchant's points that the partner had taken and gave back.
        Credited,
        /// What the merchant paid into the pool for points that it gave, less those it took back.
        Funded,
        /// The party's part of what lapsed in the pool.
        Breakage,
        /// The operator's part of what the merchant received; with a partner, for the partner's points.
        Fee,
        /// The operator's fee on points that the merchant gave.
        IssueFee,
        /// The operator's fee for the month.
        FixedFee,
        /// What the operator bears of the cost of the partner's points.
        Contribution,
        /// What the operator keeps of what the partner paid into the pool.
        Margin,
        /// What went into the pool, less what it paid.
        Pool,
        /// The alliance fund's part of what lapsed.
        Fund,
        /// What an earlier month left to be put right.
        Adjustment,
    }
}

//! The closed sets of words that requests and answers share.

use poem_openapi::Enum;

use crate::{
    earning::adjusting::{AdjustReason, AdjustState},
    identity::{
        signin::Need,
        staff::{self, Theme},
    },
    kernel::time::Unit,
    ledger::FlowKind,
    merchants::{
        Alliance, Status,
        agreements::{InvoicedBy, Model, Standing},
        credit::{self, EntryKind, Light, Means, Withheld},
    },
    notify,
    redemption::{Form, GoodKind, State},
    settlement::{
        self, StatementState,
        disputes::{DisputeState, Outcome},
        paying::{Method, PaymentState},
        stripe::{LegKind, LegState},
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
    /// How long a mall's periods are.
    UnitWord = Unit {
        /// A day.
        Day,
        /// A week of ISO 8601, from Monday to Sunday.
        Week,
        /// A calendar month.
        Month,
    }
}

words! {
    /// How far a settlement is.
    SettlementState = settlement::State {
        /// Nothing can be added to the period; its figures are not written yet.
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
    /// What a message is about.
    MessageKindWord = notify::Kind {
        /// A statement that its merchant can see from now on.
        StatementIssued,
    }
}

words! {
    /// How far a message is.
    MessageStateWord = notify::State {
        /// It is to be sent, perhaps again.
        Queued,
        /// The mail server took it.
        Sent,
        /// It was given up.
        Failed,
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
        /// Who had to pay was found in default; `cover` says how the payment was met.
        Covered,
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
        /// By the operator, from the deposit of who pays.
        Deposit,
        /// Through Stripe, whose id the reference is; recorded by itself and by nobody else.
        Stripe,
    }
}

words! {
    /// What goes through Stripe.
    LegKindWord = LegKind {
        /// Money from whoever pays.
        Invoice,
        /// Money to whoever receives.
        Transfer,
    }
}

words! {
    /// How far an invoice or a transfer at Stripe is.
    LegStateWord = LegState {
        /// It is to be made, perhaps after a try that failed.
        Requested,
        /// Stripe is being asked for it.
        Sending,
        /// The invoice waits for its payer.
        Open,
        /// It is to be ended.
        Cancelling,
        /// The invoice was paid, to the unit.
        Paid,
        /// The transfer was made.
        Sent,
        /// Another amount was moved than was asked for: nothing is recorded of it.
        Mismatch,
        /// It was given up: try it again, or cancel it.
        Failed,
        /// It was ended, and moves no money.
        Void,
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
        /// The operator's fee for the period.
        FixedFee,
        /// What the operator bears of the cost of the partner's points.
        Contribution,
        /// What the operator keeps of what the partner paid into the pool.
        Margin,
        /// What went into the pool, less what it paid.
        Pool,
        /// The alliance fund's part of what lapsed.
        Fund,
        /// What an earlier period left to be put right.
        Adjustment,
        /// What of `funded` was paid for in advance.
        Prepaid,
        /// What the partner owes, or is owed, since a default left it unpaid.
        Carried,
    }
}

words! {
    /// Why purchases of a merchant earn nothing that would earn.
    WithheldWord = Withheld {
        /// Nothing is left of the points that it paid for in advance.
        Prepaid,
        /// It owes, or could come to owe, more than covers it.
        Limit,
        /// It is leaving the alliance.
        WindingDown,
        /// It has left the alliance.
        Exited,
        /// It did not pay what it owed.
        Defaulted,
    }
}

words! {
    /// What became of money of a merchant outside of settlements.
    CreditEntryWord = EntryKind {
        /// It gave money to be kept as security.
        DepositPaid,
        /// It got some of it back.
        DepositReturned,
        /// A payment that it owed was met from what is kept.
        DepositDrawn,
        /// It paid for points in advance.
        BlockBought,
    }
}

words! {
    /// By which means money moved outside of settlements.
    MeansWord = Means {
        /// From one bank account to another.
        BankTransfer,
        /// Offset against the rent that one of the two owes the other.
        Rent,
        /// In some other way, which the reference names.
        Other,
    }
}

words! {
    /// How far a merchant is in the alliance.
    MerchantStandingWord = credit::Standing {
        /// It belongs to it.
        Active,
        /// It gives no points any more; those that it gave are good until a day that is set.
        WindingDown,
        /// Its points have ended.
        Exited,
        /// It did not pay what it owed.
        Defaulted,
    }
}

words! {
    /// Whether a merchant is covered for what it owes and could come to owe.
    LightWord = Light {
        /// It is.
        Green,
        /// What covers it is nearly used.
        Amber,
        /// It owes, or could come to owe, more than covers it.
        Red,
    }
}

words! {
    /// How pages look to somebody.
    ThemeWord = Theme {
        /// As the device says.
        System,
        /// Dark on light.
        Light,
        /// Light on dark.
        Dark,
    }
}

words! {
    /// How far a person is.
    StaffStateWord = staff::State {
        /// Asked to come; opens nothing.
        Invited,
        /// May sign in.
        Active,
        /// Opens nothing any more.
        Ended,
    }
}

words! {
    /// What a session needs before it opens more than one's own account.
    NeedWord = Need {
        /// Nothing.
        Nothing,
        /// A code of the second factor.
        Code,
        /// A second factor, of which there is none.
        Enrolment,
    }
}

/// What became of a link's letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum LetterWord {
    /// None was to be written: the inviter tells the link.
    None,
    /// It is to be sent, perhaps again.
    Queued,
    /// The mail server took it.
    Sent,
    /// It was given up.
    Failed,
}

impl LetterWord {
    /// As the table says it.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "queued" => Self::Queued,
            "sent" => Self::Sent,
            "failed" => Self::Failed,
            _ => Self::None,
        }
    }
}

words! {
    /// Why points are added or taken by hand.
    AdjustReasonWord = AdjustReason {
        /// The mall is kind.
        Goodwill,
        /// Something was recorded wrongly.
        Correction,
        /// A complaint was right.
        Complaint,
        /// Somebody promised them.
        Promise,
        /// They were got by fraud.
        Fraud,
    }
}

words! {
    /// How far an adjustment is.
    AdjustStateWord = AdjustState {
        /// A second person has to decide.
        Proposed,
        /// The points moved.
        Posted,
        /// They never will.
        Rejected,
    }
}

/// Which way points go by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum AdjustWayWord {
    /// To the member.
    Add,
    /// From the member.
    Take,
}

/// What is decided about what somebody proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum ApprovalWord {
    /// It is done.
    Approved,
    /// It never will be.
    Rejected,
}

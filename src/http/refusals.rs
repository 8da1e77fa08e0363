//! From each room's errors to the table: one `impl` a room, one arm a refusal.

use poem::http::{HeaderValue, header};

use super::{
    codes,
    problem::{Fault, Problem},
};
use crate::{
    app::{MallError, entering::EnterError, joining::JoinError},
    audit::AuditError,
    db,
    earning::{EarnError, adjusting::AdjustError},
    gateway::{files::FilesError, stripe::event::EventError},
    identity::{
        IdentityError, changes::ChangeError, password::HashError, roles::RoleError,
        signin::SignInError, staff::StaffError,
    },
    kernel::time::OtherUnit,
    ledger::LedgerError,
    members::MemberError,
    merchants::{
        MerchantError,
        agreements::AgreementError,
        credit::CreditError,
        onboarding::{Field, Lack, OnboardingError},
    },
    notify::MessageError,
    redemption::{RedemptionError, SpendError},
    reports::{isolation::IsolationError, liability::LiabilityError},
    settlement::{
        PrintError, SettlementError,
        disputes::DisputeError,
        paying::{PaymentError, bank::BadLine},
        stripe::{Lacks, Missing, StripeError},
    },
};

impl From<IdentityError> for Problem {
    fn from(error: IdentityError) -> Self {
        let kind = match &error {
            IdentityError::UnknownKey => &codes::UNKNOWN_KEY,
            IdentityError::NoSuchKey => &codes::NO_SUCH_KEY,
            IdentityError::UnsuitableRole => &codes::UNSUITABLE_ROLE,
            IdentityError::MerchantMissing => &codes::MERCHANT_MISSING,
            IdentityError::MerchantUnasked => &codes::MERCHANT_UNASKED,
            IdentityError::CannotNarrow => &codes::CANNOT_NARROW,
            IdentityError::BeyondOwn(_) => &codes::BEYOND_OWN,
            IdentityError::Policy(_) => return Self::of(&codes::INTERNAL_ERROR).because(error),
            IdentityError::OutOfReach => &codes::UNKNOWN_MERCHANT,
            IdentityError::Db(error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<StaffError> for Problem {
    fn from(error: StaffError) -> Self {
        let kind = match &error {
            StaffError::NotFound => &codes::UNKNOWN_PERSON,
            StaffError::UnknownMerchant => &codes::UNKNOWN_MERCHANT,
            StaffError::AddressTaken => &codes::ADDRESS_TAKEN,
            StaffError::UnsuitableRole => &codes::UNSUITABLE_ROLE,
            StaffError::MixedRoles => &codes::MIXED_ROLES,
            StaffError::MerchantMissing => &codes::MERCHANT_MISSING,
            StaffError::MerchantUnasked => &codes::MERCHANT_UNASKED,
            StaffError::BeyondOwn(_) => &codes::BEYOND_OWN,
            StaffError::CannotNarrow => &codes::CANNOT_NARROW,
            StaffError::NeedsSecondOwner => &codes::NEEDS_SECOND_OWNER,
            StaffError::LastOwner => &codes::LAST_OWNER,
            StaffError::NotInvited => &codes::NOT_INVITED,
            StaffError::Ended => &codes::PERSON_ENDED,
            StaffError::Cursor(_) => return cursor(),
            StaffError::Db(error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<RoleError> for Problem {
    fn from(error: RoleError) -> Self {
        let kind = match &error {
            RoleError::NotFound => &codes::UNKNOWN_ROLE,
            RoleError::CodeTaken(_) => &codes::ROLE_CODE_TAKEN,
            RoleError::Unsuitable(..) | RoleError::Nothing => &codes::UNSUITABLE_RIGHT,
            RoleError::BeyondOwn(..) => &codes::RIGHT_BEYOND_OWN,
            RoleError::Overtaken(_) => &codes::ROLE_OVERTAKEN,
            RoleError::Ended => &codes::ROLE_ENDED,
            RoleError::TooMany => &codes::TOO_MANY_ROLES,
            RoleError::Cursor(_) => return cursor(),
            RoleError::Db(error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        let kind = match error {
            ChangeError::Staff(error) => return error.into(),
            ChangeError::NotFound => &codes::UNKNOWN_ROLE_CHANGE,
            ChangeError::AlreadyOpen(_) => &codes::ROLE_CHANGE_OPEN,
            ChangeError::NoChange => &codes::NO_ROLE_CHANGE,
            ChangeError::NotOpen(_) => &codes::ROLE_CHANGE_DECIDED,
            ChangeError::NeedsSecondPerson => &codes::NEEDS_SECOND_OWNER,
            ChangeError::Overtaken => &codes::ROLE_CHANGE_OVERTAKEN,
            ChangeError::Cursor(_) => return cursor(),
            ChangeError::Db(ref error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<EnterError> for Problem {
    fn from(error: EnterError) -> Self {
        match error {
            EnterError::SignIn(error) => Self::from(error),
            EnterError::Member(error) => Self::from(error),
            EnterError::Denied(_) => Self::of(&codes::INTERNAL_ERROR).because(error),
            EnterError::Db(error) => Self::from(&error),
        }
    }
}

impl From<IsolationError> for Problem {
    fn from(error: IsolationError) -> Self {
        match &error {
            IsolationError::UnderWay => {
                Self::new(&codes::SELF_TEST_UNDER_WAY, sentence(&error)).retry_after(1)
            }
            IsolationError::Db(error) => Self::from(error),
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        let kind = match &error {
            SignInError::WrongCredentials => {
                let challenge = HeaderValue::from_static("Bearer realm=\"rotunda\"");
                return Self::new(&codes::WRONG_CREDENTIALS, sentence(&error))
                    .header(header::WWW_AUTHENTICATE, challenge);
            }
            SignInError::TooMany(seconds) => {
                return Self::new(&codes::TOO_MANY_TRIES, sentence(&error)).retry_after(*seconds);
            }
            SignInError::TooManyCodes(seconds) => {
                return Self::new(&codes::TOO_MANY_CODES, sentence(&error)).retry_after(*seconds);
            }
            SignInError::NotTheCode => &codes::WRONG_SIGN_IN_CODE,
            SignInError::CodeGone => &codes::SIGN_IN_CODE_GONE,
            SignInError::WrongCode => &codes::WRONG_CODE,
            SignInError::NoSecondFactor => &codes::NO_SECOND_FACTOR,
            SignInError::SecondFactorOff => &codes::SECOND_FACTOR_OFF,
            SignInError::AlreadyEnrolled => &codes::SECOND_FACTOR_SET_UP,
            SignInError::SecondFactorNeeded => &codes::SECOND_FACTOR_NEEDED,
            SignInError::BadLink => &codes::LINK_NOT_VALID,
            SignInError::Password(_) => &codes::BAD_PASSWORD,
            SignInError::WrongPassword => &codes::WRONG_PASSWORD,
            SignInError::UnknownSession => &codes::UNKNOWN_SESSION,
            SignInError::Cursor(_) => return cursor(),
            SignInError::Hash(HashError::Busy) => {
                return Self::new(&codes::SIGNING_IN_BUSY, sentence(&error)).retry_after(3);
            }
            SignInError::Hash(HashError::Unreadable) => return corrupt("password"),
            SignInError::Db(error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<&MallError> for Problem {
    fn from(error: &MallError) -> Self {
        match error {
            MallError::Db(error) => Self::from(error),
            MallError::Denied(_) | MallError::Unknown(_) | MallError::Programme(_) => {
                Self::of(&codes::INTERNAL_ERROR).because(Said(error.to_string()))
            }
        }
    }
}

impl From<MerchantError> for Problem {
    fn from(error: MerchantError) -> Self {
        let kind = match &error {
            MerchantError::UnknownMerchant => &codes::UNKNOWN_MERCHANT,
            MerchantError::UnknownStore => &codes::UNKNOWN_STORE,
            MerchantError::MerchantCodeTaken(_)
            | MerchantError::StoreCodeTaken(_)
            | MerchantError::ListedTwice(_)
            | MerchantError::StoreOfAnother(_) => &codes::CODE_TAKEN,
            MerchantError::NoContact => &codes::UNKNOWN_CONTACT,
            MerchantError::NoAccount => &codes::UNKNOWN_ACCOUNT,
            MerchantError::WiderThanMerchant(_) => &codes::WIDER_THAN_MERCHANT,
            MerchantError::OutOfRange(_) => &codes::EARN_RATE_OUT_OF_RANGE,
            MerchantError::Cursor(_) => return cursor(),
            MerchantError::Db(error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<OnboardingError> for Problem {
    fn from(error: OnboardingError) -> Self {
        let kind = match error {
            OnboardingError::Incomplete(lacks) => {
                let fault = |(field, lack): &(Field, Lack)| Fault {
                    pointer: format!("/{}", field.as_str()),
                    code: lack.as_str(),
                    detail: format!("{} is {}", field.as_str(), lack.as_str()),
                };
                let problem = Self::of(&codes::APPLICATION_INCOMPLETE);
                return problem.faults(lacks.iter().map(fault).collect());
            }
            OnboardingError::Merchant(error) => return error.into(),
            OnboardingError::Db(error) => return Self::from(&error),
            OnboardingError::NotFound => &codes::UNKNOWN_APPLICATION,
            OnboardingError::NoSuchFile => &codes::UNKNOWN_FILE,
            OnboardingError::BadLink => &codes::LINK_NOT_VALID,
            OnboardingError::OtherText => &codes::OTHER_TEXT,
            OnboardingError::Closed(_) => &codes::APPLICATION_CLOSED,
            OnboardingError::NoStep(_) => &codes::APPLICATION_OUT_OF_STEP,
            OnboardingError::LicenceTaken => &codes::LICENCE_TAKEN,
            OnboardingError::SecretsOff => &codes::SECRETS_OFF,
            OnboardingError::File(_) => &codes::FILE_REFUSED,
            OnboardingError::TooManyFiles => &codes::TOO_MANY_FILES,
            OnboardingError::BadText => &codes::BAD_TEXT,
            OnboardingError::NoReason => &codes::REASON_MISSING,
            OnboardingError::Oneself => &codes::NEEDS_SECOND_PERSON,
            OnboardingError::Cursor(_) => return cursor(),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<JoinError> for Problem {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Onboarding(error) => error.into(),
            JoinError::Staff(error) => error.into(),
            JoinError::Person(error) => error.into(),
            JoinError::Denied(_) => Self::of(&codes::NOT_ALLOWED),
        }
    }
}

impl From<FilesError> for Problem {
    fn from(error: FilesError) -> Self {
        Self::of(&codes::FILES_UNAVAILABLE)
            .retry_after(60)
            .because(error)
    }
}

impl From<AgreementError> for Problem {
    fn from(error: AgreementError) -> Self {
        let kind = match &error {
            AgreementError::NotFound => &codes::UNKNOWN_AGREEMENT,
            AgreementError::TooEarly(_) => &codes::AGREEMENT_TOO_EARLY,
            AgreementError::Terms(_) | AgreementError::Digest => &codes::BAD_TERMS,
            AgreementError::OtherDigest(_) => &codes::OTHER_DIGEST,
            AgreementError::Missed(..) => &codes::AGREEMENT_MISSED,
            AgreementError::Cursor(_) => return cursor(),
            AgreementError::Db(error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<CreditError> for Problem {
    fn from(error: CreditError) -> Self {
        let kind = match &error {
            CreditError::UnknownMerchant => &codes::UNKNOWN_MERCHANT,
            CreditError::NotPositive | CreditError::Amount(_) => &codes::BAD_AMOUNT,
            CreditError::NoPool => &codes::NO_POOL,
            CreditError::NotWhole { .. } => &codes::BLOCK_NOT_WHOLE,
            CreditError::TooMuch { .. } => &codes::DEPOSIT_TOO_SMALL,
            CreditError::Needed { .. } => &codes::DEPOSIT_NEEDED,
            CreditError::ReferenceTaken => &codes::CREDIT_REFERENCE_TAKEN,
            CreditError::NoStep(_) => &codes::OUT_OF_STEP,
            CreditError::NeedsSecondPerson => &codes::NEEDS_SECOND_PERSON,
            CreditError::InThePast(_) => &codes::WIND_DOWN_TOO_EARLY,
            CreditError::NothingDue => &codes::NOTHING_DUE,
            CreditError::AtStripe => &codes::PAYMENT_AT_STRIPE,
            CreditError::Cursor(_) => return cursor(),
            CreditError::Db(error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<MemberError> for Problem {
    fn from(error: MemberError) -> Self {
        let kind = match &error {
            MemberError::UnknownMember => &codes::UNKNOWN_MEMBER,
            MemberError::AlreadyMember(Some(holder)) => {
                let detail = format!("{} It is {holder}.", sentence(&error));
                return Self::new(&codes::ALREADY_MEMBER, detail);
            }
            MemberError::AlreadyMember(None) => &codes::ALREADY_MEMBER,
            MemberError::PointsLeft(_) => &codes::POINTS_LEFT,
            MemberError::NoNumber => &codes::MEMBER_WITHOUT_NUMBER,
            MemberError::Db(error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<EarnError> for Problem {
    fn from(error: EarnError) -> Self {
        let kind = match &error {
            EarnError::UnknownStore => &codes::UNKNOWN_STORE,
            EarnError::Suspended => &codes::SUSPENDED,
            EarnError::UnknownMember => &codes::UNKNOWN_MEMBER,
            EarnError::UnknownPurchase => &codes::UNKNOWN_PURCHASE,
            EarnError::ReceiptTaken(_) => &codes::RECEIPT_TAKEN,
            EarnError::NoLines => &codes::INVALID_BODY,
            EarnError::Future => &codes::IN_THE_FUTURE,
            EarnError::RefundTooLarge { .. } => &codes::REFUND_TOO_LARGE,
            EarnError::ReferenceTaken => &codes::REFERENCE_TAKEN,
            EarnError::NotPrepaid { .. } => &codes::NOT_PREPAID,
            EarnError::Amount(_) | EarnError::Ledger(LedgerError::Amount(_)) => {
                &codes::AMOUNT_TOO_LARGE
            }
            EarnError::Ledger(LedgerError::NotEnoughPoints { .. }) => &codes::NOT_ENOUGH_POINTS,
            EarnError::Ledger(LedgerError::Missing(_) | LedgerError::OnlyElsewhere) => {
                return Self::of(&codes::INTERNAL_ERROR).because(error);
            }
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<AdjustError> for Problem {
    fn from(error: AdjustError) -> Self {
        let kind = match &error {
            AdjustError::UnknownStore => &codes::UNKNOWN_STORE,
            AdjustError::GivesNone => &codes::STORE_GIVES_NONE,
            AdjustError::UnknownMember => &codes::UNKNOWN_MEMBER,
            AdjustError::Unknown => &codes::UNKNOWN_ADJUSTMENT,
            AdjustError::Decided => &codes::ADJUSTMENT_DECIDED,
            AdjustError::NeedsSecondPerson => &codes::NEEDS_SECOND_PERSON,
            AdjustError::NotEnoughPoints { .. } => &codes::NOT_ENOUGH_POINTS,
            AdjustError::Amount(_) => &codes::AMOUNT_TOO_LARGE,
            AdjustError::Cursor(_) => return cursor(),
            AdjustError::Db(error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<SpendError> for Problem {
    fn from(error: SpendError) -> Self {
        let kind = match &error {
            SpendError::UnknownStore => &codes::UNKNOWN_STORE,
            SpendError::Suspended => &codes::SUSPENDED,
            SpendError::StoreTakesNoPoints => &codes::STORE_MAY_NOT_SPEND,
            SpendError::UnknownMember => &codes::UNKNOWN_MEMBER,
            SpendError::FormNotOffered => &codes::FORM_NOT_OFFERED,
            SpendError::BelowThreshold { .. }
            | SpendError::NotInBlocks { .. }
            | SpendError::TooFewPoints { .. }
            | SpendError::OverTheLimit { .. } => &codes::OVER_THE_LIMIT,
            SpendError::NotEnoughPoints { .. } => &codes::NOT_ENOUGH_POINTS,
            SpendError::AlreadySpent { .. } => &codes::RECEIPT_TAKEN,
            SpendError::InTheFuture => &codes::IN_THE_FUTURE,
            SpendError::Amount(_) => &codes::AMOUNT_TOO_LARGE,
            SpendError::Db(error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<RedemptionError> for Problem {
    fn from(error: RedemptionError) -> Self {
        let kind = match &error {
            RedemptionError::UnknownGood => &codes::UNKNOWN_GOOD,
            RedemptionError::UnknownMember => &codes::UNKNOWN_MEMBER,
            RedemptionError::UnknownStore => &codes::UNKNOWN_STORE,
            RedemptionError::UnknownRedemption | RedemptionError::UnknownCode => {
                &codes::UNKNOWN_REDEMPTION
            }
            RedemptionError::UnknownMerchant(_) => &codes::UNKNOWN_MERCHANT,
            RedemptionError::GoodCodeTaken(_) | RedemptionError::ListedTwice(_) => {
                &codes::CODE_TAKEN
            }
            RedemptionError::BadGood { .. } => &codes::BAD_GOOD,
            RedemptionError::NotOffered => &codes::NOT_OFFERED_HERE,
            RedemptionError::Suspended => &codes::SUSPENDED,
            RedemptionError::StoreTakesNoPoints => &codes::STORE_MAY_NOT_SPEND,
            RedemptionError::OutOfStock => &codes::OUT_OF_STOCK,
            RedemptionError::DayLimit { .. } | RedemptionError::MonthLimit { .. } => {
                &codes::LIMIT_REACHED
            }
            RedemptionError::NotEnoughPoints { .. } => &codes::NOT_ENOUGH_POINTS,
            RedemptionError::AlreadyClaimed => &codes::CODE_ALREADY_USED,
            RedemptionError::AlreadyCancelled => &codes::CODE_CANCELLED,
            RedemptionError::Lapsed => &codes::CODE_LAPSED,
            RedemptionError::Amount(_) => &codes::AMOUNT_TOO_LARGE,
            RedemptionError::Cursor(_) => return cursor(),
            RedemptionError::Db(error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<SettlementError> for Problem {
    fn from(error: SettlementError) -> Self {
        let kind = match &error {
            SettlementError::NotFound => &codes::UNKNOWN_SETTLEMENT,
            SettlementError::OtherUnit(error) => return Self::from(*error),
            SettlementError::PeriodNotOver { .. } => &codes::PERIOD_NOT_OVER,
            SettlementError::OutOfTurn(_) => &codes::OUT_OF_TURN,
            SettlementError::NeedsSecondPerson => &codes::NEEDS_SECOND_PERSON,
            SettlementError::StatementConfirmed => &codes::STATEMENT_CONFIRMED,
            SettlementError::NotDue { .. } => &codes::CONFIRMATION_NOT_DUE,
            SettlementError::NotListed { .. } => {
                return Self::new(&codes::LINES_BEING_LISTED, sentence(&error)).retry_after(5);
            }
            SettlementError::NotCutOff(_) | SettlementError::Figures(_) => {
                return Self::of(&codes::INTERNAL_ERROR).because(error);
            }
            SettlementError::Cursor(_) => return cursor(),
            SettlementError::Db(error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<OtherUnit> for Problem {
    fn from(error: OtherUnit) -> Self {
        Self::new(&codes::PERIOD_OF_OTHER_UNIT, sentence(&error)).param("period")
    }
}

impl From<PrintError> for Problem {
    fn from(error: PrintError) -> Self {
        Self::of(&codes::INTERNAL_ERROR).because(error)
    }
}

impl From<MessageError> for Problem {
    fn from(error: MessageError) -> Self {
        let kind = match &error {
            MessageError::NotFound => &codes::UNKNOWN_MESSAGE,
            MessageError::AlreadySent => &codes::MESSAGE_SENT,
            MessageError::Cursor(_) => return cursor(),
            MessageError::Db(error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Cursor(_) => cursor(),
            AuditError::Db(error) => Self::from(error),
        }
    }
}

impl From<DisputeError> for Problem {
    fn from(error: DisputeError) -> Self {
        let kind = match &error {
            DisputeError::UnknownStatement => &codes::UNKNOWN_SETTLEMENT,
            DisputeError::UnknownLine => &codes::UNKNOWN_LINE,
            DisputeError::UnknownDispute => &codes::UNKNOWN_DISPUTE,
            DisputeError::MovesNothing => &codes::LINE_MOVES_NO_MONEY,
            DisputeError::AlreadyDisputed => &codes::LINE_DISPUTED,
            DisputeError::TooLate { .. } => &codes::DISPUTE_TOO_LATE,
            DisputeError::AlreadyDecided => &codes::DISPUTE_DECIDED,
            DisputeError::NeedsSecondPerson => &codes::NEEDS_SECOND_PERSON,
            DisputeError::OutOfTurn(_) => &codes::OUT_OF_TURN,
            DisputeError::Amount(_) => return Self::of(&codes::INTERNAL_ERROR).because(error),
            DisputeError::Cursor(_) => return cursor(),
            DisputeError::Db(error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<LiabilityError> for Problem {
    fn from(error: LiabilityError) -> Self {
        let kind = match &error {
            LiabilityError::OtherUnit(error) => return Self::from(*error),
            LiabilityError::NotFound => &codes::UNKNOWN_MERCHANT,
            LiabilityError::Broken { .. } => return Self::of(&codes::BOOKS_BROKEN).because(error),
            LiabilityError::Amount(_) => return Self::of(&codes::INTERNAL_ERROR).because(error),
            LiabilityError::Cursor(_) => return cursor(),
            LiabilityError::Db(error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<PaymentError> for Problem {
    fn from(error: PaymentError) -> Self {
        let error = match error {
            PaymentError::Credit(error) => return Self::from(error),
            other => other,
        };
        let kind = match &error {
            PaymentError::UnknownSettlement => &codes::UNKNOWN_SETTLEMENT,
            PaymentError::UnknownPayment => &codes::UNKNOWN_PAYMENT,
            PaymentError::OutOfTurn(_) => &codes::OUT_OF_TURN,
            PaymentError::AlreadyRecorded => &codes::PAYMENT_RECORDED,
            PaymentError::AtStripe => &codes::PAYMENT_AT_STRIPE,
            PaymentError::BankFile(bad) => {
                let faults = bad.iter().map(in_the_file).collect();
                return Self::new(&codes::BANK_FILE_REFUSED, sentence(&error)).faults(faults);
            }
            PaymentError::Credit(_) => &codes::DEPOSIT_TOO_SMALL,
            PaymentError::Cursor(_) => return cursor(),
            PaymentError::Db(error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<StripeError> for Problem {
    fn from(error: StripeError) -> Self {
        let kind = match &error {
            StripeError::UnknownSettlement => &codes::UNKNOWN_SETTLEMENT,
            StripeError::UnknownLeg => &codes::UNKNOWN_LEG,
            StripeError::OutOfTurn(_) => &codes::OUT_OF_TURN,
            StripeError::OutOfStep(_) => &codes::LEG_OUT_OF_STEP,
            StripeError::Currency => &codes::STRIPE_CURRENCY,
            StripeError::Incomplete(missing) => {
                let faults = missing.iter().map(lacking).collect();
                return Self::new(&codes::STRIPE_INCOMPLETE, sentence(&error)).faults(faults);
            }
            StripeError::Amount(_) => return Self::of(&codes::INTERNAL_ERROR).because(error),
            StripeError::Cursor(_) => return cursor(),
            StripeError::Db(error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

impl From<EventError> for Problem {
    fn from(error: EventError) -> Self {
        let kind = match &error {
            EventError::Unsigned | EventError::Old | EventError::Signature => &codes::BAD_SIGNATURE,
            EventError::Body => &codes::INVALID_BODY,
        };
        Self::new(kind, sentence(&error))
    }
}

/// What a merchant lacks, under its id.
fn lacking(missing: &Missing) -> Fault {
    let (code, what) = match missing.what {
        Lacks::Email => ("no-email", "an address of e-mail"),
        Lacks::Account => ("no-account", "a connected account"),
    };
    Fault {
        pointer: format!("/merchants/{}", missing.merchant),
        code,
        detail: format!("{} lacks {what}.", missing.code.as_str()),
    }
}

/// A line of a bank's file as a place in the body.
fn in_the_file(bad: &BadLine) -> Fault {
    Fault {
        pointer: "/file".to_owned(),
        code: bad.code,
        detail: format!("Line {}: {}.", bad.line, bad.why),
    }
}

/// A cursor whose seal is ours but whose place is none of the list.
fn cursor() -> Problem {
    Problem::of(&codes::INVALID_CURSOR).param("cursor")
}

/// A mistake of ours, in words for the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(String);

/// What stands stored and cannot be read, as a problem of ours.
pub fn corrupt(what: &'static str) -> Problem {
    Problem::from(db::Error::Corrupt(what))
}

/// A room's message as a sentence: a capital first, a full stop last.
fn sentence(error: &dyn std::error::Error) -> String {
    let said = error.to_string();
    let mut letters = said.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_uppercase(), letters.as_str())
    })
}

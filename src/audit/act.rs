//! What the audit knows of: acts, and the fields that may be said of them.
//!
//! Whoever adds one gives it its words in `src/texts/*/audit.ftl`: `audit-act-key-made`,
//! `audit-field-label`.

/// Declares a closed list of words.
macro_rules! words {
    ($(#[$doc:meta])* $list:ident { $($(#[$of:meta])* $one:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $list {
            $($(#[$of])* $one,)*
        }

        impl $list {
            /// All of them, in the order of this file.
            pub const ALL: &'static [Self] = &[$(Self::$one),*];

            /// As the table and the API write it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$one => $word,)*
                }
            }

            /// The one of that word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }
    };
}

words! {
    /// An act that is written down. What happens at a till is not among them: the ledger carries it.
    Act {
        /// Somebody signed in.
        SignedIn = "session.opened",
        /// Somebody tried to, with another password.
        SignInFailed = "session.failed",
        /// Too many tries failed: nobody comes in there for a quarter of an hour.
        SignInLocked = "session.locked",
        /// Somebody signed out.
        SignedOut = "session.ended",
        /// Somebody ended another session of theirs.
        SessionRevoked = "session.revoked",
        /// Somebody ended all their other sessions.
        OthersRevoked = "session.others-revoked",
        /// Somebody asked for a link by mail.
        LinkAsked = "link.asked",
        /// Somebody chose a password by a link.
        PasswordChosen = "password.chosen",
        /// Somebody changed their password.
        PasswordChanged = "password.changed",
        /// Somebody who is signed in showed another password than theirs.
        PasswordFailed = "password.failed",
        /// Somebody took a second factor into use.
        FactorAdded = "factor.added",
        /// Somebody showed their second factor.
        FactorShown = "factor.shown",
        /// Somebody showed a wrong code.
        FactorFailed = "factor.failed",
        /// Too many codes were wrong.
        FactorLocked = "factor.locked",
        /// Somebody took their second factor away.
        FactorRemoved = "factor.removed",
        /// Somebody used a recovery code instead of their second factor.
        RecoveryCodeUsed = "recovery-code.used",
        /// Somebody made new recovery codes.
        RecoveryCodesMade = "recovery-code.made",
        /// Somebody changed what follows them: name, language, zone, looks.
        AccountChanged = "account.changed",
        /// Somebody was asked to come.
        StaffInvited = "staff.invited",
        /// The same, again.
        StaffInvitedAgain = "staff.invited-again",
        /// Somebody has other roles.
        StaffRolesChanged = "staff.roles-changed",
        /// Somebody may do nothing any more.
        StaffEnded = "staff.ended",
        /// A change of roles waits for a second person.
        RoleChangeProposed = "role-change.proposed",
        /// A second person confirmed it.
        RoleChangeConfirmed = "role-change.confirmed",
        /// Somebody refused it, or took it back.
        RoleChangeRejected = "role-change.rejected",
        /// A role of the mall's own was made.
        RoleMade = "role.made",
        /// It was changed.
        RoleChanged = "role.changed",
        /// It was ended.
        RoleEnded = "role.ended",
        /// A key was made.
        KeyMade = "key.made",
        /// A key was ended.
        KeyRevoked = "key.revoked",
        /// A company began an application to join.
        ApplicationStarted = "application.started",
        /// An application came to another state.
        ApplicationMoved = "application.moved",
        /// Companies that want to join have other conditions, or another agreement, to accept.
        ConditionsPublished = "conditions.published",
        /// A merchant joined.
        MerchantMade = "merchant.made",
        /// A merchant works again.
        MerchantActivated = "merchant.activated",
        /// A merchant was stopped.
        MerchantSuspended = "merchant.suspended",
        /// A merchant leaves in order.
        MerchantWindsDown = "merchant.winds-down",
        /// A store opened.
        StoreMade = "store.made",
        /// A store works again.
        StoreActivated = "store.activated",
        /// A store was stopped.
        StoreSuspended = "store.suspended",
        /// A merchant's mail goes elsewhere.
        ContactSet = "contact.set",
        /// A merchant gets no mail any more.
        ContactRemoved = "contact.removed",
        /// A merchant gives another number of points by a rule.
        EarnRateSet = "earn-rate.set",
        /// A merchant is paid to another account at Stripe.
        StripeAccountSet = "stripe-account.set",
        /// Terms were put to a merchant.
        AgreementProposed = "agreement.proposed",
        /// A merchant accepted them.
        AgreementAccepted = "agreement.accepted",
        /// There is another programme.
        ProgrammePublished = "programme.published",
        /// The mall settles by other periods.
        PeriodUnitSet = "programme.period-set",
        /// Merchants and stores were brought to what a manifest lists.
        MerchantsListed = "manifest.merchants",
        /// Contacts were brought to what a manifest lists.
        ContactsListed = "manifest.contacts",
        /// Accounts at Stripe were brought to what a manifest lists.
        StripeAccountsListed = "manifest.stripe-accounts",
        /// The catalogue was brought to what a manifest lists.
        GoodsListed = "manifest.goods",
        /// Somebody became a member.
        MemberEnrolled = "member.enrolled",
        /// The holders of cards became members.
        MembersEnrolled = "member.cards-enrolled",
        /// All that is known of a member was taken away.
        MemberCopied = "member.copied",
        /// A member's personal data is gone.
        MemberErased = "member.erased",
        /// A good was put into the catalogue.
        GoodMade = "good.made",
        /// A period takes nothing more.
        PeriodCutOff = "settlement.cut-off",
        /// Its figures were written.
        SettlementCalculated = "settlement.calculated",
        /// Merchants see their statements.
        SettlementIssued = "settlement.issued",
        /// Silence was taken for agreement.
        SettlementConfirmed = "settlement.confirmed",
        /// A merchant agreed to its statement.
        StatementConfirmed = "statement.confirmed",
        /// A payment was made.
        PaymentRecorded = "payment.recorded",
        /// A bank's file was written.
        BankFileWritten = "bank-file.written",
        /// A bank's file was read.
        BankFileRead = "bank-file.read",
        /// Payments are asked for at Stripe.
        StripeRequested = "stripe.requested",
        /// One of them is tried again.
        StripeRetried = "stripe.retried",
        /// One of them was given up.
        StripeCancelled = "stripe.cancelled",
        /// A merchant objected to a line.
        DisputeRaised = "dispute.raised",
        /// That was decided.
        DisputeDecided = "dispute.decided",
        /// Points were added or taken by hand, or are to be.
        AdjustmentProposed = "adjustment.proposed",
        /// That was decided.
        AdjustmentDecided = "adjustment.decided",
        /// Money of a merchant moved outside of settlements.
        CreditRecorded = "credit.recorded",
        /// A merchant may owe another sum.
        CreditLimitSet = "credit.limit-set",
        /// A merchant is said not to pay.
        DefaultRaised = "default.raised",
        /// That was taken back.
        DefaultWithdrawn = "default.withdrawn",
        /// A merchant was found in default.
        DefaultDeclared = "default.declared",
        /// A message is tried again.
        MessageRetried = "message.retried",
        /// The audit was taken away.
        AuditExported = "audit.exported",
        /// The mall was taken away, whole.
        MallExported = "mall.exported",
        /// The mall was made of an archive.
        MallRestored = "mall.restored",
    }
}

words! {
    /// What is said of an act, before and after. Never a secret, and of personal data a mask.
    Field {
        /// A mall's own code.
        Code = "code",
        /// A name that the operator gave, in the languages that there are.
        Names = "names",
        /// A person's name.
        Name = "name",
        /// What a key is for.
        Label = "label",
        /// A role.
        Role = "role",
        /// Roles.
        Roles = "roles",
        /// What a role may do.
        Rights = "rights",
        /// Stores by their ids.
        Stores = "stores",
        /// A store.
        Store = "store",
        /// A merchant.
        Merchant = "merchant",
        /// A member.
        Member = "member",
        /// A person.
        Person = "person",
        /// What a merchant trades in.
        Trade = "trade",
        /// What it does in the alliance.
        Alliance = "alliance",
        /// How far something is.
        State = "state",
        /// An address of e-mail, masked.
        Email = "email",
        /// A language.
        Language = "language",
        /// A time zone.
        Zone = "zone",
        /// How pages look.
        Theme = "theme",
        /// A browser or a machine, in short.
        Device = "device",
        /// A rule of the programme.
        Rule = "rule",
        /// Points.
        Points = "points",
        /// An account at Stripe.
        Account = "account",
        /// A version.
        Version = "version",
        /// Since when something holds.
        From = "from",
        /// What something is, as a hash.
        Digest = "digest",
        /// A period.
        Period = "period",
        /// A unit of periods.
        Unit = "unit",
        /// A line of a settlement's payments.
        Line = "line",
        /// How something was paid.
        Method = "method",
        /// What whoever paid calls it.
        Reference = "reference",
        /// Money, in minor units.
        Amount = "amount",
        /// What a merchant may owe beyond its deposit, in minor units.
        Limit = "limit",
        /// What the operator keeps of a merchant, in minor units.
        Deposit = "deposit",
        /// The last day.
        LastDay = "last-day",
        /// A kind.
        Kind = "kind",
        /// How many.
        Count = "count",
        /// How many were new.
        Made = "made",
        /// How many were otherwise.
        Changed = "changed",
    }
}

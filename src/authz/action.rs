//! Everything that anybody may do, as types. A use case names its action in its signature.

/// An act on a kind of object; the policy speaks of it by these two words.
pub trait Action: sealed::Sealed + Send + Sync + 'static {
    /// What is acted on: "purchase".
    const OBJECT: &'static str;
    /// What is done: "record".
    const ACT: &'static str;
    /// Whether somebody has it who is narrowed to stores of a merchant: either its use case asks the
    /// grant which stores it covers, or nothing of any store is in it. Whoever is narrowed has no
    /// other action.
    const BY_STORE: bool;
}

mod sealed {
    /// Only this file makes actions, so that [`super::ALL`] is all of them.
    pub trait Sealed {}
}

/// Declares the actions and the list of all of them.
macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident = $object:literal $act:literal $(by $store:ident)?;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub enum $action {}
            impl sealed::Sealed for $action {}
            impl Action for $action {
                const OBJECT: &'static str = $object;
                const ACT: &'static str = $act;
                const BY_STORE: bool = !concat!($(stringify!($store))?).is_empty();
            }
        )*

        /// Every action as (object, act), in the order of this file.
        pub const ALL: &[(&str, &str)] = &[$(($object, $act)),*];

        /// Whether whoever is narrowed to stores can have this action: [`Action::BY_STORE`].
        pub fn is_by_store(object: &str, act: &str) -> bool {
            let all = [$(($object, $act, <$action as Action>::BY_STORE)),*];
            all.contains(&(object, act, true))
        }
    };
}

/// The action of these two words, where there is one.
pub fn find(object: &str, act: &str) -> Option<(&'static str, &'static str)> {
    ALL.iter().copied().find(|known| *known == (object, act))
}

actions! {
    /// Show a key and be recognised.
    Authenticate = "key" "present";
    /// Make a machine's key.
    CreateKey = "key" "create";
    /// List keys, without their secrets.
    ReadKeys = "key" "read";
    /// End a key.
    RevokeKey = "key" "revoke";
    /// Come in: with a password, with a link, or by asking for one.
    SignIn = "session" "open";
    /// See and change what is one's own: password, second factor, sessions, language.
    UseAccount = "account" "use" by store;
    /// See and end one's own sessions as a member.
    UseMembership = "membership" "use";
    /// Ask somebody to come and work here, in roles that one could act in oneself.
    InviteStaff = "staff" "invite";
    /// List the people who work here, and in which roles.
    ReadStaff = "staff" "read";
    /// Change the roles of people, and end what they may do.
    ManageStaff = "staff" "manage";
    /// See which roles there are, and what each may do.
    ReadRoles = "role" "read" by store;
    /// Make, change and end roles of the mall's own, of rights that one has oneself.
    ManageRoles = "role" "manage";
    /// Give merchants their people, whose roles one could not act in oneself.
    StaffMerchant = "merchant" "staff";
    /// Give the mall its own people, whatever one may do oneself.
    StaffMall = "tenant" "staff";
    /// Write the letters that let people choose a password.
    SendLinks = "link" "send";
    /// Tell telephones the codes by which members come in.
    SendCodes = "sign-in-code" "send";
    /// Create, list, suspend and resume malls.
    ManageTenants = "tenant" "manage";
    /// Bring a mall's programme, merchants and goods to what its manifest says.
    ApplyManifest = "tenant" "apply";
    /// Take a mall out whole, personal data and all, bring it in again, and delete it.
    CarryTenant = "tenant" "carry";
    /// Read a mall's settings and programme.
    ReadProgramme = "tenant" "read" by store;
    /// Take a merchant into the alliance.
    CreateMerchant = "merchant" "create";
    /// List merchants.
    ReadMerchants = "merchant" "read" by store;
    /// Let a suspended merchant work again.
    ActivateMerchant = "merchant" "activate";
    /// Stop a merchant from issuing and accepting points.
    SuspendMerchant = "merchant" "suspend";
    /// See the conditions for joining, and begin an application or have its link sent again.
    StartApplication = "application" "start";
    /// Fill in one's own application, send it in, and accept what is agreed on.
    UseApplication = "application" "use";
    /// Read applications with their files.
    ReadApplications = "application" "read";
    /// Take applications under review, ask for more, approve and reject them.
    DecideApplications = "application" "decide";
    /// Say by which conditions merchants join, and what they agree to.
    SetConditions = "conditions" "set";
    /// Write to those who applied, and tidy their files.
    SendNews = "application" "send";
    /// Put terms of settling to a merchant.
    ProposeAgreement = "agreement" "propose";
    /// Accept terms of settling for a merchant.
    AcceptAgreement = "agreement" "accept";
    /// Read what merchants settle by.
    ReadAgreements = "agreement" "read";
    /// Say that money of a merchant moved outside of settlements: a deposit, a block of points.
    RecordCredit = "credit" "record";
    /// Read how a merchant stands: deposit, blocks, limit, light.
    ReadCredit = "credit" "read";
    /// Say how much a merchant may owe beyond its deposit.
    SetCreditLimit = "credit" "limit";
    /// Look whether merchants are covered for what they owe and could come to owe.
    EvaluateCredit = "credit" "evaluate";
    /// Let a merchant leave the alliance in order.
    WindDown = "merchant" "wind-down";
    /// End the points of merchants that have left.
    EndPoints = "points" "end";
    /// Open a store of a merchant.
    CreateStore = "store" "create";
    /// List stores.
    ReadStores = "store" "read" by store;
    /// Let a suspended store work again.
    ActivateStore = "store" "activate";
    /// Stop a store from issuing and accepting points.
    SuspendStore = "store" "suspend";
    /// Make somebody a member.
    EnrolMember = "member" "enrol" by store;
    /// Find a member; see balance and history.
    ReadMembers = "member" "read" by store;
    /// Take away all that is known of a member.
    CopyMembers = "member" "copy";
    /// Take a member's personal data out of the mall for ever.
    EraseMembers = "member" "erase";
    /// Record a purchase, which earns points.
    RecordPurchase = "purchase" "record" by store;
    /// Read a purchase.
    ReadPurchases = "purchase" "read" by store;
    /// Refund a purchase, which takes points back.
    RefundPurchase = "purchase" "refund" by store;
    /// Pay part of a purchase with a member's points.
    SpendPoints = "points" "spend" by store;
    /// Send many purchases, spends and refunds at once, each of which needs its own right too.
    PostBatch = "batch" "post" by store;
    /// Let points lapse whose time has come.
    ExpirePoints = "points" "expire";
    /// Put a good into the catalogue.
    CreateGood = "good" "create";
    /// Read the catalogue.
    ReadGoods = "good" "read" by store;
    /// Set a good aside for a member.
    ReserveGood = "redemption" "reserve" by store;
    /// Read a reservation.
    ReadRedemptions = "redemption" "read" by store;
    /// Hand a good over against its code.
    ClaimGood = "redemption" "claim" by store;
    /// Give up a reservation.
    CancelRedemption = "redemption" "cancel" by store;
    /// Give back what was reserved and not fetched in time.
    LapseRedemptions = "redemption" "lapse";
    /// See what a period's settlement would be.
    PreviewSettlement = "settlement" "preview";
    /// Close a period.
    CloseSettlement = "settlement" "close";
    /// Read closed periods.
    ReadSettlements = "settlement" "read";
    /// Read a merchant's statement and its lines.
    ReadStatements = "statement" "read";
    /// Let merchants see the settlement of a period.
    IssueSettlement = "settlement" "issue";
    /// Take the silence of merchants for agreement, once their time is over.
    ConfirmSettlement = "settlement" "confirm";
    /// Agree to a merchant's statement.
    ConfirmStatement = "statement" "confirm";
    /// Add or take points by hand, or propose to.
    ProposeAdjustment = "adjustment" "propose";
    /// Decide what somebody else proposed to add or to take.
    DecideAdjustment = "adjustment" "decide";
    /// Read what was added and taken by hand.
    ReadAdjustments = "adjustment" "read";
    /// Object to a line of a merchant's statement.
    RaiseDispute = "dispute" "raise";
    /// Read disputes.
    ReadDisputes = "dispute" "read";
    /// Decide a dispute.
    DecideDispute = "dispute" "decide";
    /// Say how something was paid after a period.
    RecordPayment = "payment" "record";
    /// Say that a merchant does not pay what is due, or take that back.
    RaiseDefault = "default" "raise";
    /// Find a merchant in default.
    DeclareDefault = "default" "declare";
    /// Read what is outstanding in points, how old it is, when it lapses and how it is booked.
    ReadLiability = "liability" "read";
    /// Prove the books.
    VerifyBooks = "books" "verify";
    /// Try to get out of the mall's walls, and see that they hold.
    VerifyIsolation = "isolation" "verify";
    /// See where a merchant's mail goes.
    ReadContact = "contact" "read";
    /// Say where a merchant's mail goes, or that none is to go.
    SetContact = "contact" "set";
    /// See how many points a merchant gives by the rules that leave it to merchants.
    ReadEarnRates = "earn-rate" "read";
    /// Choose how many points a merchant gives by such a rule.
    SetEarnRate = "earn-rate" "set";
    /// See to which account at Stripe a merchant is paid.
    ReadStripeAccount = "stripe-account" "read";
    /// Say to which account at Stripe a merchant is paid.
    SetStripeAccount = "stripe-account" "set";
    /// Ask Stripe for invoices and transfers, and write down what it says of them.
    FollowStripe = "stripe" "follow";
    /// See what was sent to whom about what, and what was not.
    ReadMessages = "message" "read";
    /// Have a message tried again.
    RetryMessage = "message" "retry";
    /// Send messages.
    SendMessages = "message" "send";
    /// Read who did what, and have its chain proved.
    ReadAudit = "audit" "read";
    /// Take the audit away, whole.
    ExportAudit = "audit" "export";
    /// Hand the outbox to the worker.
    RelayJobs = "job" "relay";
}

//! The table of everything that this server refuses, by a code that never changes its meaning.
//!
//! A code is an address too: `/problems/<code>` shows its row. Rooms' errors find their row in
//! `refusals.rs`; add a row here first.

mod merchants;

use poem::http::StatusCode;

pub use self::merchants::*;

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The stable name, in kebab case.
    pub code: &'static str,
    /// The status of the answer.
    pub status: StatusCode,
    /// What happened, the same for every occurrence.
    pub title: &'static str,
    /// What to do about it.
    pub help: &'static str,
}

impl Kind {
    /// Whether the same request may succeed later, unchanged.
    pub fn retryable(&self) -> bool {
        matches!(self.status.as_u16(), 408 | 429 | 503) || *self == IDEMPOTENCY_IN_PROGRESS
    }

    /// The row of a code.
    pub fn find(code: &str) -> Option<&'static Self> {
        all().find(|kind| kind.code == code)
    }
}

/// Declares rows and the list of them.
macro_rules! table {
    ($all:ident; $($name:ident = $status:ident $code:literal $title:literal $help:literal;)*) => {
        $(
            #[doc = $title]
            pub static $name: Kind = Kind {
                code: $code,
                status: StatusCode::$status,
                title: $title,
                help: $help,
            };
        )*

        /// Every row, in the order of this file.
        pub(super) static $all: &[&Kind] = &[$(&$name),*];
    };
}
use table;

/// Every row.
pub fn all() -> impl Iterator<Item = &'static Kind> {
    COMMON.iter().chain(MERCHANTS).copied()
}

table! {
    COMMON;
    // --- the request itself
    INVALID_PARAMETER = BAD_REQUEST "invalid-parameter"
        "A parameter is not what it should be"
        "`param` names the parameter; the API's description at /docs says what it may be.";
    UNKNOWN_PARAMETER = BAD_REQUEST "unknown-parameter"
        "A parameter is not known here"
        "Leave out the parameter that `param` names, or write it as the API's description does.";
    REPEATED_PARAMETER = BAD_REQUEST "repeated-parameter"
        "A parameter is given more than once"
        "Give the parameter that `param` names once.";
    INVALID_CURSOR = BAD_REQUEST "invalid-cursor"
        "This is not a cursor of this list"
        "Pass `next_cursor` of an earlier page of the same list unchanged, or none to begin again.";
    INVALID_JSON = BAD_REQUEST "invalid-json"
        "The body is not JSON"
        "Send one JSON value in UTF-8; `detail` says where reading stopped.";
    INVALID_BODY = BAD_REQUEST "invalid-body"
        "The body is not what this operation takes"
        "`errors` names each place in the body by a JSON pointer and says what is wrong with it.";
    UNREADABLE_BODY = BAD_REQUEST "unreadable-body"
        "The body broke off"
        "The connection ended before the body did. Send the request again.";
    HOST_MISSING = BAD_REQUEST "host-missing"
        "The request names no host"
        "The host says which mall is meant: send one Host header.";
    IDEMPOTENCY_KEY_MISSING = BAD_REQUEST "idempotency-key-missing"
        "This operation needs an Idempotency-Key"
        "Send a header Idempotency-Key with a value of your own that you use for this act only \
         (1 to 255 printable ASCII characters without spaces, such as a UUID), and send the same \
         value when you repeat the request.";
    REQUEST_TIMEOUT = REQUEST_TIMEOUT "request-timeout"
        "The body took too long"
        "A body must arrive within 30 seconds. Send it again over a faster line.";
    BODY_TOO_LARGE = PAYLOAD_TOO_LARGE "body-too-large"
        "The body is too large"
        "A body has at most 1 MiB, a file of an application as much as the settings say (5 MiB). Use the \
         command line's import for large files.";
    UNSUPPORTED_MEDIA_TYPE = UNSUPPORTED_MEDIA_TYPE "unsupported-media-type"
        "The body is of a kind that this operation does not take"
        "Send JSON, and the header Content-Type: application/json.";
    IDEMPOTENCY_KEY_REUSED = UNPROCESSABLE_ENTITY "idempotency-key-reused"
        "This Idempotency-Key was used for something else"
        "Under this key another request was answered. Repeat exactly that request to see its \
         answer, or use a new key for a new act.";
    IDEMPOTENCY_IN_PROGRESS = CONFLICT "idempotency-in-progress"
        "The same request is being answered"
        "Wait a second and repeat the request under the same key.";

    // --- addresses
    NOT_FOUND = NOT_FOUND "not-found"
        "There is nothing at this address"
        "The API's description at /docs lists every address.";
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED "method-not-allowed"
        "This address does not take this method"
        "The header Allow lists the methods that it takes.";
    UNKNOWN_MALL = NOT_FOUND "unknown-mall"
        "No mall answers at this host"
        "Each mall is reached by the hosts that its manifest lists; check the address.";
    MALL_SUSPENDED = SERVICE_UNAVAILABLE "mall-suspended"
        "This mall takes no requests for now"
        "The mall was suspended by its host, or is being opened. Nothing is lost; try again later.";
    LINES_BEING_LISTED = SERVICE_UNAVAILABLE "lines-being-listed"
        "The lines of this statement are still being listed"
        "The figures are complete; of a large month the lines follow behind them. `detail` says how \
         far they are: ask again after the time that Retry-After says.";
    MALL_MOVING = SERVICE_UNAVAILABLE "mall-moving"
        "This mall is being moved to another database"
        "It takes seconds to minutes. Wait as long as Retry-After says and repeat the request under \
         the same Idempotency-Key: what was done is done once.";

    // --- who asks
    MISSING_KEY = UNAUTHORIZED "missing-key"
        "This operation needs a key"
        "Send the header Authorization: Bearer followed by a key of this mall.";
    UNKNOWN_KEY = UNAUTHORIZED "unknown-key"
        "This key is not known here"
        "The key was revoked, belongs to another mall, or was copied incompletely. The mall's \
         owner can make a new one.";
    NOT_ALLOWED = FORBIDDEN "not-allowed"
        "This key or session may not do that"
        "`permission` names what is missing, and the roles that have and give it. GET /v1/permissions \
         lists who may do what.";

    SECOND_FACTOR_NEEDED = FORBIDDEN "second-factor-needed"
        "This session has not shown its second factor"
        "GET /v1/me says what is missing: send a code to /v1/me/second-factor/verification, or set the \
         second factor up at /v1/me/second-factor.";
    WRONG_CREDENTIALS = UNAUTHORIZED "wrong-credentials"
        "The address or the password is wrong"
        "Try again, or have a link sent to your address by /v1/password-resets.";
    TOO_MANY_TRIES = TOO_MANY_REQUESTS "too-many-tries"
        "Too many tries failed"
        "Wait as long as Retry-After says. The link of a letter from /v1/password-resets opens the \
         account meanwhile.";
    WRONG_CODE = CONFLICT "wrong-code"
        "This code opens nothing"
        "Each code works once and for a minute. Wait for the next, check the telephone's clock, or \
         use a recovery code.";
    NO_SECOND_FACTOR = CONFLICT "no-second-factor"
        "There is no second factor"
        "Set one up at /v1/me/second-factor first.";
    SECOND_FACTOR_OFF = CONFLICT "second-factor-off"
        "This server cannot keep a second factor"
        "Its settings have no key to keep secrets under: whoever runs it sets secrets.key.";
    SECOND_FACTOR_SET_UP = CONFLICT "second-factor-set-up"
        "The second factor is set up already"
        "Show a code of it at /v1/me/second-factor/verification; to set up another, remove it first.";
    INVALID_PHONE = CONFLICT "invalid-phone"
        "This is not a telephone number"
        "Write it with its country code, such as +86 138 0013 8000, or as people dial it here.";
    INVALID_NAME = CONFLICT "invalid-name"
        "This is not a name"
        "A name has at most 120 characters, on one line, and no control characters.";
    NOT_SURE = CONFLICT "not-sure"
        "Nobody said that this is meant"
        "Tick that you are sure: what is erased is gone for ever.";
    TOO_MANY_CODES = TOO_MANY_REQUESTS "too-many-codes"
        "Too many codes were asked for"
        "Wait as long as Retry-After says. A code that was sent opens for five minutes.";
    WRONG_SIGN_IN_CODE = CONFLICT "wrong-sign-in-code"
        "This is not the code"
        "Type the six digits of the newest message. After five wrong ones ask for another code.";
    SIGN_IN_CODE_GONE = CONFLICT "sign-in-code-gone"
        "No code opens this any more"
        "It was used, is older than five minutes, or was tried five times. Ask for another one at \
         /v1/sign-in-codes.";
    SIGN_IN_CODES_OFF = CONFLICT "sign-in-codes-off"
        "This server sends no codes"
        "Whoever runs it sets sms.url and sms.secret.";
    LINK_NOT_VALID = CONFLICT "link-not-valid"
        "This link opens nothing"
        "It was used, has expired, was replaced by a newer one, or belongs to another mall. Ask for \
         another.";
    BAD_PASSWORD = CONFLICT "bad-password"
        "This is not to be a password"
        "Choose 10 to 128 characters that are not easily guessed, such as four words.";
    WRONG_PASSWORD = CONFLICT "wrong-password"
        "This is not the password so far"
        "Send the password that you sign in with as `current`.";
    UNKNOWN_SESSION = NOT_FOUND "unknown-session"
        "There is no such session"
        "List your sessions to see their ids; a machine's key has none.";
    FORM_REFUSED = FORBIDDEN "form-refused"
        "This form is not ours, or too old"
        "Open the page again and fill the form in anew.";
    UNKNOWN_ZONE = CONFLICT "unknown-time-zone"
        "There is no such time zone"
        "Name a zone of the IANA database, such as Asia/Shanghai, or leave it out for the mall's.";
    SIGNING_IN_BUSY = SERVICE_UNAVAILABLE "signing-in-busy"
        "Too many people are signing in at this moment"
        "Try again in a few seconds.";

    // --- people
    UNKNOWN_PERSON = NOT_FOUND "unknown-person"
        "There is no such person"
        "List the people to see their ids; a merchant's people see their own.";
    ADDRESS_TAKEN = CONFLICT "address-taken"
        "Somebody with this address is here already"
        "Change that person's roles, invite them again, or end them first.";
    MIXED_ROLES = CONFLICT "mixed-roles"
        "These roles do not go together"
        "Name one or more different roles, all of the mall or all of one merchant.";
    BEYOND_OWN = CONFLICT "beyond-own"
        "This role may do what you may not"
        "Nobody gives or takes a role in which they could not act. Ask one of the mall's owners.";
    NEEDS_SECOND_OWNER = CONFLICT "needs-second-owner"
        "Another owner has to confirm this"
        "Where there is another owner, nobody makes or unmakes one alone. Propose it by POST \
         /v1/role-changes, and have another owner confirm it; invite whoever is not here yet in \
         another role first.";
    CANNOT_NARROW = CONFLICT "cannot-narrow"
        "This cannot be narrowed to these stores"
        "Only people and keys of a merchant are narrowed, to 1 to 50 of its stores; its owner is not.";
    UNKNOWN_ROLE_CHANGE = NOT_FOUND "unknown-role-change"
        "There is no such change of roles"
        "List the changes of roles to see their ids.";
    ROLE_CHANGE_OPEN = CONFLICT "role-change-already-open"
        "A change of this person's roles is open already"
        "Have the change that `detail` names confirmed or rejected first.";
    NO_ROLE_CHANGE = CONFLICT "no-change-of-roles"
        "Nothing would be another"
        "The person has exactly these roles.";
    ROLE_CHANGE_DECIDED = CONFLICT "role-change-not-open"
        "This change of roles is not open any more"
        "`detail` says what became of it. Propose it anew where it is still wanted.";
    ROLE_CHANGE_OVERTAKEN = CONFLICT "role-change-overtaken"
        "Something happened since this was proposed"
        "The person's roles are others by now, or who proposed it has left. Reject it and propose \
         anew.";
    LAST_OWNER = CONFLICT "last-owner"
        "The mall would be without an owner"
        "Make another active person an owner first.";
    INVITATION_TOLD = CONFLICT "invitation-already-told"
        "This invitation was made by an earlier request"
        "Its link was told once. Where it was lost, invite the person that `detail` names again.";
    NOT_INVITED = CONFLICT "not-invited"
        "This person is not waiting for an invitation"
        "Who has a password signs in, or asks for a link by /v1/password-resets.";
    PERSON_ENDED = CONFLICT "person-ended"
        "This person was ended"
        "Invite them anew, under the same address.";

    // --- roles
    UNKNOWN_ROLE = NOT_FOUND "unknown-role"
        "There is no such role of the mall's own"
        "List the roles to see their ids. The program's own roles are not changed.";
    UNKNOWN_PERMISSION = NOT_FOUND "unknown-permission"
        "There is no such permission"
        "List the permissions to see their objects and actions.";
    ROLE_CODE_TAKEN = CONFLICT "role-code-taken"
        "A role has or had this code"
        "A code is never used again, so that nobody gets rights back who had lost them. Choose another.";
    UNSUITABLE_RIGHT = CONFLICT "unsuitable-right"
        "This cannot be in such a role"
        "A role of the mall's own may do what a role of the program for the same people does. `detail` \
         names the right; the list of permissions says which roles have it.";
    RIGHT_BEYOND_OWN = CONFLICT "right-beyond-own"
        "Nobody gives or takes a right that they lack"
        "`detail` names the right. Ask somebody who has it and may change roles.";
    ROLE_OVERTAKEN = CONFLICT "role-overtaken"
        "The role was changed meanwhile"
        "Read the role again and change that revision.";
    ROLE_ENDED = CONFLICT "role-ended"
        "This role was ended"
        "Make another one, under another code.";
    TOO_MANY_ROLES = CONFLICT "too-many-roles"
        "The mall has as many roles of its own as it can"
        "End one that nobody needs.";

    // --- keys
    NO_SUCH_KEY = NOT_FOUND "unknown-key-id"
        "There is no such key"
        "List the keys to see their ids.";
    KEY_ALREADY_CREATED = CONFLICT "key-already-created"
        "This key was made by an earlier request"
        "A key's secret is told once. Where it was lost, revoke the key that `detail` names and \
         make another under a new Idempotency-Key.";
    UNSUITABLE_ROLE = CONFLICT "unsuitable-role"
        "This role is for nobody of that kind"
        "Use a role of the permission table that begins with operator. or merchant., or for a key \
         with machine.";
    MERCHANT_MISSING = CONFLICT "merchant-missing"
        "A merchant's role needs a merchant"
        "Name the merchant that it is for.";
    MERCHANT_UNASKED = CONFLICT "merchant-unasked"
        "Only a merchant's role is for one merchant"
        "Leave the merchant out, or choose a role that begins with merchant.";

    // --- members
    UNKNOWN_MEMBER = NOT_FOUND "unknown-member"
        "There is no such member"
        "Check the number, or enrol the member first.";
    ALREADY_MEMBER = CONFLICT "already-member"
        "There is a member with this number already"
        "A telephone number and a card belong to one member each. Search for the member by it.";
    POINTS_LEFT = CONFLICT "points-left"
        "The member still has points"
        "Let them be spent first, or send `points_given_up` as true: they lapse unused.";
    MEMBER_WITHOUT_NUMBER = CONFLICT "member-without-number"
        "A member needs a number"
        "Give `phone`, `card_number`, or both.";
    MEMBER_NOT_ONE = CONFLICT "member-not-one"
        "The member is not named in one way"
        "Name a member in one way only: by id, by card number, or by telephone number.";

    // --- purchases, refunds, points at the till
    UNKNOWN_PURCHASE = NOT_FOUND "unknown-purchase"
        "There is no such purchase"
        "Use the `purchase_id` that recording the purchase answered; a merchant's key reaches its \
         own purchases only.";
    RECEIPT_TAKEN = CONFLICT "receipt-taken"
        "This receipt number was used for something else"
        "A receipt number means one receipt of its store for ever. Send exactly what was sent \
         first to see its answer again, or use the number of the new receipt.";
    REFERENCE_TAKEN = CONFLICT "reference-taken"
        "This refund reference was used for something else"
        "A reference means one refund of its purchase for ever. Send exactly what was sent first \
         to see its answer again, or use a new reference.";
    REFUND_TOO_LARGE = CONFLICT "refund-too-large"
        "More would be refunded than is left"
        "Refund at most what is left of the purchase; leave `amount` out to refund all of it.";
    NOT_PREPAID = CONFLICT "not-prepaid"
        "The merchant has not paid for so many points in advance"
        "This mall gives only points that were paid for. The merchant buys another block, or the \
         purchase is sent without a member.";
    IN_THE_FUTURE = CONFLICT "in-the-future"
        "This has not happened yet"
        "`occurred_at` may be five minutes ahead of our clock at most. Set the till's clock, or \
         leave it out.";
    AMOUNT_TOO_LARGE = CONFLICT "amount-too-large"
        "An amount is larger than the books can hold"
        "Sums of money and of points stay below 2^53. Check the amounts.";
    NOT_ENOUGH_POINTS = CONFLICT "not-enough-points"
        "The member has too few points"
        "`detail` says how many there are. Take fewer, or let the member pay in money.";
    OVER_THE_LIMIT = CONFLICT "over-the-limit"
        "So many points may not pay for this total"
        "`detail` says which limit of the mall's programme holds. A preview says how many points \
         may pay.";
    FORM_NOT_OFFERED = CONFLICT "form-not-offered"
        "Points do not pay in this form here"
        "Leave `form` out to use the mall's usual form; the programme lists which there are.";

    // --- goods and reservations
    UNKNOWN_GOOD = NOT_FOUND "unknown-good"
        "There is no such good"
        "List the goods to see their ids.";
    BAD_GOOD = CONFLICT "bad-good"
        "A good cannot be like this"
        "`detail` says what is wrong with it.";
    UNKNOWN_REDEMPTION = NOT_FOUND "unknown-redemption"
        "There is no such reservation"
        "Check the id or the code; a merchant's key reaches what its stores hand over only.";
    NOT_OFFERED_HERE = CONFLICT "not-offered-here"
        "This good is not handed over here"
        "Another merchant offers it: `offered_by` of the good names who does.";
    OUT_OF_STOCK = CONFLICT "out-of-stock"
        "Nothing is left of this good"
        "Choose another good, or try again when a reservation was given up.";
    LIMIT_REACHED = CONFLICT "limit-reached"
        "The member has taken as many as one may"
        "`detail` says how many a member may take in a day or a month.";
    CODE_ALREADY_USED = CONFLICT "code-already-used"
        "This good was handed over already"
        "A code fetches its good once. Hand nothing over.";
    CODE_CANCELLED = CONFLICT "code-cancelled"
        "This reservation was cancelled"
        "The member has the points back and can reserve again.";
    CODE_LAPSED = CONFLICT "code-lapsed"
        "This reservation has lapsed"
        "Nobody came in time. The member has the points back and can reserve again.";

    // --- settlements
    UNKNOWN_SETTLEMENT = NOT_FOUND "unknown-settlement"
        "There is no such settlement or statement"
        "List the settlements to see their ids; a merchant's key reaches its own statements only.";
    PERIOD_ALREADY_CLOSED = CONFLICT "period-already-closed"
        "This period is closed already"
        "A closed period never changes; what arrives later belongs to the next one. List the \
         settlements to see its figures.";
    PERIOD_NOT_OVER = CONFLICT "period-not-over"
        "This period is not over yet"
        "`detail` says when it ends in the mall's time zone. A preview shows its figures so far.";
    PERIOD_OF_OTHER_UNIT = CONFLICT "period-of-other-unit"
        "This mall settles by periods of another length"
        "A mall settles by the day, the week or the month. `detail` says by which, and one of its \
         periods as an example; the programme says it too, as `period`.";
    OUT_OF_TURN = CONFLICT "out-of-turn"
        "This is not the settlement's next step"
        "`detail` says how far the settlement is and what comes next. There is no way back: what \
         is wrong is put right in a later period.";
    NEEDS_SECOND_PERSON = CONFLICT "needs-second-person"
        "Somebody else has to do this"
        "Who closed a period does not issue its settlement, and who raised a dispute or proposed an \
         adjustment does not decide it. Use another person's key. A mall whose programme says approval = \"one\" issues its \
         settlements when it closes the period.";
    UNKNOWN_ADJUSTMENT = NOT_FOUND "unknown-adjustment"
        "There is no such adjustment"
        "List the adjustments to see their ids.";
    ADJUSTMENT_DECIDED = CONFLICT "adjustment-already-decided"
        "This adjustment is decided already"
        "A decision is final. Read the adjustment to see it; propose another one to put it right.";
    STORE_GIVES_NONE = CONFLICT "store-gives-no-points"
        "This shop has no points to add"
        "It is suspended, gives no points, may give none now, or has paid for its points in advance. \
         Name another shop that bears what is added.";
    STATEMENT_CONFIRMED = CONFLICT "statement-already-confirmed"
        "This statement is confirmed already"
        "There is nothing left to do about it: its merchant confirmed it, or let the time pass.";
    CONFIRMATION_NOT_DUE = CONFLICT "confirmation-not-due"
        "The merchants have time left"
        "`detail` says until when they can answer; what they have not answered then is confirmed by \
         itself.";
    UNKNOWN_LINE = NOT_FOUND "unknown-line"
        "The statement has no such line"
        "List the statement's lines: each has the `journal_id` and `line` by which it is meant.";
    LINE_MOVES_NO_MONEY = CONFLICT "line-moves-no-money"
        "No merchant gets or gives money for this line"
        "Points that were issued, taken back, or taken by who had issued them move no money. \
         Dispute the lines of points that one merchant issued and another took.";
    LINE_DISPUTED = CONFLICT "line-already-disputed"
        "This line is disputed already"
        "A line is disputed once, by either side. List the disputes to see how far it is.";
    DISPUTE_TOO_LATE = CONFLICT "dispute-too-late"
        "The time for disputes is over"
        "The statement is confirmed. Settle with the operator what is wrong; it becomes part of a \
         later period.";
    UNKNOWN_DISPUTE = NOT_FOUND "unknown-dispute"
        "There is no such dispute"
        "List the disputes to see their ids; a merchant's key reaches those about its own lines only.";
    DISPUTE_DECIDED = CONFLICT "dispute-already-decided"
        "This dispute is decided already"
        "A decision is final. Read the dispute to see it.";
    UNKNOWN_CONTACT = NOT_FOUND "unknown-contact"
        "The merchant gets no mail"
        "Nobody said where its mail goes. PUT an address and a language to the same address to say so.";
    UNKNOWN_EARN_RATE = NOT_FOUND "unknown-earn-rate"
        "No rule of this name leaves its points to merchants"
        "List the merchant's earn rates to see the rules that do.";
    EARN_RATE_OUT_OF_RANGE = CONFLICT "earn-rate-out-of-range"
        "Merchants cannot give so few or so many points by this rule"
        "`detail` says how few and how many. The operator sets both in the programme.";
    UNKNOWN_ACCOUNT = NOT_FOUND "unknown-stripe-account"
        "Nobody said to which account at Stripe the merchant is paid"
        "PUT its connected account (acct_...) to the same address to say so.";
    STRIPE_OFF = CONFLICT "stripe-off"
        "This mall has no account at Stripe"
        "Whoever runs this server gives it the operator's keys: [stripe.MALL] with secret_key and \
         webhook_secret in the settings, or ROTUNDA_STRIPE. Everything else works without.";
    STRIPE_INCOMPLETE = CONFLICT "stripe-incomplete"
        "Merchants lack what Stripe needs"
        "`errors` names each of them: whoever pays needs an address of e-mail (PUT \
         /v1/merchants/{id}/contact), whoever is paid a connected account (PUT \
         /v1/merchants/{id}/stripe). Nothing was sent.";
    STRIPE_CURRENCY = CONFLICT "stripe-currency"
        "Stripe counts the mall's currency otherwise than the books"
        "Payments in this currency cannot go through Stripe: use the bank file.";
    UNKNOWN_LEG = NOT_FOUND "unknown-stripe-leg"
        "There is no such invoice or transfer"
        "GET /v1/settlements/{id}/stripe lists those of a settlement.";
    LEG_OUT_OF_STEP = CONFLICT "stripe-leg-out-of-step"
        "This cannot be done with the invoice or transfer as it is"
        "`detail` says how far it is and what comes next.";
    PAYMENT_AT_STRIPE = CONFLICT "payment-at-stripe"
        "The payment goes through Stripe"
        "It is recorded by itself when Stripe says that the money arrived. To record it in another \
         way, cancel its invoice or transfer first: GET /v1/settlements/{id}/stripe lists them.";
    BAD_SIGNATURE = BAD_REQUEST "bad-signature"
        "This is not signed as a message of Stripe's to this mall"
        "`detail` says what is wrong with it. Nothing of the message was kept: compare the signing \
         secret of the webhook at Stripe with the settings, and the two clocks.";
    UNKNOWN_MESSAGE = NOT_FOUND "unknown-message"
        "There is no such message"
        "List the messages to see their ids.";
    MESSAGE_SENT = CONFLICT "message-already-sent"
        "The message was sent already"
        "The mail server took it. Read the list of messages to see when.";
    UNKNOWN_PAYMENT = NOT_FOUND "unknown-payment"
        "The settlement has no such payment"
        "List the settlement's payments to see their numbers.";
    PAYMENT_RECORDED = CONFLICT "payment-already-recorded"
        "Something else was recorded of this payment"
        "List the settlement's payments to see how it was made. What was recorded stays.";
    BANK_FILE_REFUSED = CONFLICT "bank-file-refused"
        "The file has lines that are not payments of this settlement"
        "`errors` names each of them; the head is line 1. Nothing of the file was recorded: take \
         the lines out, or put them right, and send it again.";
    BOOKS_BROKEN = INTERNAL_SERVER_ERROR "books-broken"
        "The books do not add up"
        "Nothing is reported from books that tell two stories. `rotunda books verify` names every \
         place; tell us, and book nothing until it holds.";
    SELF_TEST_UNDER_WAY = TOO_MANY_REQUESTS "self-test-under-way"
        "The self-test of this mall is under way"
        "One is made at a time. Wait a second and ask again.";

    // --- the house
    INTERNAL_ERROR = INTERNAL_SERVER_ERROR "internal-error"
        "Something went wrong on our side"
        "Tell us `request_id`. It is safe to repeat a request under the same Idempotency-Key.";
    DATABASE_UNAVAILABLE = SERVICE_UNAVAILABLE "database-unavailable"
        "The books cannot be reached"
        "Repeat the request under the same Idempotency-Key: what was done is done once.";
    TRY_AGAIN = SERVICE_UNAVAILABLE "try-again"
        "Somebody else was faster"
        "Repeat the request at once, under the same Idempotency-Key.";
    TOO_BUSY = SERVICE_UNAVAILABLE "too-busy"
        "Too many requests wait already"
        "Wait as long as Retry-After says and repeat the request under the same Idempotency-Key. \
         Nothing of it was done.";
    NOT_READY = SERVICE_UNAVAILABLE "not-ready"
        "This server is not ready"
        "It is starting, stopping, or waits for its database. Send requests to another one.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_kebab_case_and_each_stands_once() {
        let mut seen = BTreeSet::new();
        for kind in all() {
            assert!(seen.insert(kind.code), "{} stands twice", kind.code);
            let kebab = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
            assert!(kind.code.bytes().all(kebab), "{}", kind.code);
            assert!(kind.status.as_u16() >= 400);
            assert_eq!(Kind::find(kind.code), Some(kind));
        }
    }
}

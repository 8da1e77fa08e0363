//! What is refused about merchants: themselves, what they agree to, how they join, what they owe.

use poem::http::StatusCode;

use super::Kind;

super::table! {
    MERCHANTS;
    // --- merchants and stores
    UNKNOWN_MERCHANT = NOT_FOUND "unknown-merchant"
        "There is no such merchant"
        "List the merchants to see their ids.";
    UNKNOWN_STORE = NOT_FOUND "unknown-store"
        "There is no such store"
        "List the stores to see their ids; a merchant's key reaches its own stores only.";
    CODE_TAKEN = CONFLICT "code-taken"
        "This code is taken"
        "Codes are unique in the mall and never change. Choose another, or use what has this one.";
    WIDER_THAN_MERCHANT = CONFLICT "wider-than-merchant"
        "The store would do more than its merchant"
        "Leave `alliance` out, or choose a part of what the merchant does in the alliance.";
    SUSPENDED = CONFLICT "suspended"
        "This store is suspended"
        "The store or its merchant neither gives nor takes points for now. Refunds go on. The mall \
         can activate it again.";
    STORE_MAY_NOT_SPEND = CONFLICT "store-may-not-spend"
        "This store does not take points"
        "Only stores whose part in the alliance is spend or both take points.";

    // --- agreements
    UNKNOWN_AGREEMENT = NOT_FOUND "unknown-agreement"
        "There is no such agreement"
        "List the merchant's agreements to see their versions; a merchant's key reaches its own only.";
    AGREEMENT_TOO_EARLY = CONFLICT "agreement-too-early"
        "An agreement begins with a month to come"
        "Choose the next month or a later one: what was earned and settled before keeps its terms.";
    BAD_TERMS = CONFLICT "bad-terms"
        "These terms cannot be agreed on"
        "`detail` names the field and what it may be.";
    OTHER_DIGEST = CONFLICT "other-digest"
        "This version says something else"
        "Read the version again and accept it by the `digest` that stands there.";
    AGREEMENT_MISSED = CONFLICT "agreement-missed"
        "This version was to be accepted earlier"
        "A version that was not accepted before it begins never holds. Ask for a new one.";

    // --- companies that want to join
    UNKNOWN_APPLICATION = NOT_FOUND "unknown-application"
        "There is no such application"
        "List the applications to see their ids.";
    UNKNOWN_FILE = NOT_FOUND "unknown-file"
        "There is no such file"
        "Read the application to see which files it has.";
    OTHER_TEXT = CONFLICT "other-text"
        "This is not the text as it is now"
        "Read the text again and name the `digest` that stands there.";
    APPLICATION_CLOSED = CONFLICT "application-closed"
        "What the application says cannot be changed now"
        "It can while it is a draft, and while the operator asks for more. `detail` says how far it is.";
    APPLICATION_OUT_OF_STEP = CONFLICT "application-out-of-step"
        "This cannot be done about the application now"
        "`detail` says how far it is. Read it to see what comes next.";
    APPLICATION_INCOMPLETE = CONFLICT "application-incomplete"
        "The application is not complete"
        "`errors` names every part that is missing or cannot be right. What was said is kept.";
    LICENCE_TAKEN = CONFLICT "licence-taken"
        "A company with this licence number is here already"
        "It has applied or joined. Check the number, or ask the operator.";
    SECRETS_OFF = CONFLICT "secrets-off"
        "This server cannot keep such a number"
        "Its settings have no key to keep secrets under: whoever runs it sets secrets.key.";
    FILE_REFUSED = CONFLICT "file-refused"
        "This is not taken as a file"
        "Send a PDF, PNG, JPEG or WebP that is one by its content. `detail` says what is wrong.";
    TOO_MANY_FILES = CONFLICT "too-many-files"
        "The application has as many files as it can have"
        "Ask the operator where to send more.";
    FILES_UNAVAILABLE = SERVICE_UNAVAILABLE "files-unavailable"
        "The store for files cannot be reached"
        "Try again in a minute. Nothing was changed.";
    BAD_TEXT = CONFLICT "bad-text"
        "This cannot be a text for merchants"
        "Send at least one language, each of 1 to 20,000 characters.";
    REASON_MISSING = CONFLICT "reason-missing"
        "Say why"
        "Whoever applied is told the reason or the question: 1 to 1000 characters.";

    // --- credit
    BAD_AMOUNT = CONFLICT "bad-amount"
        "This is no amount that can be kept or paid for"
        "Amounts are whole minor units above zero, points whole numbers above zero, both below 2^53.";
    NO_POOL = CONFLICT "no-pool"
        "This merchant does not pay for points in advance"
        "Blocks are for merchants whose agreement in force says model = \"pool\" with an issue price. \
         Others give a deposit.";
    BLOCK_NOT_WHOLE = CONFLICT "block-not-whole"
        "The price of so many points is no whole amount"
        "`detail` says of how many points to buy a multiple.";
    DEPOSIT_TOO_SMALL = CONFLICT "deposit-too-small"
        "The deposit is smaller than that"
        "`detail` says how much is kept of the merchant. Nothing was changed.";
    DEPOSIT_NEEDED = CONFLICT "deposit-needed"
        "The deposit still covers something"
        "A merchant that is leaving gets back what neither its points nor its debts need. `detail` says \
         how much has to stay; settle its last period first.";
    CREDIT_REFERENCE_TAKEN = CONFLICT "credit-reference-taken"
        "This reference was used for something else"
        "A reference means one movement of its kind for ever. Send exactly what was sent first to see it \
         again, or use a new reference.";
    OUT_OF_STEP = CONFLICT "out-of-step"
        "This cannot be done as the merchant stands"
        "`detail` says how the merchant stands and what can be done.";
    WIND_DOWN_TOO_EARLY = CONFLICT "wind-down-too-early"
        "A merchant's points end on a day to come"
        "Choose tomorrow or later, as the mall's terms with its members ask for.";
    NOTHING_DUE = CONFLICT "nothing-due"
        "Nothing that this merchant owes is due"
        "A default is about payments of confirmed periods that were not made. List the payments.";
}

//! The table of everything that this server refuses, by a code that never changes its meaning.
//!
//! A code is an address too: `/problems/<code>` shows its row. Rooms' errors find their row in
//! `refusals.rs`; add a row here first.

use poem::http::StatusCode;

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
        ALL.iter().copied().find(|kind| kind.code == code)
    }
}

/// Declares the rows and the list of all of them.
macro_rules! table {
    ($($name:ident = $status:ident $code:literal $title:literal $help:literal;)*) => {
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
        pub static ALL: &[&Kind] = &[$(&$name),*];
    };
}

table! {
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
        "A body has at most 1 MiB. Use the command line's import for large files.";
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

    // --- who asks
    MISSING_KEY = UNAUTHORIZED "missing-key"
        "This operation needs a key"
        "Send the header Authorization: Bearer followed by a key of this mall.";
    UNKNOWN_KEY = UNAUTHORIZED "unknown-key"
        "This key is not known here"
        "The key was revoked, belongs to another mall, or was copied incompletely. The mall's \
         owner can make a new one.";
    NOT_ALLOWED = FORBIDDEN "not-allowed"
        "This key may not do that"
        "Use a key with a role that may; the permission table lists who may do what.";

    // --- keys
    NO_SUCH_KEY = NOT_FOUND "unknown-key-id"
        "There is no such key"
        "List the keys to see their ids.";
    KEY_ALREADY_CREATED = CONFLICT "key-already-created"
        "This key was made by an earlier request"
        "A key's secret is told once. Where it was lost, revoke the key that `detail` names and \
         make another under a new Idempotency-Key.";
    UNSUITABLE_ROLE = CONFLICT "unsuitable-role"
        "A key cannot have this role"
        "Use a role of the permission table that begins with operator., merchant. or machine.";
    MERCHANT_MISSING = CONFLICT "merchant-missing"
        "A key with a merchant's role needs a merchant"
        "Name the merchant that the key is for.";
    MERCHANT_UNASKED = CONFLICT "merchant-unasked"
        "Only a key with a merchant's role is for one merchant"
        "Leave the merchant out, or choose a role that begins with merchant.";
    UNKNOWN_MERCHANT = NOT_FOUND "unknown-merchant"
        "There is no such merchant"
        "List the merchants to see their ids.";

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
        for kind in ALL {
            assert!(seen.insert(kind.code), "{} stands twice", kind.code);
            let kebab = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
            assert!(kind.code.bytes().all(kebab), "{}", kind.code);
            assert!(kind.status.as_u16() >= 400);
            assert_eq!(Kind::find(kind.code), Some(*kind));
        }
    }
}

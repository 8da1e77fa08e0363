//! Every operation of the API: what it asks the policy for, and a request that it does. Address and
//! method come from the API's own description.

use poem::http::Method;
use rotunda::api;
use serde_json::Value;

/// One operation as the matrix asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// Its name in the API's description.
    pub name: &'static str,
    /// The policy's object and act.
    pub right: (&'static str, &'static str),
    /// The query after the address.
    pub query: &'static str,
    /// The body; none for none. A name in angle brackets stands for something of the mall, `<new>`
    /// for what nobody used before, `<month>` for a month that is over and not closed, `<digest>` for
    /// the digest of the agreement that is asked for, `<executed>` for what a bank executed of one's
    /// own confirmed month.
    pub body: &'static str,
}

/// Names in addresses and bodies that stand for something of a mall, or of one merchant in it.
pub const SLOTS: [&str; 24] = [
    "adjustment_id",
    "agreement_id",
    "application_id",
    "card_number",
    "code",
    "dispute_id",
    "file_id",
    "good_id",
    "journal_id",
    "key_id",
    "leg_id",
    "member_id",
    "member_session_id",
    "merchant_id",
    "message_id",
    "purchase_id",
    "redemption_id",
    "role_change_id",
    "role_id",
    "session_id",
    "settlement_id",
    "staff_id",
    "statement_id",
    "store_id",
];

const fn read(name: &'static str, right: (&'static str, &'static str)) -> Recipe {
    with(name, right, "", "")
}

const fn done(
    name: &'static str,
    right: (&'static str, &'static str),
    body: &'static str,
) -> Recipe {
    with(name, right, "", body)
}

const fn with(
    name: &'static str,
    right: (&'static str, &'static str),
    query: &'static str,
    body: &'static str,
) -> Recipe {
    Recipe {
        name,
        right,
        query,
        body,
    }
}

const PURCHASE: &str = r#"{"store_id": "<store_id>", "receipt_number": "<new>",
    "member_id": "<member_id>", "lines": [{"category": "tea", "quantity": 1, "amount": 100}]}"#;

/// All of them.
pub const RECIPES: [Recipe; 169] = [
    // Whose each item is is answered item by item (tests/it/batch.rs).
    done(
        "post_batch",
        ("batch", "post"),
        r#"{"items": [{"idempotency_key": "<new>",
            "refund": {"purchase_id": "pur_00000000000000000000000000", "reference": "1"}}]}"#,
    ),
    read("prove_books", ("books", "verify")),
    read("prove_isolation", ("isolation", "verify")),
    with("list_audit", ("audit", "read"), "", ""),
    with("list_audit", ("audit", "read"), "?act=key.made", ""),
    read("verify_audit", ("audit", "read")),
    read("export_audit", ("audit", "export")),
    with("list_goods", ("good", "read"), "", ""),
    with("list_goods", ("good", "read"), "?q=cup", ""),
    done(
        "create_good",
        ("good", "create"),
        r#"{"code": "<new>", "names": {"en": "New"}, "kind": "voucher", "points": 1, "stock": 1,
            "offered_by": ["<merchant_id>"]}"#,
    ),
    read("get_good", ("good", "read")),
    read("list_keys", ("key", "read")),
    with(
        "list_liability",
        ("liability", "read"),
        "?period=2017-06",
        "",
    ),
    read("list_liability_ages", ("liability", "read")),
    read("list_liability_forecast", ("liability", "read")),
    with(
        "download_liability_journal",
        ("liability", "read"),
        "?period=2017-06",
        "",
    ),
    done(
        "create_key",
        ("key", "create"),
        r#"{"label": "New", "role": "merchant.cashier", "merchant_id": "<merchant_id>"}"#,
    ),
    read("revoke_key", ("key", "revoke")),
    done(
        "enrol_member",
        ("member", "enrol"),
        r#"{"card_number": "<new>"}"#,
    ),
    done(
        "find_member",
        ("member", "read"),
        r#"{"card_number": "<card_number>"}"#,
    ),
    read("get_member", ("member", "read")),
    read("get_balance", ("member", "read")),
    read("get_home", ("member", "read")),
    read("list_history", ("member", "read")),
    read("copy_member", ("member", "copy")),
    read("copy_member_history", ("member", "copy")),
    done(
        "erase_member",
        ("member", "erase"),
        r#"{"points_given_up": true}"#,
    ),
    read("list_merchants", ("merchant", "read")),
    done(
        "create_merchant",
        ("merchant", "create"),
        r#"{"code": "<new>", "names": {"en": "New"}, "trade": "tea", "alliance": "both"}"#,
    ),
    read("get_merchant", ("merchant", "read")),
    read("activate_merchant", ("merchant", "activate")),
    read("suspend_merchant", ("merchant", "suspend")),
    read("get_credit", ("credit", "read")),
    read("list_credit_entries", ("credit", "read")),
    done(
        "record_deposit",
        ("credit", "record"),
        r#"{"amount": 100, "means": "bank_transfer", "reference": "<new>"}"#,
    ),
    done(
        "return_deposit",
        ("credit", "record"),
        r#"{"amount": 1, "means": "bank_transfer", "reference": "<new>"}"#,
    ),
    done(
        "buy_block",
        ("credit", "record"),
        r#"{"points": 1000, "means": "rent", "reference": "<new>"}"#,
    ),
    done("set_credit_limit", ("credit", "limit"), r#"{"limit": 100}"#),
    done(
        "wind_down_merchant",
        ("merchant", "wind-down"),
        r#"{"last_day": "2099-12-31"}"#,
    ),
    read("raise_default", ("default", "raise")),
    read("withdraw_default", ("default", "raise")),
    read("declare_default", ("default", "declare")),
    read("get_contact", ("contact", "read")),
    done(
        "set_contact",
        ("contact", "set"),
        r#"{"email": "accounts@lantern.example", "language": "en"}"#,
    ),
    read("remove_contact", ("contact", "set")),
    read("list_earn_rates", ("earn-rate", "read")),
    done(
        "set_earn_rate",
        ("earn-rate", "set"),
        r#"{"rule": "base", "points": 1}"#,
    ),
    with("list_messages", ("message", "read"), "", ""),
    with("list_messages", ("message", "read"), "?state=failed", ""),
    read("retry_message", ("message", "retry")),
    read("get_programme", ("tenant", "read")),
    done("record_purchase", ("purchase", "record"), PURCHASE),
    done("preview_purchase", ("purchase", "record"), PURCHASE),
    read("get_purchase", ("purchase", "read")),
    done(
        "refund_purchase",
        ("purchase", "refund"),
        r#"{"reference": "<new>", "amount": 1}"#,
    ),
    done(
        "reserve_good",
        ("redemption", "reserve"),
        r#"{"good_id": "<good_id>", "member_id": "<member_id>"}"#,
    ),
    done(
        "claim_good",
        ("redemption", "claim"),
        r#"{"store_id": "<store_id>"}"#,
    ),
    read("get_redemption", ("redemption", "read")),
    read("cancel_redemption", ("redemption", "cancel")),
    read("list_settlements", ("settlement", "read")),
    done(
        "close_settlement",
        ("settlement", "close"),
        r#"{"period": "<month>"}"#,
    ),
    with(
        "preview_settlement",
        ("settlement", "preview"),
        "?period=2017-06",
        "",
    ),
    read("recalculate_settlement", ("settlement", "preview")),
    read("get_settlement", ("settlement", "read")),
    read("issue_settlement", ("settlement", "issue")),
    read("list_payments", ("settlement", "read")),
    read("download_bank_file", ("settlement", "read")),
    done(
        "import_bank_file",
        ("payment", "record"),
        r#"{"file": "<executed>"}"#,
    ),
    done(
        "record_payment",
        ("payment", "record"),
        r#"{"method": "rent", "reference": "R-1"}"#,
    ),
    read("pay_by_stripe", ("payment", "record")),
    read("list_stripe_legs", ("settlement", "read")),
    read("retry_stripe_leg", ("payment", "record")),
    read("cancel_stripe_leg", ("payment", "record")),
    read("get_stripe_account", ("stripe-account", "read")),
    done(
        "set_stripe_account",
        ("stripe-account", "set"),
        r#"{"account": "acct_1"}"#,
    ),
    done(
        "propose_adjustment",
        ("adjustment", "propose"),
        r#"{"member_id": "<member_id>", "store_id": "<store_id>", "way": "add", "points": 1,
            "reason": "goodwill", "note": "Rain"}"#,
    ),
    with("list_adjustments", ("adjustment", "read"), "", ""),
    with(
        "list_adjustments",
        ("adjustment", "read"),
        "?state=proposed",
        "",
    ),
    read("get_adjustment", ("adjustment", "read")),
    done(
        "decide_adjustment",
        ("adjustment", "decide"),
        r#"{"outcome": "approved", "note": "It did"}"#,
    ),
    with("list_disputes", ("dispute", "read"), "", ""),
    with("list_disputes", ("dispute", "read"), "?state=open", ""),
    read("get_dispute", ("dispute", "read")),
    done(
        "decide_dispute",
        ("dispute", "decide"),
        r#"{"outcome": "upheld", "note": "As the receipt says"}"#,
    ),
    read("confirm_statement", ("statement", "confirm")),
    done(
        "raise_dispute",
        ("dispute", "raise"),
        r#"{"journal_id": "<journal_id>", "line": 0, "reason": "Not ours"}"#,
    ),
    read("list_statements", ("statement", "read")),
    read("download_statements", ("statement", "read")),
    done(
        "spend_points",
        ("points", "spend"),
        r#"{"store_id": "<store_id>", "receipt_number": "<new>", "member_id": "<member_id>",
            "total": 100000, "points": 1}"#,
    ),
    done(
        "preview_spend",
        ("points", "spend"),
        r#"{"store_id": "<store_id>", "member_id": "<member_id>", "total": 100000}"#,
    ),
    read("get_statement", ("statement", "read")),
    read("download_statement_pdf", ("statement", "read")),
    read("download_statement_xlsx", ("statement", "read")),
    read("download_statement_csv", ("statement", "read")),
    read("list_statement_sums", ("statement", "read")),
    read("list_statement_lines", ("statement", "read")),
    done(
        "propose_agreement",
        ("agreement", "propose"),
        r#"{"from": "2099-01", "terms": {"model": "bilateral"}}"#,
    ),
    done(
        "accept_agreement",
        ("agreement", "accept"),
        r#"{"digest": "<digest>"}"#,
    ),
    read("list_agreements", ("agreement", "read")),
    read("get_agreement", ("agreement", "read")),
    with("list_stores", ("store", "read"), "", ""),
    with(
        "list_stores",
        ("store", "read"),
        "?merchant_id=<merchant_id>",
        "",
    ),
    done(
        "create_store",
        ("store", "create"),
        r#"{"merchant_id": "<merchant_id>", "code": "<new>", "names": {"en": "New"}}"#,
    ),
    read("get_store", ("store", "read")),
    read("activate_store", ("store", "activate")),
    read("suspend_store", ("store", "suspend")),
    done(
        "invite_staff",
        ("staff", "invite"),
        r#"{"email": "<new>@mall.example", "name": "New", "roles": ["merchant.cashier"],
            "merchant_id": "<merchant_id>"}"#,
    ),
    read("invite_staff_again", ("staff", "invite")),
    read("list_invitations", ("staff", "read")),
    with("list_staff", ("staff", "read"), "", ""),
    with("list_staff", ("staff", "read"), "?state=invited", ""),
    read("get_staff", ("staff", "read")),
    done(
        "set_staff_roles",
        ("staff", "manage"),
        r#"{"roles": ["merchant.manager"]}"#,
    ),
    read("end_staff", ("staff", "manage")),
    done(
        "create_role",
        ("role", "manage"),
        r#"{"code": "<new>", "name": "New", "scope": "merchant",
            "rights": [{"object": "store", "action": "read"}]}"#,
    ),
    read("list_roles", ("role", "read")),
    read("get_role", ("role", "read")),
    done(
        "set_role",
        ("role", "manage"),
        r#"{"name": "New", "rights": [{"object": "good", "action": "read"}], "revision": 1}"#,
    ),
    read("end_role", ("role", "manage")),
    read("list_permissions", ("role", "read")),
    read("list_holders", ("staff", "read")),
    done(
        "propose_role_change",
        ("staff", "manage"),
        r#"{"staff_id": "<staff_id>", "roles": ["merchant.manager"]}"#,
    ),
    read("list_role_changes", ("staff", "read")),
    read("confirm_role_change", ("staff", "manage")),
    read("reject_role_change", ("staff", "manage")),
    done(
        "sign_in",
        ("session", "open"),
        r#"{"email": "<email>", "password": "<password>"}"#,
    ),
    done(
        "ask_for_password_reset",
        ("session", "open"),
        r#"{"email": "nobody@mall.example"}"#,
    ),
    done(
        "reset_password",
        ("session", "open"),
        r#"{"token": "<reset>", "password": "<password>"}"#,
    ),
    done(
        "accept_invitation",
        ("session", "open"),
        r#"{"token": "<invitation>", "password": "<password>"}"#,
    ),
    done(
        "ask_for_sign_in_code",
        ("session", "open"),
        r#"{"phone": "<phone>"}"#,
    ),
    done(
        "enter_as_member",
        ("session", "open"),
        r#"{"token": "<asked>", "code": "<told>"}"#,
    ),
    read("get_membership", ("membership", "use")),
    done(
        "set_membership",
        ("membership", "use"),
        r#"{"name": "New"}"#,
    ),
    read("list_member_sessions", ("membership", "use")),
    read("revoke_member_session", ("membership", "use")),
    read("sign_out_as_member", ("membership", "use")),
    read("get_me", ("account", "use")),
    done(
        "set_me",
        ("account", "use"),
        r#"{"name": "New", "language": "en", "theme": "dark"}"#,
    ),
    read("list_sessions", ("account", "use")),
    read("revoke_session", ("account", "use")),
    read("revoke_other_sessions", ("account", "use")),
    read("sign_out", ("account", "use")),
    done(
        "change_password",
        ("account", "use"),
        r#"{"current": "<password>", "new": "snow on the tea house"}"#,
    ),
    read("begin_second_factor", ("account", "use")),
    done(
        "activate_second_factor",
        ("account", "use"),
        r#"{"code": "<totp>"}"#,
    ),
    done(
        "verify_second_factor",
        ("account", "use"),
        r#"{"code": "<totp>"}"#,
    ),
    read("remove_second_factor", ("account", "use")),
    read("make_recovery_codes", ("account", "use")),
    with(
        "get_merchant_text",
        ("application", "start"),
        "?kind=conditions",
        "",
    ),
    done(
        "start_application",
        ("application", "start"),
        r#"{"email": "<new>@lantern.example", "conditions_digest": "<conditions>"}"#,
    ),
    done(
        "ask_for_application_link",
        ("application", "start"),
        r#"{"email": "<new>@lantern.example"}"#,
    ),
    // Whose application it is says the token of its link alone (tests/it/onboarding.rs).
    read("get_own_application", ("application", "use")),
    done(
        "save_application",
        ("application", "use"),
        r#"{"form": {}}"#,
    ),
    with(
        "send_file",
        ("application", "use"),
        "?kind=other&name=a.pdf",
        "",
    ),
    read("get_own_file", ("application", "use")),
    read("remove_file", ("application", "use")),
    read("submit_application", ("application", "use")),
    read("withdraw_application", ("application", "use")),
    done(
        "renew_application",
        ("application", "use"),
        r#"{"digest": "<conditions>"}"#,
    ),
    done(
        "accept_merchant_agreement",
        ("application", "use"),
        r#"{"digest": "<conditions>"}"#,
    ),
    with("list_applications", ("application", "read"), "", ""),
    with(
        "list_applications",
        ("application", "read"),
        "?status=submitted",
        "",
    ),
    read("get_application", ("application", "read")),
    read("get_application_file", ("application", "read")),
    read("review_application", ("application", "decide")),
    done(
        "ask_applicant",
        ("application", "decide"),
        r#"{"questions": [{"field": "goods", "note": "Which?"}]}"#,
    ),
    done("approve_application", ("application", "decide"), "{}"),
    done(
        "reject_application",
        ("application", "decide"),
        r#"{"reason": "No."}"#,
    ),
    with(
        "set_merchant_text",
        ("conditions", "set"),
        "?kind=agreement",
        r#"{"texts": [{"language": "en", "text": "Be kind."}]}"#,
    ),
];

/// An operation with its address.
#[derive(Debug, Clone)]
pub struct Operation {
    /// How it is asked for.
    pub recipe: Recipe,
    /// Its method.
    pub method: Method,
    /// Its address with the query, names in angle brackets.
    pub address: String,
    /// The schema of its body, where it takes one.
    pub schema: Option<Value>,
}

impl Operation {
    /// The names that stand for something in its address and body.
    pub fn slots(&self) -> Vec<&'static str> {
        let text = format!("{}{}", self.address, self.recipe.body);
        let named = |slot: &&str| text.contains(&format!("<{slot}>"));
        SLOTS.into_iter().filter(named).collect()
    }
}

/// Every operation of the API's description, as the table above asks for it.
///
/// Fails where one is in the description and not in the table, or the other way round.
pub fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(&api::document()).unwrap();
    let mut operations = Vec::new();
    let mut known = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, described) in item.as_object().unwrap() {
            let name = described["operationId"].as_str().unwrap();
            let recipes: Vec<&Recipe> = RECIPES.iter().filter(|one| one.name == name).collect();
            assert!(!recipes.is_empty(), "{name} is not in the matrix");
            known.push(name.to_owned());
            for recipe in recipes {
                let address = path.replace('{', "<").replace('}', ">");
                let schema = &described["requestBody"]["content"]["application/json"]["schema"];
                assert_eq!(schema.is_null(), recipe.body.is_empty(), "{name}: its body");
                operations.push(Operation {
                    recipe: *recipe,
                    method: method.to_ascii_uppercase().parse().unwrap(),
                    address: address + recipe.query,
                    schema: resolved(&document, schema),
                });
            }
        }
    }
    for recipe in RECIPES {
        let found = known.iter().any(|name| name == recipe.name);
        assert!(found, "{} is not in the API any more", recipe.name);
    }
    operations
}

/// A schema itself where another one names it.
fn resolved(document: &Value, schema: &Value) -> Option<Value> {
    let Some(name) = schema["$ref"].as_str() else {
        return (!schema.is_null()).then(|| schema.clone());
    };
    Some(document.pointer(name.strip_prefix('#')?)?.clone())
}

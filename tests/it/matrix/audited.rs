//! Every action that changes something is in the audit once it was done, or on a list that says where
//! else it is.

use std::collections::BTreeSet;

use poem::http::Method;
use rotunda::{app::life, authz::action, db::tenants::Schema, kernel::ids::MessageId};
use serde_json::Value;
use sqlx::PgConnection;

use super::mall::Plaza;
use crate::support::{books::owner, outside::Caller, sealing::seal};

/// What changes nothing.
const READS: [(&str, &str); 29] = [
    ("key", "present"),
    ("key", "read"),
    ("staff", "read"),
    ("role", "read"),
    ("tenant", "read"),
    ("merchant", "read"),
    ("agreement", "read"),
    ("credit", "read"),
    ("store", "read"),
    ("member", "read"),
    ("purchase", "read"),
    ("good", "read"),
    ("redemption", "read"),
    ("settlement", "preview"),
    ("settlement", "read"),
    ("statement", "read"),
    ("adjustment", "read"),
    ("dispute", "read"),
    ("liability", "read"),
    ("books", "verify"),
    ("isolation", "verify"),
    ("contact", "read"),
    ("earn-rate", "read"),
    ("stripe-account", "read"),
    ("message", "read"),
    ("audit", "read"),
    ("application", "read"),
    // These widen what another action may do, and are nothing that one does.
    ("merchant", "staff"),
    ("tenant", "staff"),
];

/// What the ledger carries with its actor, and what the house does by itself.
const ELSEWHERE: [(&str, &str); 20] = [
    ("purchase", "record"),
    ("purchase", "refund"),
    ("points", "spend"),
    ("batch", "post"),
    ("redemption", "reserve"),
    ("redemption", "claim"),
    ("redemption", "cancel"),
    ("points", "expire"),
    ("points", "end"),
    ("redemption", "lapse"),
    ("credit", "evaluate"),
    ("link", "send"),
    ("sign-in-code", "send"),
    ("application", "send"),
    // Members' sessions, which keep when each began and ended.
    ("membership", "use"),
    ("message", "send"),
    ("stripe", "follow"),
    ("job", "relay"),
    // The registry's, outside of any mall.
    ("tenant", "manage"),
    // No operation of the API, and what it confirms keeps who did it.
    ("settlement", "confirm"),
];

/// What there was nothing of to be done: a letter that was given up, something sealed to be taken away.
async fn finish(plaza: &Plaza, sql: &mut PgConnection) {
    let (server, tenant) = (&plaza.server, plaza.tenant());
    let key = server.key(tenant, "operator.owner", None).await;
    let owner = Caller {
        host: &tenant.hosts[0],
        key: Some(&key),
    };
    let given_up = "update message set state = 'failed', problem = 'timeout', sent_at = null
                    where message_id = (select max(message_id::text)::uuid from message)
                    returning message_id";
    let message: MessageId = sqlx::query_scalar(given_up).fetch_one(sql).await.unwrap();
    let again = format!("/v1/messages/{message}/retry");
    server.post(owner, &again, &Value::Null).await;
    assert!(seal(&server.app, tenant.id).await > 0);
    let path = "/v1/audit/export";
    let taken = server.ask(owner, &Method::GET, path, None).await;
    assert_eq!(taken.status, 200, "{}", taken.body);
    // Nobody's operation, but the vendor's at the command line.
    let whole = std::env::temp_dir().join(format!("{}.tar", tenant.slug.as_str()));
    life::export(&server.app, &tenant.slug, &whole, |_| ())
        .await
        .unwrap();
    std::fs::remove_file(&whole).unwrap();
}

/// That whatever was done here by an action is in the audit.
pub async fn check(plaza: &Plaza) {
    let mut sql = owner(&Schema::of(plaza.tenant().id).to_string()).await;
    finish(plaza, &mut sql).await;
    let found: Vec<(String, String)> =
        sqlx::query_as("select distinct right_object, right_act from audit_entry")
            .fetch_all(&mut sql)
            .await
            .unwrap();
    let found: BTreeSet<(&str, &str)> = found
        .iter()
        .map(|(object, act)| (object.as_str(), act.as_str()))
        .collect();
    let mut silent = Vec::new();
    for right in action::ALL {
        let listed = READS.contains(right) || ELSEWHERE.contains(right);
        if !listed && !found.contains(right) {
            silent.push(right);
        }
        // What happens at a till is in the ledger, and nowhere else.
        assert!(
            !ELSEWHERE.contains(right) || !found.contains(right),
            "{right:?}"
        );
    }
    assert!(
        silent.is_empty(),
        "done without a trace in the audit: {silent:?}"
    );
}

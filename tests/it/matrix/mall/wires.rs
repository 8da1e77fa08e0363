//! What goes through Stripe: to the server each mall has an account there, and nobody answers.

use std::sync::atomic::Ordering;

use poem::http::Method;
use rotunda::{
    config::{SmsHook, StripeKeys},
    db::{locator::Targets, tenants::Schema},
    kernel::{
        ids::{Entropy, LegId},
        time::Clock,
    },
};
use secrecy::SecretString;
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::{House, Plaza, Things, Whose, text};
use crate::support::{NOON, books::owner, instant, outside::Server, url};

/// A server for malls of those short names, whose messages go there.
pub(super) async fn server(clock: &Clock, malls: [&str; 2], sms: SmsHook) -> Server {
    let mut config = Server::config(&url(), Targets::new(), 8);
    config.sms = Some(sms);
    for slug in malls {
        let keys = StripeKeys {
            secret_key: SecretString::from("sk_test_matrix"),
            webhook_secret: SecretString::from("whsec_matrix"),
        };
        config.stripe.insert(slug.parse().unwrap(), keys);
    }
    config.stripe_url = Some("http://127.0.0.1:9".to_owned());
    Server::open_with(config, clock.clone(), Entropy::System).await
}

impl House {
    /// The two merchants have accounts, and invoices that did not come out even.
    pub(super) async fn wire(&self, server: &Server, things: &mut Things) {
        for whose in [Whose::Own, Whose::Other] {
            let merchant = things[&("merchant_id", whose)].clone();
            let path = format!("/v1/merchants/{merchant}/stripe");
            let account = json!({"account": "acct_1"}).to_string();
            let answer = server
                .ask(self.owner(), &Method::PUT, &path, Some(&account))
                .await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let of = format!(
                "code = '{}'",
                if whose == Whose::Own {
                    "own-shop"
                } else {
                    "other-shop"
                }
            );
            let leg = self.leg(&of, "invoice", 99, "mismatch", "'in_1'").await;
            things.insert(("leg_id", whose), leg);
        }
    }

    /// A merchant gets mail.
    pub(super) async fn writes_to(&self, server: &Server, merchant: &str) {
        let path = format!("/v1/merchants/{merchant}/contact");
        let contact = json!({"email": "a@b.example", "language": "en"}).to_string();
        let answer = server
            .ask(self.owner(), &Method::PUT, &path, Some(&contact))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// An invoice or a transfer, as the house would have written it; its id.
    async fn leg(&self, of: &str, kind: &str, line: u32, state: &str, stripe: &str) -> String {
        let mut sql = owner(&Schema::of(self.tenant.id).to_string()).await;
        let leg = LegId::new(instant(NOON), &Entropy::System);
        let id = leg.uuid();
        let days = if kind == "invoice" { "14" } else { "null" };
        let insert = format!(
            "insert into stripe_leg (leg_id, settlement_id, kind, merchant_id, lines, amount,
                 currency, due_days, state, round, attempts, keys, stripe_id, created_at,
                 created_by, changed_at)
             select '{id}', settlement_id, '{kind}', merchant_id, '{{{line}}}', 1, 'cny', {days},
                 '{state}', 0, 0, 0, {stripe}, '2026-03-01Z', 'x', '2026-03-01Z'
             from merchant cross join settlement
             where {of} and month = '2017-06-01'"
        );
        let done = sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut sql).await;
        assert_eq!(done.unwrap().rows_affected(), 1);
        leg.to_string()
    }
}

impl Plaza {
    /// A transfer that nobody has asked Stripe for.
    pub(super) async fn leg(&self) -> String {
        let line = 1000 + self.fresh.fetch_add(1, Ordering::Relaxed);
        let of = "code = 'own-shop'";
        self.house
            .leg(of, "transfer", line, "requested", "null")
            .await
    }

    /// A settlement of which nothing is due.
    pub(super) async fn nothing_due(&self) -> String {
        let (settlement, _) = self
            .house
            .closes(&self.server, &self.things, &self.month())
            .await;
        let path = format!("/v1/settlements/{settlement}");
        let closed = self.server.get(self.house.owner(), &path).await;
        assert_eq!(text(&closed, "state"), "closed");
        settlement
    }
}

//! Merchants that pay in advance, that leave, and that do not pay.

use std::sync::atomic::Ordering;

use poem::http::Method;
use rotunda::kernel::time::Clock;
use serde_json::{Value, json};

use super::{House, Plaza, text};
use crate::support::{NOON, instant, outside::Server};

impl House {
    /// A merchant whose agreement has the pool and its price, since the month that has begun.
    pub(super) async fn prepaying(&self, server: &Server, clock: &Clock) -> String {
        clock.set(instant("2026-02-15T04:00:00Z"));
        let new = json!({"code": "pool-shop", "names": {"en": "Pool"}, "trade": "tea",
            "alliance": "both"});
        let made = server.post(self.owner(), "/v1/merchants", &new).await;
        let merchant = text(&made, "merchant_id");
        let path = format!("/v1/merchants/{merchant}/agreements");
        let terms = json!({"model": "pool", "issue_price": {"points": 1000, "worth": 1200},
            "breakage": {"operator": 10_000, "issuer": 0, "fund": 0}});
        let terms = json!({"from": "2026-03", "terms": terms});
        let made = server.post(self.owner(), &path, &terms).await;
        let of = merchant.parse().unwrap();
        let key = server.key(&self.tenant, "merchant.owner", Some(of)).await;
        let path = format!("/v1/agreements/{}/acceptance", text(&made, "agreement_id"));
        let digest = json!({"digest": made["digest"]});
        server.post(self.caller(&key), &path, &digest).await;
        clock.set(instant(NOON));
        merchant
    }
}

impl Plaza {
    /// A merchant that nobody knows, and its store.
    pub(super) async fn newcomer(&self) -> (String, String) {
        let number = self.fresh.fetch_add(1, Ordering::Relaxed);
        let (server, owner) = (&self.server, self.house.owner());
        let new = json!({"code": format!("debtor-{number}"), "names": {"en": "Debtor"},
            "trade": "tea", "alliance": "both"});
        let made = server.post(owner, "/v1/merchants", &new).await;
        let merchant = text(&made, "merchant_id");
        let new = json!({"merchant_id": merchant, "code": format!("debtor-{number}-1"),
            "names": {"en": "Debtor"}});
        let made = server.post(owner, "/v1/stores", &new).await;
        (merchant, text(&made, "store_id"))
    }

    /// A merchant that has not paid what it owes, and of which somebody says so.
    pub(super) async fn debtor(&self, raised: bool) -> String {
        let (server, house, month) = (&self.server, &self.house, self.month());
        let (merchant, store) = self.newcomer().await;
        let card = json!({"card_number": format!("card-of-{month}")});
        let member = server.post(house.till(), "/v1/members", &card).await;
        let member = text(&member, "member_id");
        house
            .buys(server, &store, &member, &format!("{month}-02T04:00:00Z"))
            .await;
        house
            .spends(server, &member, 100, &format!("{month}-03T04:00:00Z"))
            .await;
        let (settlement, _) = house.closes(server, &self.things, &month).await;
        let path = format!("/v1/settlements/{settlement}/statements");
        let all = server.get(house.owner(), &path).await;
        for statement in all["data"].as_array().unwrap() {
            let key = house
                .finance_of(server, &text(statement, "merchant_id"))
                .await;
            let path = format!("/v1/statements/{}/confirm", text(statement, "statement_id"));
            let confirmed = server.ask(house.caller(&key), &Method::POST, &path, None);
            assert_eq!(confirmed.await.status, 200);
        }
        if raised {
            let path = format!("/v1/merchants/{merchant}/default/raise");
            server.post(house.owner(), &path, &Value::Null).await;
        }
        merchant
    }
}

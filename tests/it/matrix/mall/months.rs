//! Two months of a mall: one that is to be paid, and one that can be disputed.

use std::collections::BTreeMap;

use poem::http::Method;
use serde_json::{Value, json};

use super::{House, Plaza, Things, Whose, text};
use crate::support::outside::Server;

/// Lines of July that can be disputed, each once.
const LINES: u32 = 12;

impl House {
    /// June is confirmed and to be paid; July is issued, and its lines can be disputed. In both the
    /// third merchant took points of the two others.
    pub(super) async fn settle(
        &self,
        server: &Server,
        things: &mut Things,
    ) -> (Vec<String>, String) {
        let mut lines = Vec::new();
        for (whose, points, spends) in [(Whose::Own, 200, LINES), (Whose::Other, 100, 2)] {
            let card = json!({"card_number": format!("{whose:?}-{}", self.tenant.slug.as_str())});
            let member = server.post(self.till(), "/v1/members", &card).await;
            let member = text(&member, "member_id");
            let store = &things[&("store_id", whose)];
            self.buys(server, store, &member, "2017-06-01T04:00:00Z")
                .await;
            self.spends(server, &member, points, "2017-06-02T04:00:00Z")
                .await;
            for number in 0..spends {
                let at = format!("2017-07-02T04:{number:02}:00Z");
                self.spends(server, &member, points, &at).await;
            }
        }
        let (june, _) = self.closes(server, things, "2017-06").await;
        self.confirms_all(server, things, &june).await;
        let path = format!("/v1/settlements/{june}/bank-file");
        let file = server.ask(self.owner(), &Method::GET, &path, None).await;
        let file: Vec<&str> = file.body.lines().collect();
        // The other's: one's own is recorded by hand.
        let executed = format!("{},executed_on\n{},2017-07-03", file[0], file[2]);
        let executed = json!(executed).to_string().trim_matches('"').to_owned();
        things.insert(("settlement_id", Whose::Own), june);

        let (_, statements) = self.closes(server, things, "2017-07").await;
        for whose in [Whose::Own, Whose::Other] {
            let statement = &statements[&whose];
            let path = format!("/v1/statements/{statement}/lines?limit=100");
            let all = server.get(self.owner(), &path).await;
            let all = all["data"].as_array().unwrap().iter();
            let taken = all.filter(|line| line["flow"] == "accepted");
            let mut taken: Vec<String> = taken.map(|line| text(line, "journal_id")).collect();
            let disputed = taken.pop().unwrap();
            let dispute = self
                .objects(server, things, whose, statement, &disputed)
                .await;
            things.insert(("dispute_id", whose), dispute);
            things.insert(("journal_id", whose), disputed);
            things.insert(("statement_id", whose), statement.clone());
            if whose == Whose::Own {
                lines = taken;
            }
        }
        (lines, executed)
    }

    /// The key of a merchant's finance.
    pub(super) async fn finance_of(&self, server: &Server, merchant: &str) -> String {
        let merchant = merchant.parse().unwrap();
        server
            .key(&self.tenant, "merchant.finance", Some(merchant))
            .await
    }

    /// Points that pay at the third merchant.
    pub(super) async fn spends(&self, server: &Server, member: &str, points: i64, at: &str) {
        let store = self.id(server, "/v1/stores", "third-shop-1", "store_id");
        let body = json!({
            "store_id": store.await, "receipt_number": format!("{member} {at}"),
            "member_id": member, "total": 10_000, "points": points, "occurred_at": at,
        });
        server.post(self.till(), "/v1/spends", &body).await;
    }

    /// A month is closed and issued: its settlement, and the statements of the two merchants.
    pub(super) async fn closes(
        &self,
        server: &Server,
        things: &Things,
        month: &str,
    ) -> (String, BTreeMap<Whose, String>) {
        let period = json!({"period": month});
        let closed = server.post(self.owner(), "/v1/settlements", &period).await;
        let id = text(&closed, "settlement_id");
        let (finance, path) = (self.caller(&self.finance), format!("/v1/settlements/{id}"));
        server
            .post(finance, &format!("{path}/issue"), &Value::Null)
            .await;
        let all = server.get(finance, &format!("{path}/statements")).await;
        let mut statements = BTreeMap::new();
        for one in all["data"].as_array().unwrap() {
            let merchant = text(one, "merchant_id");
            for whose in [Whose::Own, Whose::Other] {
                if things[&("merchant_id", whose)] == merchant {
                    statements.insert(whose, text(one, "statement_id"));
                }
            }
        }
        (id, statements)
    }

    /// Everybody agrees.
    async fn confirms_all(&self, server: &Server, things: &Things, settlement: &str) {
        let third = self
            .id(server, "/v1/merchants", "third-shop", "merchant_id")
            .await;
        let own = |whose| things[&("merchant_id", whose)].clone();
        for merchant in [own(Whose::Own), own(Whose::Other), third] {
            let key = self.finance_of(server, &merchant).await;
            let path = format!("/v1/settlements/{settlement}/statements");
            let seen = server.get(self.caller(&key), &path).await;
            let statement = text(&seen["data"][0], "statement_id");
            let path = format!("/v1/statements/{statement}/confirm");
            server.post(self.caller(&key), &path, &Value::Null).await;
        }
    }

    /// Finance proposes to add a point at a merchant's store; the adjustment's id.
    pub(super) async fn adjusts(&self, server: &Server, things: &Things, whose: Whose) -> String {
        let body = json!({"member_id": things[&("member_id", Whose::Own)],
            "store_id": things[&("store_id", whose)], "way": "add", "points": 1,
            "reason": "goodwill", "note": "Rain"});
        let finance = self.caller(&self.finance);
        let made = server.post(finance, "/v1/adjustments", &body).await;
        text(&made, "adjustment_id")
    }

    /// A merchant objects to a line; the dispute's id.
    pub(super) async fn objects(
        &self,
        server: &Server,
        things: &Things,
        whose: Whose,
        statement: &str,
        journal: &str,
    ) -> String {
        let key = self
            .finance_of(server, &things[&("merchant_id", whose)])
            .await;
        let path = format!("/v1/statements/{statement}/disputes");
        let body = json!({"journal_id": journal, "line": 0, "reason": "Not ours"});
        let made = server.post(self.caller(&key), &path, &body).await;
        text(&made, "dispute_id")
    }
}

impl Plaza {
    /// An adjustment that waits for a second person.
    pub(super) async fn proposed(&self) -> String {
        let (server, things) = (&self.server, &self.things);
        self.house.adjusts(server, things, Whose::Own).await
    }
}

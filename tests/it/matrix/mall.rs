//! Two malls that have the same of everything, and everybody who may knock.
//! What is used up by asking for it is made anew.

mod applicants;
mod debts;
mod months;
pub mod persons;
mod wires;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use poem::http::Method;
use rotunda::{
    db::tenants::Tenant,
    kernel::{ids::MerchantId, time::Clock},
};
use serde_json::{Value, json};

use super::operations::Operation;
use crate::support::{
    NOON, fresh_slug,
    front::open_mall_called,
    instant,
    outside::{Answer, Caller, Server},
    sms::Telephones,
};

/// The telephone of the member of each mall.
const PHONE: &str = "+8613800138000";

const MANIFEST: &str = include_str!("mall.toml");

/// What a request is about, seen from the merchant `own` of the first mall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// Its own, or the mall's.
    Own,
    /// Another merchant's of the same mall.
    Other,
    /// Another mall's.
    Foreign,
    /// What never was.
    Nobodys,
}

/// For which names in a request something else than one's own stands.
#[derive(Debug, Clone, Copy)]
pub struct Found(Option<(&'static str, Whose)>);

impl Found {
    /// One's own everywhere.
    pub fn own() -> Self {
        Self(None)
    }

    /// That for one name, one's own for the others.
    pub fn with(slot: &'static str, whose: Whose) -> Self {
        Self(Some((slot, whose)))
    }

    fn whose(&self, slot: &str) -> Whose {
        match self.0 {
            Some((other, whose)) if other == slot => whose,
            _ => Whose::Own,
        }
    }
}

/// What the golden file calls the object of a cell.
pub fn said(object: (Option<&'static str>, Whose), operation: &Operation) -> String {
    let query = if operation.recipe.query.is_empty() {
        ""
    } else {
        "filtered "
    };
    let whose = match object.1 {
        Whose::Own if operation.slots().is_empty() => "-",
        Whose::Own => "own",
        Whose::Other => "other",
        Whose::Foreign => "foreign",
        Whose::Nobodys => "unknown",
    };
    let slot = object.0.map(|slot| format!(" {slot}"));
    format!("{query}{whose}{}", slot.unwrap_or_default())
}

/// Somebody who asks.
pub struct Who {
    /// What the golden file calls them.
    pub name: &'static str,
    /// The role; none for whoever must not get in.
    pub role: Option<&'static str>,
    /// Whether the key is for the merchant `own` alone.
    pub merchant: bool,
    /// Whether it is somebody who is signed in, and no key.
    pub person: bool,
    key: Option<String>,
}

/// The ids of one mall, by name and by merchant.
type Things = BTreeMap<(&'static str, Whose), String>;

/// A mall with its keys.
struct House {
    tenant: Tenant,
    owner: String,
    till: String,
    /// Issues what the owner closes.
    finance: String,
}

/// What a mall has, and what is used up of it.
struct Furniture {
    things: Things,
    /// Lines of one's own statement that nobody has disputed.
    lines: Vec<String>,
    /// What a bank executed of the confirmed month, as a part of a body.
    executed: String,
}

/// The first mall as everybody meets it; the second only lends its ids and a key.
pub struct Plaza {
    pub server: Server,
    phones: Telephones,
    house: House,
    stranger: String,
    things: Things,
    lines: Mutex<Vec<String>>,
    executed: String,
    /// A merchant that pays for points in advance.
    prepaying: String,
    fresh: AtomicU32,
    months: AtomicU32,
}

impl House {
    async fn open(server: &Server, slug: &str) -> Self {
        let tenant = open_mall_called(&server.app, slug, MANIFEST, None).await;
        let owner = server.key(&tenant, "operator.owner", None).await;
        let till = server.key(&tenant, "machine.erp", None).await;
        let finance = server.key(&tenant, "operator.finance", None).await;
        Self {
            tenant,
            owner,
            till,
            finance,
        }
    }

    fn caller<'a>(&'a self, key: &'a str) -> Caller<'a> {
        Caller {
            host: &self.tenant.hosts[0],
            key: Some(key),
        }
    }

    fn owner(&self) -> Caller<'_> {
        self.caller(&self.owner)
    }

    fn till(&self) -> Caller<'_> {
        self.caller(&self.till)
    }

    /// The id of what has that code in a list.
    async fn id(&self, server: &Server, list: &str, code: &str, name: &str) -> String {
        let body = server.get(self.owner(), list).await;
        let all = body["data"].as_array().unwrap();
        let found = all.iter().find(|one| one["code"] == code).unwrap();
        text(found, name)
    }

    /// Everything that the two merchants have, and what the mall has.
    async fn furnish(&self, server: &Server, card: &str) -> Furniture {
        let mut things = Things::new();
        let enrolled = json!({"card_number": card, "phone": PHONE});
        let member = server.post(self.till(), "/v1/members", &enrolled).await;
        let member = text(&member, "member_id");
        for (whose, code) in [(Whose::Own, "own"), (Whose::Other, "other")] {
            let (merchant, store) = (format!("{code}-shop"), format!("{code}-shop-1"));
            let good = format!("{code}-cup");
            let merchant = self
                .id(server, "/v1/merchants", &merchant, "merchant_id")
                .await;
            let store = self.id(server, "/v1/stores", &store, "store_id").await;
            let good = self.id(server, "/v1/goods", &good, "good_id").await;
            let june = self
                .buys(server, &store, &member, "2017-06-15T04:00:00Z")
                .await;
            let now = self.buys(server, &store, &member, NOON).await;
            assert_ne!(june, now);
            let path = format!("/v1/merchants/{merchant}/agreements");
            let terms = json!({"from": "2099-01", "terms": {"model": "bilateral"}});
            let agreed = server.post(self.owner(), &path, &terms).await;
            things.insert(("agreement_id", whose), text(&agreed, "agreement_id"));
            things.insert(("digest", whose), text(&agreed, "digest"));
            things.insert(("merchant_id", whose), merchant);
            things.insert(("store_id", whose), store);
            things.insert(("good_id", whose), good);
            things.insert(("purchase_id", whose), now);
            let path = format!(
                "/v1/merchants/{}/credit/deposits",
                things[&("merchant_id", whose)]
            );
            let deposit = json!({"amount": 1000, "means": "other", "reference": "first"});
            server.post(self.owner(), &path, &deposit).await;
        }
        things.insert(("member_id", Whose::Own), member);
        things.insert(("card_number", Whose::Own), card.to_owned());
        for whose in [Whose::Own, Whose::Other] {
            self.writes_to(server, &things[&("merchant_id", whose)])
                .await;
            let proposed = self.adjusts(server, &things, whose).await;
            things.insert(("adjustment_id", whose), proposed);
        }
        let (lines, executed) = self.settle(server, &mut things).await;
        self.wire(server, &mut things).await;
        let told = server.get(self.owner(), "/v1/messages").await;
        things.insert(
            ("message_id", Whose::Own),
            text(&told["data"][0], "message_id"),
        );
        for whose in [Whose::Own, Whose::Other] {
            for slot in ["redemption_id", "code", "key_id", "role_change_id"] {
                let made = self.make(server, &things, slot, whose).await;
                things.insert((slot, whose), made);
            }
        }
        let made = self.make(server, &things, "role_id", Whose::Own).await;
        things.insert(("role_id", Whose::Own), made);
        self.people(server, &mut things).await;
        let (application, file) = self.applied(server).await;
        things.insert(("application_id", Whose::Own), application);
        things.insert(("file_id", Whose::Own), file);
        Furniture {
            things,
            lines,
            executed,
        }
    }

    /// A purchase of 100,000.00 that earned 100,000 points.
    async fn buys(&self, server: &Server, store: &str, member: &str, at: &str) -> String {
        let body = json!({
            "store_id": store, "receipt_number": at, "member_id": member, "occurred_at": at,
            "lines": [{"category": "tea", "quantity": 1, "amount": 100_000_00}],
        });
        let made = server.post(self.till(), "/v1/purchases", &body).await;
        text(&made, "purchase_id")
    }

    /// Something that can be used up once, made anew.
    async fn make(&self, server: &Server, things: &Things, slot: &str, whose: Whose) -> String {
        if slot == "key_id" {
            let merchant = &things[&("merchant_id", whose)];
            let key = json!({"label": "New", "role": "merchant.cashier", "merchant_id": merchant});
            let made = server.post(self.owner(), "/v1/keys", &key).await;
            return text(&made, slot);
        }
        if slot == "staff_id" {
            let merchant = &things[&("merchant_id", whose)];
            let made = self.invites(server, "merchant.cashier", Some(merchant));
            return made.await.0;
        }
        if slot == "role_id" {
            return self.makes_a_role(server).await;
        }
        if slot == "role_change_id" {
            let merchant = &things[&("merchant_id", whose)];
            return self.proposes(server, merchant).await;
        }
        let member = &things[&("member_id", Whose::Own)];
        let wanted = json!({"good_id": things[&("good_id", whose)], "member_id": member});
        let made = server.post(self.till(), "/v1/redemptions", &wanted).await;
        text(&made, slot)
    }
}

impl Plaza {
    pub async fn open() -> Self {
        let clock = Clock::fixed(instant(NOON));
        let (here, there) = (fresh_slug(), fresh_slug());
        let phones = Telephones::open().await;
        let server = wires::server(&clock, [&here, &there], phones.hook()).await;
        let house = House::open(&server, &here).await;
        let far = House::open(&server, &there).await;
        let prepaying = house.prepaying(&server, &clock).await;
        let furniture = house.furnish(&server, "card-here").await;
        let mut things = furniture.things;
        let mut there = far.furnish(&server, "card-there").await.things;
        for (house, things) in [(&house, &mut things), (&far, &mut there)] {
            house.comes_in(&server, &phones, things).await;
        }
        for ((slot, whose), id) in there {
            if whose == Whose::Own {
                things.insert((slot, Whose::Foreign), id);
            }
        }
        let own = things
            .clone()
            .into_iter()
            .filter(|(key, _)| key.1 == Whose::Own);
        for ((slot, _), id) in own {
            let unknown = match slot {
                "code" => "222-2222".to_owned(),
                "card_number" => "nobody".to_owned(),
                "digest" => "0".repeat(64),
                _ => format!("{}_{}", id.split_once('_').unwrap().0, "0".repeat(26)),
            };
            things.insert((slot, Whose::Nobodys), unknown);
        }
        let stranger = far.owner;
        let (fresh, months) = (AtomicU32::new(0), AtomicU32::new(0));
        Self {
            server,
            phones,
            house,
            stranger,
            things,
            lines: Mutex::new(furniture.lines),
            executed: furniture.executed,
            prepaying,
            fresh,
            months,
        }
    }

    /// Whoever may hold a key, and whoever must not get in.
    pub async fn everybody(&self) -> Vec<Who> {
        let (server, tenant) = (&self.server, &self.house.tenant);
        let own: MerchantId = self.things[&("merchant_id", Whose::Own)].parse().unwrap();
        let outside = |name, key| Who {
            name,
            role: None,
            merchant: false,
            person: false,
            key,
        };
        let ended = server.ended_key(tenant, "operator.owner").await;
        let mut everybody = vec![
            outside("no key", None),
            outside("a revoked key", Some(ended)),
            outside("another mall's key", Some(self.stranger.clone())),
        ];
        for (role, merchant) in persons::roles(&server.app.policy, own) {
            let key = server.key(tenant, role, merchant).await;
            everybody.push(Who {
                name: role,
                role: Some(role),
                merchant: merchant.is_some(),
                person: false,
                key: Some(key),
            });
        }
        everybody.push(Who {
            name: "a person who is signed in",
            role: Some(persons::ROLE),
            merchant: false,
            person: true,
            key: Some(self.signed_in().await),
        });
        everybody.push(self.a_member().await);
        everybody
    }

    /// Whether it makes a difference whose of two merchants it is.
    pub fn belongs_to_a_merchant(&self, slot: &'static str) -> bool {
        self.things.contains_key(&(slot, Whose::Other))
    }

    /// What an answer to that caller must not hold: whatever belongs to another mall, and to a
    /// merchant what belongs to another merchant. Who offers a good is told to everybody.
    pub fn hidden_from(&self, who: &Who, operation: &Operation) -> Vec<&str> {
        let offers = operation.recipe.right == ("good", "read");
        let hides_others = who.merchant && !offers;
        let things = self.things.iter().filter(|((_, whose), _)| match whose {
            Whose::Foreign => true,
            Whose::Other => hides_others,
            Whose::Own | Whose::Nobodys => false,
        });
        let mut hidden: Vec<&str> = things.map(|(_, id)| id.as_str()).collect();
        if hides_others {
            hidden.push("other-shop");
        }
        hidden
    }

    pub fn tenant(&self) -> &Tenant {
        &self.house.tenant
    }

    /// The owner of the first mall.
    pub fn owner(&self) -> Caller<'_> {
        self.house.owner()
    }

    /// A till of the first mall.
    pub fn till(&self) -> Caller<'_> {
        self.house.till()
    }

    /// One request, as valid as it can be.
    pub async fn ask(&self, who: &Who, operation: &Operation, found: &Found) -> Answer {
        let mut ids = BTreeMap::new();
        for slot in operation.slots() {
            let id = self.id(who, operation, slot, found.whose(slot)).await;
            ids.insert(slot, id);
        }
        let mut fresh = None;
        if who.person && operation.recipe.right == ("account", "use") {
            fresh = Some(self.somebody(operation.recipe.name, &mut ids).await);
        }
        if who.role == Some("member") {
            fresh = self.member_for(operation, &mut ids).await;
        }
        let address = self.filled(&operation.address, &ids);
        let body = self.filled(operation.recipe.body, &ids);
        let body = self.filled_by_people(&body, fresh.as_ref()).await;
        let token = fresh.as_ref().map(|fresh| fresh.token.as_str());
        let caller = Caller {
            host: &self.house.tenant.hosts[0],
            key: token.or(who.key.as_deref()),
        };
        let body = (!body.is_empty()).then_some(body.as_str());
        let answer = self
            .server
            .ask(caller, &operation.method, &address, body)
            .await;
        // What rests works again before the next one asks.
        if let Some(thing) = address.strip_suffix("/suspension") {
            let path = format!("{thing}/activation");
            self.server
                .ask(self.owner(), &Method::POST, &path, None)
                .await;
        }
        if operation.recipe.name == "remove_contact" && answer.status == 200 {
            let path = address.strip_prefix("/v1/merchants/").unwrap();
            let merchant = path.strip_suffix("/contact").unwrap();
            self.house.writes_to(&self.server, merchant).await;
        }
        answer
    }

    /// A body with one's own everywhere.
    pub fn body(&self, operation: &Operation) -> Value {
        let body = self.filled(operation.recipe.body, &self.own(operation));
        serde_json::from_str(&persons::nobodys(&body)).unwrap()
    }

    /// An address with one's own everywhere.
    pub fn address(&self, operation: &Operation) -> String {
        self.filled(&operation.address, &self.own(operation))
    }

    fn own(&self, operation: &Operation) -> BTreeMap<&'static str, String> {
        let own = |slot| (slot, self.things[&(slot, Whose::Own)].clone());
        operation.slots().into_iter().map(own).collect()
    }

    /// What stands for a name; something new where the operation uses it up.
    async fn id(
        &self,
        who: &Who,
        operation: &Operation,
        slot: &'static str,
        whose: Whose,
    ) -> String {
        let may = who.role.is_some_and(|role| {
            let (object, act) = operation.recipe.right;
            let policy = &self.server.app.policy;
            policy.decide(role, object, act).is_some()
        });
        if may && whose == Whose::Own {
            match (operation.recipe.name, slot) {
                ("issue_settlement", _) => return self.closed().await,
                ("confirm_statement", _) => return self.issued().await,
                ("decide_dispute", _) => return self.disputed().await,
                ("decide_adjustment", _) => return self.proposed().await,
                ("raise_dispute", "journal_id") => return self.line(),
                ("buy_block", _) => return self.prepaying.clone(),
                ("wind_down_merchant", _) => return self.newcomer().await.0,
                ("pay_by_stripe", _) => return self.nothing_due().await,
                ("cancel_stripe_leg", _) => return self.leg().await,
                (
                    "review_application"
                    | "ask_applicant"
                    | "approve_application"
                    | "reject_application",
                    _,
                ) => return self.house.applied(&self.server).await.0,
                ("raise_default", _) => return self.debtor(false).await,
                ("erase_member", _) if who.role != Some("member") => {
                    return self.somebody_new().await;
                }
                ("withdraw_default" | "declare_default", _) => return self.debtor(true).await,
                _ => {}
            }
        }
        let used_up = [
            ("claim_good", "code"),
            ("cancel_redemption", "redemption_id"),
            ("revoke_key", "key_id"),
            ("end_staff", "staff_id"),
            ("propose_role_change", "staff_id"),
            ("confirm_role_change", "role_change_id"),
            ("reject_role_change", "role_change_id"),
            ("set_role", "role_id"),
            ("end_role", "role_id"),
        ];
        let used_up = used_up.contains(&(operation.recipe.name, slot)) && who.role.is_some();
        if used_up && matches!(whose, Whose::Own | Whose::Other) {
            return self
                .house
                .make(&self.server, &self.things, slot, whose)
                .await;
        }
        self.things[&(slot, whose)].clone()
    }

    /// A month that nobody has closed.
    fn month(&self) -> String {
        let number = self.months.fetch_add(1, Ordering::Relaxed);
        let (year, month) = (2018 + number / 12, 1 + number % 12);
        format!("{year}-{month:02}")
    }

    /// A line that nobody has disputed.
    fn line(&self) -> String {
        self.lines.lock().unwrap().pop().unwrap()
    }

    /// A settlement that waits for a second person.
    async fn closed(&self) -> String {
        let period = json!({"period": self.month()});
        let closed = self
            .server
            .post(self.house.owner(), "/v1/settlements", &period);
        text(&closed.await, "settlement_id")
    }

    /// A statement that waits for its merchant.
    async fn issued(&self) -> String {
        let (month, house) = (self.month(), &self.house);
        let own = |slot| &self.things[&(slot, Whose::Own)];
        let (store, member) = (own("store_id"), own("member_id"));
        let at = format!("{month}-15T04:00:00Z");
        house.buys(&self.server, store, member, &at).await;
        let (_, statements) = house.closes(&self.server, &self.things, &month).await;
        statements[&Whose::Own].clone()
    }

    /// A dispute that waits for its decision.
    async fn disputed(&self) -> String {
        let (line, statement) = (self.line(), &self.things[&("statement_id", Whose::Own)]);
        let (server, things) = (&self.server, &self.things);
        self.house
            .objects(server, things, Whose::Own, statement, &line)
            .await
    }

    fn filled(&self, text: &str, ids: &BTreeMap<&'static str, String>) -> String {
        let mut filled = text.to_owned();
        for (slot, id) in ids {
            filled = filled.replace(&format!("<{slot}>"), id);
        }
        if filled.contains("<new>") {
            let number = self.fresh.fetch_add(1, Ordering::Relaxed);
            filled = filled.replace("<new>", &format!("new-{number}"));
        }
        if filled.contains("<digest>") {
            let asked = |id: &String| ids.get("agreement_id") == Some(id);
            let whose = self
                .things
                .iter()
                .find(|((slot, _), id)| *slot == "agreement_id" && asked(id));
            let ((_, whose), _) = whose.unwrap();
            filled = filled.replace("<digest>", &self.things[&("digest", *whose)]);
        }
        if filled.contains("<month>") {
            filled = filled.replace("<month>", &self.month());
        }
        filled
            .replace("<line>", "0")
            .replace("<object>", "purchase")
            .replace("<action>", "record")
            .replace("<executed>", &self.executed)
    }
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap().to_owned()
}

//! Malls with merchants and members, and what is asked of them.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use rotunda::{
    authz::{
        action::{CreateKey, EnrolMember, RecordPurchase},
        actor::Role,
    },
    cli::tenant::apply,
    db::tenants::Schema,
    earning::{self, Item, line::Line},
    identity::{self, NewKey},
    kernel::{
        ids::{MemberId, StoreId, TenantId},
        text::CardNumber,
        time::Instant,
    },
    members, merchants,
};
use secrecy::ExposeSecret;

use super::{
    load::{Dice, Request},
    site::Site,
};

/// Points that each member of a mall has at the begin, in one lot.
const PLENTY: i64 = 1_000_000;

const PROGRAMME: &str = r#"
languages = ["en"]
time_zone = "UTC"
currency = "USD"
calling_code = "1"
[earning]
[[earning.rules]]
code = "base"
points = 1
per = "1.00"
[expiry]
policy = "rolling_month"
months = 12
[spending]
points = 100
worth = "1.00"
most_share = "1"
[settlement]
model = "bilateral"
points = 100
worth = "1.00"
approval = "one"
confirm_days = 0
"#;

/// How large a mall is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub merchants: usize,
    pub members: usize,
    /// Whether members have points from the begin.
    pub points: bool,
}

pub struct Mall {
    pub tenant: TenantId,
    pub schema: String,
    pub stores: Vec<StoreId>,
    members: Vec<MemberId>,
    host: String,
    key: String,
}

impl Mall {
    /// Makes the mall `slug`; with how long its tables, merchants and programme took.
    pub async fn open(site: &Site, slug: &str, extent: Size) -> (Arc<Self>, Duration) {
        let file = site.folder.join(format!("{slug}.toml"));
        std::fs::write(&file, manifest(slug, extent)).unwrap();
        let begin = std::time::Instant::now();
        apply(&site.app, &file).await.unwrap();
        let took = begin.elapsed();
        let opened = site.app.mall_of(slug).await.unwrap();
        let tenant = opened.tenant.id;
        let mut mall = Self {
            tenant,
            schema: Schema::of(tenant).to_string(),
            stores: Vec::new(),
            members: Vec::new(),
            host: format!("{slug}.localhost"),
            key: String::new(),
        };
        mall.make_key(site).await;
        mall.enrol(site, extent).await;
        if extent.points {
            let now = site.app.clock.now();
            mall.grant_points(site, &opened.earning, now).await;
        }
        (Arc::new(mall), took)
    }

    async fn make_key(&mut self, site: &Site) {
        let grant = site.grant::<CreateKey>(self.tenant);
        let role = Role::new("machine.erp");
        let new = NewKey::new(
            &site.app.policy,
            &rotunda::authz::own::OwnRoles::default(),
            "till".parse().unwrap(),
            role,
            None,
            rotunda::authz::actor::Stores::All,
        )
        .unwrap();
        let mut tx = site.app.db.write(&grant).await.unwrap();
        let (_, secret) = identity::create(&mut tx, &site.app.policy, &grant, new)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        secret.expose_secret().clone_into(&mut self.key);
    }

    async fn enrol(&mut self, site: &Site, extent: Size) {
        let enrols = site.grant::<EnrolMember>(self.tenant);
        let mut tx = site.app.db.write(&enrols).await.unwrap();
        let codes: Vec<_> = (0..extent.merchants)
            .map(|number| format!("store-{number}").parse().unwrap())
            .collect();
        let stores = merchants::stores_by_code(&mut tx, &codes).await.unwrap();
        self.stores = codes.iter().map(|code| stores[code].store).collect();
        let cards: Vec<CardNumber> = (0..extent.members)
            .map(|number| format!("C-{number:06}").parse().unwrap())
            .collect();
        let enrolled = members::enrol_cards(&mut tx, &enrols, &cards)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        self.members = cards.iter().map(|card| enrolled[card]).collect();
    }

    /// Has each member earn [`PLENTY`] at that moment.
    pub async fn grant_points(&self, site: &Site, setting: &earning::Setting, at: Instant) {
        let grant = site.grant::<RecordPurchase>(self.tenant);
        let mut dice = Dice::new();
        for members in self.members.chunks(500) {
            let mut tx = site.app.db.write(&grant).await.unwrap();
            let items: Vec<Item> = members
                .iter()
                .map(|member| Item {
                    grant: grant.clone(),
                    store: self.stores[dice.below(self.stores.len())],
                    receipt_number: dice.fresh().parse().unwrap(),
                    member: Some(*member),
                    lines: vec![Line {
                        category: "tea".parse().unwrap(),
                        quantity: 1,
                        amount: PLENTY * 100,
                    }],
                    occurred_at: at,
                })
                .collect();
            let answers = earning::record(&mut tx, setting, &items, earning::Believed::default())
                .await
                .unwrap();
            assert!(answers.iter().all(Result::is_ok));
            tx.commit().await.unwrap();
        }
    }

    /// Its short name.
    pub fn slug(&self) -> &str {
        self.host.strip_suffix(".localhost").unwrap()
    }

    /// A purchase of any member anywhere.
    pub fn any_purchase(&self, dice: &mut Dice) -> Request {
        self.purchase(dice.below(self.stores.len()), dice)
    }

    pub fn purchase(&self, store: usize, dice: &mut Dice) -> Request {
        let (receipt, member) = (dice.fresh(), self.any_member(dice));
        let body = format!(
            r#"{{"store_id":"{}","receipt_number":"{receipt}","member_id":"{member}","lines":[{{"category":"tea","quantity":1,"amount":{}}}]}}"#,
            self.stores[store],
            100 + dice.below(20_000),
        );
        self.post("/v1/purchases", &receipt, &body)
    }

    /// A spend of any member anywhere.
    pub fn any_spend(&self, dice: &mut Dice) -> Request {
        self.spend(dice.below(self.members.len()), dice)
    }

    pub fn spend(&self, member: usize, dice: &mut Dice) -> Request {
        let receipt = dice.fresh();
        let body = format!(
            r#"{{"store_id":"{}","receipt_number":"{receipt}","member_id":"{}","total":100000,"points":{}}}"#,
            self.stores[dice.below(self.stores.len())],
            self.members[member],
            1 + dice.below(5),
        );
        self.post("/v1/spends", &receipt, &body)
    }

    /// What any member sees first.
    pub fn home(&self, dice: &mut Dice) -> Request {
        self.get(&format!("/v1/members/{}/home", self.any_member(dice)))
    }

    fn any_member(&self, dice: &mut Dice) -> MemberId {
        self.members[dice.below(self.members.len())]
    }

    pub fn get(&self, path: &str) -> Request {
        let (host, key) = (&self.host, &self.key);
        let text =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n");
        Request {
            bytes: text.into_bytes(),
            writes: false,
        }
    }

    fn post(&self, path: &str, act: &str, body: &str) -> Request {
        let (host, key, length) = (&self.host, &self.key, body.len());
        let text = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\
             Idempotency-Key: {act}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        Request {
            bytes: text.into_bytes(),
            writes: true,
        }
    }
}

fn manifest(slug: &str, extent: Size) -> String {
    let mut text = format!(
        "slug = \"{slug}\"\nhosts = [\"{slug}.localhost\"]\nnames = {{ en = \"Bench\" }}{PROGRAMME}"
    );
    for number in 0..extent.merchants {
        write!(
            text,
            "[[merchants]]\ncode = \"merchant-{number}\"\nnames = {{ en = \"M {number}\" }}\n\
             trade = \"tea\"\nalliance = \"both\"\n[[merchants.stores]]\n\
             code = \"store-{number}\"\nnames = {{ en = \"S {number}\" }}\n"
        )
        .unwrap();
    }
    text
}

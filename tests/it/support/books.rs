//! A fresh mall for each test, and the people who act in it.

use std::{str::FromStr, sync::Arc};

use rotunda::{
    authz::{
        action::{Action, CreateMerchant, EnrolMember, ManageTenants},
        actor::{Actor, Principal, Reach, Role},
        grant::Grant,
        policy::Policy,
    },
    db::{
        Db,
        tenants::{Registration, Schema, Tenant},
    },
    earning::{self, Setting, Version},
    kernel::{
        ids::{Entropy, MemberId, MerchantId, StoreId},
        money::{Currency, Rate},
        page::hex,
        text::{Code, Language, Name, Names},
        time::{Clock, Instant, Zone},
    },
    members::{self, Enrolment},
    merchants::{self, Alliance, NewMerchant, NewStore, credit::WhenEmpty},
};
use secrecy::SecretString;
use serde_json::json;
use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use tokio::sync::OnceCell;

/// When the tests' malls open: noon in Shanghai.
pub const NOON: &str = "2026-03-02T04:00:00Z";

/// The house without a mall; its clock stands at [`NOON`] until it is moved.
#[derive(Clone)]
pub struct House {
    pub db: Db,
    pub policy: Arc<Policy>,
    pub clock: Clock,
}

/// One mall of its own, open and empty.
#[derive(Clone)]
pub struct Mall {
    pub house: House,
    pub tenant: Tenant,
}

/// A merchant with one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shop {
    pub merchant: MerchantId,
    pub store: StoreId,
}

/// A connection as the owner of everything, in that search path.
pub async fn owner(path: &str) -> PgConnection {
    owner_at(&super::url(), path).await
}

/// As [`owner`], to the database of that URL.
pub async fn owner_at(url: &str, path: &str) -> PgConnection {
    let options = PgConnectOptions::from_str(url).unwrap();
    let options = options.options([("search_path", path)]);
    options.connect().await.unwrap()
}

/// The embedded policy, read once.
pub async fn policy() -> Arc<Policy> {
    static POLICY: OnceCell<Arc<Policy>> = OnceCell::const_new();
    POLICY
        .get_or_init(|| async {
            Arc::new(Policy::embedded().await.expect("a policy without a hole"))
        })
        .await
        .clone()
}

impl House {
    /// A house with that many connections.
    pub async fn new(connections: u32) -> Self {
        let clock = Clock::fixed(instant(NOON));
        let secret = SecretString::from(super::url());
        let db = Db::new(&secret, connections, clock.clone(), Entropy::System).unwrap();
        if let Err(error) = db.prepare().await {
            panic!("start the tests with tests/run: {error:?}");
        }
        let policy = policy().await;
        Self { db, policy, clock }
    }

    /// A new mall of that short name, in that zone.
    pub async fn mall(&self, slug: &str, zone: &str) -> Mall {
        let grant: Grant<ManageTenants> = self.policy.allow(&Principal::platform(None)).unwrap();
        let wanted = registration(slug, zone);
        let tenant = self.db.register(&grant, &wanted).await.unwrap();
        Mall {
            house: self.clone(),
            tenant,
        }
    }
}

impl Mall {
    /// A new mall in Shanghai.
    pub async fn open() -> Self {
        Self::open_in("Asia/Shanghai").await
    }

    /// A new mall in that time zone.
    pub async fn open_in(zone: &str) -> Self {
        House::new(16).await.mall(&fresh_slug(), zone).await
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.house.db
    }

    /// The name of its schema and role.
    pub fn schema(&self) -> String {
        Schema::of(self.tenant.id).to_string()
    }

    /// A connection as the owner, in this mall's schema.
    pub async fn owner(&self) -> PgConnection {
        owner(&self.schema()).await
    }

    /// What `role` within `scope` may do here.
    pub fn grant<A: Action>(&self, role: &str, scope: Reach) -> Grant<A> {
        let principal = Principal {
            actor: Actor::System,
            tenant: Some(self.tenant.id),
            role: Role::new(role),
            also: Vec::new(),
            scope,
            stores: rotunda::authz::actor::Stores::All,
            own: std::sync::Arc::default(),
            whence: std::sync::Arc::default(),
        };
        self.house.policy.allow(&principal).unwrap()
    }

    /// What the mall's tills may do.
    pub fn till<A: Action>(&self) -> Grant<A> {
        self.grant("machine.erp", Reach::Mall)
    }

    /// What the mall's own app may do.
    pub fn app<A: Action>(&self) -> Grant<A> {
        self.grant("machine.app", Reach::Mall)
    }

    /// What the vendor at the command line may do.
    pub fn vendor<A: Action>(&self) -> Grant<A> {
        self.grant("platform.admin", Reach::Mall)
    }

    /// What the house itself may do.
    pub fn system<A: Action>(&self) -> Grant<A> {
        self.grant("system", Reach::Mall)
    }

    /// A merchant of that code with one store of the same code; it gives and takes points.
    pub async fn shop(&self, text: &str) -> Shop {
        let mut tx = self
            .db()
            .write(&self.vendor::<CreateMerchant>())
            .await
            .unwrap();
        let new = NewMerchant {
            code: code(text),
            names: names(text),
            trade: name("retail"),
            alliance: Alliance::Both,
        };
        let merchant = merchants::create(&mut tx, &self.vendor(), new)
            .await
            .unwrap();
        let new = NewStore {
            merchant: merchant.id,
            code: code(text),
            names: names(text),
            alliance: None,
        };
        let store = merchants::create_store(&mut tx, &self.vendor(), new)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        Shop {
            merchant: merchant.id,
            store: store.id,
        }
    }

    /// A member with that card, called by it too.
    pub async fn member(&self, card: &str) -> MemberId {
        let mut tx = self
            .db()
            .write(&self.vendor::<EnrolMember>())
            .await
            .unwrap();
        let new = Enrolment {
            phone: None,
            card_number: Some(card.parse().unwrap()),
            name: Some(name(card)),
        };
        let member = members::enrol(&mut tx, &self.vendor(), new).await.unwrap();
        tx.commit().await.unwrap();
        member.id
    }
}

/// What a manifest would say about a mall of that short name.
pub fn registration(slug: &str, zone: &str) -> Registration {
    Registration {
        slug: slug.parse().unwrap(),
        names: names("A mall"),
        zone: zone.parse::<Zone>().unwrap(),
        currency: cny(),
        calling_code: "86".to_owned(),
        languages: vec![Language::ZhCn, Language::En],
        hosts: vec![format!("{slug}.localhost")],
    }
}

/// A short name that nobody had before.
pub fn fresh_slug() -> String {
    format!("m{}", hex(&Entropy::System.bytes::<8>()))
}

/// The tests' currency.
pub fn cny() -> Currency {
    Currency::from_code("CNY").unwrap()
}

pub fn instant(text: &str) -> Instant {
    text.parse().unwrap()
}

pub fn code(text: &str) -> Code {
    text.parse().unwrap()
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn names(text: &str) -> Names {
    Names::only(Language::En, name(text))
}

/// A programme by which one yuan earns one point that is worth one fen; `policy` and `months` are
/// those of its expiry, with the usual 30 days of grace.
pub fn setting(mall: &Mall, policy: &str, months: Option<u32>) -> Setting {
    let mut body = json!({
        "earning": { "rules": [{ "code": "base", "points": 1, "per": "1.00" }] },
        "expiry": { "policy": policy },
    });
    if let Some(months) = months {
        body["expiry"]["months"] = json!(months);
    }
    let programme = earning::parse(&body, cny(), Rate::ONE).unwrap();
    let version = Version {
        number: 1,
        valid_from: instant("2000-01-01T00:00:00Z"),
        programme,
        when_empty: WhenEmpty::default(),
    };
    Setting::new(mall.tenant.zone, vec![version]).unwrap()
}

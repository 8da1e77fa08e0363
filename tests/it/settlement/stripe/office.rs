//! A mall whose operator has an account at the peer, in verbs: what is asked for, what the house does
//! about it, what Stripe says.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use rotunda::{
    authz::{
        action::{ReadSettlements, RecordPayment, SetContact, SetStripeAccount},
        policy::Policy,
    },
    config::StripeKeys,
    db::locator::Targets,
    gateway::{mail::Mailer, stripe::Stripe},
    jobs::{self, Tools},
    kernel::{
        ids::{Entropy, SettlementId},
        text::Language,
    },
    merchants::{accounts, contacts},
    queue::{Bell, worker::Outcome},
    settlement::{
        State,
        stripe::{self as legs, Leg, LegKind, LegState, Requested, StripeError},
    },
};
use secrecy::SecretString;
use serde_json::Value;
use uuid::Uuid;

use crate::support::{
    outside::{Answer, Server},
    periods::ALL,
    settling::{Mall, Shop},
    stripe::{Peer, SECRET_KEY, WEBHOOK_SECRET, signed},
    url,
};

/// The mall, the peer, and who works in between.
pub struct Office {
    pub mall: Mall,
    pub peer: Peer,
    pub shops: [Shop; 3],
    /// The settlement that is to be paid.
    pub id: SettlementId,
    /// The server that this mall's keys are on.
    pub server: Server,
    policy: Arc<Policy>,
    stripe: Stripe,
}

/// How long a call may take in a test.
const PATIENCE: Duration = Duration::from_millis(1500);

impl Office {
    /// A mall whose June is confirmed: C pays A 5.75 and B 4.50 (settlement.md, example E); all of
    /// them are known at Stripe as far as they have to be.
    pub async fn open() -> Self {
        let office = Self::bare().await;
        let [a, b, c] = office.shops;
        office.writes_to(c).await;
        office.pays_to(a, "acct_a").await;
        office.pays_to(b, "acct_b").await;
        office
    }

    /// The same, with nobody known at Stripe.
    pub async fn bare() -> Self {
        let mall = Mall::open("2026-07-02T00:00:00Z").await;
        let shops @ [a, b, c] = mall.shops(["a", "b", "c"]).await;
        for (number, (from, to, points)) in [
            (a, b, 12_000),
            (b, a, 7_550),
            (b, c, 4_000),
            (c, a, 6_025),
            (a, c, 1_000),
        ]
        .into_iter()
        .enumerate()
        {
            let who = mall.member(&number.to_string()).await;
            mall.earns(who, from, points, "2026-06-01T04:00:00Z").await;
            mall.spends(who, to, points, "2026-06-03T04:00:00Z").await;
        }
        let closed = mall.closes("2026-06").await.settlement;
        assert_eq!(closed.state, State::Confirmed);
        Self::of(mall, shops, closed.id).await
    }

    /// The office of a mall that has something to be paid.
    pub async fn of(mall: Mall, shops: [Shop; 3], id: SettlementId) -> Self {
        let peer = Peer::open().await;
        let policy = Arc::new(Policy::embedded().await.unwrap());
        let mut config = Server::config(&url(), Targets::new(), 4);
        let keys = StripeKeys {
            secret_key: SecretString::from(SECRET_KEY),
            webhook_secret: SecretString::from(WEBHOOK_SECRET),
        };
        config.stripe.insert(mall.tenant.slug.clone(), keys);
        config.stripe_url = Some(peer.url());
        let server = Server::open_with(config, mall.clock.clone(), Entropy::System).await;
        let stripe = peer.account(&mall.tenant.slug, PATIENCE);
        Self {
            mall,
            peer,
            shops,
            id,
            server,
            policy,
            stripe,
        }
    }

    pub async fn writes_to(&self, shop: Shop) {
        let grant = self
            .mall
            .grant_of::<SetContact>("merchant.owner", Some(shop.merchant));
        let mut tx = self.mall.db.write(&grant).await.unwrap();
        let email = "accounts@cinema.example".parse().unwrap();
        contacts::set(&mut tx, &grant, shop.merchant, email, Language::En)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    pub async fn pays_to(&self, shop: Shop, account: &str) {
        let grant = self
            .mall
            .key::<SetStripeAccount>("operator.finance", None, 4);
        let mut tx = self.mall.db.write(&grant).await.unwrap();
        let account = account.parse().unwrap();
        accounts::set(&mut tx, &grant, shop.merchant, &account)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// Somebody asks that what is due goes through Stripe.
    pub async fn requests(&self) -> Result<Requested, StripeError> {
        let grant = self.mall.key::<RecordPayment>("operator.finance", None, 4);
        let mut tx = self.mall.db.write(&grant).await.unwrap();
        let currency = self.mall.tenant.currency;
        let done = legs::request(&mut tx, &grant, self.id, currency).await?;
        tx.commit().await.unwrap();
        Ok(done)
    }

    pub async fn retries(&self, leg: &Leg) -> Result<Leg, StripeError> {
        let grant = self.mall.key::<RecordPayment>("operator.finance", None, 4);
        let mut tx = self.mall.db.write(&grant).await.unwrap();
        let done = legs::retry(&mut tx, &grant, leg.id).await?;
        tx.commit().await.unwrap();
        Ok(done)
    }

    pub async fn cancels(&self, leg: &Leg) -> Result<Leg, StripeError> {
        let grant = self.mall.key::<RecordPayment>("operator.finance", None, 4);
        let mut tx = self.mall.db.write(&grant).await.unwrap();
        let done = legs::cancel(&mut tx, &grant, leg.id).await?;
        tx.commit().await.unwrap();
        Ok(done)
    }

    /// What was asked for, as a shop or the operator sees it.
    pub async fn legs(&self, shop: Option<Shop>) -> Vec<Leg> {
        let role = shop.map_or("operator.auditor", |_| "merchant.finance");
        let grant = self.mall.key::<ReadSettlements>(role, shop, 9);
        let mut tx = self.mall.db.read(&grant).await.unwrap();
        let page = legs::legs(&mut tx, &grant, self.id, &ALL).await;
        page.unwrap().items
    }

    /// Kind, state, tries and problem of each, the invoices first.
    pub async fn stand(&self) -> Vec<(LegKind, LegState, i32, Option<String>)> {
        let legs = self.legs(None).await.into_iter();
        legs.map(|leg| (leg.kind, leg.state, leg.attempts, leg.problem))
            .collect()
    }

    /// The only invoice.
    pub async fn invoice(&self) -> Leg {
        let legs = self.legs(None).await.into_iter();
        let mut invoices = legs.filter(|leg| leg.kind == LegKind::Invoice);
        let first = invoices.next().unwrap();
        assert_eq!(invoices.next(), None);
        first
    }

    /// What a handler works with.
    pub fn tools(&self) -> Tools {
        Tools {
            db: self.mall.db.clone(),
            policy: Arc::clone(&self.policy),
            bell: Bell::default(),
            mailer: Mailer::Off,
            sms: rotunda::gateway::sms::Sms::Off,
            stripe: self.stripe.clone(),
            base_url: None,
            files: rotunda::gateway::files::Files::Folder(std::env::temp_dir()),
        }
    }

    /// What waits in the outbox, in order.
    pub async fn jobs(&self) -> Vec<(Uuid, Value)> {
        let mut admin = self.mall.admin().await;
        sqlx::query_as(
            "select job_id, payload from outbox where name = 'stripe.follow' order by job_id",
        )
        .fetch_all(&mut admin)
        .await
        .unwrap()
    }

    /// Does every job that there is, once, as the worker would, in any order; what came of it, in
    /// alphabetical order.
    pub async fn works(&self) -> Vec<Outcome> {
        self.works_by(&self.tools()).await
    }

    pub async fn works_by(&self, tools: &Tools) -> Vec<Outcome> {
        let handlers = jobs::handlers(tools);
        let mut outcomes = Vec::new();
        for (_, job) in self.jobs().await {
            let mall = self.mall.tenant.id;
            outcomes.push(handlers.run(mall, "stripe.follow", job).await);
        }
        outcomes.sort_by_key(|outcome| format!("{outcome:?}"));
        outcomes
    }

    /// Does every job, and those that come of it, until there are no more of them.
    pub async fn works_until_idle(&self) {
        let mut known = BTreeSet::new();
        loop {
            let jobs: BTreeSet<Uuid> = self.jobs().await.into_iter().map(|(id, _)| id).collect();
            if jobs == known {
                return;
            }
            known = jobs;
            for outcome in self.works().await {
                assert_eq!(outcome, Outcome::Done);
            }
        }
    }

    /// Stripe says something, signed by that secret at that moment.
    pub async fn hears_by(&self, event: &Value, secret: &str, at: DateTime<Utc>) -> Answer {
        let (signature, body) = signed(event, secret, at);
        let host = &self.mall.tenant.hosts[0];
        self.server.hears(host, &signature, &body).await
    }

    /// Stripe says something; what came of it.
    pub async fn hears(&self, event: &Value) -> String {
        let now = self.mall.clock.now();
        let answer = self.hears_by(event, WEBHOOK_SECRET, now).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["outcome"].as_str().unwrap().to_owned()
    }

    /// A message just as it is.
    pub async fn hears_plain(&self, signature: &str, body: &str) -> Answer {
        let host = &self.mall.tenant.hosts[0];
        self.server.hears(host, signature, body).await
    }

    pub async fn state(&self) -> State {
        self.mall.settlement(self.id).await.state
    }
}

//! What many tills do at once, and the account that they keep of it themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::{Client, Method, StatusCode};
use rotunda::kernel::ids::{Purchase, Redemption, Refund, Spend};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tokio::{task::JoinSet, time::sleep};
use uuid::Uuid;

use super::real::Place;
use crate::support::till::{Answer, Till};

/// How often an act is asked for whose answer got lost.
const TRIES: u64 = 20;

/// How long somebody asks again who is told to come back; and the longest that an answer may take,
/// whatever happens behind the server.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// How long a till waits before it asks again: less than `Retry-After` says, to meet more of what
/// is going on.
const PAUSE: Duration = Duration::from_millis(50);

/// What a till wants, the same at every try.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub path: String,
    pub key: String,
    pub body: Value,
    /// Whose points it is about.
    pub member: String,
}

/// What is going on, seen from outside.
#[derive(Debug, Default)]
pub struct Progress {
    /// Acts that were answered, refusals among them.
    pub acknowledged: AtomicU64,
    /// Requests whose answer never came.
    pub ambiguous: AtomicU64,
    /// Requests that were told to come back.
    pub put_off: AtomicU64,
    /// Requests that found nobody who listens.
    pub unheard: AtomicU64,
    stop: AtomicBool,
}

impl Progress {
    pub fn count(of: &AtomicU64) -> u64 {
        of.load(Ordering::Relaxed)
    }
}

/// What somebody was told that happened.
#[derive(Debug, Default)]
pub struct Record {
    /// What each member has, less what she owes.
    net: BTreeMap<String, i64>,
    /// What is set aside for each member's reservations.
    held: BTreeMap<String, i64>,
    /// The ids of what was recorded.
    purchases: BTreeSet<Uuid>,
    spends: BTreeSet<Uuid>,
    refunds: BTreeSet<Uuid>,
    redemptions: BTreeSet<Uuid>,
    /// How many answers said that they were given before.
    pub replayed: u64,
}

/// One who acts until it is stopped.
struct Shopper {
    till: Till,
    name: String,
    members: Arc<Vec<String>>,
    progress: Arc<Progress>,
    rng: StdRng,
    acts: u32,
    returnable: Vec<(String, String)>,
    record: Record,
}

/// Many of them.
pub struct Crowd {
    pub progress: Arc<Progress>,
    at_work: JoinSet<Record>,
}

/// A till whose requests wait for an answer, but not for ever.
pub fn patient(till: &Till) -> Till {
    Till {
        client: Client::builder().timeout(PATIENCE).build().unwrap(),
        ..till.clone()
    }
}

/// Members with as many points each.
pub async fn members(till: &Till, many: usize, points: i64) -> (Arc<Vec<String>>, Record) {
    let (mut members, mut record) = (Vec::new(), Record::default());
    for number in 0..many {
        let member = till.member(&format!("c-{number}"), points).await;
        record.net.insert(member.clone(), points);
        members.push(member);
    }
    (Arc::new(members), record)
}

/// Asks until there is an answer that stays.
pub async fn insist(till: &Till, wanted: &Wanted, progress: &Progress) -> Answer {
    let (since, mut lost) = (Instant::now(), 0);
    loop {
        let sent = till
            .send(
                Method::POST,
                &wanted.path,
                Some(&wanted.key),
                Some(&wanted.body),
            )
            .await;
        match sent {
            Ok(answer) if answer.status == StatusCode::SERVICE_UNAVAILABLE => {
                come_back(&answer);
                progress.put_off.fetch_add(1, Ordering::Relaxed);
                assert!(since.elapsed() < PATIENCE, "put off for ever: {answer:?}");
                sleep(PAUSE).await;
            }
            Ok(answer) if answer.text("code") == "idempotency-in-progress" => {
                assert!(
                    since.elapsed() < PATIENCE,
                    "in progress for ever: {answer:?}"
                );
                sleep(PAUSE).await;
            }
            Ok(answer) => {
                progress.acknowledged.fetch_add(1, Ordering::Relaxed);
                return answer;
            }
            Err(error) if error.is_connect() => {
                // Nobody heard it, so nothing is in doubt.
                progress.unheard.fetch_add(1, Ordering::Relaxed);
                assert!(since.elapsed() < PATIENCE, "nobody there: {wanted:?}");
                sleep(PAUSE).await;
            }
            Err(error) => {
                assert!(!error.is_timeout(), "no answer for a minute: {wanted:?}");
                lost += 1;
                progress.ambiguous.fetch_add(1, Ordering::Relaxed);
                assert!(lost < TRIES, "lost every time: {wanted:?}: {error}");
            }
        }
    }
}

/// That an answer 503 is of the kind that a till understands.
pub fn come_back(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    let header = |name: &str| {
        answer
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap())
    };
    assert_eq!(
        header("content-type"),
        Some("application/problem+json"),
        "{answer:?}"
    );
    let seconds: u32 = header("retry-after").unwrap().parse().unwrap();
    assert!((1..=5).contains(&seconds), "{answer:?}");
    assert_eq!(answer.body["retryable"], true, "{answer:?}");
}

impl Crowd {
    /// So many clients who buy, spend, return and reserve for these members until they are stopped.
    pub fn gather(till: &Till, members: &Arc<Vec<String>>, clients: u64) -> Self {
        let progress = Arc::<Progress>::default();
        let mut at_work = JoinSet::new();
        for number in 0..clients {
            let shopper = Shopper {
                till: patient(till),
                name: format!("s{number}"),
                members: Arc::clone(members),
                progress: Arc::clone(&progress),
                rng: StdRng::seed_from_u64(number),
                acts: 0,
                returnable: Vec::new(),
                record: Record::default(),
            };
            at_work.spawn(shopper.shop());
        }
        Self { progress, at_work }
    }

    /// Lets each end what it is about, and adds up what they were told. Fails where one of them
    /// failed, and does so at once when it is asked while they are at work.
    pub async fn stop(mut self, mut record: Record) -> Record {
        self.progress.stop.store(true, Ordering::Relaxed);
        while let Some(one) = self.at_work.join_next().await {
            record.add(one.unwrap());
        }
        record
    }

    /// Waits until so much happened, while all are at work.
    pub async fn until(&mut self, what: &str, so: impl Fn(&Progress) -> bool) {
        let since = Instant::now();
        while !so(&self.progress) {
            if let Some(ended) = self.at_work.try_join_next() {
                panic!("one stopped: {ended:?}");
            }
            assert!(
                since.elapsed() < 5 * PATIENCE,
                "never: {what}: {:?}",
                self.progress
            );
            sleep(PAUSE).await;
        }
    }
}

impl Shopper {
    async fn shop(mut self) -> Record {
        while !self.progress.stop.load(Ordering::Relaxed) {
            self.acts += 1;
            let wanted = self.wants();
            let answer = insist(&self.till, &wanted, &self.progress).await;
            self.write_down(&wanted, &answer);
        }
        self.record
    }

    /// The next act; it has a name that nothing else has.
    fn wants(&mut self) -> Wanted {
        let name = format!("{}-{}", self.name, self.acts);
        let member = self.members[self.rng.random_range(0..self.members.len())].clone();
        let dice = self.rng.random_range(0..10);
        let returned = if dice == 0 {
            self.returnable.pop()
        } else {
            None
        };
        let (path, member, body) = match (dice, returned) {
            (_, Some((purchase, member))) => {
                let body =
                    json!({ "reference": name, "amount": 100 * self.rng.random_range(1..=3) });
                (format!("/v1/purchases/{purchase}/refunds"), member, body)
            }
            (0..=4, None) => {
                let amount = 100 * self.rng.random_range(3..=20);
                let body = self.till.purchase(&member, &name, amount);
                ("/v1/purchases".to_owned(), member, body)
            }
            (5..=7, None) => {
                let points = self.rng.random_range(1..=10);
                let body = self.till.spend(&member, &name, points);
                ("/v1/spends".to_owned(), member, body)
            }
            _ => {
                let body = json!({ "good_id": self.till.good, "member_id": member });
                ("/v1/redemptions".to_owned(), member, body)
            }
        };
        Wanted {
            path,
            key: name,
            body,
            member,
        }
    }

    fn write_down(&mut self, wanted: &Wanted, answer: &Answer) {
        if answer.status == StatusCode::CONFLICT {
            assert_eq!(
                answer.text("code"),
                "not-enough-points",
                "{wanted:?}: {answer:?}"
            );
            return;
        }
        // However often it was asked for: the key has the first answer. That a receipt was recorded
        // before (200) only its number would tell.
        assert_eq!(answer.status, StatusCode::CREATED, "{wanted:?}: {answer:?}");
        let record = &mut self.record;
        record.replayed += u64::from(answer.headers.contains_key("idempotent-replayed"));
        let net = record.net.entry(wanted.member.clone()).or_default();
        let fresh = if wanted.path.ends_with("/refunds") {
            *net -= answer.number("points_taken") + answer.number("points_owed");
            record.refunds.insert(answer.id::<Refund>("refund_id"))
        } else if wanted.path.ends_with("/purchases") {
            *net += answer.number("points");
            let purchase = answer.text("purchase_id").to_owned();
            self.returnable.push((purchase, wanted.member.clone()));
            record
                .purchases
                .insert(answer.id::<Purchase>("purchase_id"))
        } else if wanted.path.ends_with("/spends") {
            *net -= answer.number("points");
            record.spends.insert(answer.id::<Spend>("spend_id"))
        } else {
            let points = answer.number("points");
            *net -= points;
            *record.held.entry(wanted.member.clone()).or_default() += points;
            record
                .redemptions
                .insert(answer.id::<Redemption>("redemption_id"))
        };
        assert!(fresh, "two acts have one id: {wanted:?}: {answer:?}");
    }
}

impl Record {
    fn add(&mut self, other: Self) {
        for (member, points) in other.net {
            *self.net.entry(member).or_default() += points;
        }
        for (member, points) in other.held {
            *self.held.entry(member).or_default() += points;
        }
        self.purchases.extend(other.purchases);
        self.spends.extend(other.spends);
        self.refunds.extend(other.refunds);
        self.redemptions.extend(other.redemptions);
        self.replayed += other.replayed;
    }

    /// That everything that was acknowledged is in the books once, and nothing else is; and that
    /// the books hold.
    pub async fn is_what_happened(&self, place: &Place) {
        let mut tenant = place.tenant().await;
        for (table, told) in [
            ("purchase", &self.purchases),
            ("spend", &self.spends),
            ("refund", &self.refunds),
            ("redemption", &self.redemptions),
        ] {
            // What the members began with was told to nobody here.
            let begun = if table == "purchase" {
                "where receipt_number not like 'first-%'"
            } else {
                ""
            };
            let sql = format!("select {table}_id from {table} {begun}");
            let found: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(sql))
                .fetch_all(&mut tenant)
                .await
                .unwrap();
            let found: BTreeSet<Uuid> = found.into_iter().collect();
            let lost = told.difference(&found).count();
            let double = found.difference(told).count();
            assert_eq!((lost, double), (0, 0), "lost and double {table}s");
            assert!(!told.is_empty(), "no {table} at all");
        }
        for (member, net) in &self.net {
            let path = format!("/v1/members/{member}/balance");
            let (_, balance) = place.till.ask(Method::GET, &path, None, None).await;
            let number = |name: &str| balance[name].as_i64().unwrap();
            let found = (number("available") - number("owed"), number("held"));
            let held = self.held.get(member).copied().unwrap_or_default();
            assert_eq!(found, (*net, held), "{member}: {balance}");
        }
        place.prove();
    }
}

//! The lane: what many tills ask for at once goes through the books together, and each is answered
//! for itself.

mod settings;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use poem::http;
use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::{Method, StatusCode};
use rotunda::{
    db::tenants::Schema,
    kernel::{
        ids::{Entropy, MemberId, StoreId},
        time::Clock,
    },
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::support::{
    NOON,
    books::owner,
    day::Day,
    instant,
    outside::{Caller, Server},
    till::{Answer, Opened, Till},
};

/// Longer than anything takes here that ends at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many may wait in a lane.
const MOST_WAITING: usize = 256;

/// How many slices of a lane are under way at a time.
const SLICES: usize = 2;

/// One purchase as a till sends it.
#[derive(Debug, Clone)]
struct Sale {
    key: String,
    body: Value,
}

impl Sale {
    fn new(key: impl Into<String>, body: Value) -> Self {
        let key = key.into();
        Self { key, body }
    }

    async fn at(&self, till: &Till) -> Answer {
        let sent = till.send(
            Method::POST,
            "/v1/purchases",
            Some(&self.key),
            Some(&self.body),
        );
        timeout(PATIENCE, sent).await.expect("an answer").unwrap()
    }

    /// Asks for it again until nobody says "come back".
    async fn insisted(&self, till: &Till) -> Answer {
        let since = Instant::now();
        loop {
            let answer = self.at(till).await;
            if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                return answer;
            }
            come_back(&answer);
            assert!(since.elapsed() < PATIENCE, "put off for ever: {answer:?}");
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Asks for all of them at the same time; the answers in their order.
async fn at_once(till: &Till, sales: &[Sale]) -> Vec<Answer> {
    let mut asked = JoinSet::new();
    for (place, sale) in sales.iter().cloned().enumerate() {
        let till = till.clone();
        asked.spawn(async move {
            let mut answer = sale.at(&till).await;
            // Whose slice waited too long for another on a machine at work is told to try again, and does.
            for _ in 0..5 {
                if answer.text("code") != "try-again" {
                    break;
                }
                come_back(&answer);
                sleep(Duration::from_secs(1)).await;
                answer = sale.at(&till).await;
            }
            (place, answer)
        });
    }
    let answers: BTreeMap<usize, Answer> = asked.join_all().await.into_iter().collect();
    answers.into_values().collect()
}

/// That a till understands what it is told.
fn come_back(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.headers["retry-after"], "1", "{answer:?}");
    assert_eq!(answer.body["retryable"], true, "{answer:?}");
}

/// A connection of the superuser in this mall's schema.
async fn superuser(opened: &Opened) -> PgConnection {
    owner(&Schema::of(opened.mall.tenant.id).to_string()).await
}

/// The mall's purchases with such receipt numbers, and in how many transactions they were written.
async fn recorded(opened: &Opened, like: &str) -> (i64, i64) {
    let sql = "select count(*), count(distinct xmin::text) from purchase
               where receipt_number like $1";
    let row = sqlx::query(sql).bind(like);
    let row = row.fetch_one(&mut superuser(opened).await).await.unwrap();
    (row.get(0), row.get(1))
}

/// Locks the mall's books against all who post, until the connection goes.
async fn hold_books(opened: &Opened) -> PgConnection {
    let mut holder = superuser(opened).await;
    let lock = "begin; lock table book in exclusive mode";
    sqlx::raw_sql(lock).execute(&mut holder).await.unwrap();
    holder
}

/// A bar across the way to the mall's purchases. It is no lock, so whoever stands before it does
/// not lose patience.
struct Bar {
    superuser: PgConnection,
}

impl Bar {
    async fn across(opened: &Opened) -> Self {
        let mut superuser = superuser(opened).await;
        let sql = format!(
            "create table bar ();
             insert into bar default values;
             create sequence before_bar;
             grant select on bar to {role};
             grant usage on before_bar to {role};
             create function wait_at_bar() returns trigger language plpgsql as $$
             begin
                 perform nextval('before_bar');
                 while exists (select from bar) loop perform pg_sleep(0.02); end loop;
                 return null;
             end $$;
             create trigger bar before insert on purchase
                 for each statement execute function wait_at_bar()",
            role = Schema::of(opened.mall.tenant.id),
        );
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        sql.execute(&mut superuser).await.unwrap();
        Self { superuser }
    }

    /// Waits until so many slices stand before it.
    async fn is_reached_by(&mut self, slices: i64) {
        let since = Instant::now();
        let reached = "select is_called and last_value >= $1 from before_bar";
        while !sqlx::query_scalar::<_, bool>(reached)
            .bind(slices)
            .fetch_one(&mut self.superuser)
            .await
            .unwrap()
        {
            assert!(since.elapsed() < PATIENCE, "nobody comes to the bar");
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn lift(mut self) {
        let lift = sqlx::raw_sql("delete from bar");
        lift.execute(&mut self.superuser).await.unwrap();
    }
}

/// Two hundred sales of every kind that there is; a key says by its first word which kind.
fn crowd_of_sales(day: &Day, people: &[String]) -> Vec<Sale> {
    let mut sales = Vec::new();
    let someone = |number: usize| &people[number % people.len()];
    for number in 0..150 {
        let receipt = format!("plain-{number}");
        let body = day.purchase(someone(number), &receipt, 100);
        sales.push(Sale::new(receipt, body));
    }
    for number in 0..10 {
        let nobody = MemberId::new(instant(NOON), &Entropy::System).to_string();
        let receipt = format!("stranger-{number}");
        sales.push(Sale::new(&receipt, day.purchase(&nobody, &receipt, 100)));
        let receipt = format!("nowhere-{number}");
        let mut body = day.purchase(someone(number), &receipt, 100);
        body["store_id"] = json!(StoreId::new(instant(NOON), &Entropy::System).to_string());
        sales.push(Sale::new(receipt, body));
    }
    for number in 0..6 {
        let receipt = format!("tomorrow-{number}");
        let mut body = day.purchase(someone(number), &receipt, 100);
        body["occurred_at"] = json!("2026-03-03T04:00:00Z");
        sales.push(Sale::new(receipt, body));
    }
    for number in 0..4 {
        let receipt = format!("receipt-{number}");
        for amount in [100, 200] {
            let key = format!("{receipt}-{amount}");
            let body = day.purchase(someone(number), &receipt, amount);
            sales.push(Sale::new(key, body));
        }
        let receipt = format!("twin-{number}");
        let body = day.purchase(someone(number), &receipt, 100);
        sales.extend([
            Sale::new(&receipt, body.clone()),
            Sale::new(&receipt, body.clone()),
        ]);
        let receipt = format!("reused-{number}");
        let (one, other) = (format!("{receipt}-a"), format!("{receipt}-b"));
        let (one, other) = (
            day.purchase(someone(number), &one, 100),
            day.purchase(someone(number), &other, 200),
        );
        sales.extend([Sale::new(&receipt, one), Sale::new(&receipt, other)]);
    }
    sales
}

/// What each kind of sale may come to: the statuses with the problems' codes, sorted.
fn expected(kind: &str, count: usize) -> Vec<(u16, String)> {
    let half = |refused: (u16, &str)| {
        let refused = (refused.0, refused.1.to_owned());
        let mut all = vec![(201, String::new()); count / 2];
        all.extend(vec![refused; count / 2]);
        all
    };
    let all = |status: u16, code: &str| vec![(status, code.to_owned()); count];
    match kind {
        "plain" | "twin" => all(201, ""),
        "stranger" => all(404, "unknown-member"),
        "nowhere" => all(404, "unknown-store"),
        "tomorrow" => all(409, "in-the-future"),
        "receipt" => half((409, "receipt-taken")),
        "reused" => half((422, "idempotency-key-reused")),
        _ => panic!("{kind}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_who_come_at_once_each_is_answered_for_itself() {
    let day = Day::begin().await;
    let mut people = Vec::new();
    for number in 0..10 {
        people.push(day.member(&format!("c-{number}"), 0).await);
    }
    let sales = crowd_of_sales(&day, &people);
    assert_eq!(sales.len(), 200);
    let answers = at_once(&day.till, &sales).await;

    let mut kinds: BTreeMap<&str, Vec<(u16, String)>> = BTreeMap::new();
    let mut points = BTreeMap::new();
    // Of two under one key either may come first.
    let mut fresh: BTreeMap<String, usize> = BTreeMap::new();
    for (sale, answer) in sales.iter().zip(&answers) {
        let kind = sale.key.split('-').next().unwrap();
        let said = (answer.status.as_u16(), answer.text("code").to_owned());
        kinds.entry(kind).or_default().push(said);
        if answer.status.is_success() {
            let id = answer.text("purchase_id").to_owned();
            let replayed = answer.headers.contains_key("idempotent-replayed");
            *fresh.entry(id.clone()).or_default() += usize::from(!replayed);
            points.insert(id, answer.number("points"));
        }
    }
    for (kind, mut said) in kinds {
        said.sort();
        assert_eq!(said, expected(kind, said.len()), "{kind}");
    }
    let (purchases, transactions) = recorded(&day.opened, "%").await;
    eprintln!("{purchases} purchases in {transactions} transactions");
    assert_eq!(purchases, 162);
    assert_eq!(points.len(), 162, "a purchase for each answer");
    assert!(fresh.values().all(|made| *made == 1), "{fresh:?}");
    assert!(transactions * 2 < purchases, "the lane takes many at once");
    let mut available = 0;
    for person in &people {
        available += day.available(person).await;
    }
    assert_eq!(available, points.values().sum::<i64>());

    let again = at_once(&day.till, &sales).await;
    for ((sale, first), again) in sales.iter().zip(&answers).zip(&again) {
        assert_eq!(first.status, again.status, "{sale:?}: {again:?}");
        let reused = again.text("code") == "idempotency-key-reused";
        let replayed = again.headers.contains_key("idempotent-replayed");
        assert_eq!(replayed, !reused, "{sale:?}: {again:?}");
        assert!(reused || first.body == again.body, "{first:?}: {again:?}");
    }
    assert_eq!(recorded(&day.opened, "%").await, (purchases, transactions));
    day.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_cannot_take_is_refused_alone() {
    let day = Day::begin().await;
    let member = day.member("c-1", 0).await;
    let mut superuser = superuser(&day.opened).await;
    let poison =
        "alter table purchase add constraint poison check (receipt_number <> 'full-poison')";
    sqlx::raw_sql(poison).execute(&mut superuser).await.unwrap();
    let mut bar = Bar::across(&day.opened).await;
    let first = tokio::spawn({
        let sale = Sale::new("first", day.purchase(&member, "first", 100));
        let till = day.till.clone();
        async move { sale.at(&till).await }
    });
    bar.is_reached_by(1).await;

    let sales: Vec<Sale> = (0..64)
        .map(|number| match number {
            41 => "full-poison".to_owned(),
            _ => format!("full-{number}"),
        })
        .map(|name| Sale::new(&name, day.purchase(&member, &name, 100)))
        .collect();
    let (till, all) = (day.till.clone(), sales.clone());
    let answers = tokio::spawn(async move { at_once(&till, &all).await });
    sleep(Duration::from_secs(1)).await;
    bar.lift().await;
    assert_eq!(first.await.unwrap().status, StatusCode::CREATED);
    let answers = answers.await.unwrap();
    for (sale, answer) in sales.iter().zip(&answers) {
        if sale.key == "full-poison" {
            assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(answer.text("code"), "internal-error");
        } else {
            assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        }
    }
    let (purchases, transactions) = recorded(&day.opened, "full-%").await;
    eprintln!("{purchases} of a poisoned slice in {transactions} transactions");
    assert_eq!(purchases, 63);
    assert!(transactions <= 24, "halves, and not one by one");

    let again = at_once(&day.till, &sales).await;
    for ((sale, first), again) in sales.iter().zip(&answers).zip(&again) {
        assert_eq!(first.status, again.status, "{sale:?}: {again:?}");
        let replayed = again.headers.contains_key("idempotent-replayed");
        assert_eq!(replayed, sale.key != "full-poison");
    }
    let cure = sqlx::raw_sql("alter table purchase drop constraint poison");
    cure.execute(&mut superuser).await.unwrap();
    let cured = sales[41].at(&day.till).await;
    assert_eq!(cured.status, StatusCode::CREATED, "nothing was final");
    assert_eq!(day.available(&member).await, 65);
    day.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_finds_the_lane_full_is_told_so_at_once() {
    let clock = Clock::fixed(instant(NOON));
    let server = Arc::new(Server::open(8, clock, Entropy::System).await);
    let opened = Opened::by(&server.app).await;
    let key = opened.key(&server.app, "machine.erp").await;
    let caller = Caller {
        host: &opened.host,
        key: Some(&key),
    };
    let stores = server.get(caller, "/v1/stores").await;
    let store = stores["data"][0]["store_id"].clone();
    let mut bar = Bar::across(&opened).await;

    let mut asked = JoinSet::new();
    let ask = |number: usize| {
        let (server, host, key) = (Arc::clone(&server), opened.host.clone(), key.clone());
        let name = format!("full-{number}");
        let body = json!({ "store_id": store, "receipt_number": name,
            "lines": [{ "category": "tea", "quantity": 1, "amount": 100 }] });
        async move {
            let caller = Caller {
                host: &host,
                key: Some(&key),
            };
            let (path, body) = ("/v1/purchases", body.to_string());
            let answer = server.ask_under(&name, caller, &http::Method::POST, path, Some(&body));
            (number, answer.await)
        }
    };
    for slice in 0..SLICES {
        asked.spawn(ask(slice));
        bar.is_reached_by(i64::try_from(slice).unwrap() + 1).await;
    }
    let surplus = 100;
    for number in SLICES..SLICES + MOST_WAITING + surplus {
        asked.spawn(ask(number));
    }
    let mut refused = Vec::new();
    for _ in 0..surplus {
        let next = timeout(PATIENCE, asked.join_next()).await;
        let (number, answer) = next.expect("the lane takes all").unwrap().unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (503, "too-busy"));
        assert_eq!(answer.headers["retry-after"], "1");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        refused.push(number);
    }
    let early = timeout(Duration::from_millis(200), asked.join_next()).await;
    assert!(early.is_err(), "the others wait: {early:?}");
    bar.lift().await;
    for (_, answer) in asked.join_all().await {
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let mut again: JoinSet<_> = refused.into_iter().map(ask).collect();
    while let Some(answered) = again.join_next().await {
        let (_, answer) = answered.unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
        assert!(!answer.headers.contains_key("idempotent-replayed"));
    }
    let (purchases, transactions) = recorded(&opened, "full-%").await;
    eprintln!("{purchases} purchases in {transactions} transactions");
    assert_eq!(purchases, 2 + 256 + 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_books_are_held_everybody_is_told_to_come_back() {
    let day = Day::begin().await;
    let member = day.member("c-1", 0).await;
    let sale = |number: usize| {
        let name = format!("held-{number}");
        Sale::new(&name, day.purchase(&member, &name, 100))
    };
    let sales: Vec<Sale> = (0..200).map(sale).collect();
    let holder = hold_books(&day.opened).await;
    let since = Instant::now();
    // Nobody has an answer other than this before the books are released.
    for answer in at_once(&day.till, &sales).await {
        come_back(&answer);
        assert_eq!(answer.text("code"), "try-again");
    }
    eprintln!("200 are told after {:?}", since.elapsed());
    assert_eq!(recorded(&day.opened, "held-%").await, (0, 0));
    holder.close().await.unwrap();

    let mut again = JoinSet::new();
    for sale in sales {
        let till = day.till.clone();
        again.spawn(async move { sale.insisted(&till).await });
    }
    for answer in again.join_all().await {
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    }
    assert_eq!(recorded(&day.opened, "held-%").await.0, 200);
    assert_eq!(day.available(&member).await, 200);
    day.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_cut_off_is_posted_behind_it() {
    let day = Day::begin().await;
    let member = day.member("c-1", 0).await;
    let sale = |name: &str| Sale::new(name, day.purchase(&member, name, 100));
    // Both connections of the lane have planned their statements already.
    let before: Vec<Sale> = (0..40).map(|number| sale(&format!("b-{number}"))).collect();
    for half in before.chunks(2) {
        at_once(&day.till, half).await;
    }
    for round in 0..4 {
        let mut closer = hold_books(&day.opened).await;
        let close = "update book set open_from = (open_from + interval '1 month')::date
                     where open_from > date '2000-01-01' returning open_from";
        if round == 0 {
            let month = "update book set open_from = (select max(posted_in) + interval '1 month'
                         from journal)";
            sqlx::query(month).execute(&mut closer).await.unwrap();
        } else {
            sqlx::query(close).execute(&mut closer).await.unwrap();
        }
        let name = format!("waits-{round}");
        let (till, late) = (day.till.clone(), sale(&name));
        let waits = tokio::spawn(async move { late.at(&till).await });
        sleep(Duration::from_millis(300)).await;
        assert!(!waits.is_finished(), "it waits for the books");
        sqlx::raw_sql("commit").execute(&mut closer).await.unwrap();
        assert_eq!(waits.await.unwrap().status, StatusCode::CREATED);
        let posted = "select posted_in = (select open_from from book) and late
                      from journal join purchase on purchase_id = source_id
                      where receipt_number = $1";
        let posted = sqlx::query_scalar::<_, bool>(posted).bind(&name);
        assert!(
            posted.fetch_one(&mut closer).await.unwrap(),
            "round {round}"
        );
    }
}

/// Somebody who asks for the same again and again in a mall where nobody gets on; how often.
async fn insists_in_vain(till: Till, path: String, key: String, body: Value) -> u32 {
    for asked in 1.. {
        let sent = till.send(Method::POST, &path, Some(&key), Some(&body));
        let answer = sent.await.unwrap();
        if answer.status != StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
            return asked;
        }
        come_back(&answer);
        sleep(Duration::from_millis(5)).await;
    }
    unreachable!()
}

#[tokio::test(flavor = "multi_thread")]
async fn malls_whose_books_are_held_do_not_hold_up_another() {
    let day = Day::begin().await;
    let member = day.member("c-1", 0).await;
    let mut malls = Vec::new();
    for _ in 0..3 {
        let opened = Opened::by(&day.app).await;
        let key = opened.key(&day.app, "machine.erp").await;
        let till = Till::new(day.address, &opened.host, key).enters().await;
        let person = till.member("c-1", 100).await;
        let bought = Sale::new("b", till.purchase(&person, "b", 10_000));
        let bought = bought.at(&till).await.text("purchase_id").to_owned();
        malls.push((opened, till, person, bought));
    }
    let (mut holders, mut stuck) = (Vec::new(), JoinSet::new());
    for (opened, till, person, bought) in &malls {
        holders.push(hold_books(opened).await);
        for number in 0..4 {
            let name = format!("stuck-{number}");
            let refund = format!("/v1/purchases/{bought}/refunds");
            for (path, body) in [
                ("/v1/purchases", till.purchase(person, &name, 100)),
                ("/v1/spends", till.spend(person, &name, 1)),
                (refund.as_str(), json!({ "reference": name, "amount": 100 })),
            ] {
                let key = format!("{path}-{name}");
                stuck.spawn(insists_in_vain(till.clone(), path.to_owned(), key, body));
            }
        }
    }
    sleep(Duration::from_millis(100)).await;
    let (mut slowest, since) = (Duration::ZERO, Instant::now());
    for number in 0..30 {
        let name = format!("well-{number}");
        let asked = Instant::now();
        let sale = Sale::new(&name, day.purchase(&member, &name, 100));
        let answer = sale.at(&day.till).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{number}: {answer:?}");
        slowest = slowest.max(asked.elapsed());
        sleep(Duration::from_millis(50)).await;
    }
    let took = since.elapsed();
    for holder in holders {
        holder.close().await.unwrap();
    }
    let asked: u32 = stuck.join_all().await.into_iter().sum();
    eprintln!("beside three stuck malls, asked {asked} times: 30 in {took:?}, slowest {slowest:?}");
    assert!(asked > 36, "they were stuck");
    assert_eq!(day.available(&member).await, 30);
    day.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_forgotten_who_comes_just_when_a_lane_runs_empty() {
    let day = Day::begin().await;
    let mut clients = JoinSet::new();
    for client in 0..2_u64 {
        let member = day.member(&format!("c-{client}"), 0).await;
        let day = Arc::clone(&day);
        clients.spawn(async move {
            let mut dice = StdRng::seed_from_u64(client);
            for number in 0..1000 {
                let name = format!("gap-{client}-{number}");
                let sale = Sale::new(&name, day.purchase(&member, &name, 100));
                let answer = sale.at(&day.till).await;
                assert_eq!(answer.status, StatusCode::CREATED, "{name}: {answer:?}");
                for _ in 0..dice.random_range(0..20) {
                    tokio::task::yield_now().await;
                }
                if dice.random_range(0..4) == 0 {
                    sleep(Duration::from_micros(dice.random_range(0..3000))).await;
                }
            }
            assert_eq!(day.available(&member).await, 1000);
        });
    }
    clients.join_all().await;
    let (purchases, transactions) = recorded(&day.opened, "gap-%").await;
    eprintln!("{purchases} purchases in {transactions} transactions");
    assert_eq!(purchases, 2000);
    day.prove().await;
}

//! What people wait for in front of a screen: found by an index, in one query, however much there
//! is of everything else. The plans are those of the product's own queries, as `migrations/.sqlx`
//! holds them.

mod plans;

use poem::http::Method;
use rotunda::{
    db::tenants::Schema,
    kernel::{ids::Entropy, time::Clock},
};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::{
    NOON,
    books::owner,
    front::{Front, Good, SHANGHAI, Sheet},
    instant,
    outside::{Server, tables},
    settling,
};

/// Which came with the words that goods are found by, and
const SEARCHED: &str = include_str!("../../migrations/tenant/0003_reads.sql");
/// with what lapsed among a closed month's lines.
pub const LISTED: &str = include_str!("../../migrations/tenant/0005_agreement.sql");

/// The migration's statements that begin so.
pub fn backfill(migration: &str, begin: &str) -> String {
    let plain: Vec<&str> = migration
        .lines()
        .filter(|line| !line.starts_with("--"))
        .collect();
    let plain = plain.join("\n");
    let all = plain.split(';').map(str::trim);
    let found: Vec<&str> = all.filter(|one| one.starts_with(begin)).collect();
    assert!(!found.is_empty());
    found.join(";\n")
}

/// Points lapse with the month after the one in which they were earned; two merchants, few goods.
const SHEET: Sheet = Sheet {
    languages: r#"["en", "zh-CN", "zh-TW"]"#,
    expiry: "policy = \"rolling_month\"\nmonths = 2",
    more: "[exchange]\nreserve_minutes = 60",
    shops: &[
        (
            "tea",
            r#"{ en = "Tea", zh-CN = "茶" }"#,
            r#"{ en = "Tea, 1F" }"#,
        ),
        ("cake", r#"{ en = "Cake" }"#, r#"{ en = "Cake, 2F" }"#),
    ],
    goods: &[
        good(
            "milk",
            r#"{ en = "Fresh MILK 50%", zh-CN = "鲜牛奶", zh-TW = "鮮牛奶" }"#,
            &["cake"],
        ),
        good(
            "milk-tea",
            r#"{ en = "Milk tea", zh-CN = "珍珠奶茶", zh-TW = "珍珠奶茶" }"#,
            &["cake", "tea"],
        ),
        good(
            "yak",
            r#"{ en = "Yak nan", zh-CN = "奶牛", zh-TW = "奶牛" }"#,
            &["cake"],
        ),
        good(
            "cup",
            r#"{ en = "Ｔea cup", zh-CN = "茶 杯", zh-TW = "茶 杯" }"#,
            &["tea"],
        ),
    ],
    ..SHANGHAI
};

const fn good(code: &'static str, names: &'static str, by: &'static [&'static str]) -> Good {
    (code, names, "pickup", 5, 100, by)
}

/// A mall whose clock can be moved.
struct House {
    server: Server,
    clock: Clock,
    front: Front,
}

impl House {
    async fn open() -> Self {
        let clock = Clock::fixed(instant(NOON));
        let server = Server::open(8, clock.clone(), Entropy::System).await;
        let front = Front::open(&server, &SHEET, None).await;
        Self {
            server,
            clock,
            front,
        }
    }

    async fn get(&self, path: &str) -> Value {
        self.server.get(self.front.till(), path).await
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.server.post(self.front.till(), path, body).await
    }

    async fn id(&self, list: &str, code: &str, name: &str) -> String {
        self.front.find(&self.server, list, code, name).await
    }

    async fn buys(&self, store: &str, number: &str, member: &str, yuan: i64, when: &str) {
        let body = json!({"store_id": store, "receipt_number": number, "member_id": member,
            "occurred_at": when, "lines": [{"category": "x", "quantity": 1, "amount": yuan * 100}]});
        self.post("/v1/purchases", &body).await;
    }

    /// The codes of the goods that are found.
    async fn found(&self, query: &str) -> Vec<String> {
        let list = self.get(&format!("/v1/goods?q={query}")).await;
        let all = list["data"].as_array().unwrap().iter();
        all.map(|good| good["code"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_shows_what_can_be_spent_what_lapses_next_and_why() {
    let house = House::open().await;
    let tea = house.id("/v1/stores", "tea-1", "store_id").await;
    let cake = house.id("/v1/stores", "cake-1", "store_id").await;
    let ada = house
        .post("/v1/members", &json!({"card_number": "ada"}))
        .await;
    let ada = ada["member_id"].as_str().unwrap();
    let path = format!("/v1/members/{ada}/home");
    let empty = house.get(&path).await;
    assert_eq!(
        empty,
        json!({"member_id": ada, "available": 0, "earmarked": [], "held": 0, "owed": 0, "history": []})
    );

    house.buys(&tea, "1", ada, 30, "2026-02-10T04:00:00Z").await;
    house.buys(&tea, "2", ada, 50, "2026-03-01T04:00:00Z").await;
    house.buys(&cake, "3", ada, 7, "2026-03-02T04:00:00Z").await;
    let good = house.id("/v1/goods", "milk", "good_id").await;
    let wanted = json!({"good_id": good, "member_id": ada});
    house.post("/v1/redemptions", &wanted).await;
    let home = house.get(&path).await;
    assert_eq!((&home["available"], &home["held"]), (&json!(82), &json!(5)));
    // What is held is not among what lapses.
    let march_ends = "2026-03-31T16:00:00.000000Z";
    let next = json!({"points": 25, "expires_at": march_ends});
    assert_eq!(home["next_expiry"], next);
    let history = home["history"].as_array().unwrap();
    let short: Vec<_> = history
        .iter()
        .map(|line| {
            let place = &line["place"];
            (
                line["kind"].as_str().unwrap(),
                line["points"].as_i64().unwrap(),
                line["balance_after"].as_i64().unwrap(),
                place["merchant_names"]["en"].as_str().unwrap_or("-"),
                place["store_names"]["en"].as_str().unwrap_or("-"),
            )
        })
        .collect();
    let expected = [
        ("reserve", -5, 82, "-", "-"),
        ("purchase", 7, 87, "Cake", "Cake, 2F"),
        ("purchase", 50, 80, "Tea", "Tea, 1F"),
        ("purchase", 30, 30, "Tea", "Tea, 1F"),
    ];
    assert_eq!(short, expected);

    // Lapsed, and expiry has not run: neither to be spent nor next. Two lots lapse together.
    house.clock.set(instant("2026-03-31T16:00:00Z"));
    let home = house.get(&path).await;
    assert_eq!(home["available"], 57);
    let next = json!({"points": 57, "expires_at": "2026-04-30T16:00:00.000000Z"});
    assert_eq!(home["next_expiry"], next);
    let balance = house.get(&format!("/v1/members/{ada}/balance")).await;
    assert_eq!(
        (&balance["available"], &balance["held"]),
        (&json!(57), &json!(5))
    );
    assert_eq!(balance["lots"].as_array().unwrap().len(), 2);
    house.clock.set(instant("2026-04-30T16:00:00Z"));
    let home = house.get(&path).await;
    assert_eq!(
        (&home["available"], home.get("next_expiry")),
        (&json!(0), None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_keeps_twenty_lines_and_shows_a_merchant_only_itself() {
    let house = House::open().await;
    let tea = house.id("/v1/stores", "tea-1", "store_id").await;
    let cake = house.id("/v1/stores", "cake-1", "store_id").await;
    let ada = house
        .post("/v1/members", &json!({"card_number": "ada"}))
        .await;
    let ada = ada["member_id"].as_str().unwrap();
    for number in 0..25 {
        let store = if number % 2 == 0 { &tea } else { &cake };
        house
            .buys(store, &number.to_string(), ada, number + 1, NOON)
            .await;
    }
    let path = format!("/v1/members/{ada}/home");
    let home = house.get(&path).await;
    let history = home["history"].as_array().unwrap();
    assert_eq!((history.len(), &history[0]["points"]), (20, &json!(25)));
    assert_eq!(history[19]["points"], 6);

    let merchant = house.id("/v1/merchants", "tea", "merchant_id").await;
    let key = house
        .server
        .key(
            &house.front.tenant,
            "merchant.cashier",
            Some(merchant.parse().unwrap()),
        )
        .await;
    let seen = house.server.get(house.front.with(&key), &path).await;
    assert_eq!(seen["available"], home["available"]);
    for line in seen["history"].as_array().unwrap() {
        let own = line["points"].as_i64().unwrap() % 2 == 1;
        let place = line
            .get("place")
            .map(|place| &place["merchant_names"]["zh-CN"]);
        assert_eq!(place, own.then_some(&json!("茶")), "{line}");
    }
    let nobody = format!("/v1/members/mem_{}/home", "0".repeat(26));
    let answer = house
        .server
        .ask(house.front.with(&key), &Method::GET, &nobody, None)
        .await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (404, "unknown-member")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_is_found_by_one_character_by_two_and_by_parts_of_latin_words() {
    let house = House::open().await;
    for (query, codes) in [
        // 茶, 牛奶, 奶牛, 奶, 鮮
        ("%E8%8C%B6", &["cup", "milk-tea"][..]),
        ("%E7%89%9B%E5%A5%B6", &["milk"]),
        ("%E5%A5%B6%E7%89%9B", &["yak"]),
        ("%E5%A5%B6", &["milk", "milk-tea", "yak"]),
        ("%E9%AE%AE", &["milk"]),
        // 茶杯 stands nowhere; 茶 and 杯 do, in one name with a space between them.
        ("%E8%8C%B6%E6%9D%AF", &[]),
        ("%E6%9D%AF+%E8%8C%B6", &["cup"]),
        // Large and small, full width and half width, parts of words.
        ("tea", &["cup", "milk-tea"]),
        ("%EF%BC%B4%EF%BC%A5A", &["cup", "milk-tea"]),
        ("ILK", &["milk", "milk-tea"]),
        ("k", &["milk", "milk-tea", "yak"]),
        ("milk+tea", &["milk-tea"]),
        // Every pair of it stands in "nan", the word itself does not.
        ("nan", &["yak"]),
        ("nana", &[]),
        ("fres+50%25", &["milk"]),
        ("0%25", &["milk"]),
        ("%25", &["milk"]),
        ("_", &[]),
        ("milt", &[]),
        ("milkk", &[]),
    ] {
        assert_eq!(house.found(query).await, codes, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_comes_in_pages_and_says_what_it_cannot_take() {
    let house = House::open().await;
    let first = house.get("/v1/goods?q=%E5%A5%B6&limit=2").await;
    assert_eq!(
        (&first["has_more"], &first["data"][1]["code"]),
        (&json!(true), &json!("milk-tea"))
    );
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = house
        .get(&format!("/v1/goods?q=%E5%A5%B6&limit=2&cursor={cursor}"))
        .await;
    assert_eq!(
        (&second["has_more"], &second["data"][0]["code"]),
        (&json!(false), &json!("yak"))
    );
    let offered = second["data"][0]["offered_by"].as_array().unwrap();
    assert_eq!(offered.len(), 1);

    let long = "x".repeat(65);
    let other = format!("/v1/goods?q=tea&cursor={cursor}");
    for (path, code) in [
        ("/v1/goods?q=", "invalid-parameter"),
        ("/v1/goods?q=%20%20", "invalid-parameter"),
        ("/v1/goods?q=%E3%80%80", "invalid-parameter"),
        ("/v1/goods?q=a%00b", "invalid-parameter"),
        (&format!("/v1/goods?q={long}"), "invalid-parameter"),
        (&other, "invalid-cursor"),
    ] {
        let answer = house
            .server
            .ask(house.front.till(), &Method::GET, path, None)
            .await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{path}"
        );
    }
    // What is renamed is found by its new name, and what is entered by hand is found at once.
    let owner = house
        .server
        .key(&house.front.tenant, "operator.owner", None)
        .await;
    let merchant = house.id("/v1/merchants", "tea", "merchant_id").await;
    let body = json!({"code": "oolong", "names": {"zh-CN": "乌龙茶"}, "kind": "pickup",
        "points": 3, "stock": 3, "offered_by": [merchant]});
    house
        .server
        .post(house.front.with(&owner), "/v1/goods", &body)
        .await;
    assert_eq!(house.found("%E4%B9%8C%E9%BE%99").await, ["oolong"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_the_migration_is_found_like_what_comes_after() {
    let house = House::open().await;
    let schema = Schema::of(house.front.tenant.id).to_string();
    let before = tables(&house.front.tenant).await;
    let again = format!(
        "update good set search_text = '', search_pieces = '{{}}'; {}",
        backfill(SEARCHED, "update good")
    );
    let mut sql = owner(&schema).await;
    sqlx::raw_sql(AssertSqlSafe(again))
        .execute(&mut sql)
        .await
        .unwrap();
    assert_eq!(tables(&house.front.tenant).await["good"], before["good"]);

    let mall = settling::Mall::open("2026-07-02T00:00:00Z").await;
    let [a, b] = mall.shops(["a", "b"]).await;
    let ada = mall.member("1").await;
    let lapses = Some("2026-06-09T00:00:00Z");
    mall.earns_until(ada, a, 9, "2026-06-01T04:00:00Z", lapses)
        .await;
    for day in 10..28 {
        let when = format!("2026-06-{day}T04:00:00Z");
        for _ in 0..5 {
            mall.earns(ada, a, 10, &when).await;
        }
        mall.spends(ada, b, 7, &when).await;
        mall.spends(ada, a, 3, &when).await;
    }
    mall.closes("2026-06").await;
    let before = tables(&mall.tenant).await;
    assert!(
        before["month_line"].lines().count() > 2,
        "more than a row a merchant"
    );
    // As it was before months went on after their close.
    let again = format!(
        "update settlement set state = 'closed'; delete from month_line; {}",
        backfill(LISTED, "insert into month_line")
    );
    mall.as_admin(&again).await;
    assert_eq!(
        tables(&mall.tenant).await["month_line"],
        before["month_line"]
    );
}

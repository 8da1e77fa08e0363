//! Members come in by a code (features.md, C1; trust.md, 7.8 "OTP").

use chrono::TimeDelta;
use futures_util::future::join_all;
use poem::http::Method;
use rotunda::{
    config::Config,
    db::{locator::Targets, tenants::Schema},
    kernel::{ids::Entropy, time::Clock},
    queue::worker::Outcome,
};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::{
    NOON,
    books::owner,
    front::{Front, PLAIN, Sheet, TEA},
    instant,
    outside::{Answer, Caller, Server},
    sms::{Telephones, tell},
    url,
};

const SHEET: Sheet = Sheet {
    names: r#"{ en = "SLUG", "zh-CN" = "星光商场" }"#,
    languages: r#"["zh-CN", "en"]"#,
    shops: TEA,
    goods: &[("cup", r#"{ en = "Cup" }"#, "voucher", 10, 9, &["tea"])],
    ..crate::support::front::SHANGHAI
};

const ADA: &str = "138 0013 8000";

/// A mall whose members have telephones.
struct Mall {
    phones: Telephones,
    server: Server,
    front: Front,
    clock: Clock,
}

fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Server::config(&url(), Targets::new(), 8);
    config.behind_proxy = true;
    change(&mut config);
    config
}

impl Mall {
    async fn open() -> Self {
        Self::open_with(|_| ()).await
    }

    async fn open_with(change: impl FnOnce(&mut Config)) -> Self {
        let clock = Clock::fixed(instant(NOON));
        let phones = Telephones::open().await;
        let config = config(|config| {
            config.sms = Some(phones.hook());
            change(config);
        });
        let server = Server::open_with(config, clock.clone(), Entropy::System).await;
        let front = Front::open(&server, &SHEET, None).await;
        Self {
            phones,
            server,
            front,
            clock,
        }
    }

    fn pass(&self, seconds: i64) {
        self.clock
            .set(self.clock.now() + TimeDelta::seconds(seconds));
    }

    fn nobody(&self) -> Caller<'_> {
        Caller {
            host: self.front.host(),
            key: None,
        }
    }

    async fn asks_from(&self, address: &str, phone: &str) -> Answer {
        let body = json!({"phone": phone, "language": "en"});
        let path = "/v1/sign-in-codes";
        self.server
            .ask_from(address, self.nobody(), path, &body)
            .await
    }

    /// Asks for a code; the token.
    async fn asks(&self, phone: &str) -> String {
        let asked = self.asks_from("198.51.100.1", phone).await;
        assert_eq!(asked.status, 201, "{}", asked.body);
        asked.json()["token"].as_str().unwrap().to_owned()
    }

    async fn told(&self, token: &str) -> String {
        self.phones
            .code(&self.server, &self.front.tenant, token)
            .await
    }

    async fn enters(&self, token: &str, code: &str) -> Answer {
        let body = json!({"token": token, "code": code, "name": "Ada"});
        let path = "/v1/member-sessions";
        self.server
            .ask_from("198.51.100.2", self.nobody(), path, &body)
            .await
    }

    /// Asks, is told, comes in.
    async fn comes(&self, phone: &str) -> Value {
        let token = self.asks(phone).await;
        let code = self.told(&token).await;
        let entered = self.enters(&token, &code).await;
        assert_eq!(entered.status, 201, "{}", entered.body);
        entered.json()
    }

    async fn does(&self, token: &str, method: &Method, path: &str) -> Answer {
        let caller = self.front.with(token);
        self.server.ask(caller, method, path, None).await
    }

    /// What Bob reserved is not for whoever shows this token, and nobody reserves for him.
    async fn keeps_off(&self, token: &str, bob: &str) {
        let (server, front) = (&self.server, &self.front);
        let store = front.store(server, "tea-1").await;
        let bought = json!({"store_id": store, "receipt_number": "1", "member_id": bob,
            "lines": [{"category": "tea", "quantity": 1, "amount": 100_00}]});
        server.post(front.till(), "/v1/purchases", &bought).await;
        let good = front.find(server, "/v1/goods", "cup", "good_id").await;
        let wanted = json!({"good_id": good, "member_id": bob});
        let reserved = server.post(front.till(), "/v1/redemptions", &wanted).await;
        let path = format!(
            "/v1/redemptions/{}",
            reserved["redemption_id"].as_str().unwrap()
        );
        let cancel = format!("{path}/cancellation");
        let body = wanted.to_string();
        for (method, path, body) in [
            (Method::GET, path.as_str(), None),
            (Method::POST, &cancel, None),
            (Method::POST, "/v1/redemptions", Some(body.as_str())),
        ] {
            let caller = front.with(token);
            let answer = server.ask(caller, &method, path, body).await;
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
        }
    }

    async fn sees(&self, token: &str, path: &str) -> (u16, String) {
        let answer = self.does(token, &Method::GET, path).await;
        (answer.status, answer.code())
    }

    /// How many rows of a table are like that.
    async fn rows(&self, what: &str) -> i64 {
        let mut sql = owner(&Schema::of(self.front.tenant.id).to_string()).await;
        let count = AssertSqlSafe(format!("select count(*) from {what}"));
        sqlx::query_scalar(count).fetch_one(&mut sql).await.unwrap()
    }
}

fn refused(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

fn no(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_joins_by_a_code_sees_what_is_theirs_and_goes() {
    let mall = Mall::open().await;
    let bob = mall
        .front
        .member(&mall.server, &json!({"phone": "13900139000"}))
        .await;
    let ada = mall.comes(ADA).await;
    let text = mall.phones.taken().pop().unwrap();
    assert_eq!(text["to"], "+8613800138000");
    assert_eq!(text["language"], "en");
    assert!(
        text["text"].as_str().unwrap().contains("Tell it to nobody"),
        "{text}"
    );
    assert_eq!(
        (
            &ada["joined"],
            &ada["member"]["phone"],
            &ada["member"]["name"]
        ),
        (&json!(true), &json!("+8613800138000"), &json!("Ada"))
    );
    let token = ada["token"].as_str().unwrap();
    let id = ada["member"]["member_id"].as_str().unwrap();
    let own = mall.does(token, &Method::GET, "/v1/membership").await;
    assert_eq!(own.json()["member"], ada["member"]);
    for path in ["", "/balance", "/home", "/history"] {
        let own = format!("/v1/members/{id}{path}");
        assert_eq!(mall.sees(token, &own).await.0, 200, "{own}");
        let other = format!("/v1/members/{bob}{path}");
        assert_eq!(
            mall.sees(token, &other).await,
            no(404, "unknown-member"),
            "{other}"
        );
    }
    for path in [
        "/v1/merchants",
        "/v1/settlements",
        "/v1/me",
        "/v1/staff",
        "/v1/keys",
    ] {
        assert_eq!(
            mall.sees(token, path).await,
            no(403, "not-allowed"),
            "{path}"
        );
    }
    // A second telephone, and the first one's session ended from there.
    mall.pass(60);
    let again = mall.comes("+86 13800138000").await;
    assert_eq!(
        (&again["joined"], &again["member"]),
        (&json!(false), &ada["member"])
    );
    let second = again["token"].as_str().unwrap();
    let sessions = mall
        .does(second, &Method::GET, "/v1/membership/sessions")
        .await;
    assert_eq!(sessions.json()["data"].as_array().unwrap().len(), 2);
    let first = ada["session"]["session_id"].as_str().unwrap();
    let path = format!("/v1/membership/sessions/{first}/revocation");
    assert_eq!(mall.does(second, &Method::POST, &path).await.status, 200);
    mall.pass(1);
    assert_eq!(
        mall.sees(token, "/v1/membership").await,
        no(401, "unknown-key")
    );
    let out = mall.does(second, &Method::POST, "/v1/membership/sign-out");
    assert_eq!(out.await.status, 200);
    mall.pass(1);
    assert_eq!(
        mall.sees(second, "/v1/membership").await,
        no(401, "unknown-key")
    );
    let cay = mall.comes("13700137000").await;
    mall.keeps_off(cay["token"].as_str().unwrap(), &bob).await;
    let path = format!("/v1/membership/sessions/{first}/revocation");
    let other = mall
        .does(cay["token"].as_str().unwrap(), &Method::POST, &path)
        .await;
    assert_eq!(refused(&other), no(404, "unknown-session"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_opens_once_for_five_minutes_and_five_tries_together_with_its_own_token() {
    let mall = Mall::open().await;
    let gone = no(409, "sign-in-code-gone");
    let wrong = no(409, "wrong-sign-in-code");
    let (ada, bob) = (mall.asks(ADA).await, mall.asks("13900139000").await);
    let (of_ada, of_bob) = (mall.told(&ada).await, mall.told(&bob).await);
    if of_ada != of_bob {
        assert_eq!(refused(&mall.enters(&ada, &of_bob).await), wrong);
    }
    // Of many at once one comes in, and one member joins.
    let spaced = format!(" {} {} ", &of_ada[..3], &of_ada[3..]);
    let tries = join_all((0..4).map(|_| mall.enters(&ada, &spaced))).await;
    let opened = tries.iter().filter(|one| one.status == 201).count();
    assert_eq!(opened, 1, "{tries:?}");
    assert_eq!(refused(&mall.enters(&ada, &of_ada).await), gone);
    assert_eq!(mall.rows("member_session").await, 1);
    assert_eq!(mall.rows("member").await, 1);
    // Five wrong ones close it for the right one.
    let other = if of_bob == "000000" {
        "111111"
    } else {
        "000000"
    };
    for bad in [other, "1", "12345", "1234567", "abcdef"] {
        let answer = mall.enters(&bob, bad).await;
        assert_eq!(refused(&answer), wrong, "{bad:?}: {}", answer.body);
    }
    assert_eq!(refused(&mall.enters(&bob, &of_bob).await), gone);
    // Too late, by a microsecond.
    mall.pass(60);
    let late = mall.asks(ADA).await;
    let code = mall.told(&late).await;
    mall.pass(300);
    assert_eq!(refused(&mall.enters(&late, &code).await), gone);
    // Of another mall, and of nobody.
    let elsewhere = Front::open(&mall.server, &SHEET, None).await;
    mall.pass(60);
    let here = mall.asks(ADA).await;
    let code = mall.told(&here).await;
    let body = json!({"token": here, "code": code});
    let there = Caller {
        host: elsewhere.host(),
        key: None,
    };
    let path = "/v1/member-sessions";
    let answer = mall
        .server
        .ask_from("198.51.100.3", there, path, &body)
        .await;
    assert_eq!(refused(&answer), gone);
    let mut forged = here.clone();
    forged.replace_range(40..41, if &here[40..41] == "a" { "b" } else { "a" });
    for token in [forged.as_str(), "rc_", "x"] {
        assert_eq!(refused(&mall.enters(token, &code).await), gone, "{token}");
    }
    assert_eq!(
        mall.enters(&here, &code).await.status,
        201,
        "nothing was used up"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_asked_for_seldom_by_number_by_address_and_in_the_whole_mall() {
    let mall = Mall::open_with(|config| config.codes_a_day = 40).await;
    let many = no(429, "too-many-codes");
    mall.asks(ADA).await;
    let soon = mall.asks_from("198.51.100.9", ADA).await;
    assert_eq!(refused(&soon), many);
    assert_eq!(soon.headers["retry-after"], "60");
    for _ in 0..4 {
        mall.pass(60);
        mall.asks(ADA).await;
    }
    mall.pass(60);
    let sixth = mall.asks_from("198.51.100.9", ADA).await;
    assert_eq!(refused(&sixth), many);
    assert_eq!(sixth.headers["retry-after"], "3300");
    assert_eq!(mall.rows("sign_in_code").await, 5);
    // Another number meanwhile, from the same address, fifteen times more.
    for number in 0..15 {
        mall.asks(&format!("1390013{number:04}")).await;
    }
    let more = mall.asks_from("198.51.100.1", "13800000000").await;
    assert_eq!(refused(&more), many);
    for number in 0..20 {
        let from = format!("203.0.113.{number}");
        let asked = mall.asks_from(&from, &format!("1370013{number:04}")).await;
        assert_eq!(asked.status, 201, "{}", asked.body);
    }
    let cap = mall.asks_from("203.0.113.99", "13600000000").await;
    assert_eq!(refused(&cap), many, "forty a day");
    mall.pass(86_400);
    let next = mall.asks_from("203.0.113.99", "13600000000").await;
    assert_eq!(next.status, 201);
    assert!(
        mall.rows("sign_in_code").await < 41,
        "old ones go, and their numbers with them"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_tried_again_with_the_same_code_and_the_code_is_written_nowhere() {
    let mall = Mall::open().await;
    let token = mall.asks(ADA).await;
    let (server, tenant) = (&mall.server, &mall.front.tenant);
    for status in [500, 503, 429, 408] {
        mall.phones.answers(Some(status));
        let told = tell(server, tenant, &token).await;
        assert_eq!(told, Outcome::Retry(format!("refused-{status}")));
    }
    mall.phones.answers(None);
    let code = mall.told(&token).await;
    assert_eq!(tell(server, tenant, &token).await, Outcome::Done);
    assert_eq!(mall.phones.taken().len(), 1, "sent once");
    let mut sql = owner(&Schema::of(tenant.id).to_string()).await;
    for table in ["sign_in_code", "outbox", "signin_attempt"] {
        let rows = AssertSqlSafe(format!("select t::text from {table} t"));
        let rows: Vec<String> = sqlx::query_scalar(rows).fetch_all(&mut sql).await.unwrap();
        assert!(!rows.is_empty(), "{table}");
        for row in rows {
            // An id may hold the same digits by chance, so that a whole value is looked for.
            let mut values = row.split(|letter: char| !letter.is_ascii_alphanumeric());
            assert!(
                values.all(|value| value != code && value != token),
                "{table}"
            );
        }
    }
    assert_eq!(mall.enters(&token, &code).await.status, 201);

    mall.pass(60);
    let token = mall.asks(ADA).await;
    mall.phones.answers(Some(400));
    let told = tell(server, tenant, &token).await;
    assert_eq!(told, Outcome::Fail("refused-400".to_owned()));
    assert_eq!(mall.rows("sign_in_code where sending = 'failed'").await, 1);
    mall.phones.answers(None);
    assert_eq!(
        tell(server, tenant, &token).await,
        Outcome::Done,
        "given up"
    );
    mall.pass(60);
    let late = mall.asks(ADA).await;
    mall.pass(300);
    assert_eq!(tell(server, tenant, &late).await, Outcome::Done);
    assert_eq!(mall.phones.taken().len(), 1, "too late to be told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_a_month_after_its_last_use_and_after_half_a_year() {
    let mall = Mall::open().await;
    let ada = mall.comes(ADA).await;
    let token = ada["token"].as_str().unwrap();
    let day = 86_400;
    for _ in 0..6 {
        mall.pass(29 * day);
        assert_eq!(mall.sees(token, "/v1/membership").await.0, 200);
    }
    mall.pass(6 * day - 1);
    assert_eq!(mall.sees(token, "/v1/membership").await.0, 200);
    mall.pass(1);
    assert_eq!(
        mall.sees(token, "/v1/membership").await,
        no(401, "unknown-key")
    );
    let ada = mall.comes(ADA).await;
    let token = ada["token"].as_str().unwrap();
    mall.pass(30 * day);
    assert_eq!(
        mall.sees(token, "/v1/membership").await,
        no(401, "unknown-key")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_sends_messages_that_is_said() {
    let clock = Clock::fixed(instant(NOON));
    let server = Server::open_with(config(|_| ()), clock, Entropy::System).await;
    let front = Front::open(&server, &PLAIN, None).await;
    let nobody = Caller {
        host: front.host(),
        key: None,
    };
    let body = json!({"phone": "+8613800138000"});
    let answer = server
        .ask_from("198.51.100.1", nobody, "/v1/sign-in-codes", &body)
        .await;
    assert_eq!(refused(&answer), no(409, "sign-in-codes-off"));
}

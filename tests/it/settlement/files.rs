//! Statements as files over HTTP: who gets which, under what name, and where mail is seen.

use std::process::Command;

use poem::http::Method;
use rotunda::{
    db::tenants::Schema,
    kernel::{
        ids::{Entropy, MerchantId},
        money::decimal,
        text::Language,
        time::Clock,
    },
    settlement::{
        calculation::Position,
        figures::{Amount, FIGURES},
    },
    texts::{text, text_with},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::support::{
    books::owner,
    front::{Front, PLAIN, Sheet},
    instant,
    outside::{Answer, Server},
    url,
};

const SHEET: Sheet = Sheet {
    names: r#"{ en = "SLUG", "zh-CN" = "星光商场" }"#,
    languages: r#"["zh-CN", "en"]"#,
    spending: r#"most_share = "1""#,
    settling: "confirm_days = 3",
    shops: &[
        (
            "tea",
            r#"{ en = "Lantern Tea", "zh-CN" = "灯下茶" }"#,
            r#"{ en = "Tea 1" }"#,
        ),
        ("cake", r#"{ en = "Cake" }"#, r#"{ en = "Cake 1" }"#),
    ],
    ..PLAIN
};

/// A closed June, the ids of both statements, and what everybody shows.
struct June {
    server: Server,
    mall: Front,
    settlement: String,
    tea: String,
    cake: String,
    finance: String,
    tea_key: String,
    tea_owner: String,
    tea_id: String,
}

impl June {
    async fn open() -> Self {
        let clock = Clock::fixed(instant("2026-06-15T12:00:00Z"));
        let server = Server::open(4, clock.clone(), Entropy::System).await;
        let mall = Front::open(&server, &SHEET, None).await;
        let ada = mall.member(&server, &json!({"card_number": "1"})).await;
        let bought = json!({"store_id": mall.store(&server, "tea-1").await, "receipt_number": "1",
            "member_id": ada, "lines": [{"category": "tea", "quantity": 1, "amount": 1_000_00}]});
        server.post(mall.till(), "/v1/purchases", &bought).await;
        let spent = json!({"store_id": mall.store(&server, "cake-1").await, "receipt_number": "2",
            "member_id": ada, "total": 100_00, "points": 300});
        server.post(mall.till(), "/v1/spends", &spent).await;
        clock.set(instant("2026-07-02T12:00:00Z"));
        let tea_id = mall
            .find(&server, "/v1/merchants", "tea", "merchant_id")
            .await;
        let merchant: MerchantId = tea_id.parse().unwrap();
        let key = async |role, merchant| server.key(&mall.tenant, role, merchant).await;
        let (finance, tea_key, tea_owner) = (
            key("operator.finance", None).await,
            key("merchant.finance", Some(merchant)).await,
            key("merchant.owner", Some(merchant)).await,
        );
        let contact = json!({"email": "a@b.example", "language": "zh-TW"}).to_string();
        let path = format!("/v1/merchants/{tea_id}/contact");
        let set = server
            .ask(mall.with(&tea_owner), &Method::PUT, &path, Some(&contact))
            .await;
        assert_eq!(set.json()["language"], "zh-TW", "{}", set.body);
        let closed = json!({"period": "2026-06"});
        let closed = server.post(mall.owner(), "/v1/settlements", &closed).await;
        let settlement = closed["settlement_id"].as_str().unwrap().to_owned();
        let path = format!("/v1/settlements/{settlement}/statements");
        let all = server.get(mall.with(&finance), &path).await;
        let of = |code: &str| {
            let mut all = all["data"].as_array().unwrap().iter();
            let found = all.find(|one| one["code"] == code).unwrap();
            found["statement_id"].as_str().unwrap().to_owned()
        };
        let (tea, cake) = (of("tea"), of("cake"));
        Self {
            server,
            mall,
            settlement,
            tea,
            cake,
            finance,
            tea_key,
            tea_owner,
            tea_id,
        }
    }

    async fn file(&self, key: &str, statement: &str, file: &str) -> Answer {
        let path = format!("/v1/statements/{statement}/statement.{file}");
        self.server
            .ask(self.mall.with(key), &Method::GET, &path, None)
            .await
    }

    async fn issue(&self) {
        let path = format!("/v1/settlements/{}/issue", self.settlement);
        self.server
            .post(self.mall.with(&self.finance), &path, &Value::Null)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_gets_its_own_statement_as_a_file_once_it_is_issued_and_no_other() {
    let june = June::open().await;
    let nothing = june
        .file(&june.tea_key, "stm_00000000000000000000000000", "pdf")
        .await;
    for file in ["pdf", "xlsx", "csv"] {
        let draft = june.file(&june.finance, &june.tea, file).await;
        assert_eq!(draft.status, 200, "{file}: the operator checks the draft");
        for foreign in [&june.tea, &june.cake] {
            let early = june.file(&june.tea_key, foreign, file).await;
            assert_eq!(early.status, 404, "{file}");
            assert_eq!(early.code(), nothing.code());
        }
    }
    june.issue().await;
    let foreign = june.file(&june.tea_key, &june.cake, "pdf").await;
    assert_eq!(foreign.status, 404);

    let workbook = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    for (file, media, begins) in [
        ("pdf", "application/pdf", "%PDF-"),
        ("xlsx", workbook, "PK"),
        ("csv", "text/csv; charset=utf-8", "\u{feff}账期,"),
    ] {
        let own = june.file(&june.tea_key, &june.tea, file).await;
        assert_eq!(own.status, 200);
        assert!(own.body.starts_with(begins), "{file}");
        let header = |name: &str| own.headers[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), media);
        assert_eq!(header("cache-control"), "private, no-store");
        // The mall's first language is Chinese, and so is the name.
        let name = format!(
            "attachment; filename=\"___-tea-2026-06.{file}\"; \
             filename*=UTF-8''%E5%AF%B9%E8%B4%A6%E5%8D%95-tea-2026-06.{file}"
        );
        assert_eq!(header("content-disposition"), name);
        let again = june.file(&june.tea_key, &june.tea, file).await;
        assert!(own.body == again.body, "{file}: the same bytes");
    }
    let english = june.file(&june.tea_key, &june.tea, "csv?language=en").await;
    assert!(english.body.starts_with("\u{feff}period,currency,"));
    assert!(
        english.body.contains("Lantern Tea (tea)"),
        "{}",
        english.body
    );
    assert!(
        english.body.contains(",Net,,,,-3.00\r\n"),
        "{}",
        english.body
    );
    let unknown = june.file(&june.tea_key, &june.tea, "csv?language=fr").await;
    assert_eq!(
        (unknown.status, unknown.code().as_str()),
        (400, "invalid-parameter")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn set_7_what_the_api_says_of_a_statement_is_what_its_files_and_the_months_sheet_say() {
    let june = June::open().await;
    let (mall, server) = (june.mall.with(&june.finance), &june.server);
    let path = format!("/v1/settlements/{}/statements.csv", june.settlement);
    let month = server.ask(mall, &Method::GET, &path, None).await.body;
    let mut month = csv::Reader::from_reader(month.as_bytes());
    let names = month.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = month.records().map(Result::unwrap).collect();
    for (code, id) in [("tea", &june.tea), ("cake", &june.cake)] {
        let json = server.get(mall, &format!("/v1/statements/{id}")).await;
        let sheet = june.file(&june.finance, id, "csv?language=en").await.body;
        let row = rows.iter().find(|row| row.iter().any(|cell| cell == code));
        let row = row.unwrap();
        let mut sheet = csv::Reader::from_reader(sheet.as_bytes());
        let lines: Vec<csv::StringRecord> = sheet.records().map(Result::unwrap).collect();
        let part = text(Language::En, "statement-figures");
        let mut lines = lines.iter().filter(|line| line[3] == part);
        for (name, of) in FIGURES {
            let whole = json["figures"][name].as_i64().unwrap();
            // Which of them are money does not depend on what they come to.
            let (written, place) = match of(&Position::default()) {
                Amount::Points(_) => (whole.to_string(), 6),
                Amount::Money(_) => (decimal(whole, 2), 8),
            };
            let column = names.iter().position(|known| known == name).unwrap();
            assert_eq!(row[column], written, "{name} of {code}");
            let line = lines.next().unwrap();
            let unit = [("unit", "month")];
            let label = text_with(Language::En, &format!("figure-{name}"), &unit);
            assert_eq!(line[4], label);
            assert_eq!(line[place], written, "{name} of {code}");
        }
        assert_eq!(lines.next(), None);
        assert_ne!(json["figures"]["net"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_not_listed_yet_are_to_be_asked_for_a_little_later() {
    let june = June::open().await;
    let mall = june.mall.with(&june.finance);
    let path = format!("/v1/statements/{}/lines", june.tea);
    let listed = june.server.ask(mall, &Method::GET, &path, None).await;
    let lines = listed.json()["data"].clone();
    let mut receipts = Vec::new();
    for line in lines.as_array().unwrap() {
        receipts.push(line["receipt_number"].as_str().unwrap());
        assert_eq!(line["earned_at"], "2026-06-15T12:00:00.000000Z");
        assert_eq!(line["programme"], 1);
        assert_eq!(line["agreement_id"], Value::Null);
    }
    receipts.sort_unstable();
    assert_eq!(receipts, ["1", "2"]);
    let schema = Schema::of(june.mall.tenant.id).to_string();
    let mut sql = owner(&schema).await;
    let is_at = async |sql: &mut PgConnection, sets: &str| {
        let sets = format!("update month_listing set {sets}");
        let sets = sqlx::raw_sql(AssertSqlSafe(sets)).execute(sql).await;
        assert_eq!(sets.unwrap().rows_affected(), 1);
    };
    is_at(&mut sql, "done = 1, listed_at = null").await;
    let early = june.server.ask(mall, &Method::GET, &path, None).await;
    assert_eq!(
        (early.status, early.code().as_str()),
        (503, "lines-being-listed")
    );
    assert_eq!(early.headers["retry-after"], "5");
    let told = early.json();
    assert_eq!(told["retryable"], true);
    assert_eq!(
        told["detail"],
        "1 of the period's 2 lines are listed so far."
    );
    is_at(&mut sql, "done = 2, listed_at = now()").await;
    let then = june.server.ask(mall, &Method::GET, &path, None).await;
    assert_eq!(then.json()["data"], lines);
}

/// What `rotunda settle statement` prints of tea's June, and how it ended.
fn printed(june: &June, more: &[&str]) -> (Option<i32>, Vec<u8>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rotunda"));
    command
        .env("DATABASE_URL", url())
        .args([
            "settle",
            "statement",
            "--tenant",
            june.mall.tenant.slug.as_str(),
        ])
        .args(["--period", "2026-06"])
        .args(more);
    let output = command.output().unwrap();
    (output.status.code(), output.stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_prints_the_same_bytes() {
    let june = June::open().await;
    for (file, query) in [("csv", "?language=en"), ("pdf", "")] {
        let mut more = vec!["--merchant", "tea", "--format", file];
        if !query.is_empty() {
            more.extend(["--language", "en"]);
        }
        let (exit, bytes) = printed(&june, &more);
        assert_eq!(exit, Some(0), "{file}");
        let file = june
            .file(&june.finance, &june.tea, &format!("{file}{query}"))
            .await;
        assert!(String::from_utf8_lossy(&bytes) == file.body, "{query}");
    }
    let path = std::env::temp_dir().join(format!("{}.pdf", june.mall.tenant.slug.as_str()));
    let name = path.to_str().unwrap();
    let (exit, said) = printed(&june, &["--merchant", "tea", "--output", name, "--json"]);
    assert_eq!(exit, Some(0));
    let said: Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(
        (&said["id"], &said["state"]),
        (&json!(june.tea), &json!("proofed"))
    );
    assert!(std::fs::read(&path).unwrap().starts_with(b"%PDF-"));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(printed(&june, &["--merchant", "nobody"]).0, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_months_sheet_stays_what_it_was_unless_somebody_asks_for_another_language() {
    let june = June::open().await;
    let path = format!("/v1/settlements/{}/statements.csv", june.settlement);
    let sheet = async |query: &str| {
        let path = format!("{path}{query}");
        let caller = june.mall.with(&june.finance);
        june.server
            .ask(caller, &Method::GET, &path, None)
            .await
            .body
    };
    let head = "\u{feff}period,currency,merchant,issued,taken_back,redeemed,given_back,expired,\
                own_points,own_value,pays,receives,funded,fee,breakage,adjusted,net,tax_received,\
                tax_fee\r\n";
    let rows = "2026-06,USD,cake,0,0,300,0,0,0,0.00,0.00,3.00,0.00,0.00,0.00,0.00,3.00,0.00,0.00\r\n\
                2026-06,USD,tea,1000,0,0,0,0,0,0.00,3.00,0.00,0.00,0.00,0.00,0.00,-3.00,0.00,0.00\r\n";
    assert_eq!(sheet("").await, format!("{head}{rows}"));
    assert_eq!(sheet("?language=en").await, format!("{head}{rows}"));
    let chinese = sheet("?language=zh-TW").await;
    assert!(
        chinese.starts_with("\u{feff}帳期,幣別,商家,發出點數,"),
        "{chinese}"
    );
    assert!(chinese.ends_with(rows));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_to_whom_is_seen_without_a_word_of_it() {
    let june = June::open().await;
    let (server, mall) = (&june.server, &june.mall);
    let finance = mall.with(&june.finance);
    assert_eq!(server.get(finance, "/v1/messages").await["data"], json!([]));
    june.issue().await;
    let all = server.get(finance, "/v1/messages?state=queued").await;
    let [message] = all["data"].as_array().unwrap().as_slice() else {
        panic!("one merchant of two gets mail: {all}");
    };
    assert_eq!(message["statement_id"], json!(june.tea));
    assert_eq!(message["merchant_id"], json!(june.tea_id));
    assert_eq!(message["attempts"], 0);
    assert!(!all.to_string().contains("a@b.example"));
    assert_eq!(
        server.get(finance, "/v1/messages?state=sent").await["data"],
        json!([])
    );
    let path = format!(
        "/v1/messages/{}/retry",
        message["message_id"].as_str().unwrap()
    );
    let again = server.post(finance, &path, &Value::Null).await;
    assert_eq!(again["state"], "queued");

    // The merchant sees its own address, and nobody's messages.
    let contact = format!("/v1/merchants/{}/contact", june.tea_id);
    let owner = mall.with(&june.tea_owner);
    assert_eq!(server.get(owner, &contact).await["email"], "a@b.example");
    let refused = server.ask(owner, &Method::GET, "/v1/messages", None).await;
    assert_eq!(refused.status, 403);
    for _ in 0..2 {
        let removed = server.ask(owner, &Method::DELETE, &contact, None).await;
        assert_eq!(removed.status, 200);
    }
    let gone = server.ask(owner, &Method::GET, &contact, None).await;
    assert_eq!(
        (gone.status, gone.code().as_str()),
        (404, "unknown-contact")
    );
    for bad in ["a@b", "a@b.example\r\nBcc: c@d.example", "<a@b.example>"] {
        let body = json!({"email": bad, "language": "en"}).to_string();
        let answer = server.ask(owner, &Method::PUT, &contact, Some(&body)).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "invalid-body"),
            "{bad}"
        );
    }
}

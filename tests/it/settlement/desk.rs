//! The same over HTTP: what merchants and the mall's finance are told.

use poem::http::Method;
use rotunda::kernel::{
    ids::{Entropy, MerchantId},
    time::Clock,
};
use serde_json::{Value, json};

use crate::support::{
    front::{Front, PLAIN, Sheet},
    instant,
    outside::Server,
};

const SHEET: Sheet = Sheet {
    spending: r#"most_share = "1""#,
    settling: "confirm_days = 3",
    shops: &[
        ("tea", r#"{ en = "Tea" }"#, r#"{ en = "Tea 1" }"#),
        ("cake", r#"{ en = "Cake" }"#, r#"{ en = "Cake 1" }"#),
    ],
    ..PLAIN
};

/// A month from its close to its last payment, as the API tells it.
#[tokio::test(flavor = "multi_thread")]
async fn a_month_goes_from_closed_to_paid_over_http() {
    let clock = Clock::fixed(instant("2026-06-15T12:00:00Z"));
    let server = Server::open(4, clock.clone(), Entropy::System).await;
    let mall = Front::open(&server, &SHEET, None).await;
    let ada = mall.member(&server, &json!({"card_number": "1"})).await;
    let (tea, cake) = (
        mall.store(&server, "tea-1").await,
        mall.store(&server, "cake-1").await,
    );
    let bought = json!({"store_id": tea, "receipt_number": "1", "member_id": ada,
        "lines": [{"category": "tea", "quantity": 1, "amount": 1_000_00}]});
    server.post(mall.till(), "/v1/purchases", &bought).await;
    for (receipt, points) in [("2", 300), ("3", 40)] {
        let spent = json!({"store_id": cake, "receipt_number": receipt, "member_id": ada,
            "total": 100_00, "points": points});
        server.post(mall.till(), "/v1/spends", &spent).await;
    }
    clock.set(instant("2026-07-02T12:00:00Z"));
    let refused = async |key, path: &str, body: &Value| {
        let body = (!body.is_null()).then(|| body.to_string());
        let caller = mall.with(key);
        let answer = server.ask(caller, &Method::POST, path, body.as_deref());
        answer.await
    };

    let closed = json!({"period": "2026-06"});
    let closed = server.post(mall.owner(), "/v1/settlements", &closed).await;
    assert_eq!(closed["state"], "proofed");
    assert_eq!(closed["proofed_at"], "2026-07-02T12:00:00.000000Z");
    let path = format!(
        "/v1/settlements/{}",
        closed["settlement_id"].as_str().unwrap()
    );
    let issue = format!("{path}/issue");
    let own = server.ask(mall.owner(), &Method::POST, &issue, None).await;
    assert_eq!(
        (own.status, own.code().as_str()),
        (409, "needs-second-person")
    );
    let finance = server.key(&mall.tenant, "operator.finance", None).await;
    let early = refused(
        &finance,
        &format!("{path}/payments/0/record"),
        &json!({"method": "rent", "reference": "R"}),
    )
    .await;
    assert_eq!((early.status, early.code().as_str()), (409, "out-of-turn"));
    assert_eq!(
        early.json()["detail"],
        "The settlement is proofed: somebody else than who closed the period issues it next."
    );
    let issued = server.post(mall.with(&finance), &issue, &Value::Null).await;
    assert_eq!(
        (&issued["state"], &issued["confirm_by"]),
        (&json!("issued"), &json!("2026-07-06T00:00:00.000000Z"))
    );

    let mut keys = Vec::new();
    for shop in ["tea", "cake"] {
        let id = mall
            .find(&server, "/v1/merchants", shop, "merchant_id")
            .await;
        let id: MerchantId = id.parse().unwrap();
        let key = server.key(&mall.tenant, "merchant.finance", Some(id)).await;
        let seen = server
            .get(mall.with(&key), &format!("{path}/statements"))
            .await;
        let [one] = seen["data"].as_array().unwrap().as_slice() else {
            panic!("{seen}");
        };
        assert_eq!(one["state"], "issued");
        let statement = format!("/v1/statements/{}", one["statement_id"].as_str().unwrap());
        keys.push((key, statement));
    }
    let [(tea, owes), (cake, owed)] = keys.as_slice() else {
        panic!("{keys:?}");
    };
    let lines = server.get(mall.with(tea), &format!("{owes}/lines")).await;
    let mut lines = lines["data"].as_array().unwrap().iter();
    let line = lines.find(|line| line["points"] == 40).unwrap();
    let objection = json!({"journal_id": line["journal_id"], "line": line["line"],
        "reason": "Rung up twice"});
    let disputes = format!("{owes}/disputes");
    let dispute = server.post(mall.with(tea), &disputes, &objection).await;
    assert_eq!(
        (&dispute["amount"], &dispute["state"]),
        (&json!(40), &json!("open"))
    );
    assert_eq!(dispute["decide_by"], "2026-08-02T00:00:00.000000Z");
    let twice = refused(tea, &disputes, &objection).await;
    assert_eq!(
        (twice.status, twice.code().as_str()),
        (409, "line-already-disputed")
    );
    let open = server.get(mall.with(cake), "/v1/disputes?state=open").await;
    assert_eq!(open["data"], json!([dispute]));
    for (key, statement) in [(tea, owes), (cake, owed)] {
        let path = format!("{statement}/confirm");
        let confirmed = server.post(mall.with(key), &path, &Value::Null).await;
        assert_eq!(confirmed["state"], "confirmed");
        let twice = refused(key, &path, &Value::Null).await;
        assert_eq!(twice.code(), "statement-already-confirmed");
    }
    let late = refused(cake, &format!("{owed}/disputes"), &objection).await;
    assert_eq!(
        (late.status, late.code().as_str()),
        (409, "dispute-too-late")
    );

    let told = server.get(mall.owner(), &path).await;
    assert_eq!(told["state"], "confirmed");
    let amounts: Vec<&Value> = told["payments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|payment| &payment["amount"])
        .collect();
    assert_eq!(amounts, [&json!(3_00), &json!(40)], "to cake, and held");
    let own = server
        .get(mall.with(cake), &format!("{path}/payments"))
        .await;
    assert_eq!(own["data"].as_array().unwrap().len(), 1);
    let dispute = format!("/v1/disputes/{}", dispute["dispute_id"].as_str().unwrap());
    let decision = json!({"outcome": "upheld", "note": "It was"});
    let decide = format!("{dispute}/decide");
    let decided = server.post(mall.with(&finance), &decide, &decision).await;
    assert_eq!(
        (&decided["state"], &decided["held"]),
        (&json!("upheld"), &json!(true))
    );
    let again = refused(&finance, &decide, &decision).await;
    assert_eq!(again.code(), "dispute-already-decided");

    let bank = format!("{path}/bank-file");
    let file = server.ask(mall.owner(), &Method::GET, &bank, None).await;
    let lines: Vec<&str> = file.body.lines().collect();
    assert_eq!(lines.len(), 3, "{}", file.body);
    assert!(
        lines[2].contains(",tea,(operator),0.40,USD,"),
        "{}",
        lines[2]
    );
    let executed = |lines: &[&str]| {
        let rows: Vec<String> = lines[1..]
            .iter()
            .map(|row| format!("{row},2026-07-03"))
            .collect();
        json!({"file": format!("{},executed_on\r\n{}\r\n", lines[0], rows.join("\r\n"))})
    };
    let other = lines[2].replace("0.40", "0.41");
    let wrong = refused(&finance, &bank, &executed(&[lines[0], lines[1], &other])).await;
    assert_eq!(
        (wrong.status, wrong.code().as_str()),
        (409, "bank-file-refused")
    );
    assert_eq!(
        wrong.json()["errors"],
        json!([{"pointer": "/file", "code": "other-amount",
            "detail": "Line 3: the payment is 0.40 USD."}])
    );
    let caller = mall.with(&finance);
    let done = server.post(caller, &bank, &executed(&lines)).await;
    assert_eq!((&done["recorded"], &done["known"]), (&json!(2), &json!(0)));
    assert_eq!(done["settlement"]["state"], "closed");
    let done = server.post(caller, &bank, &executed(&lines)).await;
    assert_eq!((&done["recorded"], &done["known"]), (&json!(0), &json!(2)));
    let proof = server.get(mall.owner(), "/v1/books/proof").await;
    assert_eq!(proof["holds"], json!(true), "{proof}");
}

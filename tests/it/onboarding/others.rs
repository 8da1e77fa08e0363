//! Refusals, secrets, limits and versions.

use serde_json::{Value, json};

use super::{ACCOUNT, IDENTITY, LICENCE, PNG, full, kinds, refusal, state};
use crate::support::{outside::tables, people::People};

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_begins_anew_with_everything_that_was_said_and_who_withdraws_too() {
    let mall = People::open().await;
    let manager = mall
        .server
        .key(&mall.front.tenant, "operator.merchant-manager", None)
        .await;
    let (token, id) = mall.applied("lin@lantern.example", LICENCE).await;
    let silent = mall
        .decides(
            &manager,
            &id,
            "rejection",
            &json!({"reason": "x".repeat(1001)}),
        )
        .await;
    assert_eq!(refusal(&silent), (409, "reason-missing".to_owned()));
    let reason = json!({"reason": "We have enough tea."});
    for _ in 0..2 {
        assert_eq!(
            state(&mall.decides(&manager, &id, "rejection", &reason).await),
            "rejected"
        );
    }
    let own = mall.server.get(mall.at(&token), "/v1/application").await;
    assert_eq!(own["reason"], "We have enough tea.");
    let late = mall.decides(&manager, &id, "approval", &json!({})).await;
    assert_eq!(refusal(&late), (409, "application-out-of-step".to_owned()));
    let anew = json!({"digest": mall.digest("conditions").await});
    assert_eq!(
        state(&mall.does(&token, "/v1/application/renewal", &anew).await),
        "draft"
    );
    let again = mall
        .does(&token, "/v1/application/submission", &Value::Null)
        .await;
    assert_eq!(state(&again), "submitted", "nothing had to be said again");
    let gone = mall
        .does(&token, "/v1/application/withdrawal", &Value::Null)
        .await;
    assert_eq!(state(&gone), "withdrawn");
    assert_eq!(
        state(&mall.does(&token, "/v1/application/renewal", &anew).await),
        "draft"
    );

    // While one company's application is on its way, no other has its licence.
    mall.does(&token, "/v1/application/submission", &Value::Null)
        .await;
    let other = mall.applicant("mallory@other.example").await;
    mall.puts(&other, "/v1/application", &full(" 9135 0100m000100y43 "))
        .await;
    for kind in ["licence", "identity"] {
        mall.sends(&other, kind, "scan.png", PNG).await;
    }
    let taken = mall
        .does(&other, "/v1/application/submission", &Value::Null)
        .await;
    assert_eq!(refusal(&taken), (409, "licence-taken".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_applied_does_not_approve_and_who_may_only_read_decides_nothing() {
    let mall = People::open().await;
    let manager = ["operator.merchant-manager"];
    let (_, own) = mall.applied("lin@lantern.example", LICENCE).await;
    let lin = mall.active("LIN@lantern.example", &manager, None).await;
    let refused = mall.decides(&lin.token, &own, "approval", &json!({})).await;
    assert_eq!(refusal(&refused), (409, "needs-second-person".to_owned()));
    let ada = mall.active("ada@mall.example", &manager, None).await;
    // Lin is here already, so that nobody else can be invited by that address; and nothing is made.
    let before = tables(&mall.front.tenant).await;
    let taken = mall.decides(&ada.token, &own, "approval", &json!({})).await;
    assert_eq!(refusal(&taken), (409, "address-taken".to_owned()));
    let after = tables(&mall.front.tenant).await;
    for table in [
        "merchant",
        "store",
        "application",
        "application_event",
        "staff",
    ] {
        assert_eq!(before[table], after[table], "{table}");
    }
    let auditor = mall
        .server
        .key(&mall.front.tenant, "operator.auditor", None)
        .await;
    let path = format!("/v1/merchant-applications/{own}");
    mall.server.get(mall.at(&auditor), &path).await;
    for (what, body) in [
        ("review", Value::Null),
        ("approval", json!({})),
        ("rejection", json!({"reason": "x"})),
    ] {
        let answer = mall.decides(&auditor, &own, what, &body).await;
        assert_eq!(refusal(&answer), (403, "not-allowed".to_owned()), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_of_identity_cards_and_accounts_are_in_no_table_and_in_no_answer() {
    let mall = People::open().await;
    let manager = mall
        .server
        .key(&mall.front.tenant, "operator.merchant-manager", None)
        .await;
    let (token, id) = mall.applied("lin@lantern.example", LICENCE).await;
    let own = mall.server.get(mall.at(&token), "/v1/application").await;
    let theirs = mall
        .server
        .get(
            mall.at(&manager),
            &format!("/v1/merchant-applications/{id}"),
        )
        .await;
    for shown in [&own, &theirs] {
        assert_eq!(shown["representative_id"], "************1234");
        assert_eq!(shown["bank_account"], "************2222");
        for secret in [IDENTITY, ACCOUNT] {
            assert!(!shown.to_string().contains(secret));
        }
    }
    for (table, rows) in tables(&mall.front.tenant).await {
        for secret in [
            IDENTITY.to_owned(),
            ACCOUNT.to_owned(),
            token.clone(),
            hex(IDENTITY),
            hex(ACCOUNT),
        ] {
            assert!(!rows.contains(&secret), "{table}");
        }
    }
}

fn hex(text: &str) -> String {
    rotunda::kernel::page::hex(text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_whether_an_address_has_applied_and_an_address_gets_few_letters() {
    let mall = People::open().await;
    let token = mall.applicant("lin@lantern.example").await;
    let again = mall.begins("LIN@lantern.example").await;
    assert_eq!(
        (again.status, again.json()),
        (200, json!({"noted": true})),
        "no token of somebody else's"
    );
    let (path, body) = (
        "/v1/applications/links",
        |email: &str| json!({"email": email}),
    );
    let known = mall
        .server
        .ask_from(
            &mall.elsewhere(),
            mall.stranger(),
            path,
            &body("lin@lantern.example"),
        )
        .await;
    let unknown = mall
        .server
        .ask_from(
            &mall.elsewhere(),
            mall.stranger(),
            path,
            &body("nobody@lantern.example"),
        )
        .await;
    assert_eq!(known.said(), unknown.said());
    for minute in 1..12 {
        mall.pass(61);
        let noted = mall
            .server
            .ask_from(
                &mall.elsewhere(),
                mall.stranger(),
                path,
                &body("lin@lantern.example"),
            )
            .await;
        assert_eq!(noted.status, 200, "{minute}");
    }
    let own = mall.server.get(mall.at(&token), "/v1/application").await;
    let letters = kinds(&own)
        .iter()
        .filter(|kind| *kind == "link_asked")
        .count();
    assert_eq!(
        letters, 2,
        "five in a quarter of an hour, and two of those came too soon after another"
    );
    let from = mall.elsewhere();
    let mut refused = 0;
    for one in 0..62 {
        let email = format!("a{one}@lantern.example");
        let answer = mall
            .server
            .ask_from(&from, mall.stranger(), path, &body(&email))
            .await;
        refused += usize::from(answer.status == 429);
    }
    assert_eq!(refused, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_stays_when_the_operator_writes_another_text() {
    let mall = People::open().await;
    let manager = mall
        .server
        .key(&mall.front.tenant, "operator.merchant-manager", None)
        .await;
    let (token, id) = mall.applied("lin@lantern.example", LICENCE).await;
    let old = mall.digest("conditions").await;
    let texts = json!({"texts": [{"language": "en", "text": "Be kind.\nPay the rent."}]});
    for kind in ["conditions", "agreement"] {
        let path = format!("/v1/merchant-texts/current?kind={kind}");
        for _ in 0..2 {
            let answer = mall.puts(&manager, &path, &texts).await;
            assert_eq!(answer.json()["version"], 1, "{}", answer.body);
        }
    }
    assert_ne!(mall.digest("conditions").await, old);
    let own = mall.server.get(mall.at(&token), "/v1/application").await;
    assert_eq!(
        (&own["conditions"]["version"], &own["conditions"]["digest"]),
        (&json!(0), &json!(old))
    );
    let late = json!({"email": "new@lantern.example", "conditions_digest": old});
    let refused = mall
        .server
        .ask_from(
            &mall.elsewhere(),
            mall.stranger(),
            "/v1/applications",
            &late,
        )
        .await;
    assert_eq!(refusal(&refused), (409, "other-text".to_owned()));
    let approved = mall.decides(&manager, &id, "approval", &json!({})).await;
    assert_eq!(
        approved.json()["approved"]["agreement"]["version"],
        1,
        "{}",
        approved.body
    );
    let texts = json!({"texts": [{"language": "en", "text": "Be kinder."}]});
    mall.puts(
        &manager,
        "/v1/merchant-texts/current?kind=agreement",
        &texts,
    )
    .await;
    let own = mall.server.get(mall.at(&token), "/v1/application").await;
    assert_eq!(
        own["agreement"]["texts"]["en"], "Be kind.\nPay the rent.",
        "the one that was approved"
    );
    let digest = json!({"digest": own["agreement"]["digest"]});
    assert_eq!(
        state(
            &mall
                .does(&token, "/v1/application/acceptance", &digest)
                .await
        ),
        "live"
    );
}

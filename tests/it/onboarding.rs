//! How a company becomes a merchant, as it and the operator meet it over HTTP.

mod letters;
mod others;
mod pages;
mod papers;

use poem::http::Method;
use serde_json::{Value, json};

use crate::support::{
    outside::Answer,
    people::{People, text},
};

/// The example of GB 32100-2015.
pub const LICENCE: &str = "91350100M000100Y43";
/// What nobody must find anywhere.
pub const IDENTITY: &str = "350100199001011234";
pub const ACCOUNT: &str = "6222000011112222";

/// The smallest picture there is.
pub const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0,
    1, 0, 0, 0, 1, 8, 6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 0x0a, b'I', b'D', b'A', b'T',
    0x78, 0x9c, 0x63, 0, 1, 0, 0, 5, 0, 1, 0x0d, 0x0a, 0x2d, 0xb4, 0, 0, 0, 0, b'I', b'E', b'N',
    b'D', 0xae, 0x42, 0x60, 0x82,
];

pub const PDF: &[u8] = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n";

/// Everything that is asked for.
pub fn full(licence: &str) -> Value {
    json!({
        "form": {
            "company": "Lantern Tea", "country": "CN", "licence_number": licence,
            "representative": "Lin Deng",
            "contacts": [{"name": "Lin Deng", "role": "owner", "email": "lin@lantern.example",
                          "phone": "2025550100"}],
            "categories": ["tea"], "bank_holder": "Lantern Tea", "bank_name": "First Bank",
            "goods": "Tea\nand cups", "alliance": "both", "stores": ["Lantern B1", "Lantern 3F"],
        },
        "representative_id": IDENTITY, "bank_account": ACCOUNT,
    })
}

impl People {
    /// The conditions' digest.
    pub async fn digest(&self, kind: &str) -> String {
        let path = format!("/v1/merchant-texts?kind={kind}");
        text(&self.server.get(self.stranger(), &path).await["digest"])
    }

    /// What beginning an application answers.
    pub async fn begins(&self, email: &str) -> Answer {
        let digest = self.digest("conditions").await;
        let body = json!({"email": email, "language": "zh-TW", "conditions_digest": digest});
        let from = self.elsewhere();
        let path = "/v1/applications";
        self.server
            .ask_from(&from, self.stranger(), path, &body)
            .await
    }

    /// The token of a new application.
    pub async fn applicant(&self, email: &str) -> String {
        let answer = self.begins(email).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        text(&answer.json()["token"])
    }

    pub async fn puts(&self, token: &str, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let caller = self.at(token);
        self.server
            .ask(caller, &Method::PUT, path, Some(&body))
            .await
    }

    pub async fn sends(&self, token: &str, kind: &str, name: &str, bytes: &[u8]) -> Answer {
        let path = format!("/v1/application/files?kind={kind}&name={name}");
        let media = "application/octet-stream";
        self.server
            .send(self.at(token), &path, media, &[], bytes)
            .await
    }

    /// A complete application that was sent in: its token and its id.
    pub async fn applied(&self, email: &str, licence: &str) -> (String, String) {
        let token = self.applicant(email).await;
        let saved = self.puts(&token, "/v1/application", &full(licence)).await;
        assert_eq!(saved.status, 200, "{}", saved.body);
        for kind in ["licence", "identity"] {
            let sent = self.sends(&token, kind, "scan.png", PNG).await;
            assert_eq!(sent.status, 200, "{}", sent.body);
        }
        let answer = self
            .does(&token, "/v1/application/submission", &Value::Null)
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        (token, text(&answer.json()["application"]["application_id"]))
    }

    /// What the operator does about an application.
    pub async fn decides(&self, by: &str, id: &str, what: &str, body: &Value) -> Answer {
        let path = format!("/v1/merchant-applications/{id}/{what}");
        self.does(by, &path, body).await
    }
}

fn kinds(whole: &Value) -> Vec<String> {
    let events = whole["events"].as_array().unwrap();
    events.iter().map(|event| text(&event["kind"])).collect()
}

fn state(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.body);
    text(&answer.json()["application"]["state"])
}

fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_applies_is_asked_answers_is_approved_agrees_and_works() {
    let mall = People::open().await;
    let manager = mall
        .server
        .key(&mall.front.tenant, "operator.merchant-manager", None)
        .await;
    let token = mall.applicant("Lin@lantern.example").await;

    // Everything that is missing is told at once, and what was said is kept.
    let answer = mall
        .does(&token, "/v1/application/submission", &Value::Null)
        .await;
    assert_eq!(refusal(&answer), (409, "application-incomplete".to_owned()));
    assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 12);
    let mut wrong = full("91350100M000100Y44");
    wrong["form"]["alliance"] = json!("neither");
    let saved = mall.puts(&token, "/v1/application", &wrong).await;
    let lacks: Vec<String> = saved.json()["lacks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lack| format!("{}:{}", text(&lack["field"]), text(&lack["lack"])))
        .collect();
    let expected = [
        "licence_number:wrong",
        "alliance:wrong",
        "licence_file:missing",
        "identity_file:missing",
    ];
    assert_eq!(lacks, expected);
    mall.puts(&token, "/v1/application", &full(LICENCE)).await;
    for kind in ["licence", "identity"] {
        assert_eq!(mall.sends(&token, kind, "scan.png", PNG).await.status, 200);
    }
    for _ in 0..2 {
        let sent = mall
            .does(&token, "/v1/application/submission", &Value::Null)
            .await;
        assert_eq!(state(&sent), "submitted");
    }
    let closed = mall.puts(&token, "/v1/application", &full(LICENCE)).await;
    assert_eq!(refusal(&closed), (409, "application-closed".to_owned()));

    // The operator's queue, and a question.
    let list = mall
        .server
        .get(
            mall.at(&manager),
            "/v1/merchant-applications?status=submitted",
        )
        .await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "{list}");
    let id = text(&list["data"][0]["application_id"]);
    let none = mall
        .server
        .get(mall.at(&manager), "/v1/merchant-applications?status=live")
        .await;
    assert_eq!(none["data"], json!([]));
    assert_eq!(
        state(&mall.decides(&manager, &id, "review", &Value::Null).await),
        "under_review"
    );
    let asked = json!({"questions": [{"field": "goods", "note": "Which cups?"}]});
    for _ in 0..2 {
        let answer = mall.decides(&manager, &id, "questions", &asked).await;
        assert_eq!(state(&answer), "information_asked");
    }
    let own = mall.server.get(mall.at(&token), "/v1/application").await;
    assert_eq!(
        own["questions"],
        json!([{"field": "goods", "note": "Which cups?"}])
    );
    assert_eq!(
        own["form"]["company"], "Lantern Tea",
        "what was said is kept"
    );
    let early = mall.decides(&manager, &id, "approval", &json!({})).await;
    assert_eq!(refusal(&early), (409, "application-out-of-step".to_owned()));
    let mut more = full(LICENCE);
    more["form"]["goods"] = json!("Tea and celadon cups");
    more.as_object_mut().unwrap().remove("bank_account");
    mall.puts(&token, "/v1/application", &more).await;
    let again = mall
        .does(&token, "/v1/application/submission", &Value::Null)
        .await;
    assert_eq!(state(&again), "resubmitted");
    assert_eq!(
        again.json()["bank_account"],
        "************2222",
        "kept though not said again"
    );

    // An approval makes everything at once, and twice nothing more.
    let approved = mall
        .decides(&manager, &id, "approval", &json!({"code": "lantern"}))
        .await;
    assert_eq!(approved.status, 200, "{}", approved.body);
    let link = text(&approved.json()["invitation_link"]);
    let merchant = text(&approved.json()["approved"]["application"]["merchant_id"]);
    let twice = mall
        .decides(&manager, &id, "approval", &json!({"code": "other"}))
        .await;
    assert_eq!(
        twice.json()["approved"]["application"]["merchant_id"],
        json!(merchant)
    );
    assert!(twice.json()["invitation_link"].is_null(), "{}", twice.body);
    let master = mall.master().await;
    let made = mall
        .server
        .get(mall.at(&master), &format!("/v1/merchants/{merchant}"))
        .await;
    assert_eq!(
        (text(&made["code"]), text(&made["status"])),
        ("lantern".to_owned(), "suspended".to_owned())
    );
    let stores = mall
        .server
        .get(
            mall.at(&master),
            &format!("/v1/stores?merchant_id={merchant}"),
        )
        .await;
    let mut codes: Vec<String> = stores["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| text(&one["code"]))
        .collect();
    codes.sort();
    assert_eq!(codes, ["lantern-1", "lantern-2"]);

    // The agreement is accepted by its digest, and the merchant works.
    let own = mall.server.get(mall.at(&token), "/v1/application").await;
    let digest = text(&own["agreement"]["digest"]);
    let other = json!({"digest": "0".repeat(64)});
    let refused = mall
        .does(&token, "/v1/application/acceptance", &other)
        .await;
    assert_eq!(refusal(&refused), (409, "other-text".to_owned()));
    for _ in 0..2 {
        let live = mall
            .does(
                &token,
                "/v1/application/acceptance",
                &json!({"digest": digest}),
            )
            .await;
        assert_eq!(state(&live), "live");
        let agreed = &live.json()["agreed"];
        assert_eq!(agreed["digest"], json!(digest));
        assert_eq!(agreed["accepted_by"], json!(id));
    }
    let made = mall
        .server
        .get(mall.at(&master), &format!("/v1/merchants/{merchant}"))
        .await;
    assert_eq!(made["status"], "active");

    // The owner comes in by the invitation, and reaches that merchant.
    let (_, invitation) = link.split_once("token=").unwrap();
    let chosen = json!({"token": invitation, "password": crate::support::people::PASSWORD});
    let from = mall.elsewhere();
    let path = "/v1/staff/invitations/acceptance";
    let opened = mall
        .server
        .ask_from(&from, mall.stranger(), path, &chosen)
        .await;
    assert_eq!(opened.status, 201, "{}", opened.body);
    let me = mall
        .server
        .get(mall.at(&text(&opened.json()["token"])), "/v1/me")
        .await;
    assert_eq!(me["person"]["merchant_id"], json!(merchant));
    assert_eq!(me["person"]["roles"], json!(["merchant.owner"]));

    // What becomes of the merchant later is on the same timeline.
    mall.does(
        &manager,
        &format!("/v1/merchants/{merchant}/suspension"),
        &Value::Null,
    )
    .await;
    mall.does(
        &manager,
        &format!("/v1/merchants/{merchant}/suspension"),
        &Value::Null,
    )
    .await;
    mall.does(
        &manager,
        &format!("/v1/merchants/{merchant}/activation"),
        &Value::Null,
    )
    .await;
    let path = format!("/v1/merchant-applications/{id}");
    let whole = mall.server.get(mall.at(&manager), &path).await;
    assert_eq!(
        kinds(&whole),
        [
            "started",
            "submitted",
            "under_review",
            "information_asked",
            "resubmitted",
            "approved",
            "live",
            "suspended",
            "activated"
        ]
    );
    let by = whole["events"][5]["actor"].as_str().unwrap();
    assert!(by.starts_with("key_"), "{by}");
    assert_eq!(whole["events"][3]["reason"], "Which cups?");
}

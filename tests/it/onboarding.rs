//! How a company becomes a merchant, as it and the operator meet it over HTTP.

mod letters;
mod papers;

use poem::http::Method;
use serde_json::{Value, json};

use crate::support::{
    outside::{Answer, tables},
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
        let path = format!("/v1/merchant-texts?kind={kind}");
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
    mall.puts(&manager, "/v1/merchant-texts?kind=agreement", &texts)
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

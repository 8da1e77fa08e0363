//! Links, and the letters that tell them.

use chrono::TimeDelta;
use futures_util::future::join_all;
use poem::http::Method;
use rotunda::{
    gateway::mail::Mailer,
    identity::staff::SendLink,
    jobs::{Tools, handlers},
    queue::{Job, worker::Outcome},
};
use serde_json::{Value, json};

use super::coming::gone;
use crate::support::{
    books::owner,
    outside::{Answer, tables},
    people::{PASSWORD, People, text},
    smtp::{Manner, Postman},
};
use rotunda::db::tenants::Schema;

const NEXT: &str = "snow on the tea house";

/// The token of a link as a letter would tell it: as the job makes it, without a letter.
pub async fn link_of(mall: &People, staff: &str, kind: &str) -> String {
    let postman = Postman::open().await;
    let me = mall
        .server
        .get(mall.at(&mall.master().await), &format!("/v1/staff/{staff}"))
        .await;
    if kind == "reset" {
        ask(mall, &text(&me["email"])).await;
    }
    deliver(mall, postman.mailer()).await;
    let letter = postman.taken().pop().expect("a letter").data;
    token_in(&letter)
}

/// What asking for a link answers.
async fn ask(mall: &People, email: &str) -> Answer {
    let body = json!({"email": email});
    let from = mall.elsewhere();
    let answer = mall
        .server
        .ask_from(&from, mall.stranger(), "/v1/password-resets", &body)
        .await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"noted": true}))
    );
    answer
}

fn token_in(letter: &str) -> String {
    // Quoted-printable breaks lines and writes = as =3D.
    let whole = letter
        .replace("=\r\n", "")
        .replace("=\n", "")
        .replace("=3D", "=");
    let (_, rest) = whole.split_once("token=").expect("a link");
    rest.split_whitespace().next().unwrap().to_owned()
}

/// Writes every letter that waits; how each of them went.
async fn deliver(mall: &People, mailer: Mailer) -> Vec<Outcome> {
    let app = &mall.server.app;
    let tools = Tools {
        db: app.db.clone(),
        policy: app.policy.clone(),
        bell: app.bell.clone(),
        mailer,
        sms: rotunda::gateway::sms::Sms::Off,
        stripe: app.stripe.clone(),
        files: app.files.clone(),
        base_url: Some("https://points.example:8443".to_owned()),
    };
    let handlers = handlers(&tools);
    let mut sql = owner(&Schema::of(mall.front.tenant.id).to_string()).await;
    let waiting: Vec<Value> =
        sqlx::query_scalar("select payload from outbox where name = 'link.send' order by job_id")
            .fetch_all(&mut sql)
            .await
            .unwrap();
    let mut went = Vec::new();
    for payload in waiting {
        went.push(
            handlers
                .run(mall.front.tenant.id, SendLink::NAME, payload)
                .await,
        );
    }
    went
}

async fn accept(mall: &People, token: &str) -> Answer {
    let body = json!({"token": token, "password": PASSWORD});
    let path = "/v1/staff/invitations/acceptance";
    mall.server
        .ask_from(&mall.elsewhere(), mall.stranger(), path, &body)
        .await
}

async fn reset(mall: &People, token: &str) -> Answer {
    let body = json!({"token": token, "password": NEXT});
    let path = "/v1/password-resets/completion";
    mall.server
        .ask_from(&mall.elsewhere(), mall.stranger(), path, &body)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_opens_once_also_for_many_at_the_same_moment() {
    let mall = People::open().await;
    let token = mall
        .invited("ada@mall.example", &["operator.auditor"], None)
        .await;
    let used = join_all((0..5).map(|_| accept(&mall, &token))).await;
    let opened = used.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(opened, 1);
    let refused = used.iter().find(|answer| answer.status != 201).unwrap();
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (409, "link-not-valid")
    );
    assert_eq!(accept(&mall, &token).await.code(), "link-not-valid");
    assert_eq!(reset(&mall, &token).await.code(), "link-not-valid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_another_kind_another_mall_too_late_replaced_or_of_who_was_ended_opens_nothing() {
    let (mall, other) = (People::open().await, People::open().await);
    let token = mall
        .invited("ada@mall.example", &["operator.auditor"], None)
        .await;
    assert_eq!(
        reset(&mall, &token).await.code(),
        "link-not-valid",
        "another kind"
    );
    assert_eq!(
        accept(&other, &token).await.code(),
        "link-not-valid",
        "another mall"
    );
    let cut = &token[..token.len() - 1];
    assert_eq!(
        accept(&mall, cut).await.code(),
        "link-not-valid",
        "half of it"
    );
    let now = mall.clock.now();
    mall.clock.set(now + TimeDelta::days(7));
    assert_eq!(
        accept(&mall, &token).await.code(),
        "link-not-valid",
        "too late"
    );
    mall.clock
        .set(now + TimeDelta::days(7) - TimeDelta::seconds(1));
    let master = mall.master().await;
    let people = mall.server.get(mall.at(&master), "/v1/staff").await;
    let id = text(&people["data"][0]["staff_id"]);
    let again = mall
        .does(&master, &format!("/v1/staff/{id}/invitation"), &Value::Null)
        .await;
    assert_eq!(again.status, 201, "{}", again.body);
    let newer = text(&again.json()["link"]);
    let newer = newer.split_once("?token=").unwrap().1;
    assert_eq!(
        accept(&mall, &token).await.code(),
        "link-not-valid",
        "replaced"
    );
    let ended = mall
        .does(&master, &format!("/v1/staff/{id}/ending"), &Value::Null)
        .await;
    assert_eq!(ended.status, 200, "{}", ended.body);
    assert_eq!(accept(&mall, newer).await.code(), "link-not-valid", "ended");
    let back = mall
        .invited("ada@mall.example", &["operator.auditor"], None)
        .await;
    assert_eq!(accept(&mall, &back).await.status, 201, "invited anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_tells_a_link_that_is_in_no_table() {
    let mall = People::open().await;
    let ada = mall
        .active("ada@mall.example", &["operator.auditor"], None)
        .await;
    let postman = Postman::open().await;
    ask(&mall, "Ada@Mall.example").await;
    assert_eq!(deliver(&mall, postman.mailer()).await, [Outcome::Done]);
    let letters = postman.taken();
    assert_eq!(letters.len(), 1);
    assert!(
        letters[0].to[0].contains("ada@mall.example"),
        "{:?}",
        letters[0].to
    );
    let token = token_in(&letters[0].data);
    let page = format!("https://{}:8443/password/reset?token=", mall.front.host());
    let whole = letters[0]
        .data
        .replace("=\r\n", "")
        .replace("=\n", "")
        .replace("=3D", "=");
    assert!(whole.contains(&page), "{whole}");
    for (table, rows) in tables(&mall.front.tenant).await {
        assert!(!rows.contains(&token), "{table}");
    }
    // Handed over a second time it is not written again.
    assert_eq!(deliver(&mall, postman.mailer()).await, [Outcome::Done]);
    assert_eq!(postman.taken().len(), 1);
    assert_eq!(reset(&mall, &token).await.status, 201);
    gone(&mall, &ada.token).await;
    assert_eq!(reset(&mall, &token).await.code(), "link-not-valid", "once");
    assert_eq!(mall.sign_in("ada@mall.example", NEXT).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_who_is_here_by_asking_for_letters_and_five_are_enough() {
    let mall = People::open().await;
    mall.active("ada@mall.example", &["operator.auditor"], None)
        .await;
    mall.invited("bo@mall.example", &["operator.auditor"], None)
        .await;
    let postman = Postman::open().await;
    let mut said = Vec::new();
    for email in ["ada@mall.example", "bo@mall.example", "no@mall.example"] {
        said.push(ask(&mall, email).await.said());
    }
    assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
    deliver(&mall, postman.mailer()).await;
    assert_eq!(postman.taken().len(), 1, "to who is active alone");
    let first = token_in(&postman.taken()[0].data);
    for _ in 0..9 {
        ask(&mall, "ada@mall.example").await;
    }
    deliver(&mall, postman.mailer()).await;
    assert_eq!(postman.taken().len(), 5);
    assert_eq!(
        reset(&mall, &first).await.status,
        201,
        "who asks in another's name takes nothing"
    );
    let last = token_in(&postman.taken()[4].data);
    assert_eq!(
        reset(&mall, &last).await.code(),
        "link-not-valid",
        "one ends all"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_does_not_open_for_longer_than_an_hour() {
    let mall = People::open().await;
    let ada = mall
        .active("ada@mall.example", &["operator.auditor"], None)
        .await;
    let token = link_of(&mall, &ada.id, "reset").await;
    mall.pass(3600);
    assert_eq!(reset(&mall, &token).await.code(), "link-not-valid");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_mail_the_inviter_is_told_no_link_and_sees_what_became_of_the_letter() {
    let mut mall = People::open().await;
    let postman = Postman::open().await;
    let mut config = mall.server.app.config.clone();
    config.mail = Some(rotunda::config::Mail {
        url: secrecy::SecretString::from(format!("smtp://127.0.0.1:{}", postman.port)),
        from: "Mall <points@mall.example>".to_owned(),
    });
    mall.server = crate::support::outside::Server::open_with(
        config,
        mall.clock.clone(),
        rotunda::kernel::ids::Entropy::System,
    )
    .await;
    let master = mall.master().await;
    let invited = mall
        .invite(&master, "ada@mall.example", &["operator.auditor"], None)
        .await;
    assert_eq!(invited.status, 201, "{}", invited.body);
    assert!(invited.json().get("link").is_none(), "{}", invited.body);
    let seen = || async {
        let list = mall
            .server
            .get(mall.at(&master), "/v1/staff/invitations")
            .await;
        let first = list["data"][0].clone();
        (text(&first["letter"]), first["problem"].clone())
    };
    assert_eq!(seen().await, ("queued".to_owned(), Value::Null));
    postman.behave(Manner::Refuses("451 later"));
    let went = deliver(&mall, postman.mailer()).await;
    assert_eq!(went, [Outcome::Retry("refused-451".to_owned())]);
    assert_eq!(seen().await, ("queued".to_owned(), json!("refused-451")));
    postman.behave(Manner::Takes);
    assert_eq!(deliver(&mall, postman.mailer()).await, [Outcome::Done]);
    assert_eq!(seen().await, ("sent".to_owned(), Value::Null));
    let letter = postman.taken().pop().unwrap();
    assert_eq!(accept(&mall, &token_in(&letter.data)).await.status, 201);
    mall.pass(1);
    let no = mall
        .invite(&master, "no@mall.example", &["operator.auditor"], None)
        .await;
    assert_eq!(no.status, 201);
    postman.behave(Manner::Refuses("550 nobody"));
    let went = deliver(&mall, postman.mailer()).await;
    assert_eq!(went.last(), Some(&Outcome::Fail("refused-550".to_owned())));
    assert_eq!(seen().await, ("failed".to_owned(), json!("refused-550")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_under_one_key_is_one_and_its_link_is_told_once() {
    let mall = People::open().await;
    let master = mall.master().await;
    let body = json!({"email": "ada@mall.example", "name": "Ada", "roles": ["operator.auditor"]});
    let body = body.to_string();
    let ask = || {
        let (path, body) = ("/v1/staff/invitations", Some(body.as_str()));
        mall.server
            .ask_under("same", mall.at(&master), &Method::POST, path, body)
    };
    assert_eq!(ask().await.status, 201);
    assert_eq!(ask().await.code(), "invitation-already-told");
    let other = mall
        .invite(&master, "ada@mall.example", &["operator.support"], None)
        .await;
    assert_eq!(other.code(), "address-taken");
}

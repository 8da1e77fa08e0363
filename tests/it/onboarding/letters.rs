//! Letters: each step is told, in the language of whoever applied, with a link that opens.

use chrono::TimeDelta;
use rotunda::{
    db::tenants::Schema,
    gateway::mail::Mailer,
    jobs::{Tools, handlers},
    merchants::onboarding::news::TellNews,
    queue::{Job, worker::Outcome},
};
use serde_json::{Value, json};

use super::LICENCE;
use crate::support::{
    books::owner,
    people::People,
    smtp::{Manner, Postman, decoded},
};

pub fn tools(mall: &People, mailer: Mailer) -> Tools {
    let app = &mall.server.app;
    Tools {
        db: app.db.clone(),
        policy: app.policy.clone(),
        bell: app.bell.clone(),
        mailer,
        sms: rotunda::gateway::sms::Sms::Off,
        stripe: app.stripe.clone(),
        files: app.files.clone(),
        base_url: Some("https://points.example:8443".to_owned()),
    }
}

/// Writes every letter that waits; how each of them went.
async fn deliver(mall: &People, mailer: Mailer) -> Vec<Outcome> {
    let handlers = handlers(&tools(mall, mailer));
    let mut sql = owner(&Schema::of(mall.front.tenant.id).to_string()).await;
    let waiting = "select payload from outbox where name = 'application.tell' order by job_id";
    let waiting: Vec<Value> = sqlx::query_scalar(waiting)
        .fetch_all(&mut sql)
        .await
        .unwrap();
    let mut went = Vec::new();
    for payload in waiting {
        went.push(
            handlers
                .run(mall.front.tenant.id, TellNews::NAME, payload)
                .await,
        );
    }
    went
}

fn token_in(letter: &str) -> String {
    let (_, rest) = letter.split_once("token=").expect("a link");
    rest.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_is_told_in_a_letter_whose_link_opens_for_a_month() {
    let mall = People::open().await;
    let manager = mall
        .server
        .key(&mall.front.tenant, "operator.merchant-manager", None)
        .await;
    let (_, id) = mall.applied("lin@lantern.example", LICENCE).await;
    mall.decides(&manager, &id, "review", &Value::Null).await;
    let reason = json!({"reason": "We have enough tea."});
    mall.decides(&manager, &id, "rejection", &reason).await;
    let postman = Postman::open().await;
    let went = deliver(&mall, postman.mailer()).await;
    assert!(went.iter().all(|one| *one == Outcome::Done), "{went:?}");
    let letters = postman.taken();
    // The first was told at once, because this server sends no mail.
    assert_eq!(letters.len(), 3);
    let last = letters
        .iter()
        .find(|one| one.text().contains("We have enough tea."));
    let last = last.expect("the reason is told");
    assert!(
        decoded(&last.header("Subject")).contains("進駐申請"),
        "in their own language"
    );
    let token = token_in(&last.text());
    let own = mall.server.get(mall.at(&token), "/v1/application").await;
    assert_eq!(own["application"]["state"], "rejected");
    let letter = |at: usize| own["events"][at]["letter"].clone();
    assert_eq!(
        [letter(0), letter(1), letter(3)],
        [json!("none"), json!("sent"), json!("sent")]
    );
    // A second time nothing goes out.
    deliver(&mall, postman.mailer()).await;
    assert_eq!(postman.taken().len(), 3);
    let forged = token.replacen("ra_", "rl_", 1);
    for bad in [forged.as_str(), &token[..token.len() - 1], "ra_", "nobody"] {
        assert_eq!(
            mall.asks(bad, "/v1/application").await,
            (401, "unknown-key".to_owned())
        );
    }
    // It opens that and nothing else, here and nowhere else, and for a month.
    assert_eq!(
        mall.asks(&token, "/v1/merchants").await,
        (403, "not-allowed".to_owned())
    );
    assert_eq!(
        mall.asks(&token, "/v1/me").await,
        (403, "not-allowed".to_owned())
    );
    let elsewhere = People::open().await;
    assert_eq!(
        elsewhere.asks(&token, "/v1/application").await,
        (401, "unknown-key".to_owned())
    );
    mall.clock
        .set(mall.clock.now() + TimeDelta::days(30) - TimeDelta::seconds(1));
    assert_eq!(mall.asks(&token, "/v1/application").await.0, 200);
    mall.clock.set(mall.clock.now() + TimeDelta::seconds(1));
    assert_eq!(
        mall.asks(&token, "/v1/application").await,
        (401, "unknown-key".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_does_not_go_is_tried_again_and_opens_by_the_last_one_alone() {
    let mall = People::open().await;
    mall.applied("lin@lantern.example", LICENCE).await;
    let postman = Postman::open().await;
    postman.behave(Manner::Refuses("451 4.3.0 not now"));
    let went = deliver(&mall, postman.mailer()).await;
    assert!(
        went.iter().any(|one| matches!(one, Outcome::Retry(_))),
        "{went:?}"
    );
    postman.behave(Manner::Takes);
    deliver(&mall, postman.mailer()).await;
    let letters = postman.taken();
    let token = token_in(&letters.last().unwrap().text());
    assert_eq!(mall.asks(&token, "/v1/application").await.0, 200);
}

//! What speaks to Stripe, against a program of somebody else's: `tests/contract/stripe` starts it.

use std::time::Duration;

use poem::{Request, Server, endpoint::make, listener::TcpAcceptor};
use rotunda::{
    gateway::stripe::{
        Account, Customer, Keys, Marks, Stripe,
        event::{About, EventError},
    },
    kernel::time::Clock,
};
use secrecy::SecretString;
use tokio::{net::TcpListener, sync::mpsc};

const SECRET: &str = "whsec_localstripe";

fn url() -> String {
    std::env::var("ROTUNDA_LOCALSTRIPE").unwrap()
}

fn account(webhook: &str) -> Account {
    let slug: rotunda::kernel::text::Slug = "tea".parse().unwrap();
    let keys = Keys {
        secret: SecretString::from("sk_test_12345"),
        webhook: SecretString::from(webhook),
    };
    let patience = Duration::from_secs(10);
    let stripe = Stripe::new(Some(&url()), patience, [(slug.clone(), keys)]).unwrap();
    stripe.of(&slug).unwrap().clone()
}

fn customer(merchant: &str, email: &str) -> Customer {
    Customer {
        known: None,
        email: email.parse().unwrap(),
        name: "灯下茶".to_owned(),
        marks: Marks {
            mall: "ten_1".to_owned(),
            merchant: merchant.to_owned(),
            ..Marks::default()
        },
    }
}

#[tokio::test]
#[ignore = "tests/contract/stripe starts the peer"]
async fn localstripe_knows_the_key_and_one_customer_for_each_merchant() {
    let account = account(SECRET);
    account.greet().await.unwrap();
    let tea = customer("mer_tea", "accounts@lantern.example");
    let made = account.customer(&tea).await.unwrap();
    assert!(made.starts_with("cus_"));
    // Not known here, it is found there by what it is marked as.
    assert_eq!(account.customer(&tea).await.unwrap(), made);
    // Another merchant with the same address is another customer.
    let cinema = customer("mer_cinema", "accounts@lantern.example");
    assert_ne!(account.customer(&cinema).await.unwrap(), made);
    // Known, it gets today's address, under which it is found from then on.
    let moved = Customer {
        known: Some(made.clone()),
        ..customer("mer_tea", "books@lantern.example")
    };
    assert_eq!(account.customer(&moved).await.unwrap(), made);
    let found = customer("mer_tea", "books@lantern.example");
    assert_eq!(account.customer(&found).await.unwrap(), made);
    // One that was deleted there is made anew.
    let gone = Customer {
        known: Some("cus_gone".to_owned()),
        ..customer("mer_late", "late@lantern.example")
    };
    assert_ne!(account.customer(&gone).await.unwrap(), made);
}

#[tokio::test]
#[ignore = "tests/contract/stripe starts the peer"]
async fn localstripe_signs_messages_that_are_let_in_by_its_secret_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    let (heard, mut hearing) = mpsc::unbounded_channel();
    let door = make(move |mut request: Request| {
        let heard = heard.clone();
        async move {
            let signature = request.header("stripe-signature").unwrap().to_owned();
            let body = request.take_body().into_bytes().await.unwrap();
            heard.send((signature, body)).unwrap();
        }
    });
    let acceptor = TcpAcceptor::from_tokio(listener).unwrap();
    let server = tokio::spawn(Server::new_with_acceptor(acceptor).run(door));
    let client = reqwest::Client::new();
    let told = client
        .post(format!("{}/_config/webhooks/tea", url()))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("url=http://{here}/&secret={SECRET}"))
        .send()
        .await
        .unwrap();
    assert!(told.status().is_success());

    let account = self::account(SECRET);
    let made = account
        .customer(&customer("mer_signed", "signed@lantern.example"))
        .await
        .unwrap();
    // It speaks of other things too, of which each is let in and none is ours.
    let now = Clock::System.now();
    let (signature, body) = loop {
        let waited = tokio::time::timeout(Duration::from_secs(10), hearing.recv());
        let (signature, body) = waited.await.unwrap().unwrap();
        let event = account.hear(&signature, &body, now).unwrap();
        assert!(matches!(event.about, About::Other(_)));
        if event.kind == "customer.created" && event.about.id() == Some(&made) {
            break (signature, body);
        }
    };
    let stranger = self::account("whsec_of_another_mall");
    assert_eq!(
        stranger.hear(&signature, &body, now),
        Err(EventError::Signature)
    );
    let later = now + chrono::TimeDelta::minutes(6);
    assert_eq!(account.hear(&signature, &body, later), Err(EventError::Old));
    server.abort();
}

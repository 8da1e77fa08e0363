//! Stripe is away, slow, broken, or does it and does not say so: it is asked again, once for all, and
//! what will not work is seen.

use std::{sync::Arc, time::Duration};

use rotunda::{
    gateway::stripe::Stripe,
    jobs::Tools,
    kernel::text::Slug,
    queue::worker::Outcome,
    settlement::{
        State,
        paying::Method,
        stripe::{LegState, StripeError, TRIES},
    },
};
use secrecy::SecretString;
use tokio::task::JoinHandle;

use super::{INVOICE, TRANSFER, office::Office};
use crate::support::stripe::Manner;

fn why(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn later(text: &str) -> Vec<Outcome> {
    vec![Outcome::Retry(text.to_owned())]
}

fn failed(text: &str) -> Vec<Outcome> {
    vec![Outcome::Fail(text.to_owned())]
}

/// The whole course from here, after which everything is paid once.
async fn is_paid_once(office: &Office) {
    office.works_until_idle().await;
    let invoices = office.peer.all("invoice").into_iter();
    let mut open: Vec<_> = invoices.filter(|one| one["status"] == "open").collect();
    assert_eq!(open.len(), 1, "{open:?}");
    let invoice = open.remove(0);
    assert_eq!(invoice["total"], 10_25);
    assert_eq!(
        office.invoice().await.stripe_id.as_deref(),
        invoice["id"].as_str()
    );
    office.peer.pays(&invoice, 10_25);
    office.hears(&office.peer.event("invoice.paid")).await;
    office.works_until_idle().await;
    assert_eq!(office.peer.all("transfer").len(), 2);
    assert_eq!(office.state().await, State::Closed);
    assert_eq!(office.mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn a_peer_that_is_away_busy_or_broken_is_asked_again_and_what_it_says_is_seen() {
    let mut office = Office::open().await;
    office.requests().await.unwrap();
    let peer = std::mem::replace(&mut office.peer, crate::support::stripe::Peer::open().await);
    let back = peer.leave().await;
    assert_eq!(office.works().await, later("connection"));
    let requested = LegState::Requested;
    assert_eq!(
        office.stand().await,
        [(INVOICE, requested, 1, why("connection"))]
    );
    office.peer = back.await;

    for (manner, said) in [
        (Manner::Answers(500, "api_error"), "answered-500"),
        (Manner::Answers(503, "api_error"), "answered-503"),
        (Manner::Answers(429, "rate_limit"), "answered-429"),
        (
            Manner::Answers(409, "idempotency_key_in_use"),
            "answered-409",
        ),
        (Manner::Babbles, "unreadable"),
        (Manner::Dawdles(Duration::from_millis(2500)), "timeout"),
    ] {
        office.peer.behave("/invoices", manner);
        assert_eq!(office.works().await, later(said), "{manner:?}");
        let (_, state, _, problem) = office.stand().await.remove(0);
        assert_eq!((state, problem), (requested, why(said)));
        assert_eq!(office.mall.broken().await, [""; 0]);
        if matches!(manner, Manner::Answers(409, _)) {
            // The peer remembers that under the key, which Stripe does not.
            let leg = office.invoice().await;
            office.peer.behave("/nothing", Manner::Does);
            office.retries(&leg).await.unwrap();
            return_to_its_first_round(&office).await;
        }
    }
    office.peer.behave("/nothing", Manner::Does);
    is_paid_once(&office).await;
}

/// Of two jobs the older one does nothing any more.
async fn return_to_its_first_round(office: &Office) {
    let mut admin = office.mall.admin().await;
    sqlx::raw_sql(
        "delete from outbox where name = 'stripe.follow' and (payload ->> 'round')::int = 0",
    )
    .execute(&mut admin)
    .await
    .unwrap();
}

#[tokio::test]
async fn what_was_done_and_not_said_is_done_once() {
    let office = Office::open().await;
    office.requests().await.unwrap();
    let slow = Manner::Dawdles(Duration::from_secs(2));
    for (address, manner, said) in [
        ("/customers", Manner::Drops, "unreadable"),
        ("/invoices", Manner::Drops, "unreadable"),
        ("/invoiceitems", Manner::Drops, "unreadable"),
        ("/finalize", slow, "timeout"),
    ] {
        office.peer.behave(address, manner);
        assert_eq!(office.works().await, later(said), "{address} {manner:?}");
    }
    office.peer.behave("/nothing", Manner::Does);
    is_paid_once(&office).await;
    assert_eq!(office.peer.all("invoice").len(), 1);
    assert_eq!(office.peer.all("customer").len(), 1);
}

#[tokio::test]
async fn a_transfer_that_was_made_and_not_said_is_made_once() {
    let office = Office::open().await;
    office.requests().await.unwrap();
    office.works_until_idle().await;
    let invoice = office.peer.all("invoice").remove(0);
    office.peer.pays(&invoice, 10_25);
    office.hears(&office.peer.event("invoice.paid")).await;
    office.peer.behave("/transfers", Manner::Drops);
    let outcomes = office.works().await;
    assert_eq!(
        outcomes[1..],
        [later("unreadable"), later("unreadable")].concat()
    );
    assert_eq!(office.peer.all("transfer").len(), 2);
    // Its keys are forgotten after a day: then what is there is looked for.
    office.peer.forgets_keys();
    office.peer.behave("/nothing", Manner::Does);
    office.works_until_idle().await;
    assert_eq!(office.peer.all("transfer").len(), 2);
    assert_eq!(office.state().await, State::Closed);
    assert_eq!(office.mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn an_invoice_whose_key_is_forgotten_is_found_and_not_made_again() {
    let office = Office::open().await;
    office.requests().await.unwrap();
    office.peer.behave("/finalize", Manner::Drops);
    office.works().await;
    office.peer.forgets_keys();
    office.peer.behave("/nothing", Manner::Does);
    is_paid_once(&office).await;
    assert_eq!(office.peer.all("invoice").len(), 1);
}

/// A worker that has asked Stripe to finalize an invoice and is kept waiting.
async fn in_the_middle(office: &Arc<Office>) -> JoinHandle<()> {
    office.peer.behave("/finalize", Manner::Waits);
    let worker = {
        let office = Arc::clone(office);
        tokio::spawn(async move {
            office.works().await;
        })
    };
    let is_asked = |asked: &String| asked.ends_with("/finalize");
    while !office.peer.asked().iter().any(is_asked) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    worker
}

/// A worker is killed after Stripe did it and before it was written down.
#[tokio::test]
async fn a_worker_that_dies_in_between_leaves_one_invoice() {
    let office = Arc::new(Office::open().await);
    office.requests().await.unwrap();
    let worker = in_the_middle(&office).await;
    // Nothing of the database is held while Stripe thinks.
    let mut admin = office.mall.admin().await;
    let held: i64 = sqlx::query_scalar(
        "select count(*) from pg_locks join pg_class on pg_class.oid = relation
         where relname in ('stripe_leg', 'settlement')
           and relnamespace = current_schema()::regnamespace and pid <> pg_backend_pid()",
    )
    .fetch_one(&mut admin)
    .await
    .unwrap();
    assert_eq!(held, 0);
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());
    assert_eq!(
        office.stand().await,
        [(INVOICE, LegState::Sending, 1, None)]
    );
    // Nobody can end what may be made at this moment.
    let leg = office.invoice().await;
    assert!(matches!(
        office.cancels(&leg).await,
        Err(StripeError::OutOfStep(_))
    ));
    office.peer.behave("/nothing", Manner::Does);
    is_paid_once(&office).await;
    assert_eq!(office.peer.all("invoice").len(), 1);
}

/// Its job is lost too: after an hour somebody else may end it, and what is there is found.
#[tokio::test]
async fn a_try_that_nobody_ended_can_be_cancelled_after_an_hour() {
    let office = Arc::new(Office::open().await);
    office.requests().await.unwrap();
    let worker = in_the_middle(&office).await;
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());
    office.peer.behave("/nothing", Manner::Does);
    office
        .mall
        .clock
        .set(crate::support::settling::at("2026-07-02T01:00:01Z"));
    let leg = office.invoice().await;
    assert_eq!((leg.state, &leg.stripe_id), (LegState::Sending, &None));
    assert_eq!(
        office.cancels(&leg).await.unwrap().state,
        LegState::Cancelling
    );
    office.works_until_idle().await;
    assert_eq!(office.invoice().await.state, LegState::Void);
    assert_eq!(office.peer.all("invoice")[0]["status"], "void");
}

#[tokio::test]
async fn what_stripe_refuses_fails_and_can_be_tried_again_or_cancelled() {
    let office = Office::open().await;
    office.requests().await.unwrap();
    office
        .peer
        .behave("/invoices", Manner::Answers(402, "card_declined"));
    assert_eq!(office.works().await, failed("refused-402"));
    let (_, state, _, problem) = office.stand().await.remove(0);
    let said = "refused-402 card_declined: as it was told to";
    assert_eq!((state, problem), (LegState::Failed, why(said)));
    // The job does nothing any more; nothing is open, and nobody pays in another way meanwhile.
    assert_eq!(office.works().await, [Outcome::Done]);
    let id = office.id;
    assert!(office.mall.records(id, 0, Method::Rent, "R").await.is_err());
    let leg = office.invoice().await;
    office.peer.behave("/nothing", Manner::Does);
    assert_eq!(
        office.retries(&leg).await.unwrap().state,
        LegState::Requested
    );
    is_paid_once(&office).await;

    let office = Office::open().await;
    office.requests().await.unwrap();
    office
        .peer
        .behave("/invoiceitems", Manner::Answers(400, "amount_too_large"));
    assert_eq!(office.works().await, failed("refused-400"));
    let leg = office.invoice().await;
    office.peer.behave("/nothing", Manner::Does);
    office.cancels(&leg).await.unwrap();
    office.works_until_idle().await;
    // The draft that nobody saw is gone.
    assert_eq!(office.peer.all("invoice").len(), 0);
    assert_eq!(office.invoice().await.state, LegState::Void);
    office
        .mall
        .records(office.id, 0, Method::Rent, "R")
        .await
        .unwrap();
    assert_eq!(office.mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn a_transfer_that_fails_is_seen_and_paid_in_another_way() {
    let office = Office::open().await;
    let [a, ..] = office.shops;
    office.requests().await.unwrap();
    office.works_until_idle().await;
    let invoice = office.peer.all("invoice").remove(0);
    office.peer.pays(&invoice, 10_25);
    office.hears(&office.peer.event("invoice.paid")).await;
    // The operator's balance is not there yet: that is tried again, under other keys.
    office
        .peer
        .behave("/transfers", Manner::Answers(400, "balance_insufficient"));
    for _ in 0..2 {
        let outcomes = office.works().await;
        assert!(matches!(&outcomes[1], Outcome::Retry(said) if said.contains("balance")));
    }
    office
        .peer
        .behave("/transfers", Manner::Answers(400, "account_invalid"));
    office.works().await;
    let legs = office.legs(None).await;
    let failed: Vec<_> = legs
        .iter()
        .filter(|leg| leg.state == LegState::Failed)
        .collect();
    assert_eq!(failed.len(), 2);
    assert_eq!(office.mall.broken().await, [""; 0]);
    office.peer.behave("/nothing", Manner::Does);

    let to = |shop: crate::support::settling::Shop| {
        let found = failed.iter().find(|leg| leg.merchant == shop.merchant);
        (*found.unwrap()).clone()
    };
    // One gets another account, the other its money by bank.
    let [.., b, _] = office.shops;
    office.pays_to(b, "acct_other").await;
    office.retries(&to(b)).await.unwrap();
    assert_eq!(
        office.cancels(&to(a)).await.unwrap().state,
        LegState::Cancelling
    );
    office.works_until_idle().await;
    let [transfer] = office.peer.all("transfer").try_into().unwrap();
    assert_eq!(transfer["destination"], "acct_other");
    let line = to(a).lines[0];
    office
        .mall
        .records(office.id, line, Method::BankTransfer, "B-1")
        .await
        .unwrap();
    assert_eq!(office.state().await, State::Closed);
    assert_eq!(
        office
            .stand()
            .await
            .iter()
            .filter(|leg| leg.0 == TRANSFER)
            .count(),
        2
    );
    assert_eq!(office.mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn what_never_works_is_given_up_after_its_tries() {
    let office = Office::open().await;
    office.requests().await.unwrap();
    office.peer.behave("", Manner::Answers(503, "api_error"));
    for _ in 1..TRIES {
        assert_eq!(office.works().await, later("answered-503"));
    }
    assert_eq!(office.works().await, failed("answered-503"));
    let end = (INVOICE, LegState::Failed, TRIES, why("answered-503"));
    assert_eq!(office.stand().await, [end]);
}

#[tokio::test]
async fn without_a_key_or_with_a_wrong_one_nothing_is_sent_and_it_is_seen() {
    let office = Office::open().await;
    office.requests().await.unwrap();
    let off = Tools {
        stripe: Stripe::default(),
        ..office.tools()
    };
    assert_eq!(office.works_by(&off).await, [Outcome::Done]);
    let (_, state, _, problem) = office.stand().await.remove(0);
    assert_eq!((state, problem), (LegState::Failed, why("stripe-is-off")));

    office.retries(&office.invoice().await).await.unwrap();
    let slug: Slug = office.mall.tenant.slug.clone();
    let keys = rotunda::gateway::stripe::Keys {
        secret: SecretString::from("sk_test_wrong"),
        webhook: SecretString::from("whsec_x"),
    };
    let url = office.peer.url();
    let wrong = Stripe::new(Some(&url), Duration::from_secs(1), [(slug, keys)]).unwrap();
    let tools = Tools {
        stripe: wrong,
        ..office.tools()
    };
    let outcomes = office.works_by(&tools).await;
    assert_eq!(
        outcomes,
        [vec![Outcome::Done], failed("refused-401")].concat()
    );
    let (_, state, _, problem) = office.stand().await.remove(0);
    assert_eq!((state, problem), (LegState::Failed, why("refused-401")));
    assert_eq!(office.peer.asked(), [""; 0]);
    office.retries(&office.invoice().await).await.unwrap();
    is_paid_once(&office).await;
}

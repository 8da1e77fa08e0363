//! What Stripe says by itself: signed or nothing, once, in any order, about this mall or nothing.

use chrono::TimeDelta;
use poem::http;
use rotunda::settlement::{
    State,
    paying::Method,
    stripe::{LegKind, LegState},
};
use serde_json::{Value, json};

use super::{INVOICE, office::Office};
use crate::support::{
    outside::Caller,
    stripe::{WEBHOOK_SECRET, signed},
};

/// An office with an open invoice; the peer's invoice.
async fn open() -> (Office, Value) {
    let office = Office::open().await;
    office.requests().await.unwrap();
    office.works_until_idle().await;
    let invoice = office.peer.all("invoice").remove(0);
    (office, invoice)
}

#[tokio::test]
async fn whoever_does_not_sign_or_signs_otherwise_changes_nothing() {
    let (office, invoice) = open().await;
    office.peer.pays(&invoice, 10_25);
    let event = office.peer.event("invoice.paid");
    let before = office.mall.rows().await;
    let now = office.mall.clock.now();
    let (signature, body) = signed(&event, WEBHOOK_SECRET, now);
    let changed = body.replace("10", "11");
    let (of_other, _) = signed(&event, "whsec_of_another_mall", now);
    let (old, _) = signed(&event, WEBHOOK_SECRET, now - TimeDelta::seconds(301));
    let (early, _) = signed(&event, WEBHOOK_SECRET, now + TimeDelta::seconds(301));
    let large = format!("{}{}", body, " ".repeat(64 << 10));
    let (of_large, _) = signed(&event, WEBHOOK_SECRET, now);
    let (of_nothing, nothing) = signed(&json!({"id": "evt_x"}), WEBHOOK_SECRET, now);
    for (signature, body, status, code) in [
        (&of_other, &body, 400, "bad-signature"),
        (&old, &body, 400, "bad-signature"),
        (&early, &body, 400, "bad-signature"),
        (&signature, &changed, 400, "bad-signature"),
        (&String::new(), &body, 400, "bad-signature"),
        (&"t=1,v1=00".to_owned(), &body, 400, "bad-signature"),
        (&of_nothing, &nothing, 400, "invalid-body"),
        (&of_large, &large, 413, "body-too-large"),
    ] {
        let answer = office.hears_plain(signature, body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{}",
            answer.body
        );
        assert_eq!(office.mall.rows().await, before);
    }
    // Just what it is lets it in, once.
    assert_eq!(office.hears_plain(&signature, &body).await.status, 200);
    let after = office.mall.rows().await;
    assert_ne!(after, before);
    assert_eq!(office.hears(&event).await, "known");
    assert_eq!(office.mall.rows().await, after);
}

#[tokio::test]
async fn what_is_another_malls_or_nobodys_is_noted_and_changes_nothing() {
    let (office, invoice) = open().await;
    let (other, _) = open().await;
    office.peer.pays(&invoice, 10_25);
    let paid = office.peer.event("invoice.paid");
    let of = |id: &str, change: &dyn Fn(&mut Value)| {
        let mut event = paid.clone();
        event["id"] = json!(id);
        change(&mut event);
        event
    };
    let foreign = |event: &mut Value| {
        let mall = json!(other.mall.tenant.id.to_string());
        event["data"]["object"]["metadata"]["rotunda_mall"] = mall;
    };
    let before = office.mall.rows().await.len();
    let theirs = other.invoice().await.id.to_string();
    for (event, outcome) in [
        (of("evt_a", &foreign), "foreign"),
        (
            of("evt_b", &|event| {
                event["data"]["object"]["metadata"] = json!({});
            }),
            "foreign",
        ),
        (
            of("evt_c", &|event| {
                event["data"]["object"]["metadata"]["rotunda_leg"] = json!(theirs);
            }),
            "foreign",
        ),
        (
            of("evt_d", &|event| {
                event["data"]["object"]["id"] = json!("in_copy");
            }),
            "other-object",
        ),
        (
            of("evt_e", &|event| {
                event["type"] = json!("transfer.created");
                event["data"]["object"]["object"] = json!("transfer");
                event["data"]["object"]["amount"] = json!(10_25);
                event["data"]["object"]["amount_reversed"] = json!(0);
            }),
            "other-object",
        ),
        (
            of("evt_f", &|event| {
                event["data"]["object"]["object"] = json!("quote");
            }),
            "ignored",
        ),
        (
            of("evt_g", &|event| event["type"] = json!("some.news")),
            "applied",
        ),
    ] {
        assert_eq!(office.hears(&event).await, outcome, "{event}");
        if outcome != "applied" {
            assert_eq!(office.invoice().await.state, LegState::Open, "{event}");
            assert_eq!(other.invoice().await.state, LegState::Open);
        }
    }
    assert_eq!(
        office.invoice().await.state,
        LegState::Paid,
        "it was about the invoice"
    );
    assert!(office.mall.rows().await.len() > before);
    // The same message at the other mall's host is not signed for it.
    let (signature, body) = signed(&paid, "whsec_of_this_mall", office.mall.clock.now());
    assert_eq!(
        other.hears_plain(&signature, &body).await.code(),
        "bad-signature"
    );
    assert_eq!(other.invoice().await.state, LegState::Open);
}

#[tokio::test]
async fn another_amount_is_not_recorded_and_is_seen() {
    for (amount, currency) in [(10_24, "cny"), (10_25, "usd")] {
        let (office, invoice) = open().await;
        let set = [
            ("amount_paid", json!(amount)),
            ("status", json!("paid")),
            ("currency", json!(currency)),
        ];
        office.peer.changes(&invoice, "invoice.paid", &set);
        assert_eq!(
            office.hears(&office.peer.event("invoice.paid")).await,
            "applied"
        );
        let leg = office.invoice().await;
        assert_eq!(leg.state, LegState::Mismatch, "{amount} {currency}");
        office.works_until_idle().await;
        assert_eq!(office.peer.all("transfer").len(), 0);
        let lines = office.mall.payments(office.id, None).await;
        assert!(lines.iter().all(|line| line.record.is_none()));
        assert_eq!(office.mall.broken().await, [""; 0]);
        // Nothing is asked for again by itself; somebody records how it was made.
        assert_eq!(office.requests().await.unwrap().invoices, 0);
        for line in 0..2 {
            office
                .mall
                .records(office.id, line, Method::Other, "by hand")
                .await
                .unwrap();
        }
        assert_eq!(office.state().await, State::Closed);
        assert_eq!(office.mall.broken().await, [""; 0]);
    }
}

/// Every message of a whole course, in many orders, while our own answers are lost.
#[tokio::test]
async fn whatever_the_order_and_however_often_the_end_is_the_same() {
    let (model, invoice) = open().await;
    model.peer.pays(&invoice, 10_25);
    model.hears(&model.peer.event("invoice.paid")).await;
    model.works_until_idle().await;
    let kinds: Vec<String> = model
        .peer
        .events()
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect();
    let course = [
        "invoice.created",
        "invoice.finalized",
        "invoice.sent",
        "invoice.paid",
        "transfer.created",
        "transfer.created",
    ];
    assert_eq!(kinds, course);

    // Messages about the invoice come in this order, before the house knows what it made.
    for (number, order) in [[3, 2, 1, 0], [1, 3, 0, 2]].into_iter().enumerate() {
        let office = Office::open().await;
        office.requests().await.unwrap();
        office
            .peer
            .behave("/finalize", crate::support::stripe::Manner::Drops);
        office.works().await;
        office
            .peer
            .behave("/nothing", crate::support::stripe::Manner::Does);
        let leg = office.invoice().await;
        assert_eq!((leg.state, leg.stripe_id), (LegState::Requested, None));
        let invoice = office.peer.all("invoice").remove(0);
        let late = [("attempt_count", json!(1))];
        office
            .peer
            .changes(&invoice, "invoice.payment_failed", &late);
        office.peer.pays(&invoice, 10_25);
        let mut events = office.peer.events();
        let failed = events.remove(3);
        for place in order {
            office.hears(&events[place]).await;
        }
        office.hears(&failed).await;
        assert_eq!(office.invoice().await.state, LegState::Paid, "{order:?}");
        assert_eq!(office.invoice().await.problem, None, "{order:?}");
        // The transfers are made, their answers are lost, and the messages say that they are.
        office
            .peer
            .behave("/transfers", crate::support::stripe::Manner::Drops);
        office.works().await;
        let mut made: Vec<Value> = office
            .peer
            .events()
            .into_iter()
            .filter(|event| event["type"] == "transfer.created")
            .collect();
        assert_eq!(made.len(), 2);
        if number % 2 == 0 {
            made.reverse();
        }
        for event in made.iter().chain(&made) {
            office.hears(event).await;
        }
        assert_eq!(office.state().await, State::Closed);
        office
            .peer
            .behave("/nothing", crate::support::stripe::Manner::Does);
        office.works_until_idle().await;
        assert_eq!(office.peer.all("transfer").len(), 2);
        assert_eq!(office.peer.all("invoice").len(), 1);
        assert_eq!(office.mall.broken().await, [""; 0]);
    }
}

#[tokio::test]
async fn what_does_not_come_through_is_seen_and_a_look_tells_what_no_message_told() {
    let (office, invoice) = open().await;
    let late = [("attempt_count", json!(1))];
    office
        .peer
        .changes(&invoice, "invoice.payment_failed", &late);
    assert_eq!(
        office
            .hears(&office.peer.event("invoice.payment_failed"))
            .await,
        "applied"
    );
    let seen = |problem: &str| (INVOICE, LegState::Open, 1, Some(problem.to_owned()));
    assert_eq!(office.stand().await, [seen("payment-failed")]);
    let off = [("status", json!("uncollectible"))];
    office
        .peer
        .changes(&invoice, "invoice.marked_uncollectible", &off);
    let event = office.peer.event("invoice.marked_uncollectible");
    assert_eq!(office.hears(&event).await, "applied");
    assert_eq!(office.stand().await, [seen("uncollectible")]);

    // It is paid after all, and the message is lost.
    office.peer.pays(&invoice, 10_25);
    let leg = office.invoice().await;
    office.retries(&leg).await.unwrap();
    office.works_until_idle().await;
    assert_eq!(office.state().await, State::Closed);
    // Somebody takes a transfer back there: that is seen, and what was recorded stays.
    let transfer = office.peer.all("transfer").remove(0);
    let back = [("amount_reversed", transfer["amount"].clone())];
    office.peer.changes(&transfer, "transfer.reversed", &back);
    assert_eq!(
        office.hears(&office.peer.event("transfer.reversed")).await,
        "applied"
    );
    let legs = office.legs(None).await;
    let reversed: Vec<_> = legs
        .iter()
        .filter(|leg| leg.problem.as_deref() == Some("reversed"))
        .collect();
    assert_eq!((reversed.len(), reversed[0].kind), (1, LegKind::Transfer));
    assert_eq!(office.state().await, State::Closed);
    assert_eq!(office.mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn an_invoice_that_the_operator_voids_there_is_void_here() {
    let (office, invoice) = open().await;
    let void = [("status", json!("void"))];
    office.peer.changes(&invoice, "invoice.voided", &void);
    assert_eq!(
        office.hears(&office.peer.event("invoice.voided")).await,
        "applied"
    );
    assert_eq!(office.invoice().await.state, LegState::Void);
    office
        .mall
        .records(office.id, 0, Method::Rent, "R")
        .await
        .unwrap();
    assert_eq!(office.requests().await.unwrap().invoices, 1);
    assert_eq!(office.mall.broken().await, [""; 0]);
}

/// Another mall of the same server, whose operator has no account at Stripe.
#[tokio::test]
async fn without_keys_everything_about_stripe_says_so_and_the_rest_goes_on() {
    let (office, invoice) = open().await;
    office.peer.pays(&invoice, 10_25);
    let event = office.peer.event("invoice.paid");
    let other = Office::bare().await;
    let (signature, body) = signed(&event, WEBHOOK_SECRET, office.mall.clock.now());
    let (server, host) = (&office.server, &other.mall.tenant.hosts[0]);
    let heard = server.hears(host, &signature, &body).await;
    assert_eq!((heard.status, heard.code().as_str()), (409, "stripe-off"));
    let nowhere = server.hears("nowhere.localhost", &signature, &body).await;
    assert_eq!(
        (nowhere.status, nowhere.code().as_str()),
        (404, "unknown-mall")
    );

    let key = server
        .key(&other.mall.tenant, "operator.finance", None)
        .await;
    let finance = Caller {
        host,
        key: Some(&key),
    };
    let leg = office.invoice().await.id;
    for path in [
        format!("/v1/settlements/{}/stripe", other.id),
        format!("/v1/stripe/{leg}/retry"),
        format!("/v1/stripe/{leg}/cancel"),
    ] {
        let refused = server.ask(finance, &http::Method::POST, &path, None).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (409, "stripe-off")
        );
    }
    let path = format!("/v1/settlements/{}/stripe", other.id);
    let none = server.get(finance, &path).await;
    assert_eq!(none["data"], json!([]));
    let path = format!("/v1/settlements/{}/payments/0/record", other.id);
    let by_hand = json!({"method": "rent", "reference": "R-1"});
    assert_eq!(
        server.post(finance, &path, &by_hand).await["state"],
        "offset"
    );
    assert_eq!(office.invoice().await.state, LegState::Open);
}

//! Payments go through Stripe, once, whatever it answers and in whichever order it speaks (trust.md,
//! EXT-2; issue 4, "Money moves outside").

mod failing;
mod localstripe;
mod office;
mod saying;

use rotunda::{
    merchants::credit::OnDefault,
    queue::worker::Outcome,
    settlement::{
        State,
        paying::{Method, PaymentError, PaymentState},
        stripe::{LegKind, LegState, StripeError},
    },
};
use serde_json::{Value, json};

use crate::support::settling::{Mall, at};
use office::Office;

const INVOICE: LegKind = LegKind::Invoice;
const TRANSFER: LegKind = LegKind::Transfer;

#[tokio::test]
async fn a_settlement_is_invoiced_paid_transferred_and_closed() {
    let office = Office::open().await;
    let [a, b, c] = office.shops;
    let requested = office.requests().await.unwrap();
    assert_eq!((requested.invoices, requested.transfers), (1, 0));
    office.works_until_idle().await;

    // One invoice with an item for each payment, that Stripe sends by itself.
    let [invoice] = office.peer.all("invoice").try_into().unwrap();
    assert_eq!(
        (&invoice["status"], &invoice["total"]),
        (&json!("open"), &json!(10_25))
    );
    assert_eq!(invoice["collection_method"], "send_invoice");
    assert_eq!(invoice["days_until_due"], 14);
    let marks = &invoice["metadata"];
    assert_eq!(marks["rotunda_mall"], office.mall.tenant.id.to_string());
    assert_eq!(marks["rotunda_settlement"], office.id.to_string());
    assert_eq!(marks["rotunda_merchant"], c.merchant.to_string());
    let items = office.peer.items(&invoice);
    let amounts: Vec<&Value> = items.iter().map(|item| &item["amount"]).collect();
    assert_eq!(amounts, [5_75, 4_50]);
    assert_eq!(
        items[1]["description"],
        format!("points 2026-06, {}-1", office.id)
    );
    let [customer] = office.peer.all("customer").try_into().unwrap();
    assert_eq!(customer["email"], "accounts@cinema.example");
    let open = office.invoice().await;
    assert_eq!(
        (open.state, open.stripe_id.as_deref()),
        (LegState::Open, invoice["id"].as_str())
    );
    assert_eq!(office.state().await, State::Confirmed);

    // It is paid: a transfer of each payment, and each is recorded with its own.
    office.peer.pays(&invoice, 10_25);
    assert_eq!(
        office.hears(&office.peer.event("invoice.paid")).await,
        "applied"
    );
    assert!(
        office
            .mall
            .payments(office.id, None)
            .await
            .iter()
            .all(|line| line.record.is_none())
    );
    office.works_until_idle().await;
    let mut transfers = office.peer.all("transfer");
    transfers.sort_by_key(|transfer| transfer["amount"].as_i64());
    let told: Vec<_> = transfers
        .iter()
        .map(|one| {
            (
                one["amount"].as_i64(),
                one["destination"].as_str(),
                one["currency"].as_str(),
            )
        })
        .collect();
    let cny = Some("cny");
    assert_eq!(
        told,
        [
            (Some(4_50), Some("acct_b"), cny),
            (Some(5_75), Some("acct_a"), cny)
        ]
    );
    assert_eq!(transfers[0]["transfer_group"], office.id.to_string());
    let lines = office.mall.payments(office.id, None).await;
    for (line, transfer) in lines.iter().zip(transfers.iter().rev()) {
        assert_eq!(line.state, PaymentState::Paid);
        let record = line.record.as_ref().unwrap();
        assert_eq!(record.method, Method::Stripe);
        assert_eq!(Some(record.reference.as_str()), transfer["id"].as_str());
        assert_eq!(record.recorded_by, "system");
    }
    assert_eq!(office.state().await, State::Closed);
    // Everybody sees what is their own.
    assert_eq!(office.legs(None).await.len(), 3);
    for (shop, kind, amount) in [
        (a, TRANSFER, 5_75),
        (b, TRANSFER, 4_50),
        (c, INVOICE, 10_25),
    ] {
        let [own] = office.legs(Some(shop)).await.try_into().unwrap();
        assert_eq!((own.kind, own.amount), (kind, amount));
    }
    assert_eq!(office.mall.broken().await, [""; 0]);
    // What comes late or again changes nothing.
    let before = office.mall.rows().await;
    for event in office.peer.events() {
        let heard = office.hears(&event).await;
        assert!(
            ["known", "nothing-new"].contains(&heard.as_str()),
            "{heard}"
        );
    }
    let after = office.mall.rows().await;
    let events = |rows: &[String]| rows.iter().filter(|row| row.starts_with('v')).count();
    assert_eq!(after.len() - events(&after), before.len() - events(&before));
    assert_eq!(office.requests().await.unwrap().invoices, 0);
    assert_eq!(office.mall.broken().await, [""; 0]);
}

/// The operator's fee is paid to it, and what it gives is transferred at once.
#[tokio::test]
async fn the_operator_pays_at_once_and_receives_with_the_paid_invoice() {
    let mut mall = Mall::open("2026-07-02T00:00:00Z").await;
    mall.terms.fee_basis_points = 200;
    let shops @ [a, b, _] = mall.shops(["a", "b", "c"]).await;
    let ada = mall.member("1").await;
    mall.earns(ada, a, 700, "2026-06-01T04:00:00Z").await;
    mall.spends(ada, b, 700, "2026-06-03T04:00:00Z").await;
    let id = mall.closes("2026-06").await.settlement.id;
    // A pays B 6.86 and the operator 0.14.
    let office = Office::of(mall, shops, id).await;
    office.writes_to(a).await;
    office.pays_to(b, "acct_b").await;
    office.requests().await.unwrap();
    office.works_until_idle().await;
    let [invoice] = office.peer.all("invoice").try_into().unwrap();
    assert_eq!(invoice["total"], 7_00);
    office.peer.pays(&invoice, 7_00);
    office.hears(&office.peer.event("invoice.paid")).await;
    let lines = office.mall.payments(id, None).await;
    let fee = lines.iter().find(|line| line.payment.to.is_none()).unwrap();
    let record = fee.record.as_ref().unwrap();
    assert_eq!(Some(record.reference.as_str()), invoice["id"].as_str());
    office.works_until_idle().await;
    assert_eq!(office.state().await, State::Closed);
    assert_eq!(office.mall.broken().await, [""; 0]);

    // What the operator owes needs no invoice.
    office
        .mall
        .as_admin(&format!(
            "update settlement set state = 'confirmed', closed_at = null;
             delete from stripe_leg;
             update payment set state = 'due', method = null, reference = null,
                 recorded_at = null, recorded_by = null,
                 from_merchant = null, to_merchant = '{}' where line = 0;
             delete from payment where line = 1",
            b.merchant.uuid(),
        ))
        .await;
    let requested = office.requests().await.unwrap();
    assert_eq!((requested.invoices, requested.transfers), (0, 1));
    office.works_until_idle().await;
    assert_eq!(office.state().await, State::Closed);
}

#[tokio::test]
async fn asked_for_twice_or_by_two_at_once_it_is_asked_for_once() {
    let office = Office::open().await;
    let (first, second) = tokio::join!(office.requests(), office.requests());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.invoices + second.invoices, 1);
    assert_eq!(office.requests().await.unwrap().invoices, 0);
    assert_eq!(office.jobs().await.len(), 1);
    // Two workers have the same job.
    let (one, other) = tokio::join!(office.works(), office.works());
    for outcome in [one, other].concat() {
        assert!(
            matches!(outcome, Outcome::Done | Outcome::Retry(_)),
            "{outcome:?}"
        );
    }
    office.works_until_idle().await;
    assert_eq!(office.peer.all("invoice").len(), 1);
    assert_eq!(office.peer.all("customer").len(), 1);
    let invoice = &office.peer.all("invoice")[0];
    assert_eq!(
        (&invoice["status"], &invoice["total"]),
        (&json!("open"), &json!(10_25))
    );
    assert_eq!(office.invoice().await.state, LegState::Open);
}

#[tokio::test]
async fn whoever_lacks_something_is_named_and_nothing_is_sent() {
    let office = Office::bare().await;
    let before = office.mall.rows().await;
    let refused = office.requests().await.unwrap_err();
    let StripeError::Incomplete(missing) = &refused else {
        panic!("{refused:?}");
    };
    let mut named: Vec<_> = missing
        .iter()
        .map(|one| (one.code.as_str(), format!("{:?}", one.what)))
        .collect();
    named.sort();
    let expected = [("a", "Account"), ("b", "Account"), ("c", "Email")];
    assert_eq!(named, expected.map(|(code, what)| (code, what.to_owned())));
    assert_eq!(office.mall.rows().await, before);
    assert_eq!(office.jobs().await, []);
    assert_eq!(office.peer.asked(), [""; 0]);
}

/// What waits for Stripe is made in no other way, unless it is cancelled there first.
#[tokio::test]
async fn a_payment_that_waits_for_stripe_is_recorded_in_no_other_way() {
    let office = Office::open().await;
    let (mall, id) = (&office.mall, office.id);
    let file = mall.bank_file(id).await;
    let executed = format!(
        "reference,from,to,amount,currency,purpose,executed_on\n{},2026-07-03\n",
        file.lines().nth(1).unwrap()
    );
    office.requests().await.unwrap();
    for open in [false, true] {
        if open {
            office.works_until_idle().await;
        }
        let before = mall.rows().await;
        for method in [Method::Rent, Method::Other, Method::Deposit, Method::Stripe] {
            let refused = mall.records(id, 0, method, "R-1").await;
            assert!(
                matches!(refused, Err(PaymentError::AtStripe)),
                "{refused:?}"
            );
        }
        let refused = mall.imports(id, &executed).await;
        assert!(
            matches!(refused, Err(PaymentError::AtStripe)),
            "{refused:?}"
        );
        assert_eq!(
            mall.bank_file(id).await.lines().count(),
            1,
            "it would be paid twice"
        );
        assert_eq!(mall.rows().await, before);
    }
    let invoice = office.invoice().await;
    assert_eq!(
        office.cancels(&invoice).await.unwrap().state,
        LegState::Cancelling
    );
    let early = mall.records(id, 0, Method::Rent, "R-1").await;
    assert!(matches!(early, Err(PaymentError::AtStripe)));
    office.works_until_idle().await;
    assert_eq!(office.invoice().await.state, LegState::Void);
    assert_eq!(office.peer.all("invoice")[0]["status"], "void");
    mall.records(id, 0, Method::Rent, "R-1").await.unwrap();
    let by_hand = mall.records(id, 1, Method::Stripe, "in_1").await;
    assert!(
        matches!(by_hand, Err(PaymentError::AtStripe)),
        "nobody says that by hand"
    );

    // What is left can go there after all, on an invoice of its own.
    assert_eq!(office.requests().await.unwrap().invoices, 1);
    office.works_until_idle().await;
    let invoice = office.peer.all("invoice").remove(0);
    assert_eq!(
        (&invoice["status"], &invoice["total"]),
        (&json!("open"), &json!(4_50))
    );
    assert_eq!(office.peer.all("customer").len(), 1);
    office.peer.pays(&invoice, 4_50);
    office.hears(&office.peer.event("invoice.paid")).await;
    office.works_until_idle().await;
    assert_eq!(office.state().await, State::Closed);
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn what_nobody_asked_stripe_for_is_cancelled_at_once_and_what_is_paid_not_at_all() {
    let office = Office::open().await;
    office.requests().await.unwrap();
    let invoice = office.invoice().await;
    assert_eq!(
        office.cancels(&invoice).await.unwrap().state,
        LegState::Void
    );
    assert_eq!(
        office.cancels(&invoice).await.unwrap().state,
        LegState::Void
    );
    office.works_until_idle().await;
    assert_eq!(office.peer.asked(), [""; 0]);

    // Paid in the moment in which somebody cancels it: paid it is.
    office.requests().await.unwrap();
    office.works_until_idle().await;
    let open = office.peer.all("invoice").remove(0);
    let leg = office.legs(None).await.pop().unwrap();
    office.cancels(&leg).await.unwrap();
    office.peer.pays(&open, 10_25);
    office.works_until_idle().await;
    assert_eq!(office.state().await, State::Closed);
    let legs = office.legs(None).await;
    let paid = legs.iter().find(|leg| leg.state == LegState::Paid).unwrap();
    for refused in [office.cancels(paid).await, office.retries(paid).await] {
        assert!(
            matches!(refused, Err(StripeError::OutOfStep(_))),
            "{refused:?}"
        );
    }
    assert_eq!(office.mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn a_merchant_with_an_open_invoice_is_not_found_in_default() {
    let office = Office::open().await;
    let [.., c] = office.shops;
    office.requests().await.unwrap();
    office.works_until_idle().await;
    office.mall.accuses(5, c).await.unwrap();
    let before = office.mall.rows().await;
    let refused = office
        .mall
        .declares(6, c, OnDefault::Guarantee)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("cancel its invoice"),
        "{refused}"
    );
    assert_eq!(office.mall.rows().await, before);
}

#[tokio::test]
async fn an_agreed_payment_term_is_the_invoices() {
    let office = Office::open().await;
    let [.., c] = office.shops;
    office.mall.clock.set(at("2026-07-02T00:00:00Z"));
    office
        .mall
        .as_admin(&format!(
            "insert into agreement (agreement_id, merchant_id, version, starts_at, terms, digest,
                 proposed_at, proposed_by, accepted_at, accepted_by)
             values ('{0}', '{0}', 1, '2026-07-01',
                 '{{\"model\": \"bilateral\", \"payment_days\": 30}}', '',
                 '2026-06-01', 'x', '2026-06-01', 'x')",
            c.merchant.uuid(),
        ))
        .await;
    office.requests().await.unwrap();
    office.works_until_idle().await;
    assert_eq!(office.peer.all("invoice")[0]["days_until_due"], 30);
}

//! What is due is paid outside and recorded here, once.

use rotunda::settlement::{
    Course, SettlementError, State,
    paying::{Method, PaymentError, PaymentState},
};

use crate::support::settling::{Mall, Shop, at};

/// A mall whose June is confirmed: C pays A 5.75 and B 4.50 (settlement.md, example E).
async fn confirmed() -> (Mall, [Shop; 3], rotunda::kernel::ids::SettlementId) {
    let mall = Mall::open("2026-07-02T00:00:00Z").await;
    let shops @ [a, b, c] = mall.shops(["a", "b", "c"]).await;
    for (number, (from, to, points)) in [
        (a, b, 12_000),
        (b, a, 7_550),
        (b, c, 4_000),
        (c, a, 6_025),
        (a, c, 1_000),
    ]
    .into_iter()
    .enumerate()
    {
        let who = mall.member(&number.to_string()).await;
        mall.earns(who, from, points, "2026-06-01T04:00:00Z").await;
        mall.spends(who, to, points, "2026-06-03T04:00:00Z").await;
    }
    let closed = mall.closes("2026-06").await.settlement;
    assert_eq!(closed.state, State::Confirmed);
    (mall, shops, closed.id)
}

#[tokio::test]
async fn a_settlement_is_closed_with_its_last_payment_and_says_how_each_was_made() {
    let (mall, [a, b, c], id) = confirmed().await;
    let due = mall.payments(id, None).await;
    let amounts: Vec<i64> = due.iter().map(|line| line.payment.amount).collect();
    assert_eq!(amounts, [5_75, 4_50]);
    assert!(due.iter().all(|line| line.state == PaymentState::Due));
    assert_eq!(mall.payments(id, Some(a)).await, due[..1]);
    assert_eq!(mall.payments(id, Some(b)).await, due[1..]);
    assert_eq!(mall.payments(id, Some(c)).await, due);

    let first = mall
        .records(id, 0, Method::Rent, "R-2026-07")
        .await
        .unwrap();
    assert_eq!(first.state, PaymentState::Offset);
    let record = first.record.clone().unwrap();
    assert_eq!(
        (record.method, record.reference.as_str(), record.recorded_at),
        (Method::Rent, "R-2026-07", at("2026-07-02T00:00:00Z"))
    );
    assert!(record.recorded_by.starts_with("key_"));
    assert_eq!(mall.settlement(id).await.state, State::Confirmed);
    // Said again it changes nothing; said otherwise it is refused.
    let before = mall.rows().await;
    let again = mall.records(id, 0, Method::Rent, "R-2026-07").await;
    assert_eq!(again.unwrap(), first);
    for (method, reference) in [(Method::Rent, "R-2"), (Method::Other, "R-2026-07")] {
        let other = mall.records(id, 0, method, reference).await;
        assert!(matches!(other, Err(PaymentError::AlreadyRecorded)));
    }
    let unknown = mall.records(id, 2, Method::Rent, "R").await;
    assert!(matches!(unknown, Err(PaymentError::UnknownPayment)));
    assert_eq!(mall.rows().await, before);

    mall.clock.set(at("2026-07-09T00:00:00Z"));
    let second = mall.records(id, 1, Method::Other, "cash").await.unwrap();
    assert_eq!(second.state, PaymentState::Paid);
    let closed = mall.settlement(id).await;
    assert_eq!(closed.state, State::Closed);
    assert_eq!(closed.closed_at, Some(at("2026-07-09T00:00:00Z")));
    let again = mall.records(id, 1, Method::Other, "cash").await;
    assert_eq!(again.unwrap(), second);
    assert_eq!(mall.broken().await, [""; 0]);
}

/// What the bank makes of a file: the same lines, and a day behind each.
fn executed(file: &str, day: &str) -> String {
    let mut lines = file.lines();
    let head = lines.next().unwrap();
    let lines: Vec<String> = lines.map(|line| format!("{line},{day}")).collect();
    format!("{head},executed_on\r\n{}\r\n", lines.join("\r\n"))
}

#[tokio::test]
async fn a_banks_file_is_read_once_however_often_it_is_sent() {
    let (mall, _, id) = confirmed().await;
    let file = mall.bank_file(id).await;
    assert_eq!(
        file,
        format!(
            "reference,from,to,amount,currency,purpose\r\n\
             {id}-0,c,a,5.75,CNY,points 2026-06\r\n\
             {id}-1,c,b,4.50,CNY,points 2026-06\r\n"
        )
    );
    let back = executed(&file, "2026-07-03");
    // The first payment arrives alone, and a day later both stand in the file.
    let first: Vec<&str> = back.lines().take(2).collect();
    let told = mall.imports(id, &first.join("\n")).await.unwrap();
    assert_eq!((told.recorded, told.known), (1, 0));
    assert_eq!(told.settlement.state, State::Confirmed);
    assert_eq!(mall.bank_file(id).await.lines().count(), 2);
    let told = mall.imports(id, &back).await.unwrap();
    assert_eq!((told.recorded, told.known), (1, 1));
    assert_eq!(told.settlement.state, State::Closed);
    let line = &mall.payments(id, None).await[1];
    let record = line.record.as_ref().unwrap();
    assert_eq!(record.executed_on, "2026-07-03".parse().ok());
    assert_eq!(record.reference, format!("{id}-1"));

    let before = mall.rows().await;
    let told = mall.imports(id, &back).await.unwrap();
    assert_eq!((told.recorded, told.known), (0, 2));
    assert_eq!(mall.rows().await, before);
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn a_file_with_a_wrong_line_is_refused_as_a_whole_and_every_such_line_named() {
    let (mall, _, id) = confirmed().await;
    let before = mall.rows().await;
    let back = executed(&mall.bank_file(id).await, "2026-07-03");
    let file = format!(
        "{back}{id}-7,c,a,5.75,CNY,points,2026-07-03\r\n\
         {id}-1,c,b,4.51,CNY,points,2026-07-03\r\n"
    );
    let refused = mall.imports(id, &file).await;
    let Err(PaymentError::BankFile(bad)) = &refused else {
        panic!("{refused:?}");
    };
    let lines: Vec<_> = bad.iter().map(|bad| (bad.line, bad.code)).collect();
    assert_eq!(lines, [(4, "unknown-reference"), (5, "other-amount")]);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "lines 4, 5 of the file are not payments of this settlement that are due"
    );
    assert_eq!(mall.rows().await, before);
    // A payment that was offset was not made by a bank.
    mall.records(id, 0, Method::Rent, "R-1").await.unwrap();
    let before = mall.rows().await;
    let refused = mall.imports(id, &back).await;
    let Err(PaymentError::BankFile(bad)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((bad[0].line, bad[0].code), (2, "already-recorded"));
    assert_eq!(mall.rows().await, before);
}

#[tokio::test]
async fn nothing_is_paid_before_it_is_fixed() {
    let mut mall = Mall::open("2026-07-02T00:00:00Z").await;
    mall.terms.course = Course::default();
    let [a, b] = mall.shops(["a", "b"]).await;
    let ada = mall.member("1").await;
    mall.earns(ada, a, 100, "2026-06-01T04:00:00Z").await;
    mall.spends(ada, b, 100, "2026-06-03T04:00:00Z").await;
    let id = mall.closed_and_issued("2026-06").await.id;
    let early = mall.records(id, 0, Method::Rent, "R").await;
    assert!(matches!(early, Err(PaymentError::OutOfTurn(_))));
    let early = mall.imports(id, "").await;
    assert!(matches!(early, Err(PaymentError::OutOfTurn(_))));
    let grant = mall.key("operator.finance", None, 4);
    let mut tx = mall.db.write(&grant).await.unwrap();
    let currency = mall.tenant.currency;
    let early = rotunda::settlement::paying::bank_file(&mut tx, &grant, id, currency).await;
    assert!(matches!(early, Err(SettlementError::OutOfTurn(_))));
}

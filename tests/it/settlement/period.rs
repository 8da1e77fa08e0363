//! From closed to confirmed: two persons, merchants who answer or do not, and payments that are
//! fixed once.

use std::sync::Arc;

use rotunda::{
    authz::action::{ConfirmSettlement, ConfirmStatement, IssueSettlement},
    db::tenants::Schema,
    jobs::{self, Tools},
    queue::{Bell, worker::Outcome as Done},
    settlement::{
        Approval, Course, Settlement, SettlementError, State, StatementState, confirming,
        period::{Act, OutOfTurn},
    },
};
use serde_json::json;
use sqlx::AssertSqlSafe;
use tokio::task::JoinSet;

use crate::support::settling::{Mall, Shop, at, period_of};

/// A mall in which A has issued 700 points that C took in June; closing asks for two persons, and
/// merchants have five days.
async fn june() -> (Mall, [Shop; 3]) {
    let mut mall = Mall::open("2026-07-02T00:00:00Z").await;
    mall.terms.course = Course::default();
    let shops @ [a, b, c] = mall.shops(["a", "b", "c"]).await;
    let ada = mall.member("1").await;
    mall.earns(ada, a, 700, "2026-06-01T04:00:00Z").await;
    mall.earns(ada, b, 100, "2026-06-02T04:00:00Z").await;
    mall.spends(ada, c, 700, "2026-06-03T04:00:00Z").await;
    (mall, shops)
}

fn paid(from: &str, to: &str, amount: i64) -> (String, String, i64) {
    (from.to_owned(), to.to_owned(), amount)
}

#[tokio::test]
async fn who_closed_a_month_does_not_issue_it_and_nothing_changes() {
    let (mall, [a, ..]) = june().await;
    let closed = mall.closes_as(1, "2026-06").await;
    let id = closed.settlement.id;
    assert_eq!(
        (closed.fresh, closed.settlement.state),
        (true, State::Proofed)
    );
    assert!(mall.payments(id, None).await.is_empty());
    let before = mall.rows().await;
    let refused = mall.issues(1, id).await;
    assert!(matches!(refused, Err(SettlementError::NeedsSecondPerson)));
    assert_eq!(mall.rows().await, before);

    // Its merchants see nothing of it yet.
    assert!(mall.statements(id, Some(a)).await.is_empty());
    let own = mall.statement_of(id, a).await;
    let unseen = mall.confirms(a, own).await;
    assert!(matches!(unseen, Err(SettlementError::NotFound)));
    assert_eq!(mall.rows().await, before);

    let issued = mall.issues(2, id).await.unwrap();
    assert_eq!(issued.state, State::Issued);
    assert_eq!(issued.digest, closed.settlement.digest);
    let seen = mall.statements(id, Some(a)).await;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].state, StatementState::Issued);
    let twice = mall.issues(2, id).await;
    let Err(SettlementError::OutOfTurn(refused)) = twice else {
        panic!("{twice:?}");
    };
    assert_eq!(
        (refused.act, refused.state),
        (Act::Issue, Some(State::Issued))
    );
    // A close that comes again finds it as far as it is.
    let again = mall.closes_as(7, "2026-06").await;
    assert_eq!((again.fresh, again.settlement), (false, issued));
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn where_one_is_enough_a_month_goes_as_far_as_the_programme_says() {
    let (mut mall, _) = june().await;
    mall.terms.course.approval = Approval::One;
    let closed = mall.closes_as(1, "2026-06").await.settlement;
    assert_eq!(closed.state, State::Issued);
    assert_eq!(closed.issued_by, Some(closed.actor));
    // Nothing happened in May: nobody has to answer, and nobody has to pay.
    let empty = mall.closes_as(1, "2026-05").await.settlement;
    assert_eq!(empty.state, State::Closed);
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn what_the_programme_says_after_the_cut_off_is_for_later_months() {
    let (mut mall, _) = june().await;
    mall.cuts_off(period_of("2026-06")).await.unwrap();
    mall.terms.course = Course {
        approval: Approval::One,
        confirm_days: 0,
    };
    let sealed = mall.closes_as(1, "2026-06").await.settlement;
    assert_eq!(sealed.state, State::Proofed, "it still takes two");
    let alone = mall.issues(1, sealed.id).await;
    assert!(matches!(alone, Err(SettlementError::NeedsSecondPerson)));
    let issued = mall.issues(2, sealed.id).await.unwrap();
    assert_eq!(issued.state, State::Issued);
    // Five days, as the programme said then, to the end of the day.
    assert_eq!(issued.confirm_by, Some(at("2026-07-07T16:00:00Z")));
    mall.clock.set(at("2026-08-02T00:00:00Z"));
    let july = mall.closes_as(1, "2026-07").await.settlement;
    assert_eq!(july.course, mall.terms.course);
    assert_eq!(july.issued_by, Some(july.actor));
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn the_last_merchant_to_confirm_fixes_the_payments_and_nobody_confirms_twice() {
    let (mall, [a, b, c]) = june().await;
    let id = mall.closed_and_issued("2026-06").await.id;
    let [own, others, last] = [
        mall.statement_of(id, a).await,
        mall.statement_of(id, b).await,
        mall.statement_of(id, c).await,
    ];
    let foreign = mall.confirms(b, own).await;
    assert!(matches!(foreign, Err(SettlementError::NotFound)));
    let confirmed = mall.confirms(a, own).await.unwrap();
    assert_eq!(confirmed.state, StatementState::Confirmed);
    assert_eq!(confirmed.confirmed_at, Some(at("2026-07-02T00:00:00Z")));
    let twice = mall.confirms(a, own).await;
    assert!(matches!(twice, Err(SettlementError::StatementConfirmed)));
    mall.confirms(b, others).await.unwrap();
    assert_eq!(mall.settlement(id).await.state, State::Issued);
    assert!(mall.payments(id, None).await.is_empty());
    mall.confirms(c, last).await.unwrap();
    assert_eq!(mall.settlement(id).await.state, State::Confirmed);
    assert_eq!(mall.paid(id).await, [paid("a", "c", 700)]);
    assert_eq!(mall.payments(id, Some(b)).await, []);
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn silence_is_agreement_from_the_malls_own_midnight_and_not_an_instant_before() {
    let (mall, shops) = june().await;
    let [a, ..] = shops;
    let issued = mall.closed_and_issued("2026-06").await;
    // Issued on 2 July; 7 July ends in Shanghai when it is 16:00 in UTC.
    let midnight = at("2026-07-07T16:00:00Z");
    assert_eq!(issued.confirm_by, Some(midnight));
    let own = mall.statement_of(issued.id, a).await;
    mall.confirms(a, own).await.unwrap();
    mall.clock.set(at("2026-07-07T15:59:59.999999Z"));
    assert_eq!(mall.confirms_what_is_due().await, 0);
    let early = forced(&mall, "2026-06").await;
    let Err(SettlementError::NotDue { confirm_by }) = early else {
        panic!("{early:?}");
    };
    assert_eq!(confirm_by, midnight);
    assert_eq!(mall.settlement(issued.id).await.state, State::Issued);

    mall.clock.set(midnight);
    assert_eq!(mall.confirms_what_is_due().await, 1);
    assert_eq!(mall.confirms_what_is_due().await, 0);
    let states: Vec<_> = mall.statements(issued.id, None).await;
    let auto = states
        .iter()
        .filter(|one| one.state == StatementState::AutoConfirmed)
        .count();
    assert_eq!((states.len(), auto), (3, 2), "who agreed, agreed");
    let confirmed = mall.settlement(issued.id).await;
    assert_eq!(confirmed.state, State::Confirmed);
    assert_eq!(confirmed.confirmed_at, Some(midnight));
    assert_eq!(mall.paid(issued.id).await, [paid("a", "c", 700)]);
    let late = forced(&mall, "2026-06").await;
    assert!(matches!(late, Err(SettlementError::OutOfTurn(_))));
    assert_eq!(mall.broken().await, [""; 0]);
}

/// The operator does not wait for the house.
async fn forced(mall: &Mall, period: &str) -> Result<Settlement, SettlementError> {
    let grant = mall.grant::<ConfirmSettlement>();
    let mut tx = mall.db.write(&grant).await.unwrap();
    let currency = mall.tenant.currency;
    let done = confirming::confirm_period(&mut tx, &grant, period_of(period), currency).await?;
    tx.commit().await.unwrap();
    Ok(done)
}

#[tokio::test]
async fn the_operator_may_confirm_what_is_due_and_open_months_say_what_comes_first() {
    let (mall, _) = june().await;
    let open = forced(&mall, "2026-06").await;
    let expected = OutOfTurn {
        act: Act::Confirm,
        state: None,
    };
    let Err(SettlementError::OutOfTurn(refused)) = open else {
        panic!("{open:?}");
    };
    assert_eq!(refused, expected);
    assert_eq!(
        refused.to_string(),
        "the period is open: close it once it is over"
    );
    mall.closed_and_issued("2026-06").await;
    mall.clock.set(at("2026-07-07T16:00:00Z"));
    let confirmed = forced(&mall, "2026-06").await.unwrap();
    assert_eq!(confirmed.state, State::Confirmed);
}

#[tokio::test]
async fn the_houses_job_confirms_what_is_due_however_often_it_runs() {
    let (mall, _) = june().await;
    let id = mall.closed_and_issued("2026-06").await.id;
    mall.clock.set(at("2026-07-10T00:00:00Z"));
    // The job asks for the programme; only the schedule's own mall has been given one so far.
    mall.as_admin(
        "insert into programme (version, body, digest, valid_from, created_at)
         values (1, '{\"earning\": {\"rules\": [{\"code\": \"base\", \"points\": 1,
                        \"per\": \"1.00\"}]}, \"expiry\": {\"policy\": \"never\"},
                      \"spending\": {\"points\": 100, \"worth\": \"1.00\"},
                      \"settlement\": {\"model\": \"bilateral\", \"points\": 100,
                        \"worth\": \"1.00\"}}', '', '2026-01-01', '2026-01-01')",
    )
    .await;
    let tools = Tools {
        db: mall.db.clone(),
        policy: Arc::new(rotunda::authz::policy::Policy::embedded().await.unwrap()),
        bell: Bell::default(),
        mailer: rotunda::gateway::mail::Mailer::Off,
        sms: rotunda::gateway::sms::Sms::Off,
        stripe: rotunda::gateway::stripe::Stripe::default(),
        files: rotunda::gateway::files::Files::Folder(std::env::temp_dir()),
        base_url: None,
    };
    for _ in 0..2 {
        let day = json!({"day": "2026-07-10"});
        let done = jobs::handlers(&tools)
            .run(mall.tenant.id, "settlements.confirm", day)
            .await;
        assert_eq!(done, Done::Done);
        assert_eq!(mall.settlement(id).await.state, State::Confirmed);
        assert_eq!(mall.paid(id).await, [paid("a", "c", 700)]);
    }
    assert_eq!(mall.broken().await, [""; 0]);
}

/// Payments of a settlement, and payments of it in the ledger.
async fn payments(mall: &Mall) -> (i64, i64) {
    let mut admin = mall.admin().await;
    sqlx::query_as(
        "select (select count(*) from payment),
                (select count(*) from transfer where lot_id is null)",
    )
    .fetch_one(&mut admin)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_32_who_confirm_at_once_one_is_the_last_and_there_is_one_set_of_payments() {
    let mut mall = Mall::open("2026-09-02T00:00:00Z").await;
    mall.terms.course = Course::default();
    let codes = [
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p",
    ];
    let shops = mall.shops(codes).await;
    let ada = mall.member("1").await;
    let mall = Arc::new(mall);
    for (round, period) in ["2026-06", "2026-07", "2026-08"].into_iter().enumerate() {
        for shop in shops {
            mall.earns(ada, shop, 10, &format!("{period}-01T04:00:00Z"))
                .await;
        }
        mall.spends(ada, shops[0], 150, &format!("{period}-03T04:00:00Z"))
            .await;
        let id = mall.closed_and_issued(period).await.id;
        let mut statements = Vec::new();
        for one in mall.statements(id, None).await {
            let shop = shops.iter().find(|shop| shop.merchant == one.merchant);
            statements.push((*shop.unwrap(), one.id));
        }
        assert_eq!(statements.len(), 16);
        // Each by two at once.
        let mut confirmers = JoinSet::new();
        for number in 0..32 {
            let (mall, (shop, statement)) = (Arc::clone(&mall), statements[number / 2]);
            confirmers.spawn(async move { mall.confirms(shop, statement).await });
        }
        let (mut done, mut known) = (0, 0);
        for answer in confirmers.join_all().await {
            match answer {
                Ok(_) => done += 1,
                Err(SettlementError::StatementConfirmed) => known += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!((done, known), (16, 16));
        assert_eq!(mall.settlement(id).await.state, State::Confirmed);
        let (fixed, posted) = payments(&mall).await;
        assert!(fixed > i64::try_from(round).unwrap(), "{fixed}");
        assert_eq!(fixed, posted);
    }
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn whoever_dies_over_it_leaves_all_of_a_step_or_nothing() {
    let (mall, shops) = june().await;
    let id = mall.closes_as(1, "2026-06").await.settlement.id;
    let issue = mall.key::<IssueSettlement>("operator.finance", None, 2);
    let (zone, currency) = (mall.tenant.zone, mall.tenant.currency);
    for days in [0, 5] {
        mall.as_admin(&format!("update settlement set confirm_days = {days}"))
            .await;
        let before = mall.rows().await;
        let mut tx = mall.db.write(&issue).await.unwrap();
        let issued = confirming::issue(&mut tx, &issue, id, zone, currency).await;
        assert_eq!(issued.unwrap().state == State::Issued, days > 0);
        drop(tx);
        assert_eq!(mall.rows().await, before);
    }
    mall.issues(2, id).await.unwrap();
    for shop in shops {
        let own = mall.statement_of(id, shop).await;
        let before = mall.rows().await;
        let grant = mall.key::<ConfirmStatement>("merchant.finance", Some(shop), 3);
        let mut tx = mall.db.write(&grant).await.unwrap();
        confirming::confirm(&mut tx, &grant, own, currency)
            .await
            .unwrap();
        drop(tx);
        assert_eq!(mall.rows().await, before);
        mall.confirms(shop, own).await.unwrap();
    }
    assert_eq!(payments(&mall).await, (1, 1));
}

#[tokio::test]
async fn months_that_were_closed_before_are_confirmed_and_closed_where_nothing_was_to_be_paid() {
    let mall = Mall::open("2026-07-02T00:00:00Z").await;
    let mut admin = mall.admin().await;
    let scratch = format!("{}_before", Schema::of(mall.tenant.id));
    let files = [
        include_str!("../../../migrations/tenant/0001_mall.sql"),
        include_str!("../../../migrations/tenant/0002_posting.sql"),
        include_str!("../../../migrations/tenant/0003_reads.sql"),
        include_str!("../../../migrations/tenant/0004_revision.sql"),
        include_str!("../../../migrations/tenant/0005_agreement.sql"),
    ];
    let after = include_str!("../../../migrations/tenant/0006_period.sql");
    let ids = "00000000-0000-0000-0000-00000000000";
    let rows = format!(
        "insert into settlement (settlement_id, month, state, fee_basis_points, cut_off_at,
             closed_at, actor, digest)
         values ('{ids}1', '2026-04-01', 'closed', 0, '2026-05-01', '2026-05-02', 'system', 'x'),
                ('{ids}2', '2026-05-01', 'closed', 0, '2026-06-01', '2026-06-02', 'system', 'x'),
                ('{ids}3', '2026-06-01', 'cut_off', 0, '2026-07-01', null, 'system', null);
         insert into statement (settlement_id, statement_id, merchant_id, code, issued, taken_back,
             redeemed, given_back, own_points, own_value, pays, receives, fee, net)
         values ('{ids}1', '{ids}4', '{ids}5', 'a', 0, 0, 0, 0, 0, 0, 7, 0, 0, -7);
         insert into payment (settlement_id, line, from_merchant, to_merchant, amount)
         values ('{ids}1', 0, '{ids}5', null, 7)"
    );
    let whole = format!(
        "create role {scratch}; create schema {scratch}; set search_path = {scratch};
         create table _sqlx_migrations (version bigint);\n{}\n;{rows};\n{after}",
        files.join("\n")
    );
    sqlx::raw_sql(AssertSqlSafe(whole))
        .execute(&mut admin)
        .await
        .unwrap();
    let found: Vec<(String, Option<String>, bool, bool)> = sqlx::query_as(
        "select settlement.state, statement.state || ' ' || payment.state,
                settlement.proofed_at is not null and confirm_by = settlement.confirmed_at,
                settlement.closed_at is not null
         from settlement
         left join statement using (settlement_id)
         left join payment using (settlement_id)
         order by month",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    let row = |state: &str, parts: Option<&str>, gone, over| {
        (state.to_owned(), parts.map(str::to_owned), gone, over)
    };
    assert_eq!(
        found[0],
        row("confirmed", Some("auto_confirmed due"), true, false)
    );
    assert_eq!(found[1], row("closed", None, true, true));
    assert_eq!(found[2].0, "cut_off");
    let gone = format!("drop schema {scratch} cascade; drop role {scratch}");
    sqlx::raw_sql(AssertSqlSafe(gone))
        .execute(&mut admin)
        .await
        .unwrap();
}

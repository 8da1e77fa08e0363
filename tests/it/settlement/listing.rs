//! The lines of a month that is too large to list them with its figures: they follow, step by step.

use std::sync::Arc;

use rotunda::{
    authz::{
        action::{CloseSettlement, ReadSettlements, ReadStatements},
        policy::Policy,
    },
    gateway::{mail::Mailer, stripe::Stripe},
    jobs::{self, Tools},
    kernel::page::Slice,
    ledger::{self, Listing},
    queue::{Bell, worker::Outcome as Done},
    settlement::{self, SettlementError, Statement, listed},
};
use serde_json::json;

use crate::support::settling::{Mall, period_of};

/// Purchases of the month; more lines than are listed at once.
const PURCHASES: i64 = 51_000;

/// The month's statements, by the codes of their merchants.
async fn statements(mall: &Mall) -> Vec<Statement> {
    let slice = |limit| Slice { limit, after: None };
    let (list, read) = (
        mall.grant_of::<ReadSettlements>("operator.finance", None),
        mall.grant_of::<ReadStatements>("operator.finance", None),
    );
    let mut tx = mall.db.read(&list).await.unwrap();
    let id = settlement::list(&mut tx, &list, &slice(1))
        .await
        .unwrap()
        .items[0]
        .id;
    let found = settlement::statements(&mut tx, &read, id, &slice(10)).await;
    let mut all = found.unwrap().items;
    all.sort_by(|one, other| one.code.cmp(&other.code));
    all
}

/// Every line of a statement, page by page.
async fn lines(mall: &Mall, of: &Statement) -> Result<Vec<(String, i32)>, SettlementError> {
    let grant = mall.grant_of::<ReadStatements>("operator.finance", None);
    let mut tx = mall.db.read(&grant).await.unwrap();
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let slice = Slice { limit: 100, after };
        let page = settlement::lines(&mut tx, &grant, of.id, &slice).await?;
        all.extend(
            page.items
                .iter()
                .map(|line| (line.journal.to_string(), line.line)),
        );
        match page.next {
            Some(next) if all.len() < 1_000 => after = Some(next),
            _ => return Ok(all),
        }
    }
}

/// June of two shops: a purchase at `a` as often as it takes, as far as transfers tell it, and a tenth
/// of its points spent at `b`, a point at a time.
async fn june(purchases: i64) -> Mall {
    let mall = Mall::open("2026-07-02T00:00:00Z").await;
    let [a, b] = mall.shops(["a", "b"]).await;
    let ada = mall.member("1").await;
    mall.earns(ada, a, 100, "2026-06-10T04:00:00Z").await;
    let copies = format!(
        "insert into transfer (journal_id, line, from_account, to_account, amount, value, lot_id,
             earned_at, posted_in)
         select journal_id, number, from_account, to_account, 1, 1, lot_id, earned_at, posted_in
         from transfer, generate_series(1, {purchases} - 1) as number"
    );
    mall.as_admin(&copies).await;
    for day in 11..21 {
        mall.spends(ada, b, 1, &format!("2026-06-{day}T04:00:00Z"))
            .await;
    }
    mall
}

/// How many lines are listed, of how many.
async fn progress(mall: &Mall) -> (i64, i64, bool) {
    let mut tx = mall.reading().await;
    let listing = ledger::listing(&mut tx, period_of("2026-06"))
        .await
        .unwrap();
    let listing = listing.unwrap();
    (listing.done, listing.all, listing.complete)
}

/// The lines that are listed, of all merchants, and how many of them are different ones.
async fn listed_lines(mall: &Mall) -> (i64, i64) {
    let mut admin = mall.admin().await;
    sqlx::query_as(
        "select count(*), count(distinct (merchant_id, journal, line)) from month_line
         cross join lateral unnest(journals, lines) as entry (journal, line)",
    )
    .fetch_one(&mut admin)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_small_months_lines_are_there_with_its_figures_and_can_be_listed_anew_in_any_steps() {
    let mall = june(1).await;
    let sealed = mall.closes("2026-06").await;
    let of = statements(&mall).await;
    let before = lines(&mall, &of[1]).await.unwrap();
    assert_eq!(before.len(), 10);
    assert_eq!(progress(&mall).await, (11, 11, true));
    assert_eq!(mall.broken().await, [""; 0]);
    for most in 1..14 {
        mall.as_admin(
            "delete from month_line;
             update month_listing set done = 0, listed_at = null",
        )
        .await;
        assert_eq!(mall.broken().await, [""; 0], "nobody is told of lines yet");
        let grant = mall.grant::<CloseSettlement>();
        let mut steps = 0;
        loop {
            let mut tx = mall.db.write(&grant).await.unwrap();
            let listing = ledger::list_on(&mut tx, period_of("2026-06"), most)
                .await
                .unwrap();
            tx.commit().await.unwrap();
            steps += 1;
            if listing.complete {
                break;
            }
            let refused = lines(&mall, &of[1]).await.unwrap_err();
            assert!(
                matches!(refused, SettlementError::NotListed { all: 11, .. }),
                "{refused:?}"
            );
        }
        // The payment between the two is one of June's transfers and none of its lines.
        assert_eq!(steps, 12 / most + 1, "steps of {most}");
        assert_eq!(lines(&mall, &of[1]).await.unwrap(), before);
        assert_eq!(
            mall.broken().await,
            [""; 0],
            "every line of everybody, once"
        );
    }
    assert_eq!(mall.closes("2026-06").await.settlement, sealed.settlement);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_months_lines_follow_its_figures_and_whoever_dies_or_meets_another_loses_none() {
    let mall = june(PURCHASES).await;
    let all = PURCHASES + 10;
    let sealed = mall.closes("2026-06").await;
    assert!(sealed.settlement.digest.is_some());
    let of = statements(&mall).await;
    for one in &of {
        let refused = lines(&mall, one).await.unwrap_err();
        assert!(
            matches!(refused, SettlementError::NotListed { done: 0, .. }),
            "{refused:?}"
        );
    }
    assert_eq!(progress(&mall).await, (0, all, false));
    let mut admin = mall.admin().await;
    let jobs: i64 = sqlx::query_scalar(
        "select count(*) from outbox where name = 'settlement.list' and dedup_key = '2026-06'",
    )
    .fetch_one(&mut admin)
    .await
    .unwrap();
    assert_eq!(jobs, 1);

    // One step, and then one by somebody who dies over it.
    let grant = mall.grant::<CloseSettlement>();
    for commits in [true, false] {
        let mut tx = mall.db.write(&grant).await.unwrap();
        ledger::list_on(&mut tx, period_of("2026-06"), 20_000)
            .await
            .unwrap();
        if commits {
            tx.commit().await.unwrap();
        }
    }
    let (done, told, complete) = progress(&mall).await;
    // Perhaps the payment was gone through as well.
    assert!((19_999..=20_000).contains(&done) && told == all && !complete);
    let (listed, different) = listed_lines(&mall).await;
    assert!(
        listed == different && (20_000..=20_010).contains(&listed),
        "{listed}"
    );

    // Two at once take turns.
    let tools = Tools {
        db: mall.db.clone(),
        policy: Arc::new(Policy::embedded().await.unwrap()),
        bell: Bell::default(),
        mailer: Mailer::Off,
        sms: rotunda::gateway::sms::Sms::Off,
        stripe: Stripe::default(),
        files: rotunda::gateway::files::Files::Folder(std::env::temp_dir()),
        base_url: None,
    };
    let jobs = jobs::handlers(&tools);
    let job = || {
        jobs.run(
            mall.tenant.id,
            "settlement.list",
            json!({"period": "2026-06"}),
        )
    };
    let tell = |_: Listing| ();
    let (one, other) = tokio::join!(
        listed::go_on(&mall.db, &grant, period_of("2026-06"), tell),
        job(),
    );
    one.unwrap();
    assert_eq!(other, Done::Done);
    assert_eq!(job().await, Done::Done, "again it changes nothing");
    assert_eq!(progress(&mall).await, (all, all, true));
    assert_eq!(lines(&mall, &of[1]).await.unwrap().len(), 10);
    assert_eq!(
        listed_lines(&mall).await,
        (all + 10, all + 10),
        "what was spent is two merchants'"
    );
    assert_eq!(mall.closes("2026-06").await.settlement, sealed.settlement);
}

//! A month is closed once and whole, also where the server dies over it.

use std::{
    fmt::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use super::{
    acts::{Progress, Wanted, insist, patient},
    figure,
    real::{Place, Server},
    until,
};
use crate::support::till::{Answer, Till};

/// Who closes at once.
const CLOSERS: usize = 32;

/// How often the server is killed; each time in a month of its own.
const ROUNDS: u32 = 10;

/// Merchants with movement in every month.
const SHOPS: u32 = 60;

/// A month that is over.
fn period(number: u32) -> String {
    format!("{}-{:02}", 2020 + number / 12, 1 + number % 12)
}

/// Months in which members earn in one shop and spend in the next, through the product's import.
fn fill(place: &Place, months: u32) {
    let mut bought =
        "purchase_ref,member_ref,store_code,occurred_at,category,quantity,amount\n".to_owned();
    let mut spent = "purchase_ref,member_ref,store_code,occurred_at,wanted\n".to_owned();
    for month in 0..months {
        for shop in 0..SHOPS {
            let (day, name) = (1 + shop % 28, format!("{}-{shop}", period(month)));
            let at = |hour: u32| format!("{}-{day:02}T{:02}:{shop:02}:00Z", period(month), hour);
            let member = shop % 28;
            let _ = writeln!(
                bought,
                "{name},card-{member},s-{shop},{},tea,1,{}.00",
                at(shop / 28),
                40 + shop + month
            );
            let _ = writeln!(
                spent,
                "x{name},card-{member},s-{},{},0.{}",
                (shop + 1) % SHOPS,
                at(10 + shop / 28),
                10 + (shop + month) % 20
            );
        }
    }
    let by_time = |text: &str| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines[1..].sort_by_key(|line| line.split(',').nth(3).unwrap());
        lines.join("\n") + "\n"
    };
    let bought = place.file("bought.csv", &by_time(&bought));
    let spent = place.file("spent.csv", &by_time(&spent));
    let (bought, spent) = (bought.to_str().unwrap(), spent.to_str().unwrap());
    let args = [
        "import",
        "purchases",
        bought,
        "--redemptions",
        spent,
        "--create-missing",
        "--strict",
    ];
    let done = place.run(&args);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// A request to close a month.
fn closing(month: &str, key: &str) -> Wanted {
    Wanted {
        path: "/v1/settlements".to_owned(),
        key: key.to_owned(),
        body: json!({ "period": month }),
        member: String::new(),
    }
}

/// The sheet of a month as it would be.
fn foreseen(place: &Place, month: &str) -> String {
    let shown = place.run(&["settle", "preview", "--period", month, "--csv"]);
    assert!(shown.status.success(), "{shown:?}");
    String::from_utf8(shown.stdout).unwrap()
}

/// The sheet of a closed month, byte for byte.
async fn written(till: &Till, closed: &Answer) -> String {
    let path = format!(
        "/v1/settlements/{}/statements.csv",
        closed.text("settlement_id")
    );
    let sheet = till.send(Method::GET, &path, None, None).await.unwrap();
    assert_eq!(sheet.status, StatusCode::OK, "{sheet:?}");
    sheet.body.as_str().unwrap().to_owned()
}

/// How many closed settlements, statements, payments, and payments in the ledger a month has.
async fn parts(place: &Place, month: &str) -> [i64; 4] {
    let counted: (i64, i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from settlement where month = $1 and state <> 'cut_off'),
            (select count(*) from statement join settlement using (settlement_id)
             where month = $1),
            (select count(*) from payment join settlement using (settlement_id)
             where month = $1),
            (select count(*) from transfer where lot_id is null and posted_in = $1)",
    )
    .bind(format!("{month}-01").parse::<chrono::NaiveDate>().unwrap())
    .fetch_one(&mut place.tenant().await)
    .await
    .unwrap();
    counted.into()
}

/// What every month here comes to.
fn whole(parts: [i64; 4]) -> bool {
    let [closed, statements, payments, posted] = parts;
    let shops = i64::from(SHOPS);
    closed == 1 && statements == shops && payments > 0 && payments < shops && posted == payments
}

#[tokio::test(flavor = "multi_thread")]
async fn set_3_of_32_who_close_a_month_at_two_servers_one_does_and_all_see_one_set() {
    let place = Place::open().await;
    fill(&place, 1);
    let (month, sheet) = (period(0), foreseen(&place, &period(0)));
    let second = Server::start(&place.postgres.url);
    let first = patient(&place.till_as("operator.finance").await);
    let other = Till {
        server: second.address.to_string(),
        ..first.clone()
    };
    let progress = Arc::<Progress>::default();
    let mut closers = JoinSet::new();
    for closer in 0..CLOSERS {
        let till = [&first, &other][closer % 2].clone();
        let (wanted, progress) = (
            closing(&month, &format!("c-{closer}")),
            Arc::clone(&progress),
        );
        closers.spawn(async move { insist(&till, &wanted, &progress).await });
    }
    let (mut closed, mut known) = (Vec::new(), 0);
    for answer in closers.join_all().await {
        match answer.status {
            StatusCode::CREATED => closed.push(answer),
            StatusCode::CONFLICT if answer.text("code") == "period-already-closed" => known += 1,
            _ => panic!("{answer:?}"),
        }
    }
    assert_eq!((closed.len(), known), (1, CLOSERS - 1), "{closed:?}");
    assert!(whole(parts(&place, &month).await));
    assert_eq!(written(&first, &closed[0]).await, sheet);
    place.prove();
}

#[tokio::test(flavor = "multi_thread")]
async fn set_3_a_close_whose_server_is_killed_is_there_whole_or_not_at_all() {
    let rounds = figure("ROTUNDA_TEST_ROUNDS", ROUNDS);
    let mut place = Place::open().await;
    fill(&place, rounds + 1);
    let till = patient(&place.till_as("operator.finance").await);
    let progress = Progress::default();

    // One that nobody disturbs says how long a close takes.
    let sheet = foreseen(&place, &period(0));
    let since = Instant::now();
    let calm = insist(&till, &closing(&period(0), "calm"), &progress).await;
    let takes = since.elapsed();
    assert_eq!(calm.status, StatusCode::CREATED, "{calm:?}");
    assert_eq!(written(&till, &calm).await, sheet);

    let mut dice = StdRng::seed_from_u64(3);
    let mut found = [0; 3];
    for round in 1..=rounds {
        let (month, sheet) = (period(round), foreseen(&place, &period(round)));
        let till = Till {
            server: place.till.server.clone(),
            ..till.clone()
        };
        // Every part of a close is hit once, and the last kills come just behind its end.
        let part = takes * 12 / 10 / rounds;
        let delay = part * (round - 1) + part.mul_f64(dice.random());
        let wanted = closing(&month, &month);
        let asked = tokio::spawn({
            let (till, wanted) = (till.clone(), wanted.clone());
            async move {
                let (key, body) = (Some(wanted.key.as_str()), Some(&wanted.body));
                till.send(Method::POST, &wanted.path, key, body).await
            }
        });
        sleep(delay).await;
        place.server.kill();
        let answered = asked.await.unwrap().is_ok();
        alone(&place).await;

        let left = parts(&place, &month).await;
        assert!(left == [0; 4] || whole(left), "{month} is torn: {left:?}");
        assert!(
            !answered || whole(left),
            "{month} was answered and is not there"
        );
        let state = if whole(left) {
            2
        } else {
            usize::from(cut_off(&place, &month).await)
        };
        found[state] += 1;

        place.serve_again();
        let till = Till {
            server: place.till.server.clone(),
            ..till
        };
        let closed = insist(&till, &wanted, &progress).await;
        assert_eq!(closed.status, StatusCode::CREATED, "{closed:?}");
        assert_eq!(written(&till, &closed).await, sheet, "{month}");
        let again = insist(
            &till,
            &closing(&month, &format!("{month}-again")),
            &progress,
        )
        .await;
        assert_eq!(again.text("code"), "period-already-closed", "{again:?}");
        assert_eq!(written(&till, &closed).await, sheet, "{month}");
        assert!(whole(parts(&place, &month).await), "{month}");
    }
    let [nothing, cut, all] = found;
    eprintln!(
        "set-3: a close takes {takes:?}; killed within {:?}: {nothing} left nothing, {cut} a \
         cut-off, {all} all of it",
        takes * 12 / 10
    );
    place.prove();
}

/// Whether a month was cut off.
async fn cut_off(place: &Place, month: &str) -> bool {
    sqlx::query_scalar("select exists (select from settlement where month = $1)")
        .bind(format!("{month}-01").parse::<chrono::NaiveDate>().unwrap())
        .fetch_one(&mut place.tenant().await)
        .await
        .unwrap()
}

/// Waits until PostgreSQL has noticed that the server is gone, and has ended what it was doing.
async fn alone(place: &Place) {
    let so = async || {
        let sessions: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity
             where usename = 'rotunda_app' and state <> 'idle'",
        )
        .fetch_one(&mut place.admin().await)
        .await
        .unwrap();
        sessions == 0
    };
    let _: Duration = until("the dead server's sessions end", so).await;
}

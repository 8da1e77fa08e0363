//! The reports as they go out: lists, and the sheet of what is booked.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{day::Day, till::Till};

#[tokio::test(flavor = "multi_thread")]
async fn a_day_at_the_till_is_in_every_report_of_its_month() {
    let day = Day::begin().await;
    let ada = day.member("1", 1000).await;
    let spend = day.spend(&ada, "r-1", 400);
    let spent = day
        .ask(Method::POST, "/v1/spends", Some("s-1"), Some(&spend))
        .await;
    assert_eq!(spent.0, StatusCode::CREATED, "{}", spent.1);
    let finance = Till {
        key: day.opened.key(&day.app, "operator.finance").await,
        ..day.till.clone()
    };
    let now = day.app.clock.now();
    let period = rotunda::kernel::time::Month::at(now, day.opened.mall.tenant.zone);
    let get = async |path: String| {
        let (status, body) = finance.ask(Method::GET, &path, None, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    };
    let list = get(format!("/v1/liability?period={period}")).await;
    let it = &list["data"][0];
    let of = |points: i64| json!({"points": points, "worth": points});
    assert_eq!(it["opening"], of(0));
    assert_eq!(it["issued"], of(1000));
    assert_eq!(it["redeemed"], json!({"here": of(400), "elsewhere": of(0)}));
    assert_eq!(it["closing"], of(600));
    assert_eq!(it["used_to_date"]["here"], of(400));
    let ages = get("/v1/liability/ages".to_owned()).await;
    assert_eq!(
        ages["data"][0]["ages"][0],
        json!({"from_months": 0, "to_months": 3, "points": 600, "worth": 600})
    );
    assert_eq!(ages["data"][0]["ages"][4]["to_months"], json!(null));
    let due = get("/v1/liability/forecast".to_owned()).await;
    let sum: i64 = due["data"][0]["lapsing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lapse| lapse["points"].as_i64().unwrap())
        .sum();
    assert_eq!(
        sum + due["data"][0]["never"]["points"].as_i64().unwrap(),
        600
    );

    let sheet = get(format!("/v1/liability/journal?period={period}")).await;
    let sheet = sheet.as_str().unwrap();
    let rows: Vec<Vec<&str>> = sheet
        .trim_start_matches('\u{feff}')
        .lines()
        .map(|line| line.split(',').collect())
        .collect();
    assert_eq!(
        rows[0],
        [
            "date", "merchant", "entry", "account", "debit", "credit", "currency", "note"
        ]
    );
    // 1,000.00 of sales and 1,000 points of a cent: 990.10 and 9.90, of which 400 points are 3.96.
    let booked: Vec<_> = rows[1..]
        .iter()
        .map(|row| (row[2], row[3], row[4], row[5]))
        .collect();
    assert_eq!(
        booked,
        [
            ("1", "sales_revenue", "9.90", ""),
            ("1", "deferred_income", "", "9.90"),
            ("2", "deferred_income", "3.96", ""),
            ("2", "points_revenue", "", "3.96"),
        ]
    );
    for path in [
        "/v1/liability",
        "/v1/liability?period=2017-13",
        "/v1/liability/journal?period=x",
    ] {
        let (status, _) = finance.ask(Method::GET, path, None, None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
    }
}

//! What is outstanding in points: months told by hand, random stories counted anew, ages and lapses,
//! what is booked, and who sees it.

mod doors;
mod stories;

use std::collections::BTreeMap;

use rotunda::{
    authz::{action::ReadLiability, grant::Grant},
    kernel::{
        ids::MerchantId,
        page::{Page, Slice},
        time::{Period, Unit},
    },
    merchants::agreements::{AgreementTerms, Breakage, Cost, Model, Price},
    reports::liability::{
        self, Amount, Due, IssuerPeriods, LiabilityError, PeriodMoves, RollForward, Split,
    },
    settlement::journal::{self, Account, Moves},
};
use uuid::Uuid;

use crate::support::settling::{Mall, Shop, at, period_of};

/// A column's name and what is in it; what is nothing is left out.
type Columns = BTreeMap<&'static str, (i64, i64)>;

/// Every page of a report.
macro_rules! all_of {
    ($mall:expr, $grant:expr, $limit:expr, |$tx:ident, $slice:ident| $ask:expr) => {{
        let mut $tx = $mall.db.read($grant).await.unwrap();
        let mut $slice = Slice {
            limit: $limit,
            after: None,
        };
        let mut all = Vec::new();
        loop {
            let Page { mut items, next } = $ask.await?;
            assert!(items.len() as i64 <= $limit);
            all.append(&mut items);
            match next {
                Some(next) => $slice.after = Some(next),
                None => break Ok::<_, LiabilityError>(all),
            }
        }
    }};
}

async fn rolled(
    mall: &Mall,
    grant: &Grant<ReadLiability>,
    month: Period,
    limit: i64,
) -> Result<Vec<RollForward>, LiabilityError> {
    all_of!(mall, grant, limit, |tx, slice| liability::roll_forward(
        &mut tx, grant, month, &slice
    ))
}

async fn moved(
    mall: &Mall,
    grant: &Grant<ReadLiability>,
    month: Period,
) -> Result<Vec<IssuerPeriods>, LiabilityError> {
    let zone = mall.tenant.zone;
    all_of!(mall, grant, 100, |tx, slice| liability::periods(
        &mut tx, grant, month, zone, &slice
    ))
}

fn operator(mall: &Mall) -> Grant<ReadLiability> {
    mall.grant_of("operator.auditor", None)
}

/// A month's row as columns.
fn columns(it: &RollForward) -> Columns {
    let whole = [
        ("opening", it.opening),
        ("issued", it.issued),
        ("expired", it.expired),
        ("taken back", it.taken_back),
        ("closing", it.closing),
        ("became owed", it.became_owed),
    ];
    let parts = |here, elsewhere, split: Split| [(here, split.here), (elsewhere, split.elsewhere)];
    let parts = [
        parts("given back here", "given back elsewhere", it.given_back),
        parts("redeemed here", "redeemed elsewhere", it.redeemed),
        parts("repaid here", "repaid elsewhere", it.repaid),
    ];
    let all = whole.into_iter().chain(parts.into_iter().flatten());
    all.filter(|(_, amount)| *amount != Amount::default())
        .map(|(name, amount)| (name, (amount.points, amount.worth)))
        .collect()
}

/// A month of a merchant as it was told: its columns in points.
type Told<'a> = (&'a str, Shop, &'a [(&'a str, i64)]);

/// One transfer as the tables have it.
type Raw = (
    String,
    Option<Uuid>,
    Option<Uuid>,
    String,
    Option<Uuid>,
    Option<Uuid>,
    Uuid,
    i64,
    i64,
    chrono::NaiveDate,
);

/// Every month of every issuer counted anew, transfer by transfer; months without any movement are
/// left out.
async fn recounted(mall: &Mall) -> BTreeMap<(MerchantId, Period), Columns> {
    let mut admin = mall.admin().await;
    let all: Vec<Raw> = sqlx::query_as(
        "select source.kind, source.owner_id, source.partner_id, target.kind, target.owner_id,
                target.partner_id, lot.merchant_id, transfer.amount, transfer.value,
                transfer.posted_in
         from transfer
         join account source on source.account_id = from_account
         join account target on target.account_id = to_account
         join lot using (lot_id)",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    let mut months: BTreeMap<(MerchantId, Period), Columns> = BTreeMap::new();
    for (from, from_owner, _, to, to_owner, to_partner, issuer, points, worth, posted) in all {
        let place = |taker: Option<Uuid>, here, elsewhere| {
            if taker == Some(issuer) {
                here
            } else {
                elsewhere
            }
        };
        let (name, sign) = match (from.as_str(), to.as_str()) {
            ("issued", "wallet") => ("issued", 1),
            ("accepted", "wallet") => (
                place(from_owner, "given back here", "given back elsewhere"),
                1,
            ),
            ("wallet" | "held", "accepted") => {
                (place(to_owner, "redeemed here", "redeemed elsewhere"), -1)
            }
            ("wallet", "deficit") => (place(to_partner, "repaid here", "repaid elsewhere"), -1),
            ("wallet", "expired") => ("expired", -1),
            ("wallet", "issued") => ("taken back", -1),
            ("deficit", "issued") => ("became owed", 0),
            ("wallet", "held") | ("held", "wallet") => continue,
            other => panic!("{other:?}"),
        };
        let key = (
            MerchantId::from_uuid(issuer),
            Period::containing(posted, Unit::Month),
        );
        let columns = months.entry(key).or_default();
        let column = columns.entry(name).or_default();
        *column = (column.0 + points, column.1 + worth);
        let closing = columns.entry("closing").or_default();
        *closing = (closing.0 + sign * points, closing.1 + sign * worth);
    }
    let mut before: BTreeMap<MerchantId, (i64, i64)> = BTreeMap::new();
    for ((issuer, _), columns) in &mut months {
        let opening = before.entry(*issuer).or_default();
        columns.insert("opening", *opening);
        let closing = columns.entry("closing").or_default();
        *closing = (closing.0 + opening.0, closing.1 + opening.1);
        *opening = *closing;
        columns.retain(|_, amount| *amount != (0, 0));
    }
    months
}

/// Half a year in which everything happens: see the assertions for what, month by month.
async fn told() -> (Mall, [Shop; 3]) {
    let mall = Mall::open("2026-12-02T00:00:00Z").await;
    let shops @ [a, b, c] = mall.shops(["a", "b", "c"]).await;
    let (ada, bob) = (mall.member("1").await, mall.member("2").await);
    let august = Some("2026-08-31T16:00:00Z");
    let sale = mall
        .earns_until(ada, a, 600, "2026-06-01T04:00:00Z", august)
        .await;
    mall.earns(ada, b, 400, "2026-06-02T04:00:00Z").await;
    mall.spends(ada, a, 100, "2026-06-03T04:00:00Z").await;
    let spent = mall.spends(ada, c, 300, "2026-06-04T04:00:00Z").await;

    mall.gives_back(ada, c, spent, 50, "2026-07-05T04:00:00Z")
        .await;
    let used_up = mall.earns(bob, b, 70, "2026-07-06T04:00:00Z").await;
    mall.spends(bob, c, 70, "2026-07-07T04:00:00Z").await;
    mall.refunds(bob, b, used_up, 70, "2026-07-08T04:00:00Z")
        .await;
    mall.earns(bob, a, 100, "2026-07-09T04:00:00Z").await;

    mall.refunds(ada, a, sale, 120, "2026-08-03T04:00:00Z")
        .await;
    mall.reserves(ada, 40, "2026-08-05T04:00:00Z").await;
    let good = mall.reserves(ada, 10, "2026-08-06T04:00:00Z").await;
    mall.claims(ada, b, good, "2026-08-07T04:00:00Z").await;

    mall.lapses(ada, "2026-09-02T04:00:00Z").await;
    mall.gives_back(ada, c, spent, 20, "2026-09-10T04:00:00Z")
        .await;
    mall.spends(ada, b, 5, "2026-09-11T04:00:00Z").await;
    mall.lapses(ada, "2026-10-11T04:00:00Z").await;

    let february = Some("2027-02-28T16:00:00Z");
    mall.earns_until(ada, c, 25, "2026-11-20T04:00:00Z", february)
        .await;
    let november = Some("2026-11-30T16:00:00Z");
    mall.earns_until(ada, c, 5, "2026-11-21T04:00:00Z", november)
        .await;
    (mall, shops)
}

#[tokio::test]
async fn every_month_leads_from_its_opening_to_its_closing_as_told() {
    let (mall, [a, b, c]) = told().await;
    let told: [Told<'_>; 11] = [
        (
            "2026-06",
            a,
            &[
                ("issued", 600),
                ("redeemed here", 100),
                ("redeemed elsewhere", 300),
                ("closing", 200),
            ],
        ),
        ("2026-06", b, &[("issued", 400), ("closing", 400)]),
        (
            "2026-07",
            a,
            &[
                ("opening", 200),
                ("issued", 100),
                ("given back elsewhere", 50),
                ("repaid elsewhere", 70),
                ("closing", 280),
            ],
        ),
        (
            "2026-07",
            b,
            &[
                ("opening", 400),
                ("issued", 70),
                ("redeemed elsewhere", 70),
                ("became owed", 70),
                ("closing", 400),
            ],
        ),
        (
            "2026-08",
            a,
            &[
                ("opening", 280),
                ("taken back", 120),
                ("redeemed elsewhere", 10),
                ("closing", 150),
            ],
        ),
        (
            "2026-09",
            a,
            &[
                ("opening", 150),
                ("expired", 80),
                ("given back elsewhere", 20),
                ("redeemed elsewhere", 5),
                ("closing", 85),
            ],
        ),
        (
            "2026-10",
            a,
            &[("opening", 85), ("expired", 15), ("closing", 70)],
        ),
        ("2026-11", a, &[("opening", 70), ("closing", 70)]),
        ("2026-11", c, &[("issued", 30), ("closing", 30)]),
        ("2026-12", c, &[("opening", 30), ("closing", 30)]),
        ("2026-05", a, &[]),
    ];
    let grant = operator(&mall);
    for (period, shop, wanted) in told {
        let rows = rolled(&mall, &grant, period_of(period), 2).await.unwrap();
        assert_eq!(rows.len(), 3);
        let it = rows.iter().find(|it| it.merchant == shop.merchant).unwrap();
        // 100 points settle at 1.00: a point is a fen.
        let wanted = wanted
            .iter()
            .map(|(name, points)| (*name, (*points, *points)));
        assert_eq!(
            columns(it),
            wanted.collect(),
            "{period} {}",
            it.code.as_str()
        );
    }
    let october = rolled(&mall, &grant, period_of("2026-10"), 100)
        .await
        .unwrap();
    let october = october.iter().find(|it| it.merchant == a.merchant).unwrap();
    let used = october.used_to_date;
    assert_eq!((used.here.points, used.elsewhere.points), (100, 315));
    assert_eq!((october.breakage.expired, october.breakage.over), (95, 480));
    assert_eq!(mall.broken().await, [""; 0]);

    let again = recounted(&mall).await;
    for ((issuer, period), columns_again) in &again {
        let rows = rolled(&mall, &grant, *period, 100).await.unwrap();
        let it = rows.iter().find(|it| it.merchant == *issuer).unwrap();
        assert_eq!(&columns(it), columns_again, "{period}");
    }
}

#[tokio::test]
async fn outstanding_points_have_an_age_and_a_last_day_and_both_add_up_to_the_closing() {
    let (mall, shops) = told().await;
    let (grant, zone) = (operator(&mall), mall.tenant.zone);
    let mut tx = mall.db.read(&grant).await.unwrap();
    let all = Slice {
        limit: 100,
        after: None,
    };
    let aged = liability::ages(&mut tx, &grant, zone, &all).await.unwrap();
    let points: BTreeMap<&str, (i64, [i64; 5])> = aged
        .items
        .iter()
        .map(|it| {
            let ages = it.ages.map(|age| age.points);
            (it.code.as_str(), (it.held.points, ages))
        })
        .collect();
    // It is 2 December: what was earned on 2 June is six months old.
    assert_eq!(
        points,
        BTreeMap::from([
            ("a", (40, [0, 30, 40, 0, 0])),
            ("b", (0, [0, 0, 400, 0, 0])),
            ("c", (0, [30, 0, 0, 0, 0])),
        ])
    );
    let due = liability::forecast(&mut tx, &grant, zone, &all)
        .await
        .unwrap();
    let lapsing: BTreeMap<&str, Vec<(Due, i64)>> = due
        .items
        .iter()
        .map(|it| {
            let lapsing = it.lapsing.iter();
            let lapsing = lapsing.map(|(due, amount)| (*due, amount.points));
            (it.code.as_str(), lapsing.collect())
        })
        .collect();
    assert_eq!(
        lapsing,
        BTreeMap::from([
            ("a", vec![(Due::Never, 30), (Due::Held, 40)]),
            ("b", vec![(Due::Never, 400)]),
            (
                "c",
                vec![(Due::Over, 5), (Due::In("2027-03".parse().unwrap()), 25)]
            ),
        ])
    );
    let own = mall.grant_of::<ReadLiability>("merchant.finance", Some(shops[1].merchant));
    let aged = liability::ages(&mut tx, &own, zone, &all).await.unwrap();
    let due = liability::forecast(&mut tx, &own, zone, &all)
        .await
        .unwrap();
    assert_eq!((aged.items.len(), due.items.len()), (1, 1));
    assert_eq!(aged.items[0].merchant, shops[1].merchant);
    assert_eq!(due.items[0].merchant, shops[1].merchant);
}

#[tokio::test]
async fn books_that_tell_two_stories_are_not_reported() {
    let (mall, _) = told().await;
    let grant = operator(&mall);
    let asked = || rolled(&mall, &grant, period_of("2026-06"), 100);
    assert!(asked().await.is_ok());
    for (wrong, right) in [
        (
            "update lot set remaining = remaining - 1 where points = 400",
            "update lot set remaining = remaining + 1 where points = 400",
        ),
        (
            "update lot set worth_left = worth_left - 1 where points = 100",
            "update lot set worth_left = worth_left + 1 where points = 100",
        ),
        (
            "update redemption set state = 'lapsed' where state = 'reserved'",
            "update redemption set state = 'reserved' where state = 'lapsed'",
        ),
        (
            "update transfer set amount = amount + 1 where amount = 80",
            "update transfer set amount = amount - 1 where amount = 81",
        ),
    ] {
        mall.as_admin(wrong).await;
        let refused = asked().await;
        assert!(
            matches!(refused, Err(LiabilityError::Broken { .. })),
            "{wrong}: {refused:?}"
        );
        mall.as_admin(right).await;
        assert!(asked().await.is_ok());
    }
}

#[tokio::test]
async fn what_an_issuer_owes_to_others_is_booked_as_its_statement_says() {
    let (mall, _) = told().await;
    let mut deferred: BTreeMap<String, i64> = BTreeMap::new();
    for period in [
        "2026-06", "2026-07", "2026-08", "2026-09", "2026-10", "2026-11", "2026-12",
    ] {
        assert_eq!(
            booked(&mall, period, Account::OtherPayables).await,
            pays(&mall, period).await,
            "{period}"
        );
        for (code, amount) in booked(&mall, period, Account::DeferredIncome).await {
            *deferred.entry(code).or_default() += amount;
        }
    }
    // Each point was sold for a fen and is worth one, so half of a sale is deferred. By hand for a:
    // 300 in June and 50 in July; 60 go back with the 120 points taken back in August, which leaves
    // 290. 415 points were used by October, when 95 of the 480 over had lapsed: of the 70 open ones
    // 56.15 are expected to be used, 255.44 of 290 are earned and 35 are left. b has 400 of 470
    // points left and c all of its 30; of neither's points is any life over.
    let left = [("a", 35), ("b", 200), ("c", 15)];
    assert_eq!(
        deferred,
        left.map(|(code, left)| (code.to_owned(), left)).into()
    );
}

/// What each statement of a period says that its merchant pays; those alone that pay anything.
async fn pays(mall: &Mall, period: &str) -> BTreeMap<String, i64> {
    let figures = mall.figures(period).await.into_iter();
    let pays = figures.map(|(code, it)| (code, it.pays));
    pays.filter(|(_, amount)| *amount != 0).collect()
}

/// What a period's entries put to an account, by issuer; none where an issuer books nothing.
async fn booked(mall: &Mall, period: &str, account: Account) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for issuer in moved(mall, &operator(mall), period_of(period))
        .await
        .unwrap()
    {
        let months = issuer.periods.into_iter();
        let months = months.map(|(month, it)| (month, moves(it))).collect();
        let entries = journal::entries(&months, period_of(period)).unwrap();
        for (of, amount) in entries.iter().flat_map(|entry| &entry.lines) {
            if *of == account {
                *sums.entry(issuer.code.as_str().to_owned()).or_default() -= amount;
            }
        }
    }
    sums.retain(|_, amount| *amount != 0);
    sums
}

#[tokio::test]
async fn of_a_shared_cost_an_issuer_books_its_part_and_of_the_pools_promises_nothing() {
    let mall = Mall::open("2026-05-20T00:00:00Z").await;
    let [a, b, c, d] = mall.shops(["a", "b", "c", "d"]).await;
    let shared = AgreementTerms {
        cost: Some(Cost {
            issuer: 7000,
            operator: 2000,
            redeemer: 1000,
        }),
        ..AgreementTerms::default()
    };
    let pool = AgreementTerms {
        model: Model::Pool,
        issue_price: Some(Price {
            points: 10,
            worth: 12,
        }),
        breakage: Some(Breakage {
            operator: 0,
            issuer: 10_000,
            fund: 0,
        }),
        ..AgreementTerms::default()
    };
    mall.agrees(a, "2026-06", shared).await;
    mall.agrees(b, "2026-06", pool).await;
    mall.agrees(a, "2026-07", AgreementTerms::default()).await;
    mall.clock.set(at("2026-08-02T00:00:00Z"));
    let [ada, bob] = [mall.member("1").await, mall.member("2").await];
    for (shop, points, day) in [(a, 333, "06-01"), (b, 200, "06-02"), (c, 100, "06-03")] {
        mall.earns(ada, shop, points, &format!("2026-{day}T04:00:00Z"))
            .await;
    }
    // Of A's 333 points 107, 113 and 113: at two shops, in two months, some of them given back.
    mall.spends(ada, c, 107, "2026-06-10T04:00:00Z").await;
    let past = mall.spends(ada, d, 113, "2026-06-11T04:00:00Z").await;
    mall.gives_back(ada, d, past, 41, "2026-06-12T04:00:00Z")
        .await;
    mall.spends(ada, d, 400, "2026-07-10T04:00:00Z").await;
    // Points of other terms, and a debt that they fill.
    let sold = mall.earns(bob, a, 70, "2026-06-20T04:00:00Z").await;
    mall.spends(bob, c, 70, "2026-06-21T04:00:00Z").await;
    mall.refunds(bob, a, sold, 70, "2026-07-01T04:00:00Z").await;
    mall.earns(bob, a, 90, "2026-07-02T04:00:00Z").await;
    for period in ["2026-06", "2026-07"] {
        let pays = pays(&mall, period).await;
        assert_eq!(
            booked(&mall, period, Account::OtherPayables).await,
            pays,
            "{period}"
        );
        assert!(pays["a"] > 0 && !pays.contains_key("b"));
        let deferred = booked(&mall, period, Account::DeferredIncome).await;
        assert!(deferred.contains_key("a") && !deferred.contains_key("b"));
    }
}

fn moves(it: PeriodMoves) -> Moves {
    Moves {
        sales: it.sales,
        issued: it.issued,
        issued_worth: it.issued_worth,
        taken_back: it.taken_back,
        used_here: it.used_here,
        used_elsewhere: it.used_elsewhere,
        payable: it.payable,
        expired: it.expired,
        over: (it.over, it.over_expired),
    }
}

#[tokio::test]
async fn a_merchant_sees_its_own_liability_and_nobody_elses() {
    let (mall, [_, b, _]) = told().await;
    let own = mall.grant_of::<ReadLiability>("merchant.finance", Some(b.merchant));
    let period = period_of("2026-07");
    let seen = rolled(&mall, &own, period, 1).await.unwrap();
    assert_eq!(seen.len(), 1);
    let all = rolled(&mall, &operator(&mall), period, 1).await.unwrap();
    assert_eq!(all.len(), 3);
    assert!(all.contains(&seen[0]) && seen[0].merchant == b.merchant);
    let seen = moved(&mall, &own, period).await.unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].merchant, b.merchant);

    let stranger = Mall::open("2026-12-02T00:00:00Z").await;
    stranger.shops(["a"]).await;
    let seen = rolled(&stranger, &operator(&stranger), period, 100)
        .await
        .unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(columns(&seen[0]), Columns::new());
}

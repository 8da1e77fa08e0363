//! Malls that settle by the day or by the week: the same course, figures and papers, and the same
//! sums as by the month.

mod choosing;
mod door;

use std::collections::BTreeMap;

use rotunda::{
    authz::action::{
        CloseSettlement, ConfirmSettlement, IssueSettlement, PreviewSettlement, ReadLiability,
        ReadSettlements, ReadStatements,
    },
    kernel::{
        ids::MemberId,
        page::Slice,
        text::Language,
        time::{Period, Unit},
    },
    merchants::agreements::{
        AgreementTerms, Breakage, Fees, InvoicedBy, Model, Price as PointPrice, Tax,
    },
    reports::liability::{self, LiabilityError},
    settlement::{
        self, Approval, Document, Face, SettlementError, State, confirming, document,
        paying::Method,
    },
};

use crate::support::{
    periods::ALL,
    settling::{Mall, Shop, at, period_of},
};

/// Two periods of a unit, and moments of them.
struct Span {
    unit: Unit,
    /// What the paper calls the unit.
    word: &'static str,
    first: &'static str,
    second: &'static str,
    /// The first moment of the first period.
    begins: &'static str,
    /// The last minute of the first period, and the first moment behind it.
    last: &'static str,
    over: &'static str,
    /// When the second is over.
    later: &'static str,
}

const SPANS: [Span; 3] = [
    Span {
        unit: Unit::Day,
        word: "Day",
        first: "2026-06-14",
        second: "2026-06-15",
        begins: "2026-06-13T16:00:00Z",
        last: "2026-06-14T15:59:00Z",
        over: "2026-06-14T16:00:00Z",
        later: "2026-06-15T16:00:00Z",
    },
    Span {
        unit: Unit::Week,
        word: "Week",
        first: "2026-W53",
        second: "2027-W01",
        begins: "2026-12-27T16:00:00Z",
        last: "2027-01-03T15:59:00Z",
        over: "2027-01-03T16:00:00Z",
        later: "2027-01-10T16:00:00Z",
    },
    Span {
        unit: Unit::Month,
        word: "Month",
        first: "2026-06",
        second: "2026-07",
        begins: "2026-05-31T16:00:00Z",
        last: "2026-06-30T15:59:00Z",
        over: "2026-06-30T16:00:00Z",
        later: "2026-07-31T16:00:00Z",
    },
];

impl Mall {
    pub async fn cuts_off(
        &self,
        period: Period,
    ) -> Result<settlement::Settlement, SettlementError> {
        let grant = self.grant::<CloseSettlement>();
        let mut tx = self.db.write(&grant).await.unwrap();
        let (terms, zone) = (self.terms, self.tenant.zone);
        let done = settlement::cut_off(&mut tx, &grant, period, &terms, zone).await?;
        tx.commit().await.unwrap();
        Ok(done)
    }

    /// A shop's statement as a document.
    async fn paper(&self, id: rotunda::kernel::ids::SettlementId, shop: Shop) -> Document {
        let statement = self.statement_of(id, shop).await;
        let grant = self.grant::<ReadStatements>();
        let mut tx = self.db.read(&grant).await.unwrap();
        document::of(&mut tx, &grant, statement, &self.tenant, Language::En)
            .await
            .unwrap()
    }

    /// Opening, issued, redeemed and closing points of every shop together.
    async fn outstanding(&self, period: &str) -> Result<[i64; 4], LiabilityError> {
        let grant = self.grant::<ReadLiability>();
        let mut tx = self.db.read(&grant).await.unwrap();
        let page = liability::roll_forward(&mut tx, &grant, period_of(period), &ALL).await?;
        let mut sums = [0; 4];
        for it in page.items {
            let redeemed = it.redeemed.here.points + it.redeemed.elsewhere.points;
            let columns = [
                it.opening.points,
                it.issued.points,
                redeemed,
                it.closing.points,
            ];
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum += column;
            }
        }
        Ok(sums)
    }
}

/// From the first purchase to the last payment, with something late in between.
async fn course(span: &Span) {
    let mut mall = Mall::open_by(span.unit, span.begins).await;
    mall.terms.course.approval = Approval::Two;
    mall.terms.course.confirm_days = 1;
    let [a, b] = mall.shops(["a", "b"]).await;
    let ada = mall.member("1").await;
    mall.earns(ada, a, 600, span.begins).await;
    mall.spends(ada, b, 400, span.last).await;
    let too_early = mall.cuts_off(period_of(span.first)).await;
    assert!(matches!(
        too_early,
        Err(SettlementError::PeriodNotOver { .. })
    ));

    mall.clock.set(at(span.over));
    let cut = mall.cuts_off(period_of(span.first)).await.unwrap();
    assert_eq!(
        (cut.state, cut.period),
        (State::CutOff, period_of(span.first))
    );
    // It happened in the first period and is reported when that one is shut.
    mall.spends(ada, b, 100, span.last).await;
    let nets = |net: i64| {
        let nets = [("a", -net), ("b", net), ("operator", 0)];
        nets.map(|(code, net)| (code.to_owned(), net)).into()
    };
    assert_eq!(mall.nets(span.first).await, nets(400));
    assert_eq!(mall.nets(span.second).await, nets(100));

    let sealed = mall.closes_as(1, span.first).await.settlement;
    assert_eq!(sealed.state, State::Proofed);
    let issued = mall.issues(2, sealed.id).await.unwrap();
    assert_eq!(issued.period.to_string(), span.first);
    for shop in [a, b] {
        let statement = mall.statement_of(sealed.id, shop).await;
        mall.confirms(shop, statement).await.unwrap();
    }
    let owed = [("a".to_owned(), "b".to_owned(), 400)];
    assert_eq!(mall.paid(sealed.id).await, owed);
    let file = mall.bank_file(sealed.id).await;
    assert!(file.contains(&format!("points {}", span.first)), "{file}");
    mall.records(sealed.id, 0, Method::Rent, "R 1")
        .await
        .unwrap();
    assert_eq!(mall.settlement(sealed.id).await.state, State::Closed);

    // What nobody answers is confirmed by itself.
    mall.clock.set(at(span.later));
    let second = mall.closed_and_issued(span.second).await;
    let lines = {
        let grant = mall.grant::<ReadStatements>();
        let statement = mall.statement_of(second.id, b).await;
        let mut tx = mall.db.read(&grant).await.unwrap();
        settlement::lines(&mut tx, &grant, statement, &ALL)
            .await
            .unwrap()
            .items
    };
    let late: Vec<_> = lines
        .iter()
        .map(|line| (line.late, line.occurred_at))
        .collect();
    assert_eq!(late, [(true, at(span.last))]);
    mall.clock.set(at(span.later) + chrono::Days::new(3));
    assert_eq!(mall.confirms_what_is_due().await, 1);
    mall.records(second.id, 0, Method::Rent, "R 2")
        .await
        .unwrap();
    assert_eq!(mall.settlement(second.id).await.state, State::Closed);

    papers(&mall, span, sealed.id, b).await;
    assert_eq!(
        mall.outstanding(span.first).await.unwrap(),
        [0, 600, 400, 200]
    );
    assert_eq!(
        mall.outstanding(span.second).await.unwrap(),
        [200, 0, 100, 100]
    );
    listed(&mall, span).await;
    assert_eq!(mall.broken().await, [""; 0]);
}

/// What is written names the period, and the unit in words.
async fn papers(mall: &Mall, span: &Span, id: rotunda::kernel::ids::SettlementId, shop: Shop) {
    let paper = mall.paper(id, shop).await;
    assert_eq!(paper.period, period_of(span.first));
    assert!(
        paper
            .facts()
            .contains(&(span.word.to_owned(), span.first.to_owned()))
    );
    assert_eq!(
        paper.file_name(Face::Pdf),
        format!("statement-b-{}.pdf", span.first)
    );
    let csv = paper.csv();
    let rows: Vec<&str> = csv.lines().skip(1).collect();
    let begin = format!("{},CNY,b,", span.first);
    assert!(
        rows.len() > 10 && rows.iter().all(|row| row.starts_with(&begin)),
        "{csv}"
    );
    for face in [Face::Pdf, Face::Xlsx] {
        assert!(paper.print(face).unwrap().len() > 1000);
    }
}

/// The newest first, a page at a time.
async fn listed(mall: &Mall, span: &Span) {
    let grant = mall.grant_of::<ReadSettlements>("operator.auditor", None);
    let mut tx = mall.db.read(&grant).await.unwrap();
    let (mut after, mut found) = (None, Vec::new());
    for _ in 0..2 {
        let slice = Slice { limit: 1, after };
        let page = settlement::list(&mut tx, &grant, &slice).await.unwrap();
        found.push(page.items[0].period.to_string());
        after = page.next;
    }
    assert_eq!(
        (found, after),
        (vec![span.second.to_owned(), span.first.to_owned()], None)
    );
}

#[tokio::test]
async fn a_day_goes_from_its_first_moment_to_its_last_payment() {
    course(&SPANS[0]).await;
}

#[tokio::test]
async fn a_week_goes_from_its_first_moment_to_its_last_payment() {
    course(&SPANS[1]).await;
}

#[tokio::test]
async fn a_month_goes_from_its_first_moment_to_its_last_payment() {
    course(&SPANS[2]).await;
}

/// 2026-06-01 is a Monday: the first day alone does not tell the week from the month.
#[tokio::test]
async fn a_period_of_another_unit_is_refused_with_one_of_the_malls_and_nothing_changes() {
    let mut mall = Mall::open_by(Unit::Week, "2026-07-10T00:00:00Z").await;
    mall.terms.course.approval = Approval::Two;
    let [a, b] = mall.shops(["a", "b"]).await;
    let ada = mall.member("1").await;
    mall.earns(ada, a, 100, "2026-06-01T04:00:00Z").await;
    mall.spends(ada, b, 100, "2026-06-02T04:00:00Z").await;
    mall.closes_as(1, "2026-W23").await;
    let before = mall.rows().await;
    let (terms, zone, currency) = (mall.terms, mall.tenant.zone, mall.tenant.currency);
    for said in ["2026-06", "2026-06-01"] {
        let wrong = period_of(said);
        let mut refused = Vec::new();
        let grant = mall.grant::<PreviewSettlement>();
        let mut tx = mall.db.read(&grant).await.unwrap();
        let preview = settlement::preview(&mut tx, &grant, wrong, &terms, zone).await;
        refused.push(preview.map(|_| ()).unwrap_err());
        refused.push(mall.cuts_off(wrong).await.map(|_| ()).unwrap_err());
        let grant = mall.grant::<CloseSettlement>();
        let mut tx = mall.db.write(&grant).await.unwrap();
        let seal = settlement::seal(&mut tx, &grant, wrong, zone, currency).await;
        refused.push(seal.map(|_| ()).unwrap_err());
        let grant = mall.grant::<IssueSettlement>();
        let issue = confirming::issue_period(&mut tx, &grant, wrong, zone, currency).await;
        refused.push(issue.map(|_| ()).unwrap_err());
        let grant = mall.grant::<ConfirmSettlement>();
        let confirm = confirming::confirm_period(&mut tx, &grant, wrong, currency).await;
        refused.push(confirm.map(|_| ()).unwrap_err());
        let grant = mall.grant::<ReadStatements>();
        let code = "b".parse().unwrap();
        let found = document::statement_of(&mut tx, &grant, Some(wrong), &code).await;
        refused.push(found.map(|_| ()).unwrap_err());
        for error in refused {
            assert!(matches!(error, SettlementError::OtherUnit(_)), "{error:?}");
            assert!(
                error.to_string().ends_with("say 2026-W23, for example"),
                "{error}"
            );
        }
        let report = mall.outstanding(said).await;
        assert!(
            matches!(report, Err(LiabilityError::OtherUnit(_))),
            "{report:?}"
        );
        let grant = mall.grant::<ReadLiability>();
        let entries = liability::periods(&mut tx, &grant, wrong, zone, &ALL).await;
        assert!(matches!(entries, Err(LiabilityError::OtherUnit(_))));
    }
    assert_eq!(mall.rows().await, before);
}

/// What each shop gets of the spans of a mall together, and in how many periods.
async fn settled(
    unit: Unit,
    trades: &[(bool, usize, i64, String)],
) -> (BTreeMap<String, i64>, usize) {
    let mall = Mall::open_by(unit, "2027-03-02T00:00:00Z").await;
    let shops = mall.shops(["a", "b", "c", "d"]).await;
    let members: [MemberId; 2] = [mall.member("1").await, mall.member("2").await];
    for (number, (gives, shop, points, when)) in trades.iter().enumerate() {
        let (who, shop) = (members[number % 2], shops[*shop]);
        if *gives {
            mall.earns(who, shop, *points, when).await;
        } else {
            mall.spends(who, shop, *points, when).await;
        }
    }
    let mut sums = BTreeMap::new();
    let mut period = Period::containing("2027-02-01".parse().unwrap(), unit);
    let mut closed = 0;
    while period.to_string() < Period::containing("2027-03-01".parse().unwrap(), unit).to_string() {
        let sealed = mall.closes(&period.to_string()).await.settlement;
        for statement in mall.statements(sealed.id, None).await {
            *sums.entry(statement.code.as_str().to_owned()).or_default() += statement.position.net;
        }
        (period, closed) = (period.next(), closed + 1);
    }
    assert_eq!(mall.broken().await, [""; 0]);
    (sums, closed)
}

/// February 2027 is four weeks from Monday to Sunday.
#[tokio::test(flavor = "multi_thread")]
async fn by_day_by_week_and_by_month_the_same_purchases_come_to_the_same() {
    let mut trades = Vec::new();
    for number in 0..28_i64 {
        let (day, shop) = (1 + number, usize::try_from(number).unwrap());
        // On the last minute of the day there, and on its first.
        let (late, early) = (day, if day == 1 { 31 } else { day - 1 });
        let month = if day == 1 { 1 } else { 2 };
        trades.push((
            true,
            shop % 3,
            100 + number * 7,
            format!("2027-{month:02}-{early:02}T16:00:00Z"),
        ));
        trades.push((
            true,
            (shop + 1) % 3,
            60 + number,
            format!("2027-02-{late:02}T04:00:00Z"),
        ));
        let when = format!("2027-02-{late:02}T15:59:59.999999Z");
        trades.push((false, 3 - shop % 2, 11 + number % 5, when.clone()));
        trades.push((false, shop % 3, 13 + number % 4, when));
    }
    let (day, week, month) = tokio::join!(
        settled(Unit::Day, &trades),
        settled(Unit::Week, &trades),
        settled(Unit::Month, &trades)
    );
    assert_eq!((day.1, week.1, month.1), (28, 4, 1));
    assert_eq!(week.0, month.0);
    assert_eq!(day.0, month.0);
    assert_eq!(month.0.values().sum::<i64>(), 0);
    assert!(month.0["d"] > 0 && month.0.len() == 4);
}

/// In the pool at that price; with a fee, a tax and days to pay that are each another one.
fn version(worth: i64, fixed: i64, tax: i64, days: i64) -> AgreementTerms {
    AgreementTerms {
        model: Model::Pool,
        issue_price: Some(PointPrice { points: 100, worth }),
        breakage: Some(Breakage {
            operator: 10_000,
            issuer: 0,
            fund: 0,
        }),
        fees: Fees {
            fixed: Some(fixed),
            ..Fees::default()
        },
        tax: Some(Tax {
            basis_points: tax,
            invoiced_by: InvoicedBy::Merchant,
        }),
        payment_days: Some(days),
        ..AgreementTerms::default()
    }
}

/// 1 July 2026 is the Wednesday of 2026-W27: points keep the terms that they were given under, and the
/// statement's own terms are those of the week's first moment.
#[tokio::test]
async fn an_agreement_that_begins_in_the_middle_of_a_week_prices_the_points_given_since() {
    let mall = Mall::open_by(Unit::Week, "2026-05-20T00:00:00Z").await;
    let [a, b] = mall.shops(["a", "b"]).await;
    mall.agrees(a, "2026-06", version(120, 700, 600, 10)).await;
    mall.agrees(a, "2026-07", version(150, 900, 1300, 20)).await;
    let ada = mall.member("1").await;
    mall.clock.set(at("2026-07-13T00:00:00Z"));
    // The last moment of June there, and the first of July.
    mall.earns(ada, a, 1000, "2026-06-30T15:59:59.999999Z")
        .await;
    mall.earns(ada, a, 100, "2026-06-30T16:00:00Z").await;
    mall.spends(ada, b, 1050, "2026-07-02T04:00:00Z").await;
    mall.earns(ada, a, 10, "2026-07-06T04:00:00Z").await;

    let week = mall.closes("2026-W27").await.settlement;
    let of_a = mall.figures("2026-W27").await["a"];
    // 1000 points at 1.20 a hundred and 100 at 1.50; June's fee, June's tax in it.
    assert_eq!((of_a.funded, of_a.fee, of_a.net), (1200 + 150, 700, -2050));
    assert_eq!((of_a.tax_basis_points, of_a.tax_fee), (600, 40));
    assert_eq!(mall.figures("2026-W27").await["b"].net, 1050);
    let paper = mall.paper(week.id, a).await;
    assert_eq!(paper.confirmed_at, Some(at("2026-07-13T00:00:00Z")));
    let due: Vec<_> = paper.payments.iter().map(|due| due.due_on).collect();
    assert!(
        !due.is_empty() && due.iter().all(|day| *day == "2026-07-23".parse().ok()),
        "{due:?}"
    );

    let next = mall.closes("2026-W28").await.settlement;
    let of_a = mall.figures("2026-W28").await["a"];
    assert_eq!((of_a.funded, of_a.fee, of_a.net), (15, 900, -915));
    assert_eq!((of_a.tax_basis_points, of_a.tax_fee), (1300, 104));
    let paper = mall.paper(next.id, a).await;
    assert!(
        paper
            .payments
            .iter()
            .all(|due| due.due_on == "2026-08-02".parse().ok())
    );
    assert_eq!(mall.broken().await, [""; 0]);
}

/// By the day a version begins with a day of its own: nothing lies in between.
#[tokio::test]
async fn an_agreement_begins_between_two_days() {
    let mall = Mall::open_by(Unit::Day, "2026-05-20T00:00:00Z").await;
    let [a] = mall.shops(["a"]).await;
    mall.agrees(a, "2026-06", version(120, 700, 600, 10)).await;
    mall.agrees(a, "2026-07", version(150, 900, 1300, 20)).await;
    let ada = mall.member("1").await;
    mall.clock.set(at("2026-07-13T00:00:00Z"));
    mall.earns(ada, a, 1000, "2026-06-30T15:59:59.999999Z")
        .await;
    mall.earns(ada, a, 100, "2026-06-30T16:00:00Z").await;
    for (day, funded, fee, tax) in [("2026-06-30", 1200, 700, 40), ("2026-07-01", 150, 900, 104)] {
        mall.closes(day).await;
        let of_a = mall.figures(day).await["a"];
        assert_eq!(
            (of_a.funded, of_a.fee, of_a.tax_fee),
            (funded, fee, tax),
            "{day}"
        );
    }
    // The fixed fee is each period's, whether anything happens in it or not.
    mall.closes("2026-07-02").await;
    assert_eq!(mall.figures("2026-07-02").await["a"].net, -900);
    assert_eq!(mall.broken().await, [""; 0]);
}

/// Samoa went from the 29th to the 31st of December 2011. The day in between has no moment, and takes
/// what is reported too late for the day before.
#[tokio::test]
async fn a_day_that_a_zone_left_out_is_closed_like_any_other() {
    let mut mall = Mall::open_in("2011-12-30T10:00:00Z", "Pacific/Apia").await;
    mall.settles_by(Unit::Day).await.unwrap();
    let [a, b] = mall.shops(["a", "b"]).await;
    let ada = mall.member("1").await;
    // 23:59 of the 29th and 00:00 of the 31st there, a minute later.
    mall.earns(ada, a, 100, "2011-12-30T09:59:00Z").await;
    mall.earns(ada, a, 10, "2011-12-30T10:00:00Z").await;
    mall.closes("2011-12-29").await;
    assert_eq!(mall.figures("2011-12-29").await["a"].issued, 100);
    mall.spends(ada, b, 50, "2011-12-30T09:59:30Z").await;
    assert_eq!(mall.figures("2011-12-30").await["b"].net, 50);
    let gone = mall.closes("2011-12-30").await;
    assert!(gone.fresh);
    assert_eq!(gone.settlement.period, period_of("2011-12-30"));
    assert_eq!(mall.figures("2011-12-30").await["b"].net, 50);
    assert_eq!(mall.figures("2011-12-31").await["a"].issued, 10);
    let early = mall.cuts_off(period_of("2011-12-31")).await;
    assert!(matches!(early, Err(SettlementError::PeriodNotOver { .. })));
    assert_eq!(mall.broken().await, [""; 0]);
}

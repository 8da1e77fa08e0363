//! A year of real purchases flows through the mall, and each month settles to zero: against an
//! independent recount that knows nothing of ledgers, lots or slices. Then all its months are closed,
//! one after the other, and what their statements add up to is what the ledger holds of each merchant.
//!
//! Where the published year of purchases lies beside the repository, it is the input, and its known
//! figures must come out; elsewhere the demo mall's purchases are.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    io::Read,
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use rotunda::{
    app::{App, Mall},
    authz::{
        action::{CloseSettlement, PreviewSettlement, ReadStatements, VerifyBooks},
        actor::{Actor, Principal, Reach, Role},
    },
    cli::{
        Output, demo,
        import::{Order, Report, import},
        tenant::apply,
    },
    db::tenants::Schema,
    kernel::{ids::SettlementId, page::Slice},
    reports::proof::prove,
    settlement::{self, State, Statement},
};

use crate::support::{app, books::owner, fresh_slug, instant};

/// One thing that happened, as the recount sees it: when, redemptions first, who, where, how much.
type Event = (String, u8, String, String, i64);

/// What the recount comes to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    purchases: u64,
    members: usize,
    issued: i64,
    redeemed: i64,
    /// By month, (issuer, acceptor): points.
    crossings: BTreeMap<String, BTreeMap<(String, String), i64>>,
    /// By month: merchants with any movement.
    moved: BTreeMap<String, BTreeSet<String>>,
}

fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|ending| ending == "gz") {
        MultiGzDecoder::new(bytes.as_slice())
            .read_to_string(&mut text)
            .unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text
}

/// "12.50" in cents, digit by digit.
fn cents(text: &str) -> i64 {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    whole.parse::<i64>().unwrap() * 100 + format!("{part:0<2}").parse::<i64>().unwrap()
}

/// Counts points with nothing but a queue of (issuer, points) for each member: 3 points per 1.00,
/// floored per receipt; one point pays 0.01; the oldest first, because all live equally long.
fn recount(purchases: &str, redemptions: &str) -> Count {
    let mut baskets: Vec<(String, String)> = Vec::new();
    let mut totals: HashMap<(String, String), (String, String, i64)> = HashMap::new();
    for line in purchases.lines().skip(1) {
        let field: Vec<&str> = line.split(',').collect();
        let key = (field[2].to_owned(), field[0].to_owned());
        let known = totals.entry(key.clone()).or_insert_with(|| {
            baskets.push(key);
            (field[3].to_owned(), field[1].to_owned(), 0)
        });
        known.2 += cents(field[6]);
    }
    let mut events: Vec<Event> = baskets
        .iter()
        .map(|key| {
            let (when, member, total) = totals[key].clone();
            (when, 1, member, key.0.clone(), total)
        })
        .collect();
    for line in redemptions.lines().skip(1) {
        let field: Vec<&str> = line.split(',').collect();
        let (when, member, store) = (
            field[3].to_owned(),
            field[1].to_owned(),
            field[2].to_owned(),
        );
        events.push((when, 0, member, store, cents(field[4])));
    }
    events.sort_by(|one, two| (&one.0, one.1).cmp(&(&two.0, two.1)));
    let mut count = Count {
        purchases: baskets.len() as u64,
        ..Count::default()
    };
    let mut lots: HashMap<String, VecDeque<(String, i64)>> = HashMap::new();
    for (when, kind, member, store, amount) in events {
        let month = when[..7].to_owned();
        let mine = lots.entry(member).or_default();
        if kind == 1 {
            let points = amount * 3 / 100;
            if points > 0 {
                count.issued += points;
                count.moved.entry(month).or_default().insert(store.clone());
                mine.push_back((store, points));
            }
            continue;
        }
        let mut wanted = amount;
        while let Some((issuer, left)) = mine.front_mut().filter(|_| wanted > 0) {
            let part = wanted.min(*left);
            (wanted, *left) = (wanted - part, *left - part);
            count.redeemed += part;
            let pair = (issuer.clone(), store.clone());
            count
                .moved
                .entry(month.clone())
                .or_default()
                .extend([pair.0.clone(), pair.1.clone()]);
            *count
                .crossings
                .entry(month.clone())
                .or_default()
                .entry(pair)
                .or_default() += part;
            if *left == 0 {
                mine.pop_front();
            }
        }
    }
    count.members = lots.len();
    count
}

/// What the recount says that each merchant of a month gets, or pays.
fn nets<'a>(count: &Count, month: &str, moved: &'a BTreeSet<String>) -> BTreeMap<&'a str, i64> {
    let mut nets: BTreeMap<&str, i64> = moved.iter().map(|code| (code.as_str(), 0)).collect();
    let none = BTreeMap::new();
    for ((issuer, acceptor), points) in count.crossings.get(month).unwrap_or(&none) {
        if issuer != acceptor {
            *nets.get_mut(issuer.as_str()).unwrap() -= points;
            *nets.get_mut(acceptor.as_str()).unwrap() += points;
        }
    }
    nets
}

/// Closes every month, the oldest first: each has a statement for every merchant that took part, with
/// the net of the recount, and over the year they add up to what the transfers say.
async fn close_all(app: &App, mall: &Mall, count: &Count) {
    let who = Principal::platform(Some(mall.tenant.id));
    let grant = app.policy.allow::<CloseSettlement>(&who).unwrap();
    let (terms, zone, currency) = (&mall.settlement, mall.tenant.zone, mall.tenant.currency);
    let mut year: BTreeMap<String, [i64; 3]> = BTreeMap::new();
    for (month, moved) in &count.moved {
        let period = month.parse().unwrap();
        let closed = settlement::close_period(&app.db, &grant, period, terms, zone, currency)
            .await
            .unwrap();
        assert!(closed.fresh, "{month}");
        assert!(matches!(
            closed.settlement.state,
            State::Confirmed | State::Closed
        ));
        let all = statements(app, mall, closed.settlement.id).await;
        let found: BTreeMap<&str, i64> = all
            .iter()
            .map(|one| (one.code.as_str(), one.position.net))
            .collect();
        assert_eq!(found, nets(count, month, moved), "{month}");
        for one in all {
            let own = year.entry(one.code.as_str().to_owned()).or_default();
            let figures = [one.position.issued, one.position.redeemed, one.position.net];
            for (sum, figure) in own.iter_mut().zip(figures) {
                *sum += figure;
            }
        }
    }
    let mut sql = owner(&Schema::of(mall.tenant.id).to_string()).await;
    let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
        "select merchant.code,
                coalesce(sum(amount) filter (where source.kind = 'issued'), 0)::bigint,
                coalesce(sum(amount) filter (where target.kind = 'accepted'
                    and target.owner_id = merchant_id), 0)::bigint,
                coalesce(sum(case when target.kind <> 'accepted'
                                      or target.owner_id = target.partner_id then 0
                                  when target.owner_id = merchant_id then value
                                  else -value end), 0)::bigint
         from merchant
         join account as target
           on target.kind in ('wallet', 'accepted')
         join transfer on transfer.to_account = target.account_id
         join account as source on source.account_id = transfer.from_account
         where merchant_id in (source.owner_id, target.owner_id, target.partner_id)
         group by merchant.code",
    )
    .fetch_all(&mut sql)
    .await
    .unwrap();
    let ledger: BTreeMap<String, [i64; 3]> = rows
        .into_iter()
        .map(|(code, issued, redeemed, net)| (code, [issued, redeemed, net]))
        .collect();
    assert_eq!(year, ledger);
}

/// All statements of a settlement, page by page.
async fn statements(app: &App, mall: &Mall, id: SettlementId) -> Vec<Statement> {
    let who = Principal {
        actor: Actor::System,
        tenant: Some(mall.tenant.id),
        role: Role::new("operator.auditor"),
        also: Vec::new(),
        scope: Reach::Mall,
        stores: rotunda::authz::actor::Stores::All,
        own: std::sync::Arc::default(),
        whence: std::sync::Arc::default(),
    };
    let grant = app.policy.allow::<ReadStatements>(&who).unwrap();
    let mut tx = app.db.read(&grant).await.unwrap();
    let (mut slice, mut all) = (
        Slice {
            limit: 50,
            after: None,
        },
        Vec::new(),
    );
    loop {
        let page = settlement::statements(&mut tx, &grant, id, &slice)
            .await
            .unwrap();
        all.extend(page.items);
        slice.after = page.next;
        if slice.after.is_none() {
            return all;
        }
    }
}

const MANIFEST: &str = include_str!("real.toml");

async fn open() -> (App, Mall) {
    let app = app().await;
    // Later than anything in the files, whichever they are.
    app.clock.set(instant("2100-01-01T00:00:00Z"));
    let slug = fresh_slug();
    let file = std::env::temp_dir().join(format!("{slug}.toml"));
    let slugged = format!("slug = \"{slug}\"");
    std::fs::write(&file, MANIFEST.replace("slug = \"real\"", &slugged)).unwrap();
    apply(&app, &file).await.unwrap();
    std::fs::remove_file(&file).unwrap();
    let mall = app.mall_of(&slug).await.unwrap();
    (app, mall)
}

/// Imports the files, twice, and compares every month with the recount.
async fn year(purchases: PathBuf, redemptions: PathBuf) -> Count {
    let count = recount(&read(&purchases), &read(&redemptions));
    let (app, mall) = open().await;
    let order = Order {
        purchases,
        redemptions: Some(redemptions),
        create_missing: true,
        strict: false,
    };
    let report: Report = import(&app, &mall, &order, false).await.unwrap();
    assert!(
        report.is_clean(),
        "{:?} {:?}",
        report.bad,
        report.tally.refusals
    );
    assert_eq!(report.tally.purchases, count.purchases);
    assert_eq!(report.members, i64::try_from(count.members).unwrap());
    let totals = report.totals;
    assert_eq!(
        (totals.issued, totals.redeemed),
        (count.issued, count.redeemed)
    );
    assert_eq!(totals.outstanding, count.issued - count.redeemed);

    let who = Principal::platform(Some(mall.tenant.id));
    let grant = app.policy.allow::<PreviewSettlement>(&who).unwrap();
    let mut tx = app.db.read(&grant).await.unwrap();
    for (month, moved) in &count.moved {
        let period = month.parse().unwrap();
        let preview =
            settlement::preview(&mut tx, &grant, period, &mall.settlement, mall.tenant.zone)
                .await
                .unwrap();
        let nets = nets(&count, month, moved);
        let found: BTreeMap<&str, i64> = preview
            .calculation
            .merchants
            .iter()
            .map(|(merchant, position)| (preview.codes[merchant].as_str(), position.net))
            .collect();
        assert_eq!(found, nets, "{month}");
        assert_eq!(found.values().sum::<i64>(), 0);
    }
    drop(tx);

    app.clock.set(instant("2100-01-02T00:00:00Z"));
    let again = import(&app, &mall, &order, false).await.unwrap();
    assert_eq!((again.tally.purchases, again.tally.redemptions), (0, 0));
    assert_eq!(
        again.totals, totals,
        "what was loaded before is not loaded again"
    );

    close_all(&app, &mall, &count).await;
    let grant = app.policy.allow::<VerifyBooks>(&who).unwrap();
    let mut tx = app.db.read(&grant).await.unwrap();
    let broken: Vec<_> = prove(&mut tx, &grant).await.unwrap();
    let broken: Vec<_> = broken.into_iter().filter(|check| !check.holds).collect();
    assert!(broken.is_empty(), "{broken:?}");
    count
}

#[tokio::test]
async fn a_year_of_purchases_comes_out_as_an_independent_recount_says() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if beside.join("purchases.csv.gz").exists() {
        let count = year(
            beside.join("purchases.csv.gz"),
            beside.join("redemptions.csv.gz"),
        )
        .await;
        assert_eq!((count.purchases, count.members), (78_536, 1_238));
        assert_eq!((count.issued, count.redeemed), (6_871_229, 1_096_363));
        assert_eq!(count.issued - count.redeemed, 5_774_866);
        let june = &count.crossings["2017-06"];
        let crossed = |(pair, points): (&(String, String), &i64)| {
            if pair.0 == pair.1 { 0 } else { *points }
        };
        assert_eq!(count.moved["2017-06"].len(), 171);
        assert_eq!(june.iter().map(crossed).sum::<i64>(), 24_597);
        let whole: i64 = count
            .crossings
            .values()
            .flat_map(|month| month.iter().map(crossed))
            .sum();
        assert_eq!(whole, 322_429);
    } else {
        let folder = std::env::temp_dir().join(fresh_slug());
        std::fs::create_dir(&folder).unwrap();
        demo::export(&folder, None, Output::new(true)).unwrap();
        year(folder.join("purchases.csv"), folder.join("redemptions.csv")).await;
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

//! How long a month takes to close, by the ledger's entries in it and before it.
//!
//!     cargo bench --bench closing
//!
//! A private cluster with `fsync` and `synchronous_commit` on is made for the run and goes away after
//! it. The entries are written by plain SQL, as tills would have left them; preview and close are the
//! program's own. The reference is a plain sum over the month's transfers in the same run. At the
//! end the proof of the books looks at what was closed.
//!
//! - `ROTUNDA_BENCH_ENTRIES`: transfers in the month that is closed (10,000,000)
//! - `ROTUNDA_BENCH_HISTORY`: transfers in the month before it, which is left open (the same)
//! - `ROTUNDA_BENCH_MERCHANTS`: merchants (500)
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a measurement that meets the unexpected ends, and its figures are fractions"
)]

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use mimalloc::MiMalloc;
use rotunda::{
    app::App,
    authz::{
        action::{CloseSettlement, PreviewSettlement, VerifyBooks},
        actor::Principal,
    },
    cli::tenant::apply,
    config::{Config, Given},
    db::{embedded::Cluster, tenants::Schema},
    kernel::{
        ids::Entropy,
        time::{Clock, Period},
    },
    reports::proof::prove,
    settlement,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const MALL: &str = r#"
slug = "closing"
hosts = ["closing.localhost"]
names = { en = "Closing" }
languages = ["en"]
time_zone = "UTC"
currency = "USD"
calling_code = "1"
[earning]
rules = [{ code = "base", points = 1, per = "1.00" }]
[expiry]
policy = "never"
[spending]
points = 100
worth = "1.00"
[settlement]
model = "bilateral"
points = 100
worth = "1.00"
fee_basis_points = 200
"#;

/// How many entries one statement writes.
const SLICE: i64 = 1_000_000;

fn setting(name: &str, default: i64) -> i64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

/// The folder of the run; whatever way it ends, cluster and folder go.
struct Site(PathBuf);

impl Drop for Site {
    fn drop(&mut self) {
        let stop =
            "kill $(head -n 1 \"$0\"/data-*/postmaster.pid) 2>/dev/null; sleep 1; rm -rf \"$0\"";
        drop(Command::new("sh").arg("-c").arg(stop).arg(&self.0).status());
    }
}

/// What the closed month and the one before hold: of every two entries the first gives 100 points at
/// one merchant, and the second takes 60 of them at another.
async fn fill(admin: &mut PgConnection, month: &str, from: i64, entries: i64, merchants: i64) {
    let mut done = 0;
    while done < entries {
        let (first, last) = (from + done, from + (done + SLICE).min(entries) - 1);
        let sql = format!(
            "with entry as materialized (
                 select number, number / 2 as sale, number % 2 = 1 as taken,
                        number / 2 % {merchants} as issuer,
                        (number / 2 * 7 + 1) % {merchants} as taker
                 from generate_series({first}::bigint, {last}::bigint) as series (number)
             ), lots as (
                 insert into lot (lot_id, member_id, merchant_id, store_id, journal_id, points,
                     remaining, expired, clawed, owed, worth, worth_left, earned_at)
                 select pg_temp.id(3, sale), pg_temp.id(2, sale % 50000), pg_temp.id(1, issuer),
                     pg_temp.id(1, issuer), pg_temp.id(4, number), 100, 40, 0, 0, 0, 100, 40,
                     '{month}-02Z'
                 from entry where not taken
             ), journals as (
                 insert into journal (journal_id, kind, member_id, seq, points, balance_after,
                     merchant_id, store_id, source_id, posted_in, late, occurred_at, posted_at, actor)
                 select pg_temp.id(4, number), case when taken then 'spend' else 'purchase' end,
                     pg_temp.id(2, sale % 50000), number, 60, 0, pg_temp.id(1, issuer), null,
                     pg_temp.id(4, number), '{month}-01', false, '{month}-02Z', '{month}-02Z',
                     'system'
                 from entry
             )
             insert into transfer (journal_id, line, from_account, to_account, amount, value, lot_id,
                 earned_at, posted_in)
             select pg_temp.id(4, number), 0,
                 case when taken then pg_temp.id(6, sale % 50000) else pg_temp.id(5, issuer) end,
                 case when taken then pg_temp.id(7, taker * {merchants} + issuer)
                     else pg_temp.id(6, sale % 50000) end,
                 case when taken then 60 else 100 end, case when taken then 60 else 100 end,
                 pg_temp.id(3, sale), '{month}-02Z', '{month}-01'
             from entry"
        );
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut *admin)
            .await
            .unwrap();
        done += SLICE;
    }
}

async fn merchants_and_accounts(admin: &mut PgConnection, schema: &str, merchants: i64) {
    let sql = format!(
        "set search_path = {schema};
         create function pg_temp.id(kind int, number bigint) returns uuid immutable language sql as
             $$ select (lpad(to_hex(kind), 8, '0') || lpad(to_hex(number), 24, '0'))::uuid $$;
         insert into merchant (merchant_id, code, names, trade, earns, spends, status, created_at,
             changed_at)
         select pg_temp.id(1, number), 'm-' || number, '{{\"en\": \"M\"}}', 'tea', true, true,
             'active', '2026-01-01Z', '2026-01-01Z'
         from generate_series(0, {merchants} - 1) as series (number);
         insert into account (account_id, kind, owner_id, partner_id, unit)
         select pg_temp.id(5, number), 'issued', pg_temp.id(1, number), null::uuid, 'points'
         from generate_series(0, {merchants} - 1) as series (number)
         union all
         select pg_temp.id(6, number), 'wallet', pg_temp.id(2, number), null, 'points'
         from generate_series(0, 49999) as series (number)
         union all
         select pg_temp.id(7, number), 'accepted', pg_temp.id(1, number / {merchants}),
             pg_temp.id(1, number % {merchants}), 'points'
         from generate_series(0, {merchants} * {merchants} - 1) as series (number);"
    );
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(admin)
        .await
        .unwrap();
}

/// The most memory that this process ever held, in MB.
fn peak() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes / 1024.0
}

fn say(what: &str, took: Duration, millions: f64) {
    let seconds = took.as_secs_f64();
    println!(
        "{what:<44} {seconds:>8.2} s  {:>6.2} s per million",
        seconds / millions
    );
}

#[tokio::main]
async fn main() {
    let entries = setting("ROTUNDA_BENCH_ENTRIES", 10_000_000);
    let history = setting("ROTUNDA_BENCH_HISTORY", entries);
    let merchants = setting("ROTUNDA_BENCH_MERCHANTS", 500);
    let millions = entries as f64 / 1e6;
    let folder = std::env::temp_dir().join(format!("rotunda-closing-{}", std::process::id()));
    let site = Site(folder);
    let cluster = Cluster::share(&site.0).await.unwrap();
    let url = cluster.admin_url();
    let env = |name: &str| (name == "DATABASE_URL").then(|| url.clone());
    let config = Config::load(Given::default(), None, env).unwrap();
    let app = App::open_with(config, Clock::System, Entropy::System)
        .await
        .unwrap();
    app.db.prepare().await.unwrap();
    let manifest = site.0.join("closing.toml");
    fs::write(&manifest, MALL).unwrap();
    let tenant = apply(&app, &manifest).await.unwrap().tenant;
    let schema = Schema::of(tenant.id).to_string();

    let mut admin = PgConnection::connect(&url).await.unwrap();
    merchants_and_accounts(&mut admin, &schema, merchants).await;
    let filling = Instant::now();
    fill(&mut admin, "2026-05", 0, history, merchants).await;
    fill(&mut admin, "2026-06", history, entries, merchants).await;
    sqlx::raw_sql("vacuum analyze")
        .execute(&mut admin)
        .await
        .unwrap();
    println!(
        "{entries} entries of {merchants} merchants after {history} earlier ones: written in {:.0} s",
        filling.elapsed().as_secs_f64()
    );

    let sum = "select count(*), sum(amount)::bigint from transfer where posted_in = '2026-06-01'";
    for _ in 0..2 {
        let begun = Instant::now();
        let (found, _): (i64, i64) = sqlx::query_as(sum).fetch_one(&mut admin).await.unwrap();
        assert_eq!(found, entries);
        say(
            "reference: a plain sum over the month",
            begun.elapsed(),
            millions,
        );
    }
    measure(&app, millions).await;
    prove_all(&app).await;
    println!("memory of this process at most {:.0} MB", peak());
    app.close().await.unwrap();
}

/// Previews, ends the posting, closes.
async fn measure(app: &App, millions: f64) {
    let mall = app.mall_of("closing").await.unwrap();
    let month: Period = "2026-06".parse().unwrap();
    let (terms, zone) = (&mall.settlement, mall.tenant.zone);
    let vendor = Principal::platform(Some(mall.tenant.id));
    let grant = app.policy.allow::<PreviewSettlement>(&vendor).unwrap();
    for _ in 0..2 {
        let begun = Instant::now();
        let mut tx = app.db.read(&grant).await.unwrap();
        let preview = settlement::preview(&mut tx, &grant, month, terms, zone)
            .await
            .unwrap();
        assert_eq!(preview.calculation.sum(), Ok(0));
        say("preview", begun.elapsed(), millions);
    }
    let grant = app.policy.allow::<CloseSettlement>(&vendor).unwrap();
    let begun = Instant::now();
    let currency = mall.tenant.currency;
    settlement::close_period(&app.db, &grant, month, terms, zone, currency)
        .await
        .unwrap();
    say("close", begun.elapsed(), millions);
    let begun = Instant::now();
    settlement::listed::go_on(&app.db, &grant, month, |_| {})
        .await
        .unwrap();
    say("its lines, listed behind it", begun.elapsed(), millions);
}

/// What the proof says of settlements; the rest of the books was not written as tills write it.
async fn prove_all(app: &App) {
    let mall = app.mall_of("closing").await.unwrap();
    let vendor = Principal::platform(Some(mall.tenant.id));
    let grant = app.policy.allow::<VerifyBooks>(&vendor).unwrap();
    let mut tx = app.db.read(&grant).await.unwrap();
    let checks = prove(&mut tx, &grant).await.unwrap();
    let of_months = checks
        .iter()
        .filter(|check| check.name.starts_with("settlement-"));
    for check in of_months {
        assert!(check.holds, "{check:?}");
    }
}

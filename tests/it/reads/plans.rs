//! What the product's queries touch, seen by `explain (analyze, buffers)`.

use std::{collections::BTreeSet, fs, time::Instant};

use rotunda::{
    authz::action::{CreateGood, RecordPurchase},
    db::tenants::Schema,
    kernel::text::{Language, Names},
    ledger,
    redemption::{self, GoodKind, GoodListing},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::support::{Mall, books, books::owner, code, settling};

/// What one run of a query did.
#[derive(Debug)]
struct Run {
    /// Pages touched, in memory or not.
    pages: i64,
    /// The indexes that it went by.
    indexes: BTreeSet<String>,
    /// The tables that it read from end to end.
    scanned: BTreeSet<String>,
    /// The most rows that one part of it came upon.
    most_rows: i64,
    /// How long it took, in milliseconds, without planning.
    took: f64,
}

impl Run {
    fn of(plan: &Value) -> Self {
        let mut run = Self {
            pages: 0,
            indexes: BTreeSet::new(),
            scanned: BTreeSet::new(),
            most_rows: 0,
            took: plan[0]["Execution Time"].as_f64().unwrap(),
        };
        let root = &plan[0]["Plan"];
        run.pages = ["Shared Hit Blocks", "Shared Read Blocks"]
            .iter()
            .map(|name| root[*name].as_i64().unwrap())
            .sum();
        run.look(root);
        run
    }

    fn look(&mut self, node: &Value) {
        if let Some(index) = node["Index Name"].as_str() {
            self.indexes.insert(index.to_owned());
        }
        if node["Node Type"] == "Seq Scan" {
            self.scanned
                .insert(node["Relation Name"].as_str().unwrap().to_owned());
        }
        let number = |name: &str| node[name].as_f64().unwrap_or_default();
        let dropped = number("Rows Removed by Filter");
        let rows = (number("Actual Rows") + dropped) * number("Actual Loops");
        self.most_rows = self.most_rows.max(rows as i64);
        for part in node["Plans"].as_array().into_iter().flatten() {
            self.look(part);
        }
    }
}

/// The one checked query of the product with these words in it.
fn query(words: &[&str]) -> String {
    let mut found = Vec::new();
    for entry in fs::read_dir("migrations/.sqlx").unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let described: Value = serde_json::from_str(&text).unwrap();
        let query = described["query"].as_str().unwrap();
        if words.iter().all(|word| query.contains(word)) {
            found.push(query.to_owned());
        }
    }
    assert_eq!(found.len(), 1, "{words:?}: {found:?}");
    found.remove(0)
}

/// Runs a query with these arguments, planned for any arguments or for these.
async fn explain(sql: &mut PgConnection, query: &str, arguments: &str, generic: bool) -> Run {
    let mode = if generic {
        "force_generic_plan"
    } else {
        "force_custom_plan"
    };
    for statement in [
        format!("set plan_cache_mode = {mode}"),
        "deallocate all".to_owned(),
        format!("prepare asked as {query}"),
        // What is read for the first time is set up first.
        format!("execute asked ({arguments})"),
    ] {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *sql)
            .await
            .unwrap();
    }
    let explain = format!("explain (analyze, buffers, format json) execute asked ({arguments})");
    let plan: Value = sqlx::query_scalar(AssertSqlSafe(explain))
        .persistent(false)
        .fetch_one(&mut *sql)
        .await
        .unwrap();
    Run::of(&plan)
}

async fn run(sql: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
        .execute(sql)
        .await
        .unwrap();
}

/// A member's id by the number of her lines.
fn member_of(lines: i64) -> String {
    format!("00000000-0000-7000-8000-{lines:012}")
}

/// Members with 10, 20, 9,000 and 10,000 lines among thousands with five each. Of each member's
/// purchases the last five have points left, and of the first three they have lapsed; whoever has
/// 9,000 hoards and has spent none, thirty of which lapse in each month.
async fn crowd(sql: &mut PgConnection) {
    run(
        sql,
        "create temporary table person as
             select member_id, lines from (values
                 ('00000000-0000-7000-8000-000000000010'::uuid, 10),
                 ('00000000-0000-7000-8000-000000000020'::uuid, 20),
                 ('00000000-0000-7000-8000-000000009000'::uuid, 9000),
                 ('00000000-0000-7000-8000-000000010000'::uuid, 10000)) as one (member_id, lines)
             union all
             select gen_random_uuid(), 5 from generate_series(1, 5000);
         insert into merchant select gen_random_uuid(), 'm' || n, '{\"en\": \"M\"}', 'tea', true,
             true, 'active', '2026-01-01Z', '2026-01-01Z' from generate_series(1, 100) as n;
         create temporary table place as
             select merchant_id, gen_random_uuid() as store_id, row_number() over () as number
             from merchant;
         insert into store select store_id, merchant_id, 's' || number, '{\"en\": \"S\"}', true,
             true, 'active', '2026-01-01Z', '2026-01-01Z' from place;
         insert into member (member_id, card_number, phone, enrolled_at)
             select member_id, 'card-' || row_number() over (),
                 '+8613' || lpad(row_number() over ()::text, 9, '0'), '2026-01-01Z' from person;
         insert into wallet select member_id, 80, 0, 0, lines from person;
         create temporary table event as
             select gen_random_uuid() as id, member_id, lines, seq, merchant_id, store_id
             from person
             cross join lateral generate_series(1, lines) as seq
             join place on number = 1 + seq % 100
             order by seq * 10000 / lines, member_id;
         insert into journal select id, 'purchase', member_id, seq, 10, 10 * seq, merchant_id,
             store_id, id, null, '2026-01-01', false, '2026-01-05Z', '2026-01-05Z', 'system'
             from event;
         insert into lot select id, member_id, merchant_id, store_id, id, 10,
             case when seq <= 3 or seq > lines - 5 or lines = 9000 then 10 else 0 end, 0, 0, 0, 10, 0,
             '2026-01-05Z', case when seq <= 3 then timestamptz '2026-02-01Z'
                 else timestamptz '2026-06-01Z' + seq / 30 * interval '1 month' end
             from event;
         analyze journal, lot, member, merchant, store, wallet",
    )
    .await;
}

#[tokio::test]
async fn ten_thousand_lines_are_read_like_ten() {
    let mall = books::Mall::open().await;
    let mut sql = mall.owner().await;
    crowd(&mut sql).await;
    let home = query(&["due.lapsed", "soonest"]);
    let balance = query(&["lapsed.points", "worth_left"]);
    let history = query(&["from wallet", "line.posted_at"]);
    for (name, query, arguments) in [
        ("home", &home, ", '2026-03-02Z', 20, null"),
        ("balance", &balance, ", '2026-03-02Z', 201, null"),
        ("history", &history, ", 9223372036854775807, 21"),
    ] {
        for generic in [true, false] {
            let mut runs = Vec::new();
            for lines in [10, 20, 10_000] {
                let arguments = format!("'{}'{arguments}", member_of(lines));
                runs.push(explain(&mut sql, query, &arguments, generic).await);
            }
            let pages: Vec<i64> = runs.iter().map(|run| run.pages).collect();
            let took: Vec<f64> = runs.iter().map(|run| run.took).collect();
            println!("{name}, generic {generic}: {pages:?} pages, {took:?} ms, {runs:?}");
            for run in &runs {
                let large = ["journal", "lot", "wallet", "member"];
                assert!(!run.scanned.iter().any(|table| large.contains(&&**table)));
            }
            // A page of lines is twice ten of them.
            assert!(pages[2] <= 2 * pages[0] + 4, "{name}: {pages:?}");
            assert!(pages[2] <= pages[1] + pages[1] / 4 + 4, "{name}: {pages:?}");
            let hoarder = format!("'{}'{arguments}", member_of(9000));
            let hoarder = explain(&mut sql, query, &hoarder, generic).await;
            println!("{name}, generic {generic}: who hoards {hoarder:?}");
            // What lapses in one month, a full list of lots, and no more.
            assert!(hoarder.most_rows <= 220, "{name}: {hoarder:?}");
        }
    }
}

#[tokio::test]
async fn a_member_is_found_by_one_index_whichever_number_is_shown() {
    let mall = books::Mall::open().await;
    let mut sql = mall.owner().await;
    crowd(&mut sql).await;
    for (index, column, argument) in [
        ("member_pkey", "where member_id = $1", member_of(10)),
        (
            "member_phone_key",
            "where phone = $1",
            "+8613000000077".to_owned(),
        ),
        (
            "member_card_key",
            "where card_number = $1",
            "card-77".to_owned(),
        ),
    ] {
        let query = query(&["phone, card_number, enrolled_at", "from member", column]);
        for generic in [true, false] {
            let run = explain(&mut sql, &query, &format!("'{argument}'"), generic).await;
            assert_eq!(run.indexes, BTreeSet::from([index.to_owned()]), "{run:?}");
            assert!(run.pages <= 4 && run.most_rows == 1, "{run:?}");
        }
    }
}

/// How many lines each of a hundred merchants has in the month.
const LINES: i64 = 2000;

#[tokio::test]
async fn a_merchants_page_reads_no_other_merchants_lines() {
    let mall = settling::Mall::open("2026-07-02T00:00:00Z").await;
    let mut sql = mall.admin().await;
    // Each merchant issues; every tenth line is taken by its neighbour, which concerns both.
    run(
        &mut sql,
        &format!(
            "create temporary table shop as
                 select gen_random_uuid() as merchant_id, n from generate_series(0, 99) as n;
             insert into account select merchant_id, 'issued', merchant_id, null, 'points'
                 from shop;
             insert into account select gen_random_uuid(), 'accepted', taker.merchant_id,
                 issuer.merchant_id, 'points'
                 from shop as issuer join shop as taker on taker.n = (issuer.n + 1) % 100;
             insert into account select '00000000-0000-7000-8000-000000000001', 'wallet',
                 '00000000-0000-7000-8000-000000000001', null, 'points';
             create temporary table event as
                 select gen_random_uuid() as id, merchant_id, n, line % 10 = 0 as taken
                 from generate_series(1, {LINES}) as line cross join shop;
             insert into journal select id, 'purchase', null, null, 1, 1, merchant_id, null, id,
                 null, '2026-06-01', false, '2026-06-05Z', '2026-06-05Z', 'system' from event;
             insert into lot select id, '00000000-0000-7000-8000-000000000001', merchant_id,
                 merchant_id, id, 1, 0, 0, 0, 0, 1, 0, '2026-06-05Z', null from event;
             insert into transfer select id, 0, merchant_id,
                 '00000000-0000-7000-8000-000000000001', 1, 1, id, '2026-06-01', '2026-06-05Z'
                 from event where not taken;
             insert into transfer select id, 0, '00000000-0000-7000-8000-000000000001',
                 account.account_id, 1, 1, id, '2026-06-01', '2026-06-05Z'
                 from event
                 join account on account.kind = 'accepted' and partner_id = merchant_id
                 where taken;
             analyze account, journal, lot, transfer"
        ),
    )
    .await;
    let grant = mall.grant::<RecordPurchase>();
    let mut tx = mall.db.write(&grant).await.unwrap();
    let start = Instant::now();
    let june = settling::period_of("2026-06");
    let flows = ledger::flows(&mut tx, june, &[]).await.unwrap();
    let points: i64 = flows.sums.iter().map(|flow| flow.points).sum();
    assert_eq!(
        (flows.sums.len(), flows.lines, points),
        (200, LINES * 100, LINES * 100)
    );
    ledger::begin_listing(&mut tx, june, flows.lines)
        .await
        .unwrap();
    while !ledger::list_on(&mut tx, june, 7_000)
        .await
        .unwrap()
        .complete
    {}
    println!(
        "{} lines written down in {:?}",
        LINES * 100,
        start.elapsed()
    );
    tx.commit().await.unwrap();
    run(&mut sql, "analyze month_line").await;
    let merchant: uuid::Uuid = sqlx::query_scalar("select merchant_id from shop where n = 7")
        .fetch_one(&mut sql)
        .await
        .unwrap();
    let listed: i64 = sqlx::query_scalar(
        "select sum(cardinality(lines))::bigint from month_line where merchant_id = $1",
    )
    .bind(merchant)
    .fetch_one(&mut sql)
    .await
    .unwrap();
    assert_eq!(listed, LINES + LINES / 10, "its own, and what it took");

    let query = query(&["wanted as materialized"]);
    let (mut after, mut seen) = ("00000000-0000-0000-0000-000000000000".to_owned(), 0);
    for generic in [true, false] {
        for page in 0..3 {
            let arguments = format!("'2026-06-01', '{merchant}', '{after}', -1, 101, 64");
            let run = explain(&mut sql, &query, &arguments, generic).await;
            println!("page {page}: {run:?}");
            assert!(run.most_rows <= 4 * 64, "{run:?}");
            assert!(run.pages <= 101 * 18, "{run:?}");
            assert!(run.indexes.contains("month_line_pkey"), "{run:?}");
            let large = ["journal", "lot", "transfer", "month_line"];
            assert!(!run.scanned.iter().any(|table| large.contains(&&**table)));
            seen += 1;
            after = format!("{:08x}-0000-7000-8000-000000000000", 0x2000_0000u32 * seen);
        }
        after = "f0000000-0000-7000-8000-000000000000".to_owned();
    }
}

/// How many goods the large catalogue has.
const GOODS: i64 = 20_000;

#[tokio::test]
async fn a_word_is_found_in_a_large_catalogue_by_the_index_that_fits_it() {
    let mall = Mall::open().await;
    let mut sql = owner(&Schema::of(mall.tenant.id).to_string()).await;
    // As the product writes one, many times over with other characters.
    let grant = mall.grant::<CreateGood>("operator.marketing", rotunda::authz::actor::Reach::Mall);
    let shop = books_shop(&mall).await;
    let mut tx = mall.app.db.write(&grant).await.unwrap();
    let listing = GoodListing {
        code: code("rare"),
        names: Names::new([("en", "Oolong tea"), (Language::ZhCn.tag(), "冻顶乌龙茶")]).unwrap(),
        kind: GoodKind::Pickup,
        points: 5,
        stock: 5,
        per_member_day: None,
        per_member_month: None,
        offered_by: vec![shop],
    };
    redemption::create_good(&mut tx, &grant, &listing)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    run(
        &mut sql,
        &format!(
            "create temporary table fresh as
                 select n, 'g' || lpad(n::text, 8, '0') as code,
                     chr(19968 + n * 7919 % 3000) || chr(19968 + n * 104729 % 3000)
                         || case when n % 3 = 0 then '牛奶' else chr(19968 + n * 31 % 3000) end
                         as name
                 from generate_series(1, {GOODS}) as n;
             insert into good select gen_random_uuid(), code, jsonb_build_object('zh-CN', name),
                 'pickup', 5, 5, null, null, '2026-01-01Z', '2026-01-01Z',
                 code || E'\\n' || name,
                 (select array_agg(distinct letters)
                  from regexp_split_to_table(code || E'\\n' || name, '\\s+') as word
                  cross join lateral generate_series(1, char_length(word)) as place
                  cross join lateral (values (substr(word, place, 1)),
                      (substr(word, place, 2))) as piece (letters))
                 from fresh;
             analyze good"
        ),
    )
    .await;
    let query = query(&["search_pieces @>"]);
    for (pieces, pattern, rare) in [
        ("{乌龙}", "{%乌龙%}", true),
        ("{顶}", "{%顶%}", true),
        ("{没有}", "{%没有%}", true),
        ("{牛奶,丁}", "{%牛奶%,%丁%}", true),
        ("{牛奶}", "{%牛奶%}", false),
        ("{g0}", "{%g0%}", false),
    ] {
        // The product asks for a plan for just these words.
        let arguments = format!("'{pieces}', '{pattern}', '', 21");
        let run = explain(&mut sql, &query, &arguments, false).await;
        println!("{pieces}: {run:?}");
        assert!(!run.scanned.contains("good"), "{run:?}");
        assert!(run.most_rows <= 100, "{run:?}");
        assert_eq!(run.indexes.contains("good_search_idx"), rare, "{run:?}");
    }
}

/// A merchant of a mall without any.
async fn books_shop(mall: &Mall) -> rotunda::kernel::text::Code {
    use rotunda::{authz::action::CreateMerchant, merchants};
    let grant = mall.vendor::<CreateMerchant>();
    let mut tx = mall.app.db.write(&grant).await.unwrap();
    let code = code("tea");
    merchants::create_by_code(&mut tx, &grant, std::slice::from_ref(&code))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    code
}

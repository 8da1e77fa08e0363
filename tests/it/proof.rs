//! The proof of the books: it finds nothing in sound books, and exactly what was broken in others.

mod credit;
mod stripe;

use std::collections::BTreeSet;

use rotunda::{
    kernel::ids::{LotId, MemberId},
    merchants::agreements::AgreementTerms,
    settlement::{Course, disputes::Outcome},
};

use crate::support::{
    sealing::seal_in,
    settling::{Earned, Mall, Shop, Spent, at},
};

/// A mall in which everything has happened once.
struct Busy {
    mall: Mall,
    shops: [Shop; 3],
    ada: MemberId,
    sale: Earned,
    spent: Spent,
    used_up: LotId,
}

async fn busy() -> Busy {
    let mut mall = Mall::open("2026-07-02T00:00:00Z").await;
    mall.terms.fee_basis_points = 200;
    let shops @ [a, b, c] = mall.shops(["a", "b", "c"]).await;
    let (ada, bob) = (mall.member("1").await, mall.member("2").await);
    let end = Some("2026-06-20T00:00:00Z");
    mall.earns_until(ada, a, 30, "2026-06-01T03:00:00Z", end)
        .await;
    let sale = mall.earns(ada, a, 600, "2026-06-01T04:00:00Z").await;
    mall.earns(ada, b, 400, "2026-06-02T04:00:00Z").await;
    let spent = mall.spends(ada, c, 425, "2026-06-03T04:00:00Z").await;
    mall.gives_back(ada, c, spent, 50, "2026-06-04T04:00:00Z")
        .await;
    mall.refunds(ada, a, sale, 100, "2026-06-05T04:00:00Z")
        .await;
    mall.reserves(ada, 20, "2026-06-06T04:00:00Z").await;
    let good = mall.reserves(ada, 10, "2026-06-07T04:00:00Z").await;
    mall.claims(ada, b, good, "2026-06-08T04:00:00Z").await;
    mall.earns_until(bob, a, 40, "2026-06-01T03:00:00Z", end)
        .await;
    mall.lapses(bob, "2026-06-21T04:00:00Z").await;
    let used_up = mall.earns(bob, b, 70, "2026-06-22T04:00:00Z").await;
    mall.spends(bob, c, 70, "2026-06-23T04:00:00Z").await;
    mall.refunds(bob, b, used_up, 70, "2026-06-24T04:00:00Z")
        .await;
    mall.terms.course = Course::default();
    let june = mall.closed_and_issued("2026-06").await.id;
    let own = mall.statement_of(june, a).await;
    let dispute = mall.objects(a, own, spent.journal, 1).await.unwrap();
    mall.clock.set(at("2026-07-08T00:00:00Z"));
    assert_eq!(mall.confirms_what_is_due().await, 1);
    let decided = mall.decides(5, dispute.id, Outcome::Rejected).await;
    decided.unwrap();
    mall.earns(ada, c, 15, "2026-07-04T04:00:00Z").await;
    mall.adjusts(ada, c, 5, "2026-07-05T04:00:00Z").await;
    mall.adjusts(ada, c, -4, "2026-07-06T04:00:00Z").await;
    mall.agrees(c, "2026-08", AgreementTerms::default()).await;
    Busy {
        mall,
        shops,
        ada,
        sale,
        spent,
        used_up: used_up.lot,
    }
}

#[tokio::test]
async fn sound_books_prove_to_be_sound_and_the_sums_add_up() {
    let Busy { mall, .. } = busy().await;
    seal_in(&mall.db, &mall.policy, mall.tenant.id, true).await;
    for check in mall.proof().await {
        assert!(check.holds, "{check:?}");
        let empty = ["wall-schemas", "key-once"].contains(&check.name)
            || credit::CHECKS.contains(&check.name)
            || stripe::CHECKS.contains(&check.name);
        assert!(
            check.counted > 0 || empty,
            "{} looked at nothing",
            check.name
        );
    }
    let grant = mall.grant::<rotunda::authz::action::VerifyBooks>();
    let mut tx = mall.db.read(&grant).await.unwrap();
    let sums = rotunda::reports::totals::totals(&mut tx, &grant)
        .await
        .unwrap();
    assert_eq!(sums.issued, 30 + 600 + 400 + 40 + 70 + 15 + 5);
    assert_eq!(sums.redeemed, 425 - 50 + 10 + 70);
    assert_eq!((sums.expired, sums.held, sums.owed), (40 + 4, 20, 70));
    assert_eq!(
        sums.issued - sums.taken_back,
        sums.redeemed + sums.expired + sums.outstanding + sums.held - sums.owed
    );
}

/// A row broken on purpose: what is done to it, and the checks that must say so, no others.
struct Damage {
    sql: String,
    finds: &'static [&'static str],
    undo: &'static str,
}

fn damage(sql: impl Into<String>, finds: &'static [&'static str]) -> Damage {
    let sql = sql.into();
    Damage {
        sql,
        finds,
        undo: "",
    }
}

#[tokio::test]
async fn each_kind_of_damage_is_found_by_its_own_check() {
    let busy = busy().await;
    let mall = &busy.mall;
    save(mall).await;
    let all = ledger_damage(&busy)
        .into_iter()
        .chain(history_damage(&busy))
        .chain(trade_damage(&busy))
        .chain(settlement_damage())
        .chain(period_damage())
        .chain(audit_damage())
        .chain(wall_damage());
    let names = mall.proof().await.into_iter().map(|check| check.name);
    let names = names
        .filter(|name| !credit::CHECKS.contains(name) && !stripe::CHECKS.contains(name))
        .collect();
    finds(mall, all, names).await;
}

/// Does all damage, one after the other, and sees that just the checks find it that should; each of
/// `unseen` at least once.
async fn finds(
    mall: &Mall,
    all: impl IntoIterator<Item = Damage>,
    mut unseen: BTreeSet<&'static str>,
) {
    let mut wrong = Vec::new();
    for Damage { sql, finds, undo } in all {
        mall.as_admin(&sql).await;
        let mut found = mall.broken().await;
        found.sort_unstable();
        unseen.retain(|name| !found.contains(name));
        let mut wanted = finds.to_vec();
        wanted.sort_unstable();
        if found != wanted {
            wrong.push(format!("{sql}\n   wanted {wanted:?}\n   found  {found:?}"));
        }
        mall.as_admin(undo).await;
        restore(mall).await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(unseen.is_empty(), "nothing was broken for {unseen:?}");
    assert_eq!(mall.broken().await, [""; 0]);
}

/// Keeps a copy of every table.
async fn save(mall: &Mall) {
    mall.as_admin(
        "do $$ declare name text; begin
            for name in select tablename from pg_tables where schemaname = current_schema()
                and tablename <> '_sqlx_migrations'
            loop execute format('create table saved_%s as table %I', name, name); end loop;
         end $$",
    )
    .await;
}

async fn restore(mall: &Mall) {
    mall.as_admin(
        "set session_replication_role = replica;
         do $$ declare name text; begin
            for name in select substr(tablename, 7) from pg_tables
                where schemaname = current_schema() and tablename like 'saved\\_%'
            loop
                execute format('delete from %I', name);
                execute format('insert into %I table saved_%s', name, name);
            end loop;
         end $$",
    )
    .await;
}

fn ledger_damage(busy: &Busy) -> Vec<Damage> {
    let (ada, lot) = (busy.ada.uuid(), busy.sale.lot.uuid());
    let [_, b, _] = busy.shops.map(|shop| shop.merchant.uuid());
    let of_ada = format!("where member_id = '{ada}'");
    vec![
        damage(
            format!("update wallet set available = available + 1 {of_ada}"),
            &["wallet-available", "history-end"],
        ),
        damage(
            format!("update wallet set held = held + 1 {of_ada}"),
            &["wallet-held"],
        ),
        damage(
            format!("update wallet set debt = debt + 1, available = available + 1 {of_ada}"),
            &["wallet-debt", "wallet-available"],
        ),
        damage(
            format!("update wallet set seq = seq + 1 {of_ada}"),
            &["history-end"],
        ),
        damage(
            "insert into member (member_id, card_number, enrolled_at)
             values (gen_random_uuid(), '9', '2026-07-01')",
            &["wallet-owner"],
        ),
        damage(
            format!("update lot set remaining = remaining - 1 where lot_id = '{lot}'"),
            &["lot-left", "wallet-available"],
        ),
        damage(
            format!("update lot set worth_left = worth_left - 1 where lot_id = '{lot}'"),
            &["lot-left"],
        ),
        damage(
            format!("update lot set worth = worth + 1 where lot_id = '{lot}'"),
            &["lot-issued"],
        ),
        damage(
            format!("update lot set expired = expired + 1 where lot_id = '{lot}'"),
            &["lot-parts"],
        ),
        damage(
            format!("update lot set merchant_id = '{b}' where lot_id = '{lot}'"),
            &[
                "dispute-line",
                "lot-issued",
                "lot-traced",
                "purchase-earned",
                "settlement-lines",
                "settlement-recount",
            ],
        ),
        damage(
            format!("update lot set only_at = '{b}' where lot_id = '{lot}'"),
            &["lot-traced"],
        ),
        damage(
            "update points_adjustment set points = points + 1 where points > 0",
            &["adjustment-posted"],
        ),
        damage(
            "update deficit set remaining = remaining - 1",
            &["wallet-debt"],
        ),
    ]
}

fn history_damage(busy: &Busy) -> Vec<Damage> {
    let of_ada = format!("where member_id = '{}'", busy.ada.uuid());
    let [a, ..] = busy.shops.map(|shop| shop.merchant.uuid());
    let spend = busy.spent.journal.uuid();
    let other_month = "'2026-08-01'";
    vec![
        damage(
            format!("update journal set balance_after = balance_after + 1 {of_ada} and seq = 3"),
            &["history-order"],
        ),
        damage(
            format!("update journal set points = points + 1 {of_ada} and seq = 3"),
            &["history-order", "history-moves"],
        ),
        damage(
            format!("update journal set seq = seq + 1000 {of_ada} and seq = 3"),
            &["history-order", "history-end"],
        ),
        damage(
            format!("update journal set posted_in = {other_month} where journal_id = '{spend}'"),
            &["transfers-complete"],
        ),
        damage(
            format!(
                "update transfer set value = value + 1 where journal_id = '{spend}' and line = 0"
            ),
            &["lot-left", "settlement-recount"],
        ),
        damage(
            format!(
                "update transfer set earned_at = earned_at + interval '1 second'
                 where journal_id = '{spend}' and line = 0"
            ),
            &["lot-traced"],
        ),
        damage(
            format!(
                "update transfer set lot_id = '{}' where journal_id = '{spend}' and line = 0",
                busy.used_up.uuid()
            ),
            &[
                "lot-floor",
                "lot-left",
                "lot-parts",
                "lot-traced",
                "settlement-lines",
                "settlement-recount",
            ],
        ),
        damage(
            format!(
                "update transfer set from_account = gen_random_uuid()
                 where journal_id = '{spend}' and line = 0"
            ),
            &[
                "transfers-complete",
                "sum-zero",
                "wallet-available",
                "history-moves",
                "lot-left",
                "settlement-lines",
                "settlement-recount",
            ],
        ),
        damage(
            "update account set unit = 'CNY' where kind = 'expired'",
            &["account-ids", "sum-zero"],
        ),
        damage(
            format!("update account set partner_id = '{a}' where kind = 'expired'"),
            &["account-ids"],
        ),
        damage(
            "insert into account (account_id, kind, owner_id, unit)
             values (gen_random_uuid(), 'issued', gen_random_uuid(), 'points')",
            &["account-ids", "account-parties"],
        ),
    ]
}

fn trade_damage(busy: &Busy) -> Vec<Damage> {
    let sale = busy.sale.purchase;
    let spend = busy.spent.spend;
    let copy = "update purchase set receipt_number = (select min(receipt_number) from purchase
                where store_id = purchase.store_id) where points in (30, 600)";
    vec![
        damage(
            format!("update purchase set points = points + 1 where purchase_id = '{sale}'"),
            &["purchase-earned"],
        ),
        damage(
            format!("update journal set source_id = gen_random_uuid() where source_id = '{sale}'"),
            &["purchase-earned", "entry-known"],
        ),
        damage(
            format!("update journal set source_id = gen_random_uuid() where source_id = '{spend}'"),
            &["spend-taken", "entry-known"],
        ),
        damage(
            format!("update spend set points = points + 1 where spend_id = '{spend}'"),
            &["spend-taken"],
        ),
        damage(
            format!("update spend set returned = returned + 1 where spend_id = '{spend}'"),
            &["spend-taken"],
        ),
        damage(
            format!("alter table purchase drop constraint purchase_store_receipt_key; {copy}"),
            &["receipt-once"],
        ),
        damage(
            format!("update purchase set refunded = refunded - 1 where purchase_id = '{sale}'"),
            &["refund-within"],
        ),
        damage(
            format!("update purchase set clawed = clawed - 1 where purchase_id = '{sale}'"),
            &["refund-within"],
        ),
        damage(
            "alter table good drop constraint good_stock_check; update good set stock = -1",
            &["good-stock"],
        ),
        damage(
            "alter table redemption drop constraint redemption_code_key;
             update redemption set code = 'same'",
            &["code-once"],
        ),
        damage(
            "update redemption set state = 'cancelled' where state = 'claimed'",
            &["redemption-booked"],
        ),
        damage(
            "update redemption set state = 'claimed' where state = 'reserved'",
            &["redemption-booked", "wallet-held"],
        ),
        damage(
            "update redemption set points = points + 1 where state = 'claimed'",
            &["redemption-booked"],
        ),
        damage(
            "alter table idempotency_key drop constraint idempotency_key_pkey;
             insert into idempotency_key (scope, key, fingerprint, created_at)
             values ('s', 'k', '', '2026-07-01'), ('s', 'k', '', '2026-07-01')",
            &["key-once"],
        ),
    ]
}

fn settlement_damage() -> Vec<Damage> {
    vec![
        damage(
            "update book set open_from = '2026-06-01'",
            &["settlement-shut"],
        ),
        damage(
            "update statement set issued = issued + 1 where code = 'a'",
            &["settlement-recount", "settlement-digest"],
        ),
        damage(
            "update statement set net = net + 1 where code = 'a'",
            &[
                "settlement-zero",
                "settlement-sums",
                "settlement-paid",
                "settlement-digest",
            ],
        ),
        damage(
            "update statement set fee = fee + 1, net = net - 1 where code = 'c'",
            &[
                "settlement-recount",
                "settlement-zero",
                "settlement-sums",
                "settlement-paid",
                "settlement-digest",
            ],
        ),
        damage(
            "update statement_line set amount = amount + case kind when 'charged' then 1 else -1 end
             where kind in ('charged', 'redeemed')",
            &["settlement-sums", "settlement-digest"],
        ),
        damage(
            "insert into agreement (agreement_id, merchant_id, version, starts_at, terms, digest, proposed_at,
                 proposed_by)
             select merchant_id, merchant_id, 1, '2099-01-01Z', '{}', 'x', created_at, 'x'
             from merchant where code = 'a'",
            &["agreement-kept"],
        ),
        damage(
            "delete from statement where code = 'c'",
            &[
                "settlement-recount",
                "settlement-zero",
                "settlement-sums",
                "settlement-paid",
                "settlement-digest",
            ],
        ),
        damage("update settlement set digest = 'x'", &["settlement-digest"]),
        damage(
            "delete from month_line where cardinality(lines) > 1",
            &["settlement-lines"],
        ),
        damage(
            "update month_line set journals = array_append(journals, journals[1]),
                 lines = array_append(lines, lines[1])",
            &["settlement-lines"],
        ),
        damage(
            "update settlement set fee_basis_points = 100",
            &["settlement-recount", "settlement-digest"],
        ),
        damage(
            "update payment set amount = amount + 1 where line = 0",
            &["settlement-paid", "settlement-booked"],
        ),
        damage(
            "delete from transfer where lot_id is null and line = 0",
            &["settlement-booked"],
        ),
        damage(
            "insert into transfer (journal_id, line, from_account, to_account, amount, value,
                 posted_in)
             select journal_id, 9, from_account, to_account, amount, value, posted_in
             from transfer where lot_id is null and line = 0",
            &["settlement-booked"],
        ),
    ]
}

fn period_damage() -> Vec<Damage> {
    vec![
        damage(
            "update settlement set state = 'closed', closed_at = confirmed_at",
            &["settlement-course"],
        ),
        damage(
            "update settlement set issued_by = null",
            &["settlement-course"],
        ),
        damage(
            "update payment set state = 'paid', method = 'other', reference = 'x',
                 recorded_at = '2026-07-09', recorded_by = 'x'",
            &["settlement-course"],
        ),
        damage(
            "update statement set state = 'issued', confirmed_at = null, confirmed_by = null
             where code = 'a'",
            &["settlement-course"],
        ),
        damage(
            "update dispute set amount = amount + 1",
            &["dispute-adjusted", "dispute-line", "settlement-paid"],
        ),
        damage(
            "update dispute set returned = returned + 1",
            &["dispute-line"],
        ),
        damage(
            "update dispute set journal_id = gen_random_uuid()",
            &["dispute-line"],
        ),
        damage(
            "update dispute set held = false",
            &["dispute-adjusted", "settlement-paid"],
        ),
        damage("delete from adjustment", &["dispute-adjusted"]),
        damage("update book set period = 'week'", &["period-unit"]),
        damage(
            "update settlement set period = 'day'",
            &["period-unit", "settlement-digest"],
        ),
        damage("update adjustment set month = month + 1", &["period-unit"]),
        damage(
            "update adjustment set amount = amount + 1",
            &["dispute-adjusted"],
        ),
    ]
}

fn audit_damage() -> Vec<Damage> {
    vec![damage(
        "insert into audit_seal (number, entry_id, previous, hash)
         select coalesce(max(number), 0) + 1, gen_random_uuid(), '', '' from audit_seal",
        &["audit-chain"],
    )]
}

fn wall_damage() -> Vec<Damage> {
    let walls = "(select current_schema())";
    vec![
        Damage {
            sql: format!(
                "create schema t_zzzzzzzzzzzzzzzzzzzzzzzzzz;
                 do $$ begin execute format('grant usage on schema t_zzzzzzzzzzzzzzzzzzzzzzzzzz
                    to %I', {walls}); end $$"
            ),
            finds: &["wall-schemas"],
            undo: "drop schema t_zzzzzzzzzzzzzzzzzzzzzzzzzz",
        },
        Damage {
            sql: format!(
                "do $$ begin execute format('grant update (amount) on transfer to %I', {walls});
                 end $$"
            ),
            finds: &["append-only"],
            undo: "do $$ begin execute format('revoke update (amount) on transfer from %I',
                (select current_schema())); end $$",
        },
        Damage {
            sql: format!(
                "do $$ begin execute format('grant update (net) on statement to %I', {walls});
                 end $$"
            ),
            finds: &["append-only"],
            undo: "do $$ begin execute format('revoke update (net) on statement from %I',
                (select current_schema())); end $$",
        },
        Damage {
            sql: format!(
                "do $$ begin execute format('grant delete on purchase to %I', {walls}); end $$"
            ),
            finds: &["append-only"],
            undo: "do $$ begin execute format('revoke delete on purchase from %I',
                (select current_schema())); end $$",
        },
        Damage {
            sql: format!("do $$ begin execute format('alter role %I createdb', {walls}); end $$"),
            finds: &["wall-role"],
            undo: "do $$ begin execute format('alter role %I nocreatedb',
                (select current_schema())); end $$",
        },
    ]
}

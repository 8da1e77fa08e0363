//! TEN-1: whatever happens in one mall, the other's tables stay as they were, to the byte.

use std::collections::BTreeMap;

use rotunda::{
    authz::action::{
        EnrolMember, ExpirePoints, ManageTenants, RecordPurchase, RefundPurchase, SuspendMerchant,
    },
    authz::actor::Actor,
    db::tenants::Status,
    earning::{self, Item, RefundAmount, RefundItem, line::Line},
    kernel::{
        ids::{MemberId, PurchaseId, SettlementId},
        text::Phone,
        time::Period,
    },
    ledger::{
        self,
        books::Wanted,
        transfer::{Event, Kind},
    },
    members::{self, Enrolment, MemberError},
    merchants,
};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::support::books::{House, Mall, NOON, Shop, fresh_slug, instant, name, setting};

/// Every row of every table of a mall as text, and what the registry says of it.
async fn dump(mall: &Mall) -> BTreeMap<String, String> {
    let mut sql = mall.owner().await;
    let tables: Vec<String> =
        sqlx::query_scalar("select tablename::text from pg_tables where schemaname = $1")
            .bind(mall.schema())
            .fetch_all(&mut sql)
            .await
            .unwrap();
    let mut dump = BTreeMap::new();
    for table in tables {
        let rows = format!(
            "select coalesce(string_agg(row::text, E'\\n' order by row::text), '') from {table} row"
        );
        dump.insert(table, text(&mut sql, rows).await);
    }
    let id = mall.tenant.id.uuid();
    let registry = format!(
        "select t::text || h::text from platform.tenant t \
         join platform.host h using (tenant_id) where tenant_id = '{id}'"
    );
    dump.insert("the registry".to_owned(), text(&mut sql, registry).await);
    dump
}

async fn text(sql: &mut PgConnection, query: String) -> String {
    sqlx::query_scalar(AssertSqlSafe(query))
        .fetch_one(sql)
        .await
        .unwrap()
}

/// A shop, a member with telephone and card, and a purchase: the same in every mall.
async fn furnish(mall: &Mall) -> (Shop, MemberId, PurchaseId) {
    let shop = mall.shop("tea").await;
    let member = enrol(mall).await.unwrap();
    let purchase = buys(mall, shop, member, "receipt-1").await;
    (shop, member, purchase)
}

async fn enrol(mall: &Mall) -> Result<MemberId, MemberError> {
    let grant = mall.vendor::<EnrolMember>();
    let mut tx = mall.db().write(&grant).await?;
    let new = Enrolment {
        phone: Some(Phone::parse("138 0013 8000", "86").unwrap()),
        card_number: Some("card-1".parse().unwrap()),
        name: Some(name("Ada")),
    };
    let member = members::enrol(&mut tx, &grant, new).await?;
    tx.commit().await?;
    Ok(member.id)
}

async fn buys(mall: &Mall, shop: Shop, member: MemberId, receipt: &str) -> PurchaseId {
    let grant = mall.till::<RecordPurchase>();
    let mut tx = mall.db().write(&grant).await.unwrap();
    let item = Item {
        grant,
        store: shop.store,
        receipt_number: receipt.parse().unwrap(),
        member: Some(member),
        lines: vec![Line {
            category: "tea".parse().unwrap(),
            quantity: 1,
            amount: 100_00,
        }],
        occurred_at: instant(NOON),
    };
    let setting = setting(mall, "fixed", Some(1));
    let answers = earning::record(&mut tx, &setting, &[item], earning::Believed::default())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    answers[0].as_ref().unwrap().purchase
}

async fn refunds(mall: &Mall, purchase: PurchaseId) {
    let grant = mall.till::<RefundPurchase>();
    let mut tx = mall.db().write(&grant).await.unwrap();
    let item = RefundItem {
        grant,
        purchase,
        reference: "back-1".parse().unwrap(),
        amount: RefundAmount::Rest,
        occurred_at: instant(NOON),
    };
    let setting = setting(mall, "fixed", Some(1));
    let answers = earning::refund(&mut tx, &setting, &[item]).await.unwrap();
    assert!(answers[0].is_ok());
    tx.commit().await.unwrap();
}

async fn spends(mall: &Mall, shop: Shop, member: MemberId) {
    let mut tx = mall
        .db()
        .write(&mall.till::<RecordPurchase>())
        .await
        .unwrap();
    let members = vec![member];
    let wanted = Wanted {
        members: members.clone(),
        spenders: members,
        ..Wanted::default()
    };
    let mut books = ledger::open_books(&mut tx, mall.tenant.zone, &wanted)
        .await
        .unwrap();
    let event = Event {
        kind: Kind::Spend,
        actor: Actor::System,
        member,
        place: Some((shop.merchant, shop.store)),
        source: shop.store.uuid(),
        occurred_at: tx.now(),
        reverses: None,
    };
    books.spend(&event, 140).unwrap();
    books.post(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
}

/// Points lapse, a month is cut off and settled, a merchant and the mall itself are suspended.
async fn ends(mall: &Mall, shop: Shop) {
    mall.house.clock.set(instant("2027-01-01T00:00:00Z"));
    let grant = mall.system::<ExpirePoints>();
    let mut tx = mall.db().write(&grant).await.unwrap();
    let (members, _) = earning::expire(&mut tx, &grant, mall.tenant.zone, 10)
        .await
        .unwrap();
    assert_eq!(members, 1);
    let month: Period = "2026-03".parse().unwrap();
    ledger::cut_off(&mut tx, month).await.unwrap();
    let settlement: SettlementId = tx.new_id();
    let owed = [(Some(shop.merchant), None, 40)];
    ledger::settle_money(&mut tx, settlement, month, "CNY", &owed)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let grant = mall.grant::<SuspendMerchant>("operator.owner", rotunda::authz::actor::Reach::Mall);
    let mut tx = mall.db().write(&grant).await.unwrap();
    merchants::suspend(&mut tx, &grant, shop.merchant)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let registry = mall.vendor::<ManageTenants>();
    let slug = &mall.tenant.slug;
    mall.db()
        .set_status(&registry, slug, Status::Suspended)
        .await
        .unwrap();
}

#[tokio::test]
async fn ten_1_a_day_of_one_mall_changes_no_byte_of_another() {
    let house = House::new(4).await;
    let a = house.mall(&fresh_slug(), "Asia/Shanghai").await;
    let b = house.mall(&fresh_slug(), "Asia/Shanghai").await;
    let (shop, member, purchase) = furnish(&a).await;
    furnish(&b).await;
    let (a_before, b_before) = (dump(&a).await, dump(&b).await);
    let busy = [
        "account", "journal", "lot", "member", "merchant", "purchase", "transfer", "wallet",
    ];
    for table in busy {
        assert!(!b_before[table].is_empty(), "{table} has something to lose");
    }

    assert!(matches!(enrol(&a).await, Err(MemberError::AlreadyMember(Some(id))) if id == member));
    buys(&a, shop, member, "receipt-2").await;
    spends(&a, shop, member).await;
    // Whichever points were spent: some of this purchase's were, and she owes them.
    refunds(&a, purchase).await;
    buys(&a, shop, member, "receipt-3").await;
    ends(&a, shop).await;
    let dropped = a.db().write(&a.till::<RecordPurchase>()).await.unwrap();
    drop(dropped);

    assert_eq!(dump(&b).await, b_before);
    let a_after = dump(&a).await;
    let changed: Vec<&str> = a_after
        .iter()
        .filter(|(table, rows)| a_before[*table] != **rows)
        .map(|(table, _)| table.as_str())
        .collect();
    let expected = [
        "account",
        "audit_entry",
        "book",
        "deficit",
        "journal",
        "lot",
        "merchant",
        "purchase",
        "refund",
        "setting",
        "the registry",
        "transfer",
        "wallet",
    ];
    assert_eq!(changed, expected, "the day left its marks in its own mall");
}

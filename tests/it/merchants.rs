//! Merchants and stores: who sees them, who may give and take points.

use rotunda::{
    authz::{
        action::{
            ActivateMerchant, ActivateStore, ApplyManifest, CreateMerchant, CreateStore,
            ReadMerchants, ReadStores, SuspendMerchant, SuspendStore,
        },
        actor::Reach,
    },
    db::tx::Tx,
    kernel::{
        ids::{MemberId, StoreId},
        page::Slice,
    },
    merchants::{
        self, Alliance, Listing, Merchant, MerchantError, NewMerchant, NewStore, Status, Store,
        StoreListing, Upserted,
    },
};

use crate::support::{Mall, code, name, names};

async fn joins(mall: &Mall, tx: &mut Tx, shop: &str, alliance: Alliance) -> (Merchant, Store) {
    let new = NewMerchant {
        code: code(shop),
        names: names(shop),
        trade: name("tea"),
        alliance,
    };
    let merchant = merchants::create(tx, &mall.manager::<CreateMerchant>(), new)
        .await
        .unwrap();
    let new = NewStore {
        merchant: merchant.id,
        code: code(&format!("{shop}-1")),
        names: names(shop),
        alliance: None,
    };
    let store = merchants::create_store(tx, &mall.manager::<CreateStore>(), new)
        .await
        .unwrap();
    (merchant, store)
}

fn everything() -> Slice {
    Slice {
        limit: 100,
        after: None,
    }
}

#[tokio::test]
async fn a_merchant_sees_itself_and_nobody_else_exists_for_it() {
    let mall = Mall::open().await;
    let mut tx = mall
        .app
        .db
        .write(&mall.vendor::<ApplyManifest>())
        .await
        .unwrap();
    let (tea, tea_store) = joins(&mall, &mut tx, "tea", Alliance::Both).await;
    let (bread, bread_store) = joins(&mall, &mut tx, "bread", Alliance::Both).await;

    let own = Reach::Merchant(tea.id);
    let reads = mall.grant::<ReadMerchants>("merchant.owner", own);
    let reads_stores = mall.grant::<ReadStores>("merchant.owner", own);
    let opens = mall.grant::<CreateStore>("merchant.owner", own);

    let seen = merchants::list(&mut tx, &reads, &everything())
        .await
        .unwrap();
    assert_eq!(seen.items, std::slice::from_ref(&tea));
    assert_eq!(merchants::get(&mut tx, &reads, tea.id).await.unwrap(), tea);
    let foreign = merchants::get(&mut tx, &reads, bread.id).await;
    assert!(matches!(foreign, Err(MerchantError::UnknownMerchant)));

    let seen = merchants::stores(&mut tx, &reads_stores, None, &everything()).await;
    assert_eq!(seen.unwrap().items, [tea_store]);
    let foreign = merchants::get_store(&mut tx, &reads_stores, bread_store.id).await;
    assert!(matches!(foreign, Err(MerchantError::UnknownStore)));
    let foreign = merchants::stores(&mut tx, &reads_stores, Some(bread.id), &everything()).await;
    assert!(matches!(foreign, Err(MerchantError::UnknownMerchant)));
    let new = NewStore {
        merchant: bread.id,
        code: code("mine-now"),
        names: names("mine"),
        alliance: None,
    };
    let foreign = merchants::create_store(&mut tx, &opens, new).await;
    assert!(matches!(foreign, Err(MerchantError::UnknownMerchant)));

    let member = Reach::Member(MemberId::from_uuid(uuid::Uuid::max()));
    let reads_stores = mall.grant::<ReadStores>("member", member);
    let seen = merchants::stores(&mut tx, &reads_stores, None, &everything()).await;
    assert_eq!(seen.unwrap().items.len(), 2, "a member sees every store");
}

#[tokio::test]
async fn a_suspended_merchant_is_told_apart_from_one_that_may_not_spend() {
    let mall = Mall::open().await;
    let mut tx = mall
        .app
        .db
        .write(&mall.vendor::<ApplyManifest>())
        .await
        .unwrap();
    let (tea, tea_store) = joins(&mall, &mut tx, "tea", Alliance::Both).await;
    let (_, bread_store) = joins(&mall, &mut tx, "bread", Alliance::Earn).await;
    let unknown: StoreId = tx.new_id();

    let stops = mall.manager::<SuspendMerchant>();
    let stopped = merchants::suspend(&mut tx, &stops, tea.id).await.unwrap();
    assert_eq!(stopped.status, Status::Suspended);
    let again = merchants::suspend(&mut tx, &stops, tea.id).await.unwrap();
    assert_eq!(again, stopped);

    let asked = [tea_store.id, bread_store.id, unknown];
    let tills = merchants::till_stores(&mut tx, &asked).await.unwrap();
    assert_eq!(tills.len(), 2, "an unknown store is left out");
    let till = &tills[&tea_store.id];
    assert!(!till.merchant_active && till.store_active && !till.earns && !till.spends);
    let till = &tills[&bread_store.id];
    assert!(till.active() && till.earns && !till.spends);

    let starts = mall.manager::<ActivateMerchant>();
    merchants::activate(&mut tx, &starts, tea.id).await.unwrap();
    let stops = mall.manager::<SuspendStore>();
    merchants::suspend_store(&mut tx, &stops, tea_store.id)
        .await
        .unwrap();
    let till = &merchants::stores_by_code(&mut tx, &[code("tea-1")])
        .await
        .unwrap()[&code("tea-1")];
    assert!(till.merchant_active && !till.store_active && !till.earns && !till.spends);
    let starts = mall.manager::<ActivateStore>();
    merchants::activate_store(&mut tx, &starts, tea_store.id)
        .await
        .unwrap();
    let till = &merchants::till_stores(&mut tx, &asked).await.unwrap()[&tea_store.id];
    assert!(till.active() && till.earns && till.spends);
    assert_eq!(till.merchant_code, code("tea"));
}

#[tokio::test]
async fn a_taken_code_is_refused_and_the_transaction_goes_on() {
    let mall = Mall::open().await;
    let mut tx = mall
        .app
        .db
        .write(&mall.vendor::<ApplyManifest>())
        .await
        .unwrap();
    let (tea, _) = joins(&mall, &mut tx, "tea", Alliance::Earn).await;

    let new = NewMerchant {
        code: code("tea"),
        names: names("Another"),
        trade: name("tea"),
        alliance: Alliance::Both,
    };
    let refused = merchants::create(&mut tx, &mall.manager(), new)
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "another merchant has the code tea");
    let place = |wanted: &str, alliance| NewStore {
        merchant: tea.id,
        code: code(wanted),
        names: names("A store"),
        alliance,
    };
    let refused = merchants::create_store(&mut tx, &mall.manager(), place("tea-1", None)).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "another store has the code tea-1"
    );
    let wide = place("tea-2", Some(Alliance::Both));
    let refused = merchants::create_store(&mut tx, &mall.manager(), wide).await;
    assert!(matches!(refused, Err(MerchantError::WiderThanMerchant(_))));
    merchants::create_store(
        &mut tx,
        &mall.manager(),
        place("tea-2", Some(Alliance::Earn)),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(mall.count("store").await, 2);
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap() {
    let mall = Mall::open().await;
    let mut tx = mall
        .app
        .db
        .write(&mall.vendor::<ApplyManifest>())
        .await
        .unwrap();
    let codes: Vec<_> = (0..7).map(|number| code(&format!("s{number}"))).collect();
    merchants::create_by_code(&mut tx, &mall.vendor(), &codes)
        .await
        .unwrap();

    let reads = mall.manager::<ReadMerchants>();
    let (mut seen, mut slice) = (
        Vec::new(),
        Slice {
            limit: 3,
            after: None,
        },
    );
    loop {
        let page = merchants::list(&mut tx, &reads, &slice).await.unwrap();
        assert!(page.items.len() <= 3);
        seen.extend(page.items.into_iter().map(|merchant| merchant.id));
        match page.next {
            Some(next) => slice.after = Some(next),
            None => break,
        }
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((seen.len(), &sorted), (7, &seen));

    slice.after = Some("not an id".to_owned());
    let refused = merchants::list(&mut tx, &reads, &slice).await;
    assert!(matches!(refused, Err(MerchantError::Cursor(_))));
}

fn listed(shop: &str, alliance: Alliance, stores: &[&str]) -> Listing {
    Listing {
        code: code(shop),
        names: names(shop),
        trade: name("tea"),
        alliance,
        stores: stores
            .iter()
            .map(|store| StoreListing {
                code: code(store),
                names: names(store),
                alliance: None,
            })
            .collect(),
    }
}

#[tokio::test]
async fn a_list_applied_twice_changes_nothing_and_wakes_nobody() {
    let mall = Mall::open().await;
    let apply = mall.vendor::<ApplyManifest>();
    let mut tx = mall.app.db.write(&apply).await.unwrap();
    let mut list = vec![
        listed("tea", Alliance::Both, &["tea-2", "tea-1"]),
        listed("bread", Alliance::Earn, &["bread-1"]),
    ];
    let first = merchants::upsert(&mut tx, &apply, &list).await.unwrap();
    assert_eq!((first.merchants_created, first.stores_created), (2, 3));
    let again = merchants::upsert(&mut tx, &apply, &list).await.unwrap();
    assert_eq!(again, Upserted::default());

    let known = merchants::by_codes(&mut tx, &[code("tea"), code("none")])
        .await
        .unwrap();
    assert_eq!(known.len(), 1);
    let tea = known[&code("tea")];
    assert_eq!(
        merchants::codes(&mut tx, &[tea]).await.unwrap()[&tea],
        code("tea")
    );
    merchants::suspend(&mut tx, &mall.manager(), tea)
        .await
        .unwrap();

    list[0].names = names("Finer tea");
    list[0].alliance = Alliance::Spend;
    list[0].stores[0].alliance = Some(Alliance::Spend);
    let changed = merchants::upsert(&mut tx, &apply, &list).await.unwrap();
    let expected = Upserted {
        merchants_changed: 1,
        stores_changed: 1,
        ..Upserted::default()
    };
    assert_eq!(changed, expected);
    let seen = merchants::get(&mut tx, &mall.manager(), tea).await.unwrap();
    assert_eq!(
        (seen.alliance, seen.status),
        (Alliance::Spend, Status::Suspended)
    );

    let moved = [listed("cake", Alliance::Both, &["bread-1"])];
    let refused = merchants::upsert(&mut tx, &apply, &moved)
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the store bread-1 belongs to another merchant already"
    );
    let twice = [
        listed("tea", Alliance::Both, &[]),
        listed("tea", Alliance::Both, &[]),
    ];
    let refused = merchants::upsert(&mut tx, &apply, &twice)
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "the code tea is listed twice");
}

#[tokio::test]
async fn an_import_meets_each_unknown_code_once() {
    let mall = Mall::open().await;
    let mut tx = mall
        .app
        .db
        .write(&mall.vendor::<ApplyManifest>())
        .await
        .unwrap();
    let (tea, tea_store) = joins(&mall, &mut tx, "tea", Alliance::Both).await;

    let grant = mall.vendor::<CreateMerchant>();
    let met = ["tea-1", "S10", "S9", "S10", "tea"].map(code);
    let all = merchants::create_by_code(&mut tx, &grant, &met)
        .await
        .unwrap();
    assert_eq!(all.len(), 4);
    assert_eq!(all[&code("tea-1")].store, tea_store.id);
    let second = &all[&code("tea")];
    assert_eq!(
        second.merchant, tea.id,
        "a store of a merchant that is there"
    );
    let new = &all[&code("S10")];
    assert!(new.earns && new.spends && new.merchant_code == code("S10"));
    let again = merchants::create_by_code(&mut tx, &grant, &met)
        .await
        .unwrap();
    assert_eq!(again, all);
    tx.commit().await.unwrap();
    assert_eq!(
        (mall.count("merchant").await, mall.count("store").await),
        (3, 4)
    );
}

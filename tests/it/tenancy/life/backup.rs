//! BAK-1: a mall is taken out while its tills go on, and comes to another cluster whole.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use rotunda::{
    authz::{action::VerifyBooks, actor::Principal},
    kernel::{ids::Entropy, time::Clock},
    reports::{proof, totals},
};

use super::{Folder, asked, export, import};
use crate::{
    support::{NOON, instant, outside::Server},
    tenancy::places::{Places, Shopping},
};

/// Tills that write meanwhile.
const TILLS: usize = 4;

/// What the tills share.
struct Counter {
    server: Server,
    mall: Shopping,
    stop: AtomicBool,
    /// Purchases that were acknowledged.
    bought: AtomicI64,
}

impl Counter {
    async fn sells(&self, till: usize) {
        let mut sold = 0_usize;
        while !self.stop.load(Ordering::SeqCst) {
            let receipt = format!("{till}-{sold}");
            sold += 1;
            let (server, till) = (&self.server, self.mall.till());
            if sold.is_multiple_of(5) {
                let spend = self.mall.spend(&receipt);
                server.post(till, "/v1/spends", &spend).await;
            } else {
                let purchase = self.mall.purchase(&receipt);
                server.post(till, "/v1/purchases", &purchase).await;
                self.bought.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    fn bought(&self) -> i64 {
        self.bought.load(Ordering::SeqCst)
    }
}

/// How many purchases there are before the backup.
fn wanted() -> i64 {
    let said = std::env::var("ROTUNDA_BAK1_PURCHASES").ok();
    said.map_or(120, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn bak_1_a_backup_under_load_is_one_moment_of_the_books() {
    let places = Places::open().await;
    let clock = Clock::fixed(instant(NOON));
    let server = places.server(&clock).await;
    let counter = Arc::new(Counter {
        mall: Shopping::open(&server, "main").await,
        server,
        stop: AtomicBool::new(false),
        bought: AtomicI64::new(0),
    });
    let tills: Vec<_> = (0..TILLS)
        .map(|till| {
            let counter = Arc::clone(&counter);
            tokio::spawn(async move { counter.sells(till).await })
        })
        .collect();
    while counter.bought() < wanted() {
        assert!(!tills.iter().any(tokio::task::JoinHandle::is_finished));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Until one falls between two purchases.
    let folder = Folder::new();
    let mut tries = 0..100;
    let (file, sealed) = loop {
        let number = tries.next().expect("the tills stood still every time");
        let file = folder.file(&format!("{number}.tar"));
        let (before, begun) = (counter.bought(), Instant::now());
        let sealed = export(&counter.server.app, &counter.mall.tenant, &file).await;
        let (took, after) = (begun.elapsed(), counter.bought());
        let purchases: i64 = sealed.totals.control["purchases"].parse().unwrap();
        println!("{took:?}: {before} before, {purchases} in the archive, {after} after");
        assert!(before <= purchases, "what was acknowledged is there");
        if before < after {
            break (file, sealed);
        }
    };
    counter.stop.store(true, Ordering::SeqCst);
    for till in tills {
        till.await.unwrap();
    }

    // On another cluster, with a registry of its own.
    let north = places.north.as_str();
    let there = Server::open_on(north, <_>::default(), 8, clock, Entropy::System).await;
    let begun = Instant::now();
    let restored = import(&there.app, &file, None).await.unwrap();
    println!("restored in {:?}", begun.elapsed());
    assert_eq!(restored.broken, [""; 0], "every check holds");
    let vendor = Principal::platform(Some(restored.tenant.id));
    let grant = there.app.policy.allow::<VerifyBooks>(&vendor).unwrap();
    let mut tx = there.app.db.read(&grant).await.unwrap();
    let found = totals::control(&mut tx, &grant).await.unwrap();
    assert_eq!(found, sealed.totals.control);
    let checks = proof::prove(&mut tx, &grant).await.unwrap();
    assert!(checks.len() > 30 && checks.iter().all(|check| check.holds));
    drop(tx);
    // No journal without its transfers, and none of another moment.
    let orphans = "select count(*)::text from journal
                   where not exists (select from transfer
                                     where transfer.journal_id = journal.journal_id)";
    assert_eq!(asked(north, &restored.tenant, orphans).await, "0");
    let counter = Arc::into_inner(counter).unwrap();
    places.close(vec![counter.server, there]).await;
}

//! TEN-2 and TEN-3: malls take turns on few connections, and transactions end in every way there
//! is; nobody ever sees another mall's canary.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rotunda::{
    authz::action::{EnrolMember, ReadMembers, RecordPurchase},
    authz::actor::Actor,
    db,
    kernel::{
        ids::{Entropy, MemberId},
        money::Rate,
        time::{Period, Unit},
    },
    ledger::{
        self,
        books::{Books, NewLot, Wallet, Wanted},
        transfer::{Event, Kind},
    },
    members::{self, Enrolment, Lookup, MemberError},
};

use crate::support::books::{House, Mall, Shop, fresh_slug, name};

const MALLS: usize = 8;
const CONNECTIONS: u32 = 4;
const TASKS: usize = 64;
const TRANSACTIONS: usize = 20_000;

/// A mall whose canary is called like the mall.
struct Cage {
    mall: Mall,
    shop: Shop,
    canary: MemberId,
}

impl Cage {
    async fn build(house: &House) -> Self {
        let mall = house.mall(&fresh_slug(), "Asia/Shanghai").await;
        let shop = mall.shop("tea").await;
        let canary = enrol(&mall, "canary").await.unwrap();
        let cage = Self { mall, shop, canary };
        // The first line of the canary's history, which `breaks` writes again.
        let mut tx = cage
            .mall
            .db()
            .write(&cage.mall.till::<RecordPurchase>())
            .await
            .unwrap();
        cage.first_line(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        cage
    }

    /// Who answers to the canary's card in this transaction.
    async fn look(&self, tx: &mut db::tx::ReadTx) -> Result<(), MemberError> {
        let by = Lookup::Card("canary".parse().unwrap());
        let found = members::find(tx, &self.mall.app::<ReadMembers>(), &by).await?;
        assert_eq!(found.id, self.canary, "a foreign canary");
        assert_eq!(found.name.unwrap().as_str(), self.mall.tenant.slug.as_str());
        assert_eq!(tx.tenant(), self.mall.tenant.id);
        Ok(())
    }

    async fn first_line(&self, tx: &mut db::tx::Tx) -> Result<(), db::Error> {
        let zone = self.mall.tenant.zone;
        let open_from = Period::at(tx.now(), zone, Unit::Month);
        let mut books = Books::new(zone, open_from, tx.now(), Entropy::System);
        books.add_wallet(self.canary, Wallet::default());
        let event = Event {
            kind: Kind::Purchase,
            actor: Actor::System,
            member: self.canary,
            place: Some((self.shop.merchant, self.shop.store)),
            source: tx.new_id::<()>().uuid(),
            occurred_at: tx.now(),
            reverses: None,
        };
        let new = NewLot {
            points: 1,
            rate: Rate::ONE,
            expires_at: None,
            only_at: None,
        };
        books.issue(&event, new).unwrap();
        books.post(tx).await
    }

    async fn reads(&self) -> Result<(), MemberError> {
        let mut tx = self.mall.db().read(&self.mall.app::<ReadMembers>()).await?;
        self.look(&mut tx).await
    }

    /// Somebody joins; kept or, dropped in the middle, not.
    async fn writes(&self, card: usize, keep: bool) -> Result<(), MemberError> {
        let mall = &self.mall;
        let mut tx = mall.db().write(&mall.vendor::<EnrolMember>()).await?;
        let prefix = if keep { "kept" } else { "dropped" };
        enrol_in(&mut tx, mall, &format!("{prefix}-{card}")).await?;
        self.look(&mut tx).await?;
        if keep {
            tx.commit().await?;
        }
        Ok(())
    }

    /// A constraint refuses; the transaction is of no use any more.
    async fn breaks(&self) -> Result<(), MemberError> {
        let mut tx = self
            .mall
            .db()
            .write(&self.mall.till::<RecordPurchase>())
            .await?;
        let refused = self.first_line(&mut tx).await.unwrap_err();
        assert!(
            refused.is_constraint("journal_member_seq_key"),
            "{refused:?}"
        );
        assert!(
            self.look(&mut tx).await.is_err(),
            "an aborted transaction answers nothing"
        );
        Ok(())
    }

    /// Whoever asked goes away before the answer is there.
    async fn leaves(&self, after: Duration) {
        let _: Result<_, tokio::time::error::Elapsed> = tokio::time::timeout(after, async {
            self.writes(usize::MAX, false).await.unwrap();
        })
        .await;
    }

    /// The task dies with the transaction in its hands.
    async fn panics(self: Arc<Self>) {
        let died = tokio::spawn(async move {
            let mut tx = self
                .mall
                .db()
                .write(&self.mall.vendor::<EnrolMember>())
                .await
                .unwrap();
            self.look(&mut tx).await.unwrap();
            std::panic::resume_unwind(Box::new("planned"));
        });
        assert!(died.await.unwrap_err().is_panic());
    }

    /// One transaction of some kind.
    async fn turn(self: Arc<Self>, number: usize) -> Result<(), MemberError> {
        match number % 8 {
            0..=2 => self.reads().await,
            3 => self.writes(number, true).await,
            4 => self.writes(number, false).await,
            5 => self.breaks().await,
            6 => {
                self.leaves(Duration::from_micros((number % 97) as u64 * 150))
                    .await;
                Ok(())
            }
            _ => {
                self.panics().await;
                Ok(())
            }
        }
    }
}

async fn enrol(mall: &Mall, card: &str) -> Result<MemberId, MemberError> {
    let mut tx = mall.db().write(&mall.vendor::<EnrolMember>()).await?;
    let member = enrol_in(&mut tx, mall, card).await?;
    tx.commit().await?;
    Ok(member)
}

/// Everybody in a mall is called like the mall.
async fn enrol_in(tx: &mut db::tx::Tx, mall: &Mall, card: &str) -> Result<MemberId, MemberError> {
    let new = Enrolment {
        phone: None,
        card_number: Some(card.parse().unwrap()),
        name: Some(name(mall.tenant.slug.as_str())),
    };
    Ok(members::enrol(tx, &mall.vendor(), new).await?.id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_2_3_however_a_transaction_ends_the_next_mall_sees_its_own_canary() {
    let house = House::new(CONNECTIONS).await;
    let mut cages = Vec::new();
    for _ in 0..MALLS {
        cages.push(Arc::new(Cage::build(&house).await));
    }
    let (next, kept, busy) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let counters = Arc::new((next, kept, busy));
    let tasks = (0..TASKS).map(|_| {
        let (cages, counters) = (cages.clone(), counters.clone());
        tokio::spawn(async move {
            let (next, kept, busy) = &*counters;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= TRANSACTIONS {
                    return;
                }
                // Another kind for every mall in every round.
                let cage = cages[(number + number / MALLS) % MALLS].clone();
                match cage.turn(number).await {
                    Ok(()) if number % 8 == 3 => {
                        kept.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(()) => {}
                    Err(MemberError::Db(db::Error::Unavailable(_) | db::Error::Retry(_))) => {
                        busy.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => panic!("{error:?}"),
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let (_, kept, busy) = &*counters;
    let (kept, busy) = (kept.load(Ordering::Relaxed), busy.load(Ordering::Relaxed));
    println!(
        "TEN-2/3: {TRANSACTIONS} transactions, {kept} kept, {busy} found no connection in time"
    );
    assert!(
        busy * 100 < TRANSACTIONS,
        "{busy} transactions found no connection"
    );
    let mut found = 0;
    for cage in &cages {
        let (strangers, own): (i64, i64) = sqlx::query_as(
            "select count(*) filter (where name <> $1 or card_number like 'dropped%'),
                    count(*) filter (where name = $1 and card_number like 'kept%') from member",
        )
        .bind(cage.mall.tenant.slug.as_str())
        .fetch_one(&mut cage.mall.owner().await)
        .await
        .unwrap();
        assert_eq!(strangers, 0);
        found += own as usize;
    }
    assert_eq!(found, kept, "what was committed is there, in one mall each");
}

#[tokio::test]
async fn ten_3_who_waited_in_vain_for_a_lock_leaves_nothing_behind() {
    let house = House::new(2).await;
    let (one, two) = (Cage::build(&house).await, Cage::build(&house).await);
    let wanted = Wanted {
        members: vec![one.canary],
        ..Wanted::default()
    };
    let till = one.mall.till::<RecordPurchase>();
    let mut holder = one.mall.db().write(&till).await.unwrap();
    let zone = one.mall.tenant.zone;
    let held = ledger::open_books(&mut holder, zone, &wanted)
        .await
        .unwrap();
    {
        let mut waiter = one.mall.db().write(&till).await.unwrap();
        let refused = ledger::open_books(&mut waiter, zone, &wanted)
            .await
            .unwrap_err();
        assert!(matches!(refused, db::Error::Retry(_)), "{refused:?}");
    }
    two.reads().await.unwrap();
    drop((held, holder));
    one.reads().await.unwrap();
    two.reads().await.unwrap();
}

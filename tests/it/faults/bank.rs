//! Somebody looks at all of the books again and again while everybody is at work: whatever moment
//! it is, they add up.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rotunda::kernel::ids::MemberId;
use sqlx::{Connection, PgConnection};
use tokio::{task::JoinSet, time::sleep};
use uuid::Uuid;

use super::{
    acts::{Crowd, Progress, members},
    figure,
    real::Place,
};

const CLIENTS: u64 = 32;
const ACCOUNTS: usize = 20;
const READERS: usize = 4;

/// How many snapshots there must be, however long that takes.
const READS: u64 = 5000;

/// At most so many snapshots an act, so that looking leaves room for acting.
const READS_AN_ACT: u64 = 4;

/// At least how many seconds it goes on.
const SECONDS: u32 = 15;

/// Everything that a member has, in one statement and so of one moment: what the wallet says, what
/// is left of lots, reservations and debts, what all transfers come to, and the end of the
/// history. In every row also what all members have and what the merchants' books say that they
/// must have.
const SNAPSHOT: &str = "
    with side as (
        select to_account as account_id, amount from transfer where lot_id is not null
        union all
        select from_account, -amount from transfer where lot_id is not null
    ), moved as (
        select kind, owner_id, sum(amount)::bigint as points
        from side join account using (account_id)
        group by kind, owner_id
    )
    select coalesce(wallet.member_id, member.member_id) as member_id,
        member.member_id is not null and wallet.member_id is not null as whole,
        coalesce(wallet.available, 0) as available, coalesce(wallet.held, 0) as held,
        coalesce(wallet.debt, 0) as debt,
        (select coalesce(sum(remaining), 0)::bigint from lot
         where lot.member_id = wallet.member_id and remaining > 0) as lots,
        (select coalesce(sum(points), 0)::bigint from redemption
         where redemption.member_id = wallet.member_id and state = 'reserved') as promised,
        (select coalesce(sum(remaining), 0)::bigint from deficit
         where deficit.member_id = wallet.member_id and remaining > 0) as debts,
        (select coalesce(sum(points), 0)::bigint from moved
         where owner_id = wallet.member_id and kind = 'wallet') as moved_available,
        (select coalesce(sum(points), 0)::bigint from moved
         where owner_id = wallet.member_id and kind = 'held') as moved_held,
        (select coalesce(sum(points), 0)::bigint from moved
         where owner_id = wallet.member_id and kind = 'deficit') as moved_debt,
        (select coalesce(sum(points), 0)::bigint from journal
         where journal.member_id = wallet.member_id) as history,
        (select sum(available + held - debt)::bigint from wallet) as total,
        (select -sum(points)::bigint from moved
         where kind not in ('wallet', 'held', 'deficit')) as issued
    from wallet
    full outer join member on member.member_id = wallet.member_id";

/// One member at one moment.
#[derive(Debug, sqlx::FromRow)]
struct Seen {
    member_id: Uuid,
    whole: bool,
    available: i64,
    held: i64,
    debt: i64,
    lots: i64,
    promised: i64,
    debts: i64,
    moved_available: i64,
    moved_held: i64,
    moved_debt: i64,
    history: i64,
    total: i64,
    issued: i64,
}

/// What was wrong in how many snapshots, by the names that Jepsen gave them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Findings {
    wrong_total: u64,
    negative_value: u64,
    nil_balance: u64,
    unexpected_key: u64,
}

impl Findings {
    fn look(&mut self, rows: &[Seen], expected: &BTreeSet<Uuid>) {
        let found: BTreeSet<Uuid> = rows.iter().map(|row| row.member_id).collect();
        let sum: i64 = rows
            .iter()
            .map(|row| row.available + row.held - row.debt)
            .sum();
        let wrong = |row: &Seen| {
            row.available != row.lots
                || row.available != row.moved_available
                || row.held != row.promised
                || row.held != row.moved_held
                || row.debt != row.debts
                || row.debt != -row.moved_debt
                || row.available - row.debt != row.history
                || row.total != sum
                || row.total != row.issued
        };
        let negative = |row: &Seen| row.available < 0 || row.held < 0 || row.debt < 0;
        self.wrong_total += u64::from(rows.iter().any(wrong));
        self.negative_value += u64::from(rows.iter().any(negative));
        self.nil_balance += u64::from(!expected.is_subset(&found));
        self.unexpected_key += u64::from(!found.is_subset(expected) || rows.len() != found.len());
        self.nil_balance += u64::from(rows.iter().any(|row| !row.whole));
        if *self != Self::default() {
            eprintln!("con-2: {self:?} in {rows:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn con_2_at_every_moment_of_a_busy_day_all_balances_add_up() {
    let seconds = u64::from(figure("ROTUNDA_TEST_SECONDS", SECONDS));
    let place = Place::open().await;
    let (people, begun) = members(&place.till, ACCOUNTS, 200).await;
    let bits = |id: &String| id.parse::<MemberId>().unwrap().uuid();
    let expected: Arc<BTreeSet<Uuid>> = Arc::new(people.iter().map(bits).collect());

    let mut crowd = Crowd::gather(&place.till, &people, CLIENTS);
    let (reads, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let tenant = place.tenant().await;
        let looks = Looks {
            expected: Arc::clone(&expected),
            progress: Arc::clone(&crowd.progress),
            reads: Arc::clone(&reads),
            stop: Arc::clone(&stop),
        };
        readers.spawn(looks.read(tenant));
    }
    let since = Instant::now();
    let enough = |_: &Progress| {
        since.elapsed() >= Duration::from_secs(seconds) && reads.load(Ordering::Relaxed) >= READS
    };
    crowd.until("there are enough snapshots", enough).await;
    stop.store(true, Ordering::Relaxed);
    let took = since.elapsed();
    let progress = Arc::clone(&crowd.progress);
    let record = crowd.stop(begun).await;
    for findings in readers.join_all().await {
        assert_eq!(findings, Findings::default());
    }
    eprintln!(
        "con-2: {} snapshots during {} acts in {took:?}, {} put off",
        reads.load(Ordering::Relaxed),
        Progress::count(&progress.acknowledged),
        Progress::count(&progress.put_off),
    );
    record.is_what_happened(&place).await;
}

/// One who looks.
struct Looks {
    expected: Arc<BTreeSet<Uuid>>,
    progress: Arc<Progress>,
    reads: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Looks {
    /// Until it is told to stop.
    async fn read(self, mut tenant: PgConnection) -> Findings {
        let mut findings = Findings::default();
        while !self.stop.load(Ordering::Relaxed) {
            let acts = Progress::count(&self.progress.acknowledged);
            if self.reads.load(Ordering::Relaxed) > READS_AN_ACT * acts {
                sleep(Duration::from_millis(2)).await;
                continue;
            }
            let rows: Vec<Seen> = sqlx::query_as(SNAPSHOT)
                .fetch_all(&mut tenant)
                .await
                .unwrap();
            findings.look(&rows, &self.expected);
            self.reads.fetch_add(1, Ordering::Relaxed);
        }
        tenant.close().await.unwrap();
        findings
    }
}

//! Some hundred random stories, each of three merchants and a member of their own in one mall.

use std::fmt::Write;

use rand::{Rng, SeedableRng, rngs::StdRng};
use rotunda::{
    kernel::{
        ids::{JournalId, LotId, MemberId},
        money::Rate,
        time::Instant,
    },
    ledger::{
        Drawn,
        account::Account,
        books::{Books, NewLot},
        lots::Draw,
        transfer::{Event, Kind},
    },
};
use uuid::Uuid;

use super::{columns, operator, recounted, rolled};
use crate::support::settling::{Mall, Shop, at, period_of};

const STORIES: u64 = 300;
const ACTS: usize = 40;

/// A member's half year, decided in memory and posted at once.
struct Story<'a> {
    rng: StdRng,
    books: Books,
    tx: &'a rotunda::db::tx::Tx,
    who: MemberId,
    shops: &'a [Shop],
    now: Instant,
    lots: Vec<(LotId, Shop)>,
    spends: Vec<(JournalId, Shop, Vec<Drawn>)>,
    holds: Vec<(JournalId, Uuid, Vec<Draw>)>,
}

impl Story<'_> {
    fn event(&self, kind: Kind, shop: Shop, reverses: Option<JournalId>) -> Event {
        Event {
            reverses,
            ..Mall::event(self.tx, kind, self.who, shop, &self.now.to_rfc3339())
        }
    }

    /// What the last event took from lots.
    fn draws(&self, cause: JournalId) -> Vec<Draw> {
        let all = self.books.transfers().iter();
        let of = all.filter(|transfer| {
            transfer.cause == cause
                && matches!(transfer.to, Account::Accepted { .. } | Account::Held(_))
        });
        of.map(|transfer| Draw {
            lot: transfer.lot,
            issuer: self.books.lot(transfer.lot).unwrap().merchant,
            only_at: None,
            earned_at: transfer.earned_at,
            points: transfer.points,
            value: transfer.value,
        })
        .collect()
    }

    fn act(&mut self) {
        self.now += chrono::TimeDelta::hours(self.rng.random_range(1..200));
        let shop = self.shops[self.rng.random_range(0..self.shops.len())];
        let points = self.rng.random_range(1..500);
        match self.rng.random_range(0..10) {
            0..3 => self.earn(shop, points),
            3 | 4 => self.spend(shop, points),
            5 => self.give_back(points),
            6 => self.take_back(points),
            7 => self.reserve(shop, points),
            8 => self.end_hold(shop),
            _ => {
                let actor = rotunda::authz::actor::Actor::System;
                self.books.lapse(self.who, self.now, actor).unwrap();
            }
        }
    }

    fn earn(&mut self, shop: Shop, points: i64) {
        let event = self.event(Kind::Purchase, shop, None);
        let life = chrono::TimeDelta::days(self.rng.random_range(5..90));
        let new = NewLot {
            points,
            rate: Rate::new(self.rng.random_range(0..5), self.rng.random_range(1..4)).unwrap(),
            expires_at: self.rng.random_bool(0.7).then(|| self.now + life),
            only_at: None,
        };
        let (lot, _) = self.books.issue(&event, new).unwrap();
        self.lots.push((lot, shop));
    }

    fn spend(&mut self, shop: Shop, points: i64) {
        let points = points.min(self.books.spendable(self.who, self.now, None));
        if points > 0 {
            let event = self.event(Kind::Spend, shop, None);
            let posted = self.books.spend(&event, points).unwrap();
            let drawn = self.draws(posted.journal).into_iter().map(|draw| Drawn {
                draw,
                returned: 0,
                value_returned: 0,
            });
            self.spends.push((posted.journal, shop, drawn.collect()));
        }
    }

    fn give_back(&mut self, points: i64) {
        if self.spends.is_empty() {
            return;
        }
        let place = self.rng.random_range(0..self.spends.len());
        let (spend, shop, mut drawn) = self.spends[place].clone();
        let event = self.event(Kind::SpendReturn, shop, Some(spend));
        let grace = self.now + chrono::TimeDelta::days(30);
        self.books
            .give_back(&event, &mut drawn, points, grace)
            .unwrap();
        self.spends[place].2 = drawn;
    }

    fn take_back(&mut self, points: i64) {
        if self.lots.is_empty() {
            return;
        }
        let (lot, shop) = self.lots[self.rng.random_range(0..self.lots.len())];
        let event = self.event(Kind::Refund, shop, None);
        self.books.claw(&event, lot, points).unwrap();
    }

    fn reserve(&mut self, shop: Shop, points: i64) {
        let points = points.min(self.books.spendable(self.who, self.now, None));
        if points > 0 {
            let event = Event {
                place: None,
                ..self.event(Kind::Reserve, shop, None)
            };
            let posted = self.books.hold(&event, points, None).unwrap();
            let draws = self.draws(posted.journal);
            self.holds.push((posted.journal, event.source, draws));
        }
    }

    fn end_hold(&mut self, shop: Shop) {
        let Some((journal, _, draws)) = self.holds.pop() else {
            return;
        };
        if self.rng.random_bool(0.5) {
            let event = self.event(Kind::Claim, shop, Some(journal));
            self.books.capture(&event, &draws).unwrap();
        } else {
            let event = self.event(Kind::Cancel, shop, Some(journal));
            let grace = self.now + chrono::TimeDelta::days(30);
            self.books.release(&event, &draws, grace).unwrap();
        }
    }
}

/// One story; what it leaves reserved, as rows of reservations.
async fn tell(mall: &Mall, seed: u64) -> String {
    let codes = ["x", "y", "z"].map(|letter| format!("{letter}{seed}"));
    let shops = mall.shops([&codes[0][..], &codes[1], &codes[2]]).await;
    let who = mall.member(&seed.to_string()).await;
    let begin = "2026-01-01T00:00:00Z";
    let mut tx = mall.tx().await;
    let books = mall.books(&mut tx, who, &[], begin).await;
    let mut story = Story {
        rng: StdRng::seed_from_u64(seed),
        books,
        tx: &tx,
        who,
        shops: &shops,
        now: at(begin),
        lots: Vec::new(),
        spends: Vec::new(),
        holds: Vec::new(),
    };
    for _ in 0..ACTS {
        story.act();
    }
    let Story { books, holds, .. } = story;
    let mut rows = String::new();
    for (journal, id, _) in holds {
        write!(
            rows,
            "insert into redemption (redemption_id, good_id, member_id, journal_id, points, code,
                 state, reserved_on, reserved_at, lapses_at)
             values ('{id}', '{id}', '{}', '{}', 1, '{id}', 'reserved', '{begin}'::date, '{begin}',
                 '{begin}');",
            who.uuid(),
            journal.uuid(),
        )
        .unwrap();
    }
    books.post(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    rows
}

#[tokio::test]
async fn random_stories_close_where_the_next_month_opens_and_end_with_the_open_lots() {
    let mall = Mall::open("2027-06-01T00:00:00Z").await;
    let mut reserved = String::new();
    for seed in 0..STORIES {
        reserved += &tell(&mall, seed).await;
    }
    mall.as_admin(&reserved).await;
    let again = recounted(&mall).await;
    let last = again.keys().map(|(_, month)| *month).max().unwrap();
    let grant = operator(&mall);
    let (mut period, mut before) = (period_of("2025-12"), None);
    let mut compared = 0;
    loop {
        let rows = rolled(&mall, &grant, period, 100).await.unwrap();
        assert_eq!(rows.len() as u64, STORIES * 3);
        let closed: Option<Vec<_>> = before.replace(rows.iter().map(|it| it.closing).collect());
        let opened: Vec<_> = rows.iter().map(|it| it.opening).collect();
        assert!(closed.is_none_or(|closed| closed == opened), "{period}");
        for it in &rows {
            // Where nothing moved there is nothing to compare.
            if let Some(wanted) = again.get(&(it.merchant, period)) {
                assert_eq!(&columns(it), wanted, "{period} {}", it.code.as_str());
                compared += 1;
            } else {
                assert_eq!(it.opening, it.closing);
            }
        }
        if period > last {
            break;
        }
        period = period.next();
    }
    assert_eq!(compared, again.len());
    println!("{STORIES} stories, {compared} months of issuers, until {last}");
    assert_eq!(
        Some(left(&mall).await),
        before.map(|rows| { rows.iter().map(|it| (it.points, it.worth)).collect() })
    );
    // The month before the first and the one after the last, so that both ends were seen.
    assert!(again.keys().all(|(_, month)| *month > period_of("2025-12")));
}

/// What the lots have left and the members hold, by issuer in the order of their ids.
async fn left(mall: &Mall) -> Vec<(i64, i64)> {
    let mut admin = mall.admin().await;
    sqlx::query_as(
        "select (coalesce(sum(remaining), 0) + coalesce(sum(held.points), 0))::bigint,
                (coalesce(sum(worth_left), 0) + coalesce(sum(held.worth), 0))::bigint
         from merchant
         left join lot using (merchant_id)
         left join (
            select lot_id, sum(case when target.kind = 'held' then amount else -amount end) as points,
                   sum(case when target.kind = 'held' then value else -value end) as worth
            from transfer
            join account source on source.account_id = from_account
            join account target on target.account_id = to_account
            where 'held' in (source.kind, target.kind)
            group by lot_id
         ) as held using (lot_id)
         group by merchant_id
         order by merchant_id",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap()
}

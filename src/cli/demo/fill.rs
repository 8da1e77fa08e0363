//! Lives the planned history, window by window, through the use cases of live traffic.
//!
//! A window is one transaction, dated at its end. What was committed before an interruption is
//! known by the receipts, so the next start goes on behind it.

use std::{
    collections::HashMap,
    time::{Duration, Instant as Stopwatch},
};

use anyhow::Context;

use super::{
    calendar::Window,
    keys::Rights,
    periods,
    plan::{End, Order, Plan, Return, Sale},
};
use crate::{
    app::Mall,
    cli::phases::{Slice, phases},
    db::{Db, tx::Tx},
    earning::{self, Believed, RefundItem},
    kernel::{
        ids::{Entropy, GoodId, MemberId, PurchaseId, RedemptionId, StoreId},
        text::Code,
        time::{Clock, Period},
    },
    members::{self, Enrolment, MemberError},
    merchants,
    redemption::{self, ClaimCode, Limits, RedemptionError, SpendItem, Wanted},
};

/// How many lapsed reservations one call gives back.
const LAPSES: i64 = 1000;

/// What the filling came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Filled {
    pub(super) members: u64,
    pub(super) purchases: u64,
    pub(super) spends: u64,
    pub(super) refunds: u64,
    pub(super) reserved: u64,
    pub(super) claimed: u64,
    pub(super) cancelled: u64,
    pub(super) lapsed: u64,
    pub(super) periods: u64,
    /// Planned and refused, such as a good for which the points did not reach after all.
    pub(super) refused: u64,
}

/// The mall while it is being filled.
pub(super) struct Filling<'a> {
    db: &'a Db,
    mall: &'a Mall,
    rights: &'a Rights,
    plan: &'a Plan,
    seed: u64,
    stores: HashMap<Code, StoreId>,
    goods: HashMap<Code, GoodId>,
    members: HashMap<usize, MemberId>,
    codes: HashMap<usize, (ClaimCode, RedemptionId)>,
    filled: Filled,
}

impl<'a> Filling<'a> {
    /// Looks up what the history is about.
    ///
    /// # Errors
    /// A mall without its stores or goods; the database's errors.
    pub(super) async fn new(
        db: &'a Db,
        mall: &'a Mall,
        rights: &'a Rights,
        plan: &'a Plan,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let mut tx = db.write(&rights.record).await?;
        let codes: Vec<Code> = plan.sales.iter().map(|sale| sale.store.clone()).collect();
        let stores = merchants::stores_by_code(&mut tx, &distinct(codes)).await?;
        let goods = rights.goods(&mut tx).await?;
        let members = known(&mut tx, plan).await?;
        drop(tx);
        Ok(Self {
            db,
            mall,
            rights,
            plan,
            seed,
            stores: stores
                .into_iter()
                .map(|(code, till)| (code, till.store))
                .collect(),
            goods,
            members,
            codes: HashMap::new(),
            filled: Filled::default(),
        })
    }

    /// Lives what was not lived yet, and closes the periods that are over on the way.
    ///
    /// # Errors
    /// The database's errors: the next start goes on.
    pub(super) async fn run(mut self, tell: &dyn Fn(&str)) -> anyhow::Result<Filled> {
        let windows = &self.plan.calendar.windows;
        let start = self.first_open().await?;
        let zone = self.plan.calendar.zone;
        let unit = self.mall.settlement.period;
        let mut period = Period::containing(self.plan.calendar.first, unit);
        let mut told = Stopwatch::now();
        for (place, window) in windows.iter().enumerate().skip(start) {
            while period < Period::at(window.from, zone, unit) {
                self.close(period).await?;
                period = period.next();
            }
            self.live(place, window).await?;
            if told.elapsed() >= Duration::from_secs(1) {
                told = Stopwatch::now();
                tell(&self.progress(place, window));
            }
        }
        Ok(self.filled)
    }

    fn progress(&self, place: usize, window: &Window) -> String {
        let done = place.saturating_add(1).saturating_mul(100);
        let percent = done.checked_div(self.plan.calendar.windows.len());
        let day = self.plan.calendar.zone.day(window.from);
        let (percent, purchases) = (percent.unwrap_or(100), self.filled.purchases);
        format!("Filling the mall: {percent} %, {day}, {purchases} purchases")
    }

    /// The database at the end of a window.
    fn then(&self, place: usize, window: &Window) -> Db {
        let seed = u64::try_from(place).unwrap_or(0);
        let entropy = Entropy::seeded(self.seed.wrapping_add(seed).wrapping_add(1));
        self.db.at(Clock::fixed(window.to), entropy)
    }

    /// The first window that was not lived yet: each is in the books whole or not at all, and none
    /// before the one ahead of it.
    async fn first_open(&self) -> anyhow::Result<usize> {
        let windows = &self.plan.calendar.windows;
        let (mut lived, mut open) = (0_usize, windows.len());
        while lived < open {
            let middle = lived.midpoint(open);
            if self.is_lived(middle).await? {
                lived = middle.saturating_add(1);
            } else {
                open = middle;
            }
        }
        Ok(lived)
    }

    /// Whether the sales of a window are in the books; where it has none, those before it.
    async fn is_lived(&self, place: usize) -> anyhow::Result<bool> {
        let Some(window) = self.plan.calendar.windows.get(place) else {
            return Ok(true);
        };
        let first = self.plan.sales_in(window).start;
        let Some(sale) = self
            .plan
            .sales
            .get(first)
            .filter(|sale| sale.at < window.to)
        else {
            return Ok(false);
        };
        if sale
            .person
            .is_some_and(|who| !self.members.contains_key(&who))
        {
            return Ok(false);
        }
        let item = self.purchase(sale)?;
        let mut tx = self.then(place, window).write(&self.rights.record).await?;
        let answers =
            earning::record(&mut tx, &self.mall.earning, &[item], Believed::default()).await?;
        // Whatever this wrote is taken back with the transaction.
        drop(tx);
        let known = answers
            .into_iter()
            .flatten()
            .any(|receipt| receipt.replayed);
        Ok(known)
    }

    /// Closes a period three hours after its end and issues it; what merchants have not answered by
    /// the end of the history, the house confirms.
    async fn close(&mut self, period: Period) -> anyhow::Result<()> {
        let (_, end) = period.span(self.plan.calendar.zone);
        let at = |then| self.db.at(Clock::fixed(then), Entropy::System);
        let db = at(end + chrono::TimeDelta::hours(3));
        let confirm_by = periods::close_and_issue(&db, self.mall, self.rights, period).await?;
        if confirm_by <= self.plan.calendar.until {
            periods::confirm_due(&at(confirm_by), self.mall, self.rights).await?;
        }
        self.filled.periods = self.filled.periods.saturating_add(1);
        Ok(())
    }

    /// One window in one transaction.
    async fn live(&mut self, place: usize, window: &Window) -> anyhow::Result<()> {
        let mut tx = self.then(place, window).write(&self.rights.record).await?;
        self.join(&mut tx, window).await?;
        let sales = self.plan.sales_in(window);
        let sales = self.plan.sales.get(sales).unwrap_or_default();
        self.trade(&mut tx, sales).await?;
        self.take_back(&mut tx, self.plan.returns_in(window))
            .await?;
        self.lapse(&mut tx).await?;
        if window.counter {
            self.hand_over(&mut tx, place).await?;
            self.reserve(&mut tx, place).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Whoever's day has come becomes a member.
    async fn join(&mut self, tx: &mut Tx, window: &Window) -> anyhow::Result<()> {
        for (place, person) in self.plan.people.iter().enumerate() {
            let since = self.plan.calendar.start_of_day(person.joins);
            if since >= window.to || self.members.contains_key(&place) {
                continue;
            }
            let new = Enrolment {
                phone: person.phone.clone(),
                card_number: person.card.clone(),
                name: Some(person.name.clone()),
            };
            let id = match members::enrol(tx, &self.rights.enrol, new).await {
                Ok(member) => member.id,
                Err(MemberError::AlreadyMember(Some(id))) => id,
                Err(error) => return Err(error.into()),
            };
            self.members.insert(place, id);
            count(&mut self.filled.members, 1);
        }
        Ok(())
    }

    fn store(&self, code: &Code) -> anyhow::Result<StoreId> {
        let found = self.stores.get(code).copied();
        found.with_context(|| format!("the store {} is not there", code.as_str()))
    }

    fn member(&self, person: usize) -> anyhow::Result<MemberId> {
        let found = self.members.get(&person).copied();
        found.context("somebody acts who is no member yet")
    }

    fn purchase(&self, sale: &Sale) -> anyhow::Result<earning::Item> {
        Ok(earning::Item {
            grant: self.rights.record.clone(),
            store: self.store(&sale.store)?,
            receipt_number: sale.receipt.clone(),
            member: sale.person.map(|person| self.member(person)).transpose()?,
            lines: sale.lines.clone(),
            occurred_at: sale.at,
        })
    }

    fn spend(&self, sale: &Sale, person: usize) -> anyhow::Result<SpendItem> {
        let total = sale.lines.iter().map(|line| line.amount);
        let points = self.mall.redemption.terms.points_for(sale.off)?;
        Ok(SpendItem {
            grant: self.rights.spend.clone(),
            store: self.store(&sale.store)?,
            receipt_number: sale.receipt.clone(),
            member: self.member(person)?,
            total: total.fold(0, i64::saturating_add),
            points: Wanted::UpTo(points),
            form: None,
            limits: Limits::Kept,
            occurred_at: sale.at,
        })
    }

    /// Purchases, and points that pay a part of them.
    async fn trade(&mut self, tx: &mut Tx, sales: &[Sale]) -> anyhow::Result<()> {
        let spends_first = sales.iter().flat_map(|sale| {
            let spend = (sale.off > 0).then_some((sale, Slice::Spends));
            spend.into_iter().chain([(sale, Slice::Purchases)])
        });
        for phase in phases(spends_first, |(sale, slice)| (sale.person, *slice)) {
            let (mut purchases, mut spends) = (Vec::new(), Vec::new());
            for (sale, slice) in phase {
                match (slice, sale.person) {
                    (Slice::Spends, Some(person)) => spends.push(self.spend(sale, person)?),
                    _ => purchases.push(self.purchase(sale)?),
                }
            }
            if !spends.is_empty() {
                for answer in redemption::spend(tx, &self.mall.redemption, &spends, None).await? {
                    let taken = answer.is_ok_and(|receipt| receipt.points > 0);
                    self.note(taken, |filled| &mut filled.spends);
                }
            }
            if !purchases.is_empty() {
                for answer in
                    earning::record(tx, &self.mall.earning, &purchases, Believed::default()).await?
                {
                    self.note(answer.is_ok(), |filled| &mut filled.purchases);
                }
            }
        }
        Ok(())
    }

    /// Goods come back. The till that recorded the purchase knows its id, and so does whoever
    /// records it again.
    async fn take_back(&mut self, tx: &mut Tx, returns: &[Return]) -> anyhow::Result<()> {
        let mut sold = Vec::with_capacity(returns.len());
        for one in returns {
            let sale = self.plan.sales.get(one.sale);
            sold.push(self.purchase(sale.context("a refund of nothing")?)?);
        }
        if sold.is_empty() {
            return Ok(());
        }
        let known = earning::record(tx, &self.mall.earning, &sold, Believed::default()).await?;
        let purchases: Vec<Option<PurchaseId>> = known
            .into_iter()
            .map(|answer| answer.ok().map(|receipt| receipt.purchase))
            .collect();
        let items: Vec<RefundItem> = returns
            .iter()
            .zip(purchases)
            .filter_map(|(one, purchase)| {
                Some(RefundItem {
                    grant: self.rights.refund.clone(),
                    purchase: purchase?,
                    reference: one.reference.clone(),
                    amount: one.amount,
                    occurred_at: one.at,
                })
            })
            .collect();
        for answer in earning::refund(tx, &self.mall.earning, &items).await? {
            self.note(answer.is_ok(), |filled| &mut filled.refunds);
        }
        Ok(())
    }

    /// Nobody came in time.
    async fn lapse(&mut self, tx: &mut Tx) -> anyhow::Result<()> {
        let (zone, grace) = (self.mall.tenant.zone, self.mall.grace(tx.now()));
        let lapsed = redemption::lapse_due(tx, &self.rights.lapse, zone, grace, LAPSES).await?;
        count(&mut self.filled.lapsed, u64::try_from(lapsed).unwrap_or(0));
        Ok(())
    }

    /// What was reserved is fetched or given up.
    async fn hand_over(&mut self, tx: &mut Tx, window: usize) -> anyhow::Result<()> {
        let zone = self.mall.tenant.zone;
        for (place, order) in self.plan.orders.iter().enumerate() {
            let Some((_, end)) = order.end.as_ref().filter(|(when, _)| *when == window) else {
                continue;
            };
            // Unknown after an interruption: then the reservation lapses by itself.
            let Some((code, id)) = self.codes.remove(&place) else {
                continue;
            };
            match end {
                End::Claimed(store) => {
                    let store = self.store(store)?;
                    let done = redemption::claim(tx, &self.rights.claim, zone, &code, store).await;
                    self.note(settled(done)?, |filled| &mut filled.claimed);
                }
                End::Cancelled => {
                    let grace = self.mall.grace(tx.now());
                    let done = redemption::cancel(tx, &self.rights.cancel, zone, grace, id).await;
                    self.note(settled(done)?, |filled| &mut filled.cancelled);
                }
            }
        }
        Ok(())
    }

    async fn reserve(&mut self, tx: &mut Tx, window: usize) -> anyhow::Result<()> {
        for (place, order) in self.plan.orders.iter().enumerate() {
            let Order { person, good, .. } = order;
            if order.window != window {
                continue;
            }
            let good = self.goods.get(good).copied();
            let good = good.context("a good of the manifest is not there")?;
            let member = self.member(*person)?;
            let (grant, setting) = (&self.rights.reserve, &self.mall.redemption);
            match redemption::reserve(tx, grant, setting, good, member).await {
                Ok(made) => {
                    self.codes.insert(place, (made.code, made.id));
                    count(&mut self.filled.reserved, 1);
                }
                Err(RedemptionError::Db(error)) => return Err(error.into()),
                Err(_) => count(&mut self.filled.refused, 1),
            }
        }
        Ok(())
    }

    /// Counts what was done, or that it was refused.
    fn note(&mut self, done: bool, which: impl Fn(&mut Filled) -> &mut u64) {
        if done {
            count(which(&mut self.filled), 1);
        } else {
            count(&mut self.filled.refused, 1);
        }
    }
}

fn count(figure: &mut u64, more: u64) {
    *figure = figure.saturating_add(more);
}

/// Whether the rules allowed it; an error is the database's.
fn settled<T>(done: Result<T, RedemptionError>) -> anyhow::Result<bool> {
    match done {
        Ok(_) => Ok(true),
        Err(RedemptionError::Db(error)) => Err(error.into()),
        Err(_) => Ok(false),
    }
}

fn distinct(mut codes: Vec<Code>) -> Vec<Code> {
    codes.sort();
    codes.dedup();
    codes
}

/// The people who are members already, from a start that was interrupted.
async fn known(tx: &mut Tx, plan: &Plan) -> anyhow::Result<HashMap<usize, MemberId>> {
    let people = || plan.people.iter().enumerate();
    let phones: Vec<_> = people().filter_map(|(_, one)| one.phone.clone()).collect();
    let cards: Vec<_> = people().filter_map(|(_, one)| one.card.clone()).collect();
    let by_phone = members::by_phones(tx, &phones).await?;
    let by_card = members::by_cards(tx, &cards).await?;
    let find = |(place, one): (usize, &super::people::Person)| {
        let phone = one.phone.as_ref().and_then(|phone| by_phone.get(phone));
        let card = one.card.as_ref().and_then(|card| by_card.get(card));
        Some((place, *phone.or(card)?))
    };
    Ok(people().filter_map(find).collect())
}

//! What happens in the demo mall: who buys what, where and when, who pays with points, what is
//! brought back, reserved and fetched. Made from a seed and a date, before anything is written.

use std::collections::{HashMap, HashSet};

use anyhow::Context;
use chrono::{Datelike, NaiveDate, TimeDelta, Weekday};

use super::{
    calendar::{Calendar, Window},
    dice::{Dice, Urn},
    people::{Person, people},
    shops::{Shop, Shops},
    trades::{TRADES, Trade, Ware},
};
use crate::{
    earning::{RefundAmount, line::Line},
    kernel::{
        text::{Code, ReceiptNumber},
        time::Instant,
    },
    tenancy::Manifest,
};

/// Purchases in the whole history.
const VISITS: u64 = 13_500;
/// Of a thousand purchases, those of nobody in particular.
const STRANGERS: u64 = 70;
/// Of a thousand purchases that points could pay a part of, those where they do.
const SPENDS: u64 = 130;
/// Of a thousand purchases of members with points, those that end with a look at the catalogue.
const ORDERS: u64 = 60;
/// Of a thousand purchases, those that are brought back, in whole or in part.
const REFUNDS: u64 = 12;
/// The fewest points that a plan is made with.
const WORTHWHILE: i64 = 300;
/// What is left on the shelf for whoever looks at the mall afterwards.
const LEFT_ON_THE_SHELF: i64 = 3;

/// A purchase.
#[derive(Debug)]
pub(super) struct Sale {
    pub(super) at: Instant,
    pub(super) store: Code,
    pub(super) receipt: ReceiptNumber,
    /// Whose, as a place among the people.
    pub(super) person: Option<usize>,
    pub(super) lines: Vec<Line>,
    /// What points are to take off, in minor units.
    pub(super) off: i64,
}

/// A purchase that is brought back.
#[derive(Debug)]
pub(super) struct Return {
    pub(super) at: Instant,
    /// Its place among the sales.
    pub(super) sale: usize,
    pub(super) reference: ReceiptNumber,
    pub(super) amount: RefundAmount,
}

/// A good that somebody reserves.
#[derive(Debug)]
pub(super) struct Order {
    /// In which window.
    pub(super) window: usize,
    pub(super) person: usize,
    pub(super) good: Code,
    /// What becomes of it and when; nothing: nobody comes for it.
    pub(super) end: Option<(usize, End)>,
}

/// What becomes of a reservation.
#[derive(Debug)]
pub(super) enum End {
    /// It is fetched at this store.
    Claimed(Code),
    /// It is given up.
    Cancelled,
}

/// The whole history.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) calendar: Calendar,
    pub(super) people: Vec<Person>,
    /// By time.
    pub(super) sales: Vec<Sale>,
    /// By time.
    pub(super) returns: Vec<Return>,
    pub(super) orders: Vec<Order>,
}

impl Plan {
    /// The history of the mall of this manifest up to `until`.
    ///
    /// # Errors
    /// A manifest without the demo mall's merchants.
    pub(super) fn new(manifest: &Manifest, until: Instant, seed: u64) -> anyhow::Result<Self> {
        let dice = Dice::new(seed);
        let calendar = Calendar::new(manifest.registration.zone, until, &dice);
        let people = people(&dice, calendar.days())?;
        let shops = Shops::new(manifest);
        let visits = visits(&dice, &calendar, &people, &shops)?;
        let mut making = Making::new(&dice, &calendar, manifest, &shops, people.len());
        for visit in &visits {
            making.sale(visit)?;
        }
        let Making {
            sales,
            mut returns,
            orders,
            ..
        } = making;
        returns.sort_by_key(|one| (one.at, one.sale));
        Ok(Self {
            calendar,
            people,
            sales,
            returns,
            orders,
        })
    }

    /// The places of the sales of a window.
    pub(super) fn sales_in(&self, window: &Window) -> std::ops::Range<usize> {
        let upto = |end: Instant| self.sales.partition_point(|sale| sale.at < end);
        upto(window.from)..upto(window.to)
    }

    /// What is brought back in a window.
    pub(super) fn returns_in(&self, window: &Window) -> &[Return] {
        let upto = |end: Instant| self.returns.partition_point(|one| one.at < end);
        let places = upto(window.from)..upto(window.to);
        self.returns.get(places).unwrap_or_default()
    }
}

/// Somebody in a shop.
struct Visit<'a> {
    at: Instant,
    trade: &'static Trade,
    shop: &'a Shop,
    person: Option<usize>,
}

/// All visits, by time.
fn visits<'a>(
    dice: &Dice,
    calendar: &Calendar,
    people: &[Person],
    shops: &'a Shops,
) -> anyhow::Result<Vec<Visit<'a>>> {
    let days: Vec<NaiveDate> = calendar.dates().collect();
    let kinds = Urn::new(days.iter().enumerate().flat_map(|(place, day)| {
        TRADES.iter().map(move |trade| {
            let weight = if weekend(*day) { trade.weekend } else { 100 };
            (trade.share.saturating_mul(weight), (place, *day, trade))
        })
    }));
    let hours: HashMap<&str, Urn<u32>> = TRADES
        .iter()
        .map(|trade| (trade.name, Urn::new(hours(trade))))
        .collect();
    let crowd = Urn::new(people.iter().map(|one| one.comes).zip(0_usize..));
    let mut visits = Vec::new();
    for _ in 0..VISITS {
        let (place, day, trade) = kinds.draw(dice).context("the history has no day")?;
        let hour = hours.get(trade.name).and_then(|urn| urn.draw(dice));
        let second = i64::from(*hour.context("a trade is never open")?)
            .saturating_mul(3600)
            .saturating_add(dice.between(0, 3599));
        let at = calendar.moment(*day, second);
        let shop = shops.draw(dice, trade, weekend(*day))?;
        let person = visitor(dice, &crowd, people, u64::try_from(*place)?);
        if at < calendar.until {
            visits.push(Visit {
                at,
                trade,
                shop,
                person,
            });
        }
    }
    visits.sort_by_key(|visit| visit.at);
    Ok(visits)
}

fn weekend(day: NaiveDate) -> bool {
    matches!(day.weekday(), Weekday::Sat | Weekday::Sun)
}

/// How busy a trade is, hour by hour.
fn hours(trade: &'static Trade) -> impl Iterator<Item = (u64, u32)> {
    (trade.open.0..trade.open.1).map(|hour| {
        let busy = trade
            .peaks
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&hour));
        let weight = match (busy, hour) {
            (true, _) => 7,
            (false, 0..7) => 1,
            (false, _) => 2,
        };
        (weight, hour)
    })
}

/// A member who comes on that day, or nobody in particular.
fn visitor(dice: &Dice, crowd: &Urn<usize>, people: &[Person], day: u64) -> Option<usize> {
    if dice.chance(STRANGERS) {
        return None;
    }
    // Who is no member yet comes later; somebody else comes instead.
    (0..6)
        .filter_map(|_| crowd.draw(dice).copied())
        .find(|place| people.get(*place).is_some_and(|one| one.joins <= day))
}

/// Sales in the making, with a careful guess at what everybody's points are.
struct Making<'a> {
    dice: &'a Dice,
    calendar: &'a Calendar,
    manifest: &'a Manifest,
    shops: &'a Shops,
    points: Vec<i64>,
    taken: HashMap<&'a Code, i64>,
    had: HashSet<(usize, &'a Code)>,
    receipts: HashMap<NaiveDate, u32>,
    sales: Vec<Sale>,
    returns: Vec<Return>,
    orders: Vec<Order>,
}

impl<'a> Making<'a> {
    fn new(
        dice: &'a Dice,
        calendar: &'a Calendar,
        manifest: &'a Manifest,
        shops: &'a Shops,
        people: usize,
    ) -> Self {
        Self {
            dice,
            calendar,
            manifest,
            shops,
            points: vec![0; people],
            taken: HashMap::new(),
            had: HashSet::new(),
            receipts: HashMap::new(),
            sales: Vec::new(),
            returns: Vec::new(),
            orders: Vec::new(),
        }
    }

    fn sale(&mut self, visit: &Visit<'_>) -> anyhow::Result<()> {
        let lines = self.lines(visit)?;
        let total = lines
            .iter()
            .fold(0_i64, |sum, line| sum.saturating_add(line.amount));
        let day = self.calendar.zone.day(visit.at);
        let number = self.receipts.entry(day).or_default();
        *number = number.saturating_add(1);
        let receipt: ReceiptNumber = format!("{}-{number:04}", day.format("%y%m%d")).parse()?;
        let off = self.off(visit, total);
        let earned = if visit.shop.earns {
            guess(visit.trade, &lines, total.saturating_sub(off))
        } else {
            0
        };
        let refunded = self.refund(visit, &receipt, &lines, total)?;
        if let Some(points) = visit.person.and_then(|place| self.points.get_mut(place)) {
            // Whoever brings goods back may not count on their points.
            let kept = if refunded { 0 } else { earned };
            *points = points.saturating_sub(off).saturating_add(kept);
        }
        self.sales.push(Sale {
            at: visit.at,
            store: visit.shop.code.clone(),
            receipt,
            person: visit.person,
            lines,
            off,
        });
        if let Some(person) = visit.person {
            self.order(visit.at, person);
        }
        Ok(())
    }

    fn lines(&self, visit: &Visit<'_>) -> anyhow::Result<Vec<Line>> {
        let more = self.dice.more(visit.trade.lines.saturating_sub(10));
        (0..=more)
            .map(|_| {
                let ware = visit.shop.wares.draw(self.dice);
                let ware = ware.context("a shop sells nothing")?;
                let quantity = match self.dice.below(100) {
                    0..84 => 1,
                    84..96 => 2,
                    _ => 3,
                };
                Ok(Line {
                    category: ware.category.parse()?,
                    quantity,
                    amount: price(self.dice, ware).saturating_mul(quantity),
                })
            })
            .collect()
    }

    /// What points take off: 100 points are 1.00 and pay at most half.
    fn off(&self, visit: &Visit<'_>, total: i64) -> i64 {
        let points = visit.person.and_then(|place| self.points.get(place));
        let points = points.copied().unwrap_or(0);
        if !visit.shop.spends || points < WORTHWHILE || !self.dice.chance(SPENDS) {
            return 0;
        }
        let most = points.min(total.checked_div(2).unwrap_or(0));
        most.saturating_sub(most.rem_euclid(100))
    }

    /// Whether it is brought back, which is then planned.
    fn refund(
        &mut self,
        visit: &Visit<'_>,
        receipt: &ReceiptNumber,
        lines: &[Line],
        total: i64,
    ) -> anyhow::Result<bool> {
        if total == 0 || !self.dice.chance(REFUNDS) {
            return Ok(false);
        }
        let days = TimeDelta::days(self.dice.between(1, 6));
        let day = self.calendar.zone.day(visit.at + days);
        let at = self
            .calendar
            .moment(day, self.dice.between(11 * 3600, 20 * 3600));
        let part = self.dice.of(lines).map_or(total, |line| line.amount);
        let amount = if part == 0 || part >= total || self.dice.chance(500) {
            RefundAmount::Rest
        } else {
            RefundAmount::Minor(part)
        };
        if at < self.calendar.until {
            self.returns.push(Return {
                at,
                sale: self.sales.len(),
                reference: format!("R-{}", receipt.as_str()).parse()?,
                amount,
            });
        }
        Ok(true)
    }

    /// A look at the catalogue after a purchase, and what comes of it.
    fn order(&mut self, at: Instant, person: usize) {
        let points = self.points.get(person).copied().unwrap_or(0);
        if points < WORTHWHILE || !self.dice.chance(ORDERS) {
            return;
        }
        let affordable: Vec<_> = self
            .manifest
            .goods
            .iter()
            .filter(|good| {
                let taken = self.taken.get(&good.code).copied().unwrap_or(0);
                let left = good.stock.saturating_sub(taken);
                good.points.get() <= points
                    && left > LEFT_ON_THE_SHELF
                    && !self.had.contains(&(person, &good.code))
            })
            .collect();
        // Of three that please, the dearest.
        let pleasing = (0..3).filter_map(|_| self.dice.of(&affordable));
        let Some(good) = pleasing.max_by_key(|good| good.points.get()) else {
            return;
        };
        let Some(window) = self.calendar.counter_after(at, 0) else {
            return;
        };
        let wait = self.dice.place(9);
        let later = self.calendar.counter_after(at, wait.saturating_add(1));
        let fate = self.dice.below(100);
        let end = later.and_then(|window| match fate {
            0..78 => {
                let stores = self.shops.claiming(&good.offered_by);
                let store = self.dice.of(&stores)?;
                Some((window, End::Claimed((*store).clone())))
            }
            78..88 => Some((window, End::Cancelled)),
            _ => None,
        });
        let taken = self.taken.entry(&good.code).or_default();
        *taken = taken.saturating_add(1);
        self.had.insert((person, &good.code));
        if let Some(points) = self.points.get_mut(person) {
            *points = points.saturating_sub(good.points.get());
        }
        self.orders.push(Order {
            window,
            person,
            good: good.code.clone(),
            end,
        });
    }
}

/// A little less than what a purchase earns.
fn guess(trade: &Trade, lines: &[Line], paid: i64) -> i64 {
    let barred = |line: &&Line| matches!(line.category.as_str(), "gift card" | "tobacco");
    let nothing = lines
        .iter()
        .filter(barred)
        .fold(0_i64, |sum, line| sum.saturating_add(line.amount));
    let per = match trade.name {
        "electronics" | "jeweller" => 500,
        _ => 100,
    };
    let counts = paid.saturating_sub(nothing).clamp(0, 500_000);
    counts
        .checked_div(per)
        .unwrap_or(0)
        .saturating_sub(1)
        .max(0)
}

/// A price as it stands on a label.
fn price(dice: &Dice, ware: &Ware) -> i64 {
    let (low, _, high) = ware.price;
    let drawn = dice.price(ware.price);
    let whole = |unit: i64| drawn.saturating_sub(drawn.rem_euclid(unit));
    let label = match ware.category {
        // Weighed, and so to the fen.
        "fresh food" | "meat and seafood" | "gold" => drawn,
        "gift card" => whole(50_00),
        _ if drawn < 100_00 => {
            let ending = dice.of(&[0, 0, 50, 80, 90]).copied().unwrap_or(0);
            whole(1_00).saturating_add(ending)
        }
        _ => {
            let ending = dice.of(&[0, 5_00, 8_00, 9_00]).copied().unwrap_or(0);
            whole(10_00).saturating_add(ending)
        }
    };
    label.clamp(low, high)
}

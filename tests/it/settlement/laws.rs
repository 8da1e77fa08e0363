//! What holds of every month, whatever happened in it. Nothing here needs a database: the ledger's
//! books are pure until they are posted.

use std::collections::{BTreeMap, HashMap};

use chrono::TimeDelta;
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use rotunda::{
    authz::actor::Actor,
    kernel::{
        ids::{AgreementId, Entropy, JournalId, LotId, MemberId, MerchantId, StoreId},
        money::Rate,
        time::{Instant, Period, Unit, Zone},
    },
    ledger::{
        Drawn, Flow, FlowKind,
        account::Account,
        books::{Books, NewLot, Wallet},
        lots::Draw,
        transfer::{Event, Kind, Transfer},
    },
    merchants::agreements::{
        Agreement, AgreementTerms, Breakage, Cost, FeeRule, Fees, Model, Price,
    },
    settlement::{
        Agreed, LineKind,
        calculation::{Basis, FORM, calculate},
        netting::{self, NettingError, Party},
    },
};
use uuid::Uuid;

use crate::support::settling::{at, period_of};

/// What somebody does: which act, who, where, how many, of what before.
type Act = (u8, u8, u8, i64, usize);

fn merchant(number: u8) -> MerchantId {
    MerchantId::from_uuid(Uuid::from_u128(u128::from(number) + 1))
}

fn member(number: u8) -> MemberId {
    MemberId::from_uuid(Uuid::from_u128(u128::from(number) + 1))
}

/// A month of an alliance of `merchants`: points earned, spent, given back and taken back.
struct Alliance {
    books: Books,
    merchants: u8,
    lots: Vec<(LotId, u8, u8)>,
    spends: Vec<(JournalId, u8, u8)>,
    returned: HashMap<(JournalId, LotId), (i64, i64)>,
    now: Instant,
    /// How long after one act the next one comes.
    step: TimeDelta,
}

impl Alliance {
    fn of(merchants: u8, acts: &[Act]) -> Self {
        let now = at("2026-06-01T04:00:00Z");
        Self::since(
            merchants,
            acts,
            period_of("2026-06"),
            now,
            TimeDelta::minutes(1),
        )
    }

    /// From `now` on, an act each `step`, posted by periods of the unit of `open`.
    fn since(merchants: u8, acts: &[Act], open: Period, now: Instant, step: TimeDelta) -> Self {
        let mut books = Books::new(Zone::UTC, open, now, Entropy::seeded(1));
        for number in 0..4 {
            books.add_wallet(member(number), Wallet::default());
        }
        let mut alliance = Self {
            books,
            merchants,
            lots: Vec::new(),
            spends: Vec::new(),
            returned: HashMap::new(),
            now,
            step,
        };
        for act in acts {
            alliance.now += step;
            alliance.act(*act);
        }
        alliance
    }

    fn event(&self, kind: Kind, who: u8, place: u8, reverses: Option<JournalId>) -> Event {
        Event {
            kind,
            actor: Actor::System,
            member: member(who),
            place: Some((merchant(place), StoreId::from_uuid(merchant(place).uuid()))),
            source: JournalId::new(self.now, &Entropy::System).uuid(),
            occurred_at: self.now,
            reverses,
        }
    }

    fn act(&mut self, (what, who, place, points, past): Act) {
        let (who, place) = (who % 4, place % self.merchants);
        match what % 8 {
            0..3 => self.earn(who, place, points),
            3..6 => self.spend(who, place, points),
            6 => self.give_back(past, points),
            _ => self.take_back(past, points),
        }
    }

    fn earn(&mut self, who: u8, place: u8, points: i64) {
        let event = self.event(Kind::Purchase, who, place, None);
        let rate = Rate::new(1 + points % 5, 1 + points % 7).unwrap();
        let new = NewLot {
            points,
            rate,
            // Every third lapses ten acts later, unless it is used.
            expires_at: (points % 3 == 0).then(|| self.now + self.step * 10),
            only_at: None,
        };
        let (lot, _) = self.books.issue(&event, new).unwrap();
        self.lots.push((lot, who, place));
    }

    fn spend(&mut self, who: u8, place: u8, points: i64) {
        let points = points.min(self.books.spendable(member(who), self.now, None));
        if points > 0 {
            let event = self.event(Kind::Spend, who, place, None);
            let posted = self.books.spend(&event, points).unwrap();
            self.spends.push((posted.journal, who, place));
        }
    }

    fn give_back(&mut self, past: usize, points: i64) {
        let Some((spend, who, place)) = self.spends.get(past % self.spends.len().max(1)).copied()
        else {
            return;
        };
        let taken = |transfer: &&Transfer| transfer.cause == spend;
        let accepted = self.books.transfers().iter().filter(taken);
        let mut drawn: Vec<Drawn> = accepted
            .map(|transfer| {
                let key = (spend, transfer.lot);
                let (returned, value_returned) = self.returned.get(&key).copied().unwrap_or((0, 0));
                let draw = Draw {
                    lot: transfer.lot,
                    issuer: self.books.lot(transfer.lot).unwrap().merchant,
                    only_at: None,
                    earned_at: transfer.earned_at,
                    points: transfer.points,
                    value: transfer.value,
                };
                Drawn {
                    draw,
                    returned,
                    value_returned,
                }
            })
            .collect();
        let event = self.event(Kind::SpendReturn, who, place, Some(spend));
        let before = self.books.transfers().len();
        self.books
            .give_back(&event, &mut drawn, points, self.now)
            .unwrap();
        for transfer in &self.books.transfers()[before..] {
            if matches!(transfer.from, Account::Accepted { .. }) {
                let past = self.returned.entry((spend, transfer.lot)).or_default();
                *past = (past.0 + transfer.points, past.1 + transfer.value);
            }
        }
    }

    fn take_back(&mut self, past: usize, points: i64) {
        let Some((lot, who, place)) = self.lots.get(past % self.lots.len().max(1)).copied() else {
            return;
        };
        let event = self.event(Kind::Refund, who, place, None);
        self.books.claw(&event, lot, points).unwrap();
    }

    /// The transfers as a settlement sees them, one flow each.
    fn flows(&self) -> Vec<Flow> {
        self.flows_of(|_| true)
    }

    /// The same of some periods.
    fn flows_of(&self, which: impl Fn(Period) -> bool) -> Vec<Flow> {
        let flow = |transfer: &Transfer| {
            let (kind, by) = match (transfer.from, transfer.to) {
                (Account::Issued(by), _) => (FlowKind::Issued, by),
                (Account::Deficit(..), Account::Issued(by)) => (FlowKind::Owed, by),
                (_, Account::Issued(by)) => (FlowKind::TakenBack, by),
                (_, Account::Expired(by)) => (FlowKind::Expired, by),
                (Account::Accepted { by, .. }, _) => (FlowKind::GivenBack, by),
                (_, Account::Accepted { by, .. } | Account::Deficit(_, by)) => {
                    (FlowKind::Accepted, by)
                }
                _ => return None,
            };
            let from = self.books.lot(transfer.lot).unwrap().merchant;
            let (points, value) = (transfer.points, transfer.value);
            Some(Flow {
                kind,
                by,
                from,
                era: None,
                points,
                value,
            })
        };
        let all = self.books.transfers().iter();
        let own = all.filter(|transfer| which(transfer.posted_in));
        own.filter_map(flow).collect()
    }

    /// What each merchant is owed before fees, from the transfers alone: who takes a point is owed
    /// its value by who issued it.
    fn owed(&self) -> BTreeMap<MerchantId, i64> {
        let mut owed = BTreeMap::new();
        for flow in self.flows() {
            let value = match flow.kind {
                FlowKind::Accepted => flow.value,
                FlowKind::GivenBack => -flow.value,
                _ => 0,
            };
            *owed.entry(flow.by).or_insert(0) += value;
            *owed.entry(flow.from).or_insert(0) -= value;
        }
        owed
    }
}

/// An agreement by dice; one in four merchants has none.
fn agreement(number: u8, dice: [u16; 5]) -> Option<Agreement> {
    let part = |index: usize| i64::from(dice[index]) % 10_001;
    let (first, rest) = (part(1), 10_000 - part(1));
    let second = i64::from(dice[2]) % (rest + 1);
    let shares = [first, second, rest - second];
    let fees = Fees {
        basis_points: dice[3].is_multiple_of(2).then(|| part(3)),
        by_issuer: vec![FeeRule {
            issuer: merchant(u8::try_from(dice[3] % 20).unwrap()),
            basis_points: part(4),
        }],
        issue: dice[4].is_multiple_of(3).then_some(Price {
            points: 7,
            worth: 3,
        }),
        fixed: dice[4].is_multiple_of(5).then_some(100),
    };
    let [one, two, three] = shares;
    let terms = match dice[0] % 4 {
        0 => return None,
        1 => AgreementTerms {
            model: Model::Pool,
            issue_price: Some(Price {
                points: 1 + part(3),
                worth: part(4),
            }),
            breakage: Some(Breakage {
                operator: one,
                issuer: two,
                fund: three,
            }),
            fees,
            ..AgreementTerms::default()
        },
        _ => AgreementTerms {
            cost: Some(Cost {
                issuer: one,
                operator: two,
                redeemer: three,
            }),
            fees,
            ..AgreementTerms::default()
        },
    };
    terms.check().unwrap();
    Some(Agreement {
        id: AgreementId::from_uuid(merchant(number).uuid()),
        merchant: merchant(number),
        version: 1,
        starts_at: at("2000-01-01T00:00:00Z"),
        terms,
        digest: String::new(),
        document_digest: None,
        proposed_at: at("1999-12-01T00:00:00Z"),
        proposed_by: String::new(),
        accepted: None,
    })
}

/// A mall's fee and nothing else.
fn plain(fee_basis_points: i64, agreed: &Agreed) -> Basis<'_> {
    Basis {
        fee_basis_points,
        agreed,
        adjustments: &[],
        prepaid: &[],
        claims: &[],
    }
}

/// What every payment does to every party.
fn moved(payments: &[netting::Payment]) -> BTreeMap<Party, i64> {
    let mut moved = BTreeMap::new();
    for payment in payments {
        assert!(payment.amount > 0);
        *moved.entry(payment.from).or_insert(0) -= payment.amount;
        *moved.entry(payment.to).or_insert(0) += payment.amount;
    }
    moved
}

fn acts(most: usize) -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(
        (
            any::<u8>(),
            any::<u8>(),
            any::<u8>(),
            1..2000_i64,
            any::<usize>(),
        ),
        1..most,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn set_1_every_month_adds_up_to_zero_and_to_what_the_transfers_say(
        merchants in 2..=50_u8,
        acts in acts(60),
        fee in 0..=10_000_i64,
    ) {
        let alliance = Alliance::of(merchants, &acts);
        let month = calculate(&alliance.flows(), &plain(fee, &Agreed::default())).unwrap();
        prop_assert_eq!(month.sum(), Ok(0));
        prop_assert_eq!(month.nets().values().sum::<i64>(), 0);
        let owed = alliance.owed();
        prop_assert_eq!(owed.len(), month.merchants.len());
        let mut fees = 0;
        for (merchant, position) in &month.merchants {
            prop_assert_eq!(position.net + position.fee, owed[merchant]);
            // The nearest whole minor unit; of two as near, the even one.
            let off = position.fee * 10_000 - position.receives * fee;
            prop_assert!(off.abs() < 5000 || off.abs() == 5000 && position.fee % 2 == 0);
            fees += position.fee;
        }
        prop_assert_eq!(fees, month.operator_net);
        let nets = month.nets();
        let due: BTreeMap<Party, i64> = nets.into_iter().filter(|(_, net)| *net != 0).collect();
        prop_assert_eq!(moved(&month.payments), due);
    }

    #[test]
    fn set_1_whatever_was_agreed_on_every_month_adds_up_to_zero_and_the_pool_to_what_is_open(
        merchants in 2..=20_u8,
        acts in acts(60),
        agreements in prop::collection::vec(any::<[u16; 5]>(), 20),
        fee in 0..=10_000_i64,
    ) {
        let alliance = Alliance::of(merchants, &acts);
        let versions = (0..merchants).zip(agreements).filter_map(|(number, dice)| {
            Some((merchant(number), vec![agreement(number, dice)?]))
        });
        let versions: BTreeMap<MerchantId, Vec<Agreement>> = versions.collect();
        let pooled: Vec<bool> =
            versions.values().map(|it| it[0].terms.model == Model::Pool).collect();
        let agreed = Agreed::new(versions, at("2000-02-01T00:00:00Z"));
        let mut flows = alliance.flows();
        for flow in &mut flows {
            flow.era = agreed.eras().iter().position(|era| era.issuer == flow.from);
        }
        let month = calculate(&flows, &plain(fee, &agreed)).unwrap();
        prop_assert_eq!(month.sum(), Ok(0));
        prop_assert_eq!(month.lines.iter().map(|line| line.amount).sum::<i64>(), 0);
        for (party, net) in month.nets() {
            let lines = month.lines.iter().filter(|line| line.party == party);
            prop_assert_eq!(lines.map(|line| line.amount).sum::<i64>(), net);
        }
        for it in month.merchants.values() {
            let net = it.receives - it.pays - it.funded - it.fee + it.breakage + it.adjusted;
            prop_assert_eq!(it.net, net);
        }
        let due: BTreeMap<Party, i64> =
            month.nets().into_iter().filter(|(_, net)| *net != 0).collect();
        prop_assert_eq!(moved(&month.payments), due);
        let pool = |issuer: MerchantId| {
            let place = agreed.eras().iter().position(|era| era.issuer == issuer);
            place.is_some_and(|place| pooled[place])
        };
        let open = alliance.lots.iter().map(|(lot, ..)| alliance.books.lot(*lot).unwrap());
        let open = open.filter(|lot| pool(lot.merchant)).map(|lot| lot.worth_left).sum::<i64>();
        let in_pool = month.operator().unwrap().get(&LineKind::Pool).copied().unwrap_or(0);
        prop_assert_eq!(in_pool, open);
        let mut shuffled = flows.clone();
        shuffled.reverse();
        prop_assert_eq!(calculate(&shuffled, &plain(fee, &agreed)), Ok(month));
    }

    #[test]
    fn by_day_by_week_and_by_month_everybody_gets_the_same_but_for_what_fees_are_rounded_by(
        merchants in 2..=20_u8,
        acts in acts(60),
        fee in 0..=10_000_i64,
    ) {
        // February 2027 is four weeks from Monday to Sunday; sixty acts eleven hours apart.
        let (day, now) = ("2027-02-01".parse().unwrap(), at("2027-02-01T00:00:00Z"));
        let settled = |unit: Unit, fee: i64| {
            let open = Period::containing(day, unit);
            let alliance = Alliance::since(merchants, &acts, open, now, TimeDelta::hours(11));
            let mut periods: Vec<Period> =
                alliance.books.transfers().iter().map(|moved| moved.posted_in).collect();
            periods.sort_unstable();
            periods.dedup();
            let mut sums: BTreeMap<Party, i64> = BTreeMap::new();
            for period in &periods {
                let flows = alliance.flows_of(|one| one == *period);
                let it = calculate(&flows, &plain(fee, &Agreed::default())).unwrap();
                for (party, net) in it.nets() {
                    *sums.entry(party).or_default() += net;
                }
            }
            (sums, i64::try_from(periods.len()).unwrap())
        };
        let (by_month, one) = settled(Unit::Month, 0);
        prop_assert!(one <= 1);
        let (with_fees, _) = settled(Unit::Month, fee);
        for unit in [Unit::Day, Unit::Week] {
            prop_assert_eq!(&settled(unit, 0).0, &by_month);
            let (sums, periods) = settled(unit, fee);
            for (party, net) in sums {
                let parts = if party.is_none() { i64::from(merchants) } else { 1 };
                let off = (net - with_fees[&party]).abs();
                // Half a minor unit a period, and another half for the month.
                prop_assert!(2 * off <= parts * (periods + 1), "{party:?} {off} {periods}");
            }
        }
    }

    #[test]
    fn set_5_netting_gives_each_party_its_net_in_fewer_payments_than_parties(
        mut nets in prop::collection::vec(-1_000_000..1_000_000_i64, 1..50),
    ) {
        nets.push(-nets.iter().sum::<i64>());
        let parties = nets.iter().enumerate();
        let nets: BTreeMap<Party, i64> = parties
            .map(|(number, net)| (number.checked_sub(1).map(|n| merchant(u8::try_from(n).unwrap())), *net))
            .collect();
        let payments = netting::payments(&nets).unwrap();
        let due: BTreeMap<Party, i64> =
            nets.iter().filter(|(_, net)| **net != 0).map(|(party, net)| (*party, *net)).collect();
        prop_assert!(payments.len() <= due.len().saturating_sub(1));
        prop_assert_eq!(moved(&payments), due);
        for payment in &payments {
            prop_assert!(nets[&payment.from] < 0 && nets[&payment.to] > 0);
        }
    }
}

#[test]
fn set_2_the_order_of_events_changes_no_byte_of_a_month() {
    for set in 0..100 {
        let mut rng = StdRng::seed_from_u64(set);
        let acts: Vec<Act> = (0..50)
            .map(|_| {
                (
                    rng.random(),
                    rng.random(),
                    rng.random(),
                    rng.random_range(1..2000),
                    rng.random_range(0..1000),
                )
            })
            .collect();
        let alliance = Alliance::of(rng.random_range(2..=50), &acts);
        let mut flows = alliance.flows();
        let figures = |flows: &[Flow]| {
            let month_figures = calculate(flows, &plain(213, &Agreed::default())).unwrap();
            let text = month_figures.canonical(period_of("2026-06"), 213, FORM);
            (text, month_figures.payments)
        };
        let first = figures(&flows);
        for _ in 0..500 {
            flows.shuffle(&mut rng);
            assert_eq!(figures(&flows), first, "set {set}");
        }
    }
}

#[test]
fn sums_beyond_the_books_are_refused_in_any_order_and_lopsided_nets_never_paid() {
    let flow = |kind, value| Flow {
        kind,
        by: merchant(0),
        from: merchant(1),
        era: None,
        points: 1,
        value,
    };
    let (most, one) = (
        flow(FlowKind::Accepted, i64::MAX),
        flow(FlowKind::Accepted, 1),
    );
    let back = flow(FlowKind::GivenBack, 1);
    let none = Agreed::default();
    for flows in [
        vec![most, one],
        vec![most, back, one],
        vec![most, one, back],
    ] {
        let refused = calculate(&flows, &plain(0, &none));
        assert!(matches!(refused, Err(NettingError::Amount(_))));
    }
    assert!(calculate(&[most, back], &plain(0, &none)).is_ok());
    for nets in [vec![5], vec![-5], vec![5, -4], vec![i64::MAX, i64::MAX]] {
        let nets = nets.into_iter().enumerate();
        let nets = nets
            .map(|(n, net)| (Some(merchant(u8::try_from(n).unwrap())), net))
            .collect();
        assert!(matches!(
            netting::payments(&nets),
            Err(NettingError::Lopsided(_))
        ));
    }
}

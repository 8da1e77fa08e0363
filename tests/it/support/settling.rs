//! A mall that lives in a test, in verbs: who earns where, who spends where, which month closes.
//!
//! A database of this process's own on the server of `DATABASE_URL`, a mall of its own for each
//! test. Points move through the ledger; the rows of receipts, spends and reservations are written
//! beside it as the rooms would write them.

use std::{collections::BTreeMap, str::FromStr};

use rotunda::{
    authz::{
        action::{
            Action, ApplyManifest, CloseSettlement, CreateMerchant, EnrolMember, ManageTenants,
            PreviewSettlement, RecordPurchase, VerifyBooks,
        },
        actor::{Actor, Principal, Reach, Role},
        grant::Grant,
        policy::Policy,
    },
    db::{
        Db,
        tenants::{Registration, Schema, Tenant},
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{Entropy, JournalId, LotId, MemberId, MerchantId, StoreId},
        money::{Currency, Rate},
        text::{Language, Names},
        time::{Clock, Instant, Period, Unit},
    },
    ledger::{
        self, Drawn,
        books::{Books, NewLot, Wanted},
        lots::Draw,
        transfer::{Event, Kind},
    },
    members::{self, Enrolment},
    merchants::{self, credit::Rules},
    reports::proof::{Check, prove},
    settlement::{self, Approval, Course, Model, Preview, Sealed, Terms, calculation::Position},
    tenancy::{self, TenancyError},
};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

/// A moment, as RFC 3339 in UTC.
pub fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

/// A period.
pub fn period_of(text: &str) -> Period {
    text.parse().unwrap()
}

/// A merchant with one store.
#[derive(Debug, Clone, Copy)]
pub struct Shop {
    pub merchant: MerchantId,
    pub store: StoreId,
}

/// A purchase that earned.
#[derive(Debug, Clone, Copy)]
pub struct Earned {
    pub lot: LotId,
    pub purchase: Uuid,
}

/// Points that paid.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    pub journal: JournalId,
    pub spend: Uuid,
}

/// A mall of one test.
pub struct Mall {
    pub db: Db,
    pub policy: Policy,
    pub tenant: Tenant,
    pub clock: Clock,
    pub terms: Terms,
}

impl Mall {
    /// A new mall in Shanghai, CNY, 100 points = 1.00, without a fee; it is `now` there. Closing a
    /// month takes it as far as it goes without anybody paying.
    pub async fn open(now: &str) -> Self {
        Self::open_in(now, "Asia/Shanghai").await
    }

    /// The same, which settles by periods of that unit.
    pub async fn open_by(unit: Unit, now: &str) -> Self {
        let mut mall = Self::open(now).await;
        mall.settles_by(unit).await.unwrap();
        mall
    }

    /// From now on it settles by periods of that unit, if nothing stands in the way.
    pub async fn settles_by(&mut self, unit: Unit) -> Result<(), TenancyError> {
        let grant = self.grant::<ApplyManifest>();
        let mut tx = self.db.write(&grant).await.unwrap();
        tenancy::settle_by(&mut tx, &grant, &self.tenant.slug, unit).await?;
        tx.commit().await.unwrap();
        self.terms.period = unit;
        Ok(())
    }

    /// The same as [`Mall::open`] in another zone.
    pub async fn open_in(now: &str, zone: &str) -> Self {
        let clock = Clock::fixed(at(now));
        let secret = SecretString::from(super::url());
        let db = Db::new(&secret, 16, clock.clone(), Entropy::System).unwrap();
        db.prepare().await.unwrap();
        let policy = Policy::embedded().await.unwrap();
        let grant = policy
            .allow::<ManageTenants>(&Principal::platform(None))
            .unwrap();
        let slug = super::fresh_slug();
        let registration = Registration {
            slug: slug.parse().unwrap(),
            names: Names::only(Language::En, "Test Mall".parse().unwrap()),
            zone: zone.parse().unwrap(),
            currency: Currency::from_code("CNY").unwrap(),
            calling_code: "86".to_owned(),
            languages: vec![Language::En],
            hosts: vec![format!("{slug}.localhost")],
        };
        let tenant = db.register(&grant, &registration).await.unwrap();
        Self {
            db,
            policy,
            tenant,
            clock,
            terms: Terms {
                period: Unit::Month,
                model: Model::Bilateral,
                rate: Rate::new(100, 100).unwrap(),
                fee_basis_points: 0,
                course: Course {
                    approval: Approval::One,
                    confirm_days: 0,
                },
                credit: Rules::default(),
            },
        }
    }

    /// The key to `A` for the vendor.
    pub fn grant<A: Action>(&self) -> Grant<A> {
        let who = Principal::platform(Some(self.tenant.id));
        self.policy.allow::<A>(&who).unwrap()
    }

    /// The key to `A` for an operator's role, or a merchant's within that merchant.
    pub fn grant_of<A: Action>(&self, role: &str, merchant: Option<MerchantId>) -> Grant<A> {
        let mut who = Principal::system(self.tenant.id);
        who.role = Role::new(role);
        who.scope = merchant.map_or(Reach::Mall, Reach::Merchant);
        self.policy.allow::<A>(&who).unwrap()
    }

    /// A transaction that posts.
    pub async fn tx(&self) -> Tx {
        let grant = self.grant::<RecordPurchase>();
        self.db.write(&grant).await.unwrap()
    }

    /// A transaction that reads.
    pub async fn reading(&self) -> ReadTx {
        let grant = self.grant::<VerifyBooks>();
        self.db.read(&grant).await.unwrap()
    }

    /// The owner of everything, in this mall's schema: past every wall of the product.
    pub async fn admin(&self) -> PgConnection {
        let schema = Schema::of(self.tenant.id).to_string();
        PgConnectOptions::from_str(&super::url())
            .unwrap()
            .options([("search_path", schema)])
            .connect()
            .await
            .unwrap()
    }

    /// Runs statements as the owner.
    pub async fn as_admin(&self, sql: &str) {
        let mut admin = self.admin().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut admin)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Merchants of these codes, each with a store.
    pub async fn shops<const N: usize>(&self, codes: [&str; N]) -> [Shop; N] {
        let grant = self.grant::<CreateMerchant>();
        let mut tx = self.db.write(&grant).await.unwrap();
        let codes = codes.map(|code| code.parse().unwrap());
        let made = merchants::create_by_code(&mut tx, &grant, &codes)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        codes.map(|code| Shop {
            merchant: made[&code].merchant,
            store: made[&code].store,
        })
    }

    /// A member with that card.
    pub async fn member(&self, card: &str) -> MemberId {
        let grant = self.grant::<EnrolMember>();
        let mut tx = self.db.write(&grant).await.unwrap();
        let new = Enrolment {
            card_number: Some(card.parse().unwrap()),
            ..Enrolment::default()
        };
        let member = members::enrol(&mut tx, &grant, new).await.unwrap();
        tx.commit().await.unwrap();
        member.id
    }

    /// Points for a purchase, without a last day.
    pub async fn earns(&self, who: MemberId, shop: Shop, points: i64, when: &str) -> Earned {
        self.earns_until(who, shop, points, when, None).await
    }

    /// Points for a purchase, to be spent before `end`.
    pub async fn earns_until(
        &self,
        who: MemberId,
        shop: Shop,
        points: i64,
        when: &str,
        end: Option<&str>,
    ) -> Earned {
        let mut tx = self.tx().await;
        let event = Self::event(&tx, Kind::Purchase, who, shop, when);
        let mut books = self.books(&mut tx, who, &[], when).await;
        let new = NewLot {
            points,
            rate: self.terms.rate,
            expires_at: end.map(at),
            only_at: None,
        };
        let (lot, _) = books.issue(&event, new).unwrap();
        books.post(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        let purchase = event.source;
        self.as_admin(&format!(
            "insert into purchase (purchase_id, store_id, merchant_id, receipt_number, member_id,
                 total, paid_by_points, points, refunded, clawed, lines, rules, programme,
                 fingerprint, business_day, occurred_at, recorded_at)
             values ('{purchase}', '{}', '{}', '{purchase}', '{}', {points}, 0, {points}, 0, 0,
                 '[]', '[]', 1, '', '{when}'::date, '{when}', '{when}')",
            shop.store.uuid(),
            shop.merchant.uuid(),
            who.uuid(),
        ))
        .await;
        Earned { lot, purchase }
    }

    /// Points that pay.
    pub async fn spends(&self, who: MemberId, shop: Shop, points: i64, when: &str) -> Spent {
        let mut tx = self.tx().await;
        let event = Self::event(&tx, Kind::Spend, who, shop, when);
        let mut books = self.books(&mut tx, who, &[], when).await;
        let posted = books.spend(&event, points).unwrap();
        books.post(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        let spend = event.source;
        self.as_admin(&format!(
            "insert into spend (spend_id, store_id, merchant_id, receipt_number, member_id,
                 journal_id, total, points, paid, returned, fingerprint, occurred_at, recorded_at)
             values ('{spend}', '{}', '{}', '{spend}', '{}', '{}', {points}, {points}, {points}, 0,
                 '', '{when}', '{when}')",
            shop.store.uuid(),
            shop.merchant.uuid(),
            who.uuid(),
            posted.journal.uuid(),
        ))
        .await;
        Spent {
            journal: posted.journal,
            spend,
        }
    }

    /// Points that paid come back.
    /// Somebody adds points of a shop by hand, or takes some.
    pub async fn adjusts(&self, who: MemberId, shop: Shop, points: i64, when: &str) {
        let mut tx = self.tx().await;
        let event = Self::event(&tx, Kind::Adjust, who, shop, when);
        let mut books = self.books(&mut tx, who, &[], when).await;
        let posted = if points > 0 {
            let new = NewLot {
                points,
                rate: Rate::new(1, 1).unwrap(),
                expires_at: None,
                only_at: None,
            };
            books.issue(&event, new).unwrap().1
        } else {
            books.deduct(&event, -points).unwrap()
        };
        books.post(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        self.as_admin(&format!(
            "insert into points_adjustment (adjustment_id, member_id, merchant_id, store_id, points,
                 reason, note, state, proposed_at, proposed_by, decided_at, decided_by, journal_id)
             values ('{}', '{}', '{}', '{}', {points}, 'goodwill', 'x', 'posted', '{when}', 'system',
                 '{when}', 'system', '{}')",
            event.source,
            who.uuid(),
            shop.merchant.uuid(),
            shop.store.uuid(),
            posted.journal.uuid(),
        ))
        .await;
    }

    pub async fn gives_back(
        &self,
        who: MemberId,
        shop: Shop,
        past: Spent,
        points: i64,
        when: &str,
    ) -> JournalId {
        let mut tx = self.tx().await;
        let mut drawn = self.drawn(&mut tx, past.journal).await;
        let lots: Vec<LotId> = drawn.iter().map(|past| past.draw.lot).collect();
        let event = Event {
            reverses: Some(past.journal),
            ..Self::event(&tx, Kind::SpendReturn, who, shop, when)
        };
        let mut books = self.books(&mut tx, who, &lots, when).await;
        let grace = at(when) + chrono::Days::new(30);
        let (posted, given) = books.give_back(&event, &mut drawn, points, grace).unwrap();
        assert_eq!(given, points);
        books.post(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        let spend = past.spend;
        self.as_admin(&format!(
            "update spend set returned = returned + {points} where spend_id = '{spend}'"
        ))
        .await;
        posted.journal
    }

    /// A purchase is refunded, and points of its lot are taken back.
    pub async fn refunds(
        &self,
        who: MemberId,
        shop: Shop,
        earned: Earned,
        points: i64,
        when: &str,
    ) {
        let mut tx = self.tx().await;
        let event = Self::event(&tx, Kind::Refund, who, shop, when);
        let mut books = self.books(&mut tx, who, &[earned.lot], when).await;
        books.claw(&event, earned.lot, points).unwrap();
        books.post(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        self.as_admin(&format!(
            "insert into refund (refund_id, purchase_id, reference, amount, points_taken,
                 points_owed, points_given_back, fingerprint, occurred_at, recorded_at)
             values ('{0}', '{1}', '{0}', {points}, {points}, 0, 0, '', '{when}', '{when}');
             update purchase set refunded = refunded + {points}, clawed = clawed + {points}
             where purchase_id = '{1}'",
            event.source, earned.purchase,
        ))
        .await;
    }

    /// A good is reserved for points; it is called by the redemption's id.
    pub async fn reserves(&self, who: MemberId, points: i64, when: &str) -> (JournalId, Uuid) {
        let mut tx = self.tx().await;
        let event = Event {
            place: None,
            ..Self::event_anywhere(&tx, Kind::Reserve, who, when)
        };
        let mut books = self.books(&mut tx, who, &[], when).await;
        let posted = books.hold(&event, points, None).unwrap();
        books.post(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        let id = event.source;
        self.as_admin(&format!(
            "insert into good (good_id, code, names, kind, points, stock, created_at, changed_at)
             values ('{id}', '{id}', '{{}}', 'pickup', {points}, 1, '{when}', '{when}');
             insert into redemption (redemption_id, good_id, member_id, journal_id, points, code,
                 state, reserved_on, reserved_at, lapses_at)
             values ('{id}', '{id}', '{}', '{}', {points}, '{id}', 'reserved', '{when}'::date,
                 '{when}', '{when}')",
            who.uuid(),
            posted.journal.uuid(),
        ))
        .await;
        (posted.journal, id)
    }

    /// A reserved good is handed over.
    pub async fn claims(&self, who: MemberId, shop: Shop, reserved: (JournalId, Uuid), when: &str) {
        let mut tx = self.tx().await;
        let drawn = self.drawn(&mut tx, reserved.0).await;
        let held: Vec<Draw> = drawn.iter().map(|past| past.draw).collect();
        let event = Event {
            source: reserved.1,
            reverses: Some(reserved.0),
            ..Self::event(&tx, Kind::Claim, who, shop, when)
        };
        let mut books = self.books(&mut tx, who, &[], when).await;
        books.capture(&event, &held).unwrap();
        books.post(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        self.as_admin(&format!(
            "update redemption set state = 'claimed', ended_at = '{when}', store_id = '{}'
             where redemption_id = '{}'",
            shop.store.uuid(),
            reserved.1,
        ))
        .await;
    }

    /// Lapsed lots of a member are booked.
    pub async fn lapses(&self, who: MemberId, when: &str) {
        let mut tx = self.tx().await;
        let mut books = self.books(&mut tx, who, &[], when).await;
        books.lapse(who, at(when), Actor::System).unwrap();
        books.post(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// What a member can spend, and what she owes.
    pub async fn balance(&self, who: MemberId) -> (i64, i64) {
        let mut tx = self.reading().await;
        let balance = ledger::balance(&mut tx, who, None).await.unwrap().unwrap();
        (balance.available, balance.owed)
    }

    /// What is left of a lot, and its last moment.
    pub async fn lot(&self, who: MemberId, lot: LotId) -> Option<(i64, Option<Instant>)> {
        let mut tx = self.reading().await;
        let balance = ledger::balance(&mut tx, who, None).await.unwrap().unwrap();
        let found = balance.lots.into_iter().find(|known| known.id == lot);
        found.map(|lot| (lot.remaining, lot.expires_at))
    }

    /// What a period comes to.
    pub async fn preview(&self, period: &str) -> Preview {
        let grant = self.grant::<PreviewSettlement>();
        let mut tx = self.db.read(&grant).await.unwrap();
        settlement::preview(
            &mut tx,
            &grant,
            period_of(period),
            &self.terms,
            self.tenant.zone,
        )
        .await
        .unwrap()
    }

    /// The figures of a period by merchant's code.
    pub async fn figures(&self, period: &str) -> BTreeMap<String, Position> {
        let preview = self.preview(period).await;
        assert_eq!(preview.calculation.sum(), Ok(0));
        let merchants = preview.calculation.merchants.iter();
        merchants
            .map(|(id, position)| (preview.codes[id].as_str().to_owned(), *position))
            .collect()
    }

    /// Each merchant's net of a period, the operator's under "operator".
    pub async fn nets(&self, period: &str) -> BTreeMap<String, i64> {
        let preview = self.preview(period).await;
        let figures = self.figures(period).await;
        let nets = figures
            .into_iter()
            .map(|(code, position)| (code, position.net));
        nets.chain([("operator".to_owned(), preview.calculation.operator_net)])
            .collect()
    }

    /// Closes a period.
    pub async fn closes(&self, period: &str) -> Sealed {
        let grant = self.grant::<CloseSettlement>();
        let (zone, currency) = (self.tenant.zone, self.tenant.currency);
        settlement::close_period(
            &self.db,
            &grant,
            period_of(period),
            &self.terms,
            zone,
            currency,
        )
        .await
        .unwrap()
    }

    /// The names of the checks that do not hold.
    pub async fn broken(&self) -> Vec<&'static str> {
        let checks = self.proof().await;
        let broken = checks.iter().filter(|check| !check.holds);
        broken.map(|check| check.name).collect()
    }

    /// Every check.
    pub async fn proof(&self) -> Vec<Check> {
        let grant = self.grant::<VerifyBooks>();
        let mut tx = self.db.read(&grant).await.unwrap();
        prove(&mut tx, &grant).await.unwrap()
    }

    /// Books of one member.
    pub async fn books(&self, tx: &mut Tx, who: MemberId, lots: &[LotId], when: &str) -> Books {
        let wanted = Wanted {
            members: vec![who],
            spenders: vec![who],
            lots: lots.to_vec(),
            due_by: at(when),
        };
        ledger::open_books(tx, self.tenant.zone, &wanted)
            .await
            .unwrap()
    }

    async fn drawn(&self, tx: &mut Tx, cause: JournalId) -> Vec<Drawn> {
        let drawn = ledger::drawn(tx, &[cause]).await.unwrap();
        drawn.into_iter().map(|(_, drawn)| drawn).collect()
    }

    /// Something that happens in a shop.
    pub fn event(tx: &Tx, kind: Kind, who: MemberId, shop: Shop, when: &str) -> Event {
        Event {
            place: Some((shop.merchant, shop.store)),
            ..Self::event_anywhere(tx, kind, who, when)
        }
    }

    fn event_anywhere(tx: &Tx, kind: Kind, who: MemberId, when: &str) -> Event {
        let id: JournalId = tx.new_id();
        Event {
            kind,
            actor: Actor::System,
            member: who,
            place: None,
            source: id.uuid(),
            occurred_at: at(when),
            reverses: None,
        }
    }
}

//! Goods for points: reserved, fetched with a code, given up, lapsed.

use rotunda::{
    authz::{
        action::{
            ApplyManifest, CancelRedemption, ClaimGood, CreateGood, LapseRedemptions, ReadGoods,
            ReadRedemptions, ReserveGood,
        },
        actor::{Principal, Reach},
        grant::Grant,
    },
    db::Error,
    kernel::{
        ids::{GoodId, MemberId, RedemptionId, StoreId},
        page::Slice,
        time::Instant,
    },
    redemption::{
        self, ClaimCode, GoodKind, GoodListing, GoodsUpserted, Redemption, RedemptionError, State,
    },
};

use super::bazaar::{Bazaar, again, together};
use crate::support::{code, instant, names};

/// How long a lapsed lot lives on in these tests.
const GRACE: &str = "2026-12-31T16:00:00Z";

/// A notebook for 500 points, handed over at cake's, as many as anybody wants.
fn notebook(stock: i64) -> GoodListing {
    GoodListing {
        code: code("notebook"),
        names: names("Notebook"),
        kind: GoodKind::Pickup,
        points: 500,
        stock,
        per_member_day: None,
        per_member_month: None,
        offered_by: vec![code("cake")],
    }
}

type Answer = Result<Redemption, RedemptionError>;

/// The database's own troubles apart, so that a door's second try can be made.
fn sort(answer: Answer) -> Result<Answer, Error> {
    match answer {
        Err(RedemptionError::Db(error)) => Err(error),
        answer => Ok(answer),
    }
}

impl Bazaar {
    async fn offers(&self, listing: &GoodListing) -> GoodId {
        let grant = self
            .mall
            .grant::<CreateGood>("operator.marketing", Reach::Mall);
        let mut tx = self.mall.app.db.write(&grant).await.unwrap();
        let good = redemption::create_good(&mut tx, &grant, listing)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        good.id
    }

    /// As the mall's own app does it.
    async fn reserve(&self, good: GoodId, member: MemberId) -> Answer {
        let grant = self.mall.grant("machine.app", Reach::Mall);
        self.reserve_as(&grant, good, member).await
    }

    async fn reserve_as(
        &self,
        grant: &Grant<ReserveGood>,
        good: GoodId,
        member: MemberId,
    ) -> Answer {
        again(async || {
            let mut tx = self.mall.app.db.write(grant).await?;
            let answer = redemption::reserve(&mut tx, grant, &self.setting, good, member).await;
            let answer = sort(answer)?;
            tx.commit().await?;
            Ok(answer)
        })
        .await
    }

    /// As a till of the whole mall does it.
    async fn claim(&self, code: &ClaimCode, at: StoreId) -> Answer {
        let grant = self.mall.grant::<ClaimGood>("machine.erp", Reach::Mall);
        self.claim_as(&grant, code, at).await
    }

    async fn claim_as(&self, grant: &Grant<ClaimGood>, code: &ClaimCode, at: StoreId) -> Answer {
        again(async || {
            let mut tx = self.mall.app.db.write(grant).await?;
            let zone = self.setting.zone;
            let answer = sort(redemption::claim(&mut tx, grant, zone, code, at).await)?;
            tx.commit().await?;
            Ok(answer)
        })
        .await
    }

    async fn cancel(&self, id: RedemptionId) -> Answer {
        let grant = self.mall.grant("machine.app", Reach::Mall);
        self.cancel_as(&grant, id).await
    }

    async fn cancel_as(&self, grant: &Grant<CancelRedemption>, id: RedemptionId) -> Answer {
        again(async || {
            let mut tx = self.mall.app.db.write(grant).await?;
            let zone = self.setting.zone;
            let answer = redemption::cancel(&mut tx, grant, zone, instant(GRACE), id).await;
            let answer = sort(answer)?;
            tx.commit().await?;
            Ok(answer)
        })
        .await
    }

    fn house(&self) -> Grant<LapseRedemptions> {
        let house = Principal::system(self.mall.tenant.id);
        self.mall.app.policy.allow(&house).unwrap()
    }

    async fn lapse(&self) -> usize {
        let grant = self.house();
        let mut tx = self.mall.app.db.write(&grant).await.unwrap();
        let zone = self.setting.zone;
        let lapsed = redemption::lapse_due(&mut tx, &grant, zone, instant(GRACE), 100).await;
        tx.commit().await.unwrap();
        lapsed.unwrap()
    }

    async fn stock(&self, good: GoodId) -> i64 {
        let grant = self
            .mall
            .grant::<ReadGoods>("operator.auditor", Reach::Mall);
        let mut tx = self.mall.app.db.read(&grant).await.unwrap();
        redemption::good(&mut tx, &grant, good).await.unwrap().stock
    }

    async fn lots(&self, member: MemberId) -> Vec<(i64, Option<Instant>)> {
        let lots = self.wallet(member).await.lots;
        lots.iter()
            .map(|lot| (lot.remaining, lot.expires_at))
            .collect()
    }
}

#[tokio::test]
async fn v9_a_good_costs_what_it_says_and_its_code_fetches_it_once() {
    let mall = Bazaar::open().await;
    let good = mall.offers(&notebook(10)).await;
    let ada = mall.member(499).await;
    let refused = mall.reserve(good, ada).await;
    let Err(RedemptionError::NotEnoughPoints {
        available: 499,
        wanted: 500,
    }) = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(mall.stock(good).await, 10);

    mall.issue(&[ada], 1, None).await;
    let reserved = mall.reserve(good, ada).await.unwrap();
    let wallet = mall.wallet(ada).await;
    assert_eq!((wallet.available, wallet.held), (0, 500));
    assert_eq!(mall.stock(good).await, 9);
    assert_eq!(reserved.lapses_at, instant("2026-03-02T05:00:00Z"));

    let typed: ClaimCode = reserved.code.to_string().to_lowercase().parse().unwrap();
    let claimed = mall.claim(&typed, mall.cake.store).await.unwrap();
    assert_eq!(
        (claimed.state, claimed.store),
        (State::Claimed, Some(mall.cake.store))
    );
    let second = mall.claim(&typed, mall.cake.store).await;
    assert!(matches!(second, Err(RedemptionError::AlreadyClaimed)));
    let given_up = mall.cancel(reserved.id).await;
    assert!(matches!(given_up, Err(RedemptionError::AlreadyClaimed)));
    let wallet = mall.wallet(ada).await;
    assert_eq!((wallet.available, wallet.held), (0, 0));
    // Cake has taken what tea had issued.
    let accepted = "account where kind = 'accepted'";
    assert_eq!(mall.mall.count(accepted).await, 1);
    mall.assert_books().await;
}

#[tokio::test]
async fn v19_a_days_limit_ends_at_the_malls_midnight_and_a_months_with_the_month() {
    let mall = Bazaar::open().await;
    let listing = GoodListing {
        per_member_day: Some(1),
        per_member_month: Some(2),
        ..notebook(10)
    };
    let good = mall.offers(&listing).await;
    let (ada, ben) = (mall.member(5_000).await, mall.member(5_000).await);
    for (moment, outcome) in [
        ("2026-03-30T16:00:00Z", None),
        (
            "2026-03-31T15:00:00Z",
            Some("a member may take 1 of this good in a day"),
        ),
        (
            "2026-03-31T15:59:59Z",
            Some("a member may take 1 of this good in a day"),
        ),
        ("2026-03-31T16:00:00Z", None),
        ("2026-04-01T16:00:00Z", None),
        (
            "2026-04-02T16:00:00Z",
            Some("a member may take 2 of this good in a month"),
        ),
        (
            "2026-04-30T15:59:59Z",
            Some("a member may take 2 of this good in a month"),
        ),
        ("2026-04-30T16:00:00Z", None),
    ] {
        mall.at(moment);
        let answer = mall.reserve(good, ada).await;
        let said = answer.as_ref().err().map(ToString::to_string);
        assert_eq!(said.as_deref(), outcome, "{moment}");
        // What is fetched counts as well as what still waits.
        if let Ok(reserved) = answer {
            mall.claim(&reserved.code, mall.cake.store).await.unwrap();
        }
    }
    assert!(mall.reserve(good, ben).await.is_ok());
}

#[tokio::test]
async fn what_is_given_up_does_not_count_and_parallel_tries_keep_the_limit() {
    let mall = Bazaar::open().await;
    let listing = GoodListing {
        per_member_day: Some(1),
        ..notebook(50)
    };
    let good = mall.offers(&listing).await;
    let ada = mall.member(50_000).await;
    let answers = together((0..16).map(|_| mall.reserve(good, ada))).await;
    let mut reserved: Vec<Redemption> = answers.into_iter().filter_map(Result::ok).collect();
    assert_eq!((reserved.len(), mall.stock(good).await), (1, 49));
    let first = reserved.remove(0);
    mall.cancel(first.id).await.unwrap();
    let second = mall.reserve(good, ada).await.unwrap();
    assert_ne!(first.code, second.code);
    // Over, though no sweep came by: it does not count either.
    mall.at("2026-03-02T05:00:00Z");
    mall.reserve(good, ada).await.unwrap();
    mall.assert_books().await;
}

#[tokio::test]
async fn con_3_two_hundred_reserve_the_last_fifty() {
    let mall = Bazaar::open().await;
    let good = mall.offers(&notebook(50)).await;
    let people = mall.members(200, 500).await;
    let answers = together(people.iter().map(|member| mall.reserve(good, *member))).await;
    let reserved = answers.iter().filter(|answer| answer.is_ok()).count();
    let empty = answers
        .iter()
        .filter(|answer| matches!(answer, Err(RedemptionError::OutOfStock)));
    assert_eq!((reserved, empty.count()), (50, 150));
    assert_eq!(
        (mall.stock(good).await, mall.mall.count("redemption").await),
        (0, 50)
    );
    assert_eq!(mall.mall.count("wallet where held = 500").await, 50);
    mall.assert_books().await;
}

#[tokio::test]
async fn con_5_thirty_two_tills_present_one_code() {
    let mall = Bazaar::open().await;
    let good = mall.offers(&notebook(1)).await;
    let ada = mall.member(500).await;
    let reserved = mall.reserve(good, ada).await.unwrap();
    let claims = (0..32).map(|_| mall.claim(&reserved.code, mall.cake.store));
    let answers = together(claims).await;
    let taken = answers
        .iter()
        .filter(|answer| matches!(answer, Err(RedemptionError::AlreadyClaimed)));
    assert_eq!(taken.count(), 31);
    assert_eq!(mall.mall.count("journal where kind = 'claim'").await, 1);
    mall.assert_books().await;
}

#[tokio::test]
async fn of_a_claim_and_a_lapse_at_the_same_moment_one_happens() {
    let mall = Bazaar::open().await;
    let good = mall.offers(&notebook(20)).await;
    let zone = mall.setting.zone;
    let claims = mall.mall.grant::<ClaimGood>("machine.erp", Reach::Mall);
    let lapses = mall.house();
    for round in 0..12 {
        let ada = mall.member(500).await;
        let reserved = mall.reserve(good, ada).await.unwrap();
        mall.mall
            .app
            .clock
            .set(reserved.lapses_at - chrono::TimeDelta::microseconds(1));
        let mut till = mall.mall.app.db.write(&claims).await.unwrap();
        mall.mall.app.clock.set(reserved.lapses_at);
        let mut house = mall.mall.app.db.write(&lapses).await.unwrap();
        let claim = async {
            if round % 3 == 1 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            let (code, at) = (&reserved.code, mall.cake.store);
            let claimed = redemption::claim(&mut till, &claims, zone, code, at).await;
            till.commit().await.unwrap();
            claimed
        };
        let lapse = async {
            if round % 3 == 2 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            let grace = instant(GRACE);
            let lapsed = redemption::lapse_due(&mut house, &lapses, zone, grace, 100).await;
            house.commit().await.unwrap();
            lapsed.unwrap()
        };
        let (claimed, lapsed) = tokio::join!(claim, lapse);
        assert_eq!(usize::from(claimed.is_ok()) + lapsed, 1, "{claimed:?}");
        if let Err(error) = claimed {
            assert!(matches!(error, RedemptionError::Lapsed), "{error:?}");
        }
        let left = i64::try_from(lapsed).unwrap() * 500;
        assert_eq!(mall.balance(ada).await, left);
    }
    mall.assert_books().await;
}

#[tokio::test]
async fn what_lapses_gives_its_points_back_with_their_old_expiry() {
    let mall = Bazaar::open().await;
    let good = mall.offers(&notebook(1)).await;
    let ada = mall.members(1, 0).await[0];
    let (soon, later) = (
        instant("2026-03-31T16:00:00Z"),
        instant("2026-08-31T16:00:00Z"),
    );
    mall.issue(&[ada], 300, Some(soon)).await;
    mall.issue(&[ada], 300, Some(later)).await;
    let before = mall.lots(ada).await;
    let reserved = mall.reserve(good, ada).await.unwrap();
    assert_eq!(mall.lots(ada).await, [(100, Some(later))]);

    mall.at("2026-03-02T04:59:59Z");
    assert_eq!(mall.lapse().await, 0);
    mall.at("2026-03-02T05:00:00Z");
    // Over before the sweep came by.
    let late = mall.claim(&reserved.code, mall.cake.store).await;
    assert!(matches!(late, Err(RedemptionError::Lapsed)));
    let late = mall.cancel(reserved.id).await;
    assert!(matches!(late, Err(RedemptionError::Lapsed)));
    assert_eq!((mall.lapse().await, mall.lapse().await), (1, 0));
    assert_eq!((mall.lots(ada).await, mall.stock(good).await), (before, 1));
    let late = mall.claim(&reserved.code, mall.cake.store).await;
    assert!(matches!(late, Err(RedemptionError::Lapsed)));
    mall.assert_books().await;
}

#[tokio::test]
async fn a_lot_that_lapsed_while_it_was_held_lives_on_for_the_grace() {
    let mall = Bazaar::open().await;
    let good = mall.offers(&notebook(1)).await;
    let ada = mall.members(1, 0).await[0];
    let soon = instant("2026-03-02T04:30:00Z");
    let later = instant("2026-08-31T16:00:00Z");
    mall.issue(&[ada], 510, Some(soon)).await;
    mall.issue(&[ada], 40, Some(later)).await;
    let reserved = mall.reserve(good, ada).await.unwrap();
    mall.at("2026-03-02T04:45:00Z");
    let cancelled = mall.cancel(reserved.id).await.unwrap();
    assert_eq!(cancelled.state, State::Cancelled);
    // The 10 that were not held are gone, whether or not a sweep came by.
    let lots = [(40, Some(later)), (500, Some(instant(GRACE)))];
    assert_eq!(mall.lots(ada).await, lots);
    let again = mall.cancel(reserved.id).await;
    assert!(matches!(again, Err(RedemptionError::AlreadyCancelled)));
    let late = mall.claim(&reserved.code, mall.cake.store).await;
    assert!(matches!(late, Err(RedemptionError::AlreadyCancelled)));
    assert_eq!(mall.stock(good).await, 1);
    mall.assert_books().await;
}

#[tokio::test]
async fn sixteen_who_cancel_at_once_give_back_once() {
    let mall = Bazaar::open().await;
    let good = mall.offers(&notebook(3)).await;
    let ada = mall.member(500).await;
    let reserved = mall.reserve(good, ada).await.unwrap();
    let answers = together((0..16).map(|_| mall.cancel(reserved.id))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for refused in answers.iter().filter(|answer| answer.is_err()) {
        let told = matches!(refused, Err(RedemptionError::AlreadyCancelled));
        assert!(told, "{refused:?}");
    }
    assert_eq!((mall.balance(ada).await, mall.stock(good).await), (500, 3));
    mall.assert_books().await;
}

#[tokio::test]
async fn a_good_is_handed_over_where_its_merchants_trade_and_nowhere_else() {
    let mall = Bazaar::open().await;
    let good = mall.offers(&notebook(3)).await;
    let ada = mall.member(5_000).await;
    let reserved = mall.reserve(good, ada).await.unwrap();
    let elsewhere = mall.claim(&reserved.code, mall.tea.store).await;
    assert!(matches!(elsewhere, Err(RedemptionError::NotOffered)));
    let earns_only = mall.claim(&reserved.code, mall.toys.store).await;
    assert!(matches!(
        earns_only,
        Err(RedemptionError::StoreTakesNoPoints)
    ));
    let other: ClaimCode = "222-2222".parse().unwrap();
    let unknown = mall.claim(&other, mall.cake.store).await;
    assert!(matches!(unknown, Err(RedemptionError::UnknownCode)));
    let cashier = |merchant| {
        mall.mall
            .grant("merchant.cashier", Reach::Merchant(merchant))
    };
    let foreign = cashier(mall.tea.merchant);
    let refused = mall
        .claim_as(&foreign, &reserved.code, mall.cake.store)
        .await;
    assert!(matches!(refused, Err(RedemptionError::UnknownStore)));

    let gone = mall.reserve(GoodId::from_uuid(ada.uuid()), ada).await;
    assert!(matches!(gone, Err(RedemptionError::UnknownGood)));
    let stranger = mall.reserve(good, MemberId::from_uuid(good.uuid())).await;
    assert!(matches!(stranger, Err(RedemptionError::UnknownMember)));
    mall.suspend(mall.cake.store).await;
    let suspended = mall.claim(&reserved.code, mall.cake.store).await;
    assert!(matches!(suspended, Err(RedemptionError::Suspended)));
    assert_eq!(mall.wallet(ada).await.held, 500);
}

#[tokio::test]
async fn a_reservation_out_of_reach_is_unknown() {
    let mall = Bazaar::open().await;
    let good = mall.offers(&notebook(9)).await;
    let (ada, ben) = (mall.member(5_000).await, mall.member(5_000).await);
    let (as_ada, as_ben) = (Reach::Member(ada), Reach::Member(ben));
    let (cake, tea) = (
        Reach::Merchant(mall.cake.merchant),
        Reach::Merchant(mall.tea.merchant),
    );
    let reserves = |role, reach| mall.mall.grant::<ReserveGood>(role, reach);
    let own = mall
        .reserve_as(&reserves("member", as_ada), good, ada)
        .await
        .unwrap();
    let refused = mall
        .reserve_as(&reserves("member", as_ben), good, ada)
        .await;
    assert!(matches!(refused, Err(RedemptionError::UnknownMember)));
    // A till reserves for whoever stands before it, what its merchant hands over.
    let till = mall
        .reserve_as(&reserves("merchant.cashier", cake), good, ben)
        .await;
    assert!(till.is_ok());
    let refused = mall
        .reserve_as(&reserves("merchant.cashier", tea), good, ben)
        .await;
    assert!(matches!(refused, Err(RedemptionError::NotOffered)));

    for (role, reach, seen) in [
        ("operator.support", Reach::Mall, true),
        ("member", as_ada, true),
        ("member", as_ben, false),
        ("merchant.cashier", cake, true),
        ("merchant.cashier", tea, false),
    ] {
        let grant = mall.mall.grant::<ReadRedemptions>(role, reach);
        let mut tx = mall.mall.app.db.read(&grant).await.unwrap();
        let found = redemption::redemption(&mut tx, &grant, own.id).await;
        assert_eq!(found.is_ok(), seen, "{role} {reach:?}");
        if !seen {
            let grant = mall.mall.grant::<CancelRedemption>(role, reach);
            let refused = mall.cancel_as(&grant, own.id).await;
            assert!(matches!(refused, Err(RedemptionError::UnknownRedemption)));
        }
    }
    let grant = mall.mall.grant::<CancelRedemption>("member", as_ada);
    assert!(mall.cancel_as(&grant, own.id).await.is_ok());
}

#[tokio::test]
async fn a_catalogue_applied_again_changes_what_is_written_and_never_the_stock() {
    let mall = Bazaar::open().await;
    let grant = mall.mall.vendor::<ApplyManifest>();
    let towel = GoodListing {
        code: code("towel"),
        points: 200,
        per_member_day: Some(1),
        ..notebook(5)
    };
    let apply = async |listings: &[GoodListing]| {
        let mut tx = mall.mall.app.db.write(&grant).await.unwrap();
        let done = redemption::upsert_goods(&mut tx, &grant, listings).await;
        tx.commit().await.unwrap();
        done
    };
    let did = |created, changed| GoodsUpserted { created, changed };
    let both = [notebook(10), towel.clone()];
    assert_eq!(apply(&both).await.unwrap(), did(2, 0));
    assert_eq!(apply(&both).await.unwrap(), did(0, 0));
    let listed = async |after: Option<&str>, limit| {
        let reads = mall
            .mall
            .grant::<ReadGoods>("operator.auditor", Reach::Mall);
        let mut tx = mall.mall.app.db.read(&reads).await.unwrap();
        let slice = Slice {
            limit,
            after: after.map(str::to_owned),
        };
        redemption::list_goods(&mut tx, &reads, None, &slice)
            .await
            .unwrap()
    };
    let first = listed(None, 1).await;
    let good = first.items[0].clone();
    assert_eq!(
        (good.code.as_str(), first.next.as_deref()),
        ("notebook", Some("notebook"))
    );
    let second = listed(first.next.as_deref(), 1).await;
    assert_eq!(
        (second.items[0].code.as_str(), second.next),
        ("towel", None)
    );

    let ada = mall.member(500).await;
    mall.reserve(good.id, ada).await.unwrap();
    let dearer = GoodListing {
        points: 600,
        stock: 99,
        ..notebook(10)
    };
    let moved = GoodListing {
        offered_by: vec![code("tea"), code("cake"), code("tea")],
        ..towel.clone()
    };
    assert_eq!(apply(&[dearer, moved]).await.unwrap(), did(0, 2));
    let page = listed(None, 100).await;
    assert_eq!((page.items[0].points, page.items[0].stock), (600, 9));
    let mut both = vec![mall.tea.merchant, mall.cake.merchant];
    both.sort_unstable();
    assert_eq!(page.items[1].offered_by, both);
    assert_eq!(
        apply(std::slice::from_ref(&towel)).await.unwrap(),
        did(0, 1)
    );
    assert_eq!(
        listed(None, 100).await.items[1].offered_by,
        [mall.cake.merchant]
    );

    let nobody = GoodListing {
        offered_by: vec![code("nobody")],
        ..towel.clone()
    };
    let free = GoodListing {
        points: 0,
        ..towel.clone()
    };
    for (listings, said) in [
        (vec![nobody], "there is no merchant with the code nobody"),
        (vec![towel.clone(), towel], "the good towel is listed twice"),
        (
            vec![free],
            "the good towel cannot be: its price is not a number of points above 0",
        ),
    ] {
        let refused = apply(&listings).await.unwrap_err();
        assert_eq!(refused.to_string(), said);
    }
    let creates = mall
        .mall
        .grant::<CreateGood>("operator.marketing", Reach::Mall);
    let mut tx = mall.mall.app.db.write(&creates).await.unwrap();
    let taken = redemption::create_good(&mut tx, &creates, &notebook(1)).await;
    assert!(matches!(taken, Err(RedemptionError::GoodCodeTaken(_))));
}

//! For members, through the mall's app or at a till: goods that are reserved and given up.

use std::sync::Arc;

use poem_openapi::{Object, OpenApi, param::Path};

use super::{Group, words::RedemptionState};
use crate::{
    app::Mall,
    authz::{
        action::{CancelRedemption, ReadRedemptions, ReserveGood},
        actor::Reach,
        grant::Grant,
    },
    db::tx::Tx,
    http::{
        admit::Caller,
        body::Body,
        idempotency::IdempotencyKey,
        problem::Problem,
        reply::Reply,
        wire::{Claim, Moment, Positive},
        work::{self, Done, Work},
    },
    kernel::{
        ids::{GoodId, MemberId, RedemptionId, StoreId},
        time::Instant,
    },
    redemption::{self, Redemption},
};

/// Operations on reservations.
#[derive(Debug)]
pub struct Redemptions;

/// A good that a member wants.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct ReserveGoodIn {
    /// Which good.
    good_id: GoodId,
    /// Who wants it, and pays the points.
    member_id: MemberId,
}

/// A good promised to a member.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Redemption", skip_serializing_if_is_none)]
pub(super) struct RedemptionOut {
    /// The reservation's id.
    redemption_id: RedemptionId,
    /// What is promised.
    good_id: GoodId,
    /// To whom.
    member_id: MemberId,
    /// For how many points.
    points: Positive,
    /// What fetches it, once. A merchant's key sees it only where it reserves or claims.
    code: Option<Claim>,
    /// What became of it.
    state: RedemptionState,
    /// Since when it is reserved.
    reserved_at: Moment,
    /// From this moment on it cannot be claimed.
    lapses_at: Moment,
    /// When it was claimed, given up, or lapsed.
    ended_at: Option<Moment>,
    /// Where it was handed over.
    store_id: Option<StoreId>,
}

impl RedemptionOut {
    /// With its code, for whoever holds it.
    pub(super) fn with_code(redemption: Redemption) -> Self {
        Self {
            redemption_id: redemption.id,
            good_id: redemption.good,
            member_id: redemption.member,
            points: Positive(redemption.points),
            code: Some(Claim(redemption.code)),
            state: redemption.state.into(),
            reserved_at: Moment(redemption.reserved_at),
            lapses_at: Moment(redemption.lapses_at),
            ended_at: redemption.ended_at.map(Moment),
            store_id: redemption.store,
        }
    }

    /// As that reach sees it: a merchant that could read codes would need no member to claim.
    fn seen(reach: Reach, redemption: Redemption) -> Self {
        let mut seen = Self::with_code(redemption);
        if matches!(reach, Reach::Merchant(_)) {
            seen.code = None;
        }
        seen
    }
}

/// A reservation to be made, as often as it takes.
struct Reserving {
    mall: Arc<Mall>,
    grant: Grant<ReserveGood>,
    body: ReserveGoodIn,
}

impl Work for Reserving {
    type Answer = RedemptionOut;

    async fn run(&self, tx: &mut Tx) -> Result<Done<RedemptionOut>, Problem> {
        let ReserveGoodIn { good_id, member_id } = self.body;
        let setting = &self.mall.redemption;
        let made = redemption::reserve(tx, &self.grant, setting, good_id, member_id).await?;
        Ok(Done::made(RedemptionOut::with_code(made)))
    }
}

/// A reservation to be given up, as often as it takes.
struct Cancelling {
    mall: Arc<Mall>,
    grant: Grant<CancelRedemption>,
    redemption: RedemptionId,
}

impl Work for Cancelling {
    type Answer = RedemptionOut;

    async fn run(&self, tx: &mut Tx) -> Result<Done<RedemptionOut>, Problem> {
        let zone = self.mall.tenant.zone;
        let grace = grace(&self.mall, tx.now());
        let ended = redemption::cancel(tx, &self.grant, zone, grace, self.redemption).await?;
        Ok(Done::changed(RedemptionOut::seen(
            self.grant.reach(),
            ended,
        )))
    }
}

/// Until when points live that come back now to a lapsed lot.
fn grace(mall: &Mall, now: Instant) -> Instant {
    let version = mall.earning.at(now);
    version.map_or(now, |version| {
        version.programme.grace(now, mall.tenant.zone)
    })
}

#[OpenApi(tag = "Group::Member")]
impl Redemptions {
    /// Reserve a good
    ///
    /// Sets the good and its points aside until `lapses_at`, and answers the code that fetches it
    /// once at a store of any merchant that offers it. 409 `out-of-stock`, `limit-reached`,
    /// `not-enough-points`; `not-offered-here` where a merchant's key reserves what others offer.
    #[oai(
        path = "/v1/redemptions",
        method = "post",
        operation_id = "reserve_good"
    )]
    async fn reserve_good(
        &self,
        caller: Caller<ReserveGood>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<ReserveGoodIn>,
    ) -> Result<Reply<201, RedemptionOut>, Problem> {
        let reserving = Reserving {
            mall: caller.mall().await?,
            grant: caller.grant.clone(),
            body: body.value,
        };
        work::once(&caller, &key, &body.digest, &reserving).await
    }

    /// Read a reservation
    #[oai(
        path = "/v1/redemptions/:redemption_id",
        method = "get",
        operation_id = "get_redemption"
    )]
    async fn get_redemption(
        &self,
        caller: Caller<ReadRedemptions>,
        redemption_id: Path<RedemptionId>,
    ) -> Result<Reply<200, RedemptionOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let found = redemption::redemption(&mut tx, &caller.grant, redemption_id.0).await?;
        Ok(Reply::new(&RedemptionOut::seen(
            caller.grant.reach(),
            found,
        )))
    }

    /// Give a reservation up
    ///
    /// Its points go back to the member with their old last day, and the good back to stock. 409
    /// `code-already-used`, `code-cancelled`, `code-lapsed` where it waits no more.
    #[oai(
        path = "/v1/redemptions/:redemption_id/cancellation",
        method = "post",
        operation_id = "cancel_redemption"
    )]
    async fn cancel_redemption(
        &self,
        caller: Caller<CancelRedemption>,
        redemption_id: Path<RedemptionId>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
    ) -> Result<Reply<200, RedemptionOut>, Problem> {
        let cancelling = Cancelling {
            mall: caller.mall().await?,
            grant: caller.grant.clone(),
            redemption: redemption_id.0,
        };
        work::once(&caller, &key, &[], &cancelling).await
    }
}

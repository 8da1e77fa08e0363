//! Goods that are handed over against a code.

use std::sync::Arc;

use poem_openapi::{Object, OpenApi, param::Path};

use crate::{
    api::{Group, member::RedemptionOut},
    app::Mall,
    authz::{action::ClaimGood, grant::Grant},
    db::tx::Tx,
    http::{
        admit::Caller,
        body::Body,
        idempotency::IdempotencyKey,
        problem::Problem,
        reply::Reply,
        wire::Claim,
        work::{self, Done, Work},
    },
    kernel::ids::StoreId,
    redemption,
};

/// Operations on codes.
#[derive(Debug)]
pub struct Claims;

/// Where a good is handed over.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct ClaimGoodIn {
    /// A store of a merchant that offers the good.
    store_id: StoreId,
}

/// A good to be handed over, as often as it takes.
struct Claiming {
    mall: Arc<Mall>,
    grant: Grant<ClaimGood>,
    code: Claim,
    body: ClaimGoodIn,
}

impl Work for Claiming {
    type Answer = RedemptionOut;

    async fn run(&self, tx: &mut Tx) -> Result<Done<RedemptionOut>, Problem> {
        let (zone, code, store) = (self.mall.tenant.zone, &self.code.0, self.body.store_id);
        let claimed = redemption::claim(tx, &self.grant, zone, code, store).await?;
        Ok(Done::changed(RedemptionOut::with_code(claimed)))
    }
}

#[OpenApi(tag = "Group::Till")]
impl Claims {
    /// Hand a good over
    ///
    /// Uses the member's code up: hand the good over only where this is answered 200. The points
    /// go to the store's merchant. 409 `code-already-used`, `code-cancelled`, `code-lapsed`,
    /// `not-offered-here`, `store-may-not-spend`, `suspended`.
    #[oai(
        path = "/v1/redemptions/:code/claim",
        method = "post",
        operation_id = "claim_good"
    )]
    async fn claim_good(
        &self,
        caller: Caller<ClaimGood>,
        /// The member's code.
        code: Path<Claim>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<ClaimGoodIn>,
    ) -> Result<Reply<200, RedemptionOut>, Problem> {
        let claiming = Claiming {
            mall: caller.mall().await?,
            grant: caller.grant.clone(),
            code: code.0,
            body: body.value,
        };
        work::once(&caller, &key, &body.digest, &claiming).await
    }
}

//! The catalogue: what points buy.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use crate::{
    api::{Group, words::GoodKindWord},
    authz::action::{CreateGood, ReadGoods},
    db::tx::Tx,
    http::{
        admit::Caller,
        body::Body,
        codes,
        idempotency::{IdempotencyKey, Once},
        paging::{self, List},
        problem::Problem,
        reply::{Reply, percent_encoded},
        wire::{Cursor, Limit, Moment, Positive, Quantity, Sought},
    },
    kernel::{
        ids::{GoodId, MerchantId},
        text::{Code, Names},
    },
    merchants,
    redemption::{self, Good, GoodListing},
};

/// The address of the catalogue.
const GOODS: &str = "/v1/goods";

/// Operations on the catalogue.
#[derive(Debug)]
pub struct Goods;

/// A good that is to be put into the catalogue.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct CreateGoodIn {
    /// What lists and files call it; unique in the mall, never changes.
    code: Code,
    /// What people read.
    names: Names,
    /// What kind of thing it is.
    kind: GoodKindWord,
    /// What one costs, in points.
    points: Positive,
    /// How many there are to give.
    stock: Quantity,
    /// The merchants at whose stores it is handed over.
    #[oai(validator(min_items = 1, max_items = 100))]
    offered_by: Vec<MerchantId>,
    /// How many one member may take in a day of the mall's time zone; without it, as many as there
    /// are.
    per_member_day: Option<Positive>,
    /// How many one member may take in a month of the mall's time zone; without it, as many as
    /// there are.
    per_member_month: Option<Positive>,
}

/// Something that points buy.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Good", skip_serializing_if_is_none)]
struct GoodOut {
    /// The good's id.
    good_id: GoodId,
    /// What lists and files call it.
    code: Code,
    /// What people read.
    names: Names,
    /// What kind of thing it is.
    kind: GoodKindWord,
    /// What one costs, in points.
    points: Positive,
    /// How many there are still to give; what is reserved is not among them.
    stock: Quantity,
    /// The merchants at whose stores it is handed over.
    offered_by: Vec<MerchantId>,
    /// How many one member may take in a day.
    per_member_day: Option<Positive>,
    /// How many one member may take in a month.
    per_member_month: Option<Positive>,
    /// Since when it is in the catalogue.
    created_at: Moment,
}

impl From<Good> for GoodOut {
    fn from(good: Good) -> Self {
        Self {
            good_id: good.id,
            code: good.code,
            names: good.names,
            kind: good.kind.into(),
            points: Positive(good.points),
            stock: Quantity(good.stock),
            offered_by: good.offered_by,
            per_member_day: good.per_member_day.map(Positive),
            per_member_month: good.per_member_month.map(Positive),
            created_at: Moment(good.created_at),
        }
    }
}

impl CreateGoodIn {
    /// As the catalogue takes it: merchants by their codes.
    async fn listing(self, tx: &mut Tx) -> Result<GoodListing, Problem> {
        let known = merchants::codes(tx, &self.offered_by).await?;
        let offered_by: Option<Vec<Code>> = self
            .offered_by
            .iter()
            .map(|id| known.get(id).cloned())
            .collect();
        Ok(GoodListing {
            code: self.code,
            names: self.names,
            kind: self.kind.into(),
            points: self.points.0,
            stock: self.stock.0,
            per_member_day: self.per_member_day.map(|most| most.0),
            per_member_month: self.per_member_month.map(|most| most.0),
            offered_by: offered_by.ok_or_else(|| Problem::of(&codes::UNKNOWN_MERCHANT))?,
        })
    }
}

#[OpenApi(tag = "Group::Operator")]
impl Goods {
    /// Put a good into the catalogue
    ///
    /// Members can reserve it at once. 409 `code-taken` where another good has the code.
    #[oai(path = "/v1/goods", method = "post", operation_id = "create_good")]
    async fn create_good(
        &self,
        caller: Caller<CreateGood>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<CreateGoodIn>,
    ) -> Result<Reply<201, GoodOut>, Problem> {
        let mut once = match Once::begin(&caller, &key, &body.digest).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let made = match body.value.listing(once.tx()).await {
            Ok(new) => redemption::create_good(once.tx(), &caller.grant, &new)
                .await
                .map_err(Problem::from),
            Err(refusal) => Err(refusal),
        };
        once.finish(made.map(GoodOut::from)).await
    }

    /// List the catalogue
    ///
    /// In the order of the codes. With `q`, the goods in whose names or code each of its words
    /// stands somewhere: any part of a word counts, in any of the languages, be it one Chinese
    /// character; large and small letters, full and half width are the same.
    #[oai(path = "/v1/goods", method = "get", operation_id = "list_goods")]
    async fn list_goods(
        &self,
        caller: Caller<ReadGoods>,
        /// Only goods with these words.
        q: Query<Option<Sought>>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<GoodOut>>, Problem> {
        let search = q.0.map(|sought| sought.0);
        let url = search.as_ref().map_or_else(
            || GOODS.to_owned(),
            |search| format!("{GOODS}?q={}", percent_encoded(&search.to_string())),
        );
        let slice = paging::slice(caller.app(), &url, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let goods = redemption::list_goods(&mut tx, &caller.grant, search.as_ref(), &slice);
        let list = List::new(caller.app(), &url, goods.await?, GoodOut::from);
        Ok(Reply::new(&list))
    }

    /// Read a good
    #[oai(path = "/v1/goods/:good_id", method = "get", operation_id = "get_good")]
    async fn get_good(
        &self,
        caller: Caller<ReadGoods>,
        good_id: Path<GoodId>,
    ) -> Result<Reply<200, GoodOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let good = redemption::good(&mut tx, &caller.grant, good_id.0).await?;
        Ok(Reply::new(&good.into()))
    }
}

//! Of the tables `store`, `merchant`, `agreement`, `credit`, `prepaid` and `earn_rate` what tills need.

use super::TillStore;
use crate::{
    db::{error::Error, tx::ReadTx},
    kernel::{
        ids::{MerchantId, StoreId},
        money::Rate,
        text::Code,
        time::Instant,
    },
    merchants::{
        Status,
        credit::Withheld,
        rates::OwnRate,
        store::{bits, code, texts},
    },
};

struct TillRow {
    store_id: StoreId,
    code: String,
    merchant_id: MerchantId,
    merchant_code: String,
    earns: bool,
    spends: bool,
    merchant_status: String,
    store_status: String,
    since: Vec<Instant>,
    price_points: Vec<Option<i64>>,
    price_worth: Vec<Option<i64>>,
    pool: Vec<bool>,
    prepaid: bool,
    withheld: Option<String>,
    withheld_since: Option<Instant>,
    rules: Vec<String>,
    rule_points: Vec<Option<i64>>,
    rule_since: Vec<Instant>,
}

impl TryFrom<TillRow> for TillStore {
    type Error = Error;

    fn try_from(row: TillRow) -> Result<Self, Error> {
        let merchant_active = Status::parse(&row.merchant_status)? == Status::Active;
        let store_active = Status::parse(&row.store_status)? == Status::Active;
        let active = merchant_active && store_active;
        let price = |(points, worth): (&Option<i64>, &Option<i64>)| match (points, worth) {
            (Some(points), Some(worth)) => Rate::new(*worth, *points)
                .map(Some)
                .map_err(|_| Error::Corrupt("agreement price")),
            _ => Ok(None),
        };
        let both = row.price_points.iter().zip(&row.price_worth);
        let prices: Result<Vec<Option<Rate>>, Error> = both.map(price).collect();
        let withheld = row.withheld.as_deref().map(Withheld::parse);
        let withheld = withheld.map(|why| why.ok_or(Error::Corrupt("withheld")));
        let pool = row.since.iter().copied().zip(row.pool);
        let chosen = row.rules.into_iter().zip(row.rule_points);
        let rates = chosen
            .zip(row.rule_since)
            .map(|((rule, points), since)| OwnRate {
                rule,
                points,
                since,
            });
        Ok(Self {
            withheld: withheld.transpose()?.zip(row.withheld_since),
            rates: rates.collect(),
            pool: pool.filter(|_| row.prepaid).collect(),
            prices: row.since.into_iter().zip(prices?).collect(),
            store: row.store_id,
            code: code(&row.code)?,
            merchant: row.merchant_id,
            merchant_code: code(&row.merchant_code)?,
            earns: active && row.earns,
            spends: active && row.spends,
            merchant_active,
            store_active,
        })
    }
}

/// The stores of these ids and of these codes; where neither is named, all. A mall has some hundreds:
/// they are gone through.
pub(super) async fn tills(
    tx: &mut ReadTx,
    ids: Option<&[StoreId]>,
    codes: Option<&[Code]>,
) -> Result<Vec<TillStore>, Error> {
    let (ids, codes) = (ids.map(bits), codes.map(texts));
    let rows = sqlx::query_as!(
        TillRow,
        r#"select store.store_id as "store_id: StoreId", store.code,
                  merchant.merchant_id as "merchant_id: MerchantId",
                  merchant.code as merchant_code,
                  store.earns and merchant.earns as "earns!",
                  store.spends and merchant.spends as "spends!",
                  merchant.status as merchant_status, store.status as store_status,
                  agreed.since as "since!", agreed.points as "price_points!: _",
                  agreed.worth as "price_worth!: _", agreed.pool as "pool!",
                  exists (select from prepaid where prepaid.merchant_id = store.merchant_id)
                      as "prepaid!",
                  credit.withheld as "withheld?", credit.withheld_since as "withheld_since?",
                  chosen.rules as "rules!", chosen.points as "rule_points!: _",
                  chosen.since as "rule_since!"
           from store
           join merchant on merchant.merchant_id = store.merchant_id
           left join credit on credit.merchant_id = store.merchant_id
           cross join lateral (
               select coalesce(array_agg(starts_at order by starts_at, version), '{}') as since,
                      coalesce(array_agg(price_points order by starts_at, version), '{}')
                          as points,
                      coalesce(array_agg(price_worth order by starts_at, version), '{}')
                          as worth,
                      coalesce(array_agg(coalesce(terms::jsonb ->> 'model', '') = 'pool'
                                         order by starts_at, version), '{}') as pool
               from agreement
               where agreement.merchant_id = store.merchant_id and accepted_at is not null
           ) as agreed
           cross join lateral (
               select coalesce(array_agg(rule order by version), '{}') as rules,
                      coalesce(array_agg(points order by version), '{}') as points,
                      coalesce(array_agg(since order by version), '{}') as since
               from earn_rate
               where earn_rate.merchant_id = store.merchant_id
           ) as chosen
           where ($1::uuid[] is null or store.store_id = any ($1))
             and ($2::text[] is null or store.code = any ($2))"#,
        ids.as_deref(),
        codes.as_deref(),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(TillStore::try_from).collect()
}

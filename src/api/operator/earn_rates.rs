//! How many points merchants give by rules that leave it to them, and what a point costs them.

use std::collections::HashMap;

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use crate::{
    api::Group,
    app::Mall,
    authz::action::{ReadEarnRates, SetEarnRate},
    db::tx::ReadTx,
    earning::rules::Rule,
    http::{
        admit::Caller,
        body::Body,
        codes,
        paging::{self, List},
        problem::Problem,
        reply::Reply,
        wire::{Cursor, Limit, Moment, Quantity, Text},
    },
    kernel::{ids::MerchantId, money::Currency, page::Page, time::Instant},
    merchants::{
        agreements::price_at,
        rates::{self, OwnRate, Range},
    },
};

/// Operations on earn rates.
#[derive(Debug)]
pub struct EarnRates;

/// How many points a merchant is to give by a rule.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct SetEarnRateIn {
    /// The rule's name in the mall's programme.
    rule: Text,
    /// How many points instead of the rule's; without it, as many as the rule says.
    points: Option<Quantity>,
}

/// How many points a merchant gives by a rule that leaves it to merchants.
#[derive(Debug, Clone, Object)]
#[oai(rename = "EarnRate", skip_serializing_if_is_none)]
struct EarnRateOut {
    /// The rule's name in the mall's programme.
    rule: String,
    /// For how much of a receipt the points are given, in minor units.
    per: Quantity,
    /// The currency of the amounts.
    currency: Currency,
    /// How many points the merchant gives for as much, from its next receipt on.
    points: Quantity,
    /// How many the rule gives where a merchant did not choose.
    rule_points: Quantity,
    /// The fewest that a merchant may choose.
    least: Quantity,
    /// The most that a merchant may choose.
    most: Quantity,
    /// Since when the merchant's choice holds; without it, it did not choose.
    since: Option<Moment>,
    /// What the merchant's points settle at where others take them: so many points
    settles_points: Quantity,
    /// for so much, in minor units.
    settles_worth: Quantity,
}

impl EarnRateOut {
    fn of(
        mall: &Mall,
        merchant: MerchantId,
        (rule, range): (&Rule, Range),
        own: Option<&OwnRate>,
        now: Instant,
    ) -> Self {
        let chosen = own.filter(|own| own.points.is_some());
        let points = chosen.and_then(|own| own.points);
        let till = mall.stores.values().find(|till| till.merchant == merchant);
        let price = till.and_then(|till| price_at(&till.prices, now));
        let price = price.unwrap_or(mall.settlement.rate);
        Self {
            rule: rule.code.clone(),
            per: Quantity(rule.per()),
            currency: mall.tenant.currency,
            points: Quantity(points.map_or(rule.points(), |points| range.nearest(points))),
            rule_points: Quantity(rule.points()),
            least: Quantity(range.least),
            most: Quantity(range.most),
            since: chosen.map(|own| Moment(own.since)),
            settles_points: Quantity(price.den()),
            settles_worth: Quantity(price.num()),
        }
    }
}

/// The rules in force that leave their points to merchants, in the order of their names.
fn open_rules(mall: &Mall, now: Instant) -> Vec<(&Rule, Range)> {
    let version = mall.earning.at(now);
    let rules = version.iter().flat_map(|version| &version.programme.rules);
    let mut open: Vec<_> = rules.filter_map(|rule| Some((rule, rule.own?))).collect();
    open.sort_by(|one, other| one.0.code.cmp(&other.0.code));
    open
}

/// What a merchant gives by each of those rules.
async fn rates(
    caller: &Caller<ReadEarnRates>,
    tx: &mut ReadTx,
    mall: &Mall,
    merchant: MerchantId,
) -> Result<Vec<EarnRateOut>, Problem> {
    let own = rates::list(tx, &caller.grant, merchant).await?;
    let own: HashMap<&str, &OwnRate> = own.iter().map(|own| (own.rule.as_str(), own)).collect();
    let now = tx.now();
    let each = open_rules(mall, now).into_iter();
    let rates = each.map(|rule| {
        let own = own.get(rule.0.code.as_str()).copied();
        EarnRateOut::of(mall, merchant, rule, own, now)
    });
    Ok(rates.collect())
}

#[OpenApi(tag = "Group::Operator")]
impl EarnRates {
    /// List a merchant's earn rates
    ///
    /// How many points it gives by each rule that leaves that to merchants, in the order of the rules'
    /// names, and what its points cost it.
    #[oai(
        path = "/v1/merchants/:merchant_id/earn-rates",
        method = "get",
        operation_id = "list_earn_rates"
    )]
    async fn list_earn_rates(
        &self,
        caller: Caller<ReadEarnRates>,
        merchant_id: Path<MerchantId>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<EarnRateOut>>, Problem> {
        let url = format!("/v1/merchants/{}/earn-rates", merchant_id.0);
        let slice = paging::slice(caller.app(), &url, limit.0, cursor.0.as_ref())?;
        let mall = caller.mall().await?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let mut rows = rates(&caller, &mut tx, &mall, merchant_id.0).await?;
        if let Some(after) = &slice.after {
            rows.retain(|row| row.rule > *after);
        }
        let page = Page::from_rows(rows, slice.limit, |row| row.rule.clone());
        Ok(Reply::new(&List::new(caller.app(), &url, page, |row| row)))
    }

    /// Choose how many points a merchant gives by a rule
    ///
    /// From the next receipt on; what was sold before earns as it was offered then. Without `points`,
    /// as many as the rule says. The same again changes nothing. 409 `earn-rate-out-of-range`.
    #[oai(
        path = "/v1/merchants/:merchant_id/earn-rates",
        method = "put",
        operation_id = "set_earn_rate"
    )]
    async fn set_earn_rate(
        &self,
        caller: Caller<SetEarnRate>,
        merchant_id: Path<MerchantId>,
        body: Body<SetEarnRateIn>,
    ) -> Result<Reply<200, EarnRateOut>, Problem> {
        let SetEarnRateIn { rule, points } = body.value;
        let (merchant, points) = (merchant_id.0, points.map(|points| points.0));
        let mall = caller.mall().await?;
        let mut tx = caller.db().write(&caller.grant).await?;
        let now = tx.now();
        let known = open_rules(&mall, now).into_iter();
        let mut known = known.filter(|(known, _)| known.code == rule.as_str());
        let found = known.next();
        let (known, range) = found.ok_or_else(|| Problem::of(&codes::UNKNOWN_EARN_RATE))?;
        let (grant, code) = (&caller.grant, known.code.as_str());
        let own = rates::set(&mut tx, grant, merchant, code, points, range).await?;
        tx.commit().await?;
        let out = EarnRateOut::of(&mall, merchant, (known, range), own.as_ref(), now);
        Ok(Reply::new(&out))
    }
}

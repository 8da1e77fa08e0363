//! What a settlement counts: sums over the transfers of a period, by the two accounts that each moves
//! points between. It costs what the period's transfers cost, however many there were before.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::{Era, Flow, FlowKind, Flows};
use crate::{
    db::{Error, tx::ReadTx},
    kernel::{
        ids::MerchantId,
        time::{Instant, Period},
    },
};

/// What moved in a period ([`super::flows()`]).
pub(super) async fn flows(tx: &mut ReadTx, period: Period, eras: &[Era]) -> Result<Flows, Error> {
    let spans = Spans::of(eras);
    let mut count = Count::default();
    // One pass over the period by transfer_month_idx, beside the accounts of merchants: a transfer
    // counts by those of its two ends that are a merchant's. There are as many sums as such pairs.
    let sums = sqlx::query!(
        r#"
        with sums as (
            select giver.account_id as giver, taker.account_id as taker,
                   width_bucket(transfer.earned_at, $2::timestamptz[]) as span,
                   count(*) as lines, sum(transfer.amount)::bigint as points,
                   sum(transfer.value)::bigint as value
            from transfer
            left join account as giver on giver.account_id = transfer.from_account
                and giver.kind in ('issued', 'accepted', 'deficit')
            left join account as taker on taker.account_id = transfer.to_account
                and taker.kind in ('issued', 'accepted', 'expired', 'deficit')
            where transfer.posted_in = $1 and transfer.lot_id is not null
            group by giver.account_id, taker.account_id, 3
        )
        select giver.kind as "giver?", giver.owner_id as "giver_owner?",
               giver.partner_id as giver_partner, taker.kind as "taker?",
               taker.owner_id as "taker_owner?", taker.partner_id as taker_partner,
               sums.span, sums.lines as "lines!", sums.points as "points!",
               sums.value as "value!"
        from sums
        left join account as giver on giver.account_id = sums.giver
        left join account as taker on taker.account_id = sums.taker"#,
        period.first_day(),
        &spans.bounds,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut fills_debts = false;
    for row in sums {
        let way = Way {
            from: Side::of(row.giver.as_deref(), row.giver_owner, row.giver_partner),
            to: Side::of(row.taker.as_deref(), row.taker_owner, row.taker_partner),
        };
        match way.crossing() {
            Some((kind, by, Some(from))) => {
                let era = spans.era(from, row.span)?;
                count.add((kind, by, from, era), row.lines, row.points, row.value)?;
            }
            Some((_, _, None)) => fills_debts = true,
            None => {}
        }
    }
    if fills_debts {
        count_filled_debts(tx, period, &spans, &mut count).await?;
    }
    Ok(count.flows())
}

/// What fills a debt goes to whom it is owed, whoever had issued it: that only the lot knows.
async fn count_filled_debts(
    tx: &mut ReadTx,
    period: Period,
    spans: &Spans<'_>,
    count: &mut Count,
) -> Result<(), Error> {
    // The period by transfer_month_idx; then one row each of what filled a debt, by lot_pkey.
    let sums = sqlx::query!(
        r#"
        with filled as materialized (
            select owed.partner_id, transfer.lot_id,
                   width_bucket(transfer.earned_at, $2::timestamptz[]) as span,
                   transfer.amount, transfer.value
            from transfer
            join account as owed on owed.account_id = transfer.to_account and owed.kind = 'deficit'
            left join account as giver on giver.account_id = transfer.from_account
                and giver.kind in ('issued', 'accepted')
            where transfer.posted_in = $1 and transfer.lot_id is not null
              and giver.account_id is null
        )
        select partner_id as "by!: MerchantId", issuer as "from!: MerchantId", span,
               count(*) as "lines!", sum(amount)::bigint as "points!", sum(value)::bigint as "value!"
        from (
            select filled.partner_id, filled.span, filled.amount, filled.value,
                   (select lot.merchant_id from lot where lot.lot_id = filled.lot_id) as issuer
            from filled
        ) as known
        group by partner_id, issuer, span"#,
        period.first_day(),
        &spans.bounds,
    )
    .fetch_all(tx.conn())
    .await?;
    for row in sums {
        let era = spans.era(row.from, row.span)?;
        let key = (FlowKind::Accepted, row.by, row.from, era);
        count.add(key, row.lines, row.points, row.value)?;
    }
    Ok(())
}

/// A merchant's account, as far as it says what a transfer from or to it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Issued(MerchantId),
    Accepted { by: MerchantId, from: MerchantId },
    Expired(MerchantId),
    Deficit(MerchantId),
}

impl Side {
    /// What the directory's row says; none where it is no merchant's.
    pub(super) fn of(
        kind: Option<&str>,
        owner: Option<Uuid>,
        partner: Option<Uuid>,
    ) -> Option<Self> {
        let owner = MerchantId::from_uuid(owner?);
        let partner = partner.map(MerchantId::from_uuid);
        match kind? {
            "issued" => Some(Self::Issued(owner)),
            "expired" => Some(Self::Expired(owner)),
            "deficit" => partner.map(Self::Deficit),
            "accepted" => partner.map(|from| Self::Accepted { by: owner, from }),
            _ => None,
        }
    }
}

/// The two ends of a transfer, as far as they are merchants'.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) from: Option<Side>,
    pub(super) to: Option<Side>,
}

impl Way {
    /// Which way points went, who took them and, where the accounts say it, who had issued them;
    /// none where they stayed the member's.
    pub(super) fn crossing(self) -> Option<(FlowKind, MerchantId, Option<MerchantId>)> {
        Some(match (self.from, self.to) {
            (Some(Side::Issued(issuer)), _) => (FlowKind::Issued, issuer, Some(issuer)),
            (Some(Side::Accepted { by, from }), _) => (FlowKind::GivenBack, by, Some(from)),
            (Some(Side::Deficit(_)), Some(Side::Issued(issuer))) => {
                (FlowKind::Owed, issuer, Some(issuer))
            }
            (_, Some(Side::Issued(issuer))) => (FlowKind::TakenBack, issuer, Some(issuer)),
            (_, Some(Side::Expired(issuer))) => (FlowKind::Expired, issuer, Some(issuer)),
            (_, Some(Side::Accepted { by, from })) => (FlowKind::Accepted, by, Some(from)),
            (_, Some(Side::Deficit(by))) => (FlowKind::Accepted, by, None),
            (_, None) => return None,
        })
    }
}

/// Which way, who took, who had issued, earned in which era.
type FlowKey = (FlowKind, MerchantId, MerchantId, Option<usize>);

/// What was counted so far.
#[derive(Default)]
struct Count {
    sums: BTreeMap<FlowKey, (i64, i64)>,
    lines: i64,
}

impl Count {
    fn add(&mut self, key: FlowKey, lines: i64, points: i64, value: i64) -> Result<(), Error> {
        let sums = self.sums.entry(key).or_default();
        for (sum, more) in [
            (&mut self.lines, lines),
            (&mut sums.0, points),
            (&mut sums.1, value),
        ] {
            let total = sum.checked_add(more);
            *sum = total.ok_or(Error::Corrupt("sum of a flow"))?;
        }
        Ok(())
    }

    fn flows(self) -> Flows {
        let each = self.sums.into_iter();
        let sums = each.map(|((kind, by, from, era), (points, value))| Flow {
            kind,
            by,
            from,
            era,
            points,
            value,
        });
        Flows {
            sums: sums.collect(),
            lines: self.lines,
        }
    }
}

/// All moments at which somebody's era begins or ends, and between which of them which era is whose.
struct Spans<'a> {
    bounds: Vec<Instant>,
    eras: HashMap<MerchantId, Vec<(usize, &'a Era)>>,
}

impl<'a> Spans<'a> {
    fn of(eras: &'a [Era]) -> Self {
        let ends = eras.iter().filter_map(|era| era.until);
        let mut bounds: Vec<Instant> = eras.iter().map(|era| era.since).chain(ends).collect();
        bounds.sort_unstable();
        bounds.dedup();
        let mut of: HashMap<MerchantId, Vec<(usize, &Era)>> = HashMap::new();
        for (place, era) in eras.iter().enumerate() {
            of.entry(era.issuer).or_default().push((place, era));
        }
        Self { bounds, eras: of }
    }

    /// In which of its issuer's eras something was earned, as the place in the list of all; `span`
    /// is how many of the bounds were reached by then.
    fn era(&self, issuer: MerchantId, span: Option<i32>) -> Result<Option<usize>, Error> {
        let Some(eras) = self.eras.get(&issuer) else {
            return Ok(None);
        };
        let span = span.and_then(|span| usize::try_from(span).ok());
        let span = span.ok_or(Error::Corrupt("when points were earned"))?;
        // Before the first of them nobody's era has begun.
        let begun = span.checked_sub(1).and_then(|last| self.bounds.get(last));
        Ok(begun.and_then(|at| {
            let holds = |era: &Era| era.since <= *at && era.until.is_none_or(|until| *at < until);
            let found = eras.iter().find(|(_, era)| holds(era));
            found.map(|(place, _)| *place)
        }))
    }
}

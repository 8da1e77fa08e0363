//! Points that end before their time: who issued them has left, or somebody takes them by hand; and what
//! is open of an issuer.

mod store;

use super::{
    Era, LedgerError,
    account::Account,
    books::{Books, Posted, minus},
    lots::{add, sub},
    transfer::{Event, Kind},
};
use crate::{
    authz::actor::Actor,
    db::{self, tx::ReadTx},
    kernel::{
        AmountError,
        ids::{LotId, MemberId, MerchantId},
        time::{Instant, Period},
    },
};

impl Books {
    /// Ends what a member has left of one issuer's points at `at`, in one entry, after what lapsed
    /// before; how many that were. The member's lots have to be loaded.
    ///
    /// # Errors
    /// [`LedgerError::Amount`], [`LedgerError::Missing`].
    pub fn end(
        &mut self,
        member: MemberId,
        issuer: MerchantId,
        at: Instant,
        actor: Actor,
    ) -> Result<i64, LedgerError> {
        self.lapse(member, at, actor)?;
        let open: Vec<LotId> = self
            .lots
            .values()
            .map(|row| &row.value)
            .filter(|lot| lot.member == member && lot.merchant == issuer && lot.remaining > 0)
            .map(|lot| lot.id)
            .collect();
        let Some(first) = open.first() else {
            return Ok(0);
        };
        let mut draft = self.start(&Event {
            kind: Kind::Exit,
            actor,
            member,
            place: None,
            source: first.uuid(),
            occurred_at: at,
            reverses: None,
        })?;
        let mut ended = 0;
        for lot in &open {
            let row = self.lots.get_mut(lot).ok_or(LedgerError::Missing("lot"))?;
            row.changed = true;
            let draw = row.value.take(row.value.remaining)?;
            row.value.expired = add(row.value.expired, draw.points)?;
            ended = add(ended, draw.points)?;
            self.change_wallet(member, minus(draw.points)?, 0, 0)?;
            let gone = Account::Expired(draw.issuer);
            self.transfer(&mut draft, Account::Wallet(member), gone, draw)?;
        }
        self.finish(draft)?;
        Ok(ended)
    }

    /// Takes points that a member has, in spend order and whoever takes them: they end as if they had
    /// lapsed. The member's lots have to be loaded.
    ///
    /// # Errors
    /// [`LedgerError::NotEnoughPoints`] where she has fewer; [`LedgerError::Amount`],
    /// [`LedgerError::Missing`].
    pub fn deduct(&mut self, event: &Event, points: i64) -> Result<Posted, LedgerError> {
        let (member, at) = (event.member, event.occurred_at);
        if points <= 0 {
            return Err(AmountError::Negative.into());
        }
        let open: Vec<LotId> = self
            .lots_of(member)
            .filter(|lot| lot.is_open(at))
            .map(|lot| lot.id)
            .collect();
        let left_of = |id: &LotId| self.lot(*id).map_or(0, |lot| lot.remaining);
        let available = open.iter().map(left_of).fold(0, i64::saturating_add);
        if points > available {
            return Err(LedgerError::NotEnoughPoints {
                available,
                wanted: points,
            });
        }
        self.lapse(member, at, event.actor)?;
        let mut draft = self.start(event)?;
        let mut left = points;
        for id in open {
            if left == 0 {
                break;
            }
            let row = self.lots.get_mut(&id).ok_or(LedgerError::Missing("lot"))?;
            row.changed = true;
            let draw = row.value.take(left.min(row.value.remaining))?;
            row.value.expired = add(row.value.expired, draw.points)?;
            left = sub(left, draw.points)?;
            self.change_wallet(member, minus(draw.points)?, 0, 0)?;
            let gone = Account::Expired(draw.issuer);
            self.transfer(&mut draft, Account::Wallet(member), gone, draw)?;
        }
        self.finish(draft)
    }
}

/// Members who have points left of these issuers, at most `limit` of each with one of the issuers.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn holders(
    tx: &mut ReadTx,
    issuers: &[MerchantId],
    limit: i64,
) -> Result<Vec<(MemberId, MerchantId)>, db::Error> {
    store::holders(tx, issuers, limit).await
}

/// What points settle at that members have left, by issuer; of one where one is named. Without those
/// that were earned in one of `paid`.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn open_worth(
    tx: &mut ReadTx,
    only: Option<MerchantId>,
    paid: &[Era],
) -> Result<Vec<(MerchantId, i64)>, db::Error> {
    store::open_worth(tx, only, paid).await
}

/// What others took of issuers' points since the first day of a period, less what they gave back, at
/// what it settles, by issuer; of one where one is named. Without points that were earned in one of
/// `paid`.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn taken_since(
    tx: &mut ReadTx,
    period: Period,
    only: Option<MerchantId>,
    paid: &[Era],
) -> Result<Vec<(MerchantId, i64)>, db::Error> {
    store::taken_since(tx, period, only, paid).await
}

//! A member's points: the balance and how it came to be.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use uuid::Uuid;

use crate::{
    api::Group,
    authz::{
        action::ReadMembers,
        actor::{Reach, Stores},
    },
    http::{
        admit::Caller,
        codes,
        paging::{self, List},
        problem::Problem,
        reply::Reply,
        wire::{Cursor, Limit, Moment, Signed},
    },
    kernel::{
        ids::{
            AdjustmentId, JournalId, LotId, MemberId, MerchantId, PurchaseId, RedemptionId,
            RefundId, SpendId, StoreId,
        },
        points::Points,
        text::Names,
    },
    ledger::{self, Balance, Earmark, HistoryLine, lots::Lot},
    members,
    reports::home::{Home, HomeLine, home},
};

/// Operations on members' points.
#[derive(Debug)]
pub struct Wallets;

/// Points of one grant that are left.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Lot", skip_serializing_if_is_none)]
struct LotOut {
    /// The grant's id.
    lot_id: LotId,
    /// Who gave the points; a merchant's key sees itself only.
    merchant_id: Option<MerchantId>,
    /// In which store.
    store_id: Option<StoreId>,
    /// How many were given.
    points: Points,
    /// How many are left to spend.
    remaining: Points,
    /// When they were earned.
    earned_at: Moment,
    /// The first moment at which they can no longer be spent; without it, they never lapse.
    expires_at: Option<Moment>,
    /// The only merchant that takes them; without it, whoever takes points.
    only_at: Option<MerchantId>,
}

/// Points that one merchant alone takes.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Earmark")]
struct EarmarkOut {
    /// Which merchant.
    merchant_id: MerchantId,
    /// How many.
    points: Points,
}

/// A member's points now.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Balance")]
struct BalanceOut {
    /// What can be spent; points that have lapsed are not in it. For a merchant's key, what it takes.
    available: Points,
    /// What of `available` one merchant alone takes, by merchant.
    earmarked: Vec<EarmarkOut>,
    /// What is set aside for reserved goods.
    held: Points,
    /// What is owed because points were taken back after they had been spent; the next points
    /// that are earned pay it.
    owed: Points,
    /// The grants that `available` is made of, in the order in which they will be used; at most
    /// 200.
    lots: Vec<LotOut>,
    /// Whether there are more grants than are listed.
    more_lots: bool,
}

/// One line of a member's history.
#[derive(Debug, Clone, Object)]
#[oai(rename = "HistoryLine", skip_serializing_if_is_none)]
struct HistoryLineOut {
    /// The event's id.
    journal_id: JournalId,
    /// The line's number in the member's history, from 1.
    number: i64,
    /// Why: purchase, refund, spend, spend-return, reserve, claim, cancel, lapse, expire, or
    /// adjust; new ones may be added.
    kind: String,
    /// What it changed; below zero where points went.
    points: Signed,
    /// The balance after it; below zero where points are owed.
    balance_after: Signed,
    /// At which merchant; a merchant's key sees itself only.
    merchant_id: Option<MerchantId>,
    /// In which store.
    store_id: Option<StoreId>,
    /// The id of the purchase, refund, spend, redemption or adjustment that caused it; a merchant's key sees
    /// what was caused in its own stores only.
    source_id: Option<String>,
    /// When it happened.
    occurred_at: Moment,
    /// When it was written into the books.
    posted_at: Moment,
    /// Whether it is settled in a later period than it happened in, because that one was closed.
    late: bool,
}

/// Points that lapse together.
#[derive(Debug, Clone, Object)]
#[oai(rename = "NextExpiry")]
struct ExpiryOut {
    /// How many.
    points: Points,
    /// The first moment at which they can no longer be spent.
    expires_at: Moment,
}

/// Where something happened.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Place", skip_serializing_if_is_none)]
struct PlaceOut {
    /// At which merchant.
    merchant_id: MerchantId,
    /// What people call the merchant.
    merchant_names: Names,
    /// In which store.
    store_id: Option<StoreId>,
    /// What people call the store.
    store_names: Option<Names>,
}

/// One line of a member's home.
#[derive(Debug, Clone, Object)]
#[oai(rename = "HomeLine", skip_serializing_if_is_none)]
struct HomeLineOut {
    /// The event's id.
    journal_id: JournalId,
    /// Why: purchase, refund, spend, spend-return, reserve, claim, cancel, lapse, expire, or
    /// adjust; new ones may be added.
    kind: String,
    /// What it changed; below zero where points went.
    points: Signed,
    /// The balance after it; below zero where points are owed.
    balance_after: Signed,
    /// Where; a merchant's key sees itself only.
    place: Option<PlaceOut>,
    /// When it happened.
    occurred_at: Moment,
}

/// Points that one merchant alone takes, with its name.
#[derive(Debug, Clone, Object)]
#[oai(rename = "HomeEarmark")]
struct HomeEarmarkOut {
    /// Which merchant.
    merchant_id: MerchantId,
    /// What people call it.
    merchant_names: Names,
    /// How many.
    points: Points,
}

/// What a member sees first.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Home", skip_serializing_if_is_none)]
struct HomeOut {
    /// The member's id.
    member_id: MemberId,
    /// What can be spent; points that have lapsed are not in it. For a merchant's key, what it takes.
    available: Points,
    /// What of `available` one merchant alone takes, by merchant.
    earmarked: Vec<HomeEarmarkOut>,
    /// What is set aside for reserved goods.
    held: Points,
    /// What is owed because points were taken back after they had been spent; the next points
    /// that are earned pay it.
    owed: Points,
    /// The points that lapse next; without it, none ever do.
    next_expiry: Option<ExpiryOut>,
    /// The newest 20 lines of the history, the newest first.
    history: Vec<HomeLineOut>,
}

impl HomeLineOut {
    fn of(reach: Reach, line: HomeLine) -> Self {
        let merchant = line.merchant.filter(|(id, _)| shown(reach, *id));
        let (store_id, store_names) = line.store.unzip();
        Self {
            journal_id: line.id,
            kind: line.kind,
            points: Signed(line.points),
            balance_after: Signed(line.balance_after),
            place: merchant.map(|(merchant_id, merchant_names)| PlaceOut {
                merchant_id,
                merchant_names,
                store_id,
                store_names,
            }),
            occurred_at: Moment(line.occurred_at),
        }
    }
}

impl HomeOut {
    fn of(reach: Reach, member: MemberId, home: Home) -> Self {
        let lines = home.lines.into_iter();
        Self {
            member_id: member,
            available: points(home.available),
            earmarked: home.earmarked.into_iter().map(HomeEarmarkOut::of).collect(),
            held: points(home.held),
            owed: points(home.owed),
            next_expiry: home.next_expiry.map(|next| ExpiryOut {
                points: points(next.points),
                expires_at: Moment(next.at),
            }),
            history: lines.map(|line| HomeLineOut::of(reach, line)).collect(),
        }
    }
}

impl LotOut {
    fn of(reach: Reach, lot: &Lot) -> Self {
        let place = shown(reach, lot.merchant).then_some((lot.merchant, lot.store));
        Self {
            lot_id: lot.id,
            merchant_id: place.map(|(merchant, _)| merchant),
            store_id: place.map(|(_, store)| store),
            points: points(lot.points),
            remaining: points(lot.remaining),
            earned_at: Moment(lot.earned_at),
            expires_at: lot.expires_at.map(Moment),
            only_at: lot.only_at,
        }
    }
}

impl EarmarkOut {
    fn of(earmark: &Earmark) -> Self {
        Self {
            merchant_id: earmark.merchant,
            points: points(earmark.points),
        }
    }
}

impl HomeEarmarkOut {
    fn of((merchant_id, merchant_names, earmarked): (MerchantId, Names, i64)) -> Self {
        Self {
            merchant_id,
            merchant_names,
            points: points(earmarked),
        }
    }
}

impl BalanceOut {
    fn of(reach: Reach, balance: &Balance) -> Self {
        let lots = balance.lots.iter();
        Self {
            available: points(balance.available),
            earmarked: balance.earmarked.iter().map(EarmarkOut::of).collect(),
            held: points(balance.held),
            owed: points(balance.owed),
            lots: lots.map(|lot| LotOut::of(reach, lot)).collect(),
            more_lots: balance.more_lots,
        }
    }
}

impl HistoryLineOut {
    fn of(reach: Reach, stores: &Stores, line: HistoryLine) -> Self {
        let own = line.merchant.is_some_and(|merchant| shown(reach, merchant));
        let own = own && line.store.is_none_or(|store| stores.covers(store));
        let shown = own || !matches!(reach, Reach::Merchant(_));
        Self {
            journal_id: line.id,
            number: line.seq,
            source_id: source(&line.kind, line.source).filter(|_| shown),
            kind: line.kind,
            points: Signed(line.points),
            balance_after: Signed(line.balance_after),
            merchant_id: line.merchant.filter(|_| shown),
            store_id: line.store.filter(|_| shown),
            occurred_at: Moment(line.occurred_at),
            posted_at: Moment(line.posted_at),
            late: line.late,
        }
    }
}

/// Whether a merchant is named to whoever has that reach: where else a member buys is no other
/// merchant's business.
fn shown(reach: Reach, merchant: MerchantId) -> bool {
    matches!(reach, Reach::Member(_)) || reach.covers(merchant)
}

/// Points that the books hold, which are never below zero.
fn points(points: i64) -> Points {
    Points::new(points).unwrap_or(Points::ZERO)
}

/// The public id of what caused an event of that kind; none where nobody did.
pub(in crate::api) fn source(kind: &str, id: Uuid) -> Option<String> {
    match kind {
        "purchase" => Some(PurchaseId::from_uuid(id).to_string()),
        "refund" | "spend-return" => Some(RefundId::from_uuid(id).to_string()),
        "spend" => Some(SpendId::from_uuid(id).to_string()),
        "adjust" => Some(AdjustmentId::from_uuid(id).to_string()),
        "reserve" | "claim" | "cancel" | "lapse" => Some(RedemptionId::from_uuid(id).to_string()),
        _ => None,
    }
}

#[OpenApi(tag = "Group::Till")]
impl Wallets {
    /// Read a member's balance
    #[oai(
        path = "/v1/members/:member_id/balance",
        method = "get",
        operation_id = "get_balance"
    )]
    async fn get_balance(
        &self,
        caller: Caller<ReadMembers>,
        member_id: Path<MemberId>,
    ) -> Result<Reply<200, BalanceOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        members::within(&caller.grant, member_id.0)?;
        let taker = caller.grant.reach().merchant();
        let balance = ledger::balance(&mut tx, member_id.0, taker).await?;
        let balance = balance.ok_or_else(|| Problem::of(&codes::UNKNOWN_MEMBER))?;
        Ok(Reply::new(&BalanceOut::of(caller.grant.reach(), &balance)))
    }

    /// Read a member's home
    ///
    /// The balance, what lapses next and the newest lines of the history in one answer, for a
    /// page that opens at once.
    #[oai(
        path = "/v1/members/:member_id/home",
        method = "get",
        operation_id = "get_home"
    )]
    async fn get_home(
        &self,
        caller: Caller<ReadMembers>,
        member_id: Path<MemberId>,
    ) -> Result<Reply<200, HomeOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let home = home(&mut tx, &caller.grant, member_id.0).await?;
        let home = home.ok_or_else(|| Problem::of(&codes::UNKNOWN_MEMBER))?;
        let reach = caller.grant.reach();
        Ok(Reply::new(&HomeOut::of(reach, member_id.0, home)))
    }

    /// List a member's history
    ///
    /// Everything that changed the member's points, the newest first.
    #[oai(
        path = "/v1/members/:member_id/history",
        method = "get",
        operation_id = "list_history"
    )]
    async fn list_history(
        &self,
        caller: Caller<ReadMembers>,
        member_id: Path<MemberId>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<HistoryLineOut>>, Problem> {
        let url = format!("/v1/members/{}/history", member_id.0);
        let slice = paging::slice(caller.app(), &url, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        members::within(&caller.grant, member_id.0)?;
        let page = ledger::history(&mut tx, member_id.0, &slice).await?;
        let page = page.ok_or_else(|| Problem::of(&codes::UNKNOWN_MEMBER))?;
        let (reach, stores) = (caller.grant.reach(), caller.grant.stores());
        let list = List::new(caller.app(), &url, page, |line| {
            HistoryLineOut::of(reach, stores, line)
        });
        Ok(Reply::new(&list))
    }
}

//! Credit: what merchants are good for, and merchants that do not pay.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use crate::{
    api::{
        Group,
        words::{CreditEntryWord, LightWord, MeansWord, MerchantStandingWord, WithheldWord},
    },
    authz::action::{
        DeclareDefault, RaiseDefault, ReadCredit, RecordCredit, SetCreditLimit, WindDown,
    },
    db::tx::Tx,
    http::{
        admit::Caller,
        body::Body,
        idempotency::{IdempotencyKey, Once},
        paging::{self, List},
        problem::Problem,
        reply::Reply,
        wire::{Cursor, Day, Limit, Minor, Moment, Positive, Quantity, Text},
    },
    kernel::{
        ids::{CreditEntryId, MerchantId},
        money::Currency,
    },
    merchants::credit::{self, CreditError, Entry, Moved, NewEntry, Overview, Rules, leaving},
    settlement::{covering, lights},
};

/// Operations on credit.
#[derive(Debug)]
pub struct Credit;

/// What a merchant is good for. Money is in minor units.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Credit", skip_serializing_if_is_none)]
struct CreditOut {
    /// Which merchant.
    merchant_id: MerchantId,
    /// How far it is in the alliance.
    standing: MerchantStandingWord,
    /// When its points end, once it is leaving.
    exit_at: Option<Moment>,
    /// When its default was raised; somebody else declares it, or it is withdrawn.
    default_raised_at: Option<Moment>,
    /// Who raised it.
    default_raised_by: Option<String>,
    /// When it was found in default.
    default_declared_at: Option<Moment>,
    /// By whom.
    default_declared_by: Option<String>,
    /// What the operator keeps of it as security.
    deposit: Minor,
    /// What it may owe beyond the deposit; without it and a deposit nobody looks.
    limit: Option<Minor>,
    /// The currency of every amount.
    currency: Currency,
    /// Points left of those that it paid for in advance; without it, it never did.
    prepaid_left: Option<Quantity>,
    /// How many points the blocks had of which some are left.
    prepaid_size: Option<Quantity>,
    /// Whether little is left, as the mall's programme says.
    prepaid_low: Option<bool>,
    /// Whether it is covered.
    light: LightWord,
    /// Since when the light is as it is.
    light_since: Moment,
    /// Why, in a sentence; without it, there is nothing to say.
    light_why: Option<String>,
    /// What it would owe if all of its points were spent, when that was looked at last.
    open_worth: Minor,
    /// What it owed then.
    owed: Minor,
    /// When that was; without it, never.
    evaluated_at: Option<Moment>,
    /// Why it gives no points; without it, it does.
    withheld: Option<WithheldWord>,
    /// Since when.
    withheld_since: Option<Moment>,
}

impl CreditOut {
    fn of(overview: Overview, currency: Currency) -> Self {
        let Overview {
            credit: it,
            prepaid,
        } = overview;
        let (raised_at, raised_by) = it.raised.unzip();
        let (declared_at, declared_by) = it.declared.unzip();
        let (withheld, since) = it.withheld.unzip();
        Self {
            merchant_id: it.merchant,
            standing: it.standing.into(),
            exit_at: it.exit_at.map(Moment),
            default_raised_at: raised_at.map(Moment),
            default_raised_by: raised_by,
            default_declared_at: declared_at.map(Moment),
            default_declared_by: declared_by,
            deposit: Minor(it.deposit),
            limit: it.limit.map(Minor),
            currency,
            prepaid_left: prepaid.map(|blocks| Quantity(blocks.left)),
            prepaid_size: prepaid.map(|blocks| Quantity(blocks.size)),
            prepaid_low: prepaid.map(|blocks| blocks.low),
            light: it.light.into(),
            light_since: Moment(it.light_since),
            light_why: Some(it.light_why).filter(|why| !why.is_empty()),
            open_worth: Minor(it.open_worth),
            owed: Minor(it.owed),
            evaluated_at: it.evaluated_at.map(Moment),
            withheld: withheld.map(WithheldWord::from),
            withheld_since: since.map(Moment),
        }
    }
}

/// Money of a merchant that moved outside of settlements, or was taken out of its deposit.
#[derive(Debug, Clone, Object)]
#[oai(rename = "CreditEntry", skip_serializing_if_is_none)]
struct EntryOut {
    /// The entry's id.
    credit_entry_id: CreditEntryId,
    /// Whose money.
    merchant_id: MerchantId,
    /// What happened.
    kind: CreditEntryWord,
    /// How much, in minor units.
    amount: Positive,
    /// The currency of the amount.
    currency: Currency,
    /// How many points a block has.
    points: Option<Positive>,
    /// By which means; without it, it was taken out of the deposit.
    means: Option<MeansWord>,
    /// What whoever moved it calls it; of what was taken out of the deposit, the payment's reference.
    reference: String,
    /// On which day.
    executed_on: Option<Day>,
    /// When it was recorded.
    recorded_at: Moment,
    /// By which key.
    recorded_by: String,
}

impl EntryOut {
    fn of(entry: Entry, currency: Currency) -> Self {
        Self {
            credit_entry_id: entry.id,
            merchant_id: entry.merchant,
            kind: entry.kind.into(),
            amount: Positive(entry.amount),
            currency,
            points: entry.points.map(Positive),
            means: entry.means.map(MeansWord::from),
            reference: entry.reference,
            executed_on: entry.executed_on.map(Day),
            recorded_at: Moment(entry.recorded_at),
            recorded_by: entry.recorded_by,
        }
    }
}

/// A deposit that came or went back.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct RecordDepositIn {
    /// How much, in minor units.
    amount: Positive,
    /// By which means.
    means: MeansWord,
    /// What whoever moved it calls it: one movement of its kind for ever.
    reference: Text,
    /// On which day.
    executed_on: Option<Day>,
}

/// Points that were paid for in advance.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct BuyBlockIn {
    /// How many, at the price that was agreed on.
    points: Positive,
    /// By which means.
    means: MeansWord,
    /// What whoever paid calls it: one block for ever.
    reference: Text,
    /// On which day.
    executed_on: Option<Day>,
}

/// How much a merchant may owe.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct SetCreditLimitIn {
    /// Beyond its deposit, in minor units; without it nobody looks, unless there is a deposit.
    limit: Option<Minor>,
}

/// Until when a merchant's points are good.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct WindDownIn {
    /// The last day, in the mall's time zone; tomorrow or later.
    last_day: Day,
}

impl RecordDepositIn {
    fn entry(self, merchant: MerchantId, moved: Moved) -> NewEntry {
        NewEntry {
            merchant,
            moved,
            means: self.means.into(),
            reference: self.reference.as_str().to_owned(),
            executed_on: self.executed_on.map(|day| day.0),
        }
    }
}

async fn recorded(
    caller: Caller<RecordCredit>,
    key: IdempotencyKey,
    digest: &[u8],
    new: NewEntry,
) -> Result<Reply<201, EntryOut>, Problem> {
    let rules = caller.mall().await?.settlement.credit;
    let mut once = match Once::begin(&caller, &key, digest).await?.fresh() {
        Ok(once) => once,
        Err(before) => return Ok(before),
    };
    let currency = caller.tenant.currency;
    let made = lights::record(once.tx(), &caller.grant, new, &rules, currency).await;
    once.finish(made.map(|made| EntryOut::of(made, currency)))
        .await
}

/// How a merchant stands after something was done about it.
async fn told(
    tx: &mut Tx,
    done: Result<credit::Credit, CreditError>,
    rules: &Rules,
    currency: Currency,
) -> Result<CreditOut, CreditError> {
    let overview = credit::overview(tx, done?, rules).await?;
    Ok(CreditOut::of(overview, currency))
}

#[OpenApi(tag = "Group::Operator")]
impl Credit {
    /// Read what a merchant is good for
    ///
    /// Its deposit, what it paid for in advance, its limit, its light, and how far it is in the
    /// alliance. A merchant's key reads its own.
    #[oai(
        path = "/v1/merchants/:merchant_id/credit",
        method = "get",
        operation_id = "get_credit"
    )]
    async fn get_credit(
        &self,
        caller: Caller<ReadCredit>,
        merchant_id: Path<MerchantId>,
    ) -> Result<Reply<200, CreditOut>, Problem> {
        let rules = caller.mall().await?.settlement.credit;
        let mut tx = caller.db().read(&caller.grant).await?;
        let found = credit::get(&mut tx, &caller.grant, merchant_id.0, &rules).await?;
        Ok(Reply::new(&CreditOut::of(found, caller.tenant.currency)))
    }

    /// List a merchant's deposits and blocks
    ///
    /// Every movement, the newest first.
    #[oai(
        path = "/v1/merchants/:merchant_id/credit/entries",
        method = "get",
        operation_id = "list_credit_entries"
    )]
    async fn list_credit_entries(
        &self,
        caller: Caller<ReadCredit>,
        merchant_id: Path<MerchantId>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<EntryOut>>, Problem> {
        let url = format!("/v1/merchants/{}/credit/entries", merchant_id.0);
        let slice = paging::slice(caller.app(), &url, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = credit::entries(&mut tx, &caller.grant, merchant_id.0, &slice).await?;
        let currency = caller.tenant.currency;
        let list = List::new(caller.app(), &url, page, |entry| {
            EntryOut::of(entry, currency)
        });
        Ok(Reply::new(&list))
    }

    /// Record a deposit
    ///
    /// Money that a merchant gave the operator to keep as security. Said again in the same words it
    /// changes nothing. 409 `credit-reference-taken`.
    #[oai(
        path = "/v1/merchants/:merchant_id/credit/deposits",
        method = "post",
        operation_id = "record_deposit"
    )]
    async fn record_deposit(
        &self,
        caller: Caller<RecordCredit>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        merchant_id: Path<MerchantId>,
        body: Body<RecordDepositIn>,
    ) -> Result<Reply<201, EntryOut>, Problem> {
        let moved = Moved::Paid(body.value.amount.0);
        let new = body.value.entry(merchant_id.0, moved);
        recorded(caller, key, &body.digest, new).await
    }

    /// Record that a deposit went back
    ///
    /// In whole or in part. Said again in the same words it changes nothing. 409 `deposit-too-small`,
    /// `deposit-needed`, `credit-reference-taken`.
    #[oai(
        path = "/v1/merchants/:merchant_id/credit/returns",
        method = "post",
        operation_id = "return_deposit"
    )]
    async fn return_deposit(
        &self,
        caller: Caller<RecordCredit>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        merchant_id: Path<MerchantId>,
        body: Body<RecordDepositIn>,
    ) -> Result<Reply<201, EntryOut>, Problem> {
        let moved = Moved::Returned(body.value.amount.0);
        let new = body.value.entry(merchant_id.0, moved);
        recorded(caller, key, &body.digest, new).await
    }

    /// Record a block of points that was paid for in advance
    ///
    /// For a merchant whose agreement in force has the pool and its price; the amount follows from
    /// both. Its purchases use the block up, refunds put back into it. Said again in the same words it
    /// changes nothing. 409 `no-pool`, `block-not-whole`, `credit-reference-taken`.
    #[oai(
        path = "/v1/merchants/:merchant_id/credit/blocks",
        method = "post",
        operation_id = "buy_block"
    )]
    async fn buy_block(
        &self,
        caller: Caller<RecordCredit>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        merchant_id: Path<MerchantId>,
        body: Body<BuyBlockIn>,
    ) -> Result<Reply<201, EntryOut>, Problem> {
        let BuyBlockIn {
            points,
            means,
            reference,
            executed_on,
        } = body.value;
        let new = NewEntry {
            merchant: merchant_id.0,
            moved: Moved::Block(points.0),
            means: means.into(),
            reference: reference.as_str().to_owned(),
            executed_on: executed_on.map(|day| day.0),
        };
        recorded(caller, key, &body.digest, new).await
    }

    /// Set how much a merchant may owe
    ///
    /// Its light is amber and red by what its deposit and this cover, and looked at again at once.
    #[oai(
        path = "/v1/merchants/:merchant_id/credit/limit",
        method = "post",
        operation_id = "set_credit_limit"
    )]
    async fn set_credit_limit(
        &self,
        caller: Caller<SetCreditLimit>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        merchant_id: Path<MerchantId>,
        body: Body<SetCreditLimitIn>,
    ) -> Result<Reply<200, CreditOut>, Problem> {
        let limit = body.value.limit.map(|limit| limit.0);
        let rules = caller.mall().await?.settlement.credit;
        let mut once = match Once::begin(&caller, &key, &body.digest).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let (grant, currency) = (&caller.grant, caller.tenant.currency);
        let of = merchant_id.0;
        let done = lights::set_limit(once.tx(), grant, of, limit, &rules, currency).await;
        let told = told(once.tx(), done, &rules, currency).await;
        once.finish(told).await
    }

    /// Let a merchant leave
    ///
    /// It gives no points from now on; those that it gave are good through the last day, and end
    /// then. It still takes points. Its periods are settled as before, and its deposit goes back when
    /// nothing needs it any more. 409 `wind-down-too-early`, `out-of-step`.
    #[oai(
        path = "/v1/merchants/:merchant_id/wind-down",
        method = "post",
        operation_id = "wind_down_merchant"
    )]
    async fn wind_down_merchant(
        &self,
        caller: Caller<WindDown>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        merchant_id: Path<MerchantId>,
        body: Body<WindDownIn>,
    ) -> Result<Reply<200, CreditOut>, Problem> {
        let last_day = body.value.last_day.0;
        let rules = caller.mall().await?.settlement.credit;
        let mut once = match Once::begin(&caller, &key, &body.digest).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let (of, zone) = (merchant_id.0, caller.tenant.zone);
        let done = leaving::wind_down(once.tx(), &caller.grant, of, last_day, zone).await;
        let told = told(once.tx(), done, &rules, caller.tenant.currency).await;
        once.finish(told).await
    }

    /// Say that a merchant does not pay
    ///
    /// What it has to pay of confirmed periods is due and was not paid. Somebody else declares the
    /// default, or it is withdrawn. 409 `nothing-due`, `out-of-step`.
    #[oai(
        path = "/v1/merchants/:merchant_id/default/raise",
        method = "post",
        operation_id = "raise_default"
    )]
    async fn raise_default(
        &self,
        caller: Caller<RaiseDefault>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        merchant_id: Path<MerchantId>,
    ) -> Result<Reply<200, CreditOut>, Problem> {
        let rules = caller.mall().await?.settlement.credit;
        let mut once = match Once::begin(&caller, &key, &[]).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let done = covering::raise(once.tx(), &caller.grant, merchant_id.0).await;
        let told = told(once.tx(), done, &rules, caller.tenant.currency).await;
        once.finish(told).await
    }

    /// Take back that a merchant does not pay
    ///
    /// 409 `out-of-step`.
    #[oai(
        path = "/v1/merchants/:merchant_id/default/withdraw",
        method = "post",
        operation_id = "withdraw_default"
    )]
    async fn withdraw_default(
        &self,
        caller: Caller<RaiseDefault>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        merchant_id: Path<MerchantId>,
    ) -> Result<Reply<200, CreditOut>, Problem> {
        let rules = caller.mall().await?.settlement.credit;
        let mut once = match Once::begin(&caller, &key, &[]).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let done = covering::withdraw(once.tx(), &caller.grant, merchant_id.0).await;
        let told = told(once.tx(), done, &rules, caller.tenant.currency).await;
        once.finish(told).await
    }

    /// Find a merchant in default
    ///
    /// Somebody else than who raised it. Every payment of the merchant that is due is met: from its
    /// deposit, each by its share, and beyond that as the programme's `on_default` says, by the
    /// operator or not at all; what is lacking is settled with the first period that is open. 409
    /// `needs-second-person`, `out-of-step`, `nothing-due`.
    #[oai(
        path = "/v1/merchants/:merchant_id/default/declare",
        method = "post",
        operation_id = "declare_default"
    )]
    async fn declare_default(
        &self,
        caller: Caller<DeclareDefault>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        merchant_id: Path<MerchantId>,
    ) -> Result<Reply<200, CreditOut>, Problem> {
        let terms = caller.mall().await?.settlement;
        let rules = terms.credit;
        let mut once = match Once::begin(&caller, &key, &[]).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let (grant, currency) = (&caller.grant, caller.tenant.currency);
        let (of, how) = (merchant_id.0, terms.credit.on_default);
        let approval = terms.course.approval;
        let done = covering::declare(once.tx(), grant, of, how, approval, currency).await;
        let told = told(once.tx(), done, &rules, currency).await;
        once.finish(told).await
    }
}

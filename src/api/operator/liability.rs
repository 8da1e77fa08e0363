//! What merchants owe their members in points: how a period changed it, how old it is, when it lapses,
//! and what is booked.

use poem_openapi::{Object, OpenApi, param::Query};

use crate::{
    api::Group,
    authz::action::ReadLiability,
    http::{
        admit::Caller,
        paging::{self, List},
        problem::Problem,
        reply::{Reply, Sheet},
        wire::{Cursor, Limit, Minor, Quantity, Signed},
    },
    kernel::{
        ids::MerchantId,
        money::Currency,
        page::Slice,
        text::Code,
        time::{Month, Period},
    },
    reports::liability::{
        self, Ages, Amount, Due, Forecast, LiabilityError, OLDEST, PeriodMoves, RollForward, Split,
        WHOLE,
    },
    settlement::journal::{self, Moves},
};

const LIABILITY: &str = "/v1/liability";
const AGES: &str = "/v1/liability/ages";
const FORECAST: &str = "/v1/liability/forecast";

/// Operations on what is outstanding.
#[derive(Debug)]
pub struct Liability;

/// Points, and what they settle at.
#[derive(Debug, Clone, Object)]
#[oai(rename = "PointsWorth")]
struct AmountOut {
    /// How many points; below zero where a receipt that came late spent in a period what was earned
    /// after it.
    points: Signed,
    /// What they settle at, in minor units.
    worth: Signed,
}

/// What the issuer took itself, and what others took.
#[derive(Debug, Clone, Object)]
#[oai(rename = "HereAndElsewhere")]
struct SplitOut {
    /// In the issuer's own stores.
    here: AmountOut,
    /// At other merchants.
    elsewhere: AmountOut,
}

/// An estimate of what will not be used, and never a target: `expired` of `over` points.
#[derive(Debug, Clone, Object)]
#[oai(rename = "ExpectedBreakage")]
struct BreakageOut {
    /// Points that lapsed.
    expired: Quantity,
    /// Points of all grants whose last day is over and that have none left, without those that were
    /// taken back unused. Where it is 0 nothing is known yet.
    over: Quantity,
}

/// What a period did to one merchant's outstanding points: opening + issued + `given_back` - redeemed -
/// repaid - expired - `taken_back` = closing.
#[derive(Debug, Clone, Object)]
#[oai(rename = "LiabilityPeriod")]
struct RollForwardOut {
    /// Whose points.
    merchant_id: MerchantId,
    /// What lists call the merchant.
    code: Code,
    /// Which period.
    period: Period,
    /// The currency of every amount.
    currency: Currency,
    /// Outstanding when the period began: with members, lapsed and not booked yet, or promised to
    /// reservations.
    opening: AmountOut,
    /// Given to members.
    issued: AmountOut,
    /// Given back to members after they had been redeemed, because a purchase was refunded.
    given_back: SplitOut,
    /// Taken from members, at a till or for a good.
    redeemed: SplitOut,
    /// Taken to fill what members owed to merchants; a statement counts them as redeemed there.
    repaid: SplitOut,
    /// Lapsed.
    expired: AmountOut,
    /// Taken back unused, because a purchase was refunded.
    taken_back: AmountOut,
    /// Outstanding when the period ended.
    closing: AmountOut,
    /// Taken back after they had been used, which members owe: this changes nothing outstanding. A
    /// statement counts them as taken back.
    became_owed: AmountOut,
    /// Redeemed and repaid less given back, from the first day to the period's end: how much of what
    /// is used is used at others, for which the merchant is an agent.
    used_to_date: SplitOut,
    /// What was not used, as the grants are now.
    expected_breakage: BreakageOut,
}

/// Points of one age.
#[derive(Debug, Clone, Object)]
#[oai(rename = "LiabilityAge", skip_serializing_if_is_none)]
struct AgeOut {
    /// Earned so many months ago or more.
    from_months: Quantity,
    /// Earned less than so many months ago; without it, however long.
    to_months: Option<Quantity>,
    /// How many points.
    points: Quantity,
    /// What they settle at, in minor units.
    worth: Minor,
}

/// How old one merchant's outstanding points are now.
#[derive(Debug, Clone, Object)]
#[oai(rename = "LiabilityAges")]
struct AgesOut {
    /// Whose points.
    merchant_id: MerchantId,
    /// What lists call the merchant.
    code: Code,
    /// The currency of every amount.
    currency: Currency,
    /// The points by age, the youngest first. They grow older when a day begins in the mall's zone.
    ages: Vec<AgeOut>,
    /// What of all this is promised to reservations.
    held: AmountOut,
}

/// Points that lapse in the same month.
#[derive(Debug, Clone, Object)]
#[oai(rename = "LiabilityLapse")]
struct LapseOut {
    /// In which month of the mall's zone.
    period: Month,
    /// How many points.
    points: Quantity,
    /// What they settle at, in minor units.
    worth: Minor,
}

/// When one merchant's outstanding points lapse, if nobody uses them.
#[derive(Debug, Clone, Object)]
#[oai(rename = "LiabilityForecast")]
struct ForecastOut {
    /// Whose points.
    merchant_id: MerchantId,
    /// What lists call the merchant.
    code: Code,
    /// The currency of every amount.
    currency: Currency,
    /// Lapsed already, and not booked yet.
    over: AmountOut,
    /// What lapses in which month, the next first.
    lapsing: Vec<LapseOut>,
    /// What never lapses.
    never: AmountOut,
    /// What is promised to reservations, and does not lapse while it is.
    held: AmountOut,
}

impl From<Amount> for AmountOut {
    fn from(amount: Amount) -> Self {
        Self {
            points: Signed(amount.points),
            worth: Signed(amount.worth),
        }
    }
}

impl From<Split> for SplitOut {
    fn from(split: Split) -> Self {
        Self {
            here: split.here.into(),
            elsewhere: split.elsewhere.into(),
        }
    }
}

impl RollForwardOut {
    fn of(it: RollForward, period: Period, currency: Currency) -> Self {
        Self {
            merchant_id: it.merchant,
            code: it.code,
            period,
            currency,
            opening: it.opening.into(),
            issued: it.issued.into(),
            given_back: it.given_back.into(),
            redeemed: it.redeemed.into(),
            repaid: it.repaid.into(),
            expired: it.expired.into(),
            taken_back: it.taken_back.into(),
            closing: it.closing.into(),
            became_owed: it.became_owed.into(),
            used_to_date: it.used_to_date.into(),
            expected_breakage: BreakageOut {
                expired: Quantity(it.breakage.expired),
                over: Quantity(it.breakage.over),
            },
        }
    }
}

impl AgesOut {
    fn of(it: Ages, currency: Currency) -> Self {
        let from = std::iter::once(0).chain(OLDEST);
        let to = OLDEST.into_iter().map(Some).chain([None]);
        let months = |months: u32| Quantity(months.into());
        let ages = from.zip(to).zip(it.ages).map(|((from, to), age)| AgeOut {
            from_months: months(from),
            to_months: to.map(months),
            points: Quantity(age.points),
            worth: Minor(age.worth),
        });
        Self {
            merchant_id: it.merchant,
            code: it.code,
            currency,
            ages: ages.collect(),
            held: it.held.into(),
        }
    }
}

impl ForecastOut {
    fn of(it: Forecast, currency: Currency) -> Self {
        let nothing = || AmountOut::from(Amount::default());
        let mut out = Self {
            merchant_id: it.merchant,
            code: it.code,
            currency,
            over: nothing(),
            lapsing: Vec::new(),
            never: nothing(),
            held: nothing(),
        };
        for (due, amount) in it.lapsing {
            match due {
                Due::Over => out.over = amount.into(),
                Due::In(period) => out.lapsing.push(LapseOut {
                    period,
                    points: Quantity(amount.points),
                    worth: Minor(amount.worth),
                }),
                Due::Never => out.never = amount.into(),
                Due::Held => out.held = amount.into(),
            }
        }
        out
    }
}

/// A report's periods as a settlement's accounts take them.
fn moves(it: PeriodMoves) -> Moves {
    Moves {
        sales: it.sales,
        issued: it.issued,
        issued_worth: it.issued_worth,
        taken_back: it.taken_back,
        used_here: it.used_here,
        used_elsewhere: it.used_elsewhere,
        payable: it.payable,
        expired: it.expired,
        over: (it.over, it.over_expired),
    }
}

/// The period's entries of every merchant within reach, as a sheet.
async fn sheet(caller: &Caller<ReadLiability>, period: Period) -> Result<String, LiabilityError> {
    let (zone, currency) = (caller.tenant.zone, caller.tenant.currency);
    let whole = Slice {
        limit: WHOLE,
        after: None,
    };
    let mut tx = caller.db().read(&caller.grant).await?;
    let page = liability::periods(&mut tx, &caller.grant, period, zone, &whole).await?;
    let mut books = Vec::with_capacity(page.items.len());
    for issuer in page.items {
        let periods = issuer.periods.into_iter();
        let periods = periods.map(|(period, it)| (period, moves(it))).collect();
        books.push((issuer.code, journal::entries(&periods, period)?));
    }
    books.sort_by(|one, other| one.0.cmp(&other.0));
    let books = books
        .iter()
        .map(|(code, entries)| (code, entries.as_slice()));
    Ok(journal::csv(period, currency, books))
}

#[OpenApi(tag = "Group::Operator")]
impl Liability {
    /// List a period's liability
    ///
    /// What the period did to each merchant's outstanding points and their worth, in the order in which
    /// the merchants joined. Counted twice, by all transfers and by all grants: where they differ, 500
    /// `books-broken` and no figures. 409 `period-of-other-unit`. A merchant's key sees its own only.
    #[oai(
        path = "/v1/liability",
        method = "get",
        operation_id = "list_liability"
    )]
    async fn list_liability(
        &self,
        caller: Caller<ReadLiability>,
        /// Which period of the mall, such as 2017-06.
        period: Query<Period>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<RollForwardOut>>, Problem> {
        let (period, currency) = (period.0, caller.tenant.currency);
        let url = format!("{LIABILITY}?period={period}");
        let slice = paging::slice(caller.app(), &url, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = liability::roll_forward(&mut tx, &caller.grant, period, &slice).await?;
        let list = List::new(caller.app(), &url, page, |it| {
            RollForwardOut::of(it, period, currency)
        });
        Ok(Reply::new(&list))
    }

    /// List outstanding points by age
    ///
    /// As they are now, by merchant in the order in which they joined. A merchant's key sees its own
    /// only.
    #[oai(
        path = "/v1/liability/ages",
        method = "get",
        operation_id = "list_liability_ages"
    )]
    async fn list_liability_ages(
        &self,
        caller: Caller<ReadLiability>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<AgesOut>>, Problem> {
        let slice = paging::slice(caller.app(), AGES, limit.0, cursor.0.as_ref())?;
        let (zone, currency) = (caller.tenant.zone, caller.tenant.currency);
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = liability::ages(&mut tx, &caller.grant, zone, &slice).await?;
        let list = List::new(caller.app(), AGES, page, |it| AgesOut::of(it, currency));
        Ok(Reply::new(&list))
    }

    /// List when outstanding points lapse
    ///
    /// As they are now, if nobody uses them, by merchant in the order in which they joined. A
    /// merchant's key sees its own only.
    #[oai(
        path = "/v1/liability/forecast",
        method = "get",
        operation_id = "list_liability_forecast"
    )]
    async fn list_liability_forecast(
        &self,
        caller: Caller<ReadLiability>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<ForecastOut>>, Problem> {
        let slice = paging::slice(caller.app(), FORECAST, limit.0, cursor.0.as_ref())?;
        let (zone, currency) = (caller.tenant.zone, caller.tenant.currency);
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = liability::forecast(&mut tx, &caller.grant, zone, &slice).await?;
        let list = List::new(caller.app(), FORECAST, page, |it| {
            ForecastOut::of(it, currency)
        });
        Ok(Reply::new(&list))
    }

    /// Download a period's entries
    ///
    /// What each merchant within reach books for its points in that period, as CAS 14 and IFRS 15 have
    /// it: comma-separated values in UTF-8, one line an account, amounts as decimals; the debits of an
    /// entry are its credits. Deferred income and breakage are estimates from what was used so far.
    /// 409 `period-of-other-unit`.
    #[oai(
        path = "/v1/liability/journal",
        method = "get",
        operation_id = "download_liability_journal"
    )]
    async fn download_liability_journal(
        &self,
        caller: Caller<ReadLiability>,
        /// Which period of the mall, such as 2017-06.
        period: Query<Period>,
    ) -> Result<Sheet, Problem> {
        let text = sheet(&caller, period.0).await?;
        let name = format!("{}-{}-points.csv", caller.tenant.slug.as_str(), period.0);
        Ok(Sheet { name, text })
    }
}

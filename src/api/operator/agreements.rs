//! Agreements: what each merchant settles by.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use crate::{
    api::{
        Group,
        words::{InvoicedByWord, ModelWord, StandingWord},
    },
    authz::action::{AcceptAgreement, ProposeAgreement, ReadAgreements},
    http::{
        admit::Caller,
        body::Body,
        idempotency::{IdempotencyKey, Once},
        paging::{self, List},
        problem::Problem,
        reply::Reply,
        wire::{Cursor, Limit, Minor, Moment, Positive, Quantity},
    },
    kernel::{
        ids::{AgreementId, MerchantId},
        time::Month,
    },
    merchants::agreements::{
        self, Agreement, AgreementTerms, Breakage, Cost, FeeRule, Fees, Price, Proposal, Tax,
    },
};

/// Operations on agreements.
#[derive(Debug)]
pub struct Agreements;

/// So many points are worth so much.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Price", deny_unknown_fields)]
struct PriceBody {
    /// How many points.
    points: Positive,
    /// What they are worth, in minor units.
    worth: Minor,
}

/// What becomes of points' worth that lapses in the pool, in ten-thousandths that add up to 10000.
#[derive(Debug, Clone, Object)]
#[oai(rename = "BreakageShares", deny_unknown_fields)]
struct BreakageBody {
    /// The operator's part.
    operator: Quantity,
    /// The part of the merchant that had issued the points.
    issuer: Quantity,
    /// The alliance fund's part.
    fund: Quantity,
}

/// Who bears what a merchant's points cost where others take them, in ten-thousandths that add up to
/// 10000.
#[derive(Debug, Clone, Object)]
#[oai(rename = "CostShares", deny_unknown_fields)]
struct CostBody {
    /// The merchant that issued them.
    issuer: Quantity,
    /// The operator.
    operator: Quantity,
    /// The merchant that takes them.
    redeemer: Quantity,
}

/// The operator's part of what a merchant receives for one issuer's points.
#[derive(Debug, Clone, Object)]
#[oai(rename = "FeeRule", deny_unknown_fields)]
struct FeeRuleBody {
    /// Whose points.
    issuer_id: MerchantId,
    /// The part: 100 are 1 %.
    basis_points: Quantity,
}

/// The operator's fees. The most specific one wins: for an issuer, then in general, then the mall's.
#[derive(Debug, Clone, Default, Object)]
#[oai(
    rename = "Fees",
    deny_unknown_fields,
    skip_serializing_if_is_none,
    default
)]
struct FeesBody {
    /// Of what the merchant receives for others' points: 100 are 1 %. Without it, as the mall.
    basis_points: Option<Quantity>,
    /// The same for points of one issuer each.
    #[oai(validator(max_items = 200))]
    by_issuer: Vec<FeeRuleBody>,
    /// For points that the merchant gives.
    issue: Option<PriceBody>,
    /// For each of the mall's periods (day, week or month), in minor units.
    fixed: Option<Minor>,
}

/// The tax that a merchant's amounts include.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Tax", deny_unknown_fields)]
struct TaxBody {
    /// The rate, of the amount without tax: 600 are 6 %.
    basis_points: Quantity,
    /// Who writes the invoices. Ask your tax adviser who must.
    invoiced_by: InvoicedByWord,
}

/// What a merchant settles by. What is left out is as the mall's programme says.
#[derive(Debug, Clone, Object)]
#[oai(
    rename = "AgreementTerms",
    deny_unknown_fields,
    skip_serializing_if_is_none
)]
struct TermsBody {
    /// Who pays when for this merchant's points.
    model: ModelWord,
    /// At what this merchant's points settle where they are taken.
    price: Option<PriceBody>,
    /// What this merchant pays into the pool for points that it gives; with the pool only.
    issue_price: Option<PriceBody>,
    /// Who bears the cost of this merchant's points; without the pool only.
    cost: Option<CostBody>,
    /// What becomes of what lapses; with the pool only.
    breakage: Option<BreakageBody>,
    /// The operator's fees.
    #[oai(default)]
    fees: FeesBody,
    /// The tax that this merchant's amounts include.
    tax: Option<TaxBody>,
    /// Days until a payment is due, at most 365.
    payment_days: Option<Quantity>,
}

/// A version that is to be put to a merchant.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct ProposeAgreementIn {
    /// From the first moment of which month it is to hold, such as 2026-10.
    from: Month,
    /// What it says.
    terms: TermsBody,
    /// SHA-256 of the paper that goes with it, 64 hexadecimal digits.
    #[oai(validator(pattern = "^[0-9a-f]{64}$"))]
    document_digest: Option<String>,
}

/// The merchant's word.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct AcceptAgreementIn {
    /// The `digest` of the version that was read.
    #[oai(validator(pattern = "^[0-9a-f]{64}$"))]
    digest: String,
}

/// One version of what a merchant settles by.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Agreement", skip_serializing_if_is_none)]
struct AgreementOut {
    /// The version's id.
    agreement_id: AgreementId,
    /// Whose.
    merchant_id: MerchantId,
    /// Its number, from 1.
    version: i32,
    /// How far it is.
    standing: StandingWord,
    /// The first moment at which it holds, if it was accepted before.
    starts_at: Moment,
    /// What it says.
    terms: TermsBody,
    /// SHA-256 over merchant, version, first moment and terms: what is accepted.
    digest: String,
    /// SHA-256 of the paper that goes with it.
    document_digest: Option<String>,
    /// When it was put to the merchant.
    proposed_at: Moment,
    /// Who put it to the merchant.
    proposed_by: String,
    /// When it was accepted.
    accepted_at: Option<Moment>,
    /// Who accepted it.
    accepted_by: Option<String>,
}

impl From<PriceBody> for Price {
    fn from(body: PriceBody) -> Self {
        Self {
            points: body.points.0,
            worth: body.worth.0,
        }
    }
}

impl From<Price> for PriceBody {
    fn from(price: Price) -> Self {
        Self {
            points: Positive(price.points),
            worth: Minor(price.worth),
        }
    }
}

impl From<FeesBody> for Fees {
    fn from(body: FeesBody) -> Self {
        let rules = body.by_issuer.into_iter();
        Self {
            basis_points: body.basis_points.map(|part| part.0),
            by_issuer: rules
                .map(|rule| FeeRule {
                    issuer: rule.issuer_id,
                    basis_points: rule.basis_points.0,
                })
                .collect(),
            issue: body.issue.map(Price::from),
            fixed: body.fixed.map(|fixed| fixed.0),
        }
    }
}

impl From<Fees> for FeesBody {
    fn from(fees: Fees) -> Self {
        let rules = fees.by_issuer.into_iter();
        Self {
            basis_points: fees.basis_points.map(Quantity),
            by_issuer: rules
                .map(|rule| FeeRuleBody {
                    issuer_id: rule.issuer,
                    basis_points: Quantity(rule.basis_points),
                })
                .collect(),
            issue: fees.issue.map(PriceBody::from),
            fixed: fees.fixed.map(Minor),
        }
    }
}

impl From<TermsBody> for AgreementTerms {
    fn from(body: TermsBody) -> Self {
        Self {
            model: body.model.into(),
            price: body.price.map(Price::from),
            issue_price: body.issue_price.map(Price::from),
            cost: body.cost.map(|cost| Cost {
                issuer: cost.issuer.0,
                operator: cost.operator.0,
                redeemer: cost.redeemer.0,
            }),
            breakage: body.breakage.map(|breakage| Breakage {
                operator: breakage.operator.0,
                issuer: breakage.issuer.0,
                fund: breakage.fund.0,
            }),
            fees: body.fees.into(),
            tax: body.tax.map(|tax| Tax {
                basis_points: tax.basis_points.0,
                invoiced_by: tax.invoiced_by.into(),
            }),
            payment_days: body.payment_days.map(|days| days.0),
        }
    }
}

impl From<AgreementTerms> for TermsBody {
    fn from(terms: AgreementTerms) -> Self {
        Self {
            model: terms.model.into(),
            price: terms.price.map(PriceBody::from),
            issue_price: terms.issue_price.map(PriceBody::from),
            cost: terms.cost.map(|cost| CostBody {
                issuer: Quantity(cost.issuer),
                operator: Quantity(cost.operator),
                redeemer: Quantity(cost.redeemer),
            }),
            breakage: terms.breakage.map(|breakage| BreakageBody {
                operator: Quantity(breakage.operator),
                issuer: Quantity(breakage.issuer),
                fund: Quantity(breakage.fund),
            }),
            fees: terms.fees.into(),
            tax: terms.tax.map(|tax| TaxBody {
                basis_points: Quantity(tax.basis_points),
                invoiced_by: tax.invoiced_by.into(),
            }),
            payment_days: terms.payment_days.map(Quantity),
        }
    }
}

impl AgreementOut {
    fn of(agreement: Agreement, caller: &Caller<impl crate::authz::action::Action>) -> Self {
        let standing = agreement.standing(caller.app().clock.now()).into();
        let (accepted_at, accepted_by) = agreement.accepted.unzip();
        Self {
            agreement_id: agreement.id,
            merchant_id: agreement.merchant,
            version: agreement.version,
            standing,
            starts_at: Moment(agreement.starts_at),
            terms: agreement.terms.into(),
            digest: agreement.digest,
            document_digest: agreement.document_digest,
            proposed_at: Moment(agreement.proposed_at),
            proposed_by: agreement.proposed_by,
            accepted_at: accepted_at.map(Moment),
            accepted_by,
        }
    }
}

#[OpenApi(tag = "Group::Operator")]
impl Agreements {
    /// Put terms to a merchant
    ///
    /// They hold from the first moment of a month to come, if the merchant accepts them before then.
    /// Points keep the terms of the moment at which they were earned. 409 `agreement-too-early`,
    /// `bad-terms`.
    #[oai(
        path = "/v1/merchants/:merchant_id/agreements",
        method = "post",
        operation_id = "propose_agreement"
    )]
    async fn propose_agreement(
        &self,
        caller: Caller<ProposeAgreement>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        merchant_id: Path<MerchantId>,
        body: Body<ProposeAgreementIn>,
    ) -> Result<Reply<201, AgreementOut>, Problem> {
        let ProposeAgreementIn {
            from,
            terms,
            document_digest,
        } = body.value;
        let new = Proposal {
            merchant: merchant_id.0,
            from,
            terms: terms.into(),
            document_digest,
        };
        let mut once = match Once::begin(&caller, &key, &body.digest).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let zone = caller.tenant.zone;
        let made = agreements::propose(once.tx(), &caller.grant, new, zone).await;
        once.finish(made.map(|made| AgreementOut::of(made, &caller)))
            .await
    }

    /// Accept terms
    ///
    /// By the digest of exactly what was read. A version that is accepted already stays as it is. 409
    /// `other-digest`, `agreement-missed`.
    #[oai(
        path = "/v1/agreements/:agreement_id/acceptance",
        method = "post",
        operation_id = "accept_agreement"
    )]
    async fn accept_agreement(
        &self,
        caller: Caller<AcceptAgreement>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        agreement_id: Path<AgreementId>,
        body: Body<AcceptAgreementIn>,
    ) -> Result<Reply<200, AgreementOut>, Problem> {
        let digest = body.value.digest;
        let mut once = match Once::begin(&caller, &key, &body.digest).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let done = agreements::accept(once.tx(), &caller.grant, agreement_id.0, &digest).await;
        once.finish(done.map(|done| AgreementOut::of(done, &caller)))
            .await
    }

    /// List a merchant's agreements
    ///
    /// Every version, the newest first.
    #[oai(
        path = "/v1/merchants/:merchant_id/agreements",
        method = "get",
        operation_id = "list_agreements"
    )]
    async fn list_agreements(
        &self,
        caller: Caller<ReadAgreements>,
        merchant_id: Path<MerchantId>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<AgreementOut>>, Problem> {
        let url = format!("/v1/merchants/{}/agreements", merchant_id.0);
        let slice = paging::slice(caller.app(), &url, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = agreements::list(&mut tx, &caller.grant, merchant_id.0, &slice).await?;
        let list = List::new(caller.app(), &url, page, |agreement| {
            AgreementOut::of(agreement, &caller)
        });
        Ok(Reply::new(&list))
    }

    /// Read one version of an agreement
    #[oai(
        path = "/v1/agreements/:agreement_id",
        method = "get",
        operation_id = "get_agreement"
    )]
    async fn get_agreement(
        &self,
        caller: Caller<ReadAgreements>,
        agreement_id: Path<AgreementId>,
    ) -> Result<Reply<200, AgreementOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let found = agreements::get(&mut tx, &caller.grant, agreement_id.0).await?;
        Ok(Reply::new(&AgreementOut::of(found, &caller)))
    }
}

//! Many receipts at once: what tills and ERP systems kept while they were offline.

use std::sync::Arc;

use poem_openapi::{
    Object, OpenApi,
    types::{Any, ParseFromJSON},
};
use serde_json::Value;

use super::{
    purchases::{RecordPurchaseIn, Recording},
    refunds::{RefundPurchaseIn, Refunding},
    spends::{SpendIn, Spending},
};
use crate::{
    api::Group,
    app::Mall,
    authz::{
        action::{Action, PostBatch},
        grant::Grant,
    },
    db::replay::ReplayKey,
    http::{
        admit::Caller,
        body::{self, Items},
        codes,
        idempotency::IdempotencyKey,
        lane,
        problem::Problem,
        reply::{Reply, Written},
        wire::{Moment, Positive},
    },
    kernel::{ids::PurchaseId, text::ReceiptNumber},
};

/// The most items of one transaction, as in a lane.
const LARGEST_RUN: usize = 256;

/// Operations on batches.
#[derive(Debug)]
pub struct Batches;

/// A refund of a purchase, in whole or in part.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct BatchRefundIn {
    /// Of which purchase.
    purchase_id: PurchaseId,
    /// What the store calls the refund, unique within the purchase for ever.
    reference: ReceiptNumber,
    /// What is refunded, in minor units; without it, all that is left of the purchase.
    amount: Option<Positive>,
    /// When; without it, now. At most five minutes ahead of our clock.
    occurred_at: Option<Moment>,
}

/// One act: a purchase, a spend or a refund, exactly one of the three.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct BatchItemIn {
    /// A value of your own for this act, as in the header of the operation for it alone. The same
    /// key there and here is the same act.
    #[oai(validator(min_length = 1, max_length = 255, pattern = "^[!-~]+$"))]
    idempotency_key: String,
    /// A receipt to record.
    purchase: Option<RecordPurchaseIn>,
    /// Points that pay.
    spend: Option<SpendIn>,
    /// A refund to record.
    refund: Option<BatchRefundIn>,
}

/// Acts in the order in which they happened.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct BatchIn {
    /// What is to be done, in this order.
    #[oai(validator(min_items = 1, max_items = 100))]
    items: Vec<BatchItemIn>,
}

/// What became of one item.
#[derive(Debug, Clone, Object)]
#[oai(rename = "BatchItem", skip_serializing_if_is_none)]
struct BatchItemOut {
    /// The item's key; without it, the item had none that can be read.
    idempotency_key: Option<String>,
    /// The status that the operation for it alone answers: 201 where it was recorded now, 200 where
    /// it had been recorded before, 400 and above where it was refused.
    status: u16,
    /// Whether this is an answer that was given before, under the same key.
    replayed: bool,
    /// The body that the operation for it alone answers: a `RecordedPurchase`, a `Spend`
    /// or a `RecordedRefund`, or the `Problem` for which it was refused.
    answer: Any<Value>,
}

/// What became of a batch.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Batch")]
struct BatchOut {
    /// What became of each item, in their order.
    data: Vec<BatchItemOut>,
}

/// An item that can be tried.
enum Ready {
    Purchase(Recording),
    Spend(Spending),
    Refund(Refunding),
}

/// Items of one kind that follow each other, and where they stood.
struct Run<H> {
    places: Vec<usize>,
    requests: Vec<(ReplayKey, H)>,
}

/// A run of each kind.
enum Runs {
    Purchases(Run<Recording>),
    Spends(Run<Spending>),
    Refunds(Run<Refunding>),
}

type Answer = Result<Written, Problem>;

impl<H: lane::Hot> Run<H> {
    fn of(place: usize, key: ReplayKey, request: H) -> Self {
        Self {
            places: vec![place],
            requests: vec![(key, request)],
        }
    }

    /// Takes one more, or gives it back where the run is full.
    fn add(&mut self, place: usize, key: ReplayKey, request: H) -> Option<(ReplayKey, H)> {
        if self.places.len() >= LARGEST_RUN {
            return Some((key, request));
        }
        self.places.push(place);
        self.requests.push((key, request));
        None
    }

    async fn post(self, caller: &Caller<PostBatch>, mall: &Arc<Mall>) -> Vec<(usize, Answer)> {
        let answers = lane::post_all(caller, mall, self.requests).await;
        self.places.into_iter().zip(answers).collect()
    }
}

impl Runs {
    /// Puts an item behind the others.
    fn push(runs: &mut Vec<Self>, place: usize, key: ReplayKey, ready: Ready) {
        let left = match (runs.last_mut(), ready) {
            (Some(Self::Purchases(run)), Ready::Purchase(request)) => run
                .add(place, key, request)
                .map(|(key, request)| (key, Ready::Purchase(request))),
            (Some(Self::Spends(run)), Ready::Spend(request)) => run
                .add(place, key, request)
                .map(|(key, request)| (key, Ready::Spend(request))),
            (Some(Self::Refunds(run)), Ready::Refund(request)) => run
                .add(place, key, request)
                .map(|(key, request)| (key, Ready::Refund(request))),
            (_, ready) => Some((key, ready)),
        };
        if let Some((key, ready)) = left {
            runs.push(match ready {
                Ready::Purchase(request) => Self::Purchases(Run::of(place, key, request)),
                Ready::Spend(request) => Self::Spends(Run::of(place, key, request)),
                Ready::Refund(request) => Self::Refunds(Run::of(place, key, request)),
            });
        }
    }

    async fn post(self, caller: &Caller<PostBatch>, mall: &Arc<Mall>) -> Vec<(usize, Answer)> {
        match self {
            Self::Purchases(run) => run.post(caller, mall).await,
            Self::Spends(run) => run.post(caller, mall).await,
            Self::Refunds(run) => run.post(caller, mall).await,
        }
    }

    fn places(&self) -> &[usize] {
        match self {
            Self::Purchases(run) => &run.places,
            Self::Spends(run) => &run.places,
            Self::Refunds(run) => &run.places,
        }
    }
}

/// The right to one kind of item, for whoever sent the batch.
fn right<A: Action>(caller: &Caller<PostBatch>) -> Result<Grant<A>, Problem> {
    let policy = &caller.app().policy;
    let grant = policy.also::<PostBatch, A>(&caller.grant);
    grant.map_err(|_| Problem::of(&codes::NOT_ALLOWED))
}

/// What an item asks for, under the key that the operation for it alone would know it by.
fn ready(caller: &Caller<PostBatch>, item: &Value) -> Result<(ReplayKey, Ready), Problem> {
    let parsed = BatchItemIn::parse_from_json(Some(item.clone()));
    let parsed = parsed.map_err(|_| Problem::of(&codes::INVALID_BODY))?;
    let key = IdempotencyKey::given(&parsed.idempotency_key)
        .ok_or_else(|| Problem::of(&codes::INVALID_BODY))?;
    let sent = |name: &str| item.get(name).cloned().unwrap_or_default();
    let known_as =
        |path: &str, sent: &Value| key.replay_key_of(caller, "POST", path, &body::digest(sent));
    match (parsed.purchase, parsed.spend, parsed.refund) {
        (Some(body), None, None) => {
            let grant = right(caller)?;
            let key = known_as("/v1/purchases", &sent("purchase"));
            Ok((key, Ready::Purchase(Recording { grant, body })))
        }
        (None, Some(body), None) => {
            let grant = right(caller)?;
            let key = known_as("/v1/spends", &sent("spend"));
            Ok((key, Ready::Spend(Spending { grant, body })))
        }
        (None, None, Some(refund)) => {
            let purchase = refund.purchase_id;
            let mut sent = sent("refund");
            if let Some(members) = sent.as_object_mut() {
                members.remove("purchase_id");
            }
            let key = known_as(&format!("/v1/purchases/{purchase}/refunds"), &sent);
            let refunding = Refunding {
                grant: right(caller)?,
                purchase,
                body: RefundPurchaseIn {
                    reference: refund.reference,
                    amount: refund.amount,
                    occurred_at: refund.occurred_at,
                },
            };
            Ok((key, Ready::Refund(refunding)))
        }
        _ => {
            let detail = "An item is a purchase, a spend or a refund, exactly one of the three.";
            Err(Problem::new(&codes::INVALID_BODY, detail))
        }
    }
}

/// Whether a refusal is one of the moment, so that what comes later must wait for it.
fn passes(problem: &Problem) -> bool {
    problem.kind().retryable()
}

/// What an item is told that was not tried because one before it has to be tried again.
fn held_up() -> Problem {
    let detail = "An item before this one has to be tried again first. Repeat the batch from there \
                  on, each item under its own key.";
    Problem::new(&codes::TRY_AGAIN, detail)
}

impl BatchItemOut {
    fn of(caller: &Caller<PostBatch>, item: &Value, answer: Answer) -> Self {
        let (status, body, replayed) = match answer {
            Ok(written) => written.into_parts(),
            Err(problem) => {
                let body = problem.body(caller.visit.occurrence());
                (problem.status().as_u16(), body, false)
            }
        };
        let key = item.get("idempotency_key").and_then(Value::as_str);
        Self {
            idempotency_key: key.and_then(IdempotencyKey::given).map(String::from),
            status,
            replayed,
            answer: Any(serde_json::from_str(&body).unwrap_or_default()),
        }
    }
}

#[OpenApi(tag = "Group::Till")]
impl Batches {
    /// Post a batch
    ///
    /// Up to 100 purchases, spends and refunds that a till or an ERP system kept while it was
    /// offline, done in their order and each answered for itself, as the operation for it alone
    /// answers. An item that is refused, or that is not as it should be, is no reason to refuse
    /// another one. Only where an item has to be tried again (503), those behind it are not tried
    /// either. Each item has its own key, so that the whole batch can be sent again at any time.
    #[oai(path = "/v1/batch", method = "post", operation_id = "post_batch")]
    async fn post_batch(
        &self,
        caller: Caller<PostBatch>,
        sent: Items<BatchIn>,
    ) -> Result<Reply<200, BatchOut>, Problem> {
        let mall = caller.mall().await?;
        let mut runs = Vec::new();
        let mut answers: Vec<Option<Answer>> = Vec::new();
        for (place, (item, checked)) in sent.items.iter().enumerate() {
            let ready = checked.clone().and_then(|()| ready(&caller, item));
            answers.push(match ready {
                Ok((key, ready)) => {
                    Runs::push(&mut runs, place, key, ready);
                    None
                }
                Err(problem) => Some(Err(problem)),
            });
        }
        let mut stopped = false;
        for run in runs {
            let told = if stopped {
                let places = run.places().iter();
                places.map(|place| (*place, Err(held_up()))).collect()
            } else {
                run.post(&caller, &mall).await
            };
            for (place, answer) in told {
                stopped |= answer.as_ref().is_err_and(passes);
                if let Some(open) = answers.get_mut(place) {
                    *open = Some(answer);
                }
            }
        }
        let items = sent.items.iter().zip(answers);
        let data = items.map(|((item, _), answer)| {
            let answer = answer.unwrap_or_else(|| Err(Problem::of(&codes::INTERNAL_ERROR)));
            BatchItemOut::of(&caller, item, answer)
        });
        Ok(Reply::new(&BatchOut {
            data: data.collect(),
        }))
    }
}

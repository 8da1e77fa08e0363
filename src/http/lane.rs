//! The lane: what tills ask for in the same moment goes through the books together.
//!
//! For each hot use case ([`Hot`]) a mall has one lane. Requests wait in it in the order in which
//! they came. A transaction is opened for it, and takes a slice of what waits by then. Two slices
//! are under way at a time: while one waits for the disk the other works, and what comes meanwhile
//! gathers for the next. So nobody waits on purpose (a lone request is a slice of one), a busy mall
//! has fewer and larger transactions, and a mall with ten times the load of another has as many
//! turns as that one.
//!
//! Each item is answered for itself, after the commit: a refusal is an answer like any other. A
//! slice that the database refuses for what is in it is taken apart until the item that it cannot
//! take stands alone. Where it is unknown whether a commit took place, the slice is posted again:
//! the idempotency keys tell.
//!
//! What nobody in the slice can help is never tried piece by piece. Where somebody holds the mall's
//! books for longer than a lane waits, the slice is told to come back, and the mall counts as stuck
//! until a slice of it gets on: its lanes share few connections, so that other malls keep theirs,
//! and who waits longer than one more try is told to come back too.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::Future,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use poem_openapi::types::ToJSON;
use tokio::sync::oneshot;

use super::{
    admit::Caller, codes, idempotency::IdempotencyKey, problem::Problem, reply::Written,
    visit::Visit, work::Done,
};
use crate::{
    app::{App, Mall},
    authz::{action::Action, grant::Grant},
    db::{
        error::Error,
        replay::{Known, Remembered, ReplayKey},
        tx::Tx,
    },
    kernel::ids::TenantId,
};

/// The most items of one transaction: most of the gain is there at 64, nearly all at 256.
const LARGEST_SLICE: usize = 256;

/// How many requests may wait in one lane; whoever comes then is told to come back. With the slices
/// under way that is fewer than the server takes connections, or nobody would ever be told.
const MOST_WAITING: usize = 256;

/// How many slices of one lane are under way at a time. A third one would only make all smaller.
const SLICES: usize = 2;

/// For how many slices a lane looks its keys up first, once one of them had been answered before.
/// Else the keys are taken for new, which nearly all are: a key that is not refuses itself when the
/// answers are written down, and the slice is posted again.
const WARY: u32 = 32;

/// How often a slice is posted before it is given up.
const TRIES: u32 = 3;

/// A use case that many tills want at once, and that is done for a slice of requests at a time.
pub trait Hot: Send + Sync + Sized + 'static {
    /// What one must be allowed to do.
    type Action: Action;
    /// What is answered.
    type Answer: ToJSON + Send;
    /// What figures call it.
    const NAME: &'static str;

    /// The right that this request was admitted with.
    fn grant(&self) -> &Grant<Self::Action>;

    /// Does it for each request of the slice, in their order; nothing is durable yet. What one
    /// request is refused for leaves nothing behind and touches no other.
    ///
    /// # Errors
    /// What holds for all of them: [`Error::Retry`], [`Error::Unavailable`].
    fn post(
        tx: &mut Tx,
        mall: &Mall,
        slice: &[&Self],
    ) -> impl Future<Output = Result<Vec<Outcome<Self::Answer>>, Error>> + Send;
}

/// What one request of a slice came to.
pub type Outcome<T> = Result<Done<T>, Problem>;

/// The lanes of one use case, one for each mall. Cheap to clone.
pub struct Lane<H> {
    malls: Malls<H>,
}

type Malls<H> = Arc<Mutex<HashMap<TenantId, Queue<H>>>>;

/// A mall's lane; it is in the table as long as somebody posts for it.
struct Queue<H> {
    waiting: VecDeque<Ticket<H>>,
    /// How many slices are under way, the one that is being opened among them.
    slices: usize,
    /// Whether a transaction is being opened: it will take whatever waits by then.
    opening: bool,
    /// How many slices look their keys up first.
    wary: u32,
}

impl<H> Default for Queue<H> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            slices: 0,
            opening: false,
            wary: 0,
        }
    }
}

impl<H> Queue<H> {
    /// Whether another slice is to be opened for what waits; says that it is.
    fn opens_another(&mut self) -> bool {
        let opens = !self.opening && self.slices < SLICES && !self.waiting.is_empty();
        if opens {
            self.slices = self.slices.saturating_add(1);
            self.opening = true;
        }
        opens
    }
}

/// One request that waits.
struct Ticket<H> {
    request: H,
    key: ReplayKey,
    mall: Arc<Mall>,
    visit: Arc<Visit>,
    answer: oneshot::Sender<Result<Written, Problem>>,
}

impl<H> Default for Lane<H> {
    fn default() -> Self {
        Self {
            malls: Malls::default(),
        }
    }
}

impl<H> std::fmt::Debug for Lane<H> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Lane")
    }
}

impl<H: Hot> Lane<H> {
    /// Does `request` once under `key`, together with whatever else waits, and answers what it came
    /// to or what was answered before. `R` describes the statuses that the use case answers with.
    ///
    /// # Errors
    /// The use case's refusals; `idempotency-key-reused`; `too-busy` where too many wait already;
    /// `try-again`, `database-unavailable`.
    pub async fn once<R: From<Written>>(
        &self,
        caller: &Caller<H::Action>,
        key: &IdempotencyKey,
        digest: &[u8],
        mall: Arc<Mall>,
        request: H,
    ) -> Result<R, Problem> {
        let (answer, answered) = oneshot::channel();
        let tenant = mall.tenant.id;
        let ticket = Ticket {
            request,
            key: key.replay_key(caller, digest),
            mall,
            visit: Arc::clone(&caller.visit),
            answer,
        };
        if self.queue(tenant, ticket)? {
            Runner::start(caller.app().clone(), Arc::clone(&self.malls), tenant);
        }
        match answered.await {
            Ok(answer) => answer.map(R::from),
            // The runner broke down with this request in its hands.
            Err(_) => Err(Problem::of(&codes::INTERNAL_ERROR)),
        }
    }

    /// Puts a ticket behind the others of its mall; whether a slice is to be opened for it.
    fn queue(&self, tenant: TenantId, ticket: Ticket<H>) -> Result<bool, Problem> {
        let mut malls = self.malls.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = malls.entry(tenant).or_default();
        if queue.waiting.len() >= MOST_WAITING {
            return Err(Problem::of(&codes::TOO_BUSY).retry_after(1));
        }
        queue.waiting.push_back(ticket);
        Ok(queue.opens_another())
    }
}

/// Posts what waits in one mall's lane, slice after slice, until nothing does.
struct Runner<H> {
    app: App,
    malls: Malls<H>,
    tenant: TenantId,
    /// Whether its slice is the one that is being opened.
    opening: bool,
    /// Whether its slice is no longer counted.
    ended: bool,
}

/// A runner that breaks down leaves nobody waiting for ever.
impl<H> Drop for Runner<H> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut malls = self.malls.lock().unwrap_or_else(PoisonError::into_inner);
        if self.opening
            && let Some(queue) = malls.get_mut(&self.tenant)
        {
            queue.opening = false;
        }
        end_slice(&mut malls, self.tenant);
    }
}

/// One slice fewer is under way; behind the last one the lane is closed.
fn end_slice<H>(malls: &mut HashMap<TenantId, Queue<H>>, tenant: TenantId) {
    let Some(queue) = malls.get_mut(&tenant) else {
        return;
    };
    queue.slices = queue.slices.saturating_sub(1);
    if queue.slices == 0 {
        malls.remove(&tenant);
    }
}

impl<H: Hot> Runner<H> {
    /// Starts one for the slice that [`Queue::opens_another`] asked for.
    fn start(app: App, malls: Malls<H>, tenant: TenantId) {
        let runner = Self {
            app,
            malls,
            tenant,
            opening: true,
            ended: false,
        };
        tokio::spawn(runner.run());
    }

    async fn run(mut self) {
        while let Some(grant) = self.next_grant() {
            // The slice is taken when its transaction is open: what comes meanwhile goes with it.
            let opened = self.app.db.lane(&grant).await;
            let slice = self.take(LARGEST_SLICE);
            match opened {
                Ok(tx) => {
                    let requests = u32::try_from(slice.len()).unwrap_or(u32::MAX);
                    let slices = &self.app.metrics.lane_slices;
                    let own = slices.with_label_values(&[H::NAME]);
                    own.observe(f64::from(requests));
                    self.post(tx, slice).await;
                }
                Err(error) => self.put_off(slice, &error),
            }
        }
    }

    /// The grant of the request that waits longest, for the slice that is opened with it. None
    /// where nothing waits or somebody else is opening one; then this runner ends, under the lock
    /// under which the next request would find it.
    fn next_grant(&mut self) -> Option<Grant<H::Action>> {
        let mut malls = self.malls.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = malls.get_mut(&self.tenant)?;
        let first = queue.waiting.front();
        if let Some(first) = first.filter(|_| self.opening || !queue.opening) {
            let grant = first.request.grant().clone();
            (queue.opening, self.opening) = (true, true);
            return Some(grant);
        }
        end_slice(&mut malls, self.tenant);
        self.ended = true;
        None
    }

    /// The requests that have waited longest, of one programme and with different keys. Another
    /// slice is opened for those that are left.
    fn take(&mut self, most: usize) -> Vec<Ticket<H>> {
        let mut malls = self.malls.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = malls.get_mut(&self.tenant) else {
            return Vec::new();
        };
        let mut keys = HashSet::new();
        let mut fitting = 0;
        for ticket in queue.waiting.iter().take(most) {
            let first = queue.waiting.front().map(|first| &first.mall);
            let same = first.is_some_and(|first| Arc::ptr_eq(first, &ticket.mall));
            if !same || !keys.insert((&ticket.key.scope, &ticket.key.key)) {
                break;
            }
            fitting += 1;
        }
        drop(keys);
        let taken = queue.waiting.drain(..fitting).collect();
        (queue.opening, self.opening) = (false, false);
        if queue.opens_another() {
            Self::start(self.app.clone(), Arc::clone(&self.malls), self.tenant);
        }
        taken
    }

    /// Whether a slice looks its keys up first.
    fn is_wary(&self) -> bool {
        let mut malls = self.malls.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = malls.get_mut(&self.tenant) else {
            return true;
        };
        let wary = queue.wary > 0;
        queue.wary = queue.wary.saturating_sub(1);
        wary
    }

    /// Says that keys come again.
    fn grow_wary(&self) {
        let mut malls = self.malls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = malls.get_mut(&self.tenant) {
            queue.wary = WARY;
        }
    }

    /// Everybody who waits.
    fn take_all(&self) -> VecDeque<Ticket<H>> {
        let mut malls = self.malls.lock().unwrap_or_else(PoisonError::into_inner);
        malls
            .get_mut(&self.tenant)
            .map(|queue| mem::take(&mut queue.waiting))
            .unwrap_or_default()
    }

    /// Tells these to come back, and everybody else too where nobody of this mall got on before or
    /// the database does not answer.
    fn put_off(&self, slice: Vec<Ticket<H>>, error: &Error) {
        tell_all(slice, error);
        if !error.is_timeout() || self.app.db.lane_is_stuck(self.tenant, true) {
            tell_all(self.take_all(), error);
        }
    }

    /// Posts a slice, or its halves where the database does not take it whole for what is in it.
    async fn post(&self, tx: Tx, slice: Vec<Ticket<H>>) {
        let (mut tx, mut slices) = (Some(tx), vec![slice]);
        while let Some(mut slice) = slices.pop() {
            match self.try_slice(tx.take(), &slice).await {
                Ok(answers) => {
                    self.app.db.lane_is_stuck(self.tenant, false);
                    for (ticket, answer) in slice.into_iter().zip(answers) {
                        ticket.tell(answer);
                    }
                }
                Err(error) if error.passes() => {
                    slices.push(slice);
                    let told = slices.into_iter().flatten().collect();
                    if error.is_timeout() {
                        self.put_off(told, &error);
                    } else {
                        tell_all(told, &error);
                    }
                    return;
                }
                Err(_) if slice.len() > 1 => {
                    let second = slice.split_off(slice.len() / 2);
                    slices.extend([second, slice]);
                }
                Err(error) => tell_all(slice, &error),
            }
        }
    }

    /// Posts a slice as often as it takes: in `tx`, then in transactions of its own.
    async fn try_slice(
        &self,
        mut tx: Option<Tx>,
        slice: &[Ticket<H>],
    ) -> Result<Vec<Result<Written, Problem>>, Error> {
        let Some(first) = slice.first() else {
            return Ok(Vec::new());
        };
        let (mut tried, mut wary) = (1, self.is_wary());
        loop {
            let open = match tx.take() {
                Some(open) => open,
                None => self.app.db.lane(first.request.grant()).await?,
            };
            match attempt(open, &first.mall, slice, wary).await {
                Err(error) if error.passes() && !error.is_timeout() && tried < TRIES => tried += 1,
                Ok(None) => {}
                Ok(Some(answers)) => {
                    let again =
                        |one: &Result<Written, _>| one.as_ref().is_ok_and(Written::is_again);
                    if answers.iter().any(again) {
                        self.grow_wary();
                    }
                    return Ok(answers);
                }
                Err(error) => return Err(error),
            }
            wary = true;
        }
    }
}

impl<H> Ticket<H> {
    /// Answers; where nobody listens any more, the key still does.
    fn tell(self, answer: Result<Written, Problem>) {
        drop(self.answer.send(answer));
    }
}

/// Tells each of them what kept the database from taking it.
fn tell_all<H>(tickets: impl IntoIterator<Item = Ticket<H>>, error: &Error) {
    for ticket in tickets {
        ticket.tell(Err(Problem::from(error)));
    }
}

/// One transaction for a slice: work and answers become durable together. Without looking the keys
/// up where nobody is wary; then nothing is done, and none is the answer, where a request is refused
/// in a way that is not written down, because its key might have an answer.
async fn attempt<H: Hot>(
    mut tx: Tx,
    mall: &Mall,
    slice: &[Ticket<H>],
    wary: bool,
) -> Result<Option<Vec<Result<Written, Problem>>>, Error> {
    let known = if wary {
        let keys: Vec<&ReplayKey> = slice.iter().map(|ticket| &ticket.key).collect();
        tx.known_keys(&keys).await?
    } else {
        vec![Known::Fresh; slice.len()]
    };
    let fresh: Vec<&Ticket<H>> = slice
        .iter()
        .zip(&known)
        .filter(|(_, known)| **known == Known::Fresh)
        .map(|(ticket, _)| ticket)
        .collect();
    let requests: Vec<&H> = fresh.iter().map(|ticket| &ticket.request).collect();
    let outcomes = H::post(&mut tx, mall, &requests).await?;
    if outcomes.len() != requests.len() {
        return Err(Error::Corrupt("answer"));
    }
    let posted: Vec<Posted> = fresh
        .iter()
        .zip(outcomes)
        .map(|(ticket, outcome)| Posted::of(outcome, &ticket.visit))
        .collect();
    let answers: Vec<Remembered<'_>> = fresh
        .iter()
        .zip(&posted)
        .filter_map(|(ticket, posted)| posted.remembered(&ticket.key))
        .collect();
    if !wary && answers.len() < fresh.len() {
        return Ok(None);
    }
    tx.remember_all(&answers).await?;
    tx.commit().await?;
    let mut posted = posted.into_iter().map(|posted| posted.answer);
    let missing = || Err(Problem::of(&codes::INTERNAL_ERROR));
    let answer = |known| match known {
        Known::Fresh => posted.next().unwrap_or_else(missing),
        Known::Answered(status, body) => Ok(Written::again(status, body)),
        Known::Reused => Err(Problem::of(&codes::IDEMPOTENCY_KEY_REUSED)),
    };
    Ok(Some(known.into_iter().map(answer).collect()))
}

/// What one request came to, and the body to keep where it was refused for good.
struct Posted {
    answer: Result<Written, Problem>,
    refusal: Option<String>,
}

impl Posted {
    fn of<T: ToJSON>(outcome: Outcome<T>, visit: &Visit) -> Self {
        match outcome {
            Ok(done) => Self {
                answer: Ok(done.written()),
                refusal: None,
            },
            Err(problem) => Self {
                refusal: problem.is_final().then(|| problem.body(visit.occurrence())),
                answer: Err(problem),
            },
        }
    }

    fn remembered<'a>(&'a self, key: &'a ReplayKey) -> Option<Remembered<'a>> {
        let (status, body) = match &self.answer {
            Ok(written) => (written.status(), written.body()),
            Err(problem) => (problem.status().as_u16(), self.refusal.as_deref()?),
        };
        Some(Remembered { key, status, body })
    }
}

/// Posts requests of one kind that came together in one list, in their order, in transactions of
/// their own: a lane that nobody else waits in. Keys, slices and refusals are a lane's.
pub async fn post_all<H: Hot>(
    mall: &Arc<Mall>,
    visit: &Arc<Visit>,
    requests: Vec<(ReplayKey, H)>,
) -> Vec<Result<Written, Problem>> {
    let (mut tickets, mut answers) = (VecDeque::new(), Vec::new());
    for (key, request) in requests {
        let (answer, answered) = oneshot::channel();
        answers.push(answered);
        tickets.push_back(Ticket {
            request,
            key,
            mall: Arc::clone(mall),
            visit: Arc::clone(visit),
            answer,
        });
    }
    let tenant = mall.tenant.id;
    // A lane of its own, with no room for a second slice: they go one after the other.
    let queue = Queue {
        waiting: tickets,
        slices: SLICES,
        opening: true,
        wary: WARY,
    };
    let runner = Runner {
        app: visit.app.clone(),
        malls: Arc::new(Mutex::new(HashMap::from([(tenant, queue)]))),
        tenant,
        opening: true,
        ended: false,
    };
    runner.run().await;
    let mut told = Vec::with_capacity(answers.len());
    for answered in answers {
        let missing = |_| Err(Problem::of(&codes::INTERNAL_ERROR));
        told.push(answered.await.unwrap_or_else(missing));
    }
    told
}

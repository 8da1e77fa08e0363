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

mod list;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
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

pub use list::post_all;

/// The most items of one transaction: most of the gain is there at 64, nearly all at 256.
const LARGEST_SLICE: usize = 256;

/// How many requests may wait in one lane; whoever comes then is told to come back. With the slices
/// under way that is fewer than the server takes connections, or nobody would ever be told.
const MOST_WAITING: usize = 256;

/// How many slices of one lane are under way at a time. A third one would only make all smaller.
const SLICES: usize = 2;

/// For how many slices a lane looks up first what was done before, once something was. Else keys and
/// receipts are taken for new, which nearly all are: one that is not refuses itself when it is
/// written down, and the slice is posted again.
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
    /// request is refused for leaves nothing behind and touches no other. If `wary`, some of it may
    /// have been done before, under another key; else it may be taken for new, as long as the
    /// database refuses the whole slice with [`Error::Retry`] where it is not.
    ///
    /// # Errors
    /// What holds for all of them: [`Error::Retry`], [`Error::Unavailable`].
    fn post(
        tx: &mut Tx,
        mall: &Mall,
        slice: &[&Self],
        wary: bool,
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
    /// On which of its tracks a slice is under way, the one that is being opened among them.
    tracks: [bool; SLICES],
    /// Whether a transaction is being opened: it will take whatever waits by then.
    opening: bool,
    /// How many slices look up first what was done before.
    wary: u32,
}

impl<H> Default for Queue<H> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            tracks: [false; SLICES],
            opening: false,
            wary: 0,
        }
    }
}

impl<H> Queue<H> {
    /// On which track another slice is to be opened for what waits; says that it is.
    fn opens_another(&mut self) -> Option<usize> {
        if self.opening || self.waiting.is_empty() {
            return None;
        }
        let track = self.tracks.iter().position(|taken| !taken)?;
        self.take_track(track, true);
        self.opening = true;
        Some(track)
    }

    fn take_track(&mut self, track: usize, taken: bool) {
        if let Some(place) = self.tracks.get_mut(track) {
            *place = taken;
        }
    }
}

/// One request that waits.
struct Ticket<H> {
    request: H,
    key: ReplayKey,
    mall: Arc<Mall>,
    visit: Arc<Visit>,
    answer: oneshot::Sender<Told<H>>,
}

/// What whoever waits is told.
enum Told<H> {
    Answer(Result<Written, Problem>),
    /// The mall is not what it was when the request was admitted; nothing was done.
    Stale(Box<(ReplayKey, H)>),
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
    /// Where the mall's settings were changed since the request was admitted, it is admitted again.
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
        let tenant = mall.tenant.id;
        let (mut mall, mut asked) = (mall, (key.replay_key(caller, digest), request));
        for _ in 0..TRIES {
            let (answer, answered) = oneshot::channel();
            let ((key, request), revision) = (asked, mall.revision);
            let ticket = Ticket {
                request,
                key,
                mall,
                visit: Arc::clone(&caller.visit),
                answer,
            };
            if let Some(track) = self.queue(tenant, ticket)? {
                Runner::start(caller.app().clone(), Arc::clone(&self.malls), tenant, track);
            }
            asked = match answered.await {
                Ok(Told::Answer(answer)) => return answer.map(R::from),
                Ok(Told::Stale(asked)) => *asked,
                // The runner broke down with this request in its hands.
                Err(_) => return Err(Problem::of(&codes::INTERNAL_ERROR)),
            };
            mall = caller.mall_now(revision).await?;
        }
        Err(Problem::from(&Error::Stale))
    }

    /// Puts a ticket behind the others of its mall; the track on which a slice is to be opened for
    /// it.
    fn queue(&self, tenant: TenantId, ticket: Ticket<H>) -> Result<Option<usize>, Problem> {
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
    track: usize,
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
        end_slice(&mut malls, self.tenant, self.track);
    }
}

/// One slice fewer is under way; behind the last one the lane is closed.
fn end_slice<H>(malls: &mut HashMap<TenantId, Queue<H>>, tenant: TenantId, track: usize) {
    let Some(queue) = malls.get_mut(&tenant) else {
        return;
    };
    queue.take_track(track, false);
    if queue.tracks == [false; SLICES] {
        malls.remove(&tenant);
    }
}

impl<H: Hot> Runner<H> {
    /// Starts one for the slice that [`Queue::opens_another`] asked for.
    fn start(app: App, malls: Malls<H>, tenant: TenantId, track: usize) {
        let runner = Self {
            app,
            malls,
            tenant,
            track,
            opening: true,
            ended: false,
        };
        tokio::spawn(runner.run());
    }

    async fn run(mut self) {
        while let Some((grant, mall)) = self.next_grant() {
            // The slice is taken when its transaction is open: what comes meanwhile goes with it.
            let opened = self.open(&grant, &mall).await;
            let slice = self.take(&mall, LARGEST_SLICE);
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

    /// A transaction in the mall as the request was admitted to it.
    async fn open(&self, grant: &Grant<H::Action>, mall: &Mall) -> Result<Tx, Error> {
        let (db, revision) = (&self.app.db, Some(mall.revision));
        db.lane(grant, self.seat(), revision).await
    }

    /// Which of the lanes' connections it posts on: always the same one for each track, and another
    /// one for the next.
    fn seat(&self) -> usize {
        let mut hash = DefaultHasher::new();
        (self.tenant, H::NAME).hash(&mut hash);
        let first = usize::try_from(hash.finish() >> 33).unwrap_or_default();
        first.wrapping_add(self.track)
    }

    /// The grant and the mall of the request that waits longest, for the slice that is opened with
    /// them. None where nothing waits or somebody else is opening one; then this runner ends, under
    /// the lock under which the next request would find it.
    fn next_grant(&mut self) -> Option<(Grant<H::Action>, Arc<Mall>)> {
        let mut malls = self.malls.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = malls.get_mut(&self.tenant)?;
        let first = queue.waiting.front();
        if let Some(first) = first.filter(|_| self.opening || !queue.opening) {
            let next = (first.request.grant().clone(), Arc::clone(&first.mall));
            (queue.opening, self.opening) = (true, true);
            return Some(next);
        }
        end_slice(&mut malls, self.tenant, self.track);
        self.ended = true;
        None
    }

    /// The requests that have waited longest, of that mall as it was and with different keys. Another
    /// slice is opened for those that are left.
    fn take(&mut self, mall: &Mall, most: usize) -> Vec<Ticket<H>> {
        let mut malls = self.malls.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = malls.get_mut(&self.tenant) else {
            return Vec::new();
        };
        let mut keys = HashSet::new();
        let mut fitting = 0;
        for ticket in queue.waiting.iter().take(most) {
            if !ticket.mall.is_as(mall) || !keys.insert((&ticket.key.scope, &ticket.key.key)) {
                break;
            }
            fitting += 1;
        }
        drop(keys);
        let taken = queue.waiting.drain(..fitting).collect();
        (queue.opening, self.opening) = (false, false);
        if let Some(track) = queue.opens_another() {
            Self::start(
                self.app.clone(),
                Arc::clone(&self.malls),
                self.tenant,
                track,
            );
        }
        taken
    }

    /// Whether a slice looks up first what was done before.
    fn is_wary(&self) -> bool {
        let mut malls = self.malls.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = malls.get_mut(&self.tenant) else {
            return true;
        };
        let wary = queue.wary > 0;
        queue.wary = queue.wary.saturating_sub(1);
        wary
    }

    /// Says that things come again.
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
        if matches!(error, Error::Stale) {
            return;
        }
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
            let open = if let Some(open) = tx.take() {
                open
            } else {
                self.open(first.request.grant(), &first.mall).await?
            };
            match attempt(open, &first.mall, slice, wary).await {
                Err(error) if error.passes() && !error.is_timeout() && tried < TRIES => {
                    tried += 1;
                    self.grow_wary();
                }
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
        drop(self.answer.send(Told::Answer(answer)));
    }

    /// Gives the request back.
    fn give_back(self) {
        let asked = Box::new((self.key, self.request));
        drop(self.answer.send(Told::Stale(asked)));
    }
}

/// Tells each of them what kept the database from taking it.
fn tell_all<H>(tickets: impl IntoIterator<Item = Ticket<H>>, error: &Error) {
    for ticket in tickets {
        match error {
            Error::Stale => ticket.give_back(),
            error => ticket.tell(Err(Problem::from(error))),
        }
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
    let outcomes = H::post(&mut tx, mall, &requests, wary).await?;
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

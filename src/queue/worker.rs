//! Runs jobs, tries failed ones again, and shows what was given up.
//!
//! The machinery is `graphile_worker`'s, and no other file knows it. Four settings of it are not to
//! be lost: the *local queue* (without it a worker takes one job per slot and poll, so that hundreds
//! of jobs wait for minutes), its *refetch delay* (without it version 0.14.1 asks for jobs again as
//! soon as there were none, some thousand times a second), *recovery* (without it the jobs of a
//! worker that died stay locked for four hours) and *no signal handlers* (stopping is the server's
//! decision).

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    future::Future,
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use graphile_worker::{
    IntoTaskHandlerResult, JobDefinition, JobFail, LocalQueueConfig, RefetchDelayConfig,
    TaskHandler, WorkerContext, WorkerOptions, WorkerRecoveryConfig, WorkerUtils,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::{error, info, warn};

use super::Job;
use crate::{
    authz::{action::RelayJobs, grant::Grant},
    db::{Db, error::Error, migrate::JOBS},
    kernel::{ids::TenantId, time::Instant},
};

/// Jobs that one worker takes out of the table at a time.
const LOCAL_QUEUE: usize = 100;

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// Not now: again after 3, 7, 20, 55 seconds and so on, up to six hours apart and 25 times,
    /// which is about four days. The text says why, without names, mail or telephone numbers.
    Retry(String),
    /// Never: it is kept as a dead letter at once. The text says why.
    Fail(String),
}

impl From<Result<(), Outcome>> for Outcome {
    fn from(result: Result<(), Self>) -> Self {
        result.err().unwrap_or(Self::Done)
    }
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        match &error {
            Error::NoTenant | Error::Corrupt(_) => Self::Fail(error.to_string()),
            _ => Self::Retry(error.to_string()),
        }
    }
}

type Handler = Arc<dyn Fn(TenantId, Value) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// Which job is done how. A job without a handler is left in the table for a worker that has one.
#[derive(Clone, Default)]
pub struct Handlers {
    by_name: HashMap<&'static str, Handler>,
    definitions: Vec<JobDefinition>,
}

impl Handlers {
    /// Does jobs of kind `J` by `run`, which gets the mall and the payload. It must be safe to run
    /// twice for one job; a panic in it counts as [`Outcome::Retry`].
    #[must_use]
    pub fn on<J, Run, Ran>(mut self, run: Run) -> Self
    where
        J: Job,
        Run: Fn(TenantId, J) -> Ran + Send + Sync + 'static,
        Ran: Future<Output: Into<Outcome>> + Send + 'static,
    {
        let handler: Handler =
            Arc::new(
                move |tenant, payload| match serde_json::from_value::<J>(payload) {
                    Ok(job) => run(tenant, job).map(Into::into).boxed(),
                    Err(error) => {
                        let why = format!("the payload cannot be read: {error}");
                        std::future::ready(Outcome::Fail(why)).boxed()
                    }
                },
            );
        if self.by_name.insert(J::NAME, handler).is_none() {
            self.definitions.push(Envelope::<J>::definition());
        }
        self
    }

    /// The jobs that are done, in no order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.by_name.keys().copied()
    }

    /// Does one job now, in this task.
    pub async fn run(&self, tenant: TenantId, name: &str, payload: Value) -> Outcome {
        match self.by_name.get(name) {
            Some(handler) => handler(tenant, payload).await,
            None => Outcome::Retry("no handler for this job".to_owned()),
        }
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.names()).finish()
    }
}

/// What the relay writes into `jobs`: whose job it is, and the payload as the room wrote it.
#[derive(Serialize, Deserialize)]
struct Envelope<J> {
    tenant: String,
    job: Value,
    #[serde(skip)]
    kind: PhantomData<fn() -> J>,
}

impl<J: Job> TaskHandler for Envelope<J> {
    const IDENTIFIER: &'static str = J::NAME;

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let Some(bench) = context.get_ext::<Bench>() else {
            return Err("the worker has no handlers".to_owned());
        };
        let outcome = match self.tenant.parse() {
            Ok(tenant) => bench.handlers.run(tenant, J::NAME, self.job).await,
            Err(_) => Outcome::Fail("the mall's id cannot be read".to_owned()),
        };
        match outcome {
            Outcome::Done => Ok(()),
            Outcome::Retry(why) => Err(why),
            Outcome::Fail(why) => {
                bench.given_up().insert(*context.job().id());
                Err(why)
            }
        }
    }
}

/// What every job of a worker shares.
#[derive(Debug, Clone)]
struct Bench {
    handlers: Handlers,
    /// Jobs that said [`Outcome::Fail`] and are not yet marked as dead.
    given_up: Arc<Mutex<BTreeSet<i64>>>,
}

impl Bench {
    fn given_up(&self) -> std::sync::MutexGuard<'_, BTreeSet<i64>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a worker works.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Jobs at the same time; each holds one of the requests' connections while it writes.
    pub concurrency: usize,
    /// How often the table is looked into where no notice came, and for jobs whose time has come.
    pub poll: Duration,
    /// How long a worker may be silent before its jobs are given to another.
    pub patience: Duration,
    /// How long jobs may go on after the stop; what is not done then runs again later.
    pub grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: 4,
            poll: Duration::from_secs(1),
            patience: Duration::from_mins(1),
            grace: Duration::from_secs(15),
        }
    }
}

/// Runs jobs until `stop`, then ends those under way. Where the database goes away it starts again
/// when it is back.
pub async fn run(
    db: Db,
    handlers: Handlers,
    settings: Settings,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let stop = stop.boxed().shared();
    loop {
        match work(&db, &handlers, settings, stop.clone()).await {
            Ok(()) => info!("The worker has stopped"),
            Err(why) => warn!(error = %why, "The worker has stopped and starts again: {why}"),
        }
        tokio::select! {
            biased;
            () = stop.clone() => return,
            () = tokio::time::sleep(settings.poll) => {}
        }
    }
}

/// One life of a worker. Its own error types are many and nobody decides by them: a sentence.
async fn work(
    db: &Db,
    handlers: &Handlers,
    settings: Settings,
    stop: Shared<BoxFuture<'static, ()>>,
) -> Result<(), String> {
    let bench = Bench {
        handlers: handlers.clone(),
        given_up: Arc::default(),
    };
    let utils = WorkerUtils::new(db.jobs(), JOBS);
    let at_failure = bench.clone();
    let worker = WorkerOptions::default()
        .pg_pool(db.jobs().clone())
        .schema(JOBS)
        .concurrency(settings.concurrency.max(1))
        .poll_interval(settings.poll)
        .local_queue(
            LocalQueueConfig::default()
                .with_size(LOCAL_QUEUE)
                .with_refetch_delay(
                    // One notice is enough to look at once.
                    RefetchDelayConfig::default()
                        .with_duration(settings.poll)
                        .with_max_abort_threshold(1),
                ),
        )
        .worker_recovery(
            WorkerRecoveryConfig::default()
                .heartbeat_interval(settings.patience / 5)
                .sweep_interval(settings.patience / 3)
                .sweep_threshold(settings.patience)
                .recovery_delay(Duration::ZERO),
        )
        .listen_os_shutdown_signals(false)
        .shutdown_signal(stop)
        .shutdown_grace_period(settings.grace)
        .shutdown_interrupted_job_retry_delay(Duration::ZERO)
        .define_jobs(handlers.definitions.iter().cloned())
        .add_extension(bench)
        .on(JobFail, move |failed| {
            let (utils, bench) = (utils.clone(), at_failure.clone());
            async move {
                let id = *failed.job.id();
                if bench.given_up().remove(&id) {
                    bury(&utils, id, failed.job.task_identifier(), &failed.error).await;
                }
            }
        })
        .init()
        .await
        .map_err(|error| error.to_string())?;
    info!(worker.id = %worker.worker_id(), "The worker has started");
    worker.run().await.map_err(|error| error.to_string())
}

/// Ends the tries of a job that said [`Outcome::Fail`]. Should this fail too, the job runs again,
/// says so again and is buried then.
async fn bury(utils: &WorkerUtils, id: i64, name: &str, why: &str) {
    match utils.permanently_fail_jobs(&[id], why).await {
        Ok(_) => error!(
            job.id = id,
            job.name = name,
            "Gave up job {id}, {name}: {why}"
        ),
        Err(error) => warn!(job.id = id, error = %error, "Could not give up job {id}: {error}"),
    }
}

/// The key under which `jobs` has one job at most.
pub(super) fn key(tenant: TenantId, name: &str, dedup: &str) -> String {
    format!("{tenant}/{name}/{dedup}")
}

/// A job that will not run again unless somebody makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// What it is called.
    pub name: String,
    /// Its dedup key.
    pub dedup: String,
    /// How often it ran.
    pub attempts: i16,
    /// What the last attempt said.
    pub why: String,
    /// When it was given up.
    pub since: Instant,
}

/// A mall's jobs that were given up, the oldest first, at most `limit`.
///
/// # Errors
/// [`Error::Unavailable`]; [`Error::NoTenant`] for a grant on the registry.
pub async fn dead_letters(
    db: &Db,
    grant: &Grant<RelayJobs>,
    limit: i64,
) -> Result<Vec<DeadLetter>, Error> {
    let tenant = grant.tenant().ok_or(Error::NoTenant)?;
    // jobs_pkey1: the order; the table holds only what is not done yet.
    let rows: Vec<(String, String, i16, Option<String>, Instant)> = sqlx::query_as(
        "select task_identifier, key, attempts, last_error, updated_at
         from jobs.jobs
         where attempts >= max_attempts and locked_at is null and starts_with(key, $1)
         order by id
         limit $2",
    )
    .bind(format!("{tenant}/"))
    .bind(limit)
    .fetch_all(db.jobs())
    .await?;
    let letter = |(name, found, attempts, why, since): (String, String, i16, Option<String>, _)| {
        DeadLetter {
            dedup: found
                .strip_prefix(&key(tenant, &name, ""))
                .unwrap_or(&found)
                .to_owned(),
            name,
            attempts,
            why: why.unwrap_or_default(),
            since,
        }
    };
    Ok(rows.into_iter().map(letter).collect())
}

/// How much work there is for the worker, over all malls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Jobs that never ran or run now.
    pub fresh: i64,
    /// Jobs that failed and will be tried again.
    pub retrying: i64,
    /// Jobs that were given up.
    pub dead: i64,
}

/// Counts the jobs in the table, for metrics and for `doctor`; names no mall.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn backlog(db: &Db) -> Result<Backlog, Error> {
    let (fresh, retrying, dead) = sqlx::query_as(
        "select count(*) filter (where last_error is null and attempts < max_attempts),
                count(*) filter (where last_error is not null and attempts < max_attempts),
                count(*) filter (where attempts >= max_attempts)
         from jobs.jobs",
    )
    .fetch_one(db.jobs())
    .await?;
    Ok(Backlog {
        fresh,
        retrying,
        dead,
    })
}

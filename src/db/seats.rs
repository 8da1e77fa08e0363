//! Connections that only lanes use, so that tills never wait behind readers. A pool would give a
//! mall whichever connection is free, and every connection would come to know every mall's tables
//! and plan every statement anew at each change of mall. Here each lane has its own seats: the
//! connection behind one knows its malls, and keeps their statements apart (see [`slot`]).
//!
//! [`slot`]: super::slot

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use tokio::{
    runtime::Handle,
    sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard},
    time::{Instant, timeout},
};

use super::{error::Error, locator::PATIENCE};

/// How long a lane waits for a seat of its own before it takes whichever is free: longer than a
/// busy seat is held, shorter than one whose mall is getting stuck.
const LOYALTY: Duration = Duration::from_millis(250);

/// How long a connection is used. What PostgreSQL remembers for it of the malls that it served is
/// given back with it.
const LIFETIME: Duration = Duration::from_mins(30);

/// So many seats, with the connections behind them, which are opened when they are needed.
#[derive(Debug)]
pub(super) struct Seats {
    seats: Vec<Place>,
    login: PgConnectOptions,
}

type Place = Arc<Mutex<Option<Line>>>;

/// A connection, and in which state it was left.
#[derive(Debug)]
struct Line {
    connection: PgConnection,
    opened: Instant,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In no transaction.
    Free,
    /// In one that nobody has ended.
    Open,
    /// Not to be used any more.
    Dead,
}

/// A connection in a transaction, which ends with it.
#[derive(Debug)]
pub(super) struct Seat {
    line: OwnedMappedMutexGuard<Option<Line>, Line>,
    place: Place,
}

impl Seats {
    pub(super) fn new(count: usize, login: PgConnectOptions) -> Self {
        let seats = (0..count).map(|_| Place::default()).collect();
        Self { seats, login }
    }

    /// Sends the message that opens a transaction, on the seat of that number or, where that is
    /// taken for long, on another one. A connection that ended while it waited, or that does not
    /// know a mall's role yet, is replaced once.
    ///
    /// # Errors
    /// [`Error::Unavailable`], and what the opening message says.
    pub(super) async fn begin(&self, number: usize, opening: &str) -> Result<Seat, Error> {
        let (fresh, first) = self.try_begin(number, opening).await?;
        match first {
            Err(Error::Unavailable(_) | Error::Barred(_)) if !fresh => {
                self.try_begin(number, opening).await?.1
            }
            other => other,
        }
    }

    /// Whether the connection was opened for this, and what the opening message came to.
    async fn try_begin(
        &self,
        number: usize,
        opening: &str,
    ) -> Result<(bool, Result<Seat, Error>), Error> {
        let (place, mut guard) = self.sit(number).await?;
        let fresh = match guard.as_mut() {
            Some(line) => !line.is_usable().await,
            None => true,
        };
        if fresh {
            *guard = None;
            *guard = Some(Line::open(&self.login).await?);
        }
        let line = OwnedMutexGuard::try_map(guard, Option::as_mut);
        let mut line = line.map_err(|_| Error::Unavailable(sqlx::Error::PoolClosed))?;
        // Whoever gives up while the answer is on its way leaves what has to be ended.
        line.state = State::Open;
        let message = sqlx::raw_sql(AssertSqlSafe(opening.to_owned()));
        let opened = line.connection.execute(message).await.map_err(Error::from);
        line.state = match &opened {
            Ok(_) => State::Open,
            Err(Error::Unavailable(_) | Error::Barred(_)) => State::Dead,
            // It was refused before its last word, which is `begin`.
            Err(_) => State::Free,
        };
        Ok((fresh, opened.map(|_| Seat { line, place })))
    }

    /// A seat: the own one, soon; else whichever is free; else the own one, when it is.
    async fn sit(&self, number: usize) -> Result<(Place, OwnedMutexGuard<Option<Line>>), Error> {
        let own = self
            .seats
            .get(number.checked_rem(self.seats.len()).unwrap_or(0));
        let own = own.ok_or(Error::Unavailable(sqlx::Error::PoolClosed))?;
        if let Ok(guard) = timeout(LOYALTY, Arc::clone(own).lock_owned()).await {
            return Ok((Arc::clone(own), guard));
        }
        for other in &self.seats {
            if let Ok(guard) = Arc::clone(other).try_lock_owned() {
                return Ok((Arc::clone(other), guard));
            }
        }
        let guard = timeout(PATIENCE, Arc::clone(own).lock_owned()).await;
        let guard = guard.map_err(|_| Error::Unavailable(sqlx::Error::PoolTimedOut))?;
        Ok((Arc::clone(own), guard))
    }

    /// Ends every connection after the work under way.
    pub(super) async fn close(&self) {
        for seat in &self.seats {
            if let Some(line) = seat.lock().await.take() {
                drop(line.connection.close().await);
            }
        }
    }
}

impl Line {
    async fn open(login: &PgConnectOptions) -> Result<Self, Error> {
        let connecting = timeout(PATIENCE, PgConnection::connect_with(login)).await;
        Ok(Self {
            connection: connecting.map_err(|_| Error::Unavailable(sqlx::Error::PoolTimedOut))??,
            opened: Instant::now(),
            state: State::Free,
        })
    }

    /// Whether a transaction can be opened on it, after the one was ended that nobody did.
    async fn is_usable(&mut self) -> bool {
        if self.state == State::Open {
            self.roll_back().await;
        }
        self.state == State::Free && self.opened.elapsed() < LIFETIME
    }

    async fn roll_back(&mut self) {
        let ended = self.connection.execute(sqlx::raw_sql("ROLLBACK")).await;
        self.state = ended.map_or(State::Dead, |_| State::Free);
    }
}

impl Seat {
    /// Makes everything in the transaction durable, or nothing.
    pub(super) async fn commit(mut self) -> Result<(), Error> {
        self.execute(sqlx::raw_sql("COMMIT")).await?;
        self.line.state = State::Free;
        Ok(())
    }
}

impl Deref for Seat {
    type Target = PgConnection;
    fn deref(&self) -> &PgConnection {
        &self.line.connection
    }
}

impl DerefMut for Seat {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.line.connection
    }
}

/// A transaction that was not committed is rolled back as soon as the seat is free, by whoever takes
/// it first.
impl Drop for Seat {
    fn drop(&mut self) {
        if self.line.state != State::Open {
            return;
        }
        let place = Arc::clone(&self.place);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if let Some(line) = place.lock().await.as_mut()
                    && line.state == State::Open
                {
                    line.roll_back().await;
                }
            });
        }
    }
}

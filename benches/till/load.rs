//! Clients: each keeps one connection and asks again as soon as it is answered, or when it is time.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use super::mall::Mall;

/// Connections over which fixed arrivals come; where all of them wait, the next arrival is late, and
/// its latency says so.
const ARRIVING: usize = 256;

/// Clients so far: each has names of its own.
static CLIENTS: AtomicU64 = AtomicU64::new(1);

/// A request as it goes out.
pub struct Request {
    pub bytes: Vec<u8>,
    /// Whether a good answer means a new purchase or spend in the database.
    pub writes: bool,
}

/// What a client asks of a mall.
pub type Ask = fn(&Mall, &mut Dice) -> Request;

/// Chance, and names that nobody used before.
pub struct Dice {
    rng: StdRng,
    client: u64,
    made: u64,
}

impl Dice {
    pub fn new() -> Self {
        let client = CLIENTS.fetch_add(1, Ordering::Relaxed);
        Self {
            rng: StdRng::seed_from_u64(client),
            client,
            made: 0,
        }
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.rng.random_range(0..limit)
    }

    /// A receipt number and idempotency key that is new.
    pub fn fresh(&mut self) -> String {
        self.made += 1;
        format!("{:x}-{:x}", self.client, self.made)
    }
}

/// What one measurement came to.
#[derive(Debug, Default, Clone)]
pub struct Measured {
    /// Answered as wished, a second.
    pub rate: f64,
    pub answered: u64,
    /// Answered otherwise.
    pub errors: u64,
    /// Answered as written and not in the database; in the database more often than answered.
    pub lost: u64,
    pub double: u64,
    /// Milliseconds.
    pub p50: f64,
    pub p99: f64,
    pub longest: f64,
    /// CPU of the server and of PostgreSQL, microseconds for each answer.
    pub server_us: f64,
    pub postgres_us: f64,
    /// Bytes for each answer.
    pub wal: f64,
    /// What processes that have no part in it took of the machine, 0 to 1.
    pub others: f64,
}

impl Measured {
    pub fn median(all: &[Self], of: impl Fn(&Self) -> f64) -> Option<f64> {
        let mut figures: Vec<f64> = all.iter().map(of).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied()
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:>7.0}/s  p50 {:>7.2} ms  p99 {:>7.2} ms  longest {:>5.0} ms  {} errors, {} lost, \
             {} double  server {:>4.0} us  postgres {:>4.0} us  WAL {:>5.0} B  others {:>2.0} %",
            self.rate,
            self.p50,
            self.p99,
            self.longest,
            self.errors,
            self.lost,
            self.double,
            self.server_us,
            self.postgres_us,
            self.wal,
            self.others * 100.0,
        )
    }
}

/// What clients saw.
#[derive(Debug, Default)]
pub struct Seen {
    latencies: Vec<Duration>,
    errors: u64,
    written: u64,
    took: Duration,
}

impl Seen {
    /// Answers that promise something in the database.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Requests that were refused.
    pub fn errors(&self) -> u64 {
        self.errors
    }

    /// What others saw at the same time.
    pub fn and(mut self, other: Self) -> Self {
        self.latencies.extend(other.latencies);
        self.errors += other.errors;
        self.written += other.written;
        self.took = self.took.max(other.took);
        self
    }

    pub fn measured(mut self) -> Measured {
        self.latencies.sort_unstable();
        let at = |share: f64| {
            let place = (self.latencies.len() as f64 * share) as usize;
            let last = self.latencies.len().saturating_sub(1);
            let found = self.latencies.get(place.min(last));
            found.map_or(0.0, |one| one.as_secs_f64() * 1000.0)
        };
        Measured {
            rate: self.latencies.len() as f64 / self.took.as_secs_f64(),
            answered: self.latencies.len() as u64,
            errors: self.errors,
            p50: at(0.5),
            p99: at(0.99),
            longest: at(1.0),
            ..Measured::default()
        }
    }
}

/// Many clients of a server for a while, each of all of these malls in turn by chance.
pub async fn clients(
    address: SocketAddr,
    malls: &[Arc<Mall>],
    ask: Ask,
    clients: usize,
    span: Duration,
) -> Seen {
    let begin = Instant::now();
    let client = |malls: Vec<Arc<Mall>>| async move {
        let mut client = Client::connect(address).await;
        while begin.elapsed() < span {
            let mall = client.dice.below(malls.len());
            let request = ask(&malls[mall], &mut client.dice);
            client.ask(request, Instant::now()).await;
        }
        client.seen
    };
    together(begin, (0..clients).map(|_| client(malls.to_vec()))).await
}

/// As many arrivals a second, evenly spaced, whatever the answers take; latencies count from the
/// moment at which a request was due. Tasks are woken by the millisecond, which is in them.
pub async fn arrivals(
    address: SocketAddr,
    mall: &Arc<Mall>,
    ask: Ask,
    rate: f64,
    span: Duration,
) -> Seen {
    let next = Arc::new(AtomicU64::new(0));
    let mut waiting = Vec::with_capacity(ARRIVING);
    for _ in 0..ARRIVING {
        waiting.push(Client::connect(address).await);
    }
    let begin = Instant::now();
    let client = |mut client: Client| {
        let (mall, next) = (Arc::clone(mall), Arc::clone(&next));
        async move {
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                let after = Duration::from_secs_f64(turn as f64 / rate);
                if after >= span {
                    return client.seen;
                }
                let request = ask(&mall, &mut client.dice);
                let due = begin + after;
                tokio::time::sleep_until(due.into()).await;
                client.ask(request, due).await;
            }
        }
    };
    together(begin, waiting.into_iter().map(client)).await
}

async fn together<F>(begin: Instant, clients: impl Iterator<Item = F>) -> Seen
where
    F: Future<Output = Seen> + Send + 'static,
{
    let running: JoinSet<Seen> = clients.collect();
    let all = running.join_all().await;
    let seen = all.into_iter().fold(Seen::default(), Seen::and);
    Seen {
        took: begin.elapsed(),
        ..seen
    }
}

struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
    dice: Dice,
    seen: Seen,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self {
            socket,
            buffer: Vec::with_capacity(8192),
            dice: Dice::new(),
            seen: Seen::default(),
        }
    }

    /// Asks now, and counts the answer from the moment at which it was due.
    async fn ask(&mut self, request: Request, due: Instant) {
        self.socket.write_all(&request.bytes).await.unwrap();
        let status = answer(&mut self.socket, &mut self.buffer).await;
        if (200..300).contains(&status) {
            self.seen.latencies.push(due.elapsed());
            self.seen.written += u64::from(request.writes);
        } else {
            self.seen.errors += 1;
        }
    }
}

/// Asks once, on a connection of its own, and is answered well.
pub async fn once(address: SocketAddr, request: Request) {
    let mut client = Client::connect(address).await;
    client.ask(request, Instant::now()).await;
    assert_eq!(client.seen.errors, 0, "a refusal");
}

/// What a server answers to one GET; none where it does not.
pub async fn get(address: SocketAddr, path: &str) -> Option<u16> {
    let mut socket = TcpStream::connect(address).await.ok()?;
    let asked = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    socket.write_all(asked.as_bytes()).await.ok()?;
    Some(answer(&mut socket, &mut Vec::new()).await)
}

/// Reads one answer with a Content-Length; its status.
async fn answer(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> u16 {
    buffer.clear();
    loop {
        assert!(socket.read_buf(buffer).await.unwrap() > 0, "cut off");
        let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&buffer[..end]).unwrap();
        let length: usize = head
            .split("\r\n")
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map(|(_, length)| length.parse().unwrap())
            .expect("an answer says how long it is");
        let status = head[9..12].parse().unwrap();
        while buffer.len() < end + 4 + length {
            assert!(socket.read_buf(buffer).await.unwrap() > 0, "cut off");
        }
        return status;
    }
}

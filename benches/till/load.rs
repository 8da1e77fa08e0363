//! Clients: each keeps one connection and asks again as soon as it is answered.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use super::mall::Mall;

/// A request as it goes out.
pub struct Request(pub Vec<u8>);

/// Chance, and names that nobody used before.
pub struct Dice {
    rng: StdRng,
    client: u64,
    made: u64,
}

impl Dice {
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
    pub fn of(mut latencies: Vec<Duration>, errors: u64, took: Duration) -> Self {
        latencies.sort_unstable();
        let at = |share: f64| {
            let place = (latencies.len() as f64 * share) as usize;
            let found = latencies.get(place.min(latencies.len().saturating_sub(1)));
            found.map_or(0.0, |one| one.as_secs_f64() * 1000.0)
        };
        Self {
            rate: latencies.len() as f64 / took.as_secs_f64(),
            answered: latencies.len() as u64,
            errors,
            p50: at(0.5),
            p99: at(0.99),
            longest: at(1.0),
            ..Self::default()
        }
    }

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
            "{:>7.0}/s  p50 {:>7.2} ms  p99 {:>7.2} ms  longest {:>5.0} ms  {} errors  \
             server {:>4.0} us  postgres {:>4.0} us  WAL {:>5.0} B  others {:>2.0} %",
            self.rate,
            self.p50,
            self.p99,
            self.longest,
            self.errors,
            self.server_us,
            self.postgres_us,
            self.wal,
            self.others * 100.0,
        )
    }
}

/// Many clients for a while.
pub struct Load;

impl Load {
    pub async fn run(
        mall: &Arc<Mall>,
        load: fn(&Mall, &mut Dice) -> Request,
        clients: usize,
        span: Duration,
    ) -> Measured {
        let mut running = JoinSet::new();
        let begin = Instant::now();
        for _ in 0..clients {
            let mall = Arc::clone(mall);
            running.spawn(async move {
                let seed = mall.next_client();
                let mut dice = Dice {
                    rng: StdRng::seed_from_u64(seed),
                    client: seed,
                    made: 0,
                };
                let mut socket = TcpStream::connect(mall.address).await.unwrap();
                socket.set_nodelay(true).unwrap();
                let (mut latencies, mut errors) = (Vec::new(), 0_u64);
                let mut buffer = Vec::with_capacity(8192);
                while begin.elapsed() < span {
                    let request = load(&mall, &mut dice);
                    let asked = Instant::now();
                    socket.write_all(&request.0).await.unwrap();
                    let status = answer(&mut socket, &mut buffer).await;
                    if (200..300).contains(&status) {
                        latencies.push(asked.elapsed());
                    } else {
                        errors += 1;
                    }
                }
                (latencies, errors)
            });
        }
        let (mut latencies, mut errors) = (Vec::new(), 0);
        for (own, failed) in running.join_all().await {
            latencies.extend(own);
            errors += failed;
        }
        Measured::of(latencies, errors, begin.elapsed())
    }
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

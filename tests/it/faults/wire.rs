//! A wire between the server and PostgreSQL that breaks just when something becomes durable.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    task::JoinHandle,
};

/// A commit, as it goes over the wire: a message of kind Q and its length.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// Passes everything on to PostgreSQL, and breaks at some of the commits.
pub struct Wire {
    /// PostgreSQL's URL by way of this wire.
    pub url: String,
    breaks: Arc<Breaks>,
    at_work: JoinHandle<()>,
}

/// When it breaks, and how often it did.
#[derive(Debug, Default)]
struct Breaks {
    /// Of a hundred commits: before PostgreSQL hears of it, and after it was done.
    before: AtomicU32,
    after: AtomicU32,
    undone: AtomicU64,
    done: AtomicU64,
}

impl Wire {
    /// A wire to the server of that URL, which holds until [`Wire::breaks`].
    pub async fn to(url: &str) -> Self {
        let (login, rest) = url.rsplit_once('@').unwrap();
        let (server, database) = rest.split_once('/').unwrap();
        let server: SocketAddr = server.replace("localhost", "127.0.0.1").parse().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("{login}@{}/{database}", listener.local_addr().unwrap());
        let breaks = Arc::<Breaks>::default();
        let told = Arc::clone(&breaks);
        let at_work = tokio::spawn(async move {
            for seed in 0.. {
                let (client, _) = listener.accept().await.unwrap();
                let breaks = Arc::clone(&told);
                let dice = StdRng::seed_from_u64(seed);
                tokio::spawn(async move {
                    // Whoever goes away ends the connection, and that is all.
                    let _ = pass(client, server, dice, &breaks).await;
                });
            }
        });
        Self {
            url,
            breaks,
            at_work,
        }
    }

    /// From now on it breaks at so many of a hundred commits: before PostgreSQL hears of them, and
    /// when they are done and the answer is under way.
    pub fn breaks(&self, before: u32, after: u32) {
        self.breaks.before.store(before, Ordering::Relaxed);
        self.breaks.after.store(after, Ordering::Relaxed);
    }

    /// How many commits PostgreSQL never heard of, and how many it did in vain.
    pub fn broke(&self) -> (u64, u64) {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        (count(&self.breaks.undone), count(&self.breaks.done))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.at_work.abort();
    }
}

/// One connection, to the end of either side or to the first commit at which it breaks.
async fn pass(
    mut client: TcpStream,
    server: SocketAddr,
    dice: StdRng,
    breaks: &Breaks,
) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (asks, hears) = client.split();
    let (answers, listens) = server.split();
    let swallows = AtomicBool::new(false);
    tokio::select! {
        ended = there(asks, listens, dice, breaks, &swallows) => ended,
        ended = back(answers, hears, breaks, &swallows) => ended,
    }
}

async fn there(
    mut asks: tcp::ReadHalf<'_>,
    mut listens: tcp::WriteHalf<'_>,
    mut dice: StdRng,
    breaks: &Breaks,
    swallows: &AtomicBool,
) -> io::Result<()> {
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let length = asks.read(&mut chunk).await?;
        if length == 0 {
            return Ok(());
        }
        let said = &chunk[..length];
        if said.windows(COMMIT.len()).any(|part| part == COMMIT) {
            let (before, after) = (&breaks.before, &breaks.after);
            let (before, after) = (
                before.load(Ordering::Relaxed),
                after.load(Ordering::Relaxed),
            );
            let thrown = dice.random_range(0..100);
            if thrown < before {
                breaks.undone.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            swallows.store(thrown < before + after, Ordering::Relaxed);
        }
        listens.write_all(said).await?;
    }
}

async fn back(
    mut answers: tcp::ReadHalf<'_>,
    mut hears: tcp::WriteHalf<'_>,
    breaks: &Breaks,
    swallows: &AtomicBool,
) -> io::Result<()> {
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let length = answers.read(&mut chunk).await?;
        if length == 0 {
            return Ok(());
        }
        if swallows.load(Ordering::Relaxed) {
            breaks.done.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        hears.write_all(&chunk[..length]).await?;
    }
}

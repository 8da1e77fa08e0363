//! A wire that breaks between the commit and the answer.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Passes everything on to a server, and swallows some of what the server says.
pub struct Proxy {
    pub address: SocketAddr,
    swallowed: Arc<AtomicU64>,
    at_work: JoinHandle<()>,
}

impl Proxy {
    /// Swallows so many of a hundred answers, once the server has begun to give them: by then it
    /// has done what it was asked for.
    pub async fn before(server: SocketAddr, percent: u32) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let swallowed = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&swallowed);
        let at_work = tokio::spawn(async move {
            for seed in 0.. {
                let (client, _) = listener.accept().await.unwrap();
                let counter = Arc::clone(&counter);
                tokio::spawn(async move {
                    let dice = StdRng::seed_from_u64(seed);
                    // Whoever goes away ends the connection, and that is all.
                    let _ = pass(client, server, dice, percent, &counter).await;
                });
            }
        });
        Self {
            address,
            swallowed,
            at_work,
        }
    }

    /// How many answers it swallowed.
    pub fn swallowed(&self) -> u64 {
        self.swallowed.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.at_work.abort();
    }
}

/// One connection, to the end of either side or to the first answer that is swallowed.
async fn pass(
    mut client: TcpStream,
    server: SocketAddr,
    mut dice: StdRng,
    percent: u32,
    swallowed: &AtomicU64,
) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut asks, mut hears) = client.split();
    let (mut answers, mut listens) = server.split();
    let back = async {
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let length = answers.read(&mut chunk).await?;
            if length == 0 {
                return io::Result::Ok(());
            }
            if dice.random_range(0..100) < percent {
                swallowed.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            hears.write_all(&chunk[..length]).await?;
        }
    };
    tokio::select! {
        ended = back => ended,
        ended = copy(&mut asks, &mut listens) => ended.map(|_| ()),
    }
}

//! The accept loop. poem's own server waits for a request's head for ever; this one, made of the
//! same parts, gives each head ten seconds, caps connections, and stops in order.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::{
    Addr, Endpoint, Request, Response,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

use super::linger::Linger;
use crate::app::App;

/// The longest that a request's head may take; also how long a connection may idle.
const SLOWEST_HEAD: Duration = Duration::from_secs(10);

/// The largest head of a request.
const LARGEST_HEAD: usize = 32 * 1024;

/// The most connections at a time, below the usual limit of 1024 open files; the rest wait in the
/// system's queue.
const MOST_CONNECTIONS: u32 = 800;

/// How many connections the system's queue holds.
const QUEUE: u32 = 1024;

/// How long work that is under way may go on after the stop.
const LAST_ANSWERS: Duration = Duration::from_secs(25);

/// A socket that listens on `address`, also while an earlier process's connections linger.
///
/// # Errors
/// The system's, such as an address that is in use.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// Serves `endpoint` until `stop` ends; then says "not ready", stops listening, and gives what is
/// under way [`LAST_ANSWERS`] to end.
pub async fn serve<E>(
    app: &App,
    listener: TcpListener,
    endpoint: E,
    stop: impl Future<Output = ()> + Send,
) where
    E: Endpoint<Output = Response> + 'static,
{
    let endpoint = Arc::new(endpoint);
    let seats = Arc::new(Semaphore::new(
        usize::try_from(MOST_CONNECTIONS).unwrap_or(1),
    ));
    let (ending, ended) = watch::channel(false);
    let mut stop = std::pin::pin!(async {
        stop.await;
        app.drain();
        sleep(Duration::from_secs(app.config.drain_seconds)).await;
    });
    loop {
        let seated = async {
            let seat = Arc::clone(&seats).acquire_owned().await;
            (seat, listener.accept().await)
        };
        let (seat, accepted) = tokio::select! {
            () = &mut stop => break,
            seated = seated => seated,
        };
        let Ok(seat) = seat else { break };
        match accepted {
            Ok((stream, remote)) => {
                let (app, endpoint, ended) = (app.clone(), Arc::clone(&endpoint), ended.clone());
                tokio::spawn(async move {
                    app.metrics.http_connections.inc();
                    connection(stream, remote, endpoint, ended).await;
                    app.metrics.http_connections.dec();
                    drop(seat);
                });
            }
            Err(error) => {
                // Out of file descriptors, or a client that left at once: neither is for ever.
                warn!(error = %error, "Could not accept a connection: {error}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let _ = ending.send(true);
    info!("Stopped listening, finishing what is under way");
    if timeout(LAST_ANSWERS, seats.acquire_many(MOST_CONNECTIONS))
        .await
        .is_err()
    {
        warn!("Gave up requests that did not end in time");
    }
}

async fn until_true(flag: &mut watch::Receiver<bool>) {
    // An error means that the accept loop is gone, which is an end as well.
    let _ = flag.wait_for(|set| *set).await;
}

/// Serves one connection to its end.
async fn connection<E>(
    stream: TcpStream,
    remote: SocketAddr,
    endpoint: Arc<E>,
    mut ended: watch::Receiver<bool>,
) where
    E: Endpoint<Output = Response> + 'static,
{
    // An answer is written whole, so waiting for more to send with it only costs time.
    let _ = stream.set_nodelay(true);
    let local = stream.local_addr().unwrap_or(remote);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let endpoint = Arc::clone(&endpoint);
        // Boxed, so that a connection which asks for nothing does not hold the room for an answer.
        Box::pin(async move {
            let local = LocalAddr(Addr::SocketAddr(local));
            let remote = RemoteAddr(Addr::SocketAddr(remote));
            let request = Request::from((request, local, remote, Scheme::HTTP));
            let response = endpoint.get_response(request).await;
            Ok::<_, Infallible>(hyper::Response::from(response))
        })
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SLOWEST_HEAD)
        .max_header_size(LARGEST_HEAD)
        .keep_alive(true)
        .serve_connection(TokioIo::new(Linger::new(stream)), service);
    let mut served = std::pin::pin!(served);
    let outcome = tokio::select! {
        outcome = served.as_mut() => outcome,
        () = until_true(&mut ended) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = outcome {
        debug!(error = %error, "A connection ended early: {error}");
    }
}

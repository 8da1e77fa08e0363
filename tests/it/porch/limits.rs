//! What a client can do to a server: bodies of 300 MB, heads that never end, a database that is
//! gone, a stop in the middle of an answer.

use std::time::{Duration, Instant};

use futures_util::stream;
use poem::{Response, endpoint::make};
use reqwest::{Client, Method, StatusCode};
use rotunda::{
    app::App,
    cli,
    http::{contract::Contract, porch::Porch},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{House, config, problem, serve};

#[tokio::test(flavor = "multi_thread")]
async fn a_giant_body_is_refused_unread_and_a_get_needs_no_length() {
    let house = House::open().await;
    let owner = house.key(&house.demo, "operator.owner").await;

    // Announced: the answer is there before a byte of the body was sent.
    let mut raw = TcpStream::connect(house.address).await.unwrap();
    raw.write_all(
        b"POST /v1/keys HTTP/1.1\r\nhost: any\r\ncontent-type: application/json\r\n\
          content-length: 314572800\r\n\r\n",
    )
    .await
    .unwrap();
    let mut answer = vec![0; 12];
    raw.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");

    // Chunked: a client that goes on sending 300 MB still reads its answer.
    let before = memory();
    let chunks = (0..300).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1 << 20]));
    let sent = house
        .ask(Method::POST, "/v1/keys")
        .bearer_auth(&owner)
        .header("idempotency-key", "giant")
        .header("content-type", "application/json")
        .body(reqwest::Body::wrap_stream(stream::iter(chunks)));
    problem(sent, 413, "body-too-large").await;
    let grown = memory().saturating_sub(before);
    assert!(grown < 40 << 20, "grew by {grown} bytes, client included");

    let mut raw = TcpStream::connect(house.address).await.unwrap();
    let head = format!(
        "GET /v1/keys HTTP/1.1\r\nhost: {}:80\r\nauthorization: bearer {owner}\r\n\r\n",
        house.demo.hosts[0]
    );
    raw.write_all(head.as_bytes()).await.unwrap();
    raw.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200");
    house.close().await;
}

/// Resident memory of this process in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_are_cut_off_and_others_do_not_notice() {
    let house = House::open().await;
    let begun = Instant::now();
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nx-slow: ")
            .await
            .unwrap();
        slow.push(stream);
    }
    let quick = Instant::now();
    let alive = house.ask(Method::GET, "/healthz").send().await.unwrap();
    assert_eq!(alive.status(), StatusCode::OK);
    assert!(quick.elapsed() < Duration::from_secs(1));
    for mut stream in slow {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut rest));
        let _ = ended.await.expect("the connection was not cut off");
    }
    assert!(begun.elapsed() > Duration::from_secs(9));

    let mut large = TcpStream::connect(house.address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nx-large: {}\r\n\r\n", "x".repeat(100_000));
    let _ = large.write_all(head.as_bytes()).await;
    let mut answer = vec![0; 12];
    large.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 431");

    let mut hostless = TcpStream::connect(house.address).await.unwrap();
    hostless
        .write_all(b"GET /v1/keys HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    hostless.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 400") && answer.contains("host-missing"));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half a minute; limits.rs has the same with a shorter patience"]
async fn a_body_that_dawdles_is_answered_408() {
    let house = House::open().await;
    let owner = house.key(&house.demo, "operator.owner").await;
    let mut raw = TcpStream::connect(house.address).await.unwrap();
    let head = format!(
        "POST /v1/keys HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {owner}\r\n\
         idempotency-key: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n",
        house.demo.hosts[0]
    );
    raw.write_all(head.as_bytes()).await.unwrap();
    let begun = Instant::now();
    let (mut read, mut write) = raw.into_split();
    let drip = tokio::spawn(async move {
        while write.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut answer = vec![0; 12];
    read.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 408");
    assert!((29..35).contains(&begun.elapsed().as_secs()));
    drip.abort();
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_a_server_says_come_back() {
    let app = App::open(config("postgres://nobody@127.0.0.1:1/none"))
        .await
        .unwrap();
    let (address, stop, served) = serve(&app, cli::endpoint(&app)).await;
    let client = Client::builder().no_proxy().build().unwrap();
    let get = |path: &str| {
        client
            .get(format!("http://{address}{path}"))
            .header("host", "demo.localhost")
    };
    problem(get("/v1/keys"), 503, "database-unavailable").await;
    problem(get("/readyz"), 503, "not-ready").await;
    assert_eq!(
        get("/healthz").send().await.unwrap().status(),
        StatusCode::OK
    );
    stop.send(()).unwrap();
    served.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_is_under_way_and_a_panic_is_a_problem() {
    let app = App::open(config("postgres://nobody@127.0.0.1:1/none"))
        .await
        .unwrap();
    let inner = make(|request| async move {
        assert!(request.uri().path() != "/panic", "planted");
        tokio::time::sleep(Duration::from_millis(400)).await;
        Ok::<_, poem::Error>(Response::builder().body("done"))
    });
    let endpoint = Porch::new(app.clone(), Contract::default(), inner);
    let (address, stop, served) = serve(&app, endpoint).await;
    let client = Client::builder().no_proxy().build().unwrap();
    let get = |path: &str| client.get(format!("http://{address}{path}"));
    problem(get("/panic"), 500, "internal-error").await;

    let under_way = tokio::spawn(get("/").send());
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(app.ready().await.is_err());
    assert!(get("/").send().await.is_err(), "nobody listens any more");
    let answer = under_way.await.unwrap().unwrap();
    assert_eq!(answer.text().await.unwrap(), "done");
    served.await.unwrap();
}

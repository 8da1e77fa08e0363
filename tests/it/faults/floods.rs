//! Clients that send too much, too slowly or too often; and the others, who do not notice
//! (trust.md, NET-1 and the last row but one of 7.8).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::stream;
use reqwest::{Client, Method, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    acts::{come_back, members, patient},
    percentile,
    real::Place,
};
use crate::support::till::{Answer, Till};

/// Connections that never end what they begin.
const SLOW: usize = 500;

/// The longest that the head of a request, and that a body, may take.
const HEAD: Duration = Duration::from_secs(15);
const BODY: Duration = Duration::from_mins(1);

/// By how many bytes the server may grow over a flood.
const GROWTH: u64 = 20 << 20;

/// How often the machine may be too busy to tell.
const ROUNDS: u32 = 3;

/// Noise of a busy machine, which no ratio of milliseconds is to be judged by.
const NOISE: Duration = Duration::from_millis(40);

/// How long each of so many purchases takes, one after the other, so many milliseconds apart.
async fn buys(till: &Till, member: &str, name: &str, many: usize, apart: u64) -> Vec<Duration> {
    let mut took = Vec::new();
    for number in 0..many {
        let receipt = format!("{name}-{number}");
        let body = till.purchase(member, &receipt, 100);
        let since = Instant::now();
        let sold = till.send(Method::POST, "/v1/purchases", Some(&receipt), Some(&body));
        let sold = sold.await.unwrap();
        assert_eq!(sold.status, StatusCode::CREATED, "{sold:?}");
        took.push(since.elapsed());
        sleep(Duration::from_millis(apart)).await;
    }
    took
}

/// So many connections that have begun to say something.
async fn begin(till: &Till, many: usize, said: &str) -> Vec<TcpStream> {
    let mut begun = Vec::new();
    for _ in 0..many {
        let mut stream = TcpStream::connect(&till.server).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        begun.push(stream);
    }
    begun
}

/// A byte a second on each, until the server closes it; how long the slowest took.
async fn drip(begun: Vec<TcpStream>, at_most: Duration) -> Duration {
    let (since, mut dripping) = (Instant::now(), JoinSet::new());
    for stream in begun {
        dripping.spawn(async move {
            let (mut read, mut write) = stream.into_split();
            let drips = async {
                while write.write_all(b"x").await.is_ok() {
                    sleep(Duration::from_secs(1)).await;
                }
                std::future::pending::<()>().await;
            };
            let mut rest = Vec::new();
            tokio::select! {
                () = drips => {}
                _ = timeout(at_most, read.read_to_end(&mut rest)) => {}
            }
            assert!(since.elapsed() < at_most, "not closed within {at_most:?}");
        });
    }
    dripping.join_all().await;
    since.elapsed()
}

/// The first line of what the server says to this.
async fn told(till: &Till, parts: impl IntoIterator<Item = Vec<u8>>) -> String {
    let stream = TcpStream::connect(&till.server).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let parts: Vec<Vec<u8>> = parts.into_iter().collect();
    let sends = tokio::spawn(async move {
        for part in parts {
            if write.write_all(&part).await.is_err() {
                break;
            }
        }
        write
    });
    let mut line = vec![0; 12];
    let said = timeout(HEAD, read.read_exact(&mut line)).await;
    said.expect("an answer").expect("an answer");
    sends.abort();
    String::from_utf8(line).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn net_1_five_hundred_slow_heads_and_huge_ones_disturb_nobody() {
    let place = Place::open().await;
    let till = patient(&place.till);
    let (people, _) = members(&till, 1, 0).await;
    buys(&till, &people[0], "warm", 50, 0).await;
    let mut alone = buys(&till, &people[0], "alone", 300, 10).await;
    let before = place.server.memory();

    let begun = begin(&till, SLOW, "GET /v1/stores HTTP/1.1\r\nx-slow: ").await;
    let dripping = tokio::spawn(drip(begun, HEAD));
    let mut beside = buys(&till, &people[0], "beside", 300, 10).await;
    assert!(!dripping.is_finished(), "they were there all the time");
    // Ten megabytes of head, by sixteen at once.
    let mut huge = JoinSet::new();
    for _ in 0..16 {
        let till = till.clone();
        huge.spawn(async move {
            let line = format!("x-large: {}\r\n", "x".repeat(64 * 1024 - 11)).into_bytes();
            let head = b"GET /v1/stores HTTP/1.1\r\n".to_vec();
            told(
                &till,
                std::iter::once(head).chain(std::iter::repeat_n(line, 160)),
            )
            .await
        });
    }
    for said in huge.join_all().await {
        assert_eq!(said, "HTTP/1.1 431");
    }
    let grown = place.server.memory().saturating_sub(before);
    let closed = dripping.await.unwrap();
    let (alone, beside) = (percentile(&mut alone, 99), percentile(&mut beside, 99));
    eprintln!(
        "net-1: {SLOW} slow heads closed within {closed:?}, the server grew by {} kB; p99 of the \
         others {alone:?} alone, {beside:?} beside them",
        grown >> 10
    );
    assert!(grown < GROWTH, "{grown}");
    assert!(
        beside < 2 * alone + NOISE,
        "{alone:?} alone, {beside:?} beside"
    );

    let get = format!(
        "GET /v1/stores HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\r\n",
        till.host, till.key
    );
    assert_eq!(
        told(&till, [get.into_bytes()]).await,
        "HTTP/1.1 200",
        "no length, and no 411"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn net_1_bodies_over_the_limit_are_refused_before_they_are_held() {
    let place = Place::open().await;
    let till = patient(&place.till);
    let (people, _) = members(&till, 1, 0).await;
    let post = |body: reqwest::Body, key: String| {
        let url = format!("http://{}/v1/purchases", till.server);
        let request = Client::new().post(url).header("Host", &till.host);
        let request = request
            .bearer_auth(&till.key)
            .header("Idempotency-Key", key);
        request
            .header("content-type", "application/json")
            .body(body)
            .send()
    };
    // A body that says no length is as good as another.
    let small = till.purchase(&people[0], "chunked", 100).to_string();
    let chunks = small.into_bytes();
    let chunks: Vec<_> = chunks
        .chunks(7)
        .map(|part| Ok::<_, std::io::Error>(part.to_vec()))
        .collect();
    let sent = post(
        reqwest::Body::wrap_stream(stream::iter(chunks)),
        "chunked".to_owned(),
    );
    assert_eq!(sent.await.unwrap().status(), StatusCode::CREATED);

    // Two hundred thousand lists within each other.
    let deep = ["[".repeat(200_000), "]".repeat(200_000)].concat();
    let sent = post(deep.into(), "deep".to_owned()).await.unwrap();
    assert_eq!(sent.status(), StatusCode::BAD_REQUEST);
    let (status, _) = till
        .ask(Method::GET, "/v1/stores?limit=100", None, None)
        .await;
    assert_eq!(status, StatusCode::OK);
    let (status, said) = till
        .ask(Method::GET, "/v1/stores?limit=101", None, None)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");

    let before = place.server.memory();
    let mut giants = JoinSet::new();
    for giant in 0..8 {
        let chunks = (0..100).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1 << 20]));
        let body = reqwest::Body::wrap_stream(stream::iter(chunks));
        giants.spawn(post(body, format!("giant-{giant}")));
    }
    for sent in giants.join_all().await {
        assert_eq!(sent.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    let grown = place.server.memory().saturating_sub(before);
    eprintln!(
        "net-1: eight bodies of 100 MB at once: the server grew by {} kB",
        grown >> 10
    );
    assert!(grown < GROWTH, "{grown}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half a minute: cargo nextest run --run-ignored all -E 'test(net_1)'"]
async fn net_1_five_hundred_bodies_of_a_byte_a_second_are_given_up() {
    let place = Place::open().await;
    let till = patient(&place.till);
    let (people, _) = members(&till, 1, 0).await;
    let mut alone = buys(&till, &people[0], "alone", 300, 10).await;
    let head = format!(
        "POST /v1/purchases HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
         idempotency-key: slow\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n",
        till.host, till.key
    );
    let begun = begin(&till, SLOW, &head).await;
    let dripping = tokio::spawn(drip(begun, BODY));
    let mut beside = buys(&till, &people[0], "beside", 300, 10).await;
    let closed = dripping.await.unwrap();
    let (alone, beside) = (percentile(&mut alone, 99), percentile(&mut beside, 99));
    eprintln!("net-1: {SLOW} slow bodies closed within {closed:?}; p99 {alone:?}, then {beside:?}");
    assert!(
        beside < 2 * alone + NOISE,
        "{alone:?} alone, {beside:?} beside"
    );
}

/// As many clients as there are members, who buy again and again until they are stopped: five times a
/// second each where they are served at once.
fn crowd(till: &Till, people: &[String], name: &str, stop: &Arc<AtomicBool>) -> JoinSet<u32> {
    let mut clients = JoinSet::new();
    for (number, member) in people.iter().cloned().enumerate() {
        let (till, stop, name) = (till.clone(), Arc::clone(stop), name.to_owned());
        clients.spawn(async move {
            let mut done = 0;
            for act in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let name = format!("{name}-{number}-{act}");
                let body = till.purchase(&member, &name, 100);
                let sent = till.send(Method::POST, "/v1/purchases", Some(&name), Some(&body));
                let answer: Answer = sent.await.unwrap();
                if answer.status == StatusCode::CREATED {
                    done += 1;
                } else {
                    come_back(&answer);
                }
                sleep(Duration::from_millis(200)).await;
            }
            done
        });
    }
    clients
}

/// The neighbour's p99 beside these clients of the busy mall.
async fn beside(busy: &Till, people: &[String], calm: &Till, member: &str, name: &str) -> Duration {
    let stop = Arc::<AtomicBool>::default();
    let clients = crowd(busy, people, name, &stop);
    sleep(Duration::from_millis(300)).await;
    let since = Instant::now();
    let mut took = buys(calm, member, name, 200, 5).await;
    stop.store(true, Ordering::Relaxed);
    let done: u32 = clients.join_all().await.into_iter().sum();
    let rate = f64::from(done) / since.elapsed().as_secs_f64();
    let (half, most) = (percentile(&mut took, 50), percentile(&mut took, 99));
    eprintln!("dos: {name}: beside {rate:.0}/s of the busy mall: median {half:?}, p99 {most:?}");
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn dos_a_mall_at_ten_times_its_load_leaves_the_others_where_they_are() {
    let place = Place::open().await;
    let (busy, calm) = (patient(&place.till), patient(&place.other_mall().await));
    let (people, _) = members(&busy, 20, 0).await;
    let neighbour = calm.member("c-0", 0).await;
    buys(&calm, &neighbour, "warm", 50, 0).await;
    // Others at work on the machine make a round void; a server that is not fair fails them all.
    let mut seen = Vec::new();
    for round in 0..ROUNDS {
        let name = format!("alone-{round}");
        let alone = beside(&busy, &[], &calm, &neighbour, &name).await;
        let name = format!("usual-{round}");
        let usual = beside(&busy, &people[..2], &calm, &neighbour, &name).await;
        let name = format!("tenfold-{round}");
        let tenfold = beside(&busy, &people, &calm, &neighbour, &name).await;
        // Nor may a usual neighbour be so bad that one at ten times its load is no worse.
        if usual < alone * 3 / 2 + NOISE && tenfold < usual * 3 / 2 + NOISE {
            return;
        }
        seen.push((alone, usual, tenfold));
    }
    panic!("{seen:?}");
}

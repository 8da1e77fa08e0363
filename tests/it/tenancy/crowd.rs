//! TEN-2 as its clients make it: 64 at a time ask 8 malls in turn through a server with 4 database
//! connections. Every row of a mall carries its short name, and every mall has the same telephones,
//! cards and codes: whatever holds another mall's short name or id came from there.
//!
//! `ROTUNDA_TEN2_REQUESTS` says how many requests; without it 40,000, about 80 seconds of a debug
//! build on two cores. trust.md's 100,000 take a little over three minutes there, and were run once:
//! no foreign canary.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use poem::http::Method;
use rotunda::kernel::{ids::Entropy, time::Clock};
use serde_json::json;

use crate::support::{
    NOON,
    front::{Front, PLAIN, Sheet},
    instant,
    outside::{Answer, Caller, Server},
};

const MALLS: usize = 8;
const CONNECTIONS: u32 = 4;
const AT_ONCE: usize = 64;
const REQUESTS: usize = 40_000;

/// Everything is called like its mall.
const SHEET: Sheet = Sheet {
    shops: &[("tea", PLAIN.names, PLAIN.names)],
    goods: &[("cup", PLAIN.names, "voucher", 1, 1, &["tea"])],
    ..PLAIN
};

/// A mall whose rows are called like it.
struct Cage {
    front: Front,
    slug: String,
    merchant: String,
    store: String,
    member: String,
    /// Its short name and ids: what no answer of another mall may hold.
    canaries: Vec<String>,
}

/// What is asked for, and what comes of it: status, and whether the mall's canary must be there.
struct Question {
    method: Method,
    path: String,
    body: Option<String>,
    key: Option<usize>,
    status: &'static [u16],
    sings: bool,
}

impl Cage {
    async fn build(server: &Server) -> Self {
        let front = Front::open(server, &SHEET, None).await;
        let slug = front.tenant.slug.as_str().to_owned();
        let new = json!({"phone": "2025550100", "card_number": "card-1", "name": slug});
        let member = front.member(server, &new).await;
        let store = front.store(server, "tea-1").await;
        let merchant = front
            .find(server, "/v1/stores", "tea-1", "merchant_id")
            .await;
        let good = front.find(server, "/v1/goods", "cup", "good_id").await;
        let canaries = [&slug, &merchant, &store, &good, &member];
        let canaries = canaries.into_iter().cloned().collect();
        Self {
            front,
            slug,
            merchant,
            store,
            member,
            canaries,
        }
    }
}

fn read(path: String) -> Question {
    Question {
        method: Method::GET,
        path,
        body: None,
        key: None,
        status: &[200],
        sings: true,
    }
}

fn said(path: &str, body: &serde_json::Value, status: &'static [u16], sings: bool) -> Question {
    Question {
        method: Method::POST,
        path: path.to_owned(),
        body: Some(body.to_string()),
        key: None,
        status,
        sings,
    }
}

/// One of twelve questions about a mall; some of them go wrong, before or within the transaction.
fn question(cages: &[Cage], at: usize, number: usize) -> Question {
    let cage = &cages[at];
    let other = (at + 1 + number % (MALLS - 1)) % MALLS;
    match number / MALLS % 12 {
        0 => said(
            "/v1/members/search",
            &json!({"card_number": "card-1"}),
            &[200],
            true,
        ),
        1 => read(format!("/v1/members/{}", cage.member)),
        2 => read("/v1/stores".to_owned()),
        3 => read("/v1/goods?limit=5".to_owned()),
        4 => read(format!("/v1/merchants/{}", cage.merchant)),
        5 => read("/v1/programme".to_owned()),
        6 => read(format!("/v1/members/{}/history?limit=5", cage.member)),
        7 => Question {
            status: &[404],
            sings: false,
            ..read(format!("/v1/members/{}", cages[other].member))
        },
        8 => Question {
            key: Some(other),
            status: &[401],
            sings: false,
            ..read("/v1/stores".to_owned())
        },
        9 => {
            let body = json!({
                "store_id": cage.store, "receipt_number": format!("receipt-{number}"),
                "card_number": "card-1",
                "lines": [{"category": "tea", "quantity": 1, "amount": 100}],
            });
            said("/v1/purchases", &body, &[201], true)
        }
        10 => {
            let known = json!({"card_number": "card-1", "name": cage.slug});
            said("/v1/members", &known, &[409], true)
        }
        _ => {
            let new = json!({"card_number": format!("card-{number}"), "name": cage.slug});
            said("/v1/members", &new, &[201], true)
        }
    }
}

/// Whether the answer came, after it was held against every other mall's canaries.
fn check(cages: &[Cage], at: usize, question: &Question, answer: &Answer) -> bool {
    let mut body = answer.body.clone();
    if question.status == [404] {
        // The problem repeats the address that it was asked for.
        body = body.replace(&question.path, "");
    }
    for (other, cage) in cages.iter().enumerate() {
        let found = cage
            .canaries
            .iter()
            .find(|canary| body.contains(canary.as_str()));
        if other != at {
            assert_eq!(found, None, "a foreign canary: {} {body}", question.path);
        } else if question.sings && answer.status != 503 {
            assert!(found.is_some(), "no canary: {} {body}", question.path);
        }
    }
    if answer.status == 503 {
        return false;
    }
    assert!(
        question.status.contains(&answer.status),
        "{}: {body}",
        question.path
    );
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_2_no_answer_holds_another_malls_canary() {
    let wanted = std::env::var("ROTUNDA_TEN2_REQUESTS").ok();
    let wanted = wanted.map_or(REQUESTS, |number| number.parse().unwrap());
    let server = Server::open(CONNECTIONS, Clock::fixed(instant(NOON)), Entropy::System).await;
    let mut cages = Vec::new();
    for _ in 0..MALLS {
        cages.push(Cage::build(&server).await);
    }
    let shared = Arc::new((server, cages, AtomicUsize::new(0), AtomicUsize::new(0)));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let (server, cages, next, busy) = &*shared;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= wanted {
                        return;
                    }
                    let at = number % MALLS;
                    let question = question(cages, at, number);
                    let caller = Caller {
                        host: cages[at].front.host(),
                        ..cages[question.key.unwrap_or(at)].front.till()
                    };
                    let (method, body) = (&question.method, question.body.as_deref());
                    let answer = server.ask(caller, method, &question.path, body).await;
                    if !check(cages, at, &question, &answer) {
                        busy.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let (took, busy) = (begun.elapsed(), shared.3.load(Ordering::Relaxed));
    println!("TEN-2: {wanted} requests in {took:?}, {busy} found no connection in time");
    assert!(busy * 100 < wanted, "{busy} requests found no connection");
}

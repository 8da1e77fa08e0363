//! Commits whose outcome the server does not know: the connection to PostgreSQL breaks between the
//! commit and its answer (trust.md, IDM-5).

use std::sync::Arc;

use reqwest::StatusCode;

use super::{
    acts::{Crowd, Progress, members},
    doubt::is_seen_where_no_key_is_kept,
    real::Place,
    wire::Wire,
};
use crate::support::till::Answer;

/// Of a hundred commits: those that PostgreSQL never hears of, and those whose answer is lost.
const BREAKS: (u32, u32) = (10, 20);

/// How many commits must have been left in doubt.
const AMBIGUOUS: u64 = 400;

#[tokio::test(flavor = "multi_thread")]
async fn idm_5_of_acts_whose_commit_is_in_doubt_none_is_done_twice_and_none_is_lost() {
    let mut place = Place::open().await;
    let wire = Wire::to(&place.postgres.url).await;
    place.serve_through(&wire.url);
    let (people, begun) = members(&place.till, 16, 1000).await;
    wire.breaks(BREAKS.0, BREAKS.1);
    let mut crowd = Crowd::gather(&place.till, &people, 16);
    let in_doubt = |_: &Progress| wire.broke().0 + wire.broke().1 >= AMBIGUOUS;
    crowd.until("enough commits are in doubt", in_doubt).await;
    let progress = Arc::clone(&crowd.progress);
    let record = crowd.stop(begun).await;
    wire.breaks(0, 0);
    let (undone, done) = wire.broke();
    eprintln!(
        "idm-5: {} acknowledged, {} told again, {} put off; of the commits in doubt {undone} were \
         not done and {done} were",
        Progress::count(&progress.acknowledged),
        record.replayed,
        Progress::count(&progress.put_off),
    );
    assert_eq!(
        Progress::count(&progress.ambiguous),
        0,
        "the server answers everybody"
    );
    assert!(record.replayed > 0, "some are told what the keys tell");
    place.server.assert_runs();
    record.is_what_happened(&place).await;
    wire.breaks(0, 90);
    let put_off = |answer: &Result<Answer, reqwest::Error>| {
        let answer = answer.as_ref().expect("the server answers everybody");
        answer.status == StatusCode::SERVICE_UNAVAILABLE
    };
    is_seen_where_no_key_is_kept(&place, &place.till, &people, 10, put_off).await;
}

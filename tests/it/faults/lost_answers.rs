//! Answers that get lost after the commit: the one fault that shows whether an act is done once.
//! Killing processes does not (trust.md, section 1, fact 1).

use std::sync::Arc;

use super::{
    acts::{Crowd, Progress, members},
    doubt::is_seen_where_no_key_is_kept,
    proxy::Proxy,
    real::Place,
};
use crate::support::till::Till;

/// Answers of a hundred that are swallowed; more than trust.md's three, so that a slow build gets
/// to [`AMBIGUOUS`] within a minute.
const SWALLOWED: u32 = 30;

/// How many acts must have been left in doubt.
const AMBIGUOUS: u64 = 400;

#[tokio::test(flavor = "multi_thread")]
async fn idm_4_of_acts_whose_answer_got_lost_none_is_done_twice_and_none_is_lost() {
    let place = Place::open().await;
    let (people, begun) = members(&place.till, 16, 1000).await;
    let proxy = Proxy::before(place.server.address, SWALLOWED).await;
    let far = Till {
        server: proxy.address.to_string(),
        ..place.till.clone()
    };
    let mut crowd = Crowd::gather(&far, &people, 16);
    let in_doubt = |progress: &Progress| Progress::count(&progress.ambiguous) >= AMBIGUOUS;
    crowd.until("enough answers are lost", in_doubt).await;
    let progress = Arc::clone(&crowd.progress);
    let record = crowd.stop(begun).await;
    let ambiguous = Progress::count(&progress.ambiguous);
    eprintln!(
        "idm-4: {} acknowledged, {ambiguous} in doubt, {} told again",
        Progress::count(&progress.acknowledged),
        record.replayed
    );
    assert_eq!(
        ambiguous,
        proxy.swallowed(),
        "every loss is seen by its client"
    );
    record.is_what_happened(&place).await;
    is_seen_where_no_key_is_kept(&place, &far, &people, 30, Result::is_err).await;
}

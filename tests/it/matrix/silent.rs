//! Secrets and personal data never reach a log: not when everything is logged that can be, and whatever
//! operation is asked for by whomever.

use regex::Regex;

use super::mall::Plaza;
use crate::{
    onboarding::{ACCOUNT, IDENTITY},
    support::{listening::Listening, people::PASSWORD},
};

/// The least that is heard of a whole matrix. One that logs nothing proves nothing.
const LEAST: usize = 1_000_000;

/// That nothing was heard which is somebody's own.
pub fn check(plaza: &Plaza, listening: &Listening) {
    let heard = listening.heard();
    assert!(heard.len() > LEAST, "nobody listened: {}", heard.len());
    // Addresses are logged, and what was sent to them is not.
    for done in [
        "201 to POST /v1/sign-in-codes",
        "200 to POST /v1/members/search",
    ] {
        assert!(heard.contains(done), "{done} was not heard");
    }
    let of_members = ["13800138000", "13700137000", "card-here", "card-there"];
    let of_people = ["@mall.example", "@lantern.example", PASSWORD];
    let of_applicants = [IDENTITY, ACCOUNT, "2025550100"];
    let told = of_members.iter().chain(&of_people).chain(&of_applicants);
    for own in told {
        silent(&heard, own);
    }
    for key in plaza.secrets() {
        silent(&heard, key);
    }
    // Whatever opens something has this form: a prefix, an id, and 160 bits.
    let token = Regex::new(r"\br[a-z](_live)?_[0-9a-z]{26}_[0-9a-z]{20}").unwrap();
    assert!(plaza.secrets().iter().all(|key| token.is_match(key)));
    if let Some(found) = token.find(&heard) {
        silent(&heard, found.as_str());
    }
}

fn silent(heard: &str, own: &str) {
    let line = heard.lines().find(|line| line.contains(own));
    assert!(
        line.is_none(),
        "{own} was logged: {}",
        line.unwrap_or_default()
    );
}

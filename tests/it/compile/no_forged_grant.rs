//! A grant that no policy gave.

use rotunda::authz::{
    action::EnrolMember,
    actor::{Principal, Reach},
    grant::Grant,
};

fn forge() -> Grant<EnrolMember> {
    Grant::new(Principal::platform(None), Reach::Mall)
}

fn main() {
    let _ = forge;
}

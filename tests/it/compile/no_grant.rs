//! A use case without its grant.

use rotunda::{
    authz::{action::EnrolMember, grant::Grant},
    db::{Db, tx::Tx},
    members::{self, Enrolment},
};

async fn enrol(db: &Db, grant: &Grant<EnrolMember>) {
    let mut tx: Tx = db.write(grant).await.unwrap();
    members::enrol(&mut tx, Enrolment::default()).await.unwrap();
}

fn main() {
    let _ = enrol;
}

//! Writing through a transaction that only reads.

use rotunda::{
    authz::{action::EnrolMember, grant::Grant},
    db::Db,
    members::{self, Enrolment},
};

async fn enrol(db: &Db, grant: &Grant<EnrolMember>) {
    let mut tx = db.read(grant).await.unwrap();
    members::enrol(&mut tx, grant, Enrolment::default()).await.unwrap();
}

fn main() {
    let _ = enrol;
}

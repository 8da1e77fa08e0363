//! A use case with the grant for another one.

use rotunda::{
    authz::{action::ReadMembers, grant::Grant},
    db::{Db, tx::Tx},
    members::{self, Enrolment},
};

async fn enrol(db: &Db, grant: &Grant<ReadMembers>) {
    let mut tx: Tx = db.write(grant).await.unwrap();
    members::enrol(&mut tx, grant, Enrolment::default()).await.unwrap();
}

fn main() {
    let _ = enrol;
}

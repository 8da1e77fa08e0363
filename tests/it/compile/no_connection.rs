//! SQL without a transaction's use cases.

use rotunda::db::{Db, tx::Tx};

fn connection(tx: &mut Tx, db: &Db) {
    tx.conn();
    db.jobs();
}

fn main() {
    let _ = connection;
}

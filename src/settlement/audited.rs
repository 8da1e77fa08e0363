//! What the audit keeps of a settlement's steps.

use super::{Settlement, paying::Method};
use crate::{
    audit::{self, Act, Done, Field},
    db::{error::Error, tx::Tx},
    kernel::ids::SettlementId,
};

/// A step of a whole settlement.
pub(super) async fn step(tx: &mut Tx, act: Act, it: &Settlement) -> Result<(), Error> {
    let done = Done::to(act, it.id)
        .is(Field::Period, it.period.to_string())
        .is(Field::State, it.state.as_str())
        .is(Field::Digest, it.digest.as_deref());
    audit::record(tx, done).await
}

/// A payment that was made.
pub(super) async fn payment(
    tx: &mut Tx,
    id: SettlementId,
    line: i32,
    method: Method,
    reference: &str,
) -> Result<(), Error> {
    let done = Done::to(Act::PaymentRecorded, id)
        .is(Field::Line, line)
        .is(Field::Method, method.as_str())
        .is(Field::Reference, reference);
    audit::record(tx, done).await
}

/// A bank's file that was written or read, and how many lines of it counted.
pub(super) async fn bank_file(
    tx: &mut Tx,
    id: SettlementId,
    act: Act,
    lines: usize,
) -> Result<(), Error> {
    audit::record(tx, Done::to(act, id).is(Field::Count, lines)).await
}

//! The figures of a position, in the order in which every sheet and every document shows them.

use super::calculation::Position;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Whole points.
    Points(i64),
    /// Money in minor units.
    Money(i64),
}

/// What a figure is called in files and in the catalogue of words, and where it stands.
pub type Figure = (&'static str, fn(&Position) -> Amount);

/// All of them.
pub const FIGURES: [Figure; 16] = [
    ("issued", |it| Amount::Points(it.issued)),
    ("taken_back", |it| Amount::Points(it.taken_back)),
    ("redeemed", |it| Amount::Points(it.redeemed)),
    ("given_back", |it| Amount::Points(it.given_back)),
    ("expired", |it| Amount::Points(it.expired)),
    ("own_points", |it| Amount::Points(it.own_points)),
    ("own_value", |it| Amount::Money(it.own_value)),
    ("pays", |it| Amount::Money(it.pays)),
    ("receives", |it| Amount::Money(it.receives)),
    ("funded", |it| Amount::Money(it.funded)),
    ("fee", |it| Amount::Money(it.fee)),
    ("breakage", |it| Amount::Money(it.breakage)),
    ("adjusted", |it| Amount::Money(it.adjusted)),
    ("net", |it| Amount::Money(it.net)),
    ("tax_received", |it| Amount::Money(it.tax_received)),
    ("tax_fee", |it| Amount::Money(it.tax_fee)),
];

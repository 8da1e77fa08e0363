//! What may happen to the books, at random.

use chrono::TimeDelta;
use proptest::prelude::*;

/// What happens, by raw numbers that are taken modulo what there is.
#[derive(Debug, Clone)]
pub enum Op {
    Issue {
        shop: usize,
        points: i64,
        rate: (i64, i64),
        days: Option<i64>,
        /// The only shop that takes them.
        only: Option<usize>,
    },
    Spend {
        shop: usize,
        points: i64,
    },
    Hold {
        points: i64,
        /// The shop that will take them, where it is known.
        only: Option<usize>,
    },
    Capture {
        hold: usize,
        shop: usize,
    },
    Release {
        hold: usize,
    },
    GiveBack {
        spend: usize,
        points: i64,
    },
    Claw {
        lot: usize,
        points: i64,
    },
    Lapse,
}

/// When, to whom, what.
#[derive(Debug, Clone)]
pub struct Step {
    /// Hours after the step before; below zero for what is reported late.
    pub hours: i64,
    pub member: usize,
    pub op: Op,
}

impl Step {
    /// How long after the step before; never the same moment as another step.
    pub fn later(&self) -> TimeDelta {
        TimeDelta::hours(self.hours) + TimeDelta::microseconds(1)
    }
}

/// Any step at all.
pub fn any_step() -> impl Strategy<Value = Step> {
    let days = prop_oneof![Just(None), (0_i64..40).prop_map(Some)];
    let rate = (0_i64..200, 1_i64..100);
    let only = || prop_oneof![3 => Just(None), 1 => any::<usize>().prop_map(Some)];
    let issue = (any::<usize>(), 1_i64..40, rate, days, only()).prop_map(
        |(shop, points, rate, days, only)| Op::Issue {
            shop,
            points,
            rate,
            days,
            only,
        },
    );
    let hold = (1_i64..40, only()).prop_map(|(points, only)| Op::Hold { points, only });
    let spend = (any::<usize>(), 1_i64..60).prop_map(|(shop, points)| Op::Spend { shop, points });
    let back = (any::<usize>(), 1_i64..60);
    let claw = (any::<usize>(), 1_i64..40).prop_map(|(lot, points)| Op::Claw { lot, points });
    let op = prop_oneof![
        6 => issue,
        5 => spend,
        2 => hold,
        1 => (any::<usize>(), any::<usize>()).prop_map(|(hold, shop)| Op::Capture { hold, shop }),
        1 => any::<usize>().prop_map(|hold| Op::Release { hold }),
        3 => back.prop_map(|(spend, points)| Op::GiveBack { spend, points }),
        4 => claw,
        1 => Just(Op::Lapse),
    ];
    (-30_i64..120, any::<usize>(), op).prop_map(|(hours, member, op)| Step { hours, member, op })
}

#![expect(
    clippy::arithmetic_side_effects,
    reason = "the counts of a test stay small"
)]

use super::*;

/// Every act in every state: where it leads, `-` for nowhere.
const TABLE: [(Act, [&str; 9]); 6] = [
    (
        Act::Send,
        ["sending", "sending", "-", "-", "-", "-", "-", "-", "-"],
    ),
    (
        Act::PutOff,
        ["-", "requested", "-", "cancelling", "-", "-", "-", "-", "-"],
    ),
    (
        Act::GiveUp,
        ["-", "failed", "-", "failed", "-", "-", "-", "-", "-"],
    ),
    (
        Act::Retry,
        [
            "requested",
            "-",
            "open",
            "cancelling",
            "-",
            "-",
            "mismatch",
            "requested",
            "-",
        ],
    ),
    (
        Act::Cancel,
        [
            "cancelling",
            "-",
            "cancelling",
            "cancelling",
            "-",
            "-",
            "-",
            "cancelling",
            "void",
        ],
    ),
    (
        Act::Drop,
        ["void", "-", "-", "void", "-", "-", "-", "-", "-"],
    ),
];

#[test]
fn every_act_in_every_state_leads_where_the_table_says_or_nowhere() {
    assert_eq!(TABLE.map(|(act, _)| act), Act::ALL);
    for (act, row) in TABLE {
        for (from, wanted) in LegState::ALL.into_iter().zip(row) {
            let led = step(from, act);
            let said = led.map_or("-", LegState::as_str);
            assert_eq!(said, wanted, "{act:?} from {from:?}");
            if let Err(refused) = led {
                assert_eq!(refused, OutOfStep { act, state: from });
                assert!(refused.to_string().contains(':'), "says what comes next");
            }
        }
    }
}

#[test]
fn no_act_touches_money_that_moved() {
    for act in Act::ALL {
        for state in [LegState::Paid, LegState::Sent] {
            assert!(step(state, act).is_err(), "{act:?} from {state:?}");
        }
    }
}

#[test]
fn words_travel_both_ways() {
    for state in LegState::ALL {
        assert_eq!(LegState::parse(state.as_str()), Some(state));
    }
    for kind in LegKind::ALL {
        assert_eq!(LegKind::parse(kind.as_str()), Some(kind));
    }
    for note in Note::ALL {
        assert_eq!(Note::parse(note.as_str()), Some(note));
    }
    assert_eq!(LegState::parse("done"), None);
}

/// Every order of `0..N`, by Heap's algorithm.
fn orders<const N: usize>(mut each: impl FnMut(&[usize; N])) -> usize {
    let mut order = std::array::from_fn(|place| place);
    let (mut counts, mut place, mut told) = ([0; N], 0, 1);
    each(&order);
    while place < N {
        if counts[place] < place {
            let other = if place % 2 == 0 { 0 } else { counts[place] };
            order.swap(other, place);
            each(&order);
            told += 1;
            counts[place] += 1;
            place = 0;
        } else {
            counts[place] = 0;
            place += 1;
        }
    }
    told
}

const INVOICE: LegKind = LegKind::Invoice;
const TRANSFER: LegKind = LegKind::Transfer;

/// What Stripe sent in the life of one payment: about which of the two, and what.
const LIFE: [(LegKind, Seen, Option<Note>); 8] = [
    (INVOICE, Seen::Draft, None),
    (INVOICE, Seen::Open, None),
    (INVOICE, Seen::Open, None),
    (INVOICE, Seen::Open, Some(Note::PaymentFailed)),
    (INVOICE, Seen::Done, None),
    (INVOICE, Seen::Done, None),
    (TRANSFER, Seen::Done, None),
    (TRANSFER, Seen::Done, None),
];

/// How a call of ours ends.
#[derive(Clone, Copy)]
enum Answer {
    Told(Seen),
    Failed(Act),
}

fn standing(state: LegState) -> Standing {
    Standing { state, note: None }
}

fn answered(kind: LegKind, before: Standing, answer: Answer) -> Standing {
    match answer {
        Answer::Told(seen) => see(kind, before, seen, None),
        // Where something else is known meanwhile, it does not count.
        Answer::Failed(act) => step(before.state, act).map_or(before, standing),
    }
}

/// How high a state is: what ranks higher never falls.
fn rank(state: LegState) -> u8 {
    match state {
        LegState::Requested | LegState::Sending | LegState::Failed => 0,
        LegState::Open | LegState::Cancelling => 1,
        LegState::Void => 2,
        LegState::Mismatch => 3,
        LegState::Paid | LegState::Sent => 4,
    }
}

#[test]
fn every_order_of_what_stripe_sends_comes_to_the_same_end() {
    let told = orders(|order: &[usize; 8]| {
        let (mut invoice, mut transfer) =
            (standing(LegState::Sending), standing(LegState::Sending));
        for place in order {
            let (kind, seen, note) = LIFE[*place];
            let which = if kind == INVOICE {
                &mut invoice
            } else {
                &mut transfer
            };
            let after = see(kind, *which, seen, note);
            assert!(rank(after.state) >= rank(which.state));
            *which = after;
        }
        let end = (invoice, transfer);
        assert_eq!(
            end,
            (standing(LegState::Paid), standing(LegState::Sent)),
            "{order:?}"
        );
    });
    assert_eq!(told, 40_320);
}

/// Our own calls' answers arrive at any moment between, whatever they say.
#[test]
fn our_own_answers_between_them_change_nothing_of_the_end() {
    let answers = [
        (Answer::Told(Seen::Open), Answer::Told(Seen::Done)),
        (Answer::Failed(Act::PutOff), Answer::Failed(Act::GiveUp)),
        (Answer::Failed(Act::GiveUp), Answer::Failed(Act::PutOff)),
    ];
    let mut ends = 0;
    orders(|order: &[usize; 8]| {
        for (first, second) in answers {
            for at in 0..=LIFE.len() {
                let (mut invoice, mut transfer) =
                    (standing(LegState::Sending), standing(LegState::Sending));
                for turn in 0..=LIFE.len() {
                    if turn == at {
                        invoice = answered(INVOICE, invoice, first);
                    }
                    if turn == LIFE.len() - at {
                        transfer = answered(TRANSFER, transfer, second);
                    }
                    let Some(place) = order.get(turn) else {
                        continue;
                    };
                    let (kind, seen, note) = LIFE[*place];
                    if kind == INVOICE {
                        invoice = see(kind, invoice, seen, note);
                    } else {
                        transfer = see(kind, transfer, seen, note);
                    }
                }
                assert_eq!(invoice, standing(LegState::Paid), "{order:?} {at}");
                assert_eq!(transfer, standing(LegState::Sent), "{order:?} {at}");
                ends += 1;
            }
        }
    });
    assert_eq!(ends, 40_320 * 3 * 9);
}

#[test]
fn an_invoice_that_is_not_paid_ends_the_same_in_every_order_too() {
    let ends = |life: [(Seen, Option<Note>); 5], start: LegState, end: Standing| {
        orders(|order: &[usize; 5]| {
            let told = order.iter().fold(standing(start), |before, place| {
                let (seen, note) = life[*place];
                see(INVOICE, before, seen, note)
            });
            assert_eq!(told, end, "{order:?}");
        })
    };
    let late = Some(Note::PaymentFailed);
    let open = [
        (Seen::Draft, None),
        (Seen::Open, None),
        (Seen::Open, late),
        (Seen::Open, Some(Note::Uncollectible)),
        (Seen::Open, late),
    ];
    let written_off = Standing {
        state: LegState::Open,
        note: Some(Note::Uncollectible),
    };
    assert_eq!(ends(open, LegState::Sending, written_off), 120);
    let still_cancelling = Standing {
        state: LegState::Cancelling,
        ..written_off
    };
    ends(open, LegState::Cancelling, still_cancelling);
    let mut voided = open;
    voided[0] = (Seen::Void, None);
    for start in [LegState::Sending, LegState::Cancelling, LegState::Failed] {
        ends(voided, start, standing(LegState::Void));
    }
    // Money in another amount is seen, whatever came before and after.
    voided[1] = (Seen::Otherwise, None);
    ends(voided, LegState::Open, standing(LegState::Mismatch));
}

#[test]
fn a_transfer_that_was_taken_back_was_sent_and_says_so() {
    let reversed = see(
        TRANSFER,
        standing(LegState::Sending),
        Seen::Done,
        Some(Note::Reversed),
    );
    let end = Standing {
        state: LegState::Sent,
        note: Some(Note::Reversed),
    };
    assert_eq!(reversed, end);
    assert_eq!(see(TRANSFER, end, Seen::Done, None), end);
}

//! The figures of settlement.md, section 4, to the digit.
//!
//! Amounts are kept in fen (hundredths), rounded half to even at each step as the product does it,
//! and shown rounded as the source shows them. Where a printed figure comes from rounding what was
//! printed before, the test says so and gives the exact value beside it.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails"
)]

use super::*;

fn ratio(num: i64, den: i64) -> Ratio {
    Ratio::new(num, den).unwrap()
}

/// Fen as whole yuan, half to even.
fn whole(fen: i64) -> i64 {
    nearest(fen.into(), 100).unwrap()
}

/// Whole yuan in fen.
const fn yuan(whole: i64) -> i64 {
    whole * 100
}

#[test]
fn kpmg_10a_and_10b() {
    // 100,000 of goods, 10,000 points of 1, 97 % expected: 9,700 alone.
    let exact = allocate(yuan(100_000), yuan(10_000), ratio(97, 100)).unwrap();
    assert_eq!((exact.goods, exact.points), (9_115_770, 884_230));
    // The source rounds the points' share, 8.84 %, to 9 whole per cent: 91,000 and 9,000.
    let per_cent = nearest(9_700 * 100, 109_700).unwrap();
    let points = share(yuan(100_000), per_cent, 100).unwrap();
    assert_eq!((per_cent, points), (9, yuan(9_000)));

    // Year 2: 4,500 of 9,700 used, exactly 4,175.2577.
    let second = recognise(points, 4_500, ratio(9_700, 1), 0).unwrap();
    assert_eq!((second, whole(second)), (417_526, 4_175));
    // Year 3: 4,000 more, 9,900 expected now; exactly 3,552.0150.
    let third = recognise(points, 8_500, ratio(9_900, 1), second).unwrap();
    assert_eq!((third, whole(third)), (355_201, 3_552));
    // 10B: 9,200 expected now instead; exactly 4,139.9597.
    let third = recognise(points, 8_500, ratio(9_200, 1), second).unwrap();
    assert_eq!((third, whole(third)), (413_996, 4_140));
}

#[test]
fn cas_14_with_its_third_party() {
    // 100,000 of goods, 10,000 points of 1, 95 % expected; exactly 8,675.7991.
    let sale = allocate(yuan(100_000), yuan(10_000), ratio(95, 100)).unwrap();
    assert_eq!((sale.goods, sale.points), (9_132_420, 867_580));
    assert_eq!((whole(sale.goods), whole(sale.points)), (91_324, 8_676));
    // 4,500 of 9,500 used: exactly 4,109.5890.
    let used = recognise(sale.points, 4_500, ratio(9_500, 1), 0).unwrap();
    assert_eq!((used, whole(used)), (410_959, 4_110));
    // Points that a third party honours: 9,000 are owed to it, 1,000 is commission.
    let agency = by_others(yuan(10_000), yuan(9_000)).unwrap();
    assert_eq!(
        (agency.payable, agency.commission),
        (yuan(9_000), yuan(1_000))
    );
}

#[test]
fn mwst_a_mall_of_three_hundred_million() {
    // In ten thousands of yuan with four places, which is whole yuan. Rounding the deferred income itself to whole yuan
    // before going on would give 158.7301 for the first year: the printed 158.7302 needs the fen.
    let sale = allocate(yuan(300_000_000), yuan(3_000_000), ratio(80, 100)).unwrap();
    assert_eq!(
        (whole(sale.goods), whole(sale.points)),
        (29_761_9048, 238_0952)
    );
    let points = 30_000_0000;
    let first = recognise(sale.points, 18_000_0000, ratio(points * 9, 10), 0).unwrap();
    assert_eq!(whole(first), 158_7302);
    let second = recognise(sale.points, 25_000_0000, ratio(points, 1), first).unwrap();
    assert_eq!(whole(second), 39_6825);
    assert_eq!(whole(sale.points - first - second), 39_6825);
}

#[test]
fn shopping_centre_a_of_91up() {
    let sale = allocate(yuan(100_000), yuan(10_000), ratio(98, 100)).unwrap();
    assert_eq!((sale.points, whole(sale.points)), (892_532, 8_925));
    let first = recognise(sale.points, 4_800, ratio(9_500, 1), 0).unwrap();
    assert_eq!((first, whole(first)), (450_964, 4_510));
    // Exactly 3,495.5481. The printed "about 3,495" comes from the printed 8,925 less the printed
    // 4,510: 3,494.90; to the nearest, the exact figure is 3,496.
    let second = recognise(sale.points, 8_700, ratio(9_700, 1), first).unwrap();
    assert_eq!((second, whole(second)), (349_554, 3_496));
    let printed = recognise(yuan(8_925), 8_700, ratio(9_700, 1), yuan(4_510)).unwrap();
    assert_eq!((printed, whole(printed)), (349_490, 3_495));
    // What is left when they lapse: exactly 920.1360, and by the printed figures 920 as well.
    let left = recognise(sale.points, 8_700, ratio(8_700, 1), first + second).unwrap();
    assert_eq!((left, whole(left)), (92_014, 920));
    assert_eq!(8_925 - 4_510 - 3_495, 920);
}

#[test]
fn examw_by_the_older_method() {
    // Ten million of goods, as many points of 0.01, all of it deferred; 80 % expected. The source's
    // 75,000 are six of eight million points.
    let sale = residual(yuan(10_000_000), yuan(100_000)).unwrap();
    assert_eq!((sale.goods, sale.points), (yuan(9_900_000), yuan(100_000)));
    let used = recognise(sale.points, 6_000_000, ratio(8_000_000, 1), 0).unwrap();
    assert_eq!((used, sale.points - used), (yuan(75_000), yuan(25_000)));
}

#[test]
fn acadifi_two_thousand_miles() {
    // $800 and 2,000 miles at 0.012, which is $24.00, 80 % expected: no rounding at all.
    let sale = allocate(80_000, 2_400, ratio(8, 10)).unwrap();
    assert_eq!((sale.goods, sale.points), (78_125, 1_875));
}

#[test]
fn shares_add_up_and_nonsense_is_refused() {
    for (sales, worth) in [(0, 0), (0, 5), (5, 0), (7, 3), (1, 1)] {
        for expected in [ratio(0, 1), ratio(1, 3), Ratio::ONE] {
            let sale = allocate(sales, worth, expected).unwrap();
            assert_eq!(sale.goods + sale.points, sales);
            assert!(sale.points >= 0 && sale.goods >= 0);
        }
    }
    assert_eq!(allocate(-1, 1, Ratio::ONE), Err(AmountError::Negative));
    assert_eq!(residual(1, 2), Err(AmountError::Negative));
    assert_eq!(Ratio::new(1, 0), Err(AmountError::Negative));
    // More used than was expected: all of it, and no more.
    assert_eq!(recognise(100, 7, ratio(5, 1), 30), Ok(70));
    // Nothing can be used any more: the rest.
    assert_eq!(recognise(100, 0, ratio(0, 1), 0), Ok(100));
    // Points came back, so that revenue goes back.
    assert_eq!(recognise(100, 2, ratio(10, 1), 30), Ok(-10));
    assert_eq!(ratio(1, 2).expected(3, 5), Ok(ratio(11, 2)));
    // A half goes to the even neighbour, above zero and below.
    assert_eq!(
        [1, 3, -1, -3].map(|n| share(n, 1, 2).unwrap()),
        [0, 2, 0, -2]
    );
    assert_eq!(
        allocate(i64::MAX, i64::MAX, ratio(i64::MAX - 1, i64::MAX)),
        Err(AmountError::Overflow)
    );
}

//! What each trade of the demo mall sells, how often, when and for how much. All figures are invented.

/// A trade, as `tenants/demo/merchants.toml` names it.
#[derive(Debug)]
pub(super) struct Trade {
    pub(super) name: &'static str,
    /// Its part of all visits, in tenths of a percent; all of them are 1000.
    pub(super) share: u64,
    /// The mean number of lines on a receipt, in tenths.
    pub(super) lines: u64,
    /// Its hours: from the first to before the second.
    pub(super) open: (u32, u32),
    /// Its busy hours, both ends included.
    pub(super) peaks: &'static [(u32, u32)],
    /// How many visits a day of the weekend has, in percent of a working day's.
    pub(super) weekend: u64,
    pub(super) sells: &'static [Ware],
}

/// What a line of a receipt may be.
#[derive(Debug)]
pub(super) struct Ware {
    pub(super) category: &'static str,
    /// What one costs, in fen: the least, the usual, the most.
    pub(super) price: (i64, i64, i64),
    /// Its part of the trade's lines, in percent.
    pub(super) part: u64,
}

const fn ware(category: &'static str, price: (i64, i64, i64), part: u64) -> Ware {
    Ware {
        category,
        price,
        part,
    }
}

/// All trades.
pub(super) const TRADES: &[Trade] = &[
    Trade {
        name: "supermarket",
        share: 190,
        lines: 40,
        open: (8, 22),
        peaks: &[(11, 12), (17, 20)],
        weekend: 140,
        sells: &[
            ware("fresh food", (3_50, 15_80, 98_00), 40),
            ware("groceries", (2_50, 18_90, 128_00), 34),
            ware("household", (5_90, 25_90, 159_00), 16),
            ware("tea", (12_00, 38_00, 168_00), 3),
            ware("tobacco", (15_00, 26_00, 100_00), 5),
            ware("gift card", (100_00, 200_00, 1000_00), 2),
        ],
    },
    Trade {
        name: "tea",
        share: 130,
        lines: 14,
        open: (9, 22),
        peaks: &[(13, 16), (19, 21)],
        weekend: 130,
        sells: &[
            ware("tea", (9_00, 18_00, 36_00), 82),
            ware("snack", (5_00, 12_00, 29_00), 13),
            ware("teaware", (39_00, 88_00, 398_00), 3),
            ware("gift card", (50_00, 100_00, 300_00), 2),
        ],
    },
    Trade {
        name: "coffee",
        share: 100,
        lines: 13,
        open: (7, 21),
        peaks: &[(8, 10), (13, 15)],
        weekend: 90,
        sells: &[
            ware("coffee", (12_00, 26_00, 42_00), 76),
            ware("tea", (15_00, 22_00, 34_00), 6),
            ware("pastry", (9_00, 18_00, 38_00), 14),
            ware("coffee beans", (48_00, 79_00, 168_00), 3),
            ware("gift card", (50_00, 100_00, 300_00), 1),
        ],
    },
    Trade {
        name: "bakery",
        share: 90,
        lines: 18,
        open: (7, 22),
        peaks: &[(8, 9), (17, 20)],
        weekend: 120,
        sells: &[
            ware("bread", (5_00, 12_80, 38_00), 64),
            ware("pastry", (6_00, 15_80, 58_00), 24),
            ware("cake", (88_00, 168_00, 398_00), 8),
            ware("gift card", (100_00, 200_00, 500_00), 4),
        ],
    },
    Trade {
        name: "dessert",
        share: 30,
        lines: 15,
        open: (11, 22),
        peaks: &[(15, 17), (20, 21)],
        weekend: 150,
        sells: &[
            ware("dessert", (12_00, 24_00, 48_00), 84),
            ware("tea", (10_00, 16_00, 26_00), 9),
            ware("snack", (6_00, 12_00, 22_00), 7),
        ],
    },
    Trade {
        name: "noodles",
        share: 80,
        lines: 18,
        open: (7, 21),
        peaks: &[(11, 13), (17, 19)],
        weekend: 110,
        sells: &[
            ware("noodles", (14_00, 26_00, 58_00), 62),
            ware("side dish", (3_00, 9_00, 22_00), 26),
            ware("drink", (4_00, 8_00, 15_00), 12),
        ],
    },
    Trade {
        name: "hotpot",
        share: 40,
        lines: 40,
        open: (11, 23),
        peaks: &[(12, 13), (18, 21)],
        weekend: 180,
        sells: &[
            ware("hotpot", (38_00, 78_00, 168_00), 30),
            ware("meat and seafood", (26_00, 56_00, 138_00), 38),
            ware("vegetables", (9_00, 18_00, 36_00), 20),
            ware("drink", (6_00, 16_00, 48_00), 12),
        ],
    },
    Trade {
        name: "grill",
        share: 30,
        lines: 40,
        open: (11, 23),
        peaks: &[(12, 13), (18, 21)],
        weekend: 180,
        sells: &[
            ware("meat and seafood", (32_00, 62_00, 188_00), 60),
            ware("side dish", (9_00, 19_00, 36_00), 24),
            ware("drink", (6_00, 18_00, 68_00), 16),
        ],
    },
    Trade {
        name: "cinema",
        share: 50,
        lines: 20,
        open: (10, 24),
        peaks: &[(14, 16), (19, 22)],
        weekend: 220,
        sells: &[
            ware("ticket", (29_90, 45_00, 128_00), 66),
            ware("popcorn", (18_00, 28_00, 58_00), 22),
            ware("drink", (8_00, 15_00, 28_00), 10),
            ware("gift card", (100_00, 200_00, 500_00), 2),
        ],
    },
    Trade {
        name: "playground",
        share: 20,
        lines: 13,
        open: (10, 21),
        peaks: &[(10, 12), (14, 17)],
        weekend: 250,
        sells: &[
            ware("play ticket", (58_00, 88_00, 168_00), 68),
            ware("workshop", (39_00, 68_00, 128_00), 16),
            ware("snack", (5_00, 12_00, 28_00), 16),
        ],
    },
    Trade {
        name: "bookshop",
        share: 25,
        lines: 16,
        open: (10, 22),
        peaks: &[(14, 18)],
        weekend: 170,
        sells: &[
            ware("book", (22_00, 48_00, 168_00), 64),
            ware("children's book", (18_00, 36_00, 128_00), 22),
            ware("stationery", (5_00, 19_00, 98_00), 9),
            ware("tea", (18_00, 26_00, 38_00), 3),
            ware("gift card", (100_00, 100_00, 300_00), 2),
        ],
    },
    Trade {
        name: "stationery",
        share: 20,
        lines: 22,
        open: (10, 22),
        peaks: &[(16, 20)],
        weekend: 140,
        sells: &[
            ware("pen", (3_00, 9_90, 128_00), 38),
            ware("paper", (4_00, 14_80, 58_00), 38),
            ware("art supplies", (12_00, 36_00, 198_00), 24),
        ],
    },
    Trade {
        name: "toys",
        share: 20,
        lines: 14,
        open: (10, 22),
        peaks: &[(14, 19)],
        weekend: 200,
        sells: &[
            ware("toy", (19_00, 79_00, 499_00), 48),
            ware("blind box", (39_00, 59_00, 79_00), 34),
            ware("puzzle and game", (29_00, 88_00, 298_00), 18),
        ],
    },
    Trade {
        name: "childrenswear",
        share: 15,
        lines: 16,
        open: (10, 22),
        peaks: &[(14, 19)],
        weekend: 190,
        sells: &[
            ware("children's clothing", (49_00, 129_00, 459_00), 68),
            ware("children's shoes", (89_00, 169_00, 399_00), 18),
            ware("accessories", (15_00, 39_00, 99_00), 14),
        ],
    },
    Trade {
        name: "fashion",
        share: 25,
        lines: 14,
        open: (10, 22),
        peaks: &[(14, 20)],
        weekend: 180,
        sells: &[
            ware("clothing", (99_00, 269_00, 1280_00), 74),
            ware("accessories", (39_00, 99_00, 399_00), 18),
            ware("alteration", (20_00, 30_00, 80_00), 6),
            ware("gift card", (200_00, 300_00, 1000_00), 2),
        ],
    },
    Trade {
        name: "sportswear",
        share: 20,
        lines: 14,
        open: (10, 22),
        peaks: &[(14, 20)],
        weekend: 170,
        sells: &[
            ware("sports clothing", (79_00, 199_00, 799_00), 46),
            ware("sports shoes", (199_00, 429_00, 1199_00), 32),
            ware("equipment", (19_00, 89_00, 899_00), 22),
        ],
    },
    Trade {
        name: "cosmetics",
        share: 20,
        lines: 15,
        open: (10, 22),
        peaks: &[(14, 20)],
        weekend: 150,
        sells: &[
            ware("skin care", (59_00, 189_00, 980_00), 54),
            ware("make-up", (39_00, 129_00, 460_00), 36),
            ware("fragrance", (168_00, 398_00, 1180_00), 8),
            ware("gift card", (200_00, 300_00, 1000_00), 2),
        ],
    },
    Trade {
        name: "pharmacy",
        share: 30,
        lines: 16,
        open: (8, 22),
        peaks: &[(10, 12), (17, 20)],
        weekend: 100,
        sells: &[
            ware("medicine", (8_00, 28_00, 198_00), 62),
            ware("health food", (39_00, 98_00, 398_00), 16),
            ware("personal care", (6_00, 25_00, 128_00), 22),
        ],
    },
    Trade {
        name: "optician",
        share: 4,
        lines: 13,
        open: (10, 21),
        peaks: &[(14, 18)],
        weekend: 160,
        sells: &[
            ware("glasses", (298_00, 698_00, 2980_00), 46),
            ware("contact lenses", (59_00, 149_00, 398_00), 40),
            ware("eye care", (15_00, 39_00, 98_00), 14),
        ],
    },
    Trade {
        name: "florist",
        share: 9,
        lines: 11,
        open: (9, 21),
        peaks: &[(16, 19)],
        weekend: 140,
        sells: &[
            ware("flowers", (15_00, 88_00, 520_00), 70),
            ware("plant", (19_00, 49_00, 298_00), 22),
            ware("workshop", (128_00, 168_00, 298_00), 8),
        ],
    },
    Trade {
        name: "homeware",
        share: 12,
        lines: 17,
        open: (10, 22),
        peaks: &[(14, 19)],
        weekend: 170,
        sells: &[
            ware("bedding", (99_00, 299_00, 1299_00), 20),
            ware("tableware", (12_00, 49_00, 399_00), 42),
            ware("home fragrance", (39_00, 98_00, 298_00), 38),
        ],
    },
    Trade {
        name: "pets",
        share: 10,
        lines: 14,
        open: (10, 21),
        peaks: &[(14, 19)],
        weekend: 160,
        sells: &[
            ware("pet food", (19_00, 89_00, 459_00), 54),
            ware("pet supplies", (12_00, 45_00, 299_00), 28),
            ware("grooming", (58_00, 118_00, 398_00), 18),
        ],
    },
    Trade {
        name: "gym",
        share: 5,
        lines: 11,
        open: (7, 22),
        peaks: &[(18, 20)],
        weekend: 80,
        sells: &[
            ware("membership", (298_00, 398_00, 2680_00), 26),
            ware("class", (39_00, 69_00, 299_00), 52),
            ware("drink", (6_00, 15_00, 28_00), 22),
        ],
    },
    Trade {
        name: "salon",
        share: 8,
        lines: 12,
        open: (10, 21),
        peaks: &[(14, 19)],
        weekend: 160,
        sells: &[
            ware("haircut", (58_00, 98_00, 288_00), 66),
            ware("colour and perm", (298_00, 498_00, 1280_00), 18),
            ware("hair care", (49_00, 128_00, 398_00), 16),
        ],
    },
    Trade {
        name: "electronics",
        share: 5,
        lines: 12,
        open: (10, 22),
        peaks: &[(14, 20)],
        weekend: 150,
        sells: &[
            ware("device", (499_00, 2299_00, 9999_00), 30),
            ware("accessory", (29_00, 99_00, 599_00), 56),
            ware("repair", (50_00, 180_00, 899_00), 12),
            ware("gift card", (200_00, 500_00, 1000_00), 2),
        ],
    },
    Trade {
        name: "jeweller",
        share: 2,
        lines: 11,
        open: (10, 22),
        peaks: &[(14, 19)],
        weekend: 180,
        sells: &[
            ware("gold", (880_00, 2980_00, 18800_00), 52),
            ware("silver", (129_00, 359_00, 1280_00), 36),
            ware("jewellery care", (30_00, 60_00, 200_00), 12),
        ],
    },
    Trade {
        name: "parking",
        share: 8,
        lines: 10,
        open: (0, 24),
        peaks: &[(17, 22)],
        weekend: 150,
        sells: &[
            ware("parking", (5_00, 15_00, 60_00), 88),
            ware("charging", (12_00, 32_00, 90_00), 10),
            ware("car wash", (38_00, 58_00, 98_00), 2),
        ],
    },
    Trade {
        name: "service",
        share: 2,
        lines: 11,
        open: (10, 22),
        peaks: &[(11, 20)],
        weekend: 150,
        sells: &[
            ware("gift wrapping", (10_00, 15_00, 38_00), 50),
            ware("delivery", (12_00, 20_00, 40_00), 30),
            ware("gift card", (100_00, 300_00, 1000_00), 20),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_visits_and_of_lines_are_whole() {
        assert_eq!(TRADES.iter().map(|trade| trade.share).sum::<u64>(), 1000);
        for trade in TRADES {
            let parts: u64 = trade.sells.iter().map(|ware| ware.part).sum();
            assert_eq!(parts, 100, "{}", trade.name);
            for ware in trade.sells {
                let (low, usual, high) = ware.price;
                assert!(low <= usual && usual <= high, "{}", ware.category);
            }
        }
    }
}

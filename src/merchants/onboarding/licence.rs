//! The number by which a country knows a company. Pure.
//!
//! Source: GB 32100-2015, the unified social credit code: 18 digits and letters, the last of which is
//! computed of the 17 before it.

/// What stands at the places of a code, by its value: no I, O, S, V and Z.
const DIGITS: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

/// How much each of the first 17 places weighs: the powers of 3 modulo 31.
const WEIGHTS: [usize; 17] = [
    1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28,
];

/// The longest number of another country's.
const LONGEST: usize = 40;

/// The number in the one form that is compared: without spaces, in capitals; none where it is none of
/// that country's. `country` is a code of ISO 3166, such as CN.
pub fn normal(country: &str, number: &str) -> Option<String> {
    let number: String = number
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .map(|letter| letter.to_ascii_uppercase())
        .collect();
    let right = if country == "CN" {
        is_unified(&number)
    } else {
        let plain = |letter: char| letter.is_alphanumeric() || "-./".contains(letter);
        (2..=LONGEST).contains(&number.chars().count()) && number.chars().all(plain)
    };
    right.then_some(number)
}

fn is_unified(code: &str) -> bool {
    let value = |byte: u8| DIGITS.iter().position(|digit| *digit == byte);
    let values: Option<Vec<usize>> = code.bytes().map(value).collect();
    let Some((last, body)) = values.as_deref().and_then(<[usize]>::split_last) else {
        return false;
    };
    if body.len() != WEIGHTS.len() {
        return false;
    }
    let sum: usize = body
        .iter()
        .zip(WEIGHTS)
        .map(|(value, weight)| value * weight)
        .sum();
    (31 - sum % 31) % 31 == *last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unified_code_stands_or_falls_by_its_last_place() {
        // The example of the standard's annex.
        let example = "91350100M000100Y43";
        assert_eq!(normal("CN", example).as_deref(), Some(example));
        assert_eq!(
            normal("CN", " 9135 0100 m000100y43").as_deref(),
            Some(example)
        );
        for at in 0..18 {
            let mut changed = example.as_bytes().to_vec();
            changed[at] = if changed[at] == b'5' { b'6' } else { b'5' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(normal("CN", &changed), None, "{changed}");
        }
        for bad in [
            "",
            "91350100M000100Y4",
            "91350100M000100Y433",
            "９１３５０１００M000100Y43",
        ] {
            assert_eq!(normal("CN", bad), None, "{bad}");
        }
    }

    #[test]
    fn other_countries_have_other_forms_up_to_forty_characters() {
        assert!(normal("TW", "53212539").is_some());
        assert!(normal("DE", "HRB 12345-B").is_some());
        assert!(normal("GB", &"7".repeat(41)).is_none());
        assert!(normal("GB", "1;drop").is_none() && normal("GB", "").is_none());
    }
}

//! Comma-separated values (RFC 4180) that a spreadsheet opens and does not run.

/// What makes a spreadsheet take the file for UTF-8.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Text of somebody else as a cell that no spreadsheet runs: what could begin a formula gets an
/// apostrophe before it. Numbers of ours go in as they are, their minus included.
pub fn cell(text: &str) -> String {
    let risky = [
        '=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠', '−',
    ];
    let begins = text.trim_start_matches([' ', '\u{3000}', '\u{a0}']);
    let guarded = if begins.starts_with(risky) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if guarded.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_never_begins_a_formula_and_never_ends_early() {
        for text in [
            "=1+1", "+1", "-1", "@sum", "\tx", "\rx", "＝1", "－1", " =1", "＠x",
        ] {
            assert!(
                cell(text).trim_start_matches('"').starts_with('\''),
                "{text}"
            );
        }
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(cell("lantern-tea"), "lantern-tea");
    }
}

//! Tables for people.

use std::io::{self, Write};

/// Columns under their heads, two spaces between: the first to the left, the others to the right.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |cells: &[String; N]| {
        let cells = cells.iter().zip(widths).enumerate();
        let padded = cells.map(|(place, (cell, width))| {
            if place == 0 {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        let line: Vec<String> = padded.collect();
        format!("{}\n", line.join("  ").trim_end())
    };
    let head = line(&head.map(str::to_owned));
    let lines = rows.iter().map(line);
    std::iter::once(head).chain(lines).collect()
}

/// Data goes to the standard output as it is.
///
/// # Errors
/// What the output says, such as that nobody reads it any more.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Talk goes to the standard error, a line at a time.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_under_each_other() {
        let rows = [
            ["a".to_owned(), "1.00".to_owned()],
            ["bc".to_owned(), "-12.50".to_owned()],
        ];
        assert_eq!(
            table(["who", "net"], &rows),
            "who     net\na      1.00\nbc   -12.50\n"
        );
    }
}

//! Tables for people.

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

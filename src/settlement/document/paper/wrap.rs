//! A text in lines that are no wider than their column.

use super::Typeface;

/// What a text is printed as: what turns the direction of writing or has no shape is left out, every
/// kind of space is one.
pub(super) fn plain(text: &str) -> String {
    let shown = |letter: char| match letter {
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{ad}' => None,
        other if other.is_whitespace() => Some(' '),
        other if other.is_control() => None,
        other => Some(other),
    };
    text.chars().filter_map(shown).collect()
}

/// The lines: broken at spaces and after every Chinese character; a word that is wider than the
/// column is broken where it is full. At least one.
pub(super) fn wrap(face: &Typeface, text: &str, size: f32, width: f32) -> Vec<String> {
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0.0_f32);
    for piece in pieces(&plain(text)) {
        let wide = face.width_of(&piece) * size;
        if used + face.width_of(piece.trim_end()) * size > width && !line.is_empty() {
            lines.push(line.trim_end().to_owned());
            line.clear();
            used = 0.0;
        }
        if wide <= width {
            line.push_str(&piece);
            used += wide;
            continue;
        }
        for letter in piece.chars() {
            let step = face.width(letter) * size;
            if used + step > width && !line.is_empty() {
                lines.push(line.clone());
                line.clear();
                used = 0.0;
            }
            line.push(letter);
            used += step;
        }
    }
    if !line.trim_end().is_empty() || lines.is_empty() {
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// Words with the space behind them, and single Chinese characters with the marks behind them.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut open = false;
    for letter in text.chars() {
        let joins = open || closes(letter);
        match pieces.last_mut() {
            Some(last) if joins => last.push(letter),
            _ => pieces.push(letter.to_string()),
        }
        open = letter != ' ' && !is_wide(letter);
    }
    pieces
}

fn is_wide(letter: char) -> bool {
    letter >= '\u{2e80}'
}

/// What may not begin a line.
fn closes(letter: char) -> bool {
    matches!(
        letter,
        ' ' | '，' | '。' | '；' | '：' | '、' | '）' | '》' | '”' | '！' | '？' | ')' | ','
    )
}

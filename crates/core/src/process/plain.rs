//! Text of a worker, fit for a log: nothing in it moves a cursor, colours a terminal or turns the
//! direction of writing, and it is not longer than a person reads.

use std::borrow::Cow;

/// Bytes of one text that are passed on.
pub const MAX_TEXT: usize = 32 * 1024;

const ESCAPE: char = '\u{1b}';
/// What ends the text that such a sequence carries.
const BELL: char = '\u{7}';

/// The text without control sequences, cut where it is too long. Line breaks and tabs stay.
pub fn plain(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_TEXT && !text.chars().any(is_control) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len().min(MAX_TEXT));
    let mut left = text.chars();
    while let Some(character) = left.next() {
        match character {
            ESCAPE => left = after_escape(left),
            '\u{9b}' => left = after_parameters(left),
            _ if is_control(character) => {}
            _ if kept.len() + character.len_utf8() > MAX_TEXT => {
                let surplus = character.len_utf8() + left.as_str().len();
                return format!("{kept}… ({surplus} bytes more)").into();
            }
            _ => kept.push(character),
        }
    }
    kept.into()
}

/// C0 but for tabs and line breaks, DEL, C1, and what turns the direction of writing.
fn is_control(character: char) -> bool {
    match character {
        '\t' | '\n' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' => true,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => character.is_control(),
    }
}

fn after_escape(mut left: std::str::Chars<'_>) -> std::str::Chars<'_> {
    let begun = left.clone();
    match left.next() {
        Some('[') => after_parameters(left),
        // Text for the terminal: a title, a link, … up to BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => after_text(left),
        Some(' '..='/') => {
            // Designates a set of characters: one more names it.
            left.next();
            left
        }
        Some('0'..='~') => left,
        // No sequence: what is there stands for itself.
        _ => begun,
    }
}

/// Behind `ESC [ … letter`.
fn after_parameters(mut left: std::str::Chars<'_>) -> std::str::Chars<'_> {
    loop {
        let before = left.clone();
        match left.next() {
            Some('\u{20}'..='\u{3f}') => {}
            Some('\u{40}'..='\u{7e}') => return left,
            _ => return before,
        }
    }
}

fn after_text(mut left: std::str::Chars<'_>) -> std::str::Chars<'_> {
    let begun = left.clone();
    while let Some(character) = left.next() {
        match character {
            BELL | '\u{9c}' => return left,
            ESCAPE => {
                left.next();
                return left;
            }
            _ => {}
        }
    }
    // It has no end, so it is none: what follows may be all that there is to read.
    begun
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_titles_and_turns_go_and_text_stays() {
        for (written, shown) in [
            ("plain é 50 %\ttab\nnext", "plain é 50 %\ttab\nnext"),
            ("\u{1b}[1;31mred\u{1b}[0m!", "red!"),
            ("\u{9b}31mred", "red"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}(Btext\u{1b}=", "text"),
            ("10 %\r20 %\u{8}\u{0}", "10 %20 %"),
            ("a\u{202e}b\u{2066}c\u{200f}", "abc"),
            ("\u{1b}]no end", "no end"),
            ("\u{1b}[31", ""),
            ("\u{1b}é", "é"),
            ("\u{1b}", ""),
        ] {
            assert_eq!(plain(written), shown, "{written:?}");
        }
    }

    #[test]
    fn long_texts_are_cut_and_say_by_how_much() {
        let text = "é".repeat(MAX_TEXT);
        let cut = plain(&text);
        assert!(
            cut.ends_with(&format!("é… ({MAX_TEXT} bytes more)")),
            "{}",
            &cut[cut.len() - 50..]
        );
    }

    proptest! {
        #[test]
        fn nothing_is_left_that_controls(text in ".*|(\u{1b}|\\[|\\]|;|[a-m0-9]|\u{9b}|\u{7}|\u{202e}|\n)*") {
            let shown = plain(&text);
            prop_assert!(!shown.chars().any(is_control));
            prop_assert_eq!(plain(&shown), shown.clone());
        }
    }
}

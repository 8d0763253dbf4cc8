//! What a tool may be called, a worker's or a host's.

/// Longest name in bytes.
pub(crate) const MAX_TOOL_NAME: usize = 64;

/// The rule, for whoever broke it.
pub(crate) const TOOL_NAME_RULE: &str =
    "1 to 64 of A-Z a-z 0-9 _ . -, and begins with a letter or digit";

/// Whether a tool may have that name: `[A-Za-z0-9][A-Za-z0-9_.-]{0,63}`.
pub(crate) fn is_tool_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    first && rest && name.len() <= MAX_TOOL_NAME
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        for good in ["a", "7", "hash", "Hash.v2", "a-b_c.d", &"x".repeat(MAX_TOOL_NAME)] {
            assert!(is_tool_name(good), "{good}");
        }
        for bad in ["", "_a", ".a", "-a", "a b", "ä", "a/b", "a\n", &"x".repeat(65)] {
            assert!(!is_tool_name(bad), "{bad:?}");
        }
    }
}

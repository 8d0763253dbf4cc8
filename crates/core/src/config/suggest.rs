//! The known name that was meant, most likely.

/// The one of `known` that takes the fewest changes, if they are few.
pub(crate) fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let best = known.iter().map(|known| (changes(name, known), *known)).min()?;
    (best.0 <= name.len().max(3) / 3).then_some(best.1)
}

/// Letters to add, remove, replace, or swap with their neighbour.
pub(crate) fn changes(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![(0..=to.len()).collect::<Vec<_>>()];
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(a != b);
            let mut least = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_slip_is_recognized_and_another_word_is_not() {
        let known = ["size", "timeout", "max_queue"];
        assert_eq!(closest("siez", &known), Some("size"));
        assert_eq!(closest("time_out", &known), Some("timeout"));
        assert_eq!(closest("maxqueue", &known), Some("max_queue"));
        assert_eq!(closest("workers", &known), None);
    }
}

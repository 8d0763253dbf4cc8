//! Sets of processors as the kernel writes them: `0-3,8`.

use std::collections::BTreeSet;

/// More than any kernel is built for; a garbled range must not fill the memory.
const MOST: usize = 1 << 16;

/// The numbers of a list; what cannot be read is left out.
pub(crate) fn numbers(text: &str) -> BTreeSet<usize> {
    let read = |part: &str| part.trim().parse::<usize>().ok().filter(|&number| number < MOST);
    let range = |part: &str| match part.split_once('-') {
        Some((first, last)) => Some(read(first)?..=read(last)?),
        None => read(part).map(|number| number..=number),
    };
    text.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_and_numbers_are_read() {
        let read = |text| numbers(text).into_iter().collect::<Vec<_>>();
        assert_eq!(read("0-2,5,8-9\n"), [0, 1, 2, 5, 8, 9]);
        assert_eq!(read(""), [0; 0]);
        assert_eq!(read("x,3-1,-2,4-,99999999999999999999,7"), [7]);
        assert_eq!(read("0-18446744073709551615"), [0; 0]);
    }

    proptest! {
        #[test]
        fn nothing_is_too_garbled(text in "\\PC{0,60}") {
            prop_assert!(numbers(&text).len() <= MOST);
        }
    }
}

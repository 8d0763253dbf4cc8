//! Patterns of messages: text with `{}` where something is told, and how that is read.

/// What stands at the places of `{}` in `pattern`, which may begin anywhere in `text` and is all on
/// one line. A `{}` takes as little as it can; at the end it takes the rest of the line.
pub(super) fn find<'t, const N: usize>(pattern: &str, text: &'t str) -> Option<[&'t str; N]> {
    let mut literals = pattern.split("{}");
    let first = literals.next()?;
    text.match_indices(first).find_map(|(start, _)| {
        let line = text[start + first.len()..].split('\n').next()?;
        captures(literals.clone(), line)
    })
}

fn captures<'p, 't, const N: usize>(
    literals: impl Iterator<Item = &'p str>,
    mut line: &'t str,
) -> Option<[&'t str; N]> {
    let mut found = [""; N];
    let mut places = found.iter_mut();
    for literal in literals {
        let end = if literal.is_empty() { line.len() } else { line.find(literal)? };
        *places.next()? = &line[..end];
        line = &line[end + literal.len()..];
    }
    places.next().is_none().then_some(found)
}

/// `(2, 3)`, `[2, 3]`, `[2 x 3]`, `2x3`, `torch.Size([2, 3])`, `6`.
pub(super) fn shape(text: &str) -> Option<Vec<u64>> {
    let text = text.trim().trim_end_matches('.');
    let text =
        text.strip_prefix("torch.Size(").and_then(|text| text.strip_suffix(')')).unwrap_or(text);
    let inner = match text.as_bytes() {
        [b'(', .., b')'] | [b'[', .., b']'] => &text[1..text.len() - 1],
        _ => text,
    };
    let lengths = inner.strip_suffix(',').unwrap_or(inner);
    if lengths.is_empty() {
        return (inner != text).then(Vec::new); // () is the shape of a scalar
    }
    lengths.split([',', 'x']).map(number).collect()
}

pub(super) fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// `2.00 GiB`, `512 MB`, `4000000000000 bytes`, `8,589,934,592 bytes`. Libraries write MB and mean
/// MiB.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let number = number.replace(',', "");
    let factor = match unit.trim_end_matches('.') {
        "bytes" | "B" => return number.parse().ok(),
        "KiB" | "KB" => 1_u64 << 10,
        "MiB" | "MB" => 1 << 20,
        "GiB" | "GB" => 1 << 30,
        "TiB" | "TB" => 1 << 40,
        "PiB" | "PB" => 1 << 50,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    (0.0..1e9).contains(&number).then(|| (number * factor as f64).round() as u64)
}

/// A name without blanks, as of a function.
pub(super) fn name(text: &str) -> Option<String> {
    let is_part = |c: char| c.is_alphanumeric() || "_.:".contains(c);
    (!text.is_empty() && text.chars().all(is_part)).then(|| text.to_owned())
}

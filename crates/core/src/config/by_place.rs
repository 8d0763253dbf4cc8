//! A variable whose value depends on the worker's place in its pool: which device is its own.

use std::ffi::{OsStr, OsString};

/// The one name that a value may speak of.
const PLACE: &str = "slot";

/// Between directories, on the one system that there is.
const SEPARATOR: &str = ":";

/// What a variable is in each place of a pool. Places count from 0, and a worker that replaces
/// another has its number: also while that one still serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByPlace {
    values: Vec<String>,
    /// Directories before each of them.
    front: OsString,
}

impl ByPlace {
    /// Values that the places have in turn, in which `{slot}` stands for the place's number, and
    /// `{{name}}` for `{name}`. All else is left as it is: braces mean nothing around anything but
    /// a name in lower case.
    ///
    /// # Errors
    /// Says what is wrong with them, and what would be right.
    pub fn new(values: Vec<String>) -> Result<Self, String> {
        if values.is_empty() {
            return Err("a list needs at least one value".into());
        }
        match values.iter().find_map(|value| expanded(value, 0).err()) {
            Some(name) => Err(format!(
                "there is no {{{name}}}; {{{PLACE}}} is the worker's place, and {{{{{name}}}}} \
                 stands for braces around a name"
            )),
            None => Ok(Self { values, front: OsString::new() }),
        }
    }

    /// The value in one place.
    pub fn at(&self, place: usize) -> OsString {
        let text = &self.values[place % self.values.len()];
        let value = expanded(text, place).unwrap_or_else(|_| text.clone());
        let mut all = self.front.clone();
        if !all.is_empty() && !value.is_empty() {
            all.push(SEPARATOR);
        }
        all.push(value);
        all
    }

    /// Has each value, which is a list of directories, begin with `front`; braces mean nothing there.
    pub fn put_in_front(&mut self, front: &OsStr) {
        self.front = front.into();
    }

    /// The value, where it is the same in all places.
    pub(super) fn everywhere(&self) -> Option<OsString> {
        match &*self.values {
            [one] => expanded(one, 0).ok().filter(|text| Ok(text) == expanded(one, 1).as_ref()),
            _ => None,
        }
        .map(Into::into)
    }
}

/// The text in one place, or the unknown name that it speaks of.
fn expanded(text: &str, place: usize) -> Result<String, &str> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(brace) = rest.find('{') {
        result.push_str(&rest[..brace]);
        rest = &rest[brace..];
        if let Some((name, behind)) = named(rest, "{{", "}}") {
            result.extend(["{", name, "}"]);
            rest = behind;
        } else if let Some((name, behind)) = named(rest, "{", "}") {
            if name != PLACE {
                return Err(name);
            }
            result.push_str(&place.to_string());
            rest = behind;
        } else {
            result.push('{');
            rest = &rest[1..];
        }
    }
    result.push_str(rest);
    Ok(result)
}

/// The name between two marks at the front of a text, and what is behind.
fn named<'a>(text: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str)> {
    let (name, behind) = text.strip_prefix(open)?.split_once(close)?;
    let letter = |c: char| c == '_' || c.is_ascii_lowercase();
    let fits = name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit());
    fits.then_some((name, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(values: &[&str], place: usize) -> OsString {
        let values = values.iter().map(ToString::to_string).collect();
        ByPlace::new(values).expect("good values").at(place)
    }

    #[test]
    fn a_place_is_written_in_and_lists_go_around() {
        assert_eq!(at(&["{slot}"], 7), "7");
        assert_eq!(at(&["/scratch/{slot}/{slot}"], 12), "/scratch/12/12");
        let devices = ["GPU-a", "GPU-b{slot}"];
        assert_eq!(
            [0, 1, 2, 3].map(|place| at(&devices, place)),
            ["GPU-a", "GPU-b1", "GPU-a", "GPU-b3"]
        );
    }

    #[test]
    fn braces_around_anything_else_are_braces() {
        for text in
            ["{\"a\": {\"b\": 1}}", "{}", "{{}}", "${HOME}", "{", "}", "{0}", "{Slot}", "ü{"]
        {
            assert_eq!(at(&[text], 3), text);
        }
        assert_eq!(at(&["{{slot}} {{message}} {{{slot}}}"], 3), "{slot} {message} {{slot}}");
    }

    #[test]
    fn an_unknown_name_is_refused_with_both_ways_out() {
        let told = ByPlace::new(vec!["{slto}".into()]).expect_err("misspelt");
        assert!(told.contains("no {slto}") && told.contains("{slot} is"), "{told}");
        assert!(told.contains("{{slto}} stands"), "{told}");
        assert!(ByPlace::new(Vec::new()).is_err());
    }

    #[test]
    fn what_is_the_same_everywhere_is_told() {
        let of = |text: &str| ByPlace::new(vec![text.into()]).expect("good").everywhere();
        assert_eq!(of("{{slot}}"), Some("{slot}".into()));
        assert_eq!(of("{slot}"), None);
        assert_eq!(ByPlace::new(vec!["0".into(), "1".into()]).expect("good").everywhere(), None);
    }
}

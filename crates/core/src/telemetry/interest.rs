//! What somebody wants to hear, as a set that one load of an atomic answers for.

use super::{CATALOGUE, PYTHON, Spec};

/// A set of events: one bit for each of the catalogue, and one for all that adapters tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest(pub(super) u64);

impl Interest {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self(u64::MAX);
    /// What adapters tell, by names that begin with `snakepit.python.`.
    pub const ADAPTERS: Self = Self(1 << 63);

    /// The events of these names. One that is not of the catalogue is an adapter's, or nobody's.
    pub fn in_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let of = |name: &str| {
            let spec = CATALOGUE.iter().find(|spec| spec.name == name);
            let adapters = if name.starts_with(PYTHON) { Self::ADAPTERS } else { Self::NONE };
            spec.map_or(adapters, |spec| spec.interest())
        };
        names.into_iter().map(of).fold(Self::NONE, Self::and)
    }

    /// The event at this place of the catalogue.
    pub(super) const fn at(number: u8) -> Self {
        Self(1 << number)
    }

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether they have anything in common.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl Spec {
    /// The interest in this event alone.
    #[must_use]
    pub const fn interest(&self) -> Interest {
        Interest::at(self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_a_bit_of_its_own() {
        let mut all = Interest::ADAPTERS;
        for (number, spec) in CATALOGUE.iter().enumerate() {
            assert_eq!(usize::from(spec.number), number, "{}", spec.name);
            assert!(!all.meets(spec.interest()), "{}", spec.name);
            all = all.and(spec.interest());
        }
    }

    #[test]
    fn names_are_those_of_the_catalogue_and_those_of_adapters() {
        let names = CATALOGUE.iter().map(|spec| spec.name);
        for spec in CATALOGUE {
            assert_eq!(Interest::in_names([spec.name]), spec.interest());
        }
        assert!(!Interest::in_names(names).meets(Interest::ADAPTERS));
        assert_eq!(Interest::in_names(["snakepit.python.model.loaded"]), Interest::ADAPTERS);
        assert_eq!(Interest::in_names(["snakepit.nothing", "snakepit.python"]), Interest::NONE);
    }
}

//! How probes and replacement are written in a configuration file: a table, all of whose keys have
//! defaults, or nothing.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::read::{Limited, Named, Size, Word};
use super::suggest::closest;
use super::{
    Detail, Heartbeat, Limits, Recycle, SharedMemory, TelemetryFilter, Unserializable, WhenFull,
};

/// A table, or `"none"`.
pub(super) struct Table<T>(Option<T>);

impl<T> From<Table<T>> for Option<T> {
    fn from(table: Table<T>) -> Self {
        table.0
    }
}

/// A table, and nothing else.
pub(super) struct Whole<T>(T);

impl From<Whole<Limits>> for Limits {
    fn from(whole: Whole<Limits>) -> Self {
        whole.0
    }
}

impl From<Whole<TelemetryFilter>> for TelemetryFilter {
    fn from(whole: Whole<TelemetryFilter>) -> Self {
        whole.0
    }
}

impl<'de, T: Keys> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let needed = || de::Error::custom(format!("a table of {} is needed", T::NAMES.join(", ")));
        Table::deserialize(deserializer)?.0.map(Self).ok_or_else(needed)
    }
}

/// What a table can be read as.
pub(super) trait Keys: Default {
    const NAMES: &'static [&'static str];

    /// Takes the value of one key. False: there is no such key.
    fn set<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error>;
}

macro_rules! keys {
    ($table:ty { $($key:ident as $read:ty => $into:expr;)* }) => {
        impl Keys for $table {
            const NAMES: &'static [&'static str] = &[$(stringify!($key)),*];

            fn set<'de, A: MapAccess<'de>>(
                &mut self,
                key: &str,
                map: &mut A,
            ) -> Result<bool, A::Error> {
                match key {
                    $(stringify!($key) => {
                        let value = map.next_value::<$read>().map_err(|error| {
                            de::Error::custom(format!("{key}: {error}"))
                        })?;
                        self.$key = $into(value);
                    })*
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }
    };
}

keys! {
    Heartbeat {
        interval as Limited => Limited::into;
        timeout as Limited => Limited::into;
        missed as u32 => u32::from;
        initial_delay as Limited => Limited::into;
    }
}

keys! {
    Limits {
        nice as u32 => u32::from;
        address_space as Size => |bytes: Size| Some(usize::from(bytes) as u64);
        open_files as u64 => Some;
        core_files as bool => bool::from;
        umask as u32 => Some;
        no_new_privs as bool => bool::from;
        oom_score as u32 => u32::from;
    }
}

keys! {
    Unserializable {
        detail as Named<Detail> => Named::into;
        max_repr as u32 => u32::from;
        max_elements as u64 => u64::from;
    }
}

keys! {
    SharedMemory {
        max_bytes as Size => |bytes: Size| Some(usize::from(bytes) as u64);
        threshold as Size => usize::from;
        wait as Limited => Limited::into;
        when_full as Named<WhenFull> => Named::into;
    }
}

keys! {
    TelemetryFilter {
        sampling as f64 => f64::from;
        allow as Word<String> => Word::into;
        deny as Word<String> => Word::into;
    }
}

keys! {
    Recycle {
        calls as u64 => Some;
        age as Limited => |age: Limited| Some(age.into());
        memory as Size => |bytes: Size| Some(usize::from(bytes) as u64);
        memory_growth as f64 => Some;
        jitter as f64 => f64::from;
        session_drain as Limited => Limited::into;
        at_once as f64 => f64::from;
    }
}

impl<'de, T: Keys> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader(PhantomData))
    }
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Keys> Visitor<'de> for Reader<T> {
    type Value = Table<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a table of {}, or \"none\"", T::NAMES.join(", "))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Table<T>, E> {
        Ok(Table(None))
    }

    fn visit_none<E: de::Error>(self) -> Result<Table<T>, E> {
        Ok(Table(None))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Table<T>, E> {
        match text {
            "none" => Ok(Table(None)),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Table<T>, A::Error> {
        let mut table = T::default();
        while let Some(key) = map.next_key::<String>()? {
            if !table.set(&key, &mut map)? {
                map.next_value::<IgnoredAny>()?;
                let hint = match closest(&key, T::NAMES) {
                    Some(known) => format!("did you mean {known:?}?"),
                    None => format!("there are {}", T::NAMES.join(", ")),
                };
                return Err(de::Error::custom(format!("there is no {key:?}; {hint}")));
            }
        }
        Ok(Table(Some(table)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        Detail, Heartbeat, Limits, PoolOptions, Recycle, SharedMemory, Unserializable, WhenFull,
    };

    fn read(toml: &str) -> Result<PoolOptions, String> {
        toml::from_str(toml).map_err(|error: toml::de::Error| error.message().to_owned())
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let options = read(
            r#"
            heartbeat = { interval = "500ms", missed = 3 }
            recycle = { calls = 1000, age = "1h", memory = "2GiB", memory_growth = 3 }
            stall_kill = 60
            startup_batch_size = 8
            startup_batch_delay = "250ms"
            max_failed_starts = 3
            degraded_retry = "5s"
            "#,
        );
        let options = options.expect("a table of parameters");
        let interval = Duration::from_millis(500);
        let heartbeat = Heartbeat { interval, missed: 3, ..Heartbeat::default() };
        assert_eq!(options.heartbeat, Some(Some(heartbeat)));
        let recycle = Recycle {
            calls: Some(1000),
            age: Some(Duration::from_secs(3600)),
            memory: Some(2 << 30),
            memory_growth: Some(3.0),
            ..Recycle::default()
        };
        assert_eq!(options.recycle, Some(Some(recycle)));
        assert_eq!(options.stall_kill, Some(Some(Duration::from_secs(60))));
        assert_eq!((options.startup_batch_size, options.max_failed_starts), (Some(8), Some(3)));
    }

    #[test]
    fn limits_are_a_table_and_nothing_else() {
        let options = read(
            r#"limits = { nice = 5, address_space = "4GiB", open_files = 4096, umask = 0o077 }"#,
        );
        let limits = Limits {
            nice: 5,
            address_space: Some(4 << 30),
            open_files: Some(4096),
            umask: Some(0o77),
            ..Limits::default()
        };
        assert_eq!(options.map(|options| options.limits), Ok(Some(limits)));
        let told = read("limits = 'none'").expect_err("no table");
        assert!(told.starts_with("limits: a table of nice, address_space, "), "{told}");
        let told = read("limits = { adress_space = 1 }").expect_err("misspelt");
        assert!(told.contains("did you mean \"address_space\"?"), "{told}");
    }

    #[test]
    fn markers_are_described_by_a_table() {
        let options = read("unserializable = { detail = 'type', max_repr = 80 }");
        let told = Unserializable { detail: Detail::Type, max_repr: 80, ..Default::default() };
        assert_eq!(options.map(|options| options.unserializable), Ok(Some(Some(told))));
        let off = read("unserializable = 'none'");
        assert_eq!(off.map(|options| options.unserializable), Ok(Some(None)));
        let told = read("unserializable = { detail = 'repr' }").expect_err("no such detail");
        assert!(told.starts_with("unserializable: detail: unknown detail \"repr\""), "{told}");
    }

    #[test]
    fn shared_memory_is_described_by_a_table() {
        let options =
            read("shared_memory = { max_bytes = '1 GiB', wait = '2s', when_full = 'error' }");
        let told = SharedMemory {
            max_bytes: Some(1 << 30),
            wait: Duration::from_secs(2),
            when_full: WhenFull::Error,
            ..SharedMemory::default()
        };
        assert_eq!(options.map(|options| options.shared_memory), Ok(Some(Some(told))));
        let off = read("shared_memory = 'none'");
        assert_eq!(off.map(|options| options.shared_memory), Ok(Some(None)));
        let told = read("shared_memory = { when_full = 'wait' }").expect_err("no such way");
        assert!(told.starts_with("shared_memory: when_full: unknown when_full \"wait\""), "{told}");
    }

    #[test]
    fn probes_can_be_switched_off() {
        assert_eq!(read("heartbeat = \"none\"").map(|options| options.heartbeat), Ok(Some(None)));
        assert!(read("heartbeat = \"off\"").is_err());
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_one_that_was_meant() {
        let told = read("recycle = { cals = 3 }").expect_err("misspelt");
        assert!(
            told.starts_with("recycle: there is no \"cals\"; did you mean \"calls\"?"),
            "{told}"
        );
        let told = read("heartbeat = { timeout = \"soon\" }").expect_err("no duration");
        assert!(told.starts_with("heartbeat: timeout: \"soon\""), "{told}");
    }
}

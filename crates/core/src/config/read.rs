//! How single parameters are written: units, words, one or several.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Env;

/// Some 30 years. What is larger is a mistake of units, or a way to say "none".
const LONGEST: f64 = 1e9;

/// A duration, or none.
pub(super) struct Span(Option<Duration>);

impl From<Span> for Option<Duration> {
    fn from(span: Span) -> Self {
        span.0
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar("seconds, or a text such as \"30s\" or \"none\"", span))
    }
}

fn span(written: Written<'_>) -> Result<Span, String> {
    match written {
        Written::Nothing | Written::Text("none") => Ok(Span(None)),
        written => limited(written).map(|limit| Span(Some(limit.0))),
    }
}

/// A duration.
pub(super) struct Limited(Duration);

impl From<Limited> for Duration {
    fn from(limited: Limited) -> Self {
        limited.0
    }
}

impl<'de> Deserialize<'de> for Limited {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar("seconds, or a text such as \"500ms\"", limited))
    }
}

fn limited(written: Written<'_>) -> Result<Limited, String> {
    let seconds = match written {
        Written::Nothing => return Err("a duration is needed".into()),
        Written::Number(seconds) => seconds,
        Written::Text(text) => {
            let (number, unit) = split_unit(text)?;
            number
                * match unit {
                    "ms" => 1e-3,
                    "s" => 1.0,
                    "m" | "min" => 60.0,
                    "h" => 3600.0,
                    _ => return Err(format!("{text:?} needs a unit: ms, s, m or h")),
                }
        }
    };
    if !(0.0..=LONGEST).contains(&seconds) {
        return Err(format!("{seconds} seconds are no duration; from 0 to {LONGEST} are"));
    }
    Ok(Limited(Duration::from_secs_f64(seconds)))
}

/// Bytes.
pub(super) struct Size(usize);

impl From<Size> for usize {
    fn from(size: Size) -> Self {
        size.0
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar("bytes, or a text such as \"256MiB\"", size))
    }
}

fn size(written: Written<'_>) -> Result<Size, String> {
    let bytes = match written {
        Written::Nothing => return Err("a number of bytes is needed".into()),
        Written::Number(bytes) => bytes,
        Written::Text(text) => {
            let (number, unit) = split_unit(text)?;
            number
                * match unit {
                    "B" => 1.0,
                    "KiB" => 1024.0,
                    "MiB" => 1_048_576.0,
                    "GiB" => 1_073_741_824.0,
                    _ => return Err(format!("{text:?} needs a unit: B, KiB, MiB or GiB")),
                }
        }
    };
    // 2^53: as far as a float counts every byte.
    if bytes.fract() != 0.0 || !(0.0..=9.0e15).contains(&bytes) {
        return Err(format!("{bytes} is no number of bytes"));
    }
    Ok(Size(bytes as usize))
}

fn split_unit(text: &str) -> Result<(f64, &str), String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number = text[..end].parse().map_err(|_| format!("{text:?} starts with no number"))?;
    Ok((number, text[end..].trim_start()))
}

/// What a parameter may be written as.
enum Written<'a> {
    Nothing,
    Number(f64),
    Text(&'a str),
}

/// Reads one of [`Written`] and has a function judge it.
struct Scalar<T>(&'static str, fn(Written<'_>) -> Result<T, String>);

impl<T> Visitor<'_> for Scalar<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_unit<E: de::Error>(self) -> Result<T, E> {
        (self.1)(Written::Nothing).map_err(E::custom)
    }

    fn visit_none<E: de::Error>(self) -> Result<T, E> {
        self.visit_unit()
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_f64(number as f64)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_f64(number as f64)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        (self.1)(Written::Number(number)).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(Written::Text(text)).map_err(E::custom)
    }
}

/// One of a few words.
pub(super) struct Named<T>(T);

macro_rules! named {
    ($($type:ty)*) => { $(
        impl From<Named<$type>> for $type {
            fn from(named: Named<$type>) -> Self {
                named.0
            }
        }
    )* };
}
named!(crate::call::Affinity super::Access super::OutputMode super::Line super::Profile super::Detail super::WhenFull super::TimeoutProfile);

impl<'de, T: FromStr<Err = String>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(de::Error::custom)
    }
}

/// One, or a list of them.
pub(super) struct Word<T>(Vec<T>);

impl<T> From<Word<T>> for Vec<T> {
    fn from(word: Word<T>) -> Self {
        word.0
    }
}

impl<'de, T: Deserialize<'de> + From<String>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de> + From<String>> Visitor<'de> for OneOrMore<T> {
            type Value = Word<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E>(self, text: &str) -> Result<Word<T>, E> {
                Ok(Word(vec![text.to_owned().into()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Word<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element()? {
                    all.push(one);
                }
                Ok(Word(all))
            }
        }
        deserializer.deserialize_any(OneOrMore(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Env {
    /// `"inherit"`, `"strict"`, a table that is laid over what is inherited, or a list of both; null
    /// removes.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Variables;

        impl<'de> Visitor<'de> for Variables {
            type Value = Env;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"inherit\", \"strict\", a table of variables, or a list of both")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Env, E> {
                match text {
                    "inherit" => Ok(Env::inherit()),
                    "strict" => Ok(Env::strict()),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Env, A::Error> {
                let mut env = Env::inherit();
                while let Some((name, value)) = map.next_entry::<String, Option<Word<String>>>()? {
                    env = match value {
                        Some(values) => env.set_in_turn(name, values.0),
                        None => env.remove(name),
                    };
                }
                Ok(env)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Env, A::Error> {
                let mut env = seq.next_element::<Env>()?.unwrap_or_default();
                while let Some(over) = seq.next_element()? {
                    env = env.merge(over);
                }
                Ok(env)
            }
        }
        deserializer.deserialize_any(Variables)
    }
}

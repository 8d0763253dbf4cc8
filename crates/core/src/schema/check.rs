//! Whether a value is what a schema says.
//!
//! Known are `type`, `enum`, `const`, the bounds of numbers, texts and arrays, `items`,
//! `prefixItems`, `uniqueItems`, `properties`, `required`, `additionalProperties`, `$ref` inside the
//! document, `allOf`, `anyOf` and `oneOf` (which here is as `anyOf`). A schema comes from a worker:
//! whatever it says, the work is bounded.

use std::collections::HashSet;

use serde_json::{Map as Rules, Value as Json};

use super::Mismatch;
use super::kind::{expected, got, is, short};
use crate::config::closest;
use crate::value::{Map, Value};

/// Steps for each byte of the arguments, and some more: beyond that everything passes.
const STEPS_EACH: u64 = 64;
const STEPS: u64 = 100_000;

/// Schemas inside each other, by `$ref` or by the value.
const MAX_DEPTH: u32 = 256;

/// Longest text of a key in a path, in characters, and longest path in keys.
const KEY_TEXT: usize = 60;
const PATH_STEPS: usize = 16;

/// Checks the arguments of a call, a map of `bytes` bytes.
pub(super) fn check(root: &Json, arguments: &Value, bytes: usize) -> Result<(), Mismatch> {
    let steps = STEPS + STEPS_EACH * bytes as u64;
    let mut check = Check { root, steps, depth: 0, path: Vec::new() };
    check.value(root, arguments).map_err(|found| *found.mismatch)
}

enum Step<'v> {
    Key(&'v str),
    Index(usize),
}

/// The first thing that is wrong.
struct Found {
    /// Steps from the arguments to it.
    depth: usize,
    mismatch: Box<Mismatch>,
}

type Checked = Result<(), Found>;

struct Check<'s, 'v> {
    root: &'s Json,
    steps: u64,
    depth: u32,
    path: Vec<Step<'v>>,
}

impl<'s, 'v> Check<'s, 'v> {
    fn value(&mut self, schema: &'s Json, value: &'v Value) -> Checked {
        if self.steps == 0 || self.depth == MAX_DEPTH {
            return Ok(());
        }
        self.steps -= 1;
        self.depth += 1;
        let checked = match schema {
            Json::Object(rules) => self.rules(schema, rules, value),
            Json::Bool(false) => Err(self.found("nothing here".to_owned(), got(value))),
            _ => Ok(()),
        };
        self.depth -= 1;
        checked
    }

    fn rules(
        &mut self,
        schema: &'s Json,
        rules: &'s Rules<String, Json>,
        value: &'v Value,
    ) -> Checked {
        if let Some(target) = rules.get("$ref").and_then(Json::as_str).and_then(|to| self.find(to))
        {
            self.value(target, value)?;
        }
        let of_kind = match rules.get("type") {
            Some(Json::String(kind)) => is(value, kind, rules),
            Some(Json::Array(kinds)) => {
                kinds.iter().filter_map(Json::as_str).any(|kind| is(value, kind, rules))
            }
            _ => true,
        };
        let chosen = match rules.get("enum") {
            Some(Json::Array(values)) => values.iter().any(|one| self.same(one, value)),
            _ => true,
        };
        let only = rules.get("const").is_none_or(|only| self.same(only, value));
        if !of_kind || !chosen || !only {
            return Err(self.unlike(schema, value));
        }
        match value {
            Value::Int(_) | Value::Float(_) | Value::Decimal(_) => self.number(rules, value)?,
            Value::Str(text) => {
                let length = || text.chars().count();
                self.length(rules, ("minLength", "maxLength"), "characters", length)?;
            }
            Value::Bytes(data) => {
                self.length(rules, ("minLength", "maxLength"), "bytes", || data.len())?;
            }
            Value::List(items) => self.list(rules, items)?,
            Value::Array(array) => {
                let length = || array.shape().first().copied().unwrap_or_default();
                self.length(rules, ("minItems", "maxItems"), "items", length)?;
            }
            Value::Map(map) => self.map(rules, map)?,
            _ => {}
        }
        for part in rules.get("allOf").and_then(Json::as_array).into_iter().flatten() {
            self.value(part, value)?;
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(Json::Array(branches)) = rules.get(word) {
                self.any(schema, branches, value)?;
            }
        }
        Ok(())
    }

    /// One of the branches; else what is wrong with the one that came furthest.
    fn any(&mut self, schema: &'s Json, branches: &'s [Json], value: &'v Value) -> Checked {
        let mut furthest: Option<Found> = None;
        let (here, depth) = (self.path.len(), self.depth);
        for branch in branches {
            let Err(found) = self.value(branch, value) else { return Ok(()) };
            self.path.truncate(here);
            self.depth = depth;
            if furthest.as_ref().is_none_or(|best| found.depth > best.depth) {
                furthest = Some(found);
            }
        }
        match furthest {
            Some(found) if found.depth > here || branches.len() == 1 => Err(found),
            Some(_) => Err(self.unlike(schema, value)),
            None => Ok(()),
        }
    }

    fn number(&self, rules: &Rules<String, Json>, value: &Value) -> Checked {
        let Some(number) = number(value) else { return Ok(()) };
        type Broken = fn(f64, f64) -> bool;
        let bounds: [(&str, Broken, &str); 5] = [
            ("minimum", |number, least| number < least, "a number of at least"),
            ("maximum", |number, most| number > most, "a number of at most"),
            ("exclusiveMinimum", |number, low| number <= low, "a number above"),
            ("exclusiveMaximum", |number, high| number >= high, "a number below"),
            ("multipleOf", |number, unit| !is_multiple(number, unit), "a multiple of"),
        ];
        for (word, broken, told) in bounds {
            if let Some(bound) = rules.get(word).and_then(Json::as_f64)
                && broken(number, bound)
            {
                return Err(self.found(format!("{told} {bound}"), got(value)));
            }
        }
        Ok(())
    }

    fn length(
        &self,
        rules: &Rules<String, Json>,
        (least, most): (&str, &str),
        unit: &str,
        length: impl Fn() -> usize,
    ) -> Checked {
        let bound = |word| rules.get(word).and_then(Json::as_u64);
        let (least, most) = (bound(least), bound(most));
        if least.is_none() && most.is_none() {
            return Ok(());
        }
        let length = length();
        let there = length as u64;
        match (least.filter(|&least| there < least), most.filter(|&most| there > most)) {
            (Some(least), _) => {
                Err(self.found(format!("at least {least} {unit}"), length.to_string()))
            }
            (_, Some(most)) => {
                Err(self.found(format!("at most {most} {unit}"), length.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn list(&mut self, rules: &'s Rules<String, Json>, items: &'v [Value]) -> Checked {
        self.length(rules, ("minItems", "maxItems"), "items", || items.len())?;
        let first = rules.get("prefixItems").and_then(Json::as_array).map_or(&[][..], |all| all);
        let rest = rules.get("items");
        for (index, item) in items.iter().enumerate() {
            let Some(schema) = first.get(index).or(rest) else { break };
            self.path.push(Step::Index(index));
            self.value(schema, item)?;
            self.path.pop();
        }
        if rules.get("uniqueItems") == Some(&Json::Bool(true)) {
            for (index, item) in items.iter().enumerate() {
                let earlier = &items[..index];
                let enough = self.steps.checked_sub(earlier.len() as u64);
                let Some(left) = enough else { break };
                self.steps = left;
                if earlier.contains(item) {
                    let told = format!("the same again at index {index}");
                    return Err(self.found("items that all differ".to_owned(), told));
                }
            }
        }
        Ok(())
    }

    fn map(&mut self, rules: &'s Rules<String, Json>, map: &'v Map) -> Checked {
        let properties = rules.get("properties").and_then(Json::as_object);
        let others = rules.get("additionalProperties");
        // A key that only a pattern knows is none of ours.
        let others = others.filter(|_| !rules.contains_key("patternProperties"));
        for (key, value) in map.iter() {
            let key = key.as_str().unwrap_or("?");
            let schema = properties.and_then(|properties| properties.get(key)).or(others);
            let Some(schema) = schema else { continue };
            self.path.push(Step::Key(key));
            if *schema == Json::Bool(false) {
                return Err(self.found(no_such(key, properties), got(value)));
            }
            self.value(schema, value)?;
            self.path.pop();
        }
        let Some(Json::Array(required)) = rules.get("required") else { return Ok(()) };
        let there: HashSet<&str> = map.iter().filter_map(|(key, _)| key.as_str()).collect();
        let missing = required.iter().filter_map(Json::as_str).find(|name| !there.contains(name));
        let Some(name) = missing else { return Ok(()) };
        let asked = match properties.and_then(|properties| properties.get(name)) {
            Some(schema) => self.told(schema),
            None => "a value".to_owned(),
        };
        let mut found = self.found(asked, "nothing".to_owned());
        let mismatch = &mut found.mismatch;
        mismatch.path += &key_step(name);
        if self.path.is_empty() {
            mismatch.parameter = name.to_owned();
        }
        found.depth += 1;
        Err(found)
    }

    /// What a `$ref` into this document means.
    fn find(&self, reference: &str) -> Option<&'s Json> {
        self.root.pointer(reference.strip_prefix('#')?)
    }

    fn told(&self, schema: &'s Json) -> String {
        expected(schema, &|reference| self.find(reference), 0)
    }

    fn unlike(&self, schema: &'s Json, value: &Value) -> Found {
        let got = match (value, schema.get("enum").or(schema.get("const"))) {
            // Whoever chose from a list wrongly wants to see the choice.
            (Value::Str(text), Some(_)) => format!("{:?}", short(text)),
            _ => got(value),
        };
        self.found(self.told(schema), got)
    }

    fn found(&self, expected: String, got: String) -> Found {
        let parameter = match self.path.first() {
            Some(Step::Key(name)) => (*name).to_owned(),
            _ => String::new(),
        };
        let mut path = "args".to_owned();
        for step in self.path.iter().take(PATH_STEPS) {
            match step {
                Step::Key(key) => path += &key_step(key),
                Step::Index(index) => path += &format!("[{index}]"),
            }
        }
        if self.path.len() > PATH_STEPS {
            path.push('…');
        }
        let mismatch = Box::new(Mismatch { parameter, path, expected, got });
        Found { depth: self.path.len(), mismatch }
    }

    /// Equal in the sense of JSON: numbers by what they are worth.
    fn same(&mut self, json: &Json, value: &Value) -> bool {
        self.steps = self.steps.saturating_sub(1);
        match (json, value) {
            (Json::Null, Value::None) => true,
            (Json::Bool(one), Value::Bool(other)) => one == other,
            (Json::String(one), Value::Str(other)) => one == other,
            (Json::Number(one), value) => match (one.as_i128(), value) {
                (Some(one), Value::Int(other)) => i128::try_from(other) == Ok(one),
                _ => one.as_f64().is_some() && one.as_f64() == number(value),
            },
            (Json::Array(one), Value::List(other)) => {
                one.len() == other.len()
                    && one.iter().zip(other).all(|(one, other)| self.same(one, other))
            }
            (Json::Object(one), Value::Map(other)) => {
                one.len() == other.len()
                    && other.iter().all(|(key, other)| {
                        let one = key.as_str().and_then(|key| one.get(key));
                        one.is_some_and(|one| self.same(one, other))
                    })
            }
            (_, Value::Arrow(_) | Value::Ext(_)) => true,
            _ => false,
        }
    }
}

fn key_step(key: &str) -> String {
    match key.char_indices().nth(KEY_TEXT) {
        Some((end, _)) => format!("[{:?}…]", &key[..end]),
        None => format!("[{key:?}]"),
    }
}

fn no_such(key: &str, properties: Option<&Rules<String, Json>>) -> String {
    let names: Vec<&str> =
        properties.into_iter().flat_map(|all| all.keys()).map(|k| &**k).collect();
    // To compare long names takes long, and they are no slips of the pen.
    let close = (key.len() <= KEY_TEXT && names.len() <= KEY_TEXT).then(|| closest(key, &names));
    match close.flatten() {
        Some(known) => format!("nothing of this name (did you mean {known:?}?)"),
        None => "nothing of this name".to_owned(),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(int) => match i128::try_from(int) {
            Ok(int) => Some(int as f64),
            Err(_) => int.to_string().parse().ok(),
        },
        Value::Float(number) => Some(*number),
        Value::Decimal(decimal) => decimal.as_str().parse().ok(),
        _ => None,
    }
}

fn is_multiple(number: f64, unit: f64) -> bool {
    if unit <= 0.0 || !number.is_finite() {
        return true; // no rule
    }
    let times = number / unit;
    (times - times.round()).abs() <= 1e-9 * times.abs().max(1.0)
}

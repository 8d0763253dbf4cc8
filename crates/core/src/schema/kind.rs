//! What a value is in the words of JSON Schema, and how people are told.

use serde_json::{Map as Rules, Value as Json};

use crate::value::Value;

/// Alternatives that a message names.
const MOST: usize = 10;

/// Longest text of a schema's own value in a message, in characters.
const LONGEST: usize = 40;

/// Whether a value is of a type of JSON Schema. What JSON does not have is a string of a format.
pub(super) fn is(value: &Value, kind: &str, rules: &Rules<String, Json>) -> bool {
    let format = rules.get("format").and_then(Json::as_str).unwrap_or_default();
    match value {
        Value::None => kind == "null",
        Value::Bool(_) => kind == "boolean",
        Value::Int(_) => matches!(kind, "integer" | "number"),
        Value::Float(number) => {
            kind == "number" || kind == "integer" && number.is_finite() && number.fract() == 0.0
        }
        Value::Str(_) => kind == "string",
        Value::List(_) | Value::Array(_) => kind == "array",
        Value::Map(_) => kind == "object",
        Value::Decimal(_) => kind == "number" || kind == "string" && format == "decimal",
        Value::Scalar(scalar) => match scalar.dtype().kind() {
            'b' => kind == "boolean",
            'i' | 'u' => matches!(kind, "integer" | "number"),
            'f' => kind == "number",
            _ => true,
        },
        Value::Bytes(_) => {
            let named = matches!(format, "binary" | "byte" | "base64" | "base64url");
            kind == "string" && (named || rules.contains_key("contentEncoding"))
        }
        Value::DateTime(_) => kind == "string" && format == "date-time",
        Value::Date(_) => kind == "string" && format == "date",
        Value::Time(_) => kind == "string" && format == "time",
        Value::TimeDelta(_) => kind == "string" && format == "duration",
        Value::Uuid(_) => kind == "string" && format == "uuid",
        // What a schema calls it is the program's; of what is newer nothing is known.
        Value::Arrow(_) | Value::Ext(_) => true,
    }
}

/// What it is that was given, without telling what may be nobody's business: no texts.
pub(super) fn got(value: &Value) -> String {
    match value {
        Value::None => "null".to_owned(),
        Value::Bool(given) => format!("a boolean, {given}"),
        Value::Int(given) => format!("an integer, {}", short(&given.to_string())),
        Value::Float(given) => format!("a number, {given:?}"),
        Value::Decimal(given) => format!("a decimal number, {}", short(given.as_str())),
        Value::Str(given) => format!("a string of {} characters", given.chars().count()),
        Value::Bytes(given) => format!("{} bytes", given.len()),
        Value::List(given) => format!("an array of {} items", given.len()),
        Value::Map(given) => format!("an object of {} members", given.len()),
        Value::Array(given) => {
            format!(
                "a numpy array of dtype {} and shape {:?}",
                given.dtype().as_str(),
                given.shape()
            )
        }
        Value::Scalar(given) => format!("a numpy scalar of dtype {}", given.dtype().as_str()),
        Value::DateTime(_) => "a datetime".to_owned(),
        Value::Date(_) => "a date".to_owned(),
        Value::Time(_) => "a time".to_owned(),
        Value::TimeDelta(_) => "a timedelta".to_owned(),
        Value::Uuid(_) => "a UUID".to_owned(),
        Value::Arrow(given) => format!("a {}", given.kind().type_name()),
        Value::Ext(given) => format!("a value of the extension {}", given.tag),
    }
}

/// What a schema asks for, in a few words. `resolve` finds what a `$ref` means.
pub(super) fn expected<'s>(
    schema: &'s Json,
    resolve: &impl Fn(&str) -> Option<&'s Json>,
    depth: u32,
) -> String {
    let another = || "another value".to_owned();
    let Some(rules) = schema.as_object().filter(|_| depth < 8) else { return another() };
    if let Some(target) = rules.get("$ref").and_then(Json::as_str).and_then(resolve) {
        return expected(target, resolve, depth + 1);
    }
    if let Some(only) = rules.get("const") {
        return short(&only.to_string());
    }
    if let Some(Json::Array(values)) = rules.get("enum") {
        let told = values.iter().take(MOST).map(|value| short(&value.to_string()));
        let more = if values.len() > MOST { ", …" } else { "" };
        return format!("one of {}{more}", told.collect::<Vec<_>>().join(", "));
    }
    let branches = ["anyOf", "oneOf"].iter().find_map(|&word| rules.get(word)?.as_array());
    let mut words: Vec<String> = match (rules.get("type"), branches) {
        (Some(Json::String(kind)), _) => vec![named(kind, rules)],
        (Some(Json::Array(kinds)), _) => {
            kinds.iter().filter_map(Json::as_str).map(|kind| named(kind, rules)).collect()
        }
        (_, Some(branches)) => {
            branches.iter().take(MOST).map(|branch| expected(branch, resolve, depth + 1)).collect()
        }
        _ => return another(),
    };
    words.dedup();
    words.join(" or ")
}

fn named(kind: &str, rules: &Rules<String, Json>) -> String {
    let with_article = match kind {
        "null" => return kind.to_owned(),
        "integer" | "array" | "object" => format!("an {kind}"),
        _ => format!("a {kind}"),
    };
    match rules.get("format").and_then(Json::as_str) {
        Some(format) if kind == "string" => format!("{with_article} ({})", short(format)),
        _ => with_article,
    }
}

pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

//! The shared test data.

use serde_json::Value;

/// The member of vectors/dpp.json at `path` (RFC 6901). Without the file the test is reported as skipped.
pub(super) fn vector(path: &str) -> Option<Value> {
    let file = landfall_testkit::shared("vectors/dpp.json")?;
    let all: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    Some(all.pointer(path).unwrap_or_else(|| panic!("{path} is not in dpp.json")).clone())
}

/// The octets that a member writes in hexadecimal digits.
pub(super) fn octets(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a string")).expect("hexadecimal digits")
}

/// Every string in it, by the names of the members.
pub(super) fn strings(value: &Value) -> Vec<(String, String)> {
    match value {
        Value::String(text) => vec![(String::new(), text.clone())],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| {
                strings(value).into_iter().map(move |(rest, text)| (format!("{name}/{rest}"), text))
            })
            .collect(),
        _ => Vec::new(),
    }
}

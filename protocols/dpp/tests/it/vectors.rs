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

//! JSON (RFC 7951): one member at the top, the fields below it.

use super::{
    VoucherError,
    fields::{Fields, Leaf},
    payload::sealed::Fielded,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_types::json;
use serde_json::{Map, Value};

pub(super) fn encode<T: Fielded>(fields: &Fields) -> Vec<u8> {
    let members = fields.iter().map(|(name, leaf)| (name.to_owned(), value(leaf))).collect::<Map<_, _>>();
    let top = Map::from_iter([(T::NAME.to_owned(), Value::Object(members))]);
    Value::Object(top).to_string().into_bytes()
}

fn value(leaf: &Leaf) -> Value {
    match leaf {
        Leaf::Text(text) => Value::from(text.as_str()),
        Leaf::Bytes(bytes) => Value::from(STANDARD.encode(bytes)),
        Leaf::Bool(value) => Value::Bool(*value),
        Leaf::Integer(number) => i64::try_from(*number).map_or(Value::Null, Value::from),
        Leaf::Time(time) => Value::from(time.to_string()),
        Leaf::Assertion(assertion) => Value::from(assertion.as_str()),
        Leaf::Nonce(nonce) => Value::from(nonce.as_str()),
        Leaf::Other => Value::Null,
    }
}

pub(super) fn decode<T: Fielded>(bytes: &[u8]) -> Result<Fields, VoucherError> {
    let wrong = |found: String| VoucherError::Artefact { expected: T::NAME, found };
    let Value::Object(top) = json::parse(bytes).map_err(|e| VoucherError::Content(e.to_string()))? else {
        return Err(VoucherError::Content("no JSON object".into()));
    };
    // Two members at the top could be a voucher to one reader and a request to another.
    let mut members = top.into_iter();
    let (Some((name, content)), None) = (members.next(), members.next()) else {
        return Err(wrong("not one member".into()));
    };
    if name != T::NAME && !T::OTHER_NAMES.contains(&name.as_str()) {
        return Err(wrong(name.chars().take(80).collect()));
    }
    let Value::Object(members) = content else {
        return Err(VoucherError::Content(format!("{name} is no object")));
    };
    let mut fields = Fields::default();
    for (name, value) in members {
        let leaf = match value {
            Value::String(text) => Leaf::Text(text),
            Value::Bool(value) => Leaf::Bool(value),
            _ => Leaf::Other,
        };
        fields.push(name, leaf);
    }
    Ok(fields)
}

//! CBOR with SIDs (RFC 9254): one pair at the top, and below it the fields, each under the distance of its SID from
//! the top's.

use super::{
    VoucherError,
    fields::{Fields, Leaf},
    payload::sealed::Fielded,
};
use ciborium::Value;
use landfall_types::Time;

/// Marks an absolute SID where a distance is expected (RFC 9254 s3.2).
const ABSOLUTE_SID: u64 = 47;
/// RFC 3339 text, and seconds since the epoch (RFC 8949 s3.4.1, s3.4.2).
const DATE_TEXT: u64 = 0;
const DATE_EPOCH: u64 = 1;
/// How deep a value may be.
const DEPTH: usize = 16;

fn unreadable(why: impl ToString) -> VoucherError {
    VoucherError::Content(why.to_string())
}

pub(super) fn encode<T: Fielded>(fields: &Fields) -> Result<Vec<u8>, VoucherError> {
    let mut pairs = Vec::new();
    for (name, leaf) in fields.iter() {
        let (_, offset) = T::FIELDS.iter().find(|(n, _)| *n == name).ok_or_else(|| unreadable(name))?;
        pairs.push((integer(*offset), value(leaf)?));
    }
    let top = Value::Map(vec![(integer(T::SID), Value::Map(pairs))]);
    let mut bytes = Vec::new();
    ciborium::into_writer(&top, &mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn integer(number: i128) -> Value {
    i64::try_from(number).map_or(Value::Null, Value::from)
}

fn value(leaf: &Leaf) -> Result<Value, VoucherError> {
    Ok(match leaf {
        Leaf::Text(text) => Value::from(text.as_str()),
        Leaf::Bytes(bytes) => Value::Bytes(bytes.clone()),
        Leaf::Bool(value) => Value::Bool(*value),
        Leaf::Integer(number) => integer(*number),
        Leaf::Time(time) => Value::from(time.to_string()),
        Leaf::Assertion(assertion) => Value::from(assertion.number()),
        Leaf::Nonce(nonce) => {
            let bytes = nonce.to_bytes();
            Value::Bytes(bytes.ok_or_else(|| VoucherError::value("nonce", "is not base64 of 8 to 32 bytes"))?)
        }
        Leaf::Other => Value::Null,
    })
}

pub(super) fn decode<T: Fielded>(bytes: &[u8]) -> Result<Fields, VoucherError> {
    let wrong = |found: String| VoucherError::Artefact { expected: T::NAME, found };
    let mut rest = bytes;
    let top = ciborium::de::from_reader_with_recursion_limit(&mut rest, DEPTH).map_err(unreadable)?;
    if !rest.is_empty() {
        return Err(unreadable("something follows it"));
    }
    let Value::Map(top) = top else { return Err(unreadable("no CBOR map")) };
    let [(sid, Value::Map(pairs))] = top.as_slice() else { return Err(wrong("not one pair".into())) };
    match number(sid) {
        Some(sid) if sid == T::SID => {}
        Some(sid) => return Err(wrong(format!("SID {sid}"))),
        None => return Err(wrong("no SID".into())),
    }
    let mut fields = Fields::default();
    let mut seen = Vec::new();
    for (key, content) in pairs {
        let offset = match key {
            Value::Tag(ABSOLUTE_SID, sid) => number(sid).and_then(|sid| sid.checked_sub(T::SID)),
            key => number(key),
        };
        let offset = offset.ok_or_else(|| unreadable("a key is no SID"))?;
        if seen.contains(&offset) {
            return Err(unreadable(format!("the key {offset} stands twice")));
        }
        seen.push(offset);
        let name = T::FIELDS.iter().find(|(_, o)| *o == offset).map(|(name, _)| (*name).to_owned());
        fields.push(name.unwrap_or_else(|| format!("SID {}", offset.saturating_add(T::SID))), leaf(content));
    }
    Ok(fields)
}

fn number(value: &Value) -> Option<i128> {
    value.as_integer().map(i128::from)
}

fn leaf(value: &Value) -> Leaf {
    match value {
        Value::Text(text) => Leaf::Text(text.clone()),
        Value::Bytes(bytes) => Leaf::Bytes(bytes.clone()),
        Value::Bool(value) => Leaf::Bool(*value),
        Value::Integer(number) => Leaf::Integer(i128::from(*number)),
        Value::Tag(DATE_TEXT, text) => text.as_text().map_or(Leaf::Other, |text| Leaf::Text(text.to_owned())),
        Value::Tag(DATE_EPOCH, seconds) => number(seconds)
            .and_then(|seconds| i64::try_from(seconds).ok())
            .filter(|seconds| (0..=Time::FOREVER.as_unix()).contains(seconds))
            .map_or(Leaf::Other, |seconds| Leaf::Time(Time::from_unix(seconds))),
        _ => Leaf::Other,
    }
}

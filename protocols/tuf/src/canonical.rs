//! The bytes that are signed: OLPC's canonical JSON.

use serde_json::Value;

/// The canonical form: names in order, no space, no escapes but of quotes and backslashes. None if there is a number that is not
/// whole, which it does not have.
pub fn canonical(value: &Value) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    write(value, &mut bytes)?;
    Some(bytes)
}

fn write(value: &Value, into: &mut Vec<u8>) -> Option<()> {
    match value {
        Value::Null => into.extend(b"null"),
        Value::Bool(true) => into.extend(b"true"),
        Value::Bool(false) => into.extend(b"false"),
        Value::Number(number) if number.is_i64() || number.is_u64() => into.extend(number.to_string().bytes()),
        Value::Number(_) => return None,
        Value::String(text) => quoted(text, into),
        Value::Array(list) => {
            into.push(b'[');
            for (index, one) in list.iter().enumerate() {
                if index > 0 {
                    into.push(b',');
                }
                write(one, into)?;
            }
            into.push(b']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            into.push(b'{');
            for (index, (name, one)) in members.into_iter().enumerate() {
                if index > 0 {
                    into.push(b',');
                }
                quoted(name, into);
                into.push(b':');
                write(one, into)?;
            }
            into.push(b'}');
        }
    }
    Some(())
}

fn quoted(text: &str, into: &mut Vec<u8>) {
    into.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            into.push(b'\\');
        }
        into.push(byte);
    }
    into.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_only_quotes_are_escaped() {
        let value = serde_json::json!({ "b": [1, true, null, -2], "a": { "z": "ä\"\\\n", "": "" } });
        let text = String::from_utf8(canonical(&value).unwrap()).unwrap();
        assert_eq!(text, "{\"a\":{\"\":\"\",\"z\":\"ä\\\"\\\\\n\"},\"b\":[1,true,null,-2]}");
        assert_eq!(canonical(&serde_json::json!([1.5])), None);
    }
}

//! Status telemetry from the pledge: `voucher_status` (RFC 8995 s5.7) and `enrollstatus` (s5.9.4), which look alike.

use landfall_types::json;
use serde_json::{Map, Value};

/// The version that is spoken here.
pub const VERSION: u64 = 1;
/// The longest message that is read, in bytes.
pub const MAX_BYTES: usize = 16 * 1024;

/// What a pledge says about its voucher or its enrolment.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The version; a higher one than [`VERSION`] is to be logged and a person told (s5.7).
    pub version: u64,
    /// Whether it went well.
    pub status: bool,
    /// Why it did not, in words; it should tell an attacker nothing.
    pub reason: Option<String>,
    /// More about it, of any shape.
    pub reason_context: Option<Value>,
    /// Names of fields that are not known here, to be logged and otherwise ignored.
    pub unknown: Vec<String>,
}

/// Why a message was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// It is longer than anything that is read.
    #[error("{0} bytes are more than the {MAX_BYTES} that are read")]
    TooLarge(usize),
    /// It is no JSON object.
    #[error("{0}")]
    Json(String),
    /// A field that must be there is not, or is of another type.
    #[error("{0} is missing or of the wrong type")]
    Field(&'static str),
}

impl Status {
    /// All is well.
    pub const fn success() -> Self {
        Self { version: VERSION, status: true, reason: None, reason_context: None, unknown: Vec::new() }
    }

    /// It failed, for this reason.
    pub fn failure(reason: impl Into<String>) -> Self {
        Self { status: false, reason: Some(reason.into()), ..Self::success() }
    }

    /// From JSON; the names are case sensitive.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatusError> {
        if bytes.len() > MAX_BYTES {
            return Err(StatusError::TooLarge(bytes.len()));
        }
        let mut members = match json::parse(bytes).map_err(|e| StatusError::Json(e.to_string()))? {
            Value::Object(members) => members,
            _ => return Err(StatusError::Json("it is no JSON object".into())),
        };
        let version = members.remove("version").as_ref().and_then(number).ok_or(StatusError::Field("version"))?;
        let status = members.remove("status").as_ref().and_then(Value::as_bool).ok_or(StatusError::Field("status"))?;
        let reason = match members.remove("reason") {
            None | Some(Value::Null) => None,
            Some(Value::String(reason)) => Some(reason),
            Some(_) => return Err(StatusError::Field("reason")),
        };
        let reason_context = members.remove("reason-context").filter(|context| !context.is_null());
        let unknown = members.into_iter().map(|(name, _)| name).collect();
        Ok(Self { version, status, reason, reason_context, unknown })
    }

    /// As JSON.
    pub fn encode(&self) -> Vec<u8> {
        let mut members = Map::new();
        members.insert("version".into(), self.version.into());
        members.insert("status".into(), self.status.into());
        if let Some(reason) = &self.reason {
            members.insert("reason".into(), reason.as_str().into());
        }
        if let Some(context) = &self.reason_context {
            members.insert("reason-context".into(), context.clone());
        }
        Value::Object(members).to_string().into_bytes()
    }
}

/// An unsigned number, also where it stands as a string: RFC 8995's own examples (s5.8.1) have both.
pub(crate) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::String(digits) => digits.parse().ok(),
        other => other.as_u64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut status = Status::failure("the voucher is for another device");
        status.reason_context = Some(serde_json::json!({"additional": "JSON"}));
        assert_eq!(Status::parse(&status.encode()), Ok(status));
        assert_eq!(Status::parse(&Status::success().encode()), Ok(Status::success()));
    }

    #[test]
    fn unknown_names_are_kept_and_known_ones_are_lower_case() {
        let status = Status::parse(br#"{"version":2,"status":false,"Reason":"x"}"#).unwrap();
        assert_eq!((status.version, status.reason, status.unknown), (2, None, vec!["Reason".to_owned()]));
    }

    #[test]
    fn version_and_status_must_be_there() {
        assert_eq!(Status::parse(br#"{"status":true}"#), Err(StatusError::Field("version")));
        assert_eq!(Status::parse(br#"{"version":1}"#), Err(StatusError::Field("status")));
        assert_eq!(Status::parse(br#"{"version":1,"status":"yes"}"#), Err(StatusError::Field("status")));
        assert_eq!(Status::parse(br#"{"version":-1,"status":true}"#), Err(StatusError::Field("version")));
        assert_eq!(Status::parse(br#"{"version":1,"status":true,"reason":7}"#), Err(StatusError::Field("reason")));
        assert!(matches!(Status::parse(br#"{"version":1,"version":1,"status":true}"#), Err(StatusError::Json(_))));
        assert!(matches!(Status::parse(b"[]"), Err(StatusError::Json(_))));
        assert_eq!(Status::parse(&vec![b' '; MAX_BYTES + 1]), Err(StatusError::TooLarge(MAX_BYTES + 1)));
    }
}

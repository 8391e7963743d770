//! Linking the key in a request to the TLS connection that it comes over (RFC 7030 s3.5).

use crate::ChannelBinding;
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_types::{Fault, Refusal};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// What a request said about the connection that it came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Linked {
    /// It carries the connection's own value: whoever is at the other end has the key, now.
    Proven,
    /// It carries none.
    Unstated,
}

/// The challengePassword that links a request to the connection, or `None` if the connection has no value for it.
///
/// RFC 7030 s3.5 takes tls-unique, which TLS 1.3 does not have; RFC 9266 s3 puts tls-exporter in its place.
pub fn challenge_password(binding: &ChannelBinding) -> Option<String> {
    values(binding).next()
}

fn values(binding: &ChannelBinding) -> impl Iterator<Item = String> {
    let exporter = binding.tls_exporter.iter().map(|value| STANDARD.encode(value));
    exporter.chain(binding.tls_unique.iter().map(|value| STANDARD.encode(value)))
}

/// Compares a request's challengePassword with the connection that it came over, in constant time.
///
/// RFC 7030 s3.5: a value that is there is checked, whatever the policy; whether one has to be there is policy.
pub fn check(challenge_password: Option<&str>, binding: &ChannelBinding, required: bool) -> Result<Linked, Refusal> {
    let refuse =
        |check, detail: &str| Err(Refusal::new(Fault::Peer, check, "RFC 7030 s3.5", detail).field("challengePassword"));
    match challenge_password {
        Some(given) if values(binding).any(|value| value.as_bytes().ct_eq(given.as_bytes()).into()) => {
            Ok(Linked::Proven)
        }
        Some(_) => refuse("csr-binding", "the challengePassword belongs to another TLS connection"),
        None if required => refuse("csr-binding-missing", "a challengePassword with the channel binding is required"),
        None => Ok(Linked::Unstated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls13() -> ChannelBinding {
        ChannelBinding { tls_exporter: Some([7; 32]), tls_unique: None }
    }

    #[test]
    fn either_value_links() {
        let tls12 = ChannelBinding { tls_exporter: Some([7; 32]), tls_unique: Some(vec![1; 12]) };
        for value in [STANDARD.encode([7; 32]), STANDARD.encode([1; 12])] {
            assert_eq!(check(Some(&value), &tls12, true), Ok(Linked::Proven));
        }
        let ours = challenge_password(&tls13()).unwrap();
        assert_eq!(check(Some(&ours), &tls13(), true), Ok(Linked::Proven));
        assert_eq!(challenge_password(&ChannelBinding::default()), None);
    }

    #[test]
    fn absent_is_policy_and_wrong_is_not() {
        assert_eq!(check(None, &tls13(), false), Ok(Linked::Unstated));
        assert_eq!(check(None, &tls13(), true).unwrap_err().check, "csr-binding-missing");
        let other = STANDARD.encode([8; 32]);
        for wrong in [other.as_str(), "", "secret"] {
            for required in [false, true] {
                assert_eq!(check(Some(wrong), &tls13(), required).unwrap_err().check, "csr-binding");
            }
        }
    }
}

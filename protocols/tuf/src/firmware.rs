//! Releases of firmware in bundles: each image is a file of which its manufacturer says whose it is and how new.
//!
//! TUF has no words for that: it stands in the file's `custom` (TUF s4.5), with the meaning that RFC 9124 gives to it.

use crate::Bundle;
use landfall_types::{Fault, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The member of `custom` that says that a file is firmware.
const MEMBER: &str = "firmware";

/// What a manufacturer says of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Release {
    /// Whose devices it is for (RFC 9124 s3.3).
    pub vendor: String,
    /// Which of them (RFC 9124 s3.4).
    pub model: String,
    /// What people call it. It is never compared.
    pub version: String,
    /// RFC 9124 s3.2: higher than that of any release before it.
    pub sequence: u64,
}

impl Release {
    /// The same as `custom` of its image.
    pub fn custom(&self) -> Value {
        json!({ MEMBER: self })
    }

    /// What `custom` of a file says, if that is firmware.
    fn read(custom: &Value) -> Option<Result<Self, Refusal>> {
        let told = custom.get(MEMBER)?;
        let wrong =
            |error: serde_json::Error| refuse(Fault::Malformed, "firmware-release", "RFC 9124 s3", error.to_string());
        Some(Self::deserialize(told).map_err(wrong))
    }
}

/// The newest release for a device, with the name of its image.
///
/// # Errors
/// If the bundle has none for that vendor and model, or only such as are older than `installed`.
pub fn choose(
    bundle: &Bundle,
    vendor: &str,
    model: &str,
    installed: Option<u64>,
) -> Result<(String, Release), Refusal> {
    let all = bundle.names().filter_map(|name| Some((name, Release::read(bundle.custom(name)?)?)));
    let all: Vec<(&str, Release)> = all.map(|(name, release)| Ok((name, release?))).collect::<Result<_, Refusal>>()?;
    let own = all.iter().filter(|(_, release)| release.vendor == vendor && release.model == model);
    let Some((name, newest)) = own.max_by_key(|(_, release)| release.sequence) else {
        let others: Vec<String> =
            all.iter().take(4).map(|(_, release)| format!("{} {}", release.vendor, release.model)).collect();
        let why = match others.is_empty() {
            true => "the bundle has no firmware at all".to_owned(),
            false => format!("it is for {:.200}, and this is {vendor} {model}", others.join(", ")),
        };
        return Err(refuse(Fault::Denied, "firmware-model", "RFC 9124 s3.4", why));
    };
    match installed.filter(|installed| newest.sequence < *installed) {
        Some(installed) => {
            let why = format!("{} is number {}, older than {installed}", newest.version, newest.sequence);
            Err(refuse(Fault::Denied, "firmware-rollback", "RFC 9124 s3.2", why))
        }
        None => Ok(((*name).to_owned(), newest.clone())),
    }
}

fn refuse(fault: Fault, check: &'static str, section: &'static str, why: String) -> Refusal {
    Refusal::new(fault, check, section, why)
}

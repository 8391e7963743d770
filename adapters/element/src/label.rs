//! Labels: the part of a key's URI that the caller chooses. For backends.

use crate::ElementError;
use landfall_types::KeyUri;

const LONGEST: usize = 128;

/// Checks a label. It becomes a file name, so it is one plain word: no separator, no leading dot, no way out of the
/// element's folder.
pub fn check(label: &str) -> Result<(), ElementError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let why = match label {
        "" => "it is empty",
        _ if label.len() > LONGEST => "it is longer than 128 bytes",
        _ if label.starts_with('.') => "it begins with a dot",
        _ if !label.chars().all(plain) => "it may hold only ASCII letters, digits, '.', '_' and '-'",
        _ => return Ok(()),
    };
    Err(ElementError::Label { label: label.chars().take(40).collect(), why })
}

/// The URI of the key with that label.
pub fn uri(scheme: &'static str, label: &str) -> Result<KeyUri, ElementError> {
    check(label)?;
    KeyUri::try_from(format!("{scheme}:{label}"))
        .map_err(|_| ElementError::Label { label: label.to_owned(), why: "it does not fit into a URI" })
}

/// The label in `key`, which must be of that scheme.
pub fn of<'a>(scheme: &'static str, key: &'a KeyUri) -> Result<&'a str, ElementError> {
    let label = key.as_str().strip_prefix(scheme).and_then(|rest| rest.strip_prefix(':'));
    let label = label.ok_or_else(|| ElementError::Foreign { key: key.clone(), scheme })?;
    check(label)?;
    Ok(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    proptest! {
        #[test]
        fn a_label_stays_in_its_folder_and_comes_back_from_its_uri(label in prop_oneof!["[a-zA-Z0-9._-]{1,20}", "[a-z./\\\\:\u{0}]{0,6}"]) {
            if let Ok(key) = uri("software", &label) {
                prop_assert_eq!(of("software", &key).unwrap(), label.as_str());
                let path = Path::new("element").join(format!("{label}.key"));
                prop_assert_eq!(path.parent(), Some(Path::new("element")));
            }
        }
    }
}

//! Voucher artefacts that others made, which lie beside the repository and are no part of it.

use super::world::skip;
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_pki::{PkiError, SignedData};
use std::path::Path;

/// Signed on secp256k1, a curve that none of the specifications here names.
const OTHER_CURVE: &str = "minerva-highway/parboiled_vr-00-D0-E5-02-00-20.b64";

/// What the independent check beside the artefacts says of each.
#[test]
fn others_messages_open_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/voucher");
    let Ok(expected) = std::fs::read_to_string(folder.join("expected.txt")) else {
        return skip("others_messages_open_as_expected", "the published artefacts are not at hand");
    };
    let mut opened = 0;
    for line in expected.lines().filter(|line| line.contains('|')) {
        let fields: Vec<_> = line.split(" | ").collect();
        let (file, finding) = (fields[0], fields[2]);
        let Ok(bytes) = std::fs::read(folder.join(file)) else {
            skip("others_messages_open_as_expected", &format!("{file} is listed and not there"));
            continue;
        };
        let text = String::from_utf8_lossy(&bytes).split_whitespace().collect::<String>();
        let bytes = if bytes.first() == Some(&0x30) { bytes } else { STANDARD.decode(text).unwrap_or(bytes) };
        let result = SignedData::parse(&bytes).and_then(|message| message.verify().map(|_| message));
        match finding.strip_prefix("CMS sig OK; ") {
            Some(_) if file == OTHER_CURVE => {
                assert!(matches!(result, Err(PkiError::Unsupported { .. })), "{file}");
            }
            Some(rest) => {
                let message = result.unwrap_or_else(|e| panic!("{file}: {e}"));
                let top = rest.split(';').next().unwrap();
                assert!(String::from_utf8_lossy(message.content()).contains(top), "{file}");
                opened += 1;
            }
            None => assert!(result.is_err(), "{file}: {finding}"),
        }
    }
    assert!(opened > 0);
}

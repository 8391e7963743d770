//! docs/conformance names tests; here each name is looked up.

use std::{fs, path::Path};

const FOLDERS: [(&str, &str); 17] = [
    ("A", "protocols/eap/tests/it"),
    ("M", "protocols/mud/tests/it"),
    ("R", "protocols/attest/tests/it"),
    ("T", "adapters/tpm/tests/it"),
    ("C", "lab/conformance/tests/it"),
    ("B", "protocols/brski/tests/it"),
    ("K", "protocols/software/tests/it"),
    ("F", "protocols/tuf/tests/it"),
    ("V", "protocols/claims/tests/it"),
    ("H", "protocols/behaviour/tests/it"),
    ("W", "protocols/dpp/tests/it"),
    ("U", "protocols/brski/src"),
    ("N", "adapters/net/tests/it"),
    ("P", "foundation/pki/tests/it"),
    ("D", "roles/device/tests/it"),
    ("S", "roles/server/tests/it"),
    ("L", "landfall/tests/it"),
];

#[test]
fn every_test_that_is_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let mut missing = Vec::new();
    let mut named = 0;
    for table in ["access.md", "attestation.md", "brski.md", "dpp.md", "est.md", "mud.md", "verification.md"] {
        let text = fs::read_to_string(root.join("docs/conformance").join(table)).unwrap();
        for name in text.split('`').skip(1).step_by(2) {
            let Some((letter, file, test)) = parts(name) else { continue };
            named += 1;
            let folder = FOLDERS.iter().find(|(known, _)| *known == letter).map(|(_, folder)| folder);
            let folder = folder.unwrap_or_else(|| panic!("{table}: {name}: {letter} stands for no folder"));
            let source = fs::read_to_string(root.join(folder).join(file)).unwrap_or_default();
            if !is_test(&source, test) {
                missing.push(format!("{table}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "docs/conformance names tests that are not there:\n{}", missing.join("\n"));
    assert!(named > 100, "{named} names were understood");
}

/// Whether a function of that name is one that the test program runs by itself, and no part of another.
fn is_test(source: &str, name: &str) -> bool {
    let above = source.split_once(&format!("fn {name}(")).and_then(|(before, _)| before.rsplit_once('\n'));
    let Some((above, _)) = above else { return false };
    let mut attributes = above.lines().rev().take_while(|line| line.trim_start().starts_with(['#', '/']));
    attributes.any(|line| line.contains("#[test") || line.contains("::test"))
}

/// Letter, file and function of `C est::simple_reenroll`; nothing of what is no name of a test.
fn parts(name: &str) -> Option<(&str, String, &str)> {
    let (letter, path) = name.split_once(' ')?;
    let (file, test) = path.split_once("::")?;
    let is_one = letter.len() == 1 && letter.bytes().all(|byte| byte.is_ascii_uppercase());
    is_one.then(|| (letter, format!("{file}.rs"), test))
}

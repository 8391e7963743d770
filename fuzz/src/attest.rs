//! What devices show of their software, and what is said of it.

use landfall_attest::{
    Ear, EventLog, ReferenceValues, Shown, corim, read_answer,
    tpm::{About, Statement, digest_of},
};
use landfall_types::Time;

/// When the examples hold.
const NOW: Time = Time::from_unix(1_800_000_000);

/// A quote, or a statement about a key.
pub fn statement(data: &[u8]) -> bool {
    let Ok(statement) = Statement::read(data) else { return false };
    if let About::Quote { selection, .. } = &statement.about {
        assert!(selection.len() <= 24);
    }
    true
}

/// An event log.
pub fn event_log(data: &[u8]) -> bool {
    let Ok(log) = EventLog::read(data) else { return false };
    let replayed = log.replay(0..24);
    digest_of(&replayed);
    // What we write of it adds up to the same, but for the locality, which firmware alone tells.
    let again = EventLog::read(&log.write()).map(|again| EventLog { locality: log.locality, ..again });
    assert!(again.is_ok_and(|again| again.replay(0..24) == replayed));
    true
}

/// Evidence as it crosses the wire.
pub fn evidence(data: &[u8]) -> bool {
    let Ok(shown) = Shown::from_cmw(data) else { return false };
    let again = Shown::from_cmw(shown.to_cmw().as_bytes());
    assert!(again.is_ok_and(|again| again.evidence.nonce() == shown.evidence.nonce() && again.sbom == shown.sbom));
    let _ = shown.is_whole();
    true
}

/// An attestation result.
pub fn result(data: &[u8]) -> bool {
    std::str::from_utf8(data).is_ok_and(|text| Ear::read(text).is_ok())
}

/// Reference values.
pub fn reference_values(data: &[u8]) -> bool {
    std::str::from_utf8(data).is_ok_and(|text| ReferenceValues::read(text).is_ok())
}

/// Reference values in a CoRIM, which it takes a key to sign; what is in it is read all the same.
pub fn corim(data: &[u8]) -> bool {
    assert!(corim::verify(data, &[], NOW).is_err());
    let Ok(known) = corim::unsigned(data, NOW) else { return false };
    known.iter().flat_map(|known| &known.releases).for_each(|release| {
        assert!(!release.firmware.is_empty() && release.pcrs.keys().all(|pcr| *pcr < 24));
    });
    true
}

/// A nonce.
pub fn nonce(data: &[u8]) -> bool {
    read_answer(data).is_ok_and(|nonce| (8..=64).contains(&nonce.len()))
}

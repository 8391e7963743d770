//! What manufacturers say of their devices.

use landfall_mud::{Context, Direction, MudUrl, Packet, Policy, judge::Judge, packet::Mac, read};

/// A MUD URL.
pub fn url(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(url) = text.parse::<MudUrl>() else { return false };
    assert_eq!(url.as_str(), text);
    assert!(text.to_ascii_lowercase().contains(&url.authority()));
    true
}

/// A frame in which a device may say where its file is.
pub fn claim(data: &[u8]) -> bool {
    let Ok(Some(claim)) = landfall_mud::claim::read(data) else { return false };
    let url = claim.url.as_str().as_bytes();
    assert!(url.len() <= 255 && data.windows(url.len()).any(|part| part == url));
    assert_eq!(data.get(6..12), Some(&claim.mac.0[..]));
    true
}

/// A MUD file.
pub fn file(data: &[u8]) -> bool {
    let Ok((file, report)) = read(data) else { return false };
    report.findings().iter().for_each(|finding| assert!(finding.path.starts_with('/'), "{finding}"));
    let policy = Policy::of(&file);
    let judge = Judge::new(data).ok();
    for direction in [Direction::FromDevice, Direction::ToDevice] {
        let (source, destination) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let packet = Packet { direction, source, destination, ether_type: 0x88cc, ip: None };
        let allowed = policy.allows(&packet, &Context::new());
        assert!(
            judge.as_ref().is_some_and(|judge| judge.allows(&packet, &Context::new()) == allowed),
            "both say the same"
        );
    }
    true
}

//! What manufacturers say of their devices.

use landfall_mud::{
    Context, Direction, MudUrl, Packet, Policy,
    dns::{Answer, LONGEST, Query, Question, kind},
    draft::Draft,
    judge::Judge,
    learn,
    packet::Mac,
    read,
};

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

/// A capture from which a draft is learnt.
pub fn capture(data: &[u8]) -> bool {
    let Ok(url) = "https://lamp.example/lamp.json".parse() else { return false };
    let draft = Draft {
        url,
        systeminfo: "A lamp".into(),
        manufacturer: None,
        model: None,
        last_update: landfall_types::Time::from_unix(1_795_339_800),
        to: Vec::new(),
        from: Vec::new(),
    };
    match learn::learn(data, Mac([2, 0, 0, 0, 0, 7]), draft) {
        Ok(learnt) => {
            assert!(learnt.frames >= learnt.packets.len());
            true
        }
        Err(why) => {
            assert_ne!(why.check, "learnt-draft", "{why}");
            false
        }
    }
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

/// A frame.
pub fn frame(data: &[u8]) -> bool {
    let Some(packet) = Packet::read(Direction::FromDevice, data) else { return false };
    let there = Packet::read(Direction::ToDevice, data).is_some_and(|other| other.ether_type == packet.ether_type);
    assert!(there, "which way it goes does not matter to its form");
    true
}

/// A device's question.
pub fn dns_query(data: &[u8]) -> bool {
    match Query::read(data) {
        Ok(query) => {
            let again = Query::read(&query.write());
            assert!(again.is_ok_and(|again| again.question == query.question && again.id == query.id));
            assert!(query.tell(&Answer::nothing(), true).len() <= 512, "the shortest answer always fits");
            true
        }
        Err(refusal) => {
            assert!(refusal.is_none_or(|refusal| refusal.len() == 12));
            false
        }
    }
}

/// What a resolver says to one question that is always the same.
pub fn dns_answer(data: &[u8]) -> bool {
    let question = Question { name: "cloud.lamp.example".into(), kind: kind::A };
    let Some(query) = Query::new(7, question) else { return false };
    let Some(answer) = Answer::read(data, &query) else { return false };
    assert!(answer.addresses.iter().all(|address| address.is_ipv4()), "nothing else was asked for");
    let told = query.tell(&answer, false);
    if data.len() <= LONGEST && !answer.is_cut {
        let again = Answer::read(&told, &query);
        assert!(again.is_some_and(|again| again.addresses == answer.addresses && again.aliases == answer.aliases));
    }
    true
}

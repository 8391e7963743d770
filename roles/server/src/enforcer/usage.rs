//! Who may speak with whom, as the operator is shown it.

use super::{Enforcer, Guest, manager::Word, picture::Picture};
use crate::admin::view::{DeviceUsage, Meeting, Talk, Usage};
use landfall_lifecycle::network::DomainDevice;
use landfall_mud::{Class, Direction, Policy, file::Ports, policy::Rule};
use landfall_nft::Interface;
use std::sync::Arc;

/// Pairs of so many devices are looked at.
const PAIRED: usize = 512;

impl Enforcer {
    /// Every device inside, what counts of what its manufacturer says, and which of them may speak with each other.
    pub async fn usage(&self) -> Usage {
        let state = self.state.lock().await;
        let mut inside = Vec::new();
        for (port, guest) in &state.guests {
            let Ok(Some(device)) = self.world.store.find::<DomainDevice>(guest.device.as_str()) else { continue };
            let place = state.wanted.intent_of(port);
            let is_owners = place.is_some_and(|place| place < self.purposes.count());
            let policy = place.and_then(|place| state.wanted.intents.get(place)).cloned();
            let word = self.word(&device.record).filter(|_| !is_owners);
            let view = view(&state.wanted, port, guest, &device.record, policy.as_deref(), word.as_ref(), is_owners);
            inside.push((port.clone(), policy, view));
        }
        let meetings = meetings(&state.wanted, &inside);
        Usage { devices: inside.into_iter().map(|(_, _, view)| view).collect(), meetings }
    }
}

fn view(
    picture: &Picture,
    port: &Interface,
    guest: &Guest,
    device: &DomainDevice,
    policy: Option<&Policy>,
    word: Option<&Word>,
    is_owners: bool,
) -> DeviceUsage {
    let source = device.mud_source().or_else(|| device.mud_claim.clone());
    // What has come and is not yet in the kernel is not in force.
    let meaning = word.and_then(|word| word.meaning.as_ref()).filter(|meaning| Some(&*meaning.policy) == policy);
    let good = word.filter(|_| meaning.is_some()).and_then(|word| word.record.as_ref()?.good.clone());
    let file = meaning.map(|meaning| &meaning.file);
    let transparency = file.and_then(|file| file.transparency.clone());
    let in_force = match (policy, meaning) {
        _ if is_owners => "the owner's file",
        (None, _) => "the segment's rules",
        (Some(_), Some(_)) => "the manufacturer's file",
        (Some(_), None) => "the owner's preset",
    };
    let talks = |direction| {
        let rules = policy.map(|policy| policy.rules(direction)).unwrap_or_default();
        rules.iter().map(talk).collect::<Vec<_>>()
    };
    DeviceUsage {
        device: device.identity.serial_number.to_string(),
        id: device.identity.device.to_string(),
        port: port.to_string(),
        address: guest.mac.clone(),
        segment: picture.segment_of(port).map(|segment| segment.name.clone()).unwrap_or_default(),
        in_force: in_force.into(),
        url: source.as_ref().map(|source| source.url.clone()),
        learnt: source.as_ref().map(|source| source.learnt.to_string()),
        is_proven: source.as_ref().is_some_and(|source| source.learnt.is_authenticated()),
        signer: good.as_ref().map(|good| good.signer.clone()),
        signed_at: good.as_ref().and_then(|good| good.signed_at),
        fetched: good.as_ref().map(|good| good.fetched),
        fresh_until: good.as_ref().map(|good| good.fresh_until),
        found_at: good.as_ref().map(|good| format!("{} ({})", good.from, good.address)),
        systeminfo: file.and_then(|file| file.systeminfo.clone()),
        is_supported: file.map(|file| file.is_supported),
        documentation: file.and_then(|file| file.documentation.clone()),
        parts: transparency.as_ref().and_then(|links| links.sbom.as_ref()).map(parts).unwrap_or_default(),
        weaknesses: transparency.map(|links| links.vulnerabilities).unwrap_or_default(),
        trouble: word
            .and_then(|word| word.trouble.as_ref())
            .map(|trouble| format!("{}: {}", trouble.check, trouble.why)),
        says: talks(Direction::FromDevice),
        hears: talks(Direction::ToDevice),
    }
}

fn parts(sbom: &landfall_mud::file::Retrieval) -> Vec<String> {
    use landfall_mud::file::Retrieval;
    match sbom {
        Retrieval::Cloud(versions) => versions.iter().map(|(version, url)| format!("{version}: {url}")).collect(),
        Retrieval::Local(protocol) => vec![format!("{protocol}, from the device itself")],
        Retrieval::Contact(uri) => vec![uri.clone()],
    }
}

fn talk(rule: &Rule) -> Talk {
    let mut with: Vec<String> = rule.classes.iter().map(ToString::to_string).collect();
    with.extend(rule.remote.map(|network| network.to_string()));
    let with = if with.is_empty() { "anyone".into() } else { with.join(" and ") };
    Talk { with, rule: rule.name.clone(), is_allowed: rule.allow, how: rule.to_string() }
}

/// Pairs of devices inside of which the first may begin to speak with the second.
fn meetings(picture: &Picture, inside: &[(Interface, Option<Arc<Policy>>, DeviceUsage)]) -> Vec<Meeting> {
    let mut meetings = Vec::new();
    let inside = inside.get(..PAIRED).unwrap_or(inside);
    for (port, policy, from) in inside {
        for (other, others, to) in inside.iter().filter(|(other, ..)| other != port) {
            let (Some(here), Some(there)) = (picture.segment_of(port), picture.segment_of(other)) else { continue };
            // Devices of different segments, and of one where none reaches another, do not meet on a bridge.
            if here.name != there.name || !here.lateral {
                continue;
            }
            let says = permitted(policy.as_deref(), Direction::FromDevice, others.as_deref());
            let hears = permitted(others.as_deref(), Direction::ToDevice, policy.as_deref());
            let by = says.iter().find_map(|said| hears.iter().find_map(|heard| meet(*said, *heard)));
            meetings.extend(by.map(|how| Meeting { from: from.device.clone(), to: to.device.clone(), how }));
        }
    }
    meetings
}

/// What a policy lets through to or from a device with that policy; a single `None` if there is no policy, which is everything.
fn permitted<'a>(policy: Option<&'a Policy>, direction: Direction, other: Option<&Policy>) -> Vec<Option<&'a Rule>> {
    let Some(policy) = policy else { return vec![None] };
    let is_in = |class: &Class| match (class, other) {
        (Class::LocalNetworks, _) => true,
        (Class::Manufacturer(authority), Some(other)) => other.url.authority() == *authority,
        (Class::Model(url), Some(other)) => other.url.as_str() == url,
        _ => false,
    };
    let rules = policy.rules(direction).iter();
    rules.filter(|rule| rule.allow && rule.classes.iter().all(is_in)).map(Some).collect()
}

/// By what two devices may speak, as one says and the other hears it.
fn meet(said: Option<&Rule>, heard: Option<&Rule>) -> Option<String> {
    let (Some(said), Some(heard)) = (said, heard) else {
        return Some(said.or(heard).map_or_else(|| "everything".into(), ToString::to_string));
    };
    let same = |a: Option<u8>, b: Option<u8>| a.is_none() || b.is_none() || a == b;
    let family = said.family.is_none() || heard.family.is_none() || said.family == heard.family;
    let ports = overlap(said.remote_ports, heard.device_ports) && overlap(said.device_ports, heard.remote_ports);
    // Who begins speaks; who only answers does not.
    let begins = said.begun != Some(Direction::ToDevice) && heard.begun != Some(Direction::FromDevice);
    (family && ports && begins && same(said.protocol, heard.protocol)).then(|| said.to_string())
}

fn overlap(one: Ports, other: Ports) -> bool {
    match (one, other) {
        (Ports::Range(a, b), Ports::Range(c, d)) => a <= d && c <= b,
        (Ports::Not(not), Ports::Range(a, b)) | (Ports::Range(a, b), Ports::Not(not)) => (a, b) != (not, not),
        _ => true,
    }
}

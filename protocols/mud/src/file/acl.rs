//! Access lists (RFC 8519), and which of them a MUD file means.

use super::{
    ACLS, DRAFT_ACLS,
    matches::{self, Family, Matches},
    object::{Object, Text},
};
use crate::{
    bounds,
    report::{At, Kind, Report},
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A list of entries; the first that a packet matches decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Acl {
    /// What the policy calls it.
    pub name: String,
    /// The entries in their order.
    pub entries: Vec<Entry>,
}

/// What the entries of a list speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AclKind {
    /// Packets of IP of one version.
    Ip(Family),
    /// Frames of Ethernet.
    Ether,
    /// Frames of Ethernet and packets in them, of that version or either.
    Mixed(Option<Family>),
}

/// One entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Which packets it means; nothing if that could not be understood whole.
    pub matches: Option<Matches>,
    /// What happens to them.
    pub action: Action,
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is let through.
    Accept,
    /// It is not.
    Drop,
}

impl Acl {
    /// One of which nothing is known, not even whether it would drop something.
    fn unreadable(name: &str) -> Self {
        let entry = Entry { name: String::new(), matches: None, action: Action::Drop };
        Self { name: name.to_owned(), entries: vec![entry] }
    }
}

/// Entries may be named so long (RFC 8519 s4.1).
const NAME: usize = 64;

/// The lists of a file by name.
pub(super) struct Lists {
    acls: Vec<(String, Result<Acl, ()>)>,
}

impl Lists {
    pub(super) fn of<'v>(top: &'v Map<String, Value>, mud: &mut Object<'v, '_>, report: &mut Report) -> Self {
        // RFC 9761 s7 has the lists within the container, against RFC 8520 s7 and RFC 8519.
        let inside = mud.take(ACLS).map(|value| (value, true));
        let found = [(ACLS, false), (DRAFT_ACLS, true)];
        let found = found.into_iter().filter_map(|(name, draft)| top.get(name).map(|value| (name, value, draft)));
        let mut all = Vec::new();
        if let Some((value, _)) = inside {
            let (mud, acls) = (mud.at(), ACLS);
            report.mended(&mud.name(acls), "RFC 8519 s4.1", "it should stand beside the container, not in it");
            read(value, mud.name(acls), &mut all, report);
        }
        for (name, value, is_draft) in found {
            let at = At::top(name);
            if is_draft {
                report.mended(&at, "RFC 8519 s4.1", format!("it should be called {ACLS}"));
            }
            read(value, at, &mut all, report);
        }
        Self { acls: all }
    }

    /// The lists that a policy names, in its order.
    pub(super) fn policy(
        &self,
        mud: &mut Object<'_, '_>,
        name: &'static str,
        used: &mut Vec<String>,
        report: &mut Report,
    ) -> Vec<Acl> {
        const SECTION: &str = "RFC 8520 s3.3";
        let (mut lists, mud_at) = (Vec::new(), mud.at());
        let at = mud_at.name(name);
        // RFC 8520 s3.3: a file says in either direction what is permitted.
        let Some(value) = mud.required(name, SECTION, report) else { return lists };
        let Some(mut policy) = Object::of(value, at, SECTION, report) else { return lists };
        let at = at.name("access-lists");
        let Some(value) = policy.required("access-lists", SECTION, report) else { return lists };
        let Some(mut container) = Object::of(value, at, SECTION, report) else { return lists };
        let at = at.name("access-list");
        for (index, value) in container.list("access-list", SECTION, bounds::LISTS, report).iter().enumerate() {
            let at = at.index(index);
            let Some(mut item) = Object::of(value, at, SECTION, report) else { continue };
            if item.required("name", SECTION, report).is_none() {
                continue;
            }
            let Some(name) = value.get("name").and_then(Value::as_str) else {
                report.wrong(&at.name("name"), SECTION, "it is no text");
                continue;
            };
            let known: Vec<_> = self.acls.iter().filter(|(known, _)| known == name).collect();
            match known.as_slice() {
                [] => {
                    report.wrong(&at.name("name"), SECTION, "there is no access list of that name");
                    lists.push(Acl::unreadable(name));
                }
                [(_, Ok(_))] if lists.iter().any(|acl: &Acl| acl.name == name) => {
                    report.mended(&at.name("name"), SECTION, "that access list was named before");
                }
                [(_, Ok(acl))] => lists.push(acl.clone()),
                [(_, Err(()))] => lists.push(Acl::unreadable(name)),
                _ => {
                    report.wrong(&at.name("name"), "RFC 8519 s4.1", "several access lists have that name");
                    lists.push(Acl::unreadable(name));
                }
            }
            used.push(name.to_owned());
            item.rest(SECTION, report);
        }
        container.rest(SECTION, report);
        policy.rest(SECTION, report);
        lists
    }

    /// How many entries there are in all.
    pub(super) fn entries(&self) -> usize {
        self.acls.iter().filter_map(|(_, acl)| acl.as_ref().ok()).map(|acl| acl.entries.len()).sum()
    }

    /// Tells of lists that no policy names.
    pub(super) fn unused(&self, used: &[String], report: &mut Report) {
        for (name, _) in self.acls.iter().filter(|(name, _)| !used.contains(name)) {
            let why = format!("no policy names the access list {:?}", name.chars().take(NAME).collect::<String>());
            report.note(&At::top(ACLS), "RFC 8520 s3.3", why);
        }
    }
}

fn read(value: &Value, at: At<'_>, all: &mut Vec<(String, Result<Acl, ()>)>, report: &mut Report) {
    const SECTION: &str = "RFC 8519 s4.1";
    let Some(mut container) = Object::of(value, at, SECTION, report) else { return };
    let at = at.name("acl");
    for (index, value) in container.list("acl", SECTION, bounds::LISTS, report).iter().enumerate() {
        let at = at.index(index);
        let Some(mut object) = Object::of(value, at, SECTION, report) else { continue };
        let Some(name) = object.text("name", SECTION, Text::Free, report) else {
            report.wrong(&at, SECTION, "it has no name");
            continue;
        };
        if !(1..=NAME).contains(&name.chars().count()) {
            report.wrong(&at.name("name"), SECTION, format!("it has not 1 to {NAME} characters"));
        }
        let kind = kind(&mut object, report);
        let acl = kind.map(|kind| entries(name.clone(), kind, &mut object, report));
        object.rest(SECTION, report);
        all.push((name, acl.ok_or(())));
    }
    // RFC 8520 s2.1: MUD does not deal with interfaces.
    container.rest("RFC 8520 s2.1", report);
}

fn kind(object: &mut Object<'_, '_>, report: &mut Report) -> Option<AclKind> {
    const SECTION: &str = "RFC 8519 s4.1";
    let at = object.at();
    let at = at.name("type");
    let text = object.required("type", SECTION, report)?;
    let Some(text) = text.as_str() else {
        report.wrong(&at, SECTION, "it is no text");
        return None;
    };
    // RFC 7951 s6.8: the module's name may stand before it.
    Some(match text.strip_prefix("ietf-access-control-list:").unwrap_or(text) {
        "ipv4-acl-type" => AclKind::Ip(Family::V4),
        "ipv6-acl-type" => AclKind::Ip(Family::V6),
        "eth-acl-type" => AclKind::Ether,
        "ethernet-acl-type" => {
            report.mended(&at, SECTION, "it should be eth-acl-type");
            AclKind::Ether
        }
        "mixed-eth-ipv4-acl-type" => AclKind::Mixed(Some(Family::V4)),
        "mixed-eth-ipv6-acl-type" => AclKind::Mixed(Some(Family::V6)),
        "mixed-eth-ipv4-ipv6-acl-type" => AclKind::Mixed(None),
        _ => {
            report.wrong(&at, SECTION, "it is no type of access list");
            return None;
        }
    })
}

fn entries(name: String, kind: AclKind, object: &mut Object<'_, '_>, report: &mut Report) -> Acl {
    const SECTION: &str = "RFC 8519 s4.1";
    let before = report.count(Kind::Wrong);
    let mut acl = Acl { name, entries: Vec::new() };
    let at = object.at();
    let at = at.name("aces");
    let Some(value) = object.take("aces") else { return acl };
    let Some(mut container) = Object::of(value, at, SECTION, report) else { return Acl::unreadable(&acl.name) };
    let at = at.name("ace");
    let mut names = BTreeSet::new();
    // One more than a file may have, so that too many are seen.
    let items = container.list("ace", SECTION, bounds::ENTRIES + 1, report);
    if report.count(Kind::Wrong) > before {
        return Acl::unreadable(&acl.name);
    }
    for (index, value) in items.iter().enumerate() {
        let entry = entry(value, &at.index(index), kind, report);
        if !names.insert(entry.name.clone()) {
            report.mended(&at.index(index).name("name"), SECTION, "an entry before has that name");
        }
        acl.entries.push(entry);
    }
    container.rest(SECTION, report);
    acl
}

/// One entry. One that is not understood whole matches nothing; if it could have been one that drops, nothing after it may let
/// through what it would have stopped, which is for the compiler to see to.
fn entry(value: &Value, at: &At<'_>, kind: AclKind, report: &mut Report) -> Entry {
    const SECTION: &str = "RFC 8519 s4.1";
    let mut entry = Entry { name: String::new(), matches: None, action: Action::Drop };
    let before = report.left_out();
    let Some(mut object) = Object::of(value, *at, SECTION, report) else { return entry };
    match object.text("name", SECTION, Text::Free, report) {
        Some(name) if (1..=NAME).contains(&name.chars().count()) => entry.name = name,
        _ => report.wrong(at, SECTION, format!("it has no name of 1 to {NAME} characters")),
    }
    let inside = at.name("matches");
    let found = match object.take("matches") {
        Some(value) => Object::of(value, inside, SECTION, report).map(|object| {
            // RFC 9761 s7 has the actions within the matches.
            let (matches, actions) = matches::read(object, kind, report);
            (matches, actions)
        }),
        None => Some((Matches::of(kind), None)),
    };
    let (matches, misplaced) = found.unzip();
    let actions = match (object.take("actions"), misplaced.flatten()) {
        (Some(actions), None) => Some((actions, at.name("actions"))),
        (None, Some(actions)) => {
            report.mended(&inside.name("actions"), SECTION, "it should stand beside the matches, not among them");
            Some((actions, inside.name("actions")))
        }
        (Some(_), Some(_)) => {
            report.wrong(&inside.name("actions"), SECTION, "it is there twice");
            None
        }
        (None, None) => {
            report.wrong(at, SECTION, "actions is missing");
            None
        }
    };
    if let Some(action) = actions.and_then(|(value, at)| action(value, at, report)) {
        entry.action = action;
    }
    object.rest(SECTION, report);
    entry.matches = matches.filter(|_| report.left_out() == before);
    if entry.action == Action::Accept && entry.matches.as_ref().is_some_and(Matches::is_everything) {
        report.note(at, "RFC 8519 s4.1", "it lets everything through");
    }
    entry
}

fn action(value: &Value, at: At<'_>, report: &mut Report) -> Option<Action> {
    const SECTION: &str = "RFC 8520 s2.1";
    let mut object = Object::of(value, at, SECTION, report)?;
    let forwarding = object.required("forwarding", "RFC 8519 s4.1", report)?;
    let at = at.name("forwarding");
    let Some(text) = forwarding.as_str() else {
        report.wrong(&at, "RFC 8519 s4.1", "it is no text");
        return None;
    };
    // RFC 8520 s2.1: accept or drop; reject may be taken as drop.
    let action = match text.strip_prefix("ietf-access-control-list:").unwrap_or(text) {
        "accept" => Action::Accept,
        "drop" => Action::Drop,
        "reject" => {
            report.note(&at, SECTION, "it is taken as drop");
            Action::Drop
        }
        _ => {
            report.wrong(&at, SECTION, "it is neither accept nor drop");
            return None;
        }
    };
    object.rest(SECTION, report);
    Some(action)
}

//! From what is asked of the frames of a kind of device to chains in which a frame meets few rules, and none that cannot be meant.
//!
//! Entries that permit, one after the other, may be taken in any order: those that differ in the host's name alone become one, with a set of
//! names. Then one look leads a packet by its version of IP, its protocol and the other end's port to the rules for that port.

use super::{
    line::{Key, Line},
    plan::{accept, add, jump, payload, rule, stopped, to_chain},
};
use landfall_mud::{Class, Direction, policy::Rule};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// More rules than this are not written twice to save a look.
const MOST: usize = 4096;

/// A rule, and the hosts that it is for if it is for some by their names: any of them.
#[derive(Clone, Debug)]
pub(super) struct Asked<'a> {
    pub(super) rule: &'a Rule,
    pub(super) names: BTreeSet<&'a str>,
}

/// The rules of one direction, those that differ in a name alone made one.
pub(super) fn merged(rules: &[Rule]) -> Vec<Asked<'_>> {
    let mut merged: Vec<Asked<'_>> = Vec::new();
    // What stands after an entry that drops stays after it.
    let mut run = 0;
    for rule in rules {
        let names: BTreeSet<&str> = rule.classes.iter().filter_map(name).collect();
        let alike = merged.iter_mut().skip(run).find(|asked| are_alike(asked.rule, rule));
        match alike {
            Some(asked) if rule.allow && names.len() == 1 => asked.names.extend(names),
            _ => merged.push(Asked { rule, names }),
        }
        if !rule.allow {
            run = merged.len();
        }
    }
    merged
}

fn name(class: &Class) -> Option<&str> {
    if let Class::Name(name) = class { Some(name) } else { None }
}

/// Whether two rules with one name each ask the same but for that.
fn are_alike(a: &Rule, b: &Rule) -> bool {
    let names = |rule: &Rule| rule.classes.iter().filter_map(name).count();
    let others = |rule: &Rule| rule.classes.iter().filter(|class| name(class).is_none()).cloned().collect::<Vec<_>>();
    (a.allow, a.protocol, a.remote_ports, a.device_ports) == (b.allow, b.protocol, b.remote_ports, b.device_ports)
        && (a.family, a.begun, a.icmp, a.device, a.remote) == (b.family, b.begun, b.icmp, b.device, b.remote)
        && a.ether == b.ether
        && (names(a), names(b)) == (1, 1)
        && others(a) == others(b)
}

/// The chain `base`, to which frames of one direction are led, and those behind it; what none of the lines lets through ends.
///
/// Keys of which the same is asked lead to one chain: what a kernel takes grows with what a file says, not with how many ports it names.
pub(super) fn chains(base: &str, direction: Direction, lines: &[Line]) -> Vec<Value> {
    // Up to the last that drops each is asked in its place. After it all permit, and which of them does is nothing to a frame.
    let (ordered, free) = lines.split_at(lines.iter().rposition(|line| !line.allow).map_or(0, |last| last + 1));
    let mut keys: BTreeMap<Key, Vec<&Line>> =
        ordered.iter().flat_map(Line::keys).map(|key| (key, Vec::new())).collect();
    for line in free {
        line.keys().into_iter().for_each(|key| keys.entry(key).or_default().push(line));
    }
    if ordered.iter().filter(|line| line.keys().is_empty()).count() * keys.len() > MOST {
        keys.clear();
    }
    let rest = format!("{base}-rest");
    let mut commands = vec![add("chain", json!({ "name": rest }))];
    for line in lines.iter().filter(|line| keys.is_empty() || line.keys().is_empty()) {
        commands.push(rule(&rest, verdict(line.whole(direction), line.allow, direction)));
    }
    commands.push(rule(&rest, vec![stopped(direction)]));
    let mut chains: HashMap<Vec<Vec<Value>>, String> = HashMap::new();
    let mut branches = Vec::new();
    for (key, free) in keys {
        let of_key = ordered.iter().filter(|line| line.may_be(&key)).chain(free);
        let asked = of_key.map(|line| verdict(line.rest.clone(), line.allow, direction)).collect();
        let number = chains.len();
        let chain = chains.entry(asked).or_insert_with_key(|asked| {
            let chain = format!("{base}-{number}");
            commands.push(add("chain", json!({ "name": chain })));
            commands.extend(asked.iter().map(|asked| rule(&chain, asked.clone())));
            chain
        });
        // What none of them lets through comes back.
        branches.push(json!([{ "concat": [key.family.ether_type(), key.protocol, key.port] }, jump(chain)]));
    }
    commands.push(add("chain", json!({ "name": base })));
    if !branches.is_empty() {
        let side = if direction == Direction::FromDevice { "dport" } else { "sport" };
        let key = json!([payload("ether", "type"), { "meta": { "key": "l4proto" } }, payload("th", side)]);
        commands.push(rule(base, vec![json!({ "vmap": { "key": { "concat": key }, "data": { "set": branches } } })]));
    }
    commands.push(rule(base, vec![to_chain(&rest)]));
    commands
}

fn verdict(mut expression: Vec<Value>, allow: bool, direction: Direction) -> Vec<Value> {
    expression.push(if allow { accept() } else { stopped(direction) });
    expression
}

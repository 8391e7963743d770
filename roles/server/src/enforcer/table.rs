//! A table of the bridges of its own, beside that of the rules: what it does is not undone when those are loaded anew.

use landfall_nft::Interface;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) const FAMILY: &str = "bridge";

/// Commands for a table of that name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table(pub(super) &'static str);

impl Table {
    /// Makes it anew, with the ports that are guarded and these chains of hooks that accept.
    pub(super) fn anew(self, ports: &BTreeSet<Interface>, hooks: &[&str], priority: i32) -> Vec<Value> {
        let table = json!({ "table": { "family": FAMILY, "name": self.0 } });
        let ports: Vec<&str> = ports.iter().map(Interface::as_str).collect();
        // Deleting what is not there would fail, and everything with it.
        let mut commands = vec![json!({ "add": table }), json!({ "delete": table }), json!({ "add": table })];
        commands.push(self.add("set", json!({ "name": "guarded", "type": "ifname", "elem": ports })));
        for hook in hooks {
            let chain = json!({ "name": hook, "type": "filter", "hook": hook, "prio": priority, "policy": "accept" });
            commands.push(self.add("chain", chain));
        }
        commands
    }

    pub(super) fn rule(self, chain: &str, expression: Vec<Value>) -> Value {
        self.add("rule", json!({ "chain": chain, "expr": expression }))
    }

    pub(super) fn element(self, verb: &str, name: &str, elements: &[Value]) -> Value {
        json!({ verb: { "element": { "family": FAMILY, "table": self.0, "name": name, "elem": elements } } })
    }

    pub(super) fn add(self, kind: &str, mut what: Value) -> Value {
        if let Some(object) = what.as_object_mut() {
            object.insert("family".into(), json!(FAMILY));
            object.insert("table".into(), json!(self.0));
        }
        json!({ "add": { kind: what } })
    }
}

pub(super) fn port(key: &str) -> Value {
    json!({ "meta": { "key": key } })
}

/// Whether a frame comes in or goes out at a port that is guarded.
pub(super) fn guarded(key: &str) -> Value {
    is_in(&port(key), "guarded")
}

pub(super) fn is_in(left: &Value, set: &str) -> Value {
    json!({ "match": { "op": "==", "left": left, "right": format!("@{set}") } })
}

/// As often as somebody can read it: who makes much noise is not heard for that, and nobody else is drowned by it.
pub(super) fn few(set: &str, rate: u32, burst: u32) -> Value {
    let limit = json!({ "limit": { "rate": rate, "burst": burst, "per": "second" } });
    json!({ "set": { "op": "update", "elem": port("iifname"), "set": format!("@{set}"), "stmt": [limit] } })
}

pub(super) fn log(prefix: &str, group: u16) -> Value {
    let snap = landfall_nft::told::SNAP;
    json!({ "log": { "prefix": prefix, "group": group, "snaplen": snap, "queue-threshold": 1 } })
}

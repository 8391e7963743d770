//! Rules that tell of what devices say of themselves, and decide nothing.

use super::{
    picture::Picture,
    plan::{CLAIM, HEARD, TABLE, TOLD, add, matches, payload, port, rule},
};
use serde_json::{Value, json};

/// The family of rules that ports have for themselves.
const EARS: &str = "netdev";
/// IEEE 802.1AB-2016 s7.2.
const LLDP: u16 = 0x88cc;

/// Tells of what devices say of themselves in messages to DHCP servers, and decides nothing.
pub(super) fn claims() -> Vec<Value> {
    let (heard, few, log) = claim();
    let mut commands = vec![add("set", json!({ "name": heard, "type": "ifname", "size": 65535 }))];
    for (from, to) in [(68, 67), (546, 547)] {
        let what = vec![port("udp", "sport", json!(from)), port("udp", "dport", json!(to)), few.clone(), log.clone()];
        commands.push(rule("prerouting", what));
    }
    commands
}

/// The set that knows who was told of lately, what lets few pass for each port, and what tells of them.
fn claim() -> (String, Value, Value) {
    let come = json!({ "meta": { "key": "iifname" } });
    let heard = format!("{HEARD}-{CLAIM}");
    let limit = json!({ "limit": { "rate": 2, "burst": 10, "per": "second" } });
    let few = json!({ "set": { "op": "update", "elem": come, "set": format!("@{heard}"), "stmt": [limit] } });
    let log = json!({ "log": { "prefix": CLAIM, "group": TOLD, "snaplen": landfall_nft::told::WHOLE, "queue-threshold": 1 } });
    (heard, few, log)
}

/// Tells of what devices say to their neighbour, the port itself (IEEE 802.1AB-2016 s7.1): such frames go past the rules of a bridge, so
/// that the ports have rules of their own for them, which decide nothing. Apart from all else, since a port that is not there has none.
pub(super) fn ears(picture: &Picture) -> Vec<Value> {
    let in_table = |kind: &str, mut what: Value| {
        if let Some(what) = what.as_object_mut() {
            what.extend([("family".to_owned(), json!(EARS)), ("table".to_owned(), json!(TABLE))]);
        }
        json!({ "add": { kind: what } })
    };
    let table = json!({ "table": { "family": EARS, "name": TABLE } });
    let mut commands = vec![json!({ "add": table }), json!({ "delete": table })];
    if !picture.claims {
        return commands;
    }
    let (heard, few, log) = claim();
    commands.push(json!({ "add": table }));
    commands.push(in_table("set", json!({ "name": heard, "type": "ifname", "size": 65535 })));
    for port in &picture.ports {
        let name = format!("{CLAIM}-{port}");
        let chain = json!({ "name": name, "type": "filter", "hook": "ingress", "dev": port.as_str(), "prio": -200, "policy": "accept" });
        commands.push(in_table("chain", chain));
        let is_lldp = matches("==", &payload("ether", "type"), json!(LLDP));
        commands.push(in_table("rule", json!({ "chain": name, "expr": [is_lldp, few, log] })));
    }
    commands
}

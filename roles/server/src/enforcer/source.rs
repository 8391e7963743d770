//! Whose an address of IP is: that of the device that used it first, for as long as that is there (RFC 6620 s3).
//!
//! The kernel learns them by itself, frame by frame: `source-4` and `source-6` hold ports and addresses, `taken-4` and `taken-6` what is
//! somebody's, and those of the network's own machines, which are nobody's behind a port. Nobody can take them all.

use super::{
    Enforcer, State,
    picture::Picture,
    plan::{self, TABLE, add, element, jump, matches, payload, rule, to_chain},
};
use landfall_mud::{file::Family, packet::Prefix};
use landfall_nft::{Interface, KernelError};
use serde_json::{Value, json};
use std::{collections::BTreeSet, net::IpAddr};

/// Ports with a device that was let in.
pub(super) const SETTLED: &str = "settled";
/// Where frames end with the address of somebody else.
pub(super) const STOP: &str = "stop-source";
const CHAIN: &str = "sources";
/// Who used a new address lately.
const NEW: &str = "sources-new";
/// So many addresses a device may begin to use in an hour: more than it has by all that IPv6 gives it.
const AN_HOUR: u32 = 32;
/// More than a machine's devices have.
const SIZE: u32 = 65535;

/// Whether the kernel puts elements into a set of that name.
pub(super) fn is_learnt(name: &str) -> bool {
    name.starts_with("source-") || name.starts_with("taken-") || name == NEW
}

/// Chain and sets, and the rule that leads there.
pub(super) fn frame(picture: &Picture) -> Vec<Value> {
    let come = json!({ "meta": { "key": "iifname" } });
    let mut commands = vec![
        add("set", json!({ "name": SETTLED, "type": "ifname" })),
        add("set", json!({ "name": NEW, "type": "ifname", "size": SIZE })),
        add("chain", json!({ "name": CHAIN })),
    ];
    let own = owners(picture);
    for (digit, kind, family) in [(4, "ipv4_addr", Family::V4), (6, "ipv6_addr", Family::V6)] {
        let own: Vec<&IpAddr> = own.iter().filter(|address| address.is_ipv4() == (digit == 4)).collect();
        let mut taken = json!({ "name": format!("taken-{digit}"), "type": kind, "size": SIZE });
        if let (Some(taken), false) = (taken.as_object_mut(), own.is_empty()) {
            taken.insert("elem".into(), json!(own));
        }
        let source = json!({ "name": format!("source-{digit}"), "type": ["ifname", kind], "size": SIZE });
        commands.extend([add("set", taken), add("set", source)]);
        let (layer, nobody) = if digit == 4 { ("ip", "0.0.0.0") } else { ("ip6", "::") };
        let (address, version) = (payload(layer, "saddr"), payload("ether", "type"));
        let version = matches("==", &version, json!(family.ether_type()));
        let mine = json!({ "concat": [come, address] });
        let learn =
            |set: &str, what: &Value| json!({ "set": { "op": "add", "elem": what, "set": format!("@{set}-{digit}") } });
        let over = json!({ "limit": { "rate": AN_HOUR, "burst": AN_HOUR, "per": "hour", "inv": true } });
        let too_many = json!({ "set": { "op": "update", "elem": come, "set": format!("@{NEW}"), "stmt": [over] } });
        let back = || json!({ "return": null });
        for rest in [
            vec![matches("==", &mine, json!(format!("@source-{digit}"))), back()],
            vec![matches("==", &address, json!(nobody)), back()],
            vec![matches("==", &address, json!(format!("@taken-{digit}"))), to_chain(STOP)],
            vec![too_many, to_chain(STOP)],
            vec![learn("taken", &address), learn("source", &mine)],
        ] {
            commands.push(rule(CHAIN, std::iter::once(version.clone()).chain(rest).collect()));
        }
    }
    // Who says by ARP that it has an address has to be the one who has it (RFC 826).
    let said = payload("arp", "saddr ip");
    let mine = matches("!=", &json!({ "concat": [come, said] }), json!("@source-4"));
    commands.push(rule(CHAIN, vec![mine, matches("==", &said, json!("@taken-4")), to_chain(STOP)]));
    commands.push(rule("prerouting", vec![matches("==", &come, json!(format!("@{SETTLED}"))), jump(CHAIN)]));
    commands
}

/// The addresses of the network's own machines, as far as the owner has said them.
fn owners(picture: &Picture) -> BTreeSet<IpAddr> {
    let resolvers = picture.resolvers.iter().flat_map(|resolvers| resolvers.own.iter().copied());
    let classes = picture.intents.iter().flat_map(|policy| policy.classes());
    let members = classes.filter_map(|class| picture.known.members(class)).flat_map(|members| &members.networks);
    let is_host = |network: &&Prefix| network.bits() == if network.is_ipv4() { 32 } else { 128 };
    resolvers.chain(members.filter(is_host).map(Prefix::first)).collect()
}

impl Enforcer {
    /// The addresses of whoever was behind these ports are nobody's from now on.
    pub(super) async fn release(&self, state: &State, ports: &[Interface]) {
        if !state.loaded.bound {
            return;
        }
        let released = async {
            let gone = self.sources(|port| ports.iter().any(|other| other.as_str() == port)).await?;
            let commands = elements("delete", gone);
            if commands.is_empty() { Ok(()) } else { self.kernel.apply(&commands).await }
        };
        if let Err(why) = released.await {
            tracing::warn!(role = "enforcer", %why, "addresses of a device that left stay its own");
        }
    }

    /// What has to be known again when everything is loaded anew.
    pub(super) async fn kept_sources(&self, picture: &Picture) -> Result<Vec<Value>, KernelError> {
        if !picture.bound {
            return Ok(Vec::new());
        }
        let is_there = |port: &str| picture.occupants.keys().any(|other| other.as_str() == port);
        Ok(elements("add", self.sources(is_there).await?))
    }

    async fn sources(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<Vec<String>>, KernelError> {
        let mut found = Vec::new();
        for set in ["source-4", "source-6"] {
            let listed = self.kernel.set("bridge", TABLE, set).await?.unwrap_or_default();
            found.extend(plan::keys(&listed).into_iter().filter(|key| key.first().is_some_and(|port| wanted(port))));
        }
        Ok(found)
    }
}

fn elements(verb: &str, keys: Vec<Vec<String>>) -> Vec<Value> {
    let mut commands = Vec::new();
    for key in keys {
        let Some(address) = key.last() else { continue };
        let digit = if address.contains(':') { 6 } else { 4 };
        commands.push(element(verb, &format!("taken-{digit}"), &json!([address])));
        commands.push(element(verb, &format!("source-{digit}"), &json!([{ "concat": key }])));
    }
    commands
}

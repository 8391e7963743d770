//! MUD files to measure with.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::{fs, path::Path};

/// How many entries the files of 28 real devices have (University of New South Wales): 1,023.
const SIZES: [usize; 28] =
    [201, 104, 81, 72, 60, 52, 48, 44, 40, 36, 32, 28, 26, 24, 22, 20, 18, 16, 15, 14, 13, 12, 11, 10, 9, 6, 5, 4];

/// Those in a folder.
pub(super) fn read(folder: &Path) -> Result<Vec<Vec<u8>>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    paths.iter().map(|path| fs::read(path).with_context(|| path.display().to_string())).collect()
}

/// Made-up ones, with as many entries; two of three speak of hosts by their names.
pub(super) fn made_up() -> Vec<Vec<u8>> {
    let file = |(number, size): (usize, &usize)| {
        let entry = |index: usize| match index % 3 {
            0 => json!({ "ietf-mud:mud": { "local-networks": [null] }, "ipv4": { "protocol": 17 },
                         "udp": { "destination-port": { "operator": "eq", "port": 1000 + index } } }),
            _ => {
                json!({ "ipv4": { "protocol": 6, "ietf-acldns:dst-dnsname": format!("host{}.maker{number}.example", index % 12) },
                         "tcp": { "ietf-mud:direction-initiated": "from-device",
                                  "destination-port": { "operator": "eq", "port": 1000 + index } } })
            }
        };
        file(&format!("https://maker{number}.example/thing.json"), (0..*size).map(entry).collect())
    };
    SIZES.iter().enumerate().map(file).collect()
}

/// One whose entry for what is measured stands behind so many others.
pub(super) fn deep(depth: usize, [a, b, c, d]: [u8; 4], port: u16) -> Vec<u8> {
    let other = |index: usize| {
        json!({ "ipv4": { "protocol": 6, "ietf-acldns:dst-dnsname": format!("host{}.maker.example", index % 12) },
                "tcp": { "destination-port": { "operator": "eq", "port": 1000 + index } } })
    };
    let last = json!({ "ipv4": { "protocol": 17, "destination-ipv4-network": format!("{a}.{b}.{c}.{d}/32") },
                       "udp": { "destination-port": { "operator": "eq", "port": port } } });
    file("https://maker.example/thing.json", (0..depth).map(other).chain([last]).collect())
}

/// What a device may send; and nothing to it.
pub(crate) fn file(url: &str, matches: Vec<Value>) -> Vec<u8> {
    let entry = |(number, matches): (usize, Value)| json!({ "name": format!("entry-{number}"), "matches": matches, "actions": { "forwarding": "accept" } });
    let entries: Vec<Value> = matches.into_iter().enumerate().map(entry).collect();
    let file = json!({
        "ietf-mud:mud": { "mud-version": 1, "mud-url": url, "last-update": "2026-06-29T19:50:19+02:00", "cache-validity": 48,
            "is-supported": true, "systeminfo": "A thing",
            "from-device-policy": { "access-lists": { "access-list": [{ "name": "from" }] } },
            "to-device-policy": { "access-lists": { "access-list": [{ "name": "to" }] } } },
        "ietf-access-control-list:acls": { "acl": [
            { "name": "from", "type": "ipv4-acl-type", "aces": { "ace": entries } },
            { "name": "to", "type": "ipv4-acl-type", "aces": { "ace": [] } }] }
    });
    file.to_string().into_bytes()
}

use landfall_nft::{Change, Interface, Kernel, KernelError, Seat};
use landfall_testkit::{Hosts, tool};
use serde_json::{Value, json};

/// A namespace with nothing in it, or a skip.
fn ground() -> Option<(Hosts, Kernel)> {
    tool("nft")?;
    let hosts = Hosts::new(&["switch"])?;
    let kernel = Kernel::new(Some(&hosts.namespace("switch"))).unwrap();
    Some((hosts, kernel))
}

fn add(kind: &str, what: Value) -> Value {
    json!({ "add": { kind: what } })
}

fn table() -> Value {
    add("table", json!({ "family": "bridge", "name": "t" }))
}

fn chain(name: &str) -> Value {
    add("chain", json!({ "family": "bridge", "table": "t", "name": name }))
}

fn name(text: &str) -> Interface {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_transaction_is_taken_whole_or_not_at_all() {
    let Some((_hosts, kernel)) = ground() else { return };
    assert_eq!(kernel.table("bridge", "t").await.unwrap(), None);
    kernel.apply(&[table(), chain("first")]).await.unwrap();
    let before = kernel.table("bridge", "t").await.unwrap().unwrap();
    // The one in the middle goes to a chain that is not there.
    let wrong = add("rule", json!({ "family": "bridge", "table": "t", "chain": "none", "expr": [{ "drop": null }] }));
    let refused = kernel.apply(&[chain("second"), wrong, chain("third")]).await.unwrap_err();
    assert!(matches!(refused, KernelError::Refused { program: "nft", .. }), "{refused}");
    assert_eq!(kernel.table("bridge", "t").await.unwrap().unwrap(), before);
    kernel.apply(&[chain("second"), chain("third")]).await.unwrap();
    assert_ne!(kernel.table("bridge", "t").await.unwrap().unwrap(), before);
}

#[tokio::test]
async fn bridges_are_made_once_and_ports_are_moved() {
    let Some((hosts, kernel)) = ground() else { return };
    hosts.cable(("switch", "lan1"), ("switch", "far1"));
    let (a, b, port) = (name("br-a"), name("br-b"), name("lan1"));
    let bridges = [Change::Bridge(a.clone()), Change::Bridge(b.clone())];
    kernel.change(&bridges).await.unwrap();
    kernel.change(&bridges).await.unwrap();
    for bridge in [a, b] {
        let seat = Seat { bridge, vlan: None };
        kernel.change(&[Change::Port { port: port.clone(), seat: seat.clone() }]).await.unwrap();
        let found = kernel.links().await.unwrap().into_iter().find(|link| link.name == port).unwrap();
        assert!(found.sits(&seat), "{found:?}");
        assert!(!found.sits(&Seat { vlan: Some(20), ..seat }), "{found:?}");
    }
    kernel.change(&[Change::Down(port.clone())]).await.unwrap();
    kernel.change(&[]).await.unwrap();
    let missing = Change::Port { port: name("lan9"), seat: Seat { bridge: name("br-a"), vlan: None } };
    assert!(matches!(kernel.change(&[missing]).await.unwrap_err(), KernelError::Refused { program: "ip", .. }));
}

//! Devices that somebody else owns: who permits them, for how long, and what stays on record (SP 1800-36B 4.2, note).

use crate::{
    ground::{Ground, Role},
    landfall,
};
use landfall_lifecycle::network::LOG;
use std::fs;

#[test]
fn an_operator_permits_a_guest_and_takes_that_back() {
    let ground = Ground::lay(1);
    let path = ground.of(Role::Registrar).join("landfall.toml");
    let settings = fs::read_to_string(&path).unwrap();
    fs::write(&path, settings + "[access]\nlisten = \"127.0.0.1:0\"\n[access.guest]\nvlan = \"70\"\n").unwrap();
    let mut server = ground.start_with(Role::Registrar, &["access"]);
    server.until("}");

    let guest = |arguments: &[&str]| ground.does(Role::Registrar, &[&["network", "guest"], arguments].concat());
    let refused = |arguments: &[&str]| {
        let output = landfall(&ground.of(Role::Registrar), &[&["network", "guest"], arguments].concat());
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(guest(&["list"]).as_array().unwrap().len(), 0);
    let permitted = guest(&["permit", "maker", "VISITOR-1", "--days", "3", "--reason", "the painter's lamp"]);
    assert_eq!((permitted["good"].as_bool(), permitted["reason"].as_str()), (Some(true), Some("the painter's lamp")));
    assert!(refused(&["permit", "nobody", "VISITOR-1"]).contains("is not in [[registrar.vendor]]"));
    assert!(refused(&["permit", "maker", "VISITOR-2", "--days", "0"]).contains("no time at all"));
    assert!(refused(&["end", "maker", "VISITOR-2"]).contains("VISITOR-2"));
    assert_eq!(guest(&["list"]).as_array().unwrap().len(), 1);

    assert_eq!(guest(&["end", "maker", "VISITOR-1", "--reason", "it is painted"])["good"], false);
    assert!(refused(&["end", "maker", "VISITOR-1"]).contains("taken back already"));
    let left = guest(&["list"]);
    assert_eq!((left[0]["good"].as_bool(), left[0]["ended"].as_str()), (Some(false), Some("it is painted")));

    server.signal("TERM");
    assert!(server.wait().success());
    let log = ground.store(Role::Registrar).log(LOG, 0, 100).unwrap();
    let told: Vec<_> = log.iter().filter(|entry| entry.entry["guest"] == "maker/VISITOR-1").collect();
    let events: Vec<_> = told.iter().map(|entry| entry.entry["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["guest-permitted", "guest-ended"]);
}

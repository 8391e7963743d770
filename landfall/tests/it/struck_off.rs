//! Devices that the factory strikes off after everybody was told of them: none is served any more.

use crate::{
    ground::{Ground, Role, fixed_ports},
    hardware::Device,
    landfall, says,
};
use landfall_testkit::{Running, temp_dir};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

fn does(folder: &Path, arguments: &[&str]) -> Value {
    let (status, said) = says(folder, &[arguments, &["--json"]].concat());
    assert_eq!(status, 0, "{arguments:?}: {said}");
    serde_json::from_str(&said).unwrap()
}

/// The supply chain service takes a device back that its maker has; one that was sold is its buyer's, and the maker hears so.
#[test]
fn a_device_that_was_struck_off_is_taken_back_from_the_supply_chain() {
    let (folder, [port, _]) = (temp_dir(), fixed_ports());
    let settings = format!("[supply-chain]\nlisten = \"127.0.0.1:{port}\"\n[metrics]\nlisten = \"\"\n");
    fs::write(folder.path().join("landfall.toml"), settings).unwrap();
    does(folder.path(), &["factory", "init"]);
    does(folder.path(), &["factory", "provision", "--protocol", "dpp", "--count", "3"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    command.args(["run", "supply-chain", "--json"]).current_dir(folder.path()).stderr(Stdio::null());
    let mut service = Running::start(&mut command);
    service.until("}");
    for tenant in ["maker", "owner"] {
        does(folder.path(), &["transfer", "tenant", tenant, "--token", &format!("{tenant}.token")]);
    }
    let at = format!("localhost:{port}");
    let at = ["--service", &at, "--service-anchor", "data/manufacturer/masa-ca.pem", "--token-file", "maker.token"];
    let publish = || -> (i32, Value) {
        let (status, said) = says(folder.path(), &[&["factory", "publish", "--json"][..], &at].concat());
        (status, serde_json::from_str(&said).unwrap())
    };
    let (status, first) = publish();
    assert_eq!((status, &first["registered"], &first["withdrawn"]), (0, &3.into(), &0.into()), "{first}");
    let exported = landfall(folder.path(), &["factory", "export", "--format", "csv"]).stdout;
    let exported = String::from_utf8(exported).unwrap();
    let serials: Vec<&str> = exported.lines().skip(1).filter_map(|row| row.split(',').next()).collect();
    let sell = |serial: &str, order: &str| {
        let sale = ["transfer", "sale", serial, "--to", "owner", "--order", order, "--json"];
        says(folder.path(), &[&sale[..], &at].concat())
    };
    assert_eq!(sell(serials[0], "1").0, 0);
    for serial in &serials[..2] {
        does(folder.path(), &["factory", "void", serial, "--reason", "stolen"]);
    }
    let (status, second) = publish();
    assert_eq!((status, &second["registered"], &second["withdrawn"]), (1, &0.into(), &1.into()), "{second}");
    assert_eq!(second["not-withdrawn"][0]["serial-number"], serials[0], "{second}");
    assert!(second["not-withdrawn"][0]["error"].as_str().unwrap().contains("was sold"), "{second}");
    // It is not sold any more, where one that nothing happened to is; and what was said is not said again.
    let (status, refused) = sell(serials[1], "2");
    assert!(status == 1 && refused.contains("struck off"), "{refused}");
    assert_eq!(sell(serials[2], "3").0, 0);
    assert_eq!(publish().0, 0);
    // Everything told again brings it back neither.
    let (_, said) = says(folder.path(), &[&["factory", "publish", "--all", "--json"][..], &at].concat());
    let all: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&all["withdrawn"], sell(serials[1], "4").0), (&1.into(), 1), "{all}");
    service.signal("TERM");
    assert!(service.wait().success());
}

/// The MASA vouches for a device that was sold, until it hears that it was struck off.
#[test]
fn the_masa_serves_no_device_that_was_struck_off() {
    let ground = Ground::lay(1);
    let bundle = ground.devices().remove(0);
    let given: Value = serde_json::from_slice(&fs::read(&bundle).unwrap()).unwrap();
    let serial = given["serial-number"].as_str().unwrap();
    let device = Device::new(&ground, "struck-off", "software");
    fs::copy(&bundle, device.folder.join("bundle.json")).unwrap();
    let (_masa, _registrar) = (ground.serve(Role::Masa), ground.serve(Role::Registrar));
    device.does(&["onboard", "--attempts", "1"]);
    device.does(&["reset"]);
    ground.does(Role::Masa, &["factory", "void", serial, "--reason", "stolen"]);
    ground.does(Role::Masa, &["factory", "publish"]);
    let (done, said) = device.says(&["onboard", "--attempts", "1"]);
    assert!(!done, "{said}");
    let audit = landfall(&ground.of(Role::Masa), &["network", "audit", "--json"]);
    let audit = String::from_utf8(audit.stdout).unwrap();
    assert!(audit.contains("device-unknown") && audit.contains("was struck off: stolen"), "{audit}");
}

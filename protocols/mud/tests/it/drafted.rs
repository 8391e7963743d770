//! Files from a few words of their author.

use landfall_mud::{
    Direction, Policy,
    draft::{Contact, Draft},
    judge::Judge,
    read,
};

fn draft(to: &[&str], from: &[&str]) -> Draft {
    let contacts = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Draft {
        url: "https://lamp.example/lamp.json".parse().unwrap(),
        systeminfo: "A lamp".into(),
        manufacturer: Some("Lamps".into()),
        model: Some("LAMP-1".into()),
        last_update: "2026-11-22T09:30:00Z".parse().unwrap(),
        to: contacts(to),
        from: contacts(from),
    }
}

#[test]
fn what_is_drafted_is_as_the_specification_has_it() {
    let everyone = [
        "broker.lamp.example:8883/tcp",
        "local:5683/udp",
        "same-manufacturer",
        "my-controller/tcp",
        "[urn:ietf:params:mud:ntp]:123/udp",
        "https://lamp.example/class/hub",
    ];
    for (to, from) in [(&everyone[..], &[][..]), (&[], &everyone[..]), (&everyone[..1], &everyone[1..]), (&[], &[])] {
        let text = draft(to, from).write();
        let (file, report) = read(text.as_bytes()).unwrap();
        assert!(report.findings().is_empty(), "{:?}\n{text}", report.findings());
        assert_eq!(file.signature.map(|url| url.to_string()).as_deref(), Some("https://lamp.example/lamp.p7s"));
        assert!(Judge::new(text.as_bytes()).is_ok());
    }
}

#[test]
fn ports_are_those_of_whoever_did_not_begin() {
    let text = draft(&["broker.lamp.example:8883/tcp"], &["my-controller:5683/udp"]).write();
    let policy = Policy::of(&read(text.as_bytes()).unwrap().0);
    let told = |direction| policy.rules(direction).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let (said, heard) = (told(Direction::FromDevice), told(Direction::ToDevice));
    println!("{said}\n\n{heard}");
    let rule = |policy: &Policy, direction, name: &str| {
        policy.rules(direction).iter().find(|rule| rule.name == name).unwrap().clone()
    };
    let (out, back) = (
        rule(&policy, Direction::FromDevice, "from-ipv4/from-ipv4-0"),
        rule(&policy, Direction::ToDevice, "to-ipv4/to-ipv4-0"),
    );
    assert_eq!((out.begun, back.begun), (Some(Direction::FromDevice), Some(Direction::FromDevice)));
    assert_eq!(out.remote_ports, back.remote_ports);
    assert_eq!(out.device_ports, back.device_ports);
    assert_ne!(out.remote_ports, out.device_ports);
    let (answer, question) = (
        rule(&policy, Direction::FromDevice, "from-ipv6/from-ipv6-1"),
        rule(&policy, Direction::ToDevice, "to-ipv6/to-ipv6-1"),
    );
    assert_eq!((answer.protocol, answer.begun), (Some(17), None));
    assert_eq!(answer.device_ports, question.device_ports);
    assert_ne!(answer.device_ports, answer.remote_ports);
}

#[test]
fn who_is_nobody_is_refused() {
    for wrong in [
        "",
        "lamp",
        "192.0.2.1:80/tcp",
        "broker.example:80",
        "broker.example:65536/tcp",
        "broker.example:x/udp",
        "-broker.example",
        "broker..example",
        "broker.example/sctp",
        "[urn:x]123/udp",
        "bro ker.example",
    ] {
        assert!(wrong.parse::<Contact>().is_err(), "{wrong}");
    }
    let good: Contact = "Broker.Example:80/tcp".parse().unwrap();
    assert_eq!(good, "broker.example:80/tcp".parse().unwrap());
}

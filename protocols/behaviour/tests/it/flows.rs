//! Flows as routers tell of them.

use super::shared::{ip, start};
use landfall_behaviour::ipfix::Exporter;

fn message(sets: &[Vec<u8>]) -> Vec<u8> {
    let body = sets.concat();
    let mut bytes = vec![0, 10];
    bytes.extend(u16::try_from(16 + body.len()).unwrap().to_be_bytes());
    bytes.extend(1_764_028_800u32.to_be_bytes());
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 7]);
    bytes.extend(body);
    bytes
}

fn set(id: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend(u16::try_from(4 + body.len()).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

fn numbers(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// Source, destination, ports, protocol, octets both ways (RFC 5103), an interface's name of any length.
fn template() -> Vec<u8> {
    set(2, &numbers(&[300, 8, 8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 1, 4, 0x8001, 4, 0, 29305, 82, 65535]))
}

fn record() -> Vec<u8> {
    [&[10, 0, 0, 2][..], &[192, 0, 2, 7], &[0x9c, 0x40], &[1, 187], &[6], &[0, 0, 1, 0], &[0, 0, 0, 9], &[3], b"br0"]
        .concat()
}

#[test]
fn records_are_read_by_their_template() {
    let mut exporter = Exporter::default();
    let data = set(300, &[record(), record(), vec![0; 3]].concat());
    assert_eq!(exporter.message(&message(std::slice::from_ref(&data)), start()).unwrap(), []);
    assert_eq!(exporter.unknown, 1, "its template has not come");
    let flows = exporter.message(&message(&[template(), data.clone()]), start()).unwrap();
    assert_eq!(flows.len(), 2);
    let flow = &flows[0].flow;
    assert_eq!((flow.source, flow.destination, flow.protocol), (ip("10.0.0.2"), ip("192.0.2.7"), 6));
    assert_eq!((flow.source_port, flow.port, flow.sent, flow.received), (40000, 443, 256, 9));
    assert_eq!((flow.answered, flow.start.to_string().as_str()), (Some(true), "2025-11-25T00:00:00Z"));
    // The template is known from now on, until it is withdrawn.
    assert_eq!(exporter.message(&message(std::slice::from_ref(&data)), start()).unwrap().len(), 2);
    let withdrawn = set(2, &numbers(&[300, 0]));
    assert_eq!(exporter.message(&message(&[withdrawn, data]), start()).unwrap(), []);
}

#[test]
fn one_thing_changed_is_refused() {
    let good = message(&[template(), set(300, &record())]);
    let refused = |bytes: &[u8]| Exporter::default().message(bytes, start()).is_err();
    assert!(!refused(&good));
    for (at, byte) in [(1, 9), (3, 0), (17, 1), (19, 3), (19, 255), (20, 0)] {
        let mut wrong = good.clone();
        wrong[at] = byte;
        assert!(refused(&wrong), "{at} {byte}");
    }
    for end in 0..good.len() {
        assert!(refused(&good[..end]), "{end}");
    }
    let long = [record()[..record().len() - 4].to_vec(), vec![255, 255, 255]].concat();
    assert!(refused(&message(&[template(), set(300, &long)])), "a text that is longer than what is there");
    assert!(refused(&message(&[set(2, &numbers(&[300, 1, 8, 0]))])), "records without length");
    assert!(refused(&message(&[set(2, &numbers(&[300, 129]))])), "too many fields");
}

#[test]
fn templates_are_bounded() {
    let mut exporter = Exporter::default();
    for id in 256..512 {
        exporter.message(&message(&[set(2, &numbers(&[id, 1, 8, 4]))]), start()).unwrap();
    }
    exporter.message(&message(&[set(2, &numbers(&[256, 1, 8, 4]))]), start()).unwrap();
    exporter.message(&message(&[set(2, &numbers(&[512, 1, 8, 4]))]), start()).unwrap_err();
}

/// The same with the number of its first record.
fn numbered(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = message(sets);
    bytes[8..12].copy_from_slice(&sequence.to_be_bytes());
    bytes
}

#[test]
fn what_was_lost_is_counted_and_what_is_late_was_not_lost() {
    let mut exporter = Exporter::default();
    let two = set(300, &[record(), record()].concat());
    let mut missed = |sequence, sets: &[Vec<u8>]| {
        exporter.message(&numbered(sequence, sets), start()).unwrap();
        exporter.missed
    };
    assert_eq!(missed(u32::MAX, &[template(), two.clone()]), 0, "the first that comes");
    assert_eq!(missed(1, std::slice::from_ref(&two)), 0, "numbers go on behind the last one");
    assert_eq!(missed(8, std::slice::from_ref(&two)), 5);
    assert_eq!(missed(3, std::slice::from_ref(&two)), 3, "it is late");
    assert_eq!(missed(10, std::slice::from_ref(&two)), 3);
    // Records of the exporter itself count too (s3.1), and what cannot be counted says nothing of what follows.
    let options = set(3, &numbers(&[301, 2, 1, 143, 4, 160, 8]));
    assert_eq!(missed(12, &[options, set(301, &[0; 12])]), 3);
    assert_eq!(missed(13, std::slice::from_ref(&two)), 3);
    assert_eq!(missed(15, &[set(400, &[1, 2, 3])]), 3);
    assert_eq!(missed(99, std::slice::from_ref(&two)), 3);
    // It begins anew.
    assert_eq!(missed(0xc000_0000, std::slice::from_ref(&two)), 3);
    assert_eq!(missed(0xc000_0002, std::slice::from_ref(&two)), 3);
}

#[test]
fn by_udp_a_template_holds_for_its_time() {
    let hour = std::time::Duration::from_secs(3600);
    let data = message(&[set(300, &record())]);
    for (mut exporter, after, flows) in
        [(Exporter::by_udp(hour), 3599, 1), (Exporter::by_udp(hour), 3600, 0), (Exporter::default(), 3600, 1)]
    {
        exporter.message(&message(&[template()]), start()).unwrap();
        let later = start() + std::time::Duration::from_secs(after);
        assert_eq!(exporter.message(&data, later).unwrap().len(), flows);
        assert_eq!(exporter.unknown, 1 - u64::try_from(flows).unwrap());
    }
    // Told again, it holds longer; and what has expired makes room.
    let mut exporter = Exporter::by_udp(hour);
    exporter.message(&message(&[template()]), start()).unwrap();
    exporter.message(&message(&[template()]), start() + hour / 2).unwrap();
    assert_eq!(exporter.message(&data, start() + hour).unwrap().len(), 1);
}

#[test]
fn interfaces_and_either_end() {
    let macs = set(2, &numbers(&[302, 7, 8, 4, 12, 4, 7, 2, 11, 2, 56, 6, 57, 6, 0x8001, 4, 0, 29305]));
    let record = [
        &[192, 0, 2, 7][..],
        &[10, 0, 0, 2],
        &[0, 53],
        &[0x9c, 0x40],
        &[2, 0, 0, 0, 0, 9],
        &[2, 0, 0, 0, 0, 5],
        &[0, 0, 0, 33],
    ];
    let told = Exporter::default().message(&message(&[macs, set(302, &record.concat())]), start()).unwrap().remove(0);
    assert_eq!((told.source_mac, told.destination_mac), (Some([2, 0, 0, 0, 0, 9]), Some([2, 0, 0, 0, 0, 5])));
    assert_eq!((told.flow.sent, told.flow.answered), (0, Some(true)));
    let turned = told.flow.turned();
    assert_eq!((turned.source, turned.destination), (ip("10.0.0.2"), ip("192.0.2.7")));
    assert_eq!((turned.source_port, turned.port, turned.sent, turned.received), (40000, 53, 33, 0));
    assert_eq!(turned.answered, Some(false), "nothing came back");
}

#[test]
fn options_templates_are_about_something() {
    let refused = |set: Vec<u8>| Exporter::default().message(&message(&[set]), start()).is_err();
    assert!(!refused(set(3, &numbers(&[301, 2, 1, 143, 4, 160, 8]))));
    assert!(refused(set(3, &numbers(&[301, 2, 0, 143, 4, 160, 8]))));
    assert!(refused(set(3, &numbers(&[301, 2, 3, 143, 4, 160, 8]))));
    // One that is taken back has no scope.
    assert!(!refused(set(3, &numbers(&[301, 0]))));
}

//! MUD URLs in frames, as good ones and with one thing changed.

use landfall_mud::claim::{Claim, Way, read};
use landfall_testkit::{temp_dir, tool};
use std::{fs, process::Command};

const URL: &str = "https://lamp.example/lamp.json";
const DHCP_4: &[u8] = include_bytes!("../../../../fuzz/corpus/mud-claim/good-dhcp");
const DHCP_6: &[u8] = include_bytes!("../../../../fuzz/corpus/mud-claim/good-dhcp6");
const LLDP: &[u8] = include_bytes!("../../../../fuzz/corpus/mud-claim/good-lldp");

fn at(frame: &[u8], part: &[u8]) -> usize {
    frame.windows(part.len()).position(|found| found == part).unwrap()
}

/// The frame with these bytes from there on.
fn changed(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

#[test]
fn what_devices_say_by_dhcp_and_lldp_is_heard() {
    for (frame, way) in [(DHCP_4, Way::Dhcp4), (DHCP_6, Way::Dhcp6), (LLDP, Way::Lldp)] {
        let claim = Claim { mac: "02:00:00:00:00:07".parse().unwrap(), url: URL.parse().unwrap(), way };
        assert_eq!(read(frame).unwrap(), Some(claim));
    }
    // RFC 8520 s10: what follows a space means nothing yet.
    let reserved = changed(DHCP_4, at(DHCP_4, b"lamp.json"), b"x and yz ");
    assert_eq!(read(&reserved).unwrap().unwrap().url.as_str(), "https://lamp.example/x");
}

/// What others read in the same frames, who find nothing to warn of in them.
#[test]
fn tshark_reads_the_same_without_a_warning() {
    let Some(tshark) = tool("tshark") else { return };
    let mut capture = [0xa1b2_c3d4_u32.to_be_bytes(), 0x0002_0004_u32.to_be_bytes()].concat();
    capture.extend([0, 0, 65535, 1].map(u32::to_be_bytes).concat());
    for frame in [DHCP_4, DHCP_6, LLDP] {
        let length = u32::try_from(frame.len()).unwrap();
        capture.extend([0, 0, length, length].map(u32::to_be_bytes).concat());
        capture.extend(frame);
    }
    let folder = temp_dir();
    fs::write(folder.path().join("claims.pcap"), capture).unwrap();
    let mut command = Command::new(tshark);
    command.current_dir(folder.path()).args(["-n", "-r", "claims.pcap", "-T", "fields", "-E", "separator=,"]);
    for field in ["dhcp.option.mudurl", "dhcpv6.mudurl", "lldp.iana.mudurl", "_ws.expert.message"] {
        command.args(["-e", field]);
    }
    let said = command.output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said.lines().collect::<Vec<_>>(), [format!("{URL},,,"), format!(",{URL},,"), format!(",,{URL},")]);
}

#[test]
fn what_is_said_wrongly_is_refused_by_name() {
    let refused = |frame: &[u8], check: &str| assert_eq!(read(frame).unwrap_err().check, check);
    for frame in [DHCP_4, DHCP_6, LLDP] {
        let text = at(frame, URL.as_bytes());
        refused(&changed(frame, text, b"http://x"), "mud-claim-url");
        refused(&changed(frame, text + 9, &[0xff]), "mud-claim-url");
        refused(&changed(frame, text + 9, &[0]), "mud-claim-url");
        refused(&changed(frame, text, b" "), "mud-claim-url");
        // The option says that it is longer than its message.
        refused(&changed(frame, text - if frame == LLDP { 5 } else { 1 }, &[250]), "mud-claim-form");
    }
    // On behalf of another interface: by the sender's address, and by the message's.
    for place in [11, at(DHCP_4, &[99, 130, 83, 99]) - 236 + 33] {
        refused(&changed(DHCP_4, place, &[8]), "mud-claim-other");
    }
    // Twice, where the second takes the place of something else.
    let mut twice = LLDP.to_vec();
    twice.splice(twice.len() - 2.., [0xfe, 6, 0, 0, 0x5e, 1, b'h', b't', 0, 0]);
    refused(&twice, "mud-claim-form");
    let text = at(DHCP_4, URL.as_bytes());
    refused(&changed(DHCP_4, text + 20, &[161, 8]), "mud-claim-url");
    let mut twice = changed(DHCP_4, text - 1, &[20]);
    twice[text + 20..text + 22].copy_from_slice(&[161, 8]);
    refused(&twice, "mud-claim-form");
}

#[test]
fn what_is_about_something_else_is_passed_over() {
    let nothing = |frame: &[u8]| assert_eq!(read(frame), Ok(None));
    nothing(&[]);
    for frame in [DHCP_4, DHCP_6, LLDP] {
        (0..14).for_each(|length| nothing(&frame[..length]));
        // Another type of Ethernet: a tag, which a device has no business to write.
        nothing(&changed(frame, 12, &[0x81, 0]));
    }
    // Not UDP, a fragment, other ports, an answer, another kind of interface, no cookie, another option.
    for (place, bytes) in [(23, &[6][..]), (20, &[0x20]), (35, &[69]), (37, &[68]), (42, &[2]), (43, &[6])] {
        nothing(&changed(DHCP_4, place, bytes));
    }
    let text = at(DHCP_4, URL.as_bytes());
    nothing(&changed(DHCP_4, text - 2, &[160]));
    nothing(&changed(DHCP_4, 42 + 236, &[0]));
    let text = at(DHCP_6, URL.as_bytes());
    nothing(&changed(DHCP_6, text - 3, &[111]));
    // An answer of a server.
    nothing(&changed(DHCP_6, 62, &[2]));
    let text = at(LLDP, URL.as_bytes());
    nothing(&changed(LLDP, text - 1, &[2]));
    nothing(&changed(LLDP, text - 3, &[0x12]));
}

#[test]
fn no_beginning_of_a_frame_makes_it_stumble() {
    for frame in [DHCP_4, DHCP_6, LLDP] {
        for length in 0..frame.len() {
            let _ = read(&frame[..length]);
        }
    }
}

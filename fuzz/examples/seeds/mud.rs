//! MUD files and where they are.

use super::{bad, cut, good};

/// One of each kind of entry that a file usually has.
const FILE: &str = concat!(
    r#"{"ietf-mud:mud":{"mud-version":1,"mud-url":"https://lamp.example/lamp.json","last-update":"2026-"#,
    r#"06-29T19:50:19+02:00","cache-validity":48,"is-supported":true,"systeminfo":"A lamp","from-device"#,
    r#"-policy":{"access-lists":{"access-list":[{"name":"from4"},{"name":"link"}]}},"to-device-policy":"#,
    r#"{"access-lists":{"access-list":[{"name":"to4"}]}}},"ietf-access-control-list:acls":{"acl":[{"nam"#,
    r#"e":"from4","type":"ipv4-acl-type","aces":{"ace":[{"name":"cloud","matches":{"ipv4":{"protocol":6"#,
    r#","ietf-acldns:dst-dnsname":"cloud.lamp.example"},"tcp":{"ietf-mud:direction-initiated":"from-dev"#,
    r#"ice","destination-port":{"operator":"eq","port":443}}},"actions":{"forwarding":"accept"}},{"name"#,
    r#"":"near","matches":{"ietf-mud:mud":{"local-networks":[null]},"ipv4":{"protocol":17},"udp":{"dest"#,
    r#"ination-port":{"lower-port":5683,"upper-port":5684}}},"actions":{"forwarding":"accept"}},{"name""#,
    r#":"ping","matches":{"ietf-mud:mud":{"my-controller":[null]},"icmp":{"type":8,"code":0}},"actions""#,
    r#":{"forwarding":"accept"}}]}},{"name":"link","type":"eth-acl-type","aces":{"ace":[{"name":"lldp","#,
    r#""matches":{"eth":{"ethertype":35020,"destination-mac-address":"01:80:c2:00:00:0e"}},"actions":{""#,
    r#"forwarding":"accept"}}]}},{"name":"to4","type":"ipv4-acl-type","aces":{"ace":[{"name":"cloud","m"#,
    r#"atches":{"ipv4":{"protocol":6,"ietf-acldns:src-dnsname":"cloud.lamp.example"},"tcp":{"ietf-mud:d"#,
    r#"irection-initiated":"from-device","source-port":{"operator":"eq","port":443}}},"actions":{"forwa"#,
    r#"rding":"accept"}},{"name":"near","matches":{"ietf-mud:mud":{"local-networks":[null]},"ipv4":{"pr"#,
    r#"otocol":17},"udp":{"destination-port":{"lower-port":5683,"upper-port":5684}}},"actions":{"forwar"#,
    r#"ding":"accept"}},{"name":"ping","matches":{"ietf-mud:mud":{"my-controller":[null]},"icmp":{"type"#,
    r#"":8,"code":0}},"actions":{"forwarding":"accept"}}]}}]}}"#,
);

pub(super) fn write() {
    good("mud-file", "plain", FILE);
    let draft = FILE.replace("list:acls", "list:access-lists").replace("eth-acl-type", "ethernet-acl-type");
    good("mud-file", "draft", draft);
    bad("mud-file", "version", FILE.replace("\"mud-version\":1", "\"mud-version\":2"));
    bad("mud-file", "url", FILE.replace("https://lamp", "http://lamp"));
    bad("mud-file", "twice", FILE.replace("\"mud-version\":1", "\"mud-version\":1,\"mud-version\":1"));
    cut("mud-file", "plain", FILE.as_bytes());

    let url: &[u8] = b"https://lamp.example/lamp.json";
    for (name, frame) in [("dhcp", dhcp_4(url)), ("dhcp6", dhcp_6(url)), ("lldp", lldp(url))] {
        good("mud-claim", name, &frame);
        bad("mud-claim", &format!("{name}-cut"), &frame[..frame.len() - url.len() / 2]);
    }
    let url: &[u8] = b"https://lamp.example/lamp.json";
    let capture = pcap(&[dhcp_4(url), dhcp_6(url), lldp(url)]);
    good("mud-capture", "pcap", &capture);
    good("mud-capture", "pcapng", pcapng(&[dhcp_4(url), dhcp_6(url), lldp(url)]));
    bad("mud-capture", "others", pcap(&[]));
    cut("mud-capture", "pcap", &capture);
    good("mud-claim", "reserved", dhcp_4(b"https://lamp.example/lamp.json and more"));
    bad("mud-claim", "http", dhcp_4(b"http://lamp.example/lamp.json"));
    bad("mud-claim", "twice", lldp(&[url, b"\xfe\x05\0\0\x5e\x01x"].concat()));

    good("mud-url", "plain", "https://lamp.example/lamp.json");
    good("mud-url", "port", "https://Lamp.Example:8443/a?b=c");
    good("mud-url", "address", "https://[2001:db8::1]:444/x");
    bad("mud-url", "http", "http://lamp.example/");
    bad("mud-url", "user", "https://a@lamp.example/");
    bad("mud-url", "fragment", "https://lamp.example/x#y");
    bad("mud-url", "port", "https://lamp.example:0/");

    let id = [0, 7];
    let name = b"\x05cloud\x04lamp\x07example\0\0\x01\0\x01";
    let query = [&id[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0], name].concat();
    good("dns-query", "plain", &query);
    let room = [&id[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 1], name, &[0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]].concat();
    good("dns-query", "room", room);
    bad("dns-query", "two", [&id[..], &[1, 0, 0, 2, 0, 0, 0, 0, 0, 0], name, name].concat());
    bad("dns-query", "answer", [&id[..], &[0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0], name].concat());
    bad("dns-query", "loop", [&id[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1]].concat());
    cut("dns-query", "plain", &query);

    let head = |count: u8| [&id[..], &[0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0], name].concat();
    let alias = [&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 7][..], b"\x01a\x03cdn\0"].concat();
    let address = [&b"\x01a\x03cdn\0"[..], &[0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 198, 51, 100, 7]].concat();
    let answer = [head(2), alias.clone(), address.clone()].concat();
    good("dns-answer", "alias", &answer);
    good("dns-answer", "none", head(0));
    bad("dns-answer", "other-id", [&[0, 8], answer.get(2..).unwrap_or_default()].concat());
    bad("dns-answer", "fewer", [head(3), alias, address].concat());
    bad("dns-answer", "loop", [head(1), [0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 47].into()].concat());
    cut("dns-answer", "alias", &answer);

    let frame = |rest: &[u8]| [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], rest].concat();
    let v4 = [0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 1, 187, 0, 80];
    good("mud-frame", "tcp", frame(&[&[8, 0][..], &v4, &[0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]].concat()));
    good("mud-frame", "arp", frame(&[8, 6]));
    bad("mud-frame", "short", frame(&[8]));
}

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];

fn udp_4(ports: [u16; 2], payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 8).expect("short");
    let mut packet = vec![0x45, 0];
    packet.extend((length + 20).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]);
    packet.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0]);
    [&[0xff; 6], &MAC[..], &[8, 0], &packet, payload].concat()
}

fn dhcp_4(url: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 236];
    message[..3].copy_from_slice(&[1, 1, 6]);
    message[28..34].copy_from_slice(&MAC);
    message.extend([99, 130, 83, 99, 53, 1, 1, 0, 161, u8::try_from(url.len()).expect("short")]);
    message.extend([url, &[255]].concat());
    udp_4([68, 67], &message)
}

fn dhcp_6(url: &[u8]) -> Vec<u8> {
    let length = u16::try_from(url.len()).expect("short");
    let mut message = vec![1, 0, 0, 1, 0, 8, 0, 2, 0, 0, 0, 112];
    message.extend([&length.to_be_bytes(), url].concat());
    let length = u16::try_from(message.len() + 8).expect("short");
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([17, 64]);
    packet.extend([&[0xfe, 0x80], &[0; 13][..], &[7], &[0xff, 2], &[0; 11], &[1, 0, 2]].concat());
    packet.extend([2, 34, 2, 35]);
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0]);
    [&[0x33, 0x33, 0, 1, 0, 2], &MAC[..], &[0x86, 0xdd], &packet, &message].concat()
}

fn lldp(url: &[u8]) -> Vec<u8> {
    let tlv = |kind: u16, value: &[u8]| {
        let head = (kind << 9) | u16::try_from(value.len()).expect("short");
        [&head.to_be_bytes(), value].concat()
    };
    let chassis = tlv(1, &[&[4], &MAC[..]].concat());
    let parts =
        [chassis, tlv(2, b"\x05eth0"), tlv(3, &[0, 120]), tlv(127, &[&[0, 0, 0x5e, 1], url].concat()), tlv(0, &[])];
    [&[1, 0x80, 0xc2, 0, 0, 0x0e], &MAC[..], &[0x88, 0xcc], &parts.concat()].concat()
}

fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = [&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0][..], &[0; 8], &[0, 0, 4, 0, 1, 0, 0, 0]].concat();
    for frame in frames {
        let length = u32::try_from(frame.len()).expect("short").to_le_bytes();
        file.extend([&[0; 8][..], &length, &length, frame].concat());
    }
    file
}

fn pcapng(frames: &[Vec<u8>]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let body = [body, &vec![0; body.len().next_multiple_of(4) - body.len()]].concat();
        let length = u32::try_from(body.len() + 12).expect("short").to_be_bytes();
        [&kind.to_be_bytes()[..], &length, &body, &length].concat()
    };
    let section = [&[0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0][..], &[0xff; 8]].concat();
    let mut file = [block(0x0a0d_0d0a, &section), block(1, &[0, 1, 0, 0, 0, 4, 0, 0])].concat();
    for frame in frames {
        let length = u32::try_from(frame.len()).expect("short").to_be_bytes();
        file.extend(block(6, &[&[0; 12][..], &length, &length, frame].concat()));
    }
    file
}

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

    good("mud-url", "plain", "https://lamp.example/lamp.json");
    good("mud-url", "port", "https://Lamp.Example:8443/a?b=c");
    good("mud-url", "address", "https://[2001:db8::1]:444/x");
    bad("mud-url", "http", "http://lamp.example/");
    bad("mud-url", "user", "https://a@lamp.example/");
    bad("mud-url", "fragment", "https://lamp.example/x#y");
    bad("mud-url", "port", "https://lamp.example:0/");
}

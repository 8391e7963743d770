//! Addresses of hosts that anyone could reach, and the resolvers of the world.

use landfall_mud::packet::Prefix;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Resolvers that anyone may use, and that speak DNS over HTTPS as well (RFC 8484), by their operators' word.
pub(in super::super) const RESOLVERS: [IpAddr; 24] = [
    v4(8, 8, 8, 8),
    v4(8, 8, 4, 4),
    v4(1, 1, 1, 1),
    v4(1, 0, 0, 1),
    v4(1, 1, 1, 2),
    v4(1, 1, 1, 3),
    v4(9, 9, 9, 9),
    v4(149, 112, 112, 112),
    v4(9, 9, 9, 11),
    v4(208, 67, 222, 222),
    v4(208, 67, 220, 220),
    v4(94, 140, 14, 14),
    v4(94, 140, 15, 15),
    v4(185, 228, 168, 9),
    v4(76, 76, 2, 0),
    v4(194, 242, 2, 2),
    v6(0x2001_4860_4860, 0x8888),
    v6(0x2001_4860_4860, 0x8844),
    v6(0x2606_4700_4700, 0x1111),
    v6(0x2606_4700_4700, 0x1001),
    v6(0x2620_00fe_0000, 0x00fe),
    v6(0x2620_00fe_0000, 0x0009),
    v6(0x2a10_50c0_0000, 0xad1),
    v6(0x2a10_50c0_0000, 0xad2),
];

/// Their names, and the one by which browsers ask whether they may go past the network's resolver.
const NAMES: [&str; 12] = [
    "dns.google",
    "dns64.dns.google",
    "cloudflare-dns.com",
    "one.one.one.one",
    "mozilla.cloudflare-dns.com",
    "dns.quad9.net",
    "doh.opendns.com",
    "dns.adguard-dns.com",
    "doh.cleanbrowsing.org",
    "dns.nextdns.io",
    "dns.mullvad.net",
    "use-application-dns.net",
];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// The first 48 bits, and the last 16.
const fn v6(first: u128, last: u128) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from_bits((first << 80) | last))
}

/// Whether it is the name of a resolver that anyone may use.
pub(in super::super) fn is_public_resolver(name: &str) -> bool {
    NAMES.iter().any(|resolver| super::is_in(name, resolver))
}

/// Whether an address can be that of a host which anyone could reach: not this machine's own, not one of a private network or of
/// a link, no group, and none in which such a one is wrapped (RFC 6890).
pub(super) fn is_public(address: IpAddr) -> bool {
    const NOT: [&str; 20] = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "224.0.0.0/3",
        "::/96",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2002::/16",
        "fc00::/7",
        "fe80::/9",
        "ff00::/8",
        "5f00::/16",
    ];
    !NOT.iter().filter_map(|prefix| prefix.parse::<Prefix>().ok()).any(|prefix| prefix.has(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_inside_are_not_public() {
        for inside in [
            "0.0.0.0",
            "10.1.2.3",
            "100.100.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "172.31.255.255",
            "192.168.1.1",
            "224.0.0.251",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:192.168.1.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::fb",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["8.8.8.8", "198.51.100.7", "172.32.0.1", "2001:db8::1", "2620:fe::fe", "2a00:1450::1"] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
        assert!(RESOLVERS.iter().all(|resolver| is_public(*resolver)));
        assert!(RESOLVERS.contains(&"2001:4860:4860::8888".parse().unwrap()));
        assert!(RESOLVERS.contains(&"2620:fe::fe".parse().unwrap()));
        assert!(is_public_resolver("dns.google") && is_public_resolver("abc.dns.nextdns.io"));
        assert!(!is_public_resolver("mydns.google") && !is_public_resolver("google"));
    }
}

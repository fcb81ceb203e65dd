//! Where a request comes from: one function, and the networks whose word it takes.
//!
//! Only `X-Forwarded-For` is read, and only from a trusted proxy. RFC 7239 `Forwarded` is not: most
//! proxies hand a client's own `Forwarded` through untouched, and two headers that can disagree are
//! a way in. What cannot be read makes the address [`UNKNOWN`], which belongs to no network, is not
//! loopback, and shares one budget in every limit: garbage never adds access.

use std::net::{IpAddr, Ipv4Addr};

use http::HeaderMap;

use crate::config::Network;

/// The address of somebody who cannot be placed.
pub const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Whether `address` is one of the proxies whose headers count.
pub fn is_trusted(address: IpAddr, proxies: &[Network]) -> bool {
    proxies.iter().any(|network| network.contains(address))
}

/// The asker's address: the peer, or, when the peer is a trusted proxy, the right-most address in
/// `X-Forwarded-For` that is not one. Always canonical: an IPv4-mapped IPv6 address is IPv4.
pub fn client_ip(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> IpAddr {
    let mut nearest = peer.to_canonical();
    if !is_trusted(nearest, proxies) {
        return nearest;
    }
    for line in headers.get_all("x-forwarded-for").iter().rev() {
        for hop in line.to_str().unwrap_or_default().rsplit(',') {
            match read_hop(hop) {
                Some(address) if is_trusted(address, proxies) => nearest = address,
                // Nobody reaches a proxy from another machine by loopback: it is made up.
                Some(address) if !address.is_loopback() => return address,
                _ => return UNKNOWN,
            }
        }
    }
    nearest
}

/// `address`, `address:port`, `[address]` or `[address]:port`.
fn read_hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<std::net::SocketAddr>().map(|socket| socket.ip()))
        .ok()
        .or_else(|| {
            text.strip_prefix('[')?.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6)
        })?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn proxies() -> Vec<Network> {
        ["10.0.0.0/8", "fd00::/8", "192.0.2.7"].iter().map(|text| text.parse().unwrap()).collect()
    }

    fn from(peer: &str, lines: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(line).unwrap());
        }
        client_ip(peer.parse().unwrap(), &headers, &proxies()).to_string()
    }

    #[test]
    fn t15_a_stranger_cannot_speak_for_another_address() {
        assert_eq!(from("203.0.113.5", &[b"198.51.100.1"]), "203.0.113.5");
        assert_eq!(from("::ffff:203.0.113.5", &[b"198.51.100.1"]), "203.0.113.5");
        assert_eq!(from("192.0.2.8", &[b"198.51.100.1"]), "192.0.2.8");
    }

    #[test]
    fn t15_behind_proxies_the_right_most_stranger_counts() {
        assert_eq!(from("10.0.0.1", &[b"198.51.100.1"]), "198.51.100.1");
        assert_eq!(from("10.0.0.1", &[b"127.0.0.1, 198.51.100.1, 10.9.9.9"]), "198.51.100.1");
        assert_eq!(from("10.0.0.1", &[b"1.1.1.1", b"198.51.100.1,192.0.2.7"]), "198.51.100.1");
        assert_eq!(from("10.0.0.1", &[b"garbage, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(from("::ffff:10.0.0.1", &[b"::ffff:198.51.100.1"]), "198.51.100.1");
        assert_eq!(from("fd00::1", &[b"[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(from("fd00::1", &[b"[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(from("10.0.0.1", &[b"198.51.100.1:9"]), "198.51.100.1");
    }

    #[test]
    fn without_a_stranger_it_is_the_farthest_proxy() {
        assert_eq!(from("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &[b"10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn t16_garbage_from_a_proxy_is_nobody() {
        for line in [
            &b""[..],
            b"unknown",
            b"1.2.3.4,",
            b"fe80::1%eth0",
            b"\xff\xfe",
            b"localhost",
            b"127.0.0.1",
            b"::1",
            b"1.2.3.4.5",
        ] {
            assert_eq!(from("10.0.0.1", &[line]), "0.0.0.0", "{line:?}");
        }
    }

    #[test]
    fn networks_are_read_strictly() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0/8",
            "::ffff:10.0.0.0/80",
            "a/8",
            "10.0.0.0/8/8",
        ] {
            assert!(str::parse::<Network>(text).is_err(), "{text}");
        }
        let all = str::parse::<Network>("0.0.0.0/0").unwrap();
        assert!(
            all.contains("255.255.255.255".parse().unwrap()) && !all.contains("2001:db8::1".parse().unwrap())
        );
        assert!(str::parse::<Network>("::/0").unwrap().contains("2001:db8::1".parse().unwrap()));
        assert_eq!(str::parse::<Network>("::ffff:10.0.0.0/104"), str::parse::<Network>("10.0.0.0/8"));
        assert!(!str::parse::<Network>("10.1.2.3").unwrap().contains("10.1.2.4".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn t16_whatever_is_sent_the_peer_stands_or_the_address_is_neither_trusted_nor_local(
            lines in prop::collection::vec("[ -~]{0,40}", 0..4), last in any::<[u8; 4]>(),
        ) {
            let mut headers = HeaderMap::new();
            for line in &lines {
                headers.append("x-forwarded-for", HeaderValue::from_str(line).unwrap());
            }
            let stranger: IpAddr = "203.0.113.5".parse().unwrap();
            prop_assert_eq!(client_ip(stranger, &headers, &proxies()), stranger);
            prop_assert!(!client_ip("10.0.0.1".parse().unwrap(), &headers, &proxies()).is_loopback());
            // What an honest proxy appends decides, whatever came before it.
            let last = IpAddr::from(last);
            if !is_trusted(last, &proxies()) && !last.is_loopback() {
                headers.append("x-forwarded-for", HeaderValue::from_str(&last.to_string()).unwrap());
                prop_assert_eq!(client_ip("10.0.0.1".parse().unwrap(), &headers, &proxies()), last);
            }
        }
    }
}

//! The address that a request came from, as far as it can be known.
//!
//! A proxy hides its clients behind its own address, and tells theirs in
//! `X-Forwarded-For`: each proxy adds the address that it saw at the end of the list.
//! Anybody can send such a header, so only what trusted proxies added counts. Which
//! those are the variable `trusted_proxies` says.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv6Net};

/// Bits of an IPv6 address that name a network. One client has a whole network of this
/// size as a rule, and as many addresses as it likes.
const IPV6_NETWORK_BITS: u8 = 64;

/// The address of a client. It is unknown if the host tells none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(Option<IpAddr>);

impl ClientAddress {
    /// What limits count by: an IPv4 address, or the first 64 bits of an IPv6 address as
    /// a network, such as `2001:db8::/64`. Empty for an unknown address.
    pub fn counted(&self) -> String {
        match self.0 {
            None => String::new(),
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => network_of(address),
        }
    }
}

fn network_of(address: Ipv6Addr) -> String {
    Ipv6Net::new(address, IPV6_NETWORK_BITS)
        .map_or_else(|_| address.to_string(), |net| net.trunc().to_string())
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |address| address.fmt(f))
    }
}

/// The proxies that stand between clients and this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedProxies {
    /// So many of them in a row, and no client reaches the host past them. With none the
    /// peer is the client.
    Hops(u8),
    /// Whatever has an address in one of these networks.
    Networks(Vec<IpNet>),
}

/// The text says neither how many proxies there are nor in which networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidProxies;

impl FromStr for TrustedProxies {
    type Err = InvalidProxies;

    /// Reads nothing (no proxy), a number, or addresses and networks in CIDR notation
    /// with commas between them.
    fn from_str(text: &str) -> Result<Self, InvalidProxies> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::Hops(0));
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self::Hops).map_err(|_| InvalidProxies);
        }
        let networks = text.split(',').map(|network| network_in(network.trim()));
        networks
            .collect::<Option<_>>()
            .map(Self::Networks)
            .ok_or(InvalidProxies)
    }
}

fn network_in(text: &str) -> Option<IpNet> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

impl TrustedProxies {
    /// The client's address. `peer` is what the host says, as `address:port`.
    /// `forwarded` are the values of `X-Forwarded-For`, in the order in which they were
    /// sent. The walk goes from the last entry to the first, and ends at the first
    /// address that is not trusted, or before an entry that is no address: nobody whom
    /// we trust wrote that, so what stands before it is worth nothing.
    pub fn client<'a>(
        &self,
        peer: &str,
        forwarded: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> ClientAddress {
        let Some(mut address) = address_in(peer) else {
            return ClientAddress(None);
        };
        let entries = forwarded
            .rev()
            .flat_map(|value| value.rsplit(|byte| *byte == b','));
        for (passed, entry) in entries.enumerate() {
            if !self.is_trusted(address, passed) {
                break;
            }
            let Some(earlier) = std::str::from_utf8(entry).ok().and_then(address_in) else {
                break;
            };
            address = earlier;
        }
        ClientAddress(Some(address))
    }

    /// Whether the party at `address` is a proxy of ours, behind `passed` others.
    fn is_trusted(&self, address: IpAddr, passed: usize) -> bool {
        match self {
            Self::Hops(hops) => passed < usize::from(*hops),
            Self::Networks(networks) => networks.iter().any(|net| net.contains(&address)),
        }
    }
}

/// An address with or without a port, and with or without the brackets of IPv6. An IPv4
/// address that was written as an IPv6 address is the IPv4 address.
fn address_in(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    let bare = || text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let in_brackets = || {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    };
    bare()
        .or_else(with_port)
        .or_else(in_brackets)
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        let networks = |texts: &[&str]| {
            let networks = texts.iter().map(|text| text.parse().expect("a network"));
            Ok(TrustedProxies::Networks(networks.collect()))
        };
        let table = [
            ("", Ok(TrustedProxies::Hops(0))),
            (" ", Ok(TrustedProxies::Hops(0))),
            ("0", Ok(TrustedProxies::Hops(0))),
            ("2", Ok(TrustedProxies::Hops(2))),
            ("256", Err(InvalidProxies)),
            ("-1", Err(InvalidProxies)),
            ("1.5", Err(InvalidProxies)),
            ("10.0.0.0/8", networks(&["10.0.0.0/8"])),
            (
                "10.0.0.0/8, 2001:db8::/32,192.0.2.7",
                networks(&["10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32"]),
            ),
            ("10.0.0.0/33", Err(InvalidProxies)),
            ("10.0.0.0/8,", Err(InvalidProxies)),
            ("1,10.0.0.0/8", Err(InvalidProxies)),
            ("proxy.example", Err(InvalidProxies)),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<TrustedProxies>(), expected, "{text:?}");
        }
    }

    #[test]
    fn clients() {
        let peer = "10.0.0.1:4000";
        let networks = "10.0.0.0/8,2001:db8::/32";
        let table: &[(&str, &str, &[&str], &str)] = &[
            // Without a proxy the header is anybody's claim.
            ("", peer, &["192.0.2.1"], "10.0.0.1"),
            ("", peer, &[], "10.0.0.1"),
            ("1", peer, &["192.0.2.1"], "192.0.2.1"),
            ("1", peer, &["203.0.113.9, 192.0.2.1"], "192.0.2.1"),
            ("1", peer, &["203.0.113.9", "192.0.2.1"], "192.0.2.1"),
            ("1", peer, &[], "10.0.0.1"),
            (
                "2",
                peer,
                &["203.0.113.9, 192.0.2.1, 10.9.9.9"],
                "192.0.2.1",
            ),
            (
                "2",
                peer,
                &["203.0.113.9, 192.0.2.1", "10.9.9.9"],
                "192.0.2.1",
            ),
            ("3", peer, &["192.0.2.1, 10.9.9.9"], "192.0.2.1"),
            // Networks: the first that is none of them.
            (networks, peer, &["192.0.2.1"], "192.0.2.1"),
            (
                networks,
                peer,
                &["203.0.113.9, 192.0.2.1, 10.9.9.9"],
                "192.0.2.1",
            ),
            (networks, peer, &["10.1.1.1, 10.9.9.9"], "10.1.1.1"),
            (networks, "192.0.2.8:1", &["203.0.113.9"], "192.0.2.8"),
            (networks, "[2001:db8::1]:80", &["192.0.2.1"], "192.0.2.1"),
            // What is no address ends the walk before it.
            ("1", peer, &["unknown"], "10.0.0.1"),
            ("1", peer, &["192.0.2.1,"], "10.0.0.1"),
            ("1", peer, &[""], "10.0.0.1"),
            ("2", peer, &["192.0.2.1, _hidden, 10.9.9.9"], "10.9.9.9"),
            ("2", peer, &["192.0.2.1, ', 10.9.9.9"], "10.9.9.9"),
            (
                networks,
                peer,
                &["192.0.2.1, 10.0.0.300, 10.9.9.9"],
                "10.9.9.9",
            ),
            (networks, peer, &["192.0.2.1", "x"], "10.0.0.1"),
            // Ports and brackets.
            ("1", peer, &["192.0.2.1:5555"], "192.0.2.1"),
            ("1", peer, &["2001:DB8:0::1"], "2001:db8::1"),
            ("1", peer, &["[2001:db8::1]"], "2001:db8::1"),
            ("1", peer, &["[2001:db8::1]:5555"], "2001:db8::1"),
            ("1", peer, &["\t192.0.2.1 "], "192.0.2.1"),
            ("1", peer, &["[192.0.2.1]"], "10.0.0.1"),
            ("1", peer, &["fe80::1%eth0"], "10.0.0.1"),
            // One client, however a dual-stack proxy writes it.
            ("1", peer, &["::ffff:192.0.2.1"], "192.0.2.1"),
            (
                networks,
                "[::ffff:10.0.0.1]:80",
                &["192.0.2.1"],
                "192.0.2.1",
            ),
            // A host that tells no address.
            ("1", "", &["192.0.2.1"], ""),
            ("1", "nonsense", &["192.0.2.1"], ""),
        ];
        for (proxies, peer, forwarded, expected) in table {
            let proxies: TrustedProxies = proxies.parse().expect("a setting");
            let client = proxies.client(peer, forwarded.iter().map(|text| text.as_bytes()));
            assert_eq!(
                client.to_string(),
                *expected,
                "{proxies:?} {peer} {forwarded:?}"
            );
        }
        let not_utf8: [&[u8]; 1] = [b"192.0.2.1, \xff"];
        let client = TrustedProxies::Hops(1).client(peer, not_utf8.into_iter());
        assert_eq!(client.to_string(), "10.0.0.1");
    }

    #[test]
    fn what_is_counted() {
        let table = [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::", "2001:db8:1:3::/64"),
            ("::1", "::/64"),
            ("", ""),
        ];
        for (address, expected) in table {
            let client = ClientAddress(address_in(address));
            assert_eq!(client.counted(), expected, "{address}");
        }
    }
}

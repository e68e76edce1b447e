//! Which addresses a panel may be at. An operator's name server, or whoever answers in its place, must not be able to point
//! Berth at itself, at its neighbours, or at the service that gives a cloud machine its credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// What may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Loopback and private addresses too.
    pub private: bool,
    /// The connection is in clear, so public addresses are refused.
    pub clear: bool,
}

/// An address that may not be connected to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Link-local, multicast, unspecified, reserved, or a cloud's own service.
    #[error("no panel can be at {0}")]
    Never(IpAddr),
    /// Loopback or private, and the server is not said to be.
    #[error("{0} is a loopback or private address, and the server's configuration does not say private = true")]
    Private(IpAddr),
    /// Public, over plain HTTP.
    #[error("{0} is a public address, and the connection is in clear")]
    Clear(IpAddr),
}

impl Rule {
    /// # Errors
    /// When the address may not be connected to.
    pub fn check(self, address: IpAddr) -> Result<(), Forbidden> {
        match reach(address) {
            Reach::Never => Err(Forbidden::Never(address)),
            Reach::Private if !self.private => Err(Forbidden::Private(address)),
            Reach::Public if self.clear => Err(Forbidden::Clear(address)),
            Reach::Private | Reach::Public => Ok(()),
        }
    }
}

impl Rule {
    /// The addresses of a name, if not one of them is forbidden.
    fn check_all(self, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
        addresses.iter().try_for_each(|address| self.check(address.ip()))?;
        Ok(addresses)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Never,
    Private,
    Public,
}

fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_of_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => reach_of_v4(inner),
            None => reach_of_v6(address),
        },
    }
}

/// By IANA's registry of special-purpose addresses.
fn reach_of_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        // This network; link-local, with the clouds' 169.254.169.254; protocol assignments, with Oracle's 192.0.0.192;
        // multicast, reserved and broadcast.
        [0, ..] | [169, 254, ..] | [192, 0, 0, _] | [224..=255, ..] => Reach::Never,
        // What Azure and Alibaba answer their machines at.
        [168, 63, 129, 16] | [100, 100, 100, 200] => Reach::Never,
        [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Reach::Private,
        // Benchmarks and documentation: nobody's in public.
        [198, 18..=19, ..] | [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Reach::Private,
        _ => Reach::Public,
    }
}

fn reach_of_v6(address: Ipv6Addr) -> Reach {
    match address.segments() {
        // Unspecified; link-local; multicast; Teredo, which hides an IPv4 address.
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xfe80..=0xfebf, ..] | [0xff00..=0xffff, ..] | [0x2001, 0, ..] => Reach::Never,
        // What Amazon answers its machines at.
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] => Reach::Never,
        // Loopback; unique local and the older site-local; documentation.
        [0, 0, 0, 0, 0, 0, 0, 1] | [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] | [0x2001, 0x0db8, ..] => {
            Reach::Private
        }
        _ => Reach::Public,
    }
}

/// The IPv4 address that a packet to this one ends up at: mapped (`::ffff:a.b.c.d`), compatible (`::a.b.c.d`), translated
/// (`::ffff:0:a.b.c.d`), NAT64 by the well-known prefix and by the local one's /96 form (RFC 6052, RFC 8215), and 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let last = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => last(high, low),
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] | [0x0064, 0xff9b, 1, _, _, _, high, low] => last(high, low),
        [0x2002, high, low, ..] => last(high, low),
        _ => None,
    }
}

/// Looks names up, and refuses a name of which any address is forbidden: the connection would be made to one of them.
pub(super) struct Guarded {
    rule: Rule,
}

impl Guarded {
    pub(super) fn new(rule: Rule) -> Self {
        Self { rule }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let rule = self.rule;
        Box::pin(async move {
            // The port is the URL's; the connector puts it in.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Addrs = Box::new(rule.check_all(found)?.into_iter());
            Ok(allowed)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    const PUBLIC_ONLY: Rule = Rule { private: false, clear: false };
    const PRIVATE_TOO: Rule = Rule { private: true, clear: false };

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_no_panel_can_be_at_is_refused_even_of_a_private_server() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.1.1",
            "192.0.0.192",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "100.100.100.200",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "2001:0:1::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
        ] {
            assert_eq!(PRIVATE_TOO.check(ip(address)), Err(Forbidden::Never(ip(address))), "{address}");
        }
    }

    #[test]
    fn private_addresses_are_for_servers_that_are_said_to_be_private() {
        for address in [
            "127.0.0.1",
            "127.8.9.10",
            "10.0.0.5",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "203.0.113.9",
            "::1",
            "fc00::1",
            "fdff::1",
            "fec0::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "::ffff:10.1.2.3",
            "64:ff9b::10.0.0.5",
            "64:ff9b:1:2:3:4:a00:5",
            "2002:7f00:1::",
        ] {
            assert_eq!(PUBLIC_ONLY.check(ip(address)), Err(Forbidden::Private(ip(address))), "{address}");
            assert_eq!(PRIVATE_TOO.check(ip(address)), Ok(()), "{address}");
        }
    }

    #[test]
    fn public_addresses_are_refused_in_clear_only() {
        let in_clear = Rule { private: true, clear: true };

        for address in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "192.0.1.1", "2606:4700::1", "64:ff9b::8.8.8.8"] {
            assert_eq!(PUBLIC_ONLY.check(ip(address)), Ok(()), "{address}");
            assert_eq!(in_clear.check(ip(address)), Err(Forbidden::Clear(ip(address))), "{address}");
        }
        assert_eq!(in_clear.check(ip("127.0.0.1")), Ok(()));
    }

    #[test]
    fn one_forbidden_address_forbids_a_name() {
        let at = |text: &str| SocketAddr::new(ip(text), 0);

        let mixed = PUBLIC_ONLY.check_all(vec![at("8.8.8.8"), at("10.0.0.5"), at("1.1.1.1")]);
        let public = PUBLIC_ONLY.check_all(vec![at("8.8.8.8"), at("2606:4700::1")]);

        assert_eq!(mixed, Err(Forbidden::Private(ip("10.0.0.5"))));
        assert_eq!(public.map(|found| found.len()), Ok(2));
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_judged_alike_in_every_dress(bits: u32) {
            let plain = Ipv4Addr::from_bits(bits);
            let [a, b, c, d] = plain.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let dresses = [
                plain.to_ipv6_mapped(),
                Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 1, 2, 3, 4, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            ];

            for dress in dresses {
                prop_assert_eq!(reach(dress.into()), reach(plain.into()));
            }
        }
    }
}

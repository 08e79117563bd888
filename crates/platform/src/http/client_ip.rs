//! The client's address: from the socket, or from a header that a trusted proxy wrote.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

/// Walks `X-Forwarded-For` from the right and stops at the first address that is no trusted proxy.
/// Without a trusted peer the header counts for nothing: anybody can send it.
pub fn client_ip(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address.to_canonical()));
    let peer = peer.to_canonical();
    if !is_trusted(peer) {
        return peer;
    }
    let mut client = peer;
    let values: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    for entry in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        let Some(address) = parse(entry.trim()) else { break };
        client = address;
        if !is_trusted(address) {
            break;
        }
    }
    client
}

/// An address, with or without a port.
fn parse(text: &str) -> Option<IpAddr> {
    let address = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<std::net::SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn forwarded(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static("x-forwarded-for"), value.parse().expect("a value"))])
    }

    #[test]
    fn sec_08_a_raw_header_is_not_believed() {
        let headers = forwarded("203.0.113.9");
        assert_eq!(client_ip(ip("198.51.100.7"), &headers, &[]), ip("198.51.100.7"));
        let trusted = ["10.0.0.0/8".parse().expect("a net")];
        assert_eq!(client_ip(ip("198.51.100.7"), &headers, &trusted), ip("198.51.100.7"));
    }

    #[test]
    fn sec_08_the_rightmost_untrusted_address_counts() {
        let trusted = ["10.0.0.0/8".parse().expect("a net")];
        // The left entries are what the client claims; the proxy appended the last untrusted one.
        let headers = forwarded("1.2.3.4, 203.0.113.9, 10.1.1.1");
        assert_eq!(client_ip(ip("10.0.0.1"), &headers, &trusted), ip("203.0.113.9"));
        assert_eq!(client_ip(ip("10.0.0.1"), &forwarded("rubbish"), &trusted), ip("10.0.0.1"));
        assert_eq!(client_ip(ip("::ffff:10.0.0.1"), &headers, &trusted), ip("203.0.113.9"));
    }
}

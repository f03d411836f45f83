//! Socket addresses between Rust, the kernel and people. A dual-stack socket speaks IPv4 as mapped IPv6.

use std::{
    mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
};

/// Room for an address of either family.
#[derive(Clone, Copy)]
pub struct RawAddress {
    pub storage: libc::sockaddr_storage,
    pub length: libc::socklen_t,
}

impl RawAddress {
    pub fn empty() -> Self {
        let storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
        Self { storage, length: mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t }
    }

    pub fn set(&mut self, address: SocketAddr) {
        match address {
            SocketAddr::V4(v4) => {
                let raw = unsafe { &mut *(&raw mut self.storage).cast::<libc::sockaddr_in>() };
                raw.sin_family = libc::AF_INET as u16;
                raw.sin_port = v4.port().to_be();
                raw.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                self.length = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            SocketAddr::V6(v6) => {
                let raw = unsafe { &mut *(&raw mut self.storage).cast::<libc::sockaddr_in6>() };
                raw.sin6_family = libc::AF_INET6 as u16;
                raw.sin6_port = v6.port().to_be();
                raw.sin6_addr.s6_addr = v6.ip().octets();
                raw.sin6_flowinfo = 0;
                raw.sin6_scope_id = v6.scope_id();
                self.length = mem::size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            }
        }
    }

    pub fn get(&self) -> Option<SocketAddr> {
        match i32::from(self.storage.ss_family) {
            libc::AF_INET => {
                let raw = unsafe { &*(&raw const self.storage).cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(raw.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddrV4::new(ip, u16::from_be(raw.sin_port)).into())
            }
            libc::AF_INET6 => {
                let raw = unsafe { &*(&raw const self.storage).cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
                Some(SocketAddrV6::new(ip, u16::from_be(raw.sin6_port), 0, raw.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

/// As a socket of this family must name it.
pub fn for_family(address: SocketAddr, v6: bool) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v6 => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into(),
        other => other,
    }
}

/// As people write it: a mapped IPv4 address as plain IPv4.
pub fn plain_ip(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_kernel_form() {
        for text in ["127.0.0.1:8453", "[::1]:1", "[::ffff:10.0.0.7]:65535", "[fe80::1%3]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut raw = RawAddress::empty();
            raw.set(address);
            assert_eq!(raw.get(), Some(address));
        }
    }

    #[test]
    fn maps_and_unmaps_ipv4() {
        let v4: SocketAddr = "10.0.0.7:5".parse().unwrap();
        let mapped = for_family(v4, true);
        assert_eq!(mapped, "[::ffff:10.0.0.7]:5".parse().unwrap());
        assert_eq!(plain_ip(mapped), v4.ip());
        assert_eq!(for_family(v4, false), v4);
    }
}

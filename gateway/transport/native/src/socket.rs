//! One unconnected UDP socket: many datagrams a system call, ECN both ways, IPv6 with IPv4 inside.

use std::{
    io, mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use crate::address::RawAddress;

const BUFFER_BYTES: libc::c_int = 8 << 20;

pub struct UdpSocket {
    fd: OwnedFd,
    pub v6: bool,
    pub local: SocketAddr,
    /// Bound to every address: replies must name the one that was asked.
    pub wildcard: bool,
}

impl UdpSocket {
    /// Binds. The unspecified IPv6 address takes IPv4 too, and becomes 0.0.0.0 where IPv6 is absent.
    pub fn bind(ip: IpAddr, port: u16, report_errors: bool) -> io::Result<Self> {
        match Self::bind_family(ip, port, report_errors) {
            Err(error) if ip == Ipv6Addr::UNSPECIFIED && ipv6_absent(&error) => {
                Self::bind_family(Ipv4Addr::UNSPECIFIED.into(), port, report_errors)
            }
            result => result,
        }
    }

    fn bind_family(ip: IpAddr, port: u16, report_errors: bool) -> io::Result<Self> {
        let v6 = ip.is_ipv6();
        let family = if v6 { libc::AF_INET6 } else { libc::AF_INET };
        let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        let raw = check(unsafe { libc::socket(family, kind, 0) })?;
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        let wildcard = ip.is_unspecified();
        let mut socket = Self { fd, v6, local: SocketAddr::new(ip, port), wildcard };
        socket.set_options(wildcard, report_errors)?;
        let mut address = RawAddress::empty();
        address.set(socket.local);
        check(unsafe { libc::bind(raw, (&raw const address.storage).cast(), address.length) })?;
        let mut bound = RawAddress::empty();
        check(unsafe { libc::getsockname(raw, (&raw mut bound.storage).cast(), &mut bound.length) })?;
        socket.local = bound.get().ok_or(io::ErrorKind::Unsupported)?;
        Ok(socket)
    }

    fn set_options(&self, wildcard: bool, report_errors: bool) -> io::Result<()> {
        for option in [libc::SO_RCVBUF, libc::SO_SNDBUF] {
            // The kernel caps the request at its own maximum.
            self.option(libc::SOL_SOCKET, option, BUFFER_BYTES)?;
        }
        // IPv4 options hold for the IPv4 traffic of a dual-stack socket as well; some systems lack them there.
        let result = self.set_ipv4_options(wildcard, report_errors);
        if !self.v6 {
            return result;
        }
        self.option(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, libc::c_int::from(!wildcard))?;
        self.option(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)?;
        self.option(libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1)?;
        self.option(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, libc::c_int::from(wildcard))?;
        self.option(libc::IPPROTO_IPV6, libc::IPV6_RECVERR, libc::c_int::from(report_errors))
    }

    fn set_ipv4_options(&self, wildcard: bool, report_errors: bool) -> io::Result<()> {
        self.option(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)?;
        self.option(libc::IPPROTO_IP, libc::IP_RECVTOS, 1)?;
        self.option(libc::IPPROTO_IP, libc::IP_PKTINFO, libc::c_int::from(wildcard && !self.v6))?;
        self.option(libc::IPPROTO_IP, libc::IP_RECVERR, libc::c_int::from(report_errors))
    }

    fn option(&self, level: i32, name: i32, value: libc::c_int) -> io::Result<()> {
        let size = mem::size_of_val(&value) as libc::socklen_t;
        check(unsafe { libc::setsockopt(self.raw_fd(), level, name, (&raw const value).cast(), size) }).map(drop)
    }

    pub fn raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }
}

fn ipv6_absent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL | libc::EPROTONOSUPPORT))
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

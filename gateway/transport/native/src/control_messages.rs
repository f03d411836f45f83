//! Ancillary data of datagrams: ECN, the local address, segment sizes.

use std::{
    mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use quinn_proto::EcnCodepoint;

/// Enough for ECN, a packet info of either family and a segment size.
pub const SPACE: usize = 96;

#[derive(Clone, Copy)]
#[repr(align(8))]
pub struct Space(pub [u8; SPACE]);

/// Writes control messages of one outgoing datagram.
pub struct Encoder<'a> {
    header: &'a mut libc::msghdr,
    next: *mut libc::cmsghdr,
    length: usize,
}

impl<'a> Encoder<'a> {
    /// The header's control pointer must point to a `Space`.
    pub fn new(header: &'a mut libc::msghdr) -> Self {
        header.msg_controllen = SPACE as _;
        let next = unsafe { libc::CMSG_FIRSTHDR(header) };
        Self { header, next, length: 0 }
    }

    fn push<T: Copy>(&mut self, level: i32, kind: i32, value: T) {
        let size = mem::size_of::<T>() as u32;
        let space = unsafe { libc::CMSG_SPACE(size) } as usize;
        assert!(self.length + space <= SPACE, "control messages fit their space");
        unsafe {
            (*self.next).cmsg_level = level;
            (*self.next).cmsg_type = kind;
            (*self.next).cmsg_len = libc::CMSG_LEN(size) as _;
            libc::CMSG_DATA(self.next).cast::<T>().write_unaligned(value);
            self.next = self.next.cast::<u8>().add(space).cast();
        }
        self.length += space;
    }

    pub fn ecn(&mut self, ecn: EcnCodepoint, ipv4: bool) {
        if ipv4 {
            self.push(libc::IPPROTO_IP, libc::IP_TOS, ecn as libc::c_int);
        } else {
            self.push(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, ecn as libc::c_int);
        }
    }

    pub fn source(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(v4) => {
                let mut info: libc::in_pktinfo = unsafe { mem::zeroed() };
                info.ipi_spec_dst.s_addr = u32::from_ne_bytes(v4.octets());
                self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, info);
            }
            IpAddr::V6(v6) => {
                let mut info: libc::in6_pktinfo = unsafe { mem::zeroed() };
                info.ipi6_addr.s6_addr = v6.octets();
                self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
            }
        }
    }

    pub fn segment_size(&mut self, bytes: u16) {
        self.push(libc::SOL_UDP, libc::UDP_SEGMENT, bytes);
    }

    pub fn finish(self) {
        self.header.msg_controllen = self.length as _;
        if self.length == 0 {
            self.header.msg_control = std::ptr::null_mut();
        }
    }
}

/// What came with an incoming datagram.
#[derive(Default)]
pub struct Received {
    pub ecn: Option<EcnCodepoint>,
    pub local_ip: Option<IpAddr>,
    /// The kernel's report of a failed send: errno.
    pub error: Option<u32>,
}

pub fn decode(header: &libc::msghdr) -> Received {
    let mut received = Received::default();
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !next.is_null() {
        let message = unsafe { &*next };
        let data = unsafe { libc::CMSG_DATA(next) };
        match (message.cmsg_level, message.cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_TOS) => {
                received.ecn = EcnCodepoint::from_bits(unsafe { data.read() } & 3);
            }
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                let class = unsafe { data.cast::<libc::c_int>().read_unaligned() };
                received.ecn = EcnCodepoint::from_bits(class as u8 & 3);
            }
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
                received.local_ip = Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()).into());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                received.local_ip = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
            }
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
                let error = unsafe { data.cast::<libc::sock_extended_err>().read_unaligned() };
                received.error = Some(error.ee_errno);
            }
            _ => {}
        }
        next = unsafe { libc::CMSG_NXTHDR(header, next) };
    }
    received
}

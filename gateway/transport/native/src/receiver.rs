//! Incoming datagrams, many a system call.

use std::{
    io, mem,
    net::{IpAddr, SocketAddr},
    ptr,
};

use quinn_proto::EcnCodepoint;

use crate::{
    address::RawAddress,
    control_messages::{self, Space},
    socket::UdpSocket,
};

const BATCH: usize = 64;
/// Above the largest UDP payload that this endpoint announces.
const DATAGRAM_MAX: usize = 2048;

pub struct Datagram<'a> {
    pub remote: SocketAddr,
    pub local_ip: Option<IpAddr>,
    pub ecn: Option<EcnCodepoint>,
    pub bytes: &'a [u8],
    /// Set for a report of a failed send to `remote`: the errno.
    pub error: Option<u32>,
}

pub struct Receiver {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    names: Box<[RawAddress]>,
    controls: Box<[Space]>,
    bytes: Box<[u8]>,
    /// Headers that the kernel wrote to since they were prepared.
    used: usize,
}

impl Receiver {
    pub fn new() -> Self {
        let mut receiver = Self {
            headers: vec![unsafe { mem::zeroed::<libc::mmsghdr>() }; BATCH].into(),
            vectors: vec![libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH].into(),
            names: vec![RawAddress::empty(); BATCH].into(),
            controls: vec![Space([0; control_messages::SPACE]); BATCH].into(),
            bytes: vec![0; BATCH * DATAGRAM_MAX].into(),
            used: 0,
        };
        receiver.wire();
        receiver
    }

    /// Points the headers at their buffers, which never move.
    fn wire(&mut self) {
        for index in 0..BATCH {
            self.vectors[index].iov_base = unsafe { self.bytes.as_mut_ptr().add(index * DATAGRAM_MAX) }.cast();
            self.vectors[index].iov_len = DATAGRAM_MAX;
            let header = &mut self.headers[index].msg_hdr;
            header.msg_name = (&raw mut self.names[index].storage).cast();
            header.msg_iov = &raw mut self.vectors[index];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[index].0.as_mut_ptr().cast();
        }
        self.used = BATCH;
    }

    /// Makes the headers of the last batch ready for the next.
    fn prepare(&mut self) {
        for entry in &mut self.headers[..self.used] {
            entry.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as _;
            entry.msg_hdr.msg_controllen = control_messages::SPACE as _;
            entry.msg_hdr.msg_flags = 0;
        }
        self.used = 0;
    }

    /// Takes up to 64 waiting datagrams, or reports of failed sends when `errors` is set, for `get`.
    /// Returns how many there are, and whether more may wait.
    pub fn receive(&mut self, socket: &UdpSocket, errors: bool) -> (usize, bool) {
        self.prepare();
        let flags = if errors { libc::MSG_ERRQUEUE } else { 0 } | libc::MSG_DONTWAIT;
        let headers = self.headers.as_mut_ptr();
        let count = unsafe { libc::recvmmsg(socket.raw_fd(), headers, BATCH as u32, flags as _, ptr::null_mut()) };
        self.used = BATCH.min(count.max(0) as usize + 1);
        if count < 0 {
            // A pending error of an earlier send is reported once in place of a datagram.
            let error = io::Error::last_os_error().raw_os_error();
            return (0, !errors && !matches!(error, Some(libc::EAGAIN | libc::EBADF)));
        }
        (count as usize, count as usize == BATCH)
    }

    /// Nothing for a datagram that was cut because it is larger than any this endpoint announced to take.
    pub fn get(&self, index: usize) -> Option<Datagram<'_>> {
        let header = &self.headers[index];
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let received = control_messages::decode(&header.msg_hdr);
        Some(Datagram {
            remote: self.names[index].get()?,
            local_ip: received.local_ip,
            ecn: received.ecn,
            bytes: &self.bytes[index * DATAGRAM_MAX..][..header.msg_len as usize],
            error: received.error,
        })
    }
}

//! Outgoing datagrams of many connections, many a system call.

use std::{io, mem, ptr};

use quinn_proto::Transmit;

use crate::{
    address::RawAddress,
    control_messages::{Encoder, SPACE, Space},
    socket::UdpSocket,
};

const BATCH: usize = 64;

struct Queued {
    transmit: Transmit,
    bytes: Vec<u8>,
}

/// Collects datagrams and sends them when a batch is full or the turn ends.
pub struct Sender {
    queued: Vec<Queued>,
    sent: usize,
    spare: Vec<Vec<u8>>,
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    names: Box<[RawAddress]>,
    controls: Box<[Space]>,
    /// The socket takes no more; wait until it is writable.
    pub blocked: bool,
    /// Segmentation by the kernel works here.
    pub segments: bool,
    pub bytes_sent: u64,
    pub datagrams_sent: u64,
}

impl Sender {
    pub fn new() -> Self {
        Self {
            queued: Vec::with_capacity(BATCH),
            sent: 0,
            spare: Vec::new(),
            headers: vec![unsafe { mem::zeroed::<libc::mmsghdr>() }; BATCH].into(),
            vectors: vec![libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH].into(),
            names: vec![RawAddress::empty(); BATCH].into(),
            controls: vec![Space([0; SPACE]); BATCH].into(),
            blocked: false,
            segments: true,
            bytes_sent: 0,
            datagrams_sent: 0,
        }
    }

    /// An empty buffer to encode a datagram into; give it back with `push` or `put_back`.
    pub fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(|| Vec::with_capacity(2048))
    }

    pub fn put_back(&mut self, mut bytes: Vec<u8>) {
        // Buffers that grew for a segmented send are not kept for small ones.
        if bytes.capacity() <= 32 * 1024 {
            bytes.clear();
            self.spare.push(bytes);
        }
    }

    pub fn push(&mut self, socket: &UdpSocket, transmit: Transmit, bytes: Vec<u8>) {
        if self.blocked {
            // Only stateless answers come here then; nobody counts on them.
            return self.put_back(bytes);
        }
        self.queued.push(Queued { transmit, bytes });
        if self.queued.len() >= BATCH {
            self.flush(socket);
        }
    }

    /// Sends what is queued. On return `blocked` tells whether something had to stay.
    pub fn flush(&mut self, socket: &UdpSocket) {
        self.blocked = false;
        while self.sent < self.queued.len() {
            let count = self.prepare(socket);
            let sent = unsafe { libc::sendmmsg(socket.raw_fd(), self.headers.as_mut_ptr(), count as u32, 0) };
            if sent > 0 {
                self.account(sent as usize);
                continue;
            }
            match io::Error::last_os_error().raw_os_error() {
                Some(libc::EAGAIN) => {
                    self.blocked = true;
                    return;
                }
                Some(libc::EINTR | libc::ECONNREFUSED) => {}
                error => self.refuse_first(error),
            }
        }
        let mut done = std::mem::take(&mut self.queued);
        for Queued { bytes, .. } in done.drain(..) {
            self.put_back(bytes);
        }
        self.queued = done;
        self.sent = 0;
    }

    /// The kernel refuses the first datagram for good: too large for the path, or nowhere to go. QUIC treats it as lost.
    fn refuse_first(&mut self, error: Option<i32>) {
        let segmented = self.queued[self.sent].transmit.segment_size.is_some();
        if segmented && matches!(error, Some(libc::EINVAL | libc::EIO)) {
            self.segments = false;
        }
        self.sent += 1;
    }

    fn account(&mut self, sent: usize) {
        for queued in &self.queued[self.sent..self.sent + sent] {
            self.bytes_sent += queued.transmit.size as u64;
            self.datagrams_sent += queued.transmit.segment_size.map_or(1, |s| queued.transmit.size.div_ceil(s)) as u64;
        }
        self.sent += sent;
    }

    fn prepare(&mut self, socket: &UdpSocket) -> usize {
        let waiting = &self.queued[self.sent..];
        for (index, Queued { transmit, bytes }) in waiting.iter().take(BATCH).enumerate() {
            self.names[index].set(transmit.destination);
            self.vectors[index].iov_base = bytes.as_ptr().cast_mut().cast();
            self.vectors[index].iov_len = transmit.size;
            let header = &mut self.headers[index].msg_hdr;
            header.msg_name = (&raw mut self.names[index].storage).cast();
            header.msg_namelen = self.names[index].length;
            header.msg_iov = &raw mut self.vectors[index];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[index].0.as_mut_ptr().cast();
            let mut control = Encoder::new(header);
            let destination = transmit.destination.ip();
            if let Some(ecn) = transmit.ecn {
                control.ecn(ecn, destination.to_canonical().is_ipv4());
            }
            if let Some(source) = transmit.src_ip.filter(|_| socket.wildcard) {
                control.source(source);
            }
            if let Some(size) = transmit.segment_size {
                control.segment_size(size as u16);
            }
            control.finish();
        }
        waiting.len().min(BATCH)
    }
}

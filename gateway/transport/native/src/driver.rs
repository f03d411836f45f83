//! The loop that owns a socket and all its connections: one thread, no locks, nothing shared but the mailbox.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use quinn_proto::{ClientConfig, ConnectionHandle, DatagramEvent, Endpoint};

use crate::{
    connection::Connection,
    events::EventBatch,
    mailbox::{Mailbox, Outbox, add},
    receiver::{Datagram, Receiver},
    sender::Sender,
    settings::Limits,
    socket::UdpSocket,
    timers::Timers,
};

/// Batches of datagrams read before anything else gets its turn.
const RECEIVE_ROUNDS: usize = 4;
const REFUSED: u32 = libc::ECONNREFUSED as u32;

pub struct Driver {
    pub(crate) endpoint: Endpoint,
    pub(crate) client_config: Option<ClientConfig>,
    pub(crate) limits: Limits,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) wake: Box<dyn Fn() + Send>,
    pub(crate) socket: UdpSocket,
    pub(crate) receiver: Option<Box<Receiver>>,
    pub(crate) sender: Box<Sender>,
    pub(crate) connections: Vec<Option<Box<Connection>>>,
    /// For each slot, the handle of its connection and how often the slot was used.
    pub(crate) slots: Vec<(Option<ConnectionHandle>, u32)>,
    pub(crate) free_slots: VecDeque<u32>,
    pub(crate) touched: Vec<usize>,
    pub(crate) paused: Vec<usize>,
    pub(crate) timers: Timers,
    pub(crate) events: EventBatch,
    pub(crate) outbox: Outbox,
    pub(crate) now: Instant,
    pub(crate) accepting: bool,
    pub(crate) live: usize,
    pub(crate) handshakes: usize,
    pub(crate) unvalidated: usize,
    /// Bytes that JavaScript had not taken at the start of the turn.
    pub(crate) waiting_bytes: usize,
    pub(crate) stop_at: Option<Instant>,
    pub(crate) more_to_receive: bool,
    errors_wait: bool,
}

impl Driver {
    pub fn new(
        endpoint: Endpoint,
        client_config: Option<ClientConfig>,
        limits: Limits,
        mailbox: Arc<Mailbox>,
        wake: Box<dyn Fn() + Send>,
        socket: UdpSocket,
    ) -> Self {
        Self {
            endpoint,
            client_config,
            limits,
            mailbox,
            wake,
            socket,
            receiver: Some(Box::new(Receiver::new())),
            sender: Box::new(Sender::new()),
            connections: Vec::new(),
            slots: Vec::new(),
            free_slots: VecDeque::new(),
            touched: Vec::new(),
            paused: Vec::new(),
            timers: Timers::default(),
            events: EventBatch::default(),
            outbox: Outbox::default(),
            now: Instant::now(),
            accepting: true,
            live: 0,
            handshakes: 0,
            unvalidated: 0,
            waiting_bytes: 0,
            stop_at: None,
            more_to_receive: false,
            errors_wait: false,
        }
    }

    /// Runs until a shutdown has ended or the environment goes away.
    pub fn run(&mut self) {
        loop {
            self.now = Instant::now();
            self.waiting_bytes = self.mailbox.waiting_bytes();
            // Requests first: who stops accepting must not find that an earlier request was overtaken by a datagram.
            if self.take_requests() {
                return;
            }
            self.receive();
            // After the datagrams: a goodbye that is here already counts more than the port that closed behind it.
            if std::mem::take(&mut self.errors_wait) {
                self.receive_errors();
            }
            self.resume_paused();
            self.fire_timers();
            self.drive_touched();
            self.publish();
            if self.stop_at.is_some_and(|at| self.now >= at || self.live == 0) && self.close_all_now() {
                return;
            }
            self.wait();
        }
    }

    fn receive(&mut self) {
        let Some(mut receiver) = self.receiver.take() else { return };
        for _ in 0..RECEIVE_ROUNDS {
            let (count, more) = receiver.receive(&self.socket, false);
            let mut bytes = 0;
            for index in 0..count {
                match receiver.get(index) {
                    Some(datagram) => {
                        bytes += datagram.bytes.len() as u64;
                        self.datagram(&datagram);
                    }
                    None => add(&self.mailbox.stats.datagrams_dropped, 1),
                }
            }
            add(&self.mailbox.stats.datagrams_received, count as u64);
            add(&self.mailbox.stats.bytes_received, bytes);
            self.more_to_receive = more;
            if !more {
                break;
            }
        }
        self.receiver = Some(receiver);
    }

    fn datagram(&mut self, datagram: &Datagram) {
        let mut response = self.sender.buffer();
        let bytes = BytesMut::from(datagram.bytes);
        let local_ip = datagram.local_ip.filter(|_| self.socket.wildcard);
        let event = self.endpoint.handle(self.now, datagram.remote, local_ip, datagram.ecn, bytes, &mut response);
        match event {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                self.sender.put_back(response);
                let Some(connection) = self.connections[handle.0].as_mut() else { return };
                connection.unreachable_since = None;
                connection.quic.handle_event(event);
                connection.note_handshake();
                self.touch(handle);
            }
            Some(DatagramEvent::NewConnection(incoming)) => self.admit(incoming, response),
            Some(DatagramEvent::Response(transmit)) => self.sender.push(&self.socket, transmit, response),
            None => {
                self.sender.put_back(response);
                add(&self.mailbox.stats.datagrams_dropped, 1);
            }
        }
    }

    /// The kernel says that nobody listens at an address we sent to (ICMP port unreachable).
    fn receive_errors(&mut self) {
        let Some(mut receiver) = self.receiver.take() else { return };
        let (count, _) = receiver.receive(&self.socket, true);
        for index in 0..count {
            if let Some(Datagram { remote, error: Some(REFUSED), .. }) = receiver.get(index) {
                self.unreachable(remote);
            }
        }
        self.receiver = Some(receiver);
    }

    /// Makes sure that the connection is driven in this turn.
    pub(crate) fn touch(&mut self, handle: ConnectionHandle) {
        if let Some(connection) = self.connections[handle.0].as_mut()
            && !std::mem::replace(&mut connection.touched, true)
        {
            self.touched.push(handle.0);
        }
    }

    fn fire_timers(&mut self) {
        while let Some((at, key)) = self.timers.pop(self.now) {
            let Some(connection) = self.connections[key].as_mut() else { continue };
            if connection.scheduled != Some(at) {
                continue;
            }
            connection.scheduled = None;
            if connection.deadline.is_some_and(|deadline| deadline <= self.now) {
                connection.deadline = None;
                self.out_of_time(ConnectionHandle(key));
            }
            if let Some(connection) = self.connections[key].as_mut() {
                if connection.quic.poll_timeout().is_some_and(|timeout| timeout <= self.now) {
                    connection.quic.handle_timeout(self.now);
                    self.touch(ConnectionHandle(key));
                } else {
                    let deadline = connection.next_deadline();
                    self.timers.schedule(key, &mut connection.scheduled, deadline);
                }
            }
        }
    }

    pub(crate) fn drive_touched(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        for key in touched.drain(..) {
            self.drive(ConnectionHandle(key));
        }
        // Connections touched meanwhile, and those that a full socket left waiting.
        touched.append(&mut self.touched);
        self.touched = touched;
        self.sender.flush(&self.socket);
        add(&self.mailbox.stats.bytes_sent, std::mem::take(&mut self.sender.bytes_sent));
        add(&self.mailbox.stats.datagrams_sent, std::mem::take(&mut self.sender.datagrams_sent));
        self.mailbox.stats.connections.store((self.live - self.handshakes) as u64, Ordering::Relaxed);
        self.mailbox.stats.handshakes.store(self.handshakes as u64, Ordering::Relaxed);
    }

    /// Connections that were left unread go on when JavaScript has caught up.
    fn resume_paused(&mut self) {
        if self.waiting_bytes < self.limits.receive_bytes_max / 2 {
            for key in std::mem::take(&mut self.paused) {
                if let Some(connection) = self.connections[key].as_mut() {
                    connection.paused = false;
                    self.read(ConnectionHandle(key));
                    self.touch(ConnectionHandle(key));
                }
            }
        }
    }

    pub(crate) fn publish(&mut self) {
        if self.events.is_empty() {
            return;
        }
        let (_, wake) = self.mailbox.publish(&mut self.events);
        if wake {
            (self.wake)();
        }
    }

    fn wait(&mut self) {
        if !self.paused.is_empty() {
            self.mailbox.wait_for_room();
            if self.mailbox.waiting_bytes() < self.limits.receive_bytes_max / 2 {
                return;
            }
        }
        let blocked = self.sender.blocked;
        let idle = !self.more_to_receive && (self.touched.is_empty() || blocked) && self.mailbox.may_sleep();
        let timeout = if idle { self.sleep_time() } else { Some(Duration::ZERO) };
        let [socket, wakeup] = self.poll(timeout, blocked);
        self.mailbox.woke_up(wakeup & libc::POLLIN != 0);
        self.errors_wait = socket & libc::POLLERR != 0;
    }

    fn sleep_time(&self) -> Option<Duration> {
        let next = [self.timers.next(), self.stop_at].into_iter().flatten().min();
        next.map(|at| at.saturating_duration_since(Instant::now()))
    }

    fn poll(&self, timeout: Option<Duration>, writable: bool) -> [i16; 2] {
        let events = libc::POLLIN | if writable { libc::POLLOUT } else { 0 };
        let mut descriptors = [
            libc::pollfd { fd: self.socket.raw_fd(), events, revents: 0 },
            libc::pollfd { fd: self.mailbox.wakeup_fd(), events: libc::POLLIN, revents: 0 },
        ];
        let timeout =
            timeout.map(|time| libc::timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos() as _ });
        let timeout = timeout.as_ref().map_or(std::ptr::null(), |time| &raw const *time);
        unsafe { libc::ppoll(descriptors.as_mut_ptr(), 2, timeout, std::ptr::null()) };
        descriptors.map(|descriptor| descriptor.revents)
    }
}

//! What the driver's thread and the event loop share. Each side wakes the other only when it sleeps.

use std::{
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{commands::CommandBatch, events::EventBatch, socket::UdpSocket};

/// Rare requests that are not packed.
pub enum Control {
    StopAccepting,
    Rebind(UdpSocket),
    Shutdown {
        code: u32,
        reason: String,
        within: Duration,
    },
    /// The environment goes away: stop without a word.
    Abort,
}

#[derive(Default)]
pub struct Outbox {
    pub commands: CommandBatch,
    pub controls: Vec<Control>,
}

#[derive(Default)]
struct Inbox {
    events: EventBatch,
    /// JavaScript was woken and has not looked yet.
    woken: bool,
}

/// Counters written by the driver and read by anyone.
#[derive(Default)]
pub struct Stats {
    pub connections: AtomicU64,
    pub handshakes: AtomicU64,
    pub bytes_received: AtomicU64,
    pub bytes_sent: AtomicU64,
    pub frames_received: AtomicU64,
    pub datagrams_received: AtomicU64,
    pub datagrams_sent: AtomicU64,
    pub datagrams_dropped: AtomicU64,
    pub retries_sent: AtomicU64,
}

/// Adds without a locked instruction: only the driver writes.
pub fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}

pub struct Mailbox {
    inbox: Mutex<Inbox>,
    outbox: Mutex<Outbox>,
    outbox_filled: AtomicBool,
    driver_sleeps: AtomicBool,
    driver_waits_for_room: AtomicBool,
    wakeup: OwnedFd,
    pub stats: Stats,
    /// For each slot, how many bytes ever left its queue, modulo 2^32.
    pub drained: Box<[AtomicU32]>,
}

impl Mailbox {
    pub fn new(slots: usize) -> std::io::Result<Self> {
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Self {
            inbox: Mutex::default(),
            outbox: Mutex::default(),
            outbox_filled: AtomicBool::new(false),
            driver_sleeps: AtomicBool::new(false),
            driver_waits_for_room: AtomicBool::new(false),
            wakeup: unsafe { OwnedFd::from_raw_fd(fd) },
            stats: Stats::default(),
            drained: zeroed_counters(slots),
        })
    }

    // The event loop's side.

    /// Adds to what the driver will find; wakes it when it sleeps.
    pub fn submit(&self, fill: impl FnOnce(&mut Outbox)) {
        fill(&mut lock(&self.outbox));
        self.outbox_filled.store(true, Ordering::SeqCst);
        if self.driver_sleeps.swap(false, Ordering::SeqCst) {
            self.ring();
        }
    }

    /// All events since the last call, packed.
    pub fn take_events(&self) -> Vec<u8> {
        let mut inbox = lock(&self.inbox);
        inbox.woken = false;
        let packed = inbox.events.pack();
        drop(inbox);
        if self.driver_waits_for_room.swap(false, Ordering::SeqCst) {
            self.ring();
        }
        packed
    }

    fn ring(&self) {
        let one = 1u64;
        unsafe { libc::write(self.wakeup.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    // The driver's side.

    pub fn wakeup_fd(&self) -> i32 {
        self.wakeup.as_raw_fd()
    }

    /// Call before sleeping. False when there is work already.
    pub fn may_sleep(&self) -> bool {
        self.driver_sleeps.store(true, Ordering::SeqCst);
        !self.outbox_filled.load(Ordering::SeqCst)
    }

    /// Call after sleeping; `rang` when the wake-up descriptor was readable.
    pub fn woke_up(&self, rang: bool) {
        self.driver_sleeps.store(false, Ordering::SeqCst);
        if rang {
            let mut count = 0u64;
            unsafe { libc::read(self.wakeup.as_raw_fd(), (&raw mut count).cast(), 8) };
        }
    }

    /// Swaps what was submitted with an empty outbox, whose room is used again.
    pub fn take_outbox(&self, empty: &mut Outbox) -> bool {
        if !self.outbox_filled.swap(false, Ordering::SeqCst) {
            return false;
        }
        std::mem::swap(&mut *lock(&self.outbox), empty);
        true
    }

    /// Hands events over. Returns how many bytes wait now, and whether JavaScript must be woken.
    pub fn publish(&self, events: &mut EventBatch) -> (usize, bool) {
        let mut inbox = lock(&self.inbox);
        inbox.events.append(events);
        (inbox.events.size(), !std::mem::replace(&mut inbox.woken, true))
    }

    /// Bytes that JavaScript has not taken.
    pub fn waiting_bytes(&self) -> usize {
        lock(&self.inbox).events.size()
    }

    /// Asks to be rung at the next `take_events`.
    pub fn wait_for_room(&self) {
        self.driver_waits_for_room.store(true, Ordering::SeqCst);
    }
}

/// A driver that panicked leaves consistent batches behind: they are swapped or appended whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Zero pages from the system: slots that are never used cost no memory.
fn zeroed_counters(count: usize) -> Box<[AtomicU32]> {
    let zeroed = vec![0u32; count].into_boxed_slice();
    // AtomicU32 has the size, alignment and bit validity of u32.
    unsafe { Box::from_raw(Box::into_raw(zeroed) as *mut [AtomicU32]) }
}

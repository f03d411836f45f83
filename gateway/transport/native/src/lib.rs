//! QUIC for GateSvr: quinn-proto driven by one thread and one socket for each endpoint, packed batches towards
//! JavaScript. The TypeScript beside this crate is its only caller.

mod address;
mod admission;
mod closing;
mod commands;
mod connection;
mod control_messages;
mod debugging;
mod driver;
mod endpoint;
mod events;
mod frames;
mod lifecycle;
mod mailbox;
mod outgoing;
mod receiver;
mod requests;
mod secrets;
mod sender;
mod settings;
mod socket;
mod timers;
mod tls;

/// Datagrams come and go in bursts of equal sizes, which the C library's allocator serves slowly (a fifth of the CPU).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

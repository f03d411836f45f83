//! The class that JavaScript sees.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, atomic::Ordering::Relaxed},
    thread::JoinHandle,
    time::Duration,
};

use napi::{
    Error, Result, Status,
    bindgen_prelude::{Buffer, Function, Uint8Array, Uint32Array},
    threadsafe_function::ThreadsafeFunctionCallMode,
};
use napi_derive::napi;
use quinn_proto::ClientConfig;

use crate::{
    driver::Driver,
    events::EventBatch,
    mailbox::{Control, Mailbox},
    secrets::KeyRing,
    settings::{self, EndpointOptions, Limits, ServerOptions},
    socket::UdpSocket,
    tls::{self, Certificate},
};

fn invalid(reason: String) -> Error {
    Error::new(Status::InvalidArg, reason)
}

fn system(doing: &str, error: &std::io::Error) -> Error {
    let name = match error.raw_os_error() {
        Some(libc::EADDRINUSE) => "EADDRINUSE",
        Some(libc::EACCES) => "EACCES",
        Some(libc::EADDRNOTAVAIL) => "EADDRNOTAVAIL",
        _ => "ESOCKET",
    };
    Error::new(Status::GenericFailure, format!("{name}: {doing}: {error}"))
}

fn copy_all(secrets: Vec<Uint8Array>) -> Vec<Vec<u8>> {
    secrets.iter().map(|secret| secret.to_vec()).collect()
}

/// One socket with its thread: a server or many clients.
#[napi]
pub struct Endpoint {
    mailbox: Arc<Mailbox>,
    thread: Mutex<Option<JoinHandle<()>>>,
    certificate: Option<Arc<Certificate>>,
    ring: Arc<KeyRing>,
    host: String,
    port: u16,
}

#[napi]
impl Endpoint {
    #[napi(factory)]
    pub fn server(options: ServerOptions, wake: Function<(), ()>) -> Result<Self> {
        let ServerOptions { endpoint: options, host, port, certificate, private_key, secrets } = options;
        let ip: IpAddr = host.parse().map_err(|_| invalid(format!("{host:?} is not an IP address")))?;
        let certificate = Certificate::new(&certificate, &private_key).map_err(invalid)?;
        let ring = KeyRing::new(&copy_all(secrets));
        let tls = tls::server(certificate.clone(), &options, ring.clone()).map_err(invalid)?;
        let server = options.server(tls, ring.clone()).map_err(invalid)?;
        let socket = UdpSocket::bind(ip, port, false)
            .map_err(|error| system(&format!("listen on udp {}", SocketAddr::new(ip, port)), &error))?;
        let endpoint = quinn_proto::Endpoint::new(settings::endpoint(ring.clone()), Some(server), true, None);
        Self::start(endpoint, None, options.limits(), socket, ring, Some(certificate), wake)
    }

    #[napi(factory)]
    pub fn client(options: EndpointOptions, ca: Option<String>, wake: Function<(), ()>) -> Result<Self> {
        let tls = tls::client(ca.as_deref(), &options).map_err(invalid)?;
        let config = options.client(tls).map_err(invalid)?;
        let socket = client_socket()?;
        let ring = KeyRing::new(&[]);
        let endpoint = quinn_proto::Endpoint::new(settings::endpoint(ring.clone()), None, true, None);
        Self::start(endpoint, Some(config), options.limits(), socket, ring, None, wake)
    }

    fn start(
        endpoint: quinn_proto::Endpoint,
        client: Option<ClientConfig>,
        limits: Limits,
        socket: UdpSocket,
        ring: Arc<KeyRing>,
        certificate: Option<Arc<Certificate>>,
        wake: Function<(), ()>,
    ) -> Result<Self> {
        let mailbox = Mailbox::new(limits.slots as usize).map_err(|error| system("create an eventfd", &error))?;
        let mailbox = Arc::new(mailbox);
        let (host, port) = (crate::address::plain_ip(socket.local).to_string(), socket.local.port());
        let wake = wake.build_threadsafe_function().build()?;
        let wake = Box::new(move || {
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        });
        let shared = mailbox.clone();
        let thread = std::thread::Builder::new()
            .name("gatesvr-quic".into())
            .spawn(move || run(&mut Driver::new(endpoint, client, limits, shared, wake, socket)))
            .map_err(|error| system("start a thread", &error))?;
        Ok(Self { mailbox, thread: Mutex::new(Some(thread)), certificate, ring, host, port })
    }

    #[napi(getter)]
    pub fn host(&self) -> String {
        self.host.clone()
    }

    #[napi(getter)]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// For each slot, how many bytes ever left its queue, modulo 2^32; written while JavaScript runs.
    #[napi]
    pub fn drained(&self) -> Uint32Array {
        let owner = self.mailbox.clone();
        let data = owner.drained.as_ptr().cast_mut().cast::<u32>();
        let length = owner.drained.len();
        // The memory lives until the array's finalizer lets go of the mailbox. JavaScript only reads it.
        unsafe { Uint32Array::with_external_data(data, length, move |_, _| drop(owner)) }
    }

    /// Packed events since the last call.
    #[napi]
    pub fn take(&self) -> Buffer {
        self.mailbox.take_events().into()
    }

    /// Packed commands: the first `word_count` words and `payload_length` bytes.
    #[napi]
    pub fn submit(&self, words: &[u32], word_count: u32, payload: &[u8], payload_length: u32) {
        self.mailbox.submit(|outbox| {
            outbox.commands.append(&words[..word_count as usize], &payload[..payload_length as usize]);
        });
    }

    #[napi]
    pub fn set_certificate(&self, certificate: String, private_key: String) -> Result<()> {
        match &self.certificate {
            Some(current) => current.replace(&certificate, &private_key).map_err(invalid),
            None => Err(invalid("a client has no certificate".into())),
        }
    }

    #[napi]
    pub fn set_secrets(&self, secrets: Vec<Uint8Array>) {
        self.ring.replace(&copy_all(secrets));
    }

    #[napi]
    pub fn stop_accepting(&self) {
        self.control(Control::StopAccepting);
    }

    #[napi]
    pub fn rebind(&self) -> Result<u16> {
        let socket = client_socket()?;
        let port = socket.local.port();
        self.control(Control::Rebind(socket));
        Ok(port)
    }

    #[napi]
    pub fn shutdown(&self, code: u32, reason: String, deadline_ms: u32) {
        self.control(Control::Shutdown { code, reason, within: Duration::from_millis(deadline_ms.into()) });
    }

    /// Ends the thread and frees the socket without a word to any peer, as the death of the process would.
    #[napi]
    pub fn abandon(&self) {
        self.control(Control::Abort);
        self.join();
    }

    /// Waits for the thread; call it after the last event.
    #[napi]
    pub fn join(&self) {
        if let Some(thread) = self.thread.lock().unwrap().take() {
            let _ = thread.join();
        }
    }

    /// In the order of `TransportStats`, without `framesSent`.
    #[napi]
    pub fn stats(&self) -> Vec<f64> {
        let stats = &self.mailbox.stats;
        [
            &stats.connections,
            &stats.handshakes,
            &stats.bytes_received,
            &stats.bytes_sent,
            &stats.frames_received,
            &stats.datagrams_received,
            &stats.datagrams_sent,
            &stats.datagrams_dropped,
            &stats.retries_sent,
        ]
        .map(|counter| counter.load(Relaxed) as f64)
        .into()
    }

    fn control(&self, control: Control) {
        self.mailbox.submit(|outbox| outbox.controls.push(control));
    }
}

impl Drop for Endpoint {
    /// Also when the environment goes away, a worker's end for instance.
    fn drop(&mut self) {
        self.control(Control::Abort);
    }
}

fn client_socket() -> Result<UdpSocket> {
    UdpSocket::bind(Ipv6Addr::UNSPECIFIED.into(), 0, true).map_err(|error| system("open a udp socket", &error))
}

/// A panic ends every connection of this endpoint and is reported; it must not end silently.
fn run(driver: &mut Driver) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| driver.run())) {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("panic");
        let mut events = EventBatch::default();
        events.stopped(&format!("the transport failed: {text}"));
        driver.mailbox.publish(&mut events);
        (driver.wake)();
    }
}

//! Files for debugging: the secrets of TLS and a trace of packets. Who has the first can read the traffic.

use std::{
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{LineWriter, Write as _},
    os::unix::fs::OpenOptionsExt,
    sync::{Arc, Mutex},
};

use quinn_proto::{QlogConfig, QlogStream};
use rustls::KeyLog;

/// Only for its owner, and nothing that stood there is lost.
fn open(path: &str, what: &str) -> Result<File, String> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    file.map_err(|error| format!("{what}: {path}: {error}"))
}

/// Secrets in the format that SSLKEYLOGFILE made known.
#[derive(Debug)]
pub struct KeyLogFile(Mutex<File>);

impl KeyLogFile {
    pub fn open(path: &str) -> Result<Arc<dyn KeyLog>, String> {
        Ok(Arc::new(Self(Mutex::new(open(path, "key log")?))))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl KeyLog for KeyLogFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        // A full disk must not end a connection.
        let _ = self.0.lock().unwrap().write_all(line.as_bytes());
    }
}

/// A trace of all connections in one file (JSON-SEQ), each event with its connection as group.
pub fn qlog(path: &str) -> Result<Option<QlogStream>, String> {
    let mut config = QlogConfig::default();
    config.writer(Box::new(LineWriter::new(open(path, "qlog")?))).title(Some("gatesvr".into()));
    Ok(config.into_stream())
}

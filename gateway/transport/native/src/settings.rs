//! Options from JavaScript, and the QUIC settings made of them.

use std::{sync::Arc, time::Duration};

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use quinn_proto::{
    ClientConfig, EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, ValidationTokenConfig, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};

use crate::{
    debugging,
    secrets::{KeyRing, ResetKey, TaggedCids, TokenKey},
};

const CLIENT_RECEIVE_WINDOW: u32 = 256 * 1024;
const SERVER_RECEIVE_WINDOW: u32 = 96 * 1024;

#[napi(object)]
pub struct EndpointOptions {
    pub alpn: String,
    pub max_frame_bytes: u32,
    pub idle_timeout_ms: u32,
    pub handshake_timeout_ms: u32,
    pub send_low_bytes: u32,
    pub send_high_bytes: u32,
    pub receive_bytes_max: u32,
    pub connections_max: u32,
    pub slots: u32,
    pub retry_threshold: u32,
    /// Where the secrets of TLS are written, for debugging.
    pub key_log_file: Option<String>,
    /// Where a trace of packets is written, for debugging.
    pub qlog_file: Option<String>,
}

#[napi(object, object_to_js = false)]
pub struct ServerOptions {
    pub endpoint: EndpointOptions,
    pub host: String,
    pub port: u16,
    pub certificate: String,
    pub private_key: String,
    pub secrets: Vec<Uint8Array>,
}

/// What the driver needs of the options.
pub struct Limits {
    pub max_frame_bytes: u32,
    pub handshake_timeout: Duration,
    pub send_low_bytes: usize,
    pub receive_bytes_max: usize,
    pub connections_max: usize,
    pub slots: u32,
    pub retry_threshold: usize,
}

impl EndpointOptions {
    pub fn limits(&self) -> Limits {
        Limits {
            max_frame_bytes: self.max_frame_bytes,
            handshake_timeout: Duration::from_millis(self.handshake_timeout_ms.into()),
            send_low_bytes: self.send_low_bytes as usize,
            receive_bytes_max: self.receive_bytes_max as usize,
            connections_max: self.connections_max as usize,
            slots: self.slots,
            retry_threshold: self.retry_threshold as usize,
        }
    }

    fn transport(&self, receive_window: u32) -> Result<TransportConfig, String> {
        let mut transport = TransportConfig::default();
        transport
            .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(self.idle_timeout_ms))))
            .max_concurrent_uni_streams(0u32.into())
            .stream_receive_window(receive_window.into())
            .receive_window(receive_window.into())
            .send_window(u64::from(self.send_high_bytes).clamp(64 << 10, 1 << 20))
            .datagram_receive_buffer_size(None)
            .datagram_send_buffer_size(0);
        if let Some(path) = &self.qlog_file {
            transport.qlog_stream(debugging::qlog(path)?);
        }
        Ok(transport)
    }

    pub fn server(&self, tls: Arc<QuicServerConfig>, ring: Arc<KeyRing>) -> Result<Arc<ServerConfig>, String> {
        let mut transport = self.transport(SERVER_RECEIVE_WINDOW)?;
        transport.max_concurrent_bidi_streams(1u32.into());
        let mut config = ServerConfig::new(tls, Arc::new(TokenKey(ring)));
        let mut no_tokens = ValidationTokenConfig::default();
        no_tokens.sent(0);
        config.transport_config(Arc::new(transport)).validation_token_config(no_tokens).migration(true);
        Ok(Arc::new(config))
    }

    pub fn client(&self, tls: Arc<QuicClientConfig>) -> Result<ClientConfig, String> {
        let mut transport = self.transport(CLIENT_RECEIVE_WINDOW)?;
        transport
            .max_concurrent_bidi_streams(0u32.into())
            .keep_alive_interval(Some(Duration::from_millis(u64::from(self.idle_timeout_ms / 3).max(1))));
        let mut config = ClientConfig::new(tls);
        config.transport_config(Arc::new(transport));
        Ok(config)
    }
}

pub fn endpoint(ring: Arc<KeyRing>) -> Arc<EndpointConfig> {
    let mut config = EndpointConfig::new(Arc::new(ResetKey(ring.clone())));
    // After a takeover every client must get its reset at once; a reset is smaller than what asked for it.
    config.cid_generator(move || Box::new(TaggedCids(ring.clone()))).min_reset_interval(Duration::ZERO);
    Arc::new(config)
}

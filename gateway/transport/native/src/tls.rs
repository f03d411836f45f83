//! TLS for both roles. 0-RTT stays off; a resumption costs one round trip.

use std::{
    cell::Cell,
    sync::{Arc, RwLock},
};

use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::{
    DigitallySignedStruct, Error, RootCertStore, SignatureAlgorithm, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::{CertifiedKey, Signer, SigningKey},
};

use crate::{
    debugging::KeyLogFile,
    secrets::{KeyRing, Ticketer},
    settings::EndpointOptions,
};

thread_local! {
    static FULL_HANDSHAKE: Cell<bool> = const { Cell::new(false) };
}

/// Whether a certificate was signed with or verified on this thread since the last call: only a handshake
/// that is no resumption does that.
pub fn take_full_handshake() -> bool {
    FULL_HANDSHAKE.replace(false)
}

fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    // AES-128 first: the cheapest suite that QUIC clients all have.
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

/// The certificate in force, replaceable while handshakes run.
pub struct Certificate(RwLock<Arc<CertifiedKey>>);

impl Certificate {
    pub fn new(chain: &str, key: &str) -> Result<Arc<Self>, String> {
        Ok(Arc::new(Self(RwLock::new(certified_key(chain, key)?))))
    }

    pub fn replace(&self, chain: &str, key: &str) -> Result<(), String> {
        let parsed = certified_key(chain, key)?;
        *self.0.write().unwrap() = parsed;
        Ok(())
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificate")
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap().clone())
    }
}

fn parse_chain(pem: &str, what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(format!("{what}: no CERTIFICATE block in the PEM")),
        Err(error) => Err(format!("{what}: {error}")),
    }
}

fn certified_key(chain: &str, key: &str) -> Result<Arc<CertifiedKey>, String> {
    let chain = parse_chain(chain, "certificate")?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| format!("private key: {error}"))?;
    let mut certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        Error::InconsistentKeys(_) => "private key: does not belong to the certificate".to_string(),
        other => format!("certificate or private key: {other}"),
    })?;
    certified.key = Arc::new(NotingKey(certified.key));
    Ok(Arc::new(certified))
}

#[derive(Debug)]
struct NotingKey(Arc<dyn SigningKey>);

impl SigningKey for NotingKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        FULL_HANDSHAKE.set(true);
        self.0.choose_scheme(offered)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

pub fn server(
    certificate: Arc<Certificate>,
    options: &EndpointOptions,
    ring: Arc<KeyRing>,
) -> Result<Arc<QuicServerConfig>, String> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3")
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![options.alpn.as_bytes().to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Arc::new(Ticketer(ring));
    config.send_tls13_tickets = 1;
    config.max_early_data_size = 0;
    if let Some(path) = &options.key_log_file {
        config.key_log = KeyLogFile::open(path)?;
    }
    Ok(Arc::new(QuicServerConfig::try_from(config).expect("the provider has AES-128-GCM")))
}

/// `ca` is the PEM of the trusted authorities; nothing is verified without it.
pub fn client(ca: Option<&str>, options: &EndpointOptions) -> Result<Arc<QuicClientConfig>, String> {
    let inner = match ca {
        Some(pem) => Some(ca_verifier(pem)?),
        None => None,
    };
    let verifier = Arc::new(NotingVerifier { inner, provider: provider() });
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![options.alpn.as_bytes().to_vec()];
    config.resumption = Resumption::in_memory_sessions(256);
    config.enable_early_data = false;
    if let Some(path) = &options.key_log_file {
        config.key_log = KeyLogFile::open(path)?;
    }
    Ok(Arc::new(QuicClientConfig::try_from(config).expect("the provider has AES-128-GCM")))
}

fn ca_verifier(pem: &str) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in parse_chain(pem, "trusted authorities")? {
        roots.add(certificate).map_err(|error| format!("trusted authorities: {error}"))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| format!("trusted authorities: {error}"))
}

#[derive(Debug)]
struct NotingVerifier {
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for NotingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        FULL_HANDSHAKE.set(true);
        match &self.inner {
            Some(inner) => inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not used by QUIC".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

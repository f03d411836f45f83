//! Keys derived from secrets that a pair shares: TLS tickets, stateless resets and retry tokens made by one
//! process are understood by the other. The first secret issues, all are accepted.

use std::sync::{Arc, RwLock};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac, rand,
};
use quinn_proto::{
    ConnectionId, ConnectionIdGenerator, InvalidCid,
    crypto::{AeadKey, CryptoError, HandshakeTokenKey, HmacKey},
};
use rustls::server::ProducesTickets;

const CID_LEN: usize = 8;
const TICKET_NAME_LEN: usize = 4;
const TICKET_LIFETIME_SECONDS: u32 = 12 * 3600;

struct Keys {
    /// First byte of every connection id, so that a reset can be signed with the key its connection knows.
    cid_tag: u8,
    reset: hmac::Key,
    ticket_name: [u8; TICKET_NAME_LEN],
    ticket: LessSafeKey,
    token: hkdf::Prk,
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const N: usize>(prk: &hkdf::Prk, label: &str) -> [u8; N] {
    let mut out = [0; N];
    prk.expand(&[label.as_bytes()], Length(N)).and_then(|okm| okm.fill(&mut out)).expect("N is far below 255 hashes");
    out
}

impl Keys {
    fn derive(secret: &[u8]) -> Self {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"gatesvr transport 1").extract(secret);
        let ticket = UnboundKey::new(&AES_256_GCM, &expand::<32>(&prk, "ticket key")).expect("32 bytes");
        Self {
            cid_tag: expand::<1>(&prk, "connection id tag")[0],
            reset: hmac::Key::new(hmac::HMAC_SHA256, &expand::<32>(&prk, "stateless reset key")),
            ticket_name: expand(&prk, "ticket name"),
            ticket: LessSafeKey::new(ticket),
            token: hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &expand::<32>(&prk, "retry token key")),
        }
    }
}

/// The keys in force; shared by everything that uses them, so that a rotation reaches all at once.
pub struct KeyRing {
    keys: RwLock<Arc<[Keys]>>,
}

impl KeyRing {
    /// Without secrets, random ones: nobody else understands what this ring issues.
    pub fn new(secrets: &[Vec<u8>]) -> Arc<Self> {
        Arc::new(Self { keys: RwLock::new(derive_all(secrets)) })
    }

    pub fn replace(&self, secrets: &[Vec<u8>]) {
        *self.keys.write().unwrap() = derive_all(secrets);
    }

    fn keys(&self) -> Arc<[Keys]> {
        self.keys.read().unwrap().clone()
    }
}

fn derive_all(secrets: &[Vec<u8>]) -> Arc<[Keys]> {
    if secrets.is_empty() {
        let mut random = [0; 32];
        rand::fill(&mut random).expect("the system has randomness");
        return Arc::new([Keys::derive(&random)]);
    }
    secrets.iter().map(|secret| Keys::derive(secret)).collect()
}

/// Signs stateless reset tokens with the key that the connection id names.
pub struct ResetKey(pub Arc<KeyRing>);

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], out: &mut [u8]) {
        let keys = self.0.keys();
        let tag = data.first().copied();
        let chosen = keys.iter().find(|key| Some(key.cid_tag) == tag).unwrap_or(&keys[0]);
        out.copy_from_slice(&hmac::sign(&chosen.reset, data).as_ref()[..out.len()]);
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let keys = self.0.keys();
        let valid = keys.iter().any(|key| hmac::verify(&key.reset, data, signature).is_ok());
        if valid { Ok(()) } else { Err(CryptoError) }
    }
}

/// Connection ids of 8 bytes: the tag of the issuing secret, then randomness.
pub struct TaggedCids(pub Arc<KeyRing>);

impl ConnectionIdGenerator for TaggedCids {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; CID_LEN];
        rand::fill(&mut id).expect("the system has randomness");
        id[0] = self.0.keys()[0].cid_tag;
        ConnectionId::new(&id)
    }

    fn validate(&self, cid: &ConnectionId) -> Result<(), InvalidCid> {
        let tag = cid.first().copied();
        let known = self.0.keys().iter().any(|key| Some(key.cid_tag) == tag);
        if known { Ok(()) } else { Err(InvalidCid) }
    }

    fn cid_len(&self) -> usize {
        CID_LEN
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}

/// Tickets: name of the key, nonce, AES-256-GCM of the session.
pub struct Ticketer(pub Arc<KeyRing>);

impl std::fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticketer")
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        TICKET_LIFETIME_SECONDS
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let keys = self.0.keys();
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = plain.to_vec();
        let aad = Aad::from(keys[0].ticket_name);
        keys[0].ticket.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).ok()?;
        Some([&keys[0].ticket_name[..], &nonce, &sealed].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<TICKET_NAME_LEN>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let keys = self.0.keys();
        keys.iter().filter(|key| key.ticket_name == *name).find_map(|key| {
            let mut session = sealed.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let length = key.ticket.open_in_place(nonce, Aad::from(*name), &mut session).ok()?.len();
            session.truncate(length);
            Some(session)
        })
    }
}

/// Seals retry tokens; each token has a key of its own, derived from random bytes it carries.
pub struct TokenKey(pub Arc<KeyRing>);

impl HandshakeTokenKey for TokenKey {
    fn aead_from_hkdf(&self, random_bytes: &[u8]) -> Box<dyn AeadKey> {
        let keys = self.0.keys();
        let candidates = keys.iter().map(|key| key.token.aead_from_hkdf(random_bytes)).collect();
        Box::new(AnyOf(candidates))
    }
}

struct AnyOf(Vec<Box<dyn AeadKey>>);

impl AeadKey for AnyOf {
    fn seal(&self, data: &mut Vec<u8>, additional_data: &[u8]) -> Result<(), CryptoError> {
        self.0[0].seal(data, additional_data)
    }

    fn open<'a>(&self, data: &'a mut [u8], additional_data: &[u8]) -> Result<&'a mut [u8], CryptoError> {
        for key in &self.0 {
            let mut attempt = data.to_vec();
            if let Ok(plain) = key.open(&mut attempt, additional_data) {
                let length = plain.len();
                data[..length].copy_from_slice(plain);
                return Ok(&mut data[..length]);
            }
        }
        Err(CryptoError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(secrets: &[&[u8]]) -> Arc<KeyRing> {
        KeyRing::new(&secrets.iter().map(|s| s.to_vec()).collect::<Vec<_>>())
    }

    #[test]
    fn a_ticket_is_understood_wherever_its_secret_is_accepted() {
        let ticket = Ticketer(ring(&[b"one"])).encrypt(b"session").unwrap();
        assert_eq!(Ticketer(ring(&[b"two", b"one"])).decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(Ticketer(ring(&[b"two"])).decrypt(&ticket), None);
        let mut forged = ticket.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(Ticketer(ring(&[b"one"])).decrypt(&forged), None);
        assert_eq!(Ticketer(ring(&[b"one"])).decrypt(&ticket[..10]), None);
    }

    #[test]
    fn a_reset_is_signed_with_the_key_of_its_connection() {
        let old = ring(&[b"one"]);
        let id = TaggedCids(old.clone()).generate_cid();
        let rotated = ring(&[b"two", b"one"]);
        let (mut expected, mut signed) = ([0; 32], [0; 32]);
        ResetKey(old).sign(&id, &mut expected);
        ResetKey(rotated.clone()).sign(&id, &mut signed);
        assert_eq!(signed, expected);
        assert!(TaggedCids(rotated).validate(&id).is_ok());
        assert!(TaggedCids(ring(&[b"three"])).validate(&id).is_err());
    }

    #[test]
    fn a_retry_token_opens_under_a_rotated_ring() {
        let mut token = b"address".to_vec();
        TokenKey(ring(&[b"one"])).aead_from_hkdf(b"random").seal(&mut token, b"").unwrap();
        let opener = TokenKey(ring(&[b"two", b"one"])).aead_from_hkdf(b"random");
        assert_eq!(opener.open(&mut token.clone(), b"").unwrap(), b"address");
        assert!(TokenKey(ring(&[b"two"])).aead_from_hkdf(b"random").open(&mut token, b"").is_err());
    }
}

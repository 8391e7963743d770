//! Channel bindings: tls-exporter (RFC 9266) and, for TLS 1.2, tls-unique (RFC 5929 s3).
//!
//! EST ties a certificate request to its connection by one of them (RFC 7030 s3.5). rustls does not offer tls-unique,
//! which clients such as libest insist on, so it is computed here from the handshake itself.

use super::record::Tape;
use landfall_brski::ChannelBinding;
use landfall_types::Redacted;
use rustls::{ConnectionCommon, KeyLog, ProtocolVersion, SupportedCipherSuite, Tls12CipherSuite};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Where rustls leaves the master secret of one TLS 1.2 connection, until the handshake is over.
///
/// Every connection has its own, so the secret of a handshake that fails goes away with it.
#[derive(Default)]
pub(super) struct MasterSecret(Mutex<Redacted<Vec<u8>>>);

impl MasterSecret {
    fn take(&self) -> Redacted<Vec<u8>> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl KeyLog for MasterSecret {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if self.will_log(label) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = secret.to_vec().into();
        }
    }

    fn will_log(&self, label: &str) -> bool {
        label == "CLIENT_RANDOM"
    }
}

/// Which of the two recorded directions is the client's.
pub(super) enum Side {
    #[cfg(feature = "client")]
    Client,
    #[cfg(feature = "server")]
    Server,
}

/// The bindings of a connection whose handshake has just ended. Wipes `secret`.
pub(super) fn of<D>(
    connection: &ConnectionCommon<D>,
    secret: &MasterSecret,
    tape: Option<Tape>,
    side: Side,
) -> ChannelBinding {
    let secret = secret.take();
    let mut binding = ChannelBinding::default();
    if connection.protocol_version() == Some(ProtocolVersion::TLSv1_3) {
        binding.tls_exporter = exporter(connection);
    } else if let Some(tape) = tape {
        let (client, server) = match side {
            #[cfg(feature = "client")]
            Side::Client => (tape.written, tape.read),
            #[cfg(feature = "server")]
            Side::Server => (tape.read, tape.written),
        };
        let handshake = Handshake::parse(&client, &server);
        if let (Some(SupportedCipherSuite::Tls12(suite)), Some(handshake)) =
            (connection.negotiated_cipher_suite(), handshake)
        {
            binding.tls_unique = Some(tls_unique(suite, secret.expose(), &handshake.messages));
            // RFC 9266 s4.2: under TLS 1.2 the exporter is unique only with the extended master secret.
            if handshake.extended_master_secret {
                binding.tls_exporter = exporter(connection);
            }
        }
    }
    binding
}

/// RFC 9266 s2: this label, an empty context (not an absent one, which differs in TLS 1.2), 32 bytes.
fn exporter<D>(connection: &ConnectionCommon<D>) -> Option<[u8; 32]> {
    connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok()
}

/// RFC 5929 s3.1: the first Finished message, which is the client's, as there is no resumption;
/// RFC 5246 s7.4.9: its 12 bytes of verify_data.
fn tls_unique(suite: &Tls12CipherSuite, master_secret: &[u8], messages: &[u8]) -> Vec<u8> {
    let mut verify_data = vec![0; 12];
    let hash = suite.common.hash_provider.hash(messages);
    suite.prf_provider.for_secret(&mut verify_data, master_secret, b"client finished", hash.as_ref());
    verify_data
}

/// The part of a full TLS 1.2 handshake that the client's Finished covers.
#[derive(Debug, PartialEq, Eq)]
struct Handshake {
    messages: Vec<u8>,
    extended_master_secret: bool,
}

const HELLO_REQUEST: u8 = 0;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const SERVER_HELLO_DONE: u8 = 14;

impl Handshake {
    /// RFC 5246 s7.3: ClientHello; ServerHello to ServerHelloDone; the client's Certificate to CertificateVerify.
    fn parse(client: &[u8], server: &[u8]) -> Option<Self> {
        let (client, server) = (plaintext_handshake(client), plaintext_handshake(server));
        let mut from_client = Messages(&client);
        let mut messages = from_client.next().filter(|(kind, _)| *kind == CLIENT_HELLO)?.1.to_vec();
        let mut extended_master_secret = false;
        let mut done = false;
        for (kind, message) in Messages(&server).filter(|(kind, _)| *kind != HELLO_REQUEST) {
            messages.extend_from_slice(message);
            if kind == SERVER_HELLO {
                extended_master_secret = has_extended_master_secret(message)?;
            }
            if kind == SERVER_HELLO_DONE {
                done = true;
                break;
            }
        }
        from_client.for_each(|(_, message)| messages.extend_from_slice(message));
        done.then_some(Self { messages, extended_master_secret })
    }
}

/// The handshake bytes of one direction up to ChangeCipherSpec, out of their records (RFC 5246 s6.2.1).
fn plaintext_handshake(mut records: &[u8]) -> Vec<u8> {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    let mut handshake = Vec::with_capacity(records.len());
    while let Some((kind, fragment, rest)) = split_record(records) {
        match kind {
            HANDSHAKE => handshake.extend_from_slice(fragment),
            ALERT => {}
            _change_cipher_spec => break,
        }
        records = rest;
    }
    handshake
}

fn split_record(records: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[kind, _, _, high, low], rest) = records.split_first_chunk()?;
    let (fragment, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
    Some((kind, fragment, rest))
}

/// Handshake messages with their headers: type, and the whole message.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let &[kind, a, b, c] = self.0.first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
        let (message, rest) = self.0.split_at_checked(4 + length)?;
        self.0 = rest;
        Some((kind, message))
    }
}

/// RFC 7627 s5.1: extension 23 in the ServerHello. `None` if the ServerHello cannot be read.
fn has_extended_master_secret(server_hello: &[u8]) -> Option<bool> {
    const EXTENDED_MASTER_SECRET: [u8; 2] = [0, 23];
    // header 4, version 2, random 32, session id 1 + n, cipher suite 2, compression 1, extensions 2 + n
    let (session_id, rest) = server_hello.get(38..)?.split_first()?;
    let Some(mut extensions) = rest.get(usize::from(*session_id) + 5..) else {
        return Some(false);
    };
    while let Some((&[a, b, high, low], rest)) = extensions.split_first_chunk() {
        if [a, b] == EXTENDED_MASTER_SECRET {
            return Some(true);
        }
        extensions = rest.get(usize::from(u16::from_be_bytes([high, low]))..)?;
    }
    Some(false)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind], &length[1..], body].concat()
    }

    fn record(kind: u8, fragment: &[u8]) -> Vec<u8> {
        let length = u16::try_from(fragment.len()).unwrap().to_be_bytes();
        [&[kind, 3, 3], &length[..], fragment].concat()
    }

    fn server_hello(extensions: &[u8]) -> Vec<u8> {
        let length = u16::try_from(extensions.len()).unwrap().to_be_bytes();
        message(SERVER_HELLO, &[&[3, 3], &[7; 32][..], &[0, 0xc0, 0x2b, 0], &length[..], extensions].concat())
    }

    #[test]
    fn messages_are_put_together_across_records_in_the_order_of_the_handshake() {
        let (hello, exchange) = (message(CLIENT_HELLO, b"hi"), message(16, b"key"));
        let (answer, done) = (server_hello(&[]), message(SERVER_HELLO_DONE, b""));
        let (ticket, finished) = (message(4, b"ticket"), record(22, b"encrypted"));
        // Split in the middle of a message, with an alert between.
        let (front, back) = exchange.split_at(2);
        let change = record(20, &[1]);
        let client =
            [record(22, &hello), record(22, front), record(21, &[1, 0]), record(22, back), change.clone(), finished];
        let together = [answer.clone(), message(0, b""), done.clone()].concat();
        let server = [record(22, &together), record(22, &ticket), change];
        let handshake = Handshake::parse(&client.concat(), &server.concat()).unwrap();
        assert_eq!(handshake.messages, [hello, answer, done, exchange].concat());
        assert!(!handshake.extended_master_secret);
    }

    #[test]
    fn a_cut_handshake_has_no_binding() {
        let client = [record(22, &message(CLIENT_HELLO, b"hi")), record(20, &[1])].concat();
        let server = [record(22, &server_hello(&[])), record(22, &message(SERVER_HELLO_DONE, b""))].concat();
        assert!(Handshake::parse(&client, &server).is_some());
        for end in 0..server.len() {
            assert_eq!(Handshake::parse(&client, &server[..end]), None);
        }
        assert_eq!(Handshake::parse(&server, &server), None);
    }

    #[test]
    fn the_extended_master_secret_is_found_among_extensions() {
        let renegotiation_info = [0xff, 1, 0, 1, 0];
        let extended_master_secret = [0, 23, 0, 0];
        let both = [&renegotiation_info[..], &extended_master_secret].concat();
        assert_eq!(has_extended_master_secret(&server_hello(&both)), Some(true));
        assert_eq!(has_extended_master_secret(&server_hello(&renegotiation_info)), Some(false));
        assert_eq!(has_extended_master_secret(&server_hello(&[0, 5, 0, 9])), None);
        assert_eq!(has_extended_master_secret(&[2, 0, 0, 0]), None);
    }

    #[test]
    fn secrets_are_taken_once_and_never_shown() {
        let secret = MasterSecret::default();
        secret.log("EXPORTER_SECRET", &[], b"another");
        assert!(secret.take().expose().is_empty());
        secret.log("CLIENT_RANDOM", &[], b"master");
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert_eq!(secret.take().expose(), b"master");
        assert!(secret.take().expose().is_empty());
    }
}

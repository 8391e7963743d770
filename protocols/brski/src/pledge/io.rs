//! What a pledge is told, and what it asks for.

use crate::{ChannelBinding, TlsPeer, proxy::Offer};
use landfall_pki::{Algorithm, Anchors, Certificate, PublicKey, attestation::KeyAttestation};
use landfall_types::{
    KeyUri, Refusal, SerialNumber, Time,
    http::{Request, Response},
};
use std::{fmt, time::Duration};

/// One connection. Inputs about a connection that the machine has let go of are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// What can happen to a pledge.
#[derive(Debug)]
pub enum Input {
    /// Begin.
    Start,
    /// Announcements were heard; repeating known ones is harmless.
    Offers(Vec<Offer>),
    /// A link came up: whoever failed before may be tried again at once (RFC 8995 s4.1).
    LinkChanged,
    /// A TLS connection stands. The handshake signature has been verified; the chain has not been judged.
    Connected {
        /// Which.
        connection: ConnectionId,
        /// The other end.
        peer: TlsPeer,
    },
    /// A connection could not be made, or is gone.
    ConnectionLost {
        /// Which.
        connection: ConnectionId,
        /// Why, for the operator.
        why: String,
    },
    /// The answer to the request that was sent last.
    Response {
        /// Over which connection.
        connection: ConnectionId,
        /// The answer.
        response: Response,
    },
    /// The answer to [`Output::Sign`].
    Signed(Vec<u8>),
    /// The answer to [`Output::MakeKey`].
    KeyMade {
        /// Where the key lives.
        key: KeyUri,
        /// Its public half.
        public_key: PublicKey,
        /// Proof of where it lives, for the certificate request, if there is any.
        attestation: Option<Box<KeyAttestation>>,
    },
    /// The answer to [`Output::Attest`]: evidence, as a conceptual message wrapper in JSON.
    Attested(String),
    /// The answer to [`Output::Persist`]: the credential is durable.
    Persisted,
    /// The device itself could not sign, show evidence, make a key or persist; the reason, for the operator.
    Failed(String),
    /// It is [`poll_timeout`](landfall_types::Machine::poll_timeout) or later.
    Timeout,
}

impl Input {
    /// The connection that it is about.
    pub(super) const fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Connected { connection, .. }
            | Self::ConnectionLost { connection, .. }
            | Self::Response { connection, .. } => Some(*connection),
            _ => None,
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Offers(_) => "Offers",
            Self::LinkChanged => "LinkChanged",
            Self::Connected { .. } => "Connected",
            Self::ConnectionLost { .. } => "ConnectionLost",
            Self::Response { .. } => "Response",
            Self::Signed(_) => "Signed",
            Self::KeyMade { .. } => "KeyMade",
            Self::Attested(_) => "Attested",
            Self::Persisted => "Persisted",
            Self::Failed(_) => "Failed",
            Self::Timeout => "Timeout",
        }
    }
}

/// What a pledge wants done.
#[derive(Debug)]
pub enum Output {
    /// Look for proxies and registrars, actively where the method allows it.
    Discover,
    /// Make a TLS connection. The server's name is neither sent nor checked: a pledge knows none (RFC 8995 s5.1).
    Connect {
        /// What to call it.
        connection: ConnectionId,
        /// Where to.
        offer: Offer,
        /// Who the device is on it.
        identity: Identity,
        /// How far the other end is to be believed. Whatever the TLS stack checks, the machine judges the chain too.
        trust: Trust,
    },
    /// Send a request; one at a time.
    Send {
        /// Over which connection.
        connection: ConnectionId,
        /// The request.
        request: Request,
    },
    /// Close a connection, if it is still there.
    Disconnect {
        /// Which.
        connection: ConnectionId,
    },
    /// Make a key pair for an LDevID; answer with [`Input::KeyMade`].
    MakeKey {
        /// Of which kind.
        algorithm: Algorithm,
    },
    /// Show what software the device runs, to a registrar that asks for it before it issues a certificate; answer with
    /// [`Input::Attested`].
    Attest {
        /// The registrar's nonce, which the evidence has to cover.
        nonce: Vec<u8>,
        /// The connection, which it has to cover too.
        binding: ChannelBinding,
    },
    /// Sign; answer with [`Input::Signed`].
    Sign {
        /// With which key.
        key: SigningKey,
        /// The message (not a digest).
        bytes: Vec<u8>,
    },
    /// Make this durable; answer with [`Input::Persisted`]. Nothing uses it before.
    Persist(Box<Credential>),
    /// This key is of no use any more.
    DiscardKey(KeyUri),
    /// Something that people may want to watch.
    Progress(Progress),
    /// All is done; the machine has ended.
    Done(Box<Summary>),
    /// As many attempts as were allowed have failed, for this reason at last; the machine has ended.
    GaveUp(Refusal),
}

/// Who a device is on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Its birth identity.
    Idevid,
    /// A local identity.
    Ldevid {
        /// Where its key lives.
        key: KeyUri,
        /// The certificate and its chain, leaf first.
        chain: Vec<Certificate>,
    },
}

/// How far the other end of a connection is to be believed.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Not at all until a voucher says so (RFC 8995 s5.1).
    Provisional,
    /// If its chain leads to one of these.
    Anchored(Anchors),
}

/// A private key of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SigningKey {
    /// The one of the IDevID.
    Idevid,
    /// One that [`Output::MakeKey`] made.
    Ldevid(KeyUri),
}

/// A network credential, with all that the device needs to use and renew it.
#[derive(Clone, Debug, PartialEq)]
pub struct Credential {
    /// Where the private key lives.
    pub key: KeyUri,
    /// The LDevID.
    pub ldevid: Certificate,
    /// What stands between it and an anchor, lowest first, without the anchor.
    pub chain: Vec<Certificate>,
    /// The domain's trust anchors, from its EST server.
    pub anchors: Vec<Certificate>,
    /// The certificate that the voucher pinned.
    pub pinned: Certificate,
    /// The registrar's own certificate, as it was presented.
    pub registrar: Certificate,
    /// Where the registrar was reached.
    pub offer: Offer,
    /// The voucher as it came.
    pub voucher: Vec<u8>,
    /// When the certificate was obtained, on the device's clock.
    pub obtained: Time,
}

impl Credential {
    /// The LDevID with its chain, leaf first, as it is presented in TLS.
    pub fn presented(&self) -> Vec<Certificate> {
        std::iter::once(&self.ldevid).chain(&self.chain).cloned().collect()
    }

    /// What a registrar of the domain has to chain to: the domain's anchors and the key that the voucher pinned
    /// (RFC 8995 s5.6.2).
    pub fn domain(&self) -> Anchors {
        let mut anchors = Anchors::of(self.anchors.iter().cloned());
        anchors.add(self.pinned.public_key().clone());
        anchors
    }

    pub(super) fn identity(&self) -> Identity {
        Identity::Ldevid { key: self.key.clone(), chain: self.presented() }
    }
}

/// How an onboarding or a renewal ended.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The device.
    pub serial_number: SerialNumber,
    /// What it has now.
    pub credential: Credential,
    /// Whether the registrar was told over a connection with the new credential. A registrar that cannot be reached
    /// any more does not undo the enrolment.
    pub reported: bool,
    /// How many connections were tried.
    pub attempts: u32,
    /// How long it took.
    pub took: Duration,
}

/// A step, for whoever watches. `Display` says it in words.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Listening for announcements.
    Discovering,
    /// Someone announced a way in.
    Found(Offer),
    /// An attempt begins.
    Connecting {
        /// Where to.
        offer: Offer,
        /// With which certificate.
        with: &'static str,
    },
    /// The handshake is done, and the registrar's certificate is this.
    Connected {
        /// The certificate's subject.
        registrar: String,
        /// Whether it is believed already.
        trusted: bool,
    },
    /// A voucher was asked for.
    VoucherRequested {
        /// Whether this repeats a request (RFC 8995 s5.6).
        again: bool,
    },
    /// The registrar asks for patience.
    Pending {
        /// How long until the request is sent again.
        wait: Duration,
    },
    /// The registrar sent the pledge elsewhere.
    Redirected(Offer),
    /// The voucher passed every check, and the registrar is the one that it names.
    VoucherAccepted {
        /// What the MASA says it verified.
        assertion: Option<&'static str>,
        /// Subject of the pinned certificate.
        pinned: String,
    },
    /// The domain's CA certificates arrived.
    CaCertificates {
        /// How many.
        count: usize,
    },
    /// The registrar said what a request has to hold.
    CsrAttributes {
        /// How many wishes.
        count: usize,
    },
    /// A certificate was asked for.
    CertificateRequested {
        /// Whether the request carries the connection's channel binding (RFC 7030 s3.5).
        bound: bool,
    },
    /// The certificate passed every check.
    CertificateIssued {
        /// Its subject.
        subject: String,
        /// Until when it is valid.
        not_after: Time,
    },
    /// The registrar was told how it went.
    Reported {
        /// `voucher_status` or `enrollstatus`.
        what: &'static str,
        /// What was said.
        success: bool,
    },
    /// An attempt failed.
    Failed {
        /// Where.
        offer: Offer,
        /// Why.
        refusal: Refusal,
    },
    /// The next attempt is this far away, unless a new announcement comes.
    Resting {
        /// How far; `None` if nobody is left to try.
        wait: Option<Duration>,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discovering => f.write_str("looking for a join proxy or registrar"),
            Self::Found(offer) => write!(f, "found {} at {offer} ({})", offer.name, offer.source),
            Self::Connecting { offer, with } => write!(f, "connecting to {offer} with the {with}"),
            Self::Connected { registrar, trusted: false } => {
                write!(f, "connected, provisionally, to {registrar}")
            }
            Self::Connected { registrar, trusted: true } => write!(f, "connected to {registrar}, whom we trust"),
            Self::VoucherRequested { again: false } => f.write_str("asked for a voucher"),
            Self::VoucherRequested { again: true } => f.write_str("asked for the same voucher again"),
            Self::Pending { wait } => write!(f, "the registrar asks for patience: {} s", wait.as_secs()),
            Self::Redirected(offer) => write!(f, "redirected to {offer}"),
            Self::VoucherAccepted { assertion, pinned } => {
                write!(f, "the voucher is good ({}) and pins {pinned}", assertion.unwrap_or("no assertion"))
            }
            Self::CaCertificates { count } => write!(f, "got {count} CA certificate{}", plural(*count)),
            Self::CsrAttributes { count } => write!(
                f,
                "the registrar has {count} wish{} for the request",
                match count {
                    1 => "",
                    _ => "es",
                }
            ),
            Self::CertificateRequested { bound: true } => {
                f.write_str("asked for a certificate, bound to this connection")
            }
            Self::CertificateRequested { bound: false } => f.write_str("asked for a certificate"),
            Self::CertificateIssued { subject, not_after } => {
                write!(f, "got the LDevID {subject}, valid to {not_after}")
            }
            Self::Reported { what, success } => write!(f, "reported {what}: {}", if *success { "good" } else { "bad" }),
            Self::Failed { offer, refusal } => write!(f, "{offer} failed: {refusal}"),
            Self::Resting { wait: Some(wait) } => write!(f, "next attempt in {:.1} s", wait.as_secs_f64()),
            Self::Resting { wait: None } => f.write_str("nobody left to try; listening"),
        }
    }
}

const fn plural(count: usize) -> &'static str {
    match count {
        1 => "",
        _ => "s",
    }
}

/// The driver said something that the machine had not asked for; its state is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} came when it was not asked for")]
pub struct InvalidInput(pub &'static str);

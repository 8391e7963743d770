//! Trust in the other end of a connection, as types (RFC 8995 s5.1, s5.6.2).

use super::voucher::{Asked, Imprint, VoucherPolicy, instant};
use crate::{
    ChannelBinding, TlsPeer,
    est::client,
    media, paths,
    telemetry::Status,
    voucher::{Assertion, Format, Nonce, VoucherRequest},
};
use landfall_pki::{Anchors, Certificate, PathPolicy, oid, validate};
use landfall_types::{
    Fault, Refusal, SerialNumber, Time,
    http::{Request, Response},
};

/// Longest chain that is kept, in certificates.
const LONGEST_CHAIN: usize = 10;

/// A connection to someone who says it is a registrar. It may be an attacker (RFC 8995 s5.1): all that can be done over
/// it is to ask for a voucher, and to say that the voucher was no good.
#[derive(Debug)]
pub struct Provisional {
    registrar: Certificate,
    peer: TlsPeer,
}

impl Provisional {
    /// Holds the chain of a fresh connection, to be judged later (RFC 8995 s5.1).
    ///
    /// # Errors
    /// `registrar-certificate` if there is no chain, or an absurdly long one.
    pub fn new(peer: TlsPeer) -> Result<Self, Refusal> {
        match peer.chain.first() {
            Some(registrar) if peer.chain.len() <= LONGEST_CHAIN => Ok(Self { registrar: registrar.clone(), peer }),
            _ => {
                let detail = format!("the registrar presented {} certificates", peer.chain.len());
                Err(Refusal::new(Fault::Peer, "registrar-certificate", "RFC 8995 s5.1", detail))
            }
        }
    }

    /// The certificate that the other end presented as its own.
    pub const fn registrar(&self) -> &Certificate {
        &self.registrar
    }

    /// The voucher request for this very connection (RFC 8995 s5.2); `now` only if the device knows the time.
    pub fn voucher_request(&self, serial_number: SerialNumber, nonce: Nonce, now: Option<Time>) -> VoucherRequest {
        VoucherRequest {
            created_on: now,
            assertion: Some(Assertion::Proximity),
            nonce: Some(nonce),
            proximity_registrar_cert: Some(self.registrar.clone()),
            ..VoucherRequest::new(serial_number)
        }
    }

    /// The HTTP request that carries a sealed voucher request (RFC 8995 s5.2): raw bytes, no base64 (s6).
    pub fn ask(&self, path: &str, format: Format, sealed: Vec<u8>) -> Request {
        Request::post(path, format.media_type(), sealed).accept(format.media_type())
    }

    /// The report that a voucher was no good. Whoever reads it may be an attacker, so it does not say why
    /// (RFC 8995 s5.7).
    pub fn report(&self) -> Request {
        status(paths::VOUCHER_STATUS, &Status::failure("the voucher is not acceptable"))
    }

    /// Judges the voucher, and by the voucher the registrar; gives trust, or gives the connection back.
    pub(super) fn verify(
        self,
        policy: &VoucherPolicy,
        format: Format,
        response: &Response,
        asked: &Asked<'_>,
        now: Time,
    ) -> Result<(Trusted, Imprint), Box<(Self, Refusal)>> {
        let judged = expect_format(response, format)
            .and_then(|()| policy.judge(format, &response.body, asked, now))
            .and_then(|imprint| self.pinned_by(&imprint, policy.clock, now).map(|()| imprint));
        match judged {
            Ok(imprint) => Ok((Trusted(self), imprint)),
            Err(refusal) => Err(Box::new((self, refusal))),
        }
    }

    /// RFC 8995 s5.6.2: the pinned key is the one anchor for the chain that was kept from the handshake; it may also be
    /// the registrar's own key.
    fn pinned_by(&self, imprint: &Imprint, clock: bool, now: Time) -> Result<(), Refusal> {
        let refuse = |detail: String| {
            Refusal::new(Fault::Peer, "registrar-pinned", "RFC 8995 s5.6.2", detail).field("pinned-domain-cert")
        };
        let at = instant(clock, now, self.peer.chain.iter());
        let (registrar, pinned) = (&self.registrar, imprint.pinned().public_key());
        if registrar.public_key() == pinned {
            return match (registrar.not_before()..=registrar.not_after()).contains(&at) {
                true => Ok(()),
                false => Err(refuse("the registrar's certificate is not valid now".into())),
            };
        }
        let mut anchors = Anchors::new();
        anchors.add(pinned.clone());
        let path = validate(registrar, &self.peer.chain, &anchors, &PathPolicy::at(at));
        path.map_err(|why| refuse(why.to_string()))?;
        // A pinned CA also vouches for the domain's devices. RFC 7030 s3.6.1: what makes one of its certificates a
        // registrar's is id-kp-cmcRA; without this, an enrolled device with a voucher that has no nonce could pose as one.
        match registrar.has_eku(oid::CMC_RA) {
            true => Ok(()),
            false => Err(refuse("the registrar's certificate is of the domain, but not a registrar's".into())),
        }
    }
}

/// A connection to a registrar that is known to be the domain's: by a voucher, or by the domain's anchors. Only such
/// a one can be enrolled with.
#[derive(Debug)]
pub struct Trusted(Provisional);

impl Trusted {
    /// Trusts a later connection to the very registrar that a voucher made trusted (RFC 8995 s5: where connections do
    /// not last, both ends have to show the same certificates again).
    ///
    /// # Errors
    /// `registrar-certificate` or `registrar-changed`.
    pub fn again(peer: TlsPeer, known: &Certificate) -> Result<Self, Refusal> {
        let provisional = Provisional::new(peer)?;
        match provisional.registrar() == known {
            true => Ok(Self(provisional)),
            false => Err(changed()),
        }
    }

    /// Trusts a later connection to the same domain: to the registrar whose certificate is `known` already, or to one
    /// that leads to `domain` and carries id-kp-cmcRA (RFC 7030 s3.6.1: no name is known that could be checked).
    ///
    /// # Errors
    /// `registrar-certificate`, `est-server-cmc-ra`, or what is wrong with the path to `domain`.
    pub fn by_anchors(
        peer: TlsPeer,
        domain: &Anchors,
        known: &Certificate,
        clock: bool,
        now: Time,
    ) -> Result<Self, Refusal> {
        let provisional = Provisional::new(peer)?;
        if provisional.registrar() != known {
            let chain = &provisional.peer.chain;
            client::authorise_server(chain, domain, None, instant(clock, now, chain.iter()))?;
        }
        Ok(Self(provisional))
    }

    /// The registrar's certificate.
    pub const fn registrar(&self) -> &Certificate {
        self.0.registrar()
    }

    /// What links a certificate request to this connection (RFC 7030 s3.5).
    pub const fn binding(&self) -> &ChannelBinding {
        &self.0.peer.binding
    }

    /// The report that the voucher was good (RFC 8995 s5.7).
    pub fn report_voucher(&self) -> Request {
        status(paths::VOUCHER_STATUS, &Status::success())
    }

    /// The report of how enrolment went (RFC 8995 s5.9.4). The registrar is trusted, so a failure is named.
    pub fn report_enrolment(&self, outcome: Result<(), &Refusal>) -> Request {
        let report = match outcome {
            Ok(()) => Status::success(),
            Err(refusal) => Status::failure(refusal.to_string()),
        };
        status(paths::ENROLL_STATUS, &report)
    }
}

fn status(path: &str, status: &Status) -> Request {
    Request::post(path, media::JSON, status.encode())
}

/// RFC 8995 s5: the registrar on a later connection is not the one of the first.
pub(super) fn changed() -> Refusal {
    let detail = "it shows another certificate than on the connection before";
    Refusal::new(Fault::Peer, "registrar-changed", "RFC 8995 s5", detail)
}

/// RFC 8995 s5.2: the answer has to be in the form that was asked for.
fn expect_format(response: &Response, format: Format) -> Result<(), Refusal> {
    let named = response.headers.first("content-type").unwrap_or_default();
    match Format::from_media_type(named) == Some(format) {
        true => Ok(()),
        false => {
            let detail = format!("{named:?} came where {} was asked for", format.media_type());
            Err(Refusal::new(Fault::Peer, "voucher-media-type", "RFC 8995 s5.6", detail).field("Content-Type"))
        }
    }
}

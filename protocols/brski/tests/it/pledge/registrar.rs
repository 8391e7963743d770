//! A registrar and a MASA in one, simple enough to be made to misbehave in any one way.

use landfall_brski::{
    ChannelBinding, TlsPeer,
    est::{body, csrattrs::CsrAttrs},
    media, paths,
    telemetry::Status,
    voucher::{Format, VoucherRequest, open},
};
use landfall_pki::{
    Certificate, CertificateSerial, Csr, PublicKey, SignedDataBuilder, Validity, cms, oid, profile::Ldevid,
};
use landfall_testkit::{Domain, Identity, Manufacturer, NOW};
use landfall_types::{
    Time,
    http::{Request, Response},
};
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// The members of a voucher in JSON.
pub(crate) type Members = Map<String, Value>;

/// What it does at one path, if it does not do what it should.
type Quirk = Box<dyn FnMut(&Request) -> Option<Response> + Send>;

/// A registrar with a MASA behind it.
pub(crate) struct Registrar {
    pub(crate) maker: Manufacturer,
    pub(crate) domain: Domain,
    /// What it shows in TLS.
    pub(crate) shown: Vec<Certificate>,
    /// Whether it can be connected to.
    pub(crate) reachable: bool,
    /// What it does instead of answering; asked first.
    pub(crate) quirk: Quirk,
    /// What is done to each voucher before it is signed.
    pub(crate) voucher: Box<dyn FnMut(&mut Members) + Send>,
    /// Who signs vouchers.
    pub(crate) masa: Identity,
    /// What it wishes requests to hold.
    pub(crate) wishes: CsrAttrs,
    /// What is done to each certificate before it is signed.
    pub(crate) profile: Box<dyn Fn(&mut Ldevid) + Send>,
    /// For which key it issues, if not for the one that was asked for.
    pub(crate) other_key: Option<PublicKey>,
    /// What it hands out as CA certificates.
    pub(crate) cas: Vec<Certificate>,
    /// When its certificates are valid, if they are issued then.
    pub(crate) validity: fn(Time) -> Validity,
    /// Every request, in order.
    pub(crate) seen: Vec<Request>,
}

impl Registrar {
    pub(crate) fn new(maker: &Manufacturer, domain: &Domain) -> Self {
        Self {
            maker: maker.clone(),
            domain: domain.clone(),
            shown: domain.registrar.chain(),
            reachable: true,
            quirk: Box::new(|_| None),
            voucher: Box::new(|_| {}),
            masa: maker.masa.clone(),
            wishes: CsrAttrs::default(),
            profile: Box::new(|_| {}),
            other_key: None,
            cas: vec![domain.root.authority.certificate.clone(), domain.issuing.authority.certificate.clone()],
            validity: |now| Validity { not_before: now - MINUTE, not_after: now - MINUTE + 90 * DAY },
            seen: Vec::new(),
        }
    }

    /// How it looks from the other end of connection number `connection`.
    pub(crate) fn peer(&self, connection: u64) -> TlsPeer {
        peer(&self.shown, connection)
    }

    /// The requests for `path` so far.
    pub(crate) fn at(&self, path: &str) -> Vec<&Request> {
        self.seen.iter().filter(|request| request.path == path).collect()
    }

    /// The telemetry posted to `path` so far.
    pub(crate) fn told(&self, path: &str) -> Vec<Status> {
        self.at(path).into_iter().map(|request| Status::parse(&request.body).unwrap()).collect()
    }

    pub(crate) fn answer(&mut self, request: Request, now: Time) -> Response {
        self.seen.push(request.clone());
        if let Some(response) = (self.quirk)(&request) {
            return response;
        }
        match request.path.as_str() {
            paths::REQUEST_VOUCHER => self.issue_voucher(&request),
            paths::VOUCHER_STATUS | paths::ENROLL_STATUS => Response::new(200),
            paths::CACERTS => Response::with(200, media::PKCS7, body::encode(&cms::certs_only(&self.cas))),
            paths::CSR_ATTRIBUTES if self.wishes.0.is_empty() => Response::new(204),
            paths::CSR_ATTRIBUTES => {
                Response::with(200, media::CSR_ATTRIBUTES, body::encode(&self.wishes.to_der().unwrap()))
            }
            paths::NONCE => Response::with(
                200,
                "application/est-attestation-freshness+json",
                br#"{"nonce":"AQIDBAUGBwg","expiry":600}"#.to_vec(),
            ),
            paths::SIMPLE_ENROLL | paths::SIMPLE_REENROLL => self.issue_certificate(&request, now),
            other => Response::text(404, other),
        }
    }

    fn issue_voucher(&mut self, request: &Request) -> Response {
        let format = Format::from_media_type(request.headers.first("content-type").unwrap()).unwrap();
        let asked = open::<VoucherRequest>(format, &request.body).unwrap();
        assert_eq!(asked.payload.proximity_registrar_cert.as_ref(), self.shown.first());
        let mut members = Members::new();
        members.insert("created-on".into(), json!(NOW.to_string()));
        members.insert("assertion".into(), json!("proximity"));
        members.insert("serial-number".into(), json!(asked.payload.serial_number));
        members.insert("nonce".into(), json!(asked.payload.nonce.unwrap().as_str()));
        members.insert("pinned-domain-cert".into(), base64(self.domain.root.authority.certificate.der()));
        (self.voucher)(&mut members);
        Response::with(200, media::VOUCHER_CMS, sign(&members, &self.masa))
    }

    fn issue_certificate(&self, request: &Request, now: Time) -> Response {
        let csr = Csr::from_der(&body::decode(&request.body).unwrap()).unwrap();
        csr.verify_possession().unwrap();
        let mut profile = Ldevid {
            subject: csr.subject_name(),
            alt_names: csr.alt_names().to_vec(),
            purposes: Vec::new(),
            crl_url: None,
        };
        (self.profile)(&mut profile);
        let key = self.other_key.as_ref().unwrap_or_else(|| csr.public_key());
        let validity = (self.validity)(now);
        let issuer = &self.domain.issuing;
        let prepared = profile.prepare(&issuer.authority, key, CertificateSerial::random().unwrap(), validity).unwrap();
        let certificate = prepared.lint().unwrap().issue(&*issuer.key).unwrap();
        let bag = cms::certs_only(&[certificate]);
        Response::with(200, media::PKCS7_CERTS_ONLY, body::encode(&bag))
    }
}

/// Someone who shows `chain` on connection number `connection`.
pub(crate) fn peer(chain: &[Certificate], connection: u64) -> TlsPeer {
    let mut exporter = [0; 32];
    exporter[..8].copy_from_slice(&connection.to_be_bytes());
    TlsPeer { chain: chain.to_vec(), binding: ChannelBinding { tls_exporter: Some(exporter), tls_unique: None } }
}

/// Binary in JSON.
pub(crate) fn base64(bytes: &[u8]) -> Value {
    use base64::{Engine, engine::general_purpose::STANDARD};
    Value::String(STANDARD.encode(bytes))
}

/// A voucher with these members, signed by `masa` in CMS.
pub(crate) fn sign(members: &Members, masa: &Identity) -> Vec<u8> {
    let content = json!({ "ietf-voucher:voucher": members }).to_string().into_bytes();
    let builder = SignedDataBuilder::new(oid::VOUCHER_CONTENT, content, &masa.certificate, masa.intermediates.clone());
    let prepared = builder.prepare(None).unwrap();
    let signature = masa.sign(prepared.to_be_signed());
    prepared.sign(&signature)
}

/// Answers every request for `path` with what `response` makes.
pub(crate) fn instead(path: &'static str, mut response: impl FnMut(&Request) -> Response + Send + 'static) -> Quirk {
    Box::new(move |request| (request.path == path).then(|| response(request)))
}

/// Answers the first `count` requests for `path` with "later".
pub(crate) fn later(path: &'static str, mut count: usize, retry_after: &'static str) -> Quirk {
    Box::new(move |request| {
        if request.path != path || count == 0 {
            return None;
        }
        count -= 1;
        Some(Response::new(202).header("retry-after", retry_after))
    })
}

/// A fresh software key's public half.
pub(crate) fn stranger() -> PublicKey {
    use landfall_pki::{Algorithm, Signer, SoftwareKey};
    Arc::new(SoftwareKey::generate(Algorithm::EcdsaP256).unwrap()).public_key().clone()
}

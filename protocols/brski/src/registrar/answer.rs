//! Checking what a MASA answers (RFC 8995 s5.6), and vouchers that were fetched ahead.

use super::{Config, MasaEndpoint, Pledge, Source, request::Asked, wire::Refused};
use crate::voucher::{self, Assertion, Format, MAX_BYTES, Nonce, Signed, Voucher};
use landfall_pki::{Certificate, PathPolicy, validate};
use landfall_types::{
    Fault, Refusal, SerialNumber, Time,
    http::{Headers, Response, accepts, essence},
};

const S56: &str = "RFC 8995 s5.6";

/// What a voucher has to say.
pub(super) struct Expected<'a> {
    config: &'a Config,
    vendor: &'a super::Vendor,
    serial: &'a SerialNumber,
    idevid_issuer: Option<Vec<u8>>,
    nonce: Option<&'a Nonce>,
    now: Time,
}

/// A voucher that may be handed out.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) voucher: Signed<Voucher>,
    pub(super) assertion: Assertion,
    pub(super) pinned: Certificate,
    pub(super) source: Source,
}

impl<'a> Expected<'a> {
    /// For a pledge that waits.
    pub(super) fn by(config: &'a Config, asked: &'a Asked, now: Time) -> Self {
        let Pledge { vendor, serial, idevid, .. } = &asked.pledge;
        let nonce = asked.request.payload.nonce.as_ref();
        Self { config, vendor, serial, idevid_issuer: idevid.idevid_issuer(), nonce, now }
    }

    /// For a device that is yet to come: without nonce.
    pub(super) fn ahead(
        config: &'a Config,
        vendor: &'a super::Vendor,
        serial: &'a SerialNumber,
        idevid_issuer: &[u8],
        now: Time,
    ) -> Self {
        Self { config, vendor, serial, idevid_issuer: Some(idevid_issuer.to_vec()), nonce: None, now }
    }

    /// Checks a fresh voucher: it has to carry the nonce that was sent, or none if none was.
    pub(super) fn fresh(&self, format: Format, body: &[u8]) -> Result<Found, Refusal> {
        let found = self.any(format, body, Source::Masa)?;
        match (&found.voucher.payload.nonce, self.nonce) {
            (given, wanted) if given.as_ref() == wanted => {}
            (given, wanted) => {
                let show = |nonce: Option<&Nonce>| nonce.map_or("none", Nonce::as_str).to_owned();
                let detail = format!("the voucher has {}, the request {}", show(given.as_ref()), show(wanted));
                return Err(Refusal::new(Fault::Peer, "voucher-nonce", "RFC 8995 s5.5.6", detail).field("nonce"));
            }
        }
        Ok(found)
    }

    /// Checks a voucher from before: it was made for this very request, or for none in particular and with an end.
    pub(super) fn stored(&self, body: &[u8]) -> Result<Found, Refusal> {
        let format = Format::sniff(body).ok_or_else(|| {
            Refusal::new(Fault::Backend, "voucher-stored", S56, "the stored voucher is of no known form")
        })?;
        let found = self.any(format, body, Source::Stored)?;
        match &found.voucher.payload.nonce {
            None => drop(self.nonceless(&found.voucher.payload)?),
            given if given.as_ref() == self.nonce => {}
            Some(other) => {
                let detail = format!("the stored voucher answers another request, {other}");
                return Err(Refusal::new(Fault::Peer, "voucher-nonce", "RFC 8995 s5.5.6", detail).field("nonce"));
            }
        }
        Ok(found)
    }

    /// RFC 8995 s5.6: a voucher without nonce has an end, or it would be good for ever.
    pub(super) fn nonceless(&self, voucher: &Voucher) -> Result<Time, Refusal> {
        voucher.expires_on.ok_or_else(|| {
            let detail = "a voucher without nonce has no end";
            Refusal::new(Fault::Peer, "voucher-expires-on", S56, detail).field("expires-on")
        })
    }

    fn any(&self, format: Format, body: &[u8], source: Source) -> Result<Found, Refusal> {
        let voucher = voucher::open::<Voucher>(format, body)?;
        self.signer(&voucher)?;
        let refuse =
            |check, section, field, detail: String| Err(Refusal::new(Fault::Peer, check, section, detail).field(field));
        let content = &voucher.payload;
        if content.serial_number != *self.serial {
            let detail = format!("it is for {}, not for {}", content.serial_number, self.serial);
            return refuse("voucher-serial", S56, "serial-number", detail);
        }
        let issuer = |field: &Option<Vec<u8>>| field.as_deref().and_then(voucher::key_identifier);
        if content.idevid_issuer.is_some() && issuer(&content.idevid_issuer) != issuer(&self.idevid_issuer) {
            let detail = "it is for a device of another manufacturer with the same serial number".into();
            return refuse("voucher-idevid-issuer", "RFC 8366 s5.3", "idevid-issuer", detail);
        }
        if let Some(expires_on) = content.expires_on.filter(|at| *at <= self.now) {
            return refuse("voucher-expired", "RFC 8366 s5.3", "expires-on", format!("it ended at {expires_on}"));
        }
        let Some(assertion) = content.assertion.filter(|a| *a != Assertion::AgentProximity) else {
            let detail = "it asserts what was not asked for".into();
            return refuse("voucher-assertion", "RFC 8995 s5.5.5", "assertion", detail);
        };
        // RFC 8995 s5.5.2: the MASA pins from the chain that it was sent; anything else would give the device away.
        let Some(pinned) = content.pinned_domain_cert.clone().filter(|pinned| self.config.is_ours(pinned)) else {
            let detail = "it pins no certificate of ours".into();
            return refuse("voucher-pinned", "RFC 8995 s5.5.2", "pinned-domain-cert", detail);
        };
        Ok(Found { voucher, assertion, pinned, source })
    }

    /// RFC 8995 s5.6 leaves it to the registrar whether to judge the signer; where the vendor's anchors are known, it
    /// does, so that a stranger who answers in the MASA's place is found out here and not on the device.
    fn signer(&self, voucher: &Signed<Voucher>) -> Result<(), Refusal> {
        let anchors = &self.vendor.voucher_anchors;
        if anchors.is_empty() {
            return Ok(());
        }
        let policy = PathPolicy::at(self.now).memo(self.config.vendors.memo());
        validate(&voucher.signer, &voucher.certificates, anchors, &policy).map(drop).map_err(|why| {
            let detail = format!("{:?} may not sign vouchers of {}: {why}", voucher.signer.subject(), self.vendor.id);
            Refusal::new(Fault::Peer, "voucher-untrusted", S56, detail).field("signerInfo")
        })
    }
}

/// What the MASA's response says.
pub(super) enum Said {
    /// A voucher, unread.
    Voucher(Format, Vec<u8>),
    /// Not yet; the time that it wants.
    Later(Option<u64>),
    /// It has trouble of its own, which is as good as not being there.
    Unavailable(Refusal),
}

/// Reads the MASA's response; `accept` is what the pledge takes.
pub(super) fn read(response: Response, masa: &MasaEndpoint, accept: &Headers) -> Result<Said, Refused> {
    let refuse = |check, field, detail: String| {
        Err(Refused::upstream(Refusal::new(Fault::Peer, check, S56, detail).field(field)))
    };
    match response.status {
        200 => {}
        202 => {
            let seconds = response.headers.first("retry-after").and_then(|value| value.trim().parse().ok());
            return Ok(Said::Later(seconds));
        }
        500.. => return Ok(Said::Unavailable(unreachable(masa, &format!("it answered {}", response.status)))),
        _ => return Err(refused(masa, &response)),
    }
    if response.body.len() > MAX_BYTES {
        return refuse("masa-answer", "Content-Length", format!("{} bytes are too many", response.body.len()));
    }
    let media_type = response.headers.first("content-type").unwrap_or_default();
    match Format::from_media_type(media_type) {
        Some(_) if !accepts(accept, media_type) => {
            refuse("masa-answer", "Content-Type", format!("the pledge does not take {}", essence(media_type)))
        }
        Some(format) => Ok(Said::Voucher(format, response.body)),
        None => refuse("masa-answer", "Content-Type", "it is of no form of voucher that is known here".into()),
    }
}

/// The MASA cannot be asked now.
pub(super) fn unreachable(masa: &MasaEndpoint, why: &str) -> Refusal {
    Refusal::new(Fault::Backend, "masa-unreachable", S56, format!("{masa}: {why}"))
}

/// RFC 8995 s5.6: the statuses of the MASA are those of the registrar, except those that speak of the registrar and
/// not of the pledge, such as a 401 (s5.4).
fn refused(masa: &MasaEndpoint, response: &Response) -> Refused {
    let said: String = String::from_utf8_lossy(&response.body).chars().filter(|c| !c.is_control()).take(300).collect();
    let refusal =
        |check| Refusal::new(Fault::Denied, check, S56, format!("{masa} answered {}: {said}", response.status));
    match response.status {
        403 => refusal("masa-forbids").into(),
        404 => refusal("masa-does-not-know").into(),
        406 => refusal("masa-cannot-satisfy").into(),
        415 => refusal("masa-media-type").into(),
        401 => Refused::upstream(refusal("masa-wants-authentication")),
        _ => Refused::upstream(refusal("masa-refuses")),
    }
}

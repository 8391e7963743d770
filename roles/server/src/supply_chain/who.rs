//! Who asks: a tenant by its client certificate, or by a token.

use crate::World;
use aws_lc_rs::digest::{SHA256, digest};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use landfall_brski::TlsPeer;
use landfall_lifecycle::transfer::Tenant;
use landfall_pki::{Anchors, Certificate, PathPolicy, oid, validate};
use landfall_store::{ReadError, Store};
use landfall_types::{Fault, Fingerprint, OwnerId, Redacted, Refusal, Time, http::Request};

/// A new token: 256 random bits as text. It is shown once; only its hash is kept.
pub fn fresh_token() -> Option<Redacted<String>> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(Redacted::new(URL_SAFE_NO_PAD.encode(bytes)))
}

/// What is kept of a token. It is looked up by this, so that how long a look-up takes tells nothing of the token.
pub fn token_hash(token: &str) -> Fingerprint {
    Fingerprint(digest(&SHA256, token.as_bytes()).as_ref().try_into().unwrap_or_default())
}

/// How a token stands in a request.
pub fn bearer(token: &Redacted<String>) -> String {
    format!("Bearer {}", token.expose())
}

/// The tenant that asks. If the request holds a token, that counts, and else the certificate.
pub(super) fn tenant(
    world: &World,
    request: &Request,
    client: Option<&TlsPeer>,
) -> Result<Result<OwnerId, Refusal>, ReadError> {
    let refused = |check, detail: &str| Refusal::new(Fault::Denied, check, "RFC 9110 s11", detail);
    if let Some(field) = request.headers.first("authorization") {
        return Ok(by_token(&world.store, field)?.ok_or_else(|| refused("tenant-token", "the token is not known")));
    }
    let chain = client.map(|peer| peer.chain.as_slice()).unwrap_or_default();
    let Some((own, above)) = chain.split_first() else {
        return Ok(Err(refused("tenant-shown", "neither a certificate nor a token was shown")));
    };
    let tenant = by_certificate(&world.store, own, above, world.clock.now())?;
    Ok(tenant.ok_or_else(|| {
        refused("tenant-certificate", &format!("the certificate of {} is no tenant's, or not valid", own.subject()))
    }))
}

/// RFC 6750 s2.1, and RFC 7617 s2 with the tenant's name as user and the token as password.
fn by_token(store: &Store, field: &str) -> Result<Option<OwnerId>, ReadError> {
    let Some((scheme, credentials)) = field.split_once(' ') else { return Ok(None) };
    let (name, token) = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => (None, Redacted::new(credentials.trim().to_owned())),
        "basic" => {
            let decoded = STANDARD.decode(credentials.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let Some((name, token)) = decoded.as_deref().and_then(|pair| pair.split_once(':')) else {
                return Ok(None);
            };
            (Some(name.to_owned()), Redacted::new(token.to_owned()))
        }
        _ => return Ok(None),
    };
    let hash = token_hash(token.expose()).to_string();
    let found = store.find_by::<Tenant>(Tenant::BY_TOKEN, &hash, 1)?.pop().map(|found| found.record.id);
    Ok(found.filter(|id| name.is_none_or(|name| name == id.as_str())))
}

/// By the client's own certificate, or by a CA above it that issues to the tenant alone.
fn by_certificate(
    store: &Store,
    own: &Certificate,
    above: &[Certificate],
    now: Time,
) -> Result<Option<OwnerId>, ReadError> {
    let policy = PathPolicy::at(now).require_eku(oid::CLIENT_AUTH);
    for known in std::iter::once(own).chain(above) {
        let hash = known.fingerprint().to_string();
        let Some(found) = store.find_by::<Tenant>(Tenant::BY_CERTIFICATE, &hash, 1)?.pop() else { continue };
        let valid = match known == own {
            true => own.not_before() <= now && now <= own.not_after(),
            false => validate(own, above, &Anchors::of([known.clone()]), &policy).is_ok(),
        };
        if valid {
            return Ok(Some(found.record.id));
        }
    }
    Ok(None)
}

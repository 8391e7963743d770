//! How a registrar shows who it is (RFC 8995 s5.5.4).

use super::{Claim, Config, request::Registrar};
use crate::TlsPeer;
use landfall_pki::{Anchors, Certificate, validate};
use landfall_types::{Fault, Refusal, Time};

/// How the registrar has shown who it is, beyond the signature of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Authentication {
    /// In no way: anyone may have sent the request.
    None,
    /// It is the TLS client, by its own certificate or another of the same domain; the domain itself is not known.
    TlsClient,
    /// Its certificate leads to an anchor of the configured customers.
    Customer,
}

/// RFC 8995 s5.5.4: who asks for a voucher without nonce must be authenticated: by its own means, or because the role
/// knows a certificate of its chain as a customer's.
pub(super) fn check_nonceless(claim: &Claim, known_customer: bool) -> Result<(), Refusal> {
    if claim.nonce.is_some() || claim.authentication != Authentication::None || known_customer {
        return Ok(());
    }
    let detail = "neither is the registrar a known customer's, nor is it the client of this connection";
    Err(Refusal::new(Fault::Peer, "nonceless-authentication", "RFC 8995 s5.5.4", detail))
}

/// How `registrar`, whose path has been checked, is authenticated.
pub(super) fn of(config: &Config, now: Time, registrar: &Registrar, client: Option<&TlsPeer>) -> Authentication {
    let request = &registrar.request;
    let policy = config.path_policy(now);
    let leads = |leaf: &Certificate, others: &[Certificate], anchors: &Anchors| {
        !anchors.is_empty() && validate(leaf, others, anchors, &policy).is_ok()
    };
    if leads(&request.signer, &request.certificates, &config.customers) {
        return Authentication::Customer;
    }
    let Some((own, above)) = client.and_then(|client| client.chain.split_first()) else {
        return Authentication::None;
    };
    let domain = registrar.chain.last().filter(|highest| highest.is_ca()).cloned();
    let mut others = above.to_vec();
    others.extend(request.certificates.iter().cloned());
    match own.public_key() == request.signer.public_key() || leads(own, &others, &Anchors::of(domain)) {
        true => Authentication::TlsClient,
        false => Authentication::None,
    }
}

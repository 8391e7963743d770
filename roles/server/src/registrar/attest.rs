//! Nonces for evidence, and evidence that devices show when they are in already: from time to time, and before something
//! that needs it.

use super::{CertificateRecord, Registrar, device::Tracked};
use crate::{
    attestation::{AttestationRecord, Attester, Judged, Verifier},
    exchange::{Ending, Failure, Kind},
};
use landfall_attest::{CMW_JSON, EAT_JWT, FRESHNESS_JSON};
use landfall_brski::{ChannelBinding, TlsPeer};
use landfall_lifecycle::network::DomainDevice;
use landfall_pki::Anchors;
use landfall_types::{
    Changes, Fault, Outcome, Process, Refusal,
    http::{Method, Request, Response, essence},
};

/// Where a device shows evidence by itself: a conceptual message wrapper goes in, an EAR comes out.
pub const ATTESTATION_PATH: &str = "/.well-known/landfall/attestation";
/// Where a device asks what the registrar itself runs, with a nonce of its own (SP 1800-36B 7.8).
pub(super) const SERVICE_PATH: &str = "/.well-known/landfall/attestation/service";
const SECTION: &str = "RFC 9334 s8.4";

/// draft-ietf-lamps-attestation-freshness s5.2: a nonce for the connection that it is asked for over.
pub(super) fn nonce(registrar: &Registrar, request: &Request, client: Option<&TlsPeer>) -> Response {
    let Some(verifier) = &registrar.verifier else { return super::nothing_here() };
    if request.method != Method::Get {
        return Response::new(405).header("allow", "GET");
    }
    let binding = client.map(|peer| peer.binding.clone()).unwrap_or_default();
    match verifier.nonce(&binding, registrar.world.clock.now()) {
        Some(nonce) => Response::with(200, FRESHNESS_JSON, nonce.into_bytes()),
        None => Response::text(403, "Nonces are for those who show a certificate."),
    }
}

/// Shows a device that has a certificate what the registrar itself runs.
pub(super) async fn own(registrar: &Registrar, request: Request, client: Option<TlsPeer>) -> Response {
    let Some(own) = registrar.own.clone() else { return super::nothing_here() };
    let Some(client) = client.filter(|client| client.certificate().is_some()) else {
        return Response::text(403, "Evidence is for those who show a certificate.");
    };
    if request.method != Method::Post {
        return Response::new(405).header("allow", "POST");
    }
    let shown = tokio::task::spawn_blocking(move || {
        let nonce = landfall_attest::read_answer(&request.body)?;
        own.show(&nonce, &client.binding)
    });
    match shown.await {
        Ok(Ok(evidence)) => Response::with(200, CMW_JSON, evidence.into_bytes()),
        Ok(Err(refusal)) => {
            tracing::warn!(%refusal, "the registrar's own evidence was not shown");
            Response::new(if refusal.fault == Fault::Backend { 503 } else { 400 })
        }
        Err(_) => Response::new(500),
    }
}

/// Judges the evidence of a device with a network credential; the answer is the result, good or bad.
pub(super) async fn answer(registrar: &Registrar, request: Request, client: Option<TlsPeer>) -> Response {
    let ending = Ending::new(Kind { process: Process::Verification, role: "registrar", action: "attest" });
    let mut ending = ending.about(client.as_ref());
    let (response, broken) = match judged(registrar, &request, client.as_ref(), &mut ending).await {
        Ok(record) => (Response::with(200, EAT_JWT, record.ear.into_bytes()), None),
        Err(refusal) => {
            let status = match refusal.fault {
                Fault::Backend => 503,
                Fault::Incompatible => 415,
                _ => 403,
            };
            (Response::text(status, "The evidence was not looked at."), Some(refusal))
        }
    };
    let outcome = broken.map_or(Outcome::Done, Outcome::Refused);
    let _: Result<Option<()>, Failure> = ending.respond(response);
    let _: Result<Option<()>, Failure> = ending.close(outcome);
    ending.tell(&registrar.world, None).await.response()
}

async fn judged(
    registrar: &Registrar,
    request: &Request,
    client: Option<&TlsPeer>,
    ending: &mut Ending,
) -> Result<AttestationRecord, Refusal> {
    let refuse = |fault, check, why: &str| Err(Refusal::new(fault, check, SECTION, why));
    let Some(verifier) = &registrar.verifier else {
        return refuse(Fault::Denied, "attestation-offered", "evidence is not judged here");
    };
    if request.method != Method::Post
        || request.headers.first("content-type").map(essence).unwrap_or_default() != CMW_JSON
    {
        return refuse(Fault::Incompatible, "attestation-type", "evidence is posted as application/cmw+json");
    }
    let Some((client, certificate)) = client.and_then(|client| Some((client, client.certificate()?))) else {
        return refuse(Fault::Denied, "attestation-client", "it shows no certificate");
    };
    let now = registrar.world.clock.now();
    let backend = |why: &dyn std::fmt::Display| Refusal::new(Fault::Backend, "attestation-store", "", why.to_string());
    let fingerprint = certificate.fingerprint();
    let found = registrar.world.store.snapshot(|store| {
        let issued = CertificateRecord::by_fingerprint(store, &fingerprint)?;
        let issued = issued.filter(|found| found.revoked.is_none() && now <= found.issued.not_after);
        match issued {
            Some(issued) => Tracked::find(store, &issued.record.issued.device.id),
            None => Ok(None),
        }
    });
    let Some(tracked) = found.map_err(|why| backend(&why))? else {
        return refuse(Fault::Denied, "attestation-client", "it has no network credential of this domain that counts");
    };
    ending.device = tracked.device.identity.serial_number.to_string();
    let before = before(registrar, &tracked.device).map_err(|why| backend(&why.why))?;
    let anchors = anchors(registrar, &tracked.device);
    let attester = Attester { binding: &client.binding, device: &tracked.device, anchors, before: before.as_ref() };
    let judged = verifier.at_the_door(&request.body, &attester, now);
    keep(registrar, &judged).await.map_err(|why| backend(&why.why))?;
    Ok(judged.record)
}

/// What the evidence in a certificate request is worth; nothing if nobody wants to know.
pub(super) fn in_request<'a>(
    registrar: &'a Registrar,
    csr: &landfall_pki::Csr,
    binding: &ChannelBinding,
    device: &DomainDevice,
) -> Result<Option<(&'a Verifier, Judged)>, Failure> {
    let Some(verifier) = &registrar.verifier else { return Ok(None) };
    let before = before(registrar, device)?;
    let now = registrar.world.clock.now();
    let attester = Attester { binding, device, anchors: anchors(registrar, device), before: before.as_ref() };
    Ok(Some((verifier, verifier.in_request(csr, &attester, now))))
}

/// Keeps a result and the log of it, and what the device says that it consists of.
pub(super) async fn keep(registrar: &Registrar, judged: &Judged) -> Result<(), Failure> {
    let (Judged { record, sbom }, world) = (judged, &registrar.world);
    let changes = Changes::new().put(record)?.append(AttestationRecord::LOG, &record.entry())?;
    world.store.commit(changes).await?;
    if let Err(refusal) = world.authorizer.tell(record.facts()).await {
        tracing::warn!(%refusal, device = %record.device, "the authorizer was not told of an attestation result");
    }
    // After the release that it is of.
    if let (Some(sbom), Some(authorizer)) = (sbom, world.authorizer.authorizer())
        && let Err(refusal) = authorizer.take_shown(&record.device, sbom).await
    {
        tracing::warn!(%refusal, device = %record.device, "what a device shows of what it consists of is not taken");
    }
    Ok(())
}

fn before(registrar: &Registrar, device: &DomainDevice) -> Result<Option<AttestationRecord>, Failure> {
    let found = registrar.world.store.find::<AttestationRecord>(device.identity.device.as_str())?;
    Ok(found.map(|found| found.record))
}

fn anchors<'a>(registrar: &'a Registrar, device: &DomainDevice) -> Option<&'a Anchors> {
    let vendor = device.identity.vendor.as_ref().and_then(|vendor| registrar.vendors.find(vendor));
    vendor.map(|vendor| &vendor.idevid_anchors)
}

//! Fuzz bodies for every parser that the network reaches.
//!
//! A body takes whatever bytes there are, must not panic, and says whether the parser took them. Where something was
//! taken, the body also checks what must hold of it: that looking at every part of it is safe, and that what we write
//! of it we read again as the same.
//!
//! `corpus/NAME/` holds inputs for the body of that name: `good-…` must be taken, `bad-…` refused, and anything else
//! is a find that once did harm. A test replays them all, then changes them at random with a fixed seed. To search
//! for longer, point cargo-fuzz at a body:
//!
//! ```text
//! fuzz_target!(|data: &[u8]| { landfall_fuzz::pki::certificate(data); });
//! ```

pub mod attest;
pub mod brski;
pub mod dpp;
pub mod dpp_exchanges;
pub mod eap;
pub mod est;
pub mod mud;
pub mod pki;
pub mod tpm;
pub mod verification;
pub mod wire;

/// A fuzz body: whether the parser took these bytes.
pub type Body = fn(&[u8]) -> bool;

/// Every body by the name of its corpus.
pub const BODIES: &[(&str, Body)] = &[
    ("http-accept", wire::accept),
    ("json", wire::json),
    ("certificate", pki::certificate),
    ("pem", pki::pem),
    ("csr", pki::csr),
    ("key-attestation", pki::key_attestation),
    ("crl", pki::crl),
    ("cms", pki::cms),
    ("certs-only", pki::certs_only),
    ("voucher-json", brski::voucher_json),
    ("voucher-cbor", brski::voucher_cbor),
    ("voucher-cms", brski::voucher_cms),
    ("voucher-jws", brski::voucher_jws),
    ("voucher-cose", brski::voucher_cose),
    ("request-json", brski::request_json),
    ("request-cms", brski::request_cms),
    ("telemetry", brski::telemetry),
    ("audit-log", brski::audit_log),
    ("grasp", brski::grasp),
    ("est-path", est::path),
    ("est-body", est::body),
    ("est-csrattrs", est::csrattrs),
    ("est-keygen", est::keygen),
    ("masa-url", est::masa_url),
    ("eap-packet", eap::packet),
    ("eapol-frame", eap::frame),
    ("anqp-realms", eap::realms),
    ("eap-fragment", eap::fragment),
    ("radius-attributes", eap::attributes),
    ("radius-request", eap::request),
    ("mud-url", mud::url),
    ("mud-file", mud::file),
    ("mud-claim", mud::claim),
    ("mud-capture", mud::capture),
    ("mud-frame", mud::frame),
    ("dns-query", mud::dns_query),
    ("dns-answer", mud::dns_answer),
    ("dpp-uri", dpp::uri),
    ("dpp-nfc", dpp::nfc),
    ("dpp-nfc-handover", dpp::handover),
    ("dpp-attributes", dpp::attributes),
    ("dpp-air", dpp::air),
    ("dpp-gas", dpp::gas),
    ("dpp-stream", dpp::stream),
    ("dpp-config-request", dpp::config_request),
    ("dpp-config-object", dpp::config_object),
    ("dpp-connection-status", dpp::connection_status),
    ("dpp-connector", dpp::connector),
    ("dpp-jwk", dpp::jwk),
    ("dpp-csr-attributes", dpp::csr_attributes),
    ("dpp-envelope", dpp::envelope),
    ("dpp-pkex", dpp_exchanges::pkex),
    ("dpp-push-button", dpp_exchanges::push_button),
    ("dpp-introduction", dpp_exchanges::introduction),
    ("dpp-reconfiguration", dpp_exchanges::reconfiguration),
    ("jws", verification::jws),
    ("credential", verification::credential),
    ("security-event", verification::security_event),
    ("event-poll", verification::event_poll),
    ("event-answer", verification::event_answer),
    ("status-list", verification::status_list),
    ("bundle-root", verification::bundle_root),
    ("bundle-archive", verification::bundle_archive),
    ("purl", verification::purl),
    ("sbom", verification::sbom),
    ("vex", verification::vex),
    ("feed-osv", verification::osv),
    ("feed-nvd", verification::nvd),
    ("feed-kev", verification::kev),
    ("feed-epss", verification::epss),
    ("versions", verification::versions),
    ("deny-plain", verification::deny_plain),
    ("deny-csv", verification::deny_csv),
    ("deny-stix", verification::deny_stix),
    ("deny-taxii", verification::deny_taxii),
    ("stix-pattern", verification::pattern),
    ("conntrack", verification::conntrack),
    ("nflog", verification::nflog),
    ("ipfix", verification::ipfix),
    ("attest-statement", attest::statement),
    ("attest-event-log", attest::event_log),
    ("attest-evidence", attest::evidence),
    ("attest-result", attest::result),
    ("attest-reference-values", attest::reference_values),
    ("attest-corim", attest::corim),
    ("attest-nonce", attest::nonce),
    ("tpm-answer", tpm::answer),
    ("tpm-public", tpm::public),
    ("tpm-statement", tpm::statement),
];

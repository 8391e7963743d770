//! Certificates, requests, revocation lists and signed messages: profiles, lints, issuing, verifying.

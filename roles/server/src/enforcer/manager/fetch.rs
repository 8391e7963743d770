//! Fetching a file and its signature (RFC 8520 s5, s6, s13).

use crate::fetch::{Checks, Fetcher, Found, Wanted};
use landfall_mud::{MudUrl, bounds};
use landfall_net::tls::ClientTls;
use landfall_types::{Fault, Refusal};

const CHECKS: Checks = Checks {
    section: "RFC 8520 s6",
    fetch: "mud-fetch",
    time: "mud-fetch-time",
    size: "mud-fetch-size",
    redirect: "mud-fetch-redirect",
    private: "mud-fetch-private",
    tls: "mud-fetch-tls",
};
/// RFC 8520 s17.5 and RFC 8551 s3.1: of what kind the two are.
const FILE: Wanted = Wanted { accept: "application/mud+json", most: bounds::FILE, checks: &CHECKS };
const SIGNATURE: Wanted = Wanted { accept: "application/pkcs7-signature", most: bounds::SIGNATURE, checks: &CHECKS };

/// A file as it came, and its signature.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) file: Found,
    pub(super) signature: Vec<u8>,
}

/// A file and the signature that it names, or that stands beside it.
///
/// # Errors
/// By name: `mud-fetch` (nobody answers, or not with a file), `mud-fetch-time`, `mud-fetch-size`, `mud-fetch-redirect`,
/// `mud-fetch-private`, `mud-fetch-tls`, and those of reading a file that is none.
pub(super) async fn fetch(fetcher: &Fetcher, url: &MudUrl, tls: &ClientTls) -> Result<Fetched, Refusal> {
    fetcher.in_time(&CHECKS, both(fetcher, url, tls)).await
}

async fn both(fetcher: &Fetcher, url: &MudUrl, tls: &ClientTls) -> Result<Fetched, Refusal> {
    let file = fetcher.get(url, tls, FILE).await?;
    let (described, _) = landfall_mud::read(&file.body)?;
    // RFC 8520 s3.3 and s13.1: the file says where; one that does not has it beside it.
    let at = match &described.signature {
        Some(reference) => file.from.join(reference),
        None => file.from.signature(),
    };
    let at = at.map_err(|why| CHECKS.refuse(Fault::Peer, "mud-signature-url", why.to_string()))?;
    let signature = fetcher.get(&at, tls, SIGNATURE).await?.body;
    Ok(Fetched { file, signature })
}

//! A CA elsewhere that is asked by EST (RFC 7030), as a registration authority asks it: with the requests of others.
//!
//! The requests are the devices' own, proved by their keys, and go to the CA as they are. What comes back is looked at
//! before any device gets it: the key, the path to the issuer that was agreed on, the dates, and every lint.

use crate::{
    RoleError,
    identity::{Identity, anchors},
    settings::{EstSettings, Settings},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_brski::est::client::{self, Answer};
use landfall_element::SecureElement;
use landfall_net::{
    NetError,
    http::{ClientLimits, Endpoint, Pool},
    tls::ClientTls,
};
use landfall_pki::{Anchor, Anchors, Certificate, Csr, PathPolicy, Severity, lint, path};
use landfall_types::{
    Fault, Redacted, Refusal, Time,
    http::{Request, Response},
};
use std::{fmt, fs, path::Path, time::Duration};
use tokio::time::{Instant, sleep, timeout};

/// Whatever a server says, it is not asked again sooner than after this long.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// A CA elsewhere.
#[derive(Debug)]
pub struct ExternalCa {
    server: Endpoint,
    label: Option<String>,
    tls: ClientTls,
    /// The value of the Authorization field, if the CA knows us by a password.
    authorization: Option<Redacted<String>>,
    issuers: Anchors,
    patience: Duration,
    connections: Pool,
}

/// A certificate that such a CA issued, found good.
#[derive(Clone, Debug)]
pub struct Certified {
    /// The certificate.
    pub certificate: Certificate,
    /// What stands between it and its anchor, lowest first.
    pub above: Vec<Certificate>,
    /// What it leads to.
    pub anchor: Certificate,
}

impl ExternalCa {
    /// The one that `est` names, with every file opened.
    pub fn load(est: &EstSettings, settings: &Settings, element: &dyn SecureElement) -> Result<Self, RoleError> {
        let what = || format!("the CA at {}", est.server);
        let resolve = |path: &Path| settings.resolve(path);
        let identity = est.identity.as_ref().map(|identity| Identity::load(identity, resolve, element)).transpose()?;
        let server_anchors = anchors(&est.anchors, resolve)?;
        let issuers = match est.issuers.as_slice() {
            [] => server_anchors.clone(),
            issuers => anchors(issuers, resolve)?,
        };
        // RFC 7030 s3.6.1: the server is known by its name, below the anchors that were configured for it.
        let tls = ClientTls::named(server_anchors, identity.map(Into::into).as_ref());
        let authorization = est.password_file.as_ref().map(|path| basic(&resolve(path))).transpose()?;
        if est.identity.is_none() && authorization.is_none() {
            return Err(RoleError::new(what(), "needs identity or password-file, or it could not know who asks"));
        }
        let patience = est.patience.duration();
        let limits = ClientLimits::default();
        Ok(Self {
            server: Endpoint::parse(&est.server, 443).map_err(RoleError::while_(what()))?,
            label: est.label.clone(),
            tls: tls.map_err(RoleError::while_(what()))?,
            authorization,
            issuers,
            patience,
            connections: Pool::new(ClientLimits { exchange: limits.exchange.min(patience), ..limits }),
        })
    }

    /// Has the key in `csr` certified for `role`, and looks at what comes of it; `now` says what time it is then.
    ///
    /// # Errors
    /// `est-unreachable`, `est-status` and the others of [`client::read_enrolled`], `est-late` if no certificate comes for
    /// too long, `est-issued-path` and `est-issued-lint` for a certificate that is not as it should be.
    pub async fn certify(
        &self,
        csr: &Csr,
        role: lint::Role,
        now: impl Fn() -> Time + Send,
    ) -> Result<Certified, Refusal> {
        // RFC 7030 s3.5: whoever passes a request on has made sure that it is proved by its key.
        csr.verify_possession()
            .map_err(|why| Refusal::new(Fault::Peer, "csr-possession", "RFC 7030 s3.5", why.to_string()))?;
        let in_time = timeout(self.patience, self.ask(csr)).await;
        let client::Enrolled { certificate, mut others } = in_time.unwrap_or_else(|_| Err(self.late()))?;
        let errors: Vec<_> = lint::certificate_as(role, &certificate)
            .into_iter()
            .filter(|finding| finding.severity == Severity::Error)
            .map(|finding| finding.to_string())
            .collect();
        if !errors.is_empty() {
            return Err(Refusal::new(Fault::Peer, "est-issued-lint", "RFC 5280 s4", errors.join("; ")));
        }
        let policy = PathPolicy::at(now());
        let path = match path::validate(&certificate, &others, &self.issuers, &policy) {
            Ok(path) => path,
            // RFC 7030 s4.2.3: the certificate comes alone; those above it are had apart.
            Err(_) => {
                others.extend(self.cacerts().await);
                path::validate(&certificate, &others, &self.issuers, &policy).map_err(|why| {
                    Refusal::new(Fault::Peer, "est-issued-path", "RFC 7030 s4.2.3", why.to_string()).field("issuer")
                })?
            }
        };
        let Anchor::Certificate(anchor) = path.anchor else {
            return Err(Refusal::new(Fault::Misuse, "est-issued-path", "RFC 7030 s4.2.3", "the issuer is a bare key"));
        };
        let above = path.chain.into_iter().skip(1).filter(|above| *above != anchor).collect();
        Ok(Certified { certificate, above, anchor })
    }

    /// Asks until there is a certificate, or until it is clear that there will be none in time.
    async fn ask(&self, csr: &Csr) -> Result<client::Enrolled, Refusal> {
        let begun = Instant::now();
        loop {
            let response = self.send(client::enroll(self.label.as_deref(), csr)).await.map_err(unreachable)?;
            let wait = match client::read_enrolled(&response, csr.public_key())? {
                Answer::Granted(enrolled) => return Ok(enrolled),
                // RFC 7030 s4.2.3: a person may have to decide there; the same is asked again.
                Answer::Later(wait) => wait.max(SHORTEST_WAIT),
            };
            if begun.elapsed() + wait >= self.patience {
                return Err(self.late());
            }
            sleep(wait).await;
        }
    }

    /// What may stand between certificates and their anchors; nothing of it is believed for coming from there.
    async fn cacerts(&self) -> Vec<Certificate> {
        let response = self.send(client::cacerts(self.label.as_deref())).await.map_err(unreachable);
        response.and_then(|response| client::read_cacerts(&response)).unwrap_or_else(|why| {
            tracing::warn!(server = %self.server, %why, "the CA does not tell its certificates");
            Vec::new()
        })
    }

    async fn send(&self, mut request: Request) -> Result<Response, NetError> {
        if let Some(authorization) = &self.authorization {
            request.headers.add("authorization", authorization.expose().as_str());
        }
        self.connections.send(&self.server, Some(&self.tls), request).await
    }

    fn late(&self) -> Refusal {
        let detail = format!("{} gave no certificate within {} s", self.server, self.patience.as_secs());
        Refusal::new(Fault::Backend, "est-late", "RFC 7030 s4.2.3", detail)
    }
}

fn unreachable(error: NetError) -> Refusal {
    match error {
        NetError::Refused(refusal) => refusal,
        error => Refusal::new(Fault::Backend, "est-unreachable", "RFC 7030 s3.3", error.to_string()),
    }
}

/// RFC 7617 s2: the credentials in the first line of a file, `name:password`.
fn basic(path: &Path) -> Result<Redacted<String>, RoleError> {
    let failed = |why: &dyn fmt::Display| RoleError::new(format!("the password in {}", path.display()), why);
    let text = Redacted::new(fs::read_to_string(path).map_err(|why| failed(&why))?);
    let line = text.expose().lines().next().unwrap_or_default();
    match line.split_once(':') {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => {
            Ok(Redacted::new(format!("Basic {}", STANDARD.encode(line))))
        }
        _ => Err(failed(&"is not there; the first line should be name:password")),
    }
}

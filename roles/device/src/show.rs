//! Evidence for the registrar outside of certificate requests: from time to time, and before something that needs it.

use crate::{Agent, DeviceError, drive::LIMITS, posture};
use landfall_attest::{CMW_JSON, EAT_JWT, Ear};
use landfall_brski::{
    est::client,
    pledge::{Credential, Trusted},
};
use landfall_net::{
    NetError,
    http::{Connection, Endpoint},
    tls::{ClientTls, TlsIdentity},
};
use landfall_pki::oid;
use landfall_types::{Fault, Refusal, Time, http::Request};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// Where the registrar takes evidence.
const PATH: &str = "/.well-known/landfall/attestation";
/// Where an application service takes devices in.
const APPLICATION: &str = "/.well-known/landfall/application";
const SECTION: &str = "RFC 9334 s8.4";

impl Agent {
    /// Shows the registrar what software the device runs, over a connection with its network credential: the result, and
    /// the same as it came.
    ///
    /// # Errors
    /// [`DeviceError::NotOnboarded`], or if the TPM fails; a registrar that gives no result is an answer.
    pub async fn show(&self, limit: Duration) -> Result<Result<(Ear, String), Refusal>, DeviceError> {
        let credential = self.credential()?;
        let backend = |why: String| Refusal::new(Fault::Backend, "attestation-registrar", SECTION, why);
        match timeout(limit, self.shown(&credential)).await {
            Ok(Err(DeviceError::Net(why))) => Ok(Err(backend(why.to_string()))),
            Ok(shown) => shown,
            Err(_) => Ok(Err(backend("it took too long".into()))),
        }
    }

    /// Shows an application service the result that the registrar gave, over a connection with the network credential, and takes
    /// what the service has for the device (the guide's 4.4): JSON.
    ///
    /// # Errors
    /// [`DeviceError::NotOnboarded`], or if the element fails; a service that refuses is an answer.
    pub async fn apply(
        &self,
        token: &str,
        service: &Endpoint,
        limit: Duration,
    ) -> Result<Result<serde_json::Value, Refusal>, DeviceError> {
        let credential = self.credential()?;
        let refuse = |fault, why: String| Refusal::new(fault, "application-service", "SP 1800-36B 4.4", why);
        let identity = TlsIdentity { chain: credential.presented(), signer: self.element.signer(&credential.key)? };
        // It may have any name, if the device's own domain says that it is a server.
        let tls = ClientTls::anchored(credential.domain(), vec![oid::SERVER_AUTH], Some(&identity))?;
        let asked = async {
            let mut connection = Connection::open(service, Some(&tls), LIMITS).await?;
            connection.send(Request::post(APPLICATION, EAT_JWT, token.as_bytes().to_vec())).await
        };
        let answer = match timeout(limit, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => return Ok(Err(refuse(Fault::Backend, why.to_string()))),
            Err(_) => return Ok(Err(refuse(Fault::Backend, "it took too long".into()))),
        };
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        Ok(match answer.status {
            200 => serde_json::from_str(&said).map_err(|why| refuse(Fault::Malformed, why.to_string())),
            status => Err(refuse(Fault::Denied, format!("the service answered {status}: {said:.200}"))),
        })
    }

    async fn shown(&self, credential: &Credential) -> Result<Result<(Ear, String), Refusal>, DeviceError> {
        let (mut connection, trusted) = match self.registrar(credential).await? {
            Ok(both) => both,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let nonce = match client::read_nonce(&connection.send(client::nonce()).await?) {
            Ok(nonce) => nonce,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (config, birth, element) = (self.config.clone(), self.birth.clone(), Arc::clone(&self.element));
        let binding = trusted.binding().clone();
        let gathered =
            tokio::task::spawn_blocking(move || posture::evidence(&config, &*element, &birth, &nonce, &binding));
        let evidence = gathered.await.map_err(|why| DeviceError::Defect(why.to_string()))??;
        self.evidence.attested(&evidence);
        let answer =
            connection.send(Request::post(PATH, CMW_JSON, evidence.to_cmw().into_bytes()).accept(EAT_JWT)).await?;
        if answer.status != 200 {
            let why = format!("the registrar answered {}", answer.status);
            return Ok(Err(Refusal::new(Fault::Denied, "attestation-status", SECTION, why)));
        }
        let token = String::from_utf8_lossy(&answer.body).into_owned();
        // The connection says who it is from; whoever is shown it elsewhere checks the signature.
        Ok(Ear::read(&token).map(|ear| (ear, token)))
    }

    /// A connection to our registrar, with the network credential.
    pub(crate) async fn registrar(
        &self,
        credential: &Credential,
    ) -> Result<Result<(Connection, Trusted), Refusal>, DeviceError> {
        let identity = TlsIdentity { chain: credential.presented(), signer: self.element.signer(&credential.key)? };
        let tls = ClientTls::provisional(Some(&identity))?;
        let connection = Connection::open(&Endpoint::from(&credential.offer), Some(&tls), LIMITS).await?;
        let peer = connection.peer().cloned().ok_or_else(|| NetError::Misuse("no TLS".into()))?;
        let (domain, clock) = (credential.domain(), self.config.clock);
        let trusted = Trusted::by_anchors(peer, &domain, &credential.registrar, clock, Time::now());
        Ok(trusted.map(|trusted| (connection, trusted)))
    }
}

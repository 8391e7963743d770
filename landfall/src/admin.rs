//! Reaching a running server: over its Unix socket, or by mutual TLS from elsewhere.

use crate::{output::Output, run::Server};
use anyhow::{Context, bail};
use landfall_net::tls::{ClientTls, TlsIdentity};
use landfall_pki::{Anchors, Certificate, SoftwareKey, pem};
use landfall_server::admin::{Address, Client, ClientError};
use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Which server an operator's command is for.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct Connection {
    #[command(flatten)]
    pub(crate) server: Server,
    /// The server's admin socket, or HOST:PORT of one elsewhere; without it, the socket that the settings name.
    #[arg(long, value_name = "WHERE", env = "LANDFALL_ADMIN", global = true)]
    admin: Option<String>,
    /// The operator's certificate, in PEM, with those above it.
    #[arg(long, value_name = "FILE", env = "LANDFALL_OPERATOR", global = true)]
    operator: Option<PathBuf>,
    /// The operator's key, in PEM; without it, the file beside the certificate that ends in .key.
    #[arg(long, value_name = "FILE", global = true)]
    operator_key: Option<PathBuf>,
    /// What the server's certificate leads to, in PEM.
    #[arg(long, value_name = "FILE", env = "LANDFALL_ADMIN_ANCHOR", global = true)]
    admin_anchor: Option<PathBuf>,
}

impl Connection {
    fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(self.address()?))
    }

    fn address(&self) -> anyhow::Result<Address> {
        Ok(match &self.admin {
            None => Address::Local(self.server.settings()?.admin_socket()),
            Some(socket) if socket.contains('/') || !socket.contains(':') => Address::Local(socket.into()),
            Some(authority) => Address::Remote { authority: authority.clone(), tls: self.tls()? },
        })
    }

    /// Which server that is, in words.
    pub(crate) fn name(&self) -> anyhow::Result<String> {
        Ok(match self.address()? {
            Address::Local(socket) => socket.display().to_string(),
            Address::Remote { authority, .. } => authority,
        })
    }

    fn tls(&self) -> anyhow::Result<ClientTls> {
        let (Some(operator), Some(anchor)) = (&self.operator, &self.admin_anchor) else {
            bail!(
                "a server elsewhere is reached with --operator (a certificate made by `landfall network operator`) \
                 and --admin-anchor (the domain's root.pem)"
            );
        };
        let key = self.operator_key.clone().unwrap_or_else(|| operator.with_extension("key"));
        let identity = TlsIdentity { chain: certificates(operator)?, signer: Arc::new(private_key(&key)?) };
        Ok(ClientTls::named(Anchors::of(certificates(anchor)?), Some(&identity))?)
    }

    /// Asks the server something.
    pub(crate) fn ask<T, F>(
        &self,
        output: &Output,
        what: &'static str,
        ask: impl FnOnce(Client) -> F,
    ) -> anyhow::Result<T>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let client = self.client()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let waiting = output.waiting(what);
        let answer = runtime.block_on(ask(client));
        waiting.finish_and_clear();
        Ok(answer?)
    }
}

/// The certificates in a PEM file.
pub(crate) fn certificates(path: &Path) -> anyhow::Result<Vec<Certificate>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let found = Certificate::chain_from_pem(&text).with_context(|| format!("reading {}", path.display()))?;
    match found.is_empty() {
        true => bail!("{} holds no certificate", path.display()),
        false => Ok(found),
    }
}

/// The private key in a PEM file.
pub(crate) fn private_key(path: &Path) -> anyhow::Result<SoftwareKey> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let blocks = pem::decode(&text).with_context(|| format!("reading {}", path.display()))?;
    let block = blocks.iter().find(|block| block.label == "PRIVATE KEY");
    let block = block.with_context(|| format!("{} holds no PKCS#8 private key", path.display()))?;
    SoftwareKey::from_pkcs8_der(&block.der).with_context(|| format!("reading {}", path.display()))
}

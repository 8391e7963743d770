//! The maker of the elements as the CA of the first version of H.3: the factory has birth certificates issued there, by EST.

use crate::lab::party::Manufacturer;
use anyhow::{Context, Result};
use landfall_brski::est::body;
use landfall_lifecycle::factory::{Method, Product};
use landfall_net::{
    http::{ConnInfo, Server},
    tls::{ClientAuth, ServerTls},
};
use landfall_pki::{Certificate, cms::certs_only};
use landfall_server::factory::{Choice, Factory};
use landfall_types::http::{Request, Response};
use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
};
use tokio::{net::TcpListener, sync::watch};

/// How the factory is known there: a name and a password (RFC 7030 s3.2.3), in base64 as RFC 7617 has it.
const PASSWORD: (&str, &str) = ("kestrel:from the line", "Basic a2VzdHJlbDpmcm9tIHRoZSBsaW5l");

/// An EST server that issues IDevIDs for devices which have their serial numbers already.
pub(super) struct Authority {
    address: SocketAddr,
    /// What its certificates, and that of its server, lead to.
    root: PathBuf,
    certifies: Arc<OnceLock<Product>>,
    _stop: watch::Sender<bool>,
}

impl Authority {
    /// Has the factory of `chips` certify, for whoever knows the password, what [`Authority::certifies`] says.
    pub(super) async fn open(chips: &Manufacturer) -> Result<Self> {
        let tls = ServerTls::new(&chips.tls_identity()?, ClientAuth::None)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("a port for the CA")?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let (factory, certifies) = (chips.factory.clone(), Arc::<OnceLock<Product>>::default());
        let known = certifies.clone();
        let handler = move |request: Request, _: Arc<ConnInfo>| {
            let (factory, product) = (factory.clone(), known.get().cloned());
            async move { tokio::task::block_in_place(|| answer(&factory, product.as_ref(), &request)) }
        };
        tokio::spawn(Server::new(listener).tls(tls).run(handler, stopped));
        Ok(Self { address, root: chips.root_file.clone(), certifies, _stop: stop })
    }

    /// What the devices are that it certifies.
    pub(super) fn certifies(&self, product: Product) {
        self.certifies.get_or_init(|| product);
    }

    /// The `[est]` of a factory that asks it; the password is put beside the CA's root.
    pub(super) fn settings(&self) -> Result<String> {
        let password = self.root.with_file_name("line-password");
        fs::write(&password, PASSWORD.0)?;
        Ok(format!(
            "\n[est]\nserver = \"localhost:{}\"\nanchors = [{:?}]\npassword-file = {password:?}\n",
            self.address.port(),
            self.root
        ))
    }
}

fn answer(factory: &Factory, product: Option<&Product>, request: &Request) -> Response {
    let Some(product) = product else { return Response::text(503, "nothing is certified yet") };
    if request.headers.first("authorization") != Some(PASSWORD.1) {
        return Response::text(401, "who asks?");
    }
    let issued = body::decode(&request.body).map_err(anyhow::Error::from).and_then(|csr| {
        let made = factory.certify(product, Method::InSecureElement, &csr[..], Choice::Device)?;
        let mut bag = vec![Certificate::from_pem(&made.idevid)?];
        bag.extend(Certificate::chain_from_pem(&made.chain)?);
        anyhow::Ok(body::encode(&certs_only(&bag)))
    });
    match issued {
        Ok(bag) => Response::with(200, "application/pkcs7-mime", bag),
        Err(why) => Response::text(400, &format!("{why:#}")),
    }
}

//! The MASA: vouchers and audit logs for registrars (RFC 8995 s5.5 to s5.8).

mod audit;
mod record;
mod voucher;

pub use record::IssuedVoucher;

use crate::{
    Identity, RoleError, World,
    identity::anchors,
    revocation::CrlFiles,
    role::{RoleName, Shutdown, Task},
    settings::{MasaSettings, Settings},
};
use landfall_brski::{TlsPeer, masa, paths};
use landfall_lifecycle::transfer::TransferPolicy;
use landfall_net::{
    http::{Limits, Server},
    tls::{ClientAuth, ServerTls},
};
use landfall_pki::{Anchors, SignatureMemo};
use landfall_types::http::{Request, Response};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;

/// How a MASA is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where registrars reach it.
    pub listen: SocketAddr,
    /// The TLS server's certificate.
    pub tls: Identity,
    /// Whose key signs vouchers.
    pub signer: Identity,
    /// What the core is told.
    pub core: masa::Config,
    /// The files of its customers' revocation lists.
    pub crls: CrlFiles,
    /// Who may claim a device.
    pub transfer: TransferPolicy,
    /// Whether only devices that the factory's records hold are vouched for.
    pub made_here_only: bool,
    /// What the listener bears.
    pub limits: Limits,
}

impl Config {
    /// What `masa` means in `settings`, with every file that it names opened.
    pub fn from_settings(masa: &MasaSettings, settings: &Settings, world: &World) -> Result<Self, RoleError> {
        let resolve = |path: &std::path::Path| settings.resolve(path);
        let identity = |of| Identity::load(of, resolve, world.element.as_ref());
        let signer = identity(&masa.voucher_signer)?;
        let mut core = core(&signer, anchors(&masa.idevid_anchors, resolve)?)?;
        core.customers = anchors(&masa.customer_anchors, resolve)?;
        let crls = CrlFiles::open(masa.customer_crls.iter().map(|path| resolve(path)))?;
        core.crls = crls.lists();
        Ok(Self {
            listen: masa.listen,
            tls: identity(&masa.identity)?,
            core,
            crls,
            signer,
            transfer: masa.transfer.clone(),
            made_here_only: masa.made_here_only,
            limits: (&masa.limits).into(),
        })
    }

    /// Binds the listener.
    pub async fn build(self, world: World, shutdown: Shutdown) -> Result<(Task, Arc<Masa>), RoleError> {
        let what = format!("listening on {} (masa.listen)", self.listen);
        let listener = TcpListener::bind(self.listen).await.map_err(RoleError::while_(&*what))?;
        let address = listener.local_addr().map_err(RoleError::while_(&*what))?;
        let tls = ServerTls::new(&self.tls.clone().into(), ClientAuth::Optional)
            .map_err(RoleError::while_("the MASA's certificate (masa.identity)"))?;
        let (limits, crls, clock) = (self.limits, self.crls, world.clock.clone());
        let masa = Arc::new(Masa {
            world,
            core: Arc::new(self.core),
            signer: self.signer,
            transfer: self.transfer,
            made_here_only: self.made_here_only,
        });
        let served = masa.clone();
        let work = async move {
            let upkeep = tokio::spawn(crls.watch(clock, shutdown.clone()));
            let server = Server::new(listener).tls(tls).limits(limits);
            server
                .run(
                    move |request, from| {
                        let masa = served.clone();
                        // In a task of its own: what was begun is finished even if the registrar goes away.
                        let answer = tokio::spawn(async move { masa.answer(request, from.tls.clone()).await });
                        async move { answer.await.unwrap_or_else(|_| Response::new(500)) }
                    },
                    shutdown.watch(),
                )
                .await;
            upkeep.abort();
            Ok(())
        };
        Ok((Task::new(RoleName::Masa, address, work), masa))
    }
}

/// The usual core for a MASA that signs with `signer`, for devices that lead to `anchors`.
pub fn core(signer: &Identity, anchors: Anchors) -> Result<masa::Config, RoleError> {
    let chain = signer.chain.iter().skip(1).cloned().collect();
    let mut core = masa::Config::new(signer.certificate()?.clone(), chain, anchors);
    core.memo = Some(Arc::new(SignatureMemo::new(4096)));
    Ok(core)
}

/// A MASA that runs.
#[derive(Debug)]
pub struct Masa {
    pub(crate) world: World,
    core: Arc<masa::Config>,
    signer: Identity,
    pub(crate) transfer: TransferPolicy,
    made_here_only: bool,
}

impl Masa {
    /// Answers one request of a registrar.
    pub async fn answer(&self, request: Request, client: Option<TlsPeer>) -> Response {
        match request.path.as_str() {
            paths::REQUEST_VOUCHER => voucher::answer(self, request, client).await,
            paths::REQUEST_AUDIT_LOG => audit::answer(self, request).await,
            _ => Response::text(404, "There is nothing here."),
        }
    }
}

//! All roles of one process, as a settings file has them: built together, run together, drained together.

use crate::{
    Identity, RoleError, RoleName, Settings, Shutdown, Task, World, access,
    admin::{self, Console, LocalDoor, RemoteDoor},
    assets, authorizer, configurator, deny, enforcer,
    health::{Health, Readiness},
    identity::{anchors, certificates},
    masa, open, proxy, registrar,
    settings::{AdminSettings, AuthorizerSettings, QuestionsSettings},
    signals, supply_chain,
};
use landfall_net::tls::{ClientAuth, ServerTls};
use landfall_pki::Anchors;
use std::{net::SocketAddr, sync::Arc};
use tokio::task::JoinSet;

/// A server that has been built: it listens, and does nothing until it is run.
#[derive(Debug)]
pub struct Server {
    tasks: Vec<Task>,
    world: World,
    console: Arc<Console>,
    readiness: Readiness,
    health: Option<Health>,
    local: LocalDoor,
    remote: Option<RemoteDoor>,
    questions: Option<RemoteDoor>,
    intakes: Vec<supply_chain::Intake>,
    shutdown: Shutdown,
}

impl Server {
    /// Opens what `settings` name and binds the listeners of `roles`; all that have a table if none is named.
    pub async fn build(settings: &Settings, roles: &[RoleName], shutdown: Shutdown) -> Result<Self, RoleError> {
        let roles = wanted(settings, roles)?;
        let world = World::new(open::store(settings)?, open::existing_element(settings)?);
        if settings.authorizer.is_some() {
            world.authorizer.expect();
        }
        let readiness = Readiness::default();
        let mut tasks = Vec::new();
        let mut console = Console::new(world.clone(), readiness.clone());
        for role in roles {
            readiness.set(role.as_str(), false);
            match (role, settings) {
                (RoleName::Authorizer, Settings { authorizer: Some(authorizer), .. }) => {
                    let element = Some(world.element.as_ref());
                    let config = authorizer::Config::from_settings(authorizer, settings, element)?;
                    let task = config.build(world.clone(), shutdown.clone()).await?.0;
                    let lists =
                        deny::Config::from_settings(&authorizer.deny_lists, settings)?.build(world.clone()).await?;
                    let signals = signals::Config::from_settings(&authorizer.signals, settings, element)?;
                    let signals = signals.build(world.clone()).await?;
                    console.signals = Some(signals.told());
                    let status = authorizer::StatusLists::from_settings(authorizer, settings)?;
                    let mut task = task.beside(lists.clone().work(shutdown.clone()));
                    task = task.beside(status.work(world.clone(), shutdown.clone()));
                    task = task.beside(signals.work(shutdown.clone()));
                    if let Some(assets) = &authorizer.assets {
                        let assets = assets::Config::from_settings(assets, settings)?.build(world.clone());
                        task = task.beside(assets.clone().work(shutdown.clone()));
                        console.assets = Some(assets);
                    }
                    tasks.push(task);
                    console.deny_lists = Some(lists);
                }
                (RoleName::Masa, Settings { masa: Some(masa), .. }) => {
                    let config = masa::Config::from_settings(masa, settings, &world)?;
                    let (task, running) = config.build(world.clone(), shutdown.clone()).await?;
                    console.masa = Some(running);
                    tasks.push(task);
                }
                (RoleName::SupplyChain, Settings { supply_chain: Some(service), .. }) => {
                    let config = supply_chain::Config::from_settings(service, settings, &world)?;
                    let (task, running) = config.build(world.clone(), shutdown.clone()).await?;
                    console.supply_chain = Some(running);
                    tasks.push(task);
                }
                (RoleName::Registrar, Settings { registrar: Some(registrar), .. }) => {
                    let config = registrar::Config::from_settings(registrar, settings, &world)?;
                    let (task, running) = config.build(world.clone(), shutdown.clone()).await?;
                    console.registrar = Some(running);
                    tasks.push(task);
                }
                (RoleName::Proxy, Settings { proxy: Some(proxy), .. }) => {
                    tasks.push(proxy::Config::from_settings(proxy).await?.build(shutdown.clone()).await?);
                }
                (RoleName::Configurator, Settings { configurator: Some(configurator), .. }) => {
                    let config = configurator::Config::from_settings(configurator, settings, &world)?;
                    let (task, running) = config.build(world.clone(), shutdown.clone()).await?;
                    console.configurator = Some(running);
                    tasks.push(task);
                }
                (RoleName::Enforcer, Settings { enforcer: Some(enforcer), .. }) => {
                    let config = enforcer::Config::from_settings(enforcer, settings)?;
                    let (mut task, running) = config.build(world.clone(), shutdown.clone()).await?;
                    if let (Some(authorizer), Some(manager)) = (&settings.authorizer, running.manager()) {
                        let devices = devices(authorizer, settings, &world, running.clone())?;
                        let published =
                            authorizer::Publications::new(&authorizer.sboms, manager, devices, world.clone())?;
                        task = task.beside(published.work(shutdown.clone()));
                    }
                    console.enforcer = Some(running);
                    tasks.push(task);
                }
                (RoleName::Access, Settings { access: Some(access), .. }) => {
                    let mut config = access::Config::from_settings(access, settings, &world)?;
                    config.enforcer = console.enforcer.clone();
                    let mut options = access::Options::from_settings(access, settings)?;
                    options.vendors = console.registrar.as_ref().map(|registrar| registrar.vendors().clone());
                    let (task, running) = config.build_with(options, world.clone(), shutdown.clone()).await?;
                    console.access = Some(running);
                    tasks.push(task);
                }
                _ => return Err(no_table(role)),
            }
        }
        let asked = settings.authorizer.as_ref().and_then(|authorizer| authorizer.questions.as_ref());
        let questions = match asked.filter(|_| world.authorizer.authorizer().is_some()) {
            Some(asked) => Some(questions(asked, settings, &world).await?),
            None => None,
        };
        console.roles = tasks.iter().map(|task| (task.role, task.address)).collect();
        Ok(Self {
            tasks,
            console: Arc::new(console),
            health: health(settings, &readiness).await?,
            readiness,
            local: LocalDoor::bind(&settings.admin_socket())?,
            remote: remote(&settings.admin, settings, &world).await?,
            questions,
            intakes: intakes(settings, &world)?,
            world,
            shutdown,
        })
    }

    /// What the roles share.
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// Where each role listens that does.
    pub fn addresses(&self) -> Vec<(RoleName, SocketAddr)> {
        self.tasks.iter().filter_map(|task| Some((task.role, task.address?))).collect()
    }

    /// Where other authorizers ask.
    pub fn questions_address(&self) -> Option<SocketAddr> {
        self.questions.as_ref().and_then(RemoteDoor::address)
    }

    /// Where metrics and health are.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health.as_ref().and_then(Health::address)
    }

    /// Runs until the shutdown has been drained, or until a role cannot go on; then the others are dropped.
    pub async fn run(self) -> Result<(), RoleError> {
        let Self { tasks, world, console, readiness, health, local, remote, questions, intakes, shutdown } = self;
        let mut running = JoinSet::new();
        if let Some(questions) = questions {
            let (router, shutdown) = (admin::questions(console.clone()), shutdown.clone());
            running.spawn(async move {
                questions.serve(router, shutdown).await;
                Ok(())
            });
        }
        let router = admin::router(console);
        running.spawn({
            let (router, shutdown) = (router.clone(), shutdown.clone());
            async move {
                local.serve(router, shutdown).await;
                Ok(())
            }
        });
        if let Some(remote) = remote {
            let shutdown = shutdown.clone();
            running.spawn(async move {
                remote.serve(router, shutdown).await;
                Ok(())
            });
        }
        // Whoever watches is told that the server drains for as long as it does: this ends with the function.
        let mut watched = JoinSet::new();
        if let Some(health) = health {
            watched.spawn(health.run(shutdown.clone()));
        }
        for intake in intakes {
            let shutdown = shutdown.clone();
            running.spawn(async move {
                intake.run(shutdown).await;
                Ok(())
            });
        }
        for task in tasks {
            readiness.set(task.role.as_str(), true);
            running.spawn(task.run());
        }
        let mut result = Ok(());
        while let Some(ended) = running.join_next().await {
            let ended = ended.unwrap_or_else(|why| Err(RoleError::new("a role", why)));
            if ended.is_err() {
                result = ended;
                break;
            }
        }
        world.recorder.flush().await;
        result
    }
}

fn intakes(settings: &Settings, world: &World) -> Result<Vec<supply_chain::Intake>, RoleError> {
    settings.intake.iter().map(|intake| supply_chain::Intake::from_settings(intake, settings, world)).collect()
}

fn wanted(settings: &Settings, roles: &[RoleName]) -> Result<Vec<RoleName>, RoleError> {
    let present = settings.roles();
    if let Some(missing) = roles.iter().find(|role| !present.contains(role)) {
        return Err(no_table(*missing));
    }
    let wanted = |role: &RoleName| roles.is_empty() || roles.contains(role);
    let wanted: Vec<RoleName> =
        RoleName::ALL.into_iter().filter(|role| present.contains(role) && wanted(role)).collect();
    match wanted.is_empty() {
        true => Err(RoleError::new(
            "the settings",
            "have no table of a role: [registrar], [masa], [supply-chain], [proxy], [configurator], [enforcer], [access] or [authorizer]",
        )),
        false => Ok(wanted),
    }
}

fn no_table(role: RoleName) -> RoleError {
    RoleError::new(format!("the role {role}"), format!("has no table [{role}] in the settings"))
}

async fn health(settings: &Settings, readiness: &Readiness) -> Result<Option<Health>, RoleError> {
    match settings.metrics.listen.as_str() {
        "" => Ok(None),
        listen => {
            let address = listen.parse().map_err(RoleError::while_("metrics.listen"))?;
            Health::bind(address, readiness.clone()).await.map(Some)
        }
    }
}

async fn remote(admin: &AdminSettings, settings: &Settings, world: &World) -> Result<Option<RemoteDoor>, RoleError> {
    let Some(listen) = admin.listen else { return Ok(None) };
    let missing = |key: &str| RoleError::new(format!("admin.{key}"), "is needed to listen on an address");
    let identity = admin.identity.as_ref().ok_or_else(|| missing("identity"))?;
    let anchors = admin.operator_anchors.as_ref().ok_or_else(|| missing("operator-anchors"))?;
    let identity = Identity::load(identity, |path| settings.resolve(path), world.element.as_ref())?;
    let tls = ServerTls::new(&identity.into(), ClientAuth::Required).map_err(RoleError::while_("admin.identity"))?;
    // The first certificate in the file issues operator certificates. Those above it stand there to complete its path,
    // and issue others too.
    let anchors = Anchors::of(certificates(&settings.resolve(anchors))?.into_iter().take(1));
    RemoteDoor::bind("admin", listen, tls, anchors, world.clock.clone()).await.map(Some)
}

/// How devices themselves are asked what they consist of: by the certificates that this domain's registrar gave them, and as that.
fn devices(
    authorizer: &AuthorizerSettings,
    settings: &Settings,
    world: &World,
    whereabouts: Arc<enforcer::Enforcer>,
) -> Result<Option<authorizer::Devices>, RoleError> {
    let Some(registrar) = &settings.registrar else { return Ok(None) };
    let load = |of| Identity::load(of, |path| settings.resolve(path), world.element.as_ref());
    let domain = Anchors::of([load(&registrar.authority)?.certificate()?.clone()]);
    let (identity, port) = (load(&registrar.identity)?.into(), authorizer.sboms.device_port);
    let devices = authorizer::Devices::new(whereabouts, domain, &identity, port);
    devices.map(Some).map_err(RoleError::while_("asking devices what they consist of (authorizer.sboms)"))
}

/// Where other authorizers ask whether a device may join, and nothing else.
async fn questions(asked: &QuestionsSettings, settings: &Settings, world: &World) -> Result<RemoteDoor, RoleError> {
    const NAME: &str = "authorizer.questions";
    let identity = Identity::load(&asked.identity, |path| settings.resolve(path), world.element.as_ref())?;
    let tls = ServerTls::new(&identity.into(), ClientAuth::Required);
    let tls = tls.map_err(RoleError::while_(format!("{NAME}.identity")))?;
    let anchors = anchors(&asked.anchors, |path| settings.resolve(path))?;
    RemoteDoor::bind(NAME, asked.listen, tls, anchors, world.clock.clone()).await
}

//! New firmware: fetched, checked, written down whole, and remembered (RFC 9019 s3).
//!
//! What is new and whose it is says a bundle that the manufacturer signs by The Update Framework; whoever serves it is believed
//! nothing. The root was put into the device by its manufacturer.

mod fetch;
mod install;

pub(crate) use install::installed;

use crate::{Agent, Config, DeviceError, birth, dpp, file, state::State};
use fetch::Origin;
use install::{Installed, Kept};
use landfall_tuf::{
    Bundle, Source, Trust,
    firmware::{Release, choose},
};
use landfall_types::{Fault, Refusal, Time};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};
use tokio::time::timeout;

/// The longest image, in bytes: it is in memory while it is checked.
const LONGEST: u64 = 256 * 1024 * 1024;

/// `[update]`: whose firmware the device takes, from where, and what becomes of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Update {
    /// The root of the manufacturer's bundles, which `landfall factory firmware root` writes. Without it nothing is taken.
    pub root: Option<PathBuf>,
    /// What the manufacturer calls itself in its releases.
    pub vendor: Option<String>,
    /// The image: a file that is replaced as a whole.
    pub image: Option<PathBuf>,
    /// Where the bundles are: `https://` and a folder, or the file of an archive.
    pub from: Option<String>,
    /// The CA certificates of the server, in PEM, which then has to have its name too. Without it, it shows a server's certificate
    /// of the domain that the device was onboarded to.
    pub anchors: Option<PathBuf>,
    /// A program with its arguments, without a shell, which is run when a new image is there, such as one that puts it into the
    /// other half of a flash. It is run again until it has once ended well.
    pub hook: Vec<String>,
}

/// What came of an update.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Updated {
    /// The release that the device has now.
    pub release: Release,
    /// The SHA-256 of its image.
    pub digest: String,
    /// Whether it is new, or was there before.
    pub new: bool,
    /// Until when its manufacturer vouches that there is nothing newer; unknown to a device without a clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh_until: Option<Time>,
}

/// Takes the newest firmware that the manufacturer has for the device, if it is newer than what it has; gives up after `limit`.
///
/// # Errors
/// If the configuration, a file or the hook is not as it should be. Firmware that must not be taken is an answer.
pub async fn update(
    config: &Config,
    from: Option<&str>,
    limit: Duration,
) -> Result<Result<Updated, Refusal>, DeviceError> {
    let folder = install::folder(config);
    let _lock = State::open(&folder)?.lock()?;
    let settings = Settings::of(config, from)?;
    let kept = match Kept::read(&folder)? {
        Some(kept) => kept,
        None => Kept::new(pinned(settings.root)?),
    };
    // Killed before it had run, or it did not end well.
    let kept = kept.hooked(config, &folder)?;
    let about = about(config)?;
    let taken = take(&settings, &about, kept, &folder);
    let taken = match timeout(limit, taken).await {
        Ok(taken) => taken?,
        Err(_) => {
            let why = "it took too long";
            return Ok(Err(Refusal::new(Fault::Backend, "firmware-source", "RFC 9019 s3", why)));
        }
    };
    match taken {
        Ok((kept, updated)) => kept.hooked(config, &folder).map(|_| Ok(updated)),
        Err(refusal) => Ok(Err(refusal)),
    }
}

/// What is needed of `[update]`.
struct Settings<'a> {
    root: &'a PathBuf,
    vendor: &'a str,
    image: &'a PathBuf,
    origin: Origin,
}

impl<'a> Settings<'a> {
    fn of(config: &'a Config, from: Option<&str>) -> Result<Self, DeviceError> {
        let about = &config.update;
        let none = |name: &str| DeviceError::Config(format!("[update] {name} is not set"));
        let from = from.or(about.from.as_deref()).ok_or_else(|| none("from"))?;
        Ok(Self {
            root: about.root.as_ref().ok_or_else(|| none("root"))?,
            vendor: about.vendor.as_deref().ok_or_else(|| none("vendor"))?,
            image: about.image.as_ref().ok_or_else(|| none("image"))?,
            origin: Origin::parse(from, config)?,
        })
    }
}

/// What the device knows of itself.
struct About {
    model: String,
    /// A time that is not later than now, if it knows none better: then nothing seems to have expired that has not.
    now: Time,
    clock: bool,
}

fn about(config: &Config) -> Result<About, DeviceError> {
    let (model, begun) = match birth::is_of_brski(config)? {
        true => {
            let standing = Agent::open(config.clone())?.standing()?;
            (standing.model, standing.credential.map(|credential| credential.not_before))
        }
        false => {
            let device = dpp::Device::open(config.clone())?.ok_or(DeviceError::Unborn)?;
            (device.standing()?.model.to_string(), None)
        }
    };
    // TUF s5.1 fixes a time. Without a clock, it is at least as late as the network credential began to be valid.
    let now = match config.clock {
        true => Time::now(),
        false => begun.unwrap_or(Time::from_unix(0)),
    };
    Ok(About { model, now, clock: config.clock })
}

fn pinned(root: &PathBuf) -> Result<Trust, DeviceError> {
    let content = file::read(root)?.ok_or_else(|| DeviceError::file(root, "there is no such file"))?;
    Trust::pin(&content).map_err(|refusal| DeviceError::file(root, refusal))
}

async fn take(
    settings: &Settings<'_>,
    about: &About,
    mut kept: Kept,
    folder: &std::path::Path,
) -> Result<Result<(Kept, Updated), Refusal>, DeviceError> {
    let checked = settings.origin.read(|source: &dyn Source| kept.trust.update(source, about.now)).await?;
    let bundle: Bundle = match checked {
        Ok(bundle) => bundle,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // TUF s5.4 to s5.6: what was seen is kept, whatever becomes of the image.
    kept.trust = bundle.trust.clone();
    kept.write(folder)?;
    let before = kept.installed.as_ref().map(|installed| installed.release.sequence);
    let (name, release) = match choose(&bundle, settings.vendor, &about.model, before) {
        Ok(chosen) => chosen,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let fresh_until = about.clock.then_some(bundle.fresh_until);
    if let Some(installed) = &kept.installed
        && installed.release.sequence == release.sequence
        && installed.is_whole(settings.image)?
    {
        let (release, digest) = (installed.release.clone(), installed.digest.clone());
        return Ok(Ok((kept, Updated { release, digest, new: false, fresh_until })));
    }
    if bundle.length(&name).is_none_or(|length| length > LONGEST) {
        let why = format!("{name:.200} has more than {LONGEST} bytes");
        return Ok(Err(Refusal::new(Fault::Peer, "firmware-length", "TUF s4.5", why)));
    }
    let image = match settings.origin.read(|source: &dyn Source| bundle.file(source, &name)).await? {
        Ok(image) => image,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let installed = Installed::put(settings.image, &image, release)?;
    let updated =
        Updated { release: installed.release.clone(), digest: installed.digest.clone(), new: true, fresh_until };
    kept.installed = Some(installed);
    kept.write(folder)?;
    Ok(Ok((kept, updated)))
}

//! `landfall factory`: birth credentials, and the manufacturer's records (SP 1800-36B 4.1).
//!
//! The factory keeps its records in a database of its own and publishes them to a MASA that runs, here or elsewhere.

mod dpp;
mod elsewhere;
mod firmware;
mod line;
mod proof;

use crate::{
    admin::Connection,
    application::mud,
    inspect,
    output::{Answer, Output, Table, counted},
    run::Server,
    transfer::ServiceArgs,
};
use anyhow::Context;
use clap::Subcommand;
use dpp::{DppArgs, LabelArgs, Paper, UriArgs};
use indicatif::ProgressBar;
use landfall_lifecycle::factory::{BundleForm, FactoryDevice, Method, Product, SerialScheme, Station};
use landfall_pki::{Algorithm, AltName, pem};
use landfall_server::{
    factory::{Choice, Factory, NewManufacturer, Order, Progress, Proof, Provisioned, Request, Which, add_mud_signer},
    open,
};
use landfall_store::Store;
use landfall_types::{Model, SerialNumber, Time};
use std::{
    fs,
    io::Write,
    num::NonZero,
    path::{Path, PathBuf},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: Verb,
}

/// Where the factory is, below the settings' data.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Factory")]
struct Place {
    /// The folder with the manufacturer's certificates.
    #[arg(long, value_name = "FOLDER", default_value = "manufacturer", global = true)]
    manufacturer: PathBuf,
    /// The folder for the devices' bundles.
    #[arg(long, value_name = "FOLDER", default_value = "bundles", global = true)]
    bundles: PathBuf,
    /// The factory's own database, which all stations on this machine share.
    #[arg(long, value_name = "FILE", default_value = "factory.db", global = true)]
    database: PathBuf,
    /// The folder for the batches' signed manifests.
    #[arg(long, value_name = "FOLDER", default_value = "manifests", global = true)]
    manifests: PathBuf,
    /// Which station of the factory line this is, for the records.
    #[arg(long, value_name = "NAME", env = "LANDFALL_STATION", global = true)]
    station: Option<Station>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Makes the manufacturer: its CAs, the signer of its vouchers, its MASA's TLS certificate.
    Init {
        /// The organization that stands in every subject.
        #[arg(long, default_value = "Example devices")]
        organization: String,
        /// A DNS name or address that the MASA serves; may be repeated.
        #[arg(long = "masa-name", value_name = "NAME", default_value = "localhost")]
        masa_names: Vec<String>,
        /// Where devices find the MASA, such as masa.example.com:9443.
        #[arg(long, value_name = "URL", default_value = "localhost:9443")]
        masa_url: String,
        /// The algorithm of all these keys: p256, p384 or ed25519.
        #[arg(long, default_value = "p256")]
        algorithm: Algorithm,
    },
    /// Makes what signs MUD files, for a manufacturer that was made without.
    MudSigner {
        /// The algorithm of its keys: p256, p384 or ed25519.
        #[arg(long, default_value = "p256")]
        algorithm: Algorithm,
    },
    /// Signs a MUD file that is as RFC 8520 wants it, as whom devices' certificates name.
    SignMud {
        /// The MUD file.
        file: PathBuf,
        /// The signature to write; it must not be there.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Makes devices: key, IDevID, record and bundle for each. A batch that was interrupted is completed first.
    Provision {
        #[command(flatten)]
        product: ProductArgs,
        #[command(flatten)]
        dpp: DppArgs,
        /// How many.
        #[arg(long, default_value = "1")]
        count: NonZero<u32>,
        /// The counter of the first serial number, if stations have agreed on ranges; otherwise the next that are free.
        #[arg(long, value_name = "COUNTER")]
        first: Option<u64>,
        /// Puts the bundles of up to 512 devices into one file, a line for each (JSON Lines), rather than each into its own.
        #[arg(long)]
        lines: bool,
        /// Prints labels of these devices, with their QR codes: NAME.pdf, or NAME.svg or NAME.png for one file a page.
        #[arg(long, value_name = "FILE")]
        labels: Option<PathBuf>,
        /// What the labels are printed on.
        #[arg(long, value_enum, default_value = "a4")]
        paper: Paper,
    },
    /// Prints labels of devices with the QR codes of their bootstrapping URIs.
    Labels(LabelArgs),
    /// Lists the bootstrapping URIs of devices, for a supply chain service or an owner.
    Uris(UriArgs),
    /// Completes batches that were interrupted.
    Resume,
    /// Issues an IDevID for a key that a device made, from its certificate request.
    Certify {
        #[command(flatten)]
        product: ProductArgs,
        #[command(flatten)]
        dpp: DppArgs,
        /// The request, in PEM or DER.
        request: PathBuf,
        /// The request for the bootstrapping key that the device made, with `--protocol dpp`: what `landfall device request
        /// --dpp` prints.
        #[arg(long, value_name = "FILE")]
        dpp_request: Option<PathBuf>,
        /// The key was made in a secure element.
        #[arg(long)]
        secure_element: bool,
        /// Proof that the key lives in a TPM: what `challenge` kept. The device is recorded as backed by hardware.
        #[arg(long, value_name = "FILE", requires = "answer", requires = "tpm_makers")]
        proof: Option<PathBuf>,
        /// What `landfall device prove` answered.
        #[arg(long, value_name = "FILE", requires = "proof")]
        answer: Option<PathBuf>,
        /// The CA certificates of the makers of TPMs that are believed, in PEM; may be repeated.
        #[arg(long = "tpm-maker", value_name = "FILE")]
        tpm_makers: Vec<PathBuf>,
        /// The device has a serial number already, in the request's subject.
        #[arg(long)]
        own_serial: bool,
        /// Where to write the device's bundle; `-` is standard output.
        #[arg(long, default_value = "-")]
        out: PathBuf,
    },
    /// Takes in devices whose secure elements came with keys and certificates, from the list of the elements' factory.
    Adopt {
        /// Their certificates, in PEM, with those of the CAs above them.
        list: PathBuf,
        /// The CAs of the elements' factory that are believed, in PEM; may be repeated.
        #[arg(long = "anchor", value_name = "FILE", required = true)]
        anchors: Vec<PathBuf>,
        /// The model.
        #[arg(long, default_value = "sensor")]
        model: Model,
        /// Where to write the devices' bundles: SERIAL.json.
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
    },
    /// Issues IDevIDs for keys that devices derive from seeds which their chips' maker put into them. No seed is kept.
    Derive {
        #[command(flatten)]
        product: ProductArgs,
        /// A pipe with the seeds, a line each: serial number, comma, seed in hexadecimal; `-` is standard input. A file on a
        /// disk, where they would lie in clear, is refused.
        seeds: PathBuf,
        /// Where to write the devices' bundles: SERIAL.json.
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
    },
    /// Challenges a device's TPM to prove that the birth key lives in it; `certify --proof` checks the answer.
    Challenge {
        /// What `landfall device introduce` shows.
        introduction: PathBuf,
        /// The CA certificates of the makers of TPMs that are believed, in PEM; may be repeated.
        #[arg(long = "tpm-maker", value_name = "FILE", required = true)]
        tpm_makers: Vec<PathBuf>,
        /// Where to keep what the answer is held against. It stays in the factory.
        #[arg(long, value_name = "FILE")]
        proof: PathBuf,
        /// Where to write the challenge for the device; `-` is standard output.
        #[arg(long, default_value = "-")]
        out: PathBuf,
    },
    /// Tells the MASA what is new, through its admin API; or, with --service, a supply chain service.
    Publish {
        #[command(flatten)]
        service: ServiceArgs,
        /// Tells everything, and not only what is new since the last time.
        #[arg(long)]
        all: bool,
    },
    /// Writes the records of devices; no private key is among them.
    Export {
        /// Where to; `-` is standard output.
        #[arg(default_value = "-")]
        out: PathBuf,
        /// Whole records in JSON, a line each; a table; or a signed manifest, with its signature in OUT.p7s.
        #[arg(long, value_enum, default_value = "json")]
        format: line::Format,
        /// Only those of this batch.
        #[arg(long)]
        batch: Option<String>,
    },
    /// Checks a signed manifest.
    Manifest {
        #[command(subcommand)]
        verb: line::ManifestVerb,
    },
    /// New firmware for devices that were made: releases in bundles that devices check.
    #[command(subcommand)]
    Firmware(firmware::Verb),
    /// Lists what was rejected, and why.
    Rejects(line::RejectsArgs),
    /// Strikes a device off: once that is published, the MASA serves it no more, and the supply chain service takes it back.
    Void {
        /// Its serial number.
        serial_number: SerialNumber,
        /// Why, for the record.
        #[arg(long)]
        reason: String,
    },
    /// Shows how many devices were made, and batches that were interrupted.
    Status,
}

#[derive(Debug, clap::Args)]
struct ProductArgs {
    /// The model.
    #[arg(long, default_value = "sensor")]
    model: Model,
    /// What serial numbers begin with.
    #[arg(long, default_value = "SN-")]
    prefix: String,
    /// How many digits their counter has.
    #[arg(long, default_value_t = 8)]
    digits: u8,
    /// The algorithm of the devices' keys: p256, p384 or ed25519.
    #[arg(long, default_value = "p256")]
    key: Algorithm,
    /// Where their MASA is, if it is not the manufacturer's usual one.
    #[arg(long, value_name = "URL")]
    device_masa: Option<String>,
    /// Where their MUD file is.
    #[arg(long, value_name = "URL")]
    mud_url: Option<String>,
}

impl ProductArgs {
    fn product(&self) -> Product {
        Product {
            model: self.model.clone(),
            serials: SerialScheme { prefix: self.prefix.clone(), digits: self.digits },
            algorithm: self.key,
            masa_url: self.device_masa.clone(),
            mud_url: self.mud_url.clone(),
            dpp: None,
        }
    }
}

pub(crate) fn run(args: &Args, output: &Output) -> anyhow::Result<Answer> {
    let (server, place) = (&args.connection.server, &args.place);
    let factory = || place.factory(server);
    match &args.verb {
        Verb::Init { organization, masa_names, masa_url, algorithm } => {
            init(server, place, organization, masa_names, masa_url, *algorithm, output)
        }
        Verb::MudSigner { algorithm } => {
            let settings = server.settings()?;
            let folder = settings.resolve(&place.manufacturer);
            let made = add_mud_signer(&folder, open::existing_element(&settings)?.as_ref(), *algorithm, Time::now())?;
            let files: Vec<_> =
                made.iter().map(|(path, what)| serde_json::json!({ "file": path, "what": what })).collect();
            output.show_as(&files, || {
                made.iter().map(|(path, what)| format!("{}: {what}\n", path.display())).collect()
            })?;
            Ok(Answer::Yes)
        }
        Verb::SignMud { file, out } => {
            let bytes = inspect::read(file)?;
            mud::conforming(&bytes)?;
            mud::write_new(out, &factory()?.sign_mud(&bytes)?)?;
            output.show_as(&serde_json::json!({ "signature": out }), || {
                format!("{}: put it beside the file, where its mud-signature says", out.display())
            })?;
            Ok(Answer::Yes)
        }
        Verb::Provision { product, dpp, count, first, lines, labels, paper } => {
            let product = Product { dpp: dpp.product()?, ..product.product() };
            let bundles = if *lines { BundleForm::Lines } else { BundleForm::File };
            let order = Order { product, count: *count, bundles };
            let factory = factory()?;
            let mut done = with_progress(output, |progress| factory.resume(progress))?;
            done.push(with_progress(output, |progress| factory.provision_from(&order, *first, progress))?);
            if let (Some(out), Some(last)) = (labels, done.last()) {
                dpp::sheets(&factory, &Which::Batch(last.batch.id.clone()), out, *paper, output)?;
            }
            provisioned(&done, output)
        }
        Verb::Labels(args) => dpp::labels(args, &factory()?, output),
        Verb::Uris(args) => dpp::uris(args, &factory()?, output),
        Verb::Resume => {
            let factory = factory()?;
            provisioned(&with_progress(output, |progress| factory.resume(progress))?, output)
        }
        Verb::Adopt { list, anchors, model, out } => {
            let bundles = elsewhere::adopt(&factory()?, list, anchors, model)?;
            elsewhere::hand_out(&bundles, out, output)
        }
        Verb::Derive { product, seeds, out } => {
            let bundles = elsewhere::derive(&factory()?, &product.product(), seeds)?;
            elsewhere::hand_out(&bundles, out, output)
        }
        Verb::Challenge { introduction, tpm_makers, proof, out } => {
            let (challenge, pending) =
                proof::verifier(tpm_makers)?.challenge(&proof::read(introduction)?, Time::now())?;
            proof::keep(proof, &pending)?;
            write(out, serde_json::to_string_pretty(&challenge)?.as_bytes())?;
            Ok(Answer::Yes)
        }
        Verb::Certify {
            product,
            dpp,
            request,
            dpp_request,
            secure_element,
            proof,
            answer,
            tpm_makers,
            own_serial,
            out,
        } => {
            let method = if *secure_element { Method::InSecureElement } else { Method::OnDevice };
            let choice = if *own_serial { Choice::Device } else { Choice::Factory };
            let product = Product { dpp: dpp.product()?, ..product.product() };
            let (factory, birth) = (factory()?, request_der(request)?);
            let bootstrapping = dpp_request.as_deref().map(request_der).transpose()?;
            let request = Request { birth: &birth, bootstrapping: bootstrapping.as_deref() };
            let bundle = match (proof, answer) {
                (Some(pending), Some(answer)) => {
                    let (pending, answer) = (proof::read(pending)?, proof::read(answer)?);
                    let proof = Proof { verifier: proof::verifier(tpm_makers)?, pending, answer };
                    factory.certify_proven(&product, request, choice, &proof)?
                }
                _ => factory.certify(&product, method, request, choice)?,
            };
            write(out, serde_json::to_string_pretty(&bundle)?.as_bytes())?;
            Ok(Answer::Yes)
        }
        Verb::Publish { service, all } if service.service.is_some() => {
            line::publish_to_service(service, *all, &place.store(server)?, output)
        }
        Verb::Publish { all, .. } => line::publish(&args.connection, *all, &place.store(server)?, output),
        Verb::Export { out, format, batch } => line::export(&factory()?, out, *format, batch.as_deref(), output),
        Verb::Manifest { verb } => line::manifest(verb, output),
        Verb::Rejects(asked) => line::rejects(&factory()?, asked, output),
        Verb::Void { serial_number, reason } => {
            let device = factory()?.void(serial_number, reason)?;
            output.show_as(&device, || {
                format!(
                    "{serial_number} is struck off; `landfall factory publish` tells the MASA, and with --service the supply \
                     chain service"
                )
            })?;
            Ok(Answer::Yes)
        }
        Verb::Firmware(verb) => firmware::run(verb, output),
        Verb::Status => status(&factory()?, output),
    }
}

impl Place {
    fn store(&self, server: &Server) -> anyhow::Result<Store> {
        let path = server.settings()?.resolve(&self.database);
        open::make_folder_of(&path)?;
        Store::sqlite_shared(&path).context("opening the factory's records")
    }

    fn factory(&self, server: &Server) -> anyhow::Result<Factory> {
        let settings = server.settings()?;
        let element = open::existing_element(&settings)?;
        let (folder, bundles) = (settings.resolve(&self.manufacturer), settings.resolve(&self.bundles));
        let factory = Factory::open(&folder, element.as_ref(), self.store(server)?, &bundles)
            .context("opening the factory; `landfall factory init` makes one")?
            .with_manifests(&settings.resolve(&self.manifests));
        Ok(match &self.station {
            Some(station) => factory.at_station(station.clone()),
            None => factory,
        })
    }
}

fn init(
    server: &Server,
    place: &Place,
    organization: &str,
    masa_names: &[String],
    masa_url: &str,
    algorithm: Algorithm,
    output: &Output,
) -> anyhow::Result<Answer> {
    let settings = server.settings()?;
    let element = open::element(&settings)?;
    let name = |name: &String| name.parse().map_or_else(|_| AltName::Dns(name.clone()), AltName::Ip);
    let new = NewManufacturer {
        organization: organization.to_owned(),
        masa_names: masa_names.iter().map(name).collect(),
        masa_url: Some(masa_url.to_owned()),
        algorithm,
    };
    let made = new.make(&settings.resolve(&place.manufacturer), element.as_ref(), Time::now())?;
    let files: Vec<_> =
        made.files.iter().map(|(file, what)| serde_json::json!({ "file": file, "what": what })).collect();
    output.show_as(&serde_json::json!({ "files": files }), || {
        let mut table = Table::new(&["file", "what"], "");
        for (file, what) in &made.files {
            table.row([file.display().to_string(), (*what).into()]);
        }
        format!("{table}\nNext: `landfall factory provision` makes devices, `landfall run masa` vouches for them.")
    })?;
    Ok(Answer::Yes)
}

/// Shows how far a batch is while `work` goes on.
fn with_progress<T, E>(output: &Output, work: impl FnOnce(&(dyn Fn(Progress) + Sync)) -> Result<T, E>) -> Result<T, E> {
    let bar: ProgressBar = output.progress(0, "devices");
    let result = work(&|progress: Progress| {
        bar.set_length(progress.of);
        bar.set_position(progress.made);
    });
    bar.finish_and_clear();
    result
}

fn provisioned(done: &[Provisioned], output: &Output) -> anyhow::Result<Answer> {
    let json: Vec<_> = done
        .iter()
        .map(|one| {
            serde_json::json!({
                "batch": one.batch.id, "folder": one.folder, "made": one.made, "found": one.found,
                "made-anew": one.made_anew, "manifest": one.manifest,
            })
        })
        .collect();
    output.show_as(&json, || match done.is_empty() {
        true => "no batch was interrupted".into(),
        false => done
            .iter()
            .map(|one| {
                let anew: Vec<String> = one.made_anew.iter().map(ToString::to_string).collect();
                let anew = match anew.is_empty() {
                    true => String::new(),
                    false => format!("; thrown away after an interruption and made anew: {}", anew.join(", ")),
                };
                let before = if one.found > 0 { format!(" ({} made before)", one.found) } else { String::new() };
                format!(
                    "batch {}: {} made{before}, bundles in {}{anew}\n",
                    one.batch.id,
                    counted(one.made, "device"),
                    one.folder.display()
                )
            })
            .collect(),
    })?;
    Ok(Answer::Yes)
}

fn status(factory: &Factory, output: &Output) -> anyhow::Result<Answer> {
    let (devices, unfinished) = (factory.store().count::<FactoryDevice>()?, factory.unfinished()?);
    let organization = &factory.manufacturer().organization;
    let names: Vec<_> = unfinished.iter().map(|batch| &batch.id).collect();
    let json = serde_json::json!({ "organization": organization, "devices": devices, "interrupted": names });
    output.show_as(&json, || {
        let batches: Vec<String> = names.iter().map(ToString::to_string).collect();
        let interrupted = match batches.is_empty() {
            true => String::new(),
            false => format!("\ninterrupted: {}; `landfall factory resume` completes them", batches.join(", ")),
        };
        format!("{organization}: {} made{interrupted}", counted(devices, "device"))
    })?;
    Ok(Answer::Yes)
}

fn request_der(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let armoured = std::str::from_utf8(&bytes).ok().filter(|text| text.contains("-----BEGIN"));
    match armoured {
        Some(text) => {
            let blocks = pem::decode(text).with_context(|| format!("reading {}", path.display()))?;
            Ok(blocks.into_iter().next().context("there is nothing in the PEM armour")?.der)
        }
        None => Ok(bytes),
    }
}

fn write(out: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if out.as_os_str() == "-" {
        return Ok(std::io::stdout().lock().write_all(bytes)?);
    }
    fs::write(out, bytes).with_context(|| format!("writing {}", out.display()))
}

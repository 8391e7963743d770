//! The command line of the agent, for its own program and for `landfall device`.

use crate::{
    Agent, Config, DeviceError, Medium, Onboarded, Outcome, Standing,
    agent::{LdevidSummary, UNDECIDED},
    attest::{attest, probe},
    birth,
    dpp::{self, cli as easy},
    posture::measure,
    request::{Wanted, introduce, prove, request},
    seed,
    update::update,
};
use clap::{Args, Subcommand};
use landfall_attest::Tier;
use landfall_brski::pledge::Progress;
use landfall_element::Exposure;
use landfall_net::http::Endpoint;
use landfall_tuf::firmware::Release;
use landfall_types::SerialNumber;
use serde::Serialize;
use serde_json::json;
use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    time::Duration,
};

/// The device's own agent: discover, onboard, renew, reset.
#[derive(Args, Clone, Debug)]
pub struct Device {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args, Clone, Debug)]
struct Options {
    /// Configuration file (TOML); flags stand above it.
    #[arg(long, global = true, value_name = "FILE", env = "LANDFALL_DEVICE_CONFIG")]
    config: Option<PathBuf>,
    /// The factory's bundle, needed at the first start.
    #[arg(long, global = true, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Where the agent keeps what it is told, and its keys.
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Leaves copies of what crossed the wire there.
    #[arg(long, global = true, value_name = "DIR")]
    evidence: Option<PathBuf>,
    /// A registrar or proxy that is known beforehand; may be given several times.
    #[arg(long, global = true, value_name = "HOST:PORT")]
    registrar: Vec<String>,
    /// Looks for announcements on this interface; may be given several times.
    #[arg(long, global = true, value_name = "NAME")]
    interface: Vec<String>,
    /// Does not look for announcements.
    #[arg(long, global = true)]
    no_discovery: bool,
    /// Says each step on standard error, even if that is no terminal.
    #[arg(long, global = true)]
    progress: bool,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// Gets a network credential, unless there is one.
    Onboard {
        /// Gives up after so many failed attempts.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        attempts: Option<u32>,
        /// Gives up after so many seconds.
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
        #[command(flatten)]
        dpp: easy::Options,
    },
    /// Says where the device stands.
    Status,
    /// Renews the network credential now.
    Renew {
        /// Keeps the key.
        #[arg(long)]
        keep_key: bool,
        /// Gives up after so many seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 120)]
        timeout: u64,
    },
    /// Goes into the network with the network credential now, as `[connect]` says.
    Connect {
        /// By itself, at a wired port: the interface, if the configuration does not name it.
        #[arg(long, value_name = "NAME", conflicts_with_all = ["control", "medium", "ssid"])]
        interface: Option<String>,
        /// Through the wpa_supplicant with this control socket, if the configuration does not name it; called like the interface.
        #[arg(long, value_name = "SOCKET")]
        control: Option<PathBuf>,
        /// What the interface is.
        #[arg(long, value_name = "MEDIUM")]
        medium: Option<Medium>,
        /// The Wi-Fi network, if it is to be that one and no other of the domain.
        #[arg(long, value_name = "NAME")]
        ssid: Option<String>,
        /// Gives up after so many seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        timeout: u64,
    },
    /// Gets other networks from the configurator that the device has its own from, by Wi-Fi Easy Connect.
    Reconfigure {
        /// A controller or relay that is known beforehand (port 8908 unless another is named); may be given several times.
        #[arg(long, value_name = "HOST[:PORT]")]
        controller: Vec<String>,
        /// Gives up after so many failed attempts.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        attempts: Option<u32>,
        /// Gives up after so many seconds.
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
    },
    /// Makes the device ready for another owner: forgets the network credential and its owner, keeps the birth credential.
    Reset,
    /// Makes the birth key in the device's element, if it is not there, and asks the factory for its certificate.
    Request {
        /// Makes the bootstrapping key for Wi-Fi Easy Connect instead, which the factory makes a URI of.
        #[arg(long)]
        dpp: bool,
        /// The serial number, if the device has one already.
        #[arg(long, value_name = "SERIAL")]
        serial_number: Option<SerialNumber>,
    },
    /// Takes in the seed that the chip's maker has for the device, from standard input: 32 octets or more. The birth key is
    /// derived from it when the bundle comes; until then the seed is sealed by the device's element.
    Seed,
    /// Shows the factory the device's TPM, for proof that the birth key lives in it.
    Introduce,
    /// Has the TPM answer the factory's challenge, for the birth key.
    Prove {
        /// What `landfall factory challenge` made.
        challenge: PathBuf,
    },
    /// Has the TPM certify the device's keys, in files that OpenSSL and tpm2-tools read.
    Attest {
        /// The folder for them.
        folder: PathBuf,
        /// What the statements shall cover beside the credentials, so that they are fresh: up to 64 octets in hexadecimal.
        #[arg(long, value_name = "HEX", default_value = "")]
        nonce: String,
    },
    /// Measures a file into the device's TPM before it is run, and writes that to the event log.
    Measure {
        /// The file.
        file: PathBuf,
        /// The PCR, of the SHA-256 bank.
        #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(0..=23))]
        pcr: u8,
        /// What the log calls it, if not by its path.
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
    },
    /// Takes the newest firmware that the device's manufacturer has signed for it, if it has not got that already, as `[update]` says:
    /// yes if it has the newest now. A device that measures what it starts is to be started again then.
    Update {
        /// From there instead: `https://` and a folder, or the file of an archive.
        #[arg(long, value_name = "PLACE")]
        from: Option<String>,
        /// Gives up after so many seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 900)]
        timeout: u64,
    },
    /// Shows the registrar what software the device runs, and says what it thinks of that: yes if it is affirmed.
    Show {
        /// Gives up after so many seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        timeout: u64,
        /// Then takes the result to the application service there, and prints what that has for the device.
        #[arg(long, value_name = "HOST:PORT")]
        to: Option<Endpoint>,
    },
    /// Writes what the device says by NFC to a configurator that it touches (negotiated handover): each has the other's key then.
    Nfc {
        /// The file to write: an NDEF message for the configurator.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Answers this Handover Request of a configurator by a Handover Select; without it, it writes a Handover Request.
        #[arg(long, value_name = "FILE")]
        answer: Option<PathBuf>,
    },
    /// Tries to take the private keys out of the device's element, as a thief with its PIN would: yes if it refuses.
    Probe,
    /// Onboards if need be, then keeps the network credential alive.
    Run,
}

/// What a command found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes: exit status 0.
    Yes,
    /// No: refused, not onboarded. Exit status 1.
    No,
    /// Neither yet: the registrar has not decided. Exit status 2.
    Undecided,
}

impl Device {
    /// Does what was asked; the answer goes to `out`, as JSON or in words, and progress to standard error if that is a
    /// terminal. Whether a program reads is for the caller to say, which declares `--json` for all that it can do.
    ///
    /// # Errors
    /// If it could not be done, which is an exit status of 2.
    pub async fn run(self, json: bool, out: &mut (dyn Write + Send)) -> Result<Verdict, DeviceError> {
        let aloud = self.options.progress || (io::stderr().is_terminal() && !json);
        let mut config = self.options.config()?;
        if let Command::Renew { keep_key: true, .. } = self.command {
            config.rekey = false;
        }
        let done = if matches!(self.command, Command::Renew { .. }) { "Renewed" } else { "Onboarded" };
        let mut watch = |progress: &Progress| narrate(progress, aloud);
        let outcome = match self.command {
            Command::Onboard { attempts, timeout, dpp } if dpp.is_wanted() => {
                dpp.apply(&mut config.dpp)?;
                let how = dpp.onboarding(attempts, timeout.map(Duration::from_secs))?;
                let end = dpp.device(config)?.onboard(&how, &|line| narrate(line, aloud)).await?;
                let (value, words, yes) = easy::answer(&end, false);
                return say(out, json, &value, &words, yes);
            }
            Command::Reconfigure { controller, attempts, timeout } => {
                config.dpp.controllers.extend(controller);
                let limit = timeout.map(Duration::from_secs);
                let how = dpp::Onboarding { attempts, limit, ..dpp::Onboarding::default() };
                let end = easy::device(config)?.reconfigure(&how, &|line| narrate(line, aloud)).await?;
                let (value, words, yes) = easy::answer(&end, true);
                return say(out, json, &value, &words, yes);
            }
            Command::Onboard { attempts, timeout, .. } => {
                Agent::open(config)?.onboard(attempts, timeout.map(Duration::from_secs), &mut watch).await?
            }
            Command::Renew { timeout, .. } => {
                Agent::open(config)?.renew(true, Some(Duration::from_secs(timeout)), &mut watch).await?
            }
            Command::Connect { interface, control, medium, ssid, timeout } => {
                let connect = &mut config.connect;
                if interface.is_some() {
                    (connect.interface, connect.control) = (interface, None);
                } else if control.is_some() {
                    (connect.interface, connect.control) = (None, control);
                }
                connect.ssid = ssid.or(connect.ssid.take());
                connect.medium = medium.unwrap_or(connect.medium);
                connect.check()?;
                let entered = Agent::open(config)?.connect(Duration::from_secs(timeout)).await?;
                return match entered {
                    Ok(shown) => {
                        let words = format!("Inside.\n{}", credential_in_words(&shown));
                        say(out, json, &json!({ "connected": true, "credential": shown }), &words, true)
                    }
                    Err(refusal) => {
                        let value = json!({ "connected": false, "refusal": refusal });
                        say(out, json, &value, &format!("Not connected: {refusal}\n"), false)
                    }
                };
            }
            Command::Status => {
                let (value, words, yes) = status(&config)?;
                return say(out, json, &value, &words, yes);
            }
            Command::Reset => {
                let forgot = reset(&config).await?;
                let words = match forgot {
                    true => "The network credential and its owner are forgotten; the birth credential stays.\n",
                    false => "There was nothing to forget.\n",
                };
                return say(out, json, &json!({ "reset": true, "forgot": forgot }), words, true);
            }
            Command::Request { dpp, serial_number } => {
                let wanted = if dpp { Wanted::Bootstrapping } else { Wanted::Birth };
                let request = request(&config, wanted, serial_number.as_ref())?;
                return say(out, json, &json!({ "request": request }), &request, true);
            }
            Command::Seed => {
                seed::take_in(&config, &mut io::stdin().lock())?;
                let words = "The seed is sealed. Destroy it wherever else it is.\n";
                return say(out, json, &json!({ "sealed": true }), words, true);
            }
            Command::Introduce => return say_json(out, &introduce(&config)?),
            Command::Prove { challenge } => {
                let content = fs::read(&challenge).map_err(DeviceError::io(&challenge))?;
                let challenge = serde_json::from_slice(&content).map_err(|e| DeviceError::file(&challenge, e))?;
                return say_json(out, &prove(&config, &challenge)?);
            }
            Command::Attest { folder, nonce } => {
                let nonce = hex::decode(&nonce).ok().filter(|nonce| nonce.len() <= 64);
                let nonce = nonce.ok_or_else(|| DeviceError::Config("the nonce is at most 64 octets in hex".into()))?;
                let keys = attest(&config, &folder, &nonce)?;
                let words: String = keys.iter().map(|key| format!("{key} is the TPM's\n")).collect();
                return say(out, json, &json!({ "folder": folder, "keys": keys }), &words, true);
            }
            Command::Measure { file, pcr, name } => {
                let event = measure(&config, pcr, &file, name.as_deref())?;
                let digest = hex::encode(event.digest);
                let value = json!({ "pcr": event.pcr, "digest": digest });
                return say(out, json, &value, &format!("PCR {}: {digest}\n", event.pcr), true);
            }
            Command::Update { from, timeout } => {
                let done = update(&config, from.as_deref(), Duration::from_secs(timeout)).await?;
                return match done {
                    Ok(updated) => {
                        let verb = if updated.new { "Updated to" } else { "Up to date:" };
                        let Release { version, sequence, .. } = &updated.release;
                        let fresh = match &updated.fresh_until {
                            Some(until) => {
                                format!("There is nothing newer until {until} or until its manufacturer says so.")
                            }
                            None => "Whether there is something newer is not known without a clock.".to_owned(),
                        };
                        let words = format!("{verb} {version} (number {sequence}), {}\n{fresh}\n", updated.digest);
                        say(out, json, &json!({ "updated": true, "result": updated }), &words, true)
                    }
                    Err(refusal) => {
                        let value = json!({ "updated": false, "refusal": refusal });
                        say(out, json, &value, &format!("Not updated: {refusal}\n"), false)
                    }
                };
            }
            Command::Show { timeout, to } => {
                let (agent, limit) = (Agent::open(config)?, Duration::from_secs(timeout));
                let shown = agent.show(limit).await?;
                if let (Ok((_, token)), Some(service)) = (&shown, &to) {
                    return match agent.apply(token, service, limit).await? {
                        Ok(given) => say(out, json, &json!({ "application": given }), &format!("{given}\n"), true),
                        Err(refusal) => {
                            let value = json!({ "refusal": refusal });
                            say(out, json, &value, &format!("The service refused: {refusal}\n"), false)
                        }
                    };
                }
                return match shown {
                    Ok((ear, token)) => {
                        let firmware = ear.firmware.as_deref().unwrap_or("not recognised");
                        let found: String =
                            ear.findings.iter().map(|(check, why)| format!("{check}: {why}\n")).collect();
                        let words = format!("{} by its {}, firmware {firmware}\n{found}", ear.tier, ear.root);
                        let value = json!({
                            "tier": ear.tier, "root": ear.root, "firmware": ear.firmware, "findings": ear.findings,
                            "until": ear.expires, "ear": token,
                        });
                        say(out, json, &value, &words, ear.tier == Tier::Affirming)
                    }
                    Err(refusal) => {
                        let value = json!({ "refusal": refusal });
                        say(out, json, &value, &format!("Nothing came of it: {refusal}\n"), false)
                    }
                };
            }
            Command::Nfc { out: path, answer } => {
                let uri = easy::device(config)?.hand_over_by_nfc(&path, answer.as_deref())?;
                let value = json!({ "file": path, "uri": uri.to_string() });
                return say(out, json, &value, &format!("{} says {uri}\n", path.display()), true);
            }
            Command::Probe => {
                let (mut kept, mut words, mut keys) = (true, String::new(), Vec::new());
                for (key, exposure) in probe(&config)? {
                    let how = match exposure {
                        Exposure::Refused(how) => how,
                        Exposure::GivenOut => {
                            kept = false;
                            "it is given out".into()
                        }
                    };
                    words.push_str(&format!("{key}: {how}\n"));
                    keys.push(json!({ "key": key, "found": how }));
                }
                return say(out, json, &json!({ "kept": kept, "keys": keys }), &words, kept);
            }
            Command::Run if is_by_easy_connect_only(&config)? => {
                let device = easy::device(config)?;
                let (how, watch) = (dpp::Onboarding::default(), |line: &str| narrate(line, aloud));
                let end = tokio::select! {
                    end = device.onboard(&how, &watch) => end?,
                    () = asked_to_stop() => return Ok(Verdict::Yes),
                };
                if let (value, words, false) = easy::answer(&end, false) {
                    return say(out, json, &value, &words, false);
                }
                return tokio::select! {
                    stayed = device.stay(&watch) => stayed.map(|()| Verdict::Yes),
                    () = asked_to_stop() => Ok(Verdict::Yes),
                };
            }
            Command::Run => {
                let agent = Agent::open(config)?;
                tokio::select! {
                    refusal = agent.run(&mut watch) => Outcome::Refused(refusal?),
                    () = asked_to_stop() => return Ok(Verdict::Yes),
                }
            }
        };
        match outcome {
            Outcome::Onboarded(result) => {
                let value = serde_json::to_value(&*result).unwrap_or_default();
                say(out, json, &json!({ "onboarded": true, "result": value }), &done_in_words(done, &result), true)
            }
            Outcome::Refused(refusal) => {
                let undecided = refusal.check == UNDECIDED;
                let value = json!({ "onboarded": false, "undecided": undecided, "refusal": refusal });
                let words = if undecided { "Not onboarded yet" } else { "Not onboarded" };
                let said = say(out, json, &value, &format!("{words}: {refusal}\n"), false)?;
                Ok(if undecided { Verdict::Undecided } else { said })
            }
        }
    }
}

impl Options {
    fn config(&self) -> Result<Config, DeviceError> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        config.bundle = self.bundle.clone().or(config.bundle);
        config.state = self.state.clone().unwrap_or(config.state);
        config.evidence = self.evidence.clone().or(config.evidence);
        let discovery = &mut config.discovery;
        discovery.registrars.extend(self.registrar.iter().cloned());
        discovery.interfaces.extend(self.interface.iter().cloned());
        if self.no_discovery {
            (discovery.mdns, discovery.grasp) = (false, false);
        }
        Ok(config)
    }
}

/// Where the device stands by each protocol that it was made for.
fn status(config: &Config) -> Result<(serde_json::Value, String, bool), DeviceError> {
    let easy = dpp::Device::open(config.clone())?.map(|device| device.standing()).transpose()?;
    let (mut value, mut words, mut valid) = match (&easy, birth::is_of_brski(config)?) {
        (Some(easy), false) => {
            let (serial_number, model) = (&easy.serial_number, &easy.model);
            (json!({ "serial-number": serial_number, "model": model }), String::new(), false)
        }
        _ => {
            let standing = Agent::open(config.clone())?.standing()?;
            (serde_json::to_value(&standing).unwrap_or_default(), in_words(&standing), standing.valid)
        }
    };
    if let (Some(easy), Some(members)) = (easy, value.as_object_mut()) {
        valid |= easy.valid;
        members.insert("valid".into(), valid.into());
        members.insert("dpp".into(), serde_json::to_value(&easy).unwrap_or_default());
        words += &easy::in_words(&easy);
    }
    Ok((value, words, valid))
}

/// Whether the device has nothing to do with registrars: it was not made for them, or came in by Wi-Fi Easy Connect alone.
fn is_by_easy_connect_only(config: &Config) -> Result<bool, DeviceError> {
    if !birth::is_of_brski(config)? {
        return Ok(true);
    }
    match dpp::Device::open(config.clone())? {
        Some(device) if !device.standing()?.networks.is_empty() => {
            Ok(Agent::open(config.clone())?.standing()?.credential.is_none())
        }
        _ => Ok(false),
    }
}

/// Forgets what the device got by each protocol.
async fn reset(config: &Config) -> Result<bool, DeviceError> {
    let easy = match dpp::Device::open(config.clone())? {
        Some(device) => Some(device.reset().await?),
        None => None,
    };
    match (easy, birth::is_of_brski(config)?) {
        (Some(forgot), false) => Ok(forgot),
        (easy, _) => Ok(Agent::open(config.clone())?.reset().await? | easy.unwrap_or_default()),
    }
}

/// Progress is for people: on a terminal, and not when the answer is for programs.
fn narrate(progress: impl std::fmt::Display, aloud: bool) {
    if aloud {
        // A terminal that has gone away is no reason to stop.
        let _ = writeln!(io::stderr(), "  {progress}");
    }
}

fn say(
    out: &mut (dyn Write + Send),
    json: bool,
    value: &serde_json::Value,
    words: &str,
    yes: bool,
) -> Result<Verdict, DeviceError> {
    let written = match json {
        true => writeln!(out, "{value:#}"),
        false => write!(out, "{words}"),
    };
    // Whoever closed the pipe has read enough.
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(DeviceError::io("standard output")(error)),
        _ => Ok(if yes { Verdict::Yes } else { Verdict::No }),
    }
}

/// What programs alone read.
fn say_json(out: &mut (dyn Write + Send), value: &impl Serialize) -> Result<Verdict, DeviceError> {
    let value = serde_json::to_value(value).map_err(|e| DeviceError::Defect(e.to_string()))?;
    say(out, true, &value, "", true)
}

fn done_in_words(verb: &str, done: &Onboarded) -> String {
    let first = match done {
        Onboarded { before: true, .. } => "Onboarded already.".to_owned(),
        Onboarded { attempts, took_ms, .. } => {
            let plural = if *attempts == 1 { "" } else { "s" };
            format!("{verb} in {took_ms} ms with {attempts} connection{plural}.")
        }
    };
    let told = match done.reported {
        true => "",
        false => "The registrar could not be told; the next start tries again.\n",
    };
    format!("{first}\n{told}{}", credential_in_words(&done.credential))
}

fn credential_in_words(credential: &LdevidSummary) -> String {
    let LdevidSummary { subject, issuer, not_before, not_after, key, registrar, address, pinned, .. } = credential;
    format!(
        "  LDevID     {subject}\n  issuer     {issuer}\n  valid      {not_before} to {not_after}\n  key        {key}\n  \
         registrar  {registrar} at {address}\n  pinned     {pinned}\n"
    )
}

fn in_words(standing: &Standing) -> String {
    let Standing { serial_number, model, manufacturer, idevid_key, credential, valid } = standing;
    let device =
        format!("{serial_number} ({model})\n  IDevID     issued by {manufacturer}\n  key        {idevid_key}\n");
    match credential {
        None => format!("{device}Not onboarded.\n"),
        Some(credential) => {
            let validity = if *valid { "Onboarded." } else { "Onboarded, but the LDevID is not valid now." };
            format!("{device}{validity}\n{}", credential_in_words(credential))
        }
    }
}

async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        },
        _ => std::future::pending().await,
    }
}

/// Says on standard error why something could not be done.
pub fn complain(error: &DeviceError, json: bool) {
    let _ = match json {
        true => writeln!(io::stderr(), "{}", json!({ "error": error.to_string() })),
        false => writeln!(io::stderr(), "landfall-device: {error}"),
    };
}

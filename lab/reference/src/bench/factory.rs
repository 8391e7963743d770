//! How fast a factory makes devices, beside what their keys and signatures alone cost, and what these and the disk do; and
//! with keys in a TPM, beside what its commands alone cost.

mod ground;

use super::load::{cpu_time, resident_kib};
use crate::{peers::program, port::free_port};
use anyhow::{Context, Result, bail, ensure};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use landfall_element::{MemoryElement, SecureElement};
use landfall_lifecycle::factory::{BundleForm, FactoryDevice, Method, Product, SerialScheme};
use landfall_pki::{Algorithm, CsrRequest, Name};
use landfall_server::factory::{Choice, Factory, NewManufacturer, Order, Progress};
use landfall_store::Store;
use landfall_tpm::TpmElement;
use landfall_types::Time;
use serde::Serialize;
use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    num::NonZero,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long the floor is measured, before the devices are made and afterwards.
const FLOOR: Duration = Duration::from_secs(1);
/// What is signed: as long as the certificate of a device.
const CERTIFICATE: usize = 400;
/// How many devices with TPMs are in the making at the same time.
const STATIONS: [u32; 2] = [1, 4];
/// The most devices for which the ground is measured.
const GROUND: u64 = 20_000;
/// How often memory is looked at.
const LOOKS: u64 = 10;

/// What making devices with keys in software cost.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// How many devices were made, each with a durable record and a bundle.
    pub devices: u64,
    /// In what files the bundles are.
    pub bundles: BundleForm,
    /// How many threads made them.
    pub threads: usize,
    /// Devices a second.
    pub rate: f64,
    /// Keys and signatures a second, one of each for a device, on as many threads.
    pub floor_rate: f64,
    /// The first over the second.
    pub ratio: f64,
    /// CPU time of each device, in microseconds.
    pub cpu_us: f64,
    /// The same with a key, a signature, the bundle's octets and a row for each, and nothing of Landfall.
    pub ground: Bare,
    /// The size of the database, in MiB.
    pub database_mib: f64,
    /// Memory while they were made, in MiB: after how many devices, and how much.
    pub memory: Vec<(u64, f64)>,
}

/// What so many devices cost with nothing of Landfall in them.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Bare {
    /// Devices a second.
    pub rate: f64,
    /// CPU time of each, in microseconds.
    pub cpu_us: f64,
}

/// What making devices with keys in a TPM cost.
#[derive(Clone, Debug, Serialize)]
pub struct TpmMeasured {
    /// How many devices were made.
    pub devices: u32,
    /// How many were in the making at the same time: one of them has the TPM, and others wait for the disk.
    pub stations: u32,
    /// Devices a second.
    pub rate: f64,
    /// TPM commands for each.
    pub commands: f64,
    /// Milliseconds from one device to the next.
    pub device_ms: f64,
    /// Milliseconds of these in which the TPM was at work.
    pub tpm_ms: f64,
    /// What came on top of that, over that.
    pub overhead: f64,
    /// Milliseconds from one device to the next with the same commands over as many connections, a durable file and a
    /// durable row, and nothing of Landfall.
    pub ground_ms: f64,
}

/// Makes `count` devices in `folder`, which is left full of them.
pub fn measure(folder: &Path, count: u32, bundles: BundleForm, progress: &(dyn Fn(u64) + Sync)) -> Result<Measured> {
    let factory = factory(folder)?;
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let before = floor(threads)?;
    let order = Order { product: product()?, count: NonZero::new(count).context("no devices")?, bundles };
    let memory = Mutex::new(Vec::new());
    let step = (u64::from(count) / LOOKS).max(1);
    let next = AtomicU64::new(step);
    let look = |done: Progress| {
        progress(done.made);
        let due = next.load(Ordering::Relaxed);
        if done.made >= due && next.compare_exchange(due, due + step, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            memory.lock().unwrap_or_else(PoisonError::into_inner).push((done.made, resident_kib() as f64 / 1024.0));
        }
    };
    let (begun, cpu) = (Instant::now(), cpu_time());
    let made = factory.provision(&order, &look)?;
    let (took, cpu) = (begun.elapsed(), cpu_time().saturating_sub(cpu));
    ensure!(made.made == u64::from(count), "{} devices made", made.made);
    ensure!(factory.store().count::<FactoryDevice>()? == u64::from(count), "devices are missing");
    let floor_rate = f64::midpoint(before, floor(threads)?);
    let rate = f64::from(count) / took.as_secs_f64();
    let sizes = sizes(&factory, &made.folder)?;
    // As many threads as the factory has: while some wait for the disk, others go on.
    let ground = ground::software(&folder.join("ground"), u64::from(count).min(GROUND), 2 * threads, bundles, sizes)?;
    Ok(Measured {
        devices: u64::from(count),
        bundles,
        threads,
        rate,
        floor_rate,
        ratio: rate / floor_rate,
        cpu_us: cpu.as_secs_f64() * 1e6 / f64::from(count),
        ground,
        database_mib: fs::metadata(folder.join("factory.db"))?.len() as f64 / 1_048_576.0,
        memory: memory.into_inner().unwrap_or_else(PoisonError::into_inner),
    })
}

fn factory(folder: &Path) -> Result<Factory> {
    let (home, element) = (folder.join("manufacturer"), MemoryElement::new());
    let new = NewManufacturer {
        organization: "Bench".into(),
        masa_names: Vec::new(),
        masa_url: Some("masa.example:9443".into()),
        algorithm: Algorithm::EcdsaP256,
    };
    new.make(&home, &element, Time::now())?;
    let store = Store::sqlite_shared(folder.join("factory.db"))?;
    Ok(Factory::open(&home, &element, store, &folder.join("bundles"))?)
}

/// What stands on the disk of the first device that was made.
fn sizes(factory: &Factory, bundles: &Path) -> Result<ground::Sizes> {
    let device = factory.store().scan::<FactoryDevice>(None, 1)?.pop().context("there is no device")?.record;
    let (alone, first) = (format!("{}.json", device.serial_number), format!("{}.jsonl", device.serial_number));
    let bundle = match fs::metadata(bundles.join(alone)) {
        Ok(file) => usize::try_from(file.len())?,
        Err(_) => fs::read(bundles.join(first))?.iter().position(|octet| *octet == b'\n').context("no line")? + 1,
    };
    Ok(ground::Sizes { bundle, record: serde_json::to_vec(&device)?.len() })
}

fn product() -> Result<Product> {
    Ok(Product {
        model: "BENCH-1".parse()?,
        serials: SerialScheme { prefix: "B".into(), digits: 8 },
        algorithm: Algorithm::EcdsaP256,
        masa_url: None,
        mud_url: None,
        dpp: None,
    })
}

/// How many keys are made and certificates signed a second, on so many threads and with nothing around them.
fn floor(threads: usize) -> Result<f64> {
    let (done, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let begun = Instant::now();
    let one = || {
        let random = SystemRandom::new();
        let Ok(issuer) = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING) else { return };
        while begun.elapsed() < FLOOR {
            let made = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING);
            match made.is_ok() && issuer.sign(&random, &[7; CERTIFICATE]).is_ok() {
                true => done.fetch_add(1, Ordering::Relaxed),
                false => return failed.store(true, Ordering::Relaxed),
            };
        }
    };
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(one))));
    ensure!(!failed.into_inner(), "a key or a signature failed while it was being measured");
    Ok(done.into_inner() as f64 / begun.elapsed().as_secs_f64())
}

/// The same for devices with keys in a TPM, which swtpm simulates: key, request, IDevID, durable record. Nothing if it is
/// not installed.
pub fn measure_tpm(folder: &Path, count: u32, progress: &(dyn Fn(u64) + Sync)) -> Result<Option<Vec<TpmMeasured>>> {
    ensure!(count > 0, "there is nothing to measure");
    let Some(tpm) = Simulator::start(folder)? else { return Ok(None) };
    let relay = Relay::start(tpm.port)?;
    let factory = factory(folder)?;
    let uri = format!("tpm:swtpm:host=127.0.0.1,port={}", relay.port);
    let element = TpmElement::from_uri(&uri, &folder.join("device"))?;
    let product = product()?;
    let make = |number: u64| -> Result<()> {
        let key = element.generate(&format!("birth-{number}"), Algorithm::EcdsaP256)?;
        let signer = element.signer(&key)?;
        let request = CsrRequest::new(Name::common("BENCH-1")).prepare(signer.public_key(), signer.algorithm())?;
        let request = request.issue(&*signer)?;
        factory.certify(&product, Method::InSecureElement, request.der(), Choice::Factory)?;
        progress(number);
        Ok(())
    };
    // The storage key is made at the first use.
    make(0)?;
    relay.listen();
    make(1)?;
    let asked = relay.heard();
    let next = AtomicU64::new(2);
    let measured = STATIONS.into_iter().map(|stations| {
        relay.spent.store(0, Ordering::Relaxed);
        relay.commands.store(0, Ordering::Relaxed);
        let end = next.load(Ordering::Relaxed) + u64::from(count);
        let station = || -> Result<()> {
            loop {
                match next
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |number| (number < end).then_some(number + 1))
                {
                    Ok(number) => make(number)?,
                    Err(_) => return Ok(()),
                }
            }
        };
        let begun = Instant::now();
        thread::scope(|scope| {
            let at_work: Vec<_> = (0..stations).map(|_| scope.spawn(station)).collect();
            at_work.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_| bail!("a station panicked")))
        })?;
        let took = begun.elapsed().as_secs_f64() * 1000.0 / f64::from(count);
        let tpm_ms = relay.spent.load(Ordering::Relaxed) as f64 / 1e6 / f64::from(count);
        let commands = relay.commands.load(Ordering::Relaxed) as f64 / f64::from(count);
        let ground_ms = ground::tpm(&folder.join(format!("ground-{stations}")), relay.port, &asked, count, stations)?;
        Ok(TpmMeasured {
            devices: count,
            stations,
            rate: 1000.0 / took,
            commands,
            device_ms: took,
            tpm_ms,
            overhead: took / tpm_ms - 1.0,
            ground_ms,
        })
    });
    measured.collect::<Result<_>>().map(Some)
}

/// A swtpm, which ends with it.
struct Simulator {
    child: Child,
    port: u16,
}

impl Simulator {
    fn start(folder: &Path) -> Result<Option<Self>> {
        let Some(swtpm) = program("swtpm") else { return Ok(None) };
        let state = folder.join("tpm");
        fs::create_dir_all(&state)?;
        let port = free_port()?;
        let mut command = Command::new(swtpm);
        command.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--server"]);
        command.arg(format!("type=tcp,port={port},bindaddr=127.0.0.1"));
        command.arg("--tpmstate").arg(format!("dir={}", state.display()));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let started = Self { child, port };
        for _ in 0..1000 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(Some(started));
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("swtpm does not listen")
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Stands before the TPM and counts how long its answers take; and writes down what it is asked, while it is to.
struct Relay {
    port: u16,
    spent: Arc<AtomicU64>,
    commands: Arc<AtomicU64>,
    asked: Arc<Mutex<Option<ground::Conversation>>>,
}

impl Relay {
    fn start(tpm: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let relay = Self {
            port: listener.local_addr()?.port(),
            spent: Arc::default(),
            commands: Arc::default(),
            asked: Arc::default(),
        };
        let (spent, commands, asked) = (relay.spent.clone(), relay.commands.clone(), relay.asked.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Whoever hung up has its answer.
                let _ = serve(client, tpm, &spent, &commands, &asked);
            }
        });
        Ok(relay)
    }

    fn listen(&self) {
        *held(&self.asked) = Some(Vec::new());
    }

    fn heard(&self) -> ground::Conversation {
        held(&self.asked).take().unwrap_or_default()
    }
}

fn held(asked: &Mutex<Option<ground::Conversation>>) -> MutexGuard<'_, Option<ground::Conversation>> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(
    mut client: TcpStream,
    tpm: u16,
    spent: &AtomicU64,
    commands: &AtomicU64,
    asked: &Mutex<Option<ground::Conversation>>,
) -> std::io::Result<()> {
    if let Some(asked) = &mut *held(asked) {
        asked.push(Vec::new());
    }
    let mut tpm = TcpStream::connect((Ipv4Addr::LOCALHOST, tpm))?;
    client.set_nodelay(true)?;
    tpm.set_nodelay(true)?;
    loop {
        let command = message(&mut client)?;
        if let Some(asked) = held(asked).as_mut().and_then(|asked| asked.last_mut()) {
            asked.push(command.clone());
        }
        let begun = Instant::now();
        tpm.write_all(&command)?;
        let answer = message(&mut tpm)?;
        spent.fetch_add(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        commands.fetch_add(1, Ordering::Relaxed);
        client.write_all(&answer)?;
    }
}

/// A command or an answer: tag, size, the rest (TPM 2.0 part 1, s18).
fn message(from: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; 10];
    from.read_exact(&mut message)?;
    let size = message.get(2..6).and_then(|size| size.try_into().ok()).map_or(0, u32::from_be_bytes);
    message.resize(usize::try_from(size).unwrap_or(0).clamp(10, 8192), 0);
    from.read_exact(message.get_mut(10..).unwrap_or_default())?;
    Ok(message)
}

/// What was measured, for a terminal.
pub fn text(measured: &Measured) -> String {
    let Measured { devices, bundles, threads, rate, floor_rate, ratio, cpu_us, ground, database_mib, memory } =
        measured;
    let each = match bundles {
        BundleForm::File => "a file",
        BundleForm::Lines => "a line of a file",
    };
    let mut text = format!(
        "{devices} devices on {threads} threads: {rate:.0} a second, {cpu_us:.0} µs of CPU each.\n\
         Their keys and one signature each, alone: {floor_rate:.0} a second. The ratio is {ratio:.2}.\n\
         The ground, these with {each} and a row of the same size each: {:.0} a second, {:.0} µs of CPU each. \
         The ratio to it is {:.2}.\n\
         The database has {database_mib:.0} MiB. Memory:",
        ground.rate,
        ground.cpu_us,
        rate / ground.rate,
    );
    for (devices, mib) in memory {
        let _ = write!(text, " {mib:.0} MiB after {devices},");
    }
    text.truncate(text.trim_end_matches(',').len());
    text
}

/// The same with a TPM.
pub fn tpm_text(measured: &[TpmMeasured]) -> String {
    let lines = measured.iter().map(|measured| {
        let TpmMeasured { devices, stations, rate, commands, device_ms, tpm_ms, overhead, ground_ms } = measured;
        format!(
            "{devices} devices with keys in a TPM, {stations} at the same time: {rate:.1} a second.\n\
             {device_ms:.2} ms each, of which the TPM takes {tpm_ms:.2} ms for {commands:.1} commands. \
             On top of that come {:.1} %.\n\
             The ground, the same commands and connections with a durable file and a durable row: {ground_ms:.2} ms each. \
             On top of it come {:.1} %.",
            overhead * 100.0,
            (device_ms / ground_ms - 1.0) * 100.0
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_that_is_measured_is_made() {
        for bundles in [BundleForm::File, BundleForm::Lines] {
            let folder = tempfile::tempdir().unwrap();
            let measured = measure(folder.path(), 600, bundles, &|_| ()).unwrap();
            assert_eq!(measured.devices, 600);
            assert!(measured.ratio > 0.0 && measured.ground.rate > 0.0 && !measured.memory.is_empty());
            assert!(text(&measured).contains("600 devices"));
        }
    }

    #[test]
    fn a_tpm_is_measured_where_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        match measure_tpm(folder.path(), 2, &|_| ()).unwrap() {
            Some(measured) => {
                assert_eq!(measured.len(), STATIONS.len());
                assert!(
                    measured.iter().all(|one| one.tpm_ms > 0.0 && one.ground_ms > 0.0 && one.commands >= 2.0),
                    "{measured:?}"
                );
            }
            None => println!("SKIPPED: swtpm is not installed"),
        }
    }
}

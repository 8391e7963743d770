//! What devices cost below Landfall, measured in the same run: keys, signatures, files, rows and TPM commands of the same
//! number and size, with no certificate made or judged, and nothing checked.

use super::{Bare, CERTIFICATE, message};
use crate::bench::load::cpu_time;
use anyhow::{Context, Result, bail, ensure};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use landfall_lifecycle::factory::BundleForm;
use rusqlite::Connection;
use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

/// How many devices share a transaction and a wait for the disk, as in the factory.
const CHUNK: u64 = 512;
/// How large a key is that a TPM has wrapped.
const WRAPPED_KEY: usize = 256;

/// What stands on the disk of each device, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) bundle: usize,
    pub(super) record: usize,
}

/// Makes a key, a signature, a row, and a file or a line of one, for each of `count` devices on so many threads.
pub(super) fn software(folder: &Path, count: u64, threads: usize, form: BundleForm, sizes: Sizes) -> Result<Bare> {
    fs::create_dir(folder)?;
    let (rows, disk) = (Rows::create(folder)?, File::open(folder)?);
    let (bundle, record) = (vec![b'x'; sizes.bundle], vec![b'x'; sizes.record]);
    let next = AtomicU64::new(0);
    let station = || -> Result<()> {
        let random = SystemRandom::new();
        let issuer = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
        loop {
            let first = next.fetch_add(CHUNK, Ordering::Relaxed);
            let names = (first..count.min(first.saturating_add(CHUNK))).map(|number| format!("{number:010}"));
            let names: Vec<String> = names.collect();
            if names.is_empty() {
                return Ok(());
            }
            let staging = folder.join(format!(".staged-{first}"));
            let mut lines = match form {
                BundleForm::File => fs::create_dir(&staging).map(|()| None)?,
                BundleForm::Lines => Some(BufWriter::new(File::create(&staging)?)),
            };
            for name in &names {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
                issuer.sign(&random, &[7; CERTIFICATE])?;
                match &mut lines {
                    None => fs::write(staging.join(name), &bundle)?,
                    Some(lines) => lines.write_all(&bundle)?,
                }
            }
            match lines {
                None => rustix::fs::syncfs(&disk)?,
                Some(lines) => lines.into_inner()?.sync_all().and_then(|()| disk.sync_all())?,
            }
            rows.insert(&names, &record)?;
            match form {
                BundleForm::File => {
                    names.iter().try_for_each(|name| fs::rename(staging.join(name), folder.join(name)))?;
                }
                BundleForm::Lines => fs::rename(&staging, folder.join(first.to_string()))?,
            }
        }
    };
    let (begun, cpu) = (Instant::now(), cpu_time());
    thread::scope(|scope| {
        let at_work: Vec<_> = (0..threads).map(|_| scope.spawn(station)).collect();
        at_work.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_| bail!("a thread panicked")))
    })?;
    let (took, cpu) = (begun.elapsed(), cpu_time().saturating_sub(cpu));
    Ok(Bare { rate: count as f64 / took.as_secs_f64(), cpu_us: cpu.as_secs_f64() * 1e6 / count as f64 })
}

/// What one device asked of its TPM: the commands of each connection.
pub(super) type Conversation = Vec<Vec<Vec<u8>>>;

/// Asks the TPM at that port the same `count` times, from so many threads, with a durable file and a durable row each; how
/// many milliseconds from one to the next.
pub(super) fn tpm(folder: &Path, port: u16, asked: &Conversation, count: u32, stations: u32) -> Result<f64> {
    fs::create_dir(folder)?;
    let (rows, disk, next) = (Rows::create(folder)?, File::open(folder)?, AtomicU64::new(0));
    let station = || -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= u64::from(count) {
                return Ok(());
            }
            for commands in asked {
                repeat(port, commands)?;
            }
            let (name, draft) = (format!("{number:010}"), folder.join(format!("{number}.draft")));
            let mut file = File::create(&draft)?;
            file.write_all(&[b'x'; WRAPPED_KEY])?;
            file.sync_all()?;
            fs::rename(&draft, folder.join(&name))?;
            disk.sync_all()?;
            rows.insert(&[name], &[b'x'; CERTIFICATE])?;
        }
    };
    let begun = Instant::now();
    thread::scope(|scope| {
        let at_work: Vec<_> = (0..stations).map(|_| scope.spawn(station)).collect();
        at_work.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_| bail!("a station panicked")))
    })?;
    Ok(begun.elapsed().as_secs_f64() * 1000.0 / f64::from(count))
}

fn repeat(port: u16, commands: &[Vec<u8>]) -> Result<()> {
    let mut tpm = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    tpm.set_nodelay(true)?;
    for command in commands {
        tpm.write_all(command)?;
        let answer = message(&mut tpm)?;
        // TPM 2.0 part 1 s18.4: zero is success.
        let code = answer.get(6..10).context("a TPM's answer is too short")?;
        ensure!(code == [0; 4], "the TPM does not do again what it did before: {}", hex::encode(code));
    }
    Ok(())
}

/// A table in SQLite, set up as the factory's database is.
struct Rows(Mutex<Connection>);

impl Rows {
    fn create(folder: &Path) -> Result<Self> {
        let connection = Connection::open(folder.join("rows.db"))?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
             PRAGMA cache_size = -16000; CREATE TABLE device (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;",
        )?;
        Ok(Self(Mutex::new(connection)))
    }

    /// Durable when it returns.
    fn insert(&self, names: &[String], value: &[u8]) -> Result<()> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction()?;
        for name in names {
            transaction.prepare_cached("INSERT INTO device VALUES (?1, ?2)")?.execute((name, value))?;
        }
        Ok(transaction.commit()?)
    }
}

//! A factory that is killed loses no device and makes none twice.

use super::{Place, bundles, logged, order, product, quietly};
use landfall_lifecycle::factory::{Batch, BundleForm, FactoryDevice};
use landfall_server::factory::{Factory, Order, Progress};
use landfall_store::Store;
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const FOLDER: &str = "LANDFALL_TEST_FACTORY";
/// Set if the bundles are to be lines.
const LINES: &str = "LANDFALL_TEST_LINES";
const DEVICES: u32 = 8192;
/// How many chunks of devices that is, and so how often the child tells its progress.
const STEPS: u64 = 16;
const KILLS: usize = 4;

fn open(folder: &Path) -> Factory {
    let store = Store::sqlite(folder.join("records")).unwrap();
    Factory::open(&folder.join("manufacturer"), &super::element(folder), store, &folder.join("bundles")).unwrap()
}

/// The child: makes a batch, or goes on with the one that was interrupted.
#[test]
#[ignore = "the other test runs this in a process of its own, and kills it"]
fn makes_devices_until_killed() {
    let folder = PathBuf::from(std::env::var(FOLDER).expect("run by the other test"));
    let factory = open(&folder);
    let progress = |_| {
        let mut out = std::io::stdout().lock();
        out.write_all(b"\nchunk\n").and_then(|()| out.flush()).unwrap();
    };
    progress(Progress { made: 0, of: 0 });
    let bundles = if std::env::var_os(LINES).is_some() { BundleForm::Lines } else { BundleForm::File };
    go_on(&factory, bundles, &progress);
}

/// Goes on with the batch; begins it if a kill came before it was planned.
fn go_on(factory: &Factory, bundles: BundleForm, progress: &(dyn Fn(Progress) + Sync)) {
    match factory.store().scan::<Batch>(None, 1).unwrap().is_empty() {
        true => drop(factory.provision(&Order { bundles, ..order(DEVICES) }, progress).unwrap()),
        false => assert!(factory.resume(progress).unwrap().len() <= 1),
    }
}

#[test]
fn a_batch_survives_kills() {
    survives(BundleForm::File);
}

#[test]
fn a_batch_in_lines_survives_kills() {
    survives(BundleForm::Lines);
}

fn survives(form: BundleForm) {
    let seed = std::env::var("LANDFALL_SEED").ok().map(|seed| seed.parse().expect("LANDFALL_SEED is a number"));
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos()));
    println!("LANDFALL_SEED={seed}");
    let place = Place::new();
    let folder = place.folder.path();
    for kill in 0..KILLS {
        // Somewhere in the first quarter of what is left, so that something is left for the next.
        run_and_kill(folder, form, 1 + (seed >> (8 * kill)) % (STEPS / 4));
    }
    let factory = open(folder);
    go_on(&factory, form, &quietly);
    assert_eq!(factory.unfinished().unwrap(), []);

    let devices = factory.store().scan::<FactoryDevice>(None, usize::MAX).unwrap();
    let planned: BTreeSet<_> = (1..=u64::from(DEVICES)).map(|n| product().serials.serial(n).unwrap()).collect();
    assert_eq!(devices.iter().map(|device| device.serial_number.clone()).collect::<BTreeSet<_>>(), planned);
    let mut logged = logged(factory.store());
    logged.sort();
    assert!(logged.into_iter().eq(planned), "each device is in the log once");
    let batches = factory.store().scan::<Batch>(None, 2).unwrap();
    assert_eq!(batches.len(), 1);
    let bundles = bundles(&folder.join("bundles").join(batches[0].id.as_str()));
    let handed_out: BTreeSet<_> = bundles.iter().map(|bundle| bundle.idevid.clone()).collect();
    let recorded: BTreeSet<_> = devices.iter().map(|device| device.idevid.clone()).collect();
    assert_eq!(handed_out.len(), DEVICES as usize);
    assert!(handed_out == recorded, "what was handed out is what is on record");
}

/// Lets a child work until it has told so many steps, and kills it.
fn run_and_kill(folder: &Path, form: BundleForm, steps: u64) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "factory::crash::makes_devices_until_killed", "--nocapture"]);
    if form == BundleForm::Lines {
        child.env(LINES, "");
    }
    let mut child = child.env(FOLDER, folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    for _ in 0..steps {
        assert!(lines.any(|line| line == "chunk"), "the child ended by itself");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

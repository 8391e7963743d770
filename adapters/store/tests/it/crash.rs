//! A process that is killed while it commits loses nothing that it acknowledged.

use crate::thing::{Thing, thing};
use landfall_store::Store;
use landfall_types::Changes;
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::Arc,
};

const PATH: &str = "LANDFALL_TEST_CRASH_STORE";
const ROUNDS: usize = 8;
const TASKS: u64 = 16;

/// The child: commits for ever, and writes the key of each commit that it was told is durable.
#[test]
#[ignore = "the other test runs this in a process of its own, and kills it"]
fn commits_until_killed() {
    let path = std::env::var(PATH).expect("run by the other test");
    let store = Store::sqlite(path).unwrap();
    let start = store.count::<Thing>().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let output = Arc::new(std::sync::Mutex::new(std::io::stdout()));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (store, output) = (store.clone(), Arc::clone(&output));
            runtime.spawn(async move {
                for n in 0.. {
                    let key = format!("{start}-{task}-{n}");
                    let record = thing(&key, &["red"], n);
                    let changes = Changes::new().insert(&record).unwrap().append("diary", &key).unwrap();
                    store.commit(changes).await.unwrap();
                    let mut output = output.lock().unwrap();
                    writeln!(output, "durable {key}").unwrap();
                    output.flush().unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let mut random = Random::seeded();
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("store");
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        let lines = 1 + random.below(400);
        acknowledged.extend(run_and_kill(&path, lines));
        let store = Store::sqlite(&path).unwrap();
        let head = store.verify_log("diary").unwrap();
        assert_eq!(store.count::<Thing>().unwrap(), head.seq, "round {round}");
        assert_eq!(store.count_by::<Thing>("colour", "red").unwrap(), head.seq, "round {round}");
        for key in &acknowledged {
            assert!(store.find::<Thing>(key).unwrap().is_some(), "round {round}: {key} is lost");
        }
    }
    assert!(acknowledged.len() >= ROUNDS);
}

/// What the child acknowledged before it was killed, which is after `lines` lines, in the middle of whatever it does.
fn run_and_kill(path: &std::path::Path, lines: u64) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "crash::commits_until_killed", "--nocapture"])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    // A line may be cut in two by the kill, and then it is not one that we know to be complete.
    let mut killed = false;
    for line in output.split(b'\n').map(|line| String::from_utf8(line.unwrap()).unwrap()) {
        let complete = |key: &&str| key.split('-').count() == 3 && !killed;
        acknowledged.extend(line.strip_prefix("durable ").filter(complete).map(str::to_owned));
        if !killed && acknowledged.len() as u64 >= lines {
            child.kill().unwrap();
            killed = true;
        }
    }
    assert!(killed, "the child ended by itself");
    child.wait().unwrap();
    acknowledged
}

/// SplitMix64, seeded from `LANDFALL_SEED` or the clock; the seed is printed.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let given = std::env::var("LANDFALL_SEED").ok().map(|seed| seed.parse().expect("LANDFALL_SEED is a number"));
        let clock = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        let seed = given.unwrap_or_else(clock);
        println!("LANDFALL_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}

//! Elements that are unplugged, full or reset, and devices that are killed or have no room, in the middle of their birth and
//! of onboarding: what is said is clear, and no device is left half provisioned.

use crate::{
    ground::{Ground, Role},
    hardware::{Device, wrapped_keys},
    survives::seed,
};
use landfall_testkit::{Rng, Running, Swtpm, skip};
use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Stdio},
    time::Duration,
};

/// A device with a TPM that the owner has bought, and whose factory certified the key in it.
fn sold<'a>(ground: &'a Ground, name: &str, tpm: &Swtpm) -> Device<'a> {
    let device = Device::new(ground, name, &format!("tpm:{}", tpm.tcti()));
    device.writes(&["request"], "device.csr");
    device.certified_with_proof(&tpm.maker()).unwrap();
    let _masa = ground.serve(Role::Masa);
    ground.does(Role::Masa, &["factory", "publish"]);
    ground.does(Role::Masa, &["transfer", "sale", "--to", "owner", &device.serial_number()]);
    device
}

fn agent(device: &Device<'_>, arguments: &[&str]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    command.args(["device", "--config", &device.file("device.toml")]).args(arguments).current_dir(&device.folder);
    Running::start(command.stderr(Stdio::null()))
}

/// How long an interruption is waited for: up to so many milliseconds, and half as many after each that came too late.
struct Moment(u64);

impl Moment {
    fn wait(&self, rng: &mut Rng) {
        std::thread::sleep(Duration::from_millis(rng.below(self.0)));
    }

    fn came(&mut self, in_time: bool) -> usize {
        if !in_time {
            self.0 = (self.0 / 2).max(1);
        }
        usize::from(in_time)
    }
}

/// A bus without a resource manager keeps what a killed program had loaded, until the power goes.
fn power_cycle(tpm: &mut Swtpm) {
    tpm.power_off();
    tpm.power_on();
}

#[test]
fn a_tpm_that_is_unplugged_in_the_middle_leaves_no_half_provisioned_device() {
    let Some(mut tpm) = Swtpm::new() else { return };
    let (ground, seed) = (Ground::lay(1), seed());
    println!("LANDFALL_KILL_SEED={seed}");
    let mut rng = Rng::new(seed);
    let device = sold(&ground, "unplugged", &tpm);
    let (_masa, _registrar) = (ground.serve(Role::Masa), ground.serve(Role::Registrar));
    let (mut unplugged, mut moment, folder) = (0, Moment(600), device.folder.join("state/tpm"));
    for _ in 0..8 {
        let mut onboarding = agent(&device, &["onboard", "--attempts", "1", "--timeout", "5"]);
        moment.wait(&mut rng);
        tpm.power_off();
        let interrupted = !onboarding.wait().success();
        unplugged += moment.came(interrupted);
        if interrupted {
            let (valid, said) = device.says(&["status"]);
            assert!(!valid && (said.contains("not there") || said.contains("no network credential")), "{said}");
        }
        tpm.power_on();
        device.does(&["onboard", "--attempts", "1"]);
        assert_eq!(wrapped_keys(&folder).len(), 2, "the birth key, and one of the network");
        device.does(&["reset"]);
        assert_eq!(wrapped_keys(&folder), ["idevid.key"]);
    }
    assert!(unplugged > 0, "it was always too late");
    tpm.power_off();
    let (done, said) = device.says(&["onboard", "--attempts", "1"]);
    assert!(!done && said.contains("the element is not there"), "{said}");
}

#[test]
fn a_device_that_is_killed_while_it_is_born_and_onboarded_finishes_or_cleans_up() {
    let Some(mut tpm) = Swtpm::new() else { return };
    let (ground, seed) = (Ground::lay(1), seed());
    println!("LANDFALL_KILL_SEED={seed}");
    let mut rng = Rng::new(seed);
    let born = Device::new(&ground, "killed", &format!("tpm:{}", tpm.tcti()));
    let (mut kills, mut moment, folder) = (0, Moment(60), born.folder.join("state/tpm"));
    let mut asked = BTreeSet::new();
    for _ in 0..10 {
        let mut request = agent(&born, &["request"]);
        moment.wait(&mut rng);
        request.signal("KILL");
        kills += moment.came(!request.wait().success());
        power_cycle(&mut tpm);
        // A key is there whole, or not at all.
        for name in wrapped_keys(&folder) {
            asked.insert(fs::read(folder.join(name)).unwrap());
        }
    }
    assert!(asked.len() <= 1, "a key had the place of another");
    let device = sold(&ground, "killed", &tpm);
    assert!(asked.iter().all(|key| *key == fs::read(folder.join("idevid.key")).unwrap()), "it was finished with");
    let (_masa, _registrar) = (ground.serve(Role::Masa), ground.serve(Role::Registrar));
    let (mut cleaned, mut moment) = (0, Moment(600));
    for _ in 0..10 {
        let mut onboarding = agent(&device, &["onboard", "--attempts", "1"]);
        moment.wait(&mut rng);
        onboarding.signal("KILL");
        kills += moment.came(!onboarding.wait().success());
        power_cycle(&mut tpm);
        let left = wrapped_keys(&folder).len() > 1 && !device.folder.join("state/credential.json").exists();
        let config = device.file("device.toml");
        let output = crate::landfall(&device.folder, &["device", "--config", &config, "onboard", "--attempts", "1"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert_eq!(left, said.contains("left this key without a credential"), "{said}");
        cleaned += usize::from(left);
        assert_eq!(wrapped_keys(&folder).len(), 2, "the birth key, and one of the network");
        device.does(&["reset"]);
    }
    println!("{kills} kills, {cleaned} keys without a credential");
    assert!(kills > 0);
}

#[test]
fn a_full_tpm_and_one_that_was_cleared_are_told_apart_before_the_network_is_asked() {
    let Some(tpm) = Swtpm::new() else { return };
    let ground = Ground::lay(1);
    let device = sold(&ground, "full", &tpm);
    device.says(&["status"]);
    for _ in 0..3 {
        let Some(_) = tpm.tool("tpm2_createprimary", &["-C", "o", "-G", "ecc256", "-c", "theirs.ctx"]) else { return };
    }
    let (done, said) = device.says(&["onboard", "--attempts", "1"]);
    assert!(!done && said.contains("full") && said.contains("tpm2_flushcontext"), "{said}");
    tpm.tool("tpm2_flushcontext", &["-t"]);
    let (_masa, _registrar) = (ground.serve(Role::Masa), ground.serve(Role::Registrar));
    device.does(&["onboard", "--attempts", "1"]);

    tpm.tool("tpm2_clear", &["-c", "p"]);
    for command in [&["onboard", "--attempts", "1"][..], &["renew"], &["request"]] {
        let (done, said) = device.says(command);
        assert!(!done && said.contains("is not the one that the key was made in"), "{command:?}: {said}");
    }
    // With a new key it is another device; the old one's TPM is struck off with it.
    let serial = device.serial_number();
    fs::remove_dir_all(device.folder.join("state")).unwrap();
    device.writes(&["request"], "device.csr");
    let refused = device.certified_with_proof(&tpm.maker()).unwrap_err();
    assert!(refused.contains("tpm-unused"), "{refused}");
    device.factory(&["void", &serial, "--reason", "its TPM was cleared"]).unwrap();
    device.certified_with_proof(&tpm.maker()).unwrap();
    assert_ne!(device.serial_number(), serial);
}

#[test]
fn a_device_without_room_says_so_and_goes_on_when_there_is_some() {
    let Some(tpm) = Swtpm::new() else { return };
    let ground = Ground::lay(1);
    let device = Device::new(&ground, "small", &format!("tpm:{}", tpm.tcti()));
    let state = device.folder.join("state");
    fs::create_dir_all(&state).unwrap();
    let Some(small) = SmallDisk::mount(&state.display().to_string()) else { return };
    fs::write(state.join("filler"), vec![0; 4096 * 3]).unwrap_err();
    let (done, said) = device.says(&["request"]);
    assert!(!done && said.contains("No space left"), "{said}");
    fs::remove_file(state.join("filler")).unwrap();
    small.resize("1m");
    let device = sold(&ground, "small", &tpm);
    device.says(&["status"]);
    // Room for the birth, and for nothing of the network.
    fs::write(state.join("filler"), vec![0; 1 << 21]).unwrap_err();
    let (_masa, _registrar) = (ground.serve(Role::Masa), ground.serve(Role::Registrar));
    let (done, said) = device.says(&["onboard", "--attempts", "1"]);
    assert!(!done && said.contains("No space left"), "{said}");
    fs::remove_file(state.join("filler")).unwrap();
    device.does(&["onboard", "--attempts", "1"]);
    assert_eq!(wrapped_keys(&state.join("tpm")).len(), 2);
}

/// A file system of a few pages, unmounted when dropped.
struct SmallDisk(String);

impl SmallDisk {
    fn mount(folder: &str) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8k", "none", folder]).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(folder.into())),
            _ => {
                skip(&landfall_testkit::current_test(), "no small file system can be mounted: not root");
                None
            }
        }
    }

    fn resize(&self, size: &str) {
        let option = format!("remount,size={size}");
        assert!(Command::new("mount").args(["-o", &option, &self.0]).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

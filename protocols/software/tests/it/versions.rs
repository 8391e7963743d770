//! The order of versions, held against those who made the rules.

use landfall_software::version::Scheme;
use landfall_testkit::{Rng, current_test, skip, tool};
use std::{cmp::Ordering, process::Command};

const DEBIAN: [&str; 16] = [
    "0~",
    "0",
    "1.0~rc1-1",
    "1.0-1",
    "1.0-1+b1",
    "1.0-1.1",
    "1.0-2",
    "1.0+dfsg-1",
    "1.0.1",
    "1.00.1",
    "1.2a",
    "1.2+",
    "1:0.1",
    "01:0.1",
    "3.0.11-1~deb12u2",
    "3.0.11-1~deb12u3",
];

#[test]
fn dpkg_agrees() {
    let Some(dpkg) = tool("dpkg") else { return };
    let seed = 7;
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let mut made: Vec<String> = DEBIAN.iter().map(|version| (*version).to_owned()).collect();
    for _ in 0..24 {
        let letters: String = (0..rng.below(6)).map(|_| b"01a~+."[rng.below(6) as usize] as char).collect();
        made.push(format!("{}{letters}", rng.below(3)));
    }
    for a in &made {
        // Every pair would be a process each; neighbours in a walk suffice.
        let b = &made[rng.below(made.len() as u64) as usize];
        let says = |operator: &str| {
            Command::new(&dpkg).args(["--compare-versions", a, operator, b]).status().unwrap().success()
        };
        let order = if says("lt") {
            Ordering::Less
        } else if says("gt") {
            Ordering::Greater
        } else {
            Ordering::Equal
        };
        assert_eq!(Scheme::Debian.compare(a, b), Some(order), "{a} {b}");
    }
    for wrong in ["", "x", "1:", "-1", "1_2", "a:1"] {
        assert_eq!(Scheme::Debian.compare(wrong, "1"), None, "{wrong}");
    }
}

const PYTHON: [&str; 28] = [
    "1.dev0",
    "1.0.dev456",
    "1.0a1",
    "1.0a2.dev456",
    "1.0a12.dev456",
    "1.0a12",
    "1.0b1.dev456",
    "1.0b2",
    "1.0b2.post345.dev456",
    "1.0b2.post345",
    "1.0rc1.dev456",
    "1.0rc1",
    "1.0",
    "1.0+abc.5",
    "1.0+abc.7",
    "1.0+5",
    "1.0.post456.dev34",
    "1.0.post456",
    "1.1.dev1",
    "1.0-1",
    "1.0-ALPHA.3",
    "1.0c4",
    "v1.0",
    "1!0.1",
    "1.0.0",
    "1.0+5.1",
    "1.0_rev3",
    "2",
];

#[test]
fn pythons_packaging_agrees() {
    let Some(python) = tool("python3") else { return };
    let script = "import sys\nfrom packaging.version import Version as V\nv=sys.argv[1:]\n\
        print('\\n'.join(''.join('<' if V(a)<V(b) else '>' if V(a)>V(b) else '=' for b in v) for a in v))";
    let output = Command::new(python).args(["-c", script]).args(PYTHON).output().unwrap();
    if !output.status.success() {
        skip(&current_test(), "python3-packaging is not installed");
        return;
    }
    let table = String::from_utf8(output.stdout).unwrap();
    for (a, row) in PYTHON.iter().zip(table.lines()) {
        for (b, sign) in PYTHON.iter().zip(row.chars()) {
            let order = [Ordering::Less, Ordering::Equal, Ordering::Greater]["<=>".find(sign).unwrap()];
            assert_eq!(Scheme::Pep440.compare(a, b), Some(order), "{a} {b}");
        }
    }
}

#[test]
fn what_python_does_not_take_has_no_order() {
    for wrong in ["", "x", "1.0.x", "1.0-", "1.0+", "1.0+a..b", "french toast", "1.0alphabet"] {
        assert_eq!(Scheme::Pep440.compare(wrong, "1.0"), None, "{wrong}");
    }
}

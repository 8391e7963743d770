//! The compiler and the judge, who read the same file in different words, say the same of every packet.

use super::{field, sample, traffic};
use landfall_mud::{
    Class, Context, Members, Policy,
    judge::Judge,
    packet::{Mac, Prefix},
    read,
};
use landfall_testkit::Rng;
use serde_json::{Value, json};

/// Members for every group, some in several.
pub(crate) fn context(policy: &Policy) -> Context {
    let mut context = Context::new();
    let prefix = |text: String| text.parse::<Prefix>().unwrap();
    for (index, class) in policy.classes().into_iter().enumerate() {
        let (a, b) = (index / 200, index % 200);
        let mut members = Members::of([prefix(format!("198.51.{a}.{b}/32")), prefix(format!("2001:db8:{a}:{b}::/64"))]);
        if let Class::Manufacturer(_) | Class::Model(_) = class {
            members.interfaces.push(Mac([2, 1, 0, 0, 0, u8::try_from(index % 250).unwrap()]));
        }
        if index % 7 == 3 {
            members.networks.push(prefix("203.0.113.0/28".into()));
        }
        context.add(class.clone(), members);
    }
    let local = ["192.168.0.0/16", "fd00::/8"].map(|text| prefix(text.into()));
    context.add(Class::LocalNetworks, Members::of(local));
    context
}

/// How many packets were let through, and how many were not; or the first over which they disagree.
fn compare(bytes: &[u8], seed: u64) -> Result<(usize, usize), String> {
    let Ok((file, _)) = read(bytes) else { return Ok((0, 0)) };
    let (policy, judge) = (Policy::of(&file), Judge::new(bytes).unwrap());
    let context = context(&policy);
    let packets = traffic::packets(&policy, &context, seed);
    let mut allowed = 0;
    for packet in &packets {
        let rule = policy.decides(packet, &context);
        let (compiled, judged) = (rule.is_some_and(|rule| rule.allow), judge.allows(packet, &context));
        if compiled != judged {
            let name = rule.map(|rule| &rule.name);
            return Err(format!("seed {seed}: {compiled} by {name:?}, judged {judged}: {packet:?}"));
        }
        allowed += usize::from(compiled);
    }
    Ok((allowed, packets.len() - allowed))
}

#[test]
fn of_the_28_files_of_real_devices() {
    let Some(files) = field::real() else { return };
    for (name, bytes) in &files {
        let (allowed, denied) = compare(bytes, 1).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert!(allowed > 50 && denied > 50, "{name}: {allowed} {denied}");
    }
}

#[test]
fn of_a_file_in_which_everything_is() {
    for seed in 0..5 {
        let (allowed, denied) = compare(sample::sample().to_string().as_bytes(), seed).unwrap();
        assert!(allowed > 100 && denied > 100, "{allowed} {denied}");
    }
}

/// Values that stand in files somewhere, right where they are and wrong elsewhere.
fn value(rng: &mut Rng, file: &Value, paths: &[String]) -> Value {
    let odd = [
        json!(null),
        json!(0),
        json!(6),
        json!(17),
        json!(65535),
        json!(65536),
        json!(-1),
        json!(1.5),
        json!(""),
        json!("eq"),
        json!("drop"),
        json!("0x0806"),
        json!("arp"),
        json!("10.0.0.1"),
        json!("::1"),
        json!("10.0.0.0/8"),
        json!([null]),
        json!([]),
        json!({}),
        json!(true),
        json!("to-device"),
        json!("a.example."),
        json!("A.Example"),
        json!("x..y"),
        json!("https://x.example/y"),
        json!("urn:x:y"),
        json!("ff:ff:ff:ff:ff:ff"),
        json!("neq"),
        json!("range"),
        json!("mixed-eth-ipv4-acl-type"),
        json!("eth-acl-type"),
        json!("ipv6-acl-type"),
    ];
    match rng.below(2) {
        0 => odd[rng.below(odd.len() as u64) as usize].clone(),
        _ => file.pointer(&paths[rng.below(paths.len() as u64) as usize]).cloned().unwrap(),
    }
}

const NAMES: [&str; 14] = [
    "protocol",
    "ipv4",
    "ipv6",
    "tcp",
    "udp",
    "icmp",
    "eth",
    "mud",
    "ietf-mud:mud",
    "dscp",
    "operator",
    "lower-port",
    "destination-port",
    "ethertype",
];

#[test]
fn of_files_in_which_anything_is_changed() {
    let original = sample::sample();
    let mut all = Vec::new();
    sample::paths(&original, String::new(), &mut all);
    let inside: Vec<String> =
        all.into_iter().filter(|path| path.contains("/acl") || path.contains("-policy")).collect();
    let (mut taken, mut through, mut quarrels) = (0, 0, Vec::new());
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let (mut file, mut changes) = (original.clone(), Vec::new());
        for _ in 0..=rng.below(3) {
            let path = &inside[rng.below(inside.len() as u64) as usize];
            if file.pointer(path).is_none() {
                continue;
            }
            let path = match rng.below(4) {
                1 if file.pointer(path).is_some_and(Value::is_object) => {
                    format!("{path}/{}", NAMES[rng.below(NAMES.len() as u64) as usize])
                }
                _ => path.clone(),
            };
            let value = match rng.below(4) {
                0 if file.pointer(&path).is_some() => None,
                _ => Some(value(&mut rng, &original, &inside)),
            };
            changes.push(format!("{path} = {}", value.as_ref().map_or("nothing".into(), Value::to_string)));
            file = sample::changed(file, &path, value);
        }
        match compare(file.to_string().as_bytes(), seed) {
            Ok((allowed, denied)) => {
                taken += usize::from(allowed + denied > 0);
                through += allowed;
            }
            Err(why) => quarrels.push(format!("{}\n  {why}", changes.join("\n"))),
        }
    }
    assert!(quarrels.is_empty(), "{} of {taken}: {}", quarrels.len(), quarrels[..quarrels.len().min(12)].join("\n"));
    assert!(taken > 250 && through > 10_000, "{taken} {through}");
}

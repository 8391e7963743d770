//! The direction of dependencies: a folder is a layer, and may use only what stands above it.

use crate::graph::{Graph, Package};

/// The layers, from the ground up.
const LAYERS: [&str; 9] =
    ["foundation", "protocols", "lifecycle", "adapters", "roles", "lab", "landfall", "fuzz", "xtask"];

/// Who may use whom within one layer.
const WITHIN: [(&str, &str); 6] = [
    ("landfall-pki", "landfall-types"),
    ("landfall-policy", "landfall-types"),
    ("landfall-assurance", "landfall-types"),
    ("landfall-assurance", "landfall-policy"),
    ("landfall-pkcs11", "landfall-element"),
    ("landfall-tpm", "landfall-element"),
];

/// Crates that only tests may use.
const FOR_TESTS: [&str; 2] = ["landfall-testkit", "landfall-conformance"];

/// What must not be in reach of a crate, however far down, with the reason.
const KEPT_OUT: [(&str, &[&str], &str); 4] = [
    ("foundation/", WORLD, "it is used under every protocol"),
    ("protocols/", WORLD, "a protocol core knows no socket, clock or file"),
    ("lifecycle", WORLD, "it is pure"),
    (
        "roles/device",
        &["axum", "rusqlite", "landfall-store", "landfall-lifecycle", "landfall-server"],
        "the device's agent builds without a server",
    ),
];
const WORLD: &[&str] = &["tokio", "mio", "hyper", "axum", "rusqlite", "socket2", "mdns-sd"];

/// Everything in the graph that goes in the wrong direction, one line each.
pub(crate) fn check(graph: &Graph) -> Vec<String> {
    let mut findings: Vec<String> = graph.members().flat_map(|(package, folder)| of(graph, package, folder)).collect();
    findings.sort();
    findings
}

fn of(graph: &Graph, package: &Package, folder: &str) -> Vec<String> {
    let name = &package.name;
    let mut findings = Vec::new();
    let Some(own) = layer(folder) else {
        return vec![format!("{name}: {folder} is in no layer: name its first folder in xtask/src/arch.rs")];
    };

    for used in graph.of(&package.normal) {
        let Some(other) = used.folder.as_deref().and_then(layer) else { continue };
        if FOR_TESTS.contains(&used.name.as_str()) {
            findings.push(format!("{name}: uses {}, which is for tests only", used.name));
        } else if other > own || (other == own && !WITHIN.contains(&(name, &used.name))) {
            findings.push(format!("{name}: uses {}, which does not stand above it", used.name));
        }
    }

    // Tests may reach for the test kit, but otherwise look only up, like the code that they test.
    for used in graph.of(&package.dev) {
        let Some(other) = used.folder.as_deref().and_then(layer) else { continue };
        if other > own && !FOR_TESTS.contains(&used.name.as_str()) {
            findings.push(format!("{name}: its tests use {}, which stands below it", used.name));
        }
    }

    let reach = graph.reach(package);
    for (place, forbidden, why) in KEPT_OUT {
        if !folder.starts_with(place) {
            continue;
        }
        let found = reach.iter().filter(|used| forbidden.contains(&used.name.as_str()));
        findings.extend(found.map(|used| format!("{name}: reaches {}, yet {why}", used.name)));
    }
    findings
}

fn layer(folder: &str) -> Option<usize> {
    let first = folder.split('/').next()?;
    LAYERS.iter().position(|layer| *layer == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A graph from lines `name folder`, and edges `from to`; a folder of `-` is somebody else's crate.
    fn graph(packages: &[(&str, &str)], normal: &[(&str, &str)], dev: &[(&str, &str)]) -> Graph {
        let to = |edges: &[(&str, &str)], from: &str| -> Vec<String> {
            edges.iter().filter(|(a, _)| *a == from).map(|(_, b)| (*b).to_owned()).collect()
        };
        let package = |(name, folder): &(&str, &str)| {
            let package = Package {
                name: (*name).into(),
                folder: (*folder != "-").then(|| (*folder).into()),
                licence: None,
                normal: to(normal, name),
                dev: to(dev, name),
            };
            ((*name).to_owned(), package)
        };
        Graph(packages.iter().map(package).collect())
    }

    const GOOD: [(&str, &str); 9] = [
        ("landfall-types", "foundation/types"),
        ("landfall-pki", "foundation/pki"),
        ("landfall-brski", "protocols/brski"),
        ("landfall-store", "adapters/store"),
        ("landfall-net", "adapters/net"),
        ("landfall-device", "roles/device"),
        ("landfall-testkit", "lab/testkit"),
        ("tokio", "-"),
        ("serde", "-"),
    ];
    const EDGES: [(&str, &str); 7] = [
        ("landfall-pki", "landfall-types"),
        ("landfall-brski", "landfall-pki"),
        ("landfall-brski", "serde"),
        ("landfall-store", "landfall-types"),
        ("landfall-net", "tokio"),
        ("landfall-device", "landfall-net"),
        ("landfall-testkit", "landfall-store"),
    ];

    /// The good graph with one edge more.
    fn with(from: &str, to: &str) -> Vec<String> {
        let mut edges = EDGES.to_vec();
        edges.push((from, to));
        check(&graph(&GOOD, &edges, &[("landfall-brski", "landfall-testkit")]))
    }

    #[test]
    fn a_good_graph_has_no_findings() {
        assert_eq!(check(&graph(&GOOD, &EDGES, &[("landfall-brski", "landfall-testkit")])), Vec::<String>::new());
    }

    #[test]
    fn one_wrong_edge_is_one_finding() {
        let wrong = [
            ("landfall-types", "landfall-pki", "does not stand above"),
            ("landfall-store", "landfall-device", "does not stand above"),
            ("landfall-net", "landfall-store", "does not stand above"),
            ("landfall-brski", "tokio", "knows no socket"),
            ("landfall-store", "landfall-testkit", "for tests only"),
            ("landfall-device", "landfall-store", "without a server"),
        ];
        for (from, to, why) in wrong {
            let findings = with(from, to);
            let about = findings.iter().filter(|finding| finding.starts_with(&format!("{from}: ")));
            assert!(about.clone().count() >= 1, "{from} -> {to} is found");
            assert!(about.clone().any(|finding| finding.contains(why)), "{from} -> {to}: {findings:?}");
        }
    }

    #[test]
    fn what_is_kept_out_is_kept_out_however_far_down() {
        let mut packages = GOOD.to_vec();
        packages.push(("harmless", "-"));
        let edges = [EDGES.as_slice(), &[("landfall-brski", "harmless"), ("harmless", "tokio")]].concat();
        let findings = check(&graph(&packages, &edges, &[]));
        assert_eq!(findings, ["landfall-brski: reaches tokio, yet a protocol core knows no socket, clock or file"]);
    }

    #[test]
    fn tests_look_up_too_but_for_the_test_kit() {
        let findings = check(&graph(&GOOD, &EDGES, &[("landfall-pki", "landfall-net")]));
        assert_eq!(findings, ["landfall-pki: its tests use landfall-net, which stands below it"]);
    }

    #[test]
    fn every_folder_is_in_a_layer() {
        let findings = check(&graph(&[("stray", "misc/stray")], &[], &[]));
        assert_eq!(findings.len(), 1);
    }
}

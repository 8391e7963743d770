//! Lists that other people's programs write.

use landfall_software::sbom;
use landfall_testkit::{current_test, skip, temp_dir, tool};
use std::{fs, process::Command};

/// npm writes both formats of a folder with one package and what it needs.
#[test]
fn npm_writes_lists_that_are_read() {
    let Some(npm) = tool("npm") else { return };
    let folder = temp_dir();
    // npm names what a list is about by the folder that it is in.
    let place = folder.path().join("lamp");
    let put = |name: &str, text: &str| {
        let path = place.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("package.json", r#"{"name":"lamp","version":"1.2.0","dependencies":{"left-pad":"1.3.0"}}"#);
    put("node_modules/left-pad/package.json", r#"{"name":"left-pad","version":"1.3.0"}"#);
    for format in ["cyclonedx", "spdx"] {
        let mut command = Command::new(&npm);
        command.args(["sbom", "--offline", "--sbom-format", format]).current_dir(&place);
        let output = command.env("npm_config_cache", folder.path().join("cache")).output().unwrap();
        if !output.status.success() {
            skip(&current_test(), "this npm writes no lists of components");
            return;
        }
        let list = sbom::read(&output.stdout).unwrap_or_else(|refusal| panic!("{format}: {refusal}"));
        assert_eq!(list.root.as_ref().map(|root| root.name.as_str()), Some("lamp"), "{format}");
        let names: Vec<String> = list.components.iter().map(|one| one.purl.as_ref().unwrap().to_string()).collect();
        assert_eq!(names, ["pkg:npm/left-pad@1.3.0"], "{format}");
    }
}

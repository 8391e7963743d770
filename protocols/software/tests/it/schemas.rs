//! What these tests and the documents feed in, held against the schemas that the formats' publishers give out: `tests/published`.

use super::{
    sample::{cyclonedx, osv},
    words::{cyclonedx_vex, openvex},
};
use landfall_testkit::{current_test, skip, tool};
use serde_json::{Value, json};
use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

const DOCUMENTS: &str = include_str!("../../../../docs/verification.md");
/// Reads schema and document in turn, and says of each document what is wrong with it first; nothing is fetched.
const SCRIPT: &str = r#"
import json, pathlib, sys
from jsonschema import RefResolver
from jsonschema.validators import validator_for
folder = pathlib.Path(sys.argv[1])
schemas = {str(path.relative_to(folder)): json.loads(path.read_text()) for path in folder.glob('*/*.json')}
store = {schema['$id']: schema for schema in schemas.values()}
def never(uri):
    raise SystemExit('not in the folder: ' + uri)
for line in sys.stdin:
    name, document = json.loads(line)
    schema = schemas[name]
    resolver = RefResolver(schema['$id'], schema, store=store, handlers={'http': never, 'https': never})
    faults = list(validator_for(schema)(schema, resolver=resolver).iter_errors(document))
    print(json.dumps(faults[0].message[:200] if faults else None))
"#;

struct Judge(PathBuf);

impl Judge {
    fn new() -> Option<Self> {
        let python = tool("python3")?;
        if !Command::new(&python).args(["-c", "import jsonschema"]).output().unwrap().status.success() {
            skip(&current_test(), "python3-jsonschema is not installed");
            return None;
        }
        Some(Self(python))
    }

    /// What is wrong with each document by its schema.
    fn faults(&self, documents: &[(String, Value)]) -> Vec<Option<String>> {
        let published = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/published");
        let mut command = Command::new(&self.0);
        command.args(["-W", "ignore", "-c", SCRIPT, published]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        for document in documents {
            writeln!(input, "{}", json!(document)).unwrap();
        }
        drop(input);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The JSON files that the documents have a reader write.
fn examples(marker: &str) -> Vec<Value> {
    let files = DOCUMENTS.split("<<'END'\n").skip(1).filter_map(|rest| rest.split("\nEND\n").next());
    let found: Vec<Value> =
        files.filter(|text| text.contains(marker)).filter_map(|text| serde_json::from_str(text).ok()).collect();
    assert!(!found.is_empty(), "the documents have no {marker}");
    found
}

fn bom(document: Value) -> (String, Value) {
    (format!("cyclonedx/bom-{}.schema.json", document["specVersion"].as_str().unwrap()), document)
}

fn record(document: Value) -> (String, Value) {
    ("osv/schema.json".into(), document)
}

fn statements(document: Value) -> (String, Value) {
    ("openvex/openvex_json_schema.json".into(), document)
}

#[test]
fn what_is_fed_in_is_as_the_publishers_schemas_have_it() {
    let Some(judge) = Judge::new() else { return };
    let lists = [cyclonedx(), cyclonedx_vex("pkg:cargo/smallvec")].into_iter().chain(examples("bomFormat")).map(bom);
    let records = osv().into_iter().chain(examples("\"affected\"")).map(record);
    let said = std::iter::once(openvex()).chain(examples("openvex.dev")).map(statements);
    let mut documents: Vec<_> = lists.chain(records).chain(said).collect();
    // What is read of other versions is the same.
    for version in ["1.4", "1.5", "1.7"] {
        let mut document = cyclonedx();
        document["specVersion"] = version.into();
        document["$schema"] = format!("http://cyclonedx.org/schema/bom-{version}.schema.json").into();
        documents.push(bom(document));
    }
    let faults = judge.faults(&documents);
    assert_eq!(faults.len(), documents.len());
    for ((schema, document), fault) in documents.iter().zip(faults) {
        assert_eq!(fault, None, "{schema}: {document}");
    }
}

#[test]
fn with_one_thing_otherwise_the_schemas_have_it_not() {
    let Some(judge) = Judge::new() else { return };
    let change = |mut document: Value, path: &str, value: Value| {
        *document.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value;
        document
    };
    let record_of = || osv().remove(0);
    let documents = [
        bom(change(cyclonedx(), "/bomFormat", json!("SPDX"))),
        bom(change(cyclonedx(), "/components/0/type", json!("gadget"))),
        bom(change(cyclonedx(), "/components/0/name", json!(1))),
        bom(change(cyclonedx(), "/components/5/scope", json!("perhaps"))),
        bom(change(cyclonedx(), "/serialNumber", json!("3e671687"))),
        bom(change(cyclonedx(), "/version", json!("one"))),
        record(change(record_of(), "/modified", json!("yesterday"))),
        record(change(record_of(), "/affected/0/ranges/0/type", json!("GUESS"))),
        record(change(record_of(), "/affected/0/ranges/0/events/0", json!({ "found": "1" }))),
        record(change(record_of(), "/affected/0/package", json!({ "name": "openssl" }))),
        record(change(record_of(), "/id", json!(1))),
        bom(change(cyclonedx_vex("x"), "/vulnerabilities/0/analysis/state", json!("fine"))),
        statements(change(openvex(), "/@context", json!(1))),
        statements(change(openvex(), "/statements/0/status", json!("fine"))),
        statements(change(openvex(), "/statements/0/justification", json!("it is ours"))),
        statements(change(openvex(), "/statements", json!([]))),
    ];
    for ((schema, document), fault) in documents.iter().zip(judge.faults(&documents)) {
        assert!(fault.is_some(), "{schema}: {document}");
    }
}

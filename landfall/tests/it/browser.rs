//! The operator's page in a real browser: Debian's Chromium, driven as W3C WebDriver says, with the certificate that docs/network-owner.md
//! has operators import.

use crate::{ground::fixed_ports, landfall};
use landfall_dpp::{Curve, System, Uri, curve::PrivateKey};
use landfall_server::labels::{Code, Format, picture};
use landfall_testkit::{Running, current_test, skip, temp_dir, tool};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::Command,
};
use tempfile::TempDir;

const PROGRAMS: [&str; 6] = ["chromium", "chromedriver", "certutil", "pk12util", "openssl", "unshare"];

#[test]
fn an_operator_takes_devices_into_the_book_with_a_browser() {
    let Some(owner) = Owner::lay() else { return };
    let browser = Browser::start(&owner, Some("ada"));
    browser.open(&owner.page());
    assert_eq!(browser.shows(0), Vec::<String>::new());

    // Typed; first with a letter in its key that no key has.
    let (uri, serial) = device("SN-1");
    browser.write("[name=uri]", &uri.replacen("K:MD", "K:M?", 1));
    browser.click("button");
    let refused = browser.answer();
    assert!(!refused.contains("It is in the book"), "{refused}");
    assert_eq!(owner.book(), []);
    browser.write("[name=uri]", &uri);
    browser.write("[name=serialNumber]", &serial);
    browser.click("button");
    assert_eq!(browser.answer(), "It is in the book, and may come.");
    assert_eq!(browser.shows(1), ["SN-1"]);

    // Photographed: what is no code, another code, and that of a device.
    let (uri, serial) = device("SN-2");
    let photograph = |name: &str, text: &str| {
        let path = owner.of(name);
        fs::write(&path, picture(&Code::of(text).unwrap(), Format::Png).unwrap()).unwrap();
        browser.write("[name=picture]", path.to_str().unwrap());
    };
    fs::write(owner.of("none.png"), b"\x89PNG").unwrap();
    browser.write("[name=picture]", owner.of("none.png").to_str().unwrap());
    assert!(!browser.answer().is_empty());
    photograph("other.png", "https://landfall.example");
    assert_eq!(browser.answer(), "There is not the one code of a device in this picture.");
    photograph("label.png", &uri);
    assert_eq!(browser.once("it !== ''", "document.querySelector('[name=uri]').value"), uri);
    browser.write("[name=serialNumber]", &serial);
    browser.click("button");
    assert_eq!(browser.answer(), "It is in the book, and may come.");
    assert_eq!(browser.shows(2).len(), 2);
    assert_eq!(owner.book(), [("uri", "SN-1"), ("qr", "SN-2")].map(|(via, serial)| (via.into(), serial.into())));
}

/// The browser would show the operator's certificate for whatever page asks it to.
#[test]
fn a_page_of_another_site_brings_no_device_into_the_book() {
    let Some(owner) = Owner::lay() else { return };
    let browser = Browser::start(&owner, Some("ada"));
    let (uri, _) = device("SN-1");
    let body = json!({ "via": "uri", "devices": [{ "dppUri": uri }] }).to_string();
    let script = "const [url, body, mode, done] = arguments; \
                  const headers = mode === 'same-origin' ? { 'Content-Type': 'application/json' } : {}; \
                  fetch(url, { method: 'POST', mode, headers, credentials: 'include', body }) \
                  .then((response) => done(response.type), (error) => done(String(error)))";
    let from = |page: &str, mode: &str| {
        browser.open(page);
        let url = format!("{}v1/transfer/devices", owner.page());
        browser.ask("execute/async", &json!({ "script": script, "args": [url, body, mode] })).unwrap()
    };
    // What the browser's driver serves is another site. The request gets there, for the answer is kept from that site, opaque.
    assert_eq!(from(&format!("http://{}/status", browser.address), "no-cors"), "opaque");
    assert_eq!(owner.book(), []);
    assert_eq!(from(&owner.page(), "same-origin"), "basic");
    assert_eq!(owner.book().len(), 1);
}

#[test]
fn a_browser_without_an_operators_certificate_sees_no_page() {
    let Some(owner) = Owner::lay() else { return };
    let browser = Browser::start(&owner, None);
    // With TLS 1.3 the server's alert comes after the handshake, so what the browser makes of it depends on when it reads it: an
    // error of the certificate or of the connection, at once or on a page of its own.
    let said = match browser.ask("url", &json!({ "url": owner.page() })) {
        Ok(_) => browser.once("it !== ''", "document.body.innerText").to_string(),
        Err(error) => error,
    };
    assert!(said.contains("ERR_"), "{said}");
    let form = browser.ask("element", &json!({ "using": "css selector", "value": "#device" })).unwrap_err();
    assert!(form.contains("no such element"), "{form}");
}

/// The owner of a network, whose server runs.
struct Owner {
    folder: TempDir,
    admin: u16,
    _server: Running,
}

impl Owner {
    /// Nothing where there is no browser, or it cannot be told which certificate it is to show.
    fn lay() -> Option<Self> {
        if !PROGRAMS.iter().all(|program| tool(program).is_some()) {
            return None;
        }
        let apart = Command::new("unshare").args(["--mount", "--pid", "--fork", "true"]).status();
        if !apart.is_ok_and(|status| status.success()) {
            skip(&current_test(), "a browser of its own needs root");
            return None;
        }
        let (folder, [admin, configurator]) = (temp_dir(), fixed_ports());
        let settings = format!(
            "[log]\nformat = \"json\"\n[metrics]\nlisten = \"\"\n\
             [configurator]\nlisten = \"127.0.0.1:{configurator}\"\nannounce = false\n\
             [[configurator.network]]\nssid = \"Home\"\nkind = \"connector\"\n\
             [admin]\nlisten = \"127.0.0.1:{admin}\"\nidentity = {{ certificate = \"domain/admin.pem\" }}\n\
             operator-anchors = \"domain/operators.pem\"\n"
        );
        fs::write(folder.path().join("landfall.toml"), settings).unwrap();
        for arguments in [["network", "init", "--json"], ["network", "operator", "ada"]] {
            let output = landfall(folder.path(), &arguments);
            assert!(output.status.success(), "{output:?}");
        }
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command.args(["run", "configurator", "--json"]).current_dir(folder.path()).stderr(log);
        let mut server = Running::start(&mut command);
        server.until("}");
        Some(Self { folder, admin, _server: server })
    }

    fn of(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn page(&self) -> String {
        format!("https://localhost:{}/", self.admin)
    }

    /// By what, and with which serial numbers, devices came into the book.
    fn book(&self) -> Vec<(String, String)> {
        let output = landfall(self.folder.path(), &["transfer", "devices", "--json"]);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{why}: {output:?}"));
        let text = |device: &Value, name: &str| device[name].as_str().unwrap_or_default().to_owned();
        let mut devices: Vec<_> = said["items"].as_array().unwrap().iter().collect();
        devices.sort_by_key(|device| text(device, "serial_number"));
        devices.iter().map(|device| (text(device, "via"), text(device, "serial_number"))).collect()
    }
}

/// The URI and the serial number of a device, whose key nobody needs here.
fn device(serial: &str) -> (String, String) {
    let key = PrivateKey::generate(Curve::P256, &mut System);
    (Uri::of(key.public().clone()).to_string(), serial.to_owned())
}

/// A browser, until dropped.
struct Browser {
    address: String,
    session: String,
    _driver: Running,
    _home: TempDir,
}

impl Browser {
    /// A browser that trusts the owner's root and has the certificate of `operator`, if one is named.
    fn start(owner: &Owner, operator: Option<&str>) -> Self {
        let home = temp_dir();
        let keys = home.path().join(".pki/nssdb");
        fs::create_dir_all(&keys).unwrap();
        let database = format!("sql:{}", keys.display());
        does("certutil", &["-d", &database, "-N", "--empty-password"]);
        let root = owner.of("data/domain/root.pem");
        does("certutil", &["-d", &database, "-A", "-t", "C,,", "-n", "root", "-i", root.to_str().unwrap()]);
        if let Some(name) = operator {
            let [certificate, key] = ["pem", "key"].map(|kind| owner.of(&format!("{name}.{kind}")));
            let bag = home.path().join("operator.p12");
            let files = [&certificate, &key, &bag].map(|path| path.to_str().unwrap());
            let [certificate, key, bag] = files;
            does(
                "openssl",
                &["pkcs12", "-export", "-in", certificate, "-inkey", key, "-out", bag, "-passout", "pass:"],
            );
            does("pk12util", &["-d", &database, "-i", bag, "-W", "", "-K", ""]);
        }
        // Which certificate to show is asked of a person; a browser without one is told by its administrator.
        let policies = home.path().join("chromium/policies/managed");
        fs::create_dir_all(&policies).unwrap();
        let pattern = json!({ "pattern": format!("https://localhost:{}", owner.admin), "filter": {} }).to_string();
        let policy = json!({ "AutoSelectCertificateForUrls": [pattern] }).to_string();
        fs::write(policies.join("landfall.json"), policy).unwrap();

        let settings = home.path().join("chromium");
        let start = format!("mount --bind {} /etc/chromium; exec chromedriver --port=0", settings.display());
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--mount-proc", "--fork", "--kill-child", "sh", "-e", "-c", &start]);
        let mut driver = Running::start(command.env("HOME", home.path()).env("TMPDIR", home.path()));
        let said = driver.until("successfully on port ");
        let port = said.rsplit(' ').next().unwrap().trim_end_matches('.');
        let mut browser =
            Self { address: format!("127.0.0.1:{port}"), session: String::new(), _driver: driver, _home: home };
        let options = json!({ "binary": tool("chromium"), "args": [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
        ] });
        let wanted =
            json!({ "browserName": "chrome", "goog:chromeOptions": options, "timeouts": { "script": 60_000 } });
        let made = browser.call("/session", &json!({ "capabilities": { "alwaysMatch": wanted } })).unwrap();
        browser.session = made["sessionId"].as_str().unwrap().to_owned();
        browser
    }

    fn open(&self, url: &str) {
        self.ask("url", &json!({ "url": url })).unwrap();
    }

    /// Writes into an input, in place of what is there; a file's path where it takes files.
    fn write(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        if !selector.contains("picture") {
            self.ask(&format!("element/{element}/clear"), &json!({})).unwrap();
        }
        self.ask(&format!("element/{element}/value"), &json!({ "text": text })).unwrap();
    }

    fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.ask(&format!("element/{element}/click"), &json!({})).unwrap();
    }

    fn element(&self, selector: &str) -> String {
        let found = self.ask("element", &json!({ "using": "css selector", "value": selector })).unwrap();
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    /// What `expression` becomes on the page once `is` holds of it: `it` is what it is now.
    fn once(&self, is: &str, expression: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; const look = () => {{ const it = {expression}; \
             ({is}) ? done(it) : requestAnimationFrame(look); }}; look();"
        );
        self.ask("execute/async", &json!({ "script": script, "args": [] })).unwrap()
    }

    /// What the page answers to what was done last.
    fn answer(&self) -> String {
        let said = self.once("it !== ''", "document.getElementById('answer').textContent");
        let clear = json!({ "script": "document.getElementById('answer').textContent = ''", "args": [] });
        self.ask("execute/sync", &clear).unwrap();
        said.as_str().unwrap().to_owned()
    }

    /// The devices in the book, as the page shows them, once it shows so many.
    fn shows(&self, count: usize) -> Vec<String> {
        let lines = "[...document.querySelectorAll('#devices li')].map((line) => line.textContent)";
        let shown = self.once(&format!("it.length === {count}"), lines);
        shown.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
    }

    /// Asks the browser for something, or the error in its own words.
    fn ask(&self, what: &str, with: &Value) -> Result<Value, String> {
        self.call(&format!("/session/{}/{what}", self.session), with)
    }

    /// W3C WebDriver s6: a POST with JSON there and back.
    fn call(&self, path: &str, with: &Value) -> Result<Value, String> {
        let body = with.to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        while answer.read_line(&mut line).unwrap() > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body).unwrap();
        let said: Value = serde_json::from_slice(&body).unwrap();
        match said["value"]["error"].as_str() {
            Some(error) => Err(format!("{error}: {}", said["value"]["message"].as_str().unwrap_or_default())),
            None => Ok(said["value"].clone()),
        }
    }
}

fn does(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}

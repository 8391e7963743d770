//! The messages of RFC 7030 appendix A, read out of its text.

use landfall_brski::est::{
    body,
    client::{self, Answer},
};
use landfall_pki::Csr;
use landfall_types::http::{Request, Response};

/// The text without page breaks and indentation, from appendix A on.
fn appendix() -> Option<Vec<String>> {
    let text = landfall_testkit::rfc(7030)?;
    let from = text.rfind("Appendix A.  Operational Scenario")?;
    let furniture = |line: &str| line.starts_with("Pritikin, et al.") || line.starts_with("RFC 7030  ");
    let mut lines: Vec<String> = Vec::new();
    for line in text[from..].lines().map(str::trim).filter(|line| !furniture(line)) {
        let blank_before = lines.last().is_some_and(String::is_empty);
        match line.is_empty() && blank_before {
            true => {}
            // A full line of base64 goes on after the page break.
            false if blank_before && lines.len() > 1 && is_full(&lines[lines.len() - 2]) && !line.contains(' ') => {
                lines.pop();
                lines.push(line.to_owned());
            }
            false => lines.push(line.to_owned()),
        }
    }
    Some(lines)
}

fn is_full(line: &str) -> bool {
    line.len() == 64 && !line.contains(' ')
}

struct Message {
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Every message whose first line begins so.
fn messages(lines: &[String], first: &str) -> Vec<Message> {
    let mut found = Vec::new();
    for (at, _) in lines.iter().enumerate().filter(|(_, line)| line.starts_with(first)) {
        let mut rest = lines[at + 1..].iter().skip_while(|line| line.is_empty());
        let head = rest.by_ref().take_while(|line| !line.is_empty());
        let fields = head.filter_map(|line| line.split_once(':')).map(|(n, v)| (n.to_owned(), v.trim().to_owned()));
        let fields: Vec<_> = fields.collect();
        let multipart = fields.iter().any(|(_, value)| value.starts_with("multipart"));
        let in_body = |line: &&String| match multipart {
            true => !line.ends_with("Boundary--"),
            false => !line.is_empty(),
        };
        let mut text: String =
            rest.skip_while(|line| line.is_empty()).take_while(in_body).map(|l| format!("{l}\r\n")).collect();
        if multipart {
            text.push_str("--estServerExampleBoundary--\r\n");
        }
        found.push(Message { fields, body: text.into_bytes() });
    }
    found
}

#[test]
fn the_appendix_is_read() {
    let Some(lines) = appendix() else { return };
    let responses: Vec<Response> = messages(&lines, "HTTP/1.1 200 OK")
        .into_iter()
        .map(|Message { fields, body }| {
            fields.iter().fold(Response { body, ..Response::new(200) }, |r, (n, v)| r.header(n, v))
        })
        .collect();
    let [cacerts, csrattrs, enrolled, generated] = responses.as_slice() else {
        panic!("{} responses", responses.len())
    };

    // A.1: the root, and the three certificates of a rollover.
    assert_eq!(client::read_cacerts(cacerts).unwrap().len(), 4);
    // A.2
    let wishes = client::read_csrattrs(csrattrs).unwrap();
    assert!(wishes.wants_binding());
    // A.3, A.4
    let requests: Vec<Request> = ["POST /.well-known/est/simpleenroll", "POST /.well-known/est/serverkeygen"]
        .into_iter()
        .flat_map(|first| messages(&lines, first))
        .map(|message| Request::post("/", "application/pkcs10", message.body))
        .collect();
    let csrs: Vec<Csr> = requests.iter().map(|r| Csr::from_der(&body::decode(&r.body).unwrap()).unwrap()).collect();
    let [asked, asked_to_make] = csrs.as_slice() else { panic!("{} requests", csrs.len()) };
    let Answer::Granted(enrolled) = client::read_enrolled(enrolled, asked.public_key()).unwrap() else { panic!() };
    assert!(asked.subject().contains(&enrolled.certificate.common_name().unwrap()));
    let Answer::Granted(generated) = client::read_generated(generated).unwrap() else { panic!() };
    assert!(asked_to_make.subject().contains("serverKeyGen"));
    assert_eq!(generated.certificates[0].common_name().as_deref(), Some("serverside key generated response"));
    assert!(generated.key.expose().starts_with(&[0x30, 0x82]));
}

use super::*;

const WEBHOOK: &str = "[[authorizer.signals.webhook]]\nname = \"ops\"\nurl = \"https://ops.example/hook\"\n\
                       anchors = [\"FOLDER/web.pem\"]\nsecret-file = \"FOLDER/hook.secret\"\n";
const STREAM: &str = "[[authorizer.signals.stream]]\nname = \"mdm\"\naudience = \"https://mdm.example\"\ntoken-file = \"FOLDER/token\"\n";
const SOURCE: &str = "[[authorizer.signals.source]]\nname = \"mdm\"\nissuer = \"https://mdm.example\"\nkeys = [\"FOLDER/them.pem\"]\n\
                      token-file = \"FOLDER/token\"\n";
const OURSELVES: &str = "issuer = \"https://net.example\"\nsigner.certificate = \"FOLDER/us.pem\"\nlisten = \"127.0.0.1:0\"\n\
                         identity.certificate = \"FOLDER/us.pem\"\n";

#[tokio::test]
async fn settings_that_cannot_be_meant_are_refused_by_their_key() {
    let (ground, element) = (Ground::new(), landfall_element::MemoryElement::new());
    ground.ourselves(&element);
    ground.write("empty", "\n");
    let good = format!("{OURSELVES}{WEBHOOK}{STREAM}{SOURCE}");
    ground.config(&good, &element).unwrap();
    for (from, to, key) in [
        ("https://ops", "http://ops", "webhook[0].url"),
        ("https://ops", "https://me@ops", "webhook[0].url"),
        ("[\"FOLDER/web.pem\"]", "[]", "webhook[0].anchors"),
        ("[\"FOLDER/web.pem\"]", "[\"FOLDER/token\"]", "webhook[0].anchors"),
        ("hook.secret", "token", "webhook[0].secret-file"),
        ("hook.secret", "gone", "webhook[0].secret-file"),
        ("name = \"ops\"", "name = \"Ops\"", "webhook[0].name"),
        ("name = \"ops\"", "name = \"ops\"\nevents = [\"everything\"]", "webhook[0].events"),
        (STREAM, &format!("{STREAM}{STREAM}"), "stream[1].name"),
        ("audience = \"https://mdm", "audience = \"mdm", "stream[0].audience"),
        ("mdm.example\"\ntoken-file = \"FOLDER/token\"", "mdm.example\"", "stream[0].token-file"),
        ("mdm.example\"\ntoken", "mdm.example\"\npush = \"http://x/\"\ntoken", "stream[0].push"),
        ("mdm.example\"\ntoken", "mdm.example\"\npush = \"https://x/\"\ntoken", "stream[0].anchors"),
        ("issuer = \"https://mdm", "issuer = \"mdm", "source[0].issuer"),
        ("[\"FOLDER/them.pem\"]", "[]", "source[0].keys"),
        ("[\"FOLDER/them.pem\"]", "[\"FOLDER/token\"]", "source[0].keys"),
        (
            "them.pem\"]\ntoken-file = \"FOLDER/token\"",
            "them.pem\"]\ntoken-file = \"FOLDER/empty\"",
            "source[0].token-file",
        ),
        ("issuer = \"https://net.example\"\n", "", "issuer"),
        ("signer.certificate = \"FOLDER/us.pem\"\n", "", "signer"),
        ("signer.certificate = \"FOLDER/us.pem\"", "signer.certificate = \"FOLDER/web.pem\"", "signer"),
        ("listen = \"127.0.0.1:0\"\n", "", "listen"),
        ("identity.certificate = \"FOLDER/us.pem\"\n", "", "identity"),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let why = ground.config(&text, &element).unwrap_err();
        assert_eq!(why.what, format!("authorizer.signals.{key}"), "{from} -> {to}: {why}");
    }
}

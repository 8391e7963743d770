//! What settings of segments mean, and which mean nothing: each of the wrong ones is the good one with one thing changed.

use landfall_nft::{Change, Link, Seat};
use landfall_server::{
    enforcer::{Config, picture::Picture},
    settings::{Settings, check},
};
use landfall_testkit::tool;

const SHARED: &str = "[registrar]\n[access]\n[access.quarantine]\nvlan = \"sick\"\n[[access.place]]\nvlan = \"30\"\n[enforcer]\nbridge = \"br0\"\ntrunks = [\"up1\"]\n\
    [[enforcer.segment]]\nname = \"new\"\nkind = \"onboarding\"\nvid = 10\n\
    [[enforcer.segment]]\nname = \"things\"\nkind = \"production\"\nvlan = \"30\"\n\
    [[enforcer.segment]]\nname = \"clinic\"\nkind = \"quarantine\"\nvlan = \"sick\"\nvid = 99\nbridge = \"clinic0\"\n\
    [[enforcer.port]]\ninterface = \"lan1\"\n";

fn refused(text: &str) -> Vec<String> {
    let problems = check(&Settings::parse(text).unwrap());
    problems.into_iter().filter(|problem| problem.key.starts_with("enforcer")).map(|it| it.to_string()).collect()
}

fn picture() -> Picture {
    let settings = Settings::parse(SHARED).unwrap();
    Config::from_settings(settings.enforcer.as_ref().unwrap(), &settings).unwrap().picture
}

fn link(name: &str, bridge: Option<&str>) -> Link {
    Link {
        name: name.parse().unwrap(),
        bridge: bridge.map(|bridge| bridge.parse().unwrap()),
        filters: false,
        tagged: [].into(),
        untagged: [].into(),
        native: None,
    }
}

#[test]
fn one_bridge_for_all_segments_needs_a_number_for_each() {
    assert_eq!(refused(SHARED), [] as [String; 0]);
    for (good, wrong, why) in [
        ("bridge = \"br0\"", "bridge = \"br 0\"", "enforcer.bridge: "),
        ("bridge = \"br0\"\n", "", "enforcer.trunks: are of one bridge for all segments"),
        ("trunks = [\"up1\"]", "trunks = [\"\"]", "enforcer.trunks[0]: "),
        ("interface = \"lan1\"", "interface = \"up1\"", "enforcer.port[0].interface: is also among the trunks"),
        ("vid = 10\n", "", "enforcer.segment[0].vid: is missing"),
        ("vid = 10\n", "vid = 0\n", "enforcer.segment[0].vid: is not from 1 to 4094"),
        ("vid = 10\n", "vid = 4095\n", "enforcer.segment[0].vid: is not from 1 to 4094"),
        ("vid = 10\n", "vid = 30\n", "enforcer.segment[1].vid: is also that of another segment"),
        ("vid = 99\n", "", "enforcer.segment[2].vid: is missing, and vlan is no number"),
        ("clinic0", "br0.30", "enforcer.segment[2].bridge: is also that of another"),
        ("clinic0", "br0", "enforcer.segment[2].bridge: is also that of another, or of all"),
    ] {
        let text = SHARED.replacen(good, wrong, 1);
        assert_ne!(text, SHARED, "{good}");
        let told = refused(&text);
        assert!(told.iter().any(|told| told.starts_with(why)), "{wrong:?}: {told:?}");
    }
    // Without such a bridge numbers mean nothing.
    let own = SHARED.replace("bridge = \"br0\"\ntrunks = [\"up1\"]\n", "");
    assert!(refused(&own)[0].contains("segment[0].vid: is for one bridge for all segments"), "{:?}", refused(&own));
}

#[test]
fn what_is_missing_of_a_bridge_with_vlans_is_made_and_no_more() {
    if tool("nft").is_none() {
        return;
    }
    let picture = picture();
    let name = |text: &str| text.parse::<landfall_nft::Interface>().unwrap();
    let (br0, up1) = (name("br0"), name("up1"));
    assert_eq!(picture.seat_of(&name("lan1")), Some(Seat { bridge: br0.clone(), vlan: Some(10) }));
    let own = |it: &str, vlan| Change::Own { name: name(it), bridge: br0.clone(), vlan };
    let trunk = Change::Trunk { port: up1, bridge: br0.clone(), vlans: [10, 30, 99].into() };
    let all = [Change::VlanBridge(br0.clone()), own("br0.10", 10), own("br0.30", 30), own("clinic0", 99)];
    // A trunk that is not plugged in is not waited for.
    assert_eq!(picture.missing(&[link("lan1", None)]), all);

    let bridge = Link { filters: true, tagged: [10, 30, 99].into(), ..link("br0", None) };
    let carries = Link { tagged: [10, 30, 99].into(), ..link("up1", Some("br0")) };
    let good = [bridge, carries, link("br0.10", None), link("br0.30", None), link("clinic0", None)];
    assert_eq!(picture.missing(&good), []);
    type Spoil = fn(&mut [Link; 5]);
    let spoilt: [(Spoil, &Change); 6] = [
        (|links| links[0].tagged = [10, 99].into(), &all[2]),
        (|links| links[4].name = "clinic1".parse().unwrap(), &all[3]),
        (|links| links[1].bridge = None, &trunk),
        (|links| links[1].tagged = [10, 99].into(), &trunk),
        (|links| links[1].tagged = [1, 10, 30, 99].into(), &trunk),
        (|links| links[1].native = Some(30), &trunk),
    ];
    for (spoil, mends) in spoilt {
        let mut links = good.clone();
        spoil(&mut links);
        assert_eq!(picture.missing(&links), std::slice::from_ref(mends));
    }
    // One that does not keep them apart any more is told to, with all that hangs on it.
    let mut links = good;
    links[0].filters = false;
    assert_eq!(picture.missing(&links)[..], all);
}

//! What peers send in the exchanges of DPP that have states: both sides hear it, with keys and nonces that are always the
//! same, so that a corpus holds whole exchanges.

use landfall_dpp::{
    Channel, Curve, NetRole, Random, Status,
    config::ConnectionStatus,
    connector::{Connector, Group, SignedConnector},
    curve::PrivateKey,
    frame::{Action, Frame, FrameType, from_the_air},
    introduction::{
        Own,
        access_point::{self, Discovered},
        station,
    },
    pkex, push_button,
    reconfiguration::{
        configurator::{self, Announcement},
        enrollee::{self, Identity},
    },
    tcp::Decoder,
};
use landfall_types::{Machine, Redacted, Refusal, Time, contract::drain};
use std::{collections::VecDeque, sync::LazyLock, time::Duration};

/// When all of it happens.
pub const NOW: Time = Time::from_unix(1_800_000_000);

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// Random numbers that are none.
fn fixed(octet: u8) -> impl Random {
    move |out: &mut [u8]| out.fill(octet)
}

fn key(octet: u8) -> PrivateKey {
    PrivateKey::generate(Curve::P256, &mut fixed(octet))
}

/// One side of an exchange: its machine and its bootstrapping key.
struct Side<M> {
    machine: M,
    key: PrivateKey,
}

/// What a machine wants done, as far as it matters here.
enum Want {
    Send(Frame),
    Agree(landfall_dpp::curve::PublicKey),
    Done,
    Nothing,
}

trait Wants {
    fn want(self) -> Want;
}

impl Wants for pkex::Output {
    fn want(self) -> Want {
        match self {
            Self::Send(frame) => Want::Send(frame),
            Self::Agree(point) => Want::Agree(point),
            Self::Done(Ok(_)) => Want::Done,
            Self::Done(Err(_)) | Self::Dropped(_) => Want::Nothing,
        }
    }
}

impl Wants for push_button::Output {
    fn want(self) -> Want {
        match self {
            Self::Send { frame, .. } | Self::Announce { frame, .. } => Want::Send(frame),
            Self::Agree(point) => Want::Agree(point),
            Self::Done(Ok(_)) => Want::Done,
            Self::Done(Err(_)) | Self::Dropped(_) => Want::Nothing,
        }
    }
}

impl<M: Machine<Output: Wants, Error = Refusal>> Side<M> {
    /// Tells the machine something. Whether it went on, and what it sends.
    fn tell(&mut self, now: Time, input: M::Input, agreed: fn(Redacted<Vec<u8>>) -> M::Input) -> (bool, Vec<Frame>) {
        let (mut went_on, mut sent) = (false, Vec::new());
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            assert!(self.machine.handle(now, input).is_ok(), "the driver does as it should");
            for output in drain(&mut self.machine) {
                match output.want() {
                    Want::Send(frame) => sent.push(frame),
                    Want::Agree(point) => inputs.extend(self.key.agree(&point).ok().map(agreed)),
                    Want::Done => {}
                    Want::Nothing => continue,
                }
                went_on = true;
            }
        }
        (went_on, sent)
    }
}

/// Both sides of a PKEX.
pub struct Pkex {
    initiator: Side<pkex::Initiator>,
    responder: Side<pkex::Responder>,
}

impl Pkex {
    /// Both sides with the same code, and what the initiator sends first.
    pub fn begin() -> Option<(Self, Vec<Frame>)> {
        let code = pkex::Code::new(Some("id"), b"code").ok()?;
        let config = |bootstrap: &PrivateKey| pkex::Config {
            code: code.clone(),
            bootstrap: bootstrap.public().clone(),
            version: 3,
            versions: pkex::Versions::Both,
            link: pkex::Link::Air { own: MAC },
            timing: pkex::Timing::default(),
        };
        let (a, b) = (key(1), key(2));
        let initiator = pkex::Initiator::new(config(&a), Box::new(fixed(3)));
        let responder = pkex::Responder::new(config(&b), Box::new(fixed(4)));
        let mut initiator = Side { machine: initiator, key: a };
        let (_, sent) = initiator.tell(NOW, pkex::Input::Start, pkex::Input::Agreed);
        Some((Self { initiator, responder: Side { machine: responder, key: b } }, sent))
    }

    /// Both hear a frame. Whether either went on, and what they send.
    pub fn hear(&mut self, frame: &Frame) -> (bool, Vec<Frame>) {
        let input = || pkex::Input::Frame { frame: frame.clone(), from: Some(MAC) };
        let (a, mut sent) = self.initiator.tell(NOW, input(), pkex::Input::Agreed);
        let (b, more) = self.responder.tell(NOW, input(), pkex::Input::Agreed);
        sent.extend(more);
        (a || b, sent)
    }
}

/// Both sides of a push button.
pub struct PushButton {
    configurator: Side<push_button::Configurator>,
    enrollee: Side<push_button::Enrollee>,
    now: Time,
}

impl PushButton {
    /// Both buttons have been pushed; and what the enrollee sends first.
    pub fn begin() -> (Self, Vec<Frame>) {
        let config = push_button::Config::default();
        let configurator = push_button::Configurator::new(config, Box::new(fixed(3)));
        let enrollee = push_button::Enrollee::new(config, Vec::new(), Box::new(fixed(4)));
        let mut both = Self {
            configurator: Side { machine: configurator, key: key(1) },
            enrollee: Side { machine: enrollee, key: key(2) },
            now: NOW,
        };
        let pushed = |key: &PrivateKey| push_button::Input::Pushed(key.public().clone());
        let (a, b) = (pushed(&both.configurator.key), pushed(&both.enrollee.key));
        both.configurator.tell(NOW, a, push_button::Input::Agreed);
        let (_, sent) = both.enrollee.tell(NOW, b, push_button::Input::Agreed);
        (both, sent)
    }

    /// Both hear a frame; an announcement comes eight seconds after what was before. Whether either went on, and what
    /// they send.
    pub fn hear(&mut self, frame: &Frame) -> (bool, Vec<Frame>) {
        if matches!(frame, Frame::Action(action) if action.kind == FrameType::PbPresenceAnnouncement) {
            self.wait(Duration::from_secs(8));
        }
        let input = || push_button::Input::Frame { frame: frame.clone(), from: MAC };
        let (a, mut sent) = self.configurator.tell(self.now, input(), push_button::Input::Agreed);
        let (b, more) = self.enrollee.tell(self.now, input(), push_button::Input::Agreed);
        sent.extend(more);
        (a || b, sent)
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.next().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.configurator.tell(self.now, push_button::Input::Timeout, push_button::Input::Agreed);
            self.enrollee.tell(self.now, push_button::Input::Timeout, push_button::Input::Agreed);
        }
        self.now = end;
    }

    fn next(&self) -> Option<Time> {
        self.configurator.machine.poll_timeout().into_iter().chain(self.enrollee.machine.poll_timeout()).min()
    }
}

/// The frames of a stream, if they are whole from the beginning to the end.
fn frames(data: &[u8]) -> Option<Vec<Frame>> {
    let mut decoder = Decoder::new();
    decoder.push(data);
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next().ok()? {
        frames.push(frame);
    }
    (decoder.pending() == 0 && !frames.is_empty()).then_some(frames)
}

/// Frames for both sides of PKEX, as TCP carries them; taken if one side or the other goes on with the last.
pub fn pkex(data: &[u8]) -> bool {
    let Some(frames) = frames(data) else { return false };
    let Some((mut both, _)) = Pkex::begin() else { return false };
    frames.iter().fold(false, |_, frame| both.hear(frame).0)
}

/// Frames for both sides of a push button, as TCP carries them; taken if one side or the other goes on with the last.
pub fn push_button(data: &[u8]) -> bool {
    let Some(frames) = frames(data) else { return false };
    let (mut both, _) = PushButton::begin();
    frames.iter().fold(false, |_, frame| both.hear(frame).0)
}

/// A network: who signs, and who is in it.
struct Network {
    csign: PrivateKey,
    station: (PrivateKey, Own),
    access_point: (PrivateKey, Own),
    configurator: (PrivateKey, Own),
}

static NETWORK: LazyLock<Option<Network>> = LazyLock::new(|| {
    let csign = key(5);
    let member = |octet, group: &str, role| {
        let key = key(octet);
        let groups = vec![Group { id: group.to_owned(), role }];
        let connector = Connector { groups, key: key.public().clone(), expiry: None, version: Some(3) };
        let input = connector.signing_input(csign.public());
        let signed = SignedConnector::attach(&input, &csign.sign(input.as_bytes()).ok()?).ok()?;
        Some((key, Own::new(signed, csign.public().clone(), 3).ok()?))
    };
    let (station, access_point) = (member(6, "home", NetRole::Sta)?, member(7, "home", NetRole::Ap)?);
    let configurator = member(8, "*", NetRole::Configurator)?;
    Some(Network { csign, station, access_point, configurator })
});

/// A frame of network introduction, in the clear or private, to whichever side it is for.
pub fn introduction(data: &[u8]) -> bool {
    let Ok(Frame::Action(action)) = from_the_air(data) else { return false };
    introduced(&action).is_some()
}

fn introduced(action: &Action) -> Option<()> {
    let Network { station: (station_key, station), access_point: (ap_key, ap), .. } = NETWORK.as_ref()?;
    match action.kind {
        FrameType::PeerDiscoveryRequest => match access_point::discovered(ap, NOW, action).ok()? {
            Discovered::Welcome { pending, .. } => drop(pending.agreed(&ap_key.agree(station.key()).ok()?)),
            Discovered::Refused { .. } => return None,
        },
        FrameType::PeerDiscoveryResponse => {
            let (_, waiting) = station::discover(station.clone(), NOW, 1).ok()?;
            let pending = waiting.answer(NOW, action).ok()?;
            drop(pending.agreed(&station_key.agree(ap.key()).ok()?));
        }
        FrameType::PrivatePeerIntroductionQuery => drop(access_point::queried(ap, NOW, action).ok()?),
        FrameType::PrivatePeerIntroductionNotify => {
            let (_, waiting) = station::query(station.clone(), NOW, 1).ok()?;
            let update = waiting.notified(NOW, action).ok()?;
            let n = station_key.agree(update.pending().point()).ok()?;
            update.agreed(&n, &mut fixed(9)).ok()?;
        }
        FrameType::PrivatePeerIntroductionUpdate => {
            let opening = access_point::updated(ap, NOW, action).ok()?;
            let dh = ap_key.agree(opening.point()).ok()?;
            opening.agreed(NOW, &dh).ok()?;
        }
        _ => return None,
    }
    Some(())
}

/// A frame of reconfiguration, to whichever side it is for.
pub fn reconfiguration(data: &[u8]) -> bool {
    let Ok(Frame::Action(action)) = from_the_air(data) else { return false };
    reconfigured(&action).is_some()
}

fn reconfigured(action: &Action) -> Option<()> {
    let Network { csign, .. } = NETWORK.as_ref()?;
    match action.kind {
        FrameType::ReconfigAnnouncement => {
            let announcement = Announcement::parse(action, csign.public()).ok()?;
            let [x, shifted] = announcement.points().ok()?.map(|point| csign.agree(&point).ok());
            announcement.identify(csign.public(), x?.expose(), shifted?.expose()).ok()?;
        }
        FrameType::ReconfigAuthenticationRequest => drop(requested(action)?),
        FrameType::ReconfigAuthenticationResponse => drop(answered(action)?),
        FrameType::ReconfigAuthenticationConfirm => {
            let (request, _) = request()?;
            let (_, waiting) = requested(&action_of(request)?)?;
            waiting.confirmed(action).ok()?;
        }
        _ => return None,
    }
    Some(())
}

fn action_of(frame: Frame) -> Option<Action> {
    match frame {
        Frame::Action(action) => Some(action),
        Frame::Gas(_) => None,
    }
}

fn request() -> Option<(Frame, configurator::AwaitResponse)> {
    let Network { configurator: (_, own), .. } = NETWORK.as_ref()?;
    Some(configurator::request(own.clone(), 3, 7, &mut fixed(4)))
}

fn requested(request: &Action) -> Option<(Frame, enrollee::AwaitConfirm)> {
    let Network { station: (key, own), .. } = NETWORK.as_ref()?;
    let channels = vec![Channel { class: 81, channel: 6 }];
    let status = ConnectionStatus { result: Status::NoAp, ssid: Some(b"home".to_vec()), channels };
    let pending = enrollee::requested(own, NOW, request, &status, &mut fixed(10)).ok()?;
    let m = key.plus(pending.addend()).ok()?.agree(pending.point()).ok()?;
    Some(pending.agreed(&m, 3))
}

fn answered(response: &Action) -> Option<Frame> {
    let Network { configurator: (key, _), .. } = NETWORK.as_ref()?;
    let (_, waiting) = request()?;
    let pending = waiting.answered(response).ok()?;
    let m = key.agree(pending.point()).ok()?;
    Some(pending.agreed(&m, true).ok()?.0)
}

/// Every frame of both forms of introduction, by name.
pub fn introduction_frames() -> Option<Vec<(&'static str, Frame)>> {
    let Network { station: (station_key, station), access_point: (_, ap), .. } = NETWORK.as_ref()?;
    let (request, _) = station::discover(station.clone(), NOW, 1).ok()?;
    let Ok(Discovered::Welcome { response, .. }) = access_point::discovered(ap, NOW, &action_of(request.clone())?)
    else {
        return None;
    };
    let (query, waiting) = station::query(station.clone(), NOW, 1).ok()?;
    let notify = access_point::queried(ap, NOW, &action_of(query.clone())?).ok()?;
    let update = waiting.notified(NOW, &action_of(notify.clone())?).ok()?;
    let n = station_key.agree(update.pending().point()).ok()?;
    let (update, _) = update.agreed(&n, &mut fixed(9)).ok()?;
    Some(vec![("request", request), ("response", response), ("query", query), ("notify", notify), ("update", update)])
}

/// Every frame of a reconfiguration, by name.
pub fn reconfiguration_frames() -> Option<Vec<(&'static str, Frame)>> {
    let Network { csign, station: (_, own), .. } = NETWORK.as_ref()?;
    let identity = Identity::generate(Curve::P256, &mut fixed(11));
    let announcement = identity.announce(own, csign.public(), &mut fixed(12)).ok()?;
    let (request, _) = request()?;
    let (response, _) = requested(&action_of(request.clone())?)?;
    let confirm = answered(&action_of(response.clone())?)?;
    Some(vec![("announcement", announcement), ("request", request), ("response", response), ("confirm", confirm)])
}

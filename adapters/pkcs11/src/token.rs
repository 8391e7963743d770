//! One token: its module, the session with it, and the PIN.

use crate::{
    Pkcs11Uri,
    trouble::{self, Failed},
    uri::encoded,
};
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    session::{Session, UserType},
    slot::{Slot, TokenInfo},
    types::AuthPin,
};
use landfall_element::{ElementError, Trouble, files};
use landfall_types::{KeyUri, Redacted};
use std::{
    fmt,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// What opens a token.
#[derive(Clone, Debug)]
pub enum Pin {
    /// The user's PIN.
    Known(Redacted<String>),
    /// None: it is typed on the token's own keypad, or there is none.
    None,
}

impl Pin {
    /// From the first line of a file, or of a descriptor: `/dev/fd/3`.
    ///
    /// # Errors
    /// If it cannot be read, or is empty.
    pub fn read(path: &Path) -> Result<Self, ElementError> {
        files::first_line(path).map(Self::Known)
    }

    /// The one that `uri` says how to get.
    ///
    /// # Errors
    /// As [`Pin::read`].
    pub fn of(uri: &Pkcs11Uri) -> Result<Self, ElementError> {
        uri.pin_file.as_deref().map_or(Ok(Self::None), Self::read)
    }
}

pub(crate) struct Token {
    module: Pkcs11,
    wanted: Pkcs11Uri,
    known: TokenInfo,
    pin: Pin,
    /// Tokens lock after a few wrong PINs, so that one that was refused is not sent again.
    refused: AtomicBool,
    session: Mutex<Option<Session>>,
}

impl Token {
    pub(crate) fn open(uri: &Pkcs11Uri, pin: Pin) -> Result<Self, ElementError> {
        let path = uri.module.as_deref();
        let path = path.ok_or_else(|| ElementError::hardware(Trouble::Gone, "its URI names no module-path"))?;
        let module = Pkcs11::new(path).map_err(|why| {
            ElementError::hardware(Trouble::Gone, format!("the module {} cannot be loaded: {why}", path.display()))
        })?;
        initialize(&module)?;
        let (_, known) = find(&module, uri)?;
        let refused = AtomicBool::new(false);
        let token = Self { module, wanted: uri.clone(), known, pin, refused, session: Mutex::new(None) };
        token.with(|_| Ok(()))?;
        Ok(token)
    }

    /// Does `work` in the session. One that was lost is opened again, and `work` done once more: a token that says so has
    /// not begun with it.
    pub(crate) fn with<T>(&self, work: impl Fn(&Session) -> Result<T, Failed>) -> Result<T, ElementError> {
        let mut held = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = &*held {
            match work(session) {
                Err(Failed::Token(error)) if trouble::is_lost(&error) => {}
                done => return done.map_err(ElementError::from),
            }
        }
        // The lost one goes first: with it goes what is left of its login.
        *held = None;
        let session = self.log_in()?;
        let done = work(&session);
        *held = Some(session);
        done.map_err(ElementError::from)
    }

    fn log_in(&self) -> Result<Session, ElementError> {
        if self.refused.load(Ordering::Relaxed) {
            return Err(ElementError::hardware(Trouble::WrongPin, format!("{self}, before; it is not tried again")));
        }
        initialize(&self.module)?;
        let (slot, info) = find(&self.module, &self.wanted)?;
        if info.user_pin_locked() {
            return Err(ElementError::hardware(Trouble::LockedOut, self.to_string()));
        }
        let session = self.module.open_rw_session(slot).map_err(trouble::of)?;
        let pin = match &self.pin {
            Pin::Known(pin) => Some(AuthPin::from(pin.expose().as_str())),
            Pin::None if info.login_required() && !info.protected_authentication_path() => {
                return Err(ElementError::hardware(Trouble::WrongPin, format!("{self} wants one, and none is named")));
            }
            Pin::None if !info.login_required() => return Ok(session),
            Pin::None => None,
        };
        match session.login(UserType::User, pin.as_ref()) {
            // Another element of this program is logged in: logins are the program's, not the session's.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(error) => {
                let error = trouble::of(error);
                if error.trouble() == Some(Trouble::WrongPin) {
                    self.refused.store(true, Ordering::Relaxed);
                }
                Err(error)
            }
        }
    }

    /// Whether what `uri` says of a token is true of this one.
    pub(crate) fn is_named_by(&self, uri: &Pkcs11Uri) -> bool {
        fits(&self.known, uri)
    }

    pub(crate) fn key_uri(&self, label: &[u8]) -> Result<KeyUri, ElementError> {
        let text = format!("{}object={};type=private", self.wanted.token_part(), encoded(label));
        let why = "it does not fit into a URI";
        KeyUri::try_from(text)
            .map_err(|_| ElementError::Label { label: String::from_utf8_lossy(label).chars().take(40).collect(), why })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the token {:?} (serial {})", self.known.label(), self.known.serial_number())
    }
}

/// A module is initialized once for the whole program, by whoever comes first.
fn initialize(module: &Pkcs11) -> Result<(), ElementError> {
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        Err(error) => Err(trouble::of(error)),
    }
}

fn find(module: &Pkcs11, uri: &Pkcs11Uri) -> Result<(Slot, TokenInfo), ElementError> {
    let mut found = Vec::new();
    for slot in module.get_slots_with_token().map_err(trouble::of)? {
        if uri.slot.is_some_and(|wanted| wanted != slot.id()) {
            continue;
        }
        let Ok(info) = module.get_token_info(slot) else { continue };
        if info.token_initialized() && fits(&info, uri) {
            found.push((slot, info));
        }
    }
    let wanted = uri.token_part();
    match found.len() {
        0 => Err(ElementError::hardware(Trouble::Gone, format!("no token is {wanted}"))),
        1 => found.pop().ok_or(ElementError::Crypto("find the token")),
        n => Err(ElementError::hardware(Trouble::Failed, format!("{n} tokens are {wanted}; name one by its serial"))),
    }
}

fn fits(info: &TokenInfo, uri: &Pkcs11Uri) -> bool {
    let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
    same(&uri.token, info.label())
        && same(&uri.manufacturer, info.manufacturer_id())
        && same(&uri.model, info.model())
        && same(&uri.serial, info.serial_number())
}

//! What a token says, as what a person can do about it.

use cryptoki::error::{Error, RvError};
use landfall_element::{ElementError, Trouble};

/// Why work with a token failed, while it is not yet decided whether to try again.
pub(crate) enum Failed {
    Token(Error),
    Element(ElementError),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Token(error)
    }
}

impl From<ElementError> for Failed {
    fn from(error: ElementError) -> Self {
        Self::Element(error)
    }
}

impl From<Failed> for ElementError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Token(error) => of(error),
            Failed::Element(error) => error,
        }
    }
}

/// Whether the session is over, so that a new one may do: after another program closed it, the module was set up anew, or
/// the token was drawn and put back.
pub(crate) const fn is_lost(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::UserNotLoggedIn
                | RvError::CryptokiNotInitialized
                | RvError::DeviceRemoved
                | RvError::TokenNotPresent,
            _
        )
    )
}

pub(crate) fn of(error: Error) -> ElementError {
    let trouble = match &error {
        Error::Pkcs11(code, _) => kind(code),
        Error::LibraryLoading(_) => Trouble::Gone,
        _ => Trouble::Failed,
    };
    ElementError::hardware(trouble, error.to_string())
}

const fn kind(code: &RvError) -> Trouble {
    match code {
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => Trouble::WrongPin,
        RvError::PinLocked | RvError::PinExpired | RvError::UserPinNotInitialized => Trouble::LockedOut,
        RvError::DeviceMemory => Trouble::Full,
        RvError::DeviceRemoved
        | RvError::TokenNotPresent
        | RvError::TokenNotRecognized
        | RvError::SlotIdInvalid
        | RvError::SessionHandleInvalid
        | RvError::SessionClosed
        | RvError::CryptokiNotInitialized => Trouble::Gone,
        _ => Trouble::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryptoki::context::Function;

    #[test]
    fn each_code_is_told_as_what_to_do_about_it() {
        let told = [
            (RvError::PinIncorrect, Trouble::WrongPin),
            (RvError::PinLocked, Trouble::LockedOut),
            (RvError::DeviceMemory, Trouble::Full),
            (RvError::TokenNotPresent, Trouble::Gone),
            (RvError::DeviceRemoved, Trouble::Gone),
            (RvError::FunctionFailed, Trouble::Failed),
        ];
        for (code, trouble) in told {
            let lost = matches!(code, RvError::TokenNotPresent | RvError::DeviceRemoved);
            let error = Error::Pkcs11(code, Function::Sign);
            assert_eq!(is_lost(&error), lost);
            assert_eq!(of(error).trouble(), Some(trouble));
        }
    }
}

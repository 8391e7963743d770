//! Configuration (s6.4): the enrollee asks over GAS, the configurator decides and answers, all under the keys of
//! authentication.

mod configurator;
mod enrollee;
mod message;
mod new_key;

use crate::{
    auth::Session,
    capabilities::Role,
    exchange::{Context, Next},
};

/// The first state after authentication.
pub(crate) fn start(cx: &mut Context, session: Session) -> Next {
    match session.role() {
        Role::Configurator => configurator::start(cx, session),
        Role::Enrollee => enrollee::start(cx, session),
    }
}

//! The pledge against registrars that do one thing differently.

mod asking;
mod enrolling;
pub(super) mod registrar;
mod renewing;
pub(super) mod sim;
mod vouchers;

impl sim::Far for registrar::Registrar {
    fn reachable(&self) -> bool {
        self.reachable
    }

    fn peer(&self, connection: u64) -> landfall_brski::TlsPeer {
        self.peer(connection)
    }

    fn answer(
        &mut self,
        request: landfall_types::http::Request,
        _client: landfall_brski::TlsPeer,
        now: landfall_types::Time,
    ) -> landfall_types::http::Response {
        self.answer(request, now)
    }
}

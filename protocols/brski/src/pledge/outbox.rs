//! What has been asked for and not yet been polled.

use super::io::{ConnectionId, Identity, Output, Progress, Trust};
use crate::proxy::Offer;
use landfall_types::http::Request;
use std::collections::VecDeque;

/// Outputs in order, and the counter behind connection ids.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Output>,
    connections: u64,
}

impl Outbox {
    pub(super) fn push(&mut self, output: Output) {
        self.queue.push_back(output);
    }

    pub(super) fn pop(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    pub(super) fn note(&mut self, progress: Progress) {
        self.push(Output::Progress(progress));
    }

    pub(super) fn connect(&mut self, offer: Offer, identity: Identity, trust: Trust) -> ConnectionId {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let with = match identity {
            Identity::Idevid => "IDevID",
            Identity::Ldevid { .. } => "LDevID",
        };
        self.note(Progress::Connecting { offer: offer.clone(), with });
        self.push(Output::Connect { connection, offer, identity, trust });
        connection
    }

    pub(super) fn send(&mut self, connection: ConnectionId, request: Request) {
        self.push(Output::Send { connection, request });
    }

    pub(super) fn disconnect(&mut self, connection: ConnectionId) {
        self.push(Output::Disconnect { connection });
    }
}

//! Holds what the kernel has against what should be, and puts it right.

use super::{
    Enforcer, State, hearing,
    picture::Picture,
    plan::{self, Contents, FAMILIES, Loaded, TABLE},
};
use landfall_nft::{Interface, KernelError, Link};
use serde_json::Value;
use std::collections::BTreeSet;

impl Enforcer {
    /// Looks once, and repairs: true if anything had to be.
    ///
    /// # Errors
    /// If the kernel does not answer, or does not do it.
    pub async fn check(&self) -> Result<bool, KernelError> {
        let mut state = self.state.lock().await;
        let repaired = self.check_with(&mut state).await?;
        state.checked = Some(self.world.clock.now());
        if repaired {
            state.repairs += 1;
            metrics::counter!("landfall_enforcer_repairs_total").increment(1);
        }
        Ok(repaired)
    }

    async fn check_with(&self, state: &mut State) -> Result<bool, KernelError> {
        let listed = self.listed().await?;
        let loaded = Loaded::read(&listed);
        if let Some(loaded) = &loaded {
            state.dropped.count(&loaded.dropped, self.world.clock.now());
        }
        let is_good = loaded.is_some_and(|loaded| {
            loaded.frame == state.frame
                && loaded.contents == Contents::of(&state.loaded)
                && loaded.generation == Some(state.generation.into())
        });
        if !is_good {
            tracing::warn!(role = "enforcer", "the kernel's rules are not what they should be, and are loaded anew");
            let loaded = state.loaded.clone();
            self.replace(state, loaded).await?;
        }
        let there = self.kernel.links().await?;
        let belongs = |link: &Link| match state.wanted.seat_of(&link.name) {
            Some(seat) => link.sits(&seat),
            None => link.bridge.is_none(),
        };
        let strayed = there.iter().filter(|link| state.wanted.ports.contains(&link.name) && !belongs(link));
        let mut strayed: BTreeSet<Interface> = strayed.map(|link| link.name.clone()).collect();
        strayed.extend(state.down.iter().cloned());
        let missing = state.wanted.missing(&there);
        if strayed.is_empty() && missing.is_empty() && state.loaded == state.wanted {
            return Ok(!is_good);
        }
        self.kernel.change(&missing).await?;
        let wanted = state.wanted.clone();
        let mut closed = wanted.clone();
        closed.shut.extend(strayed.iter().cloned());
        self.load(state, closed).await?;
        self.place(&wanted, &strayed).await?;
        self.load(state, wanted).await?;
        state.down.clear();
        Ok(true)
    }

    /// Loads everything anew, and learns how the kernel tells it.
    pub(super) async fn replace(&self, state: &mut State, picture: Picture) -> Result<(), KernelError> {
        let next = state.generation.wrapping_add(1);
        let mut commands = plan::whole(&picture, next);
        commands.extend(self.kept_sources(&picture).await?);
        self.told(self.kernel.apply(&commands).await)?;
        (state.generation, state.loaded) = (next, picture);
        let unclear = || KernelError::Unable { program: "nft", why: "does not tell what it has just loaded".into() };
        // What was left by somebody who did hear is taken away at the start.
        let are_ears = state.loaded.claims || next == 1;
        if are_ears && let Err(why) = self.kernel.apply(&hearing::ears(&state.loaded)).await {
            // What they would hear is only claimed.
            tracing::warn!(role = "enforcer", %why, "what devices say of themselves by LLDP is not heard");
        }
        state.frame = Loaded::read(&self.listed().await?).ok_or_else(unclear)?.frame;
        Ok(())
    }

    async fn listed(&self) -> Result<Vec<Value>, KernelError> {
        let mut listed = Vec::new();
        for family in FAMILIES {
            listed.extend(self.kernel.table(family, TABLE).await?.unwrap_or_default());
        }
        Ok(listed)
    }
}

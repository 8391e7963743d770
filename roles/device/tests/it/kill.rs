//! Killed at any point, the agent goes on from what is durable.

use super::world::World;
use landfall_brski::paths;
use landfall_testkit::Rng;
use std::{fs, time::Duration};

const SEED: u64 = 20_261_122;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_points() {
    println!("seed {SEED}");
    let mut rng = Rng::new(SEED);
    for round in 0..8 {
        let world = World::new().await;
        let mut kills = 0;
        for _ in 0..6 {
            let mut agent = world.command(&["onboard", "--attempts", "1"]).spawn().unwrap();
            let patience = Duration::from_millis(rng.below(60));
            tokio::time::sleep(patience).await;
            if agent.try_wait().unwrap().is_none() {
                agent.kill().unwrap();
                kills += 1;
            }
            agent.wait().unwrap();
            // Whole or not there.
            if let Ok(content) = fs::read(world.path("state/credential.json")) {
                serde_json::from_slice::<serde_json::Value>(&content).unwrap();
            }
        }
        let output = world.run(&["onboard", "--attempts", "1", "--json"]).await;
        assert!(output.status.success(), "round {round}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(world.ldevid_keys().len(), 1, "round {round}: a key is left over after {kills} kills");
        let (status, registrar) = (world.run(&["status"]).await, world.registrar());
        assert!(status.status.success());
        // Once a credential is durable no other is asked for, so there is at most one more than there were kills.
        assert!(registrar.at(paths::SIMPLE_ENROLL).len() <= kills + 1);
        assert!(registrar.told(paths::ENROLL_STATUS).iter().all(|report| report.status));
    }
}

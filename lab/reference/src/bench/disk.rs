//! Durable writes with nothing around them.

use anyhow::{Context, Result};
use bytes::Bytes;
use std::{fs::File, io::Write, path::Path, sync::mpsc};
use tokio::sync::oneshot;

/// A file that what waits is appended to, all of it at once.
#[derive(Clone)]
pub(super) struct Disk(mpsc::Sender<(Bytes, oneshot::Sender<()>)>);

impl Disk {
    /// Makes the file anew.
    pub(super) fn start(path: &Path) -> Result<Self> {
        let mut file = File::create(path)?;
        let (sender, queue) = mpsc::channel::<(Bytes, oneshot::Sender<()>)>();
        std::thread::spawn(move || -> std::io::Result<()> {
            while let Ok(first) = queue.recv() {
                let (bytes, waiting): (Vec<_>, Vec<_>) = std::iter::once(first).chain(queue.try_iter()).unzip();
                file.write_all(&bytes.concat())?;
                file.sync_data()?;
                for done in waiting {
                    // Whoever waited may have gone away.
                    let _ = done.send(());
                }
            }
            Ok(())
        });
        Ok(Self(sender))
    }

    /// Returns once `bytes` are on the disk.
    pub(super) async fn write(&self, bytes: Bytes) -> Result<()> {
        let (done, written) = oneshot::channel();
        self.0.send((bytes, done)).ok().context("the disk is gone")?;
        written.await.context("it was not written")
    }
}

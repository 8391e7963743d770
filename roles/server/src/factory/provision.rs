//! Making batches of devices with the keys that the factory makes for them (H.1.1, method 3).

use super::{Factory, FactoryError, bundles::Folder, dpp};
use landfall_lifecycle::factory::{
    BadSerial, Batch, BatchId, FactoryDevice, FactoryEvent, LOG, Method, Product, SerialCounter, SerialRange,
};
use landfall_pki::{Signer, SoftwareKey, pem};
use landfall_types::{BundleKey, Changes, DeviceBundle, Redacted, SerialNumber, record::Record};
use std::{
    num::NonZero,
    path::PathBuf,
    sync::{
        Mutex, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

/// How many devices share one wait for the disk and one transaction.
const CHUNK: u64 = 256;
/// How often a plan is made anew because another one took the serial numbers.
const ATTEMPTS: usize = 16;

/// Devices to be made.
#[derive(Clone, Debug)]
pub struct Order {
    /// What they are.
    pub product: Product,
    /// How many.
    pub count: NonZero<u32>,
}

/// How far a batch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many devices are made and recorded.
    pub made: u64,
    /// How many there will be.
    pub of: u64,
}

/// A batch that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisioned {
    /// The batch.
    pub batch: Batch,
    /// Where its bundles are.
    pub folder: PathBuf,
    /// How many devices were made now.
    pub made: u64,
    /// How many had been recorded before an interruption; their bundles were handed out now if they had not been.
    pub found: u64,
    /// The serial numbers whose certificate had been made before an interruption and was neither recorded nor handed
    /// out: that certificate was thrown away with its key, and the number used anew.
    pub made_anew: Vec<SerialNumber>,
}

impl Factory {
    /// Makes a batch. `progress` is told now and then, from several threads.
    ///
    /// This blocks for as long as it takes, on all cores. If it is interrupted, [`Factory::resume`] completes the batch.
    pub fn provision(&self, order: &Order, progress: &(dyn Fn(Progress) + Sync)) -> Result<Provisioned, FactoryError> {
        let _guard = self.alone()?;
        let batch = self.plan(order)?;
        self.complete(batch, progress)
    }

    /// Completes every batch that was interrupted.
    pub fn resume(&self, progress: &(dyn Fn(Progress) + Sync)) -> Result<Vec<Provisioned>, FactoryError> {
        let _guard = self.alone()?;
        let unfinished = self.store.find_by::<Batch>(Batch::BY_FINISHED, "no", usize::MAX)?;
        unfinished.into_iter().map(|batch| self.complete(batch.record, progress)).collect()
    }

    /// The batches that were interrupted.
    pub fn unfinished(&self) -> Result<Vec<Batch>, FactoryError> {
        let unfinished = self.store.find_by::<Batch>(Batch::BY_FINISHED, "no", usize::MAX)?;
        Ok(unfinished.into_iter().map(|batch| batch.record).collect())
    }

    fn alone(&self) -> Result<std::sync::MutexGuard<'_, ()>, FactoryError> {
        match self.at_work.try_lock() {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(guard)) => Ok(guard.into_inner()),
            Err(TryLockError::WouldBlock) => Err(FactoryError::Busy),
        }
    }

    /// Sets serial numbers aside and records the batch, both or neither.
    fn plan(&self, order: &Order) -> Result<Batch, FactoryError> {
        let product = &order.product;
        // What cannot be made must not be planned: it would stay unfinished for ever.
        dpp::Maker::of(product)?;
        self.allocating(product, u64::from(order.count.get()), |range, changes| {
            let batch = Batch {
                id: BatchId::of(&range)?,
                product: product.clone(),
                method: Method::Loaded,
                range,
                planned: self.now(),
                finished: None,
            };
            let changes = changes.insert(&batch)?;
            Ok((batch, changes))
        })
    }

    /// Commits what `make` makes of newly set aside serial numbers, together with the counter. If somebody else took the
    /// numbers meanwhile, it makes it again of others.
    pub(super) fn allocating<T>(
        &self,
        product: &Product,
        count: u64,
        mut make: impl FnMut(SerialRange, Changes) -> Result<(T, Changes), FactoryError>,
    ) -> Result<T, FactoryError> {
        let mut attempt = 0;
        loop {
            let begun = SerialCounter::new(product.serials.clone());
            let stored = self.store.find::<SerialCounter>(&begun.key())?;
            let counter = stored.as_ref().map_or(&begun, |stored| &stored.record);
            if counter.scheme != product.serials {
                let detail = "other devices with this prefix have serial numbers with another number of digits";
                return Err(BadSerial::Scheme(detail).into());
            }
            let (range, next) = counter.allocate(count)?;
            let changes = match &stored {
                Some(stored) => Changes::new().put_if(&next, stored.version)?,
                None => Changes::new().insert(&next)?,
            };
            let (made, changes) = make(range, changes)?;
            match self.store.commit_blocking(changes) {
                Ok(_) => return Ok(made),
                Err(e) if e.is_conflict() && attempt < ATTEMPTS => attempt += 1,
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn complete(&self, batch: Batch, progress: &(dyn Fn(Progress) + Sync)) -> Result<Provisioned, FactoryError> {
        let folder = self.bundles.folder(batch.id.as_str())?;
        let made_anew = self.settle(&folder)?;
        let work = Work::new(self, &batch, &folder, progress);
        let (made, found) = work.run()?;
        folder.sync()?;
        let batch = Batch { finished: Some(self.now()), ..batch };
        self.store.commit_blocking(Changes::new().put(&batch)?)?;
        Ok(Provisioned { folder: folder.path().into(), batch, made, found, made_anew })
    }

    /// Settles what an interruption left: a bundle whose device is on record is handed out, any other is thrown away.
    fn settle(&self, folder: &Folder) -> Result<Vec<SerialNumber>, FactoryError> {
        let mut thrown_away = Vec::new();
        for (path, bundle) in folder.left_over()? {
            let recorded = match &bundle {
                Some(bundle) => self.store.find::<FactoryDevice>(bundle.serial_number.as_str())?,
                None => None,
            };
            match bundle {
                Some(bundle) if recorded.is_some_and(|device| device.idevid == bundle.idevid) => {
                    folder.hand_out(&bundle.serial_number)?;
                }
                other => {
                    folder.discard(&path)?;
                    thrown_away.extend(other.map(|bundle| bundle.serial_number));
                }
            }
        }
        Ok(thrown_away)
    }

    /// Makes the devices of one chunk that are not on record yet; says how many.
    fn make_chunk(&self, batch: &Batch, folder: &Folder, skip: u64) -> Result<u64, FactoryError> {
        let dpp = dpp::Maker::of(&batch.product)?;
        let mut changes = Changes::new();
        let mut made = Vec::new();
        for serial in batch.range.part(skip, CHUNK).serials() {
            let serial = serial?;
            match self.store.find::<FactoryDevice>(serial.as_str())? {
                Some(device) if device.batch.as_ref() == Some(&batch.id) => continue,
                Some(_) => return Err(FactoryError::serial_taken(&serial)),
                None => {}
            }
            let (device, bundle) = self.make(batch, dpp.as_ref(), serial.clone())?;
            folder.stage(&bundle)?;
            changes = changes.insert(&device)?.append(LOG, &event(&device))?;
            made.push(serial);
        }
        if !made.is_empty() {
            folder.sync()?;
            self.store.commit_blocking(changes)?;
            made.iter().try_for_each(|serial| folder.hand_out(serial))?;
        }
        Ok(made.len() as u64)
    }

    fn make(
        &self,
        batch: &Batch,
        dpp: Option<&dpp::Maker<'_>>,
        serial: SerialNumber,
    ) -> Result<(FactoryDevice, DeviceBundle), FactoryError> {
        let key = SoftwareKey::generate(batch.product.algorithm)?;
        let (mut device, mut bundle) =
            self.birth(&batch.product, serial, key.public_key(), batch.method, Some(&batch.id), self.now())?;
        bundle.key = Some(BundleKey(Redacted::new(pem::encode("PRIVATE KEY", key.to_pkcs8_der().expose()))));
        if let Some(dpp) = dpp {
            let (record, birth) = dpp.make(&device.serial_number)?;
            (device.dpp, bundle.dpp) = (Some(record), Some(birth));
        }
        Ok((device, bundle))
    }
}

/// What the log says of a device that was made.
pub(super) fn event(device: &FactoryDevice) -> FactoryEvent {
    FactoryEvent::Made { serial_number: device.serial_number.clone(), idevid: device.fingerprint, at: device.made }
}

/// A batch in the making, shared by all threads.
struct Work<'a> {
    factory: &'a Factory,
    batch: &'a Batch,
    folder: &'a Folder,
    progress: &'a (dyn Fn(Progress) + Sync),
    next: AtomicU64,
    done: AtomicU64,
    made: AtomicU64,
    failed: AtomicBool,
    error: Mutex<Option<FactoryError>>,
}

impl<'a> Work<'a> {
    fn new(
        factory: &'a Factory,
        batch: &'a Batch,
        folder: &'a Folder,
        progress: &'a (dyn Fn(Progress) + Sync),
    ) -> Self {
        let (next, done, made) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Self {
            factory,
            batch,
            folder,
            progress,
            next,
            done,
            made,
            failed: AtomicBool::new(false),
            error: Mutex::default(),
        }
    }

    /// Makes all chunks on all cores; the first error stops it. How many devices were made, and how many were there.
    fn run(self) -> Result<(u64, u64), FactoryError> {
        let chunks = self.batch.range.count.div_ceil(CHUNK);
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = cores.min(usize::try_from(chunks).unwrap_or(cores));
        thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(|| self.make_chunks(chunks)))));
        match self.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => {
                let made = self.made.into_inner();
                Ok((made, self.batch.range.count.saturating_sub(made)))
            }
        }
    }

    fn make_chunks(&self, chunks: u64) {
        while !self.failed.load(Ordering::Relaxed) {
            let chunk = self.next.fetch_add(1, Ordering::Relaxed);
            if chunk >= chunks {
                return;
            }
            match self.factory.make_chunk(self.batch, self.folder, chunk * CHUNK) {
                Ok(made) => self.count(self.batch.range.part(chunk * CHUNK, CHUNK).count, made),
                Err(error) => {
                    self.failed.store(true, Ordering::Relaxed);
                    self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        }
    }

    fn count(&self, done: u64, made: u64) {
        self.made.fetch_add(made, Ordering::Relaxed);
        let done = self.done.fetch_add(done, Ordering::Relaxed) + done;
        (self.progress)(Progress { made: done, of: self.batch.range.count });
    }
}

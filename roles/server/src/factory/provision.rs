//! Making batches of devices with the keys that the factory makes for them (H.1.1, method 3).

use super::{
    Factory, FactoryError,
    authority::Applicant,
    bundles::{Folder, LeftOver},
    dpp,
    manifest::{Lines, List},
};
use landfall_lifecycle::factory::{
    BadSerial, Batch, BatchId, BundleForm, FactoryDevice, FactoryEvent, LOG, MadeDevice, Method, Product,
    SerialCounter, SerialRange,
};
use landfall_pki::{SoftwareKey, pem};
use landfall_types::{BundleKey, Changes, DeviceBundle, Redacted, SerialNumber, record::Record};
use std::{
    collections::BTreeMap,
    num::NonZero,
    path::PathBuf,
    sync::{
        Mutex, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

/// How many devices share one wait for the disk and one transaction.
const CHUNK: u64 = 512;
/// How many devices share an entry of the log.
const TOLD_TOGETHER: usize = 64;
/// How often a plan is made anew because another one took the serial numbers.
const ATTEMPTS: usize = 16;
/// Why a device is made anew.
const INTERRUPTED: &str = "its certificate was neither recorded nor handed out; it was thrown away with its key";

/// Devices to be made.
#[derive(Clone, Debug)]
pub struct Order {
    /// What they are.
    pub product: Product,
    /// How many.
    pub count: NonZero<u32>,
    /// In what files their bundles are handed out.
    pub bundles: BundleForm,
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
    /// Its manifest; the signature is beside it.
    pub manifest: PathBuf,
}

impl Factory {
    /// Makes a batch. `progress` is told now and then, from several threads.
    ///
    /// This blocks for as long as it takes, on all cores. If it is interrupted, [`Factory::resume`] completes the batch.
    pub fn provision(&self, order: &Order, progress: &(dyn Fn(Progress) + Sync)) -> Result<Provisioned, FactoryError> {
        self.provision_from(order, None, progress)
    }

    /// The same with the serial numbers from the counter `first` on, which were agreed on.
    ///
    /// # Errors
    /// A refusal if another station, or a device, has one of them already.
    pub fn provision_from(
        &self,
        order: &Order,
        first: Option<u64>,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Provisioned, FactoryError> {
        let _guard = self.alone()?;
        let batch = self.plan(order, first)?;
        let folder = self.bundles.folder(batch.id.as_str())?;
        folder.claim()?;
        self.complete(batch, &folder, progress)
    }

    /// Completes every batch that was interrupted.
    pub fn resume(&self, progress: &(dyn Fn(Progress) + Sync)) -> Result<Vec<Provisioned>, FactoryError> {
        let _guard = self.alone()?;
        let interrupted = self.interrupted()?;
        interrupted.into_iter().map(|(batch, folder)| self.complete(batch, &folder, progress)).collect()
    }

    /// The batches that were interrupted.
    pub fn unfinished(&self) -> Result<Vec<Batch>, FactoryError> {
        Ok(self.interrupted()?.into_iter().map(|(batch, _)| batch).collect())
    }

    /// The batches that are not finished and that no station is making; none does while their folders are held.
    fn interrupted(&self) -> Result<Vec<(Batch, Folder)>, FactoryError> {
        let mut interrupted = Vec::new();
        for batch in self.store.find_by::<Batch>(Batch::BY_FINISHED, "no", usize::MAX)? {
            let folder = self.bundles.folder(batch.id.as_str())?;
            if folder.try_claim()? {
                // Whoever made it may have finished it meanwhile.
                let now = self.store.find::<Batch>(batch.id.as_str())?;
                interrupted.extend(now.filter(|now| now.finished.is_none()).map(|now| (now.record, folder)));
            }
        }
        Ok(interrupted)
    }

    fn alone(&self) -> Result<std::sync::MutexGuard<'_, ()>, FactoryError> {
        match self.at_work.try_lock() {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(guard)) => Ok(guard.into_inner()),
            Err(TryLockError::WouldBlock) => Err(FactoryError::Busy),
        }
    }

    /// Sets serial numbers aside and records the batch, both or neither.
    fn plan(&self, order: &Order, first: Option<u64>) -> Result<Batch, FactoryError> {
        let product = &order.product;
        // What cannot be made must not be planned: it would stay unfinished for ever.
        dpp::Maker::of(product)?;
        self.allocating_from(product, first, u64::from(order.count.get()), |range, changes| {
            let batch = Batch {
                id: BatchId::of(&range)?,
                product: product.clone(),
                method: Method::Loaded,
                range,
                bundles: order.bundles,
                station: self.station.clone(),
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
        make: impl FnMut(SerialRange, Changes) -> Result<(T, Changes), FactoryError>,
    ) -> Result<T, FactoryError> {
        self.allocating_from(product, None, count, make)
    }

    fn allocating_from<T>(
        &self,
        product: &Product,
        first: Option<u64>,
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
            let (range, next) = match first {
                None => counter.allocate(count)?,
                Some(first) => {
                    let (range, next) = counter.allocate_from(first, count)?;
                    self.unused(&range)?;
                    (range, next)
                }
            };
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

    fn complete(
        &self,
        batch: Batch,
        folder: &Folder,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Provisioned, FactoryError> {
        let made_anew = self.settle(&batch, folder)?;
        let work = Work::new(self, &batch, folder, self.list(&batch)?, progress);
        let Done { made, found, list } = work.run()?;
        folder.tidy()?;
        let batch = Batch { finished: Some(self.now()), ..batch };
        let manifest = self.sign_list(list, &batch)?;
        self.store.commit_blocking(Changes::new().put(&batch)?)?;
        Ok(Provisioned { folder: folder.path().into(), batch, made, found, made_anew, manifest })
    }

    /// Settles what an interruption left: bundles whose devices are on record are handed out, any others are thrown away.
    fn settle(&self, batch: &Batch, folder: &Folder) -> Result<Vec<SerialNumber>, FactoryError> {
        let mut thrown_away = Vec::new();
        for left in folder.left_over()? {
            match self.are_recorded(&left)? {
                true => folder.hand_out(&left)?,
                false => {
                    let lost = left.bundles.iter().map(|bundle| {
                        let (device, why) = (bundle.serial_number.to_string(), INTERRUPTED.to_owned());
                        self.rejected(batch.method, Some(&batch.id), device, "interrupted".to_owned(), why)
                    });
                    self.reject(lost)?;
                    folder.discard(&left)?;
                    thrown_away.extend(left.bundles.into_iter().map(|bundle| bundle.serial_number));
                }
            }
        }
        Ok(thrown_away)
    }

    /// Whether the devices of all these bundles are on record with the same IDevIDs. What is in one file was recorded together.
    fn are_recorded(&self, left: &LeftOver) -> Result<bool, FactoryError> {
        let mut recorded = 0;
        for bundle in &left.bundles {
            let device = self.store.find::<FactoryDevice>(bundle.serial_number.as_str())?;
            recorded += usize::from(device.is_some_and(|device| device.idevid == bundle.idevid));
        }
        match recorded {
            0 => Ok(false),
            all if left.whole && all == left.bundles.len() => Ok(true),
            some => {
                let why = format!("{some} of the devices in it are on record, and others are not or cannot be read");
                Err(FactoryError::file(&left.path, why))
            }
        }
    }

    /// Makes the devices of one chunk that are not on record yet; says how many, and lists all of them.
    fn make_chunk(&self, batch: &Batch, folder: &Folder, skip: u64) -> Result<(u64, Lines), FactoryError> {
        let dpp = dpp::Maker::of(&batch.product)?;
        let chunk = batch.range.part(skip, CHUNK);
        let (mut born, mut lines, mut changes) = (Vec::new(), Lines::of(chunk.count), Changes::of(chunk.count));
        let mut there = BTreeMap::new();
        self.devices_in(&chunk, &mut |device| match device.batch.as_ref() == Some(&batch.id) {
            true => {
                there.insert(device.serial_number.clone(), device.clone());
                Ok(())
            }
            false => Err(FactoryError::serial_taken(&device.serial_number)),
        })?;
        if there.len() as u64 == chunk.count {
            there.values().try_for_each(|device| lines.push(device))?;
            return Ok((0, lines));
        }
        let mut staging = folder.staging(skip / CHUNK, batch.bundles)?;
        for serial in chunk.serials() {
            let serial = serial?;
            if let Some(device) = there.get(&serial) {
                lines.push(device)?;
                continue;
            }
            let made_one = self.make(batch, dpp.as_ref(), serial.clone());
            let (device, bundle) = self.rejecting(made_one, batch.method, Some(&batch.id), || serial.to_string())?;
            staging.stage(&bundle)?;
            lines.push(&device)?;
            changes = changes.insert(&device)?;
            born.push(MadeDevice::from(&device));
        }
        for devices in born.chunks(TOLD_TOGETHER) {
            changes = changes.append(LOG, &FactoryEvent::Made { devices: devices.to_vec(), at: self.now() })?;
        }
        staging.sync()?;
        self.store.commit_blocking(changes)?;
        staging.hand_out()?;
        Ok((born.len() as u64, lines))
    }

    fn make(
        &self,
        batch: &Batch,
        dpp: Option<&dpp::Maker<'_>>,
        serial: SerialNumber,
    ) -> Result<(FactoryDevice, DeviceBundle), FactoryError> {
        let key = SoftwareKey::generate(batch.product.algorithm)?;
        let (mut device, mut bundle) =
            self.birth(&batch.product, serial, Applicant::Key(&key), batch.method, Some(&batch.id), None)?;
        bundle.key = Some(BundleKey(Redacted::new(pem::encode("PRIVATE KEY", key.to_pkcs8_der().expose()))));
        if let Some(dpp) = dpp {
            let (record, birth) = dpp.make(&device.serial_number)?;
            (device.dpp, bundle.dpp) = (Some(record), Some(birth));
        }
        Ok((device, bundle))
    }
}

/// What the log says of a device that was made alone.
pub(super) fn event(device: &FactoryDevice) -> FactoryEvent {
    FactoryEvent::Made { devices: vec![MadeDevice::from(device)], at: device.made }
}

/// A batch in the making, shared by all threads.
struct Work<'a> {
    factory: &'a Factory,
    batch: &'a Batch,
    folder: &'a Folder,
    list: Mutex<List>,
    progress: &'a (dyn Fn(Progress) + Sync),
    next: AtomicU64,
    done: AtomicU64,
    made: AtomicU64,
    failed: AtomicBool,
    error: Mutex<Option<FactoryError>>,
}

/// A batch whose devices are all on record.
struct Done {
    made: u64,
    found: u64,
    list: List,
}

impl<'a> Work<'a> {
    fn new(
        factory: &'a Factory,
        batch: &'a Batch,
        folder: &'a Folder,
        list: List,
        progress: &'a (dyn Fn(Progress) + Sync),
    ) -> Self {
        let (next, done, made) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Self {
            factory,
            batch,
            folder,
            list: Mutex::new(list),
            progress,
            next,
            done,
            made,
            failed: AtomicBool::new(false),
            error: Mutex::default(),
        }
    }

    /// Makes all chunks on all cores, with as many at work again while others wait for the disk; the first error stops it.
    fn run(self) -> Result<Done, FactoryError> {
        let chunks = self.batch.range.count.div_ceil(CHUNK);
        let cores = 2 * thread::available_parallelism().map_or(1, NonZero::get);
        let threads = cores.min(usize::try_from(chunks).unwrap_or(cores));
        thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(|| self.make_chunks(chunks)))));
        match self.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => {
                let (made, list) = (self.made.into_inner(), self.list.into_inner());
                let found = self.batch.range.count.saturating_sub(made);
                Ok(Done { made, found, list: list.unwrap_or_else(PoisonError::into_inner) })
            }
        }
    }

    fn make_chunks(&self, chunks: u64) {
        while !self.failed.load(Ordering::Relaxed) {
            let chunk = self.next.fetch_add(1, Ordering::Relaxed);
            if chunk >= chunks {
                return;
            }
            let made = self.factory.make_chunk(self.batch, self.folder, chunk * CHUNK);
            let listed = made.and_then(|(made, lines)| self.listed(chunk, lines).map(|()| made));
            match listed {
                Ok(made) => self.count(self.batch.range.part(chunk * CHUNK, CHUNK).count, made),
                Err(error) => {
                    self.failed.store(true, Ordering::Relaxed);
                    self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        }
    }

    fn listed(&self, chunk: u64, lines: Lines) -> Result<(), FactoryError> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).add(chunk, lines)
    }

    fn count(&self, done: u64, made: u64) {
        self.made.fetch_add(made, Ordering::Relaxed);
        let done = self.done.fetch_add(done, Ordering::Relaxed) + done;
        (self.progress)(Progress { made: done, of: self.batch.range.count });
    }
}

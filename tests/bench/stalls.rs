//! Watches during a run whether the disk stands still: one small durable write every 20 ms, which costs nothing.

use std::{
    fs::File,
    io::{Seek as _, Write as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

const EVERY: Duration = Duration::from_millis(20);
const STALL: Duration = Duration::from_millis(50);

pub struct Stalls {
    count: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
}

impl Stalls {
    pub fn watch(folder: &Path) -> anyhow::Result<Self> {
        let mut file = tempfile::tempfile_in(folder)?;
        let watch = Self { count: Arc::default(), stop: Arc::default() };
        let (count, stop) = (Arc::clone(&watch.count), Arc::clone(&watch.stop));
        thread::spawn(move || {
            while !stop.load(Relaxed)
                && let Ok(took) = write(&mut file)
            {
                count.fetch_add(u32::from(took > STALL), Relaxed);
                thread::sleep(EVERY);
            }
        });
        Ok(watch)
    }

    /// Writes so far that took more than 50 ms.
    pub fn count(&self) -> u32 {
        self.count.load(Relaxed)
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

fn write(file: &mut File) -> std::io::Result<Duration> {
    let start = Instant::now();
    file.rewind()?;
    file.write_all(b"x")?;
    file.sync_data()?;
    Ok(start.elapsed())
}

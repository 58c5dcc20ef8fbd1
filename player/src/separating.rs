//! Stems ahead of where the song is played, as fast as they can be computed.

use crate::{
    song::{LoadedSong, lock},
    stem_store::{CHUNK_LEN, StemStore},
    transport::Transport,
};
use models::Model;
use separator::{FileSeparator, Graph, Pipeline, Runtime, SeparatorError, SpectrumFeed, Stereo, stem_map};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use unbraid_plugin::params::UnbraidParams;

/// Samples that are taken in at a time; a seek waits for as many.
const STEP_LEN: usize = 1024;
/// How often it looks for something to do.
const PAUSE: Duration = Duration::from_millis(5);

/// The thread that separates, and how it is doing.
pub struct Separating {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What to separate with.
#[derive(Clone)]
pub struct Engine {
    /// ONNX Runtime's library.
    pub runtime: PathBuf,
    /// The model; models for files only will do, but are slow after a seek.
    pub model: Model,
}

struct Shared {
    song: Arc<LoadedSong>,
    store: Arc<StemStore>,
    transport: Arc<Transport>,
    spectra: Arc<SpectrumFeed>,
    params: Arc<UnbraidParams>,
    graph: Mutex<Option<Arc<Graph>>>,
    /// The model to go to.
    wanted_model: Mutex<Option<Model>>,
    error: Mutex<Option<String>>,
    /// Time to compute over time of music, f32 bits.
    load: AtomicU32,
    /// The sensitivities with which nothing was left to do at the last look.
    complete_with: Mutex<Option<[f32; 4]>>,
    stop: AtomicBool,
}

impl Separating {
    /// Starts the thread, which opens the model first.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn start(
        engine: Engine,
        song: Arc<LoadedSong>,
        store: Arc<StemStore>,
        transport: Arc<Transport>,
        spectra: Arc<SpectrumFeed>,
        params: Arc<UnbraidParams>,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            song,
            store,
            transport,
            spectra,
            params,
            graph: Mutex::default(),
            wanted_model: Mutex::default(),
            error: Mutex::default(),
            load: AtomicU32::new(0),
            complete_with: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let worker = shared.clone();
        let thread = thread::Builder::new().name("unbraid-separator".into()).spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| worker.run(&engine)));
            let message = match result {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(panic) => format!("{}. Please report this", base::panic_message(&*panic)),
            };
            *lock(&worker.error) = Some(message);
        })?;
        Ok(Separating { shared, thread: Some(thread) })
    }

    /// The model, once it is open.
    pub fn graph(&self) -> Option<Arc<Graph>> {
        lock(&self.shared.graph).clone()
    }

    /// Goes to another model: the stems of the one before are heard until there are new ones.
    pub fn choose(&self, model: Model) {
        *lock(&self.shared.wanted_model) = Some(model);
        self.wake();
    }

    /// What is wrong: it has ended, or the model that was chosen last cannot be opened.
    pub fn error(&self) -> Option<String> {
        lock(&self.shared.error).clone()
    }

    /// Time to compute over time of music.
    pub fn load(&self) -> f32 {
        f32::from_bits(self.shared.load.load(Ordering::Relaxed))
    }

    /// Whether there was nothing left to do at the last look.
    pub fn is_complete(&self) -> bool {
        // Not in the middle of a change.
        lock(&self.shared.wanted_model).is_none()
            && *lock(&self.shared.complete_with) == Some(self.shared.sensitivities())
    }

    /// Something has changed: it looks at once.
    pub fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Separating {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // Its panic has been told.
            let _ = thread.join();
        }
    }
}

/// A stretch of the song on its way through a pipeline.
struct Run {
    /// None once the song has gone in.
    separator: Option<FileSeparator>,
    /// Up to where the song has gone in.
    fed: i64,
    /// Stems that are wanted begin here; those before it come from a stream that had not heard enough.
    first_wanted: i64,
    filling: Filling,
}

/// The chunk that is being filled.
struct Filling {
    /// Where the next stems belong.
    next: i64,
    /// `[stem][channel][sample]`, from the start of its chunk.
    stems: [Stereo; 4],
    /// Of the settings.
    version: u64,
}

/// What stems depend on beside the model.
struct Settings {
    /// `[stem]`
    sensitivities: [f32; 4],
    /// Grows with every change.
    version: u64,
}

fn open(runtime: &Runtime, model: &Model) -> Result<Arc<Graph>, SeparatorError> {
    model.verify()?;
    Graph::open(runtime, model)
}

/// Sensitivities of the model's stems.
pub(crate) fn of_model(sensitivities: &[f32; 4], stem_map: &[usize]) -> Vec<f32> {
    stem_map.iter().map(|&slot| sensitivities[slot]).collect()
}

impl Shared {
    fn run(&self, engine: &Engine) -> Result<(), SeparatorError> {
        let runtime = Runtime::load(&engine.runtime)?;
        let mut graph = open(&runtime, &engine.model)?;
        *lock(&self.graph) = Some(graph.clone());
        let mut model_stems = stem_map(&engine.model.manifest.stems);
        let mut run: Option<Run> = None;
        let mut settings = Settings { sensitivities: self.sensitivities(), version: 1 };
        while !self.stop.load(Ordering::Acquire) {
            let sensitivities = self.sensitivities();
            if sensitivities != settings.sensitivities {
                settings = Settings { sensitivities, version: settings.version + 1 };
                run = None;
            }
            let wanted_model = lock(&self.wanted_model).clone();
            if let Some(model) = wanted_model {
                let opened = open(&runtime, &model);
                *lock(&self.error) = opened.as_ref().err().map(|error| format!("{error}; the model before stays"));
                if let Ok(opened) = opened {
                    model_stems = stem_map(&model.manifest.stems);
                    graph = opened;
                    *lock(&self.graph) = Some(graph.clone());
                    settings.version += 1;
                    run = None;
                    *lock(&self.complete_with) = None;
                }
                // Unless there is yet another one.
                lock(&self.wanted_model).take_if(|wanted| wanted.dir == model.dir);
            }
            let wanted = self.next_wanted(settings.version);
            let is_complete = wanted.is_none() && self.song.known_len().is_some();
            *lock(&self.complete_with) = is_complete.then_some(settings.sensitivities);
            let Some(chunk_idx) = wanted else {
                thread::park_timeout(4 * PAUSE);
                continue;
            };
            let at_hand = match &mut run {
                Some(run) if run.next_chunk_idx() == chunk_idx => run,
                _ => run.insert(self.begin(&graph, &model_stems, chunk_idx, &settings)?),
            };
            if !self.step(at_hand, &model_stems)? {
                // The decoder is not that far.
                thread::park_timeout(PAUSE);
            }
        }
        Ok(())
    }

    fn sensitivities(&self) -> [f32; 4] {
        self.params.mix_controls().stems.map(|stem| stem.sensitivity)
    }

    /// The chunk that is needed first: from the place that is played to the end of the loop or of the song, then what lies
    /// before it.
    fn next_wanted(&self, version: u64) -> Option<i64> {
        let chunk_of = |position: i64| position.div_euclid(CHUNK_LEN as i64);
        let decoded_end =
            chunk_of(self.song.num_decoded() + if self.song.known_len().is_some() { CHUNK_LEN as i64 - 1 } else { 0 });
        let here = chunk_of(self.transport.position());
        let active_loop = self.transport.active_loop().filter(|range| self.transport.position() < range.end);
        let missing =
            |from: i64, end: i64| (from..end.min(decoded_end)).find(|&idx| !self.store.has_version(idx, version));
        // Further ahead would take the places of what is played now.
        let room_end = here + self.store.num_slots() - 2;
        if let Some(range) = active_loop {
            let end = chunk_of(range.end - 1) + 1;
            let in_loop = missing(here, end.min(room_end)).or_else(|| missing(chunk_of(range.start), here));
            if in_loop.is_some() {
                return in_loop;
            }
        }
        let is_small = decoded_end < self.store.num_slots();
        missing(here, room_end).or_else(|| is_small.then(|| missing(0, here)).flatten())
    }

    /// A new stream that gives the stems of `chunk_idx` first.
    fn begin(
        &self,
        graph: &Arc<Graph>,
        stem_map: &[usize],
        chunk_idx: i64,
        settings: &Settings,
    ) -> Result<Run, SeparatorError> {
        let mut pipeline = Pipeline::with_graph(graph)?;
        pipeline.set_sensitivities(&of_model(&settings.sensitivities, stem_map));
        let rate_hz = f64::from(self.song.sample_rate_hz());
        let first_wanted = chunk_idx * CHUNK_LEN as i64;
        // Two hops more for resamplers and for what a network must have heard at least.
        let lead_s = ((pipeline.preroll_hops() + 2) * pipeline.hop_len()) as f64 / f64::from(pipeline.sample_rate_hz());
        let start = (first_wanted - (lead_s * rate_hz).ceil() as i64).max(0);
        // On the slices of a stream that has heard all of the song; between two rates these begin within a sample.
        let is_direct = self.song.sample_rate_hz() == pipeline.sample_rate_hz();
        let start = if is_direct { start - start % pipeline.hop_len() as i64 } else { start };
        pipeline.publish_spectra(self.spectra.clone(), start as f64 / rate_hz);
        Ok(Run {
            separator: Some(FileSeparator::new(pipeline, rate_hz)),
            fed: start,
            first_wanted,
            filling: Filling { next: start, stems: Default::default(), version: settings.version },
        })
    }

    /// Takes some more of the song in, and stores the chunks that are complete. False if there is nothing to take yet.
    fn step(&self, run: &mut Run, stem_map: &[usize]) -> Result<bool, SeparatorError> {
        let song_len = self.song.known_len();
        let len = (self.song.num_decoded() - run.fed).clamp(0, STEP_LEN as i64) as usize;
        let started = Instant::now();
        let Run { separator, fed, first_wanted, filling } = run;
        let mut take = |stems: &[Stereo]| filling.add(stems, stem_map, *first_wanted, &self.store);
        if len > 0 {
            let mut mix = [vec![0.0; len], vec![0.0; len]];
            self.song.read_into(*fed, mix.each_mut().map(Vec::as_mut_slice));
            *fed += len as i64;
            if let Some(separator) = separator {
                separator.push([&mix[0], &mix[1]], &mut take)?;
            }
            self.measure_load(started.elapsed(), len);
            return Ok(true);
        }
        if song_len != Some(*fed) {
            return Ok(false);
        }
        if let Some(separator) = separator.take() {
            separator.finish(&mut take)?;
        }
        filling.finish(*first_wanted, &self.store);
        Ok(true)
    }

    fn measure_load(&self, elapsed: Duration, len: usize) {
        let load = elapsed.as_secs_f64() * f64::from(self.song.sample_rate_hz()) / len as f64;
        let average = f32::from_bits(self.load.load(Ordering::Relaxed));
        self.load.store((average + 0.02 * (load as f32 - average)).to_bits(), Ordering::Relaxed);
    }
}

impl Run {
    /// The next chunk that it will store.
    fn next_chunk_idx(&self) -> i64 {
        self.filling.next.max(self.first_wanted).div_euclid(CHUNK_LEN as i64)
    }
}

impl Filling {
    /// Adds the model's stems.
    fn add(&mut self, stems: &[Stereo], stem_map: &[usize], first_wanted: i64, store: &StemStore) {
        let len = stems[0][0].len();
        let mut done = 0;
        while done < len {
            let offset = self.next.rem_euclid(CHUNK_LEN as i64) as usize;
            let num = (CHUNK_LEN - offset).min(len - done);
            for channel in self.stems.iter_mut().flatten() {
                channel.resize(CHUNK_LEN, 0.0);
                channel[offset..offset + num].fill(0.0);
            }
            for (stem, &slot) in stems.iter().zip(stem_map) {
                for (sum, part) in self.stems[slot].iter_mut().zip(stem) {
                    let sum = &mut sum[offset..offset + num];
                    sum.iter_mut().zip(&part[done..done + num]).for_each(|(sum, x)| *sum += x);
                }
            }
            done += num;
            self.next += num as i64;
            if offset + num == CHUNK_LEN {
                self.store(first_wanted, store, self.next / CHUNK_LEN as i64 - 1);
            }
        }
    }

    /// The song is over: what its last chunk lacks is silence.
    fn finish(&mut self, first_wanted: i64, store: &StemStore) {
        let offset = self.next.rem_euclid(CHUNK_LEN as i64) as usize;
        if offset > 0 {
            self.stems.iter_mut().flatten().for_each(|channel| channel[offset..].fill(0.0));
            self.store(first_wanted, store, self.next / CHUNK_LEN as i64);
            self.next += (CHUNK_LEN - offset) as i64;
        }
    }

    fn store(&self, first_wanted: i64, store: &StemStore, chunk_idx: i64) {
        if chunk_idx * CHUNK_LEN as i64 >= first_wanted && !store.has_version(chunk_idx, self.version) {
            store.write(chunk_idx, self.version, &self.stems);
        }
    }
}

//! A sound card's input through the engine, as in a plugin.

use crate::{
    device::{self, MAX_BLOCK_LEN, NULL_DEVICE, Output},
    installation, separating,
};
use anyhow::Result;
use cpal::Stream;
use rtrb::{Consumer, RingBuffer};
use separator::{EngineConfig, EngineState, SpectrumFeed};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use unbraid_plugin::{
    meters::{MeterWriter, Meters},
    mix_controls::ControlSet,
    model_choice::ModelChoice,
    params::UnbraidParams,
    processor::{Controls, Processor},
    reporter::{Activity, StatusBoard},
};

/// Blocks longer than this are cut.
const ENGINE_BLOCK_LEN: usize = 2048;
/// Seconds that may wait between input and output.
const RING_S: f64 = 0.5;

/// Where sound comes from and goes to.
#[derive(Clone, Debug, Default)]
pub struct Cards {
    /// Name of the input; None: the default one; [`NULL_DEVICE`]: silence.
    pub input: Option<String>,
    /// Name of the output; None: the default one.
    pub output: Option<String>,
    /// Samples per second.
    pub sample_rate_hz: u32,
}

/// Runs until it is dropped.
pub struct Live {
    running: Arc<Mutex<Option<Running>>>,
    cards: Cards,
    /// The controls of the stems.
    pub params: Arc<UnbraidParams>,
    /// How it is doing.
    pub board: Arc<StatusBoard>,
    /// Levels.
    pub meters: Arc<Meters>,
    /// What the stems are made of.
    pub spectra: Arc<SpectrumFeed>,
    num_gaps: Arc<AtomicU64>,
}

/// An engine between two sound cards.
struct Running {
    _input: Option<Stream>,
    _output: Output,
    _engine: Watch,
}

/// What every engine is connected to.
#[derive(Clone)]
struct Shared {
    cards: Cards,
    params: Arc<UnbraidParams>,
    board: Arc<StatusBoard>,
    meters: Arc<Meters>,
    spectra: Arc<SpectrumFeed>,
    num_gaps: Arc<AtomicU64>,
}

impl Live {
    /// Starts engine and sound cards.
    ///
    /// # Errors
    /// A card is not there or does not know the rate, or the engine cannot be started.
    pub fn start(engine: separating::Engine, cards: &Cards) -> Result<Live> {
        let live = Live {
            running: Arc::default(),
            cards: cards.clone(),
            params: Arc::default(),
            board: Arc::default(),
            meters: Arc::default(),
            spectra: Arc::default(),
            num_gaps: Arc::default(),
        };
        live.params.models.choose(ModelChoice::playing(&engine.model.manifest.name));
        *lock(&live.running) = Some(live.shared().start(engine)?);
        Ok(live)
    }

    /// From now on a model that is chosen in the editor is gone to: with a new engine, since it may need another latency.
    pub fn follow_choice(&self) {
        let (running, shared) = (Arc::downgrade(&self.running), self.shared());
        self.params.models.call_on_change(move |choice, _| {
            let (running, shared, name) = (running.clone(), shared.clone(), choice.playing.name.clone());
            // The window goes on meanwhile.
            thread::spawn(move || {
                let Some(running) = running.upgrade() else { return };
                let mut running = lock(&running);
                let board = shared.board.clone();
                let started = installation::find(Some(&name)).and_then(|engine| {
                    // The cards are free for the new one then.
                    *running = None;
                    shared.start(engine)
                });
                match started {
                    Ok(new) => *running = Some(new),
                    Err(error) => board.update(|status| status.message = Some(format!("{name}: {error:#}"))),
                }
            });
        });
    }

    /// How often the input had nothing when the output needed it.
    pub fn num_gaps(&self) -> u64 {
        self.num_gaps.load(Ordering::Relaxed)
    }

    fn shared(&self) -> Shared {
        Shared {
            cards: self.cards.clone(),
            params: self.params.clone(),
            board: self.board.clone(),
            meters: self.meters.clone(),
            spectra: self.spectra.clone(),
            num_gaps: self.num_gaps.clone(),
        }
    }
}

impl Shared {
    fn start(self, engine: separating::Engine) -> Result<Running> {
        let Shared { cards, params, board, meters, spectra, num_gaps } = self;
        let rate_hz = f64::from(cards.sample_rate_hz);
        let config = EngineConfig { sample_rate_hz: rate_hz, max_block_len: ENGINE_BLOCK_LEN };
        let name = engine.model.manifest.name.clone();
        let (started, audio_side) = separator::Engine::start(engine.runtime, &engine.model, &config)?;
        started.publish_spectra(spectra);
        board.update(|status| {
            (status.latency_samples, status.sample_rate_hz) = (audio_side.latency_samples(), rate_hz);
        });
        let watch = Watch::start(started, name, board)?;
        let mut processor = Processor::new(audio_side, rate_hz, ENGINE_BLOCK_LEN, params.mix_controls());
        processor.set_meter_writer(MeterWriter::new(meters, rate_hz));

        let (mut to_output, from_input) = RingBuffer::new((2.0 * RING_S * rate_hz) as usize);
        let is_silent = cards.input.as_deref() == Some(NULL_DEVICE);
        let take = Box::new(move |samples: &[f32]| {
            // What does not fit is lost: the output has stopped.
            if let Ok(chunk) = to_output.write_chunk_uninit(samples.len()) {
                chunk.fill_from_iter(samples.iter().copied());
            }
        });
        let input = match is_silent {
            true => None,
            false => Some(device::record(cards.input.as_deref(), cards.sample_rate_hz, take)?),
        };
        let mut source = Source { ring: from_input, is_filling: true, num_gaps };
        let render = Box::new(move |[left, right]: [&mut [f32]; 2]| {
            source.read_into([&mut *left, &mut *right]);
            let controls = Controls { mix: params.mix_controls(), at_once: ControlSet::ALL, is_offline: false };
            processor.process(&mut [left, right], 2, Default::default(), controls);
        });
        let output = device::play(cards.output.as_deref(), cards.sample_rate_hz, render)?;
        Ok(Running { _input: input, _output: output, _engine: watch })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Owns the engine, and brings the board up to date.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// How often it looks.
    const PAUSE: Duration = Duration::from_millis(250);

    fn start(engine: separator::Engine, model: String, board: Arc<StatusBoard>) -> std::io::Result<Watch> {
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = stop.clone();
        let thread = thread::Builder::new().name("unbraid-watch".into()).spawn(move || {
            while !is_over.load(Ordering::Acquire) {
                let status = engine.status();
                board.update(|board| {
                    (board.model, board.late_hops, board.load) = (Some(model.clone()), status.late_hops, status.load);
                    (board.activity, board.message) = match status.state {
                        EngineState::Loading => (Activity::Loading, None),
                        EngineState::Running => (Activity::Running, None),
                        EngineState::Failed(error) => {
                            (Activity::PassingThrough, Some(format!("The sound passes through: {error}")))
                        }
                    };
                });
                thread::park_timeout(Self::PAUSE);
            }
        })?;
        Ok(Watch { stop, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// The input, seen from the output. Two cards, or two directions of one, keep different times.
struct Source {
    ring: Consumer<f32>,
    /// Nothing is taken until a block and some more is there.
    is_filling: bool,
    num_gaps: Arc<AtomicU64>,
}

impl Source {
    fn read_into(&mut self, [left, right]: [&mut [f32]; 2]) {
        let needed = 2 * left.len();
        let there = self.ring.slots();
        // Half full beyond what is needed: a burst of the input, or a faster clock. Drops to what a block needs.
        let too_many = there.saturating_sub(needed.max(2 * MAX_BLOCK_LEN));
        if too_many > self.ring.buffer().capacity() / 2
            && let Ok(chunk) = self.ring.read_chunk(too_many & !1)
        {
            chunk.commit_all();
        }
        let enough = if self.is_filling { 2 * needed } else { needed };
        let chunk = if there >= enough { self.ring.read_chunk(needed).ok() } else { None };
        let Some(chunk) = chunk else {
            if !self.is_filling {
                self.num_gaps.fetch_add(1, Ordering::Relaxed);
            }
            self.is_filling = true;
            left.fill(0.0);
            right.fill(0.0);
            return;
        };
        self.is_filling = false;
        let mut samples = chunk.into_iter();
        for (left, right) in left.iter_mut().zip(right) {
            *left = samples.next().unwrap_or(0.0);
            *right = samples.next().unwrap_or(0.0);
        }
    }
}

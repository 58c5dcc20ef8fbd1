//! Says how the engines are doing; the audio thread must not, and a worker may be dead. One thread for all instances of
//! the process looks after their engines; it sleeps while none of them is played.

use crate::{
    engine_report::{Message, Report},
    model_choice::ModelChoice,
    reporter::{Activity, Reporter},
    separation::{Lineup, tell_about_bouncing},
};
use separator::{Engine, EngineState, SpectrumFeed};
use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long a host may take to activate an instance anew before it is asked in another way.
const RESTART_PATIENCE: Duration = Duration::from_secs(2);

/// Owns an engine, and has it looked after.
pub struct EngineWatch {
    watched: Arc<Watched>,
    watchman: Arc<Watchman>,
}

struct Watched {
    engine: Engine,
    /// The models that were chosen last.
    chosen: Mutex<ModelChoice>,
    reporter: Reporter,
    /// Since when the host has been asked to activate the instance anew.
    restart_asked: Mutex<Option<Instant>>,
    /// None once the instance is gone: its host must not hear of it any more.
    report: Mutex<Option<Report>>,
}

/// The thread that looks, as long as there is an engine.
static WATCHMAN: Mutex<Weak<Watchman>> = Mutex::new(Weak::new());

struct Watchman {
    rounds: Arc<Rounds>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Rounds {
    engines: Mutex<Vec<Weak<Watched>>>,
    /// It sleeps without an end.
    is_at_rest: AtomicBool,
    stop: AtomicBool,
}

impl EngineWatch {
    /// Watches `engine`, which runs the models of `lineup`.
    ///
    /// # Errors
    /// If the operating system gives no thread; the engine is then stopped.
    ///
    /// # Realtime
    /// Not safe: may start a thread.
    pub(crate) fn start(engine: Engine, lineup: &Lineup, reporter: Reporter) -> io::Result<Self> {
        let watchman = Watchman::get()?;
        let watched = Arc::new(Watched {
            engine,
            chosen: Mutex::new(lineup.choice().clone()),
            reporter,
            restart_asked: Mutex::new(None),
            report: Mutex::new(Some(Report::new(lineup.playing_name().to_owned(), lineup.is_other_version()))),
        });
        lock(&watchman.rounds.engines).push(Arc::downgrade(&watched));
        watchman.wake();
        Ok(EngineWatch { watched, watchman })
    }

    /// Whether the engine has failed for good; a new one may do better.
    ///
    /// # Realtime
    /// Not safe: locks, frees memory.
    pub fn has_failed(&self) -> bool {
        // Asked now: the last look may be half a second old.
        let status = self.watched.engine.status();
        [Some(status.state), status.bouncing].into_iter().flatten().any(|state| matches!(state, EngineState::Failed(_)))
    }

    /// The spectra of the stems go to `feed`, while somebody looks.
    ///
    /// # Realtime
    /// Not safe: locks.
    pub fn publish_spectra(&self, feed: Arc<SpectrumFeed>) {
        self.watched.engine.publish_spectra(feed);
    }

    /// Tells whether the host has activated the instance. While it has not, nothing wakes up for it.
    ///
    /// # Realtime
    /// Not safe: locks, wakes threads.
    pub fn set_active(&self, is_active: bool) {
        *lock(&self.watched.restart_asked) = None;
        self.watched.engine.set_active(is_active);
        self.watchman.wake();
    }

    /// The host plays (again): if the watch was at rest, it looks from now on. Only then this makes a system call.
    ///
    /// # Realtime
    /// Safe while the host plays.
    pub fn wake_from_rest(&self) {
        if self.watchman.rounds.is_at_rest.load(Ordering::SeqCst) {
            self.watchman.wake();
        }
    }

    /// The models that were chosen last.
    ///
    /// # Realtime
    /// Not safe: locks, allocates.
    pub fn chosen(&self) -> ModelChoice {
        lock(&self.watched.chosen).clone()
    }

    /// Chooses models from elsewhere, for as long as the watch lives.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn chooser(&self) -> ModelChooser {
        ModelChooser(Arc::downgrade(&self.watched))
    }
}

/// Brings other models into an engine that runs.
pub struct ModelChooser(Weak<Watched>);

impl ModelChooser {
    /// The host is asked to activate the instance anew. Not every host does it, and then it is asked in another way.
    ///
    /// # Realtime
    /// Not safe: locks.
    pub(crate) fn expect_restart(&self) {
        if let Some(watched) = self.0.upgrade() {
            *lock(&watched.restart_asked) = Some(Instant::now());
        }
    }

    /// Loads what is new in a lineup behind the music, and cross-fades to it when it is there. Where there is no engine
    /// any more, nothing happens.
    ///
    /// # Errors
    /// If there is no such model to play, or it needs more latency than the host was told.
    ///
    /// # Realtime
    /// Not safe: reads files, starts threads.
    pub(crate) fn choose(&self, lineup: &Lineup) -> Result<(), String> {
        let Some(watched) = self.0.upgrade() else { return Ok(()) };
        if lineup.latency_samples() > watched.engine.plan().latency_samples() {
            return Err("these models need more latency than the host was told".to_owned());
        }
        let (former, choice) = (lock(&watched.chosen).clone(), lineup.choice());
        if former.playing.name != choice.playing.name {
            lineup.play(&watched.engine)?;
            if let Some(report) = &mut *lock(&watched.report) {
                report.expect(lineup.playing_name().to_owned(), lineup.is_other_version());
            }
        }
        if former.other_for_bouncing().map(|id| &id.name) != choice.other_for_bouncing().map(|id| &id.name) {
            lineup.bounce(&watched.engine, &watched.reporter);
        }
        lock(&watched.chosen).clone_from(choice);
        Ok(())
    }
}

impl Drop for EngineWatch {
    fn drop(&mut self) {
        *lock(&self.watched.report) = None;
    }
}

impl Watched {
    /// Once a round. What it sees is told on the watchman's thread.
    fn look(&self) {
        // Held until everything has been said: see `drop`.
        let mut report = lock(&self.report);
        let Some(report) = &mut *report else { return };
        let status = self.engine.status();
        self.reporter.board().update(|board| {
            board.activity = match status.state {
                EngineState::Loading => Activity::Loading,
                EngineState::Running => Activity::Running,
                EngineState::Failed(_) => Activity::PassingThrough,
            };
            board.model = Some(report.model_name.clone());
            (board.late_hops, board.load) = (status.late_hops, status.load);
        });
        let is_overdue = lock(&self.restart_asked).take_if(|asked| asked.elapsed() > RESTART_PATIENCE).is_some();
        if is_overdue {
            self.reporter.request_reload();
        }
        if let Some(problem) = report.look_at_bouncing(&status) {
            tell_about_bouncing(&self.reporter, &problem);
        }
        match report.look_at(&status) {
            Some(Message::Info(text)) => self.reporter.info(&text),
            Some(Message::Warning(text)) => self.reporter.warn(&text),
            Some(Message::Error(text)) => self.reporter.error(&text),
            None => {}
        }
    }
}

impl Watchman {
    fn get() -> io::Result<Arc<Watchman>> {
        let mut watchman = lock(&WATCHMAN);
        if let Some(watchman) = watchman.upgrade() {
            return Ok(watchman);
        }
        let rounds = Arc::new(Rounds::default());
        let seen = rounds.clone();
        let thread = thread::Builder::new().name("unbraid-watch".into()).spawn(move || seen.walk())?;
        let new = Arc::new(Watchman { rounds, thread: Some(thread) });
        *watchman = Arc::downgrade(&new);
        Ok(new)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Rounds {
    fn walk(&self) {
        while !self.stop.load(Ordering::Acquire) {
            let engines: Vec<Arc<Watched>> = {
                let mut engines = lock(&self.engines);
                engines.retain(|engine| engine.strong_count() > 0);
                engines.iter().filter_map(Weak::upgrade).collect()
            };
            // Before it is asked whether they are played: who starts one says so first, and asks for this then.
            self.is_at_rest.store(true, Ordering::SeqCst);
            let mut is_at_rest = true;
            for engine in &engines {
                engine.look();
                is_at_rest &= engine.engine.is_at_rest();
            }
            // An engine whose instance went meanwhile ends here, which takes no time.
            drop(engines);
            if is_at_rest {
                thread::park();
            } else {
                self.is_at_rest.store(false, Ordering::SeqCst);
                thread::park_timeout(INTERVAL);
            }
        }
    }
}

impl Drop for Watchman {
    fn drop(&mut self) {
        self.rounds.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic of the watchman concerns nobody any more.
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

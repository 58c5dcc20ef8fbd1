//! Says how the engines are doing; the audio thread must not, and a worker may be dead. One thread for all instances of
//! the process looks after their engines; it sleeps while none of them is played.

use crate::{
    model_choice::ModelChoice,
    reporter::{Activity, Reporter},
    separation::{Lineup, tell_about_bouncing},
};
use separator::{Engine, EngineState, EngineStatus, SpectrumFeed};
use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(500);
/// How many looks pass between two messages about late hops.
const LOOKS_PER_LATE_MESSAGE: u32 = 20;

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

#[derive(Debug, PartialEq)]
enum Message {
    Info(String),
    Warning(String),
    Error(String),
}

/// What was already said.
struct Report {
    model_name: String,
    /// Whether another model of that name was meant.
    is_other_version: bool,
    state: EngineState,
    bouncing: Option<EngineState>,
    late_hops: u64,
    looks_until_late_message: u32,
    /// None before the first look: what happened before concerns others.
    num_replaced_workers: Option<u64>,
}

impl Report {
    fn new(model_name: String, is_other_version: bool) -> Self {
        Report {
            model_name,
            is_other_version,
            state: EngineState::Loading,
            bouncing: None,
            late_hops: 0,
            looks_until_late_message: 0,
            num_replaced_workers: None,
        }
    }

    /// Another model was chosen, and is loading.
    fn expect(&mut self, model_name: String, is_other_version: bool) {
        (self.model_name, self.is_other_version, self.state) = (model_name, is_other_version, EngineState::Loading);
    }

    /// Why the model for bouncing cannot be used, if that is new.
    fn look_at_bouncing(&mut self, status: &EngineStatus) -> Option<String> {
        let is_new = self.bouncing != status.bouncing;
        self.bouncing.clone_from(&status.bouncing);
        match &self.bouncing {
            Some(EngineState::Failed(message)) if is_new => Some(message.clone()),
            _ => None,
        }
    }

    /// What is new.
    fn look_at(&mut self, status: &EngineStatus) -> Option<Message> {
        self.looks_until_late_message = self.looks_until_late_message.saturating_sub(1);
        if self.state != status.state {
            self.state = status.state.clone();
            return match &self.state {
                EngineState::Loading => None,
                EngineState::Running if self.is_other_version => Some(Message::Warning(format!(
                    "Unbraid runs the model '{}', but another version of it than this project was made with. To keep this \
                     one, choose it in the editor",
                    self.model_name
                ))),
                EngineState::Running => Some(Message::Info(format!("Unbraid runs the model '{}'", self.model_name))),
                EngineState::Failed(message) => Some(Message::Error(format!(
                    "Unbraid passes the mix through: {message}. Then switch the plugin off and on again"
                ))),
            };
        }
        let num_replaced = self.num_replaced_workers.replace(status.num_replaced_workers);
        if num_replaced.is_some_and(|num_replaced| num_replaced < status.num_replaced_workers) {
            return Some(Message::Warning(
                "A thread of Unbraid's was ended by something else in this program, and replaced. If that happens again, \
                 please report this"
                    .to_owned(),
            ));
        }
        if status.late_hops > self.late_hops && self.looks_until_late_message == 0 {
            let num_late = status.late_hops - self.late_hops;
            self.late_hops = status.late_hops;
            self.looks_until_late_message = LOOKS_PER_LATE_MESSAGE;
            return Some(Message::Warning(format!(
                "Unbraid came late {num_late} times and let the mix through instead (load of its thread: {:.0} %). Close \
                 other programs, use fewer instances, or render offline, where nothing is ever late",
                100.0 * status.load
            )));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: EngineState, late_hops: u64) -> EngineStatus {
        EngineStatus { state, bouncing: None, late_hops, load: 0.5, is_overdue: false, num_replaced_workers: 0 }
    }

    #[test]
    fn each_state_is_told_once() {
        let mut report = Report::new("first".into(), false);
        assert_eq!(report.look_at(&status(EngineState::Loading, 0)), None);
        let running = report.look_at(&status(EngineState::Running, 0));
        assert_eq!(running, Some(Message::Info("Unbraid runs the model 'first'".into())));
        assert_eq!(report.look_at(&status(EngineState::Running, 0)), None);
        let failed = status(EngineState::Failed("it broke. Do this".into()), 0);
        match report.look_at(&failed) {
            Some(Message::Error(text)) => assert!(text.contains("it broke. Do this"), "{text}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(report.look_at(&failed), None);
    }

    #[test]
    fn another_version_and_a_bounce_without_its_model_are_told() {
        let mut report = Report::new("mine".into(), true);
        match report.look_at(&status(EngineState::Running, 0)) {
            Some(Message::Warning(text)) => assert!(text.contains("another version"), "{text}"),
            other => panic!("{other:?}"),
        }
        let mut bouncing = status(EngineState::Running, 0);
        for (state, expected) in [
            (None, None),
            (Some(EngineState::Loading), None),
            (Some(EngineState::Failed("no".into())), Some("no")),
            (Some(EngineState::Failed("no".into())), None),
            (Some(EngineState::Running), None),
        ] {
            bouncing.bouncing = state;
            assert_eq!(report.look_at_bouncing(&bouncing).as_deref(), expected);
        }
    }

    #[test]
    fn a_thread_that_was_replaced_is_told_once() {
        let mut report = Report::new("first".into(), false);
        report.look_at(&status(EngineState::Running, 0));
        report.look_at(&status(EngineState::Running, 0));
        let replaced = EngineStatus { num_replaced_workers: 1, ..status(EngineState::Running, 0) };
        assert!(matches!(report.look_at(&replaced), Some(Message::Warning(text)) if text.contains("replaced")));
        assert_eq!(report.look_at(&replaced), None);
    }

    #[test]
    fn late_hops_are_told_now_and_then() {
        let mut report = Report::new("first".into(), false);
        report.look_at(&status(EngineState::Running, 0));
        let mut texts = Vec::new();
        for look in 1..=LOOKS_PER_LATE_MESSAGE as u64 + 1 {
            texts.extend(report.look_at(&status(EngineState::Running, look)));
        }
        match &texts[..] {
            [Message::Warning(first), Message::Warning(second)] => {
                assert!(first.contains(" 1 times") && first.contains("50 %"), "{first}");
                assert!(second.contains(&format!(" {LOOKS_PER_LATE_MESSAGE} times")), "{second}");
            }
            other => panic!("{other:?}"),
        }
    }
}

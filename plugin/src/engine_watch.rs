//! Says how the engine is doing; the audio thread must not, and the worker may be dead.

use crate::reporter::{Activity, Reporter};
use separator::{Engine, EngineState, EngineStatus};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(500);
/// How many looks pass between two messages about late hops.
const LOOKS_PER_LATE_MESSAGE: u32 = 20;

/// Owns the engine on a thread of its own. Dropping it ends both.
pub struct EngineWatch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    has_failed: AtomicBool,
}

impl EngineWatch {
    /// Watches `engine`, which runs the model of that name.
    ///
    /// # Errors
    /// If the operating system gives no thread; the engine is then stopped.
    ///
    /// # Realtime
    /// Not safe: starts a thread.
    pub fn start(engine: Engine, model_name: String, reporter: Reporter) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let seen = shared.clone();
        let thread = thread::Builder::new().name("unbraid-watch".into()).spawn(move || {
            let mut report = Report::new(model_name);
            while !seen.stop.load(Ordering::Acquire) {
                let status = engine.status();
                if matches!(status.state, EngineState::Failed(_)) {
                    seen.has_failed.store(true, Ordering::Release);
                }
                reporter.board().update(|board| {
                    board.activity = match status.state {
                        EngineState::Loading => Activity::Loading,
                        EngineState::Running => Activity::Running,
                        EngineState::Failed(_) => Activity::PassingThrough,
                    };
                    board.model = Some(report.model_name.clone());
                    (board.late_hops, board.load) = (status.late_hops, status.load);
                });
                match report.look_at(&status) {
                    Some(Message::Info(text)) => reporter.info(&text),
                    Some(Message::Warning(text)) => reporter.warn(&text),
                    Some(Message::Error(text)) => reporter.error(&text),
                    None => {}
                }
                thread::park_timeout(INTERVAL);
            }
        })?;
        Ok(EngineWatch { shared, thread: Some(thread) })
    }

    /// Whether the engine has failed for good; a new one may do better.
    ///
    /// # Realtime
    /// Safe.
    pub fn has_failed(&self) -> bool {
        self.shared.has_failed.load(Ordering::Acquire)
    }
}

impl Drop for EngineWatch {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic of the watch concerns nobody any more.
            let _ = thread.join();
        }
    }
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
    state: EngineState,
    late_hops: u64,
    looks_until_late_message: u32,
}

impl Report {
    fn new(model_name: String) -> Self {
        Report { model_name, state: EngineState::Loading, late_hops: 0, looks_until_late_message: 0 }
    }

    /// What is new.
    fn look_at(&mut self, status: &EngineStatus) -> Option<Message> {
        self.looks_until_late_message = self.looks_until_late_message.saturating_sub(1);
        if self.state != status.state {
            self.state = status.state.clone();
            return match &self.state {
                EngineState::Loading => None,
                EngineState::Running => Some(Message::Info(format!("Unbraid runs the model '{}'", self.model_name))),
                EngineState::Failed(message) => Some(Message::Error(format!(
                    "Unbraid passes the mix through: {message}. Then switch the plugin off and on again"
                ))),
            };
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
        EngineStatus { state, late_hops, load: 0.5, is_overdue: false }
    }

    #[test]
    fn each_state_is_told_once() {
        let mut report = Report::new("first".into());
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
    fn late_hops_are_told_now_and_then() {
        let mut report = Report::new("first".into());
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

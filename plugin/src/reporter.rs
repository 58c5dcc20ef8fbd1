//! Where messages go: the host's log, our log file, and the status that an editor shows.

use nice_plug::prelude::*;
use std::{
    ffi::CString,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How an instance is doing. `Default`: not activated yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// What it does.
    pub activity: Activity,
    /// Name of the model, once it is known.
    pub model: Option<String>,
    /// Why offline renders do not have the model that was chosen for them.
    pub bouncing_problem: Option<String>,
    /// Hops whose stems came late, since activation.
    pub late_hops: u64,
    /// Share of the real time that the model takes.
    pub load: f32,
    /// By how many samples the output lags behind the input; 0 before the first activation.
    pub latency_samples: usize,
    /// The host's sample rate; 0 before the first activation.
    pub sample_rate_hz: f64,
    /// The longest block that the host has announced, in samples.
    pub max_block_len: usize,
    /// What was last said to the user.
    pub message: Option<String>,
}

impl Status {
    /// The latency in ms, once it is known.
    pub fn latency_ms(&self) -> Option<f64> {
        (self.sample_rate_hz > 0.0).then(|| 1000.0 * self.latency_samples as f64 / self.sample_rate_hz)
    }
}

/// What an instance does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// It has not been activated.
    #[default]
    Idle,
    /// The model is being opened; the mix passes.
    Loading,
    /// It separates.
    Running,
    /// It cannot separate; the mix passes, and gains act on a quarter of it each. The message says why.
    PassingThrough,
}

/// The status of an instance, which the editor reads. Never touched by the audio thread.
#[derive(Debug, Default)]
pub struct StatusBoard(Mutex<Status>);

impl StatusBoard {
    /// The status now.
    ///
    /// # Realtime
    /// Not safe: locks, allocates.
    pub fn get(&self) -> Status {
        self.lock().clone()
    }

    /// Changes it.
    ///
    /// # Realtime
    /// Not safe: locks.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes messages on, each to all who may want it. Cheap to clone.
#[derive(Clone, Default)]
pub struct Reporter {
    /// None: no host, as in tests.
    host: Option<HostHandle>,
    board: Arc<StatusBoard>,
}

impl Reporter {
    /// For the instance that `host` made.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(host: HostHandle) -> Self {
        Reporter { host: Some(host), board: Arc::default() }
    }

    /// The status that messages go to.
    ///
    /// # Realtime
    /// Safe.
    pub fn board(&self) -> &Arc<StatusBoard> {
        &self.board
    }

    /// Says how things are.
    ///
    /// # Realtime
    /// Not safe: locks, allocates, writes files.
    pub fn info(&self, text: &str) {
        nice_log!("{text}");
        self.pass_on(HostLogLevel::Info, text);
    }

    /// Says that something is not as it should be.
    ///
    /// # Realtime
    /// Not safe: locks, allocates, writes files.
    pub fn warn(&self, text: &str) {
        nice_warn!("{text}");
        self.pass_on(HostLogLevel::Warning, text);
    }

    /// Says that something does not work.
    ///
    /// # Realtime
    /// Not safe: locks, allocates, writes files.
    pub fn error(&self, text: &str) {
        nice_error!("{text}");
        self.pass_on(HostLogLevel::Error, text);
    }

    /// Asks the host to deactivate and activate the instance.
    ///
    /// # Realtime
    /// Not safe: locks.
    pub fn request_restart(&self) {
        if let Some(host) = &self.host {
            host.request_restart();
        }
    }

    /// The same again, for a host that has not done it.
    ///
    /// # Realtime
    /// Not safe: locks.
    pub fn request_reload(&self) {
        if let Some(host) = &self.host {
            host.request_reload();
        }
    }

    /// Tells the host that the state has changed without a parameter.
    ///
    /// # Realtime
    /// Not safe: locks.
    pub fn mark_dirty(&self) {
        if let Some(host) = &self.host {
            host.mark_dirty();
        }
    }

    fn pass_on(&self, level: HostLogLevel, text: &str) {
        self.board.update(|status| status.message = Some(text.to_owned()));
        // A NUL in a message comes from a damaged file's name; what is before it says enough.
        let text = text.split('\0').next().unwrap_or_default();
        if let (Some(host), Ok(text)) = (&self.host, CString::new(text)) {
            host.log(level, &text);
        }
    }
}

//! UNBRAID: new file. What a plugin may ask of its host from any thread but the audio thread, and the process mode,
//! which the audio thread may read in every block.

use std::cell::RefCell;
use std::ffi::CStr;
use std::sync::Arc;

use crossbeam::atomic::AtomicCell;
use nice_plug_core::audio_setup::ProcessMode;
use parking_lot::ReentrantMutex;

/// How important a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostLogLevel {
    Info,
    Warning,
    Error,
}

/// What a wrapper does for its plugin.
pub(crate) trait HostServices: Send {
    fn request_restart(&self);
    fn request_reload(&self);
    fn mark_dirty(&self);
    fn log(&self, level: HostLogLevel, text: &CStr);
}

/// The plugin's way to its host. Cheap to clone. Outlives the wrapper: once that is gone, nothing happens any more.
#[derive(Clone)]
pub struct HostHandle {
    pub(crate) process_mode: Arc<AtomicCell<ProcessMode>>,
    /// Locked while a service runs, so that the wrapper cannot go away under it. Reentrant, since a host may restart the
    /// plugin from within the request.
    services: Arc<ReentrantMutex<RefCell<Option<Box<dyn HostServices>>>>>,
}

impl HostHandle {
    pub(crate) fn new() -> Self {
        Self {
            process_mode: Arc::new(AtomicCell::new(ProcessMode::Realtime)),
            services: Arc::new(ReentrantMutex::new(RefCell::new(None))),
        }
    }

    pub(crate) fn connect(&self, services: Box<dyn HostServices>) {
        *self.services.lock().borrow_mut() = Some(services);
    }

    /// Waits for a service that runs.
    pub(crate) fn disconnect(&self) {
        if let Ok(mut services) = self.services.lock().try_borrow_mut() {
            *services = None;
        }
    }

    /// What the host has announced last. Unlike [`BufferConfig::process_mode`], which is only handed over on
    /// activation, it is up to date in every block. Realtime-safe.
    ///
    /// [`BufferConfig::process_mode`]: nice_plug_core::audio_setup::BufferConfig::process_mode
    pub fn process_mode(&self) -> ProcessMode {
        self.process_mode.load()
    }

    /// Asks the host to deactivate and activate the plugin. Not for the audio thread, and not from within
    /// `Plugin::activate()`.
    pub fn request_restart(&self) {
        if let Some(services) = &*self.services.lock().borrow() {
            services.request_restart();
        }
    }

    /// For hosts that have not done what [`request_restart`](Self::request_restart) asks for: VST3 has a second way. Not
    /// for the audio thread.
    pub fn request_reload(&self) {
        if let Some(services) = &*self.services.lock().borrow() {
            services.request_reload();
        }
    }

    /// Tells the host that something in the state has changed which is no parameter, so that it asks before a project is
    /// closed unsaved. Not for the audio thread; nothing happens where the host has no such call.
    pub fn mark_dirty(&self) {
        if let Some(services) = &*self.services.lock().borrow() {
            services.mark_dirty();
        }
    }

    /// Gives a message to the host, where the plugin API has something for it (CLAP's log extension). Not for the
    /// audio thread.
    pub fn log(&self, level: HostLogLevel, text: &CStr) {
        if let Some(services) = &*self.services.lock().borrow() {
            services.log(level, text);
        }
    }
}

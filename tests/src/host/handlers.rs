//! What the plugin may ask of its host.

use clack_extensions::audio_ports::{AudioPortRescanFlags, HostAudioPorts, HostAudioPortsImpl};
use clack_extensions::audio_ports_config::{HostAudioPortsConfig, HostAudioPortsConfigImpl};
use clack_extensions::gui::{GuiSize, HostGui, HostGuiImpl};
use clack_extensions::latency::{HostLatency, HostLatencyImpl};
use clack_extensions::log::{HostLog, HostLogImpl, LogSeverity};
use clack_extensions::params::{
    HostParams, HostParamsImplMainThread, HostParamsImplShared, ParamClearFlags, ParamRescanFlags,
};
use clack_extensions::state::{HostState, HostStateImpl};
use clack_host::prelude::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Ties the handlers of the three kinds of thread together.
pub struct Handlers;

impl HostHandlers for Handlers {
    type Shared<'a> = Requests;
    type MainThread<'a> = &'a Requests;
    type AudioProcessor<'a> = ();

    fn declare_extensions(builder: &mut HostExtensions<Self>, _: &Self::Shared<'_>) {
        builder.register::<HostAudioPorts>().register::<HostAudioPortsConfig>().register::<HostLatency>();
        builder.register::<HostLog>().register::<HostParams>().register::<HostState>().register::<HostGui>();
    }
}

/// What has been asked for and not been done yet.
#[derive(Default)]
pub struct Requests {
    callback: AtomicBool,
    restart: AtomicBool,
    num_dirty: AtomicUsize,
    messages: Mutex<Vec<(LogSeverity, String)>>,
}

impl Requests {
    /// Whether a callback and a restart were asked for since the last call.
    pub fn take(&self) -> (bool, bool) {
        (self.callback.swap(false, Ordering::AcqRel), self.restart.swap(false, Ordering::AcqRel))
    }

    /// How often the plugin has said that its state is another one.
    pub fn num_dirty(&self) -> usize {
        self.num_dirty.load(Ordering::Acquire)
    }

    /// What the plugin has written into the host's log.
    pub fn messages(&self) -> Vec<(LogSeverity, String)> {
        self.messages.lock().expect("no panic while it was held").clone()
    }
}

impl HostLogImpl for Requests {
    fn log(&self, severity: LogSeverity, message: &str) {
        self.messages.lock().expect("no panic while it was held").push((severity, message.to_owned()));
    }
}

impl HostAudioPortsImpl for &Requests {
    fn is_rescan_flag_supported(&self, _: AudioPortRescanFlags) -> bool {
        false
    }

    // The ports are read after each change that the tests make.
    fn rescan(&self, _: AudioPortRescanFlags) {}
}

impl HostGuiImpl for Requests {
    fn resize_hints_changed(&self) {}

    // Windows of the tests stay as they are.
    fn request_resize(&self, _: GuiSize) -> Result<(), HostError> {
        Err(HostError::Message("this window has one size"))
    }

    fn request_show(&self) -> Result<(), HostError> {
        Ok(())
    }

    fn request_hide(&self) -> Result<(), HostError> {
        Ok(())
    }

    fn closed(&self, _: bool) {}
}

impl HostAudioPortsConfigImpl for &Requests {
    fn rescan(&self) {}
}

impl SharedHandler<'_> for Requests {
    fn request_restart(&self) {
        self.restart.store(true, Ordering::Release);
    }

    // The tests process all the time.
    fn request_process(&self) {}

    fn request_callback(&self) {
        self.callback.store(true, Ordering::Release);
    }
}

impl HostParamsImplShared for Requests {
    // Every block carries the parameters with it.
    fn request_flush(&self) {}
}

impl<'a> MainThreadHandler<'a> for &'a Requests {}

impl HostLatencyImpl for &Requests {
    // The latency is read after each activation, the only time when it may change.
    fn changed(&self) {}
}

impl HostParamsImplMainThread for &Requests {
    fn rescan(&self, _: ParamRescanFlags) {}
    fn clear(&self, _: ClapId, _: ParamClearFlags) {}
}

impl HostStateImpl for &Requests {
    fn mark_dirty(&self) {
        self.num_dirty.fetch_add(1, Ordering::AcqRel);
    }
}

//! What the plugin may ask of its host.

use clack_extensions::latency::{HostLatency, HostLatencyImpl};
use clack_extensions::params::{
    HostParams, HostParamsImplMainThread, HostParamsImplShared, ParamClearFlags, ParamRescanFlags,
};
use clack_extensions::state::{HostState, HostStateImpl};
use clack_host::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ties the handlers of the three kinds of thread together.
pub struct Handlers;

impl HostHandlers for Handlers {
    type Shared<'a> = Requests;
    type MainThread<'a> = &'a Requests;
    type AudioProcessor<'a> = ();

    fn declare_extensions(builder: &mut HostExtensions<Self>, _: &Self::Shared<'_>) {
        builder.register::<HostLatency>().register::<HostParams>().register::<HostState>();
    }
}

/// What has been asked for and not been done yet.
#[derive(Default)]
pub struct Requests {
    callback: AtomicBool,
    restart: AtomicBool,
}

impl Requests {
    /// Whether a callback and a restart were asked for since the last call.
    pub fn take(&self) -> (bool, bool) {
        (self.callback.swap(false, Ordering::AcqRel), self.restart.swap(false, Ordering::AcqRel))
    }
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
    fn mark_dirty(&self) {}
}

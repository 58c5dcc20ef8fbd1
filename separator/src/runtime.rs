//! The ONNX Runtime library: where it is, and the one environment that a process may have.

use crate::SeparatorError;
use models::limits::MAX_RUN_BYTES;
use ort::{
    AsPointer,
    environment::Environment,
    logging::LogLevel,
    sys::{OrtAllocatorType, OrtMemType},
};
use std::{
    env,
    path::{Path, PathBuf},
    ptr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

pub use base::{RUNTIME_VARIABLE, runtime_library_name};

/// ONNX Runtime, loaded. It stays loaded until the process ends.
pub struct Runtime {
    pub(crate) environment: Environment,
    path: PathBuf,
    /// For graphs of models for files.
    num_file_threads: AtomicUsize,
}

static RUNTIME: Mutex<Option<Arc<Runtime>>> = Mutex::new(None);

impl Runtime {
    /// Loads the library at `path`. A process has one: the first path that loads wins, later calls return it whatever
    /// their path. A failed call leaves nothing behind.
    ///
    /// # Errors
    /// [`SeparatorError::RuntimeUnusable`].
    ///
    /// # Realtime
    /// Not safe: locks, opens a library.
    pub fn load(path: &Path) -> Result<Arc<Runtime>, SeparatorError> {
        let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*runtime {
            return Ok(runtime.clone());
        }
        let unusable = |message: String| SeparatorError::RuntimeUnusable { path: path.to_owned(), message };
        // By absolute path, so that the loader cannot pick some other plugin's library.
        let path = std::path::absolute(path).map_err(|error| unusable(error.to_string()))?;
        let builder = ort::init_from(&path).map_err(|error| unusable(error.to_string()))?;
        let environment =
            builder.with_name("unbraid").with_telemetry(false).build().map_err(|error| unusable(error.to_string()))?;
        environment.set_log_level(LogLevel::Error);
        bound_memory(&environment).map_err(|error| unusable(error.to_string()))?;
        let loaded = Arc::new(Runtime { environment, path, num_file_threads: AtomicUsize::new(1) });
        *runtime = Some(loaded.clone());
        Ok(loaded)
    }

    /// Graphs of models that are for files only ([`models::Offline`]) are opened with so many threads of their own from now
    /// on: such a graph takes seconds of music at once, so that its operations can be shared. The bits stay the same.
    ///
    /// # Realtime
    /// Safe.
    pub fn set_file_threads(&self, num_threads: usize) {
        self.num_file_threads.store(num_threads.max(1), Relaxed);
    }

    pub(crate) fn num_file_threads(&self) -> usize {
        self.num_file_threads.load(Relaxed)
    }

    /// Path of the library that is in use.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// All sessions share one arena that grows up to [`MAX_RUN_BYTES`]: a graph that asks for more fails to run. Their own
/// arenas would grow until the system refuses, and one that overcommits memory does not refuse but ends the host.
fn bound_memory(environment: &Environment) -> ort::Result<()> {
    let api = ort::api();
    let checked = |status| {
        // SAFETY: the status is what a function of the API has just returned.
        unsafe { ort::Error::result_from_status(status) }
    };
    let keys = [c"max_mem".as_ptr()];
    let (mut info, mut config) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: all pointers are valid for the calls; ONNX Runtime copies what they point to. What it makes is released once.
    unsafe {
        checked((api.CreateCpuMemoryInfo)(
            OrtAllocatorType::OrtArenaAllocator,
            OrtMemType::OrtMemTypeDefault,
            &mut info,
        ))?;
        let result = checked((api.CreateArenaCfgV2)(keys.as_ptr(), &MAX_RUN_BYTES, 1, &mut config))
            .and_then(|()| checked((api.CreateAndRegisterAllocator)(environment.ptr().cast_mut(), info, config)));
        if !config.is_null() {
            (api.ReleaseArenaCfg)(config);
        }
        (api.ReleaseMemoryInfo)(info);
        result
    }
}

/// The library's path: the environment variable [`RUNTIME_VARIABLE`] if it is set, else the first of `dirs` that has
/// a file of the name [`runtime_library_name`].
///
/// # Errors
/// [`SeparatorError::RuntimeNotFound`] lists the folders.
///
/// # Realtime
/// Not safe: reads the environment and folders.
pub fn find_runtime(dirs: &[PathBuf]) -> Result<PathBuf, SeparatorError> {
    if let Some(path) = env::var_os(RUNTIME_VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    dirs.iter()
        .map(|dir| dir.join(runtime_library_name()))
        .find(|path| path.is_file())
        .ok_or_else(|| SeparatorError::RuntimeNotFound { searched: dirs.to_vec() })
}

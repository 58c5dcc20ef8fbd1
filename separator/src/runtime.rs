//! The ONNX Runtime library: where it is, and the one environment that a process may have.

use crate::SeparatorError;
use ort::{environment::Environment, logging::LogLevel};
use std::{
    env,
    path::{Path, PathBuf},
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

//! The name of the model that a project was made with, and how often a state was loaded.

use nice_plug::params::persist::PersistentField;
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering},
};

/// A persistent field. Every state has it ([`filter_state`](crate::state::filter_state) adds it where it is missing),
/// so that it also tells when a state has been loaded: it comes after the parameters.
pub struct ModelName {
    name: Mutex<String>,
    /// How many states were loaded.
    generation: AtomicU32,
    on_load: Mutex<Option<OnLoad>>,
}

type OnLoad = Box<dyn Fn(&str) + Send + Sync>;

impl ModelName {
    /// With this name.
    pub fn new(name: &str) -> Self {
        ModelName { name: Mutex::new(name.to_owned()), generation: AtomicU32::new(0), on_load: Mutex::new(None) }
    }

    /// The name.
    ///
    /// # Realtime
    /// Not safe: locks, allocates.
    pub fn get(&self) -> String {
        lock(&self.name).clone()
    }

    /// Another number after each state that was loaded.
    ///
    /// # Realtime
    /// Safe.
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// Calls `on_load` with the name after each state that is loaded, on the thread that loads it.
    ///
    /// # Realtime
    /// Not safe: locks.
    pub fn call_on_load(&self, on_load: impl Fn(&str) + Send + Sync + 'static) {
        *lock(&self.on_load) = Some(Box::new(on_load));
    }
}

impl<'a> PersistentField<'a, String> for ModelName {
    fn set(&self, name: String) {
        lock(&self.name).clone_from(&name);
        self.generation.fetch_add(1, Ordering::AcqRel);
        if let Some(on_load) = &*lock(&self.on_load) {
            on_load(&name);
        }
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&String) -> R,
    {
        f(&lock(&self.name))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The models that a project was made with, and how often a state was loaded.

use nice_plug::params::persist::PersistentField;
use serde::{Deserialize, Serialize};
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering},
};

/// Longer names of models are nobody's.
const MAX_NAME_LEN: usize = 255;
/// Hexadecimal digits of a SHA-256.
const SHA256_LEN: usize = 64;

/// One model, as projects name it: by name and never by path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelId {
    /// Name of its folder.
    pub name: String,
    /// SHA-256 of its graph; None in states of earlier versions, and until the model has been found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl ModelId {
    /// The model of this name, whatever its graph.
    pub fn named(name: &str) -> Self {
        ModelId { name: name.to_owned(), sha256: None }
    }

    /// None if the name can be nobody's; a hash that is none is left out.
    fn checked(self) -> Option<Self> {
        let is_name = (1..=MAX_NAME_LEN).contains(&self.name.len());
        let is_hash = |hash: &String| hash.len() == SHA256_LEN && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_name.then(|| ModelId { sha256: self.sha256.filter(is_hash), ..self })
    }
}

/// What a project says about models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Saved")]
pub struct ModelChoice {
    /// The one that plays.
    #[serde(flatten)]
    pub playing: ModelId,
    /// The one for offline renders. None: the one that plays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bouncing: Option<ModelId>,
    /// Whether the latency is that of the slowest installed model, so that it stays when another one is chosen.
    pub has_constant_latency: bool,
}

/// Earlier versions saved a name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Saved {
    Name(String),
    Choice {
        #[serde(flatten)]
        playing: ModelId,
        #[serde(default)]
        bouncing: Option<ModelId>,
        #[serde(default)]
        has_constant_latency: bool,
    },
}

impl From<Saved> for ModelChoice {
    fn from(saved: Saved) -> Self {
        match saved {
            Saved::Name(name) => ModelChoice::playing(&name),
            Saved::Choice { playing, bouncing, has_constant_latency } => {
                ModelChoice { playing, bouncing, has_constant_latency }
            }
        }
    }
}

impl ModelChoice {
    /// This model, for bounces too.
    pub fn playing(name: &str) -> Self {
        ModelChoice { playing: ModelId::named(name), bouncing: None, has_constant_latency: false }
    }

    /// None if it names no model to play; what else makes no sense is left out.
    pub(crate) fn checked(self) -> Option<Self> {
        let playing = self.playing.checked()?;
        let bouncing = self.bouncing.and_then(ModelId::checked);
        Some(ModelChoice { playing, bouncing, ..self })
    }

    /// The model for offline renders, if it is not the one that plays.
    pub fn other_for_bouncing(&self) -> Option<&ModelId> {
        self.bouncing.as_ref().filter(|bouncing| bouncing.name != self.playing.name)
    }

    /// Whether the same models are meant. Hashes do not matter: one folder has one graph.
    pub(crate) fn has_same_models(&self, other: &Self) -> bool {
        let names =
            |choice: &Self| (choice.playing.name.clone(), choice.other_for_bouncing().map(|id| id.name.clone()));
        names(self) == names(other)
    }
}

/// The choice as a persistent field. Every state has it ([`filter_state`](crate::state::filter_state) adds it where it is
/// missing), so that it also tells when a state has been loaded: it comes after the parameters.
pub struct ChosenModels {
    choice: Mutex<ModelChoice>,
    /// How many states were loaded.
    generation: AtomicU32,
    on_change: Mutex<Option<OnChange>>,
}

/// Who has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The user, in the editor: the host does not know of it.
    User,
    /// A state that the host has loaded.
    State,
}

type OnChange = Box<dyn Fn(&ModelChoice, Origin) + Send + Sync>;

impl ChosenModels {
    /// With this choice.
    pub fn new(choice: ModelChoice) -> Self {
        ChosenModels { choice: Mutex::new(choice), generation: AtomicU32::new(0), on_change: Mutex::new(None) }
    }

    /// The choice.
    ///
    /// # Realtime
    /// Not safe: locks, allocates.
    pub fn get(&self) -> ModelChoice {
        lock(&self.choice).clone()
    }

    /// The user chooses, in the editor.
    ///
    /// # Realtime
    /// Not safe: locks, and does what the choice asks for.
    pub fn choose(&self, choice: ModelChoice) {
        lock(&self.choice).clone_from(&choice);
        self.tell(&choice, Origin::User);
    }

    /// The graph of the model of this name has that hash: remembered where none was known.
    ///
    /// # Realtime
    /// Not safe: locks.
    pub fn found(&self, name: &str, sha256: &str) {
        let mut choice = lock(&self.choice);
        let ModelChoice { playing, bouncing, .. } = &mut *choice;
        for id in [Some(playing), bouncing.as_mut()].into_iter().flatten().filter(|id| id.name == name) {
            id.sha256.get_or_insert_with(|| sha256.to_owned());
        }
    }

    /// Another number after each state that was loaded.
    ///
    /// # Realtime
    /// Safe.
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// Calls `on_change` with the choice after each state that is loaded, and after each choice of the user's, on the
    /// thread that does it.
    ///
    /// # Realtime
    /// Not safe: locks.
    pub fn call_on_change(&self, on_change: impl Fn(&ModelChoice, Origin) + Send + Sync + 'static) {
        *lock(&self.on_change) = Some(Box::new(on_change));
    }

    fn tell(&self, choice: &ModelChoice, origin: Origin) {
        if let Some(on_change) = &*lock(&self.on_change) {
            on_change(choice, origin);
        }
    }
}

impl<'a> PersistentField<'a, ModelChoice> for ChosenModels {
    fn set(&self, choice: ModelChoice) {
        lock(&self.choice).clone_from(&choice);
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.tell(&choice, Origin::State);
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&ModelChoice) -> R,
    {
        f(&lock(&self.choice))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nice_plug::params::persist::{deserialize_field, serialize_field};

    fn read(json: &str) -> Option<ModelChoice> {
        deserialize_field(json).ok()
    }

    #[test]
    fn a_choice_is_read_as_it_was_written_and_a_name_is_a_choice() {
        let plain = ModelChoice::playing("mix");
        let hash = "0123456789abcdef".repeat(4);
        let bouncing = Some(ModelId { name: "first".into(), sha256: Some(hash.clone()) });
        let full = ModelChoice {
            playing: ModelId { name: "mix".into(), sha256: Some(hash) },
            bouncing,
            has_constant_latency: true,
        };
        for choice in [&plain, &full] {
            let json = serialize_field(choice).unwrap();
            assert_eq!(read(&json).as_ref(), Some(choice), "{json}");
            assert_eq!(serialize_field(&read(&json).unwrap()).unwrap(), json);
        }
        assert_eq!(read("\"mix\""), Some(plain));
        for json in ["17", "{}", "{\"name\":3}", "[\"mix\"]", "null"] {
            assert_eq!(read(json), None, "{json}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        let id = |name: &str, hash: &str| ModelId { name: name.into(), sha256: Some(hash.into()) };
        let choice =
            ModelChoice { playing: id("mix", "../.."), bouncing: Some(id("", "0")), has_constant_latency: true };
        let expected = ModelChoice { has_constant_latency: true, ..ModelChoice::playing("mix") };
        assert_eq!(choice.checked(), Some(expected));
        assert_eq!(ModelChoice::playing(&"x".repeat(256)).checked(), None);
    }

    #[test]
    fn a_hash_is_remembered_once() {
        let models =
            ChosenModels::new(ModelChoice { bouncing: Some(ModelId::named("first")), ..ModelChoice::playing("mix") });
        for (name, hash) in [("first", "1"), ("mix", "2"), ("mix", "3"), ("other", "4")] {
            models.found(name, hash);
        }
        let choice = models.get();
        assert_eq!(choice.playing.sha256.as_deref(), Some("2"));
        assert_eq!(choice.bouncing.and_then(|id| id.sha256).as_deref(), Some("1"));
        assert_eq!(models.generation(), 0);
    }
}

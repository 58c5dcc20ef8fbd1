//! The list of networks, and how one is chosen and set.

use super::{Network, band_gru, cdae, first, lstm, umx, unet};
use crate::transform::Transform;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::{fmt, str::FromStr, sync::Arc};
use tch::{Tensor, nn};

/// Every architecture that `--network` takes.
pub const ARCHITECTURES: &[Architecture] = &[
    first::ARCHITECTURE,
    cdae::ARCHITECTURE,
    cdae::CAUSAL,
    lstm::ARCHITECTURE,
    band_gru::ARCHITECTURE,
    unet::ARCHITECTURE,
    umx::ARCHITECTURE,
    umx::CAUSAL,
    umx::UMX,
    #[cfg(test)]
    super::example::ARCHITECTURE,
];

/// Settings of a network by name, as JSON.
pub type Settings = Map<String, Value>;

/// Makes a network in a variable store.
pub type Build = fn(&nn::Path, &Settings, &Arc<Transform>) -> Result<Box<dyn Network>>;

/// An entry of [`ARCHITECTURES`].
pub struct Architecture {
    /// Name for `--network`.
    pub name: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// Every setting with its default for a transform.
    pub defaults: fn(&Transform) -> Settings,
    /// Makes a network with random weights from a complete set of settings.
    pub build: Build,
}

/// Which network, with what settings: stored in checkpoints, and written `NAME[:KEY=VALUE,...]` on command lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkConfig {
    /// Name of the architecture. Absent from old checkpoints, when `first` was the only one.
    #[serde(default = "first_architecture")]
    pub architecture: String,
    /// Its settings.
    #[serde(flatten)]
    pub settings: Settings,
}

fn first_architecture() -> String {
    first::ARCHITECTURE.name.to_owned()
}

impl NetworkConfig {
    /// The same network with every setting that was left out at its default.
    ///
    /// # Errors
    /// If there is no such architecture or setting.
    pub fn complete(&self, transform: &Transform) -> Result<Self> {
        let mut settings = (self.find()?.defaults)(transform);
        for (key, value) in &self.settings {
            let Some(slot) = settings.get_mut(key) else {
                let known: Vec<&String> = settings.keys().collect();
                bail!("network {}: expected a setting out of {known:?}, got {key:?}", self.architecture);
            };
            *slot = value.clone();
        }
        Ok(NetworkConfig { architecture: self.architecture.clone(), settings })
    }

    /// A network with random weights, its variables in `vs`.
    ///
    /// # Errors
    /// If a setting is unknown or not what it should be.
    pub fn build(&self, vs: &nn::Path, transform: &Arc<Transform>) -> Result<Box<dyn Network>> {
        let complete = self.complete(transform)?;
        (self.find()?.build)(vs, &complete.settings, transform)
            .with_context(|| format!("network {}", self.architecture))
    }

    fn find(&self) -> Result<&'static Architecture> {
        let known: Vec<&str> = ARCHITECTURES.iter().map(|a| a.name).collect();
        ARCHITECTURES
            .iter()
            .find(|a| a.name == self.architecture)
            .with_context(|| format!("network: expected one of {known:?}, got {:?}", self.architecture))
    }
}

impl FromStr for NetworkConfig {
    type Err = String;

    /// `NAME` or `NAME:KEY=VALUE,...`, a value as JSON; several values of one key are joined by `+`, as
    /// `first:channels=32+64+96+128,causal=true`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (architecture, settings) = text.split_once(':').unwrap_or((text, ""));
        let one = |value: &str| serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        let settings = settings
            .split(',')
            .filter(|setting| !setting.is_empty())
            .map(|setting| {
                let (key, value) =
                    setting.split_once('=').ok_or_else(|| format!("expected KEY=VALUE, got {setting:?}"))?;
                let value =
                    if value.contains('+') { Value::Array(value.split('+').map(one).collect()) } else { one(value) };
                Ok((key.to_owned(), value))
            })
            .collect::<Result<_, String>>()?;
        Ok(NetworkConfig { architecture: architecture.to_owned(), settings })
    }
}

impl fmt::Display for NetworkConfig {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.architecture)?;
        let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        for (i, (key, value)) in self.settings.iter().enumerate() {
            let value = match value {
                Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join("+"),
                value => plain(value),
            };
            write!(f, "{}{key}={value}", if i == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

/// Every architecture with its line of explanation, for `--help`.
pub fn list() -> String {
    ARCHITECTURES.iter().map(|a| format!("  {:14} {}\n", a.name, a.about)).collect()
}

/// The fields of a config as settings.
///
/// # Panics
/// If the config is not a struct.
pub fn settings<C: Serialize>(config: &C) -> Settings {
    match serde_json::to_value(config) {
        Ok(Value::Object(settings)) => settings,
        _ => panic!("a network's config is a struct of plain values"),
    }
}

/// A config from its settings.
///
/// # Errors
/// If a setting is missing, unknown or of the wrong kind.
pub fn parse<C: DeserializeOwned>(settings: &Settings) -> Result<C> {
    Ok(serde_json::from_value(Value::Object(settings.clone()))?)
}

/// Number of trained values.
pub fn num_parameters(vs: &nn::VarStore) -> usize {
    vs.trainable_variables().iter().map(Tensor::numel).sum()
}

//! `xumx_slicq_v2.json`: what the network was trained with.

use super::{ImportError, tensors::read_at_most};
use serde_json::{Map, Value};
use slicqt::{Design, Scale};
use std::path::Path;

/// The published ones have 4 kB.
const MAX_SETTINGS_LEN: u64 = 1 << 24;

/// The settings that matter to us, of `args`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub design: Design,
    /// Whether the network starts to give masks before the song is over.
    pub is_realtime: bool,
    /// Seconds of the pieces that it was trained on.
    pub piece_s: Option<f64>,
}

impl Settings {
    pub fn read(path: &Path) -> Result<Settings, ImportError> {
        let bytes = read_at_most(path, MAX_SETTINGS_LEN)?;
        let json: Value = serde_json::from_slice(&bytes).map_err(|error| ImportError::damaged(path, error))?;
        let args = json.get("args").and_then(Value::as_object);
        let args =
            args.ok_or_else(|| ImportError::field(path, "args", "a table of settings", shown(json.get("args"))))?;
        Settings::from_args(&Args { path, args })
    }

    fn from_args(args: &Args) -> Result<Settings, ImportError> {
        let scale = match args.args.get("fscale").and_then(Value::as_str) {
            Some("bark") => Scale::Bark,
            Some("mel") => Scale::Mel,
            _ => return Err(args.error("fscale", "\"bark\" or \"mel\" (other scales are not imported)")),
        };
        let num_bands = args.number("fbins", None, "a whole number from 4 to 4096", |n| {
            n.fract() == 0.0 && (4.0..=4096.0).contains(&n)
        })?;
        let fmin_hz = args.number("fmin", None, "a frequency above 0 Hz", |f| f > 0.0 && f < 1e5)?;
        let rate = args.number("sample_rate", Some(44_100.0), "a whole number of Hz from 8000 to 192000", |rate| {
            rate.fract() == 0.0 && (8e3..=192e3).contains(&rate)
        })?;
        args.number("nb_channels", Some(2.0), "2", |n| n == 2.0)?;
        if args.flag("lstm")? {
            return Err(args.error("lstm", "false (the variant with LSTMs is not imported)"));
        }
        Ok(Settings {
            design: Design::new(scale, num_bands as usize, fmin_hz, rate).with_published_lens(),
            is_realtime: args.flag("realtime")?,
            piece_s: args.args.get("seq_dur").and_then(Value::as_f64),
        })
    }
}

struct Args<'a> {
    path: &'a Path,
    args: &'a Map<String, Value>,
}

impl Args<'_> {
    fn error(&self, name: &str, expected: &str) -> ImportError {
        ImportError::field(self.path, format!("args.{name}"), expected, shown(self.args.get(name)))
    }

    fn number(
        &self,
        name: &str,
        default: Option<f64>,
        expected: &str,
        holds: impl Fn(f64) -> bool,
    ) -> Result<f64, ImportError> {
        let value = if self.args.contains_key(name) { self.args[name].as_f64() } else { default };
        value.filter(|value| holds(*value)).ok_or_else(|| self.error(name, expected))
    }

    /// False if it is not there: older files lack settings that came later.
    fn flag(&self, name: &str) -> Result<bool, ImportError> {
        match self.args.get(name) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(_) => Err(self.error(name, "true or false")),
        }
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or("nothing".to_owned(), |value| {
        let text = value.to_string();
        if text.chars().count() > 60 { text.chars().take(60).chain("...".chars()).collect() } else { text }
    })
}

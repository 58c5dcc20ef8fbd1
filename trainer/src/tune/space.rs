//! The space that a tuner searches: a TOML file with a table per option.

use anyhow::{Context, Result, bail, ensure};
use optimizer::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What a table says: choices, or a range.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    choices: Option<Vec<toml::Value>>,
    low: Option<toml::Value>,
    high: Option<toml::Value>,
    #[serde(default)]
    log: bool,
    step: Option<toml::Value>,
}

/// One dimension: an option and the values that it may take.
pub struct Dimension {
    /// The option of `trainer train` without its dashes, or `network.KEY`.
    pub name: String,
    values: Values,
    /// Its choices, or both ends of its range, as the command line would have them.
    pub extremes: Vec<String>,
}

enum Values {
    Choices(CategoricalParam<String>),
    Integers(IntParam),
    Numbers(FloatParam),
}

/// Dimensions in order of name.
pub struct Space {
    /// The dimensions.
    pub dimensions: Vec<Dimension>,
}

impl Space {
    /// Reads a space.
    ///
    /// # Errors
    /// If the file cannot be read, or a table is neither choices nor a range.
    pub fn read(path: &Path) -> Result<Space> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Space::parse(&text).with_context(|| format!("{}", path.display()))
    }

    /// Understands the text of a space.
    ///
    /// # Errors
    /// As [`Space::read`].
    pub fn parse(text: &str) -> Result<Space> {
        let tables: BTreeMap<String, Range> = toml::from_str(text)?;
        ensure!(
            !tables.is_empty(),
            "expected a table for each option, as [learning-rate] with low and high; found none"
        );
        let dimension = |(name, range): (String, Range)| {
            let given = [&range.low, &range.high].into_iter().flatten().chain(range.choices.iter().flatten());
            let extremes = given.map(as_option).collect();
            let values = Values::new(&name, range).with_context(|| format!("[{name}]"))?;
            Ok(Dimension { name, values, extremes })
        };
        Ok(Space { dimensions: tables.into_iter().map(dimension).collect::<Result<_>>()? })
    }

    /// Values in the order of the dimensions, with their names: as a trial is known in journal and table.
    pub fn settings(&self, values: &[String]) -> String {
        let named = self.dimensions.iter().zip(values).map(|(dimension, value)| format!("{}={value}", dimension.name));
        named.collect::<Vec<_>>().join(" ")
    }
}

impl Values {
    fn new(name: &str, range: Range) -> Result<Values> {
        if let Some(choices) = range.choices {
            ensure!(range.low.is_none() && range.high.is_none(), "expected choices, or low and high, found both");
            ensure!(choices.len() > 1, "choices: expected at least two, found {}", choices.len());
            return Ok(Values::Choices(CategoricalParam::new(choices.iter().map(as_option).collect()).name(name)));
        }
        let (Some(low), Some(high)) = (range.low, range.high) else { bail!("expected choices, or low and high") };
        if let (Some(low), Some(high)) = (low.as_integer(), high.as_integer()) {
            ensure!(low < high && (low > 0 || !range.log), "expected low below high (and above 0 with log)");
            let param = IntParam::new(low, high).name(name);
            let step = range.step.as_ref().and_then(toml::Value::as_integer);
            return Ok(Values::Integers(match (range.log, step) {
                (true, _) => param.log_scale(),
                (false, Some(step)) => param.step(step),
                (false, None) => param,
            }));
        }
        let number = |value: &toml::Value| value.as_float().or(value.as_integer().map(|value| value as f64));
        let (Some(low), Some(high)) = (number(&low), number(&high)) else { bail!("low, high: expected numbers") };
        ensure!(low < high && (low > 0.0 || !range.log), "expected low below high (and above 0 with log)");
        let param = FloatParam::new(low, high).name(name);
        Ok(Values::Numbers(if range.log { param.log_scale() } else { param }))
    }
}

fn as_option(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Dimension {
    /// A value for a trial, as the command line would have it.
    ///
    /// # Errors
    /// If the sampler fails.
    pub fn suggest(&self, trial: &mut Trial) -> Result<String> {
        Ok(match &self.values {
            Values::Choices(param) => param.suggest(trial)?,
            Values::Integers(param) => param.suggest(trial)?.to_string(),
            // Four digits: what is tried is what the table shows.
            Values::Numbers(param) => format!("{:.3e}", param.suggest(trial)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_stay_in_the_space() {
        let space = Space::parse(
            "[learning-rate]\nlow = 1e-4\nhigh = 1e-2\nlog = true\n[\"network.hidden_len\"]\nlow = 8\nhigh = 64\nstep = 8\n\
             [transform]\nchoices = [\"mel-32\", \"bark-262\"]\n",
        )
        .unwrap();
        let study: Study<f64> = Study::builder().maximize().sampler(TpeSampler::new()).build();
        for _ in 0..30 {
            let mut trial = study.ask();
            let values: Vec<String> = space.dimensions.iter().map(|d| d.suggest(&mut trial).unwrap()).collect();
            assert!((1e-4..=1e-2).contains(&values[0].parse::<f64>().unwrap()), "{values:?}");
            let hidden: i64 = values[1].parse().unwrap();
            assert!((8..=64).contains(&hidden) && hidden % 8 == 0, "{values:?}");
            assert!(["mel-32", "bark-262"].contains(&values[2].as_str()));
            study.tell(trial, Ok::<f64, String>(hidden as f64));
        }
    }

    #[test]
    fn what_is_no_space_is_named() {
        for (text, expected) in [
            ("", "found none"),
            ("[a]\nlow = 1\n", "[a]"),
            ("[a]\nchoices = [1]\n", "at least two"),
            ("[a]\nlow = 0.0\nhigh = 1.0\nlog = true\n", "above 0"),
            ("[a]\nlowest = 1\n", "lowest"),
        ] {
            let error = format!("{:#}", Space::parse(text).err().unwrap());
            assert!(error.contains(expected), "{error}");
        }
    }
}

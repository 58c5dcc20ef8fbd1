//! What a saved state may say: projects come from other versions, other machines and strangers.

use crate::params::{DEFAULT_MODEL, GAIN_STEP_DB, MAX_GAIN_DB, MIN_GAIN_DB};
use nice_plug::{params::persist, plugin::ParamValue, prelude::PluginState};
use separator::STEMS;

/// The field with the name of the model.
pub const MODEL_FIELD: &str = "model";
/// Longer names of models are nobody's.
const MAX_MODEL_NAME_LEN: usize = 255;

/// Brings every value of a state into its range before it is loaded: gains are clamped, what is as good as 0 dB is exactly
/// that, what is no number is left out, and a name of a model that is missing or none is replaced by the default's.
///
/// # Realtime
/// Not safe: allocates.
pub fn filter_state(state: &mut PluginState) {
    for stem in STEMS {
        if let Some(ParamValue::F32(gain_db)) = state.params.get_mut(stem) {
            if gain_db.abs() < GAIN_STEP_DB / 2.0 {
                *gain_db = 0.0;
            }
            *gain_db = gain_db.clamp(MIN_GAIN_DB, MAX_GAIN_DB);
            if gain_db.is_nan() {
                state.params.remove(stem);
            }
        }
    }
    let model = state.fields.get(MODEL_FIELD).and_then(|json| persist::deserialize_field::<String>(json).ok());
    if model.is_none_or(|model| model.is_empty() || model.len() > MAX_MODEL_NAME_LEN) {
        let default = persist::serialize_field(DEFAULT_MODEL).expect("a string can be written as JSON");
        state.fields.insert(MODEL_FIELD.to_owned(), default);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(params: &[(&str, ParamValue)], fields: &[(&str, &str)]) -> PluginState {
        PluginState {
            version: String::new(),
            params: params.iter().map(|(id, value)| ((*id).to_owned(), value.clone())).collect(),
            fields: fields.iter().map(|(id, value)| ((*id).to_owned(), (*value).to_owned())).collect(),
        }
    }

    fn gain_db(gain_db: f32) -> Option<f32> {
        let mut state = state(&[("vocals", ParamValue::F32(gain_db))], &[]);
        filter_state(&mut state);
        match state.params.get("vocals") {
            Some(ParamValue::F32(gain_db)) => Some(*gain_db),
            _ => None,
        }
    }

    #[test]
    fn gains_come_into_their_range() {
        for (saved, expected) in
            [(40.0, 12.0), (-1e30, -72.0), (f32::INFINITY, 12.0), (f32::NEG_INFINITY, -72.0), (-6.5, -6.5)]
        {
            assert_eq!(gain_db(saved), Some(expected));
        }
        assert_eq!(gain_db(1e-6), Some(0.0));
        assert_eq!(gain_db(f32::NAN), None);
    }

    #[test]
    fn there_is_always_the_name_of_a_model() {
        for fields in [&[][..], &[("model", "42")], &[("model", "\"\"")], &[("model", "\"unfinished")]] {
            let mut state = state(&[], fields);
            filter_state(&mut state);
            assert_eq!(state.fields[MODEL_FIELD], "\"first\"");
        }
        let mut state = state(&[], &[("model", "\"mine\"")]);
        filter_state(&mut state);
        assert_eq!(state.fields[MODEL_FIELD], "\"mine\"");
    }
}

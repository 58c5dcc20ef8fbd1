//! What a saved state may say: projects come from other versions, other machines and strangers.

use crate::params::{DEFAULT_MODEL, GAIN_STEP_DB, MAX_GAIN_DB, MIN_GAIN_DB};
use nice_plug::{params::persist, plugin::ParamValue, prelude::PluginState};
use separator::STEMS;

/// The field with the name of the model.
pub const MODEL_FIELD: &str = "model";
/// Longer names of models are nobody's.
const MAX_MODEL_NAME_LEN: usize = 255;

/// Brings every value of a state into its range before it is loaded: numbers are clamped, and what is as good as 0 dB or
/// the centre is exactly that. What is missing, or nothing of the kind, is what it is in a new project: states of earlier
/// versions know the gains only, and must not sound by what was set before. So it goes with the name of the model.
///
/// # Realtime
/// Not safe: allocates.
pub fn filter_state(state: &mut PluginState) {
    for stem in STEMS {
        filter_number(state, stem, 0.0, [MIN_GAIN_DB, MAX_GAIN_DB], GAIN_STEP_DB);
        filter_switch(state, &format!("{stem}_mute"));
        filter_switch(state, &format!("{stem}_solo"));
        filter_number(state, &format!("{stem}_pan"), 0.0, [-100.0, 100.0], 1.0);
    }
    filter_number(state, "dry_wet", 100.0, [0.0, 100.0], 1.0);
    filter_number(state, "output", 0.0, [MIN_GAIN_DB, MAX_GAIN_DB], GAIN_STEP_DB);
    filter_switch(state, "bypass");
    filter_switch(state, "automation");
    let model = state.fields.get(MODEL_FIELD).and_then(|json| persist::deserialize_field::<String>(json).ok());
    if model.is_none_or(|model| model.is_empty() || model.len() > MAX_MODEL_NAME_LEN) {
        let default = persist::serialize_field(DEFAULT_MODEL).expect("a string can be written as JSON");
        state.fields.insert(MODEL_FIELD.to_owned(), default);
    }
}

fn filter_number(state: &mut PluginState, id: &str, default: f32, [min, max]: [f32; 2], step: f32) {
    let value = match state.params.get(id) {
        Some(ParamValue::F32(value)) if !value.is_nan() => value.clamp(min, max),
        _ => default,
    };
    // Unity and the centre are exact, or they are not bit-exact.
    let value = if (value - default).abs() < step / 2.0 { default } else { value };
    state.params.insert(id.to_owned(), ParamValue::F32(value));
}

fn filter_switch(state: &mut PluginState, id: &str) {
    if !matches!(state.params.get(id), Some(ParamValue::Bool(_))) {
        state.params.insert(id.to_owned(), ParamValue::Bool(false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::UnbraidParams;
    use nice_plug::prelude::Params;

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
        assert_eq!(gain_db(f32::NAN), Some(0.0));
    }

    #[test]
    fn what_a_state_does_not_say_is_what_it_is_in_a_new_project() {
        let params = UnbraidParams::default();
        let ids: Vec<String> = params.param_map().into_iter().map(|(id, ..)| id).collect();
        let nonsense: Vec<_> = ids.iter().map(|id| (&id[..], ParamValue::String("loud".to_owned()))).collect();
        for saved in [&[][..], &nonsense] {
            let mut state = state(saved, &[]);
            filter_state(&mut state);
            assert_eq!(state.params.len(), ids.len(), "every parameter is set, and nothing else");
            for (id, ptr, _) in params.param_map() {
                // SAFETY: `params` is alive.
                let default = unsafe { ptr.preview_plain(ptr.default_normalized_value()) };
                let value = match &state.params[&id] {
                    ParamValue::F32(value) => *value,
                    ParamValue::Bool(value) => f32::from(u8::from(*value)),
                    value => panic!("{id}: {value:?}"),
                };
                assert_eq!(value, default, "{id}");
            }
        }
    }

    #[test]
    fn a_state_of_the_first_version_keeps_its_gains() {
        let saved = [("vocals", ParamValue::F32(-72.0)), ("bass", ParamValue::F32(3.0))];
        let mut state = state(&saved, &[]);
        filter_state(&mut state);
        let expected = [("vocals", -72.0), ("drums", 0.0), ("bass", 3.0), ("bass_pan", 0.0), ("dry_wet", 100.0)];
        for (id, value) in expected {
            assert!(matches!(state.params[id], ParamValue::F32(number) if number == value), "{id}");
        }
    }

    #[test]
    fn there_is_always_the_name_of_a_model() {
        for fields in [&[][..], &[("model", "42")], &[("model", "\"\"")], &[("model", "\"unfinished")]] {
            let mut state = state(&[], fields);
            filter_state(&mut state);
            assert_eq!(state.fields[MODEL_FIELD], format!("\"{DEFAULT_MODEL}\""));
        }
        for name in ["\"mine\"", "\"first\""] {
            let mut state = state(&[], &[("model", name)]);
            filter_state(&mut state);
            assert_eq!(state.fields[MODEL_FIELD], name);
        }
    }
}

//! What a saved state may say: projects come from other versions, other machines and strangers.

use crate::{
    model_choice::ModelChoice,
    params::{DEFAULT_MODEL, GAIN_STEP_DB, MAX_GAIN_DB, MIN_GAIN_DB},
};
use nice_plug::{params::persist, plugin::ParamValue, prelude::PluginState};
use separator::STEMS;

/// The field with the models.
pub const MODEL_FIELD: &str = "model";

/// Brings every value of a state into its range before it is loaded: numbers are clamped, and what is as good as 0 dB or
/// the centre is exactly that. What is missing, or nothing of the kind, is what it is in a new project: states of earlier
/// versions know the gains only, and must not sound by what was set before. So it goes with the models.
///
/// # Realtime
/// Not safe: allocates.
pub fn filter_state(state: &mut PluginState) {
    for stem in STEMS {
        filter_number(state, stem, 0.0, [MIN_GAIN_DB, MAX_GAIN_DB], GAIN_STEP_DB);
        filter_switch(state, &format!("{stem}_mute"));
        filter_switch(state, &format!("{stem}_solo"));
        filter_number(state, &format!("{stem}_pan"), 0.0, [-100.0, 100.0], 1.0);
        filter_number(state, &format!("{stem}_sensitivity"), 0.0, [-100.0, 100.0], 1.0);
    }
    filter_number(state, "dry_wet", 100.0, [0.0, 100.0], 1.0);
    filter_number(state, "output", 0.0, [MIN_GAIN_DB, MAX_GAIN_DB], GAIN_STEP_DB);
    filter_switch(state, "bypass");
    filter_switch(state, "automation");
    let saved = state.fields.get(MODEL_FIELD).and_then(|json| persist::deserialize_field::<ModelChoice>(json).ok());
    let choice = saved.and_then(ModelChoice::checked).unwrap_or_else(|| ModelChoice::playing(DEFAULT_MODEL));
    let json = persist::serialize_field(&choice).expect("text and switches can be written as JSON");
    state.fields.insert(MODEL_FIELD.to_owned(), json);
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
        let model = |fields: &[(&str, &str)]| {
            let mut state = state(&[], fields);
            filter_state(&mut state);
            persist::deserialize_field::<ModelChoice>(&state.fields[MODEL_FIELD]).unwrap()
        };
        let long = format!("\"{}\"", "x".repeat(256));
        for json in ["42", "\"\"", "\"unfinished", "{\"name\":\"\"}", &long] {
            assert_eq!(model(&[("model", json)]), ModelChoice::playing(DEFAULT_MODEL), "{json}");
        }
        assert_eq!(model(&[]), ModelChoice::playing(DEFAULT_MODEL));
        // Those of earlier versions, and the default of earlier versions.
        for name in ["mine", "first"] {
            assert_eq!(model(&[("model", &format!("\"{name}\""))]), ModelChoice::playing(name));
        }
        let json = r#"{"name":"mine","bouncing":{"name":"slow","sha256":"no hash"},"has_constant_latency":true}"#;
        let choice = model(&[("model", json)]);
        assert_eq!(choice.other_for_bouncing().map(|id| (&id.name[..], &id.sha256)), Some(("slow", &None)));
        assert!(choice.has_constant_latency);
    }
}

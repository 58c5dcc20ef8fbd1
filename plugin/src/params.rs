//! What the host can automate, and what a project remembers.

use crate::{
    gestures::Gestures,
    mix_controls::MixControls,
    model_choice::{ChosenModels, ModelChoice},
    param_text::{percent_to_string, string_to_switch, string_to_wet_percent},
    stem_params::{StemParams, gain, gain_param},
};
use nice_plug::prelude::*;
use separator::STEMS;
use std::sync::Arc;

/// The bottom of a gain's range; it means silence.
pub const MIN_GAIN_DB: f32 = -72.0;
/// The top of a gain's range.
pub const MAX_GAIN_DB: f32 = 12.0;
/// Gains are multiples of this. It makes 0 dB exact whatever a host does to the normalized value, and thereby unity
/// bit-exact.
pub const GAIN_STEP_DB: f32 = 0.01;

/// How the two settings of automation are shown.
const AUTOMATION_WITH_MUSIC: &str = "With the music";
/// See above.
const AUTOMATION_AT_ONCE: &str = "At once";

/// The model of a new project.
pub use base::DEFAULT_MODEL;

/// Parameters and persistent state of both plugins. IDs never change: projects are saved with them.
#[derive(Params)]
pub struct UnbraidParams {
    /// The vocals'.
    #[nested(group = "Vocals")]
    pub vocals: StemParams,
    /// The drums'.
    #[nested(group = "Drums")]
    pub drums: StemParams,
    /// The bass's.
    #[nested(group = "Bass")]
    pub bass: StemParams,
    /// Those of everything else.
    #[nested(group = "Other")]
    pub other: StemParams,
    /// How much of the new mix is heard, and how much of the old one, in percent.
    #[id = "dry_wet"]
    pub dry_wet: FloatParam,
    /// Gain of everything in dB; the bottom of the range is silence.
    #[id = "output"]
    pub output: FloatParam,
    /// The host's bypass: the delayed input comes out.
    #[id = "bypass"]
    pub bypass: BoolParam,
    /// Whether changes that the host sends act on what comes out now, instead of on the input that they came with. For
    /// hosts that send them later by the latency themselves.
    #[id = "automation"]
    pub automation_at_once: BoolParam,
    /// The models that the project was made with, so that it sounds the same when a later version has another default.
    #[persist = "model"]
    pub models: ChosenModels,
    /// What is being moved in our own editor.
    pub gestures: Gestures,
}

impl Default for UnbraidParams {
    fn default() -> Self {
        let [vocals, drums, bass, other] = STEMS.map(StemParams::new);
        UnbraidParams {
            vocals,
            drums,
            bass,
            other,
            dry_wet: FloatParam::new("Dry/Wet", 100.0, FloatRange::Linear { min: 0.0, max: 100.0 })
                .with_step_size(1.0)
                .with_unit(" %")
                .with_value_to_string(Arc::new(percent_to_string))
                .with_string_to_value(Arc::new(string_to_wet_percent)),
            output: gain_param("Output".to_owned()),
            bypass: BoolParam::new("Bypass", false).make_bypass().with_string_to_value(Arc::new(string_to_switch)),
            automation_at_once: automation_param(),
            models: ChosenModels::new(ModelChoice::playing(DEFAULT_MODEL)),
            gestures: Gestures::default(),
        }
    }
}

impl UnbraidParams {
    /// Those of the stems, in the order of [`STEMS`].
    ///
    /// # Realtime
    /// Safe.
    pub fn stems(&self) -> [&StemParams; 4] {
        [&self.vocals, &self.drums, &self.bass, &self.other]
    }

    /// The controls of the mix as the host wants them now, modulation included.
    ///
    /// # Realtime
    /// Safe.
    pub fn mix_controls(&self) -> MixControls {
        MixControls {
            stems: self.stems().map(StemParams::controls),
            wet: self.dry_wet.value() / 100.0,
            output_gain: gain(self.output.value()),
            is_bypassed: self.bypass.value(),
        }
    }
}

fn automation_param() -> BoolParam {
    let to_string = |at_once| if at_once { AUTOMATION_AT_ONCE } else { AUTOMATION_WITH_MUSIC }.to_owned();
    let from_string = |text: &str| match text.trim().to_lowercase() {
        text if text == AUTOMATION_AT_ONCE.to_lowercase() => Some(true),
        text if text == AUTOMATION_WITH_MUSIC.to_lowercase() => Some(false),
        _ => None,
    };
    BoolParam::new("Automation", false)
        .non_automatable()
        .with_value_to_string(Arc::new(to_string))
        .with_string_to_value(Arc::new(from_string))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Every parameter's ID and group, in the order in which hosts show them. IDs are in projects, so they never change.
    #[test]
    fn parameters_have_the_ids_that_projects_know_and_the_groups_of_their_stems() {
        let params = UnbraidParams::default();
        let map: Vec<_> = params.param_map().into_iter().map(|(id, _, group)| (id, group)).collect();
        let expected = [
            ("vocals", "Vocals"),
            ("vocals_mute", "Vocals"),
            ("vocals_solo", "Vocals"),
            ("vocals_pan", "Vocals"),
            ("vocals_sensitivity", "Vocals"),
            ("drums", "Drums"),
            ("drums_mute", "Drums"),
            ("drums_solo", "Drums"),
            ("drums_pan", "Drums"),
            ("drums_sensitivity", "Drums"),
            ("bass", "Bass"),
            ("bass_mute", "Bass"),
            ("bass_solo", "Bass"),
            ("bass_pan", "Bass"),
            ("bass_sensitivity", "Bass"),
            ("other", "Other"),
            ("other_mute", "Other"),
            ("other_solo", "Other"),
            ("other_pan", "Other"),
            ("other_sensitivity", "Other"),
            ("dry_wet", ""),
            ("output", ""),
            ("bypass", ""),
            ("automation", ""),
        ];
        assert_eq!(map, expected.map(|(id, group)| (id.to_owned(), group.to_owned())));
        // Lists without groups show the names alone.
        let names: HashSet<_> = params.param_map().iter().map(|(_, ptr, _)| name(ptr)).collect();
        assert_eq!(names.len(), map.len());
    }

    fn name(ptr: &ParamPtr) -> String {
        // SAFETY: the parameters of the caller are alive.
        unsafe { ptr.name() }.to_owned()
    }

    /// What is shown is read as the same value: at every step of every parameter, with the unit and without.
    #[test]
    fn every_value_of_every_parameter_survives_its_text() {
        let params = UnbraidParams::default();
        for (id, ptr, _) in params.param_map() {
            for position in 0..=20_000 {
                // SAFETY: `params` is alive.
                unsafe {
                    let position = position as f32 / 20_000.0;
                    let is_switch = ptr.step_count().is_some();
                    let plain = ptr.preview_plain(if is_switch { position.round() } else { position });
                    let value = ptr.preview_normalized(plain);
                    for with_unit in [true, false] {
                        let text = ptr.normalized_value_to_string(value, with_unit);
                        let read = ptr.string_to_normalized_value(&text).unwrap_or(f32::NAN);
                        assert_eq!(ptr.preview_plain(read), plain, "{id}: {text}");
                        assert_eq!(ptr.normalized_value_to_string(read, with_unit), text, "{id}");
                    }
                }
            }
        }
    }

    #[test]
    fn automation_reads_what_it_shows_and_nothing_else() {
        let automation = UnbraidParams::default().automation_at_once;
        assert_eq!(automation.string_to_normalized_value("at once"), Some(1.0));
        assert_eq!(automation.string_to_normalized_value("on"), None);
    }

    #[test]
    fn a_new_project_is_the_mix_as_it_came() {
        assert_eq!(UnbraidParams::default().mix_controls(), MixControls::default());
    }
}

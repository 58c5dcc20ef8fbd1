//! Two settings of all controls to compare, A and B: one is heard, the other waits.

use super::touch::Touch;
use crate::{mix_controls::Control, params::UnbraidParams};
use nice_plug::params::{BoolParam, FloatParam, Param};

/// Which of the two is heard, and what the other one is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    is_b: bool,
    /// `[control]`, normalized. None: as the one that is heard.
    waiting: Option<Vec<f32>>,
}

/// A parameter of either kind.
#[derive(Clone, Copy)]
enum Setting<'a> {
    Value(&'a FloatParam),
    Switch(&'a BoolParam),
}

/// What is compared: everything but bypass, which is a comparison itself, and the setting of automation, which is the
/// host's.
fn settings(params: &UnbraidParams) -> Vec<(Control, Setting<'_>)> {
    let stems = params.stems().into_iter().enumerate().flat_map(|(idx, stem)| {
        [
            (Control::Gain(idx), Setting::Value(&stem.gain)),
            (Control::Mute(idx), Setting::Switch(&stem.mute)),
            (Control::Solo(idx), Setting::Switch(&stem.solo)),
            (Control::Pan(idx), Setting::Value(&stem.pan)),
            (Control::Sensitivity(idx), Setting::Value(&stem.sensitivity)),
        ]
    });
    let whole = [(Control::DryWet, Setting::Value(&params.dry_wet)), (Control::Output, Setting::Value(&params.output))];
    stems.chain(whole).collect()
}

impl Setting<'_> {
    fn normalized(self) -> f32 {
        match self {
            Setting::Value(param) => param.unmodulated_normalized_value(),
            Setting::Switch(param) => param.unmodulated_normalized_value(),
        }
    }

    fn set(self, touch: &Touch, control: Control, normalized: f32) {
        match self {
            Setting::Value(param) => touch.set_once(param, control, normalized),
            Setting::Switch(param) => touch.set_once(param, control, normalized),
        }
    }
}

fn values(params: &UnbraidParams) -> Vec<f32> {
    settings(params).into_iter().map(|(_, setting)| setting.normalized()).collect()
}

impl Comparison {
    /// Whether B is heard.
    pub fn is_b(&self) -> bool {
        self.is_b
    }

    /// Goes to the other one: what differs is set, each control in a gesture of its own, so that the host can undo it.
    pub fn toggle(&mut self, params: &UnbraidParams, touch: &Touch) {
        self.is_b = !self.is_b;
        let heard = values(params);
        if let Some(waiting) = self.waiting.replace(heard) {
            for ((control, setting), value) in settings(params).into_iter().zip(waiting) {
                if setting.normalized() != value {
                    setting.set(touch, control, value);
                }
            }
        }
    }

    /// Makes the other one the same as the one that is heard.
    pub fn copy(&mut self, params: &UnbraidParams) {
        self.waiting = Some(values(params));
    }
}

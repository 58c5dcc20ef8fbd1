//! What the user does to parameters, told to the host (for undo and automation) and to our own audio thread.
//!
//! There is one gesture at a time. A drag begins and ends it; wheel and keys begin one that ends by itself when nothing
//! more comes, so that hosts make one undo step of it.

use crate::{mix_controls::Control, params::UnbraidParams};
use nice_plug::{
    context::gui::GuiContext,
    params::{FloatParam, Param, internals::ParamPtr},
};
use std::{
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How long after the last wheel or key event its gesture ends, in s.
const PAUSE_S: f64 = 0.5;
/// For so long, in s, what was set counts as the value of a parameter, even if the host has not brought it yet.
const ECHO_S: f64 = 0.3;

/// The least that a step moves, of the way.
const STEP_OF_WAY: f32 = 0.005;

/// The user's hand. Cheap to clone; all clones are the same hand.
#[derive(Clone)]
pub struct Touch {
    params: Arc<UnbraidParams>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// None while no window is open.
    context: Option<GuiContext>,
    gesture: Option<Gesture>,
    echo: Option<Echo>,
    now_s: f64,
}

struct Gesture {
    param: ParamPtr,
    control: Control,
    /// None: when the user lets go.
    ends_at_s: Option<f64>,
}

/// What was set last.
struct Echo {
    param: ParamPtr,
    /// Not yet rounded to the steps of the parameter, so that slow drags move.
    normalized: f32,
    until_s: f64,
}

impl Touch {
    /// For these parameters.
    pub fn new(params: Arc<UnbraidParams>) -> Self {
        Touch { params, state: Arc::default() }
    }

    /// A window has opened.
    pub fn connect(&self, context: GuiContext) {
        self.let_go();
        self.state().context = Some(context);
    }

    /// The window has closed, maybe in the middle of a drag.
    pub fn disconnect(&self) {
        // nice-plug's context panics when its plugin is gone; hosts may destroy the plugin with its window open.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| self.let_go()));
        *self.state() = State::default();
    }

    /// Time goes on: ends what is over.
    pub fn tick(&self, now_s: f64) {
        let mut state = self.state();
        state.now_s = now_s;
        if state.gesture.as_ref().is_some_and(|gesture| gesture.ends_at_s.is_some_and(|end| end <= now_s)) {
            self.end(&mut state);
        }
        let is_held = state.gesture.is_some();
        if state.echo.as_ref().is_some_and(|echo| !is_held && echo.until_s <= now_s) {
            state.echo = None;
        }
    }

    /// The normalized value of `param` as the user sees it. The host may bring what was set some blocks later, and until
    /// then a fader must not jump back.
    pub fn value(&self, param: &impl Param) -> f32 {
        let state = self.state();
        let echo = state.echo.as_ref().filter(|echo| echo.param == param.as_ptr());
        echo.map_or_else(|| param.unmodulated_normalized_value(), |echo| echo.normalized)
    }

    /// Takes hold of `param`, until [`let_go`](Self::let_go).
    pub fn hold(&self, param: &impl Param, control: Control) {
        self.begin(&mut self.state(), param.as_ptr(), control, None);
    }

    /// Sets what is held, or, in a gesture that ends by itself, what is not.
    pub fn set<P: Param>(&self, param: &P, control: Control, normalized: f32) {
        let normalized = normalized.clamp(0.0, 1.0);
        let mut state = self.state();
        let until_s = state.now_s + PAUSE_S;
        let is_held =
            state.gesture.as_ref().is_some_and(|open| open.param == param.as_ptr() && open.ends_at_s.is_none());
        if !is_held {
            self.begin(&mut state, param.as_ptr(), control, Some(until_s));
        }
        state.echo = Some(Echo { param: param.as_ptr(), normalized, until_s: state.now_s + ECHO_S });
        let snapped = param.preview_normalized(param.preview_plain(normalized));
        let context = state.context.clone();
        // Hosts may call back from within; nothing must be locked then.
        drop(state);
        if let Some(context) = context {
            context.param_setter().set_parameter_normalized(param, snapped);
        }
    }

    /// Ends the gesture.
    pub fn let_go(&self) {
        self.end(&mut self.state());
    }

    /// A gesture of its own: a click, a typed value, a preset.
    pub fn set_once<P: Param>(&self, param: &P, control: Control, normalized: f32) {
        self.let_go();
        self.set(param, control, normalized);
        self.let_go();
    }

    /// Moves `param` by `num_steps` of `step` in its own unit, or of a two-hundredth of the way where that is more: at the
    /// bottom of a fader decibels are small.
    pub fn step(&self, param: &FloatParam, control: Control, num_steps: f32, step: f32) {
        let normalized = self.value(param);
        let by_unit = param.preview_normalized(param.preview_plain(normalized) + num_steps * step);
        let by_way = (normalized + num_steps * STEP_OF_WAY).clamp(0.0, 1.0);
        let is_more = (by_way - normalized).abs() > (by_unit - normalized).abs();
        self.set(param, control, if is_more { by_way } else { by_unit });
    }

    fn begin(&self, state: &mut State, param: ParamPtr, control: Control, ends_at_s: Option<f64>) {
        if let Some(open) = state.gesture.as_mut().filter(|open| open.param == param) {
            open.ends_at_s = ends_at_s;
            return;
        }
        self.end(state);
        let Some(context) = &state.context else { return };
        self.params.gestures.begin(control);
        // SAFETY: `param` points into `self.params`, and the wrapper checks that it knows it.
        unsafe { context.raw_begin_set_parameter(param) };
        state.gesture = Some(Gesture { param, control, ends_at_s });
    }

    fn end(&self, state: &mut State) {
        let Some(gesture) = state.gesture.take() else { return };
        self.params.gestures.end(gesture.control);
        if let Some(context) = &state.context {
            // SAFETY: see `begin`.
            unsafe { context.raw_end_set_parameter(gesture.param) };
        }
        if let Some(echo) = &mut state.echo {
            echo.until_s = state.now_s + ECHO_S;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

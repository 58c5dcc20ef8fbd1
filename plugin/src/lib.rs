//! Unbraid as CLAP and VST3: parameters, activation and the mixer of the stems. The sound is made by `separator`.
//!
//! The library holds two plugins, [`Unbraid`] and [`UnbraidMultiOut`], which differ in their outputs only.
//! - [`params`]: what the host can automate, and what a project remembers, with [its models](model_choice), chosen
//!   from those that [are installed](model_shelf); what a [saved state](state) may say;
//! - [`separation`] starts the engine on activation with what is [installed](installation) beside the library, or
//!   passes the mix through and says why; [`engine_watch`] tells the [`reporter`] what happens later;
//! - [`processor`]: what happens in `process()`; its last step is the [`stem_mixer`], with the gains that follow from
//!   the [controls](mix_controls). Controls that come with a sample act on it when it comes out ([`delayed_controls`]),
//!   those that are moved in our own editor at once ([`gestures`]).
#![warn(missing_docs)]

pub mod delayed_controls;
pub mod editor;
mod engine_report;
pub mod engine_watch;
pub mod gestures;
pub mod installation;
pub mod log_file;
pub mod meters;
pub mod mix_controls;
pub mod model_choice;
pub mod model_shelf;
mod param_text;
pub mod params;
pub mod processor;
mod remote_controls;
pub mod reporter;
pub mod separation;
pub mod state;
pub mod stem_mixer;
pub mod stem_params;
pub mod stereo_gain;
pub mod variants;

use editor::window::UnbraidEditor;
use engine_watch::{EngineWatch, ModelChooser};
use gestures::GestureWatch;
use meters::{MeterWriter, Meters};
use mix_controls::ControlSet;
use model_choice::{ModelChoice, Origin};
use nice_plug::prelude::*;
use params::UnbraidParams;
use processor::{Controls, Processor};
use reporter::Reporter;
use separation::Lineup;
use separator::{AudioSide, EngineConfig, LatencyPlan, SpectrumFeed};
use std::{
    marker::PhantomData,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use variants::{MultiOut, StereoOut, Variant};

/// Unbraid: stereo in, stereo out.
pub type Unbraid = Instance<StereoOut>;
/// Unbraid Multi-Out: stereo in; the mix and four stems out.
pub type UnbraidMultiOut = Instance<MultiOut>;

/// One instance of one of the plugins.
pub struct Instance<V: Variant> {
    params: Arc<UnbraidParams>,
    /// None in tests without a host.
    host: Option<HostHandle>,
    reporter: Reporter,
    meters: Arc<Meters>,
    spectra: Arc<SpectrumFeed>,
    /// None before the first activation.
    processor: Option<Processor>,
    /// None if the mix passes through.
    engine: Option<EngineWatch>,
    /// What the engine was started with.
    started_with: Option<LatencyPlan>,
    /// None unless active.
    active: Arc<Mutex<Option<Active>>>,
    /// Channels of the input: 1 or 2.
    num_inputs: usize,
    gesture_watch: GestureWatch,
    /// The number of the state that the controls are of.
    seen_generation: u32,
    variant: PhantomData<V>,
}

/// What a state that is loaded while active needs to know.
struct Active {
    /// The models that were chosen last.
    choice: ModelChoice,
    config: EngineConfig,
    /// What the host was told.
    latency_samples: usize,
    /// None: the mix passes through.
    chooser: Option<ModelChooser>,
}

impl Active {
    /// Goes to these models, and tells `found` name and hash of those that are there; whether that needs a new activation, the only time when the latency may change.
    fn choose(&mut self, choice: &ModelChoice, found: impl Fn(&str, &str)) -> bool {
        let is_same =
            self.choice.has_same_models(choice) && self.choice.has_constant_latency == choice.has_constant_latency;
        if is_same || separation::is_model_fixed() {
            return false;
        }
        let lineup = Lineup::new(choice, &self.config);
        lineup.found().for_each(|(name, sha256)| found(name, sha256));
        let is_chosen = self.chooser.as_ref().is_some_and(|chooser| chooser.choose(&lineup).is_ok());
        if is_chosen {
            choice.clone_into(&mut self.choice);
        }
        // A model that is not there is told about then.
        let needs_restart = !is_chosen || lineup.latency_samples() != self.latency_samples;
        if needs_restart && let Some(chooser) = &self.chooser {
            chooser.expect_restart();
        }
        needs_restart
    }
}

impl<V: Variant> Default for Instance<V> {
    fn default() -> Self {
        Instance {
            params: Arc::default(),
            host: None,
            reporter: Reporter::default(),
            meters: Arc::default(),
            spectra: Arc::default(),
            processor: None,
            engine: None,
            started_with: None,
            active: Arc::default(),
            num_inputs: 2,
            gesture_watch: GestureWatch::default(),
            seen_generation: 0,
            variant: PhantomData,
        }
    }
}

impl<V: Variant> Instance<V> {
    /// An audio side for this configuration; the one there is, if it still fits. Hosts deactivate and activate for many
    /// reasons, and a running engine need not load its model again for them.
    fn audio_side(&mut self, config: EngineConfig) -> AudioSide {
        let choice = self.params.models.get();
        let lineup = Lineup::new(&choice, &config);
        lineup.found().for_each(|(name, sha256)| self.params.models.found(name, sha256));
        let is_kept = self.engine.as_ref().is_some_and(|engine| {
            self.started_with.as_ref() == Some(lineup.plan())
                && !engine.has_failed()
                && engine.chosen().has_same_models(&choice)
        });
        let audio_side = match self.processor.take() {
            Some(processor) if is_kept => {
                self.set_active(true);
                let mut audio_side = processor.into_audio_side();
                // Not every host resets after activation, and nobody wants to hear the end of what was played before.
                audio_side.reset();
                audio_side
            }
            _ => {
                // The old engine goes first, so that there are never two at work.
                self.engine = None;
                let (engine, audio_side) = separation::start(&lineup, &config, &self.reporter);
                if let Some(engine) = &engine {
                    engine.publish_spectra(self.spectra.clone());
                }
                (self.engine, self.started_with) = (engine, Some(lineup.plan().clone()));
                audio_side
            }
        };
        let chooser = self.engine.as_ref().map(EngineWatch::chooser);
        let latency_samples = audio_side.latency_samples();
        *lock(&self.active) = Some(Active { choice, config, latency_samples, chooser });
        audio_side
    }

    /// Tells the engine whether the host has activated this instance.
    fn set_active(&self, is_active: bool) {
        if let Some(engine) = &self.engine {
            engine.set_active(is_active);
        }
    }

    /// What belongs to the block of `len` samples that begins now.
    fn controls(&mut self, len: usize) -> Controls {
        let generation = self.params.models.generation();
        let is_new_state = generation != self.seen_generation;
        self.seen_generation = generation;
        let touched = self.gesture_watch.controls_at_once(&self.params.gestures, len);
        let all_at_once = is_new_state || self.params.automation_at_once.value();
        Controls {
            mix: self.params.mix_controls(),
            at_once: if all_at_once { ControlSet::ALL } else { touched },
            is_offline: self.host.as_ref().is_some_and(|host| host.process_mode() == ProcessMode::Offline),
        }
    }

    /// Connects to the host; both formats come here.
    fn connect(&mut self, host: HostHandle) {
        self.reporter = Reporter::new(host.clone());
        self.host = Some(host);
        let (reporter, active) = (self.reporter.clone(), self.active.clone());
        // Weak: the parameters own what is called.
        let params = Arc::downgrade(&self.params);
        self.params.models.call_on_change(move |choice, origin| {
            // No parameter has changed, so the host cannot know that there is something to save.
            if origin == Origin::User {
                reporter.mark_dirty();
            }
            // Unlocked by then: a host may deactivate and activate within the request.
            let needs_restart = lock(&active).as_mut().is_some_and(|active| {
                let found = |name: &str, sha256: &str| {
                    if let Some(params) = params.upgrade() {
                        params.models.found(name, sha256);
                    }
                };
                active.choose(choice, found)
            });
            if needs_restart {
                reporter.info(&format!(
                    "The model '{}' has another latency: it comes in when the host starts Unbraid anew",
                    choice.playing.name
                ));
                reporter.request_restart();
            }
        });
    }

    /// As long as sound may be on its way through the delay, a host that hears silence must not put us to sleep.
    fn sounding_status(&self) -> ProcessStatus {
        self.processor
            .as_ref()
            .map_or(ProcessStatus::Normal, |processor| ProcessStatus::Tail(processor.tail_len() as u32))
    }
}

impl<V: Variant> Plugin for Instance<V> {
    const NAME: &'static str = V::NAME;
    const VENDOR: &'static str = "Unbraid";
    const URL: &'static str = "";
    const EMAIL: &'static str = "";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const AUDIO_IO_LAYOUTS: &'static [AudioIOLayout] = V::LAYOUTS;
    const SAMPLE_ACCURATE_AUTOMATION: bool = true;
    // One change of every parameter with every sample of a usual block; beyond that nice-plug allocates and logs.
    const INPUT_EVENT_CAPACITY: usize = 8192;

    type Editor = UnbraidEditor;
    type SysExMessage = ();
    type BackgroundTask = ();

    fn setup_logger() -> Option<bool> {
        log_file::set_up()
    }

    fn params(&self) -> Arc<dyn Params> {
        self.params.clone()
    }

    fn editor(&mut self, _async_executor: AsyncExecutor<Self>) -> Option<UnbraidEditor> {
        UnbraidEditor::new(
            self.params.clone(),
            self.reporter.board().clone(),
            self.meters.clone(),
            self.spectra.clone(),
        )
    }

    fn filter_state(state: &mut PluginState) {
        state::filter_state(state);
    }

    fn activate(
        &mut self,
        audio_io_layout: &AudioIOLayout,
        buffer_config: &BufferConfig,
        context: &mut impl ActivateContext<Self>,
    ) -> bool {
        let (sample_rate_hz, max_block_len) =
            (f64::from(buffer_config.sample_rate), buffer_config.max_buffer_size as usize);
        self.num_inputs = audio_io_layout.main_input_channels.map_or(2, NonZeroU32::get) as usize;
        let audio_side = self.audio_side(EngineConfig { sample_rate_hz, max_block_len });
        let latency_samples = audio_side.latency_samples();
        context.set_latency_samples(latency_samples as u32);
        self.reporter.board().update(|status| {
            (status.latency_samples, status.sample_rate_hz) = (latency_samples, sample_rate_hz);
            status.max_block_len = max_block_len;
        });
        self.seen_generation = self.params.models.generation();
        self.gesture_watch = GestureWatch::new(sample_rate_hz);
        let mut processor = Processor::new(audio_side, sample_rate_hz, max_block_len, self.params.mix_controls());
        processor.set_meter_writer(MeterWriter::new(self.meters.clone(), sample_rate_hz));
        self.processor = Some(processor);
        true
    }

    fn deactivate(&mut self) {
        self.set_active(false);
        *lock(&self.active) = None;
    }

    fn stop_processing(&mut self) {
        if let Some(processor) = &mut self.processor {
            processor.stop();
        }
    }

    fn reset(&mut self) {
        if let Some(processor) = &mut self.processor {
            processor.reset(self.params.mix_controls());
        }
        if let Some(engine) = &self.engine {
            engine.wake_from_rest();
        }
    }

    fn process(
        &mut self,
        buffer: &mut Buffer,
        aux: &mut AuxiliaryBuffers,
        _context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        let controls = self.controls(buffer.samples());
        let Some(processor) = &mut self.processor else {
            return ProcessStatus::Error("processing before activation");
        };
        let main = buffer.as_slice();
        if !matches!(main.len(), 1 | 2) || main.iter().any(|channel| channel.len() != main[0].len()) {
            return ProcessStatus::Error("the main bus is neither mono nor stereo");
        }
        let stem_outputs: [&mut [&mut [f32]]; 4] = match aux.outputs {
            [vocals, drums, bass, other] => [vocals.as_slice(), drums.as_slice(), bass.as_slice(), other.as_slice()],
            _ => Default::default(),
        };
        if processor.process(main, self.num_inputs, stem_outputs, controls) {
            self.sounding_status()
        } else {
            ProcessStatus::Normal
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<V: Variant> ClapPlugin for Instance<V> {
    const CLAP_ID: &'static str = V::CLAP_ID;
    const CLAP_DESCRIPTION: Option<&'static str> = Some(V::DESCRIPTION);
    const CLAP_MANUAL_URL: Option<&'static str> = None;
    const CLAP_SUPPORT_URL: Option<&'static str> = None;
    const CLAP_FEATURES: &'static [ClapFeature] = &[
        ClapFeature::AudioEffect,
        ClapFeature::Stereo,
        ClapFeature::Mono,
        ClapFeature::Mixing,
        ClapFeature::Restoration,
    ];

    fn remote_controls(&self, context: &mut impl RemoteControlsContext) {
        remote_controls::add_pages(&self.params, context);
    }

    fn set_host(&mut self, host: HostHandle) {
        self.connect(host);
    }

    fn status_before_processing(&self) -> ProcessStatus {
        self.sounding_status()
    }
}

impl<V: Variant> Vst3Plugin for Instance<V> {
    const VST3_CLASS_ID: [u8; 16] = V::VST3_CLASS_ID;
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] =
        &[Vst3SubCategory::Fx, Vst3SubCategory::Tools, Vst3SubCategory::Restoration];

    fn set_host(&mut self, host: HostHandle) {
        self.connect(host);
    }

    fn status_before_processing(&self) -> ProcessStatus {
        self.sounding_status()
    }
}

nice_export_clap!(Unbraid, UnbraidMultiOut);
nice_export_vst3!(Unbraid, UnbraidMultiOut);

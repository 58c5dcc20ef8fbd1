//! Unbraid as CLAP and VST3: parameters, activation and the mixer of the stems. The sound is made by `separator`.
//!
//! The library holds two plugins, [`Unbraid`] and [`UnbraidMultiOut`], which differ in their outputs only.
//! - [`params`]: what the host can automate, and what a project remembers;
//! - [`separation`] starts the engine on activation with what is [installed](installation) beside the library, or
//!   passes the mix through and says why; [`engine_watch`] writes to the log what happens later;
//! - [`processor`]: what happens in `process()`; its last step is the [`stem_mixer`].
#![warn(missing_docs)]

pub mod engine_watch;
pub mod installation;
pub mod params;
pub mod processor;
pub mod separation;
pub mod stem_mixer;
pub mod variants;

use engine_watch::EngineWatch;
use nice_plug::prelude::*;
use params::UnbraidParams;
use processor::Processor;
use separator::{AudioSide, EngineConfig};
use std::{
    marker::PhantomData,
    sync::{Arc, PoisonError},
};
use variants::{MultiOut, Stereo, Variant};

/// Unbraid: stereo in, stereo out.
pub type Unbraid = Instance<Stereo>;
/// Unbraid Multi-Out: stereo in; the mix and four stems out.
pub type UnbraidMultiOut = Instance<MultiOut>;

/// One instance of one of the plugins.
pub struct Instance<V: Variant> {
    params: Arc<UnbraidParams>,
    /// None before the first activation.
    processor: Option<Processor>,
    /// None if the mix passes through.
    engine: Option<EngineWatch>,
    /// What the engine was started with: configuration and model.
    started_with: Option<(EngineConfig, String)>,
    variant: PhantomData<V>,
}

impl<V: Variant> Default for Instance<V> {
    fn default() -> Self {
        Instance { params: Arc::default(), processor: None, engine: None, started_with: None, variant: PhantomData }
    }
}

impl<V: Variant> Instance<V> {
    /// An audio side for this configuration; the one there is, if it still fits. Hosts deactivate and activate for many
    /// reasons, and a running engine need not load its model again for them.
    fn audio_side(&mut self, config: EngineConfig) -> AudioSide {
        let model = self.params.model.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_alive = self.engine.as_ref().is_some_and(|engine| !engine.has_failed());
        let wanted = (config, model);
        if let Some(processor) = self.processor.take()
            && is_alive
            && self.started_with.as_ref() == Some(&wanted)
        {
            return processor.into_audio_side();
        }
        // The old engine goes first, so that there are never two at work.
        self.engine = None;
        let (config, model) = self.started_with.insert(wanted);
        let (engine, audio_side) = separation::start(model, config);
        self.engine = engine;
        audio_side
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

    type Editor = ();
    type SysExMessage = ();
    type BackgroundTask = ();

    fn params(&self) -> Arc<dyn Params> {
        self.params.clone()
    }

    fn activate(
        &mut self,
        _audio_io_layout: &AudioIOLayout,
        buffer_config: &BufferConfig,
        context: &mut impl ActivateContext<Self>,
    ) -> bool {
        let (sample_rate_hz, max_block_len) =
            (f64::from(buffer_config.sample_rate), buffer_config.max_buffer_size as usize);
        let audio_side = self.audio_side(EngineConfig { sample_rate_hz, max_block_len });
        context.set_latency_samples(audio_side.latency_samples() as u32);
        let wait = buffer_config.process_mode == ProcessMode::Offline;
        self.processor = Some(Processor::new(audio_side, sample_rate_hz, max_block_len, self.params.gains(), wait));
        true
    }

    fn reset(&mut self) {
        if let Some(processor) = &mut self.processor {
            processor.reset(self.params.gains());
        }
    }

    fn process(
        &mut self,
        buffer: &mut Buffer,
        aux: &mut AuxiliaryBuffers,
        _context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        let Some(processor) = &mut self.processor else {
            return ProcessStatus::Error("processing before activation");
        };
        let Some(main) = channels(buffer) else {
            return ProcessStatus::Error("the main bus is not stereo");
        };
        let stem_outputs = match aux.outputs {
            [vocals, drums, bass, other] => {
                match (channels(vocals), channels(drums), channels(bass), channels(other)) {
                    (Some(vocals), Some(drums), Some(bass), Some(other)) => Some([vocals, drums, bass, other]),
                    _ => return ProcessStatus::Error("a stem's bus is not stereo"),
                }
            }
            _ => None,
        };
        if processor.process(main, stem_outputs, self.params.gains()) {
            // As long as sound is on its way through the delay, a host that hears silence must not put us to sleep.
            ProcessStatus::Tail(processor.tail_len() as u32)
        } else {
            ProcessStatus::Normal
        }
    }
}

fn channels<'a>(buffer: &'a mut Buffer<'_>) -> Option<[&'a mut [f32]; 2]> {
    match buffer.as_slice() {
        [left, right] => Some([left, right]),
        _ => None,
    }
}

impl<V: Variant> ClapPlugin for Instance<V> {
    const CLAP_ID: &'static str = V::CLAP_ID;
    const CLAP_DESCRIPTION: Option<&'static str> = Some(V::DESCRIPTION);
    const CLAP_MANUAL_URL: Option<&'static str> = None;
    const CLAP_SUPPORT_URL: Option<&'static str> = None;
    const CLAP_FEATURES: &'static [ClapFeature] =
        &[ClapFeature::AudioEffect, ClapFeature::Stereo, ClapFeature::Mixing, ClapFeature::Restoration];
}

impl<V: Variant> Vst3Plugin for Instance<V> {
    const VST3_CLASS_ID: [u8; 16] = V::VST3_CLASS_ID;
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] =
        &[Vst3SubCategory::Fx, Vst3SubCategory::Tools, Vst3SubCategory::Restoration];
}

nice_export_clap!(Unbraid, UnbraidMultiOut);
nice_export_vst3!(Unbraid, UnbraidMultiOut);

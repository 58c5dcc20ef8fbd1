//! `process()` and `reset()` allocate nothing and free nothing, whatever the block sizes, controls and outputs.

use separator::{
    AudioSide, Engine, EngineConfig, SpectrumFeed,
    testing::{CountingAllocator, TestModel, num_allocator_calls, runtime},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use unbraid_plugin::{
    meters::{MeterWriter, Meters},
    mix_controls::{ControlSet, MixControls, StemControls},
    processor::{Controls, Processor},
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const MAX_BLOCK_LEN: usize = 1024;

/// Random blocks, controls and resets; some blocks are longer than announced.
fn assert_allocates_nothing(processor: &mut Processor) {
    let meters = Arc::new(Meters::default());
    processor.set_meter_writer(MeterWriter::new(meters.clone(), 48e3));
    let mut main = [vec![0.1_f32; 5000], vec![0.2; 5000]];
    let mut stems = [(); 4].map(|()| main.clone());
    let mut state = 1_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for block_idx in 0..3000 {
        let len = if block_idx % 50 == 0 { 5000 } else { random(MAX_BLOCK_LEN as u64 + 1) as usize };
        let stem_controls = [(); 4].map(|()| StemControls {
            gain: [0.0, 0.5, 1.0, 4.0][random(4) as usize],
            pan: [-1.0, 0.0, 0.0, 0.3][random(4) as usize],
            sensitivity: [-1.0, 0.0, 0.0, 0.3][random(4) as usize],
            is_muted: random(4) == 0,
            is_soloed: random(8) == 0,
        });
        let controls = MixControls {
            stems: stem_controls,
            wet: [0.0, 0.5, 1.0][random(3) as usize],
            output_gain: [0.0, 1.0, 2.0][random(3) as usize],
            is_bypassed: random(8) == 0,
        };
        let (num_channels, is_reset) = (random(3) as usize, random(100) == 0);
        let at_once = ControlSet::from_bits(if random(2) == 0 { 0 } else { random(1 << 32) as u32 });
        // The editor is open, mostly: levels are measured.
        if block_idx % 500 > 150 {
            meters.read();
        }
        let before = num_allocator_calls();
        let mut main = main.each_mut().map(|channel| &mut channel[..len]);
        let mut stems = stems.each_mut().map(|stem| stem.each_mut().map(|channel| &mut channel[..len]));
        let stems = stems.each_mut().map(|stem| &mut stem[..num_channels]);
        let block_controls = Controls { mix: controls, at_once, is_offline: false };
        processor.process(&mut main[..num_channels.max(1)], 2, stems, block_controls);
        if is_reset {
            processor.reset(controls);
        }
        assert_eq!(num_allocator_calls(), before, "block {block_idx} of {len} samples");
    }
}

#[test]
fn with_an_engine() {
    let dir = tempfile::tempdir().unwrap();
    let model = TestModel::identity().write(dir.path()).unwrap();
    for sample_rate_hz in [44_100.0, 96e3] {
        let config = EngineConfig { sample_rate_hz, max_block_len: MAX_BLOCK_LEN };
        let (engine, audio_side) = Engine::start(runtime(), &model, &config).unwrap();
        let mut processor = Processor::new(audio_side, sample_rate_hz, MAX_BLOCK_LEN, MixControls::default());
        // With the editor closed and with it open.
        let (meters, spectra) = (Arc::new(Meters::default()), Arc::new(SpectrumFeed::default()));
        engine.publish_spectra(spectra.clone());
        processor.set_meter_writer(MeterWriter::new(meters.clone(), sample_rate_hz));
        assert_allocates_nothing(&mut processor);
        assert_eq!(spectra.num_written(), 0);
        spectra.set_wanted(true);
        let start = Instant::now();
        while spectra.num_written() == 0 && start.elapsed() < Duration::from_secs(60) {
            meters.read();
            assert_allocates_nothing(&mut processor);
        }
        assert!(spectra.num_written() > 0, "{:?}", engine.status());
    }
}

#[test]
fn without_an_engine() {
    let audio_side = AudioSide::passthrough(3000, MAX_BLOCK_LEN);
    assert_allocates_nothing(&mut Processor::new(audio_side, 48e3, MAX_BLOCK_LEN, MixControls::default()));
}

#[test]
fn the_counter_counts() {
    let before = num_allocator_calls();
    drop(std::hint::black_box(vec![1]));
    assert_eq!(num_allocator_calls(), before + 2);
}

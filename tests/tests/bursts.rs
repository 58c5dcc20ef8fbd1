//! Hosts that pull ahead: 200 ms at once after a start or a seek (REAPER's anticipative processing, Cubase's ASIO-Guard),
//! then at the pace of a sound card, always so far ahead.

use separator::testing::TestModel;
use slicqt::Design;
use std::time::Duration;
use tests::isolated::isolated_with_model;
use tests::measure::{delayed, difference_db, excerpt};
use tests::signal::{Stereo, noise};
use tests::{host, places, vst3_host};

const RATE: f64 = 44_100.0;
const BLOCK_LEN: usize = 512;
const AHEAD: Duration = Duration::from_millis(200);
const NUM_PHASES: usize = 10;
/// So often a phase is played before it counts as failed: this machine may be busy with something else.
const NUM_TRIES: usize = 3;

/// The shipped models' transform, with hops of 205 ms.
fn model() -> TestModel {
    TestModel { design: Design::bark_262(), ..TestModel::identity() }
}

/// A hop of the model.
const HOP_LEN: usize = 9_030;

/// Blocks and when they are asked for: at the pace of a sound card, then a burst at this tenth of a hop, then paced again.
fn blocks(phase_idx: usize) -> impl Iterator<Item = (usize, Duration)> {
    let burst_start = HOP_LEN + phase_idx * HOP_LEN / NUM_PHASES;
    (0..).step_by(BLOCK_LEN).map(move |start| {
        let at_pace = Duration::from_secs_f64(start as f64 / RATE);
        let due = if start < burst_start { at_pace } else { at_pace.saturating_sub(AHEAD) };
        (BLOCK_LEN, due)
    })
}

/// Noise for as long as stems of the burst come out.
fn input(latency: usize) -> Stereo {
    noise(latency + 4 * HOP_LEN, 1)
}

/// Whether the vocals, which are the mix, are there from the first sample to the last.
fn is_whole(input: &Stereo, vocals: &Stereo, latency: usize) -> bool {
    let inside = latency..input[0].len();
    difference_db(&excerpt(&delayed(input, latency), inside.clone()), &excerpt(vocals, inside)) < -80.0
}

/// Plays all phases; `play` is given the phase and says whether no stem was missing.
fn assert_all_phases_are_whole(mut play: impl FnMut(usize) -> bool) {
    let failed: Vec<_> = (0..NUM_PHASES).filter(|&phase_idx| !(0..NUM_TRIES).any(|_| play(phase_idx))).collect();
    assert!(failed.is_empty(), "stems are missing in the phases {failed:?} of {NUM_PHASES}");
}

#[test]
fn clap_no_stem_is_missing_after_a_burst() {
    isolated_with_model("clap_no_stem_is_missing_after_a_burst", &model(), || {
        let library = host::Library::load(&places::clap());
        let mut plugin = host::Plugin::new(&library, host::UNBRAID_MULTI_OUT);
        plugin.set_offline(true);
        let mut processor = plugin.activate(RATE, BLOCK_LEN);
        let latency = plugin.latency();
        // Waits until the model is loaded.
        processor.render(&noise(latency, 1), std::iter::repeat(BLOCK_LEN), &[]);
        plugin.set_offline(false);
        assert_all_phases_are_whole(|phase_idx| {
            processor.reset();
            let input = input(latency);
            let outputs = processor.render_paced(&input, blocks(phase_idx), &[]);
            is_whole(&input, &outputs[1], latency)
        });
        plugin.deactivate(processor);
    });
}

#[test]
fn vst3_no_stem_is_missing_after_a_burst() {
    isolated_with_model("vst3_no_stem_is_missing_after_a_burst", &model(), || {
        let library = vst3_host::Library::load(&places::vst3());
        let mut plugin = vst3_host::Plugin::new(&library, "Unbraid Multi-Out");
        plugin.setup(vst3_host::Mode::Offline, RATE, BLOCK_LEN);
        plugin.activate();
        let latency = plugin.latency();
        let connected = vst3_host::Outputs::Connected;
        plugin.render(&noise(latency, 1), std::iter::repeat(BLOCK_LEN), &[], connected);
        plugin.deactivate();
        plugin.setup(vst3_host::Mode::Prefetch, RATE, BLOCK_LEN);
        plugin.activate();
        assert_all_phases_are_whole(|phase_idx| {
            plugin.restart_processing();
            let input = input(latency);
            let outputs = plugin.render_paced(&input, blocks(phase_idx), &[], connected);
            is_whole(&input, &outputs[1], latency)
        });
    });
}

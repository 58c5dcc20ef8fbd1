//! The stems that come out of Unbraid Multi-Out: aligned with the mix, summing to it, and each instance's its own.

use separator::testing::TestModel;
use slicqt::Design;
use std::iter::repeat;
use tests::host::{Library, Plugin, UNBRAID_MULTI_OUT};
use tests::isolated::isolated_with_model;
use tests::measure::{best_delay, delayed, difference_db, excerpt, first_difference, power_db};
use tests::places;
use tests::signal::{Stereo, band_limited, noise};

fn render(library: &Library, rate: f64, input: &Stereo) -> (usize, Vec<Stereo>) {
    let mut plugin = Plugin::new(library, UNBRAID_MULTI_OUT);
    plugin.set_offline(true);
    let mut processor = plugin.activate(rate, 512);
    let latency = plugin.latency();
    let outputs = processor.render(input, repeat(512), &[]);
    plugin.deactivate(processor);
    (latency, outputs)
}

#[test]
fn the_ports_are_the_mix_and_four_stems() {
    isolated_with_model("the_ports_are_the_mix_and_four_stems", &TestModel::identity(), || {
        let library = Library::load(&places::clap());
        assert_eq!(library.plugin_ids(), [tests::host::UNBRAID, UNBRAID_MULTI_OUT]);
        assert_eq!(Plugin::new(&library, tests::host::UNBRAID).ports(), [&[2][..], &[2]]);
        assert_eq!(Plugin::new(&library, UNBRAID_MULTI_OUT).ports(), [&[2][..], &[2, 2, 2, 2, 2]]);
    });
}

#[test]
fn an_identity_network_gives_the_delayed_mix_back() {
    let bark = TestModel { design: Design::bark_262(), ..TestModel::identity() };
    isolated_with_model("an_identity_network_gives_the_delayed_mix_back", &bark, || {
        let library = Library::load(&places::clap());
        for (rate, max_db) in [
            (44_100.0, -100.0),
            (48_000.0, -80.0),
            (88_200.0, -80.0),
            (96_000.0, -80.0),
            (176_400.0, -80.0),
            (192_000.0, -80.0),
        ] {
            let num_samples = (4.0 * rate) as usize;
            let input =
                if rate == 44_100.0 { noise(num_samples, 5) } else { band_limited(num_samples, rate, 18_000.0, 5) };
            let (latency, outputs) = render(&library, rate, &input);
            let expected = delayed(&input, latency);
            // Where the sines begin they are not band-limited: the first second is left out.
            let inside = rate as usize + latency..num_samples;
            let vocals = excerpt(&outputs[1], inside.clone());
            let difference = difference_db(&excerpt(&expected, inside.clone()), &vocals);
            println!("  {rate} Hz: {difference:.1} dB");
            assert!(difference < max_db, "{rate} Hz: {difference:.1} dB");
            assert_eq!(best_delay(&input, &outputs[1], latency, 8), latency, "{rate} Hz");
            for (port_idx, port) in outputs.iter().enumerate().skip(2) {
                let rest = power_db(&excerpt(port, inside.clone()));
                assert!(rest < max_db, "{rate} Hz, output {port_idx}: {rest:.1} dB");
            }
        }
    });
}

#[test]
fn the_stems_sum_to_the_mix() {
    let model = TestModel::with_masks([0.5, 0.2, 0.1, 0.05]);
    isolated_with_model("the_stems_sum_to_the_mix", &model, || {
        let library = Library::load(&places::clap());
        let num_samples = 150_000;
        for (rate, max_db) in [(44_100.0, -100.0), (48_000.0, -80.0)] {
            let input = band_limited(num_samples, rate, 18_000.0, 6);
            let (latency, outputs) = render(&library, rate, &input);
            let sum = [0, 1].map(|c| (0..num_samples).map(|i| (1..5).map(|port| outputs[port][c][i]).sum()).collect());
            let inside = rate as usize + latency..num_samples;
            let difference = difference_db(&excerpt(&outputs[0], inside.clone()), &excerpt(&sum, inside));
            println!("  {rate} Hz: {difference:.1} dB");
            assert!(difference < max_db, "{rate} Hz: {difference:.1} dB");
        }
    });
}

#[test]
fn a_reset_instance_is_a_new_one() {
    let model = TestModel { fade_in_hops: Some(40), ..TestModel::identity() };
    isolated_with_model("a_reset_instance_is_a_new_one", &model, || {
        let library = Library::load(&places::clap());
        let mut plugin = Plugin::new(&library, UNBRAID_MULTI_OUT);
        plugin.set_offline(true);
        let mut processor = plugin.activate(48_000.0, 512);
        let input = noise(60_000, 7);
        let first = processor.render(&input, repeat(512), &[]);
        processor.reset();
        let second = processor.render(&input, repeat(512), &[]);
        for (first, second) in first.iter().zip(&second) {
            assert_eq!(first_difference(first, second), None);
        }
        plugin.deactivate(processor);
        let mut processor = plugin.activate(48_000.0, 512);
        let third = processor.render(&input, repeat(512), &[]);
        for (first, third) in first.iter().zip(&third) {
            assert_eq!(first_difference(first, third), None);
        }
        plugin.deactivate(processor);
    });
}

#[test]
fn two_instances_do_not_hear_each_other() {
    let model = TestModel { fade_in_hops: Some(40), ..TestModel::identity() };
    isolated_with_model("two_instances_do_not_hear_each_other", &model, || {
        let library = Library::load(&places::clap());
        let settings = [(44_100.0, noise(60_000, 8)), (48_000.0, noise(60_000, 9))];
        let alone = settings.each_ref().map(|(rate, input)| render(&library, *rate, input).1);

        let mut plugins = [0, 1].map(|_| Plugin::new(&library, UNBRAID_MULTI_OUT));
        let mut processors: Vec<_> = plugins
            .iter_mut()
            .zip(&settings)
            .map(|(plugin, (rate, _))| {
                plugin.set_offline(true);
                plugin.activate(*rate, 512)
            })
            .collect();
        let mut together = [(); 2].map(|()| Vec::<Vec<Stereo>>::new());
        for start in (0..60_000).step_by(6_000) {
            for (i, processor) in processors.iter_mut().enumerate() {
                let part = excerpt(&settings[i].1, start..start + 6_000);
                together[i].push(processor.render(&part, repeat(512), &[]));
            }
        }
        for (i, parts) in together.iter().enumerate() {
            for port in 0..5 {
                let joined = [0, 1].map(|c| parts.iter().flat_map(|part| part[port][c].clone()).collect());
                assert_eq!(first_difference(&alone[i][port], &joined), None, "instance {i}, output {port}");
            }
        }
        for (plugin, processor) in plugins.iter_mut().zip(processors) {
            plugin.deactivate(processor);
        }
    });
}

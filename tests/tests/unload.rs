//! Hosts remove what they have just inserted, and close the library when nothing is left of it.

use separator::testing::TestModel;
use slicqt::Design;
use tests::isolated::isolated_with_model;
use tests::signal::noise;
use tests::{host, places, vst3_host};

fn model() -> TestModel {
    TestModel { design: Design::bark_262(), ..TestModel::identity() }
}

#[test]
fn clap_goes_while_it_loads_or_plays() {
    isolated_with_model("clap_goes_while_it_loads_or_plays", &model(), || {
        let block = noise(512, 1);
        for round in 0..10 {
            let library = host::Library::load(&places::clap());
            let mut plugins = [host::UNBRAID, host::UNBRAID_MULTI_OUT].map(|id| host::Plugin::new(&library, id));
            for plugin in &mut plugins {
                let mut processor = plugin.activate(44_100.0, 512);
                processor.render(&block, [512], &[]);
                // Every other time it goes with the library still loading, the others after some playing.
                if round % 2 == 1 {
                    (0..50).for_each(|_| drop(processor.render(&block, [512], &[])));
                }
                plugin.deactivate(processor);
            }
        }
        // Whatever still ran would crash by now.
        std::thread::sleep(std::time::Duration::from_millis(200));
    });
}

#[test]
fn vst3_goes_while_it_loads_or_plays() {
    isolated_with_model("vst3_goes_while_it_loads_or_plays", &model(), || {
        let block = noise(512, 1);
        for round in 0..10 {
            let library = vst3_host::Library::load(&places::vst3());
            for name in ["Unbraid", "Unbraid Multi-Out"] {
                let mut plugin = vst3_host::Plugin::new(&library, name);
                plugin.setup(vst3_host::Mode::Realtime, 44_100.0, 512);
                plugin.activate();
                let num_blocks = if round % 2 == 1 { 50 } else { 1 };
                for _ in 0..num_blocks {
                    plugin.render(&block, [512], &[], vst3_host::Outputs::Connected);
                }
            }
            library.unload();
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    });
}

//! Hosts remove what they have just inserted, and close the library when nothing is left of it.

use separator::testing::TestModel;
use slicqt::Design;
use tests::isolated::{MODEL_VARIABLE, isolated, isolated_with_model, scratch_dir};
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

/// The user quits the host right after inserting the plugin: ONNX Runtime is torn down, and nobody may be in it then.
#[test]
fn the_process_may_exit_while_the_plugin_loads() {
    const DELAY_VARIABLE: &str = "UNBRAID_TEST_DELAY_MS";
    let test = "the_process_may_exit_while_the_plugin_loads";
    let dir = scratch_dir(test).join("model");
    model().write(&dir).expect("the test model can be written");
    // Opening ONNX Runtime and a model takes some tens of milliseconds.
    for delay_ms in (0..200).step_by(10) {
        let delay = delay_ms.to_string();
        let envs = [(MODEL_VARIABLE, dir.as_os_str()), (DELAY_VARIABLE, delay.as_ref())];
        let body = || {
            // Never unloaded: the process just ends.
            let library = std::mem::ManuallyDrop::new(host::Library::load(&places::clap()));
            let mut plugins: Vec<_> = (0..4).map(|_| host::Plugin::new(&library, host::UNBRAID)).collect();
            for plugin in &mut plugins {
                let processor = plugin.activate(44_100.0, 512);
                plugin.deactivate(processor);
            }
            drop(plugins);
            let delay_ms = std::env::var(DELAY_VARIABLE).ok().and_then(|delay| delay.parse().ok()).unwrap_or(0);
            std::thread::sleep(std::time::Duration::from_millis(delay_ms));
        };
        isolated(test, &envs, body);
        if std::env::var_os(DELAY_VARIABLE).is_some() {
            return;
        }
    }
}

//! What the user must know is in the editor's line, from whichever part of the plugin it comes.

use super::bench::Bench;
use separator::EngineConfig;
use unbraid_plugin::{
    model_choice::ModelChoice,
    reporter::Reporter,
    separation::{self, Lineup},
};

#[test]
fn what_goes_wrong_is_in_the_editor() {
    let reporter = Reporter::default();
    let mut bench = Bench::with_board(1.0, reporter.board().clone());
    assert!(bench.texts().contains("Not playing yet"), "{}", bench.texts());
    let config = EngineConfig { sample_rate_hz: 48_000.0, max_block_len: 512 };
    let lineup = Lineup::new(&ModelChoice::playing("no such model"), &config);
    let (watch, _audio_side) = separation::start(&lineup, &config, &reporter);
    assert!(watch.is_none());
    bench.frames(1);
    let texts = bench.texts();
    assert!(texts.contains("The mix passes through") && texts.contains("no such model"), "{texts}");
}

#[test]
fn warnings_and_good_news_are_in_the_editor() {
    let reporter = Reporter::default();
    let mut bench = Bench::with_board(1.0, reporter.board().clone());
    for say in [Reporter::info, Reporter::warn, Reporter::error] {
        let text = format!("said at {}", bench.texts().len());
        say(&reporter, &text);
        bench.frames(1);
        assert!(bench.texts().contains(&text), "{}", bench.texts());
    }
}

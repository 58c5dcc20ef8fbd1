//! What the host hears of mouse and keyboard.

use crate::bench::{Bench, Heard, comparison, fader_of, mute_of, sensitivity_of, solo_of, value_of};
use egui::{Key, PointerButton, vec2};
use nice_plug::params::Param;
use separator::testing::TestModel;
use unbraid_plugin::{
    editor::presets::PRESETS,
    gestures::GestureWatch,
    mix_controls::{Control, ControlSet},
    model_shelf::Shelf,
    params::MIN_GAIN_DB,
};

const VOCALS: &str = "vocals";

fn gain_db(bench: &Bench, stem_idx: usize) -> f32 {
    bench.params.stems()[stem_idx].gain.unmodulated_plain_value()
}

/// Checks that there is one gesture, and gives the values within.
fn one_gesture(heard: &[Heard], id: &str) -> Vec<f32> {
    let [Heard::Begin(begun), sets @ .., Heard::End(ended)] = heard else { panic!("{heard:?}") };
    assert_eq!((begun.as_str(), ended.as_str()), (id, id));
    let values = sets.iter().map(|heard| match heard {
        Heard::Set(set, value) if set == id => *value,
        other => panic!("{other:?} within the gesture of {id}"),
    });
    values.collect()
}

#[test]
fn a_drag_is_one_gesture_without_a_jump() {
    let mut bench = Bench::new(1.0);
    bench.drag_up(fader_of(0), 30);
    let values = one_gesture(&bench.heard(), VOCALS);
    assert!(values.len() > 10 && values.is_sorted(), "{values:?}");
    let first_db = bench.params.vocals.gain.preview_plain(values[0]);
    assert!(first_db < 1.5, "{first_db} dB");
    assert!(gain_db(&bench, 0) > 2.0);
    assert_eq!(gain_db(&bench, 1), 0.0);
}

#[test]
fn shift_makes_a_drag_fine() {
    let [coarse, fine] = [false, true].map(|is_fine| {
        let mut bench = Bench::new(1.0);
        bench.shift(is_fine);
        bench.drag_up(fader_of(0), 30);
        one_gesture(&bench.heard(), VOCALS);
        bench.params.vocals.gain.unmodulated_normalized_value() - bench.params.vocals.gain.default_normalized_value()
    });
    assert!((coarse / fine - 10.0).abs() < 0.5, "{coarse} {fine}");
}

#[test]
fn the_audio_thread_knows_what_is_held() {
    let mut bench = Bench::new(1.0);
    let mut watch = GestureWatch::new(48_000.0);
    bench.press(fader_of(2), true);
    bench.move_to(fader_of(2) - vec2(0.0, 20.0));
    for _ in 0..100 {
        assert_eq!(watch.controls_at_once(&bench.params.gestures, 480), ControlSet::NONE.with(Control::Gain(2)));
    }
    bench.press(fader_of(2), false);
    for _ in 0..100 {
        watch.controls_at_once(&bench.params.gestures, 480);
    }
    assert_eq!(watch.controls_at_once(&bench.params.gestures, 480), ControlSet::NONE);
}

#[test]
fn a_window_that_closes_in_a_drag_ends_it() {
    let mut bench = Bench::new(1.0);
    bench.press(fader_of(0), true);
    bench.move_to(fader_of(0) - vec2(0.0, 20.0));
    bench.view.touch().disconnect();
    one_gesture(&bench.heard(), VOCALS);
    bench.move_to(fader_of(0));
    assert_eq!(bench.heard(), []);
}

#[test]
fn the_wheel_makes_one_gesture_of_many_turns() {
    let mut bench = Bench::new(1.0);
    for _ in 0..4 {
        bench.wheel(fader_of(0), 1.0);
    }
    bench.shift(true);
    bench.wheel(fader_of(0), -1.0);
    bench.shift(false);
    bench.frames(30);
    assert_eq!(one_gesture(&bench.heard(), VOCALS).len(), 5);
    let gain_db = gain_db(&bench, 0);
    assert!((1.9..4.0).contains(&gain_db), "{gain_db}");
}

#[test]
fn a_double_click_resets() {
    let mut bench = Bench::new(1.0);
    bench.drag_up(fader_of(3), 30);
    bench.heard();
    bench.frames(30);
    for _ in 0..2 {
        bench.press(fader_of(3), true);
        bench.press(fader_of(3), false);
    }
    bench.frames(2);
    assert_eq!(one_gesture(&bench.heard(), "other").len(), 1);
    assert_eq!(gain_db(&bench, 3), 0.0);
}

#[test]
fn a_value_is_typed_where_it_is_shown() {
    for (typed, gain) in [("-6", -6.0), ("3.5 dB", 3.5), ("mute", MIN_GAIN_DB), ("50%", -6.02)] {
        let mut bench = Bench::new(1.0);
        bench.click(value_of(1));
        bench.frames(2);
        bench.type_text(typed);
        bench.key(Key::Enter);
        bench.frames(2);
        assert_eq!(one_gesture(&bench.heard(), "drums").len(), 1, "{typed}");
        assert!((gain_db(&bench, 1) - gain).abs() < 0.006, "{typed}: {}", gain_db(&bench, 1));
    }
}

#[test]
fn a_value_that_is_none_or_not_edited_or_given_up_changes_nothing() {
    for (typed, key) in [("loud", Key::Enter), ("", Key::Enter), ("-6", Key::Escape)] {
        let mut bench = Bench::new(1.0);
        bench.click(value_of(1));
        bench.frames(2);
        bench.type_text(typed);
        bench.key(key);
        bench.frames(2);
        assert_eq!(bench.heard(), [], "{typed}");
    }
}

#[test]
fn everything_is_reached_by_keyboard() {
    let mut bench = Bench::new(1.0);
    let mut moved = Vec::new();
    // The menus of the header come first; their entries are not of interest here.
    for _ in 0..3 {
        bench.key(Key::Tab);
    }
    // Five strips of six: fader, value, mute, solo, pan and sensitivity, or their like.
    for _ in 0..31 {
        bench.key(Key::Tab);
        bench.key(Key::PageDown);
        bench.frames(20);
        let mut heard = bench.heard();
        if heard.is_empty() {
            // What is not moved is switched.
            bench.key(Key::Space);
            heard = bench.heard();
        }
        if let Some(Heard::Begin(id)) = heard.first() {
            assert_eq!(one_gesture(&heard, id).len(), 1);
            if !moved.contains(id) {
                moved.push(id.clone());
            }
        }
    }
    let stem = |id: &str| ["", "_mute", "_solo", "_pan", "_sensitivity"].map(|end| format!("{id}{end}"));
    let expected: Vec<_> = ["vocals", "drums", "bass", "other"].iter().flat_map(|id| stem(id)).collect();
    let expected: Vec<_> = expected.into_iter().chain(["output", "bypass", "dry_wet"].map(str::to_owned)).collect();
    assert_eq!(moved, expected);
}

#[test]
fn keys_move_and_type() {
    let mut bench = Bench::new(1.0);
    while bench.heard().is_empty() {
        bench.key(Key::Tab);
        bench.key(Key::PageDown);
        bench.frames(20);
    }
    assert!((gain_db(&bench, 0) + 5.0).abs() < 0.01, "{}", gain_db(&bench, 0));
    bench.key(Key::ArrowDown);
    assert!((gain_db(&bench, 0) + 5.5).abs() < 0.01, "{}", gain_db(&bench, 0));
    bench.shift(true);
    bench.key(Key::ArrowRight);
    bench.shift(false);
    assert!((gain_db(&bench, 0) + 5.45).abs() < 0.01, "{}", gain_db(&bench, 0));
    bench.key(Key::Home);
    assert_eq!(gain_db(&bench, 0), MIN_GAIN_DB);
    bench.key(Key::Delete);
    assert_eq!(gain_db(&bench, 0), 0.0);
    bench.heard();
    bench.type_text("-4.5");
    bench.key(Key::Enter);
    bench.frames(2);
    assert_eq!(one_gesture(&bench.heard(), VOCALS).len(), 1);
    assert_eq!(gain_db(&bench, 0), -4.5);
}

#[test]
fn the_menu_of_a_fader_has_values() {
    let mut bench = Bench::new(1.0);
    bench.move_to(fader_of(0));
    bench.button(fader_of(0), PointerButton::Secondary, true);
    bench.button(fader_of(0), PointerButton::Secondary, false);
    bench.frames(3);
    // The first entry asks for a value, the second is +6 dB.
    bench.click(fader_of(0) + vec2(20.0, 40.0));
    bench.frames(2);
    let values = one_gesture(&bench.heard(), VOCALS);
    assert_eq!(values.len(), 1);
    assert!(gain_db(&bench, 0) != 0.0);
}

#[test]
fn presets_set_what_they_say_and_touch_nothing_else() {
    let bench = Bench::new(1.0);
    for preset in &PRESETS {
        preset.apply(&bench.params, bench.view.touch());
        assert!(preset.is_set(&bench.params), "{}", preset.name);
        let others = PRESETS.iter().filter(|other| other.is_set(&bench.params)).count();
        assert_eq!(others, 1, "{}", preset.name);
    }
    bench.heard();
    PRESETS.last().unwrap().apply(&bench.params, bench.view.touch());
    assert_eq!(bench.heard(), [], "it was set already");
}

#[test]
fn solo_with_shift_is_alone_and_without_adds() {
    let mut bench = Bench::new(1.0);
    let solos = |bench: &Bench| bench.params.stems().map(|stem| stem.solo.unmodulated_plain_value());
    bench.click(solo_of(0));
    bench.click(solo_of(2));
    assert_eq!(solos(&bench), [true, false, true, false]);
    bench.shift(true);
    bench.click(solo_of(2));
    assert_eq!(solos(&bench), [false, false, true, false]);
    bench.click(solo_of(3));
    assert_eq!(solos(&bench), [false, false, false, true]);
    bench.shift(false);
    bench.click(solo_of(3));
    assert_eq!(solos(&bench), [false; 4]);
}

#[test]
fn mute_leaves_the_fader_alone() {
    let mut bench = Bench::new(1.0);
    bench.drag_up(fader_of(0), 20);
    let gain = gain_db(&bench, 0);
    bench.click(mute_of(0));
    assert!(bench.params.vocals.mute.unmodulated_plain_value());
    assert_eq!(gain_db(&bench, 0), gain);
}

#[test]
fn a_sensitivity_moves_by_mouse_and_comes_back() {
    let mut bench = Bench::new(1.0);
    let percent = |bench: &Bench| bench.params.drums.sensitivity.unmodulated_plain_value();
    bench.wheel(sensitivity_of(1), 2.0);
    bench.frames(30);
    assert_eq!(one_gesture(&bench.heard(), "drums_sensitivity").len(), 1);
    assert_eq!(percent(&bench), 10.0);
    bench.move_to(sensitivity_of(1));
    bench.press(sensitivity_of(1), true);
    for step in 1..=30 {
        bench.move_to(sensitivity_of(1) - vec2(step as f32, 0.0));
    }
    bench.press(sensitivity_of(1) - vec2(30.0, 0.0), false);
    assert!(percent(&bench) < -10.0, "{}", percent(&bench));
    bench.frames(30);
    bench.heard();
    for _ in 0..2 {
        bench.press(sensitivity_of(1), true);
        bench.press(sensitivity_of(1), false);
    }
    bench.frames(2);
    assert_eq!(one_gesture(&bench.heard(), "drums_sensitivity").len(), 1);
    assert_eq!(percent(&bench), 0.0);
}

/// Typing begins somewhere, and afterwards the keyboard is there again.
#[test]
fn after_typing_the_keyboard_is_where_it_was() {
    for (num_tabs, id) in [(1, VOCALS), (2, VOCALS), (5, "vocals_pan"), (6, "vocals_sensitivity")] {
        for key in [Key::Enter, Key::Escape] {
            let mut bench = Bench::new(1.0);
            for _ in 0..3 + num_tabs {
                bench.key(Key::Tab);
            }
            bench.frames(2);
            // The field of the value is a button: Enter opens it too.
            bench.key(Key::Enter);
            bench.frames(2);
            bench.type_text("-3");
            bench.key(key);
            bench.frames(2);
            bench.heard();
            if num_tabs == 2 {
                bench.key(Key::Enter);
                bench.frames(2);
                bench.type_text("-5");
                bench.key(Key::Enter);
            } else {
                bench.key(Key::PageDown);
            }
            bench.frames(30);
            assert_eq!(one_gesture(&bench.heard(), id).len(), 1, "{id} after {key:?}");
        }
    }
}

#[test]
fn a_and_b_are_compared_through_the_host() {
    let mut bench = Bench::new(1.0);
    let [a, b, copy] = comparison();
    let state = |bench: &Bench| (gain_db(bench, 0) > 1.0, bench.params.drums.mute.unmodulated_plain_value());
    bench.drag_up(fader_of(0), 30);
    bench.click(a);
    assert_eq!(state(&bench), (true, false), "A is heard already");
    bench.click(b);
    assert_eq!(state(&bench), (true, false), "at first both are the same");
    bench.click(mute_of(1));
    bench.heard();
    bench.click(a);
    assert_eq!(state(&bench), (true, false));
    assert_eq!(one_gesture(&bench.heard(), "drums_mute"), [0.0], "only what differs");
    bench.click(b);
    assert_eq!(state(&bench), (true, true));
    bench.click(copy);
    bench.heard();
    bench.click(a);
    assert_eq!(state(&bench), (true, true));
    assert_eq!(bench.heard(), [], "they are the same now");
}

/// Writes two models, opens the menu, and looks what a click on an entry does.
#[test]
fn a_model_is_chosen_in_the_menu_that_finds_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let model = TestModel::identity().write(&dir.path().join("aaa")).unwrap();
    let mut bench = Bench::new(1.0);
    bench.view.shelf = Shelf::of(vec![dir.path().to_owned()]);
    bench.open_model_menu();
    let entry = bench.text_with("aaa").expect("the entry of the model");
    bench.click(entry);
    bench.frames(2);
    let choice = bench.params.models.get();
    assert_eq!(choice.playing.name, "aaa");
    assert_eq!(choice.playing.sha256.as_ref(), Some(&model.manifest.graph.sha256));
    assert_eq!(bench.params.models.generation(), 0, "no state was loaded");
}

"""The bundled VST3 in pedalboard, a host with a VST3 wrapper of its own (JUCE). Run by `cargo xtask test`, which installs
pedalboard and sets UNBRAID_VST3 and PYTHONPATH.

pedalboard always tells the plugin that it renders offline, compensates the latency that the plugin reports, and shows
the main bus only. So an output that is the input, sample by sample, says that the reported latency is the true one; an
output that were late or early by one sample would differ from white noise everywhere.
"""

import itertools
import os
import subprocess
import sys
import tempfile
import time

import numpy
import pedalboard

PATH = os.environ["UNBRAID_VST3"]
NAMES = ["Unbraid", "Unbraid Multi-Out"]
RATES = [44_100, 48_000, 96_000]
BLOCKS = [32, 441, 512, 4096]
# Against the command line. UNBRAID_MATRIX=1 runs all pairs, otherwise one in six.
CLI = os.path.join(os.path.dirname(PATH), os.pardir, "cli", "unbraid")
MATRIX_RATES = [22_050, 44_100, 48_000, 88_200, 96_000, 192_000]
MATRIX_BLOCKS = [1, 32, 64, 441, 512, 1024, 4096, 8192]
IS_WHOLE_MATRIX = "UNBRAID_MATRIX" in os.environ
# As pedalboard spells the parameters: name and unit.
STEMS = ["vocals", "drums", "bass", "other"]
GAINS = [f"{stem}_db" for stem in STEMS]


def load(name):
    return pedalboard.load_plugin(PATH, plugin_name=name)


def noise(num_samples, seed=1):
    random = numpy.random.default_rng(seed)
    return random.uniform(-0.5, 0.5, (2, num_samples)).astype(numpy.float32)


def level_db(sound):
    return 10.0 * numpy.log10(numpy.mean(numpy.square(sound, dtype=numpy.float64)) + 1e-30)


def check(is_true, text):
    if not is_true:
        raise AssertionError(text)


def test_both_plugins_are_there():
    names = pedalboard.VST3Plugin.get_plugin_names_for_file(PATH)
    check(sorted(names) == sorted(NAMES), f"the bundle holds {names}")


def test_parameters_are_four_for_each_stem_and_those_of_the_whole():
    for name in NAMES:
        plugin = load(name)
        names = list(plugin.parameters)
        stems = [f"{stem}_{control}" for stem in STEMS for control in ("db", "mute", "solo", "pan", "sensitivity")]
        check(names == [*stems, "dry_wet", "output_db", "bypass", "automation"], f"{name} has the parameters {names}")


def test_reported_latency_is_the_true_one_and_0_db_is_bit_for_bit():
    """Multi-Out too, although pedalboard leaves the stems' outputs unconnected."""
    for name, rate, block in itertools.product(NAMES, RATES, BLOCKS):
        if name == "Unbraid" or block == 512:
            plugin = load(name)
            sound = noise(3 * rate)
            output = plugin.process(sound, rate, buffer_size=block, reset=True)
            check(output.shape == sound.shape, f"{output.shape} samples come out for {sound.shape}")
            differing = numpy.flatnonzero((output.view(numpy.uint32) != sound.view(numpy.uint32)).any(axis=0))
            where = f"{name}, {rate} Hz, blocks of {block}"
            check(differing.size == 0, f"{where}: {differing.size} samples differ, from {differing[:1]} on")
            print(f"    {where}: null")


def test_gains_act():
    """Whatever the model takes for which stem: with all four pulled down nothing is left, and each alone takes away
    what the model gives it. At the first call too, as in a bounce."""
    rate = 44_100
    sound = noise(4 * rate)
    inside = slice(rate, 3 * rate)
    for name in NAMES:
        plugin = load(name)
        for gain in GAINS:
            setattr(plugin, gain, plugin.parameters[gain].range[0])
        silence = plugin.process(sound, rate)[:, inside]
        check(level_db(silence) < -100.0, f"{name}: all stems pulled down leave {level_db(silence):.1} dB")

    stems = []
    for gain in GAINS:
        plugin = load("Unbraid")
        setattr(plugin, gain, plugin.parameters[gain].range[0])
        stems.append((sound - plugin.process(sound, rate))[:, inside])
    rest = sound[:, inside] - sum(stems)
    difference = level_db(rest) - level_db(sound[:, inside])
    check(difference < -80.0, f"the four stems do not sum to the mix: {difference:.1f} dB")


def test_parameters_come_back_with_the_state():
    """Saved right after it was set, before a block could bring it, and after one."""
    plugin = load("Unbraid")
    plugin.process(noise(512), 44_100)
    plugin.vocals_db = plugin.parameters["vocals_db"].range[0]
    for _ in range(2):
        other = load("Unbraid")
        other.raw_state = plugin.raw_state
        value = other.parameters["vocals_db"].raw_value
        saved = plugin.parameters["vocals_db"].raw_value
        check(value == saved, f"{value} after {saved} was saved")
        plugin.process(noise(512), 44_100)


def test_input_that_is_no_number_passes_and_is_forgotten():
    rate = 44_100
    sound = noise(3 * rate)
    sound[0, 5_000] = numpy.nan
    sound[1, 6_000] = numpy.inf
    plugin = load("Unbraid")
    output = plugin.process(sound, rate)
    check(numpy.array_equal(output, sound, equal_nan=True), "the mix does not pass as it came")


def of_the_command_line(sound, rate, folder):
    """What `unbraid separate` makes of it: stem by stem."""
    song = os.path.join(folder, f"song-{rate}.wav")
    with pedalboard.io.AudioFile(song, "w", rate, 2, bit_depth=32) as file:
        file.write(sound)
    out = os.path.join(folder, str(rate))
    program = [CLI, "separate", song, "--out", out, "--name", "{stem}", "--bits", "float"]
    subprocess.run(program, check=True, capture_output=True)

    def stem(name):
        with pedalboard.io.AudioFile(os.path.join(out, f"{name}.wav")) as file:
            check(file.samplerate == rate and file.frames == sound.shape[1], f"{name}: {file}")
            return file.read(file.frames)

    return {name: stem(name) for name in STEMS}


def test_bounces_are_what_the_command_line_makes():
    """Each stem taken out by its mute, at every rate and in blocks of every size."""
    seconds = 4
    with tempfile.TemporaryDirectory() as folder:
        for rate_idx, rate in enumerate(MATRIX_RATES):
            sound = 0.5 * noise(seconds * rate)
            expected = of_the_command_line(sound, rate, folder)
            worst = -300.0
            for block_idx, block in enumerate(MATRIX_BLOCKS):
                # One of six pairs in the usual run, so that every rate and every block size has its turn.
                if not IS_WHOLE_MATRIX and (block_idx - rate_idx) % 6 != 0:
                    continue
                stem = STEMS[(rate_idx + block_idx) % len(STEMS)]
                plugin = load("Unbraid")
                setattr(plugin, f"{stem}_mute", True)
                output = plugin.process(sound, rate, buffer_size=block, reset=True)
                # The mute is set before the first sample, and fades in as any other.
                inside = slice(rate // 10, None)
                rest = (sound - output - expected[stem])[:, inside]
                difference = level_db(rest) - level_db(sound[:, inside])
                worst = max(worst, difference)
                check(difference < -100.0, f"{rate} Hz, blocks of {block}, {stem} muted: {difference:.1f} dB are left")
            print(f"    {rate} Hz: null against the command line within {worst:.1f} dB of the song")


def main():
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    num_failed = 0
    for name, test in tests:
        start = time.monotonic()
        try:
            test()
            print(f"  ok      {name} ({time.monotonic() - start:.1f} s)")
        except Exception as error:  # noqa: BLE001: each test is reported, whatever goes wrong in it
            num_failed += 1
            print(f"  FAILED  {name}: {type(error).__name__}: {error}")
    print(f"{len(tests) - num_failed} passed, {num_failed} failed")
    sys.exit(1 if num_failed else 0)


main()

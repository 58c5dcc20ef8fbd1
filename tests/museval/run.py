"""`unbraid eval` against museval 0.4.1: the same songs, the same stems, every ratio of every window.

`unbraid separate` writes the stems that `unbraid eval` judges: both use one streaming separation. Run by
`cargo xtask test`, which gives UNBRAID, the program, and puts museval, scipy, fastjsonschema and pedalboard on
PYTHONPATH. Songs: 15 s of `rubidium` from ../shared/data, as 16 bit (skipped, and said so, where that is missing), and
seeded synthetic ones with a silent window, a stem in mono, and a stem that is silent all through.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fastjsonschema
import numpy as np
from scipy.io import wavfile
from scipy.signal import lfilter

from reference import load_metrics

RATE = 44100
STEMS = ["vocals", "drums", "bass", "other"]
MAX_ERROR_DB = 0.01


def synthetic(seed, seconds):
    """Noise of different colour and rhythm per stem, [stem][sample][channel]."""
    rng = np.random.default_rng(seed)
    stems = []
    for j in range(4):
        noise = rng.standard_normal((int(RATE * seconds), 2)) @ rng.uniform(0, 1, (2, 2))
        noise = lfilter([1], [1, -0.9 * np.cos(0.7 * j), 0.5], noise, axis=0)
        beat = 0.3 + 0.7 * (np.arange(len(noise)) * (j + 1) % RATE < RATE // 2)
        stems.append(0.02 * noise * beat[:, None])
    return np.array(stems)


def excerpt():
    """Real music, [stem][sample][channel]; None if it is not here."""
    folder = Path(__file__).parents[3] / "shared/data/stems/valid/rubidium"
    if not folder.is_dir():
        print(f"SKIPPED: {folder} is not here, so no real music is compared")
        return None
    from pedalboard.io import AudioFile

    stems = []
    for stem in STEMS:
        with AudioFile(str(folder / f"{stem}.ogg")) as file:
            file.seek(178 * RATE)
            stems.append(file.read(15 * RATE).T.astype(np.float64))
    return np.array(stems)


def songs():
    plain = synthetic(1, 5.5)
    plain[2, 2 * RATE : 3 * RATE] = 0  # a silent window
    plain[3, :, 1] = plain[3, :, 0]  # mono
    yield "synthetic", plain
    silent = synthetic(2, 4)
    silent[1] = 0
    yield "silent drums", silent
    real = excerpt()
    if real is not None:
        yield "rubidium", real


def main():
    metrics = load_metrics()
    schema = json.loads((Path(metrics.__file__).parent / "musdb.schema.json").read_text())
    validate = fastjsonschema.compile(schema)
    unbraid = os.environ["UNBRAID"]
    with tempfile.TemporaryDirectory() as workplace:
        workplace = Path(workplace)
        truths = {}
        for name, stems in songs():
            # 16 bit, as MUSDB18-HQ has them. Without their noise, museval's equations are so nearly singular in music
            # that lost its highs to a codec that museval disagrees with itself at another volume.
            samples = np.round(np.clip(stems, -1, 1) * 32767).astype(np.int16)
            folder = workplace / "data" / name
            folder.mkdir(parents=True)
            for stem, wav in zip(STEMS, samples):
                wavfile.write(folder / f"{stem}.wav", RATE, wav)
            truth = samples.astype(np.float32) / np.float32(32768)
            truths[name] = truth
            mix = ((truth[0] + truth[1]) + truth[2]) + truth[3]
            wavfile.write(workplace / f"{name}.wav", RATE, mix)
        mixes = [str(workplace / f"{name}.wav") for name in truths]
        run = lambda *args: subprocess.run([unbraid, *args], check=True, cwd=workplace, stdout=subprocess.PIPE)
        run("separate", *mixes, "--out", "stems")
        start = time.time()
        run("eval", "--data", "data", "--out", "scores", "--json", "total.json")
        print(f"unbraid eval: {time.time() - start:.1f} s")

        for name, truth in truths.items():
            estimates = np.array([wavfile.read(workplace / "stems" / name / f"{stem}.wav")[1] for stem in STEMS])
            heard = [j for j in range(4) if np.any(truth[j])]
            start = time.time()
            want = metrics.bss_eval(
                truth[heard].astype(np.float64), estimates[heard].astype(np.float64), window=RATE, hop=RATE
            )
            print(f"{name}: museval {time.time() - start:.1f} s", end="")
            scores = json.loads((workplace / "scores" / f"{name}.json").read_text())
            validate(scores)
            assert [t["name"] for t in scores["targets"]] == [STEMS[j] for j in heard], f"{name}: stems"
            worst, num_compared, num_silent = 0.0, 0, 0
            for target, *ratios in zip(scores["targets"], *want[:4]):
                assert len(target["frames"]) == len(ratios[0]), f"{name}: windows of {target['name']}"
                for metric, values in zip(["SDR", "ISR", "SIR", "SAR"], ratios):
                    for frame, value in zip(target["frames"], values):
                        got = frame["metrics"][metric]
                        if np.isfinite(value):
                            error = abs(got - value)
                            where = f"{name}, {target['name']}, {metric} at {frame['time']} s: {got} instead of {value}"
                            assert error <= MAX_ERROR_DB, where
                            worst, num_compared = max(worst, error), num_compared + 1
                        else:
                            assert np.isnan(got), f"{name}: {target['name']} {metric}: {got} instead of {value}"
                            num_silent += 1
            print(f"; {num_compared} ratios, at most {worst:.6f} dB off, {num_silent} NaN as there")
            assert num_compared > 0, f"{name}: nothing was compared"
            if name == "synthetic":
                assert num_silent == 16, f"{num_silent} ratios of the silent window instead of 16"


if __name__ == "__main__":
    main()

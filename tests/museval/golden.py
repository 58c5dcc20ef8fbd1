"""Writes metrics/tests/golden.json: what museval 0.4.1 says about small signals that metrics/tests/golden.rs makes too.

    PYTHONPATH=target/museval-python3.11 python3 tests/museval/golden.py
"""

import json
from pathlib import Path

import numpy as np

from reference import load_metrics

CASES = [
    # name, sources, samples, window, taps; windows whose source 1 is silent; mono sources
    ("plain", 3, 4300, 1000, 16, [], []),
    ("one window is silent", 3, 4300, 1000, 16, [2], []),
    ("a mono stem", 2, 3000, 1000, 16, [], [1]),
    ("shorter than a window", 2, 900, 1000, 16, [], []),
    ("one tap", 4, 2500, 500, 1, [], []),
]


def noise(seed, length):
    """Integers of 16 bits over 32768, by a linear congruential generator."""
    state, out = seed, np.empty(length)
    for i in range(length):
        state = (1664525 * state + 1013904223) % 2**32
        out[i] = (state >> 16) / 32768 - 1
    return out


def signals(num_sources, length, window, silent, mono):
    """Arrays [source][sample][channel]; every operation is exact in float32."""
    references = np.empty((num_sources, length, 2))
    for j in range(num_sources):
        for c in range(2):
            references[j, :, c] = noise(100 * j + (0 if j in mono else c) + 1, length) / (j + 1 if j < 2 else 4)
    for w in silent:
        references[1, w * window : (w + 1) * window] = 0
    estimates = np.empty_like(references)
    for j in range(num_sources):
        own, other = references[j], references[(j + 1) % num_sources]
        delayed = np.vstack([np.zeros((3, 2)), own[:-3]])
        artifact = np.stack([noise(5000 + 10 * j + c, length) for c in range(2)], axis=1)
        estimates[j] = 0.75 * own + 0.125 * delayed[:, ::-1] + 0.125 * other + artifact / 64
    return references, estimates


def main():
    metrics = load_metrics()
    cases = []
    for name, num_sources, length, window, taps, silent, mono in CASES:
        references, estimates = signals(num_sources, length, window, silent, mono)
        mix = np.repeat(references.sum(axis=0)[None], num_sources, axis=0)
        options = dict(window=window, hop=window, filters_len=taps)
        scores = metrics.bss_eval(references, estimates, **options)[:4]
        of_mix = metrics.bss_eval(references, mix, **options)[:3]
        # [ratio][source][window]: SDR, ISR, SIR, SAR; NaN as null. The mix has no artifacts but rounding.
        rounded = lambda scores: [[[None if np.isnan(x) else round(x, 9) for x in s] for s in m] for m in scores]
        cases.append(dict(name=name, num_sources=num_sources, len=length, window_len=window, filter_len=taps,
                          silent=silent, mono=mono, estimates=rounded(scores), mix=rounded(of_mix)))
    path = Path(__file__).parents[2] / "metrics/tests/golden.json"
    path.write_text(json.dumps(cases, indent=1) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()

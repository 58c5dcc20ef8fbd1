#!/usr/bin/env python3
"""Kills a training run at random moments, resumes it, and compares what is left with a run that was never killed.

Usage: kill_test.py TRAINER DATA [KILLS] [SEED]
TRAINER is the built program, DATA a folder of songs. Every tensor of the last checkpoint has to be the same to the bit
(weights, moments, average), and so have the scores of every epoch. Needs nothing but Python.
"""
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

trainer, data = sys.argv[1], sys.argv[2]
kills = int(sys.argv[3]) if len(sys.argv) > 3 else 20
random.seed(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
dir = tempfile.mkdtemp()
os.environ["OMP_NUM_THREADS"] = "1"


def command(out):
    small = "--transform mel-32 --network first:channels=4+6+8+8,hidden_len=12,projection_len=12 --batch-slices 200 --chunk-s 0.5 1"
    length = "--steps 240 --epoch-steps 40 --save-s 0.3 --cpu"
    return [trainer, "train", "--data", data, "--out", os.path.join(dir, out)] + small.split() + length.split()


def tensors(out):
    """Name and bytes of every tensor of the last checkpoint (safetensors), and the state of its run."""
    file = open(os.path.join(dir, out, "last.safetensors"), "rb").read()
    (length,) = struct.unpack("<Q", file[:8])
    header = json.loads(file[8:8 + length])
    body = file[8 + length:]
    all = {name: body[slice(*entry["data_offsets"])] for name, entry in header.items() if name != "__metadata__"}
    return all, json.loads(all.pop("run_state_json"))


def run(out):
    return subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


start = time.time()
whole = run("whole")
while whole.poll() is None and not os.path.isfile(os.path.join(dir, "whole", "last.safetensors")):
    time.sleep(0.01)
# Songs are opened and decoded first; kills before that would only ever test the start.
start_s = time.time() - start
assert whole.wait() == 0, "the run failed"
whole_s = time.time() - start
print(f"a run takes {whole_s:.1f} s, {start_s:.1f} s of them until its first checkpoint", flush=True)
expected, run_expected = tensors("whole")
epochs = lambda run: [(e["step"], e["sdr_db"], e["losses"]) for e in run["history"]]
killed, runs, failed = 0, 0, False
while killed < kills:
    # One run may be through before it was killed often enough; then another is killed.
    out, runs, killed_here = f"killed-{runs}", runs + 1, 0
    while True:
        process = run(out)
        moment = random.uniform(start_s / 2, start_s + (whole_s - start_s) / 5) if killed < kills else None
        try:
            assert process.wait(timeout=moment) == 0, "the run failed"
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed, killed_here = killed + 1, killed_here + 1
            last = os.path.join(dir, out, "last.safetensors")
            step = tensors(out)[1]["step"] if os.path.isfile(last) else 0
            print(f"kill {killed} after {moment:.2f} s: the checkpoint is at step {step}", flush=True)
    got, run_got = tensors(out)
    differing = [name for name in expected if expected[name] != got.get(name)] + [n for n in got if n not in expected]
    same_epochs = epochs(run_got) == epochs(run_expected)
    top = [sorted(os.listdir(os.path.join(dir, o, "top"))) for o in ("whole", out)]
    print(f"{killed_here} kills: {len(got)} tensors, {len(differing)} of them differ; epochs the same: {same_epochs}; "
          f"top the same: {top[0] == top[1]}", flush=True)
    failed = failed or bool(differing) or not same_epochs or top[0] != top[1]
shutil.rmtree(dir)
print(f"{killed} kills in {runs} run(s): {'NOT the same' if failed else 'the same to the bit'}")
sys.exit(failed)

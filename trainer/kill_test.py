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
    small = "--transform mel-32 --channels 4,6,8,8 --hidden 12 --projection 12 --batch-slices 200 --chunk-s 0.5 1"
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
assert run("whole").wait() == 0
whole_s = time.time() - start
killed = 0
while True:
    process = run("killed")
    # So soon that the run is not over before it was killed often enough.
    moment = random.uniform(0.05, max(0.5, whole_s / 8)) if killed < kills else 1e9
    try:
        assert process.wait(timeout=moment if killed < kills else None) == 0, "the run failed"
        if killed < kills:
            # It is through already: go on killing from the start of another run would prove nothing new.
            print(f"the run ended after {killed} kills", file=sys.stderr)
        break
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
        files = os.listdir(os.path.join(dir, "killed")) if os.path.isdir(os.path.join(dir, "killed")) else []
        step = tensors("killed")[1]["step"] if "last.safetensors" in files else 0
        print(f"kill {killed} after {moment:.2f} s: the checkpoint is at step {step}")
a, run_a = tensors("whole")
b, run_b = tensors("killed")
assert a.keys() == b.keys()
differing = [name for name in a if a[name] != b[name]]
scores = [[(e["step"], e["sdr_db"], e["losses"]) for e in run["history"]] for run in (run_a, run_b)]
top = [sorted(os.listdir(os.path.join(dir, out, "top"))) for out in ("whole", "killed")]
print(f"{killed} kills; {len(a)} tensors, {len(differing)} of them differ; epochs the same: {scores[0] == scores[1]}; "
      f"top the same: {top[0] == top[1]}")
shutil.rmtree(dir)
sys.exit(bool(differing) or scores[0] != scores[1] or top[0] != top[1] or killed < kills)

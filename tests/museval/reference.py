"""museval's metrics.py, without the package around it, whose import wants musdb, pandas and ffmpeg."""

import importlib.util
import sys
from pathlib import Path


def load_metrics():
    for folder in sys.path:
        path = Path(folder) / "museval" / "metrics.py"
        if path.is_file():
            spec = importlib.util.spec_from_file_location("museval_metrics", path)
            metrics = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(metrics)
            return metrics
    sys.exit("museval is not on PYTHONPATH; `cargo xtask test` installs it into target/museval-python*")

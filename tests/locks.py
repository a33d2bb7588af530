"""The locked requirements: made from setup.cfg, and found stale when they no longer fit it.

`python -m tests.locks` writes them anew and keeps each pin that still fits; with `--upgrade`
it takes the newest of everything.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXTRAS: dict[str, list[str]] = {
    "requirements.txt": [],
    "requirements-dev.txt": ["--extra", "dev"],
    "requirements-bench.txt": ["--extra", "bench"],
}


def locked(name: str, *, upgrade: bool = False) -> str:
    """Return what the lock file `name` should hold, for every Python from 3.11 on."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, name)
        if not upgrade and Path(ROOT, name).exists():
            # uv prefers the pins that it finds here: a new release alone makes nothing stale.
            shutil.copy(Path(ROOT, name), output)
        subprocess.run(
            [
                *(sys.executable, "-m", "uv", "--quiet", "pip", "compile", "setup.cfg"),
                *("--universal", "--python-version", "3.11", "--generate-hashes"),
                *("--custom-compile-command", "make lock", "--output-file", str(output)),
                *EXTRAS[name],
            ],
            cwd=ROOT,
            check=True,
        )
        return output.read_text()


if __name__ == "__main__":
    for name in EXTRAS:
        Path(ROOT, name).write_text(locked(name, upgrade="--upgrade" in sys.argv[1:]))

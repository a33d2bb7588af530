"""Hold the locked requirements to wheels: no step of set-up compiles anything.

`python -m tests.wheels` asks the package index for each Python and CPU that the service runs on,
and ends with 1 where a requirement has no wheel.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CPUS = ("x86_64", "aarch64")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def has_wheels(python: str, cpu: str) -> bool:
    """Return whether each locked requirement has a wheel there; print the first that has none."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "uv", "--quiet", "pip", "compile", "requirements.txt"),
            *("--no-deps", "--only-binary", ":all:", "--python-version", python),
            *("--python-platform", f"{cpu}-manylinux_2_28"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode:
        print(f"wheels: Python {python} on {cpu}: {done.stderr.strip()}")
    return done.returncode == 0


if __name__ == "__main__":
    found = [has_wheels(python, cpu) for python in PYTHONS for cpu in CPUS]
    sys.exit(not all(found))

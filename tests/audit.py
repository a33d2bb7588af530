"""Ask the advisory service whether anything that the service runs on has a known hole.

`python -m tests.audit` ends with 1 where it has. Where the advisory service can't be reached it
says so and ends with 0: `make check` must also work on a train.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def audit() -> int:
    """Audit the locked requirements; return the exit code."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip_audit", "--requirement", "requirements.txt"),
            *("--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        reason = (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
        print(f"audit: skipped, the advisory service can't be reached: {reason}")
        return 0
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if len(unknown) == len(packages):
        print(f"audit: skipped, the advisory service knows none of the {len(unknown)} packages")
        return 0
    if unknown:
        print(f"audit: skipped for {', '.join(unknown)}: the advisory service does not know them")
    holes = [
        f"{package['name']} {package['version']}: {hole['id']}, mended in {hole['fix_versions']}"
        for package in packages
        for hole in package.get("vulns", ())
    ]
    print(
        "\n".join(holes) or f"audit: {len(packages) - len(unknown)} packages without a known hole"
    )
    return 1 if holes else 0


if __name__ == "__main__":
    sys.exit(audit())

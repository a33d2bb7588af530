"""The Dockerfile, taken apart and carried out without Docker: COPY and RUN, then CMD."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.running import ROOT, Service, running_service

# What the kernel does for `docker run --read-only --user`: every file system that could hold the
# image is read-only. Where a closed home hides the interpreter, the interpreter alone is shown.
SANDBOX = """
image=$1 interpreter=$2 closed=$3 user=$4
shift 4
if [ -n "$closed" ]; then
  mount --bind "$interpreter" "$image/interpreter"
  mount -t tmpfs -o mode=755 tmpfs "$closed"
  mkdir -p "$interpreter"
  mount --bind "$image/interpreter" "$interpreter"
fi
mount --bind "$image" "$image"
mount -o remount,bind,ro "$image"
mount -o remount,bind,ro /
cd "$image/app"
if touch probe 2>/dev/null; then
  echo "the file system can be written to"
  exit 1
fi
exec setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups --no-new-privs "$@"
"""


def instructions() -> list[tuple[str, str]]:
    """Return the name and the rest of each instruction."""
    text = Path(ROOT, "Dockerfile").read_text()
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def only(name: str) -> str:
    """Return the rest of the one instruction of this name."""
    (rest,) = [rest for one, rest in instructions() if one == name]
    return rest


def ignored(path: Path) -> bool:
    """Return whether .dockerignore keeps a file of the working copy out of the build."""
    result = False
    for line in Path(ROOT, ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        anywhere = pattern.removeprefix("**/")
        # The last line that matches the path, or a folder above it, decides.
        for one in (path, *path.parents):
            matches = one.name == anywhere if anywhere != pattern else str(one) == pattern
            if matches or pattern == "*":
                result = not line.startswith("!")
    return result


@dataclass
class Image:
    """What the Dockerfile makes, in a folder that everybody may read."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def app(self) -> Path:
        return self.folder / "app"

    def build(self, **arguments: str) -> None:
        """Carry out the instructions, with no compiler."""
        venv.create(self.folder / "venv", with_pip=True)
        (self.folder / "interpreter").mkdir()
        known = dict(arguments)
        for name, rest in instructions():
            if name == "WORKDIR":
                assert rest == "/app"
                self.app.mkdir()
            elif name == "COPY":
                self._copy(*rest.split())
            elif name == "RUN":
                subprocess.run(
                    ["sh", "-c", rest],
                    check=True,
                    cwd=self.app,
                    env=self.variables(CC="/bin/false", CXX="/bin/false"),
                )
            elif name == "ARG":
                variable, _, default = rest.partition("=")
                known.setdefault(variable, default)
            elif name == "ENV":
                for pair in shlex.split(rest):
                    variable, _, value = pair.partition("=")
                    self.environment[variable] = re.sub(r"\$(\w+)", lambda m: known[m[1]], value)

    def _copy(self, *paths: str) -> None:
        """Copy files to a folder, or what is in a folder to another; as Docker does."""
        *sources, target = paths
        for source in sources:
            whole = Path(ROOT, source)
            files = whole.rglob("*") if whole.is_dir() else [whole]
            start = whole if whole.is_dir() else whole.parent
            for path in files:
                if path.is_file() and not ignored(path.relative_to(ROOT)):
                    to = self.app / target / path.relative_to(start)
                    to.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, to)

    def variables(self, **further: str) -> dict[str, str]:
        """Return the environment of a process in the image."""
        kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        path = f"{self.folder / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return kept | self.environment | {"PATH": path} | further

    @contextmanager
    def running(self, **variables: str) -> Iterator[Service]:
        """Run CMD as USER on a read-only root file system."""
        script = self.folder / "sandbox.sh"
        script.write_text(SANDBOX)
        interpreter = Path(sys.base_prefix).resolve()
        closed = [one for one in interpreter.parents if not one.stat().st_mode & 0o001]
        command = [
            *("unshare", "--mount", "sh", "-e", str(script), str(self.folder), str(interpreter)),
            *(str(closed[-1]) if closed else "", only("USER"), *json.loads(only("CMD"))),
        ]
        image = {**self.environment, "PATH": self.variables()["PATH"]}
        del image["PORT"]
        with running_service(shlex.join(command), cwd=self.app, **image, **variables) as service:
            yield service

#!/usr/bin/env python3
"""Build the command as one file, petsage.pyz: `python3 deploy/build_pyz.py [FILE]`.

It has the contract, the client, click and rich. pip fetches these two as requirements.txt pins
them and checks their hashes, so that it doesn't matter what is installed here, if anything is.

The same commit gives the same bytes: the files are sorted, stored uncompressed (so zlib's version
plays no part, and Python starts faster), and have the time of the commit. The standard library's
zipapp would do neither: up to Python 3.11 it takes the files in the order of the disk, and their
times in the local time zone.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import io
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INTERPRETER = b"#!/usr/bin/env python3\n"
# rich also names markdown-it-py, mdurl and Pygments; it imports them for Markdown, source code and
# tracebacks only, and petsage shows none of these.
PACKAGES = ("click", "rich")
FIRST_TIME_OF_ZIP = 315_532_800  # 1980-01-01 in UTC


def main() -> None:
    """Build the file that the command line names."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the GitHub action runs whatever is there
        sys.exit("petsage needs Python 3.11 or newer; on GitHub actions/setup-python installs it.")
    parser = argparse.ArgumentParser(description="Build the petsage command as one file.")
    parser.add_argument("file", nargs="?", type=Path, default=Path("petsage.pyz"))
    target: Path = parser.parse_args().file
    built = archive(dict(contents()), commit_time())
    target.write_bytes(built)
    target.chmod(0o755)
    print(f"{hashlib.sha256(built).hexdigest()}  {target}")


def contents() -> Iterator[tuple[str, bytes]]:
    """Yield the name of each file in the archive, and what is in it."""
    package = ROOT / "petsage"
    yield "__main__.py", (package / "__main__.py").read_bytes()
    yield "licenses/petsage/LICENSE", (ROOT / "LICENSE").read_bytes()
    for path in (package / "__init__.py", package / "contract.py", *modules(package / "client")):
        yield path.relative_to(ROOT).as_posix(), path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder))
        for name in PACKAGES:
            for path in modules(Path(folder, name)):
                yield path.relative_to(folder).as_posix(), path.read_bytes()
        for distribution in importlib.metadata.distributions(path=[folder]):
            yield from licences(distribution)


def modules(folder: Path) -> list[Path]:
    """Return the Python files in a folder and below."""
    return list(folder.rglob("*.py"))


def install(folder: Path) -> None:
    """Let pip install the packages into a folder, with the pins and hashes of requirements.txt."""
    text = (ROOT / "requirements.txt").read_text().replace("\\\n", "")
    pinned = [line for line in text.splitlines() if line.partition("==")[0] in PACKAGES]
    requirements = folder / "requirements.txt"
    requirements.write_text("\n".join(pinned))
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"),
            *("--root-user-action", "ignore"),
            *("--require-hashes", "--no-deps", "--only-binary=:all:", "--no-compile"),
            *("--target", str(folder), "-r", str(requirements)),
        ],
        check=True,
    )


def licences(distribution: importlib.metadata.Distribution) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a distribution's licence."""
    version = f"{distribution.name}-{distribution.version}"
    for file in distribution.files or []:
        if file.name.startswith("LICENSE"):
            yield f"licenses/{version}/{file.name}", file.read_binary()


def commit_time() -> int:
    """Return the time of the commit, or SOURCE_DATE_EPOCH, or 1980 where there is no git."""
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(epoch)
    try:
        asked = subprocess.run(
            ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        # A release's tarball, which is what GitHub gives to an action.
        return FIRST_TIME_OF_ZIP
    return int(asked.stdout)


def archive(files: dict[str, bytes], seconds: int) -> bytes:
    """Return the files as a zip archive that Python runs, all with this time."""
    moment = time.gmtime(max(seconds, FIRST_TIME_OF_ZIP))
    buffer = io.BytesIO(INTERPRETER)
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "w") as archived:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, moment[:6])
            entry.external_attr = 0o100644 << 16
            archived.writestr(entry, files[name])
    return buffer.getvalue()


if __name__ == "__main__":
    main()

"""Virtual environments of their own, for programs whose pins are not ours: each holds what its lock says."""

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def python_of(name: str) -> Path:
    """The Python of .venv/<name>, with requirements-<name>.lock installed.

    Programs are run as its modules: a console script names the checkout that installed it, which may be gone.
    """
    lock, home = ROOT / f"tests/deploy/requirements-{name}.lock", ROOT / ".venv" / name
    stamp, wanted = home / "installed", hashlib.sha256(lock.read_bytes()).hexdigest()
    # Tests run side by side.
    with (ROOT / f".venv/{name}.turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            uv, python = str(ROOT / ".venv/bin/uv"), str(home / "bin/python")
            subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(home)], check=True)
            install = [uv, "pip", "install", "--quiet", "--require-hashes", "--python", python, "-r", str(lock)]
            subprocess.run(install, check=True)
            stamp.write_text(wanted)
    return home / "bin/python"

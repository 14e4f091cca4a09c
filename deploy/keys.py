"""The keys of one data folder, made on first use: python3 deploy/keys.py .data/secrets.env (no package needed)."""

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

_MAKE: Mapping[str, Callable[[], str]] = {
    "SECURITY_KEYS": lambda: secrets.token_urlsafe(32),
    "AWS_ACCESS_KEY_ID": lambda: secrets.token_hex(10),
    "AWS_SECRET_ACCESS_KEY": lambda: secrets.token_urlsafe(32),
}


def keys(path: Path) -> Mapping[str, str]:
    """What the file holds; it is made where there is none. Only these keys open what is stored in the folder."""
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(path, "".join(f"{name}={make()}\n" for name, make in _MAKE.items()))
        path.chmod(0o600)
        found = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
    except OSError as error:
        raise ValueError(f"{path} cannot be used: {error.strerror}. DATA names another folder.") from error
    missing = _MAKE.keys() - found.keys()
    if missing:
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}; without that file new ones are made.")
    return found


def write_private(path: Path, text: str) -> None:
    """Write the file whole or not at all, and never readable for others, not even for a moment."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.replace(path)


if __name__ == "__main__":
    try:
        keys(Path(sys.argv[1]))
    except ValueError as error:
        sys.exit(str(error))

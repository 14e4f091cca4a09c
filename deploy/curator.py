"""`make curator`: a command of the curator on what `make run` has running, or on the S3 that S3_ENDPOINT names.

[DATA=.data] python -m deploy.curator usage
"""

import json
import os
import sys
from collections.abc import Mapping

from deploy.keys import keys
from deploy.rooms import ROOT, keepers, plan, read_settings


def main() -> None:
    """Become the curator, told what the running rooms are told."""
    # Its command line comes from the environment alone, where nothing runs.
    asks_only = not sys.argv[1:] or bool({"-h", "--help"} & set(sys.argv[1:]))
    try:
        told = {} if asks_only else variables()
    except (ValueError, OSError) as error:
        print(f"curator: {error}", file=sys.stderr)
        sys.exit(3)
    environment = {**os.environ, **told, "PYTHONPATH": str(ROOT)}
    os.execve(sys.executable, [sys.executable, "-m", "curator", *sys.argv[1:]], environment)  # noqa: S606


def variables() -> Mapping[str, str]:
    """What `make run` has told; where it does not run, what it would tell, for an S3 that runs without it."""
    settings = read_settings()
    told = settings.data / "run" / "curator.json"
    if told.exists():
        found: dict[str, str] = json.loads(told.read_text())
        return found
    if not settings.s3_endpoint:
        raise ValueError(f"nothing runs on {settings.data}: start it with `make run`, or name an S3 with S3_ENDPOINT")
    return {**keepers(plan(settings, keys(settings.data / "secrets.env"))), "THUMBOR_SERVERS": ""}


if __name__ == "__main__":
    main()

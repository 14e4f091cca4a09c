"""`make run`: the whole service on this machine, without Docker and without root, until Ctrl-C.

[PORT=5000] [DATA=.data] ... python -m deploy.run [--help]
"""

import argparse
import contextlib
import ctypes
import errno
import fcntl
import http.client
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from deploy import nginx
from deploy.keys import keys, write_private
from deploy.rooms import (
    ROOT,
    Room,
    Settings,
    access_log,
    keepers,
    nginx_variables,
    plan,
    read_settings,
    supervisord,
    targets,
)
from s3.serve import LOOPBACK, die_with_parent

_PR_SET_CHILD_SUBREAPER = 36
_KILL_AFTER_SECONDS = 30
# Gunicorn wraps what a room says in a page of its own.
_LAST_LINES = 40
_COUNT_EVERY_SECONDS = 5
# An hour of a thousand hits a second is 1 GB: this much is kept, twice.
_LOG_BYTES = 50_000_000


class StartError(Exception):
    """Why the service does not start or go on; the sentence is what the user reads."""


def main() -> None:
    """Start everything, say where it is, stop everything on SIGINT, SIGTERM or SIGHUP."""
    _help()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop_on_signal)
    try:
        settings = _settings()
        with _data_folder(settings):
            _check_port_is_free(settings)
            _serve(settings)
    except StartError as problem:
        print(f"\n{problem}", file=sys.stderr)
        sys.exit(1)


def _help() -> None:
    lines = [
        f"  {name.upper():18} {field.description} (default: {field.default})"
        for name, field in Settings.model_fields.items()
    ]
    argparse.ArgumentParser(
        prog="make run",
        description="Runs the whole service on this machine until Ctrl-C. Environment variables say how:",
        epilog="\n".join([*lines, "", "For example: PORT=5001 DATA=/var/tmp/pictures make run"]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()


def _stop_on_signal(number: int, _: object) -> NoReturn:
    raise SystemExit(0)


def _settings() -> Settings:
    try:
        settings = read_settings()
    except ValueError as error:
        raise StartError(str(error)) from None
    for path, move in ((ROOT, "Move the checkout."), (settings.data.resolve(), "DATA moves the data.")):
        # They stand in the configuration of nginx and supervisord, which each have their own idea of quoting.
        if wrong := re.search(r"[^\w./@+=~-]", str(path)):
            raise StartError(f"The path {path} holds {wrong[0]!r}, which does not work here. {move}")
    return settings


@contextlib.contextmanager
def _data_folder(settings: Settings) -> Iterator[None]:
    """The folder, ready, and nobody else's until the end."""
    data = settings.data
    try:
        for name in ("", "cache", "tombstones", "logs", "run"):
            (data / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (data / "lock").open("a+")
    except OSError as error:
        raise StartError(f"The data folder {data} cannot be used: {error.strerror}. DATA moves it.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise StartError(
                f"Already running on {data}: {lock.read() or 'a process that is just starting'}.\n"
                "Stop that one with Ctrl-C, or start this one beside it: PORT=5001 DATA=.data-2 make run"
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, http://{settings.edge}")
        lock.flush()
        # Uploads that were cut off.
        shutil.rmtree(data / "spool", ignore_errors=True)
        (data / "spool").mkdir(mode=0o700)
        yield


def _check_port_is_free(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, settings.port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StartError(f"Port {settings.port} is busy. Another one: PORT={settings.port + 1} make run") from None
        why = error.strerror or str(error)
        raise StartError(f"{settings.edge} cannot be listened on: {why}. PORT and HOST move it.") from None


def _serve(settings: Settings) -> None:
    data = settings.data.resolve()
    commit = _commit()
    try:
        rooms = plan(settings, keys(data / "secrets.env"))
        configuration = supervisord(rooms, data)
    except (ValueError, FileNotFoundError) as error:
        raise StartError(str(error)) from None
    (data / "run" / "nginx" / "conf").mkdir(parents=True, exist_ok=True)
    nginx.render(data / "run" / "nginx" / "conf", nginx_variables(settings, rooms, commit))
    count_answers(data / "run" / "nginx", "new")
    (data / "run" / "targets.json").write_text(json.dumps(targets(rooms), indent=2))
    write_private(data / "run" / "supervisord.conf", configuration)
    log = data / "logs" / "supervisord.log"
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    with _keepers_way_in(data, rooms), _supervised(data / "run" / "supervisord.conf") as supervisor:
        _wait_until_ready(settings, rooms, supervisor)
        _greet(settings)
        for second in itertools.count():
            if supervisor.poll() is not None:
                break
            _give_up_where(data, r"gave up: (\S+) entered FATAL state")
            rotate(access_log(data), data / "run" / "nginx" / "nginx.pid")
            if second % _COUNT_EVERY_SECONDS == 0:
                count_answers(data / "run" / "nginx")
            time.sleep(1)
        raise StartError(f"supervisord ended by itself with code {supervisor.returncode}; stopping the rest.")


@contextlib.contextmanager
def _keepers_way_in(data: Path, rooms: Sequence[Room]) -> Iterator[None]:
    """What `make curator` reads, while the rooms run: their ports are others at each start."""
    told = data / "run" / "curator.json"
    write_private(told, json.dumps(keepers(rooms)))
    try:
        yield
    finally:
        told.unlink(missing_ok=True)


def count_answers(folder: Path, *arguments: str) -> None:
    """Have the edge's answers counted, as nginx's image does (nginx/count_answers.sh)."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "RUN_DIR": str(folder)}
    command: list[str | Path] = [nginx.ROOM / "count_answers.sh", *arguments]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def rotate(log: Path, nginx_pid: Path) -> None:
    """Keep nginx's own log small; supervisord does the same for all others."""
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
        with contextlib.suppress(OSError, ValueError):
            # nginx opens its logs again.
            os.kill(int(nginx_pid.read_text()), signal.SIGUSR1)


def _commit() -> str:
    with contextlib.suppress(OSError):
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
    return "unknown"


@contextlib.contextmanager
def _supervised(configuration: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start supervisord; at the end leave no process, whoever was killed before."""
    _adopt_orphans()
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)],
        env=environment,
        # A Ctrl-C in the terminal is for this process, which stops that one.
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    try:
        yield process
    finally:
        _stop(process)


def _adopt_orphans() -> None:
    """Become the parent of processes whose parent is gone (Linux), so that none is lost sight of."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _stop(supervisor: subprocess.Popen[bytes]) -> None:
    # Who asks twice means now.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: _kill_everything())
    if supervisor.poll() is None:
        print("\nStopping: what is under way may end first (Ctrl-C again: at once) ...", flush=True)
        supervisor.terminate()
        supervisor.wait()
    for pid in _children():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _KILL_AFTER_SECONDS
    while _children():
        if time.monotonic() > deadline:
            _kill_everything()
        time.sleep(0.05)
    print("Stopped.", flush=True)


def _children() -> list[int]:
    """Processes whose parent is this one, after the dead ones among them are cleared away."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(pid) for pid in listing.read_text().split()] if listing.exists() else []


def _kill_everything() -> None:
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    # A killed process leaves its children to this one: again until none is left.
    while listing.exists() and (pids := listing.read_text().split()):
        for pid in map(int, pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _wait_until_ready(settings: Settings, rooms: Sequence[Room], supervisor: subprocess.Popen[bytes]) -> None:
    terminal = sys.stdout.isatty()
    deadline = time.monotonic() + settings.start_seconds
    print("Starting ...", flush=True)
    shown = None
    while awaited := _awaited(settings, rooms):
        if terminal and awaited != shown:
            print(f"\r\x1b[K  waiting for {awaited}", end="", flush=True)
            shown = awaited
        if supervisor.poll() is not None:
            raise StartError(f"supervisord ended with code {supervisor.returncode}.")
        # Once may be bad luck with a port; what ends twice will end again.
        _give_up_where(settings.data, r"exited: (\S+) \(", times=2)
        if time.monotonic() > deadline:
            raise StartError(
                f"{awaited} did not come up within {settings.start_seconds} seconds (START_SECONDS allows more).\n"
                + _last_lines(settings.data, awaited)
            )
        time.sleep(0.05)
    if terminal:
        print("\r\x1b[K", end="")


def _awaited(settings: Settings, rooms: Sequence[Room]) -> str | None:
    """The name of a room that is not ready yet."""
    for room in rooms:
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, room.port)) != 0:
                return room.name
    connection = http.client.HTTPConnection(settings.reached_at, settings.port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        return "nginx"
    finally:
        connection.close()
    if response.status == http.client.OK:
        return None
    with contextlib.suppress(ValueError, AttributeError):
        reasons = json.loads(body).get("reasons") or {}
        # The uploader names a room; of several Thumbors it is the first one's log that tells most.
        named = [room.name for reason in reasons for room in rooms if room.name.startswith(reason)]
        if named:
            return named[0]
    return "uploader"


def _give_up_where(data: Path, happened: str, times: int = 1) -> None:
    """Raise where supervisord's log says so often, in words that hold the name of a room, that a room ended."""
    log = data / "logs" / "supervisord.log"
    found = Counter(re.findall(happened, log.read_text())) if log.exists() else Counter()
    for room, count in found.most_common(1):
        if count >= times:
            raise StartError(f"{room} does not stay up.\n" + _last_lines(data, room))


def _last_lines(data: Path, room: str) -> str:
    path = data / "logs" / f"{room}.log"
    lines = path.read_text(errors="replace").splitlines()[-_LAST_LINES:] if path.exists() else []
    return "\n".join([f"The last lines of {path}:", *(f"  {line}" for line in lines)])


def _greet(settings: Settings) -> None:
    everywhere = settings.host in ("0.0.0.0", "::")  # noqa: S104
    host = "localhost" if everywhere or settings.host == LOOPBACK else settings.edge.rpartition(":")[0]
    address = f"http://{host}:{settings.port}"
    print(f"Thumbstack is ready: open {address} in a browser\n")
    if settings.open_app:
        print(f'  or try  curl -F "file=@picture.jpg" {address}/')
    else:
        print(f'  or try  curl -H "Authorization: Bearer $KEY" -F "file=@picture.jpg" {address}/')
    print(f"  data    {settings.data}")
    print(f"  logs    {settings.data / 'logs'}")
    if everywhere and settings.open_app:
        print(
            f"\nAnybody who reaches port {settings.port} of this machine may upload and delete: OPEN_APP needs no key."
        )
    print("\nCtrl-C stops it.", flush=True)


if __name__ == "__main__":
    main()

"""`make run` as its user sees it: sentences, exit codes, and what is left afterwards."""

import configparser
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests
import yaml  # type: ignore[import-untyped]
from supervisor.datatypes import dict_of_key_value_pairs  # type: ignore[import-untyped]
from supervisor.options import UnhosedConfigParser, expand  # type: ignore[import-untyped]

from curator.config import Config as CuratorConfig
from deploy.rooms import Settings, keepers, nginx_variables, plan, supervisord
from deploy.run import rotate
from s3.serve import ROOM_PORTS, free_ports
from signer.config import Config as SignerConfig
from thumbstack.settings import Settings as RoomSettings
from uploader.config import Config as UploaderConfig

ROOT = Path(__file__).parents[2]
KEYS = {
    "SECURITY_KEYS": "security-key-of-the-tests-0123456789",
    "AWS_ACCESS_KEY_ID": "key-of-the-tests",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
}


def environment(data: Path, port: int, **more: str) -> dict[str, str]:
    # What a developer's shell holds must not get in.
    strange = {"AWS_PROFILE": "somebody", "AWS_ACCESS_KEY_ID": "real", "STRANGE": "yes"}
    return {"PATH": os.environ["PATH"], "DATA": str(data), "PORT": str(port), **strange, **more}


def run(data: Path, port: int, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run it where it is expected to end by itself."""
    command = [sys.executable, "-m", "deploy.run", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment(data, port, **more), capture_output=True, text=True, timeout=120
    )


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def stat(pid: int) -> tuple[str, int, int] | None:
    """State, parent and session of a process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[1]), int(fields[3])


def session(leader: int) -> list[int]:
    """The living processes of the session that `leader` began."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    found = [(pid, stat(pid)) for pid in pids]
    return [pid for pid, facts in found if facts and facts[0] != "Z" and facts[2] == leader]


def words(pid: int) -> str:
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


class Running:
    """One launcher that said that the service is ready."""

    def __init__(self, data: Path, command: tuple[str, ...]) -> None:
        self.data = data
        self.port = free_ports(1, ROOM_PORTS)[0]
        self.address = f"http://127.0.0.1:{self.port}"
        self.log = data.with_name("launcher.log")
        with self.log.open("w") as log:
            self.launcher = subprocess.Popen(
                command, cwd=ROOT, env=environment(data, self.port), stdout=log, stderr=log, start_new_session=True
            )
        wait_for(lambda: "is ready" in self.log.read_text() or self.launcher.poll() is not None)
        assert self.launcher.poll() is None, self.log.read_text()
        self.supervisord = int((data / "run" / "supervisord.pid").read_text())

    def pid_of(self, part: str) -> int:
        """The supervised process whose command holds `part`."""
        found = [pid for pid in session(self.supervisord) if part in words(pid)]
        # The first one is the parent of the others, where a room has workers.
        return min(pid for pid in found if (facts := stat(pid)) and facts[1] not in found)

    def left(self) -> list[str]:
        pids = session(self.supervisord) + session(self.launcher.pid)
        return [words(pid) for pid in pids]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    with ExitStack() as stack:

        def started(*command: str) -> Running:
            running = Running(tmp_path / "data", command or (sys.executable, "-m", "deploy.run"))
            stack.enter_context(running.launcher)
            stack.callback(running.launcher.terminate)
            return running

        yield started


@pytest.fixture
def port() -> int:
    return free_ports(1, ROOM_PORTS)[0]


def test_a_busy_port_is_told_with_the_variable_that_moves_it(tmp_path: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        done = run(tmp_path / "data", port)

    assert done.returncode == 1
    assert done.stderr.strip() == f"Port {port} is busy. Another one: PORT={port + 1} make run"
    assert not (tmp_path / "data" / "s3").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "http"), ("PORT", "70000"), ("THUMBOR_PROCESSES", "0"), ("EDGE_CACHE_SIZE", "much")],
)
def test_a_wrong_value_is_told_with_its_variable(tmp_path: Path, port: int, name: str, value: str) -> None:
    done = run(tmp_path / "data", port, **{name: value})

    assert done.returncode == 1
    assert done.stderr.strip().startswith(f"{name} is wrong: ")
    assert not (tmp_path / "data").exists()


def test_a_data_folder_that_cannot_be_is_told(tmp_path: Path, port: int) -> None:
    (tmp_path / "data").write_text("a file")

    done = run(tmp_path / "data", port)

    assert done.returncode == 1
    assert "cannot be used: File exists. DATA moves it." in done.stderr


def test_a_path_that_cannot_be_says_what_to_move(tmp_path: Path, port: int) -> None:
    data = tmp_path / "my data"
    shutil.copytree(ROOT / "deploy", tmp_path / "a house/deploy", ignore=shutil.ignore_patterns("__pycache__"))
    for room in ("nginx", "s3"):
        (tmp_path / "a house" / room).symlink_to(ROOT / room)
    elsewhere = subprocess.run(
        [sys.executable, "-m", "deploy.run"], cwd=tmp_path / "a house", env=environment(tmp_path / "data", port),
        capture_output=True, text=True,
    )  # fmt: skip

    assert (
        run(data, port).stderr.strip() == f"The path {data} holds ' ', which does not work here. DATA moves the data."
    )
    assert (
        elsewhere.stderr.strip()
        == f"The path {tmp_path}/a house holds ' ', which does not work here. Move the checkout."
    )
    assert not data.exists()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "nothing runs on {data}: start it with `make run`, or name an S3 with S3_ENDPOINT"),
        ({"PORT": "http"}, "PORT is wrong: Input should be a valid integer"),
        ({"S3_ENDPOINT": "http://127.0.0.1:1"}, "{data}/secrets.env lacks AWS_SECRET_ACCESS_KEY; without that file"),
    ],
    ids=["nothing-runs", "wrong-value", "no-keys"],
)
def test_the_curator_says_what_keeps_it_from_beginning(
    tmp_path: Path, variables: dict[str, str], sentence: str
) -> None:
    (tmp_path / "secrets.env").write_text("SECURITY_KEYS=x\nAWS_ACCESS_KEY_ID=x\n")
    command = [sys.executable, "-m", "deploy.curator", "usage"]

    done = subprocess.run(
        command, cwd=ROOT, env=environment(tmp_path, 5000, **variables), capture_output=True, text=True
    )

    assert done.returncode == 3
    assert done.stderr.startswith(f"curator: {sentence.format(data=tmp_path)}")
    assert len(done.stderr.splitlines()) == 1


def test_keys_that_cannot_be_kept_are_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")

    done = subprocess.run(
        [sys.executable, "deploy/keys.py", tmp_path / "data/secrets.env"], cwd=ROOT, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert done.stderr == f"{tmp_path}/data/secrets.env cannot be used: File exists. DATA names another folder.\n"


def test_help_names_every_variable(tmp_path: Path, port: int) -> None:
    done = run(tmp_path / "data", port, "--help")

    assert done.returncode == 0
    assert [name for name in Settings.model_fields if f"  {name.upper()} " not in done.stdout] == []


def variables(tmp_path: Path) -> Mapping[str, Mapping[str, str]]:
    rooms = plan(Settings(data=tmp_path, api_keys="[]"), KEYS)
    return {room.name: room.environment for room in rooms}


def test_a_room_is_told_no_secret_that_it_does_not_need(tmp_path: Path) -> None:
    told = variables(tmp_path)

    secrets = {*KEYS, "API_KEYS"}
    assert {room: secrets & names.keys() for room, names in told.items()} == {
        "s3": {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
        "thumbor-1": set(KEYS),
        "thumbor-2": set(KEYS),
        "signer": secrets,
        "uploader": secrets,
        "nginx": set(),
    }


@pytest.mark.parametrize(("room", "config"), [("uploader", UploaderConfig), ("signer", SignerConfig)])
def test_whatever_a_room_reads_can_be_chosen(tmp_path: Path, room: str, config: type[RoomSettings]) -> None:
    named = {name.upper() for name in config.model_fields}

    assert named - variables(tmp_path)[room].keys() == set()
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert named - {"TMPDIR"} - services[room]["environment"].keys() == set()


def test_the_curator_is_told_what_it_reads(tmp_path: Path) -> None:
    # How many it decodes at once is its own to say: it has one process, the uploader two.
    named = {name.upper() for name in CuratorConfig.model_fields} - {"DECODES_AT_ONCE"}

    told = keepers(plan(Settings(data=tmp_path, api_keys="[]"), KEYS))

    assert named - told.keys() == set()
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert named - services["curator"]["environment"].keys() == set()


def test_no_two_rooms_share_a_port(tmp_path: Path) -> None:
    rooms = plan(Settings(data=tmp_path, thumbor_processes=8), KEYS)

    assert len({room.port for room in rooms}) == len(rooms) == 12
    assert nginx_variables(Settings(data=tmp_path), rooms, "abc")["THUMBOR_UPSTREAM"].count("server ") == 8


def test_nodes_may_share_one_s3(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, s3_endpoint="http://127.0.0.1:8333")
    rooms = plan(settings, KEYS)

    assert "s3" not in {room.name for room in rooms}
    told = {room.name: room.environment.get("S3_ENDPOINT") for room in rooms}
    assert told["uploader"] == told["thumbor-1"] == "http://127.0.0.1:8333"
    assert nginx_variables(settings, rooms, "abc")["S3_ENDPOINT"] == "http://127.0.0.1:8333"


def test_the_door_is_closed_first_and_the_storage_last(tmp_path: Path) -> None:
    parser = configparser.RawConfigParser()
    parser.read_string(supervisord(plan(Settings(data=tmp_path), KEYS), tmp_path))

    stop_order = sorted(
        ("program:nginx", "group:rooms", "program:s3"), key=lambda name: -parser.getint(name, "priority")
    )
    assert stop_order == ["program:nginx", "group:rooms", "program:s3"]
    assert set(parser["group:rooms"]["programs"].split(",")) == {"thumbor-1", "thumbor-2", "signer", "uploader"}
    assert [name for name in parser.sections() if "http_server" in name or "rpcinterface" in name] == []


def test_a_value_arrives_in_a_room_as_it_was_given(tmp_path: Path) -> None:
    keys = '[{"app": "shop", "public_key": "%(here)s-;#=,"}]'
    # The reading that supervisord itself does.
    parser = UnhosedConfigParser()
    parser.read_string(supervisord(plan(Settings(data=tmp_path, api_keys=keys), KEYS), tmp_path))

    text = expand(parser.get("program:signer", "environment", raw=True), {"here": "wrong"}, "environment")

    assert dict_of_key_value_pairs(text)["API_KEYS"] == keys


@pytest.mark.parametrize("value", ["it's", "a\nb", "a ;b", "a #b"])
def test_a_value_that_would_not_arrive_is_refused(tmp_path: Path, port: int, value: str) -> None:
    done = run(tmp_path / "data", port, API_KEYS=value)

    assert done.returncode == 1
    assert done.stderr.strip() == "API_KEYS must be one line, without ' and without ; or # after a space"


@pytest.mark.stack
def test_a_room_that_does_not_come_up_is_named_with_its_last_words(tmp_path: Path, port: int) -> None:
    done = run(tmp_path / "data", port, API_KEYS="nonsense", THUMBOR_PROCESSES="1")

    assert done.returncode == 1
    assert re.search(r"^(signer|uploader) does not stay up\.$", done.stderr, re.MULTILINE)
    assert "API_KEYS is wrong" in done.stderr
    supervisord = int(
        (tmp_path / "data" / "logs" / "supervisord.log").read_text().split("started with pid ")[1].split()[0]
    )
    assert session(supervisord) == []


@pytest.mark.stack
def test_a_second_start_on_the_same_folder_is_told_who_has_it(start: Callable[..., Running], port: int) -> None:
    running = start()

    done = run(running.data, port)

    assert done.returncode == 1
    assert f"process {running.launcher.pid}, http://127.0.0.1:{running.port}" in done.stderr
    assert requests.get(f"{running.address}/readyz", timeout=10).status_code == 200


@pytest.mark.stack
def test_ctrl_c_leaves_no_process_and_everything_that_was_uploaded(
    start: Callable[..., Running], coffee: bytes
) -> None:
    running = start()
    answer = requests.post(running.address, files={"file": ("a.jpg", coffee)}, timeout=30)
    assert answer.status_code == 201
    secrets = (running.data / "secrets.env").read_text()
    cut_off = running.data / "spool" / "half-an-upload"
    cut_off.write_bytes(b"x")

    running.launcher.send_signal(signal.SIGINT)

    assert running.launcher.wait(100) == 0
    assert running.left() == []
    # What a keeper's command would take for a service that runs.
    assert not (running.data / "run" / "curator.json").exists()
    again = start()
    assert not cut_off.exists()
    assert requests.get(again.address, params={"name": "a"}, timeout=30).content == coffee
    assert (again.data / "secrets.env").read_text() == secrets
    assert (again.data / "secrets.env").stat().st_mode & 0o777 == 0o600
    assert (again.data / "run" / "supervisord.conf").stat().st_mode & 0o777 == 0o600
    assert {folder.stat().st_mode & 0o777 for folder in (again.data, *again.data.iterdir()) if folder.is_dir()} == {
        0o700
    }


@pytest.mark.stack
def test_a_second_ctrl_c_does_not_wait_for_an_upload_under_way(start: Callable[..., Running]) -> None:
    running = start()
    with socket.create_connection(("127.0.0.1", running.port)) as upload:
        upload.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nnot all of it")
        running.launcher.send_signal(signal.SIGINT)
        wait_for(lambda: "Stopping" in running.log.read_text())

        running.launcher.send_signal(signal.SIGINT)

        # nginx alone would wait a minute for the rest of it.
        running.launcher.wait(50)
        assert running.left() == []
        upload.settimeout(50)
        with suppress(ConnectionError):
            assert upload.recv(100) == b""


@pytest.mark.stack
def test_ctrl_c_at_make_is_no_error(start: Callable[..., Running]) -> None:
    running = start("make", "run")

    # The terminal sends it to make and to what make runs.
    os.killpg(running.launcher.pid, signal.SIGINT)
    running.launcher.wait(100)

    assert running.left() == []
    assert "***" not in running.log.read_text()
    assert running.log.read_text().endswith("Stopped.\n")


@pytest.mark.stack
def test_a_killed_supervisord_leaves_no_process(start: Callable[..., Running]) -> None:
    running = start()

    os.kill(running.supervisord, signal.SIGKILL)

    assert running.launcher.wait(100) == 1
    assert running.left() == []
    assert "supervisord ended by itself" in running.log.read_text()


@pytest.mark.stack
def test_a_killed_launcher_leaves_no_process(start: Callable[..., Running]) -> None:
    running = start()

    running.launcher.kill()
    running.launcher.wait(10)

    wait_for(lambda: running.left() == [])


@pytest.mark.stack
@pytest.mark.parametrize("room", ["s3/serve.py", "bin/thumbor", "signer.wsgi", "uploader.wsgi", "nginx.conf"])
def test_a_killed_room_comes_back(start: Callable[..., Running], room: str) -> None:
    running = start()
    killed = running.pid_of(room)

    os.kill(killed, signal.SIGKILL)

    def is_back() -> bool:
        with suppress(requests.RequestException, ValueError):
            return running.pid_of(room) != killed and requests.get(f"{running.address}/readyz", timeout=10).ok
        return False

    wait_for(is_back)
    assert running.launcher.poll() is None


@pytest.mark.stack
def test_a_room_sees_nothing_of_the_shell_it_was_started_from(start: Callable[..., Running]) -> None:
    running = start()

    for room in ("s3/serve.py", "bin/thumbor", "signer.wsgi", "uploader.wsgi", "nginx.conf"):
        told = Path(f"/proc/{running.pid_of(room)}/environ").read_text()
        assert "STRANGE" not in told
        assert "AWS_PROFILE" not in told
        assert "AWS_ACCESS_KEY_ID=real" not in told


def test_a_large_access_log_is_put_aside_and_nginx_told(tmp_path: Path) -> None:
    log, pid = tmp_path / "nginx-access.log", tmp_path / "nginx.pid"
    trap = "trap 'exit 7' USR1; echo set; while :; do sleep 0.05; done"
    with subprocess.Popen(["sh", "-c", trap], stdout=subprocess.PIPE) as nginx:
        assert nginx.stdout
        assert nginx.stdout.readline() == b"set\n"
        pid.write_text(str(nginx.pid))
        log.write_bytes(b"x")
        rotate(log, pid)
        assert log.exists()

        with log.open("r+b") as file:
            file.truncate(50_000_001)
        rotate(log, pid)

        assert nginx.wait(60) == 7
    assert not log.exists()
    assert (tmp_path / "nginx-access.log.1").stat().st_size == 50_000_001

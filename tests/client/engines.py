"""Firefox and WebKit, driven by WebDriver.

Firefox takes its commands in an envelope of its own, Marionette, WebKit over HTTP. Why they are sent from
here, and by no library: docs/decisions/0029-widget.md.
"""

import base64
import json
import os
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.stack.stacks import PATIENCE_SECONDS, free_port

# What the standard calls a reference to an element.
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
# The commands by the names that Marionette has for them, and their routes.
_ROUTES = {
    "NewSession": ("POST", ""),
    "DeleteSession": ("DELETE", ""),
    "SetTimeouts": ("POST", "/timeouts"),
    "SetWindowRect": ("POST", "/window/rect"),
    "GetWindowHandles": ("GET", "/window/handles"),
    "SwitchToWindow": ("POST", "/window"),
    "CloseWindow": ("DELETE", "/window"),
    "Navigate": ("POST", "/url"),
    "Back": ("POST", "/back"),
    "ExecuteAsyncScript": ("POST", "/execute/async"),
    "ElementClick": ("POST", "/element/{id}/click"),
    "ElementClear": ("POST", "/element/{id}/clear"),
    "ElementSendKeys": ("POST", "/element/{id}/value"),
    "PerformActions": ("POST", "/actions"),
    "TakeScreenshot": ("GET", "/screenshot"),
}
# Calls a function of the page with values and elements, and waits for what it promises.
_CALL = """const done = arguments[arguments.length - 1];
Promise.resolve().then(() => (%s)(...[...arguments].slice(0, -1)))
    .then((value) => done([value ?? null]), (error) => done([null, String(error)]));"""
# A button or link as a person finds it: seen, and by its name.
_NAMED = """(name) => [...document.querySelectorAll("button, a")].find((it) =>
    it.checkVisibility() && (it.getAttribute("aria-label") ?? it.textContent).trim() === name)"""


class RefusedError(Exception):
    """What a browser says of a command that it could not do."""


class Engine(ABC):
    """A running browser, and what a person does with it."""

    @abstractmethod
    def ask(self, command: str, **parameters: Any) -> Any:
        """Give one of WebDriver's commands; its value."""

    def begin(self) -> None:
        self.ask("NewSession", capabilities={})
        self.ask("SetTimeouts", script=1000 * PATIENCE_SECONDS, pageLoad=2000 * PATIENCE_SECONDS)

    def open(self, url: str) -> None:
        self.ask("Navigate", url=url)

    def run(self, function: str, *values: Any) -> Any:
        """Call a JavaScript function on the page."""
        # Firefox knows sandboxes, which the page's own names are not in.
        answer, *error = self.ask("ExecuteAsyncScript", script=_CALL % function, args=list(values), sandbox=None)
        assert not error, error
        return answer

    def until(self, function: str, *values: Any) -> Any:
        """Ask the page again until the answer is yes."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (answer := self.run(function, *values)):
            assert time.monotonic() < deadline, f"{function} {values}"
            time.sleep(0.05)
        return answer

    def text(self, selector: str, said: str) -> None:
        """Wait until an element says it."""
        self.until(
            "(all, said) => [...document.querySelectorAll(all)].some((it) => it.innerText.includes(said))",
            selector,
            said,
        )

    def count(self, selector: str, number: int) -> None:
        """Wait until there are so many."""
        self.until("(all, number) => document.querySelectorAll(all).length === number", selector, number)

    def find(self, selector: str) -> dict[str, str]:
        """An element, as soon as it is there."""
        found: dict[str, str] = self.until("(one) => document.querySelector(one)", selector)
        return found

    def button(self, name: str) -> dict[str, str]:
        """A button or a link, as soon as it is seen."""
        found: dict[str, str] = self.until(_NAMED, name)
        return found

    def click(self, element: Mapping[str, str]) -> None:
        self.ask("ElementClick", id=element[_ELEMENT])

    def type(self, element: Mapping[str, str], text: str) -> None:
        """Write into a field what it then has; into one for files, a path."""
        if self.run("(field) => field.type !== 'file'", element):
            self.ask("ElementClear", id=element[_ELEMENT])
        self.ask("ElementSendKeys", id=element[_ELEMENT], text=text)

    def press(self, *keys: str) -> None:
        """Press keys, the first of them until the last is released."""
        actions = [{"type": "keyDown", "value": key} for key in keys]
        actions += [{"type": "keyUp", "value": key} for key in reversed(keys)]
        self.ask("PerformActions", actions=[{"type": "key", "id": "keys", "actions": actions}])

    def until_windows(self, number: int) -> list[str]:
        """Wait until so many are open; their names."""
        _wait(lambda: len(self.ask("GetWindowHandles")) == number)
        handles: list[str] = self.ask("GetWindowHandles")
        return handles

    def screenshot(self, name: str) -> None:
        """Keep what is seen, where somebody wants to look at it."""
        if folder := os.environ.get("SCREENSHOTS"):
            self.run("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
            picture = base64.b64decode(self.ask("TakeScreenshot", full=False))
            Path(folder, f"{type(self).__name__.lower()}-{name}.png").write_bytes(picture)


class Firefox(Engine):
    def __init__(self, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), 3 * PATIENCE_SECONDS) as connection:
            self._stream = connection.makefile("rwb")
        self._hear()
        self.begin()

    def ask(self, command: str, **parameters: Any) -> Any:
        told = json.dumps([0, 1, f"WebDriver:{command}", parameters]).encode()
        self._stream.write(b"%d:%s" % (len(told), told))
        self._stream.flush()
        _, _, error, answer = self._hear()
        if error:
            raise RefusedError(f"{error['error']}: {error['message']}")
        return answer.get("value", answer) if isinstance(answer, dict) else answer

    def _hear(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            length += self._stream.read(1)
        return json.loads(self._stream.read(int(length[:-1])))

    @classmethod
    @contextmanager
    def started(cls, program: str, folder: Path, dark: bool) -> Iterator[Engine]:
        """Without a window; its profile is in the folder."""
        settings = {
            "marionette.port": 0,
            "layout.css.prefers-color-scheme.content-override": 0 if dark else 1,
        }
        (folder / "user.js").write_text(
            "".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in settings.items())
        )
        command = [program, "--headless", "--marionette", "--no-remote", "--profile", str(folder)]
        # A window larger than this screen would be waited for.
        with _process(command, folder, {"MOZ_HEADLESS_WIDTH": "1280", "MOZ_HEADLESS_HEIGHT": "900"}):
            port = folder / "MarionetteActivePort"
            _wait(lambda: port.exists() and port.read_text())
            engine = cls(int(port.read_text()))
            with engine._stream:
                yield engine


class WebKit(Engine):
    def __init__(self, url: str) -> None:
        self._url = f"{url}/session"
        self.begin()

    def ask(self, command: str, **parameters: Any) -> Any:
        method, path = _ROUTES[command]
        answer = requests.request(
            method,
            self._url + path.format_map(parameters),
            json=parameters if method == "POST" else None,
            timeout=3 * PATIENCE_SECONDS,
        )
        value = answer.json()["value"]
        if not answer.ok:
            raise RefusedError(f"{value['error']}: {value['message']}")
        if command == "NewSession":
            self._url += f"/{value['sessionId']}"
        return value

    @classmethod
    @contextmanager
    def started(cls, program: str, folder: Path, dark: bool) -> Iterator[Engine]:
        """With a window, on a screen that nobody sees."""
        number, url = folder / "screen", f"http://127.0.0.1:{free_port()}"
        with number.open("wb") as written, ExitStack() as stack:
            command = ["Xvfb", "-displayfd", str(written.fileno()), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
            stack.enter_context(_process(command, folder, pass_fds=[written.fileno()]))
            _wait(lambda: number.read_text().endswith("\n"))
            variables = {
                "DISPLAY": f":{number.read_text().strip()}",
                "LANG": "en_GB.UTF-8",
                "GTK_THEME": "Adwaita:dark" if dark else "Adwaita",
            }
            stack.enter_context(_process([program, "-p", url.rpartition(":")[2]], folder, variables))
            _wait(lambda: _answers(f"{url}/status"))
            engine = cls(url)
            engine.ask("SetWindowRect", width=1280, height=900)
            yield engine
            engine.ask("DeleteSession")  # or its window would stay


@contextmanager
def _process(
    command: list[str], folder: Path, variables: Mapping[str, str] | None = None, pass_fds: Sequence[int] = ()
) -> Iterator[None]:
    """Something that runs meanwhile, at home in the folder."""
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, "HOME": str(folder), **(variables or {})},
            stdout=log,
            stderr=log,
            pass_fds=pass_fds,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def _wait(ready: Callable[[], object]) -> None:
    deadline = time.monotonic() + 2 * PATIENCE_SECONDS
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=10).ok
    except requests.ConnectionError:
        return False

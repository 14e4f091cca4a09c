"""What a room is told by its environment: the variables that more than one room reads, and how a wrong one is told."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from thumbstack.apps import AppKeys, Apps, read_app_keys, read_rules
from thumbstack.picture_key import is_segment
from thumbstack.presets import SHIPPED, read_presets

# With its scheme: what browsers are told begins with it.
Address = Annotated[str, Field(pattern=r"^https?://[^\s/]+(/\S*)?$")]
_SECURITY_KEY = re.compile(r"[A-Za-z0-9_-]{28,}")


def comma_separated(text: object) -> object:
    """``a,b`` as ["a", "b"]; what is no text is left for the type check."""
    return [part.strip() for part in text.split(",") if part.strip()] if isinstance(text, str) else text


class Settings(BaseSettings):
    """One field a variable of its name, or a file of its name in the folder that SECRETS_DIR names."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    # Newest first: it signs, all verify.
    security_keys: Annotated[tuple[str, ...], NoDecode, Field(min_length=1, repr=False)]
    api_keys: Annotated[tuple[AppKeys, ...], NoDecode, Field(repr=False)] = ()
    # The app that may be used without a key; only a laptop's profile sets it.
    open_app: str | None = None
    # {"<app>": {"types": [...], "keep_location": false, "upright": false, "hold": false}}
    app_rules: str = ""
    # Where the world reaches the service; without it, what the request says of itself.
    public_url: Address | None = None
    presets_file: Path = SHIPPED
    # The bucket of variants under readable names; without it there is no /m/.
    website_bucket: str | None = None
    # Where the world sees that bucket; without it, /website at the public address.
    website_url: Address | None = None

    @field_validator("security_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        return comma_separated(value)

    @field_validator("security_keys")
    @classmethod
    def _check_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(_SECURITY_KEY.fullmatch, keys)):
            raise ValueError("every key must be 28 or more of A-Z a-z 0-9 _ -")
        return keys

    @field_validator("api_keys", mode="before")
    @classmethod
    def _read_api_keys(cls, value: object) -> object:
        return read_app_keys(value) if isinstance(value, str) else value

    @field_validator("open_app")
    @classmethod
    def _check_open_app(cls, app: str | None) -> str | None:
        if app is not None and not is_segment(app):
            raise ValueError("must be lower case letters, digits, '.', '_' or '-'")
        return app

    @field_validator("app_rules")
    @classmethod
    def _check_rules(cls, text: str, known: ValidationInfo) -> str:
        apps = {pair.app for pair in known.data.get("api_keys", ())} | {known.data.get("open_app")}
        # Misspelt, a rule such as `hold` would be off without a word.
        strangers = sorted(read_rules(text).keys() - apps)
        if strangers and "api_keys" in known.data:
            raise ValueError(f"no API_KEYS entry has the app {', '.join(strangers)}")
        return text

    @field_validator("presets_file")
    @classmethod
    def _check_presets(cls, path: Path) -> Path:
        try:
            read_presets(path)
        except OSError as error:
            raise ValueError(f"{path.name} cannot be read: {error.strerror}") from None
        return path

    @classmethod
    def read(cls, room: str) -> Self:
        """Read the environment; where something is missing or wrong, end the process and name the variable."""
        try:
            return cls.load()
        except ValidationError as error:
            for problem in cls.problems(error):
                print(f"{room}: {problem}", file=sys.stderr)
            # 3 tells gunicorn's arbiter not to start the worker again.
            sys.exit(3)

    @classmethod
    def load(cls) -> Self:
        """Read the environment; raises ValidationError."""
        return cls(_secrets_dir=os.environ.get("SECRETS_DIR"))  # type: ignore[call-arg]

    @staticmethod
    def problems(error: ValidationError) -> Iterator[str]:
        """A sentence for each variable that is missing or wrong. Only where and what: a value may be a secret."""
        for problem in error.errors(include_input=False, include_url=False):
            variable = str(problem["loc"][0]).upper() if problem["loc"] else "configuration"
            what = "is not set" if problem["type"] == "missing" else f"is wrong: {problem['msg']}"
            yield f"{variable} {what}"

    def apps(self) -> Apps:
        """The apps and their keys; without any key and any open app nobody could do anything."""
        return Apps(self.api_keys, self.open_app)

    def presets(self) -> Mapping[str, str]:
        """The presets by name."""
        return read_presets(self.presets_file)

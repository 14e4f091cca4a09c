"""What the signer is told by its environment, beside what all rooms are told."""

from typing import Annotated

from pydantic import field_validator
from pydantic_settings import NoDecode

from thumbstack.options import read_options
from thumbstack.refusal import BadOptions
from thumbstack.settings import Settings


class Config(Settings):
    """ALLOWED_OPTIONS: option strings, parted by spaces, that /t/ serves beside the presets."""

    allowed_options: Annotated[tuple[str, ...], NoDecode] = ()

    @field_validator("allowed_options", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return value.split() if isinstance(value, str) else value

    @field_validator("allowed_options")
    @classmethod
    def _check(cls, allowed: tuple[str, ...]) -> tuple[str, ...]:
        for options in allowed:
            try:
                read_options(options)
            except BadOptions as refusal:
                raise ValueError(f"{options}: {refusal.sentence}") from None
        return allowed

"""What the uploader is told by its environment, beside what all rooms are told that take pictures in."""

from typing import Annotated, Self

from pydantic import field_validator, model_validator
from pydantic_settings import NoDecode

from thumbstack.intake_settings import IntakeSettings
from thumbstack.settings import comma_separated


class Config(IntakeSettings):
    """Sizes in bytes; servers as host:port."""

    max_request_bytes: int = 128 * 1024 * 1024
    signer_server: str | None = None
    # The edge, seen from here: what the website gets is rendered through it, once, whoever asks.
    edge_server: str | None = None
    # Presets that are rendered right after an upload.
    warm_presets: Annotated[tuple[str, ...], NoDecode] = ()

    @field_validator("warm_presets", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return comma_separated(value)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        unknown = set(self.warm_presets) - self.presets().keys()
        if unknown:
            raise ValueError(f"WARM_PRESETS names no preset: {', '.join(sorted(unknown))}")
        if self.website_bucket and not self.edge_server:
            raise ValueError("WEBSITE_BUCKET needs EDGE_SERVER")
        return self

"""What the uploader is told by its environment, beside what all rooms are told."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from thumbstack.apps import Rules, read_rules
from thumbstack.settings import Settings, comma_separated
from uploader.scanner import read_scanner


class Config(Settings):
    """Sizes in bytes; servers as host:port."""

    pictures_bucket: str
    results_bucket: str
    edge_cache: Path
    tombstones: Path
    s3_endpoint: str | None = None
    # The longest silence of S3 that is waited for.
    s3_patience_seconds: int = Field(default=10, ge=1)
    aws_region: str = "us-east-1"
    max_upload_bytes: int = 32 * 1024 * 1024
    max_request_bytes: int = 128 * 1024 * 1024
    thumbor_servers: Annotated[tuple[str, ...], NoDecode] = ()
    signer_server: str | None = None
    # The edge, seen from here: what the website gets is rendered through it, once, whoever asks.
    edge_server: str | None = None

    # What S3 itself says of a published picture; the edge says the same.
    cache_control: str = Field(default="public, max-age=31536000, immutable", pattern=r"^[A-Za-z0-9 ,=_-]+$")
    # Presets that are rendered right after an upload.
    warm_presets: Annotated[tuple[str, ...], NoDecode] = ()
    # clamd://host:3310, clamd:///socket, http(s)://..., or the path of a program; scanner.py
    scanner: str | None = None
    # For all apps that have no rule of their own.
    auto_orient_original: bool = False
    keep_location: bool = False
    # In each of two processes. A picture that is being decoded may take 0.6 GB, and a core.
    decodes_at_once: int = Field(default=1, ge=1)

    @field_validator("thumbor_servers", "warm_presets", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return comma_separated(value)

    @field_validator("scanner")
    @classmethod
    def _check_scanner(cls, address: str | None) -> str | None:
        read_scanner(address)
        return address

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        unknown = set(self.warm_presets) - self.presets().keys()
        if unknown:
            raise ValueError(f"WARM_PRESETS names no preset: {', '.join(sorted(unknown))}")
        if self.website_bucket and not self.edge_server:
            raise ValueError("WEBSITE_BUCKET needs EDGE_SERVER")
        return self

    def rules(self) -> Mapping[str, Rules]:
        """The rules of each app; those without an entry have the installation's."""
        everybody = Rules(keep_location=self.keep_location, upright=self.auto_orient_original)
        return defaultdict(lambda: everybody, read_rules(self.app_rules))

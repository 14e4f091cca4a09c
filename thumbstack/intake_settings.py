"""What the rooms that take pictures in are told by their environment, beside what all rooms are told."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from thumbstack.apps import Rules, read_rules
from thumbstack.scanner import read_scanner
from thumbstack.settings import Settings, comma_separated


class IntakeSettings(Settings):
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
    thumbor_servers: Annotated[tuple[str, ...], NoDecode] = ()
    # What S3 itself says of a published picture; the edge says the same.
    cache_control: str = Field(default="public, max-age=31536000, immutable", pattern=r"^[A-Za-z0-9 ,=_-]+$")
    # clamd://host:3310, clamd:///socket, http(s)://..., or the path of a program; scanner.py
    scanner: str | None = None
    # For all apps that have no rule of their own.
    auto_orient_original: bool = False
    keep_location: bool = False
    # In each process. A picture that is being decoded may take 0.6 GB, and a core.
    decodes_at_once: int = Field(default=1, ge=1)

    @field_validator("thumbor_servers", mode="before")
    @classmethod
    def _split_servers(cls, value: object) -> object:
        return comma_separated(value)

    @field_validator("scanner")
    @classmethod
    def _check_scanner(cls, address: str | None) -> str | None:
        read_scanner(address)
        return address

    def rules(self) -> Mapping[str, Rules]:
        """The rules of each app; those without an entry have the installation's."""
        everybody = Rules(keep_location=self.keep_location, upright=self.auto_orient_original)
        return defaultdict(lambda: everybody, read_rules(self.app_rules))

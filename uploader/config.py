"""What the uploader is told by its environment, beside what all rooms are told."""

from pathlib import Path
from typing import Annotated

from pydantic import field_validator
from pydantic_settings import NoDecode

from thumbstack.settings import Settings, comma_separated


class Config(Settings):
    """Sizes in bytes; servers as host:port."""

    pictures_bucket: str
    results_bucket: str
    edge_cache: Path
    tombstones: Path
    s3_endpoint: str | None = None
    aws_region: str = "us-east-1"
    max_upload_bytes: int = 32 * 1024 * 1024
    max_request_bytes: int = 128 * 1024 * 1024
    thumbor_servers: Annotated[tuple[str, ...], NoDecode] = ()
    signer_server: str | None = None

    @field_validator("thumbor_servers", mode="before")
    @classmethod
    def _split_servers(cls, value: object) -> object:
        return comma_separated(value)

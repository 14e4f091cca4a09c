"""What the signer is told by its environment, beside what all rooms are told."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from thumbstack.apps import Rules, read_rules
from thumbstack.options import read_options
from thumbstack.refusal import BadOptions
from thumbstack.settings import Address, Settings


class Config(Settings):
    """ALLOWED_OPTIONS: option strings, parted by spaces, that /t/ serves beside the presets."""

    allowed_options: Annotated[tuple[str, ...], NoDecode] = ()
    # host:port, asked for the size of a picture.
    uploader_server: str | None = None

    # Tickets: the bucket that they open, and with whose rights. Without keys, those of the instance's role.
    pictures_bucket: str
    aws_region: str = "us-east-1"
    aws_access_key_id: str | None = Field(default=None, repr=False)
    aws_secret_access_key: str | None = Field(default=None, repr=False)
    aws_session_token: str | None = Field(default=None, repr=False)
    # Where browsers post to, for example https://<bucket>.s3.<region>.amazonaws.com/; without it, our /direct.
    upload_url: Address | None = None
    # S3 itself trusts no signature for longer than a week.
    ticket_seconds: int = Field(default=3600, ge=1, le=7 * 24 * 3600)
    max_upload_bytes: int = Field(default=32 * 1024 * 1024, ge=1)

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

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if bool(self.aws_access_key_id) != bool(self.aws_secret_access_key):
            raise ValueError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are set together or not at all")
        return self

    def rules(self) -> Mapping[str, Rules]:
        """The rules of the apps that have their own."""
        return read_rules(self.app_rules)

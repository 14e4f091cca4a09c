"""What the curator is told by its environment: what the uploader is told, as far as both do the same."""

from pydantic import Field

from thumbstack.intake_settings import IntakeSettings


class Config(IntakeSettings):
    """One command is one process: it may decode as many pictures at a time as the uploader's two do."""

    decodes_at_once: int = Field(default=2, ge=1)
    # The edge, seen from here: doctor uploads a picture through it.
    edge_server: str | None = None

"""What the commands work with, and the app that is meant."""

from dataclasses import dataclass
from functools import cached_property

import click

from curator.config import Config
from thumbstack.buckets import Buckets, s3_client
from thumbstack.edge import Edge
from thumbstack.notices import Notices
from thumbstack.picture_key import is_segment

# Nobody waits at the other end: what a busy S3 refuses is asked again a few times, with pauses.
_ATTEMPTS = 5


@dataclass(frozen=True)
class Room:
    """Made by each command when it runs, so that ``--help`` needs no configuration."""

    config: Config

    @classmethod
    def open(cls) -> "Room":
        """Read the environment; where something is missing or wrong, end the process with 3 and name the variable."""
        return cls(Config.read("curator"))

    @cached_property
    def buckets(self) -> Buckets:
        """The buckets."""
        config = self.config
        return Buckets(
            s3_client(
                config.s3_endpoint,
                config.aws_region,
                patience_seconds=config.s3_patience_seconds,
                attempts=_ATTEMPTS,
            ),
            pictures=config.pictures_bucket,
            results=config.results_bucket,
            cache_control=config.cache_control,
            website=config.website_bucket,
        )

    @cached_property
    def edge(self) -> Edge:
        """The cache of the node that the curator is on."""
        config = self.config
        return Edge(config.edge_cache, config.tombstones, config.security_keys, config.presets())

    @cached_property
    def notices(self) -> Notices:
        """How the other nodes hear what is deleted here."""
        return Notices(self.buckets, self.edge)

    def app(self, name: str | None) -> str:
        """The app that is meant: the named one, or the only one that there is."""
        apps = sorted({pair.app for pair in self.config.api_keys} | {self.config.open_app or ""} - {""})
        if name is None and len(apps) == 1:
            return apps[0]
        if name is None:
            raise click.UsageError(f"Say which app is meant: --app {'|'.join(apps) or 'NAME'}")
        if not is_segment(name) or (apps and name not in apps):
            raise click.UsageError(f"There is no app {name!r}: API_KEYS and OPEN_APP name {', '.join(apps) or 'none'}.")
        return name

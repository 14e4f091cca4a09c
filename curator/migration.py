"""A picture's way here from elsewhere: the uploader's own intake, under a key that tells whether it is here already."""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, cast
from urllib.parse import unquote

from curator.flags import Flags
from curator.key_list import KeyList
from curator.renders import Renders
from curator.room import Room
from curator.sources import Found, Source, SourceTrouble
from curator.work import Outcome, Work
from thumbstack.inspection import Limits
from thumbstack.intake import Arrival, Intake, Seen
from thumbstack.options import read_options
from thumbstack.picture_key import PictureKey, folder_for, folder_prefix
from thumbstack.picture_type import split_name
from thumbstack.refusal import Missing, NoSuchPicture, Refused
from thumbstack.result_key import accepts, other_formats, result_format, result_key
from thumbstack.scanner import read_scanner

# As werkzeug does with uploads: smaller files stay in memory.
_SPOOLED_FROM_BYTES = 500_000
# The names that we give, and c2corg's backend gave: a time and a number that is never used twice.
_OWN_NAME = re.compile(r"\d{10}_[0-9a-z]+")
# A segment of a picture key has 255 bytes, with its extension.
_MAX_OWN = 200
# In the metadata: which version of what in the source it is.
_SOURCE = "source"


@dataclass(frozen=True)
class Target:
    """Where something found is to be stored: all but the extension, which only its bytes tell."""

    app: str
    folder: str
    name: str
    # The file's own name, where that is one that is never used twice.
    own: str | None
    # The name that follows from where it was found, and in which version.
    marked: str
    place_mark: str

    def is_same(self, file_stem: str) -> bool:
        """Whether a file in the folder is this very version."""
        return file_stem.partition("_")[2] == self.marked.partition("_")[2]

    def is_of_its_place(self, file_stem: str) -> bool:
        """Whether a file in the folder is this one, or an earlier version of it."""
        return file_stem == self.own or file_stem.partition("_")[2].startswith(self.place_mark)


class Migration:
    """One run."""

    def __init__(
        self,
        room: Room,
        work: Work,
        source: Source,
        app: str,
        presets: Mapping[str, str],
        mapping: KeyList,
        flags: Flags,
        *,
        path_names: bool,
    ) -> None:
        config = room.config
        self._room = room
        self._work = work
        self._source = source
        self._app = app
        # As signed: the presets' options in their one spelling.
        self._presets = {name: str(read_options(options)) for name, options in presets.items()}
        self._mapping = mapping
        self._flags = flags
        self._path_names = path_names
        self._renders = (
            Renders(config.thumbor_servers, config.security_keys[0]) if presets and not flags.dry_run else None
        )
        self._intake = Intake(
            room.buckets,
            read_scanner(config.scanner),
            Limits(max_bytes=config.max_upload_bytes),
            config.rules(),
            at_once=config.decodes_at_once,
        )

    def do(self, found: Found) -> tuple[Outcome, str]:
        """Bring one here, unless it is; says under which key."""
        if found.trouble:
            raise SourceTrouble(found.trouble)
        target = self._target(found)
        there, earlier = self._there(target)
        if there and not self._flags.force:
            self._mapping.write(found.path, str(there))
            self._render(there)
            return Outcome.SKIPPED, str(there)
        if self._flags.dry_run:
            # Its type is known when it is fetched.
            return Outcome.PROCESSED, f"{folder_prefix(target.app, target.folder)}{target.own or target.marked}.*"
        with tempfile.SpooledTemporaryFile(_SPOOLED_FROM_BYTES) as spool:
            picture, is_new = self._taken_in(found, target, there, earlier, cast(BinaryIO, spool))
        self._mapping.write(found.path, str(picture))
        self._render(picture, anew=self._flags.force)
        return Outcome.PROCESSED if is_new or self._flags.force else Outcome.SKIPPED, str(picture)

    def _target(self, found: Found) -> Target:
        kept = PictureKey.parse(found.path)
        name = found.name or (found.path.replace("/", "-") if self._path_names else found.path.rpartition("/")[2])
        stem, _ = split_name(name)
        if not stem:
            raise Missing("The file has no name.")
        folder = kept.folder if kept else folder_for(stem)
        own: str | None = kept.file.rpartition(".")[0] if kept else stem
        if not kept and not (_OWN_NAME.fullmatch(stem) and len(stem) < _MAX_OWN):
            own = None
        seconds = f"{found.seconds:010d}" if found.seconds > 0 else "0"
        return Target(self._app, folder, name, own, f"{seconds}_{found.mark}", found.place_mark)

    def _there(self, target: Target) -> tuple[PictureKey | None, list[PictureKey]]:
        """This very version, where it is here; else what may be earlier ones, or the same bytes."""
        earlier = []
        for picture in self._room.buckets.originals(folder_prefix(target.app, target.folder)):
            stem = picture.file.rpartition(".")[0]
            if target.is_same(stem):
                return picture, []
            if target.is_of_its_place(stem):
                earlier.append(picture)
        for picture in earlier:
            if self._metadata(picture).get(_SOURCE) == target.marked.partition("_")[2]:
                return picture, []
        return None, earlier

    def _taken_in(
        self, found: Found, target: Target, there: PictureKey | None, earlier: list[PictureKey], spool: BinaryIO
    ) -> tuple[PictureKey, bool]:
        """Fetch and inspect it, and store it unless its bytes are here; says under which key, and whether just now."""
        kept = self._source.fetch(found, spool, self._intake.max_bytes)
        spool.seek(0)
        # What another installation of ours says of it.
        name, note = (unquote(kept.get(of, "")) for of in ("name", "note"))
        seen = self._intake.inspect(Arrival(spool, name or target.name, note), target.app)
        seen.metadata[_SOURCE] = target.marked.partition("_")[2]
        if "crop" in kept:
            seen.metadata["crop"] = kept["crop"]
        for picture in [there] if there else earlier:
            if _is_same(self._metadata(picture), seen):
                return picture, False
        if there:
            raise Refused("It is here with other bytes, and what is published stays as it is: delete it first.")
        for stem in filter(None, (target.own, target.marked)):
            picture = PictureKey(target.app, target.folder, f"{stem}.{seen.facts.type.extension}")
            if self._intake.settle(picture, seen):
                self._show(picture)
                return picture, True
        raise Refused("Another picture is stored under its name: it was brought here twice at a time.")

    def _metadata(self, picture: PictureKey) -> Mapping[str, str]:
        try:
            return self._room.buckets.stored(str(picture)).metadata
        except NoSuchPicture:  # deleted meanwhile
            return {}

    def _show(self, picture: PictureKey) -> None:
        """Where it had been deleted here, nobody would be shown it under its key: tell all nodes that it is back."""
        if self._room.edge.is_buried(picture):
            self._room.notices.post_restored(picture)
            self._room.notices.show_again(picture)

    def _render(self, picture: PictureKey, *, anew: bool = False) -> None:
        """Have the presets rendered that are missing, or all."""
        if self._renders is None:
            return
        there = set() if anew else set(self._room.buckets.result_keys(f"{picture}/"))
        for options in self._presets.values():
            for accept in accepts(picture):
                likely = result_format(picture, options, accept), *other_formats(picture, options, accept)
                if not there.intersection(result_key(picture, options, extension) for extension in likely):
                    self._renders.anew(picture, options, accept)
                    self._work.count("rendered")


def _is_same(known: Mapping[str, str], seen: Seen) -> bool:
    """Whether what is stored came from the same bytes."""
    sent = seen.metadata.get("sha256-sent", seen.facts.sha256)
    return seen.facts.sha256 == known.get("sha256") or sent == known.get("sha256-sent")

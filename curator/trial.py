"""A picture of the doctor's own: up, shown in every format, down, and nothing is left."""

import io
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import requests
from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image

from curator.check import PATIENCE_SECONDS, Check, Verdict, asked, get, ok
from curator.config import Config
from curator.room import Room
from thumbstack.options import MAX_SIDE
from thumbstack.picture_key import PictureKey, folder_prefix
from thumbstack.picture_type import JPEG
from thumbstack.refusal import Refused
from thumbstack.signing import signed_path

# Of 7.8.0: https://github.com/thumbor/thumbor/releases
_SAFE_THUMBOR = (7, 8)


class Trial:
    """The way of one picture."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._config = room.config
        self._name = f"thumbstack-doctor-{secrets.token_hex(6)}"
        self._app, key = _who_may(self._config)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._address = f"http://{self._config.edge_server}"

    def checks(self) -> Iterator[Check]:
        """Each step; what was uploaded is deleted whatever comes between."""
        if not self._config.edge_server:
            yield Check("a picture's way", Verdict.UNKNOWN, "EDGE_SERVER is not set: no picture was uploaded.")
            return
        if not self._app:
            yield Check("a picture's way", Verdict.UNKNOWN, "No app takes JPEG: no picture was uploaded.")
            return
        prefix = folder_prefix(self._app, self._name)
        try:
            uploaded = self._upload()
            if isinstance(uploaded, str):
                yield Check("upload", Verdict.WRONG, uploaded)
                return
            yield Check("upload", Verdict.OK, "A picture was taken in and stored.")
            picture = PictureKey.parse(uploaded["key"])
            assert picture is not None  # noqa: S101 - the answer of our own room
            yield from self._shown(picture)
            yield from self._versions(picture)
            yield from self._bounds(picture)
            yield self._bomb(picture)
            yield self._delete(picture)
            yield self._left(prefix)
        except Refused as refusal:
            yield Check("a picture's way", Verdict.WRONG, refusal.sentence)
        finally:
            with suppress(requests.RequestException):
                requests.delete(
                    self._address, params={"name": self._name}, headers=self._headers, timeout=PATIENCE_SECONDS
                )
            self._forget_versions(prefix)

    def _upload(self) -> dict[str, Any] | str:
        """The entry of what was uploaded, or what is wrong."""
        try:
            answer = requests.post(
                f"{self._address}/",
                files={"file": (f"{self._name}.jpg", _turned())},
                headers=self._headers,
                timeout=PATIENCE_SECONDS,
            )
            told: dict[str, Any] = answer.json()
        except (requests.RequestException, ValueError):
            return "The service does not answer at EDGE_SERVER: is nginx up?"
        if answer.status_code != 201:
            return f"{answer.status_code}: {told.get('error', 'no reason')}"
        entry: dict[str, Any] = told["pictures"][0]
        return entry

    def _shown(self, picture: PictureKey) -> Iterator[Check]:
        options = "fit-in/16x16/filters:quality(90)"
        path = self._address + signed_path(picture, options, self._config.security_keys[0])
        wrong = []
        upright = None
        for accept, kind in (("image/avif", "AVIF"), ("image/webp", "WEBP"), ("image/jpeg", "JPEG")):
            answer = get(path, accept)
            if answer is None or not answer.ok:
                wrong.append(f"{accept}: {answer.status_code if answer is not None else 'no answer'}")
                continue
            with Image.open(io.BytesIO(answer.content)) as image:
                upright = image.height > image.width if upright in (None, True) else upright
                if image.format != kind:
                    wrong.append(f"{accept}: {image.format}")
        yield ok(
            "thumbnails",
            not wrong,
            "AVIF, WebP and JPEG, each to who takes it.",
            f"{', '.join(wrong)}: AUTO_AVIF and AUTO_WEBP, and the Accept header on its way to Thumbor.",
        )
        if upright is not None:
            yield ok(
                "orientation",
                upright,
                "Phones' photographs stand upright.",
                "Photographs lie on their side: RESPECT_ORIENTATION.",
            )
        again = get(path, "image/webp")
        cached = again.headers.get("X-Cache", "none") if again is not None else "no answer"
        yield ok("edge cache", cached == "HIT", "The second request was a hit.", f"X-Cache is {cached}: EDGE_CACHE.")

    def _versions(self, picture: PictureKey) -> Iterator[Check]:
        """Thumbor tells its version with what it renders, and with nothing else."""
        for server in self._config.thumbor_servers:
            answer = get(f"http://{server}{signed_path(picture, '16x16', self._config.security_keys[0])}")
            found = re.search(
                r"Thumbor/(\d+)\.(\d+)\S*", answer.headers.get("Server", "") if answer is not None else ""
            )
            name = f"thumbor {server}: version"
            if not found:
                yield Check(name, Verdict.UNKNOWN, "It does not tell its version.")
                continue
            is_safe = (int(found[1]), int(found[2])) >= _SAFE_THUMBOR
            yield ok(name, is_safe, f"{found[0]}.", f"{found[0]} has known holes: 7.8.0 or newer.")

    def _bounds(self, picture: PictureKey) -> Iterator[Check]:
        foreign = "http%3A//127.0.0.1%3A1/a.jpg"
        asked = {
            f"{MAX_SIDE + 1}x10": "A side of more than 4096 pixels",
            f"16x16/filters:watermark({foreign},0,0,0)": "A watermark of another host",
        }
        let = []
        for options, told in asked.items():
            answer = get(self._address + signed_path(picture, options, self._config.security_keys[0]))
            if answer is None or not 400 <= answer.status_code < 500:
                let.append(f"{told} is not refused.")
        yield ok("bounds", not let, "Sides above 4096 pixels and pictures of other hosts are refused.", " ".join(let))

    def _bomb(self, picture: PictureKey) -> Check:
        """A picture of more pixels than may be decoded, past the uploads' firewall."""
        if not self._config.thumbor_servers:
            return Check("bombs", Verdict.UNKNOWN, "THUMBOR_SERVERS is not set.")
        bomb = PictureKey(picture.app, picture.folder, f"1_{secrets.token_hex(8)}.png")
        out = io.BytesIO()
        Image.new("1", (7000, 7000)).save(out, "PNG")
        client = self._room.buckets.client
        code, _ = asked(
            lambda: client.put_object(
                Bucket=self._config.pictures_bucket, Key=str(bomb), Body=out.getvalue(), ContentType="image/png"
            )
        )
        if code:
            return Check("bombs", Verdict.WRONG, f"Nothing can be put into the bucket: {code}")
        path = signed_path(bomb, "10x10", self._config.security_keys[0])
        answer = get(f"http://{self._config.thumbor_servers[0]}{path}")
        self._room.buckets.delete_pictures([str(bomb)])
        refused = answer is not None and 400 <= answer.status_code < 500
        return ok("bombs", refused, "49 megapixels in 6 kB are not decoded.", "49 megapixels are decoded: MAX_PIXELS.")

    def _delete(self, picture: PictureKey) -> Check:
        path = self._address + signed_path(picture, "fit-in/16x16/filters:quality(90)", self._config.security_keys[0])
        try:
            answer = requests.delete(
                f"{self._address}/pictures/{picture}", headers=self._headers, timeout=PATIENCE_SECONDS
            )
        except requests.RequestException:
            return Check("delete", Verdict.WRONG, "It was not answered.")
        after = get(path, "image/webp")
        gone = after is not None and after.status_code in (404, 410)
        return ok(
            "delete",
            answer.ok and gone,
            "It is gone at once, also from the cache.",
            f"DELETE answers {answer.status_code}, and then the picture "
            f"{after.status_code if after is not None else 'nothing'}: do nginx and uploader share TOMBSTONES?",
        )

    def _left(self, prefix: str) -> Check:
        buckets = self._room.buckets
        left = [
            *(one.key for one in buckets.files(prefix)),
            *buckets.result_keys(prefix),
            *buckets.variant_keys(prefix),
        ]
        return ok("left over", not left, "Nothing, in no bucket.", f"{len(left)} objects under {prefix}")

    def _forget_versions(self, prefix: str) -> None:
        """Remove the old versions too, where that is allowed; else the bucket's rule does it in its time."""
        client, bucket = self._room.buckets.client, self._config.pictures_bucket
        with suppress(BotoCoreError, ClientError):
            found = client.list_object_versions(Bucket=bucket, Prefix=prefix)
            for one in (*found.get("Versions", ()), *found.get("DeleteMarkers", ())):
                client.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])


def _who_may(config: Config) -> tuple[str, str]:
    """An app that takes JPEG, and its private key; the open app needs none."""
    rules = config.rules()
    pairs = [(config.open_app or "", ""), *((pair.app, pair.private_key) for pair in config.api_keys)]
    takers = [(app, key) for app, key in pairs if app and (not rules[app].types or JPEG in rules[app].types)]
    return takers[0] if takers else ("", "")


def _turned() -> bytes:
    """A photograph as a phone stores it that was held upright: it lies on its side, and says so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.effect_noise((96, 48), 60).convert("RGB").save(out, "JPEG", exif=exif)
    return out.getvalue()

"""Decodes one HEIC in a process of its own: `python heic_child.py <max pixels> <max frames>`, the file on stdin.

Writes one line of JSON, {"width", "height", "frames"}, and behind it, unless that is too much already, the picture as a
small PNG. Imports nothing of ours, so that it needs no path. Only heic.py starts it.
"""

import io
import json
import resource
import sys

# HEVC of 40 megapixels takes a third of each; what a broken file asks for beyond them ends here, not in a worker.
_MAX_MEMORY, _MAX_CPU_SECONDS = 3 << 30, 30
_SIDE = 512


def main(max_pixels: int, max_frames: int) -> None:
    """Answer for the file on stdin."""
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_MAX_CPU_SECONDS, _MAX_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import pillow_heif  # after the limits, so that they hold for all that it does
    from PIL import Image

    heic = pillow_heif.open_heif(sys.stdin.buffer.read())
    width, height = heic.size
    out = sys.stdout.buffer
    out.write(json.dumps({"width": width, "height": height, "frames": len(heic)}).encode() + b"\n")
    if width * height <= max_pixels and len(heic) <= max_frames:
        image = heic.to_pillow()
        scale = min(1.0, _SIDE / max(width, height))
        small = image.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.NEAREST)
        png = io.BytesIO()
        small.convert("RGBA" if small.has_transparency_data else "RGB").save(png, "PNG")
        out.write(png.getvalue())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

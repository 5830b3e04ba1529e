"""Flow images, the recognizer's input: optical flow and strain from onset to apex, of clips and of corpora."""

from __future__ import annotations

import cv2
import numpy as np

from mmemo.errors import ArgumentError
from mmemo.micro.optical_flow import strain
from mmemo.micro.regions import FRAME, pixels

SIDE = 28
"""Side of a flow image in pixels, as in STSTNet (Liong et al. 2019) and in the composite of MEGC2019."""


def flow_image(flow: np.ndarray) -> np.ndarray:
    """The recognizer's input (3, 28, 28) float32 from the flow between onset and apex, (S, S, 2) on an aligned crop.

    Channels are u, v and the optical strain, of the part of the crop that the corpora show.
    """
    if flow.ndim != 3 or flow.shape[2] != 2 or flow.shape[0] != flow.shape[1]:
        raise ArgumentError(f"flow_image: expected a flow (S, S, 2), got {flow.shape}.")
    rows, columns = pixels(FRAME, flow.shape[0])
    channels = np.dstack([flow, strain(flow)])[rows, columns]
    small = cv2.resize(channels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(normalized(small[None])[0])


def normalized(images: np.ndarray) -> np.ndarray:
    """Bring flow images to one scale: (N, 28, 28, 3) of any scale in, (N, 3, 28, 28) float32 out.

    u and v lose their median, which the head moves by, and strain its mean; each channel is divided by its standard
    deviation. So it does not matter that the corpora's images were brought to 0 .. 255 channel by channel, and lost
    where their zero was.
    """
    values = images.astype(np.float32)
    middle = np.median(values, axis=(1, 2), keepdims=True)
    middle[..., 2] = values[..., 2:].mean(axis=(1, 2), keepdims=True)[..., 0]
    values = (values - middle) / (values.std(axis=(1, 2), keepdims=True) + 1e-6)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def mirrored(images: np.ndarray) -> np.ndarray:
    """The same faces seen in a mirror: (…, 3, 28, 28) turned left to right, u negated."""
    turned = np.flip(images, axis=-1).copy()
    turned[..., 0, :, :] *= -1
    return turned

"""The only package that opens or writes media; everything goes through PyAV, with real timestamps.

Times are seconds from the start of the file, from presentation timestamps; frames are RGB uint8, upright;
waveforms are mono float32 at 16 kHz. Only local files are opened: a playlist that names an address is refused.
"""

from mmemo.media.reading import (
    AudioStream,
    Cue,
    Damage,
    Frame,
    MediaInfo,
    SubtitleStream,
    VideoStream,
    cues,
    frames,
    probe,
    waveform,
    waveform_blocks,
)
from mmemo.media.writing import SoundOf, write_video

__all__ = [
    "AudioStream",
    "Cue",
    "Damage",
    "Frame",
    "MediaInfo",
    "SoundOf",
    "SubtitleStream",
    "VideoStream",
    "cues",
    "frames",
    "probe",
    "waveform",
    "waveform_blocks",
    "write_video",
]

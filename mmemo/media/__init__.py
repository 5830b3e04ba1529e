"""The only package that opens or writes media; everything goes through PyAV, with real timestamps.

Times are seconds from the first sample or picture of the file, from presentation timestamps; frames are RGB uint8,
upright, with square pixels; waveforms are mono float32 at 16 kHz. Only local files are opened: a playlist that names an
address is refused.
"""

from mmemo.media.channel_levels import ChannelLevels
from mmemo.media.container import Damage
from mmemo.media.info import AudioStream, MediaInfo, Track, VideoStream, probe
from mmemo.media.limits import LIMITS, Limits
from mmemo.media.sound import waveform, waveform_blocks
from mmemo.media.subtitles import Cue, cues
from mmemo.media.suffixes import AUDIO, IMAGE, VIDEO
from mmemo.media.video import MAX_SIDE, Frame, frames
from mmemo.media.writing import SoundOf, write_video

__all__ = [
    "AUDIO",
    "IMAGE",
    "LIMITS",
    "MAX_SIDE",
    "VIDEO",
    "AudioStream",
    "ChannelLevels",
    "Cue",
    "Damage",
    "Frame",
    "Limits",
    "MediaInfo",
    "SoundOf",
    "Track",
    "VideoStream",
    "cues",
    "frames",
    "probe",
    "waveform",
    "waveform_blocks",
    "write_video",
]

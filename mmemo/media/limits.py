"""How much one file may take: budgets that no real recording reaches, and that a damaged or hostile file does."""

from __future__ import annotations

from dataclasses import dataclass

from mmemo.evidence import Seconds


@dataclass(frozen=True)
class Limits:
    """Budgets of one media file; what exceeds one is refused with a `MediaError` before it takes time or memory.

    Attributes:
        still_pixels: of a picture that does not move. Decoding takes up to 11 bytes a pixel, so 1.1 GB.
        video_pixels: of a frame of video; 8K is 8192 x 4320. A decoder may hold 16 frames.
        sample_rate: of a sound track in Hz; the resampler's filter grows with it.
        free_seconds: a file of any size may last so long.
        bytes_per_second: a longer one must hold so many bytes for each second more. Speech at the lowest rate in use,
            of Codec 2, takes 88; timestamps that jump make files of a few bytes last for years.
        windows: of one analysis; a day takes 86,400 at the default hop of 1 s.
    """

    still_pixels: int = 100_000_000
    video_pixels: int = 8192 * 4320
    sample_rate: int = 1_000_000
    free_seconds: Seconds = 3600.0
    bytes_per_second: float = 16.0
    windows: int = 200_000

    def seconds(self, size: int) -> Seconds:
        """The longest time that a file of ``size`` bytes may last."""
        return self.free_seconds + size / self.bytes_per_second


LIMITS = Limits()

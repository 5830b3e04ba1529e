"""Suffixes of media files: what a folder is searched for, and what an upload may be."""

from __future__ import annotations

VIDEO = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".vob", ".ts", ".mts", ".m2ts", ".3gp", ".3g2",
    ".ogv", ".flv", ".f4v", ".wmv", ".asf", ".mxf", ".dv", ".gif",
)  # fmt: skip
AUDIO = (
    ".wav", ".mp3", ".mp2", ".m4a", ".m4b", ".aac", ".flac", ".ogg", ".oga", ".opus", ".wma", ".aiff", ".aif", ".au",
    ".caf", ".mka", ".weba", ".ac3", ".eac3", ".amr", ".w64", ".spx",
)  # fmt: skip
IMAGE = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2")

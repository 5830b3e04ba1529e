"""Exports of a result to tables, subtitles and annotation tools."""

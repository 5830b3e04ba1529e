"""Manifests from and to the formats of other tools. Each module names the packages it needs, if any."""

from mmemo.data.interchange.audformat_tables import read_audformat, write_audformat
from mmemo.data.interchange.emobox import read_emobox, write_emobox
from mmemo.data.interchange.frames import from_frame, to_frame
from mmemo.data.interchange.hugging_face import from_dataset, to_dataset
from mmemo.data.interchange.mmsa import read_mmsa_labels, write_mmsa_labels
from mmemo.data.interchange.mmsa_features import MmsaFeatures, read_mmsa_features, write_mmsa_features

__all__ = [
    "MmsaFeatures",
    "from_dataset",
    "from_frame",
    "read_audformat",
    "read_emobox",
    "read_mmsa_features",
    "read_mmsa_labels",
    "to_dataset",
    "to_frame",
    "write_audformat",
    "write_emobox",
    "write_mmsa_features",
    "write_mmsa_labels",
]

from .cache import FeatureCache as FeatureCache
from .checks.audit import audit as audit
from .checks.report import Audit as Audit
from .corpora import read_corpus as read_corpus
from .dataset import ClipDataset as ClipDataset, collate as collate
from .encoding import EncodedClips as EncodedClips, encode as encode
from .manifest import Manifest as Manifest
from .prepare import prepare as prepare
from .interchange.audformat_tables import read_audformat as read_audformat, write_audformat as write_audformat
from .interchange.emobox import read_emobox as read_emobox, write_emobox as write_emobox
from .interchange.frames import from_frame as from_frame, to_frame as to_frame
from .interchange.hugging_face import from_dataset as from_dataset, to_dataset as to_dataset
from .interchange.mmsa import read_mmsa_labels as read_mmsa_labels, write_mmsa_labels as write_mmsa_labels
from .interchange.mmsa_features import (
    MmsaFeatures as MmsaFeatures,
    read_mmsa_features as read_mmsa_features,
    write_mmsa_features as write_mmsa_features,
)

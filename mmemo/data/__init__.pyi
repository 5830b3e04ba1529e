from .cache import FeatureCache as FeatureCache
from .checks.audit import audit as audit
from .checks.report import Audit as Audit
from .corpora import read_corpus as read_corpus
from .dataset import ClipDataset as ClipDataset
from .dataset import collate as collate
from .encoding import EncodedClips as EncodedClips
from .encoding import encode as encode
from .interchange.audformat_tables import read_audformat as read_audformat
from .interchange.audformat_tables import write_audformat as write_audformat
from .interchange.emobox import read_emobox as read_emobox
from .interchange.emobox import write_emobox as write_emobox
from .interchange.frames import from_frame as from_frame
from .interchange.frames import to_frame as to_frame
from .interchange.hugging_face import from_dataset as from_dataset
from .interchange.hugging_face import to_dataset as to_dataset
from .interchange.mmsa import read_mmsa_labels as read_mmsa_labels
from .interchange.mmsa import write_mmsa_labels as write_mmsa_labels
from .interchange.mmsa_features import (
    MmsaFeatures as MmsaFeatures,
)
from .interchange.mmsa_features import (
    read_mmsa_features as read_mmsa_features,
)
from .interchange.mmsa_features import (
    write_mmsa_features as write_mmsa_features,
)
from .manifest import Manifest as Manifest
from .prepare import prepare as prepare

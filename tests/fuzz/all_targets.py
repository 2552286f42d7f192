"""Every target there is, in the order of a payment's path."""

from fuzz.answer_targets import EnrolAnswers, SyncAnswers
from fuzz.desk_targets import Cable, ControlSocket, LocalProtocol
from fuzz.document_targets import ConfigFile, KeysAndCertificates, ProgrammeDocument
from fuzz.file_targets import BackupFile, SyncFile
from fuzz.hub_targets import HubEndpoints
from fuzz.other_targets import IranSystem, Notices, RelayMessages
from fuzz.sadad_targets import Captures, SadadDatagrams, SadadLine, SadadMessages, SadadOverheard
from fuzz.target import Target
from fuzz.update_targets import UpdateFile
from fuzz.wire_targets import JournalRows, PackedRows, SyncRequests, SyncTalk

TARGETS: tuple[type[Target], ...] = (
    SadadLine, SadadMessages, SadadOverheard, SadadDatagrams, IranSystem, RelayMessages, LocalProtocol, Cable,
    ControlSocket, ConfigFile, ProgrammeDocument, JournalRows, PackedRows, SyncRequests, SyncAnswers,
    EnrolAnswers,
    HubEndpoints, SyncTalk, Notices, KeysAndCertificates, BackupFile, SyncFile,
    UpdateFile, Captures,
)  # fmt: skip

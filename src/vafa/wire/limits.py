"""How large anything on the wire may be. Both sides check; what is larger is refused before it is decoded."""

VERSION = 1  # of the messages; raised when an old side could not read a new one
ROWS_MAX = 1_000
ROW_BODY_BYTES_MAX = 128 * 1024
REQUEST_BYTES_MAX = 256 * 1024  # one request's body as it travels, hence compressed
ANSWER_BYTES_MAX = 256 * 1024  # one answer's body as it travels
CONTENT_BYTES_MAX = 4 * 1024 * 1024  # what a body may become when it is unpacked
NONCE_BYTES = 16
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
HASH_BYTES = 32

# What one answer brings down at most; the rest comes with the next (SyncAnswer.more).
PROGRAMMES_MAX = 20
FORGOTTEN_MAX = 200
MEMBERS_MAX = 1_000
MEMBER_TOKENS_MAX = 32
MESSAGES_MAX = 200
BRANCH_BYTES_MAX = 64 * 1024  # of rows a device lost, packed
BRANCHES_MAX = 20  # of them a device names what it has counted of; a device is restored now and then
TEXT_CHARS_MAX = 500
DOCUMENT_CHARS_MAX = 65_536

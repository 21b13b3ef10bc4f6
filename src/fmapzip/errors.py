"""The errors that fmapzip raises on purpose."""

from __future__ import annotations


class FmapzipError(Exception):
    """Base class of every error that fmapzip raises on purpose."""


class InvalidInput(FmapzipError, ValueError):
    """An argument has the right type but a value, shape or layout that cannot be used."""


class InvalidType(FmapzipError, TypeError):
    """An argument has the wrong type or dtype."""


class UnknownCodec(FmapzipError, LookupError):
    """No codec of that name or code is registered; the message lists those that are."""


class PlanMismatch(FmapzipError, ValueError):
    """A plan is missing, or is not the plan that a frame, a map or a model needs."""


class ReferenceMismatch(FmapzipError, ValueError):
    """A map that another one refers to is missing, or is not the one that it was encoded with."""


class MissingExtra(FmapzipError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""


class CaptureError(FmapzipError):
    """A model's feature maps cannot be found; the message says what was tried."""


class UnsupportedModel(FmapzipError):
    """A model file that cannot be imported; the message names the node or the output that it is about."""


class FrameError(FmapzipError, ValueError):
    """Bytes that are not a frame which this version can read."""


class CorruptFrame(FrameError):
    """Bytes that no encoder writes: wrong magic, checksum, lengths, reserved bits or coder state."""


class TruncatedFrame(FrameError):
    """The bytes end before the frame does."""


class UnsupportedVersion(FrameError):
    """A frame or file of a format version, or with a feature, that only a later release can read."""


class LimitExceeded(FrameError):
    """A header that asks for more than the caller's limits allow; nothing was allocated for it."""


class MissingCodec(FrameError, UnknownCodec):
    """A frame names a codec that this installation does not have."""


class InvalidPlan(FmapzipError, ValueError):
    """Bytes or JSON that are not a plan: wrong magic, hash, fields or tables."""


class CorruptArchive(FmapzipError, ValueError):
    """A file that is not an archive, or whose records contradict each other or their checksums."""


class ServiceError(FmapzipError):
    """A server did not give an output; the message says why."""


class Unreachable(ServiceError, ConnectionError):
    """A server cannot be reached, or went away more often than was to be tried."""


class Refused(ServiceError, PermissionError):
    """A server does not serve this client: a wrong token, or more than its limits allow."""


class DeadlineExceeded(ServiceError, TimeoutError):
    """No output came in the time that the caller gave."""

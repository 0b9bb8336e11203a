# SPDX-License-Identifier: Apache-2.0
import enum
import sys
from types import TracebackType
from typing import (
    Any,
    Dict,
    Iterable,
    List,
    Mapping,
    Optional,
    SupportsFloat,
    SupportsIndex,
    Tuple,
    Type,
    TypeVar,
    Union,
    final,
)

if sys.version_info >= (3, 12):
    from collections.abc import Buffer
else:
    from typing_extensions import Buffer

_Message = Union[Buffer, Tuple[Buffer], Tuple[Buffer, SupportsIndex], Tuple[Buffer, SupportsIndex, SupportsIndex]]
_Option = Union[str, SupportsIndex, bool, None]
_Self = TypeVar("_Self", bound="Queue")

__all__ = [
    "BadHandler",
    "Cancelled",
    "Completion",
    "DeviceLost",
    "Error",
    "Failed",
    "Full",
    "InvalidOption",
    "Malformed",
    "NoBackend",
    "NoDevice",
    "NoHandler",
    "NoMemory",
    "Queue",
    "ResultTooLarge",
    "ShutDown",
    "Status",
    "SystemCallFailed",
    "Timeout",
    "TooLarge",
    "UnknownId",
    "UnknownOption",
    "WrongProcess",
    "handlers",
    "info",
    "options",
    "version",
]

version: str
__version__: str

class Status(enum.IntEnum):
    OK = 0
    AGAIN = 1
    TIMEOUT = 2
    FULL = 3
    TOO_SMALL = 4
    FAILED = 5
    CANCELLED = 6
    UNKNOWN_ID = 7
    TOO_LARGE = 8
    RESULT_TOO_LARGE = 9
    SHUT_DOWN = 10
    INVALID = 11
    NO_HANDLER = 12
    NO_BACKEND = 13
    NO_DEVICE = 14
    DEVICE_LOST = 15
    NO_MEMORY = 16
    SYSTEM = 17
    MALFORMED = 18
    BAD_HANDLER = 19

class Error(Exception):
    status: Optional[Status]

class Timeout(Error, TimeoutError): ...
class Full(Error): ...

class Failed(Error):
    code: Optional[int]
    attempts: Optional[int]

class Cancelled(Error): ...
class UnknownId(Error, KeyError): ...
class TooLarge(Error, ValueError): ...
class ResultTooLarge(Error): ...
class ShutDown(Error): ...
class InvalidOption(Error, ValueError): ...
class UnknownOption(InvalidOption, TypeError): ...
class NoHandler(Error, ValueError): ...
class NoBackend(Error): ...
class NoDevice(Error): ...
class DeviceLost(Error): ...
class NoMemory(Error, MemoryError): ...
class SystemCallFailed(Error, OSError): ...
class Malformed(Error): ...
class BadHandler(Error, ValueError): ...
class WrongProcess(Error): ...

@final
class Completion(Tuple[int, int, int, Status, Optional[bytes], int, int]):
    @property
    def id(self) -> int: ...
    @property
    def tag(self) -> int: ...
    @property
    def key(self) -> int: ...
    @property
    def status(self) -> Status: ...
    @property
    def data(self) -> Optional[bytes]: ...
    @property
    def code(self) -> int: ...
    @property
    def attempts(self) -> int: ...

class Queue:
    def __init__(
        self,
        handler: str = ...,
        *,
        args: Optional[Mapping[str, object]] = ...,
        backend: _Option = ...,
        device: _Option = ...,
        scope: _Option = ...,
        capacity: _Option = ...,
        cell_bytes: _Option = ...,
        max_message_bytes: _Option = ...,
        max_result_bytes: _Option = ...,
        arena_bytes: _Option = ...,
        lanes: _Option = ...,
        sms: _Option = ...,
        workers: _Option = ...,
        park_us: _Option = ...,
        attempts: _Option = ...,
        timeout_ms: _Option = ...,
        ordered: _Option = ...,
        stall_ms: _Option = ...,
        state: _Option = ...,
        state_bytes: _Option = ...,
        guard: _Option = ...,
        handler_flags: _Option = ...,
        toolkit: _Option = ...,
    ) -> None: ...
    @property
    def describe(self) -> str: ...
    @property
    def backend(self) -> str: ...
    @property
    def closed(self) -> bool: ...
    def enqueue(
        self,
        data: Buffer,
        *,
        key: SupportsIndex = ...,
        tag: SupportsIndex = ...,
        timeout: Optional[SupportsFloat] = ...,
        result_bytes: SupportsIndex = ...,
    ) -> int: ...
    def enqueue_batch(
        self,
        messages: Iterable[_Message],
        *,
        key: SupportsIndex = ...,
        tag: SupportsIndex = ...,
        timeout: Optional[SupportsFloat] = ...,
        result_bytes: SupportsIndex = ...,
    ) -> List[int]: ...
    def try_dequeue_result(self, id: SupportsIndex, /) -> Optional[bytes]: ...
    def result(self, id: SupportsIndex, timeout: Optional[SupportsFloat] = ...) -> bytes: ...
    def poll(self, max: SupportsIndex = ...) -> List[Completion]: ...
    def wait(self, max: SupportsIndex = ..., timeout: Optional[SupportsFloat] = ...) -> List[Completion]: ...
    def cancel(self, id: SupportsIndex, /) -> bool: ...
    def drain(self, timeout: Optional[SupportsFloat] = ...) -> None: ...
    def stats(self) -> Dict[str, Any]: ...
    def shutdown(self, timeout: Optional[SupportsFloat] = ...) -> None: ...
    def fileno(self) -> int: ...
    def __enter__(self: _Self) -> _Self: ...
    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
        /,
    ) -> None: ...

def handlers() -> List[Dict[str, str]]: ...
def options() -> List[Dict[str, str]]: ...
def info() -> Dict[str, Any]: ...

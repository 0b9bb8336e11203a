# SPDX-License-Identifier: Apache-2.0
"""A message queue whose consumers live on the GPU.

    with gpuqueue.Queue("sha256") as queue:
        ids = queue.enqueue_batch([b"abc", b"def"])
        digests = [queue.result(id) for id in ids]

The queue runs on CPU threads where there is no usable GPU; queue.describe says
which it is and why. See help(gpuqueue.Queue) and gpuqueue.options().
"""

from gpuqueue._gpuqueue import (
    BadHandler,
    Cancelled,
    Completion,
    DeviceLost,
    Error,
    Failed,
    Full,
    InvalidOption,
    Malformed,
    NoBackend,
    NoDevice,
    NoHandler,
    NoMemory,
    Queue,
    ResultTooLarge,
    ShutDown,
    Status,
    SystemCallFailed,
    Timeout,
    TooLarge,
    UnknownId,
    UnknownOption,
    WrongProcess,
    handlers,
    info,
    options,
    version,
)

__version__ = version

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

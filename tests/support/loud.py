"""`python -m tests.support.loud MODULE` runs a process of Daveslist. On SIGUSR1 each logger in it logs $LOUD_TOKEN.

The loggers do so in every way that a library may: in a message, arguments, fields, exceptions and their causes, reprs,
stacks, warnings and prints. Then the process prints `loud`, the number of loggers, and their names.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from types import FrameType


def every_logger() -> list[logging.Logger]:
    return [one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)]


def be_loud(_number: int = 0, _frame: FrameType | None = None) -> None:
    token = os.environ["LOUD_TOKEN"]
    loggers = every_logger()
    for logger in loggers:
        assert logger.isEnabledFor(logging.DEBUG), logger.name
        assert not logger.handlers, logger.name
        assert logger.propagate, logger.name
        _write(logger, token)
    _write(logging.getLogger(), token)
    print(f"a print of {token}", file=sys.stderr)
    warnings.warn(f"a warning of {token}", stacklevel=1)
    try:
        raise ValueError(token)
    except ValueError:
        traceback.print_exc()
    thread = threading.Thread(target=_fail, args=(token,))
    thread.start()
    thread.join()
    loop = asyncio.get_running_loop()
    loop.call_exception_handler({"message": "a failure", "what": token, "exception": OSError(token)})
    _lost = loop.create_task(_fails(token), name=token)
    del _lost
    print(f"loud {len(loggers)} {' '.join(sorted(logger.name for logger in loggers))}", flush=True)


def _write(logger: logging.Logger, token: str) -> None:
    logger.debug("loud at debug: " + token)
    logger.info("loud: %s %r", token, token.encode(), extra={"fields": {"value": token, token: [token, {"a": token}]}})
    logger.warning("offers %r", ["phoenix", token], stack_info=True)
    logger.error("wrong arguments %d", token)
    try:
        try:
            raise KeyError(token)
        except KeyError as error:
            raise RuntimeError(f"GET /socket?token={token}") from error
    except RuntimeError:
        logger.exception("loud failure")


def _fail(token: str) -> None:
    raise RuntimeError(token)


async def _fails(token: str) -> None:
    raise RuntimeError(token)


def main() -> int:
    name = sys.argv.pop(1)
    # The command imports this module where it serves.
    module = importlib.import_module(f"{name}.server")
    serve = module.serve

    async def loud_serve(*arguments: object) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, be_loud)
        await serve(*arguments)

    module.serve = loud_serve  # type: ignore[attr-defined]
    code: int = importlib.import_module(f"{name}.__main__").main()
    return code


if __name__ == "__main__":
    sys.exit(main())

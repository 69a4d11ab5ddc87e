"""What a loop is answered for one of many jobs, and is no refusal but a mistake of ours, is told in the log."""

import logging
from collections.abc import Iterable

from sidecar.core.errors import SidecarError
from sidecar.ports import Written

logger = logging.getLogger(__name__)


def tell_mistakes(answers: Iterable[Written | Exception]) -> None:
    """Log each mistake with its traceback; the other jobs are not held up by it."""
    for answer in answers:
        if isinstance(answer, Exception) and not isinstance(answer, SidecarError):
            logger.error("a job could not be changed, by a mistake of ours", exc_info=answer)

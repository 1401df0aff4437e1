"""What a running mtabounce says itself of its parts: it may see less than who runs the doctor."""

import json
from collections.abc import Iterator

from mtabounce.doctor._asking import answer
from mtabounce.doctor._check import READERS, Check, Finding, Level, Patient

_TITLE = "service"
_LOG = "see what it logs, such as by: journalctl -u mtabounce"


def _run(patient: Patient) -> Iterator[Finding]:
    http = patient.given().http
    is_tls = http.tls_certificate_file is not None
    said = answer(http.listen, b"GET /readyz HTTP/1.0\r\n\r\n", is_tls=is_tls)
    try:
        told = json.loads(said.partition(b"\r\n\r\n")[2])
        ills = {**told["troubles"], **told["ailments"]}
    except (ValueError, KeyError, TypeError):
        return  # none runs there, as the check of the ports tells
    for part, ill in ills.items():
        mend = READERS if "Permission denied" in ill else _LOG
        yield Finding(_TITLE, Level.FAIL, f"{part}: {ill}", mend)
    if not ills:
        yield Finding(_TITLE, Level.OK, "the running mtabounce says that all its parts are well")


CHECK = Check(title=_TITLE, rank=45, run=_run)

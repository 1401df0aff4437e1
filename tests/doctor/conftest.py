"""A DNS server on loopback, and settings in a file."""

import socket
from collections.abc import Iterator
from threading import Thread

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from mtabounce.config import ListenAddress

ZONE = {
    ("bounces.example.org", "MX"): ["20 mx2.example.org.", "10 mx1.example.org."],
    ("mx1.example.org", "A"): ["192.0.2.1"],
    ("mx1.example.org", "AAAA"): ["2001:db8::1"],
    ("mx2.example.org", "A"): ["192.0.2.2"],
    ("null.example.org", "MX"): ["0 ."],
    ("lost.example.org", "MX"): ["10 gone.example.org."],
    ("implicit.example.org", "A"): ["192.0.2.3"],
}


@pytest.fixture
def resolver() -> Iterator[ListenAddress]:
    """A DNS server that knows ZONE, and is silent about silent.example.org."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        address = server.getsockname()
        thread = Thread(target=answer_all, args=[server])
        thread.start()
        yield ListenAddress(*address)
        server.sendto(b"", address)
        thread.join()


def answer_all(server: socket.socket) -> None:
    while received := server.recvfrom(4096):
        content, client = received
        if not content:
            return
        query = dns.message.from_wire(content)
        if "silent" not in str(query.question[0].name):
            server.sendto(answer_to(query).to_wire(), client)


def answer_to(query: dns.message.Message) -> dns.message.Message:
    (question,) = query.question
    name, kind = question.name.to_text(omit_final_dot=True), question.rdtype.name
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.RA
    if records := ZONE.get((name, kind)):
        answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *records))
    elif not any(known == name for known, _ in ZONE):
        answer.set_rcode(dns.rcode.NXDOMAIN)
    return answer

"""The byte walk over a mail finds what the standard library's parser finds."""

import email
import random
from email.message import Message as Slow
from pathlib import Path

import pytest

from mtabounce.mime import Message, unify_line_ends

FIXTURES = Path(__file__).parents[2] / "fixtures" / "dsn"
MAILS = sorted(FIXTURES.glob("*/*/message.eml"))
MUTANTS = 4  # of each mail


def leaves(mail: Slow) -> list[tuple[str, bytes]]:
    """Return type and decoded body of each leaf; an embedded mail is one, by its whole text."""
    if mail.is_multipart() and mail.get_content_maintype() == "multipart":
        return [leaf for part in mail.get_payload() for leaf in leaves(part)]
    if isinstance(mail.get_payload(), list):  # message/*: parsed further than we do
        return [(mail.get_content_type(), b"")]
    return [(mail.get_content_type(), mail.get_payload(decode=True))]


def slowly(content: bytes) -> list[tuple[str, bytes]]:
    return [(kind, tidy(body)) for kind, body in leaves(email.message_from_bytes(content))]


def quickly(content: bytes) -> list[tuple[str, bytes]]:
    parts = Message(content).parts
    return [(p.type, b"" if p.type.startswith("message/") else tidy(p.data)) for p in parts]


def tidy(body: bytes) -> bytes:
    return unify_line_ends(body).strip(b"\n")


def without_messages(found: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Return *found* with no more than the types of message/*: email parses those further."""
    return [(kind, b"" if kind.startswith("message/") else body) for kind, body in found]


def mutant(chance: random.Random, content: bytes) -> bytes:
    """Return *content* with three lines of its parts' bodies changed."""
    lines = content.split(b"\n")
    start = lines.index(b"\r" if b"\r" in lines else b"")
    free = [n for n in range(start + 1, len(lines)) if is_plain(lines, n)]
    for number in chance.sample(free, min(3, len(free))):
        lines[number] = chance.choice(
            [lines[number] * 2, b"=41 changed", b"-- \xff\x00", b" folded"]
        )
    return b"\n".join(lines)


def is_plain(lines: list[bytes], number: int) -> bool:
    near = b"".join(lines[number - 1 : number + 2])
    return (
        not any(sign in near for sign in (b"--", b":", b"\r\r")) and b" " in lines[number].strip()
    )


@pytest.mark.parametrize("path", MAILS, ids=lambda path: f"{path.parts[-3]}/{path.parts[-2]}")
def test_parts_are_those_of_the_standard_library(path):
    content = path.read_bytes()
    chance = random.Random(path.parent.name)  # noqa: S311 (no secrets here)
    shapes = [content, unify_line_ends(content)]
    shapes.append(shapes[1].replace(b"\n", b"\r\n"))
    shapes += [mutant(chance, shape) for shape in shapes for _ in range(MUTANTS)]

    for shape in shapes:
        assert without_messages(quickly(shape)) == without_messages(slowly(shape))


@pytest.mark.parametrize("path", MAILS, ids=lambda path: f"{path.parts[-3]}/{path.parts[-2]}")
def test_headers_are_those_of_the_standard_library(path):
    content = path.read_bytes()
    slow = email.message_from_bytes(unify_line_ends(content))
    quick = Message(content).headers

    for name in set(slow):
        raw = [value.strip() for value in quick.all_raw(name.lower().encode())]
        assert [one.decode("utf-8", "replace") for one in raw] == [
            str(value).strip() for value in slow.get_all(name)
        ]

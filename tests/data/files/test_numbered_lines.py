from __future__ import annotations

import pytest

from unconfound.data.files.numbered_lines import numbered, text_lines


def test_lines_by_their_numbers(tmp_path):
    path = tmp_path / "images.txt"
    path.write_bytes("2 a/b c.jpg\r\n\r\n1 d\x1ce\u2028f.jpg\n".encode())
    assert numbered(path) == {2: "a/b c.jpg", 1: "d\x1ce\u2028f.jpg"}
    assert text_lines(path) == ["2 a/b c.jpg", "", "1 d\x1ce\u2028f.jpg"]
    path.write_text("")
    assert text_lines(path) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1 a\n2 b\0\0\0c\n", r"images.txt, line 2 holds a NUL character, so it is damaged .*: unpack it anew"),
        (b"1 a\n2 caf\xe9\n", r"images.txt is damaged: .*; unpack it anew"),
        (b"1 a\ntwo b\n", r"images.txt, line 2 is 'two b'"),
        (b"1 a\n2\n", r"images.txt, line 2 is '2'"),
        (b"1 a\n1 b\n", r"images.txt, line 2 has the number 1 a second time"),
        (b"\n", r"images.txt is empty"),
    ],
)
def test_damaged_lists_are_refused(tmp_path, content, message):
    path = tmp_path / "images.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as raised:
        numbered(path)
    assert "\n" not in str(raised.value)

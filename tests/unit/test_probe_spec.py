"""The notation of probes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.errors import UsageError
from explorer.session.probe_spec import ProbeKind, ProbeSpec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("do_sys_openat2", ProbeSpec("do_sys_openat2")),
        ("do_sys_openat2%return", ProbeSpec("do_sys_openat2", kind=ProbeKind.RETURN)),
        ("vfs_read+0x1f", ProbeSpec("vfs_read", offset=0x1F)),
        ("vfs_read+31", ProbeSpec("vfs_read", offset=31)),
        ("0xffffffff812a5678", ProbeSpec("", address=0xFFFFFFFF812A5678)),
        ("ext4:ext4_file_open", ProbeSpec("ext4_file_open", module="ext4")),
        ("ext4:ext4_file_open%return", ProbeSpec("ext4_file_open", module="ext4", kind=ProbeKind.RETURN)),
        ("foo.isra.0", ProbeSpec("foo.isra.0")),
    ],
)
def test_every_form_is_read_and_written(text: str, spec: ProbeSpec) -> None:
    assert ProbeSpec.parse(text) == spec
    assert ProbeSpec.parse(str(spec)) == spec


@pytest.mark.parametrize(
    "text", ["", "a b", "vfs_read+", "vfs_read-1", "a\nb", "x%ret", "0x", "0x1ffffffffffffffff", ":x"]
)
def test_anything_else_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        ProbeSpec.parse(text)
    assert "do_sys_openat2%return" in caught.value.hint


def test_the_return_of_an_offset_is_refused() -> None:
    with pytest.raises(UsageError, match="no offset"):
        ProbeSpec.parse("vfs_read+4%return")


@given(st.text())
def test_garbage_is_a_probe_or_an_error(text: str) -> None:
    try:
        spec = ProbeSpec.parse(text)
    except UsageError:
        return
    assert ProbeSpec.parse(str(spec)) == spec

"""virtiofsd's socket and options."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from explorer.lab import sharing
from explorer.lab.errors import LabError
from symbols.errors import Category


@pytest.mark.parametrize("length", [0, 150], ids=["", "longer-than-a-socket-path"])
def test_the_socket_is_connected_and_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    directory = tmp_path / ("d" * length)
    directory.mkdir(exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    listener, client = sharing.connected_listener()
    with listener, client:
        assert list(directory.iterdir()) == []
        server, _ = listener.accept()
        with server:
            client.sendall(b"hello")
            assert server.recv(10) == b"hello"


def test_each_virtiofsd_gets_its_own_options() -> None:
    old = sharing.options(Path("/usr/lib/qemu/virtiofsd"), 7, root=True)
    new = sharing.options(Path("/usr/libexec/virtiofsd"), 7, root=True)
    assert "--fd=7" in old
    assert "source=/" in old
    assert "cache=always" in old
    assert "--fd=7" in new
    assert "--shared-dir=/" in new
    assert "--cache=always" in new
    assert "-o" not in new


def test_without_root_no_limit_is_raised() -> None:
    assert "--rlimit-nofile=0" in sharing.options(Path("/usr/libexec/virtiofsd"), 7, root=False)


def test_a_user_in_a_group_is_told_at_once_that_the_old_program_needs_root() -> None:
    old, new = Path("/usr/lib/qemu/virtiofsd"), Path("/usr/libexec/virtiofsd")
    with pytest.raises(LabError, match="needs root") as refused:
        sharing.require_rights(old, root=False, groups=[1000])
    assert refused.value.category is Category.NOT_PERMITTED
    assert "sudo" in refused.value.hint
    sharing.require_rights(old, root=True, groups=[0])
    sharing.require_rights(old, root=False, groups=[])
    sharing.require_rights(new, root=False, groups=[1000])

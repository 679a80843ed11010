"""Giving up root: under sudo, everything but the agent runs as the person who called."""

from __future__ import annotations

import os
import pwd
import sys

from symbols.errors import Category, KexploreError


def drop_to_caller() -> None:
    """Become the user who called sudo, for good; does nothing unless root through sudo.

    Configuration, exports and screenshots then belong to that user, and nothing but the agent holds privilege.

    Raises:
        KexploreError: That user cannot read the program, which still has to import most of itself.
    """
    user_id = os.environ.get("SUDO_UID", "")
    if os.geteuid() != 0 or not user_id.isdecimal() or int(user_id) == 0:
        return
    account = pwd.getpwuid(int(user_id))
    folders = [place for place in sys.path if os.path.isdir(place)]
    os.initgroups(account.pw_name, account.pw_gid)
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    for folder in folders:
        if not os.access(folder, os.R_OK | os.X_OK):
            raise KexploreError(
                f"kexplore gives up root under sudo, and {account.pw_name} cannot read {folder}",
                "install kexplore where everybody can read it, or run it from a shell of root",
                Category.NOT_PERMITTED,
            )
    os.environ["HOME"] = account.pw_dir
    os.environ["USER"] = os.environ["LOGNAME"] = account.pw_name
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        os.environ.pop(name, None)  # root's, not the caller's

from __future__ import annotations

import pwd

import pytest

from stylebank.bank import Bank
from stylebank.errors import UsageError


def test_a_user_without_a_home_is_asked_for_a_bank(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise KeyError("uid not found")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for variable in ("HOME", "XDG_DATA_HOME", "STYLEBANK_BANK"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UsageError, match=r"no home folder, and so no bank by default. Set STYLEBANK_BANK or HOME"):
        Bank()
    with pytest.raises(UsageError, match=r"^~/bank: no home folder is known for it"):
        Bank("~/bank")
    monkeypatch.setenv("STYLEBANK_BANK", "/srv/bank")
    assert str(Bank().folder) == "/srv/bank"

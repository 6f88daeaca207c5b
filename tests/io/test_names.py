from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosart.errors import InputError
from mosart.io.names import classify, parse_date, parse_pair


@given(st.dates(min_value=dt.date(1000, 1, 1)))
def test_every_day_of_the_calendar_is_read_back(day: dt.date) -> None:
    assert classify(f"{day:%Y%m%d}") == "date"
    assert parse_date(f"{day:%Y%m%d}") == day


@given(st.text(alphabet="0123456789", min_size=8, max_size=8))
def test_eight_digits_are_a_date_or_impossible(name: str) -> None:
    kind = classify(name)
    try:
        day = dt.date(int(name[:4]), int(name[4:6]), int(name[6:]))
    except ValueError:
        assert kind == "impossible"
        with pytest.raises(InputError, match="calendar"):
            parse_date(name)
    else:
        assert (kind, parse_date(name)) == ("date", day)


@given(st.text(max_size=12))
def test_any_name_has_a_kind(name: str) -> None:
    kind = classify(name)
    if kind != "date":
        with pytest.raises(InputError):
            parse_date(name)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("20230230", "impossible"),
        ("2023011", "misspelt"),
        ("202301155", "misspelt"),
        ("2023-01-06", "misspelt"),
        ("2023_1_6", "misspelt"),
        ("06.01.2023", "misspelt"),
        ("20230106T120000", "misspelt"),
        (" 20230106", "misspelt"),
        ("amp12345678", "other"),
        ("123456", "other"),
        ("1234567890", "other"),
        ("٢٠٢٣٠١٠٦", "other"),
        ("dem", "other"),
        ("20190115_20190206", "pair"),
        ("20190115_20190230", "impossible"),
    ],
)
def test_kinds(name: str, kind: str) -> None:
    assert classify(name) == kind


def test_pairs() -> None:
    assert parse_pair("20190115_20190206") == (dt.date(2019, 1, 15), dt.date(2019, 2, 6))
    with pytest.raises(InputError, match="pair"):
        parse_pair("20190115")

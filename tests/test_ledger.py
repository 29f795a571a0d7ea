"""The ledger survives what a crash does to a file, and belongs to one configuration."""

import json

import pytest

from autoreg.errors import StudyError
from autoreg.ledger import Ledger, locked

HEADER = {"study": "s", "configuration": "c", "data": "d"}


def test_records_come_back_in_order(tmp_path):
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger.open(path, HEADER)
    for number in range(3):
        ledger.append("round", {"round": number, "seconds": 0.1 + number})
    assert Ledger.open(path, HEADER).records == ledger.records
    assert [record["round"] for record in Ledger.open(path, HEADER).of("round")] == [0, 1, 2]


@pytest.mark.parametrize("cut", range(1, 30, 4))
def test_a_torn_last_line_is_cut_off_wherever_it_was_torn(tmp_path, cut):
    path = tmp_path / "ledger.jsonl"
    Ledger.open(path, HEADER).append("round", {"round": 0, "seconds": 0.1})
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    ledger = Ledger.open(path, HEADER)
    assert [record["kind"] for record in ledger.records] == ["study"]
    ledger.append("round", {"round": 0, "seconds": 0.1})
    assert path.read_bytes() == whole


def test_a_torn_header_begins_anew(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'{"kind":"stu')
    assert [record["kind"] for record in Ledger.open(path, HEADER).records] == ["study"]
    assert len(path.read_text().splitlines()) == 1


def test_damage_in_the_middle_is_an_error_with_its_line(tmp_path):
    path = tmp_path / "ledger.jsonl"
    Ledger.open(path, HEADER).append("round", {"round": 0, "seconds": 0.1})
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "garbage", lines[1], ""]))
    with pytest.raises(StudyError, match=r"ledger\.jsonl:2: the ledger is damaged"):
        Ledger.open(path, HEADER)


@pytest.mark.parametrize("changed", ["configuration", "data"])
def test_another_configuration_or_other_data_are_refused_with_the_remedy(tmp_path, changed):
    path = tmp_path / "ledger.jsonl"
    Ledger.open(path, HEADER)
    with pytest.raises(StudyError, match=f"another {changed}.*--fresh"):
        Ledger.open(path, {**HEADER, changed: "x"})


def test_floats_survive_bit_for_bit(tmp_path):
    path = tmp_path / "ledger.jsonl"
    value = 0.1 + 0.2
    Ledger.open(path, HEADER).append("round", {"round": 0, "seconds": value})
    assert Ledger.open(path, HEADER).of("round")[0]["seconds"] == value
    assert json.loads(path.read_text().splitlines()[1])["seconds"] == value


def test_one_folder_one_process(tmp_path):
    with locked(tmp_path), pytest.raises(StudyError, match="in use"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass

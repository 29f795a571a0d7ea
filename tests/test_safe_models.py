"""Saved models: nothing is unpickled, damage is told by the name of its file, old formats load."""

import hashlib
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from model_samples import FOLDER, SAMPLES, SINCE, answers, asked, made

import autoreg
from autoreg.errors import ModelError
from autoreg.model import Model
from autoreg.storage import ARRAYS, DOCUMENT, FORMAT, OLDER, write

STORED = sorted(path.parent for path in FOLDER.glob("*/*/model.json"))
NEWEST = FOLDER / f"format_{FORMAT}"
CORRUPTIONS = 100


def copied(source, to):
    to.mkdir(parents=True, exist_ok=True)
    for name in (DOCUMENT, ARRAYS):
        (to / name).write_bytes((source / name).read_bytes())
    return to


def test_every_format_has_a_stored_sample_of_every_shape():
    found = {(path.parent.name, path.name) for path in STORED}
    formats = (*OLDER, FORMAT)
    assert found == {
        (f"format_{n}", name) for name in SAMPLES for n in formats if n >= SINCE.get(name, 1)
    }


@pytest.mark.parametrize("folder", STORED, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_model_of_any_format_says_what_it_said(folder, tmp_path):
    expected = json.loads((folder / "expected.json").read_text())
    model, rows = autoreg.load(folder), pd.DataFrame(expected["rows"])
    np.testing.assert_allclose(answers(model, rows), expected["predictions"], rtol=1e-12)
    assert model.predict(rows).tolist() == pytest.approx(expected["example"]) or (
        model.predict(rows).tolist() == expected["example"]
    )
    model.save(tmp_path)
    again = autoreg.load(tmp_path)
    assert np.array_equal(answers(again, rows), answers(model, rows))
    assert (again.columns, again.about) == (model.columns, model.about)
    assert json.loads((tmp_path / DOCUMENT).read_text())["format"] == FORMAT


@pytest.mark.parametrize("name", ["line", "classes", "ratings"])
def test_the_samples_can_be_made_again(name):
    """What a fit gives today is not what the format is about, but must be close."""
    rows = asked(name)
    told = answers(autoreg.load(NEWEST / name), rows)
    np.testing.assert_allclose(answers(made(name), rows), told, rtol=1e-6)


# ---- damage ------------------------------------------------------------------------------------


def corrupted(content, draws):
    """A file gone bad: a byte changed, an end cut off, a hole, or bytes too many."""
    place = int(draws.integers(len(content)))
    kind = draws.integers(4)
    if kind == 0:
        other = bytes([content[place] ^ int(draws.integers(1, 256))])
        return content[:place] + other + content[place + 1 :]
    if kind == 1:
        return content[:place]
    if kind == 2:
        return content[:place] + content[place + int(draws.integers(1, 9)) :]
    return content[:place] + draws.bytes(4) + content[place:]


@pytest.mark.parametrize("name", [DOCUMENT, ARRAYS])
def test_random_damage_is_told_by_the_name_of_the_file(name, tmp_path):
    draws = np.random.default_rng(0)
    for number in range(CORRUPTIONS):
        source = NEWEST / sorted(SAMPLES)[number % len(SAMPLES)]
        folder = copied(source, tmp_path / str(number))
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(changed := corrupted(content, draws))
        assert changed != content
        with pytest.raises(ModelError) as raised:
            autoreg.load(folder)
        assert str(folder) in str(raised.value)
        assert name in str(raised.value)


@pytest.mark.parametrize("name", [DOCUMENT, ARRAYS])
def test_damage_of_a_format_without_hashes_is_no_defect_of_autoreg(name, tmp_path):
    """Whatever is raised is a ModelError; a changed number in a document may go unseen."""
    draws, raised = np.random.default_rng(1), 0
    for number in range(CORRUPTIONS):
        folder = copied(FOLDER / "format_1" / "network", tmp_path / str(number))
        path = folder / name
        path.write_bytes(corrupted(path.read_bytes(), draws))
        try:
            autoreg.load(folder)
        except ModelError as error:
            raised += name in str(error)
    assert raised > CORRUPTIONS / 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "no description of a model"),
        ('{"format": 99}', "install a newer one"),
        ('{"format": "2"}', "its format is '2'"),
        ('{"format": 2}', "names no SHA-256"),
        ('{"format": 1, "sha256": {}}', "its format is not 1"),
        ('{"format": 1}', "KeyError"),
    ],
)
def test_documents_that_are_no_models_are_refused(text, message, tmp_path):
    copied(NEWEST / "line", tmp_path)
    (tmp_path / DOCUMENT).write_text(text)
    with pytest.raises(ModelError, match=message):
        autoreg.load(tmp_path)


def test_a_folder_without_a_model_says_what_to_name(tmp_path):
    with pytest.raises(ModelError, match="name the folder that holds"):
        autoreg.load(tmp_path)
    copied(NEWEST / "line", tmp_path)
    (tmp_path / ARRAYS).unlink()
    with pytest.raises(ModelError, match=ARRAYS):
        autoreg.load(tmp_path)


def test_the_folder_of_a_study_will_do(tmp_path):
    copied(NEWEST / "line", tmp_path / "model")
    assert isinstance(autoreg.load(tmp_path), Model)


# ---- nothing is unpickled ----------------------------------------------------------------------

LOADER = """
import sys
seen = []
sys.addaudithook(lambda event, args: seen.append(args) if event == "pickle.find_class" else None)
import autoreg
before = len(seen)
try:
    model = autoreg.load({folder!r})
    print(model.predict(model.example()).shape)
except autoreg.errors.ModelError as error:
    print("refused", error)
import pickle
unpickled = len(seen) - before
pickle.loads(pickle.dumps(print))
print("unpickled", unpickled, "the hook sees", len(seen) - before > unpickled)
"""


def load_elsewhere(folder):
    code = "import autoreg.errors\n" + LOADER.format(folder=str(folder))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize("name", ["line", "passes"])
def test_loading_and_predicting_unpickles_nothing(name):
    done = load_elsewhere(NEWEST / name)
    assert done.stdout.splitlines() == ["(1,)", "unpickled 0 the hook sees True"], done.stderr


class Bomb:
    def __reduce__(self):
        return Path.touch, (Path(self.where),)


def test_a_pickle_among_the_arrays_is_refused_and_not_run(tmp_path):
    """A planted object array, with hashes that fit: the format itself must not open it."""
    bomb = Bomb()
    bomb.where = str(tmp_path / "exploded")
    folder = copied(NEWEST / "line", tmp_path / "model")
    np.savez(folder / ARRAYS, **{"parameters.coefficients": np.array([bomb], dtype=object)})
    document = json.loads((folder / DOCUMENT).read_text())
    for form in (FORMAT, 1):
        planted(folder, document, form)
        done = load_elsewhere(folder)
        assert done.stdout.startswith("refused"), done.stderr
        assert "unpickled 0" in done.stdout
        assert not Path(bomb.where).exists()
    with np.load(folder / ARRAYS, allow_pickle=True) as stored:
        assert stored["parameters.coefficients"].shape == (1,)
    assert Path(bomb.where).exists(), "the bomb was none"


def planted(folder, document, form):
    """Write the document as its format wants it, around arrays that are there."""
    content = (folder / ARRAYS).read_bytes()
    document.pop("sha256", None)
    document.pop("format", None)
    if form == 1:
        (folder / DOCUMENT).write_text(json.dumps({"format": 1, **document}))
        return
    write(folder, document, {})
    text = (folder / DOCUMENT).read_text()
    known = json.loads(text)["sha256"]
    text = text.replace(known[ARRAYS], hashlib.sha256(content).hexdigest())
    text = text.replace(known[DOCUMENT], "0" * 64)
    own = hashlib.sha256(text.encode()).hexdigest()
    (folder / DOCUMENT).write_text(text.replace("0" * 64, own, 1))
    (folder / ARRAYS).write_bytes(content)


def test_object_arrays_cannot_be_saved(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        write(tmp_path, {}, {"odd": np.array([pickle], dtype=object)})

"""Files are read strictly: what is wrong is named with file, line and remedy."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yaml import safe_load

from autoreg.errors import SpecError
from autoreg.spec import (
    read_space,
    read_study,
    resolved,
    seed_for,
    shipped,
    study_from,
)
from autoreg.strictyaml import parse

STUDY = "study: s\ndata:\n  source: wine\nspace: quick\n"
SPACE = """\
space: mine
families:
  linear:
    techniques: {ridge: {strength: [1e-3, 1]}}
incumbent: {family: linear, techniques: [ridge]}
"""


def write(folder, text, name="s.yaml"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def check_refused(folder, text, *words):
    with pytest.raises(SpecError) as caught:
        read_study(write(folder, text))
    for word in words:
        assert word in str(caught.value)
    assert "s.yaml" in str(caught.value)


# ---- strict YAML -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("-2.5e+4", -25000.0),
        (".5", 0.5),
        ("3.", 3.0),
        ("3", 3),
        ("off", "off"),
        ("no", "no"),
        ("yes", "yes"),
        ("true", True),
        ("1.2.3", "1.2.3"),
        ("2026-11-24x", "2026-11-24x"),
        ("e5", "e5"),
        ("0", 0),
        ("-7", -7),
        ("017", "017"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("2026-13-45", "2026-13-45"),
        ("=", "="),
        ("~", None),
        ("null", None),
        ("'3'", "3"),
    ],
)
def test_scalars_mean_what_they_look_like(tmp_path, text, value):
    document, _ = parse(write(tmp_path, f"key: {text}\n"))
    assert document == {"key": value}
    assert type(document["key"]) is type(value)


def test_a_column_called_no_or_off_stays_a_name(tmp_path):
    path = write(tmp_path, STUDY.replace("source: wine", "source: wine\n  drop: [no, off]"))
    assert read_study(path).data.drop == ("no", "off")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (STUDY + "trails: 3\n", ["s.yaml:5", "'trails'", "did you mean trials?"]),
        (STUDY + "folds: {outr: 3}\n", ["s.yaml:5", "folds.outr", "did you mean outer?"]),
        (STUDY + "data: {}\n", ["s.yaml:5", "given twice", "line 2"]),
        (STUDY + "trials: many\n", ["s.yaml:5", "trials", "integer", "'many'"]),
        (STUDY + "trials: 0\n", ["s.yaml:5", "trials", "greater than or equal to 1"]),
        (STUDY + "held_out: 1.5\n", ["s.yaml:5", "held_out", "less than 0.9"]),
        (STUDY + "sampler: cmaes\n", ["s.yaml:5", "'tpe', 'gp' or 'random'"]),
        (STUDY + "select: {rule: max}\n", ["s.yaml:5", "select.rule", "'min'"]),
        ("data: {source: wine}\n", ["study is missing"]),
        ("study: 'a b'\n", ["s.yaml:1", "study", "pattern"]),
        ("", ["mapping"]),
        ("- a\n- b\n", ["mapping"]),
        ("study: [\n", ["not valid YAML"]),
        ("study: s\n\tdata: x\n", ["s.yaml:2", "not valid YAML"]),
        (b"study: \xff\xfe\n", ["UTF-8"]),
        (STUDY + "trials: true\n", ["s.yaml:5", "trials", "integer", "True"]),
        (STUDY + "trials: '3'\n", ["s.yaml:5", "trials", "integer", "'3'"]),
        (STUDY + "seed: 1.0\n", ["s.yaml:5", "seed", "integer", "1.0"]),
        (STUDY + "minutes: .inf\n", ["s.yaml:5", "minutes", "finite"]),
        (STUDY + "held_out: .nan\n", ["s.yaml:5", "held_out", "finite"]),
        (STUDY + "held_out: off\n", ["s.yaml:5", "held_out", "number", "'off'"]),
        (STUDY + "folds: 3\n", ["s.yaml:5", "folds", "`key: value`"]),
        (STUDY + "linear: {lss: huber}\n", ["s.yaml:5", "linear.lss", "did you mean loss?"]),
        (STUDY + "linear: {loss: hube}\n", ["s.yaml:5", "linear.loss", "'huber'"]),
        (STUDY + "linear: {at_most: 0}\n", ["s.yaml:5", "linear.at_most", "equal to 1"]),
        (STUDY + "linear: {non_negative: al}\n", ["s.yaml:5", "linear.non_negative:", "'all'"]),
        (STUDY + "linear:\n  non_negative:\n  - a\n  - 3\n", ["s.yaml:8", "non_negative.1:"]),
        (STUDY + "metrics: auc\n", ["s.yaml:5", "metrics", "[a, b]"]),
        (STUDY + "question: a\x07b\n", ["s.yaml:5", "control character"]),
        (STUDY + "question: &a [*a]\n", ["contains itself"]),
        (STUDY + "question: " + 1000 * "[", ["nested too deeply"]),
        (STUDY + "? [a, b]\n: c\n", ["s.yaml:5", "not valid YAML", "key"]),
        (STUDY + "question: !!python/object:os.system x\n", ["s.yaml:5", "tags"]),
        (STUDY + "trials: !!int many\n", ["s.yaml:5", "tags", "write the value alone"]),
        (STUDY + "---\nstudy: t\n", ["s.yaml:5", "another document"]),
    ],
)
def test_mistakes_are_named_with_place_and_remedy(tmp_path, text, words):
    check_refused(tmp_path, text, *words)


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ("{a: 3}", ["data.feature_groups.a: write a list such as [a, b], not 3"]),
        ("{a: [x, 3]}", ["data.feature_groups.a.1: ", "valid string", "not 3"]),
        ("{a: []}", ["data.feature_groups.a: ", "at least 1 item"]),
        ("[a, b]", ["data.feature_groups: write a mapping of `key: value` lines"]),
        ("''", ["data.feature_groups: ", "at least 1 character"]),
    ],
)
def test_feature_groups_are_a_mapping_or_a_separator(tmp_path, groups, words):
    text = STUDY.replace("source: wine", f"source: wine\n  feature_groups: {groups}")
    check_refused(tmp_path, text, "s.yaml:4", *words)
    if not groups.startswith("'"):  # text stands for a separator, so both readings are told
        with pytest.raises(SpecError) as caught:
            read_study(tmp_path / "s.yaml")
        assert len(str(caught.value).splitlines()) == 1


def test_feature_groups_are_read(tmp_path):
    for text, value in {"_": "_", "{a: [x, y_*]}": {"a": ("x", "y_*")}, "null": None}.items():
        study = STUDY.replace("source: wine", f"source: wine\n  feature_groups: {text}")
        assert read_study(write(tmp_path, study)).data.feature_groups == value


def test_a_missing_file_and_an_unknown_name_say_what_there_is():
    with pytest.raises(SpecError, match=r"no such file.*autoreg studies"):
        read_study("nowhere/s.yaml")
    with pytest.raises(SpecError, match="did you mean breast_cancer"):
        read_study("breast_cancr")
    with pytest.raises(SpecError, match="did you mean linear"):
        read_space("linaer")


def test_a_space_in_place_is_as_strict(tmp_path):
    text = STUDY.replace("space: quick", "space:\n  space: x\n  familes: {}")
    check_refused(tmp_path, text, "s.yaml:6", "did you mean families?")


@pytest.mark.parametrize(
    ("techniques", "words"),
    [
        ("[{ridge: 1}]", ["s.yaml:3", "linear.techniques", "`key: value`"]),
        ("{ridge: 1}", ["s.yaml:3", "linear.techniques.ridge", "`key: value`"]),
        ("{ridge: {strength: 1}}", ["s.yaml:3", "ridge.strength", "[a, b]"]),
        ("{ridge: {strength: [true, 1]}}", ["s.yaml:3", "ridge.strength.0", "number", "True"]),
    ],
)
def test_a_mistake_inside_a_space_is_named_and_nothing_else(tmp_path, techniques, words):
    space = SPACE.replace("{ridge: {strength: [1e-3, 1]}}", techniques)
    with pytest.raises(SpecError) as caught:
        read_space(write(tmp_path, space))
    in_place = {"study": "s", "space": safe_load(space)}
    with pytest.raises(SpecError) as again:
        study_from(in_place)
    # Not "should be a valid string": a mapping was never meant as the name of a space.
    assert all("ridge" in line or "techniques" in line for line in str(again.value).splitlines())
    for word in ["s.yaml:4" if word == "s.yaml:3" else word for word in words]:
        assert word in str(caught.value)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_no_text_crashes_the_reader(folder, data):
    """A good file with a few characters garbled is read or refused, never a stack trace."""
    text = list(STUDY + SPACE.replace("space:", "spice:"))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place] = data.draw(st.sampled_from("\x00\t\n {}[]:-?!&*<|>'\"#%@`,=~.1e\u2028"))
    with suppress(SpecError):
        assert read_study(write(folder, "".join(text))).study


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("garbled")


@pytest.mark.parametrize("share", ["none", "0"])
def test_none_means_no_held_out_rows(tmp_path, share):
    assert read_study(write(tmp_path, STUDY + f"held_out: {share}\n")).held_out is None
    assert read_study(write(tmp_path, STUDY)).held_out == 0.2


# ---- files beside files ----------------------------------------------------------------------


def test_a_space_file_is_found_beside_the_study(tmp_path, monkeypatch):
    folder = tmp_path / "deep"
    folder.mkdir()
    write(folder, SPACE, "mine.yaml")
    path = write(folder, STUDY.replace("quick", "mine.yaml"))
    monkeypatch.chdir(tmp_path)
    assert read_study(path).space.space == "mine"


def test_a_data_file_is_found_beside_the_study_from_anywhere(tmp_path, monkeypatch):
    path = write(tmp_path, STUDY.replace("wine", "table.csv"))
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    monkeypatch.chdir("/")
    assert read_study(path).data.source == str((tmp_path / "table.csv").resolve())


def test_shipped_files_are_listed_and_read():
    real = {"breast_cancer", "diabetes", "wine", "digits", "robust"}
    drawn = {"demand", "genes", "patients", "ratings", "returns", "reviews"}
    assert set(shipped("studies")) == real | drawn
    known = {
        "quick",
        "ridge_to_lasso",
        "linear",
        "network",
        "linear_and_network",
        "cocktail",
        "ratings",
    }
    assert set(shipped("search_spaces")) == known


# ---- dictionaries ----------------------------------------------------------------------------


def test_a_dictionary_is_checked_like_a_file():
    with pytest.raises(SpecError, match="did you mean trials"):
        study_from({"study": "s", "trails": 3})
    assert study_from({"study": "s", "space": "quick"}).space.space == "quick"


# What a value of each kind can be changed to; texts with few options by their key.
OPTIONS = {
    "rule": "one_se",
    "final": "vote",
    "device": "cpu",
    "guard": "strict",
    "sampler": "gp",
    "task": "binary",
    "window": "rolling",
    "interval": "bates",
    "loss": "huber",
    "gaps": "mark",
    "first": [{"family": "linear"}],
    "outliers": "pull_in",
    "image": {"height": 8, "width": 8},
    "network": {"path": "torch.nn.Module"},
}
NUMBERS = {"epochs": 3, "minutes": 3, "ahead": 3, "inner": 3, "repeats": 3, "at_most": 3}


def changed(key, value):
    if value == "off":
        return {"epochs": "median", "folds": "forgiving"}[key]
    if key in OPTIONS:
        return OPTIONS[key]
    if value is None:
        return NUMBERS.get(key, "x")
    if isinstance(value, list):
        return [*value, "x"] if key != "learning_rate" else value[::-1]
    return value + ("x" if isinstance(value, str) else 1 if isinstance(value, int) else 0.01)


NARROWED = ("width", "depth", "strength", "mix")  # dials of the space, not of the study


def every_change(document):
    """The document with one value changed, once for each value in it."""
    for key, value in document.items():
        if isinstance(value, dict):
            yield from ({**document, key: part} for part in every_change(value))
        elif key not in ("ignore", "attribution", "features", "sampling", *NARROWED):
            yield {**document, key: changed(key, value)}


def test_the_digest_changes_with_every_change():
    base = study_from({"study": "s", "space": "quick"})
    document = base.model_dump(mode="json")
    specs = [study_from(one) for one in every_change(document)]
    digests = {spec.digest for spec in specs}
    assert len(digests | {base.digest}) == len(specs) + 1 > 30
    assert study_from(document).digest == base.digest


def test_specs_are_frozen():
    spec = study_from({"study": "s"})
    with pytest.raises(ValueError, match="frozen"):
        spec.trials = 3


def test_resolving_twice_changes_nothing():
    spec = study_from({"study": "s", "space": "quick"})
    assert resolved(spec, None) == spec


def test_everything_survives_json():
    spec = read_study("breast_cancer")
    again = study_from(json.loads(json.dumps(spec.model_dump(mode="json"))))
    assert again.digest == spec.digest


# ---- seeds -----------------------------------------------------------------------------------

PINNED = (811787913, 3666710244)
names = st.lists(st.one_of(st.text(max_size=8), st.integers(0, 1000)), min_size=1, max_size=4)


@given(names, names)
def test_seeds_are_told_apart_by_their_names(one, other):
    assert 0 <= seed_for(*one) < 2**32
    assert (seed_for(*one) == seed_for(*other)) == (one == other)


def test_seeds_never_change_between_versions():
    assert seed_for("outer", 3) == PINNED[0]
    assert seed_for(0, "fit", "x", "block-1") == PINNED[1]
    assert seed_for("a", "bc") != seed_for("ab", "c")

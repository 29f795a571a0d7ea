"""The report: complete, self-contained, deterministic, safe with foreign text, never too rosy."""

import json
import math
import re
import statistics
import subprocess
import sys
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from findings_sample import sample as build

from autoreg.advice import advice
from autoreg.budget import Budget
from autoreg.certificate import Certificate, Check
from autoreg.importance import importance
from autoreg.report import (
    curves,
    figures,
    ink,
    markdown,
    path_chart,
    summary_html,
    summary_lines,
    write_report,
)
from autoreg.report.coefficients import coefficient_rows, coefficients_sentence
from autoreg.report.words import brief, clean, fixed, places_for
from autoreg.statistics import Interval
from autoreg.verdict import HeldOut

sample = cache(build)  # findings are frozen, so tests may share them
CSS = Path(curves.__file__).with_name("report.css").read_text(encoding="utf-8")
VOID = {"meta", "br"}
HOSTILE = (
    '<script>alert(1)</script>"><img src=x onerror=alert(2)>',
    "{{ 7*7 }} {% raw %} | table | cell |",
    "[link](https://example.org) **bold** `code`",
    "=cmd()|'/c calc'!A1",
    "\x1b[31mred\x1b[0m \u202eevil",
    "数据 العربية 🙂 " + "x" * 10_000,
)


class Page(HTMLParser):
    """What a browser would see: elements with attributes, and the text of some of them."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.feed(text)
        assert self._open == [], f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        if tag not in VOID:
            self._open.append((tag, len(self.texts) - 1))

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")

    def handle_endtag(self, tag):
        opened, _ = self._open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>"

    def handle_data(self, data):
        for _, place in self._open:
            self.texts[place] += data

    def all(self, tag):
        return [
            (attrs, text)
            for (name, attrs), text in zip(self.elements, self.texts, strict=True)
            if name == tag
        ]

    @property
    def text(self):
        return " ".join(self.texts[0].split())


def page_of(findings, folder, **options):
    html = write_report(findings, folder, **options).read_text(encoding="utf-8")
    return html, Page(html)


def outside(html):
    """Everything on a page that would ask the network or run code."""
    page = Page(html)
    found = [f"<{tag}>" for tag, _ in page.elements if tag in {"script", "link", "img", "iframe"}]
    for tag, attrs in page.elements:
        found += [f"{tag} {name}" for name in attrs if name.startswith("on") or name == "src"]
        found += [link for link in [attrs.get("href", "#")] if not link.startswith("#")]
    found += [url for url in re.findall(r"url\(([^)]*)", html) if not url.startswith("#")]
    return found + re.findall(r"@import|https?://[^\s\"<]*(?=[\"'])", html)


CASES = {
    "binary": {},
    "regression": {"task": "regression"},
    "no held-out rows": {"held_out": False},
    "network wins": {"winner": "network"},
    "no networks": {"networks": False},
    "no signal": {"signal": False},
    "nothing failed": {"failures": False},
}


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    return page_of(sample(), tmp_path_factory.mktemp("binary"), mlflow_run="run-4711")


# ---- what is on the page -------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_kind_of_study_has_a_whole_page(case, tmp_path):
    findings = sample(**case)
    html, page = page_of(findings, tmp_path)
    assert not outside(html)
    assert len(html.encode()) < 1_000_000
    assert findings.spec.question in page.text
    for heading in ("numbers side by side", "How strong", "Techniques compared", "outer fold chose",
                    "The search", "What was searched", "Data and splits", "How to read it",
                    "Run it again"):  # fmt: skip
        assert heading in page.text
    assert ("Learning curves" in page.text) == case.get("networks", True)
    assert ("degrees of freedom" in page.text) == (findings.coefficients is not None)
    assert (findings.coefficients is None) == (case.get("winner") == "network")
    assert not re.search(r"\bnan\b|None<", html)


def test_the_page_says_all_that_a_reader_must_know(binary):
    findings, (_, page) = sample(), binary
    verdict, places = findings.verdict, places_for(findings.verdict.nested)
    for part in (
        "Elastic net",
        fixed(verdict.nested.value, places),
        fixed(verdict.nested.low, places),
        fixed(verdict.nested.high, places),
        fixed(verdict.held_out.score, places),
        "optimistic",
        "Featureless model",
        "Unregularized linear model",
        "Unregularized network",
        f"{verdict.agreement} of 5 outer folds",
        "signal found",
        findings.data["digest"],
        findings.splits["digest"],
        findings.spec.digest,
        "autoreg run breast_cancer",
        "run-4711",
        "2.4.6",
        "2 min 43 s",
        findings.remarks[0],
    ):
        assert part in page.text
    for trial in findings.trials:
        assert trial.failure is None or trial.failure in page.text
    for offers in findings.space.families.values():
        for offer in offers:
            assert all(reference in page.text for reference in offer.kind.references)
            assert all(dial.name.replace("_", " ") in page.text for dial in offer.dials)


def test_a_page_without_held_out_rows_says_so(tmp_path):
    _, page = page_of(sample(held_out=False), tmp_path)
    assert "the nested score stands alone" in page.text


def test_sealed_and_reused_rows_are_told_apart(tmp_path):
    findings = sample()
    for judged, words in [
        (HeldOut(114, "sealed"), "114 rows stay sealed"),
        (HeldOut(114, "kept"), "no final model to judge"),
        (replace(findings.verdict.held_out, opening="reused 2"), "not fresh: reused 2"),
    ]:
        changed = replace(findings, verdict=replace(findings.verdict, held_out=judged))
        assert words in page_of(changed, tmp_path)[1].text
        assert words in "\n".join(summary_lines(changed))


LEAK = "search outer-1: trial 1, losses (9 of 200 values) when outer-1 got targets flipped"


@pytest.mark.parametrize("leaks", [(), (LEAK,)])
def test_a_certificate_is_shown_whatever_it_says(leaks, tmp_path):
    check = Check("outer", "flipped", "outer-1", 91, 200, 16_000, leaks, 5)
    proof = Certificate("s", "a", "b", "c", "2026-01-02T03:04:05", {}, 8, 4, (check,))
    findings = replace(sample(), certificate=proof)
    _, page = page_of(findings, tmp_path)
    lines = "\n".join(summary_lines(findings))
    for text in (page.text, lines):
        assert (LEAK if leaks else "no leak: 16.0 kB of 200 values stayed equal") in text
    assert "verified     " in lines
    assert "8 trials of each search" in page.text
    assert ("The verification found" in lines) == bool(leaks)
    assert "verified     " not in "\n".join(summary_lines(sample()))


def test_the_budget_is_told_in_words_and_drawn(tmp_path):
    points = (Budget(1, 0.9, 1.0), Budget(8, 0.5, 0.8), Budget(24, 0.4, 0.85))
    findings = sample(budget=points)
    (line,) = [one for one in summary_lines(findings) if one.startswith("overtuning")]
    for part in ("0.4 on the inner folds (optimistic)", "nested 0.85", "gap of 0.45", "8 trials"):
        assert part in line
    assert line.endswith("overtuning 0.05, 25% of what was gained")
    better = summary_lines(sample(budget=points[:2]))
    assert any("no smaller budget did better" in one for one in better)
    assert curves.budget_chart(sample(budget=points[:1])) is None


def test_losses_that_explode_do_not_squeeze_the_curves():
    findings = sample(task="regression")
    paths = curves._paths(findings)
    plain = curves._limits(paths, findings)
    best = paths[0][0]
    # One small fold loses a million times as much at a weak strength: its band, whose error does
    # not ask for the size of folds, reaches far below zero.
    losses, weights = best.losses.copy(), best.weights.copy()
    losses[best.means.argmax(), -1] *= 1e6
    weights[-1] /= 10
    wild = [[replace(best, losses=losses, weights=weights), *paths[0][1:]], *paths[1:]]
    low, high = curves._limits(wild, findings)
    assert low >= plain[0] - 0.2 * (plain[1] - plain[0])
    assert high <= plain[1] + 0.2 * (plain[1] - plain[0])


def test_a_metric_that_is_the_loss_is_shown_once(tmp_path):
    findings = sample()
    one = replace(findings, verdict=replace(findings.verdict, metric="log_loss"))
    for document, charts in ((findings, 2), (one, 1)):
        html, _ = page_of(document, tmp_path)
        heads = re.search(r"<tr><th[^>]*>Estimate.*?</tr>", html)[0]
        assert heads.count("<th ") == 2 + charts
        assert ("small dots: the folds" in html) == (charts == 2)
        assert "the signal in the data" in html


def test_no_evidence_of_signal_is_said_everywhere(tmp_path):
    findings = sample(signal=False)
    for text in (
        page_of(findings, tmp_path)[1].text,
        "\n".join(summary_lines(findings)),
        markdown(findings),
    ):
        assert "no evidence of signal" in text
        assert "signal found" not in text
        assert "AUC alone leaves out what such a model scores" in text


def test_unbounded_intervals_and_missing_numbers_are_drawn_and_written(tmp_path):
    findings = sample(held_out=False)
    open_ended = Interval(0.9, -math.inf, math.inf)
    verdict = replace(
        findings.verdict, nested=open_ended, nested_loss=open_ended, runner_up=None, none={}
    )
    _, page = page_of(replace(findings, verdict=verdict, versions=None), tmp_path)
    assert "−infinity to infinity" in page.text
    assert "no other technique set is valid" in page.text


def test_a_thousand_trials_fit_into_a_megabyte(tmp_path):
    findings = sample()
    many = tuple(
        replace(trial, number=trial.number + 24 * turn)
        for turn in range(7)
        for trial in findings.trials
    )
    path = write_report(replace(findings, trials=many), tmp_path)
    assert len(many) > 1000
    assert path.stat().st_size < 1_000_000


# ---- Markdown, JSON, marks that tell what they are -----------------------------------------------


def advised():
    findings = sample()
    mattered = importance(findings.space, findings.trials, 0)
    found = replace(findings, importance=mattered)
    return replace(found, advice=advice(found))


def test_the_json_says_what_the_page_says_and_names_its_schema(tmp_path):
    findings = advised()
    html, page = page_of(findings, tmp_path, mlflow_run="run-4711")
    text = (tmp_path / "report.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    found = json.loads(text)
    assert next(iter(found)) == "schema"
    assert found["schema"] == 1
    assert set(found) == KEYS
    verdict = findings.verdict
    assert found["verdict"]["nested"]["value"] == verdict.nested.value
    assert [one["loss"] for one in found["verdict"]["folds"]] == [f.loss for f in verdict.folds]
    assert found["provenance"]["mlflow_run"] == "run-4711"
    assert len(found["trials"]) == len(findings.trials)
    assert sum(one["trials"] for one in found["effort"]) == len(findings.trials)
    assert [one["text"] for one in found["next"]] == [one.text for one in findings.advice]
    for one in findings.advice:
        assert one.text in page.text
    assert "source" not in found["data"]  # the path of a file may name people


# A key that goes, or means something else, asks for another number of the schema.
KEYS = {
    "schema", "study", "question", "chosen", "facts", "warnings", "next", "verdict", "selections",
    "budget", "effort", "importance", "evidence", "alarms", "sheet", "certificate",
    "coefficients", "trials", "data", "splits", "provenance",
}  # fmt: skip


def test_the_markdown_has_the_tables_of_the_page(tmp_path):
    findings = advised()
    write_report(findings, tmp_path)
    text = (tmp_path / "report.md").read_text()
    for fold in findings.verdict.folds:
        assert f"| {fold.fold} |" in text
    for heading in (
        "What to try next",
        "Techniques on the outer folds",
        "Where the budget went",
        "Which decisions mattered: linear model",
        "What the budget brought",
    ):
        assert heading in text
    assert findings.advice[0].how in text


def test_decisions_and_effort_are_on_the_page(tmp_path):
    findings = advised()
    _, page = page_of(findings, tmp_path)
    assert "Which decisions mattered" in page.text
    assert "that chose it" in page.text
    bars = [attrs for attrs, _ in page.all("span") if attrs.get("class") == "bar"]
    shown = sum(len(one.shares) for one in findings.importance)
    assert len(bars) == min(shown, 20) + 13  # twelve sets and the rest
    assert "Which decisions mattered" not in page_of(sample(), tmp_path)[1].text


def test_each_trial_of_the_history_tells_what_it_is(binary):
    _, page = binary
    tips = [text for _, text in page.all("title")][1:]
    lead = [t for t in sample().trials if t.search == "final" and not t.failure]
    for trial in lead:
        assert any(tip.startswith(f"trial {trial.number + 1}: ") for tip in tips)
    assert any(tip.startswith("measure 0: ") for tip in tips)
    assert any("strength" in tip and "standard error" in tip for tip in tips)


def test_a_mark_that_is_not_drawn_cannot_shift_the_texts():
    def paint(axes):
        (marks,) = axes.plot([0.5, math.nan], [0.5, 0.5], "o")
        ink.tell(marks, ["here", "nowhere"])

    with pytest.raises(AssertionError, match="not drawn"):
        ink.picture("k", 300, 200, paint, alt="x", caption="y.")


def test_marks_beyond_the_ends_of_an_axis_go_with_their_texts():
    def paint(axes):
        (marks,) = axes.plot([0.0, 1e6, 1.0], [0, 0, 0], "o")
        ink.tell(marks, ["low", "far away", "high"])
        figures.keep_near(axes, [0.0, 1.0], {})

    svg = ink.picture("k", 300, 200, paint, alt="x", caption="y.").svg
    assert re.findall("<title>(.*?)</title>", svg) == ["low", "high"]


# ---- the inner score is never alone --------------------------------------------------------------


def lonely(findings):
    """Pieces of text that show the best inner score (or loss) without the nested one."""
    verdict = findings.verdict
    pairs = [
        (verdict.inner_best, verdict.nested),
        (verdict.inner_best_loss, verdict.nested_loss),
    ]
    shown = [(fixed(i, places_for(n)), fixed(n.value, places_for(n))) for i, n in pairs]
    yield from (line for line in summary_lines(findings) if _alone(line, shown))
    yield from (line for line in [markdown(findings)] if _alone(line, shown))


def _alone(text, shown):
    return any(inner in text and nested not in text for inner, nested in shown)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_inner_score_never_stands_without_the_nested_one(case, tmp_path):
    findings = sample(**case)
    # Numbers that nothing else on the page can equal by chance.
    verdict = replace(findings.verdict, inner_best=7.65432, inner_best_loss=67891.2)
    findings = replace(findings, verdict=verdict)
    assert list(lonely(findings)) == []
    nested = fixed(verdict.nested.value, places_for(verdict.nested))
    loss = fixed(verdict.nested_loss.value, places_for(verdict.nested_loss))
    html, page = page_of(findings, tmp_path)
    inner = fixed(7.65432, places_for(verdict.nested))
    blocks = [text for tag in ("dd", "table", "figure") for _, text in page.all(tag)]
    for text in [*blocks, *(attrs["aria-label"] for attrs, _ in page.all("svg"))]:
        if inner in text and "optimistic" in text:
            assert nested in text or loss in text
    assert f">{inner}<" in html
    for attrs, _ in page.all("svg"):
        if "inner" in attrs["aria-label"]:
            assert "nested" in attrs["aria-label"]


def test_every_chart_of_inner_losses_draws_the_nested_loss():
    findings = sample()
    drawn = []

    class Recorder:
        def axhline(self, level, **_):
            drawn.append(level)

    curves._nested_line(Recorder(), findings)
    assert drawn == [findings.verdict.nested_loss.value]
    for one in [*curves.strength_charts(findings), curves.history_chart(findings)]:
        assert "nested loss" in one.svg  # in its alternative text
        assert "stroke-dasharray: 1.2,2.4" in one.svg  # and as the dotted line


# ---- foreign text --------------------------------------------------------------------------------


def hostile(text):
    """Findings with foreign text in every field that may hold some."""
    findings = sample()
    data = findings.data | {
        "name": text, "source": text, "target": text, "classes": {text: 3, "b": 4},
        "roles": {"group": text},
    }  # fmt: skip
    failed = tuple(
        replace(trial, failure=text) if trial.failure else trial for trial in findings.trials
    )
    return replace(
        findings,
        spec=findings.spec.model_copy(update={"question": text}),
        data=data,
        trials=failed,
        verdict=replace(findings.verdict, statement=(text,)),
        versions={text: text},
        remarks=(text,),
        coefficients=replace(
            findings.coefficients,
            names=tuple(f"{k} {text}" for k in range(30)),
            outputs=(text,),
            remark=text,
        ),
    )


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_foreign_text_cannot_become_markup(text, binary, tmp_path):
    findings = hostile(text)
    html, page = page_of(findings, tmp_path, mlflow_run=text)
    assert {tag for tag, _ in page.elements} == {tag for tag, _ in binary[1].elements}
    assert not outside(html)
    assert clean(text)[:60] in page.text
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert len(html.encode()) < 1_000_000
    table = (tmp_path / "report.md").read_text()
    assert "<script" not in table
    assert "://" not in table
    json.loads((tmp_path / "report.json").read_text())
    assert not outside(f"<html>{summary_html(findings)}</html>")


def test_the_check_catches_text_that_was_not_escaped(binary):
    html, _ = binary
    with_script = html.replace("</main>", HOSTILE[0].replace('">', "<p>") + "</p></main>")
    with pytest.raises(AssertionError, match="closes"):
        Page(with_script)
    assert outside('<p><script></script><a href="https://example.org"></a></p>')
    assert outside('<style>@import "x"; a { background: url(x.png) }</style>')


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_foreign_text_has_no_power_in_markdown_and_on_a_terminal(text):
    findings = hostile(text)
    note = markdown(findings)
    assert "<script" not in note
    assert not re.search(r"(?<!\\)\]", note)
    assert "://" not in note
    assert re.sub(r"\\\*", "", note).count("**") == 2 * (
        len(re.findall(r"^- \*\*", note, re.M)) + 1
    )
    # The table has its own rows and columns and no others.
    assert {
        len(re.findall(r"(?<!\\)\|", line)) for line in note.splitlines() if line[0:1] == "|"
    } == {4}
    for line in summary_lines(findings):
        assert line.isprintable()
        assert len(line) < 400


# ---- form ----------------------------------------------------------------------------------------


def test_the_terminal_gets_ten_to_eighteen_lines():
    for case in CASES.values():
        lines = summary_lines(sample(**case))
        assert 10 <= len(lines) <= 18
    noisy = build(remarks=tuple(f"remark {k}" for k in range(30)))
    assert len(summary_lines(noisy)) <= 18
    assert "more in the report" in summary_lines(noisy)[-1]


def test_the_lines_name_what_they_tell():
    lines = {line.split("  ")[0]: line for line in summary_lines(sample())}
    assert {"chosen", "how strong", "nested", "held-out", "inner best", "none", "signal",
            "runner-up", "incumbent", "agreement", "rule"} <= set(lines)  # fmt: skip
    assert "90% interval" in lines["nested"]
    assert "optimistic" in lines["inner best"]
    assert "descriptive" in lines["runner-up"]
    assert "linear model" in lines["none"]
    assert "network" in lines["none"]


def test_the_note_starts_with_the_verdict():
    note = markdown(sample())
    assert note.startswith("## breast\\_cancer: elastic net (linear model)\n")
    assert "| nested |" in note
    assert "optimistic" in note


def test_the_same_findings_give_the_same_bytes(tmp_path):
    first = write_report(build(), tmp_path / "a").read_bytes()
    assert first == write_report(build(), tmp_path / "b").read_bytes()
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "from findings_sample import sample; from autoreg.report import write_report;"
        "write_report(sample(), Path(sys.argv[2]))"
    )
    here = Path(__file__).parent
    command = [sys.executable, "-c", script, str(here), str(tmp_path / "c")]
    subprocess.run(command, check=True, cwd=here.parent, capture_output=True)
    assert first == (tmp_path / "c" / "report.html").read_bytes()
    assert first != write_report(sample(seed=1), tmp_path / "d").read_bytes()


def test_every_chart_has_an_alternative_text_and_a_caption(binary):
    html, page = binary
    charts = page.all("svg")
    assert len(charts) == len(page.all("figcaption")) == 10
    assert all(attrs["role"] == "img" and len(attrs["aria-label"]) > 30 for attrs, _ in charts)
    assert all(text.strip().endswith(".") for _, text in page.all("figcaption"))
    assert len({attrs["aria-label"] for attrs, _ in charts}) == 10


def test_ids_are_unique_and_links_lead_somewhere(binary):
    html, page = binary
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    used = {attrs["href"][1:] for _, attrs in page.elements if "href" in attrs}
    assert used | set(re.findall(r"url\(#([^)]+)\)", html)) <= set(ids)


def test_charts_take_their_colours_and_fonts_from_the_page(binary):
    html, page = binary
    svgs = "".join(re.findall(r"<svg.*?</svg>", html, re.S))
    assert not re.search(r"#0([1-8])0(?:\1)0\1", svgs)
    assert re.findall(r"#[0-9a-f]{6}\b", svgs) == []
    assert "DejaVu" not in svgs
    for name in ("ink", "muted", "accent", "network", "card", "line"):
        assert f"var(--{name})" in svgs
    assert "nested" in "".join(text for _, text in page.all("svg"))  # text stays text


def palette(block):
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))


def contrast(one, other):
    """WCAG 2.2: (L1 + 0.05) / (L2 + 0.05) of relative luminances."""

    def luminance(colour):
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_enough_in_light_and_dark():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    light, dark = (palette(block) for block in re.findall(r":root \{(.*?)\}", CSS, re.S)[:2])
    assert set(light) == set(dark)
    for colours in (light, dark):
        for text in ("ink", "muted", "accent", "network", "warn"):
            for ground in ("paper", "card", "tint", "caution"):
                assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


# ---- what is drawn -------------------------------------------------------------------------------


def test_the_band_is_one_standard_error_over_folds():
    trial = next(one for one in sample().trials if len(one.strengths) > 1)
    slow = [statistics.stdev(row) / math.sqrt(len(row)) for row in trial.smoothed.tolist()]
    np.testing.assert_allclose(trial.errors, slow, rtol=1e-12)


def test_a_choice_moved_by_the_rule_is_marked_where_it_lies():
    findings = sample()
    chosen = findings.final.chosen
    trial = next(
        t for t in findings.trials if (t.search, t.number) == ("final", chosen.trial)
    )  # fmt: skip
    assert curves._chosen_place(trial, findings) == trial.best
    stronger = replace(chosen, candidate=trial.candidate_at(trial.best + 3))
    final = replace(findings.final, chosen=stronger)
    moved = replace(findings, selections=findings.selections | {"final": final})
    assert curves._chosen_place(trial, moved) == trial.best + 3


def test_learning_curves_show_the_chosen_network_else_the_best():
    chosen = sample(winner="network")
    assert curves._network(chosen).number == chosen.final.chosen.trial
    other = sample()
    networks = [
        t for t in other.trials if t.search == "final" and t.curve and t.failure is None
    ]  # fmt: skip
    assert curves._network(other).loss == min(t.loss for t in networks)
    assert curves._network(sample(networks=False)) is None


# ---- coefficients --------------------------------------------------------------------------------


def with_classes(count, **changes):
    """A linear choice over several classes, each with the sample's coefficients, weaker or not."""
    path = sample().coefficients
    factors = np.linspace(1, -0.5, count)
    return replace(
        sample(),
        data=sample().data | {"task": "multiclass"},
        coefficients=replace(
            path,
            outputs=tuple(f"class {c}" for c in range(count)),
            coefficients=path.coefficients * factors,
            intercepts=path.intercepts * factors,
            **changes,
        ),
    )


def rows_of(page):
    """The table of coefficients: its rows as lists of texts."""
    section = page[page.index('<section id="coefficients">') :]
    body = section[: section.index("</table>")]
    cells = re.findall(r"<tr[^>]*>(.*?)</tr>", body, re.S)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", one, re.S) for one in cells]


def test_the_table_shows_the_largest_coefficients_with_the_folds_that_use_them(binary):
    path = sample().coefficients
    head, intercept, *rows = rows_of(binary[0])
    assert len(head) == 5
    assert intercept[:2] == ["Intercept", "−7.25"]
    assert len(rows) == len(path.used) < len(path.names)
    for row, k in zip(rows, path.used, strict=True):
        value = float(path.coefficients[path.chosen, k, 0])
        per_deviation = brief(value * float(path.scales[k])).replace("-", "−", 1)
        inner = f"{100 * path.inner.get(path.names[k], 0):.0f}%"
        outer = f"{100 * path.outer.get(path.names[k], 0):.0f}%"
        assert row[0] == path.names[k]
        assert row[2:] == [per_deviation, inner, outer]
    zero = len(path.names) - len(rows)
    assert f"Not shown: {zero} inputs with a coefficient of exactly zero." in binary[1].text
    assert f"{len(rows)} of 30 columns used" in binary[1].text
    assert "log odds of benign" in binary[1].text


def test_a_long_table_is_cut_and_says_how_much_is_missing(tmp_path):
    findings = replace(sample(), coefficients=replace(sample().coefficients, chosen=0))
    html, page = page_of(findings, tmp_path)
    assert len(rows_of(html)) == 2 + 25
    assert "Not shown: 5 smaller coefficients left out of this table." in page.text


def test_a_choice_that_leaves_nothing_out_has_no_shares(tmp_path):
    bare = replace(sample().coefficients, inner=None, outer=None, outer_folds=0)
    html, page = page_of(replace(sample(), coefficients=bare), tmp_path)
    assert len(rows_of(html)[0]) == 3
    assert "folds that use it" not in page.text


@pytest.mark.parametrize(("count", "charts", "heads"), [(3, 3, 6), (4, 4, 7), (7, 1, 6)])
def test_classes_get_a_panel_each_or_one_norm(count, charts, heads, tmp_path):
    findings = with_classes(count)
    html, page = page_of(findings, tmp_path)
    drawn = [a["aria-label"] for a, _ in page.all("svg") if "per standard dev" in a["aria-label"]]
    assert len(drawn) == len(set(drawn)) == charts
    head, intercept, first, *_ = rows_of(html)
    assert len(head) == len(intercept) == len(first) == heads
    if charts == 1:
        assert "norm over 7 classes" in drawn[0]
        assert first[1] == "class 0"  # the factors are the largest there
    else:
        limits = path_chart._limits(path_chart._panels(findings.coefficients))
        assert limits[0] < findings.coefficients.standardized.min() < 0 < limits[1]


def test_without_a_path_there_is_a_table_and_no_chart(tmp_path):
    whole = sample().coefficients
    alone = replace(
        whole, strengths=(), chosen=0, coefficients=whole.coefficients[:1],
        intercepts=whole.intercepts[:1], remark="it broke",
    )  # fmt: skip
    findings = replace(sample(), coefficients=alone)
    assert path_chart.path_charts(findings) == []
    html, page = page_of(findings, tmp_path)
    assert len(rows_of(html)) > 2
    assert "it broke" in page.text


def test_the_weak_end_is_at_the_left_whichever_way_the_dial_runs():
    whole = sample().coefficients
    turned = replace(whole, strengths=whole.strengths[::-1], dial="components")
    own, other = (
        path_chart.path_charts(replace(sample(), coefficients=one))[0] for one in (whole, turned)
    )
    assert "the chosen components" in other.caption
    assert "components, as a fraction" in other.svg
    lines = [re.findall(r'd="(M [^"]+)"', one.svg) for one in (own, other)]
    assert len(lines[0]) == len(lines[1])


def test_the_null_model_has_an_intercept_and_a_whole_page(tmp_path):
    whole = sample().coefficients
    last = len(whole.strengths) - 1
    findings = replace(sample(), coefficients=replace(whole, chosen=last, freedom=0.0))
    html, page = page_of(findings, tmp_path)
    assert len(rows_of(html)) == 2
    assert "0 of 30 columns used" in page.text
    assert (
        coefficients_sentence(findings) == "0 of 30 columns used, 0.0 effective degrees of freedom"
    )
    nothing = replace(whole, coefficients=0 * whole.coefficients)
    assert path_chart.path_charts(replace(findings, coefficients=nothing))


def test_lines_are_few_labelled_and_the_page_stays_small_with_thousands_of_columns(tmp_path):
    draws = np.random.default_rng(0)
    q, steps = 3000, 25
    wide = replace(
        sample().coefficients,
        names=tuple(f"gene {k}" for k in range(q)), groups=tuple(f"gene {k}" for k in range(q)),
        coefficients=draws.normal(size=(steps, q, 1)) * np.linspace(1, 0, steps)[:, None, None],
        scales=np.ones(q),
    )  # fmt: skip
    findings = replace(sample(), coefficients=wide)
    path = write_report(findings, tmp_path)
    assert path.stat().st_size < 1_000_000
    (panel,) = path_chart._panels(wide)
    assert len(panel.labelled) == 8
    assert len(panel.faint) == path_chart.GREY
    largest = np.argsort(-np.abs(wide.coefficients[wide.chosen, :, 0]))[:8]
    assert set(panel.labelled) == set(largest)
    (chart,) = path_chart.path_charts(findings)
    assert "2,952 smaller lines not drawn" in chart.caption
    assert chart.svg.count("gene ") >= 8


def test_strengths_whose_coefficients_explode_are_left_out_and_named():
    whole = sample().coefficients
    values = whole.coefficients.copy()
    values[:4] *= 1000
    findings = replace(sample(), coefficients=replace(whole, coefficients=values))
    (panel,) = path_chart._panels(findings.coefficients)
    assert panel.first == 4
    (chart,) = path_chart.path_charts(findings)
    assert "more than 4 times the largest of the chosen model" in chart.caption


@pytest.mark.parametrize("seed", range(20))
def test_labels_keep_their_distance_and_their_order(seed):
    draws = np.random.default_rng(seed)
    wanted = sorted(draws.uniform(0, 1, 8).tolist(), reverse=True)
    places = path_chart.apart(wanted, 0.1, 0.0, 1.0)
    assert all(high - low >= 0.1 - 1e-12 for high, low in zip(places, places[1:], strict=False))
    assert max(places) <= 1 + 1e-12
    assert min(places) >= -1e-12


def test_the_sentence_names_five_coefficients_in_the_units_of_the_columns():
    findings = sample()
    path = findings.coefficients
    sentence = coefficients_sentence(findings)
    (line,) = [line for line in summary_lines(findings) if line.startswith("coefficients")]
    assert line.endswith(sentence)
    assert "largest, per unit of the column" in sentence
    assert sentence.count("measure") == 5
    first = path.used[0]
    value = brief(float(path.coefficients[path.chosen, first, 0]))
    assert f"{path.names[first]} {value}" in sentence
    assert "**coefficients**" in markdown(findings)
    assert coefficients_sentence(sample(winner="network")) == ""
    assert coefficient_rows(sample(winner="network")) is None
    assert "(class 0)" in coefficients_sentence(with_classes(3))
